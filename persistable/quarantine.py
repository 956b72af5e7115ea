"""Quarantine: what was found damaged, and payloads that were generated and must not be served.

Nothing in it is ever read as an artifact; people look into it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from persistable import naming
from persistable.address import Address
from persistable.digest import digest_of
from persistable.local import LocalStorage
from persistable.notice import note
from persistable.outcome import Damaged

if TYPE_CHECKING:
    from persistable.store import ArtifactStore

__all__ = ["quarantine", "reject"]


def quarantine(store: ArtifactStore, address: Address, damaged: Damaged) -> bool:
    """Move a damaged artifact aside; see ``ArtifactStore.quarantine``.

    On a remote storage the record is copied and stays until a commit replaces it, on condition: deleting it could meet
    a good one that was put at the same moment.
    """
    storage = store.storage
    with store.committing(address):
        try:
            if storage.get(address.record) != damaged.raw:
                return False
        except FileNotFoundError:
            return False
        if isinstance(storage, LocalStorage):
            _move(storage, address)
        else:
            mark = digest_of(damaged.raw).rpartition(":")[2][:8]
            storage.put(f"{address.folder}/{naming.QUARANTINE}/{mark}-{naming.record_name(address.key)}", damaged.raw)
    store.note("quarantined", address, f"{damaged.path} {damaged.reason}")
    return True


def _move(storage: LocalStorage, address: Address) -> None:
    """Move record, payload and lineage."""
    folder, target = storage.local_path(address.folder), f"{address.folder}/{naming.QUARANTINE}"
    storage.prepare(target)
    marked = f"{storage.local_path(target)}/{os.urandom(4).hex()}-"
    # the record first: without it the rest is no artifact any more, whatever happens in between
    _put_aside(storage.local_path(address.record), f"{marked}{naming.record_name(address.key)}")
    for name in os.listdir(folder):
        if naming.key_of_payload(name) == address.key or name == naming.lineage_name(address.key):
            with contextlib.suppress(FileNotFoundError):
                _put_aside(f"{folder}/{name}", f"{marked}{name}")


def _put_aside(path: str, target: str) -> None:
    os.rename(path, target)
    with contextlib.suppress(OSError):
        os.utime(target, follow_symlinks=False)  # from now on it is swept after its time


def reject(store: ArtifactStore, address: Address, payload: Any, error: BaseException) -> None:
    """Keep a payload that must not be served; see ``ArtifactStore.reject``. At most one is kept per key.

    A note at the error says where.
    """
    import pickle
    import traceback

    storage = store.storage
    stem = f"{address.folder}/{naming.QUARANTINE}/{address.key}.rejected"
    kept, told = "not kept", ""
    try:
        place = store.workplace(f"{address.folder}/{naming.QUARANTINE}")
        staged = place.local.staged_path(place.folder, ".pickle")
        try:
            with open(staged, "xb") as file:
                pickle.dump(payload, file, protocol=5)
            os.chmod(staged, 0o600)
            if isinstance(storage, LocalStorage):
                os.replace(staged, storage.local_path(f"{stem}.pickle"))
            else:
                storage.put_file(f"{stem}.pickle", staged)
            kept = f"kept as {stem}.pickle"
            told = f"the payload was kept, for pickle.load: {storage.locate(stem)}.pickle"
        except Exception as problem:  # noqa: BLE001 - the payload's own code, or a full disk: the first error counts
            storage.delete(f"{stem}.pickle")
            kept = f"not kept: {type(problem).__name__}: {problem}"
        finally:
            place.local.unstage(staged)
        text = "".join(traceback.format_exception_only(error))
        storage.put(f"{stem}.txt", f"{address.name}: {kept}\n{text}".encode("utf-8", "backslashreplace"))
    except OSError:
        return
    if told:
        note(error, told)
    store.note("rejected", address, f"{type(error).__name__} {kept}")
