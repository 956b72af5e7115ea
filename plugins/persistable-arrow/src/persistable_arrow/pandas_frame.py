"""Turn a pandas DataFrame into an Arrow table with unique text names and a note, and back.

Representation decisions:

- Columns come first, then the levels of the index as further columns. A RangeIndex is only noted; a MultiIndex is one
  dictionary column per level, so unused entries of its levels survive.
- Arrow names are the labels where they are unique strings; otherwise their text, numbered where it repeats. The columns
  Index itself is kept in the note, whatever its kind.
- attrs, flags and the frequency of the index are noted.
- The ``pandas`` entry of the schema is written as plain pandas would, so that ``pandas.read_parquet`` and
  ``read_feather`` set the index and the extension dtypes (source: pandas' developer documentation, "Storing pandas
  DataFrame objects in Apache Parquet format").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas
import pyarrow

from persistable_arrow.label import Declined, decode_label, encode_label, unique_names
from persistable_arrow.object_cells import writeable
from persistable_arrow.pandas_column import (
    attach_zone,
    check_dtype,
    check_index,
    decode_array,
    decode_index,
    decode_levels,
    encode_column,
    encode_index,
    encode_levels,
    restore_index,
)
from persistable_arrow.schema import LEVEL_KEY

__all__ = ["check_frame", "from_table", "to_table"]

_WIDE = 100  # from here on, columns are worth consolidating into blocks, at the price of a copy


def check_frame(frame: Any) -> None:
    """Raise Declined for what is known, from types, dtypes and names alone, not to come back equal."""
    for label, dtype in zip(frame.columns, frame.dtypes, strict=True):
        check_dtype(dtype, _where(label))
    if type(frame.index) is pandas.MultiIndex:
        for name, level in zip(frame.index.names, frame.index.levels, strict=True):
            check_index(level, f"index {name!r}")
    else:
        check_index(frame.index, "index")
    encode_label(frame.attrs, "attrs")


def to_table(frame: Any) -> tuple[Any, dict[str, Any]]:
    """Return the Arrow table of a DataFrame and the note with which from_table gives it back."""
    names = unique_names(frame.columns)
    arrays, columns = [], []
    for label, series in frame.items():
        array, note = encode_column(series, _where(label))
        arrays.append(array)
        columns.append(note)
    try:
        note = {
            "labels": encode_index(frame.columns, "columns"),
            "columns": columns,
            "attrs": encode_label(frame.attrs, "attrs"),
            "duplicates": frame.flags.allows_duplicate_labels,
        }
        index_arrays, note["index"] = _encode_index(frame.index)
    except (pyarrow.ArrowException, ValueError) as error:
        raise Declined("index", f"{type(error).__name__}: {error}") from error
    levels = [
        name if type(name) is str and name else f"__index_level_{i}__"
        for i, name in enumerate(frame.index.names[: len(index_arrays)])
    ]
    names += unique_names(levels, names)
    table = pyarrow.Table.from_arrays([*arrays, *index_arrays], names=names)
    if type(frame.index) is pandas.MultiIndex:
        fields = list(table.schema)
        for i, level in enumerate(frame.index.levels, len(arrays)):
            if not isinstance(level.dtype, pandas.CategoricalDtype):
                fields[i] = fields[i].with_metadata({LEVEL_KEY: b""})
        table = table.cast(pyarrow.schema(fields))
    note["names"] = names
    metadata = {b"pandas": _describe_for_pandas(frame, table, len(arrays))}
    return table.replace_schema_metadata(metadata), note


def _where(label: Any) -> str:
    return label if type(label) is str else repr(label)


def _encode_index(index: Any) -> tuple[list[Any], dict[str, Any]]:
    if type(index) is pandas.MultiIndex:
        return encode_levels(index, "index")
    note = check_index(index, "index")
    if note["kind"] == "range":
        return [], note
    array, note["array"] = encode_column(pandas.Series(index, dtype=index.dtype, copy=False), "index")
    return [array], note


def from_table(table: Any, note: dict[str, Any], kept: Sequence[int] | None = None, whole: bool = True) -> Any:
    """Return the DataFrame of a table.

    Args:
        table: as it was written, in order, or only the columns ``kept`` and those of the index.
        note: from to_table.
        kept: positions of the columns that were asked for; None for all.
        whole: whether all rows are there; if not, a RangeIndex starts anew and a frequency is dropped.

    """
    notes = note["columns"] if kept is None else [note["columns"][i] for i in kept]
    index_note = note["index"]
    plain_index = index_note["kind"] == "plain"
    arrays = _decode_columns(table, [*notes, index_note["array"]] if plain_index else notes)
    if plain_index:
        index_note = index_note if whole else {k: v for k, v in index_note.items() if k != "freq"}
        index = restore_index(index_note, arrays.pop())
    elif index_note["kind"] == "multi":
        index = decode_levels(table.columns[len(notes) :], index_note)
    elif whole:
        index = decode_index(index_note)
    else:
        index = pandas.RangeIndex(table.num_rows, name=decode_label(index_note["name"]))
    columns = {i: _column(values, index) for i, values in enumerate(arrays)}
    frame = pandas.DataFrame(columns, index=index, copy=len(arrays) > _WIDE)
    labels = decode_index(note["labels"])
    frame.columns = labels if kept is None else labels.take(list(kept))
    frame.attrs = decode_label(note["attrs"])
    return frame if note["duplicates"] else frame.set_flags(allows_duplicate_labels=False)


def _column(values: Any, index: Any) -> Any:
    # pandas infers str from a bare array of objects that are all strings; it believes a Series
    return pandas.Series(values, index=index, dtype=object, copy=False) if values.dtype == object else values


def _decode_columns(table: Any, notes: list[dict[str, Any]]) -> list[Any]:
    """Return the arrays of the first columns, the plain ones converted together by pyarrow's threads."""
    together: dict[int, Any] = {}
    for i, note in enumerate(notes):
        if note["kind"] == "numpy":
            together[i] = table.column(i)
        elif note["kind"] == "datetimetz":
            together[i] = table.column(i).cast(pyarrow.timestamp(note["unit"]))
    bulk = pyarrow.table({str(i): column for i, column in together.items()}).to_pandas(ignore_metadata=True)
    arrays = []
    for i, note in enumerate(notes):
        if i not in together:
            arrays.append(decode_array(table.column(i), note))
            continue
        dtype = note["dtype"] if note["kind"] == "numpy" else f"datetime64[{note['unit']}]"
        values = writeable(bulk[str(i)].to_numpy(), dtype)
        arrays.append(attach_zone(values, note) if note["kind"] == "datetimetz" else values)
    return arrays


