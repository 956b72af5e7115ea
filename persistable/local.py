"""LocalStorage, a folder of the local file system.

What is judged by its owner and mode is what is then read: files by their open descriptors, folders from the root down.
No symbolic link below the root is followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from persistable.display import printable
from persistable.exceptions import StorageError
from persistable.naming import LOCK, STAGED, staged_name
from persistable.storage import Capabilities, Entry, Storage

if TYPE_CHECKING:
    from persistable.lock import Lock

__all__ = ["READING", "Folder", "LocalStorage", "create", "read_all", "remove", "size_of"]

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
READING = os.O_RDONLY | _CLOEXEC | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC | _NOFOLLOW | getattr(os, "O_BINARY", 0)
_CHUNK = 8 << 20  # bytes copied at a time
_LARGEST = 1 << 28  # bytes of a file that is read at once, such as a record: far above any of ours
_BY_EFFECTIVE_IDS = os.access in os.supports_effective_ids
_acquire: Any = None  # bound on first use: a hit takes no lock


class Folder:
    """A folder of a local storage, looked at and found to be one.

    It is not held open: whoever could put another one in its place could write to the root, whose status is evidence.

    Attributes:
        path: its path.
        evidence: path and status of the root, of the folder and of what was opened in it, for the trust gate.
    """

    __slots__ = ("evidence", "path")

    def __init__(self, root: str, name: str) -> None:
        self.path = path = f"{root}/{name}"
        outermost, status = os.lstat(root), os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            if stat.S_ISLNK(status.st_mode):
                raise _link(path)
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        self.evidence = [(root, outermost), (path, status)]
        if stat.S_ISLNK(outermost.st_mode):  # which its owner may turn elsewhere at any time
            self.evidence.insert(1, (root, os.stat(root)))

    def open(self, name: str) -> tuple[int, os.stat_result]:
        """Open a file in the folder for reading; return its descriptor and status, which is evidence from then on.

        Raises:
            FileNotFoundError: it is not there.
            StorageError: it is a symbolic link, or a socket.
            OSError: as the system says it.
        """
        path = f"{self.path}/{name}"
        try:
            descriptor = os.open(path, READING)
        except OSError as error:
            error.filename = path
            raise _unopened(error, path) from None
        status = os.fstat(descriptor)
        self.evidence.append((path, status))
        return descriptor, status

    def read(self, name: str) -> bytes:
        """Return the content of a regular file. Raises as ``open`` does."""
        descriptor, status = self.open(name)
        try:
            return _read_bounded(descriptor, f"{self.path}/{name}", status)
        except OSError as error:
            error.filename = f"{self.path}/{name}"
            raise
        finally:
            os.close(descriptor)

    def fetch(self, name: str, path: str, size: int) -> None:
        """Copy the first ``size`` bytes of a file to a path, which is created. Raises as ``open`` does."""
        descriptor, status = self.open(name)
        with open(descriptor, "rb") as source:
            if not stat.S_ISREG(status.st_mode):
                raise _special(f"{self.path}/{name}")
            with open(path, "xb") as target:
                while size > 0 and (chunk := source.read(min(size, _CHUNK))):
                    size -= target.write(chunk)


def _unopened(error: OSError, path: str) -> OSError:
    """Return what to raise of a file that cannot be opened."""
    if error.errno == errno.ELOOP:
        return _link(path)
    return _special(path) if error.errno == errno.ENXIO else error  # as the system says of a socket


def _link(path: str) -> StorageError:
    error = _refused(path, "is a symbolic link, and none is followed inside a store", ": put the file itself there")
    error.errno = errno.ELOOP
    return error


def _special(path: str) -> StorageError:
    return _refused(path, "is not a regular file", ": put the file itself there")


def _refused(path: str, reason: str, repair: str = "") -> StorageError:
    error = StorageError(f"{printable(path)} {reason}{repair}", url=path, operation="open")
    error.filename = path
    return error


def _read_bounded(descriptor: int, path: str, status: os.stat_result) -> bytes:
    """Read an open file of ours to its end, unless it is none, or larger than any that is read at once."""
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, a device would never end
        raise _special(path)
    if status.st_size > _LARGEST:
        raise _refused(path, f"has {status.st_size} bytes, more than the {_LARGEST} that are read at once")
    return read_all(descriptor, status.st_size)


def read_all(descriptor: int, size: int) -> bytes:
    """Read an open file to its end; ``size`` is what is expected."""
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    while parts[-1]:
        parts.append(os.read(descriptor, 1 << 20))
    return b"".join(parts)


def create(path: str, mode: int) -> int:
    """Make a file that is not there yet, following no link, and return its descriptor, open for writing."""
    return os.open(path, _CREATE, mode)


class LocalStorage(Storage):
    """A folder of the local file system (or of one that is mounted).

    ``private`` keeps the group and others from writing whatever is created, whatever the umask says, because the
    default trust would refuse to read it back. ``durable`` flushes files and the folders that name them to the disk
    before a call returns.
    """

    capabilities = Capabilities(
        atomic_replace=True,
        create_exclusive=True,
        replace_matching=False,
        lock=True,
        local_path=True,
        open_files_survive_deletion=os.name == "posix",
    )

    def __init__(self, root: str, *, private: bool = True, durable: bool = True) -> None:
        self.root, self.durable = os.path.abspath(root), durable
        self.folder_mode, self.file_mode = (0o755, 0o644) if private else (0o777, 0o666)
        self._lock_mode = 0o600 if private else 0o666  # who may read a file may lock it so that nobody else can
        self._apart: bool | None = None if private else False

    @property
    def apart(self) -> bool:
        """Whether payloads are staged where nobody else can enter, because the umask lets others write new files."""
        if self._apart is None:
            self._apart = bool(_umask() & 0o022 != 0o022)
        return self._apart

    @apart.setter
    def apart(self, apart: bool) -> None:
        self._apart = apart

    # -- the Storage interface

    @property
    def url(self) -> str:  # type: ignore[override]
        return f"file://{self.root}"

    def get(self, name: str) -> bytes:
        path = f"{self.root}/{name}"
        try:
            descriptor = os.open(path, READING)
        except OSError as error:
            raise _unopened(error, path) from None
        try:
            return _read_bounded(descriptor, path, os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def put(self, name: str, data: bytes) -> None:
        self._put(name, data, os.replace)

    def _put(self, name: str, data: bytes, place: Callable[[str, str], object]) -> None:
        """Write a staged file, have it put in its place, and flush the folder; whatever fails leaves no staged file.

        No context manager: an interrupt between its entry and its block would find nobody to clear up.
        """
        path = f"{self.root}/{name}"
        folder = path.rpartition("/")[0]
        staged = f"{folder}/{staged_name('')}"
        try:
            try:
                self.write(staged, data)
            except FileNotFoundError:
                self._make(folder)
                self.write(staged, data)
            place(staged, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(staged)
            raise
        self.flush_folder(folder)

    def write(self, path: str, data: bytes) -> None:
        """Write a file that is not there yet, flushed if this storage is durable."""
        descriptor = os.open(path, _CREATE, self.file_mode)
        try:
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
            if self.durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        def link(staged: str, path: str) -> None:
            os.link(staged, path)
            os.unlink(staged)

        try:
            self._put(name, data, link)
        except FileExistsError:
            return False
        return True

    def put_file(self, name: str, path: str) -> None:
        import shutil

        def copy(staged: str, final: str) -> None:
            shutil.copyfile(path, staged)
            if self.durable:
                sync(staged)
            os.replace(staged, final)

        self._put(name, b"", copy)

    def fetch(self, name: str, path: str, size: int) -> None:
        with open(os.open(self.local_path(name), READING), "rb") as source, open(path, "xb") as target:
            while chunk := source.read(min(size - target.tell(), _CHUNK)):
                target.write(chunk)

    def stat(self, name: str) -> Entry:
        status = os.lstat(self.local_path(name))
        return Entry(name, status.st_size, status.st_mtime)

    def list(self, folder: str = "") -> Iterator[Entry]:
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            try:
                found = os.scandir(self.local_path(current) if current else self.root)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with found:
                for entry in found:
                    name = f"{current}/{entry.name}" if current else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(name)
                        continue
                    with contextlib.suppress(FileNotFoundError):  # deleted between listing and looking
                        status = entry.stat(follow_symlinks=False)
                        yield Entry(name, status.st_size, status.st_mtime)

    def delete(self, name: str) -> None:
        remove(self.local_path(name))

    # -- what only a local folder can do

    def local_path(self, name: str) -> str:
        """Return the path of an object."""
        return f"{self.root}/{name}"

    def enter(self, folder: str) -> Folder:
        """Open a folder. Raises FileNotFoundError if it, or the root, is not there."""
        return Folder(self.root, folder)

    def locate(self, name: str) -> str:
        return self.local_path(name)

    def prepare(self, folder: str) -> None:
        """Make a folder and prove that it can be written to.

        Raises:
            PermissionError: no write permission there (EACCES), or a file system mounted read-only (EROFS).
        """
        path = f"{self.root}/{folder}"
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            try:
                self._make(path)
                status = os.lstat(path)
            except OSError as error:
                raise _unwritable(error, path) from error
        if not stat.S_ISDIR(status.st_mode):
            if stat.S_ISLNK(status.st_mode):
                raise _link(path)
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if not os.access(path, os.W_OK | os.X_OK, effective_ids=_BY_EFFECTIVE_IDS):
            code = errno.EROFS if _read_only(path) else errno.EACCES
            raise _unwritable(OSError(code, os.strerror(code), path), path)

    def _make(self, path: str) -> None:
        """Make the root and a folder in it, with the modes of this storage, and flush the names of what is new."""
        for folder in (self.root, path):
            missing = [folder]
            while not os.path.isdir(missing[-1]):
                missing.append(os.path.dirname(missing[-1]))
            os.makedirs(folder, self.folder_mode, exist_ok=True)
            for above in missing[1:]:
                with contextlib.suppress(PermissionError):  # a folder may be enterable and not readable
                    self.flush_folder(above)

    def flush_folder(self, path: str) -> None:
        """Flush a folder's entries to the disk, if this storage is durable and the system can."""
        if self.durable:
            sync(path)

    def lock(
        self,
        folder: str,
        key: str,
        purpose: int,
        *,
        timeout: float | None,
        on_wait: Callable[[str | None], None] | None,
    ) -> Lock:
        """Wait for the lock of a key in a folder. Raises NotFree after ``timeout`` seconds."""
        global _acquire
        if _acquire is None:
            from persistable.lock import acquire as _acquire

        path = f"{self.root}/{folder}"
        try:
            lock: Lock = _acquire(path, key, purpose, self._lock_mode, timeout, on_wait)
        except FileNotFoundError:  # there is no folder yet, or it has been cleared
            self.prepare(folder)
            lock = _acquire(path, key, purpose, self._lock_mode, timeout, on_wait)
        except PermissionError:
            self.prepare(folder)
            # the folder can be written to, only the lock file is somebody else's: work may be done twice, never wrongly
            from persistable.lock import Lock
            from persistable.logging import LOGGER

            LOGGER.warning("%s/%s belongs to somebody else: going on without a lock", printable(path), LOCK)
            lock = Lock(None)
        return lock

    def staged_path(self, folder: str, suffix: str, *, apart: bool = False) -> str:
        """Return a free path in the folder, to write to before it is published.

        ``apart`` puts it into a folder of its own, that nobody else can enter and that is yet to be made.
        """
        if apart:
            return f"{self.root}/{folder}/{staged_name('')}/payload{suffix}"
        return f"{self.root}/{folder}/{staged_name(suffix)}"

    def publish(self, staged: str, name: str) -> None:
        """Move a staged payload to its final name in the same folder."""
        os.rename(staged, f"{self.root}/{name}")
        folder, _, within = staged.rpartition("/")
        if not within.startswith(STAGED):  # then its folder is
            os.rmdir(folder)

    def unstage(self, staged: str) -> None:
        """Remove a staged payload, and whatever its FileIO left beside it under names that start with its own."""
        folder = os.path.dirname(staged)
        if os.path.basename(folder).startswith(STAGED):
            with contextlib.suppress(OSError):
                remove(folder)
            return
        with contextlib.suppress(OSError):
            for name in self.beside(staged):
                with contextlib.suppress(OSError):
                    remove(f"{os.path.dirname(staged)}/{name}")

    def beside(self, staged: str) -> tuple[str, ...]:
        """Return the names of a staged payload and of what stands beside it under names that start with its own."""
        folder, stem = os.path.split(staged)
        if os.path.basename(folder).startswith(STAGED):
            return tuple(sorted(os.listdir(folder)))
        stem = STAGED + stem.removeprefix(STAGED).partition(".")[0]
        return tuple(sorted(name for name in os.listdir(folder) if name.startswith(stem)))


