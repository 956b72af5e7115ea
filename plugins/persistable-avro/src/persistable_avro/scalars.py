"""Checks, and those of scalars: by exact type, and by a rule where the type leaves something open."""

from __future__ import annotations

import math
import struct
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import repeat
from operator import attrgetter, countOf, is_
from typing import Any
from uuid import UUID

from persistable_avro.faults import Fault, shown

__all__ = ["SCALARS", "Check", "Scalar", "decimal_rule", "enum_rule", "fixed_rule", "text_fault"]

Rule = Callable[[Any], str | None]
Bulk = Callable[[Sequence[Any]], bool]

_TZINFO, _FOLD, _MICROSECOND = attrgetter("tzinfo"), attrgetter("fold"), attrgetter("microsecond")


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


# -- rules: value → reason, and the same question for many at once -----------------------------------------------------


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


def enum_rule(symbols: Iterable[str]) -> Rule:
    """Return the rule for the symbols of an enum."""
    known = frozenset(symbols)
    return lambda value: None if value in known else f"{value!r} is no symbol of the schema's enum"


def fixed_rule(size: int) -> Rule:
    """Return the rule for bytes of one length."""
    return lambda value: None if len(value) == size else f"it has {len(value)} bytes, the schema's fixed has {size}"


def _left_to_fastavro(values: Sequence[Any]) -> bool:  # noqa: ARG001
    """Accept in bulk: fastavro raises on such values anyway, and the rule then names the reason."""
    return True


SCALARS: dict[str, Scalar] = {
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
