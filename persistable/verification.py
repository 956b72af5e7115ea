"""Verifying a store: every key from its record, every digest from its payload. It only reads, unless told otherwise."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from persistable import naming, reading
from persistable.address import Address
from persistable.digest import digest_of
from persistable.identity import canonical, key_of
from persistable.outcome import Damaged
from persistable.record import Damage, Record, UnknownSchema
from persistable.upkeep import records

if TYPE_CHECKING:
    from persistable.local import Folder
    from persistable.remote import RemoteFolder
    from persistable.store import ArtifactStore

__all__ = ["Finding", "check"]

_TITLE = "persistable verification notes 1\n"
_MOMENT = 0.02  # seconds for which a worker goes on before it hands over what it has found
_AHEAD = 2  # moments per worker that are taken up before the first of them is reported


class Finding(NamedTuple):
    """What verification found of an artifact.

    Attributes:
        path: where its record is.
        name: its payload name, or the folder of a record that cannot be read.
        key: its key.
        bytes: size of its payload.
        problem: what is wrong with it; None if nothing is.
        quarantined: whether it was moved to quarantine.
    """

    path: str
    name: str
    key: str
    bytes: int
    problem: str | None
    quarantined: bool = False


class _Judged(NamedTuple):
    """A finding, the record that was judged, and whether the artifact itself is damaged."""

    finding: Finding
    raw: bytes
    damage: Damage | None = None


def check(
    store: ArtifactStore,
    *,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
    quarantine: bool,
    resume: str | os.PathLike[str] | None,
) -> Iterator[Finding]:
    """Verify every artifact; see ``ArtifactStore.check``."""
    from concurrent.futures import ThreadPoolExecutor

    if workers is None:
        workers = min(8, (os.cpu_count() or 1) + 1)
    elif workers < 1:
        raise ValueError(f"workers={workers!r}: give a number of threads, at least 1")
    _ = store.signing_key  # what is wrong with it is wrong with no artifact
    done = size = 0
    with _Notes(_outside(store, resume)) as notes, ThreadPoolExecutor(workers, "persistable-verify") as pool:
        names = _Shared(records(store))
        waiting = deque(pool.submit(_judge_some, store, names, notes) for _ in range(workers * _AHEAD))
        try:
            while waiting:
                some = waiting.popleft().result()
                if some:  # else there are no more
                    waiting.append(pool.submit(_judge_some, store, names, notes))
                for judged in some:
                    if judged is None:
                        continue
                    finding = judged.finding
                    if finding.problem is None:
                        notes.add(finding, judged.raw)
                    elif quarantine and judged.damage is not None:
                        finding = _quarantined(store, judged, judged.damage)
                    done, size = done + 1, size + finding.bytes
                    if progress is not None:
                        progress(done, size)
                    yield finding
            notes.finish()
        finally:
            names.close()
            for future in waiting:
                future.cancel()


class _Shared:
    """An iterator that threads take from in turn, until it is closed."""

    def __init__(self, names: Iterator[str]) -> None:
        self._names, self._lock = names, threading.Lock()

    def __iter__(self) -> _Shared:
        return self

    def __next__(self) -> str:
        with self._lock:
            return next(self._names)

    def close(self) -> None:
        with self._lock:
            self._names = iter(())


def _outside(store: ArtifactStore, path: str | os.PathLike[str] | None) -> str | None:
    """Return where notes may be: not within the store, where they could be an artifact's file."""
    if path is None:
        return None
    found = os.path.realpath(path)
    if found.startswith(f"{store.place.rstrip('/')}/"):
        raise ValueError(f"{found} lies within the store it is about: note elsewhere what was verified")
    return found


