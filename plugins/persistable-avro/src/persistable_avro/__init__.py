"""The format avro for persistable: records by fastavro, streamed both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_avro.version import __version__

if TYPE_CHECKING:
    from persistable_avro.avro import AvroFileIO
    from persistable_avro.records import AvroRecords

__all__ = ["AvroFileIO", "AvroRecords", "__version__"]

_HOMES = {"AvroFileIO": "avro", "AvroRecords": "records"}


def __getattr__(name: str) -> Any:
    # on first use: the hooks module lies in this package, and listing plugins must not import fastavro
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
