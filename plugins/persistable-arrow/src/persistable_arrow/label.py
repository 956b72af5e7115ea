"""Keep labels, names and attrs as JSON, by exact type.

JSON natives stand for themselves; everything else is a tagged object ``{"$": tag, …}``. Dicts are always tagged, so
no user value can imitate a tag. What has no tag is declined.
"""

from __future__ import annotations

import base64
import datetime
import math
import sys
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["Declined", "decode_label", "decode_zone", "encode_label", "encode_zone", "unique_names"]

_MAX_INT = 1 << 63  # larger integers are not JSON numbers to every reader
_NUMPY_KINDS = "biuf"


class Declined(Exception):  # noqa: N818 - an outcome that every caller handles, never shown to users
    """Say what would not come back equal: ``where`` (column, level or ``payload``) and ``reason``."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"{where}: {reason}")


def encode_label(value: Any, where: str) -> Any:
    """Return the JSON of a label, name or attr. Raises Declined for a type that has no exact JSON here."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -_MAX_INT < value < _MAX_INT else {"$": "int", "hex": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$": "float", "value": str(value)}
    if kind is list:
        return [encode_label(item, where) for item in value]
    if kind is tuple:
        return {"$": "tuple", "items": [encode_label(item, where) for item in value]}
    if kind is dict:
        return {"$": "dict", "items": [[encode_label(k, where), encode_label(v, where)] for k, v in value.items()]}
    if kind is bytes:
        return {"$": "bytes", "base64": base64.b64encode(value).decode()}
    if kind is datetime.date:
        return {"$": "date", "iso": value.isoformat()}
    tagged = _encode_library_scalar(value)
    if tagged is None:
        raise Declined(where, f"a label or attr of type {kind.__module__}.{kind.__qualname__} has no exact JSON")
    return tagged


def _encode_library_scalar(value: Any) -> dict[str, Any] | None:
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in _NUMPY_KINDS:
        if type(value) is numpy.dtype(value.dtype).type and value.dtype.itemsize <= 8:
            return {"$": "numpy", "dtype": value.dtype.str, "bytes": value.tobytes().hex()}
    elif pandas is not None:
        if value is pandas.NaT or value is pandas.NA:
            return {"$": "missing", "name": "NaT" if value is pandas.NaT else "NA"}
        if type(value) is pandas.Timestamp and getattr(value, "fold", 0) == 0 and value.tzinfo is None:
            return {"$": "Timestamp", "value": int(value.to_numpy().view("i8")), "unit": value.unit}
        if type(value) is pandas.Timedelta:
            return {"$": "Timedelta", "value": int(value.to_numpy().view("i8")), "unit": value.unit}
    return None


def decode_label(value: Any) -> Any:
    """Return what encode_label was given."""
    if isinstance(value, list):
        return [decode_label(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value["$"]:
        case "tuple":
            return tuple(decode_label(item) for item in value["items"])
        case "dict":
            return {decode_label(key): decode_label(item) for key, item in value["items"]}
        case "int":
            return int(value["hex"], 16)
        case "float":
            return float(value["value"])
        case "bytes":
            return base64.b64decode(value["base64"])
        case "date":
            return datetime.date.fromisoformat(value["iso"])
        case "numpy":
            import numpy

            return numpy.frombuffer(bytes.fromhex(value["bytes"]), dtype=value["dtype"])[0]
        case "missing":
            import pandas

            return getattr(pandas, {"NaT": "NaT", "NA": "NA"}[value["name"]])
        case "Timestamp" | "Timedelta" as name:
            import numpy
            import pandas

            scalar = numpy.datetime64 if name == "Timestamp" else numpy.timedelta64
            return getattr(pandas, name)(scalar(value["value"], value["unit"]))
        case unknown:
            raise ValueError(f"unknown label tag {unknown!r}")


def encode_zone(zone: datetime.tzinfo, where: str) -> dict[str, Any]:
    """Return the JSON of a time zone: UTC and fixed offsets, ZoneInfo and pytz by key. Raises Declined for others."""
    if zone is datetime.UTC:
        return {"kind": "utc"}
    if type(zone) is datetime.timezone and zone == datetime.timezone(offset := zone.utcoffset(None)):
        # without an offset it is UTC by another object, which pandas tells apart
        if offset and zone.tzname(None) == datetime.timezone(offset).tzname(None):
            return {"kind": "offset", "seconds": offset.total_seconds()}
    elif type(zone) is ZoneInfo and zone.key and ZoneInfo(zone.key) is zone:
        return {"kind": "zoneinfo", "key": zone.key}
    elif type(zone).__module__.partition(".")[0] == "pytz":
        pytz = sys.modules["pytz"]
        key = getattr(zone, "zone", None)
        if key is not None and str(pytz.timezone(key)) == str(zone):
            return {"kind": "pytz", "key": key}
    raise Declined(where, f"the time zone {zone!r} has no exact name")


def decode_zone(note: dict[str, Any]) -> datetime.tzinfo:
    """Return the time zone that encode_zone was given."""
    match note["kind"]:
        case "utc":
            return datetime.UTC
        case "offset":
            return datetime.timezone(datetime.timedelta(seconds=note["seconds"]))
        case "zoneinfo":
            return ZoneInfo(note["key"])
        case "pytz":
            import pytz  # type: ignore[import-untyped,unused-ignore]

            zone: datetime.tzinfo = pytz.timezone(note["key"])
            return zone
        case unknown:
            raise ValueError(f"unknown kind of time zone {unknown!r}")


def unique_names(labels: Iterable[Any], taken: Iterable[str] = ()) -> list[str]:
    """Return one Arrow name per label: itself if it is a unique string, else its text, numbered where it repeats."""
    seen, names = set(taken), []
    for label in labels:
        text = label if type(label) is str else str(label)
        text = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        name, number = text, 0
        while name in seen:
            number += 1
            name = f"{text}.{number}"
        seen.add(name)
        names.append(name)
    return names
