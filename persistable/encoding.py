"""The typed canonical encoding of values: which encoding a value gets, and the error if it gets none.

In this order: the 1.x map of custom encoders; the exact builtin and standard types (``canonical``, ``literals``) and
numpy's (``arrays``); ``__persistable_params__()`` of a class; enum members, classes, dataclasses, models, subclasses of
builtins (``instances``); the encoders of plugins, for types that have none of these. Everything else is refused with
its path. Pure functions of values: no I/O, no registry, no import of a payload library.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from persistable.canonical import NATIVES, Context, Emitter, Refusal, attribute_segment, bounded, canonical, mapping
from persistable.exceptions import UnkeyableParamError
from persistable.instances import Plan, class_id, hidden_layer, plan_of
from persistable.literals import LITERALS, find_public, importable_class, within
from persistable.secrecy import check_untracked

if TYPE_CHECKING:
    from weakref import WeakKeyDictionary

__all__ = ["Encoder", "Extend", "ParamEncoder", "canonical", "encode", "refused"]


class ParamEncoder:
    """Give the instances of a foreign type an encoding.

    Attributes:
        name: who encodes; part of the key.
        version: raised when ``encode`` changes what it returns; part of the key.
        encode: returns what defines a value, in values that have an encoding.
        locate: turns the path of a part of what ``encode`` returned into the users' own, for errors; not in the key.
    """

    __slots__ = ("encode", "locate", "name", "version")

    def __init__(
        self,
        name: str,
        version: int,
        encode: Callable[[Any], Any],
        locate: Callable[[Any, tuple[str, ...]], tuple[str, ...]] | None = None,
    ) -> None:
        self.name, self.version, self.encode, self.locate = name, version, encode, locate


Extend = Callable[[type], ParamEncoder | None]

_known: dict[type, Emitter] = dict(NATIVES)  # exact types of builtins, standard library and numpy, as they are met


@functools.cache
def _made() -> WeakKeyDictionary[type, Emitter]:
    """Return the encodings of users' classes, as they are met."""
    from weakref import WeakKeyDictionary  # on first use: most keys do without

    return WeakKeyDictionary()


def encode(
    value: object,
    *,
    path: str = "value",
    custom: Mapping[type, Callable[[Any], Any]] | None = None,
    extend: Extend | None = None,
) -> str:
    """Return the canonical JSON text of a value; two values have the same text exactly if they are the same, by type.

    Args:
        value: what to encode; it is not changed.
        path: how errors call the value.
        custom: functions by class (the 1.x map) that win over every encoding, for a value of any depth whose MRO has
            the class; the nearest class counts, and what the function returns is encoded.
        extend: asked with the exact type of what has no encoding.

    Raises:
        UnkeyableParamError: the value, or a part of it, has no encoding, or it contains itself.
    """
    try:
        return Encoder(custom or {}, extend).emit(value)
    except (Refusal, RecursionError) as error:
        raise refused(error, path, value) from None


def refused(error: Refusal | RecursionError, path: str, value: object) -> UnkeyableParamError:
    """Return the error that tells users what was refused in ``value``, which they know as ``path``."""
    if isinstance(error, RecursionError):
        return UnkeyableParamError(
            path=path, value_type=_name(type(value)), reason="it contains itself, or is nested too deeply"
        )
    repair = {} if error.repair is None else {"repair": error.repair}
    return UnkeyableParamError(
        path=path + "".join(reversed(error.segments)), value_type=_name(error.value_type), reason=error.reason, **repair
    )


def _name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


