"""Finding plugins: every entry point of group ``persistable``, each loaded and judged on its own.

Discovery never raises: a plugin that does not work becomes a row with its error, and everything else works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from persistable.specs import EncoderSpec, FormatSpec, StorageSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pluggy import PluginManager

__all__ = ["Plugin", "discover", "load_object", "plugin_manager", "register"]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

SpecT = TypeVar("SpecT", FormatSpec, StorageSpec, EncoderSpec)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin and what became of it: its entry point, its distribution, its declarations or its error."""

    name: str
    distribution: str
    version: str
    status: Literal["loaded", "disabled", "failed"]
    error: Exception | None = None
    formats: tuple[FormatSpec, ...] = ()
    storages: tuple[StorageSpec, ...] = ()
    encoders: tuple[EncoderSpec, ...] = ()

    @property
    def label(self) -> str:
        """Distribution and version, as recorded."""
        return f"{self.distribution} {self.version}"


def plugin_manager() -> PluginManager:
    """Return a pluggy manager that knows the hooks and no plugin."""
    import pluggy

    from persistable import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def discover(manager: PluginManager, disabled: Collection[str]) -> Iterator[Plugin]:
    """Load all installed plugins in the order of their names; yield a row for each.

    ``disabled`` has names of entry points or distributions, or ``"*"``.
    """
    for name, distribution, version, entry_point in _entry_points():
        if "*" in disabled or name in disabled or distribution in disabled:
            yield Plugin(name, distribution, version, "disabled")
        else:
            yield register(manager, entry_point.load, name, distribution, version)


def _entry_points() -> list[tuple[str, str, str, EntryPoint]]:
    from importlib.metadata import entry_points

    found: dict[tuple[str, str, str], tuple[str, str, str, EntryPoint]] = {}
    for entry_point in entry_points(group="persistable"):
        distribution, version = "an unnamed distribution", "?"
        if entry_point.dist is not None:
            try:
                distribution, version = entry_point.dist.name or distribution, entry_point.dist.version or version
            except Exception:  # noqa: BLE001 - broken metadata of somebody else's
                version = "?"
        row = (entry_point.name, distribution, version, entry_point)
        found.setdefault((entry_point.name, distribution, entry_point.value), row)
    return [found[identity] for identity in sorted(found)]


def register(manager: PluginManager, load: Callable[[], object], name: str, distribution: str, version: str) -> Plugin:
    """Load a hooks module and register it; return its declarations, or its error."""
    plugin: object = None
    try:
        plugin = load()
        manager.register(plugin, f"{distribution}:{name}")
        manager.check_pending()  # a hook that we do not know is a misspelt one
        formats = _declared(manager, plugin, "persistable_formats", FormatSpec, _check_format)
        storages = _declared(manager, plugin, "persistable_storages", StorageSpec, _check_storage)
        encoders = _declared(manager, plugin, "persistable_param_encoders", EncoderSpec, _check_encoder)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises, it is this plugin's own affair
        if plugin is not None and manager.is_registered(plugin):
            manager.unregister(plugin)
        cause = (
            error if isinstance(error, Exception) else RuntimeError("the plugin called sys.exit() when it was loaded")
        )
        return Plugin(name, distribution, version, "failed", cause)
    return Plugin(name, distribution, version, "loaded", None, formats, storages, encoders)


def load_object(reference: str) -> Any:
    """Import what ``"module:attribute"`` names."""
    import importlib

    module, _, names = reference.partition(":")
    found = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def _declared(
    manager: PluginManager, plugin: object, hook: str, kind: type[SpecT], check: Callable[[SpecT], None]
) -> tuple[SpecT, ...]:
    others = [other for other in manager.get_plugins() if other is not plugin]
    rows: list[SpecT] = []
    for answer in manager.subset_hook_caller(hook, others)():
        for row in answer:
            if not isinstance(row, kind):
                raise TypeError(f"{hook}() returned {row!r}, which is not a {kind.__name__}")
            check(row)
            rows.append(row)
    return tuple(rows)


def _check(row: object, field: str, value: object, pattern: re.Pattern[str]) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{row!r}: {field} {value!r} does not look like {pattern.pattern!r}")


def _check_types(row: FormatSpec | EncoderSpec) -> None:
    if not isinstance(row.types, tuple):
        raise TypeError(f"{row!r}: types is a {type(row.types).__name__}, not a tuple")
    for name in row.types:
        _check(row, "type", name, _DOTTED)
        if name.startswith("builtins."):
            raise ValueError(f"{row!r}: builtin types are not claimed by type; have users inject the format")


def _check_format(row: FormatSpec) -> None:
    _check(row, "name", row.name, _NAME)
    _check(row, "suffix", row.suffix, re.compile(r"(\.[A-Za-z0-9_+-]+)+"))
    _check(row, "io", row.io, _OBJECT)
    _check_types(row)


def _check_storage(row: StorageSpec) -> None:
    if not isinstance(row.schemes, tuple):
        raise TypeError(f"{row!r}: schemes is a {type(row.schemes).__name__}, not a tuple")
    for scheme in row.schemes:
        _check(row, "scheme", scheme, _SCHEME)
    _check(row, "storage", row.storage, _OBJECT)


def _check_encoder(row: EncoderSpec) -> None:
    _check(row, "name", row.name, re.compile(r"[A-Za-z][\w.-]*"))
    _check(row, "encode", row.encode, _OBJECT)
    _check_types(row)
    if type(row.version) is not int or row.version < 1:
        raise ValueError(f"{row!r}: version is not a whole number from 1")
