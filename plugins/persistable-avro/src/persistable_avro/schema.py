"""Read schemas as users give them and as files bring them, and say what they promise about sizes.

A schema from a file is untrusted: it is bounded in depth before anything recursive looks at it, and it must not allow
values that take no bytes in numbers that only a count limits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastavro.schema import parse_schema

__all__ = ["MAX_DEPTH", "MAX_FOOTPRINT", "Schema", "read_schema"]

MAX_DEPTH = (
    64  # levels of a schema, and of a value of a recursive one; fastavro reads about a thousand before it crashes
)
MAX_FOOTPRINT = 1 << 16  # bytes of memory that a schema may ask for by itself, for each byte of a value and one more

_HINTS = ("__fastavro_parsed", "__named_schemas")
_LIST, _DICT = sys.getsizeof([]), sys.getsizeof({})
_MINIMUM = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}


@dataclass(frozen=True)
class Schema:
    """A schema in every shape that is needed of it.

    Attributes:
        raw: the schema as JSON values.
        parsed: as ``fastavro.parse_schema`` returns it, references by full name.
        named: full name → parsed schema.
        minimum: bytes that a value takes at least; 0 only if every value takes none.
        footprint: bytes that the dicts, lists and pointers of a value take in memory at least.
        recursive: whether a named type contains itself.

    """

    raw: Any
    parsed: Any
    named: Mapping[str, Any]
    minimum: int
    footprint: int
    recursive: bool


def read_schema(given: Any) -> Schema:
    """Return the schema of JSON text, of JSON values or of what ``fastavro.parse_schema`` returned.

    Raises:
        ValueError: it is no Avro schema, nests deeper than ``MAX_DEPTH``, has an array whose items take no bytes, or
            one of its types makes much of nothing, as records of records of nulls do (``MAX_FOOTPRINT``).

    """
    raw = _plain(given)
    _require_depth(raw)
    named: dict[str, Any] = {}
    try:
        parsed = parse_schema(raw, named)
    except Exception as error:  # fastavro's errors have no common base; KeyError and AttributeError are among them
        raise ValueError(f"not an Avro schema: {type(error).__name__}: {error}") from error
    sizes = _Sizes(named)
    minimum, footprint = sizes.minimum(parsed), _Footprints(named, sizes).footprint(parsed)
    return Schema(raw=raw, parsed=parsed, named=named, minimum=minimum, footprint=footprint, recursive=sizes.recursive)


def _plain(given: Any) -> Any:
    if isinstance(given, str) and given.lstrip()[:1] in ("{", "[", '"'):
        try:
            return json.loads(given)
        except RecursionError as error:
            raise ValueError(f"the schema nests deeper than {MAX_DEPTH} levels") from error
        except ValueError as error:
            raise ValueError(f"the schema is no JSON: {error}") from error
    if isinstance(given, Mapping):
        return {key: value for key, value in given.items() if key not in _HINTS}
    if isinstance(given, (list, tuple)):
        return [_plain(branch) for branch in given]
    if not isinstance(given, str):
        raise ValueError(f"a schema is a dict, a list or JSON text, not {type(given).__qualname__}")
    return given


def _require_depth(raw: Any) -> None:
    level = [raw]
    for _ in range(4 * MAX_DEPTH):  # a level of nesting is up to four JSON levels: field list, field, type, union
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise ValueError(f"the schema nests deeper than {MAX_DEPTH} levels")


@dataclass
class _Sizes:
    """Count the bytes that values take at least, each named type once."""

    named: Mapping[str, Any]
    recursive: bool = False
    known: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def minimum(self, schema: Any) -> int:
        if isinstance(schema, list):
            return 1 + min((self.minimum(branch) for branch in schema), default=0)
        if isinstance(schema, str):
            return _MINIMUM[schema] if schema in _MINIMUM else self._named(schema, self.named[schema])
        kind = schema["type"]
        if kind == "array":
            if self.minimum(schema["items"]) == 0:
                raise ValueError("the schema has an array whose items take no bytes, so that any length can be claimed")
            return 1
        if kind == "map":
            self.minimum(schema["values"])  # an entry takes a byte for its key, whatever its value takes
            return 1
        if kind == "enum":
            return 1
        if kind == "fixed":
            size = schema["size"]
            if type(size) is not int or size < 0:
                raise ValueError(f"the schema has a fixed of size {size!r}")
            return size
        if kind in ("record", "error"):
            return self._named(schema["name"], schema)
        return self.minimum(kind)

    def _named(self, name: str, schema: Any) -> int:
        if name in self.open:
            self.recursive = True
            return 0
        if name not in self.known:
            if schema["type"] not in ("record", "error"):
                return self.minimum(schema)
            self.open.add(name)
            self.known[name] = sum(self.minimum(entry["type"]) for entry in schema["fields"])
            self.open.discard(name)
        return self.known[name]


@dataclass
class _Footprints:
    """Count the bytes that values take in memory at least, each named type once."""

    named: Mapping[str, Any]
    sizes: _Sizes
    known: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def footprint(self, schema: Any) -> int:
        if isinstance(schema, list):
            return min((self.footprint(branch) for branch in schema), default=0)
        if isinstance(schema, str):
            return 0 if schema in _MINIMUM else self._named(schema, self.named[schema])
        kind = schema["type"]
        if kind == "array":
            self.footprint(schema["items"])
            return _LIST
        if kind == "map":
            self.footprint(schema["values"])
            return _DICT
        if kind in ("enum", "fixed"):
            return 0
        if kind in ("record", "error"):
            return self._named(schema["name"], schema)
        return self.footprint(kind)

    def _named(self, name: str, schema: Any) -> int:
        if name in self.open or schema["type"] not in ("record", "error"):
            return 0
        if name not in self.known:
            self.open.add(name)
            fields = [entry["name"] for entry in schema["fields"]]
            own = sys.getsizeof(dict.fromkeys(fields))
            self.known[name] = found = own + sum(self.footprint(entry["type"]) for entry in schema["fields"])
            self.open.discard(name)
            if found > MAX_FOOTPRINT * (1 + self.sizes.minimum(schema)):
                raise ValueError(
                    f"the schema makes {found} bytes in memory of each {name}, which may take none in a file"
                )
        return self.known[name]
