"""Encode pandas objects as params: dtypes and names in plain values, content by SHA-256.

Decisions:

- dtype, index, names, attrs, flags, zones and categories count; how blocks, chunks and codes are laid out does not. A
  MultiIndex counts by the values and dtypes of its levels, unused entries do not.
- Cells of object dtype are encoded one by one by the core, so None, NaN, NA and NaT differ, and a cell without an
  encoding is refused by its place.
- A Timestamp or Timedelta counts in nanoseconds, whatever its unit, as pandas compares them: the unit that
  ``Timestamp("2020")`` gets differs between versions of pandas. In arrays the unit is part of the dtype.
- A zone counts by its key, whether zoneinfo or pytz has it, for the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import pandas

from persistable_arrow.content import content_digest, describe_type, numpy_digest
from persistable_arrow.label import Declined, encode_zone

__all__ = [
    "encode_array",
    "encode_dataframe",
    "encode_dtype",
    "encode_index",
    "encode_interval",
    "encode_missing",
    "encode_period",
    "encode_series",
    "encode_timedelta",
    "encode_timestamp",
    "locate",
]

_PER_UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_MASKED = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "boolean")


def encode_dataframe(frame: Any) -> dict[str, Any]:
    """Return what defines a DataFrame."""
    return {
        "columns": encode_index(frame.columns),
        "index": encode_index(frame.index),
        "values": [encode_array(series.array) for _, series in frame.items()],
        "attrs": frame.attrs,
        "duplicates": frame.flags.allows_duplicate_labels,
    }


def encode_series(series: Any) -> dict[str, Any]:
    """Return what defines a Series."""
    return {
        "name": series.name,
        "index": encode_index(series.index),
        "values": encode_array(series.array),
        "attrs": series.attrs,
        "duplicates": series.flags.allows_duplicate_labels,
    }


def encode_index(index: Any) -> dict[str, Any]:
    """Return what defines an Index of any kind."""
    encoded: dict[str, Any] = {"class": type(index).__name__, "names": list(index.names)}
    if isinstance(index, pandas.RangeIndex):
        return encoded | {"range": [index.start, index.stop, index.step]}
    if isinstance(index, pandas.MultiIndex):
        levels = range(index.nlevels)
        return encoded | {
            "dtypes": [encode_dtype(index.levels[i].dtype) for i in levels],
            "values": [encode_array(index.get_level_values(i).array) for i in levels],
        }
    freq = getattr(index, "freq", None)
    return encoded | {"values": encode_array(index.array), "freq": None if freq is None else freq.freqstr}


def encode_dtype(dtype: Any) -> Any:
    """Return what defines a dtype, numpy's included."""
    if isinstance(dtype, numpy.dtype):
        if dtype.kind not in "biufcmMO":
            raise TypeError(f"dtype {dtype} has no encoding")
        return ["numpy", dtype.str]
    if isinstance(dtype, pandas.DatetimeTZDtype):
        return ["datetimetz", dtype.unit, _zone(dtype.tz)]
    if isinstance(dtype, pandas.StringDtype):
        return ["string", dtype.storage.removesuffix("_numpy"), "NA" if dtype.na_value is pandas.NA else "nan"]
    if isinstance(dtype, pandas.CategoricalDtype):
        categories = None if dtype.categories is None else encode_index(dtype.categories)
        return ["categorical", dtype.ordered, categories]
    if isinstance(dtype, pandas.PeriodDtype):
        return ["period", dtype.name]
    if isinstance(dtype, pandas.IntervalDtype):
        return ["interval", dtype.closed, None if dtype.subtype is None else encode_dtype(dtype.subtype)]
    if isinstance(dtype, pandas.SparseDtype):
        return ["sparse", encode_dtype(dtype.subtype), dtype.fill_value]
    if isinstance(dtype, pandas.ArrowDtype):
        return ["arrow", describe_type(dtype.pyarrow_dtype)]
    if dtype.name in _MASKED and type(dtype).__module__.partition(".")[0] == "pandas":
        return ["masked", dtype.name]
    raise TypeError(f"dtype {dtype} has no encoding")


