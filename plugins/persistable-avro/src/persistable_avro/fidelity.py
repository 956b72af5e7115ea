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
import re
import struct
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import chain, repeat
from operator import attrgetter, countOf, is_, itemgetter
from typing import Any
from uuid import UUID

import fastavro
from fastavro.read import LOGICAL_READERS
from fastavro.write import LOGICAL_WRITERS

from persistable_avro.schema import MAX_DEPTH, Schema

__all__ = [
    "AVRO_NAME",
    "RULES",
    "Check",
    "Fault",
    "Fidelity",
    "Scalar",
    "decimal_rule",
    "difference",
    "member",
    "place",
    "shown",
    "text_fault",
]

Fault = tuple[str, str]  # path inside the record, reason
Rule = Callable[[Any], str | None]
Bulk = Callable[[Sequence[Any]], bool]

AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TZINFO, _FOLD, _MICROSECOND = attrgetter("tzinfo"), attrgetter("fold"), attrgetter("microsecond")


def place(record: int, path: str) -> str:
    """Return where something is, as errors print it."""
    return f"record {record}, field {path!r}" if path else f"record {record}"


def member(path: str, key: str) -> str:
    """Return the path of a dict's member."""
    if AVRO_NAME.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{key!r}]"


class Fidelity:
    """Check chunks of records against one schema."""

    def __init__(self, schema: Schema) -> None:
        compiler = _Compiler(schema)
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


# -- checks of one type each -------------------------------------------------------------------------------------------


class Check(ABC):
    """Say whether values of one place in the schema come back equal."""

    @abstractmethod
    def holds(self, values: Sequence[Any]) -> bool:
        """Say whether all values surely come back equal; False only asks for a closer look."""

    @abstractmethod
    def fault(self, value: Any, path: str) -> Fault | None:
        """Return the path and the reason of the first thing in a value that does not, or None."""


class Scalar(Check):
    """A leaf: values of exactly one type, and a rule on them where the type does not say it all."""

    def __init__(self, kind: str, accepted: type, rule: Rule | None = None, bulk: Bulk | None = None) -> None:
        self.kind, self.accepted, self.rule, self.bulk = kind, accepted, rule, bulk
        self.plain = rule is None or bulk is _left_to_fastavro  # in bulk the type decides

    def holds(self, values: Sequence[Any]) -> bool:
        """Compare all types at once; then ask the rule in bulk where the type leaves something open."""
        if countOf(map(type, values), self.accepted) != len(values):
            return False
        if self.plain or self.rule is None:
            return True
        return not any(map(self.rule, values)) if self.bulk is None else self.bulk(values)

    def fault(self, value: Any, path: str) -> Fault | None:
        """Return the place and the reason if the type or the rule is against the value."""
        if type(value) is not self.accepted:
            return path, f"{shown(value)} is no {self.accepted.__qualname__}, as the schema's {self.kind} asks for"
        reason = None if self.rule is None else self.rule(value)
        return None if reason is None else (path, reason)


class _Anything(Check):
    """A union whose branch is fastavro's choice: left to the comparison with what it wrote."""

    def holds(self, values: Sequence[Any]) -> bool:  # noqa: ARG002
        return True

    def fault(self, value: Any, path: str) -> Fault | None:  # noqa: ARG002
        return None


class _Nullable(Check):
    def __init__(self, present: Check) -> None:
        self.present = present
        self.types = {type(None), present.accepted} if isinstance(present, Scalar) and present.plain else None

    def holds(self, values: Sequence[Any]) -> bool:
        if self.types is not None:
            return self.types.issuperset(map(type, values))
        return self.present.holds([value for value in values if value is not None])

    def fault(self, value: Any, path: str) -> Fault | None:
        return None if value is None else self.present.fault(value, path)


class _Array(Check):
    def __init__(self, items: Check) -> None:
        self.items = items

    def holds(self, values: Sequence[Any]) -> bool:
        if countOf(map(type, values), list) != len(values):
            return False
        return self.items.holds([*chain.from_iterable(values)])

    def fault(self, value: Any, path: str) -> Fault | None:
        if type(value) is not list:
            return path, f"{shown(value)} is no list, as the schema's array asks for"
        return _first(self.items.fault(item, f"{path}[{index}]") for index, item in enumerate(value))


class _Map(Check):
    def __init__(self, values: Check) -> None:
        self.values = values

    def holds(self, values: Sequence[Any]) -> bool:
        if countOf(map(type, values), dict) != len(values):
            return False
        if not set(map(type, chain.from_iterable(values))) <= {str}:
            return False
        return self.values.holds([*chain.from_iterable(map(dict.values, values))])

    def fault(self, value: Any, path: str) -> Fault | None:
        if type(value) is not dict:
            return path, f"{shown(value)} is no dict, as the schema's map asks for"
        for key in value:
            if type(key) is not str:
                return path, f"the key {shown(key)} is no str"
            if (reason := text_fault(key)) is not None:
                return path, f"the key {shown(key)}: {reason}"
        return _first(self.values.fault(item, member(path, key)) for key, item in value.items())


