"""Check that values come back from a schema as they are, in bulk and by exact type.

fastavro writes what it can: an int as a double, a bool as a long, a datetime of any zone as UTC, a missing key as the
field's default. So before a chunk of records is written, each field of all its records is checked in one go by C
loops (``holds``); only if that fails, the records are walked one by one to find the culprit and the reason (``fault``).

A union with several branches besides null is chosen by fastavro's own rules, and the surest way to know their outcome
is to ask: chunks of such schemas are encoded, decoded and compared (``difference``).
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import fastavro

from persistable_avro.checks import Compiler
from persistable_avro.faults import Fault, first_of, member, place, shown
from persistable_avro.schema import MAX_DEPTH, Schema

__all__ = ["Fidelity", "difference"]


class Fidelity:
    """Check chunks of records against one schema."""

    def __init__(self, schema: Schema) -> None:
        compiler = Compiler(schema)
        self.check = compiler.compile(schema.parsed)
        self._recursive = schema.recursive
        self._exact: Any = None
        if compiler.ambiguous or schema.recursive:
            self._exact = {"type": "array", "items": schema.raw}

    def fault(self, records: Sequence[Any], first: int) -> Fault | None:
        """Return where (in words) and why a chunk would not come back equal; ``first`` is its first record's number."""
        if self._recursive:
            for index, record in enumerate(records):
                if _too_deep(record):
                    return place(first + index, ""), f"it nests deeper than {MAX_DEPTH} levels"
        if not self.check.holds(records):
            found = self.first_fault(records, first)
            if found is not None:
                return found
        if self._exact is None:
            return None
        encoded = io.BytesIO()
        try:
            fastavro.schemaless_writer(encoded, self._exact, list(records), strict=True, disable_tuple_notation=True)
            encoded.seek(0)
            decoded: Any = fastavro.schemaless_reader(encoded, self._exact, None)
        except Exception as error:  # noqa: BLE001 - whatever fastavro raises, the culprit is looked for one by one
            if len(records) == 1:
                return place(first, ""), f"{type(error).__name__}: {error}"
            return self._each(records, first)
        for index, (given, found_back) in enumerate(zip(records, decoded, strict=True)):
            different = difference(given, found_back, "")
            if different is not None:
                return place(first + index, different[0]), different[1]
        return None

    def first_fault(self, records: Sequence[Any], first: int) -> Fault | None:
        """Walk over the records to the first one that would not come back equal."""
        for index, record in enumerate(records):
            found = self.check.fault(record, "")
            if found is not None:
                return place(first + index, found[0]), found[1]
        return None

    def _each(self, records: Sequence[Any], first: int) -> Fault | None:
        for index, record in enumerate(records):
            found = self.fault([record], first + index)
            if found is not None:
                return found
        return None


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inside: dict[int, Any] = {}  # by id, so that shared and cyclic containers do not multiply
        for container in level:
            members = container.values() if isinstance(container, dict) else container
            inside |= {id(child): child for child in members if isinstance(child, (dict, list, tuple))}
        if not inside:
            return False
        level = [*inside.values()]
    return True


def difference(given: Any, found: Any, path: str) -> Fault | None:
    """Return where and how two values differ, by exact type, NaN being equal to NaN; None if they do not."""
    if type(given) is not type(found):
        return path, f"{shown(given)} would come back as {shown(found)}"
    if isinstance(given, list):
        if len(given) != len(found):
            return path, f"{len(given)} items would come back as {len(found)}"
        return first_of(
            difference(a, b, f"{path}[{index}]") for index, (a, b) in enumerate(zip(given, found, strict=True))
        )
    if isinstance(given, dict):
        if given.keys() != found.keys():
            keys = ", ".join(sorted(map(shown, given.keys() ^ found.keys())))
            return path, f"its keys would not come back the same: {keys}"
        return first_of(difference(given[key], found[key], member(path, str(key))) for key in given)
    if isinstance(given, float):
        same = struct.pack("<d", given) == struct.pack("<d", found) or (math.isnan(given) and math.isnan(found))
    elif isinstance(given, (datetime, time)):
        same = given == found and given.tzinfo is found.tzinfo and given.fold == found.fold
    elif isinstance(given, Decimal):
        same = given.as_tuple() == found.as_tuple()
    else:
        same = given == found
    if same:
        return None
    ours, theirs = shown(given), shown(found)
    if ours == theirs:  # two of a type that is only named: a datetime and another one
        ours, theirs = ascii(given), ascii(found)
    return path, f"{ours} would come back as {theirs}"
