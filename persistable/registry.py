"""Choosing formats: by name, by the record, by the payload's type; and saying why.

Nothing here imports a payload library: a type is matched by looking its public name up in ``sys.modules``, because a
library that is not imported cannot have made the payload. Plugins are looked for at the first question that the core's
own formats cannot answer.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from persistable import discovery
from persistable.discovery import Plugin
from persistable.exceptions import (
    AmbiguousFormatError,
    BrokenPluginError,
    FormatError,
    FormatNotInstalledError,
    PluginWarning,
    UnknownFormatError,
)
from persistable.io import FileIO, format_name
from persistable.specs import Event, FormatSpec
from persistable.version import __version__

__all__ = ["Choice", "PluginFailure", "Ranked", "Registry", "default_registry"]

# What the first-party distributions bring: for install hints, and because only they can be a type's default.
# format: (distribution, types of which it is the default)
FIRST_PARTY: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "npy": ("persistable-numpy", ("numpy.ndarray",)),
    "npz": ("persistable-numpy", ()),
    "parquet": ("persistable-arrow", ("pandas.DataFrame", "pyarrow.Table", "polars.DataFrame")),
    "csv": ("persistable-arrow", ()),
    "feather": ("persistable-arrow", ()),
    "avro": ("persistable-avro", ()),
}
_ENCODES = {"pandas": "persistable-arrow", "pyarrow": "persistable-arrow", "polars": "persistable-arrow"}

_CORE = "persistable"


class PluginFailure(NamedTuple):
    """A plugin that does not work: its entry point, its distribution and version, and why."""

    name: str
    distribution: str
    version: str
    error: Exception


class Choice(NamedTuple):
    """A format and why it was chosen.

    Attributes:
        format: its name, as recorded.
        distribution: name and version of the distribution that brings it; None for an injected FileIO of the user's.
        executes_code: whether loading can run code that the file brings.
        reason: why this one, in words for the record.
        by_type: whether it was chosen by the payload's type, so that another one may be asked if it declines.
    """

    format: str
    distribution: str | None
    executes_code: bool
    reason: str
    by_type: bool
    injected: FileIO[Any] | None
    plugin: Plugin | None
    spec: FormatSpec | None

    def file_io(self) -> FileIO[Any]:
        """Return the FileIO: the injected one, or a new one of the format's class, imported now.

        Raises:
            BrokenPluginError: it cannot be imported; the cause is chained.
        """
        if self.injected is not None:
            return self.injected
        assert self.spec is not None
        assert self.plugin is not None
        try:
            found = discovery.load_object(self.spec.io)()
            if not isinstance(found, FileIO):
                raise TypeError(f"{self.spec.io} is not a FileIO")
        except Exception as error:
            raise _broken(self.format, self.plugin, error) from error
        return found


class Ranked(NamedTuple):
    """A row of ``Registry.explain``: a format, its origin, its rank from 1 (None: out of the question), and why."""

    format: str
    distribution: str
    rank: int | None
    reason: str


def _broken(format: str, plugin: Plugin, error: Exception) -> BrokenPluginError:
    return BrokenPluginError(
        format=format, plugin=plugin.name, distribution=plugin.label, reason=f"{type(error).__name__}: {error}"
    )


class Registry:
    """The formats, param encoders and storages that are known.

    Args:
        prefer: formats to use for types among equals, ``{"pandas.DataFrame": "feather"}``.
        discover: whether to look for installed plugins; without, only the core's formats and ``add``.
        disabled: entry points or distributions not to load, ``"*"`` for all; ``PERSISTABLE_DISABLE_PLUGINS=a,b``.
        strict: whether a payload whose format's plugin is missing or broken is an error instead of a pickle with a
            warning; ``PERSISTABLE_STRICT_PLUGINS=1``.
    """

    def __init__(
        self,
        *,
        prefer: Mapping[str, str] | None = None,
        discover: bool = True,
        disabled: Collection[str] | None = None,
        strict: bool | None = None,
    ) -> None:
        self._prefer = dict(prefer or {})
        self._discover = discover
        self._disabled = disabled
        self._strict = strict
        self._lock = threading.RLock()
        self._manager: Any = None
        self._plugins: list[Plugin] = []
        self._formats: dict[str, tuple[FormatSpec, Plugin]] = {}
        self._contested: dict[str, list[Plugin]] = {}
        self._rankings: weakref.WeakKeyDictionary[type, tuple[Ranked, ...]] = weakref.WeakKeyDictionary()
        self._observers: list[Any] = []
        self._complete = False
        self._warned: set[tuple[str, str]] = set()

    # -- plugins

    @property
    def strict(self) -> bool:
        """Whether a missing or broken plugin is an error rather than a pickle with a warning."""
        if self._strict is None:
            return os.environ.get("PERSISTABLE_STRICT_PLUGINS", "") not in ("", "0")
        return self._strict

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins, the core's own formats first; looks for them."""
        self._complete_once()
        return tuple(self._plugins)

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """The plugins that do not work; looks for them."""
        return tuple(
            PluginFailure(plugin.name, plugin.distribution, plugin.version, plugin.error)
            for plugin in self.plugins
            if plugin.error is not None
        )

    def add(self, hooks: object, *, name: str, distribution: str = "your own code", version: str = "0") -> Plugin:
        """Register a hooks module (or object) in code, as if it were installed; return its row."""
        with self._lock:
            self._start()
            plugin = discovery.register(self._manager, lambda: hooks, name, distribution, version)
            self._admit(plugin)
            return self._plugins[-1]

    def _start(self) -> None:
        if self._manager is None:
            from persistable import builtin

            self._manager = discovery.plugin_manager()
            self._admit(discovery.register(self._manager, lambda: builtin, _CORE, _CORE, __version__))

    def _complete_once(self) -> None:
        """Look for installed plugins, once."""
        if self._complete:
            return
        with self._lock:
            self._start()
            if self._complete:
                return
            if self._discover:
                disabled = self._disabled
                if disabled is None:
                    disabled = [name.strip() for name in os.environ.get("PERSISTABLE_DISABLE_PLUGINS", "").split(",")]
                found = list(discovery.discover(self._manager, disabled))
                # first-party names are taken before anybody else can
                for plugin in sorted(found, key=lambda plugin: not _is_first_party(plugin)):
                    self._admit(plugin)
            self._complete = True

    def _admit(self, plugin: Plugin) -> None:
        """Take over a plugin's declarations, unless a name in them is somebody else's."""
        error = plugin.error
        if plugin.status == "loaded":
            for spec in plugin.formats:
                owner = FIRST_PARTY[spec.name][0] if spec.name in FIRST_PARTY else None
                standing = self._formats.get(spec.name)
                if owner is not None and plugin.distribution != owner:
                    error = ValueError(f"the format name {spec.name!r} belongs to {owner}")
                elif standing is not None and standing[1].distribution == _CORE:
                    error = ValueError(f"the format name {spec.name!r} belongs to the core")
                elif standing is not None and standing[1].distribution == plugin.distribution:
                    error = ValueError(f"the format name {spec.name!r} is declared twice")
                if error is not None:
                    break
        if error is not None and plugin.status == "loaded":
            plugin = Plugin(plugin.name, plugin.distribution, plugin.version, "failed", error)
        self._plugins.append(plugin)
        self._rankings.clear()
        if error is not None:
            warnings.warn(
                f"the plugin {plugin.name!r} of {plugin.label} does not work: {type(error).__name__}: {error}. "
                f"Repair or reinstall {plugin.distribution}, or switch it off: PERSISTABLE_DISABLE_PLUGINS={plugin.name}",
                PluginWarning,
                stacklevel=2,
            )
            return
        self._observers = self._manager.hook.persistable_event.get_hookimpls()
        for spec in plugin.formats:
            if spec.name in self._contested:
                self._contested[spec.name].append(plugin)
            elif spec.name in self._formats:
                self._contested[spec.name] = [self._formats.pop(spec.name)[1], plugin]
            else:
                self._formats[spec.name] = (spec, plugin)

    # -- formats by name

    def named(self, name: str, reason: str = "injected by name") -> Choice:
        """Return the format of a name.

        Raises:
            UnknownFormatError: nobody has heard of it.
            FormatNotInstalledError: it is a first-party format whose distribution is not installed.
            BrokenPluginError: its distribution is installed and does not work; the cause is chained.
            AmbiguousFormatError: two third parties claim the name.
        """
        if self._manager is None:
            self._start()
        if name not in self._formats:
            self._complete_once()
        if name in self._formats:
            spec, plugin = self._formats[name]
            return Choice(name, plugin.label, spec.executes_code, reason, False, None, plugin, spec)
        if name in self._contested:
            claims = self._contested[name]
            raise AmbiguousFormatError(
                format=name,
                subject=f"the format name {name!r}",
                candidates=[(name, plugin.label) for plugin in claims],
                repair=f"so neither has it. Switch one off: PERSISTABLE_DISABLE_PLUGINS={claims[0].name}",
            )
        if name in FIRST_PARTY:
            raise self._absent(name)
        error = UnknownFormatError(format=name, known=self._formats, suggestion=self._near(name))
        for failure in self.failures:
            error.add_note(f"the plugin {failure.name!r} of {failure.distribution} does not work: {failure.error}")
        raise error

    def _near(self, name: str) -> str | None:
        import difflib

        near = difflib.get_close_matches(name, {*self._formats, *FIRST_PARTY}, n=1)
        return near[0] if near else None

    def _absent(self, name: str) -> FormatError:
        """Return the error for a first-party format that is not there."""
        distribution = FIRST_PARTY[name][0]
        for plugin in self._plugins:
            if plugin.distribution == distribution and plugin.error is not None:
                error = _broken(name, plugin, plugin.error)
                error.__cause__ = plugin.error
                return error
            if plugin.distribution == distribution and plugin.status == "disabled":
                reason = "it is switched off by PERSISTABLE_DISABLE_PLUGINS"
                return BrokenPluginError(format=name, plugin=plugin.name, distribution=plugin.label, reason=reason)
        return FormatNotInstalledError(format=name, install=distribution)

    def injected(self, file_io: FileIO[Any] | str) -> Choice:
        """Return the choice of a user: a FileIO, or the name of a format."""
        if isinstance(file_io, str):
            return self.named(file_io)
        name = format_name(type(file_io))
        if name.startswith("custom:"):
            return Choice(name, None, True, "injected", False, file_io, None, None)
        try:
            registered = self.named(name, "injected")
        except FormatError:
            return Choice(name, None, True, "injected", False, file_io, None, None)
        return registered._replace(injected=file_io)

    def for_loading(self, name: str, injected: FileIO[Any] | str | None) -> Choice:
        """Return what reads a recorded format: the injected FileIO if it has that name, else the registered one."""
        if isinstance(injected, FileIO) and format_name(type(injected)) == name:
            return self.injected(injected)
        return self.named(name, "recorded")

    # -- formats by type

    def for_saving(self, payload: object, injected: FileIO[Any] | str | None) -> Iterator[Choice]:
        """Yield the formats to try for a payload, best first; an injected one is the only one.

        Raises:
            AmbiguousFormatError: several third parties claim the type with equal right.
            FormatNotInstalledError, BrokenPluginError: in strict mode, a plugin that would serve the type is not there.
            FormatError: the injected name is not available.
        """
        if injected is not None:
            yield self.injected(injected)
            return
        yield from self._for_type(type(payload))

    def foreseen(self, payload_type: type | None, injected: FileIO[Any] | str | None) -> Choice | None:
        """Return the format that will be tried first for payloads of a type; None if the type is not known.

        Raises what ``for_saving`` would raise, and imports the format, so that it is raised before generating.
        """
        if injected is None and payload_type is None:
            return None
        choices = iter([self.injected(injected)]) if injected is not None else self._for_type(payload_type or object)
        choice = next(choices)
        choice.file_io()
        return choice

    def _for_type(self, cls: type) -> Iterator[Choice]:
        ranking = self._ranking(cls)
        notes: list[str] = []
        for row in ranking:
            if row.rank is None or row.format == "pickle":
                continue
            choice = self.named(row.format, row.reason)._replace(by_type=True)
            try:
                choice.file_io()
            except BrokenPluginError as error:
                self._fall_back(cls, row.format, error)
                notes.append(str(error.reason))
                continue
            yield choice
        for absent in self._absentees(cls):
            self._fall_back(cls, absent.format, absent)
            notes.append(f"{absent.format} was not available")
        reason = "; ".join([*notes, "pickle takes anything"])
        yield self.named("pickle", reason)._replace(by_type=True)

    def _fall_back(self, cls: type, name: str, error: FormatError) -> None:
        """Warn that pickle is used in place of a format that is not there; in strict mode raise."""
        if self.strict:
            raise error
        mark = (f"{cls.__module__}.{cls.__qualname__}", name)
        if mark not in self._warned:
            self._warned.add(mark)
            warnings.warn(
                f"payloads of type {mark[0]} are persisted as pickle, because {error}. "
                "(payload_io='pickle' says that this is what you want)",
                PluginWarning,
                stacklevel=2,
            )

    def _absentees(self, cls: type) -> Iterator[FormatError]:
        """Yield an error for the first-party default of a type (or of its nearest base) that is not there."""
        for base in cls.__mro__:
            for name, (_, types) in FIRST_PARTY.items():
                if any(_resolve(declared) is base for declared in types):
                    if name not in self._formats:
                        yield self._absent(name)
                    return

    def explain(self, payload_type: type) -> tuple[Ranked, ...]:
        """Rank the formats for payloads of a type, those that are out of the question last, each with its reason."""
        rows = list(self._ranking(payload_type, ambiguous=True))
        rows += [
            Ranked(error.format, FIRST_PARTY[error.format][0], None, str(error))
            for error in self._absentees(payload_type)
        ]
        rank = 1 + sum(row.rank is not None for row in rows)
        rows.append(Ranked("pickle", f"{_CORE} {__version__}", rank, "pickle takes anything"))
        return tuple(sorted(rows, key=lambda row: row.rank or sys.maxsize))

    def _ranking(self, cls: type, *, ambiguous: bool = False) -> tuple[Ranked, ...]:
        """Rank the formats that claim a type or one of its bases; ``ambiguous`` ranks equals instead of raising."""
        if cls.__module__ == "builtins":
            self._start()
            return ()
        self._complete_once()
        ranking = self._rankings.get(cls)
        if ranking is None:
            ranking = tuple(self._ranked(cls, ambiguous=ambiguous))
            if not ambiguous:
                self._rankings[cls] = ranking
        return ranking

    def _ranked(self, cls: type, *, ambiguous: bool) -> Iterator[Ranked]:
        rank = 0
        for distance, base in enumerate(cls.__mro__[:-1]):
            claims = [
                (spec, plugin, declared)
                for spec, plugin in self._formats.values()
                for declared in spec.types
                if _resolve(declared) is base
            ]
            preferred = next((name for declared, name in self._prefer.items() if _resolve(declared) is base), None)
            if not claims and preferred is None:
                continue
            public = claims[0][2] if claims else f"{base.__module__}.{base.__qualname__}"
            near = "its type" if distance == 0 else f"its base {public}"
            if preferred is not None:
                rank += 1
                plugin_label = self.named(preferred).distribution or ""
                yield Ranked(preferred, plugin_label, rank, f"preferred for {near} by your settings")
            first_party = {declared for _, types in FIRST_PARTY.values() for declared in types}
            reserved = any(_resolve(declared) is base for declared in first_party)
            rivals: list[tuple[FormatSpec, Plugin]] = []
            for spec, plugin, declared in claims:
                if spec.name == preferred:
                    continue
                if declared in FIRST_PARTY.get(spec.name, ("", ()))[1] and _is_first_party(plugin):
                    rank += 1
                    yield Ranked(spec.name, plugin.label, rank, f"the default for {near} ({declared})")
                elif reserved:
                    ask = f"prefer={{{declared!r}: {spec.name!r}}}"
                    reason = f"claims {declared}, whose default is not open to plugins; ask for it by {ask}"
                    yield Ranked(spec.name, plugin.label, None, reason)
                else:
                    rivals.append((spec, plugin))
            if len(rivals) > 1 and not ambiguous and preferred is None:
                names = [(spec.name, plugin.label) for spec, plugin in rivals]
                raise AmbiguousFormatError(
                    format=names[0][0],
                    subject=f"the type {public}",
                    candidates=names,
                    repair=f"say which: Registry(prefer={{{public!r}: {names[0][0]!r}}}) for the store, or "
                    f"payload_io={names[0][0]!r}",
                )
            for spec, plugin in rivals:
                if preferred is not None:
                    yield Ranked(spec.name, plugin.label, None, f"claims {near} ({public}), another is preferred")
                    continue
                rank += 1
                only = "the only format for" if len(rivals) == 1 else "one of several formats for"
                yield Ranked(spec.name, plugin.label, rank, f"{only} {near} ({public})")

    # -- params and observers

    def param_encoder(self, cls: type) -> Any:
        """Return the encoder of a param type that the core has none for, or None."""
        from persistable.encoding import ParamEncoder

        self._complete_once()
        for plugin in self._plugins:
            for spec in plugin.encoders:
                if any(_resolve(declared) is cls for declared in spec.types):
                    return ParamEncoder(spec.name, spec.version, discovery.load_object(spec.encode))
        return None

    def notify(self, kind: str, name: str, key: str, **details: Any) -> None:
        """Tell the observers among the plugins that are loaded; their errors are logged."""
        if not self._observers:
            return
        event = Event(kind=kind, name=name, key=key, details=details)
        for implementation in self._observers:
            try:
                implementation.function(*([event] if implementation.argnames else []))
            except Exception:  # noqa: BLE001 - an observer can never fail the work
                from persistable.logging import LOGGER

                LOGGER.exception("observer %s failed at %s of %s", implementation.plugin_name, kind, name)


def _is_first_party(plugin: Plugin) -> bool:
    return plugin.distribution == _CORE or any(plugin.distribution == owner for owner, _ in FIRST_PARTY.values())


def _resolve(declared: str) -> object:
    """Return the object of a public name, if its library is imported; imports nothing."""
    parts = declared.split(".")
    for length in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:length]))
        if found is not None:
            for part in parts[length:]:
                found = vars(found).get(part) if hasattr(found, "__dict__") else None
            return found
    return None


@functools.cache
def default_registry() -> Registry:
    """Return the registry that stores use unless they are given another one."""
    return Registry()
