"""FileIO, the interface of every format, and PickleFileIO, the format for anything.

A FileIO turns one payload into one file (or one folder) at a local path and back. It never decides where bytes go,
never locks and never renames: the store does, and hands it a path of its own.
"""

from __future__ import annotations

import functools
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, cast, runtime_checkable

from persistable.encodable import DictEncodable
from persistable.exceptions import ExplainedNotImplementedError, FidelityError, FormatError, SaveError

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Buffer

    from persistable.digest import DigestingReader

__all__ = [
    "BufferLoader",
    "DictEncodable",
    "FileIO",
    "PayloadT",
    "PickleFileIO",
    "StreamLoader",
    "StreamSaver",
    "Writable",
    "format_name",
    "is_able",
    "streamed",
]

PayloadT = TypeVar("PayloadT")
ItemT = TypeVar("ItemT")
globals()["PayloadTypeT"] = PayloadT  # the name that 1.x code imports
_dump: Any = None  # bound on first use


class FileIO(ABC, Generic[PayloadT]):
    """Write a payload to a local path and read it back equal.

    Subclasses define ``_load`` and ``_save``. A class that is registered as a format also sets ``name`` in its own
    body; without it the format is ``custom:<qualname>`` and has to be injected again to load what it wrote.

    Class attributes:
        name: format id, stored in the record.
        suffix: file suffix with its dot.
        is_directory: whether the path is an (empty, existing) folder to fill rather than a file to create.
        format_version: raised when the layout of what is written changes incompatibly.
        needs_metadata: whether ``_load`` takes ``metadata=``, the mapping that ``_save`` returned.
        memory_mapped: whether ``_load`` maps the file and reads it later. Of one that was injected the size is verified
            by default, and not the digest.
    """

    name: ClassVar[str]
    suffix: ClassVar[str] = ".persistable"
    is_directory: ClassVar[bool] = False
    format_version: ClassVar[int] = 1
    needs_metadata: ClassVar[bool] = False
    memory_mapped: bool = False

    def save(
        self, payload: PayloadT, filepath: str | os.PathLike[str], create_folder: bool = True, **kwargs: Any
    ) -> Mapping[str, Any] | None:
        """Write the payload to ``filepath`` and return JSON metadata for the record, if the format has any.

        Raises:
            FidelityError: the payload would not come back equal; nothing was written.
            Exception: what the payload's own code raised while it was ``streamed``, as it was.
            OSError: as the file system raised it; any other error of the format is wrapped in a SaveError, which is an
                OSError too, with the cause chained.
        """
        from pathlib import Path

        path = Path(filepath)

        def write() -> Any:
            if create_folder and not os.path.isdir(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            return self._save(payload=payload, filepath=path, **kwargs)

        return cast("Mapping[str, Any] | None", self._saved(payload, path, write))

    def _saved(self, payload: PayloadT, filepath: str | os.PathLike[str], write: Callable[[], Any]) -> Any:
        """Call what writes a payload, unless it is refused; raise its errors as ``save`` does."""
        reason = self.refusal(payload)
        if reason is not None:
            raise FidelityError(format=format_name(type(self)), reason=reason)
        handled, theirs = sys.exc_info()[1], cast("BaseException | None", None)
        try:
            return write()
        except _RaisedByPayload as raised:
            theirs = raised.error
        except Exception as error:
            theirs = _interrupt_behind(error, handled)
            if theirs is None:
                if isinstance(error, OSError | FormatError):
                    raise
                raise SaveError(
                    format=format_name(type(self)),
                    payload_type=type(payload).__qualname__,
                    filepath=str(filepath),
                    file_io=type(self).__qualname__,
                    cause=error,
                ) from error
        raise theirs  # out here, so that nothing of ours is in its context

    def load(self, filepath: str | os.PathLike[str], **kwargs: Any) -> PayloadT:
        """Read the payload at ``filepath``. Raises whatever the format's parser raises."""
        from pathlib import Path

        return self._load(filepath=Path(filepath), **kwargs)

    def refusal(self, payload: PayloadT) -> str | None:  # noqa: ARG002 - the default accepts everything
        """Say why this payload would not come back equal, or None. Cheap: looks at types and shapes, not at content."""
        return None

    @abstractmethod
    def _load(self, filepath: Path, **kwargs: Any) -> PayloadT:
        """Read the payload at ``filepath``."""

    def _save(self, payload: PayloadT, filepath: Path, **kwargs: Any) -> Any:  # noqa: ARG002 - for subclasses
        """Write the payload to ``filepath``, which does not exist yet; return JSON metadata or None."""
        raise ExplainedNotImplementedError(f"{type(self).__qualname__}._save")


@runtime_checkable
class BufferLoader(Protocol):
    """Optional ability of a FileIO: load from bytes that were read and verified already, saving a second open.

    Whoever overrides ``_load`` in a subclass without it is asked to ``load``.
    """

    def load_buffer(self, buffer: Buffer) -> Any:
        """Read the payload from the whole content of its file."""


@runtime_checkable
class StreamLoader(Protocol):
    """Optional ability of a FileIO: load from an open file, in order, so that it is hashed as it is read.

    Only formats that cannot run code are asked: the payload is withheld until the digest agrees.
    """

    def load_stream(self, file: DigestingReader, size: int) -> Any:
        """Read the payload from a file of ``size`` bytes, by its ``read``, ``readinto`` and ``tell``."""


class Writable(Protocol):
    """What is written to, as to a file that is open."""

    def write(self, data: Buffer, /) -> int:
        """Write bytes; return how many they are."""
        ...


class StreamSaver(Protocol):
    """Optional ability of a FileIO: write to a file that is open, which saves small payloads a second open.

    Whoever overrides ``_save`` in a subclass without it is asked to ``save``.
    """

    def save_stream(self, payload: Any, file: Writable, filepath: str) -> Mapping[str, Any] | None:
        """Write the payload, as ``save`` does; ``filepath`` is where the file is or will be, for errors."""


_WAYS = {"save_stream": {"_save", "save"}, "load_buffer": {"_load", "load"}, "load_stream": {"_load", "load"}}


@functools.lru_cache(maxsize=1024)
def is_able(file_io: type[FileIO[Any]], ability: str) -> bool:
    """Whether a class has an optional ability that does the same as its way by path.

    Whoever overrides the way by path in a subclass has the ability only if the subclass brings one of its own.
    """
    for layer in file_io.__mro__:
        own = vars(layer).keys()
        if ability in own:
            return True
        if not _WAYS[ability].isdisjoint(own):
            return False
    return False


class _RaisedByPayload(BaseException):
    """Carry an exception of the user's past every ``except Exception`` of a format and its library."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(error)


def _interrupt_behind(error: BaseException, handled: BaseException | None) -> BaseException | None:
    """Return the interrupt from which a library was unwinding when it raised another error, as zipfile does.

    What was being ``handled`` before is none of it.
    """
    context = error.__context__
    while context is not None and context is not handled:
        if not isinstance(context, Exception):
            return context
        context = context.__context__
    return None


def streamed(payload: Iterable[ItemT]) -> Iterator[ItemT]:
    """Yield the items of a payload that a format reads while it writes, such as a generator.

    What the payload's own code raises meanwhile is no failure of the format: ``FileIO.save`` raises it as it was.
    """
    try:
        yield from payload
    except Exception as error:  # noqa: BLE001 - it is raised again
        raise _RaisedByPayload(error) from None


def format_name(file_io: type[FileIO[Any]]) -> str:
    """Return the format id of a FileIO class: its own ``name``, or ``custom:<qualname>``; names are not inherited."""
    name = vars(file_io).get("name")
    return name if isinstance(name, str) else f"custom:{file_io.__qualname__}"


class PickleFileIO(FileIO[PayloadT], Generic[PayloadT]):
    """Keep anything picklable, in an ordinary pickle file that ``pickle.load`` reads.

    Protocol 5 writes the buffers of arrays and frames to the file directly, without a second copy in memory. Loading
    runs whatever the file asks for, which is why the store's trust decides first. Source: PEP 574.
    """

    name: ClassVar[str] = "pickle"
    suffix: ClassVar[str] = ".pickle"

    def _save(self, payload: PayloadT, filepath: Path, **kwargs: Any) -> None:
        import pickle

        options: dict[str, Any] = {"protocol": 5, **kwargs}
        with open(filepath, "wb") as file:
            pickle.dump(payload, file, **options)

    def save_stream(self, payload: PayloadT, file: Writable, filepath: str) -> None:
        """Pickle the payload to an open file. Raises as ``save`` does."""
        global _dump
        if _dump is None:
            from pickle import dump as _dump

        self._saved(payload, filepath, functools.partial(_dump, payload, file, 5))

    def _load(self, filepath: Path, **kwargs: Any) -> PayloadT:
        import pickle

        with open(filepath, "rb") as file:
            return cast("PayloadT", pickle.load(file, **kwargs))

    def load_buffer(self, buffer: Buffer) -> PayloadT:
        """Unpickle the whole content of a pickle file."""
        import pickle

        payload: PayloadT = pickle.loads(buffer)
        return payload
