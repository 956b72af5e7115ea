"""A staged file that is held in memory while it is small, and then written at once.

A small payload is so digested from the bytes that are written, and its file is opened once. What grows longer is
written through, into a file that nobody else can have made or can write to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from persistable.local import create

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Spool"]

_LONGEST = 1 << 16  # bytes that are held: a frame of a pickle


class Spool:
    """Where a FileIO with the ability ``save_stream`` writes; to be closed.

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
        file = self._file
        if file is not None:
            return file.write(data)
        size = len(data) if type(data) is bytes else memoryview(data).nbytes
        self._size += size
        if self._size <= _LONGEST:
            self._held.append(bytes(data))
            return size
        file = self._file = open(create(self.path, self.mode), "wb")  # noqa: SIM115 - close() does
        file.writelines(self._held)
        return file.write(data)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
