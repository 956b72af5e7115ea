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
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from persistable.declarations import declarations, hook_manager
from persistable.specs import EncoderSpec, FormatSpec, StorageSpec

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from pluggy import HookImpl, PluginManager

__all__ = ["Plugin", "canonical_name", "describe", "discover", "load_object", "register"]

GROUP = "persistable"

_SEPARATORS = re.compile(r"[-_.]+")
_HEADER = re.compile(r"^(Name|Version):[ \t]*(.*?)[ \t]*$", re.MULTILINE)


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
        return Plugin(name, distribution, version, "loaded", None, *declarations(manager, hooks))
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
