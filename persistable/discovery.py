"""Finding plugins: every entry point of group ``persistable``, each loaded and judged on its own.

Discovery never raises: a plugin that does not work becomes a row with its error, and everything else works. Each plugin
is alone with the pluggy manager while it is registered and asked, so that nothing that one does (a hook wrapper, an
unknown hook, an interrupt half-way) can reach another.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from persistable.specs import EncoderSpec, FormatSpec, StorageSpec

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from pluggy import HookImpl, PluginManager

__all__ = ["Plugin", "canonical_name", "describe", "discover", "load_object", "register"]

GROUP = "persistable"

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9_+-]+)+")
_OBJECT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*|([a-z][a-z0-9.-]*\+)?\*")  # all of a family, or whatever nobody else serves
_ENCODER = re.compile(r"[A-Za-z][\w.-]*")
_SEPARATORS = re.compile(r"[-_.]+")
_HEADER = re.compile(r"^(Name|Version):[ \t]*(.*?)[ \t]*$", re.MULTILINE)

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
    observers: tuple[HookImpl, ...] = ()

    @property
    def label(self) -> str:
        """Distribution and version, as recorded."""
        return f"{self.distribution} {self.version}"

    def failed(self, error: Exception) -> Plugin:
        """Return the row of this plugin with an error in place of its declarations."""
        return Plugin(self.name, self.distribution, self.version, "failed", error)


def canonical_name(distribution: str) -> str:
    """Return the one spelling of a distribution's name: lower case, runs of ``-_.`` as one ``-``. Source: PEP 503."""
    return _SEPARATORS.sub("-", distribution).lower()


def describe(error: BaseException) -> str:
    """Return the class and message of somebody else's exception, whatever its ``__str__`` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - it is being reported already
        return f"{type(error).__name__}, whose message cannot be had"


def discover(disabled: Collection[str]) -> list[Plugin]:
    """Load all installed plugins in the order of their names; return a row for each.

    ``disabled`` has names of distributions or, where no plugin's distribution has the name, of entry points; ``"*"`` is
    all. So no entry point that is called like another distribution is switched off in its place.

    Raises:
        KeyboardInterrupt: the user's; nothing that was found until then is kept.
    """
    off = {canonical_name(name) for name in disabled}
    rows, manager, found = [], hook_manager(), _entry_points()
    distributions = {canonical_name(distribution) for distribution, _, _ in found}
    for distribution, version, entry_point in found:
        if isinstance(entry_point, Exception):
            rows.append(Plugin(distribution, distribution, version, "failed", entry_point))
        elif off & {"*", canonical_name(distribution)} or canonical_name(entry_point.name) in off - distributions:
            rows.append(Plugin(entry_point.name, distribution, version, "disabled"))
        else:
            load = functools.partial(_load, entry_point)
            rows.append(register(load, entry_point.name, distribution, version, manager))
    return rows


def _entry_points() -> list[tuple[str, str, EntryPoint | Exception]]:
    """Return distribution, version and entry point of every plugin, sorted by name, the first of a name on the path."""
    from importlib.metadata import distributions

    found: dict[tuple[str, str, str], tuple[str, str, EntryPoint | Exception]] = {}
    seen: set[str] = set()
    parsed = _parsed_class()
    for installed in distributions():
        folder = _folder_name(installed)
        if folder in seen:
            continue  # further down the path, where nobody can import it
        seen.add(folder)
        try:
            text = _read_text(installed, "entry_points.txt")
        except Exception:  # noqa: BLE001, S112 - whoever it is, it has not told us that it is a plugin
            continue
        if not text or GROUP not in text:
            continue
        distribution, version = _described(installed)
        name = canonical_name(distribution)
        try:
            declared = [entry_point for entry_point in parsed(text).entry_points if entry_point.group == GROUP]
        except Exception as error:  # noqa: BLE001 - its metadata is broken, and says that it is a plugin
            unreadable = ValueError(f"its entry_points.txt cannot be read: {describe(error)}")
            found[distribution, name, ""] = (distribution, version, unreadable)
            continue
        for entry_point in declared:
            found[entry_point.name, name, entry_point.value] = (distribution, version, entry_point)
    return [found[identity] for identity in sorted(found)]


def _folder_name(installed: Distribution) -> str:
    """Return the name of a distribution from its folder's, without reading what is in it."""
    folder = os.path.basename(str(getattr(installed, "_path", "")))
    return canonical_name(folder.rpartition(".")[0].partition("-")[0]) or f"distribution at {id(installed)}"


