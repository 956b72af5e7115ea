"""ArtifactStore: a storage and how it is used. All settings of a place live in this one object.

The store looks for artifacts (``reading``), commits them (``commit``) and keeps the place tidy (``upkeep``); it knows
nothing of the life cycle of a Persistable.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from persistable import reading
from persistable.address import Address
from persistable.digest import ALGORITHM
from persistable.exceptions import LockTimeoutError, SigningKeyError, TrustWarning
from persistable.io import FileIO
from persistable.local import READING, Folder, LocalStorage
from persistable.outcome import Damaged, Outcome
from persistable.provenance import Origin
from persistable.record import Damage, Record
from persistable.settings import (
    UNSET,
    Unset,
    at_home,
    bytes_of,
    cache_at,
    environment,
    from_environment,
    is_url,
    located,
    one_of,
    seconds_of,
)
from persistable.storage import Storage
from persistable.trust import Trust, TrustSetting

if TYPE_CHECKING:
    from logging import Logger

    from persistable import commit, publication, upkeep, verification
    from persistable.cache import CacheError, PayloadCache
    from persistable.lock import Lock
    from persistable.registry import Choice, Registry
    from persistable.remote import Fetched, RemoteFolder
    from persistable.signing import SigningKey

__all__ = ["ArtifactStore", "store_at"]

_VERIFY = ("full", "size", "off")
_DURABILITY = ("full", "fast")
_DAY = 86_400.0  # seconds
_COMMIT_PATIENCE = 60.0  # seconds: a commit is short, and what waits for it has been computed already
_lock: Any = None  # bound on first use, as everything that a hit does without
_note: Any = None
_persist: Any = None
_standing: Any = None


class Workplace:
    """Where payloads are staged: a local storage, a folder of it, and the cache that it is, if any."""

    __slots__ = ("cache", "folder", "local")

    def __init__(self, local: LocalStorage, folder: str, cache: PayloadCache | None) -> None:
        self.local, self.folder, self.cache = local, folder, cache


class ArtifactStore:
    """A place for artifacts and how it is used.

    A setting that is not given comes from the environment variable ``PERSISTABLE_<SETTING>``, else from its default.
    Nothing is touched at construction; the settings are read when they are first needed.

    Args:
        location: a folder (``Path`` or ``str``), a URL, or a ``Storage``. A relative folder counts from the working
            directory of now, ``~`` stands for the home directory.
        storage_options: options of the storage's client, such as credentials; never written anywhere.
        trust: who may have code executed by a load: ``"own"`` (default), ``"all"``, ``"data-only"``, ``"signed"``, or
            users by name or numeric id; see ``Trust``.
        verify: what is checked before a payload is served: its digest (``"full"``, the default), its ``"size"``, or
            nothing (``"off"``). Records are always checked.
        durability: ``"full"`` (default) has survived a power cut when a commit returns; ``"fast"`` leaves that to the
            operating system, and is as safe against killed processes.
        lock_timeout: seconds to wait for somebody else who generates the same key; None (default) waits.
        registry: the formats to use; by default all that are installed.
        keep_rejected: whether a payload that is generated and found invalid is kept in quarantine (default True).
        signing_key: path of a key file (see ``signing.keygen``), outside of the location: what is persisted is signed
            with it, and what is signed with it is trusted.
        cache: a local folder for payloads of a remote storage, ``"off"`` for none; by default this user's cache.
        cache_bytes: how large that folder may grow (default 10 GiB).

    Raises:
        ValueError: a setting has a value that it does not take; a URL has credentials in it.
        TypeError: the location is neither a path nor a str.
    """

    __slots__ = (
        "__weakref__",
        "_cache",
        "_cache_bytes",
        "_cache_location",
        "_durability",
        "_glanced",
        "_judged",
        "_keep_rejected",
        "_lock_timeout",
        "_registry",
        "_signing_key",
        "_signing_path",
        "_storage",
        "_trust",
        "_verify",
        "_verify_given",
        "location",
        "storage_options",
    )

    def __init__(
        self,
        location: str | os.PathLike[str] | Storage,
        *,
        storage_options: Mapping[str, Any] | None = None,
        trust: TrustSetting | None = None,
        verify: Literal["full", "size", "off"] | None = None,
        durability: Literal["full", "fast"] | None = None,
        lock_timeout: float | Unset | None = UNSET,
        registry: Registry | None = None,
        keep_rejected: bool | None = None,
        signing_key: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int | None = None,
    ) -> None:
        self._storage: Storage | None = location if isinstance(location, Storage) else None
        self.location = location.url if isinstance(location, Storage) else located(location)
        self.storage_options = storage_options
        self._trust = None if trust is None else Trust(trust)
        self._verify_given = verify is not None
        self._verify = None if verify is None else one_of("verify", verify, _VERIFY)
        self._durability = None if durability is None else one_of("durability", durability, _DURABILITY)
        self._lock_timeout = lock_timeout if isinstance(lock_timeout, Unset) else seconds_of(lock_timeout)
        self._registry = None if registry is None else _registry(registry)
        if keep_rejected is not None and not isinstance(keep_rejected, bool):
            raise ValueError(f"keep_rejected={keep_rejected!r}: give True or False")
        self._keep_rejected = keep_rejected
        self._signing_path = None if signing_key is None else os.path.abspath(at_home(signing_key))
        self._signing_key: SigningKey | None = None
        self._cache: PayloadCache | None = None
        self._cache_location = None if cache is None else cache_at(cache)
        self._cache_bytes = None if cache_bytes is None else bytes_of("cache_bytes", cache_bytes)
        self._judged: set[tuple[str, str]] = set()
        self._glanced: tuple[str, bool] | None = None

    def __repr__(self) -> str:
        given = [f"{name}={getattr(self, '_' + name)!r}" for name in ("verify", "durability", "keep_rejected")]
        given = [setting for setting in given if not setting.endswith("=None")]
        if self._trust is not None:
            given.insert(0, f"trust={self._trust.setting!r}")
        from persistable.redaction import redacted, secrets_of

        location = redacted(self.location, secrets_of(self.storage_options))
        return f"ArtifactStore({', '.join([repr(location), *given])})"

    def __getstate__(self) -> dict[str, Any]:
        # credentials stay here, what says where goes along; the storage is opened again there
        left_behind = (
            "__weakref__",
            "_cache",
            "_glanced",
            "_judged",
            "_registry",
            "_signing_key",
            "_storage",
            "storage_options",
        )
        state = {name: getattr(self, name) for name in self.__slots__ if name not in left_behind}
        if isinstance(self._storage, LocalStorage) and self.location == self._storage.url:  # it was handed over
            state["location"] = self._storage.root
            state["_durability"] = self._durability or ("full" if self._storage.durable else "fast")
        if self.storage_options:
            from persistable.redaction import without_secrets

            state["storage_options"] = without_secrets(self.storage_options) or None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.storage_options = None
        for name, value in state.items():
            setattr(self, name, value)
        self._registry = self._storage = self._cache = self._signing_key = None
        self._judged, self._glanced = set(), None

    def __deepcopy__(self, memo: dict[int, Any]) -> ArtifactStore:
        return self  # nothing in it changes, and a copy in this process may use what it was given

    # -- settings

    @property
    def trust(self) -> Trust:
        """Who may have code executed by a load."""
        if self._trust is None:
            self._trust = _trust(from_environment("TRUST", "own"))
        return self._trust

    @property
    def verify(self) -> str:
        """What is checked before a payload is served."""
        if self._verify is None:
            self._verify = one_of("PERSISTABLE_VERIFY", from_environment("VERIFY", "full"), _VERIFY)
        return self._verify

    @property
    def verifies_mappings(self) -> bool:
        """Whether even a memory-mapped payload is read whole for its digest: only where ``"full"`` was asked for."""
        given = self._verify_given or bool(from_environment("VERIFY", ""))
        return given and self.verify == "full"

    @property
    def durability(self) -> str:
        """What a commit has survived when it returns."""
        if self._durability is None:
            value = from_environment("DURABILITY", "full")
            self._durability = one_of("PERSISTABLE_DURABILITY", value, _DURABILITY)
        return self._durability

    @property
    def lock_timeout(self) -> float | None:
        """Seconds to wait for somebody else who generates the same key; None waits."""
        if isinstance(self._lock_timeout, Unset):
            value = from_environment("LOCK_TIMEOUT", "none")
            self._lock_timeout = seconds_of(None if value == "none" else value)
        return self._lock_timeout

    @property
    def keep_rejected(self) -> bool:
        """Whether an invalid payload is kept in quarantine."""
        if self._keep_rejected is None:
            value = from_environment("KEEP_REJECTED", "1").lower()
            known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
            self._keep_rejected = known[one_of("PERSISTABLE_KEEP_REJECTED", value, tuple(known))]
        return self._keep_rejected

    @property
    def signing_key(self) -> SigningKey | None:
        """The key that signs and verifies; None without one.

        Raises:
            SigningKeyError: its file is not one, lies within the store, or is open to others.
            OSError: it cannot be read.
        """
        if self._signing_path is None:
            self._signing_path = at_home(from_environment("SIGNING_KEY", ""))
        if self._signing_key is None and self._signing_path:
            from persistable.signing import read_key

            path = os.path.realpath(self._signing_path)
            if path.startswith(f"{self.place.rstrip('/')}/"):
                raise SigningKeyError(path=path, reason="lies within the store it signs", repair="move it elsewhere")
            self._signing_key = read_key(path)
        return self._signing_key

    def signed(self, record: Record) -> bool:
        """Whether a record has a signature of this store's key, over payload digests that nobody can imitate."""
        key = self.signing_key
        signature = None if key is None else record.signature
        if key is None or signature is None or not key.verifies(*signature):
            return False
        from persistable.signing import DIGEST

        return all(file.digest.startswith(f"{DIGEST}:") for file in record.files)

    @property
    def algorithm(self) -> str:
        """The digest of payloads and lineages."""
        if self.signing_key is None:
            return ALGORITHM
        from persistable.signing import DIGEST

        return DIGEST

    @property
    def registry(self) -> Registry:
        """The formats in use."""
        if self._registry is None:
            from persistable.registry import default_registry

            self._registry = default_registry()
        return self._registry

    @property
    def storage(self) -> Storage:
        """The storage behind the location.

        Raises:
            UnknownStorageError: nobody serves its scheme.
            BrokenStorageError: what does is installed and does not work.
        """
        if self._storage is None:
            if not is_url(self.location):
                self._storage = LocalStorage(
                    self.location, private=self.trust.setting == "own", durable=self.durability == "full"
                )
            else:
                self._storage = self._opened()
        return self._storage

    def _opened(self) -> Storage:
        from persistable.redaction import redacted, secrets_of

        options = dict(self.storage_options or {})
        opened = self.registry.storage(self.location)
        try:
            return opened(self.location, **options)  # type: ignore[call-arg]
        except TypeError as error:
            message = redacted(str(error), secrets_of(options))
            raise TypeError(f"{redacted(self.location)} with storage_options {sorted(options)}: {message}") from None

    @property
    def local(self) -> LocalStorage | None:
        """The storage, if its objects are files that can be read and written in place."""
        storage = self._storage or self.storage
        return storage if isinstance(storage, LocalStorage) else None

    @property
    def glanced(self) -> tuple[str, bool]:
        """The root, if artifacts may be taken at a ``glance``, else ""; and whether everybody is trusted."""
        glanced = self._glanced
        if glanced is None:
            if self._signing_path is None:
                self._signing_path = at_home(from_environment("SIGNING_KEY", ""))
            storage, trust = self.storage, self.trust.setting
            usual = self.verify == "full" and not self._signing_path and trust in ("own", "all")
            root = storage.root if usual and type(storage) is LocalStorage else ""
            glanced = self._glanced = root, trust == "all"
        return glanced

    @property
    def cache(self) -> PayloadCache:
        """Where payloads of a remote storage are kept locally."""
        if self._cache is None or self._cache.is_inherited:
            from persistable.cache import DEFAULT_SIZE, open_cache

            size = self._cache_bytes
            if size is None:
                size = bytes_of("PERSISTABLE_CACHE_BYTES", from_environment("CACHE_BYTES", str(DEFAULT_SIZE)))
            location = self._cache_location
            if location is None:
                location = cache_at(from_environment("CACHE", "")) if from_environment("CACHE", "") else None
            self._cache = open_cache(location, size)
        return self._cache

    def cache_after(self, trouble: CacheError) -> PayloadCache:
        """Return the cache to go on with after trouble with one. Raises its cause if there is no other."""
        from persistable.cache import private_cache

        if self.cache is trouble.cache or not trouble.cache.shared:
            self._cache = private_cache(trouble)
        return self.cache  # another thread may have met the same trouble

    @property
    def place(self) -> str:
        """The location, however it is spelled."""
        return self.location if is_url(self.location) else os.path.realpath(self.location)

    def local_path(self, address: Address, record: Record) -> str:
        """Return the local path of a payload; one of a remote storage is fetched into the cache.

        Raises:
            CorruptArtifactError: it is to be fetched, and is damaged.
        """
        if self.local is not None:
            return self.local.local_path(f"{address.folder}/{record.main_path}")
        from persistable.remote import RemoteFolder

        def verified(_: PayloadCache, held: Fetched) -> str:
            reading.verify_payload(held.folder, held.files, None)
            return f"{held.folder.path}/{held.main}"

        try:
            return reading.from_copy(self, RemoteFolder(self.storage, address.folder), record, verified)
        except Damage as damage:
            raise Damaged(damage.path, damage.reason, record.raw).error(address) from None

    def workplace(self, folder: str) -> Workplace:
        """Return where the payloads of a folder are staged: there, or on the way there, where they certainly can be.

        Raises OSError if they cannot.
        """
        storage = self._storage or self.storage
        if isinstance(storage, LocalStorage):
            storage.prepare(folder)
            return Workplace(storage, folder, None)
        cache = self.cache
        try:
            cache.prove()
        except OSError as error:
            from persistable.cache import CacheError

            return self.workplace_after(CacheError(cache, error))
        return Workplace(cache.local, cache.staging, cache)

    def workplace_after(self, trouble: CacheError) -> Workplace:
        """Return where payloads are staged after trouble with a cache. Raises OSError if there is no other place."""
        cache = self.cache_after(trouble)
        cache.prove()
        return Workplace(cache.local, cache.staging, cache)

    def enter(self, folder: str) -> Folder | RemoteFolder:
        """Open a folder for reading. Raises FileNotFoundError if it, or the root, is certainly not there."""
        storage = self.storage
        if isinstance(storage, LocalStorage):
            return storage.enter(folder)
        from persistable.remote import RemoteFolder

        return RemoteFolder(storage, folder)

    def keep(self, staged: str, record: Record) -> None:
        """Put a payload that was uploaded into the cache, so that it need not be downloaded."""
        from persistable.cache import entry_name

        cache = self.cache
        if cache.shared:
            with suppress(OSError):
                cache.add(staged, entry_name(record.files), record.size)
        cache.local.unstage(staged)

    # -- artifacts

    def look(self, address: Address, origin: Origin, injected: FileIO[Any] | str | None = None) -> Outcome:
        """Look for an artifact and load it; see ``reading`` for what may be found and raised."""
        return reading.look(self, address, origin, injected)

    def find(self, address: Address) -> Record | None:
        """Return the record of an artifact without loading it; None if there is none.

        Raises:
            CorruptArtifactError: there is a damaged one.
            RecordSchemaError: a newer persistable wrote it.
        """
        return reading.find(self, address)

    def lineage(self, address: Address) -> dict[str, dict[str, Any]]:
        """Return the identities of all upstream nodes by key, as recorded.

        Raises:
            MissingArtifactError: there is no such artifact.
            CorruptArtifactError: the record or the lineage is damaged.
        """
        return reading.lineage(self, address)

    def persist(
        self,
        address: Address,
        payload: Any,
        draft: publication.Draft,
        choices: Iterator[Choice],
        beside: Lock | None = None,
    ) -> commit.Committed:
        """Commit an artifact; see ``commit``. ``beside`` is the lock under which it was generated, if there is one."""
        global _persist
        if _persist is None:
            from persistable.commit import persist as _persist

        committed: commit.Committed = _persist(self, address, payload, draft, choices, beside)
        return committed

    def prepare(self, address: Address, origin: Origin) -> None:
        """Prove, before anything is generated, that it could be persisted.

        Raises:
            PermissionError: the store cannot be written to.
            ForeignArtifactError: the artifact of another class would be overwritten.
            RecordSchemaError: the artifact of a newer persistable would be.
        """
        global _standing
        if _standing is None:
            from persistable.publication import standing as _standing

        storage = self.storage
        storage.prepare(address.folder)
        if not isinstance(storage, LocalStorage):
            self.workplace(address.folder)
        _standing(storage, address, origin)

    def foresee(self, address: Address, payload_type: type | None, injected: FileIO[Any] | str | None) -> None:
        """Tell what would go wrong with the format after generating, before: as far as format or type are known.

        Raises FormatError as persisting would, and gives a TrustWarning if the trust of this store would refuse to load
        what it is about to write. The address's folder has to exist.
        """
        registry = self.registry
        choice = registry.foreseen(payload_type, injected)
        if choice is None and self.local is None:
            choice = registry.named("pickle")  # which takes anything, and nobody knows who writes elsewhere
        if choice is not None:
            self.warn_of_refusal(address, choice, certain=payload_type is not None or injected is not None)

    def warn_of_refusal(self, address: Address, choice: Choice, *, certain: bool = True) -> None:
        """Give a TrustWarning, once, if the trust of this store would refuse to load a format from a folder."""
        judged = (address.folder, choice.format)
        if judged in self._judged:
            return
        trust = self.trust
        if trust.setting == "all" or not (choice.executes_code or trust.needs_signature):
            return
        if self.signing_key is not None and trust.accepts_signature:
            return  # it is about to be signed
        self._judged.add(judged)  # once per folder: the load itself looks every time
        folder = self.enter(address.folder)
        objection = trust.objection(folder.evidence)
        if trust.needs_signature:
            objection = (folder.path, "is to have signed artifacts only, and there is no signing_key")
        if objection is not None:
            from persistable.notice import warn

            warn(
                f"{address.name!r} {'is about to be' if certain else 'says no payload type, and may be'} persisted in "
                f"format {choice.format!r}, which this store would refuse to load: {objection[0]} {objection[1]}. Set "
                "trust= on the store (or PERSISTABLE_TRUST), tighten the permissions, have artifacts signed "
                "(signing_key=), or choose a data-only format.",
                TrustWarning,
            )

    def may_hold(self, address: Address) -> bool:
        """Whether there may be an artifact; False, after a single step, where its record is certainly not there."""
        storage = self._storage or self.storage
        if not isinstance(storage, LocalStorage):
            return True
        try:
            os.close(os.open(f"{storage.root}/{address.record}", READING))
        except FileNotFoundError:
            return False
        except OSError:  # which looking for it will tell of
            pass
        return True

    def generating(self, address: Address, logger: Logger | None = None) -> Lock:
        """Take the lock under which a key is generated once; a context manager. ``logger`` is told of a long wait.

        Raises:
            PermissionError: the store cannot be written to.
            LockTimeoutError: somebody else has held it for ``lock_timeout`` seconds.
        """
        storage = self._storage or self.storage
        if isinstance(storage, LocalStorage):
            storage.prepare(address.folder)
        else:
            self.workplace(address.folder)  # the lease has to be written, too
        return self._locked(address, logger, to_generate=True)

    def committing(self, address: Address, beside: Lock | None = None) -> Lock:
        """Take the short lock under which the state of a key is changed; a context manager.

        ``beside`` is the lock under which it was generated, if there is one.
        """
        lock = None if beside is None else beside.to_commit()
        return self._locked(address) if lock is None else lock

    def _locked(self, address: Address, logger: Logger | None = None, *, to_generate: bool = False) -> Lock:
        global _lock
        if _lock is None:
            from persistable import lock as _lock

        timeout = self.lock_timeout
        if timeout is not None and not to_generate:
            timeout = max(timeout, _COMMIT_PATIENCE)
        storage, tell = self.storage, functools.partial(self._tell_of_wait, address, logger, to_generate)
        purpose = _lock.GENERATE if to_generate else _lock.COMMIT
        try:
            if storage.capabilities.lock:
                return storage.lock(address.folder, address.key, purpose, timeout=timeout, on_wait=tell)
            if not to_generate:
                nobody: Lock = _lock.Lock(None)  # the record is put on condition
                return nobody
            from persistable import lease

            taken = lease.acquire(storage, address.folder, address.key, timeout=timeout, on_wait=tell)
            if not taken.exclusive:  # nothing was written for it, so nobody knows yet whether anything can be
                storage.prepare(address.folder)
            return taken
        except _lock.NotFree as error:
            seconds = timeout or 0.0
            raise LockTimeoutError(name=address.name, key=address.key, seconds=seconds, owner=error.owner) from error

    def _tell_of_wait(self, address: Address, logger: Logger | None, to_generate: bool, owner: str | None) -> None:
        import threading

        from persistable.display import printable
        from persistable.generation import Generation, thread_generating
        from persistable.logging import payload_logger

        told = logger or payload_logger(address.folder)
        told.warning(
            "waiting for %s, which is generating %s (key %s)",
            owner or "another process",
            printable(address.name),
            address.key,
        )
        thread = thread_generating(Generation(address.key, self.location))
        if thread is not None and to_generate:
            told.warning(
                "that is the thread %r of this very process: if this thread (%r) was started by its generation, "
                "both wait for ever; payloads that a generation needs are to be loaded before threads are started, "
                "and are to be other ones than itself",
                thread,
                threading.current_thread().name,
            )

    def quarantine(self, address: Address, damaged: Damaged) -> bool:
        """Move a damaged artifact aside, if it is still the one that was judged; return whether it was."""
        from persistable.quarantine import quarantine

        return quarantine(self, address, damaged)

    def reject(self, address: Address, payload: Any, error: BaseException) -> None:
        """Keep a payload that must not be served, with the error that says why; never fails."""
        if self.keep_rejected:
            from persistable.quarantine import reject

            reject(self, address, payload, error)

    def note(self, event: str, address: Address, detail: str = "") -> None:
        """Add a line to the log of the payload's folder, if there is one."""
        global _note
        storage = self._storage or self.storage
        if not isinstance(storage, LocalStorage):
            return
        if _note is None:
            from persistable.journal import note as _note

        name, folder, key = address
        _note(f"{storage.root}/{folder}", event, name, key, detail, storage.file_mode)

    # -- upkeep

    def list(self) -> Iterator[Address]:
        """Yield the addresses of all artifacts by what their records say, in no order; damaged ones are passed over."""
        from persistable import upkeep

        return upkeep.addresses(self)

    def check(
        self,
        *,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        quarantine: bool = False,
        resume: str | os.PathLike[str] | None = None,
    ) -> Iterator[verification.Finding]:
        """Verify every artifact: key from identity, digests of payload and lineage, signature if there is a key.

        Yields what was found of each, lazily. Nothing is changed unless ``quarantine`` is set.

        Args:
            workers: threads that read at a time; by default one more than there are processors, 8 at most.
            progress: called after each artifact with how many were verified and how many bytes their payloads have.
            quarantine: whether damaged artifacts are moved to quarantine. A damaged lineage does not spoil a payload.
            resume: a file, outside of the store, in which to note what was found whole. A verification that was
                interrupted goes on from there; one that comes to its end removes it.

        Raises:
            ValueError: ``resume`` lies within the store, or is a file that holds something else.
        """
        from persistable import verification

        return verification.check(self, workers=workers, progress=progress, quarantine=quarantine, resume=resume)

    def sweep(self, *, grace: float = _DAY, quarantined: float = 30 * _DAY, dry_run: bool = False) -> upkeep.Swept:
        """Delete what dead processes left behind and no record names, once it is ``grace`` seconds old.

        ``dry_run`` deletes nothing and returns what would be. What is in quarantine goes after ``quarantined`` seconds.
        On a remote storage nobody can tell whether a writer is alive, so there ``grace`` has to be longer than any
        upload takes.

        Raises:
            ValueError: one of the ages is negative, or no number.
        """
        from persistable import upkeep

        for name, age in (("grace", grace), ("quarantined", quarantined)):
            if not age >= 0:  # which nan is not
                raise ValueError(f"{name}={age!r}: give seconds, at least 0")
        return upkeep.sweep(self, grace, quarantined, dry_run=dry_run)


def _registry(registry: object) -> Registry:
    from persistable.registry import Registry

    if not isinstance(registry, Registry):
        raise TypeError(f"registry={registry!r}: give a Registry, such as Registry(prefer={{…}})")
    return registry


_trust = functools.lru_cache(maxsize=16)(Trust)

_shared = functools.lru_cache(maxsize=64)(lambda path, _: ArtifactStore(path))


def store_at(data_dir: str | os.PathLike[str]) -> ArtifactStore:
    """Return the store of a place that was given without settings.

    All who name the same absolute path while the environment says the same share it: for a tiny payload, making a store
    would cost as much as loading.
    """
    try:
        path: object = os.fspath(data_dir)
    except TypeError:
        path = None
    if type(path) is not str or not (path.startswith("/") or is_url(path)):
        return ArtifactStore(data_dir)
    return _shared(path, environment())
