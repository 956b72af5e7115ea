"""Committing an artifact so that at every moment the old state or the new one is there, whole.

The FileIO writes to a staged path, in the same folder of a local storage, else on the way there; digests are taken and
the bytes flushed; the payload gets a name of its own; the record, written last and in one step, makes it the artifact.
Whatever fails before that step leaves the old artifact as it was and nothing of the new one.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from persistable.address import Address
from persistable.digest import digest_of, digest_of_file
from persistable.exceptions import FidelityError, PersistableError, SaveError
from persistable.io import FileIO, StreamSaver, format_name, is_able
from persistable.local import READING, LocalStorage
from persistable.publication import Draft, Staged, in_place, uploaded
from persistable.reading import read
from persistable.record import PayloadEntry, PayloadFile, Record
from persistable.spool import Spool

if TYPE_CHECKING:
    from signal import SIG_DFL, SIGTERM, getsignal
    from signal import signal as set_handler

    from persistable.lock import Lock
    from persistable.registry import Choice
    from persistable.store import ArtifactStore, Workplace
else:
    try:  # what the module itself has also turns numbers into members of enums, three times per commit
        from _signal import SIG_DFL, SIGTERM, getsignal
        from _signal import signal as set_handler
    except ImportError:
        from signal import SIG_DFL, SIGTERM, getsignal
        from signal import signal as set_handler

__all__ = ["Committed", "Draft", "persist"]

_BESIDE = 4 << 20  # bytes: from here the digest is computed while the file is being flushed


class Committed(NamedTuple):
    """A committed artifact, and the FileIO that wrote it."""

    record: Record
    file_io: FileIO[Any]


class _Unfit(Exception):  # noqa: N818 - never leaves the module: it becomes a SaveError
    """Say what is wrong with what a FileIO did. Attributes: ``path``, ``reason``."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)


def persist(
    store: ArtifactStore,
    address: Address,
    payload: Any,
    draft: Draft,
    choices: Iterator[Choice],
    beside: Lock | None = None,
) -> Committed:
    """Write a payload in the first format that accepts it, and commit the artifact.

    ``beside`` is the lock under which the payload was generated, if there is one.
    """
    place = store.workplace(address.folder)
    staged: list[str] = []
    termination = _Termination()
    try:
        termination.begin()
        try:
            if place.cache is None:
                file_io, written = _write(store, place, address, payload, draft, choices, staged)
            else:
                choices, again = itertools.tee(choices)
                try:
                    file_io, written = _write(store, place, address, payload, draft, choices, staged)
                except OSError as error:
                    if isinstance(error, PersistableError) or isinstance(payload, Iterator):
                        raise
                    from persistable.cache import CacheError

                    for path in staged:
                        place.local.unstage(path)
                    place = store.workplace_after(CacheError(place.cache, error))
                    file_io, written = _write(store, place, address, payload, draft, again, staged)
            if draft.accept is not None:
                draft.accept(read(file_io, written.path, written.entry.metadata))
            with store.committing(address, beside):
                if place.cache is None:
                    record = in_place(store, place.local, address, draft, written)
                else:
                    record = uploaded(store, address, draft, written)
        except BaseException as error:
            for path in staged:
                place.local.unstage(path)
            if isinstance(error, OSError) and error.errno is not None and error.filename is None:
                error.filename = place.local.local_path(place.folder)  # write(2) does not say where the disk is full
            raise
        store.note("persisted", address, f"{record.format} {record.size} bytes {record.main_path}")
        return Committed(record, file_io)
    finally:
        try:
            termination.end()
        except BaseException:  # a signal that came as this began
            termination.end()
            raise


