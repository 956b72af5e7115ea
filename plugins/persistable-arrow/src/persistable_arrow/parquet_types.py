"""Know which Arrow types parquet gives back, and write the others in a way that can be cast back."""

from __future__ import annotations

from typing import Any

import numpy
import pyarrow

from persistable_arrow.label import Declined, unique_names
from persistable_arrow.schema import LEVEL_KEY, flatten_dictionary, pack_schema

__all__ = ["check_type", "physical_schema", "to_physical"]

_SCHEMA_KEY = b"ARROW:schema"


def check_type(data_type: Any, where: str, nested: bool = False) -> None:
    """Raise Declined for an Arrow type that parquet does not give back, naming the column ``where``."""
    types = pyarrow.types
    if _is_exact(data_type):
        return
    if not nested:
        if data_type in (pyarrow.time32("s"), pyarrow.date64()) or _is_seconds(data_type):
            return
        if types.is_dictionary(data_type) and _is_exact(data_type.value_type):
            return
    elif types.is_dictionary(data_type):
        raise Declined(where, "a dictionary inside a nested column")
    if types.is_struct(data_type) and data_type.num_fields:
        children = [data_type.field(i) for i in range(data_type.num_fields)]
        if len({child.name for child in children}) < len(children):
            raise Declined(where, "a struct with repeated names")
    elif types.is_list(data_type) or types.is_large_list(data_type):
        children = [data_type.value_field]
    elif types.is_map(data_type):
        children = [data_type.key_field, data_type.item_field]
    elif types.is_fixed_size_list(data_type) and data_type.list_size:
        children = [data_type.value_field]
    else:
        raise Declined(where, f"parquet does not give the Arrow type {data_type} back")
    for child in children:
        check_type(child.type, where, nested=True)


def _is_exact(data_type: Any) -> bool:
    types = pyarrow.types
    tests = (
        types.is_null,
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_string,
        types.is_large_string,
        types.is_binary,
        types.is_large_binary,
        types.is_fixed_size_binary,
        types.is_date32,
        types.is_time64,
        types.is_duration,
    )
    if isinstance(data_type, pyarrow.BaseExtensionType):
        return False
    if types.is_decimal128(data_type) or types.is_decimal256(data_type):
        return bool(data_type.scale >= 0)
    if types.is_timestamp(data_type):
        return not _is_seconds(data_type)
    return any(test(data_type) for test in tests) or data_type == pyarrow.time32("ms")


def _is_seconds(data_type: Any) -> bool:
    return bool(pyarrow.types.is_timestamp(data_type)) and data_type.unit == "s"


def physical_schema(schema: Any) -> Any:
    """Return the schema as parquet keeps it, with unique names."""
    names = unique_names(schema.names)
    fields = [_physical_field(field, name) for field, name in zip(schema, names, strict=True)]
    metadata = dict(schema.metadata or {})
    metadata.pop(_SCHEMA_KEY, None)  # the note has it; pyarrow would take it for its own and fail to load the file
    return pyarrow.schema(fields, metadata=metadata or None)


def _physical_field(field: Any, name: str) -> Any:
    if _is_seconds(field.type):
        field = field.with_type(pyarrow.timestamp("ms", field.type.tz))
    elif field.type == pyarrow.time32("s"):
        field = field.with_type(pyarrow.time32("ms"))
    elif field.type == pyarrow.date64():
        field = field.with_type(pyarrow.date32())
    if LEVEL_KEY in (field.metadata or {}):
        # codes of text would come back from plain pandas as a categorical level; those of numbers parquet drops anyway
        plain = field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type
        field = field.remove_metadata().with_type(plain)
    return field.with_name(name)


