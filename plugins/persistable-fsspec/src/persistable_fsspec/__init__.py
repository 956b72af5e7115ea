"""Keep artifacts wherever fsspec reaches. fsspec is imported with the first storage, not with this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_fsspec.version import __version__

if TYPE_CHECKING:
    from persistable_fsspec.storage import FsspecStorage

__all__ = ["FsspecStorage", "__version__"]


def __getattr__(name: str) -> Any:
    # the entry point names persistable_fsspec.hooks, which imports this package: listing plugins must not import fsspec
    if name == "FsspecStorage":
        from persistable_fsspec.storage import FsspecStorage

        return FsspecStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
