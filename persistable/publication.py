"""Publishing an artifact whose payload is staged: payload and lineage first, the record last, in one step.

On a local storage the record is moved over its predecessor; elsewhere it is put on condition that its predecessor is
still the one that was seen. In between nobody sees anything but the old artifact.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from persistable.address import Address
from persistable.digest import ALGORITHM, digest_of
from persistable.exceptions import StorageConnectionError
from persistable.local import LocalStorage, remove
from persistable.naming import lineage_name, payload_name
from persistable.provenance import Origin
from persistable.reading import parse
from persistable.record import Damage, PayloadEntry, Record, render
from persistable.storage import Storage

if TYPE_CHECKING:
    from persistable.store import ArtifactStore

__all__ = ["Draft", "Staged", "in_place", "standing", "uploaded"]

_TRIES = 100  # how often a record may change under a commit before it gives up


class Draft(NamedTuple):
    """What is known of an artifact before its payload is written.

    Attributes:
        origin: the class that generated it.
        identity: the identity document as indented JSON text.
        untracked_params: JSON data.
        lineage: content of the lineage file; None without dependencies.
        provenance: members of a JSON object, as text.
        suffix: file suffix in place of the format's own; None for that.
        accept: called with the payload as it comes back, for payloads that can only be read once; raises to refuse.
    """

    origin: Origin
    identity: str
    untracked_params: Mapping[str, Any]
    lineage: bytes | None
    provenance: str
    suffix: str | None
    accept: Callable[[Any], None] | None


class Staged(NamedTuple):
    """A payload that was written, digested and flushed.

    Attributes:
        path: where it is.
        suffix: its file suffix.
        entry: what the record will say of it, with paths that start at the payload.
    """

    path: str
    suffix: str
    entry: PayloadEntry


def _record(store: ArtifactStore, address: Address, draft: Draft, staged: Staged, main: str) -> Record:
    """Return the record for a payload of this name."""
    key = store.signing_key
    raw = render(
        key=address.key,
        identity=draft.identity,
        untracked_params=draft.untracked_params,
        lineage=None if draft.lineage is None else digest_of(draft.lineage, store.algorithm),
        payload=staged.entry,
        main=main,
        provenance=draft.provenance,
        algorithm=ALGORITHM,
        sign=None if key is None else key.sign,
    )
    return Record.parse(raw, address.key)


def standing(storage: Storage, address: Address, origin: Origin) -> Record | None:
    """Return the record that a commit would replace; None if there is none, or only a damaged one.

    Raises:
        ForeignArtifactError: another class wrote it.
        RecordSchemaError: a newer persistable wrote it.
    """
    try:
        raw = storage.get(address.record)
    except FileNotFoundError:
        return None
    return _judged(storage, address, origin, raw)


def _judged(storage: Storage, address: Address, origin: Origin, raw: bytes) -> Record | None:
    path = storage.locate(address.record)
    try:
        record = parse(raw, address, path)
        origin.check(record, address, path)
    except Damage:
        return None
    return record


def in_place(store: ArtifactStore, storage: LocalStorage, address: Address, draft: Draft, staged: Staged) -> Record:
    """Move payload, lineage and record into place, the record last; delete what they supersede."""
    old = standing(storage, address, draft.origin)
    main = payload_name(address.key, staged.suffix)
    while old is not None and old.main_path == main:
        main = payload_name(address.key, staged.suffix)
    record = _record(store, address, draft, staged, main)
    published = [f"{address.folder}/{main}"]
    try:
        storage.publish(staged.path, published[0])
        if draft.lineage is not None:
            _put_lineage(storage, address, draft.lineage, published, alone=old is None)
        if storage.durable:
            storage.flush_folder(storage.local_path(address.folder))
        storage.put(address.record, record.raw)
    except BaseException:
        _withdraw(storage, address, published, draft.lineage)
        raise
    if old is not None and storage.capabilities.open_files_survive_deletion:
        with contextlib.suppress(OSError):  # what cannot be deleted now is swept later
            remove(storage.local_path(f"{address.folder}/{old.main_path}"))
    return record


def uploaded(store: ArtifactStore, address: Address, draft: Draft, staged: Staged) -> Record:
    """Upload the payload and the lineage, then put the record on condition; what they supersede is left to a sweep.

    The payload then goes to the cache, so that it need not be downloaded.
    """
    storage = store.storage
    record = _record(store, address, draft, staged, payload_name(address.key, staged.suffix))
    published = [f"{address.folder}/{file.path}" for file in record.files]
    try:
        for name, file in zip(published, staged.entry.files, strict=True):
            storage.put_file(name, staged.path + file.path)
        if draft.lineage is not None:
            _put_lineage(storage, address, draft.lineage, published, alone=True)
        _put_record(storage, address, draft.origin, record.raw)
    except BaseException:
        _withdraw(storage, address, published, draft.lineage)
        raise
    store.keep(staged.path, record)
    return record


def _put_record(storage: Storage, address: Address, origin: Origin, raw: bytes) -> None:
    """Replace the record that stands, whichever that is at the moment: of several commits the last one wins."""
    from persistable.conditions import conditions_of

    kept = conditions_of(storage, address.folder)
    for _ in range(_TRIES):
        try:
            version = storage.stat(address.record).version  # before the content: then it is never newer
            found = storage.get(address.record)
        except FileNotFoundError:
            if not kept.create:
                storage.put(address.record, raw)
                return
            if storage.put_if_absent(address.record, raw):
                return
            continue
        if found == raw:
            return  # an attempt of which the answer was lost on the way
        _judged(storage, address, origin, found)
        if version is None or not kept.replace:
            storage.put(address.record, raw)
            return
        if storage.put_if_match(address.record, raw, version):
            return
    raise StorageConnectionError(
        url=storage.locate(address.record),
        operation="put_if_match",
        reason=f"the record was changed by others {_TRIES} times",
    )


def _put_lineage(storage: Storage, address: Address, lineage: bytes, published: list[str], *, alone: bool) -> None:
    """Put the lineage unless it is there; with no other record that may need it, it is withdrawn like the payload."""
    name = f"{address.folder}/{lineage_name(address.key)}"
    try:
        if storage.get(name) == lineage:  # the same for every commit of its key
            return
    except OSError:
        pass
    if alone:
        published.append(name)
    storage.put(name, lineage)


def _withdraw(storage: Storage, address: Address, published: list[str], lineage: bytes | None) -> None:
    """Delete what was published for a record that could not be put.

    The error may have come after the record was in place: then the artifact is committed, and stays. Somebody else's
    record needs the lineage, which is the same for every commit of the key.
    """
    lineage_at = f"{address.folder}/{lineage_name(address.key)}"
    try:
        record = Record.parse(storage.get(address.record), address.key)
    except (FileNotFoundError, Damage):
        doomed = published
    except Exception:  # noqa: BLE001 - no descriptor, a failing disk or network: a sweep will know
        doomed = []
    else:
        committed = {f"{address.folder}/{name}" for file in record.files for name in (file.path, record.main_path)}
        doomed = [] if published[0] in committed else [name for name in published if name != lineage_at]
    for name in doomed:
        with contextlib.suppress(OSError):
            if lineage is not None and name == lineage_at:
                storage.delete(name)
                storage.stat(address.record)  # somebody may have counted on it meanwhile, and put a record
                storage.put(name, lineage)
            else:
                storage.delete(name)
