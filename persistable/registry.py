"""The formats, param encoders and observers that are known: looked for when first needed, asked by name or by type.

Plugins are looked for at the first question that the core's own formats cannot answer, and before the first generation,
which observers may want to see. Nothing here imports a payload library.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from persistable import discovery
from persistable.choice import Choice, Ranked, is_missing, rank, resolve
from persistable.diagnosis import ambiguous, by_setting, shortly, unavailable
from persistable.discovery import Plugin, describe
from persistable.display import printable
from persistable.encoders import param_encoder
from persistable.exceptions import (
    BrokenPluginError,
    FormatError,
    FormatNotInstalledError,
    PluginWarning,
    UnknownFormatError,
)
from persistable.io import FileIO, format_name
from persistable.notice import warn
from persistable.schemes import storage_class
from persistable.specs import Event
from persistable.storage import Storage
from persistable.table import CORE, FIRST_PARTY, Table, is_first_party, tabulate
from persistable.version import __version__

if TYPE_CHECKING:
    from persistable.encoding import ParamEncoder

__all__ = ["Choice", "PluginFailure", "Ranked", "Registry", "default_registry"]

_TYPE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_DISTRIBUTION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*) [^\s]+")  # as recorded, with its version
_SAYS_NO = ("", "0", "false", "no", "off")


class PluginFailure(NamedTuple):
    """A plugin that does not work: its entry point, its distribution and version, and why."""

    name: str
    distribution: str
    version: str
    error: Exception


class Registry:
    """The formats, param encoders and observers that are known.

    Threads may share it.

    Attributes:
        is_observed: whether one of the plugins that are known so far observes events.

    Args:
        prefer: formats to use for types among equals, ``{"pandas.DataFrame": "feather"}``; also for types that no
            format claims.
        discover: whether to look for installed plugins; without, only the core's formats and ``add``, and nothing is
            said of formats that could be installed.
        disabled: distributions or, where none of them has the name, entry points not to load, ``"*"`` for all;
            ``PERSISTABLE_DISABLE_PLUGINS=a,b``.
        strict: whether a payload whose format's plugin is missing or broken is an error instead of a pickle with a
            warning; ``PERSISTABLE_STRICT_PLUGINS=1``.

    Raises:
        TypeError, ValueError: ``prefer`` does not map public names of types to names of formats.
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
        for declared, name in self._prefer.items():
            if {type(declared), type(name)} != {str}:
                raise TypeError(f"prefer={{{declared!r}: {name!r}}}: give names of types and formats")
            if not _TYPE_NAME.fullmatch(declared):
                raise ValueError(
                    f"prefer={{{declared!r}: …}}: give the public name of a type, such as pandas.DataFrame"
                )
        self._discover = discover
        self._disabled = disabled.split(",") if isinstance(disabled, str) else disabled
        self._strict = strict
        self._lock = threading.RLock()
        self._known: Table | None = None
        self.is_observed = False
        self._recorded: dict[str, Choice] = {}
        self._complete = False
        self._looking = False
        self._rankings: weakref.WeakKeyDictionary[type, tuple[Ranked, ...]] = weakref.WeakKeyDictionary()
        self._pickled: weakref.WeakKeyDictionary[type, Choice] = weakref.WeakKeyDictionary()
        self._encoders: weakref.WeakKeyDictionary[type, ParamEncoder] = weakref.WeakKeyDictionary()
        self._warned: set[tuple[str, str]] = set()

    # -- plugins

    @property
    def strict(self) -> bool:
        """Whether a missing or broken plugin is an error rather than a pickle with a warning."""
        if self._strict is None:
            return os.environ.get("PERSISTABLE_STRICT_PLUGINS", "").strip().lower() not in _SAYS_NO
        return self._strict

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins, the core's own formats first; looks for them."""
        return self._everything().plugins

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """The plugins that do not work; looks for them."""
        return tuple(
            PluginFailure(plugin.name, plugin.distribution, plugin.version, plugin.error)
            for plugin in self.plugins
            if plugin.error is not None
        )

    @property
    def contested(self) -> frozenset[str]:
        """Names of formats that several third parties claim, so that nobody has them; looks for plugins."""
        return frozenset(self._everything().contested)

    def add(self, hooks: object, *, name: str, distribution: str = "your own code", version: str = "0") -> Plugin:
        """Register a hooks module (or object) in code, as if it were installed, in place of one of that name.

        Raises:
            Exception: what is wrong with it, a name that belongs to somebody else included; nothing is registered.
        """
        added = discovery.register(lambda: hooks, name, distribution, version)
        if added.error is not None:
            raise added.error
        with self._lock:
            others = [plugin for plugin in self._table().plugins if (plugin.name, plugin.distribution) != _id(added)]
            table = tabulate([*others, added])
            row = next(plugin for plugin in table.plugins if (plugin.name, plugin.distribution) == _id(added))
            if row.error is not None:
                raise row.error
            self._take(table)
        return row

    def _table(self) -> Table:
        """Return what is known so far, without looking for plugins."""
        known = self._known
        if known is None:
            with self._lock:
                known = self._known
                if known is None:
                    known = self._known = tabulate([_core()])
        return known

    def _take(self, table: Table) -> None:
        self._known, self._recorded = table, {}
        self.is_observed = bool(table.observers)
        self._rankings, self._encoders = weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary()
        self._pickled = weakref.WeakKeyDictionary()

    def _everything(self) -> Table:
        """Look for installed plugins, once, and return what is known then."""
        if self._complete:
            return self._table()
        with self._lock:
            if self._settled():
                return self._table()
            self._looking = True
            try:
                found = discovery.discover(self._switched_off()) if self._discover else []
                self._take(tabulate([*self._table().plugins, *found]))
                self._complete = True
            finally:
                self._looking = False
            table = self._table()
        for plugin in table.plugins:
            if plugin.error is not None:
                warn(
                    f"the plugin {plugin.name!r} of {plugin.label} does not work: {describe(plugin.error)}. Repair or "
                    f"reinstall {plugin.distribution}, or switch it off: PERSISTABLE_DISABLE_PLUGINS="
                    f"{plugin.distribution}",
                    PluginWarning,
                )
        return table

    def _settled(self) -> bool:
        """Tell whether to answer from what is known: all is, or it is a plugin that asks while it is loaded."""
        return self._complete or self._looking

    def _switched_off(self) -> list[str]:
        names = self._disabled
        if names is None:
            names = os.environ.get("PERSISTABLE_DISABLE_PLUGINS", "").split(",")
        return [name.strip() for name in names if name.strip()]

    # -- formats by name

    def named(self, name: str, reason: str = "injected by name") -> Choice:
        """Return the format of a name.

        Raises:
            UnknownFormatError: nobody has heard of it.
            FormatNotInstalledError: it is a first-party format whose distribution is not installed.
            BrokenPluginError: its distribution is installed and does not work; the cause is chained.
            AmbiguousFormatError: two third parties claim the name.
        """
        found = self._find(name, reason)
        if found is None:
            raise unavailable(name, self._everything(), self._discover)
        return found

    def _find(self, name: str, reason: str = "") -> Choice | None:
        # the core's own need no looking; anything else is known only when everybody has been asked
        claim = self._table().formats.get(name)
        if claim is None or claim.plugin.distribution != CORE:
            claim = self._everything().formats.get(name)
        if claim is None:
            return None
        spec, plugin = claim
        return Choice(name, plugin.label, spec.executes_code, reason, False, None, plugin, spec)

    def injected(self, file_io: FileIO[Any] | str) -> Choice:
        """Return the choice of a user: a FileIO, or the name of a format.

        A FileIO of the class that is registered under its name stands for that format. Any other is the user's own, and
        can execute code as far as trust is concerned, whatever it calls itself.
        """
        if isinstance(file_io, str):
            return self.named(file_io)
        name = format_name(type(file_io))
        registered = None if name.startswith("custom:") else self._find(name, "injected")
        if registered is None or registered.spec is None or not _is_at(registered.spec.io, type(file_io)):
            return Choice(name, None, True, "injected", False, file_io, None, None)
        return registered._replace(injected=file_io)

    def for_loading(self, name: str, injected: FileIO[Any] | str | None, distribution: str | None = None) -> Choice:
        """Return what reads a recorded format: the injected FileIO if it has that name, else the registered one.

        ``distribution`` is what the record names; it only serves to say what to install.

        Raises:
            UnknownFormatError, FormatNotInstalledError, BrokenPluginError, AmbiguousFormatError: see ``named``.
        """
        if injected is not None and isinstance(injected, FileIO) and format_name(type(injected)) == name:
            return self.injected(injected)
        recorded = self._recorded  # of the table of now
        found = recorded.get(name)
        if found is not None:
            return found
        found = self._find(name, "recorded")
        if found is None:
            match = _DISTRIBUTION.fullmatch(distribution or "")
            error = unavailable(name, self._everything(), self._discover, match[1] if match is not None else None)
            if isinstance(error, UnknownFormatError) and distribution is None:
                error.add_note(
                    f"what names itself {name!r} was injected when it was persisted: give it as payload_io again"
                )
            raise error
        recorded[name] = found
        return found

    # -- formats by type

    def for_saving(self, payload: object, injected: FileIO[Any] | str | None) -> Iterator[Choice]:
        """Yield the formats to try for a payload, best first; an injected one is the only one.

        Raises:
            AmbiguousFormatError: several third parties claim the type with equal right.
            FormatNotInstalledError, BrokenPluginError: in strict mode, a plugin that would serve the type is not there.
            FormatError: the injected name is not available.
        """
        known = None if injected is not None else self._pickled.get(type(payload))
        return iter((known,)) if known is not None else self._for_payload(payload, injected)

    def _for_payload(self, payload: object, injected: FileIO[Any] | str | None) -> Iterator[Choice]:
        if injected is not None:
            yield self.injected(injected)
        else:
            yield from self._for_type(type(payload))

    def foreseen(self, payload_type: type | None, injected: FileIO[Any] | str | None) -> Choice | None:
        """Return the format that will be tried first for payloads of a type; None if the type is not known.

        Raises what ``for_saving`` would raise, and imports the format, so that it is raised before generating.
        """
        if injected is not None:
            choice = self.injected(injected)
        elif payload_type is not None and payload_type is not object:
            known = self._pickled.get(payload_type)
            if known is not None:
                return known  # which was imported when it became known
            choice = next(self._for_type(payload_type))
        else:
            return None
        choice.file_io()
        return choice

    def _for_type(self, cls: type) -> Iterator[Choice]:
        self._warn_of_preferences(cls)
        absent: list[FormatError] = []
        ranked = [row for row in self._ranking(cls) if row.rank is not None]
        for _, group in groupby(ranked, key=lambda row: row.rank):
            rows = list(group)
            if len(rows) > 1:
                raise ambiguous(cls, rows)
            try:
                choice = self.named(rows[0].format, rows[0].reason)
                choice.file_io()
            except (BrokenPluginError, FormatNotInstalledError) as error:
                absent.append(error)
                continue
            except UnknownFormatError as error:
                raise by_setting(error, self._preferring(error.format)) from None
            yield self._in_place_of(absent, cls, choice)
        missing = self._missing_default(cls)
        if missing is not None and missing.format not in {error.format for error in absent}:
            absent.append(missing)
        choice = self._in_place_of(absent, cls, self.named("pickle", "pickle takes anything"))
        if not (ranked or absent or self._prefer):  # else what is said of it may change
            choice.file_io()
            self._pickled[cls] = choice
        yield choice

    def _preferring(self, name: str) -> str:
        """Return the setting that asks for a format."""
        asking = {declared: preferred for declared, preferred in self._prefer.items() if preferred == name}
        return f"prefer={asking!r}"

    def _warn_of_preferences(self, cls: type) -> None:
        """Warn, once for each, of preferences that choose nothing: of another type, which is looked at now only."""
        for declared, name in self._prefer.items():
            mark = (declared, name)
            if mark in self._warned:
                continue
            if is_missing(declared):
                self._warned.add(mark)
                warn(
                    f"there is no type {declared!r}, for which prefer={{{declared!r}: {name!r}}} asks for a format",
                    PluginWarning,
                )
            elif resolve(declared) not in cls.__mro__ and self._find(name) is None:  # else it is an error below
                error = unavailable(name, self._everything(), self._discover)
                if isinstance(error, UnknownFormatError):
                    self._warned.add(mark)
                    warn(str(by_setting(error, self._preferring(name))), PluginWarning)

    def _in_place_of(self, absent: list[FormatError], cls: type, choice: Choice) -> Choice:
        """Return a choice by type; warn if it stands in for formats that are not there, or in strict mode raise."""
        if absent and self.strict:
            raise absent[0]
        reasons = [f"{error.format} is not available: {shortly(error)}" for error in absent]
        for error in absent:
            mark = (f"{cls.__module__}.{cls.__qualname__}", error.format)
            with self._lock:
                known = mark in self._warned
                self._warned.add(mark)
            if not known:
                warn(
                    f"payloads of type {mark[0]} are persisted as {choice.format}, because {error}. "
                    f"(payload_io={choice.format!r} says that this is what you want)",
                    PluginWarning,
                )
        if choice.format == "pickle" and cls.__module__ != "builtins":
            reasons += [
                f"the plugin {plugin.name!r} of {plugin.label} does not work"
                for plugin in self._everything().plugins
                if plugin.error is not None and not is_first_party(plugin)
            ]
        return choice._replace(by_type=True, reason="; ".join([*reasons, choice.reason]))

    def _missing_default(self, cls: type) -> FormatError | None:
        """Return the error for the first-party default of a type that is not there.

        None if it is there, if there is none, or if nobody has looked for it.
        """
        if not self._discover:
            return None
        for name, (_, types) in FIRST_PARTY.items():
            if name not in self._table().formats and any(resolve(declared) is cls for declared in types):
                return unavailable(name, self._everything(), self._discover)
        return None

    def explain(self, payload_type: type | str) -> tuple[Ranked, ...]:
        """Rank the formats for payloads of a type, those that are never asked last, each with its reason.

        Formats of one rank are ambiguous: a payload that comes to them is an AmbiguousFormatError. A type may be given
        by its public name, if its library is imported.

        Raises:
            TypeError: it is no type, such as a payload, or no imported library has a type of that name.
        """
        found = resolve(payload_type) if isinstance(payload_type, str) else payload_type
        if not isinstance(found, type):
            meant = type(payload_type).__qualname__
            raise TypeError(
                f"explain({payload_type!r}): no imported library has a type of this name; give a type"
                if isinstance(payload_type, str)
                else f"explain() was given an object of type {meant}; give a type: explain(type(…))"
            )
        payload_type = found
        rows = list(self._ranking(payload_type))
        missing = self._missing_default(payload_type)
        if missing is not None and missing.format not in {row.format for row in rows}:
            rows.append(Ranked(missing.format, FIRST_PARTY[missing.format][0], None, str(missing)))
        last = 1 + max((row.rank for row in rows if row.rank is not None), default=0)
        rows.append(Ranked("pickle", f"{CORE} {__version__}", last, "pickle takes anything"))
        return tuple(sorted(rows, key=lambda row: row.rank or sys.maxsize))

    def _ranking(self, cls: type) -> tuple[Ranked, ...]:
        if cls.__module__ == "builtins" and not any(resolve(declared) is cls for declared in self._prefer):
            return ()
        table = self._everything()
        rankings = self._rankings
        ranking = rankings.get(cls)
        if ranking is None:
            ranking = rankings[cls] = rank(cls, table, self._prefer)
        return ranking

    # -- storages

    def storage(self, url: str) -> type[Storage]:
        """Return the Storage class that serves a URL: whoever claims its scheme, else the family's, else the catch-all.

        Raises:
            UnknownStorageError: nobody serves it, or two third parties claim it.
            BrokenStorageError: what would serve it is installed and does not work; the cause is chained.
        """
        return storage_class(url, self._everything())

    # -- params and observers

    def param_encoder(self, cls: type) -> ParamEncoder | None:
        """Return the encoder of a param type that the core has none for, or None.

        One that exists and cannot be used encodes nothing: it refuses with what to do about it.
        """
        found = self._encoders.get(cls)
        if found is not None:
            return found
        table = self._everything()
        encoders = self._encoders  # of the table of now
        encoder = param_encoder(cls, table, self._discover)
        if encoder is not None:
            encoders[cls] = encoder
        return encoder

    def notify(self, kind: str, name: str, key: str, **details: Any) -> None:
        """Tell the observers among the plugins; their errors are logged.

        A hit alone does not look for plugins: ``"loaded"`` reaches those that are known by then.
        """
        if self._complete and not self.is_observed:
            return
        table = self._table() if kind == "loaded" else self._everything()
        for observer in table.observers:
            event = Event(kind=kind, name=name, key=key, details=dict(details))
            try:
                observer.function(*([event] if observer.argnames else []))
            except (Exception, SystemExit):  # noqa: BLE001 - an observer can never fail the work
                from persistable.logging import LOGGER

                LOGGER.exception("observer %s failed at %s of %s", observer.plugin_name, kind, printable(name))


@functools.cache
def _core() -> Plugin:
    from persistable import builtin

    core = discovery.register(lambda: builtin, CORE, CORE, __version__)
    assert core.error is None, core.error
    return core


@functools.cache
def default_registry() -> Registry:
    """Return the registry that stores use unless they are given another one."""
    return Registry()


def _id(plugin: Plugin) -> tuple[str, str]:
    return plugin.name, plugin.distribution


def _is_at(reference: str, cls: type) -> bool:
    """Tell whether a class is what ``"module:Class"`` names, without importing it: it would be imported then."""
    module, _, name = reference.partition(":")
    return resolve(f"{module}.{name}") is cls
