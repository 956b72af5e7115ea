"""Encodings of instances of Python classes: by their fields, their instance state, and the builtin they extend.

What a class keeps out of sight of Python cannot be encoded: an instance is refused if a class in its MRO is implemented
in C and is not one of the known types, as ``pandas.Timestamp`` is, a datetime with hidden nanoseconds. What is visible
is never dropped silently, except values that ``functools.cached_property`` can compute again.
"""

from __future__ import annotations

import functools
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from persistable.canonical import Context, Refusal, plain_name, scalar_parts
from persistable.literals import find_public

__all__ = ["OPTIONS", "FieldOptions", "Plan", "class_id", "hidden_layer", "plan_of"]

OPTIONS = "persistable"  # the key of FieldOptions in a dataclass field's metadata
_HEAP_TYPE = 1 << 9
_C_DESCRIPTORS = (
    types.MethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)
_DATACLASS = "__dataclass_fields__"
_FIELD_MARKERS = (_DATACLASS, "__attrs_attrs__")
_NOT_STATE = frozenset({"__orig_class__", "__initialised__"})  # notes that typing and 1.x dataclasses leave


class FieldOptions:
    """What ``param()`` says of a field. ``absent`` holds a private copy of ``absent_means``, if there is one."""

    __slots__ = ("absent", "secret", "tracked")

    def __init__(self, tracked: bool = True, secret: bool = False, absent: tuple[Any, ...] = ()) -> None:
        self.tracked, self.secret, self.absent = tracked, secret, absent


_PLAIN = FieldOptions()


class _Unset:
    """Stand in for the value of a field that has none."""


_UNSET = _Unset()


def class_id(cls: type) -> str:
    """Return the JSON string of a class's qualified name. The module is left out: moving it recomputes nothing."""
    quoted = plain_name(cls.__qualname__)
    if quoted is None:
        raise Refusal(cls, "its class has a name that is no plain text")
    return quoted


# -- what a class is made of -------------------------------------------------------------------------------------------


def _slot_names(cls: type) -> set[str]:
    declared: Any = vars(cls).get("__slots__", ())
    names = (declared,) if isinstance(declared, str) else tuple(declared)
    stem = cls.__name__.lstrip("_")
    return {f"_{stem}{name}" if name.startswith("__") and not name.endswith("__") else name for name in names}


def _made_in_python(cls: type) -> bool:
    if cls is typing.Generic or cls is typing.Protocol:  # implemented in C since 3.12, without state
        return True
    if not cls.__flags__ & _HEAP_TYPE:
        return False
    visible = {"__dict__", "__weakref__"} | _slot_names(cls)
    return not any(
        isinstance(member, _C_DESCRIPTORS) and member.__objclass__ is cls and name not in visible
        for name, member in vars(cls).items()
    )


def hidden_layer(cls: type, base: type) -> type | None:
    """Return the first class of the MRO, apart from that of ``base``, that may keep state out of sight of Python."""
    known = base.__mro__
    return next((layer for layer in cls.__mro__ if layer not in known and not _made_in_python(layer)), None)


def _slots(cls: type, base: type) -> frozenset[str]:
    return frozenset(
        name
        for layer in cls.__mro__
        if layer not in base.__mro__
        for name, member in vars(layer).items()
        if isinstance(member, types.MemberDescriptorType) and member.__objclass__ is layer
    )


def _cached(cls: type) -> frozenset[str]:
    members: dict[str, Any] = {}
    for layer in reversed(cls.__mro__):
        members |= vars(layer)
    return frozenset(name for name, member in members.items() if isinstance(member, functools.cached_property))


def _annotations(cls: type) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.STRING)
    return typing.cast("dict[str, Any]", vars(cls).get("__annotations__", {}))


