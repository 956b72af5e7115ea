"""Keep artifacts wherever fsspec reaches. fsspec is imported with the first storage, not with this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_fsspec.version import __version__

if TYPE_CHECKING:
    from persistable_fsspec.storage import FsspecStorage

__all__ = ["FsspecStorage", "__version__"]

_HOMES = {"FsspecStorage": "storage"}


def __getattr__(name: str) -> Any:
    # on first use: the hooks module lies in this package, and listing plugins must not import fsspec
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
