"""Payloads that are loaded from a copy: those without a local path, and signed ones that others could change.

The copy is in the local cache, where nobody else can write, and it is what is verified and then read.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from persistable.cache import CacheError, PayloadCache, entry_name
from persistable.digest import digest_of_file
from persistable.exceptions import PersistableError
from persistable.local import READING, Folder, remove
from persistable.record import Damage, PayloadFile, Record
from persistable.storage import Storage
from persistable.trust import Evidence

__all__ = ["Fetched", "RemoteFolder", "fetch", "fetched"]


class RemoteFolder:
    """A folder of a remote storage, read as a local one is.

    Attributes:
        path: where it is, for people.
        evidence: nothing: nobody knows who owns what is there.
    """

    __slots__ = ("_name", "_storage", "path")

    evidence: Evidence = ()

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name = storage, name
        self.path = storage.locate(name)

    def read(self, name: str) -> bytes:
        """Return the content of an object in the folder. Raises FileNotFoundError if there is none."""
        return self._storage.get(f"{self._name}/{name}")

    def fetch(self, name: str, path: str, size: int) -> None:
        """Download the first ``size`` bytes of an object to a path, which is created."""
        self._storage.fetch(f"{self._name}/{name}", path, size)


class Fetched(NamedTuple):
    """A payload in the cache: the folder it is in, its files there, and whether it came right now."""

    folder: Folder
    files: tuple[PayloadFile, ...]
    is_new: bool

    @property
    def main(self) -> str:
        """The name of its file, or of the folder of its files."""
        return self.files[0].path.partition("/")[0]


@contextlib.contextmanager
def fetched(
    cache: PayloadCache, source: Folder | RemoteFolder, record: Record, *, anew: bool = False
) -> Iterator[Fetched]:
    """Have a payload in the cache for as long as the block takes; ``anew`` copies it in any case.

    Raises:
        Damage: what is there is not what the record says.
        CacheError: the cache cannot be used.
        OSError: the storage's own.
    """
    name = entry_name(record.files)
    if not cache.shared:  # whoever has used an entry removes it, so nobody else may be using it
        name = f"{os.urandom(8).hex()}-{name}"
    is_new = anew or not cache.find(name)
    if is_new:
        _copy(cache, source, record, name)
    files = tuple(file._replace(path=name + file.path.removeprefix(record.main_path)) for file in record.files)
    try:
        folder = cache.local.enter(cache.entries)
    except OSError as error:  # it was there a moment ago
        raise CacheError(cache, error) from error
    yield Fetched(folder, files, is_new)


def fetch(source: Folder | RemoteFolder, file: PayloadFile, path: str) -> None:
    """Copy a file of a payload, and compare it with its record. Raises Damage if it is another."""
    where = f"{source.path}/{file.path}"
    try:
        source.fetch(file.path, path, file.bytes)
    except FileNotFoundError:
        raise Damage("is missing", where) from None
    descriptor = os.open(path, READING)
    try:
        size = os.fstat(descriptor).st_size
        if size != file.bytes:
            raise Damage(f"has {size} bytes instead of {file.bytes}", where)
        found = digest_of_file(descriptor, size, file.digest.partition(":")[0])
        if found != file.digest:
            raise Damage(f"has the digest {found} instead of {file.digest}", where)
    finally:
        os.close(descriptor)


def _copy(cache: PayloadCache, source: Folder | RemoteFolder, record: Record, name: str) -> None:
    staged = None
    try:
        staged = cache.staged_path("")
        for file in record.files:
            path = staged + file.path.removeprefix(record.main_path)
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            try:
                fetch(source, file, path)
            except Damage:
                if os.path.isdir(os.path.dirname(path)):
                    raise
                # it is not the object that is missing, but where it was to go
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
        if record.is_folder and cache.find(name):  # what is damaged makes room
            cache.remove(name)
        cache.add(staged, name, record.size)
    except OSError as error:
        # what a storage says of itself is a StorageError; write(2) does not say where the disk is full
        is_theirs = isinstance(error, PersistableError | ConnectionError | TimeoutError)
        if is_theirs or not (error.filename is None or cache.is_to_blame(error)):
            raise
        raise CacheError(cache, error) from error
    finally:
        if staged is not None:
            with contextlib.suppress(OSError):
                remove(staged)
