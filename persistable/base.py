"""Persistable, the life cycle of a payload: generate, validate, persist, load. How each is done is said elsewhere."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NoReturn, TypeVar, cast, get_origin

from persistable import notice
from persistable.address import Address
from persistable.display import printable
from persistable.exceptions import (
    CorruptArtifactWarning,
    ExplainedNotImplementedError,
    FormatError,
    InvalidPayloadWarning,
    MissingArtifactError,
    NoPayloadError,
    ParamsChangedError,
    RecursiveGenerationError,
    UnkeyableParamError,
)
from persistable.identity import Identity, identify, indented, lineage_text
from persistable.io import FileIO, PayloadT
from persistable.naming import slug
from persistable.outcome import Damaged, Loaded, Missing
from persistable.params import PersistableParams, Snapshot, snapshot
from persistable.payload_type import concrete, declared
from persistable.provenance import Origin, provenance
from persistable.record import Record, members
from persistable.roles import Dependencies, by_role
from persistable.store import ArtifactStore, store_at

if TYPE_CHECKING:
    from logging import Logger
    from pathlib import Path

    from persistable.lock import Lock

__all__ = ["ParamsT", "Persistable"]

ParamsT = TypeVar("ParamsT", bound=PersistableParams)
globals().update(PayloadTypeT=PayloadT, PersistableParamsT=ParamsT)  # the names that 1.x code imports


class _NoPayload:
    """The mark of a payload that is not in memory; None is a payload."""

    def __repr__(self) -> str:
        return "no payload"


_NO_PAYLOAD: Final = _NoPayload()
_INFO: Final = 20  # logging.INFO; logging is imported on first use

_STRIDE = 32  # levels of upstream that a pickle recurses at a time
_LEFT_BEHIND = tuple(  # when a Persistable is pickled or copied
    f"_Persistable__{name}"
    for name in ("payload", "record", "used", "logger", "identity", "snapshot", "left", "address")
)


@functools.lru_cache(maxsize=1024)
def _snake_case(name: str) -> str:
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()


@functools.lru_cache(maxsize=1024)
def _logger(folder: str, verbose: bool) -> Logger:
    from persistable.logging import payload_logger  # on first use, as everything that a key does without

    return payload_logger(folder, verbose=verbose)


class Persistable(Generic[PayloadT, ParamsT]):
    """A payload that is generated from params, persisted under their key, and loaded instead of generated again.

    Subclass it with the types of payload and params, and define ``_generate_payload``::

        class PointsP(Persistable[NDArray[np.float64], PointsParams]):
            def _generate_payload(self, **untracked: Any) -> NDArray[np.float64]:
                return np.random.default_rng(self.params.seed).random(self.params.n)

        points = PointsP(Path("data"), PointsParams(n=100)).payload

    The key is taken at construction, from the payload name, the class's ``version``, the params and the keys of the
    dependencies. Nothing on disk is touched until a payload is asked for.

    Class attributes:
        version: raise it when the algorithm changes; it is part of the key.
        formerly: import paths (``"old.module:Class"``) under which the class used to write, before it moved and
            changed.
        payload_io: the default of the argument.

    Args:
        data_dir: a folder, a URL, or an ``ArtifactStore`` with settings.
        params: what defines the payload, upstream excluded.
        tracked_persistable_dependencies: the Persistables that this one is computed from. An iterable, whose order
            counts, gives them their payload names as roles (``name[0]``, ``name[1]`` where shared); a mapping gives the
            roles itself.
        payload_name: by default the class's name in snake_case. Part of the key.
        payload_io: how to save: a FileIO (instance or class) or the name of a format; by default chosen by the
            payload's type. Loading follows the record.
        payload_file_suffix: in place of the format's suffix.
        verbose: report on stderr at INFO.
        logger: report there instead.

    Raises:
        UnkeyableParamError: a param has no encoding.
        ValueError: a name, role or suffix cannot be used.
        TypeError: an argument is of another type than it says.
    """

    version: ClassVar[str] = "0"
    formerly: ClassVar[tuple[str, ...]] = ()
    payload_name: str

    # What is ours alone has two underscores: Python then puts the class before the name, so that subclasses, those of
    # 1.x among them, may give their attributes and methods any other name.

    __declared_io: ClassVar[FileIO[Any] | type[FileIO[Any]] | str | None] = None

    __declared_payload: ClassVar[Any] = PayloadT  # type: ignore[misc]  # as written between brackets
    __payload_type: ClassVar[type | None] = None  # what payloads are instances of, as far as that tells their format

    # what an object starts with, until it has something of its own
    __dependencies: tuple[tuple[str, Persistable[Any, Any]], ...] = ()
    __depth: int = 1  # levels of Persistables: itself and all upstream
    __file_suffix: str | None = None
    __logger: Logger | None = None
    __used: FileIO[Any] | None = None
    __payload: PayloadT | _NoPayload = _NO_PAYLOAD
    __record: Record | None = None
    __seconds: float | None = None
    __left: Snapshot | None = None  # how a generation left its own params, if it changed them

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in vars(cls).get("__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Persistable):
                cls.__declared_payload = declared(base, origin.__declared_payload)
                cls.__payload_type = concrete(cls.__declared_payload)

    @classmethod
    def __adopt_payload_io(cls) -> None:
        """Take a class attribute ``payload_io`` for the default, and put the property back in its place."""
        given = cls.payload_io
        if not isinstance(given, property):
            cls.__declared_io = given
            cls.payload_io = vars(Persistable)["payload_io"]

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | ArtifactStore,
        params: ParamsT,
        tracked_persistable_dependencies: Iterable[Persistable[Any, Any]]
        | Mapping[str, Persistable[Any, Any]]
        | None = None,
        *,
        payload_name: str | None = None,
        payload_io: FileIO[PayloadT] | type[FileIO[PayloadT]] | str | None = None,
        payload_file_suffix: str | None = None,
        verbose: bool = False,
        logger: Logger | None = None,
    ) -> None:
        cls = type(self)
        self.__data_dir = data_dir
        self.__store = data_dir if isinstance(data_dir, ArtifactStore) else store_at(data_dir)
        if payload_name is None:
            payload_name = getattr(cls, "payload_name", None)
        self.payload_name = _snake_case(cls.__name__) if payload_name is None else payload_name
        self.__folder = slug(self.payload_name)
        if cls.payload_io is not Persistable.payload_io:  # set on the class, or on a mixin
            self.__adopt_payload_io()
        if payload_io is None:
            payload_io = self.__declared_io
        if payload_file_suffix is not None:
            self.__file_suffix = _suffix(payload_file_suffix)
        self.__injected = None if payload_io is None else _file_io(payload_io, self.__file_suffix)
        self.verbose = verbose
        if logger is not None:
            self.__logger = logger
        if tracked_persistable_dependencies is not None:
            self.__dependencies = by_role(
                tracked_persistable_dependencies, cast("type[Persistable[Any, Any]]", Persistable)
            )
            self.__depth = 1 + max([dependency.__depth for _, dependency in self.__dependencies], default=0)
        self.__take_identity(params)

    def __take_identity(self, params: ParamsT) -> None:
        name, version = self.payload_name, self.version
        if type(version) is not str:
            raise TypeError(f"{type(self).__qualname__}.version = {version!r}: give a str")
        if isinstance(self.formerly, str):
            raise TypeError(f"{type(self).__qualname__}.formerly = {self.formerly!r}: give a tuple, with a comma")
        taken = snapshot(params, extend=self.__param_encoder)
        identity = identify(name, version, taken.parts, self.__upstream(params) if self.__dependencies else ())
        self.__params, self.__snapshot, self.__identity = params, taken, identity
        self.__address = Address(name, self.__folder, identity.key)

    def __upstream(self, params: ParamsT) -> tuple[tuple[str, Identity], ...]:
        """Return the dependencies' identities by role."""
        for role, _ in self.__dependencies:
            if role in getattr(params, "__dataclass_fields__", ()) or role in getattr(params, "__dict__", ()):
                raise ValueError(
                    f"the dependency role {role!r} of {self.payload_name!r} is also the name of a param: give the "
                    "dependencies as a mapping with other roles"
                )
        return tuple([(role, dependency.__identity) for role, dependency in self.__dependencies])

    def __param_encoder(self, cls: type) -> Any:
        return self.__store.registry.param_encoder(cls)

    # -- what it is

    @property
    def params(self) -> ParamsT:
        """The params. Assigning others starts anew: another key, no payload in memory."""
        return self.__params

    @params.setter
    def params(self, params: ParamsT) -> None:
        self.__take_identity(params)
        self.__payload, self.__record, self.__seconds, self.__left = _NO_PAYLOAD, None, None, None

    @property
    def data_dir(self) -> str | os.PathLike[str] | ArtifactStore:
        """Where artifacts are, as it was given; ``store`` has it with all settings. Assigning moves on to another."""
        return self.__data_dir

    @data_dir.setter
    def data_dir(self, data_dir: str | os.PathLike[str] | ArtifactStore) -> None:
        self.__store = data_dir if isinstance(data_dir, ArtifactStore) else store_at(data_dir)
        self.__data_dir = data_dir
        self.__record = None

    @property
    def store(self) -> ArtifactStore:
        """The store behind ``data_dir``. Assigning an ArtifactStore moves on to it."""
        return self.__store

    @store.setter
    def store(self, store: ArtifactStore) -> None:
        if not isinstance(store, ArtifactStore):
            raise TypeError(
                f"{type(self).__qualname__}.store is where the artifacts are, and no place for a "
                f"{type(store).__qualname__}: give that attribute another name"
            )
        self.data_dir = store

    @property
    def payload_file_suffix(self) -> str | None:
        """The suffix in place of the format's own, if there is one."""
        return self.__file_suffix

    @payload_file_suffix.setter
    def payload_file_suffix(self, suffix: str | None) -> None:
        if suffix is None:
            _file_io(self.__injected, None)  # whose own one is used from now on
        self.__file_suffix = None if suffix is None else _suffix(suffix)

    @property
    def key(self) -> str:
        """The key: 32 hex characters."""
        return self.__identity.key

    @property
    def persist_hash(self) -> str:
        """The key, by its 1.x name."""
        return self.__identity.key

    @property
    def tracked_persistable_dependencies(self) -> Dependencies[Persistable[Any, Any]]:
        """The dependencies: a tuple in the order that counts for the key, and each by its role."""
        return Dependencies(self.__dependencies)

    @property
    def params_tree(self) -> dict[str, Any]:
        """The params, and those of everything upstream by role. For people: the key does not depend on it.

        A node that several others share is the same dict in all places.
        """
        trees: dict[int, dict[str, Any]] = {}
        waiting: list[Persistable[Any, Any]] = [self]
        while waiting:
            node = waiting[-1]
            missing = [dependency for _, dependency in node.__dependencies if id(dependency) not in trees]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            trees[id(node)] = node.__params.to_dict() | {
                role: trees[id(dependency)] for role, dependency in node.__dependencies
            }
        return trees[id(self)]

    @property
    def record(self) -> Record:
        """The record of the artifact: the one that was last loaded or persisted here, else the one that is stored.

        Raises:
            MissingArtifactError: nothing is stored.
            CorruptArtifactError: the record is damaged.
        """
        if self.__record is not None:
            return self.__record
        found = self.__store.find(self.__address)
        if found is None:
            self.__raise_missing()
        return found

    @property
    def persist_filepath(self) -> Path:
        """The local path of the committed payload, or of its folder; in the cache if it is remote.

        Raises:
            MissingArtifactError: nothing is stored.
            CorruptArtifactError: the record is damaged.
        """
        found = self.__store.find(self.__address)
        if found is None:
            self.__raise_missing()
        from pathlib import Path

        return Path(self.__store.local_path(self.__address, found))

    @property
    def logger(self) -> Logger:
        """Where this payload reports: the logger that was given, else a child of ``persistable``."""
        if self.__logger is None:
            self.__logger = _logger(self.__folder, self.verbose)
        return self.__logger

    @property
    def __shown(self) -> str:
        """The payload name, as logs show it."""
        return printable(self.payload_name)

    if TYPE_CHECKING:
        # declared loosely, because subclasses may set a class or a name here
        payload_io: Any
    else:

        @property
        def payload_io(self) -> FileIO[Any] | str | None:
            """The injected FileIO, else the one that was last used, else None. Assigning injects another one."""
            return self.__used if self.__injected is None or isinstance(self.__injected, str) else self.__injected

        @payload_io.setter
        def payload_io(self, payload_io: FileIO[Any] | type[FileIO[Any]] | str | None) -> None:
            self.__injected, self.__used = _file_io(payload_io, self.__file_suffix), None

    # -- the life cycle

    @property
    def payload(self) -> PayloadT:
        """The payload: from memory, else loaded, else generated; see ``load_generate``."""
        if self.__payload is _NO_PAYLOAD:
            self.load_generate()
        return cast("PayloadT", self.__payload)

    def load_generate(
        self, *, persist: bool = True, warn_if_validation_fails: bool = False, **untracked_payload_params: Any
    ) -> None:
        """Load the payload; if there is none, or only a damaged one, generate and persist it.

        However many processes and threads miss the same key at a time, one generates and the others load what it
        committed. A damaged artifact is moved to quarantine with a CorruptArtifactWarning. With ``persist=False`` what
        is generated stays in memory, and the store is left as it is.

        Raises:
            PermissionError: there is none and the store cannot be written to; nothing is generated.
            RecursiveGenerationError: called within the generation of the same payload.
            LockTimeoutError: somebody else has been generating it for longer than ``lock_timeout``.
            ForeignArtifactError, RecordSchemaError, UntrustedArtifactError, FormatError, OSError: see ``load``.
        """
        self.__check_unchanged()
        outcome = self.__look()
        if not persist and not isinstance(outcome, Loaded):
            self.generate(persist=False, **untracked_payload_params)
            return
        loaded = outcome if isinstance(outcome, Loaded) else self.__generate_once(untracked_payload_params)
        if loaded is None:
            self._post_generate(**untracked_payload_params)
            return
        self.__serve(loaded, warn=warn_if_validation_fails)
        self._post_load(**untracked_payload_params)

    def __generate_once(self, untracked: dict[str, Any]) -> Loaded | None:
        """Generate and persist under the lock of the key, unless somebody else has done so meanwhile."""
        self.__check_recursion()
        store, address = self.__store, self.__address
        with store.generating(address, self.logger) as lock:
            outcome = self.__look() if store.may_hold(address) else None
            while isinstance(outcome, Damaged) and not store.quarantine(address, outcome):
                outcome = self.__look()  # it was replaced meanwhile
            if isinstance(outcome, Loaded):
                return outcome
            store.registry.notify("missed", address.name, address.key)
            if isinstance(outcome, Damaged):
                reason = {"path": outcome.path, "reason": outcome.reason}
                store.registry.notify("quarantined", address.name, address.key, **reason)
                found = printable(f"{outcome.path} {outcome.reason}")
                message = f"{found}: moved to quarantine, {self.payload_name!r} is generated again"
                notice.warn(message, CorruptArtifactWarning)
                self.logger.warning(message)
            store.foresee(address, self.__payload_type, self.__injected)
            self.__compute(untracked, persisting=True)
            self.__commit(beside=lock)
        return None

    def generate(self, persist: bool = True, **untracked_payload_params: Any) -> None:
        """Generate the payload, whatever is stored, and by default persist it; the last commit of a key wins.

        If persisting fails, the payload stays in memory and ``persist`` can be tried again.

        Raises:
            PermissionError, ForeignArtifactError, RecordSchemaError: it could not be persisted; raised before
                generating.
        """
        self.__check_unchanged()
        self.__check_recursion()
        if persist:
            self.__store.prepare(self.__address, self.__origin)
            self.__store.foresee(self.__address, self.__payload_type, self.__injected)
        self.__compute(untracked_payload_params, persisting=persist)
        if persist:
            self.__commit()
        self._post_generate(**untracked_payload_params)

    def persist(self) -> None:
        """Persist the payload that is in memory.

        Raises:
            NoPayloadError: there is none.
            FidelityError: its format would not give it back equal.
            OSError: as the file system raised it; a SaveError if the format failed.
        """
        if self.__payload is _NO_PAYLOAD:
            raise NoPayloadError(f"{self.payload_name!r} has no payload to persist: generate() or load() it first")
        if _is_read_once(self.__payload) and not _is_unread(self.__payload):
            self.__payload = _NO_PAYLOAD
            raise NoPayloadError(
                f"{self.payload_name!r} can be read only once, and may have been, in part at least: "
                "generate() and persist it in one go"
            )
        self.__check_unchanged(generated=True)
        self.__commit()

    def load(self, warn_if_validation_fails: bool = False, **untracked_payload_params: Any) -> None:
        """Load the payload, verified against its record.

        Raises:
            MissingArtifactError: nothing is stored.
            CorruptArtifactError: what is stored is damaged.
            ForeignArtifactError: another class wrote it.
            RecordSchemaError: a newer persistable wrote it.
            UntrustedArtifactError: it could run code that somebody else wrote.
            FormatError: its format is unknown, not installed or broken.
            Exception: of ``_validate_payload``, with a note (``warn_if_validation_fails`` makes it an
                InvalidPayloadWarning); of the format or the payload's own code.
        """
        self.__check_unchanged()
        outcome = self.__look()
        self.__serve(outcome if type(outcome) is Loaded else self.__found(outcome), warn=warn_if_validation_fails)
        self._post_load(**untracked_payload_params)

    def validate_payload(self, payload: PayloadT | _NoPayload = _NO_PAYLOAD) -> None:
        """Validate a payload, by default the one in memory.

        Raises:
            NoPayloadError: there is none.
            Exception: of ``_validate_payload``.
        """
        checked = self.__payload if payload is _NO_PAYLOAD else payload
        if checked is _NO_PAYLOAD:
            raise NoPayloadError(f"{self.payload_name!r} has no payload to validate: generate() or load() it first")
        self._validate_payload(cast("PayloadT", checked))

    def reset_payload(self) -> None:
        """Forget the payload that is in memory; what is stored stays."""
        self.__payload = _NO_PAYLOAD

    def report_progress(self, done: float, total: float | None = None) -> None:
        """Tell observers, from within ``_generate_payload``, how far it is; ``total`` where it is known."""
        self.__store.registry.notify("progress", self.payload_name, self.key, done=done, total=total)

    # -- for subclasses to define

    def _generate_payload(self, **untracked_payload_params: Any) -> PayloadT:  # noqa: ARG002 - for subclasses
        """Compute and return the payload from ``self.params`` and the dependencies' payloads.

        ``untracked_payload_params`` are passed through from the caller; they must not change the payload, since they
        are not in the key.
        """
        raise ExplainedNotImplementedError(f"{type(self).__qualname__}._generate_payload")

    def _validate_payload(self, payload: PayloadT) -> None:
        """Raise any exception if the payload is not valid. Called after generating and after loading."""

    def _post_generate(self, **untracked_payload_params: Any) -> None:
        """Do what is left to do after generating (and persisting)."""

    def _post_load(self, **untracked_payload_params: Any) -> None:
        """Do what is left to do after loading, such as restoring what cannot be persisted."""

    # -- how

    @property
    def __origin(self) -> Origin:
        return Origin(type(self), Persistable, self.formerly)

    def __look(self) -> Loaded | Missing | Damaged:
        origin = Origin(type(self), Persistable, self.formerly)
        return self.__store.look(self.__address, origin, self.__injected)

    def __found(self, outcome: Loaded | Missing | Damaged) -> Loaded:
        if isinstance(outcome, Missing):
            self.__raise_missing()
        if isinstance(outcome, Damaged):
            raise outcome.error(self.__address)
        return outcome

    def __raise_missing(self) -> NoReturn:
        path = self.__store.storage.locate(self.__address.record)
        raise MissingArtifactError(name=self.payload_name, key=self.key, path=path)

    def __serve(self, loaded: Loaded, *, warn: bool) -> None:
        """Validate what was loaded and make it the payload."""
        try:
            self._validate_payload(loaded.payload)
        except Exception as error:
            if not warn:
                text = f"the stored payload {self.payload_name!r} (key {self.key}) is not valid; generate() anew"
                notice.note(error, text)
                raise
            message = f"loaded payload {self.payload_name!r} is not valid (it may need to be generated anew): {error}"
            notice.warn(message, InvalidPayloadWarning)
            self.logger.warning(message, exc_info=error)
        payload = loaded.payload
        if type(self)._validate_payload is not Persistable._validate_payload and isinstance(payload, Iterator):
            payload = self.__found(self.__look()).payload  # validating has read what can be read only once
        self.__payload, self.__record, self.__used = payload, loaded.record, loaded.file_io
        self.__seconds = None  # it was not generated here
        logger = self.logger
        if logger.isEnabledFor(_INFO):
            logger.info("loaded %s from %s", self.__shown, printable(loaded.record.main_path))
        registry = self.__store.registry
        if registry.is_observed:  # a hit alone does not look for plugins
            registry.notify("loaded", self.payload_name, self.key, record=loaded.record)

    def __accept(self, payload: PayloadT) -> None:
        """Validate the loaded form of a payload that could be read only once, before it is committed."""
        try:
            self._validate_payload(payload)
        except Exception as error:
            self.__store.reject(self.__address, payload, error)
            raise

    def __compute(self, untracked: dict[str, Any], *, persisting: bool) -> None:
        """Generate and validate the payload; keep it in memory."""
        logger, store, address = self.logger, self.__store, self.__address
        if logger.isEnabledFor(_INFO):
            logger.info("generating %s (key %s)", self.__shown, address.key)
        registry = store.registry
        registry.notify("started", address.name, address.key)
        generation = _generation()
        payload, seconds = generation.within(
            generation.Generation(address.key, store.location),
            lambda: self.__generated(untracked, persisting=persisting),
        )
        self.__payload = payload
        if logger.isEnabledFor(_INFO):
            logger.info("generated %s in %.3g s", self.__shown, seconds)
        if persisting:
            store.note("generated", address, f"in {seconds:.3g} s")
        registry.notify("generated", address.name, address.key, seconds=seconds)

    def __generated(self, untracked: dict[str, Any], *, persisting: bool) -> tuple[PayloadT, float]:
        """Generate and validate a payload; return it, and the seconds it took to generate."""
        started = time.perf_counter()
        try:
            payload = self._generate_payload(**untracked)
        except Exception as error:
            notice.note(error, f"raised while generating {self.payload_name!r} (key {self.__address.key})")
            raise
        self.__seconds = seconds = time.perf_counter() - started
        self.__remember_own_changes()
        if not _is_read_once(payload):  # else it is validated as it comes back
            try:
                self._validate_payload(payload)
            except Exception as error:
                if persisting:
                    self.__store.reject(self.__address, payload, error)
                raise
        return payload, seconds

    def __remember_own_changes(self) -> None:
        """Note params that the generation changed: the payload is a function of what they were, as the key says."""
        try:
            changed = self.__snapshot.difference(self.__params, extend=self.__param_encoder)
            if changed is not None:
                self.logger.warning("%s of %s was changed by its own generation", printable(changed), self.__shown)
                self.__left = snapshot(self.__params, extend=self.__param_encoder)
        except (UnkeyableParamError, OSError) as error:  # the work is done, and is not to be lost over this
            self.logger.warning("the generation of %s left params that have no key: %s", self.__shown, printable(error))

    def __commit(self, beside: Lock | None = None) -> None:
        """Commit the payload; ``beside`` is the lock under which it was generated."""
        store, address, payload = self.__store, self.__address, self.__payload
        origin, seconds, record = self.__origin, self.__seconds, self.__record
        once = _is_read_once(payload)
        validated = once and type(self)._validate_payload is not Persistable._validate_payload
        from persistable.commit import Draft  # on first use, as everything that a hit does without

        draft = Draft(
            origin=origin,
            identity=indented(self.__identity),
            untracked_params=(self.__left or self.__snapshot).untracked(self.__params),
            lineage=lineage_text(self.__identity).encode() if self.__dependencies else None,
            # of a payload that was loaded, what its record says
            provenance=provenance(origin, seconds, payload)
            if seconds is not None or record is None
            else members(record.provenance),
            suffix=self.__file_suffix,
            accept=self.__accept if validated else None,
        )
        registry = store.registry
        choices = registry.for_saving(payload, self.__injected)
        try:
            committed = store.persist(address, payload, draft, choices, beside)
        except BaseException as error:
            if isinstance(error, FormatError):
                store.reject(address, payload, error)
            if once and not _is_unread(payload):  # what is left must not be persisted as if it were all
                self.__payload = _NO_PAYLOAD
                notice.note(error, f"{self.payload_name!r} can be read only once, and has been: generate it again")
            raise
        self.__record, self.__used = committed.record, committed.file_io
        if once:  # the loaded form, from where it is now
            self.__payload = self.__found(self.__look()).payload
        logger = self.logger
        if logger.isEnabledFor(_INFO):
            logger.info("persisted %s to %s", self.__shown, committed.record.main_path)
        registry.notify("persisted", address.name, address.key, record=committed.record)

    def __check_recursion(self) -> None:
        generation = _generation()
        if generation.is_within(generation.Generation(self.__address.key, self.__store.location)):
            raise RecursiveGenerationError(name=self.payload_name, key=self.key)

    def __check_unchanged(self, *, generated: bool = False) -> None:
        """Raise ParamsChangedError if the key no longer says what would be computed, or (``generated``) what was."""
        path = self.__difference(generated) if self.__dependencies else self.__own_difference(generated)
        if path is not None:
            raise ParamsChangedError(name=self.payload_name, key=self.key, path=path)

    def __difference(self, generated: bool) -> str | None:
        """Say what changed since the key was taken, here or upstream; None if nothing did."""
        seen: set[int] = set()
        waiting: list[tuple[str, Persistable[Any, Any]]] = [("", self)]
        while waiting:
            prefix, node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            path = node.__own_difference(generated)
            if path is not None:
                return prefix + path
            for (role, dependency), (_, identity) in zip(
                node.__dependencies, node.__identity.dependencies, strict=True
            ):
                if dependency.__identity is not identity:
                    return f"{prefix}{role}.params"
                waiting.append((f"{prefix}{role}.", dependency))
        return None

    def __own_difference(self, generated: bool) -> str | None:
        if self.payload_name != self.__identity.name:
            return "payload_name"
        if self.version != self.__identity.version:
            return "version"
        path = self.__snapshot.difference(self.__params, extend=self.__param_encoder)
        if path is not None and generated and self.__left is not None:
            return self.__left.difference(self.__params, extend=self.__param_encoder)
        return path

    # -- copies and looks

    def __reduce_ex__(self, protocol: Any) -> Any:
        reduced = super().__reduce_ex__(protocol)
        if self.__depth % _STRIDE:
            return reduced
        # of a long chain, every so many levels first what is that far upstream: pickle and deepcopy recurse no deeper
        landings = sorted(self.__upstream_landings(), key=lambda node: node.__depth)
        return _new_after, (landings, type(self)), reduced[2]

    def __upstream_landings(self) -> list[Persistable[Any, Any]]:
        found: dict[int, Persistable[Any, Any]] = {}
        waiting: list[Persistable[Any, Any]] = [self]
        while waiting:
            for _, node in waiting.pop().__dependencies:
                if id(node) not in found:
                    found[id(node)] = node
                    waiting.append(node)
        return [node for node in found.values() if node.__depth % _STRIDE == 0]

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in _LEFT_BEHIND:
            state.pop(name, None)
        return state | {"key": self.key}

    def __setstate__(self, state: dict[str, Any]) -> None:
        key = state.pop("key")
        self.__dict__.update(state)
        self.__take_identity(self.__params)
        if self.key != key:
            raise ParamsChangedError(name=self.payload_name, key=key, path="what the pickle holds")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__params!r}, key={self.key})"

    def _repr_html_(self) -> str:
        import html

        upstream = ", ".join(f"{role} {dependency.key}" for role, dependency in self.__dependencies) or "none"
        rows = {
            "params": repr(self.__params),
            "dependencies": upstream,
            "key": self.key,
            "store": repr(self.store),
            "payload": "not in memory"
            if self.__payload is _NO_PAYLOAD
            else f"in memory: {type(self.__payload).__name__}",
        }
        body = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td>{html.escape(value)}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table><caption>{html.escape(self.payload_name)}</caption>{body}</table>"


