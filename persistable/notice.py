"""Warnings, given at the line outside of this library that asked for what they are about."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn"]

_HERE = __name__.partition(".")[0]


def warn(message: str, category: type[Warning]) -> None:
    """Give a warning at the nearest caller outside of this library."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _HERE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
