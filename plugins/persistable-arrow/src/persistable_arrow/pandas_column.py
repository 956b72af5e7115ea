"""Turn one pandas column or index level into an Arrow array and back, equal and of the same dtype.

Representation decisions, by dtype (``note["kind"]``):

- ``numpy``: bool, integers, floats of 16 to 64 bits, datetime64 and timedelta64 as they are. NaN in a float column and
  NaT are Arrow nulls, as everywhere around pandas: ordinary readers and SQL see a missing value.
- ``datetimetz``: an Arrow timestamp with a zone; which zone object it was is kept in the note.
- ``string``, ``arrow``: the dtype's own conversion; storage and missing value are kept in the note.
- ``masked``: values, and nulls for NA. A NaN of ``Float64`` stays NaN.
- ``categorical``: an Arrow dictionary. Categories that Arrow cannot hold as plain values (intervals, periods, mixed
  objects) are written by their text, and kept in the note.
- ``period``: the ordinals. ``interval``: a struct of left and right.
- ``object``: only cells of one exact type out of str, bytes, bool, int, float, date, and one kind of missing value.
  Arrow would give lists, tuples and sets back as arrays and merge None, NaN and NA; those are declined.

Sparse, complex, big-endian, long double and foreign extension dtypes are declined.
"""

from __future__ import annotations

from typing import Any

import numpy
import pandas
import pyarrow

from persistable_arrow.label import Declined, decode_label, decode_zone, encode_label, encode_zone
from persistable_arrow.object_cells import MISSING, decode_cells, encode_cells, writeable
from persistable_arrow.schema import pack_array, pack_type, unpack_array, unpack_type

__all__ = [
    "attach_zone",
    "check_dtype",
    "check_index",
    "decode_array",
    "decode_index",
    "decode_levels",
    "encode_column",
    "encode_index",
    "encode_levels",
    "restore_index",
]

_MASKED = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "boolean")
_MASKED_TYPES = tuple({type(pandas.api.types.pandas_dtype(name)) for name in _MASKED})
_CONVERSION_ERRORS = (pyarrow.ArrowException, ValueError, OverflowError, TypeError)


def check_dtype(dtype: Any, where: str) -> dict[str, Any]:
    """Return the note of a dtype. Raises Declined where it is known not to survive, whatever the content."""
    if isinstance(dtype, numpy.dtype):
        return _check_numpy(dtype, where)
    if type(dtype) is pandas.DatetimeTZDtype:
        return {"kind": "datetimetz", "unit": dtype.unit, "zone": encode_zone(dtype.tz, where)}
    if type(dtype) is pandas.StringDtype:
        storage = dtype.storage.removesuffix("_numpy")  # as pandas 2 calls the storage of strings with NaN
        return {"kind": "string", "storage": storage, "missing": "NA" if dtype.na_value is pandas.NA else "nan"}
    if type(dtype) is pandas.CategoricalDtype:
        if dtype.categories is None:
            raise Declined(where, "a categorical without categories")
        check_index(dtype.categories, f"{where} (categories)")
        return {"kind": "categorical", "ordered": bool(dtype.ordered)}
    if type(dtype) is pandas.PeriodDtype:
        if pandas.api.types.pandas_dtype(dtype.name) != dtype:
            raise Declined(where, f"the period frequency {dtype.freq!r} has no exact name")
        return {"kind": "period", "dtype": dtype.name}
    if type(dtype) is pandas.IntervalDtype and dtype.subtype is not None:
        return {"kind": "interval", "closed": dtype.closed, "bounds": check_dtype(dtype.subtype, where)}
    if type(dtype) is pandas.ArrowDtype:
        return {"kind": "arrow", "type": pack_type(dtype.pyarrow_dtype)}
    if isinstance(dtype, _MASKED_TYPES) and dtype.name in _MASKED:
        return {"kind": "masked", "dtype": dtype.name}
    raise Declined(where, f"dtype {dtype} has no exact Arrow type")


def _check_numpy(dtype: Any, where: str) -> dict[str, Any]:
    if dtype.kind == "O":
        return {"kind": "object"}
    if not dtype.isnative:
        raise Declined(where, f"dtype {dtype.str} is not in native byte order")
    if (dtype.kind in "biu") or (dtype.kind == "f" and dtype.itemsize <= 8) or dtype.kind in "mM":
        return {"kind": "numpy", "dtype": dtype.name}
    raise Declined(where, f"dtype {dtype} has no Arrow type")