def _read_text(installed: Distribution, name: str) -> str | None:
    """Return a file of a distribution's metadata, or None. Raises what somebody's own distribution class raises."""
    from importlib.metadata import PathDistribution

    path = getattr(installed, "_path", None)
    if type(installed) is not PathDistribution or not isinstance(path, os.PathLike):  # zip files have no such path
        return installed.read_text(name)
    # half of all distributions have no entry points, and pathlib takes longer to find that out than the file system
    try:
        with open(f"{os.fspath(path)}/{name}", "rb", buffering=0) as file:
            return file.read().decode()
    except OSError:
        return None


@functools.cache
def _parsed_class() -> Callable[[str], Distribution]:
    from importlib.metadata import Distribution

    class Parsed(Distribution):
        """Parse an entry_points.txt that was read already."""

        def __init__(self, text: str) -> None:
            self._text = text

        def read_text(self, filename: str) -> str | None:
            return self._text if filename == "entry_points.txt" else None

        def locate_file(self, path: Any) -> Any:
            return path

    return Parsed


def _described(installed: Distribution) -> tuple[str, str]:
    """Return name and version of a distribution, as far as its metadata can be read."""
    try:
        text = _read_text(installed, "METADATA") or _read_text(installed, "PKG-INFO") or ""
    except Exception:  # noqa: BLE001 - broken metadata of somebody else's
        text = ""
    # the e-mail parser of importlib.metadata would read the whole description as well
    headers = dict(_HEADER.findall(text.replace("\r\n", "\n").partition("\n\n")[0]))
    return headers.get("Name") or _folder_name(installed), headers.get("Version") or "?"


def _load(entry_point: EntryPoint) -> object:
    value = entry_point.value.partition("[")[0].strip()
    if not re.fullmatch(r"[A-Za-z_][\w.]*(\s*:\s*[A-Za-z_][\w.]*)?", value):
        raise ValueError(f"the entry point {entry_point.name!r} names {entry_point.value!r}, which is no module")
    return entry_point.load()


def register(
    load: Callable[[], object], name: str, distribution: str, version: str, manager: PluginManager | None = None
) -> Plugin:
    """Load a hooks module and ask its hooks; return its declarations, or its error. Raises KeyboardInterrupt only.

    ``manager`` has no plugin before and after.
    """
    registered = f"{distribution}:{name}"
    manager = hook_manager() if manager is None else manager
    try:
        hooks = load()
        manager.register(hooks, registered)
        _check_hooks(manager, hooks)
        return Plugin(
            name,
            distribution,
            version,
            "loaded",
            None,
            _declared(manager, "persistable_formats", FormatSpec, _check_format),
            _declared(manager, "persistable_storages", StorageSpec, _check_storage),
            _declared(manager, "persistable_param_encoders", EncoderSpec, _check_encoder),
            tuple(manager.hook.persistable_event.get_hookimpls()),
        )
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is this plugin's own affair
        return Plugin(name, distribution, version, "failed", error)
    except SystemExit as error:
        exited = RuntimeError(f"it called sys.exit({error.code!r}) when it was loaded")
        return Plugin(name, distribution, version, "failed", exited)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - cancellations and outcomes of tests are raised like errors
        raised = RuntimeError(f"it raised {describe(error)}")
        raised.__cause__ = error
        return Plugin(name, distribution, version, "failed", raised)
    finally:
        if manager.has_plugin(registered):
            manager.unregister(name=registered)


