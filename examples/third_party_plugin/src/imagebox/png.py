"""The format ``png``: one image of Pillow or numpy in one file that every viewer shows.

Representation decisions:

- Images of the modes L, LA, RGB and RGBA, and arrays of uint8 that have the same layout: ``(height, width)``, or
  ``(height, width, channels)`` with 2 to 4 channels. Everything else (palettes, other depths, ``info``, files that are
  still open) would come back as something else and is refused.
- The record says whether it was an array or an image. A file without a record loads as an image.
- Size and mode are compared with the record before anything is decompressed. A file that does not end as png files do
  is refused, since Pillow would not miss the end.

Source: PNG specification, third edition.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from persistable import FileIO

__all__ = ["PngFileIO"]

MODES = ("L", "LA", "RGB", "RGBA")
END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk, always the same


class PngFileIO(FileIO[Image.Image | NDArray[np.uint8]]):
    """Keep an image, compressed without loss.

    Args:
        compress_level: 0 (fast) to 9 (small).
    """

    name: ClassVar[str] = "png"
    suffix: ClassVar[str] = ".png"
    needs_metadata: ClassVar[bool] = True

    def __init__(self, *, compress_level: int = 6) -> None:
        if compress_level not in range(10):
            raise ValueError(f"compress_level={compress_level!r}: give 0 to 9")
        self.compress_level = compress_level

    def refusal(self, payload: object) -> str | None:
        """Say why this image would not come back as it is, or None."""
        if type(payload) is np.ndarray:
            return _array_refusal(payload)
        if type(payload) is not Image.Image:
            kind = type(payload)
            return f"it is a {kind.__module__}.{kind.__qualname__}, not a PIL.Image.Image or numpy.ndarray"
        if payload.mode not in MODES:
            return f"its mode is {payload.mode}, and png files of {', '.join(MODES)} are written"
        if payload.info:
            return f"its info ({', '.join(map(str, payload.info))}) would be lost"
        return None if min(payload.size) > 0 else "it has no pixels"

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Mapping[str, Any]:
        is_array = isinstance(payload, np.ndarray)
        image = Image.fromarray(np.ascontiguousarray(payload)) if is_array else payload
        with open(filepath, "wb") as file:
            image.save(file, format="PNG", **({"compress_level": self.compress_level} | kwargs))
        return {"type": "numpy.ndarray" if is_array else "PIL.Image.Image", "mode": image.mode, "size": [*image.size]}

    def _load(self, filepath: Path, *, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        content = filepath.read_bytes()
        if not content.endswith(END):
            raise ValueError("the png file has lost its end")
        with Image.open(io.BytesIO(content), formats=["PNG"], **kwargs) as opened:
            if metadata and [opened.mode, *opened.size] != [metadata["mode"], *metadata["size"]]:
                raise ValueError(f"the png file is {opened.mode} {opened.size}, the record says {dict(metadata)}")
            image = opened.copy()
        image.info = {}
        return np.array(image) if metadata and metadata["type"] == "numpy.ndarray" else image


def _array_refusal(array: NDArray[Any]) -> str | None:
    if array.dtype != np.uint8:
        return f"its dtype is {array.dtype}, not uint8"
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (2, 3, 4)):
        return f"its shape is {array.shape}, not (height, width) or (height, width, 2 to 4)"
    return None if array.size else "it has no pixels"
