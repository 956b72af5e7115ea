"""Encodings of the standard library's value types, and of classes and functions by their import path.

Modules such as ``decimal`` or ``zoneinfo`` are not imported: a type of a module that is not imported has no instances,
so each type is looked up by its public name in ``sys.modules`` when a class is met for the first time. Emitters use the
methods of the type they are for, so that they also give the value of a subclass that overrides them.
"""

from __future__ import annotations

import functools
import re
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

from persistable.canonical import Context, Emitter, Refusal, attribute_segment, items, mapping, pairs

__all__ = ["LITERALS", "find_public", "import_path", "importable_class", "within"]


def find_public(module: str, name: str) -> Any:
    """Return what an imported module holds under a name, or None. Imports nothing and runs no module's code."""
    found = sys.modules.get(module)
    return None if found is None else vars(found).get(name)


def within(segment: str, emitter: Callable[[Any, Context], str], value: Any, context: Context) -> str:
    """Encode a part of a value with an emitter; a refusal learns the segment of the path that leads there."""
    try:
        return emitter(value, context)
    except Refusal as refusal:
        refusal.segments.append(segment)
        raise


def _part(value: object, segment: str, context: Context) -> str:
    return within(segment, lambda part, context: context.emit(part), value, context)


# -- dates and times ---------------------------------------------------------------------------------------------------


def _date(value: Any, _context: Context) -> str:
    return f'{{"$":"date","value":"{value.year:04}-{value.month:02}-{value.day:02}"}}'


def _clock(value: Any) -> str:
    return f"{value.hour:02}:{value.minute:02}:{value.second:02}.{value.microsecond:06}"


def _datetime(value: Any, context: Context) -> str:
    zone = _part(value.tzinfo, ".tzinfo", context)
    day = f"{value.year:04}-{value.month:02}-{value.day:02}"
    return f'{{"$":"datetime","fold":{value.fold},"tz":{zone},"value":"{day}T{_clock(value)}"}}'


def _time(value: Any, context: Context) -> str:
    zone = _part(value.tzinfo, ".tzinfo", context)
    return f'{{"$":"time","fold":{value.fold},"tz":{zone},"value":"{_clock(value)}"}}'


def _timedelta(value: Any, _context: Context) -> str:
    return f'{{"$":"timedelta","value":[{value.days},{value.seconds},{value.microseconds}]}}'


def _timezone(value: Any, context: Context) -> str:
    offset, *name = value.__getinitargs__()
    return f'{{"$":"timezone","name":{context.emit(name[0] if name else None)},"offset":{context.emit(offset)}}}'


def _zone_info(value: Any, context: Context) -> str:
    if type(value.key) is not str:
        raise Refusal(value, "a ZoneInfo that was read from a file has no key to go by")
    return f'{{"$":"zoneinfo","value":{context.emit(value.key)}}}'


# -- numbers, identifiers, paths, patterns -----------------------------------------------------------------------------


def _decimal(value: Any, _context: Context) -> str:
    # not str(): it depends on the context of the thread
    sign, digits, exponent = find_public("decimal", "Decimal").as_tuple(value)
    power = exponent if isinstance(exponent, int) else f'"{exponent}"'
    return f'{{"$":"decimal","digits":"{"".join(map(str, digits))}","exponent":{power},"sign":{sign}}}'


def _fraction(value: Any, context: Context) -> str:
    terms = context.emit(value.numerator), context.emit(value.denominator)
    return f'{{"$":"fraction","value":[{terms[0]},{terms[1]}]}}'


def _uuid(value: Any, _context: Context) -> str:
    return f'{{"$":"uuid","value":"{value.int:032x}"}}'


def _path(value: Any, context: Context) -> str:
    return f'{{"$":"path","value":{context.emit(value.as_posix())}}}'


def _pure_posix_path(value: Any, context: Context) -> str:
    return f'{{"$":"path","flavour":"posix","value":{context.emit(value.as_posix())}}}'


def _pure_windows_path(value: Any, context: Context) -> str:
    return f'{{"$":"path","flavour":"windows","value":{context.emit(value.as_posix())}}}'


def _pattern(value: re.Pattern[Any], context: Context) -> str:
    return f'{{"$":"pattern","flags":{int(value.flags)},"value":{context.emit(value.pattern)}}}'


# -- collections -------------------------------------------------------------------------------------------------------


def _ordered_dict(value: OrderedDict[Any, Any], context: Context) -> str:
    return f'{{"$":"OrderedDict","items":[{",".join(pairs(OrderedDict.items(value), context))}]}}'


