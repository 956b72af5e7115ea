"""What is wrong with a record: where in it, and why, in words that errors print."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["AVRO_NAME", "Fault", "first_of", "member", "place", "shown"]

Fault = tuple[str, str]  # path inside the record, reason

AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def place(record: int, path: str) -> str:
    """Return where something is, as errors print it."""
    return f"record {record}, field {path!r}" if path else f"record {record}"


def member(path: str, key: str) -> str:
    """Return the path of a dict's member."""
    if AVRO_NAME.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{key!r}]"


def shown(value: Any) -> str:
    """Return a short value with its type, and of anything else the type, in ASCII."""
    name = type(value).__qualname__
    if value is None:
        return "None"
    small = isinstance(value, (bool, float, str, bytes)) or (isinstance(value, int) and value.bit_length() < 128)
    text = ascii(value) if small else ""
    return f"{text} ({name})" if 0 < len(text) <= 40 else f"a {name}"


def first_of(faults: Iterable[Fault | None]) -> Fault | None:
    """Return the first of some faults that is one."""
    return next((fault for fault in faults if fault is not None), None)
