"""Params: what defines a payload, upstream excluded; their field options; and how a change of them is noticed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from operator import is_
from typing import TYPE_CHECKING, Any, TypeVar, overload

from persistable.canonical import Refusal, bounded, scalar_parts
from persistable.encodable import DictEncodable
from persistable.encoding import Encoder, Extend, encode, refused
from persistable.file_content import FileContent
from persistable.instances import OPTIONS, FieldOptions, Plan, plan_of
from persistable.secrecy import check_untracked

if TYPE_CHECKING:
    from dataclasses import Field

__all__ = ["FileContent", "PersistableParams", "Snapshot", "param", "snapshot", "untracked"]

ValueT = TypeVar("ValueT")
_MISSING: Any = object()  # of an argument; dataclasses, who has a mark of its own, is imported on first use

# -- fields ------------------------------------------------------------------------------------------------------------


@overload
def param(
    *,
    default: ValueT,
    tracked: bool = ...,
    secret: bool = ...,
    absent_means: object = ...,
    init: bool = ...,
    repr: bool = ...,
    hash: bool | None = ...,
    compare: bool = ...,
    metadata: Mapping[Any, Any] | None = ...,
    kw_only: bool = ...,
) -> ValueT: ...
@overload
def param(
    *,
    default_factory: Callable[[], ValueT],
    tracked: bool = ...,
    secret: bool = ...,
    absent_means: object = ...,
    init: bool = ...,
    repr: bool = ...,
    hash: bool | None = ...,
    compare: bool = ...,
    metadata: Mapping[Any, Any] | None = ...,
    kw_only: bool = ...,
) -> ValueT: ...
@overload
def param(
    *,
    tracked: bool = ...,
    secret: bool = ...,
    absent_means: object = ...,
    init: bool = ...,
    repr: bool = ...,
    hash: bool | None = ...,
    compare: bool = ...,
    metadata: Mapping[Any, Any] | None = ...,
    kw_only: bool = ...,
) -> Any: ...
def param(
    *,
    default: Any = _MISSING,
    default_factory: Any = _MISSING,
    tracked: bool = True,
    secret: bool = False,
    absent_means: Any = _MISSING,
    metadata: Mapping[Any, Any] | None = None,
    **field_kwargs: Any,
) -> Any:
    """Declare a field of params; further arguments are those of ``dataclasses.field``.

    Args:
        default: as for ``dataclasses.field``, like ``default_factory``.
        default_factory: see there.
        tracked: whether the value enters the key. False: it does not change the payload; the record shows it to people.
        secret: untracked, and its value is never written anywhere: not in records, reprs, dicts or pickles.
        absent_means: for a field that was added later: the value that artifacts made before it was there stand for. The
            field is left out of the key exactly while its value is encoded like this one, of which a copy is taken.
        metadata: as for ``dataclasses.field``.
        field_kwargs: as for ``dataclasses.field``.

    Raises:
        ValueError: ``absent_means`` for a field that is not tracked.
    """
    import copy
    import dataclasses

    if absent_means is not _MISSING and (secret or not tracked):
        raise ValueError("absent_means is about the key, which a field that is secret or not tracked does not enter")
    absent = () if absent_means is _MISSING else (copy.deepcopy(absent_means),)
    options = FieldOptions(tracked and not secret, secret, absent)
    if secret:
        field_kwargs["repr"] = False
    return dataclasses.field(
        default=dataclasses.MISSING if default is _MISSING else default,
        default_factory=dataclasses.MISSING if default_factory is _MISSING else default_factory,
        metadata={**(metadata or {}), OPTIONS: options},
        **field_kwargs,
    )


def _options(field: Field[Any]) -> FieldOptions:
    options = field.metadata.get(OPTIONS)
    return options if isinstance(options, FieldOptions) else FieldOptions()


def _secrets(cls: type) -> dict[str, Field[Any]]:
    import dataclasses

    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return {field.name: field for field in fields if _options(field).secret}


# -- params ------------------------------------------------------------------------------------------------------------


class PersistableParams(DictEncodable):
    """Base of params. Make subclasses dataclasses, frozen or not; each field enters the key unless ``param()`` says no.

    Instance attributes that are no fields enter the key as well, so a subclass that sets them in its own ``__init__``
    works as in 1.x; ``_excluded_attributes`` names those to leave out, and ``_custom_type_encoder_map`` gives types an
    encoding. A pickle holds no secret: after unpickling such a field has its default, or None.
    """

    def __repr__(self) -> str:  # dataclasses have their own
        secrets = _secrets(type(self))
        shown = ", ".join(f"{name}={value!r}" for name, value in _held(self).items() if name not in secrets)
        return f"{type(self).__qualname__}({shown})"

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes by name, without secrets, encoded one level deep, nested encodables recursively."""
        secrets = _secrets(type(self))
        return {name: value for name, value in super().to_dict().items() if name not in secrets}

    def get_str_repr(self) -> str:
        """Return the dict as text, as in 1.x. For people; the key does not depend on it."""
        return str(self.to_dict())

    def get_md5_hash(self) -> str:
        """Return the MD5 of the repr, as in 1.x. For people; the key does not depend on it."""
        from hashlib import md5

        return md5(str(self).encode(), usedforsecurity=False).hexdigest()

    def __reduce_ex__(self, protocol: Any) -> Any:
        secrets = _secrets(type(self))
        if not secrets:
            return super().__reduce_ex__(protocol)
        state = {name: value for name, value in _held(self).items() if name not in secrets}
        return _restored, (type(self), state)

    def __copy__(self) -> Any:
        return self._copied(lambda part: part, {})

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from copy import deepcopy

        return self._copied(lambda part: deepcopy(part, memo), memo)

    def _copied(self, each: Callable[[Any], Any], memo: dict[int, Any]) -> Any:
        """Do what ``copy`` does with objects that have no say in it, but from all attributes, not from the pickle."""
        if _secrets(type(self)):
            new = memo[id(self)] = object.__new__(type(self))
            return _filled(new, each(_held(self)))
        reduced: tuple[Any, ...] = (*super().__reduce_ex__(4), None)
        function, arguments, state = reduced[:3]
        new = memo[id(self)] = function(*map(each, arguments))
        state = each(state)
        if hasattr(new, "__setstate__"):
            if state is not None:
                new.__setstate__(state)
            return new
        for part in state if isinstance(state, tuple) else (state,):
            _filled(new, part or {})
        return new


