"""What a load can find: the artifact, nothing, or damage; anything else is an error of its own.

The order is what makes it safe: record judged by its own digest, then the class that wrote it, then trust (before the
format is imported), then size and digest of the payload, and only then the FileIO. Before anything is called damaged
the record is read again: a writer may have replaced it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from persistable.address import Address
from persistable.digest import DigestingReader, cores, digest_of, digest_of_file
from persistable.display import printable
from persistable.exceptions import (
    CorruptArtifactError,
    FormatError,
    MissingArtifactError,
    PersistableError,
    RecordSchemaError,
    UntrustedArtifactError,
)
from persistable.glance import glance
from persistable.io import BufferLoader, FileIO, StreamLoader, is_able
from persistable.local import Folder, read_all, remove
from persistable.naming import lineage_name, record_name
from persistable.outcome import Damaged, Loaded, Missing, Outcome, note_undamaged
from persistable.provenance import Origin
from persistable.record import SCHEMA, Damage, PayloadFile, Record, UnknownSchema
from persistable.trust import Evidence

if TYPE_CHECKING:
    from persistable.cache import PayloadCache
    from persistable.registry import Choice
    from persistable.remote import Fetched, RemoteFolder
    from persistable.store import ArtifactStore

__all__ = [
    "find",
    "from_copy",
    "lineage",
    "look",
    "parse",
    "read",
    "verify_payload",
]

T = TypeVar("T")

_SMALL = 1 << 20  # bytes: up to here a payload is read at once, above it is mapped
_CONCURRENT = 8 << 20  # bytes: from here a data-only payload is parsed while its digest is computed
_LOOKS = 100  # how often a record may change under a reader before it gives up


def look(store: ArtifactStore, address: Address, origin: Origin, injected: FileIO[Any] | str | None) -> Outcome:
    """Look for an artifact and load it.

    Raises:
        ForeignArtifactError, RecordSchemaError, UntrustedArtifactError, FormatError: as they say.
        OSError: the storage's own error, never taken for a miss.
        Exception: whatever the format or the payload's own code raises on undamaged bytes.
    """
    glanced = glance(store, address, origin, injected)
    if glanced is not None:
        return glanced
    outcome = _look_once(store, address, origin, injected)
    if type(outcome) is Damaged:
        for _ in range(_LOOKS):
            judged, outcome = outcome, _look_once(store, address, origin, injected)
            if not isinstance(outcome, Damaged) or outcome.raw == judged.raw:
                break
    return outcome


def _look_once(store: ArtifactStore, address: Address, origin: Origin, injected: FileIO[Any] | str | None) -> Outcome:
    name = record_name(address.key)
    try:
        folder = store.enter(address.folder)
        raw = folder.read(name)
    except FileNotFoundError:
        return Missing(store.storage.locate(address.record))
    path = f"{folder.path}/{name}"
    try:
        record = parse(raw, address, path)
        origin.check(record, address, path)
        choice = store.registry.for_loading(record.format, injected, record.distribution)
        try:
            if isinstance(folder, Folder):
                try:
                    return _load(store, address, folder, record.files, record, choice)
                except _OnlySigned:
                    pass
            return _load_copy(store, address, folder, record, choice)
        except Damage:
            raise
        except Exception as error:  # a FileIO may have met the files of an artifact that is superseded meanwhile
            if not _is_superseded(folder, name, raw):
                proven = store.verify == "full" or not record.is_folder
                if proven and not isinstance(error, PersistableError | OSError):
                    note_undamaged(error, record, folder.path)
                raise
            raise Damage("was superseded while it was read") from None
    except Damage as damage:
        return Damaged(damage.path or path, damage.reason, raw)


def _is_superseded(folder: Folder | RemoteFolder, name: str, raw: bytes) -> bool:
    """Whether a record is no longer the one that was read."""
    try:
        return folder.read(name) != raw
    except FileNotFoundError:
        return True
    except OSError:
        return False


def parse(raw: bytes, address: Address, path: str) -> Record:
    """Read a record. Raises Damage, or RecordSchemaError if a newer persistable wrote it."""
    try:
        return Record.parse(raw, address.key)
    except UnknownSchema as unknown:
        raise _newer(unknown, address, path) from None


def _newer(unknown: UnknownSchema, address: Address, path: str) -> RecordSchemaError:
    return RecordSchemaError(name=address.name, key=address.key, path=path, found=unknown.found, supported=SCHEMA)


class _OnlySigned(Exception):  # noqa: N818 - never leaves the module
    """Say that only the signature is trusted, so that others could change the payload once it is verified."""


def judge(store: ArtifactStore, address: Address, evidence: Evidence, record: Record, choice: Choice) -> None:
    """Let the store's trust decide whether a payload may be loaded, and whether code may run, if any would.

    Raises:
        UntrustedArtifactError: it may not.
        _OnlySigned: it may, from a copy.
    """
    trust, keyed = store.trust, store.signing_key is not None
    objection = trust.objection(evidence) if choice.executes_code or trust.needs_signature else None
    if objection is None and not (keyed or trust.needs_signature):
        return
    signed = keyed and store.signed(record)
    if signed and objection is not None and trust.accepts_signature:
        raise _OnlySigned
    # what is not signed may be older than the key; what is, and by nobody we know, was changed
    if not signed and (trust.needs_signature or (keyed and trust.setting != "all" and record.signature is not None)):
        objection = (store.storage.locate(address.record), "is not signed with this store's key")
    if objection is not None:
        path, reason = objection
        raise UntrustedArtifactError(name=address.name, key=address.key, path=path, reason=reason, format=choice.format)


def _load_copy(
    store: ArtifactStore, address: Address, source: Folder | RemoteFolder, record: Record, choice: Choice
) -> Loaded:
    """Load a payload from a copy in the cache; what is damaged there, and only there, is copied again."""
    with contextlib.suppress(_OnlySigned):
        judge(store, address, source.evidence, record, choice)  # before it is downloaded

    def load(cache: PayloadCache, held: Fetched) -> Loaded:
        loaded = _load(store, address, held.folder, held.files, record, choice)
        if not (cache.shared or loaded.file_io.memory_mapped or isinstance(loaded.payload, Iterator)):
            cache.remove(held.main)  # what may be read later stays until the process ends
        return loaded

    return from_copy(store, source, record, load)


def from_copy(
    store: ArtifactStore,
    source: Folder | RemoteFolder,
    record: Record,
    use: Callable[[PayloadCache, Fetched], T],
) -> T:
    """Return what ``use`` makes of a payload in the cache.

    What is damaged there, and only there, is copied again; a cache that cannot be used is done without.
    """
    from persistable.cache import CacheError
    from persistable.remote import fetched

    cache, anew = store.cache, False
    while True:
        try:
            with fetched(cache, source, record, anew=anew) as held:
                try:
                    return use(cache, held)
                except (Damage, FileNotFoundError):
                    if held.is_new and os.path.lexists(f"{held.folder.path}/{held.main}"):
                        raise
                    if held.is_new:  # what was there a moment ago was taken away
                        lost = FileNotFoundError(errno.ENOENT, "it was taken away", f"{held.folder.path}/{held.main}")
                        raise CacheError(cache, lost) from None
                    anew = True
                except OSError as error:
                    if not cache.is_to_blame(error):
                        raise
                    raise CacheError(cache, error) from error
        except CacheError as trouble:
            cache, anew = store.cache_after(trouble), False


def _load(
    store: ArtifactStore,
    address: Address,
    folder: Folder,
    files: Sequence[PayloadFile],
    record: Record,
    choice: Choice,
) -> Loaded:
    """Load a payload from its files in a local folder."""
    if record.is_folder:
        return _load_folder(store, address, folder, files, record, choice)
    file = files[0]
    descriptor, path, size = _open(store, address, folder, file, record, choice)
    try:
        file_io = _reader(choice, record)
        is_verified = store.verify == "full"
        in_order = is_verified and not (choice.executes_code or file_io.memory_mapped)
        if size > _SMALL and in_order and is_able(type(file_io), "load_stream"):
            load_stream = cast("StreamLoader", file_io).load_stream
            return Loaded(_read_stream(descriptor, file, path, load_stream), record, file_io)
        if file_io.memory_mapped or not is_able(type(file_io), "load_buffer"):
            payload = _read_verified(store, descriptor, file, path, record, choice, file_io)
            return Loaded(payload, record, file_io)
        content = read_all(descriptor, size) if size <= _SMALL else _mapped(descriptor, size)
        if is_verified:
            found = digest_of(content, _algorithm(file))
            if found != file.digest:
                raise _differs(found, file, path)
        try:
            return Loaded(cast("BufferLoader", file_io).load_buffer(content), record, file_io)
        except Exception as error:
            _blame_damage(descriptor, file, path, verified=is_verified)
            note_undamaged(error, record, folder.path)
            raise
    finally:
        os.close(descriptor)


def _read_stream(descriptor: int, file: PayloadFile, path: str, load_stream: Callable[[Any, int], Any]) -> Any:
    """Have a FileIO read a file while it is hashed, and withhold the payload until it is verified."""
    reader = DigestingReader(descriptor, _algorithm(file))
    try:
        payload = load_stream(reader, file.bytes)
    except Exception:
        _blame_damage(descriptor, file, path, verified=False)
        raise
    _compare(reader.digest(), file, path)
    return payload


def _load_folder(
    store: ArtifactStore,
    address: Address,
    folder: Folder,
    files: Sequence[PayloadFile],
    record: Record,
    choice: Choice,
) -> Loaded:
    path = f"{folder.path}/{files[0].path.partition('/')[0]}"
    _check_folder(store, address, folder, files, record, choice)
    file_io = _reader(choice, record)
    payload = read(file_io, path, record.metadata)
    if not os.path.isdir(path):  # taken away meanwhile: the FileIO may have seen a part of it
        raise Damage("is missing", path)
    return Loaded(payload, record, file_io)


def _reader(choice: Choice, record: Record) -> FileIO[Any]:
    """Return the FileIO for a record. Raises FormatError if a newer one wrote it."""
    file_io = choice.file_io()
    if record.format_version > file_io.format_version:
        raise FormatError(
            f"{printable(record.main_path)} was written by version {record.format_version} of the format "
            f"{choice.format!r}, and {choice.distribution or type(file_io).__qualname__} reads up to "
            f"{file_io.format_version}; upgrade it",
            format=choice.format,
        )
    return file_io


def _read_verified(
    store: ArtifactStore,
    descriptor: int,
    file: PayloadFile,
    path: str,
    record: Record,
    choice: Choice,
    file_io: FileIO[Any],
) -> Any:
    """Have a FileIO read a path whose file is open as ``descriptor``, and withhold the payload until it is verified."""
    # a mapping that the user asked for by injecting it is read later, page by page: by default its size has to do
    mapped = file_io.memory_mapped and choice.injected is not None and not store.verifies_mappings
    if store.verify != "full" or mapped:
        try:
            return read(file_io, path, record.metadata)
        except Exception:
            _blame_damage(descriptor, file, path, verified=False)
            raise
    if choice.executes_code or file.bytes < _CONCURRENT or cores() == 1:
        _compare(digest_of_file(descriptor, file.bytes, _algorithm(file)), file, path)
        return read(file_io, path, record.metadata)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "persistable-digest") as pool:
        digest = pool.submit(digest_of_file, descriptor, file.bytes, _algorithm(file))
        try:
            payload = read(file_io, path, record.metadata)
        except Exception:
            _compare(digest.result(), file, path)
            raise
        _compare(digest.result(), file, path)
        return payload


def read(file_io: FileIO[Any], path: str, metadata: Mapping[str, Any]) -> Any:
    """Have a FileIO load a path, with its metadata if it needs them."""
    return file_io.load(path, metadata=metadata) if file_io.needs_metadata else file_io.load(path)


def _open(
    store: ArtifactStore, address: Address, folder: Folder, file: PayloadFile, record: Record, choice: Choice
) -> tuple[int, str, int]:
    """Open the file of a payload, trusted and of the right size; return its descriptor, path and size.

    Raises Damage, UntrustedArtifactError, OSError.
    """
    path = f"{folder.path}/{file.path}"
    try:
        descriptor, status = folder.open(file.path)
    except FileNotFoundError:
        judge(store, address, folder.evidence, record, choice)
        raise Damage("is missing", path) from None
    size = status.st_size
    try:
        judge(store, address, folder.evidence, record, choice)
        if not stat.S_ISREG(status.st_mode):
            raise Damage("is not a regular file", path)
        if size != file.bytes and store.verify != "off":
            raise Damage(f"has {size} bytes instead of {file.bytes}", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, path, size


def _check_folder(
    store: ArtifactStore,
    address: Address,
    folder: Folder,
    files: Sequence[PayloadFile],
    record: Record,
    choice: Choice,
) -> None:
    """Verify a payload of several files: all that are listed, and none besides."""
    judge(store, address, folder.evidence, record, choice)
    folder.evidence += _walked(folder, files)
    for file in files:
        descriptor, path, _ = _open(store, address, folder, file, record, choice)
        try:
            if store.verify == "full":
                _compare(digest_of_file(descriptor, file.bytes, _algorithm(file)), file, path)
        finally:
            os.close(descriptor)


def _walked(folder: Folder, files: Sequence[PayloadFile]) -> list[tuple[str, os.stat_result]]:
    """Return path and status of every folder of a payload. Raises Damage at a file that its record does not list."""
    root = f"{folder.path}/{files[0].path.partition('/')[0]}"
    if not os.path.isdir(root) or os.path.islink(root):
        raise Damage("is missing", root)
    listed, walked = {file.path for file in files}, []
    try:
        for current, folders, names in os.walk(root, onerror=_raise):
            walked.append((current, os.lstat(current)))
            for name in names + [entry for entry in folders if os.path.islink(f"{current}/{entry}")]:
                path = f"{current}/{name}"
                if path[len(folder.path) + 1 :] not in listed:
                    raise Damage("is not listed in the record", path)
    except FileNotFoundError:
        raise Damage("is missing", root) from None
    return walked


def _raise(error: OSError) -> None:
    raise error


def verify_payload(folder: Folder | RemoteFolder, files: Sequence[PayloadFile], cache: PayloadCache | None) -> None:
    """Compare all files of a payload with its record, whatever their format; remote ones by way of the cache's disk.

    Raises Damage.
    """
    if not isinstance(folder, Folder):
        from persistable.remote import fetch

        assert cache is not None
        for file in files:
            path = cache.staged_path("")
            try:
                fetch(folder, file, path)
            finally:
                remove(path)
        return
    if "/" in files[0].path:
        _walked(folder, files)
    for file in files:
        path = f"{folder.path}/{file.path}"
        try:
            descriptor, status = folder.open(file.path)
        except FileNotFoundError:
            raise Damage("is missing", path) from None
        try:
            if status.st_size != file.bytes:
                raise Damage(f"has {status.st_size} bytes instead of {file.bytes}", path)
            _compare(digest_of_file(descriptor, file.bytes, _algorithm(file)), file, path)
        finally:
            os.close(descriptor)


def _mapped(descriptor: int, size: int) -> Any:
    import mmap

    return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)


def _algorithm(file: PayloadFile) -> str:
    return file.digest.partition(":")[0]


def _compare(found: str, file: PayloadFile, path: str) -> None:
    if found != file.digest:
        raise _differs(found, file, path)


def _differs(found: str, file: PayloadFile, path: str) -> Damage:
    return Damage(f"has the digest {found} instead of {file.digest}", path)


def _blame_damage(descriptor: int, file: PayloadFile, path: str, *, verified: bool) -> None:
    """After a parser failed on bytes nobody has verified: raise Damage if they are not those that were written."""
    if not verified:
        status = os.fstat(descriptor)
        if status.st_size != file.bytes:
            raise Damage(f"has {status.st_size} bytes instead of {file.bytes}", path)
        _compare(digest_of_file(descriptor, file.bytes, _algorithm(file)), file, path)


def find(store: ArtifactStore, address: Address) -> Record | None:
    """Read a record without its payload; see ``ArtifactStore.find``."""
    path = store.storage.locate(address.record)
    try:
        raw = store.enter(address.folder).read(record_name(address.key))
    except FileNotFoundError:
        return None
    try:
        record = parse(raw, address, path)
        record.document  # noqa: B018 - judges the whole of it
    except Damage as damage:
        raise Damaged(path, damage.reason, raw).error(address) from None
    return record


def lineage(store: ArtifactStore, address: Address) -> dict[str, dict[str, Any]]:
    """Read the lineage of an artifact; see ``ArtifactStore.lineage``."""
    record = find(store, address)
    if record is None:
        raise MissingArtifactError(name=address.name, key=address.key, path=store.storage.locate(address.record))
    if record.lineage is None:
        return {}
    name = f"{address.folder}/{lineage_name(address.key)}"
    path = store.storage.locate(name)
    try:
        raw, reason = store.storage.get(name), "does not have the digest that the record names"
    except FileNotFoundError:
        raw, reason = b"", "is missing"
    if digest_of(raw, record.lineage.partition(":")[0]) != record.lineage:
        raise CorruptArtifactError(
            name=address.name,
            key=address.key,
            path=path,
            reason=reason,
            repair="The payload is not affected; persist() writes the lineage again",
        )
    import json

    nodes: dict[str, dict[str, Any]] = json.loads(raw)
    return nodes
