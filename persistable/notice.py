"""What users are told beside a result: warnings at the line that asked, notes at errors that are not ours."""

from __future__ import annotations

import contextlib
import sys
import warnings

__all__ = ["note", "warn"]

_HERE = __name__.partition(".")[0]


def warn(message: str, category: type[Warning]) -> None:
    """Give a warning at the nearest caller outside of this library."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _HERE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def note(error: BaseException, text: str) -> None:
    """Add a note to an error, once; one that takes none, such as a frozen dataclass, stays what it is."""
    with contextlib.suppress(Exception):
        if text not in getattr(error, "__notes__", ()):
            error.add_note(text)