class Encoder:
    """The context of one encoding: the custom map, the plugins' encoders, and the dispatch by exact type."""

    __slots__ = ("custom", "extend")

    def __init__(self, custom: Mapping[type, Callable[[Any], Any]], extend: Extend | None) -> None:
        self.custom, self.extend = custom, extend

    def emit(self, value: object) -> str:
        """Return the canonical text of a value or part. Raises Refusal or RecursionError."""
        cls = type(value)
        if self.custom:
            for layer in cls.__mro__:
                if layer in self.custom:
                    return self._customised(value, layer)
        emitter = _known.get(cls)
        return emitter(value, self) if emitter is not None else self._emit_other(value, cls)

    def customised(self, more: Mapping[type, Callable[[Any], Any]]) -> Encoder:
        """Return the context for the parts of an object that brings a map of its own."""
        return Encoder({**self.custom, **more}, self.extend)

    def _customised(self, value: object, layer: type) -> str:
        result = self.custom[layer](value)
        again = next((found for found in type(result).__mro__ if found in self.custom), None)
        # {float: round} returns what the map claims again: that is the end of it, its parts excepted
        text = self._emit_other(result, type(result)) if again is layer else self.emit(result)
        return f'{{"$":"custom","class":{class_id(layer)},"value":{text}}}'

    def _emit_other(self, value: object, cls: type) -> str:
        emitter = _known.get(cls) or _made().get(cls)
        if emitter is None:
            found = _emitter_of(cls)
            if isinstance(found, str):
                return self._extended(value, cls, found)
            emitter = found
        return emitter(value, self)

    def _extended(self, value: object, cls: type, reason: str) -> str:
        encoder = None if self.extend is None else self.extend(cls)
        if encoder is None:
            raise Refusal(value, reason)
        name = self.emit(encoder.name)
        try:
            text = self.emit(encoder.encode(value))
        except Refusal as refusal:
            if encoder.locate is not None:
                refusal.segments[:] = reversed(encoder.locate(value, tuple(reversed(refusal.segments))))
            raise
        return f'{{"$":"plugin","encoder":{name},"value":{text},"version":{self.emit(encoder.version)}}}'


# -- which encoding a class gets ---------------------------------------------------------------------------------------


def _emitter_of(cls: type) -> Emitter | str:
    """Find the encoding of instances of a class, or say why there is none; what is found is kept."""
    known = _known_emitter(cls)
    if known is not None:
        return known
    found = _made_emitter(cls)
    if not isinstance(found, str):
        _made()[cls] = found
    return found


def _known_emitter(cls: type) -> Emitter | None:
    emitter = _known.get(cls)
    if emitter is None:
        emitter = next((found for module, name, found in LITERALS if find_public(module, name) is cls), None)
        if emitter is None and find_public("numpy", "ndarray") is not None:
            from persistable.arrays import numpy_emitter

            emitter = numpy_emitter(cls)
        if emitter is not None:
            _known[cls] = emitter
    return emitter


def _made_emitter(cls: type) -> Emitter | str:
    if any("__persistable_params__" in vars(layer) for layer in cls.__mro__):
        return _own_params
    if issubclass(cls, enum.Enum):
        return _enum_member
    if issubclass(cls, type):
        return importable_class
    for module, name, model in _MODELS:
        root = find_public(module, name)
        if isinstance(root, type) and issubclass(cls, root):
            return model(cls, root)
    base = next((layer for layer in cls.__mro__ if _known_emitter(layer) is not None), object)
    hidden = hidden_layer(cls, base)
    if hidden is not None:
        if hidden is cls or hidden is object:
            return "its type has no encoding"
        return f"its base {_name(hidden)} is implemented in C and may keep state out of sight"
    if hasattr(cls, "__dataclass_fields__"):
        return _fields("dataclass", plan_of(cls), base)
    if hasattr(cls, "__attrs_attrs__"):
        return _fields(
            "attrs", Plan(cls, base, ((field.name, None) for field in cls.__attrs_attrs__), slots=False), base
        )
    encodable = find_public("persistable.encodable", "DictEncodable")
    if encodable is not None and issubclass(cls, encodable):
        return _fields("instance", plan_of(cls), base)
    if base is object:
        return "its type has no encoding"
    names = getattr(cls, "_fields", None)
    ignored = frozenset[str]()
    if base is find_public("numpy.ma", "MaskedArray"):
        from persistable.arrays import MASKED_STATE

        ignored = MASKED_STATE
    return _extension(
        Plan(cls, base, (), ignored=ignored), base, tuple(names) if base is tuple and type(names) is tuple else None
    )


