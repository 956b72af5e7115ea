"""A lock per key, between processes and threads of machines that share a folder.

On Linux: one ``.lock`` file per folder with open-file-description locks on one byte per key and purpose. Such a lock
excludes threads as well as processes, ends with its owner however that dies, costs some 5 µs and leaves nothing to
unlink. Elsewhere: the filelock library, with a lock file per key. Locks only save duplicate work; what is on disk stays
right without them, so a file system that has none is met with a note in the log, not with an error.

Source: fcntl_locking(2), "Open file description locks".
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import struct
import sys
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from persistable.display import printable
from persistable.naming import LOCK

__all__ = ["COMMIT", "GENERATE", "Lock", "NotFree", "acquire"]

GENERATE, COMMIT = 0, 1  # purposes: a long lock while a payload is computed, a short one while it is committed

PATIENCE = 5.0  # seconds of waiting before the owner is named
_SHORTEST, _LONGEST, _PATIENT = 0.0005, 0.01, 0.05  # seconds between two looks: at first, soon, after PATIENCE

_CONTENDED = {errno.EAGAIN, errno.EACCES}
_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}

_SLOTS, _SLOT_SIZE = 256, 128  # the lock file also says who owns what, for the message to those who wait

_SETLK: int | None = None  # neither Windows nor macOS has them
if TYPE_CHECKING or sys.platform == "linux":
    import fcntl

    _OFD = getattr(fcntl, "F_OFD_SETLK", 0)  # a Python that was built with the headers of an old system has none
    _SETLK = _OFD if _OFD and sys.maxsize > 2**32 else None
    _LOCKED, _FREE = fcntl.F_WRLCK, fcntl.F_UNLCK
    _FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_region = struct.Struct("hhqqi4x").pack  # struct flock: kind, from where (0: the start), offset, length, process

_held: dict[int, weakref.ref[Lock]] = {}  # by id; a WeakSet takes three times as many steps


class NotFree(TimeoutError):  # noqa: N818 - never leaves the package: the store turns it into a LockTimeoutError
    """Say that a lock was not free in time. Attribute: ``owner`` (``pid@host`` or None)."""

    def __init__(self, message: str, owner: str | None) -> None:
        self.owner = owner
        super().__init__(errno.ETIMEDOUT, message)


class Lock:
    """A lock that is held until ``release``; also a context manager."""

    __slots__ = ("__weakref__", "_close")

    def __init__(self, close: Callable[[bool], None] | None) -> None:
        self._close = close
        if close is not None:
            _held[id(self)] = weakref.ref(self)

    @property
    def exclusive(self) -> bool:
        """Whether others are really kept out: not on a file system without locks, nor after the release."""
        return self._close is not None

    def release(self, *, forked: bool = False) -> None:
        """Let the next one in; a forked child only drops its copy."""
        if self._close is not None:
            self._close(forked)
            self._close = None
            _held.pop(id(self), None)

    def to_commit(self) -> Lock | None:
        """Take the lock under which the same key is committed, if that can be had at once beside this one, else None.

        It is to be released before this one.
        """
        return None

    def __del__(self) -> None:
        if getattr(self, "_close", None) is not None:  # an interrupt may have come before there was any
            self.release()  # an interrupt between taking it and using it must not leave it taken for ever

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _drop_inherited() -> None:
    """Close what a forked child inherited: the parent alone holds its locks, and frees them with its own death."""
    for held in list(_held.values()):
        lock = held()
        if lock is not None:
            lock.release(forked=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited)


def acquire(
    folder: str,
    key: str,
    purpose: int,
    mode: int = 0o644,
    timeout: float | None = None,
    on_wait: Callable[[str | None], None] | None = None,
) -> Lock:
    """Wait for the lock of a key in an existing folder, and take it.

    ``on_wait`` is told the owner (``pid@host`` or None) once, after 5 s.

    Raises:
        NotFree: it was not free within ``timeout`` seconds.
        OSError: the lock file cannot be opened (EACCES, EROFS …).
    """
    attempt: Callable[[], Lock | None]
    if _SETLK is None:
        attempt = _by_filelock(folder, key, purpose, mode)
    else:
        lock = _by_range(folder, key, purpose, mode)
        if lock is not None:
            return lock
        attempt = functools.partial(_by_range, folder, key, purpose, mode)
    started, pause, told = time.monotonic(), _SHORTEST, on_wait is None
    while (lock := attempt()) is None:
        waited = time.monotonic() - started
        if timeout is not None and waited >= timeout:
            raise NotFree(f"lock of {key} not free within {timeout:g} s", owner(folder, key))
        if waited >= PATIENCE and not told and on_wait is not None:
            told = True
            on_wait(owner(folder, key))
        longest = _PATIENT if waited >= PATIENCE else _LONGEST
        time.sleep(pause if timeout is None else max(0.0, min(pause, timeout - waited)))
        pause = min(pause * 2, longest)
    return lock


def owner(folder: str, key: str) -> str | None:
    """Return ``pid@host`` of whoever generates a key at the moment, as far as it is known."""
    with contextlib.suppress(OSError), open(f"{folder}/{LOCK}", "rb") as file:
        file.seek(_slot(key))
        found, _, who = file.read(_SLOT_SIZE).partition(b" ")
        if found == key.encode():
            return printable(who.partition(b"\n")[0].rstrip().decode("utf-8", "replace")) or None
    return None


@functools.cache
def _host() -> str:
    return os.uname().nodename


def _slot(key: str) -> int:
    return int(key[-8:], 16) % _SLOTS * _SLOT_SIZE


def _unsupported(folder: str, error: OSError) -> Lock:
    from persistable.logging import LOGGER

    LOGGER.warning(
        "%s has no locks (%s): work may be done twice there, never wrongly", printable(folder), error.strerror
    )
    return Lock(None)


class _Range(Lock):
    """One byte of a lock file that is open."""

    __slots__ = ("_descriptor", "_lender", "_offset")

    def __init__(self, descriptor: int, offset: int, lender: _Range | None) -> None:
        self._descriptor, self._offset = descriptor, offset
        self._lender = lender  # whose the open file is, if not its own
        _held[id(self)] = weakref.ref(self)

    @property
    def exclusive(self) -> bool:
        return self._descriptor >= 0

    def release(self, *, forked: bool = False) -> None:
        descriptor, lender = self._descriptor, self._lender
        if descriptor < 0:
            return
        is_open = lender is None or lender._descriptor >= 0  # else the number may be another file's by now
        if is_open and not forked:  # unlocked before it is closed: a child forked at an unlucky moment may share it
            try:  # noqa: SIM105 - a context manager takes ten times as many steps
                fcntl.fcntl(descriptor, _OFD, _region(_FREE, 0, self._offset, 1, 0))
            except OSError:
                pass
        self._descriptor = -1
        _held.pop(id(self), None)
        if lender is None:
            os.close(descriptor)

    def to_commit(self) -> Lock | None:
        descriptor = self._descriptor
        if descriptor < 0:
            return None
        lock = _Range(descriptor, self._offset - GENERATE + COMMIT, self)  # the same open file: no other is opened
        try:
            fcntl.fcntl(descriptor, _OFD, _region(_LOCKED, 0, lock._offset, 1, 0))
            if os.fstat(descriptor).st_nlink:  # else the folder was cleared, and others lock another file
                return lock
        except OSError:  # somebody else has it
            pass
        lock.release()
        return None

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.release()


def _by_range(folder: str, key: str, purpose: int, mode: int) -> Lock | None:
    """Try once; None if somebody else has it."""
    descriptor = os.open(f"{folder}/{LOCK}", _FLAGS, mode)
    offset = int(key[:15], 16) * 2 + purpose  # below 2**61: a lock may lie beyond the end of the file
    lock = _Range(descriptor, offset, None)  # whatever interrupts from here on, it goes with this object
    try:
        fcntl.fcntl(descriptor, _OFD, _region(_LOCKED, 0, offset, 1, 0))
        gone = os.fstat(descriptor).st_nlink == 0
        if purpose == GENERATE and not gone:
            who = f"{key} {os.getpid()}@{_host()}"[: _SLOT_SIZE - 1].encode()
            os.pwrite(descriptor, who.ljust(_SLOT_SIZE - 1) + b"\n", _slot(key))
    except OSError as error:
        lock.release()
        if error.errno in _CONTENDED:
            return None
        if error.errno in _UNSUPPORTED:
            return _unsupported(folder, error)
        error.filename = f"{folder}/{LOCK}"  # a full disk is met here first, and write(2) does not say where
        raise
    if gone:  # the folder was cleared meanwhile: lock the file that is there now
        lock.release()
        return _by_range(folder, key, purpose, mode)
    return lock


def _by_filelock(folder: str, key: str, purpose: int, mode: int) -> Callable[[], Lock | None]:
    import filelock

    library = filelock.FileLock(f"{folder}/{LOCK}-{key}-{purpose}", mode=mode, thread_local=False)

    def attempt() -> Lock | None:
        try:
            library.acquire(timeout=0)
        except filelock.Timeout:
            return None
        except NotImplementedError:
            return _unsupported(folder, OSError(errno.ENOTSUP, "not supported"))
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return _unsupported(folder, error)
            raise
        return Lock(lambda forked: None if forked else library.release(force=True))

    return attempt
