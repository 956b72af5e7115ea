"""Infer the schema of a list of records from all of them, so that each comes back as it is.

- Every record has the same keys. A missing one would come back as None, so it is an error, not a nullable field.
- A field holds one type, and None where it likes: ``["null", type]``. int and float do not mix.
- int is a long, float a double, str a string; aware datetimes in UTC are timestamp-micros, naive ones
  local-timestamp-micros; date, time (micros), UUID; Decimals of one scale are decimals of the largest precision seen.
- Dicts inside of records are records where all of one place have the same keys, those being Avro names; else maps,
  whose values have one type. Lists are arrays, whose items have one type.
- Lists without any item but None are arrays of nullable strings: items of type null would take no bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import accumulate, chain
from operator import itemgetter
from typing import Any
from uuid import UUID

from persistable_avro.faults import AVRO_NAME, Fault, member, place, shown
from persistable_avro.scalars import SCALARS, decimal_rule
from persistable_avro.schema import MAX_DEPTH

__all__ = ["NotInferableError", "infer_schema"]

Locate = Callable[[int], tuple[int, str]]  # index in a column → number of its record, path inside of it

_SIMPLE: dict[type, Any] = {bool: "boolean", int: "long", float: "double", str: "string", bytes: "bytes"}
_LOGICAL: dict[type, tuple[str, str]] = {
    date: ("int", "date"),
    time: ("long", "time-micros"),
    UUID: ("string", "uuid"),
}


class NotInferableError(ValueError):
    """Say which place of the records has no one type. Attributes: ``where``, ``reason``."""

    def __init__(self, at: tuple[int, str], reason: str) -> None:
        self.where, self.reason = place(*at), reason
        super().__init__(f"{self.where}: {reason}")


def infer_schema(records: Sequence[Any]) -> tuple[Any, bool]:
    """Return the schema, as JSON values, under which every record comes back equal, and whether it is certain.

    It is not where a list had no items to infer from: then it may hold more than these records show.

    Strings are not looked at for lone surrogates, nor ints for 64 bits: fastavro refuses those when it writes.

    Raises:
        NotInferableError: naming record and field.

    """
    inference = _Inference()
    schema = inference.record("Record", records, lambda index: (index, ""), 0)
    return schema, inference.certain


class _Inference:
    def __init__(self) -> None:
        self.names: set[str] = set()
        self.certain = True

    def column(self, name: str, values: Sequence[Any], at: Locate, depth: int) -> Any:
        """Return the schema of all values of one place."""
        types = set(map(type, values))
        nullable = type(None) in types
        types.discard(type(None))
        if not types:
            return "null"
        if len(types) > 1:
            raise self._mixed(values, at)
        kind = types.pop()
        if kind in _SIMPLE:
            schema = _SIMPLE[kind]
        else:
            if nullable:
                indices = [index for index, value in enumerate(values) if value is not None]
                values, at = [values[index] for index in indices], _through(at, indices)
            schema = self._of_type(kind, name, values, at, depth)
        return ["null", schema] if nullable else schema

    def record(self, name: str, values: Sequence[Any], at: Locate, depth: int) -> Any:
        """Return the schema of dicts that all have the keys of the first."""
        for index, value in enumerate(values) if set(map(type, values)) - {dict} else ():
            if type(value) is not dict:
                raise NotInferableError(at(index), f"{shown(value)} is no dict")
        keys = list(values[0]) if values else []
        if set(map(len, values)) - {len(keys)}:
            raise self._unequal(values, keys, at)
        fields = []
        unique = self._unique(name)
        for key in keys:
            if type(key) is not str or not AVRO_NAME.fullmatch(key):
                raise NotInferableError(at(0), f"the key {shown(key)} is no Avro name (letters, digits and _)")
            try:
                column = [*map(itemgetter(key), values)]
            except KeyError:
                raise self._unequal(values, keys, at) from None
            fields.append({"name": key, "type": self.column(f"{unique}_{key}", column, _member(at, key), depth + 1)})
        return {"type": "record", "name": unique, "fields": fields}

    def _of_type(self, kind: type, name: str, values: Sequence[Any], at: Locate, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise NotInferableError(at(0), f"it nests deeper than {MAX_DEPTH} levels")
        if kind is list:
            items = [*chain.from_iterable(values)]
            schema = self.column(name, items, _item(at, values), depth + 1)
            if schema == "null":
                self.certain = False
                schema = ["null", "string"]
            return {"type": "array", "items": schema}
        if kind is dict:
            return self._dicts(name, values, at, depth)
        if kind is Decimal:
            return self._decimals(values, at)
        if kind is datetime:
            logical = "local-timestamp-micros" if values[0].tzinfo is None else "timestamp-micros"
            return self._logical("long", logical, values, at)
        if kind in _LOGICAL:
            return self._logical(*_LOGICAL[kind], values, at)
        raise NotInferableError(at(0), f"{shown(values[0])} has no Avro type")

    def _dicts(self, name: str, values: Sequence[Any], at: Locate, depth: int) -> Any:
        first = values[0].keys()
        named = all(type(key) is str and AVRO_NAME.fullmatch(key) for key in first)
        if first and named and all(value.keys() == first for value in values):
            return self.record(name, values, at, depth)
        for index, value in enumerate(values):
            for key in value:
                if type(key) is not str:
                    raise NotInferableError(at(index), f"the key {shown(key)} is no str")
        entries = [*chain.from_iterable(map(dict.values, values))]
        return {"type": "map", "values": self.column(name, entries, _entry(at, values), depth + 1)}

    def _logical(self, kind: str, logical: str, values: Sequence[Any], at: Locate) -> Any:
        rule = SCALARS[f"{kind}-{logical}"]
        if not rule.holds(values):
            self._refuse(rule.fault, values, at)
        return {"type": kind, "logicalType": logical}

    def _decimals(self, values: Sequence[Any], at: Locate) -> Any:
        shapes = [value.as_tuple() for value in values]
        exponent = shapes[0].exponent
        scale = -exponent if isinstance(exponent, int) else 0
        if scale < 0:
            raise NotInferableError(at(0), f"{values[0]} would lose its exponent; quantize it to whole numbers")
        precision = max(scale, 1, max(len(shape.digits) for shape in shapes))
        rule = decimal_rule(precision, scale)
        self._refuse(lambda value, path: None if (reason := rule(value)) is None else (path, reason), values, at)
        return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}

    def _refuse(self, fault: Callable[[Any, str], Fault | None], values: Sequence[Any], at: Locate) -> None:
        for index, value in enumerate(values):
            found = fault(value, "")
            if found is not None:
                raise NotInferableError(at(index), found[1])

    def _mixed(self, values: Sequence[Any], at: Locate) -> NotInferableError:
        first = next(value for value in values if value is not None)
        index, other = next(
            (index, value) for index, value in enumerate(values) if value is not None and type(value) is not type(first)
        )
        kinds = f"{type(other).__qualname__} among {type(first).__qualname__}"
        return NotInferableError(at(index), f"{kinds}: give a schema with a union if the types mix on purpose")

    def _unequal(self, values: Sequence[Any], keys: Sequence[Any], at: Locate) -> NotInferableError:
        index, other = next((index, value) for index, value in enumerate(values) if value.keys() != set(keys))
        number, path = at(index)
        missing = [key for key in keys if key not in other]
        if missing:
            inside = member(path, missing[0]) if isinstance(missing[0], str) else path
            reason = "the field is missing, and would come back as None; give every record the same keys"
            return NotInferableError((number, inside), reason)
        extra = next(key for key in other if key not in keys)
        reason = f"the key {shown(extra)} is not in the records before, and would come back in all of them"
        return NotInferableError((number, path), reason)

    def _unique(self, name: str) -> str:
        number, unique = 1, name
        while unique in self.names:
            number, unique = number + 1, f"{name}_{number + 1}"
        self.names.add(unique)
        return unique


# -- where the n-th value of a column came from: only asked when something is wrong ------------------------------------


def _through(at: Locate, indices: Sequence[int]) -> Locate:
    return lambda index: at(indices[index])


def _member(at: Locate, key: str) -> Locate:
    def locate(index: int) -> tuple[int, str]:
        number, path = at(index)
        return number, member(path, key)

    return locate


def _item(at: Locate, lists: Sequence[list[Any]]) -> Locate:
    def locate(index: int) -> tuple[int, str]:
        outer, inner = _nth(lists, index)
        number, path = at(outer)
        return number, f"{path}[{inner}]"

    return locate


def _entry(at: Locate, dicts: Sequence[dict[str, Any]]) -> Locate:
    def locate(index: int) -> tuple[int, str]:
        outer, inner = _nth(dicts, index)
        number, path = at(outer)
        return number, member(path, list(dicts[outer])[inner])

    return locate


def _nth(containers: Sequence[Any], index: int) -> tuple[int, int]:
    ends = [*accumulate(map(len, containers))]
    outer = next(outer for outer, end in enumerate(ends) if index < end)
    return outer, index - (ends[outer] - len(containers[outer]))