def encode_column(series: Any, where: str) -> tuple[Any, dict[str, Any]]:
    """Return the Arrow array of a Series and the note with which decode_array gives it back."""
    note = check_dtype(series.dtype, where)
    try:
        match note["kind"]:
            case "numpy":
                return pyarrow.array(series.to_numpy(), from_pandas=True), note
            case "object":
                array, cells = encode_cells(series.to_numpy(), where)
                return array, note | cells
            case "categorical":
                array, categories = _encode_codes(
                    series.cat.codes.to_numpy(), series.cat.categories, note["ordered"], where
                )
                return array, note | categories
            case "period":
                period = series.array
                return pyarrow.array(period.asi8, pyarrow.int64(), mask=period.isna()), note
            case "interval":
                return _encode_intervals(series.array, where), note
            case "datetimetz":
                return pyarrow.array(series, from_pandas=True), note
            case _:
                return pyarrow.array(series.array), note
    except _CONVERSION_ERRORS as error:
        raise Declined(where, f"{type(error).__name__}: {error}") from error


def decode_array(array: Any, note: dict[str, Any]) -> Any:
    """Return the numpy or pandas array of an Arrow array (chunked or not)."""
    chunked = array if isinstance(array, pyarrow.ChunkedArray) else pyarrow.chunked_array([array])
    match note["kind"]:
        case "numpy":
            return _decode_numpy(chunked, note["dtype"])
        case "object":
            return decode_cells(chunked, note["cells"], note["missing"])
        case "datetimetz":
            naive = _decode_numpy(chunked.cast(pyarrow.timestamp(note["unit"])), f"datetime64[{note['unit']}]")
            return attach_zone(naive, note)
        case "categorical":
            codes, categories = _decode_codes(chunked, note)
            dtype = pandas.CategoricalDtype(categories, ordered=note["ordered"])
            return pandas.Categorical.from_codes(codes, dtype=dtype)
        case "period":
            ordinals = chunked.fill_null(numpy.iinfo("i8").min).to_numpy().copy()  # a view of Arrow's buffer otherwise
            dtype = pandas.api.types.pandas_dtype(note["dtype"])
            return pandas.PeriodIndex.from_ordinals(ordinals, freq=dtype.freq).array
        case "interval":
            flat = chunked.combine_chunks()
            left, right = (decode_array(part, note["bounds"]) for part in flat.flatten())
            return pandas.arrays.IntervalArray.from_arrays(left, right, closed=note["closed"])
        case "string":
            return _string_dtype(note["storage"], note["missing"]).__from_arrow__(chunked)
        case "masked":
            return _decode_masked(chunked, pandas.api.types.pandas_dtype(note["dtype"]))
        case "arrow":
            return pandas.ArrowDtype(unpack_type(note["type"])).__from_arrow__(chunked)
        case unknown:
            raise ValueError(f"unknown kind of column {unknown!r}")


def _decode_masked(chunked: Any, dtype: Any) -> Any:
    # pandas' own conversion makes NaN missing
    missing = chunked.is_null().to_numpy()
    values = chunked.fill_null(False if dtype.kind == "b" else 0).to_numpy()
    return dtype.construct_array_type()(writeable(values, dtype.numpy_dtype), missing)


def _string_dtype(storage: str, missing: str) -> Any:
    if missing == "NA":
        return pandas.StringDtype(storage)
    try:
        return pandas.StringDtype(storage, na_value=MISSING[missing])
    except TypeError:  # pandas before 2.3
        return pandas.StringDtype(f"{storage}_numpy")


def attach_zone(naive: Any, note: dict[str, Any]) -> Any:
    """Return a datetime array in the noted zone from naive UTC values."""
    index = pandas.DatetimeIndex(naive).tz_localize("UTC").tz_convert(decode_zone(note["zone"]))
    return index.array


def _decode_numpy(chunked: Any, dtype: str) -> Any:
    return writeable(chunked.to_pandas().to_numpy(), dtype)


def _encode_codes(codes: Any, values: Any, ordered: bool, where: str) -> tuple[Any, dict[str, Any]]:
    """Return a dictionary array and the note of its values; as text where Arrow cannot hold them plainly."""
    where = f"{where} (categories)"
    note = check_index(values, where)
    if note["kind"] == "plain" and note["array"]["kind"] in ("numpy", "string", "masked", "datetimetz"):
        dictionary, array_note = encode_column(pandas.Series(values, dtype=values.dtype, copy=False), where)
        note = note | {"array": array_note}
        by_text = False
    else:
        note = encode_index(values, where)
        text = [str(value) for value in values]
        if len(set(text)) < len(text):
            raise Declined(where, "several have the same text")
        dictionary, by_text = pyarrow.array(text, pyarrow.large_string()), True
    if isinstance(dictionary, pyarrow.ChunkedArray):
        dictionary = dictionary.combine_chunks()
    if dictionary.null_count:
        raise Declined(where, "a missing value among them")
    indices = pyarrow.array(numpy.maximum(codes, 0), mask=codes < 0)  # polars reads no -1, not even below a null
    array = pyarrow.DictionaryArray.from_arrays(indices, dictionary, ordered=ordered)
    return array, {"values": note, "by_text": by_text}


