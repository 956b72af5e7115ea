"""A staged file that is held in memory while it is small, and then written at once.

A small payload is so digested from the bytes that are written, and its file is opened once. What grows longer is
written through, into a file that nobody else can have made or can write to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from persistable.local import create

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer

__all__ = ["Spool"]

_LONGEST = 1 << 16  # bytes that are held: a frame of a pickle


class Spool:
    """Where a FileIO with the ability ``save_stream`` writes: a context manager that closes the file, if there is one.

    Args:
        path: where the file is made, exclusively, once it is too long to be held.
        mode: its permissions, less the umask.
    """

    __slots__ = ("_file", "_held", "_size", "mode", "path")

    def __init__(self, path: str, mode: int) -> None:
        self.path, self.mode = path, mode
        self._held: list[bytes] = []
        self._size = 0
        self._file: BinaryIO | None = None

    @property
    def content(self) -> bytes | None:
        """All that was written, which is not in the file yet; None if it is."""
        return None if self._file is not None else b"".join(self._held)

    def write(self, data: Buffer) -> int:
        """Write bytes; return how many they are."""
        if self._file is not None:
            return self._file.write(data)
        size = len(data) if type(data) is bytes else memoryview(data).nbytes
        self._size += size
        if self._size <= _LONGEST:
            self._held.append(bytes(data))
            return size
        self._file = open(create(self.path, self.mode), "wb")  # noqa: SIM115 - closed at the exit
        for part in self._held:
            self._file.write(part)
        return self._file.write(data)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