def _held(params: object) -> dict[str, Any]:
    """Return all instance attributes, those in slots included."""
    names = dict.fromkeys(plan_of(type(params)).slots) | dict.fromkeys(
        getattr(type(params), "__dataclass_fields__", ())
    )
    in_slots = {name: getattr(params, name) for name in names if hasattr(params, name)}
    return in_slots | getattr(params, "__dict__", {})


def _filled(new: Any, state: Mapping[str, Any]) -> Any:
    for name, value in state.items():
        object.__setattr__(new, name, value)  # a frozen dataclass has no other way
    return new


def _restored(cls: type, state: Mapping[str, Any]) -> Any:
    """Rebuild unpickled params whose secrets stayed behind: they become their default, or None."""
    from dataclasses import MISSING

    defaults: dict[str, Any] = {}
    for name, field in _secrets(cls).items():
        factory: Any = field.default_factory
        default = None if field.default is MISSING else field.default
        defaults[name] = default if factory is MISSING else factory()
    return _filled(object.__new__(cls), {**state, **defaults})


# -- snapshots ---------------------------------------------------------------------------------------------------------

_IMMUTABLE = frozenset({type(None), bool, int, float, complex, str, bytes, range, type(...)})


def _immutable(value: object) -> bool:
    if type(value) is tuple or type(value) is frozenset:
        return all(map(_immutable, value))
    return type(value) in _IMMUTABLE


class Snapshot:
    """The encoded params of one moment.

    Attributes:
        parts: canonical ``"field":value`` texts, sorted by field: what ``identify`` takes.
    """

    __slots__ = ("_immutable", "_type", "_values", "parts")

    def __init__(self, parts: tuple[str, ...], of: type, values: tuple[Any, ...] | None, immutable: bool) -> None:
        self.parts = parts
        self._type = of
        self._values = values  # what the fields held, if fields are all there is
        self._immutable = immutable  # then an identical value needs no second look

    def untracked(self, params: object) -> dict[str, Any]:
        """Return what ``untracked`` does, of params that have not changed since."""
        if self._immutable and plan_of(self._type).plain:
            return {}
        return untracked(params)

    def difference(self, params: object, *, extend: Extend | None = None) -> str | None:
        """Return the path of the first param that is no longer encoded as it was, such as ``params.layers``, or None.

        A param that can no longer be encoded, or whose file is gone, has changed. ``FileContent`` looks at its file
        again; other I/O errors are raised as they are.
        """
        cls, values = type(params), self._values
        plan = plan_of(cls)
        now = plan.fields_only(params)
        if values is None or now is None or cls is not self._type:
            return self._any_difference(plan, params, extend)
        if self._immutable and all(map(is_, now, values)):
            return None
        context = _context(plan, params, extend)
        for name, value, before, part in zip(plan.names, now, values, self.parts, strict=True):
            if value is before and _immutable(value):
                continue
            if _part_now(plan, name, value, params, context) != part:
                return f"params.{name}"
        return None

    def _any_difference(self, plan: Plan, params: object, extend: Extend | None) -> str | None:
        if not plan.suits_params:
            return "params"
        before = {_name_of(part): part for part in self.parts}
        context = _context(plan, params, extend)
        try:
            held = plan.attributes(params)
        except Refusal:
            return "params"
        for name in sorted(held.keys() | before.keys()):
            part = _part_now(plan, name, held[name], params, context) if name in held else None
            if part != before.get(name):
                return f"params.{name}"
        return None