# -- for plain pandas --------------------------------------------------------------------------------------------------


def _describe_for_pandas(frame: Any, table: Any, width: int) -> bytes:
    names = table.column_names
    levels = [frame.index.get_level_values(i) for i in range(frame.index.nlevels)] if len(names) > width else []
    columns = [
        _describe_column(label if type(label) is str else name, name, dtype)
        for label, name, dtype in zip(frame.columns, names, frame.dtypes, strict=False)
    ]
    columns += [
        _describe_column(level.name if type(level.name) is str else None, name, level.dtype)
        for level, name in zip(levels, names[width:], strict=True)
    ]
    index_columns: list[Any] = names[width:]
    if type(frame.index) is pandas.RangeIndex:
        name = frame.index.name if type(frame.index.name) is str else None
        span = {"start": frame.index.start, "stop": frame.index.stop, "step": frame.index.step}
        index_columns = [{"kind": "range", "name": name, **span}]
    integers = getattr(frame.columns, "inferred_type", "") == "integer" and frame.columns.is_unique
    labels = {
        "name": frame.columns.name if type(frame.columns.name) is str else None,
        "field_name": None,
        "pandas_type": "int64" if integers else "unicode",
        "numpy_type": "int64" if integers else str(pandas.Index(["a"]).dtype),
        "metadata": None if integers else {"encoding": "UTF-8"},
    }
    description = {
        "index_columns": index_columns,
        "column_indexes": [labels] if frame.columns.nlevels == 1 else [],
        "columns": columns,
        "attributes": {},
        "creator": {"library": "pyarrow", "version": pyarrow.__version__},
        "pandas_version": pandas.__version__,
    }
    return json.dumps(description).encode()


def _describe_column(label: str | None, field: str, dtype: Any) -> dict[str, Any]:
    numpy_type = pandas_type = str(dtype)
    metadata: dict[str, Any] | None = None
    if isinstance(dtype, pandas.DatetimeTZDtype):
        numpy_type, pandas_type, metadata = f"datetime64[{dtype.unit}]", "datetimetz", {"timezone": str(dtype.tz)}
    elif isinstance(dtype, pandas.CategoricalDtype):
        numpy_type, pandas_type = "int8", "categorical"
        metadata = {"num_categories": len(dtype.categories), "ordered": bool(dtype.ordered)}
    elif isinstance(dtype, pandas.StringDtype):
        pandas_type = "unicode"
    elif isinstance(dtype, (pandas.PeriodDtype, pandas.IntervalDtype)):
        numpy_type = pandas_type = "object"  # written as numbers: their notes are ours
    elif isinstance(dtype, pandas.ArrowDtype) and not _has_name(dtype):
        numpy_type = pandas_type = "object"  # plain pandas fails on names that it cannot parse, such as list<…>
    return {
        "name": label,
        "field_name": field,
        "pandas_type": pandas_type,
        "numpy_type": numpy_type,
        "metadata": metadata,
    }


def _has_name(dtype: Any) -> bool:
    try:
        return bool(pandas.api.types.pandas_dtype(str(dtype)) == dtype)
    except (TypeError, ValueError, NotImplementedError):
        return False