def _is_class_variable(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return re.match(r"([\w.]+\.)?ClassVar\b", annotation.strip()) is not None
    return annotation is typing.ClassVar or typing.get_origin(annotation) is typing.ClassVar


def _stray(cls: type, fields: Iterable[tuple[str, FieldOptions]]) -> tuple[str, ...]:
    """Name what ``param()`` declares in classes that are no dataclasses, which know nothing of its options."""
    from dataclasses import Field

    listed = {name for name, _ in fields}
    members: dict[str, Any] = {}
    for layer in reversed(cls.__mro__):
        members |= vars(layer)
    return tuple(
        name
        for name, member in members.items()
        if isinstance(member, Field) and OPTIONS in member.metadata and name not in listed
    )


def _undecorated(cls: type) -> tuple[str, ...]:
    """Name the annotated values of classes that extend a (data)class with fields and are none: fields in looks only."""
    return tuple(
        name
        for layer in cls.__mro__
        if any(hasattr(layer, marker) for marker in (*_FIELD_MARKERS, "_excluded_attributes"))
        and not any(marker in vars(layer) for marker in _FIELD_MARKERS)
        for name, annotation in _annotations(layer).items()
        if name in vars(layer)
        and not _is_class_variable(annotation)
        and not isinstance(vars(layer)[name], (types.MemberDescriptorType, property))
    )


# -- the plan of a class -----------------------------------------------------------------------------------------------


class Plan:
    """What is known of a class before an instance is seen: its tracked fields, sorted, and where else to look.

    Attributes:
        options: all fields, in their order, with what ``param()`` says of them.
        names: tracked fields, sorted; ``prefixes`` are these as JSON, ``get`` fetches their values.
        absent: what the absence of a field means, for fields that were added later.
        in_dict: how many entries the ``__dict__`` of an instance has that consists of its fields only.
        slots: slots that are no fields.
        left_out: names that never enter the key.
        undecorated: names that look like fields and are none; ``stray``: those of them that ``param()`` declares.
        untracked: fields that do not enter the key and are pickled all the same.
        simple: whether an instance may consist of its fields only.
        plain: whether then nothing else has a say in its key: all fields are tracked, and there are no 1.x hooks.
        excludes: whether instances name attributes to leave out, as in 1.x; ``own``: whether they bring encoders.
        suits_params: whether an instance can be the params of a payload.
    """

    __slots__ = (
        "absent",
        "excludes",
        "get",
        "in_dict",
        "leaking",
        "left_out",
        "names",
        "options",
        "own",
        "plain",
        "prefixes",
        "simple",
        "slots",
        "stray",
        "suits_params",
        "tracked",
        "undecorated",
        "untracked",
    )

    def __init__(
        self,
        cls: type,
        base: type,
        fields: Iterable[tuple[str, FieldOptions | None]],
        *,
        slots: bool = True,
        ignored: frozenset[str] = frozenset(),
    ) -> None:
        self.options = listed = tuple((name, options or _PLAIN) for name, options in fields)
        self.names = tuple(sorted(name for name, options in listed if options.tracked))
        self.left_out = _cached(cls) | _NOT_STATE | ignored | {name for name, options in listed if not options.tracked}
        self.absent = {name: options.absent[0] for name, options in listed if options.absent}
        self.prefixes = tuple(_prefix(cls, name) for name in self.names)
        self.get: Callable[[Any], tuple[Any, ...]] = attrgetter(*self.names) if len(self.names) > 1 else self._few
        in_slots = _slots(cls, base)
        self.in_dict = frozenset(name for name, _ in listed if name not in in_slots)
        self.slots = in_slots.difference(name for name, _ in listed) if slots else frozenset()
        self.undecorated = _undecorated(cls)
        self.stray = _stray(cls, listed)
        self.leaking = _leaking(cls, listed)
        self.simple = not (self.absent or self.slots or self.undecorated or self.stray or self.leaking)
        self.untracked = tuple(name for name, options in listed if not (options.tracked or options.secret))
        self.tracked = frozenset(self.names)
        self.excludes = _overrides(cls, "_excluded_attributes")
        self.suits_params = (hasattr(cls, _DATACLASS) or hasattr(cls, "_excluded_attributes")) and hidden_layer(
            cls, object
        ) is None
        self.own = _overrides(cls, "_custom_type_encoder_map")
        self.plain = self.simple and self.suits_params and not (self.untracked or self.excludes or self.own)

    def _few(self, value: Any) -> tuple[Any, ...]:
        return tuple(getattr(value, name) for name in self.names)

    def fields_only(self, value: Any) -> tuple[Any, ...] | None:
        """Return the values of ``names``, or None if more or less than these make up the value."""
        if not self.simple:
            return None
        if not self.in_dict.issuperset(getattr(value, "__dict__", ())):  # it has more than its fields
            return None
        if self.excludes and not self.tracked.isdisjoint(value._excluded_attributes):
            return None
        try:
            return self.get(value)
        except AttributeError:
            return None

    def check_leaking(self, value: object) -> None:
        """Refuse secrets of a class that does not know how to keep them."""
        if self.leaking:
            raise Refusal(
                value,
                f"{', '.join(self.leaking)} is secret, and its pickle or repr would show it",
                "Derive its class from PersistableParams",
            )

    def parts(self, value: Any, context: Context) -> Sequence[str]:
        """Return ``"field":text`` of what enters the key, sorted by name."""
        return self.parts_of(value, self.fields_only(value), context)

    def parts_of(self, value: Any, values: tuple[Any, ...] | None, context: Context) -> Sequence[str]:
        """Return the parts of a value whose ``fields_only`` are known already."""
        if values is not None and not context.custom:
            parts = scalar_parts(self.prefixes, values)
            if parts is not None:
                return parts
        if values is None:
            found = [self.part(name, held, value, context) for name, held in self.attributes(value).items()]
            return [part for part in found if part is not None]
        emit, texts = context.emit, list[str]()
        try:
            for prefix, item in zip(self.prefixes, values, strict=True):
                texts.append(prefix + emit(item))
        except Refusal as refusal:
            refusal.segments.append(f".{self.names[len(texts)]}")
            raise
        return texts

    def part(self, name: str, held: object, value: object, context: Context) -> str | None:
        """Return ``"field":text`` of one attribute, or None if it stands for its absence."""
        try:
            text = '{"$":"unset"}' if held is _UNSET else context.emit(held)
        except Refusal as refusal:
            refusal.segments.append(f".{name}")
            raise
        if name in self.absent and text == context.emit(self.absent[name]):
            return None
        return _prefix(value, name) + text

    def attributes(self, value: Any) -> dict[str, Any]:
        """Return what enters the key, sorted by name: tracked fields and other instance attributes, in slots or not."""
        found = {name: getattr(value, name, _UNSET) for name in self.names}
        instance: dict[str, Any] = getattr(value, "__dict__", None) or {}
        if instance is value:  # class AttrDict(dict): self.__dict__ = self
            instance = {}
        self.check_leaking(value)
        if self.stray:
            raise Refusal(
                value,
                f"{', '.join(self.stray)} is declared by param(), but its class is no dataclass",
                "Decorate it with @dataclass",
            )
        missing = [name for name in self.undecorated if name not in instance]
        if missing:
            raise Refusal(
                value,
                f"{', '.join(missing)} would be left out, because its class extends a dataclass but is not one",
                "Decorate it with @dataclass, or annotate constants as ClassVar",
            )
        for name in self.slots - self.left_out:
            if (held := getattr(value, name, _UNSET)) is not _UNSET:
                found[name] = held
        found |= {name: held for name, held in instance.items() if name not in self.left_out}
        for name in value._excluded_attributes if self.excludes else ():
            found.pop(name, None)
        for name in found:
            _prefix(value, name)
        return dict(sorted(found.items()))


def _leaking(cls: type, fields: Iterable[tuple[str, FieldOptions]]) -> tuple[str, ...]:
    """Name the secret fields of a class that does not know how to keep them."""
    standard = find_public("persistable.params", "PersistableParams")
    if standard is not None and issubclass(cls, standard):
        return ()
    return tuple(name for name, options in fields if options.secret)


def _overrides(cls: type, name: str) -> bool:
    """Say whether a class has a 1.x hook of its own, not the one that changes nothing."""
    standard = find_public("persistable.encodable", "DictEncodable")
    return hasattr(cls, name) and (standard is None or getattr(cls, name) is not getattr(standard, name))


def _prefix(value: object, name: object) -> str:
    quoted = plain_name(name)
    if quoted is None:
        raise Refusal(value, "one of its attributes has a name that is no plain text")
    return f"{quoted}:"


def _plan(cls: type) -> Plan:
    """Return the plan of a dataclass, or of a class whose instance attributes are what it is made of."""
    import dataclasses  # on first use: who has one has imported it

    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return Plan(cls, object, ((field.name, field.metadata.get(OPTIONS, _PLAIN)) for field in fields))


# a lookup costs half of what a weak one does, and of classes that are made anew and anew not too many stay
plan_of: Callable[[type], Plan] = functools.lru_cache(maxsize=1024)(_plan)
