"""Turn params into a key and a payload into an artifact on disk, and load it instead of computing it again."""

from typing import TYPE_CHECKING, Any

from persistable.base import Persistable
from persistable.io import FileIO, PickleFileIO
from persistable.params import FileContent, PersistableParams, param
from persistable.registry import Registry
from persistable.specs import EncoderSpec, Event, FormatSpec, StorageSpec
from persistable.store import ArtifactStore
from persistable.version import __version__

if TYPE_CHECKING:
    from persistable.hookspecs import hookimpl

__all__ = [
    "ArtifactStore",
    "EncoderSpec",
    "Event",
    "FileContent",
    "FileIO",
    "FormatSpec",
    "Persistable",
    "PersistableParams",
    "PickleFileIO",
    "Registry",
    "StorageSpec",
    "__version__",
    "hookimpl",
    "param",
]


def __getattr__(name: str) -> Any:
    if name == "hookimpl":  # on first use, since it takes pluggy
        from persistable.hookspecs import hookimpl

        return hookimpl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
