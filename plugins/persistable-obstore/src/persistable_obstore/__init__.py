"""Keep artifacts on S3, Azure Blob Storage and Google Cloud Storage. obstore is imported with the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_obstore.version import __version__

if TYPE_CHECKING:
    from persistable_obstore.storage import ObjectStorage

__all__ = ["ObjectStorage", "__version__"]


def __getattr__(name: str) -> Any:
    # the entry point names persistable_obstore.hooks, which imports this package: listing plugins costs nothing
    if name == "ObjectStorage":
        from persistable_obstore.storage import ObjectStorage

        return ObjectStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
