"""What one plugin declares: its hooks are asked, and each row is checked, so that everybody else can rely on it."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from persistable.specs import EncoderSpec, FormatSpec, StorageSpec

if TYPE_CHECKING:
    from pluggy import HookImpl, PluginManager

__all__ = ["Declarations", "declarations", "hook_manager"]

SpecT = TypeVar("SpecT", FormatSpec, StorageSpec, EncoderSpec)


class _Shape(NamedTuple):
    """What a text has to look like: its pattern, an example, and in words."""

    pattern: re.Pattern[str]
    example: str
    words: str


_PATH = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
_NAME = _Shape(
    re.compile(r"[a-z][a-z0-9_-]*"), "parquet", "lower case letters, digits, _ and -, with a letter at the beginning"
)
_SUFFIX = _Shape(
    re.compile(r"(?=.{,100}\Z)(\.[A-Za-z0-9_+-]+)+"), ".parquet", "letters and digits after a dot, 100 at most"
)
_CLASS = _Shape(re.compile(f"{_PATH}:{_PATH}"), "module:Class", "where to import it from")
_FUNCTION = _Shape(_CLASS.pattern, "module:function", "where to import it from")
_TYPE = _Shape(re.compile(f"{_PATH}\\.[A-Za-z_]\\w*"), "pandas.DataFrame", "a public name, with its library")
_SCHEME = _Shape(  # all of a family, or whatever nobody else serves
    re.compile(r"[a-z][a-z0-9+.-]*|([a-z][a-z0-9.-]*\+)?\*"), "s3", "what stands before :// in lower case, or '*'"
)
_ENCODER = _Shape(re.compile(r"[A-Za-z][\w.-]*"), "pandas", "letters and digits")


class Declarations(NamedTuple):
    """The rows of a plugin, each of which is well-formed, and its observers of events."""

    formats: tuple[FormatSpec, ...]
    storages: tuple[StorageSpec, ...]
    encoders: tuple[EncoderSpec, ...]
    observers: tuple[HookImpl, ...]


def declarations(manager: PluginManager, hooks: object) -> Declarations:
    """Ask a hooks module, the only plugin of the manager.

    Raises:
        ValueError, TypeError: something in it is not as it has to be.
        BaseException: whatever the plugin raises.
    """
    _check_hooks(manager, hooks)
    return Declarations(
        _declared(manager, "persistable_formats", FormatSpec, _check_format),
        _declared(manager, "persistable_storages", StorageSpec, _check_storage),
        _declared(manager, "persistable_param_encoders", EncoderSpec, _check_encoder),
        tuple(manager.hook.persistable_event.get_hookimpls()),
    )


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

    from persistable.hookspecs import PROJECT

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
            return super().parse_hookspec_opts(module_or_class, name) if name.startswith(f"{PROJECT}_") else None

    return Manager


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


def _check(row: object, field: str, value: object, shape: _Shape) -> None:
    if not isinstance(value, str) or not shape.pattern.fullmatch(value):
        raise ValueError(f"{row!r}: {field} {value!r} does not look like {shape.example!r}: give {shape.words}")


def _check_types(row: FormatSpec | EncoderSpec) -> Iterator[str]:
    """Yield the declared types' names, each of which is one."""
    if not isinstance(row.types, tuple):
        raise TypeError(f"{row!r}: types is a {type(row.types).__name__}, not a tuple")
    for name in row.types:
        _check(row, "type", name, _TYPE)
        yield name


def _check_install(row: FormatSpec | StorageSpec | EncoderSpec) -> None:
    install: object = row.install
    if install is not None and (not isinstance(install, str) or not install):
        raise ValueError(f"{row!r}: install {row.install!r} is not the name of a distribution")


def _check_format(row: FormatSpec) -> None:
    _check(row, "name", row.name, _NAME)
    _check(row, "suffix", row.suffix, _SUFFIX)
    _check(row, "io", row.io, _CLASS)
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
    _check(row, "storage", row.storage, _CLASS)
    _check_install(row)


def _check_encoder(row: EncoderSpec) -> None:
    _check(row, "name", row.name, _ENCODER)
    _check(row, "encode", row.encode, _FUNCTION)
    if row.locate is not None:
        _check(row, "locate", row.locate, _FUNCTION)
    _check_install(row)
    if type(row.version) is not int or row.version < 1:
        raise ValueError(f"{row!r}: version is not a whole number from 1")
    for name in _check_types(row):
        library = name.partition(".")[0]
        if library in sys.stdlib_module_names or library in ("numpy", "persistable"):
            raise ValueError(f"{row!r}: types of {library} are the core's to encode, {name} too")
