"""Which format a payload gets by its type, and why. Pure: it looks at the table and at what is imported, not at a disk.

A declared public name is resolved through ``sys.modules`` and compared by identity with the classes of the payload's
MRO: a library that is not imported cannot have made the payload. Nothing is imported for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from persistable.diagnosis import broken
from persistable.discovery import Plugin, load_object
from persistable.io import FileIO, format_name
from persistable.specs import FormatSpec
from persistable.table import FIRST_PARTY, Claim, Table, is_first_party

__all__ = ["Choice", "Ranked", "is_missing", "rank", "resolve"]


_proved: dict[type, str] = {}  # classes that are what they were declared as, by the format that they are


class Choice(NamedTuple):
    """A format and why it was chosen.

    Attributes:
        format: its name, as recorded.
        distribution: name and version of the distribution that brings it; None for an injected FileIO of the user's.
        executes_code: whether loading can run code that the file brings.
        reason: why this one, in words for the record.
        by_type: whether it was chosen by the payload's type, so that another one may be asked if it declines.
        injected: the FileIO to use, if it was given.
        plugin, spec: where the format comes from; None for an injected FileIO of the user's.
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
            BrokenPluginError: it cannot be imported, or is not what it was declared as; the cause is chained.
        """
        if self.injected is not None:
            return self.injected
        spec = self.spec
        assert spec is not None
        try:
            cls = load_object(spec.io)
            found: FileIO[Any] = cls()
            if _proved.get(cls) == self.format:
                return found
            if not isinstance(found, FileIO):
                raise TypeError(f"{spec.io} is not a FileIO")
            if format_name(type(found)) != self.format:
                raise TypeError(f"{spec.io} names itself {format_name(type(found))!r}")
            if found.suffix != spec.suffix:  # which was checked: it becomes part of a path
                raise TypeError(f"{spec.io} has the suffix {found.suffix!r}, and is declared with {spec.suffix!r}")
            if type(found) is cls:
                _proved[cls] = self.format
        except (Exception, SystemExit) as error:
            assert self.plugin is not None
            raise broken(self.format, self.plugin, error) from error
        return found


class Ranked(NamedTuple):
    """A format that could serve a type.

    Attributes:
        format: its name.
        distribution: name and version of what brings it.
        rank: from 1, in the order in which formats are asked; two of one rank are ambiguous; None: never asked.
        reason: why it has that rank.
    """

    format: str
    distribution: str
    rank: int | None
    reason: str


def resolve(declared: str) -> object:
    """Return the object of a public name, if its library is imported; imports nothing and runs no module's code."""
    parts = declared.split(".")
    for length in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:length]))
        if found is not None:
            for part in parts[length:]:
                try:
                    # not vars(): that would execute a lazy module
                    found = object.__getattribute__(found, "__dict__").get(part)
                except AttributeError:
                    return None
            return found
    return None


def is_missing(declared: str) -> bool:
    """Tell whether a public name is surely of nothing: its module is imported, whole, and has no such name.

    Of a module that fills itself lazily, and of a submodule that is not imported yet, nothing can be said.
    """
    home, _, name = declared.rpartition(".")
    module = sys.modules.get(home)
    try:
        names = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return False
    return module is not None and name not in names and "__getattr__" not in names


def rank(cls: type, table: Table, prefer: Mapping[str, str]) -> tuple[Ranked, ...]:
    """Rank the formats that claim a type or one of its bases, those that are never asked among them.

    The nearest base comes first; for one base the format that ``prefer`` names, then the first-party default, then the
    sole other claim. Several claims of equal right share a rank. ``pickle`` is not among them.

    A type with a first-party default closes its bases too: what the default declines must not change its format because
    something is installed that claims a base.
    """
    rows: list[Ranked] = []
    for row in _ranked(cls, table, prefer):
        if row.rank is None or row.format not in {other.format for other in rows if other.rank not in (None, row.rank)}:
            rows.append(row)
    return tuple(rows)


