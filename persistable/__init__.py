"""Turn params into a key and a payload into an artifact on disk, and load it instead of computing it again."""

from persistable.io import FileIO, PickleFileIO
from persistable.specs import FormatSpec
from persistable.version import __version__

__all__ = ["FileIO", "FormatSpec", "PickleFileIO", "__version__"]