def to_physical(table: Any, keep_metadata: bool = True) -> tuple[Any, dict[str, Any]]:
    """Return the table as parquet keeps it, and the note with which restore_table gives it back. Raises Declined."""
    columns, dictionaries = [], {}
    written = physical_schema(table.schema)
    for position, (field, physical) in enumerate(zip(table.schema, written, strict=True)):
        column = table.column(position)
        check_type(field.type, field.name)
        if not field.nullable and column.null_count:
            raise Declined(field.name, "nulls in a field that is declared not nullable")
        if _has_strict_child(field.type):
            for chunk in column.chunks:
                _check_children(chunk, field.name)
        if _has_text(field.type):
            for chunk in column.chunks:
                _check_text(chunk, field.name)
        if pyarrow.types.is_dictionary(field.type):
            column, dictionaries[str(position)] = flatten_dictionary(column, field.name)
            if not pyarrow.types.is_dictionary(physical.type):
                column = column.cast(physical.type)
        elif physical.type != field.type:
            column = _cast_exactly(column, physical.type, field.name)
        columns.append(column)
    schema = table.schema if keep_metadata else table.schema.remove_metadata()
    note = {"schema": pack_schema(schema), "dictionaries": dictionaries}
    return pyarrow.Table.from_arrays(columns, schema=written), note


def _has_strict_child(data_type: Any) -> bool:
    fields = [data_type.field(i) for i in range(data_type.num_fields)]
    return any(not field.nullable or _has_strict_child(field.type) for field in fields)


def _check_children(array: Any, where: str) -> None:
    """Raise Declined for nulls in a child that is declared not nullable; what lies under a null does not count."""
    types, data_type = pyarrow.types, array.type
    if not data_type.num_fields:
        return
    if types.is_struct(data_type):
        kept = array.drop_null()
        children = [(data_type.field(i), kept.field(i)) for i in range(data_type.num_fields)]
    elif types.is_map(data_type):
        kept = array.drop_null()
        first, last = (kept.offsets[0].as_py(), kept.offsets[-1].as_py()) if len(kept) else (0, 0)
        parts = zip((data_type.key_field, data_type.item_field), (kept.keys, kept.items), strict=True)
        children = [(field, child.slice(first, last - first)) for field, child in parts]
    else:
        if types.is_fixed_size_list(data_type) and array.null_count and not data_type.value_field.nullable:
            raise Declined(where, "null beside lists of fixed size whose values are declared not nullable")
        children = [(data_type.value_field, array.flatten())]
    for field, child in children:
        if not field.nullable and child.null_count:
            raise Declined(where, f"nulls in {field.name!r}, which is declared not nullable")
        _check_children(child, where)


def _has_text(data_type: Any) -> bool:
    """Tell whether values have text in them; that of a dictionary is checked where the dictionary is packed."""
    if pyarrow.types.is_string(data_type) or pyarrow.types.is_large_string(data_type):
        return True
    return any(_has_text(data_type.field(i).type) for i in range(data_type.num_fields))


def _check_text(array: Any, where: str) -> None:
    """Raise Declined for text that is not UTF-8: tables made from buffers may have it, and readers refuse it."""
    if _is_ascii(array):
        return
    try:
        array.validate(full=True)
    except pyarrow.ArrowInvalid as error:
        raise Declined(where, str(error)) from error


def _is_ascii(array: Any) -> bool:
    """Tell whether the bytes of a plain array of text are ASCII: looking at all of them at once is ten times faster."""
    if array.type.num_fields or not len(array):
        return False
    _, offsets, data = array.buffers()
    width = "i4" if pyarrow.types.is_string(array.type) else "i8"
    ends = numpy.frombuffer(offsets, width)[array.offset : array.offset + len(array) + 1]
    used = numpy.frombuffer(data or b"", "u1")[ends[0] : ends[-1]]
    return not used.size or bool(used.max() < 0x80)


def _cast_exactly(column: Any, data_type: Any, where: str) -> Any:
    try:
        cast = column.cast(data_type)
    except pyarrow.ArrowInvalid as error:
        raise Declined(where, str(error)) from error
    if data_type == pyarrow.date32() and not cast.cast(column.type).equals(column):
        raise Declined(where, "a date64 that is not a whole day")
    return cast
