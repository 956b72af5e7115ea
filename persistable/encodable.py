"""The 1.x mixin that turns an object into a dict for people; the key does not depend on it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

__all__ = ["DictEncodable"]


def _attributes(value: object) -> dict[str, Any]:
    """Collect the values of dataclass fields, then those of other slots and instance attributes, as defined."""
    import dataclasses

    fields = dataclasses.fields(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else ()
    names = dict.fromkeys(field.name for field in fields)
    for cls in reversed(type(value).__mro__):
        members = vars(cls).items() if "__slots__" in vars(cls) else ()
        names |= {name: None for name, member in members if isinstance(member, MemberDescriptorType)}
    names |= dict.fromkeys(getattr(value, "__dict__", ()))
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


class DictEncodable:
    """Turn the attributes of an object into a dict; paths and enum members become strings.

    Override ``_custom_type_encoder_map`` to encode further types, or known ones differently, and
    ``_excluded_attributes`` to leave attributes out.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes by name, encoded one level deep, nested encodables recursively."""
        excluded, encoders = self._excluded_attributes, self._custom_type_encoder_map
        return {
            name: self._encoded(value, encoders) for name, value in _attributes(self).items() if name not in excluded
        }

    @staticmethod
    def _encoded(value: Any, encoders: dict[type[Any], Callable[[Any], Any]]) -> Any:
        for cls in type(value).__mro__:
            if cls in encoders:
                return encoders[cls](value)
        from enum import Enum

        pathlib = sys.modules.get("pathlib")
        if pathlib is not None and isinstance(value, pathlib.Path):
            return str(value)
        if isinstance(value, Enum):
            return value.name
        if isinstance(value, DictEncodable):
            return value.to_dict()
        return value

    @property
    def _excluded_attributes(self) -> set[str]:
        """Name the attributes that are left out of the dict and of the key."""
        return {"__initialised__"}

    @property
    def _custom_type_encoder_map(self) -> dict[type[Any], Callable[[Any], Any]]:
        """Map types to functions that encode their instances; the nearest class in the MRO counts."""
        return {}

    @staticmethod
    def dict_almost_equal(
        dict1: dict[Any, Any],
        dict2: dict[Any, Any],
        rtol: float = 1e-6,
        atol: float = 1e-6,
        verbose: bool = False,
    ) -> bool:
        """Compare two dicts, floats and arrays within ``|a - b| <= atol + rtol * |b|``, the rest by equality.

        Arrays of different shapes differ, and so do values that cannot be compared. ``verbose`` reports the first
        difference on stderr.
        """
        if dict1.keys() != dict2.keys():
            return False
        for key, left in dict1.items():
            if not _almost_equal(left, dict2[key], rtol, atol):
                if verbose:
                    from persistable.display import printable
                    from persistable.logging import payload_logger

                    logger = payload_logger("dict_almost_equal", verbose=True)
                    logger.info("%s: %r != %r (rtol=%s, atol=%s)", printable(key), left, dict2[key], rtol, atol)
                return False
        return True


def _almost_equal(left: Any, right: Any, rtol: float, atol: float) -> bool:
    import math

    if isinstance(left, dict) and isinstance(right, dict):
        return DictEncodable.dict_almost_equal(left, right, rtol, atol)
    numpy = sys.modules.get("numpy")
    if numpy is not None and (isinstance(left, numpy.ndarray) or isinstance(right, numpy.ndarray)):
        try:
            if numpy.shape(left) != numpy.shape(right):
                return False
            return bool(numpy.allclose(left, right, rtol=rtol, atol=atol))
        except (TypeError, ValueError):  # of strings or objects, or a ragged list
            return bool(isinstance(right, type(left)) and numpy.array_equal(left, right))
    if isinstance(left, float) and (number := _number(right)) is not None:
        if math.isnan(left) or math.isnan(number):
            return math.isnan(left) and math.isnan(number)
        if math.isinf(left) or math.isinf(number):
            return left == number
        return abs(left - number) <= atol + rtol * abs(number)
    return bool(left == right)


def _number(value: Any) -> float | None:
    """Return a real number as a float, numpy's included; None for anything else, and for integers beyond floats."""
    from numbers import Real

    try:
        return float(value) if isinstance(value, Real) else None
    except OverflowError:
        return None
