"""Keep numpy arrays in npy and npz files. numpy is imported with the first FileIO, not with this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_numpy.version import __version__

if TYPE_CHECKING:
    from persistable_numpy.npy import NpyFileIO
    from persistable_numpy.npz import NpzFileIO

__all__ = ["NpyFileIO", "NpzFileIO", "__version__"]

_HOMES = {"NpyFileIO": "npy", "NpzFileIO": "npz"}


def __getattr__(name: str) -> Any:
    # on first use: the hooks module lies in this package, and listing plugins must not import numpy
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
