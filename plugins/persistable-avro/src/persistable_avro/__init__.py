"""The format avro for persistable: records by fastavro, streamed both ways."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persistable_avro.avro import AvroFileIO
    from persistable_avro.records import AvroRecords

__all__ = ["AvroFileIO", "AvroRecords"]

_MODULES = {"AvroFileIO": "persistable_avro.avro", "AvroRecords": "persistable_avro.records"}


def __getattr__(name: str) -> Any:
    """Import the public classes, and fastavro with them, on first use: the hooks module imports this package."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