class _Record(Check):
    """A dict with exactly the schema's fields, in any order: they come back in the schema's."""

    _plain: list[tuple[itemgetter[str], type]]
    _nullable: list[tuple[itemgetter[str], set[type]]]
    _others: list[tuple[itemgetter[str], Check]]

    def __init__(self) -> None:
        self.fields: dict[str, Check] = {}

    def seal(self) -> None:
        """Sort the fields into those of one type, those of one or None, and those that need more than their type."""
        self._plain, self._nullable, self._others = [], [], []
        for name, check in self.fields.items():
            get = itemgetter(name)
            if isinstance(check, Scalar) and check.plain:
                self._plain.append((get, check.accepted))
            elif isinstance(check, _Nullable) and check.types is not None:
                self._nullable.append((get, check.types))
            else:
                self._others.append((get, check))

    def holds(self, values: Sequence[Any]) -> bool:
        count = len(values)
        if not count:
            return True  # where a recursive type ends
        if countOf(map(type, values), dict) != count:
            return False  # a key too many is left to fastavro, which is strict
        try:
            for get, accepted in self._plain:
                if countOf(map(type, map(get, values)), accepted) != count:
                    return False
            for get, types in self._nullable:
                if not types.issuperset(map(type, map(get, values))):
                    return False
            return all(check.holds([*map(get, values)]) for get, check in self._others)
        except KeyError:
            return False

    def fault(self, value: Any, path: str) -> Fault | None:
        if type(value) is not dict:
            return path, f"{shown(value)} is no dict, as the schema's record asks for"
        for name in self.fields:
            if name not in value:
                return member(path, name), "the field is missing, and would come back as something that was not there"
        for key in value:
            if key not in self.fields:
                return path, f"the key {shown(key)} is no field of the schema"
        return _first(check.fault(value[name], member(path, name)) for name, check in self.fields.items())


def _first(faults: Iterable[Fault | None]) -> Fault | None:
    return next((fault for fault in faults if fault is not None), None)


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


def shown(value: Any) -> str:
    """Return a short value with its type, and of anything else the type, in ASCII."""
    name = type(value).__qualname__
    if value is None:
        return "None"
    small = isinstance(value, (bool, float, str, bytes)) or (isinstance(value, int) and value.bit_length() < 128)
    text = ascii(value) if small else ""
    return f"{text} ({name})" if 0 < len(text) <= 40 else f"a {name}"


# -- rules on scalars: value → reason, and the same question for many at once ------------------------------------------