def _part_now(plan: Plan, name: str, value: object, params: object, context: Encoder) -> str | None:
    try:
        return plan.part(name, value, params, context)
    except (Refusal, RecursionError, FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""


def _name_of(part: str) -> str:
    from json import JSONDecoder  # on first use: most keys do without

    name: str = JSONDecoder().raw_decode(part)[0]
    return name


def snapshot(params: object, *, extend: Extend | None = None) -> Snapshot:
    """Encode the params of this moment: a dataclass, or PersistableParams with attributes.

    Raises:
        UnkeyableParamError: one of them has no encoding; ``extend`` is asked first, as in ``encode``.
        OSError: the file of a FileContent cannot be read.
    """
    cls = type(params)
    plan = plan_of(cls)
    try:
        values = plan.fields_only(params)
        if values is not None and plan.plain:
            parts = scalar_parts(plan.prefixes, values)
            if parts is not None:
                return Snapshot(parts, cls, values, True)
        if not plan.suits_params:
            raise Refusal(params, "params have to be an instance of a dataclass", _instead_of(params))
        check_untracked(plan, params)
        parts = tuple(plan.parts_of(params, values, _context(plan, params, extend)))
        bounded("".join(parts), params)
        immutable = values is not None and _IMMUTABLE.issuperset(map(type, values))
        return Snapshot(parts, cls, values, immutable)
    except (Refusal, RecursionError) as error:
        raise refused(error, "params", params) from None


def _instead_of(params: object) -> str:
    """Say what to give in place of what can be no params."""
    if params is None:
        return "Where nothing but the dependencies defines the payload, give PersistableParams()"
    if isinstance(params, type):
        return f"Give an instance: {params.__qualname__}(…)"
    return "Derive one from PersistableParams, decorate it with @dataclass, and give its fields these values"


def _context(plan: Plan, params: Any, extend: Extend | None) -> Encoder:
    return Encoder(params._custom_type_encoder_map if plan.own else {}, extend)


# -- for people --------------------------------------------------------------------------------------------------------


def untracked(params: object) -> dict[str, Any]:
    """Return a JSON document, for people, of what does not enter the key: untracked fields and paths of files.

    Its keys are paths of fields below the params, such as ``model.verbose``. Secrets are left out; what is reached on
    several ways is shown once. A value that has no encoding, or a very long one, is described by its class; nothing is
    raised.
    """
    found: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # a description for people must not fail the work
        _collect(params, "", found, set())
    return found


def _collect(value: Any, path: str, found: dict[str, Any], seen: set[int]) -> None:
    if isinstance(value, FileContent):
        found[path] = _described(value)
    elif id(value) in seen or path.count(".") + path.count("[") > _DEPTH:
        return
    elif type(value) is dict and not _IMMUTABLE.issuperset(map(type, value.values())):
        seen.add(id(value))
        for key, held in value.items():
            if type(key) is str:
                _collect(held, f"{path}[{key!r}]", found, seen)
    elif type(value) in (list, tuple) and not _IMMUTABLE.issuperset(map(type, value)):
        seen.add(id(value))
        for index, held in enumerate(value):
            _collect(held, f"{path}[{index}]", found, seen)
    elif hasattr(type(value), "__dataclass_fields__"):
        seen.add(id(value))
        for name, options in plan_of(type(value)).options:
            held = getattr(value, name, None)
            if options.tracked and type(held) in _IMMUTABLE:
                continue
            name = f"{path}.{name}" if path else name
            if options.tracked:
                _collect(held, name, found, seen)
            elif not options.secret:
                found[name] = _described(held)


_DEPTH = 32
_LEGIBLE = 1 << 20  # characters of a description; what takes more is shown by its class


def _described(value: object) -> Any:
    if isinstance(value, FileContent):
        return {"path": os.fspath(value)}
    import json

    with contextlib.suppress(Exception):  # a description for people must not fail the work
        text = encode(value)
        if len(text) <= _LEGIBLE:
            return json.loads(text)
    return {"class": type(value).__qualname__}