def _ranked(cls: type, table: Table, prefer: Mapping[str, str]) -> Iterator[Ranked]:
    rank, settled = 0, None
    for base in cls.__mro__[:-1]:
        near = "its type" if base is cls else "its base"
        preferred = next(((declared, name) for declared, name in prefer.items() if resolve(declared) is base), None)
        if preferred is not None:
            rank += 1
            yield Ranked(
                preferred[1], _label(preferred[1], table), rank, f"preferred for {near} {preferred[0]} by your settings"
            )
        if base.__module__ == "builtins":
            continue  # these are never claimed, under whatever name
        rivals: list[tuple[Claim, str]] = []
        for claim, declared in _claims(base, table):
            spec, plugin = claim
            if preferred is not None and spec.name == preferred[1]:
                continue
            if _is_default(spec, plugin, declared):
                rank += 1
                yield Ranked(spec.name, plugin.label, rank, f"the default for {near} {declared}")
            elif settled is not None or _is_reserved(base):
                ask = f"prefer={{{declared!r}: {spec.name!r}}}"
                whose = "whose" if settled is None else f"but it is a {settled}, whose"
                reason = f"claims {near} {declared}, {whose} default is not open to plugins; ask for it by {ask}"
                yield Ranked(spec.name, plugin.label, None, reason)
            else:
                rivals.append((claim, declared))
        if len(rivals) == 1:
            rank += 1
            (spec, plugin), declared = rivals[0]
            reason = f"the only format for {near} {declared}"
            if spec.name in table.contested:
                reason = f"claims {near} {declared}; {_off(rivals[0][0], table)}"
            yield Ranked(spec.name, plugin.label, rank, reason)
        elif preferred is not None:
            for (spec, plugin), declared in rivals:
                reason = f"claims {near} {declared}, for which you prefer {preferred[1]}"
                yield Ranked(spec.name, plugin.label, None, reason)
        elif rivals:
            rank += 1
            for claim, declared in rivals:
                spec, plugin = claim
                ask = f"ask for it by prefer={{{declared!r}: {spec.name!r}}}"
                repair = _off(claim, table) if spec.name in table.contested else ask
                reason = f"claims {near} {declared} with no more right than others; {repair}"
                yield Ranked(spec.name, plugin.label, rank, reason)
        if settled is None and _is_reserved(base):
            settled = base.__name__  # what it declines is not for whoever claims a base: pickle is next


def _off(claim: Claim, table: Table) -> str:
    """Say what ends a contest for a name, which no preference does, in favour of one that claims it."""
    others = [other.plugin.distribution for other in table.contested[claim.spec.name] if other != claim]
    off = f"PERSISTABLE_DISABLE_PLUGINS={','.join(others)}"
    return f"others claim its name, too, so nobody has it; switch them off: {off}"


def _claims(base: type, table: Table) -> Iterator[tuple[Claim, str]]:
    """Yield the formats that claim exactly this class, each once, with the name they have for it."""
    every = [*table.formats.values(), *(claim for claims in table.contested.values() for claim in claims)]
    for claim in sorted(every, key=lambda claim: (claim.spec.name, claim.plugin.label)):
        declared = next((name for name in claim.spec.types if resolve(name) is base), None)
        if declared is not None:
            yield claim, declared


def _is_default(spec: FormatSpec, plugin: Plugin, declared: str) -> bool:
    return declared in FIRST_PARTY.get(spec.name, ("", ()))[1] and is_first_party(plugin)


def _is_reserved(base: type) -> bool:
    return any(resolve(declared) is base for _, types in FIRST_PARTY.values() for declared in types)


def _label(name: str, table: Table) -> str:
    claim = table.formats.get(name)
    if claim is not None:
        return claim.plugin.label
    return FIRST_PARTY[name][0] if name in FIRST_PARTY else "an unknown distribution"
