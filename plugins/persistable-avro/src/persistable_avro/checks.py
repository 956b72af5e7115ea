"""Checks of whole schemas: what they are made of, all values of one place at once."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from operator import countOf, itemgetter
from typing import Any

from fastavro.read import LOGICAL_READERS
from fastavro.write import LOGICAL_WRITERS

from persistable_avro.faults import Fault, first_of, member, shown
from persistable_avro.scalars import SCALARS, Check, Scalar, decimal_rule, enum_rule, fixed_rule, text_fault
from persistable_avro.schema import Schema

__all__ = ["Compiler"]


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
        return first_of(self.items.fault(item, f"{path}[{index}]") for index, item in enumerate(value))


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
        return first_of(self.values.fault(item, member(path, key)) for key, item in value.items())


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
        return first_of(check.fault(value[name], member(path, name)) for name, check in self.fields.items())


class Compiler:
    """Turn a schema into its checks.

    Attributes:
        ambiguous: whether fastavro has a choice that no check foresees; known after ``compile``.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.ambiguous = False
        self.records: dict[str, _Record] = {}

    def compile(self, schema: Any) -> Check:
        """Return the check of the schema or a part of it. Raises ValueError if it leaves out what is needed."""
        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, str):
            return SCALARS[schema] if schema in SCALARS else self.compile(self.schema.named[schema])
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
                if logical not in SCALARS:
                    self.ambiguous = True  # somebody registered it with fastavro: ask it
                    return _Anything()
                return SCALARS[logical]
        if kind == "enum":
            return Scalar("enum", str, enum_rule(schema["symbols"]))
        if kind == "fixed":
            return Scalar("fixed", bytes, fixed_rule(schema["size"]))
        return SCALARS[kind] if kind in SCALARS else self.compile(self.schema.named[kind])

    def _union(self, branches: list[Any]) -> Check:
        present = [branch for branch in branches if branch not in ("null", {"type": "null"})]
        if not present:
            return SCALARS["null"]
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