def hook_manager() -> PluginManager:
    """Return a pluggy manager that knows the hooks and no plugin."""
    from persistable import hookspecs

    manager = _manager_class()(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


@functools.cache
def _manager_class() -> type[PluginManager]:
    from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

    import pluggy

    routines = (FunctionType, BuiltinFunctionType, MethodType)

    class Manager(pluggy.PluginManager):
        """Look only at what can be a hook, which pluggy leaves to subclasses; half the cost of a plugin."""

        def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
            # by type(), as isinstance would ask the object itself for its class
            if name.startswith("__") or (
                isinstance(plugin, ModuleType) and not issubclass(type(vars(plugin).get(name)), routines)
            ):
                return None
            return super().parse_hookimpl_opts(plugin, name)

        def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
            return super().parse_hookspec_opts(module_or_class, name) if name.startswith(f"{GROUP}_") else None

    return Manager


def load_object(reference: str) -> Any:
    """Import what ``"module:attribute"`` names."""
    module, _, names = reference.partition(":")
    found = getattr(sys.modules.get(module), names, None)
    if found is not None:
        return found
    import importlib

    found = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def _check_hooks(manager: PluginManager, hooks: object) -> None:
    """Raise ValueError if a plugin implements no hook, one that there is not, wraps one, or forgot to mark one."""
    callers = manager.get_hookcallers(hooks) or []
    known = sorted(name for name in vars(manager.hook) if getattr(manager.hook, name).has_spec())
    for caller in callers:
        if not caller.has_spec() and not all(hook.optionalhook for hook in caller.get_hookimpls()):
            import difflib

            near = difflib.get_close_matches(caller.name, known, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"it implements a hook {caller.name!r}, which does not exist; {meant}")
        if any(hook.wrapper or hook.hookwrapper for hook in caller.get_hookimpls()):
            raise ValueError(f"it wraps the hook {caller.name!r}: plugins declare, and cannot wrap each other")
    if not callers:
        raise ValueError(f"{hooks!r} implements no hook; are its functions marked with @hookimpl?")
    present, marked = dir(hooks), {caller.name for caller in callers}
    for name in known:
        if name in present and name not in marked and callable(getattr(hooks, name)):
            raise ValueError(f"its {name}() is not marked with @hookimpl, so that nobody would ask it")


def _declared(
    manager: PluginManager, hook: str, kind: type[SpecT], check: Callable[[SpecT], None]
) -> tuple[SpecT, ...]:
    """Ask a hook of the one plugin for its rows. Raises TypeError, ValueError, or what the plugin raises."""
    rows: list[SpecT] = []
    for answer in getattr(manager.hook, hook)():
        if isinstance(answer, (str, bytes, kind)):
            raise TypeError(f"{hook}() returned {answer!r}, not a list of {kind.__name__}")
        for row in answer:
            if not isinstance(row, kind):
                raise TypeError(f"{hook}() returned {row!r}, which is not a {kind.__name__}")
            check(row)
            if any(_names(row) & _names(other) for other in rows):
                raise ValueError(f"{hook}() returned {', '.join(sorted(_names(row)))} twice")
            rows.append(row)
    return tuple(rows)


def _names(row: FormatSpec | StorageSpec | EncoderSpec) -> set[str]:
    return set(row.schemes) if isinstance(row, StorageSpec) else {row.name}


def _check(row: object, field: str, value: object, pattern: re.Pattern[str]) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{row!r}: {field} {value!r} does not look like {pattern.pattern!r}")


def _check_types(row: FormatSpec | EncoderSpec) -> Iterator[str]:
    """Yield the declared types' names, each of which is one."""
    if not isinstance(row.types, tuple):
        raise TypeError(f"{row!r}: types is a {type(row.types).__name__}, not a tuple")
    for name in row.types:
        _check(row, "type", name, _DOTTED)
        yield name


def _check_install(row: FormatSpec | StorageSpec | EncoderSpec) -> None:
    install: object = row.install
    if install is not None and (not isinstance(install, str) or not install):
        raise ValueError(f"{row!r}: install {row.install!r} is not the name of a distribution")


def _check_format(row: FormatSpec) -> None:
    _check(row, "name", row.name, _NAME)
    _check(row, "suffix", row.suffix, _SUFFIX)
    _check(row, "io", row.io, _OBJECT)
    _check_install(row)
    for field in ("default", "executes_code"):
        if type(getattr(row, field)) is not bool:
            raise TypeError(f"{row!r}: {field} is not a bool")
    for name in _check_types(row):
        if name.startswith("builtins."):
            raise ValueError(f"{row!r}: builtin types are not claimed by type; have users inject the format")


def _check_storage(row: StorageSpec) -> None:
    if not isinstance(row.schemes, tuple):
        raise TypeError(f"{row!r}: schemes is a {type(row.schemes).__name__}, not a tuple")
    for scheme in row.schemes:
        _check(row, "scheme", scheme, _SCHEME)
    _check(row, "storage", row.storage, _OBJECT)
    _check_install(row)


def _check_encoder(row: EncoderSpec) -> None:
    _check(row, "name", row.name, _ENCODER)
    _check(row, "encode", row.encode, _OBJECT)
    if row.locate is not None:
        _check(row, "locate", row.locate, _OBJECT)
    _check_install(row)
    if type(row.version) is not int or row.version < 1:
        raise ValueError(f"{row!r}: version is not a whole number from 1")
    for name in _check_types(row):
        library = name.partition(".")[0]
        if library in sys.stdlib_module_names or library in ("numpy", "persistable"):
            raise ValueError(f"{row!r}: types of {library} are the core's to encode, {name} too")