def _new_after(_: list[Persistable[Any, Any]], cls: type[Persistable[Any, Any]]) -> Persistable[Any, Any]:
    """Make the object whose state pickle sets next; what it is made after was restored by then."""
    return cls.__new__(cls)


@functools.cache
def _generation() -> Any:
    """Import what a hit does without; an import in a function takes longer than this when it was done before."""
    from persistable import generation

    return generation


def _is_read_once(payload: object) -> bool:
    # asking for the method first spares most types the question to an abstract class, which costs five times as much
    return hasattr(type(payload), "__next__") and isinstance(payload, Iterator)


def _is_unread(payload: object) -> bool:
    """Whether it is certain that nothing has been taken from an iterator; only a generator tells."""
    import inspect

    return isinstance(payload, GeneratorType) and inspect.getgeneratorstate(payload) == inspect.GEN_CREATED


def _file_io(payload_io: Any, suffix: str | None) -> FileIO[Any] | str | None:
    """Return what is to be injected; ``suffix`` is used in place of its own, if given."""
    if payload_io is None or isinstance(payload_io, str):
        return payload_io
    if isinstance(payload_io, type) and issubclass(payload_io, FileIO):
        payload_io = payload_io()
    if isinstance(payload_io, FileIO):
        if suffix is None:
            _suffix(payload_io.suffix, f"{type(payload_io).__qualname__}.suffix")
        return payload_io
    raise TypeError(f"payload_io={payload_io!r}: give a FileIO (instance or class) or the name of a format")


def _suffix(suffix: object, what: str = "payload_file_suffix") -> str:
    # the longest leaves room in the 255 bytes of a file name for key and marks
    if isinstance(suffix, str) and len(suffix) <= 100 and re.fullmatch(r"(\.[A-Za-z0-9_+-]+)*", suffix):
        return suffix
    raise ValueError(f"{what}={suffix!r}: give letters and digits after a dot, such as '.model.pickle', 100 at most")
