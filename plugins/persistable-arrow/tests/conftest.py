"""A comparison of frames that is strict about types, and looks inside object cells."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest


@pytest.fixture(scope="session")
def difference():
    """Return a function of two values that says where they differ, or None."""
    return difference_of


def difference_of(a, b, at="payload"):
    if type(a) is not type(b):
        return f"{at}: {type(a)} is not {type(b)}"
    if isinstance(a, pd.DataFrame):
        return (
            _index(a.columns, b.columns, f"{at}.columns")
            or _index(a.index, b.index, f"{at}.index")
            or difference_of(a.attrs, b.attrs, f"{at}.attrs")
            or _unless(a.flags.allows_duplicate_labels == b.flags.allows_duplicate_labels, f"{at}.flags")
            or _first(_array(a.iloc[:, i].array, b.iloc[:, i].array, f"{at}[{i}]") for i in range(a.shape[1]))
        )
    if isinstance(a, pa.Table):
        return (
            _unless(a.schema.equals(b.schema, check_metadata=True), f"{at}: {a.schema} is not {b.schema}")
            or _unless(_text(a.schema) == _text(b.schema), f"{at}: {a.schema} is not {b.schema}")
            or _unless(a.num_rows == b.num_rows, f"{at}: {a.num_rows} rows, not {b.num_rows}")
            or _first(_arrow(x, y, f"{at}[{i}]") for i, (x, y) in enumerate(zip(a.columns, b.columns, strict=True)))
        )
    if isinstance(a, pl.DataFrame):
        return (
            _unless(a.schema == b.schema, f"{at}: {a.schema} is not {b.schema}")
            or _unless(a.shape == b.shape, f"{at}: {a.shape} is not {b.shape}")
            or _first(difference_of(a[name].to_list(), b[name].to_list(), f"{at}[{name!r}]") for name in a.columns)
        )
    if isinstance(a, (list, tuple)):
        return _unless(len(a) == len(b), f"{at}: lengths {len(a)}, {len(b)}") or _first(
            difference_of(x, y, f"{at}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True))
        )
    if isinstance(a, dict):
        return difference_of(list(a.items()), list(b.items()), at)
    if isinstance(a, (float, np.floating)):
        return _unless((a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b), f"{at}: {a} {b}")
    if a is pd.NaT or a is pd.NA:
        return None
    return _unless(a == b, f"{at}: {a!r} is not {b!r}")


def _text(schema):  # nested types are equal whatever their children are called
    return schema.remove_metadata().to_string(show_field_metadata=False)


def _unless(equal, text):
    return None if equal else text


def _first(found):
    return next((text for text in found if text), None)


def _index(a, b, at):
    if type(a) is not type(b):
        return f"{at}: {type(a)} is not {type(b)}"
    problem = difference_of(list(a.names), list(b.names), f"{at}.names")
    if isinstance(a, pd.MultiIndex):
        levels = _first(_index(x, y, f"{at}.level{i}") for i, (x, y) in enumerate(zip(a.levels, b.levels, strict=True)))
        codes = [list(map(int, c)) for c in a.codes] == [list(map(int, c)) for c in b.codes]
        return problem or levels or _unless(codes, f"{at}.codes") or _unless(a.sortorder == b.sortorder, f"{at}.order")
    if isinstance(a, pd.RangeIndex):
        return problem or _unless((a.start, a.stop, a.step) == (b.start, b.stop, b.step), f"{at}: {a} is not {b}")
    return (
        problem
        or _unless(getattr(a, "freq", None) == getattr(b, "freq", None), f"{at}.freq: {getattr(a, 'freq', None)}")
        or _array(a.array, b.array, at)
    )


def _array(a, b, at):
    if type(a) is not type(b) or type(a.dtype) is not type(b.dtype) or str(a.dtype) != str(b.dtype):
        return f"{at}: {type(a)} {a.dtype} is not {type(b)} {b.dtype}"
    if a.dtype != b.dtype:
        return f"{at}: dtype {a.dtype!r} is not {b.dtype!r}"
    if len(a) != len(b):
        return f"{at}: lengths {len(a)}, {len(b)}"
    dtype = a.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return (
            _unless(list(a.codes) == list(b.codes), f"{at}: {list(a.codes)} is not {list(b.codes)}")
            or _index(a.categories, b.categories, f"{at}.categories")
            or _unless(a.ordered == b.ordered, f"{at}.ordered")
        )
    if isinstance(dtype, pd.DatetimeTZDtype):
        zones = _unless(type(dtype.tz) is type(b.dtype.tz) and str(dtype.tz) == str(b.dtype.tz), f"{at}: {dtype.tz!r}")
        return zones or _unless(list(a.asi8) == list(b.asi8), f"{at}: {a.asi8} is not {b.asi8}")
    if isinstance(dtype, pd.PeriodDtype) or (dtype.kind in "mM" and not isinstance(dtype, pd.ArrowDtype)):
        a, b = (x.asi8 if hasattr(x, "asi8") else x.to_numpy().view("i8") for x in (a, b))
    if isinstance(dtype, pd.StringDtype) and (dtype.storage, repr(dtype.na_value)) != (
        b.dtype.storage,
        repr(b.dtype.na_value),
    ):
        return f"{at}: {dtype!r} is not {b.dtype!r}"
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow(a.__arrow_array__(), b.__arrow_array__(), at)
    return difference_of(list(a), list(b), at)


def _arrow(a, b, at):
    if a.type != b.type or str(a.type) != str(b.type):
        return f"{at}: {a.type} is not {b.type}"
    if pa.types.is_dictionary(a.type) and isinstance(a, pa.ChunkedArray) and a.num_chunks == b.num_chunks == 1:
        problem = _arrow(a.chunk(0).dictionary, b.chunk(0).dictionary, f"{at}.dictionary")
        if problem:
            return problem
    try:
        return difference_of(a.to_pylist(), b.to_pylist(), at)
    except (ValueError, OverflowError):  # out of Python's range: compare the numbers
        storage = pa.int32() if pa.types.is_date32(a.type) else pa.int64()
        return difference_of(a.cast(storage).to_pylist(), b.cast(storage).to_pylist(), at)
