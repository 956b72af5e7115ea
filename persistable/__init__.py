"""Turn params into a key and a payload into an artifact on disk, and load it instead of computing it again."""

from typing import TYPE_CHECKING, Any

from persistable.base import Persistable
from persistable.io import FileIO, PickleFileIO
from persistable.params import FileContent, PersistableParams, param
from persistable.store import ArtifactStore
from persistable.version import __version__

if TYPE_CHECKING:
    from persistable.hookspecs import hookimpl
    from persistable.registry import Registry
    from persistable.specs import EncoderSpec, Event, FormatSpec, StorageSpec

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


_ON_FIRST_USE = {  # what only plugins and settings need
    "EncoderSpec": "specs",
    "Event": "specs",
    "FormatSpec": "specs",
    "Registry": "registry",
    "StorageSpec": "specs",
    "hookimpl": "hookspecs",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"persistable.{_ON_FIRST_USE[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
