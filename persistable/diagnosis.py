"""Why a format is not there: unknown, not installed, broken, switched off, or claimed by several.

Each is an error of its own, returned for whoever asks to raise it or to tell it in a warning. Pure: what is known is in
the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from persistable.discovery import Plugin, canonical_name, describe
from persistable.exceptions import (
    AmbiguousFormatError,
    BrokenPluginError,
    FormatError,
    FormatNotInstalledError,
    PersistableError,
    UnknownFormatError,
)
from persistable.table import CORE, FIRST_PARTY, Claim, Table

if TYPE_CHECKING:
    from persistable.choice import Ranked

__all__ = ["ambiguous", "broken", "by_setting", "note_troubles", "shortly", "unavailable"]


def unavailable(name: str, table: Table, looked_for: bool, recorded: str | None = None) -> FormatError:
    """Return the error for a format that is not there.

    ``looked_for`` is whether the table has all plugins that are installed, ``recorded`` the distribution that a record
    names.
    """
    claims = table.contested.get(name)
    if claims is not None:
        return _contested(name, claims)
    owner = FIRST_PARTY[name][0] if name in FIRST_PARTY else recorded
    if owner is not None and canonical_name(owner) != CORE:
        rows = [plugin for plugin in table.plugins if canonical_name(plugin.distribution) == canonical_name(owner)]
        for plugin in rows:
            if plugin.error is not None:
                error = broken(name, plugin, plugin.error)
                error.__cause__ = plugin.error
                return error
        for plugin in rows:
            if plugin.status == "disabled":
                return BrokenPluginError(
                    format=name, plugin=plugin.name, distribution=plugin.label, reason="", disabled=True
                )
        if not rows:
            return FormatNotInstalledError(format=name, install=owner, looked_for=looked_for)
    import difflib

    near = difflib.get_close_matches(name, {*table.formats, *FIRST_PARTY}, n=1)
    unknown = UnknownFormatError(format=name, known=table.formats, suggestion=near[0] if near else None)
    note_troubles(unknown, table)
    return unknown


def broken(format: str, plugin: Plugin, error: BaseException) -> BrokenPluginError:
    """Return the error for a format whose plugin does not work; raise it from ``error``."""
    return BrokenPluginError(format=format, plugin=plugin.name, distribution=plugin.label, reason=describe(error))


def by_setting(error: UnknownFormatError, setting: str) -> UnknownFormatError:
    """Return the error for a format that only a setting names, so that it says so."""
    named = UnknownFormatError(format=error.format, known=error.known, suggestion=error.suggestion, setting=setting)
    for note in getattr(error, "__notes__", ()):
        named.add_note(note)
    return named


def note_troubles(error: PersistableError, table: Table) -> None:
    """Note at an error which plugins do not work or are switched off: what is missed may be one of them."""
    for plugin in table.plugins:
        if plugin.error is not None:
            error.add_note(f"the plugin {plugin.name!r} of {plugin.label} does not work: {describe(plugin.error)}")
        elif plugin.status == "disabled":
            error.add_note(f"the plugin {plugin.name!r} of {plugin.label} is switched off")


def shortly(error: FormatError) -> str:
    """Say in a record why a format was not available."""
    if isinstance(error, FormatNotInstalledError):
        return f"{error.install} {'is not installed' if error.looked_for else 'was not looked for'}"
    if isinstance(error, BrokenPluginError):
        return f"{error.distribution} is {error.reason}" if error.disabled else f"{error.distribution}: {error.reason}"
    return str(error)


def _contested(name: str, claims: tuple[Claim, ...]) -> AmbiguousFormatError:
    return AmbiguousFormatError(
        format=name,
        subject=f"the format name {name!r}",
        candidates=[(name, claim.plugin.label) for claim in claims],
        repair=f"so {'neither' if len(claims) == 2 else 'none'} has it. Switch "
        f"{'one' if len(claims) == 2 else 'all but one'} off: PERSISTABLE_DISABLE_PLUGINS="
        + ",".join(claim.plugin.distribution for claim in claims[:-1]),
    )


def ambiguous(cls: type, rows: Sequence[Ranked]) -> AmbiguousFormatError:
    """Return the error for a type that formats of one rank claim."""
    open_to = next((row for row in rows if "prefer=" in row.reason), None)  # not so a name that several claim
    if open_to is None:
        repair = f"switch off all but one: {rows[-1].reason.rpartition(' ')[2]}"
    else:
        ask = open_to.reason.rpartition("prefer=")[2]
        repair = f"say which: Registry(prefer={ask}) for the store, or payload_io={open_to.format!r}"
    return AmbiguousFormatError(
        format=rows[0].format,
        subject=f"the type {cls.__module__}.{cls.__qualname__}",
        candidates=[(row.format, row.distribution) for row in rows],
        repair=repair,
    )
