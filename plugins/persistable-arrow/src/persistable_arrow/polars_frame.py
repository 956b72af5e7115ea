"""Turn a polars DataFrame into an Arrow table and a note of its dtypes, and back.

Representation decisions: polars' own Arrow export is used as it is. Each dtype is noted and compared when it comes
back. Categoricals of the global categories and Enums are Arrow dictionaries. Object columns, 128-bit integers, maps,
extension types, named Categories and categoricals inside nested columns are declined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars
import pyarrow

from persistable_arrow.label import Declined

__all__ = ["check_frame", "encode_dtype", "from_table", "to_table"]

_INTEGERS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
_OTHERS = ("Float16", "Float32", "Float64", "Boolean", "String", "Binary", "Date", "Time", "Null")
_PLAIN = {name: dtype for name in (*_INTEGERS, *_OTHERS) if (dtype := getattr(polars, name, None)) is not None}


def check_frame(frame: Any) -> None:
    """Raise Declined for a dtype that is known not to come back equal."""
    for name, dtype in frame.schema.items():
        encode_dtype(dtype, name)
    if frame.width == 0 and frame.height:
        raise Declined("payload", "rows without columns")


def to_table(frame: Any) -> tuple[Any, dict[str, Any]]:
    """Return the Arrow table of a frame and the note with which from_table gives it back."""
    check_frame(frame)
    dtypes = [encode_dtype(dtype, name) for name, dtype in frame.schema.items()]
    level = getattr(polars, "CompatLevel", None)  # newer versions may export types that not every reader knows
    table = frame.to_arrow() if level is None else frame.to_arrow(compat_level=level.oldest())
    return table, {"dtypes": dtypes}


def from_table(table: Any, note: dict[str, Any], kept: Sequence[int] | None = None, whole: bool = True) -> Any:  # noqa: ARG001 - frames have no index
    """Return the frame of a table; ``kept`` are the positions of the columns that were asked for, None for all."""
    notes = note["dtypes"] if kept is None else [note["dtypes"][i] for i in kept]
    # from_arrow of a table without rows loses categories: columns are built one by one from their noted dtypes
    series = {}  # by name, as polars calls a nameless one column_0 when it is given a list
    for name, column, dtype_note in zip(table.column_names, table.columns, notes, strict=True):
        dtype = _decode_dtype(dtype_note)
        if pyarrow.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        read = polars.Series(name, polars.from_arrow(column), strict=True) if len(column) else None
        if read is None:
            read = polars.Series(name, [], dtype=dtype)
        series[name] = read if read.dtype == dtype else read.cast(dtype)
    return polars.DataFrame(series)


def encode_dtype(dtype: Any, where: str, nested: bool = False) -> Any:
    """Return the JSON of a dtype. Raises Declined, naming ``where``, for one that does not come back."""
    if "\0" in where:
        raise Declined(repr(where), "polars cannot export a name with a NUL")
    kind = type(dtype).__name__ if not isinstance(dtype, type) else dtype.__name__
    if kind in _PLAIN and dtype == _PLAIN[kind]:
        return kind
    if isinstance(dtype, polars.Datetime):
        return {"kind": "Datetime", "unit": dtype.time_unit, "zone": dtype.time_zone}
    if isinstance(dtype, polars.Duration):
        return {"kind": "Duration", "unit": dtype.time_unit}
    if isinstance(dtype, polars.Decimal):
        return {"kind": "Decimal", "precision": dtype.precision, "scale": dtype.scale}
    if isinstance(dtype, polars.List):
        return {"kind": "List", "inner": encode_dtype(dtype.inner, where, True)}
    if isinstance(dtype, polars.Array) and dtype.size:
        return {"kind": "Array", "inner": encode_dtype(dtype.inner, where, True), "size": dtype.size}
    if isinstance(dtype, polars.Struct) and dtype.fields:
        return {
            "kind": "Struct",
            "fields": [[f.name, encode_dtype(f.dtype, f"{where}.{f.name}", True)] for f in dtype.fields],
        }
    if isinstance(dtype, polars.Categorical) and not nested and dtype == polars.Categorical():
        return {"kind": "Categorical"}
    if isinstance(dtype, polars.Enum) and not nested:
        return {"kind": "Enum", "categories": dtype.categories.to_list()}
    raise Declined(where, f"dtype {dtype} {'inside a nested column ' if nested else ''}has no exact Arrow type")


def _decode_dtype(note: Any) -> Any:
    if isinstance(note, str):
        return _PLAIN[note]()
    match note["kind"]:
        case "Datetime":
            return polars.Datetime(note["unit"], note["zone"])
        case "Duration":
            return polars.Duration(note["unit"])
        case "Decimal":
            return polars.Decimal(note["precision"], note["scale"])
        case "List":
            return polars.List(_decode_dtype(note["inner"]))
        case "Array":
            return polars.Array(_decode_dtype(note["inner"]), note["size"])
        case "Struct":
            return polars.Struct([polars.Field(name, _decode_dtype(inner)) for name, inner in note["fields"]])
        case "Categorical":
            return polars.Categorical()
        case "Enum":
            return polars.Enum(note["categories"])
        case unknown:
            raise ValueError(f"unknown polars dtype {unknown!r}")
