"""Images as png files. Pillow is imported with the FileIO, not with this package, in which the hooks lie."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagebox.png import PngFileIO

__all__ = ["PngFileIO"]


def __getattr__(name: str) -> Any:
    if name == "PngFileIO":
        from imagebox.png import PngFileIO

        return PngFileIO
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