class _Notes:
    """What an earlier, interrupted verification found to be whole: name and digest of each record, a line each.

    The first line says what the file is, so that nothing else is ever taken for notes, appended to and removed.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._known: set[tuple[str, str]] = set()

    def __enter__(self) -> _Notes:
        if self._path is not None:
            self._file = open(self._path, "a+", encoding="utf-8", errors="surrogateescape")
            self._file.seek(0)
            first = self._file.readline(len(_TITLE))
            if not first:
                self._file.write(_TITLE)
                self._file.flush()
            elif first != _TITLE:
                self._file.close()
                raise ValueError(f"{self._path} holds something else than notes of a verification: name another file")
            for line in self._file:
                digest, _, path = line.rstrip("\n").partition(" ")
                if line.endswith("\n"):  # the last one may have been cut
                    self._known.add((path, digest))
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._file.close()

    def has(self, path: str, raw: bytes) -> bool:
        return bool(self._known) and (path, digest_of(raw)) in self._known

    def add(self, finding: Finding, raw: bytes) -> None:
        if self._path is not None:
            self._file.write(f"{digest_of(raw)} {finding.path}\n")
            self._file.flush()

    def finish(self) -> None:
        """Forget it all: the next verification starts anew."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def _judge_some(store: ArtifactStore, names: Iterator[str], notes: _Notes) -> list[_Judged | None]:
    """Verify some artifacts: one if it is large, many if they are small, so that handing them over costs little.

    A folder is judged once for all of them.
    """
    until = time.monotonic() + _MOMENT
    folders: dict[str, Folder | RemoteFolder] = {}
    found: list[_Judged | None] = []
    for name in names:
        found.append(_judge(store, folders, name, notes))
        if time.monotonic() >= until:
            break
    return found


def _judge(store: ArtifactStore, folders: dict[str, Folder | RemoteFolder], name: str, notes: _Notes) -> _Judged | None:
    """Verify one artifact; None if it is gone. Before it is called damaged, its record is read again."""
    judged = _judge_once(store, folders, name, notes)
    while judged is not None and judged.finding.problem is not None:
        again = _judge_once(store, {}, name, notes)  # a writer may have replaced it meanwhile
        if again is None or again.raw == judged.raw:
            return again
        judged = again
    return judged


def _judge_once(
    store: ArtifactStore, folders: dict[str, Folder | RemoteFolder], name: str, notes: _Notes
) -> _Judged | None:
    folder, _, file = name.partition("/")
    path, key, raw = store.storage.locate(name), file[:32], b""
    title, size = folder, 0

    def judged(problem: str | None, damage: Damage | None = None) -> _Judged:
        return _Judged(Finding(path, title, key, size, problem), raw, damage)

    try:
        entered = folders.get(folder)
        if entered is None:
            entered = folders[folder] = store.enter(folder)
        raw = entered.read(file)
        record = Record.parse(raw, key)
        identity = record.document["identity"]
        title, size = str(identity["name"]), record.size
        if key_of(canonical(identity)) != key:
            raise Damage("has an identity of another key")
        if store.signing_key is not None and not store.signed(record):
            return judged("is not signed with this store's key")
        if notes.has(path, raw):
            return judged(None)
        reading.verify_payload(entered, record.files, None if store.local is not None else store.cache)
    except FileNotFoundError:
        return None  # deleted since it was listed
    except UnknownSchema as unknown:
        return judged(f"has the unknown record schema {unknown.found}")
    except Damage as damage:
        return judged(f"{damage.path} {damage}".strip(), damage)
    except OSError as error:
        return judged(str(error))
    except Exception as error:  # noqa: BLE001 - whoever can make a check can make any record; the others come next
        return judged(f"cannot be verified: {type(error).__name__}: {error}")
    try:
        if record.lineage is not None:
            _check_lineage(store, folder, record)
    except (Damage, OSError) as error:  # which does not spoil the payload
        where = f"{error.path} " if isinstance(error, Damage) else ""
        return judged(f"{where}{error}")
    except Exception as error:  # noqa: BLE001 - as above
        return judged(f"its lineage cannot be verified: {type(error).__name__}: {error}")
    return judged(None)


def _check_lineage(store: ArtifactStore, folder: str, record: Record) -> None:
    name = naming.lineage_name(record.key)
    path = store.storage.locate(f"{folder}/{name}")
    try:
        raw = store.storage.get(f"{folder}/{name}")
    except FileNotFoundError:
        raise Damage("is missing", path) from None
    if digest_of(raw, (record.lineage or "").partition(":")[0]) != record.lineage:
        raise Damage("does not have the digest that the record names", path)
    for key, identity in json.loads(raw).items():
        if key_of(canonical(identity)) != key:
            raise Damage(f"has an identity of another key at {key}", path)


def _quarantined(store: ArtifactStore, judged: _Judged, damage: Damage) -> Finding:
    """Move a damaged artifact aside, if it is still the one that was judged."""
    finding = judged.finding
    folder = finding.path.rpartition("/")[0].rpartition("/")[2]
    address = Address(finding.name, folder, finding.key)
    damaged = Damaged(damage.path or finding.path, damage.reason, judged.raw)
    try:
        return finding._replace(quarantined=store.quarantine(address, damaged))
    except OSError as error:
        return finding._replace(problem=f"{finding.problem} (and cannot be moved to quarantine: {error})")