def _write(
    store: ArtifactStore,
    place: Workplace,
    address: Address,
    payload: Any,
    draft: Draft,
    choices: Iterator[Choice],
    staged: list[str],
) -> tuple[FileIO[Any], Staged]:
    """Have the first format that accepts the payload write it to a staged path; digest and flush what it wrote."""
    storage = place.local
    declined: list[str] = []
    for choice in choices:
        file_io = choice.file_io()
        store.warn_of_refusal(address, choice)
        suffix = file_io.suffix if draft.suffix is None else draft.suffix
        streams = is_able(type(file_io), "save_stream")
        files: list[PayloadFile] | None = None
        try:
            if streams:
                path, metadata, files = _streamed(
                    storage, place.folder, suffix, cast("StreamSaver", file_io), payload, staged, store.algorithm
                )
            else:
                path, metadata = _saved(storage, place.folder, suffix, file_io, payload, staged)
        except FidelityError as error:
            storage.unstage(staged[-1])
            if not choice.by_type or _is_used_up(payload, file_io):
                raise
            declined.append(f"{choice.format} declined: {error.where}: {error.reason}")
            continue
        except SaveError as error:
            for reason in declined:  # whoever looks at the last format should know why it was asked
                error.add_note(reason)
            raise
        try:
            if files is None:
                files = _sealed(storage, path, file_io, store.algorithm)
            if not streams and choice.format.startswith("custom:"):  # others are tested for it; here it takes a look
                beside = [name for name in storage.beside(path) if name != os.path.basename(path)]
                if beside:
                    written = ", ".join(beside)
                    raise _Unfit(path, f"it wrote {written} beside the path it was given: set is_directory for several")
            kept = {} if metadata is None else _json(metadata, path, file_io)
        except _Unfit as unfit:
            raise SaveError(
                format=choice.format,
                payload_type=type(payload).__qualname__,
                filepath=unfit.path,
                file_io=type(file_io).__qualname__,
                cause=ValueError(unfit.reason),
            ) from None
        cls = type(payload)
        entry = PayloadEntry(
            choice.format,
            file_io.format_version,
            choice.distribution,
            f"{cls.__module__}.{cls.__qualname__}",
            "; ".join([choice.reason, *declined]) if declined else choice.reason,
            kept,
            files,
        )
        return file_io, Staged(path, suffix, entry)
    raise AssertionError("the last format accepts anything")


def _is_used_up(payload: Any, file_io: FileIO[Any]) -> bool:
    """Tell whether a format may have begun to read what can be read only once, so that no other can have all of it."""
    return isinstance(payload, Iterator) and file_io.refusal(payload) is None


def _saved(
    storage: LocalStorage,
    folder: str,
    suffix: str,
    file_io: FileIO[Any],
    payload: Any,
    staged: list[str],
) -> tuple[str, object]:
    """Have a FileIO write a payload to a staged path; return the path and what the FileIO says of it."""
    apart = storage.apart or file_io.is_directory or isinstance(payload, Iterator)
    path, metadata = _saved_once(storage, folder, suffix, file_io, payload, staged, apart=apart)
    if not apart and _is_open_to_others(storage, path):
        storage.apart = True  # the umask has changed, and from now on is reckoned with
        storage.unstage(path)
        path, metadata = _saved_once(storage, folder, suffix, file_io, payload, staged, apart=True)
    return path, metadata


def _saved_once(
    storage: LocalStorage,
    folder: str,
    suffix: str,
    file_io: FileIO[Any],
    payload: Any,
    staged: list[str],
    *,
    apart: bool,
) -> tuple[str, object]:
    path = storage.staged_path(folder, suffix, apart=apart)
    staged.append(path)  # before anything is there: an interrupt may arrive at any moment
    if apart:
        os.mkdir(os.path.dirname(path), 0o700)
    if file_io.is_directory:
        os.mkdir(path, storage.folder_mode)
    return path, file_io.save(payload, path)


def _streamed(
    storage: LocalStorage,
    folder: str,
    suffix: str,
    file_io: StreamSaver,
    payload: Any,
    staged: list[str],
    algorithm: str,
) -> tuple[str, object, list[PayloadFile] | None]:
    """Have a FileIO write to a staged file that is made here; return path, what the FileIO says, and what is in it.

    The last is None of a file that is long: it is sealed like any other.
    """
    path = storage.staged_path(folder, suffix)
    staged.append(path)
    spool = Spool(path, storage.file_mode)
    try:
        metadata = file_io.save_stream(payload, spool, path)
        content = spool.content
    finally:
        spool.close()
    if content is None:
        return path, metadata, None
    storage.write(path, content)
    return path, metadata, [PayloadFile("", len(content), digest_of(content, algorithm))]


def _is_open_to_others(storage: LocalStorage, path: str) -> bool:
    """Whether the umask let others write what is about to be digested, so that they may have, or still can."""
    try:
        return bool(os.lstat(path).st_mode & 0o022 & ~storage.file_mode)
    except OSError:
        return False  # sealing says what is wrong


