"""Declare the formats npy and npz to persistable. Imports nothing else, so that listing plugins costs nothing."""

from __future__ import annotations

from persistable import FormatSpec, hookimpl


@hookimpl
def persistable_formats() -> list[FormatSpec]:
    """Return npy, the default of numpy arrays, and npz, which is only used where it is asked for."""
    return [
        FormatSpec(
            name="npy",
            suffix=".npy",
            io="persistable_numpy.npy:NpyFileIO",
            types=("numpy.ndarray",),
            default=True,
            executes_code=False,
            install="persistable-numpy",
        ),
        FormatSpec(
            name="npz",
            suffix=".npz",
            io="persistable_numpy.npz:NpzFileIO",
            executes_code=False,
            install="persistable-numpy",
        ),
    ]
