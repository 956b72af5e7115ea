"""Canonical JSON text of the types that JSON and Python's builtins bring, and how a value is refused.

A JSON native stands for itself, by exact type; everything else is a tagged object ``{"$": tag, …}`` with sorted keys.
No user value can imitate a tag: a dict with a key that starts with ``$`` is tagged itself. Emitters are functions of
a value and a context that return text; they recurse through ``context.emit`` and never through C code, so that depth
is bounded by Python's recursion limit alone. Nothing here does I/O or calls ``repr``, ``hash`` or ``str`` of an object
whose type it does not know exactly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from types import EllipsisType, NoneType
from typing import Any, Protocol

from persistable.quoting import quoted as _as_json

__all__ = [
    "NATIVES",
    "Context",
    "Emitter",
    "Refusal",
    "attribute_segment",
    "bounded",
    "canonical",
    "digest_of",
    "items",
    "mapping",
    "plain_name",
    "quote",
]

LONGEST = 1 << 26  # characters of an encoded value: records hold it, and are read at once
LONG_BYTES = 4096  # bytes, inclusive: longer content enters by its digest
WIDE_INT = 1 << 2048  # ints of more than 2048 bits do not print under every sys.set_int_max_str_digits
_SHORT = 16  # elements: below it the set-up of the C encoder costs more than it saves
_FLAT = frozenset({NoneType, bool, int, float, str})


class Context(Protocol):
    """What an emitter may use: the 1.x map of custom encoders (usually empty) and the way to encode parts."""

    @property
    def custom(self) -> Mapping[type, Callable[[Any], Any]]:
        """Functions that win over every encoding, by class."""
        ...

    def emit(self, value: object) -> str:
        """Return the canonical text of a part."""
        ...

    def customised(self, more: Mapping[type, Callable[[Any], Any]]) -> Context:
        """Return the context for the parts of an object that brings a map of its own."""
        ...


Emitter = Callable[[Any, Context], str]


class Refusal(Exception):  # noqa: N818 - internal: encode() turns it into the error that users see
    """Carry the reason why a value has no encoding; containers append their segment of the path as it passes.

    ``repair`` says what to do about it, in a sentence without its full stop, where that is not what one does about most
    objects.
    """

    def __init__(self, value: object, reason: str, repair: str | None = None) -> None:
        self.value_type, self.reason, self.repair, self.segments = type(value), reason, repair, list[str]()
        super().__init__(reason)


def bounded(text: str, value: object) -> str:
    """Return the text of a value, unless it is longer than what a record is to hold.

    A structure that is shared is written wherever it is held, so that a small one can grow beyond all bounds.
    """
    if len(text) > LONGEST:
        raise Refusal(
            value,
            f"it takes more than the {LONGEST:,} characters that a record is to hold (what is shared counts wherever it"
            " is held): give much data as bytes, a numpy array or FileContent, of which only the digest is kept",
        )
    return text


@functools.cache
def _encode() -> Callable[[Any], str]:
    from json import JSONEncoder  # on first use: most keys do without

    return JSONEncoder(
        ensure_ascii=True, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode


def canonical(document: Any) -> str:
    """Return the canonical text of a JSON document; of one parsed from canonical text, that very text."""
    return _encode()(document)


def quote(text: str) -> str | None:
    """Return a str as a JSON string, or None if it has lone surrogates, which JSON's escapes cannot tell from pairs."""
    quoted = _as_json(text)
    if "\\ud" in quoted:
        try:
            text.encode()
        except UnicodeEncodeError:
            return None
    return quoted


def plain_name(name: object) -> str | None:
    """Return the name of a field or the key of a plain dict as a JSON string; None if it would need a tag."""
    if type(name) is not str or name.startswith("$"):
        return None
    return quote(name)


def digest_of(content: bytes | bytearray | memoryview) -> str:
    """Return bytes as the members of a tagged object: readable, or if they are long by size and SHA-256."""
    if len(content) <= LONG_BYTES:
        return f'"hex":"{content.hex()}"'
    from hashlib import sha256

    return f'"sha256":"{sha256(content).hexdigest()}","size":{len(content)}'


# -- scalars -----------------------------------------------------------------------------------------------------------


def _int(value: int, _context: Context) -> str:
    if -WIDE_INT < value < WIDE_INT:
        return int.__repr__(value)
    return f'{{"$":"int","hex":"{value:x}"}}'


def _float(value: float, _context: Context) -> str:
    if value - value == 0.0:
        return float.__repr__(value)
    return f'{{"$":"float","value":"{value!r}"}}'


def _str(value: str, _context: Context) -> str:
    return quote(value) or f'{{"$":"str","utf8":"{value.encode("utf-8", "surrogatepass").hex()}"}}'


def _complex(value: complex, context: Context) -> str:
    return f'{{"$":"complex","imag":{_float(value.imag, context)},"real":{_float(value.real, context)}}}'


def _range(value: range, context: Context) -> str:
    return f'{{"$":"range","value":[{",".join(_int(n, context) for n in (value.start, value.stop, value.step))}]}}'


def _slice(value: slice, context: Context) -> str:
    return f'{{"$":"slice","value":{items((value.start, value.stop, value.step), context)}}}'