def _json(metadata: object, path: str, file_io: FileIO[Any]) -> Mapping[str, Any]:
    """Return what a FileIO wants recorded; a 1.x ``_save`` may return anything, which then is nothing."""
    try:
        if isinstance(metadata, Mapping):
            found: dict[str, Any] = json.loads(json.dumps(dict(metadata), allow_nan=False))
            return found
        problem = f"it returned a {type(metadata).__qualname__} as metadata"
    except (TypeError, ValueError) as error:
        problem = f"it returned metadata that JSON cannot hold: {error}"
    if format_name(type(file_io)).startswith("custom:") and not file_io.needs_metadata:
        return {}
    raise _Unfit(path, problem)


def _sealed(storage: LocalStorage, path: str, file_io: FileIO[Any], algorithm: str) -> list[PayloadFile]:
    """Return the staged files with sizes and digests, all flushed if asked; paths start at the staged one."""
    if not file_io.is_directory:
        return [PayloadFile("", *_sealed_file(storage, path, algorithm))]
    found: list[PayloadFile] = []
    if not os.path.isdir(path) or os.path.islink(path):
        raise _Unfit(path, "it took away the folder it was given")
    for current, folders, names in os.walk(path, onerror=_raise):
        folders.sort()
        loose = os.lstat(current).st_mode & 0o022 & ~storage.folder_mode
        if loose:  # as below
            os.chmod(current, stat.S_IMODE(os.lstat(current).st_mode) & ~loose)
        for name in sorted([*names, *(folder for folder in folders if os.path.islink(f"{current}/{folder}"))]):
            file = f"{current}/{name}"
            if "\\" in name:
                raise _Unfit(file, "it gave a file a name with a backslash")
            found.append(PayloadFile(file[len(path) :], *_sealed_file(storage, file, algorithm)))
        storage.flush_folder(current)
    if not found:
        raise _Unfit(path, "it wrote no file into the folder it was given")
    return found


def _sealed_file(storage: LocalStorage, path: str, algorithm: str) -> tuple[int, str]:
    try:
        descriptor = os.open(path, READING)
    except FileNotFoundError:
        raise _Unfit(path, "it wrote no file at the path it was given") from None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise _Unfit(path, "it made a symbolic link") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _Unfit(path, "it wrote something that is no regular file")
        loose = status.st_mode & 0o022 & ~storage.file_mode
        if loose:  # the umask let others write what the default trust then would not read
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~loose)
        if not storage.durable:
            return status.st_size, digest_of_file(descriptor, status.st_size, algorithm)
        if status.st_size < _BESIDE:
            digest = digest_of_file(descriptor, status.st_size, algorithm)
            os.fsync(descriptor)
            return status.st_size, digest
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1, "persistable-flush") as pool:
            flushed = pool.submit(os.fsync, descriptor)
            digest = digest_of_file(descriptor, status.st_size, algorithm)
            flushed.result()
        return status.st_size, digest
    finally:
        os.close(descriptor)


def _raise(error: OSError) -> None:
    raise error


class _Terminated(BaseException):
    """Unwind a commit after SIGTERM."""


class _Termination:
    """Let SIGTERM, where it would just kill, first remove what is staged, and then kill as it would have.

    A handler that the application has installed is left alone: its exception unwinds the commit like any other.
    """

    __slots__ = ("_installed", "_process", "_received", "_unwinding")

    def __init__(self) -> None:
        self._installed = self._received = False
        self._unwinding = True

    def begin(self) -> None:
        """From now on, raise where it would kill."""
        if threading.current_thread() is threading.main_thread() and getsignal(SIGTERM) == SIG_DFL:
            self._process = os.getpid()
            self._installed = True
            set_handler(SIGTERM, self._handle)

    def end(self) -> None:
        """Let it kill again, at once if it would have meanwhile."""
        if self._installed:
            self._unwinding = False
            set_handler(SIGTERM, SIG_DFL)
            if self._received:
                os.kill(os.getpid(), SIGTERM)

    def _handle(self, *_: object) -> None:
        again, self._received = self._received, True
        if self._unwinding and os.getpid() == self._process:
            if again:
                return  # once is enough to unwind, and what clears up is not to be interrupted
            raise _Terminated
        self.end()  # in a child that was forked meanwhile, or left behind by an interrupt at the wrong moment
