"""The 1.x mixin that turns an object into a dict for people; the key does not depend on it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["DictEncodable"]


def _attributes(value: object) -> dict[str, Any]:
    """Collect instance attributes, those in slots and those of dataclass fields included, in order of definition."""
    names = dict.fromkeys(getattr(type(value), "__dataclass_fields__", ()))
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
        if isinstance(value, Path):
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

        ``verbose`` reports the first difference to the library's logger at INFO.
        """
        if dict1.keys() != dict2.keys():
            return False
        for key, left in dict1.items():
            if not _almost_equal(left, dict2[key], rtol, atol):
                if verbose:
                    from persistable.logging import LOGGER

                    LOGGER.info("%s: %r != %r (rtol=%s, atol=%s)", key, left, dict2[key], rtol, atol)
                return False
        return True


def _almost_equal(left: Any, right: Any, rtol: float, atol: float) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return DictEncodable.dict_almost_equal(left, right, rtol, atol)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(left, numpy.ndarray):
        return bool(numpy.shape(left) == numpy.shape(right) and numpy.allclose(left, right, rtol=rtol, atol=atol))
    if isinstance(left, float) and isinstance(right, float | int):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right or abs(left - right) <= atol + rtol * abs(right)
    return bool(left == right)