def encode_array(array: Any) -> dict[str, Any]:
    """Return what defines a pandas array, without an index."""
    dtype: Any = array.dtype
    if type(array) is pandas.arrays.NumpyExtensionArray:
        dtype = dtype.numpy_dtype
    encoded: dict[str, Any] = {"dtype": encode_dtype(dtype)}
    if isinstance(dtype, numpy.dtype):
        values = numpy.asarray(array)
        return encoded | ({"cells": list(values)} if dtype.kind == "O" else {"content": numpy_digest(values)})
    if isinstance(dtype, pandas.CategoricalDtype):
        return encoded | {"content": numpy_digest(array.codes.astype("<i8"))}
    if isinstance(dtype, (pandas.DatetimeTZDtype, pandas.PeriodDtype)):
        return encoded | {"content": numpy_digest(array.asi8.astype("<i8"))}
    if isinstance(dtype, (pandas.StringDtype, pandas.ArrowDtype)):
        return encoded | {"content": content_digest(array.__arrow_array__())}
    if isinstance(dtype, pandas.IntervalDtype):
        bounds = [encode_array(pandas.Series(part).array) for part in (array.left, array.right)]
        return encoded | {"bounds": bounds}
    if isinstance(dtype, pandas.SparseDtype):
        return encoded | {"values": encode_array(pandas.Series(array.to_dense(), dtype=dtype.subtype).array)}
    missing = numpy.asarray(array.isna())
    zero = False if dtype.name == "boolean" else 0
    values = array.to_numpy(dtype=dtype.numpy_dtype, na_value=zero)
    return encoded | {"content": numpy_digest(values), "missing": numpy_digest(missing)}


def encode_timestamp(value: Any) -> dict[str, Any]:
    """Return what defines a Timestamp: nanoseconds since 1970 in UTC, zone and fold."""
    zone = None if value.tzinfo is None else _zone(value.tzinfo)
    return {"ns": int(value.asm8.view("i8")) * _PER_UNIT[value.unit], "zone": zone, "fold": value.fold}


def encode_timedelta(value: Any) -> dict[str, Any]:
    """Return what defines a Timedelta: nanoseconds."""
    return {"ns": int(value.asm8.view("i8")) * _PER_UNIT[value.unit]}


def encode_period(value: Any) -> dict[str, Any]:
    """Return what defines a Period."""
    return {"ordinal": value.ordinal, "dtype": pandas.PeriodDtype(value.freq).name}


def encode_interval(value: Any) -> dict[str, Any]:
    """Return what defines an Interval; the core encodes its bounds."""
    return {"left": value.left, "right": value.right, "closed": value.closed}


def encode_missing(value: Any) -> str:
    """Return the name of NaT or NA."""
    return "NA" if value is pandas.NA else "NaT"


def locate(value: Any, steps: tuple[str, ...]) -> tuple[str, ...]:
    """Return where users find a part that has no encoding: by column and row, not by arrays and cells."""
    match steps:
        case ("['values']", position, *inner) if isinstance(value, pandas.DataFrame):
            label = value.columns[int(position[1:-1])]
            return f"[{label!r}]", *_rows(inner, ".iloc")
        case ("['values']", *inner) if isinstance(value, pandas.Series):
            return _rows(inner, ".iloc")
        case ("['columns']" | "['index']" as name, *inner) if not isinstance(value, pandas.Index):
            attribute = name[2:-2]
            return f".{attribute}", *locate(getattr(value, attribute), tuple(inner))
        case ("['values']", position, "['cells']", *inner) if isinstance(value, pandas.MultiIndex):
            return f".get_level_values({position[1:-1]})", *inner
        case ("['values']", *inner) if isinstance(value, pandas.Index):
            return _rows(inner, "")
        case ("['names']" | "['attrs']" | "['name']" as name, *inner):
            return f".{name[2:-2]}", *inner
    return _rows(steps, "")


def _rows(steps: Sequence[str], accessor: str) -> tuple[str, ...]:
    """Say of the cells of an array where they are, row by row; of what else it has, as the encoding calls it."""
    return (accessor, *steps[1:]) if steps[:1] in (("['cells']",), ["['cells']"]) else tuple(steps)


def _zone(zone: Any) -> Any:
    try:
        note = encode_zone(zone, "zone")
    except Declined as declined:
        raise TypeError(declined.reason) from declined
    return note | {"kind": "key"} if "key" in note else note
