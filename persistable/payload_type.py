"""The payload type that a class declares between its brackets, as far as it tells a format before generating."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, get_args, get_origin

__all__ = ["concrete", "declared"]


def declared(base: Any, inherited: Any) -> Any:
    """Return what ``base``, an entry of ``__orig_bases__``, declares; ``inherited`` is what its class itself declares.

    That may be a type variable of the class, which the arguments between the brackets then replace.
    """
    parameters: tuple[Any, ...] = getattr(get_origin(base), "__parameters__", ())
    arguments = get_args(base)
    if inherited in parameters and len(arguments) == len(parameters):
        return arguments[parameters.index(inherited)]
    return inherited


def concrete(declared: Any) -> type | None:
    """Return the class that a declared payload type stands for; None for unions, Any, abstract classes and the like."""
    origin = get_origin(declared) or declared
    if not isinstance(origin, type) or origin in (Any, object, Annotated, UnionType):
        return None
    return None if getattr(origin, "__abstractmethods__", None) or getattr(origin, "_is_protocol", False) else origin
