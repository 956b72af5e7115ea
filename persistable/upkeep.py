"""Keeping a store tidy: quarantine, rejected payloads, listing, verification, the sweep of what dead processes left."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from persistable import naming, reading
from persistable.address import Address
from persistable.digest import digest_of
from persistable.identity import canonical, key_of
from persistable.record import Damage, Record, UnknownSchema
from persistable.storage import remove

if TYPE_CHECKING:
    from persistable.store import ArtifactStore

_UNLOCKED = 3600.0  # seconds that a payload without a record is left alone where nothing can be locked

__all__ = ["Finding", "Swept", "addresses", "check", "quarantine", "reject", "sweep"]


class Finding(NamedTuple):
    """What verification found of an artifact: where its record is, its payload name, and the problem, if any."""

    path: str
    name: str
    problem: str | None


class Swept(NamedTuple):
    """What a sweep deleted: paths below the root, and their bytes in total."""

    names: tuple[str, ...]
    bytes: int


def quarantine(store: ArtifactStore, address: Address, damaged: reading.Damaged) -> bool:
    """Move record, payload and lineage of a damaged artifact to quarantine; see ``ArtifactStore.quarantine``."""
    storage = store.storage
    with store.committing(address):
        try:
            if storage.get(address.record) != damaged.raw:
                return False
        except FileNotFoundError:
            return False
        folder = storage.local_path(address.folder)
        target = storage.prepare(f"{address.folder}/{naming.QUARANTINE}")
        mark = os.urandom(4).hex()
        # the record first: without it the rest is no artifact any more, whatever happens in between
        os.rename(storage.local_path(address.record), f"{target}/{mark}-{naming.record_name(address.key)}")
        for name in os.listdir(folder):
            if naming.key_of_payload(name) == address.key or name == naming.lineage_name(address.key):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{folder}/{name}", f"{target}/{mark}-{name}")
    store.note("quarantined", address, f"{damaged.path} {damaged.reason}")
    return True


def reject(store: ArtifactStore, address: Address, payload: Any, error: BaseException) -> None:
    """Keep a payload that must not be served; see ``ArtifactStore.reject``. At most one is kept per key."""
    import pickle
    import traceback

    storage = store.storage
    stem = f"{address.folder}/{naming.QUARANTINE}/{address.key}.rejected"
    kept = "not kept"
    try:
        storage.prepare(f"{address.folder}/{naming.QUARANTINE}")
        staged = storage.staged_path(f"{address.folder}/{naming.QUARANTINE}", ".pickle")
        try:
            with open(staged, "xb") as file:
                pickle.dump(payload, file, protocol=5)
            os.chmod(staged, 0o600)
            os.replace(staged, storage.local_path(f"{stem}.pickle"))
            kept = f"kept as {stem}.pickle"
        except Exception as problem:  # noqa: BLE001 - the payload's own code, or a full disk: the first error counts
            remove(storage.local_path(f"{stem}.pickle"))
            kept = f"not kept: {type(problem).__name__}: {problem}"
        finally:
            storage.unstage(staged)
        text = "".join(traceback.format_exception_only(error))
        storage.put(f"{stem}.txt", f"{address.name}: {kept}\n{text}".encode("utf-8", "backslashreplace"))
    except OSError:
        return
    store.note("rejected", address, f"{type(error).__name__} {kept}")


def addresses(store: ArtifactStore) -> Iterator[Address]:
    """Yield the addresses of all artifacts; see ``ArtifactStore.list``."""
    for name in _records(store):
        with contextlib.suppress(Damage, UnknownSchema, FileNotFoundError):
            folder, _, file = name.partition("/")
            record = Record.parse(store.storage.get(name), file[:32])
            yield Address(record.identity["name"], folder, record.key)


def _records(store: ArtifactStore) -> Iterator[str]:
    for folder in _folders(store.storage.root):
        for entry in () if "/" in folder else store.storage.list(folder):
            if naming.key_of_record(entry.name.partition("/")[2]):
                yield entry.name


def check(store: ArtifactStore) -> Iterator[Finding]:
    """Verify every artifact; see ``ArtifactStore.check``."""
    for name in _records(store):
        found = _checked(store, name)
        if found is not None and found[0].problem is not None:
            raw = found[1]
            found = _checked(store, name)  # a writer may have replaced it meanwhile
            while found is not None and found[0].problem is not None and found[1] != raw:
                raw = found[1]
                found = _checked(store, name)
        if found is not None:
            yield found[0]


def _checked(store: ArtifactStore, name: str) -> tuple[Finding, bytes] | None:
    """Verify one artifact; return what was found and the record that was judged, or None if it is gone."""
    folder, _, file = name.partition("/")
    path, key, title, raw = store.storage.local_path(name), file[:32], folder, b""
    try:
        with store.storage.enter(folder) as entered:
            raw, _ = entered.read(file)
            record = Record.parse(raw, key)
            title = str(record.identity["name"])
            if key_of(canonical(record.identity)) != key:
                raise Damage("has an identity of another key")
            reading.verify_payload(entered, record)
        if record.lineage is not None:
            _check_lineage(store, folder, record)
    except FileNotFoundError:
        return None  # deleted since it was listed
    except UnknownSchema as unknown:
        return Finding(path, title, f"has the unknown record schema {unknown.found}"), raw
    except (Damage, OSError) as damage:
        where = f"{damage.path} " if isinstance(damage, Damage) and damage.path else ""
        return Finding(path, title, f"{where}{damage}"), raw
    return Finding(path, title, None), raw


def _check_lineage(store: ArtifactStore, folder: str, record: Record) -> None:
    name = naming.lineage_name(record.key)
    path = store.storage.local_path(f"{folder}/{name}")
    try:
        raw = store.storage.get(f"{folder}/{name}")
    except FileNotFoundError:
        raise Damage("is missing", path) from None
    if digest_of(raw, (record.lineage or "").partition(":")[0]) != record.lineage:
        raise Damage("does not have the digest that the record names", path)
    for key, identity in json.loads(raw).items():
        if key_of(canonical(identity)) != key:
            raise Damage(f"has an identity of another key at {key}", path)


def sweep(store: ArtifactStore, grace: float) -> Swept:
    """Delete what no record names and no live process writes; see ``ArtifactStore.sweep``."""
    storage = store.storage
    oldest = time.time() - grace
    swept: list[str] = []
    size = 0
    for folder in _folders(storage.root):
        for name in sorted(os.listdir(storage.local_path(folder))):
            path = storage.local_path(f"{folder}/{name}")
            with contextlib.suppress(FileNotFoundError, PermissionError):  # it is gone, or not ours to delete
                if _newest(path) <= oldest and _is_garbage(store, folder, name):
                    found = _size(path)
                    remove(path)
                    swept.append(f"{folder}/{name}")
                    size += found
    return Swept(tuple(swept), size)


def _folders(root: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as found:
        inside = [entry.name for entry in found if naming.is_slug(entry.name) and entry.is_dir(follow_symlinks=False)]
        return sorted(
            [
                *inside,
                *(
                    f"{name}/{naming.QUARANTINE}"
                    for name in inside
                    if os.path.isdir(f"{root}/{name}/{naming.QUARANTINE}")
                ),
            ]
        )
    return []


def _is_garbage(store: ArtifactStore, folder: str, name: str) -> bool:
    if name.startswith(naming.STAGED):
        writer = naming.staged_by(name)
        return writer is not None and (writer[0] != naming.host() or not _alive(writer[1]))
    key = naming.key_of_payload(name)
    if key is None and name.endswith(".lineage.json") and naming.key_of_record(f"{name[:32]}.json"):
        key = name[:32]
    if key is None or folder.endswith(f"/{naming.QUARANTINE}"):
        return False
    address = Address(folder, folder, key)
    with store.committing(address) as held:  # no commit is between its payload and its record now
        if not held.exclusive and _newest(store.storage.local_path(f"{folder}/{name}")) > time.time() - _UNLOCKED:
            return False  # or so it seems
        try:
            record = Record.parse(store.storage.get(address.record), key)
        except FileNotFoundError:
            return True
        except (Damage, UnknownSchema, OSError):
            return False  # not ours to judge: the payload may be all that is left
        return name not in (record.main_path, naming.lineage_name(key))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _newest(path: str) -> float:
    times = [os.lstat(path).st_mtime]
    for current, _, names in os.walk(path):
        times += [os.lstat(f"{current}/{name}").st_mtime for name in names]
    return max(times)


def _size(path: str) -> int:
    return os.lstat(path).st_size + sum(
        os.lstat(f"{current}/{name}").st_size for current, _, names in os.walk(path) for name in names
    )