def _own_params(value: Any, context: Context) -> str:
    method = next(
        vars(cls)["__persistable_params__"] for cls in type(value).__mro__ if "__persistable_params__" in vars(cls)
    )
    if method is None:
        raise Refusal(value, "its class sets __persistable_params__ to None")
    result = within(".__persistable_params__()", _emit, type(value).__persistable_params__(value), context)
    return f'{{"$":"params","class":{class_id(type(value))},"value":{result}}}'


def _emit(value: object, context: Context) -> str:
    return context.emit(value)


def _enum_member(value: enum.Enum, context: Context) -> str:
    inner = within(".value", _emit, value._value_, context)
    name = context.emit(value._name_)
    return f'{{"$":"enum","class":{class_id(type(value))},"name":{name},"value":{inner}}}'


def _fields(tag: str, plan: Plan, base: type) -> Emitter:
    """Encode by fields, and by the value of the builtin that the class also is, if it is one."""

    def emit_fields(value: Any, context: Context) -> str:
        if plan.own and (own := value._custom_type_encoder_map):
            context = context.customised(own)
        inner = "" if base is object else f',"value":{_known[base](_base_value(base, value), context)}'
        check_untracked(plan, value)
        fields = bounded(",".join(plan.parts(value, context)), value)
        return f'{{"$":"{tag}","class":{class_id(type(value))},"fields":{{{fields}}}{inner}}}'

    return emit_fields


def _extension(plan: Plan, base: type, names: tuple[str, ...] | None) -> Emitter:
    """Encode an instance of a subclass of a known type: its class, what the base holds, and what was added to it."""

    def emit_extension(value: Any, context: Context) -> str:
        held, state = _base_value(base, value), plan.parts(value, context)
        added = f',"state":{{{",".join(state)}}}' if state else ""
        if names is not None and len(names) == len(held):
            fields = ",".join(
                f"[{context.emit(name)},{within(f'.{name}', _emit, part, context)}]"
                for name, part in zip(names, held, strict=True)
            )
            return f'{{"$":"namedtuple","class":{class_id(type(value))},"fields":[{fields}]{added}}}'
        text = _known[base](held, context)
        return f'{{"$":"subclass","class":{class_id(type(value))}{added},"value":{text}}}'

    return emit_extension


_EXACT: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: lambda value: bytes(memoryview(value)),
    bytearray: lambda value: bytearray(memoryview(value)),
    list: list.copy,
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    dict: lambda value: dict(dict.items(value)),
    set: lambda value: list(set.__iter__(value)),
    frozenset: lambda value: list(frozenset.__iter__(value)),
}


def _base_value(base: type, value: Any) -> Any:
    """Return what a builtin base holds, whatever the subclass overrides; the other bases' emitters see to it."""
    return _EXACT[base](value) if base in _EXACT else value


def _pydantic(cls: type, root: type) -> Emitter:
    plan = Plan(cls, root, (), slots=False)

    def emit_model(value: Any, context: Context) -> str:
        fields = ",".join(plan.parts(value, context))
        extra, private = value.__pydantic_extra__, value.__pydantic_private__
        more = f',"extra":{mapping(extra, context, attribute_segment)}' if extra else ""
        hidden = f',"private":{mapping(private, context, attribute_segment)}' if private else ""
        return f'{{"$":"pydantic","class":{class_id(type(value))}{more},"fields":{{{fields}}}{hidden}}}'

    return emit_model


def _msgspec(cls: type, root: type) -> Emitter:
    names: tuple[str, ...] = cls.__struct_fields__  # type: ignore[attr-defined]  # what msgspec gives every Struct
    return _fields("msgspec", Plan(cls, root, ((name, None) for name in names), slots=False), object)


_MODELS: tuple[tuple[str, str, Callable[[type, type], Emitter]], ...] = (
    ("pydantic.main", "BaseModel", _pydantic),
    ("msgspec", "Struct", _msgspec),
)
