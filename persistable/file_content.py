"""FileContent: a file as a param, keyed by what is in it."""

from __future__ import annotations

import errno
import os
import stat
import time

__all__ = ["FileContent"]

_RACY = 2_000_000_000  # ns: a file changed so lately can change again within its time stamp
_digests: dict[str, tuple[tuple[int, ...], str]] = {}


class FileContent(os.PathLike[str]):
    """A file that defines the payload by what is in it, wherever it lies.

    In the key it is the SHA-256 of the file's bytes; the path is untracked. The digest is remembered within the process
    by the file's size, time of change, inode and device.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fsdecode(os.fspath(path))

    def __fspath__(self) -> str:
        return self._path

    def __repr__(self) -> str:
        return f"FileContent({self._path!r})"

    def __eq__(self, other: object) -> bool:
        return self._path == other._path if isinstance(other, FileContent) else NotImplemented

    def __hash__(self) -> int:
        return hash((FileContent, self._path))

    def __persistable_params__(self) -> dict[str, str]:
        return {"sha256": self.digest()}

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes as hex.

        Raises:
            OSError: as the file system says; FileNotFoundError and IsADirectoryError name the path.
        """
        from hashlib import file_digest

        path = os.path.realpath(self._path)
        status = os.stat(self._path)
        known = _digests.get(path)
        if known is not None and known[0] == _marks(status):
            return known[1]
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", self._path)
        seen = time.time_ns()
        with open(self._path, "rb", buffering=0) as file:  # a directory is refused here
            before = os.fstat(file.fileno())
            digest = file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
        if _marks(before) == _marks(after) and seen - before.st_mtime_ns > _RACY:
            _digests[path] = (_marks(before), digest)
        return digest


def _marks(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev
