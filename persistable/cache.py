"""Payloads of remote storages, kept locally by their digests.

A remote payload object is never rewritten, so what was fetched once stays right. Many processes share a cache: entries
are moved into it whole, used ones are touched, and those that were not used for longest go when it grows too large.
Whatever is taken from it is verified like any other payload. A cache saves downloads and nothing else: one that cannot
be used, or not any more, is done without.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import stat
import threading
import time
from collections.abc import Sequence

from persistable.display import printable
from persistable.local import LocalStorage, remove, size_of
from persistable.logging import LOGGER
from persistable.naming import host, staged_by
from persistable.process import alive
from persistable.record import PayloadFile
from persistable.trust import Trust

__all__ = ["DEFAULT_SIZE", "OFF", "CacheError", "PayloadCache", "entry_name", "open_cache", "private_cache"]

OFF = "off"
DEFAULT_SIZE = 10 << 30  # bytes
_ABANDONED = 86_400.0  # seconds after which nobody is still writing what another machine, or boot, has begun
_FRESH = 10.0  # seconds for which an entry that was just used is not removed: somebody is about to open it
_STAGING, _ENTRIES = "staging", "payloads"
_PRIVATE = "persistable-"  # what the names of folders of a process alone begin with
_FULL = (errno.ENOSPC, errno.EDQUOT)
_TRIAL = bytes(4096)
_told = set[str]()  # roots of caches that are not used, of which that was said


class CacheError(Exception):
    """Say that a cache cannot be used, which is no fault of the artifact. Attributes: ``cache``, ``cause``."""

    def __init__(self, cache: PayloadCache, cause: OSError) -> None:
        self.cache, self.cause = cache, cause
        super().__init__(str(cause))


class PayloadCache:
    """A folder of payloads.

    Args:
        root: the folder, which is made when it is first needed.
        size: bytes that its entries may have together; the newest one stays even if it is larger.
        shared: whether entries are kept for others; without, whoever has used one removes it, and a forked child needs
            another cache.
    """

    def __init__(self, root: str, size: int = DEFAULT_SIZE, *, shared: bool = True) -> None:
        self.size, self.shared, self._process = size, shared, os.getpid()
        self.local = LocalStorage(root, private=True, durable=False)
        self._total: int | None = None  # bytes, as far as this process knows
        self._lock = threading.Lock()

    @property
    def is_inherited(self) -> bool:
        """Whether it belongs to a process that this one was forked from, and goes with that."""
        return not self.shared and self._process != os.getpid()

    @property
    def staging(self) -> str:
        """The folder of ``local`` to stage payloads in that may become entries."""
        return _STAGING

    @property
    def entries(self) -> str:
        """The folder of ``local`` where entries are."""
        return _ENTRIES

    def staged_path(self, suffix: str) -> str:
        """Return a free path, in a folder that is there, to write a payload to."""
        self.local.prepare(_STAGING)
        return self.local.staged_path(_STAGING, suffix)

    def prove(self) -> None:
        """Prove that payloads can be staged here, before one is generated: write something and delete it.

        Raises:
            OSError: they cannot; it names a path.
        """
        path = self.staged_path("")
        try:
            with open(path, "xb") as file:
                file.write(_TRIAL)
        except OSError as error:
            error.filename = path  # write(2) does not say where the disk is full
            raise
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def is_to_blame(self, error: OSError) -> bool:
        """Whether an error is about something in this cache."""
        return isinstance(error.filename, str) and f"{error.filename}/".startswith(f"{self.local.root}/")

    def find(self, name: str) -> bool:
        """Whether there is an entry; if so, it counts as used now."""
        try:
            if stat.S_ISLNK(os.lstat(self._path(name)).st_mode):  # none of ours
                return False
            os.utime(self._path(name))
        except OSError:
            return False
        return True

    def add(self, staged: str, name: str, size: int) -> None:
        """Move a staged payload to its name; one that is there already is as good."""
        self.local.prepare(_ENTRIES)
        try:
            os.replace(staged, self._path(name))
        except OSError:
            if not os.path.isdir(self._path(name)):
                raise
            if os.path.isdir(staged):
                remove(staged)
            else:  # a folder in the place of a file is none of ours
                remove(self._path(name))
                os.replace(staged, self._path(name))
        with self._lock:
            self._total = None if self._total is None else self._total + size
            crowded = self._total is None or self._total > self.size
        if crowded:
            self.trim(keep=name)

    def remove(self, name: str) -> None:
        """Remove an entry; one that cannot be removed, or is not there, is no error."""
        with contextlib.suppress(OSError):
            remove(self._path(name))

    def trim(self, keep: str = "", limit: int | None = None) -> None:
        """Remove the entries that were not used for longest until the rest fits, and what dead processes staged."""
        now, found, total = time.time(), [], 0
        limit = self.size if limit is None else limit
        for name in _names(self.local.local_path(_ENTRIES)):
            with contextlib.suppress(OSError):
                size = size_of(self._path(name))
                found.append((os.stat(self._path(name)).st_mtime, size, name))
                total += size
        for used, size, name in sorted(found):
            if total <= limit:
                break
            if name != keep and used < now - _FRESH:
                self.remove(name)
                total -= size
        with self._lock:
            self._total = total
        for name in _names(self.local.local_path(_STAGING)):
            path, writer = f"{self.local.local_path(_STAGING)}/{name}", staged_by(name)
            with contextlib.suppress(OSError):
                if writer is not None and writer[0] == host():
                    abandoned = not alive(writer[1], writer[2])
                else:
                    abandoned = os.lstat(path).st_mtime < now - _ABANDONED
                if abandoned:
                    remove(path)

    def _path(self, name: str) -> str:
        return self.local.local_path(f"{_ENTRIES}/{name}")


def entry_name(files: Sequence[PayloadFile]) -> str:
    """Return the name of a payload's entry: its digest, then its suffix."""
    main, _, rest = files[0].path.partition("/")
    suffix = main[main.index(".") :] if "." in main else ""
    if not rest:
        digest, size = files[0].digest.partition(":")[2], files[0].bytes
    else:
        said = "".join(f"{file.path.partition('/')[2]}\0{file.bytes}\0{file.digest}\0" for file in files)
        digest, size = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest(), len(files)
    return f"{digest}-{size}{suffix}"


def open_cache(location: str | None, size: int) -> PayloadCache:
    """Return the cache at a location (None: the user's own; ``"off"``: none that outlives the process)."""
    root = _default_location() if location is None else location
    if root is None or root == OFF:
        return _private(os.getpid())
    cache = PayloadCache(root, size)
    try:
        os.makedirs(root, 0o700, exist_ok=True)  # payloads are nobody else's business
        cache.local.prepare(_ENTRIES)
        objection = Trust("own").objection([(path, os.stat(path)) for path in (root, f"{root}/{_ENTRIES}")])
    except OSError as error:
        return private_cache(CacheError(cache, error))
    if objection is not None:
        _tell(root, *objection)
        return _private(os.getpid())
    return cache


def private_cache(trouble: CacheError) -> PayloadCache:
    """Return a cache of this process alone, to go on with after trouble with another one, which is told once.

    Raises:
        OSError: the trouble was with such a cache.
    """
    failed, cause = trouble.cache, trouble.cause
    if not failed.shared:
        if cause.filename is None:  # write(2) does not say where the disk is full
            cause.filename = failed.local.root
        raise cause
    if cause.errno in _FULL:  # the private one may be on the same disk
        failed.trim(limit=0)
    _tell(failed.local.root, failed.local.root, f"cannot be used: {cause}")
    return _private(os.getpid())


def _tell(root: str, path: str, reason: str) -> None:
    """Say, once, why a cache is not used."""
    if root not in _told:
        _told.add(root)
        LOGGER.warning(
            "payloads are not cached: %s %s. PERSISTABLE_CACHE names another folder", printable(path), printable(reason)
        )


@functools.cache
def _default_location() -> str | None:
    """Return the folder for this user's caches, as the platform has it; None without the library that knows it."""
    try:
        from platformdirs import user_cache_dir
    except ImportError:
        LOGGER.info("payloads are not cached: pip install platformdirs, or set PERSISTABLE_CACHE to a folder")
        return None
    return user_cache_dir("persistable", appauthor=False)


@functools.cache
def _private(process: int) -> PayloadCache:
    """Return a cache of this process alone, whose entries go as soon as they were used."""
    import atexit
    import shutil
    import sys
    import tempfile

    root = tempfile.mkdtemp(prefix=f"{_PRIVATE}{host()}-{process}-")
    if os.name == "posix":
        _clear_after_the_dead(os.path.dirname(root))

    def clear() -> None:
        if os.getpid() == process:  # not a forked child
            shutil.rmtree(root, ignore_errors=True)  # in its place: if it is killed meanwhile, the next one knows it

    atexit.register(clear)
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:  # whose forked children end without atexit
        multiprocessing.Finalize(None, clear, exitpriority=0)
    return PayloadCache(root, 0, shared=False)


def _clear_after_the_dead(folder: str) -> None:
    """Remove the private folders of this user's processes that were killed."""
    import shutil

    for name in _names(folder):
        owner, _, rest = name.removeprefix(f"{_PRIVATE}{host()}-").partition("-")
        if not (name.startswith(f"{_PRIVATE}{host()}-") and owner.isdecimal() and rest) or alive(int(owner)):
            continue
        with contextlib.suppress(OSError):
            status = os.lstat(f"{folder}/{name}")
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                shutil.rmtree(f"{folder}/{name}", ignore_errors=True)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
