"""Keep artifacts on S3, Azure Blob Storage and Google Cloud Storage. obstore is imported with the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_obstore.version import __version__

if TYPE_CHECKING:
    from persistable_obstore.storage import ObjectStorage

__all__ = ["ObjectStorage", "__version__"]

_HOMES = {"ObjectStorage": "storage"}


def __getattr__(name: str) -> Any:
    # on first use: the hooks module lies in this package, and listing plugins must not import obstore
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