def text_fault(value: str) -> str | None:
    """Say why a str is no UTF-8, or None."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"it has a lone surrogate at {error.start}, which UTF-8 cannot hold"
    return None


def _long_fault(value: int) -> str | None:
    return None if -(1 << 63) <= value < 1 << 63 else "it does not fit into 64 bits"


def _int_fault(value: int) -> str | None:
    return None if -(1 << 31) <= value < 1 << 31 else "it does not fit into the schema's int of 32 bits"


def _ints(values: Sequence[Any]) -> bool:
    return not values or (min(values) >= -(1 << 31) and max(values) < 1 << 31)


def _float_fault(value: float) -> str | None:
    try:
        kept = math.isnan(value) or struct.unpack("<f", struct.pack("<f", value))[0] == value
    except OverflowError:
        kept = False
    return None if kept else "the schema's float of 32 bits would round it"


def _utc_fault(value: datetime) -> str | None:
    if value.tzinfo is None:
        return "it is naive; the schema's local-timestamp keeps such, a timestamp is a point in time"
    if value.tzinfo is not UTC:
        return f"its time zone {value.tzinfo} would come back as UTC; convert it by astimezone(timezone.utc)"
    return "its fold would be lost" if value.fold else None


def _utc(values: Sequence[Any]) -> bool:
    return all(map(is_, map(_TZINFO, values), repeat(UTC))) and not any(map(_FOLD, values))


def _local_fault(value: datetime | time) -> str | None:
    if value.tzinfo is not None:
        return f"its time zone {value.tzinfo} would be lost"
    return "its fold would be lost" if value.fold else None


def _local(values: Sequence[Any]) -> bool:
    return all(map(is_, map(_TZINFO, values), repeat(None))) and not any(map(_FOLD, values))


def _millis(rule: Rule) -> Rule:
    def fault(value: Any) -> str | None:
        return "the schema's millis would cut off its microseconds" if value.microsecond % 1000 else rule(value)

    return fault


def _micros_bulk(bulk: Bulk) -> Bulk:
    def holds(values: Sequence[Any]) -> bool:
        return not any(microsecond % 1000 for microsecond in map(_MICROSECOND, values)) and bulk(values)

    return holds


def decimal_rule(precision: int, scale: int) -> Rule:
    """Return the rule for decimals of a precision and a scale: digits after the point, exactly."""

    def fault(value: Decimal) -> str | None:
        sign, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            return f"{value} is not finite"
        if exponent != -scale:
            return f"{value} would come back with {scale} digits after its point; quantize it to them"
        if len(digits) > precision:
            return f"{value} has more digits than the schema's precision of {precision}"
        return "the sign of its zero would be lost" if sign and not any(digits) else None

    return fault


def _enum(symbols: Iterable[str]) -> Rule:
    known = frozenset(symbols)
    return lambda value: None if value in known else f"{value!r} is no symbol of the schema's enum"


def _fixed(size: int) -> Rule:
    return lambda value: None if len(value) == size else f"it has {len(value)} bytes, the schema's fixed has {size}"


def _left_to_fastavro(values: Sequence[Any]) -> bool:  # noqa: ARG001
    """Accept in bulk: fastavro raises on such values anyway, and the rule then names the reason."""
    return True


RULES: dict[str, Scalar] = {
    "null": Scalar("null", type(None)),
    "boolean": Scalar("boolean", bool),
    "int": Scalar("int", int, _int_fault, _ints),
    "long": Scalar("long", int, _long_fault, _left_to_fastavro),
    "float": Scalar("float", float, _float_fault, lambda values: array("f", values).tolist() == [*values]),
    "double": Scalar("double", float),
    "bytes": Scalar("bytes", bytes),
    "string": Scalar("string", str, text_fault, _left_to_fastavro),
    "int-date": Scalar("date", date),
    "int-time-millis": Scalar("time-millis", time, _millis(_local_fault), _micros_bulk(_local)),
    "long-time-micros": Scalar("time-micros", time, _local_fault, _local),
    "long-timestamp-millis": Scalar("timestamp-millis", datetime, _millis(_utc_fault), _micros_bulk(_utc)),
    "long-timestamp-micros": Scalar("timestamp-micros", datetime, _utc_fault, _utc),
    "long-local-timestamp-millis": Scalar(
        "local-timestamp-millis", datetime, _millis(_local_fault), _micros_bulk(_local)
    ),
    "long-local-timestamp-micros": Scalar("local-timestamp-micros", datetime, _local_fault, _local),
    "string-uuid": Scalar("uuid", UUID),
}


# -- from a schema to its checks ---------------------------------------------------------------------------------------


class _Compiler:
    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.ambiguous = False
        self.records: dict[str, _Record] = {}

    def compile(self, schema: Any) -> Check:
        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, str):
            return RULES[schema] if schema in RULES else self.compile(self.schema.named[schema])
        kind = schema["type"]
        if not isinstance(kind, str):
            return self.compile(kind)
        if kind in ("record", "error"):
            return self._record(schema)
        if kind == "array":
            return _Array(self.compile(schema["items"]))
        if kind == "map":
            return _Map(self.compile(schema["values"]))
        if "logicalType" in schema:
            logical = f"{kind}-{schema['logicalType']}"
            if logical in ("bytes-decimal", "fixed-decimal"):
                if "precision" not in schema:
                    raise ValueError("the schema has a decimal without a precision")
                return Scalar("decimal", Decimal, decimal_rule(schema["precision"], schema.get("scale", 0)))
            if logical in LOGICAL_READERS or logical in LOGICAL_WRITERS:
                if logical not in RULES:
                    self.ambiguous = True  # somebody registered it with fastavro: ask it
                    return _Anything()
                return RULES[logical]
        if kind == "enum":
            return Scalar("enum", str, _enum(schema["symbols"]))
        if kind == "fixed":
            return Scalar("fixed", bytes, _fixed(schema["size"]))
        return RULES[kind] if kind in RULES else self.compile(self.schema.named[kind])

    def _union(self, branches: list[Any]) -> Check:
        present = [branch for branch in branches if branch not in ("null", {"type": "null"})]
        if not present:
            return RULES["null"]
        if len(present) == 1:
            check = self.compile(present[0])
            return check if len(branches) == 1 else _Nullable(check)
        self.ambiguous = True
        return _Anything()

    def _record(self, schema: Any) -> Check:
        name = schema["name"]
        if name not in self.records:
            record = self.records[name] = _Record()  # known before its fields are: they may refer to it
            for entry in schema["fields"]:
                record.fields[entry["name"]] = self.compile(entry["type"])
            record.seal()
        return self.records[name]


def difference(given: Any, found: Any, path: str) -> Fault | None:
    """Return where and how two values differ, by exact type, NaN being equal to NaN; None if they do not."""
    if type(given) is not type(found):
        return path, f"{shown(given)} would come back as {shown(found)}"
    if isinstance(given, list):
        if len(given) != len(found):
            return path, f"{len(given)} items would come back as {len(found)}"
        return _first(
            difference(a, b, f"{path}[{index}]") for index, (a, b) in enumerate(zip(given, found, strict=True))
        )
    if isinstance(given, dict):
        if given.keys() != found.keys():
            keys = ", ".join(sorted(map(shown, given.keys() ^ found.keys())))
            return path, f"its keys would not come back the same: {keys}"
        return _first(difference(given[key], found[key], member(path, str(key))) for key in given)
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