def _umask() -> int:
    """Return the umask, as far as it can be read without being set, which other threads would notice."""
    try:
        with open("/proc/self/status", "rb") as file:
            found = re.search(rb"^Umask:\s*([0-7]+)$", file.read(), re.MULTILINE)
        return int(found[1], 8) if found else 0o022
    except OSError:
        return 0o022


def _unwritable(error: OSError, path: str) -> OSError:
    """Make EROFS a PermissionError too, and name the folder that was wanted."""
    if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
        return error
    found = PermissionError(error.errno, error.strerror, path)
    found.add_note(f"nothing was generated, because it could not be persisted in {path}: choose another data_dir")
    return found


def _read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) if hasattr(os, "statvfs") else False


def remove(path: str) -> None:
    """Remove a file or a folder with all that is in it; one that is not there is no error."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):
        if not os.path.isdir(path) or os.path.islink(path):
            raise
        import shutil

        folder, name = os.path.split(path)
        doomed = path if name.startswith(STAGED) else f"{folder}/{staged_name('')}"
        try:
            if doomed != path:  # gone for its readers in one step, not file by file
                os.rename(path, doomed)
            shutil.rmtree(doomed)
        except BaseException:
            shutil.rmtree(doomed, ignore_errors=True)
            raise


def size_of(path: str) -> int:
    """Return the bytes of a file, or of a folder with all that is in it."""
    return os.lstat(path).st_size + sum(
        os.lstat(f"{current}/{name}").st_size for current, _, names in os.walk(path) for name in names
    )


def sync(path: str) -> None:
    """Flush a file, or a folder's entries, to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY | _CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        with contextlib.suppress(OSError):  # nothing was written through it, and whether all is flushed has been said
            os.close(descriptor)
