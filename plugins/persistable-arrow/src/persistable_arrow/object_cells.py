"""Keep the cells of an object column: one exact type and one kind of missing value, or none of it.

Arrow gives lists, tuples and sets back as arrays, adds keys to dicts, rescales decimals and merges None, NaN and NA. So
the exact type of every cell is looked at, and whatever is not known to come back is declined.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy
import pandas
import pyarrow

from persistable_arrow.label import Declined

__all__ = ["MISSING", "decode_cells", "encode_cells", "writeable"]

_CELL_TYPES: dict[type, tuple[str, pyarrow.DataType]] = {
    str: ("str", pyarrow.large_string()),
    bytes: ("bytes", pyarrow.large_binary()),
    bool: ("bool", pyarrow.bool_()),
    int: ("int", pyarrow.int64()),
    float: ("float", pyarrow.float64()),
    datetime.date: ("date", pyarrow.date32()),
}
MISSING = {"None": None, "nan": float("nan"), "NA": pandas.NA}


def encode_cells(values: Any, where: str) -> tuple[Any, dict[str, Any]]:
    """Return the array and the note of object cells that share one exact type, missing values aside."""
    classes = set(map(type, values))
    missing = []
    if type(None) in classes:
        missing.append("None")
    if type(pandas.NA) in classes:
        missing.append("NA")
    if float in classes and classes - {float, type(None), type(pandas.NA)}:
        if not all(value != value for value in values if type(value) is float):
            raise Declined(where, "object cells mix float with other types")
        missing.append("nan")
        classes.discard(float)
    classes -= {type(None), type(pandas.NA)}
    if len(missing) > 1:
        raise Declined(where, f"object cells mix the missing values {' and '.join(missing)}")
    if len(classes) > 1:
        names = " and ".join(sorted(c.__name__ for c in classes))
        raise Declined(where, f"object cells mix {names}")
    kept = missing[0] if missing else "None"
    if not classes:
        return pyarrow.nulls(len(values)), {"cells": "null", "missing": kept}
    (cell,) = classes
    if cell not in _CELL_TYPES:
        raise Declined(where, f"object cells of type {cell.__module__}.{cell.__qualname__}")
    name, data_type = _CELL_TYPES[cell]
    array = pyarrow.array(values, data_type, from_pandas=cell is not float)
    return array, {"cells": name, "missing": kept}


def decode_cells(chunked: Any, cells: str, missing: str) -> Any:
    """Return the object array of encode_cells."""
    if cells in ("str", "bytes"):
        return _decode_text(chunked, MISSING[missing])
    values = numpy.empty(len(chunked), dtype=object)
    values[:] = chunked.to_pylist()
    if missing != "None" and chunked.null_count:
        values[chunked.is_null().to_numpy()] = MISSING[missing]
    return values


def _decode_text(chunked: Any, missing: Any) -> Any:
    """Make one Python object per distinct value: most columns repeat theirs, and objects are what takes the time."""
    encoded = chunked.dictionary_encode().unify_dictionaries()
    distinct = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    objects = numpy.empty(len(distinct) + 1, dtype=object)
    objects[:] = [*distinct, missing]
    indices = [chunk.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    return objects[numpy.concatenate(indices)] if indices else objects[:0]


def writeable(values: Any, dtype: Any) -> Any:
    """Return an array that can be changed in place: pandas hands out locked views, pyarrow views of its buffers."""
    if values.dtype != dtype:
        return values.astype(dtype)
    try:
        values.flags.writeable = True
    except ValueError:
        return values.copy()
    return values


# -- codes into values: categoricals and the levels of a MultiIndex ----------------------------------------------------
