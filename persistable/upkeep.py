"""Keeping a store tidy: listing its artifacts, and the sweep of what dead processes left."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import stat
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from persistable import naming
from persistable.address import Address
from persistable.exceptions import StorageError
from persistable.litter import suspects
from persistable.local import LocalStorage, remove, size_of
from persistable.process import alive
from persistable.record import Damage, Record, UnknownSchema
from persistable.storage import Entry

if TYPE_CHECKING:
    from persistable.store import ArtifactStore

__all__ = ["Swept", "addresses", "records", "sweep"]

_UNLOCKED = 3600.0  # seconds that a payload without a record is left alone where nothing can be locked


class Swept(NamedTuple):
    """What a sweep deleted, or would delete: names of objects, and their bytes in total."""

    names: tuple[str, ...]
    bytes: int


def addresses(store: ArtifactStore) -> Iterator[Address]:
    """Yield the addresses of all artifacts; see ``ArtifactStore.list``."""
    storage = store.storage
    for name in records(store):
        folder, _, file = name.partition("/")
        try:
            record = Record.parse(storage.get(name), file[:32])
            payload_name = record.name
        except (Damage, UnknownSchema, FileNotFoundError):
            continue
        except StorageError:
            if store.local is None:
                raise
            continue  # a link, or larger than any record: none that we wrote; a verification names it
        yield Address(payload_name, folder, record.key)


def records(store: ArtifactStore) -> Iterator[str]:
    """Yield the object names of all records, lazily and in no order."""
    if store.local is not None:
        yield from _local_records(store.local)
        return
    for entry in store.storage.list():
        folder, _, file = entry.name.partition("/")
        if naming.key_of_record(file) and naming.is_slug(folder):
            yield entry.name


def _local_records(local: LocalStorage) -> Iterator[str]:
    """Yield the records in the folders of payload names, by name alone: nothing is asked of a file, or held."""
    for folder in _folders(local.root):
        with contextlib.suppress(FileNotFoundError), os.scandir(local.local_path(folder)) as found:
            for item in found:
                if naming.key_of_record(item.name):
                    yield f"{folder}/{item.name}"


def sweep(store: ArtifactStore, grace: float, quarantined: float, *, dry_run: bool) -> Swept:
    """Delete what no record names and no live process writes; see ``ArtifactStore.sweep``."""
    if store.local is not None:
        return _sweep_local(store, store.local, grace, quarantined, dry_run=dry_run)
    return _sweep_remote(store, grace, quarantined, dry_run=dry_run)


def _sweep_local(
    store: ArtifactStore, local: LocalStorage, grace: float, quarantined: float, *, dry_run: bool
) -> Swept:
    now = time.time()
    swept: list[str] = []
    size = 0
    for folder in _folders_and_quarantines(local.root):
        path = local.local_path(folder)
        if folder.endswith(f"/{naming.QUARANTINE}"):
            kept, names = quarantined, iter(sorted(os.listdir(path)))
        else:
            kept, names = grace, suspects(functools.partial(_names, path))
        for name in names:
            path = local.local_path(f"{folder}/{name}")
            with contextlib.suppress(FileNotFoundError, PermissionError):  # it is gone, or not ours to delete
                staged = name.startswith(naming.STAGED)
                if _newest(path) <= now - (grace if staged else kept) and _is_garbage(store, local, folder, name):
                    found = size_of(path)
                    if not dry_run:
                        remove(path)
                    swept.append(f"{folder}/{name}")
                    size += found
    return Swept(tuple(swept), size)


def _names(folder: str) -> Iterator[str]:
    with os.scandir(folder) as found:
        for item in found:
            yield item.name


def _folders(root: str) -> list[str]:
    """Return the folders of payload names, sorted; links lead elsewhere."""
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as found:
        return sorted(item.name for item in found if naming.is_slug(item.name) and item.is_dir(follow_symlinks=False))
    return []


def _folders_and_quarantines(root: str) -> list[str]:
    inside = _folders(root)
    quarantines = [f"{name}/{naming.QUARANTINE}" for name in inside]
    return sorted([*inside, *(name for name in quarantines if _is_folder(f"{root}/{name}"))])


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)  # a link leads elsewhere
    except OSError:
        return False


def _is_garbage(store: ArtifactStore, local: LocalStorage, folder: str, name: str) -> bool:
    if name.startswith(naming.STAGED):
        writer = naming.staged_by(name)
        return writer is not None and (writer[0] != naming.host() or not alive(writer[1], writer[2]))
    if folder.endswith(f"/{naming.QUARANTINE}"):
        return naming.is_quarantined(name)
    key = naming.key_beside(name)
    if key is None:
        return False
    address = Address(folder, folder, key)
    with store.committing(address) as held:  # no commit is between its payload and its record now
        if not held.exclusive and _newest(local.local_path(f"{folder}/{name}")) > time.time() - _UNLOCKED:
            return False  # or so it seems
        return _is_unnamed(store, address, name)


def _is_unnamed(store: ArtifactStore, address: Address, name: str) -> bool:
    """Whether the record of a key does not name a payload or lineage that lies beside it."""
    try:
        record = Record.parse(store.storage.get(address.record), address.key)
    except FileNotFoundError:
        return True
    except (Damage, UnknownSchema, OSError):
        return False  # not ours to judge: the payload may be all that is left
    return name not in (record.main_path, naming.lineage_name(address.key))


def _newest(path: str) -> float:
    """Return when a file, or anything in a folder, was last written."""
    status = os.lstat(path)
    times = [status.st_mtime]
    if stat.S_ISDIR(status.st_mode):
        for current, _, names in os.walk(path):
            times += [os.lstat(f"{current}/{name}").st_mtime for name in names]
    return max(times)


def _sweep_remote(store: ArtifactStore, grace: float, quarantined: float, *, dry_run: bool) -> Swept:
    """Sweep by age alone: nobody can tell from here whether a writer elsewhere is alive.

    Objects of a payload go together. A key with a lease that still beats is left alone.
    """
    storage, now = store.storage, time.time()
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)  # by folder and what lies directly in it
    for entry in storage.list():
        folder, _, rest = entry.name.partition("/")
        if naming.is_slug(folder) and rest:
            found[folder, rest.partition("/")[0]].append(entry)
    swept: list[str] = []
    size = 0
    for (folder, name), entries in sorted(found.items()):
        if name == naming.QUARANTINE:
            doomed = [entry for entry in entries if now - entry.modified >= _kept(entry, grace, quarantined)]
        elif max(entry.modified for entry in entries) > now - grace:
            continue
        else:
            doomed = entries if _is_garbage_there(store, folder, name, found) else []
        for entry in doomed:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                if not dry_run:
                    storage.delete(entry.name)
                swept.append(entry.name)
                size += entry.bytes
    with contextlib.suppress(PermissionError):  # few may look for uploads
        for upload in storage.uploads():
            folder, _, rest = upload.name.partition("/")
            if naming.is_slug(folder) and rest and upload.modified <= now - grace:
                if not dry_run:
                    storage.abort(upload)
                swept.append(upload.name)
    return Swept(tuple(swept), size)


def _kept(entry: Entry, grace: float, quarantined: float) -> float:
    """Return how many seconds something in quarantine is left alone: forever if others have put it there."""
    name = entry.name.split("/", 2)[2]
    if naming.staged_by(name) is not None:
        return grace
    return quarantined if naming.is_quarantined(name.rpartition("/")[2]) else math.inf


def _is_garbage_there(store: ArtifactStore, folder: str, name: str, found: dict[tuple[str, str], list[Entry]]) -> bool:
    from persistable import lease

    if name.startswith(naming.STAGED):
        return True
    key = naming.key_of_lease(name)
    if key is not None:
        return not lease.beats(store.storage, folder, key)
    key = naming.key_beside(name)
    if key is None:
        return False
    leased = found.get((folder, naming.lease_name(key)))
    if leased and lease.beats(store.storage, folder, key):
        return False
    return _is_unnamed(store, Address(folder, folder, key), name)