def _default_dict(value: defaultdict[Any, Any], context: Context) -> str:
    factory = _part(value.default_factory, ".default_factory", context)
    return f'{{"$":"defaultdict","factory":{factory},"items":{mapping(dict(dict.items(value)), context)}}}'


def _counter(value: Counter[Any], context: Context) -> str:
    return f'{{"$":"Counter","items":{mapping(dict(dict.items(value)), context)}}}'


def _deque(value: deque[Any], context: Context) -> str:
    return (
        f'{{"$":"deque","items":{items(list(deque.__iter__(value)), context)},"maxlen":{context.emit(value.maxlen)}}}'
    )


def _namespace(value: types.SimpleNamespace, context: Context) -> str:
    return f'{{"$":"namespace","value":{mapping(vars(value), context, attribute_segment)}}}'


# -- what is importable ------------------------------------------------------------------------------------------------


_ELSEWHERE = (
    "Ways out: define it at the top of a module of its own and import it from there, pass a name instead and look it "
    "up, or declare the field with param(tracked=False) if it does not change the payload"
)


def import_path(value: Any) -> str:
    """Return ``module:qualname`` of a class or function, or refuse it if that does not lead back to the object."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if type(module) is not str or type(name) is not str:
        raise Refusal(value, "it has no import path")
    if "<lambda>" in name or "<locals>" in name:
        raise Refusal(value, f"{name} is defined inside a function, so no import path leads to it", _ELSEWHERE)
    if module == "__main__":
        raise Refusal(value, f"{name} is defined in __main__, which is another module in every script", _ELSEWHERE)
    if module == "builtins" and isinstance(value, type) and find_public("builtins", name) is not value:
        module = "types"  # NoneType and its like
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not value:
        raise Refusal(value, f"importing {module}:{name} does not give this object")
    return f"{module}:{name}"


def importable_class(value: type, context: Context) -> str:
    """Encode a class by its import path."""
    return f'{{"$":"class","value":{context.emit(import_path(value))}}}'


def _function(value: Any, context: Context) -> str:
    return f'{{"$":"function","value":{context.emit(import_path(value))}}}'


def _builtin(value: Any, context: Context) -> str:
    if not isinstance(value.__self__, types.ModuleType | types.NoneType):
        raise Refusal(value, "it is a method bound to an object; pass the object and the name of the method")
    return _function(value, context)


def _method(value: Any, _context: Context) -> str:
    raise Refusal(value, "it is a method bound to an object; pass the object and the name of the method")


def _ufunc(value: Any, context: Context) -> str:
    for module in ("numpy", "scipy.special"):
        if find_public(module, value.__name__) is value:
            return f'{{"$":"function","value":{context.emit(f"{module}:{value.__name__}")}}}'
    raise Refusal(value, "no import path leads to this ufunc")


def _partial(value: functools.partial[Any], context: Context) -> str:
    function = _part(value.func, ".func", context)
    arguments = within(".args", items, value.args, context)
    keywords = within(".keywords", mapping, value.keywords, context)
    state = f',"state":{mapping(vars(value), context)}' if vars(value) else ""
    return f'{{"$":"partial","args":{arguments},"func":{function},"keywords":{keywords}{state}}}'


LITERALS: tuple[tuple[str, str, Emitter], ...] = (
    ("datetime", "date", _date),
    ("datetime", "datetime", _datetime),
    ("datetime", "time", _time),
    ("datetime", "timedelta", _timedelta),
    ("datetime", "timezone", _timezone),
    ("zoneinfo", "ZoneInfo", _zone_info),
    ("decimal", "Decimal", _decimal),
    ("fractions", "Fraction", _fraction),
    ("uuid", "UUID", _uuid),
    ("pathlib", "PosixPath", _path),
    ("pathlib", "WindowsPath", _path),
    ("pathlib", "Path", _path),
    ("pathlib", "PurePosixPath", _pure_posix_path),
    ("pathlib", "PureWindowsPath", _pure_windows_path),
    ("re", "Pattern", _pattern),
    ("collections", "OrderedDict", _ordered_dict),
    ("collections", "defaultdict", _default_dict),
    ("collections", "Counter", _counter),
    ("collections", "deque", _deque),
    ("types", "SimpleNamespace", _namespace),
    ("types", "FunctionType", _function),
    ("types", "BuiltinFunctionType", _builtin),
    ("types", "MethodType", _method),
    ("functools", "_lru_cache_wrapper", _function),
    ("functools", "partial", _partial),
    ("numpy", "ufunc", _ufunc),
    ("numpy._core._multiarray_umath", "_ArrayFunctionDispatcher", _function),
    ("numpy.core._multiarray_umath", "_ArrayFunctionDispatcher", _function),
)