_PLAIN: dict[type, Callable[[Any], str]] = {
    str: _as_json,
    int: repr,
    float: repr,
    bool: {True: "true", False: "false"}.__getitem__,
    NoneType: {None: "null"}.__getitem__,
}


def scalar_parts(prefixes: tuple[str, ...], values: tuple[Any, ...]) -> tuple[str, ...] | None:
    """Return ``prefix + text`` of each value if all are plain scalars that print canonically, else None.

    A way of its own because it decides what a key of a few fields costs.
    """
    try:
        parts = [prefix + _PLAIN[type(value)](value) for prefix, value in zip(prefixes, values)]  # noqa: B905 - as long
    except (KeyError, ValueError):  # no scalar, or an int too wide for sys.set_int_max_str_digits
        return None
    text = "".join(parts)
    # this finds every wide int, lone surrogate, nan and inf, and now and then a harmless text: emitters look closer
    return None if len(text) > 600 or "\\ud" in text or ":nan" in text or "inf" in text else tuple(parts)


# -- containers --------------------------------------------------------------------------------------------------------


def _flat(container: Any, values: Collection[Any]) -> str | None:
    """Encode a container of plain scalars in C, or return None where the C encoder would not be canonical."""
    kinds = set(map(type, values))
    if not kinds <= _FLAT:
        return None
    if int in kinds:
        numbers = values if len(kinds) == 1 else [value for value in values if type(value) is int]
        if min(numbers) <= -WIDE_INT or max(numbers) >= WIDE_INT:
            return None
    try:
        text = _encode()(container)
    except ValueError:  # nan, inf
        return None
    # perhaps a lone surrogate: quote() looks closer. One character is found a hundred times faster than two
    return None if "\\" in text and "\\ud" in text else text


def items(values: Collection[Any], context: Context) -> str:
    """Return a JSON array of the elements, in their order."""
    if len(values) >= _SHORT and not context.custom and type(values) in (list, tuple):
        flat = _flat(values, values)
        if flat is not None:
            return bounded(flat, values)
    parts: list[str] = []
    try:
        for value in values:
            parts.append(context.emit(value))  # noqa: PERF401 - the length is the index of what was refused
    except Refusal as refusal:
        refusal.segments.append(f"[{len(parts)}]")
        raise
    return bounded(f"[{','.join(parts)}]", values)


def unordered(values: Iterable[Any], context: Context) -> str:
    """Return a JSON array of the elements, sorted by their text."""
    try:
        return f"[{','.join(sorted([context.emit(value) for value in values]))}]"
    except Refusal as refusal:
        refusal.segments.append("{…}")
        raise


def key_segment(key: object) -> str:
    """Return the segment of a path that names an element by its key; keys of unknown types are not printed."""
    plain = type(key) in (str, bool, float, NoneType) or (type(key) is int and -WIDE_INT < key < WIDE_INT)
    return f"[{key!r}]" if plain else "[…]"


def pairs(mapped: Iterable[tuple[Any, Any]], context: Context) -> list[str]:
    """Return ``[key, value]`` of each pair, in their order."""
    texts: list[str] = []
    for key, value in mapped:
        try:
            name = context.emit(key)
        except Refusal as refusal:
            refusal.segments.append("{…}")
            raise
        try:
            texts.append(f"[{name},{context.emit(value)}]")
        except Refusal as refusal:
            refusal.segments.append(key_segment(key))
            raise
    return texts


def attribute_segment(name: object) -> str:
    """Return the segment of a path that names an attribute."""
    return f".{name}" if type(name) is str else "[…]"


def mapping(value: dict[Any, Any], context: Context, segment: Callable[[object], str] = key_segment) -> str:
    """Return a JSON object if every key is a plain str, else a tagged one of sorted pairs."""
    if len(value) >= _SHORT and not context.custom and set(map(type, value)) == {str}:
        flat = _flat(value, value.values())
        if flat is not None and not ("$" in flat and '"$' in flat):
            return bounded(flat, value)
    names: dict[str, str] = {}
    for key in value:
        quoted = plain_name(key)
        if quoted is None:
            return f'{{"$":"dict","items":[{",".join(sorted(pairs(value.items(), context)))}]}}'
        names[key] = quoted
    parts: list[str] = []
    for key in sorted(names):
        try:
            parts.append(f"{names[key]}:{context.emit(value[key])}")
        except Refusal as refusal:
            refusal.segments.append(segment(key))
            raise
    return bounded(f"{{{','.join(parts)}}}", value)


NATIVES: dict[type, Emitter] = {
    NoneType: lambda _value, _context: "null",
    bool: lambda value, _context: "true" if value else "false",
    int: _int,
    float: _float,
    str: _str,
    list: items,
    dict: mapping,
    tuple: lambda value, context: f'{{"$":"tuple","items":{items(value, context)}}}',
    set: lambda value, context: f'{{"$":"set","items":{unordered(value, context)}}}',
    frozenset: lambda value, context: f'{{"$":"frozenset","items":{unordered(value, context)}}}',
    complex: _complex,
    bytes: lambda value, _context: f'{{"$":"bytes",{digest_of(value)}}}',
    bytearray: lambda value, _context: f'{{"$":"bytearray",{digest_of(value)}}}',
    range: _range,
    slice: _slice,
    EllipsisType: lambda _value, _context: '{"$":"ellipsis"}',
}