def _decode_codes(chunked: Any, note: dict[str, Any]) -> tuple[Any, Any]:
    """Return codes (-1 for missing) and the Index of values. All chunks share one dictionary."""
    flat = chunked.unify_dictionaries().combine_chunks()
    if isinstance(flat, pyarrow.ChunkedArray):
        flat = pyarrow.concat_arrays(flat.chunks) if flat.num_chunks else pyarrow.array([], flat.type)
    codes = writeable(flat.indices.fill_null(-1).to_numpy(zero_copy_only=False), flat.indices.type.to_pandas_dtype())
    return codes, decode_index(note["values"], None if note["by_text"] else flat.dictionary)


def _encode_intervals(array: Any, where: str) -> Any:
    bounds = [encode_column(pandas.Series(part), where)[0] for part in (array.left, array.right)]
    return pyarrow.StructArray.from_arrays(bounds, ["left", "right"], mask=pyarrow.array(array.isna()))


# -- one Index, kept within a note -------------------------------------------------------------------------------------


def check_index(index: Any, where: str) -> dict[str, Any]:
    """Return the note of an Index of one level, without its values. Raises Declined by class, dtype or name."""
    note: dict[str, Any] = {"name": encode_label(index.name, f"{where} (name)")}
    if type(index) is pandas.RangeIndex:
        return note | {"kind": "range", "range": [index.start, index.stop, index.step]}
    if type(index).__module__.partition(".")[0] != "pandas" or type(index) is pandas.MultiIndex:
        raise Declined(where, f"an index of type {type(index).__module__}.{type(index).__qualname__}")
    note |= {"kind": "plain", "array": check_dtype(index.dtype, where)}
    freq = getattr(index, "freq", None)
    if freq is not None and type(index) is not pandas.PeriodIndex:
        if pandas.tseries.frequencies.to_offset(freq.freqstr) != freq:
            raise Declined(where, f"the frequency {freq!r} has no exact name")
        note["freq"] = freq.freqstr
    return note


def encode_index(index: Any, where: str) -> dict[str, Any]:
    """Return the note of an Index with its values, as JSON labels or an Arrow message in base 64."""
    if type(index) is pandas.MultiIndex:
        return _note_levels(index, where) | {
            "levels": [encode_index(level, f"{where} (level {i})") for i, level in enumerate(index.levels)],
            "codes": [codes.tolist() for codes in index.codes],
        }
    note = check_index(index, where)
    if note["kind"] == "range":
        return note
    if note["array"]["kind"] == "object":
        return note | {"labels": [encode_label(value, where) for value in index]}
    array, note["array"] = encode_column(pandas.Series(index, dtype=index.dtype, copy=False), where)
    return note | {"data": pack_array(array, where)}


def decode_index(note: dict[str, Any], array: Any = None) -> Any:
    """Return the Index of a note; its values are in the note, or else in ``array``."""
    name = None if note["kind"] == "multi" else decode_label(note["name"])
    if note["kind"] == "range":
        return pandas.RangeIndex(*note["range"], name=name)
    if note["kind"] == "multi":
        return restore_levels(note, note["codes"], [decode_index(level) for level in note["levels"]])
    if "labels" in note:
        values: Any = numpy.empty(len(note["labels"]), dtype=object)
        values[:] = [decode_label(label) for label in note["labels"]]
    else:
        values = decode_array(unpack_array(note["data"]) if array is None else array, note["array"])
    return restore_index(note, values)


def restore_index(note: dict[str, Any], values: Any) -> Any:
    """Return the Index of a plain note from its numpy or pandas array."""
    index = pandas.Index(values, dtype=values.dtype, name=decode_label(note["name"]), tupleize_cols=False)
    if "freq" in note:
        index.freq = note["freq"]
    return index


def _note_levels(index: Any, where: str) -> dict[str, Any]:
    return {
        "kind": "multi",
        "names": [encode_label(name, f"{where} (name)") for name in index.names],
        "sortorder": index.sortorder,
    }


def restore_levels(note: dict[str, Any], codes: Any, levels: Any) -> Any:
    """Return the MultiIndex of a note from its codes and levels."""
    names = [decode_label(name) for name in note["names"]]
    return pandas.MultiIndex(
        levels=levels, codes=codes, names=names, sortorder=note["sortorder"], verify_integrity=False
    )


def encode_levels(index: Any, where: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the dictionary arrays of a MultiIndex and its note."""
    note, arrays, kept = _note_levels(index, where), [], []
    for i, (level, codes) in enumerate(zip(index.levels, index.codes, strict=True)):
        array, level_note = _encode_codes(numpy.asarray(codes), level, False, f"{where} (level {i})")
        arrays.append(array)
        kept.append(level_note)
    return arrays, note | {"columns": kept}


def decode_levels(arrays: list[Any], note: dict[str, Any]) -> Any:
    """Return the MultiIndex of encode_levels."""
    decoded = [_decode_codes(array, kept) for array, kept in zip(arrays, note["columns"], strict=True)]
    return restore_levels(note, [codes for codes, _ in decoded], [level for _, level in decoded])
