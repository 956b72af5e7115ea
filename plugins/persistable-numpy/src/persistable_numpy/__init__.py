"""Keep numpy arrays in npy and npz files. numpy is imported with the first FileIO, not with this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_numpy.version import __version__

if TYPE_CHECKING:
    from persistable_numpy.npy import NpyFileIO
    from persistable_numpy.npz import NpzFileIO

__all__ = ["NpyFileIO", "NpzFileIO", "__version__"]


def __getattr__(name: str) -> Any:
    # the entry point names persistable_numpy.hooks, which imports this package: listing plugins must not import numpy
    if name == "NpyFileIO":
        from persistable_numpy.npy import NpyFileIO

        return NpyFileIO
    if name == "NpzFileIO":
        from persistable_numpy.npz import NpzFileIO

        return NpzFileIO
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
