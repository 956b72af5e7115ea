"""Keep exact Arrow schemas, types and dictionaries beside a table whose file format changes them.

Parquet and csv give some types back as others (``timestamp[s]`` as ``timestamp[ms]``, dictionaries as their values or
in another order). The schema that was written is therefore kept as an Arrow message in base 64, and every column that
comes back different is cast to it; dictionaries are kept value by value.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.ipc

from persistable_arrow.label import Declined

__all__ = [
    "LEVEL_KEY",
    "check_values",
    "flatten_dictionary",
    "pack_array",
    "pack_schema",
    "pack_type",
    "restore_column",
    "restore_table",
    "unpack_array",
    "unpack_schema",
    "unpack_type",
]

LEVEL_KEY = b"persistable.level"  # marks a field that is a level of a MultiIndex

_INLINE_LIMIT = 48 << 20  # in base 64 still under the 100 MB at which parquet libraries refuse a footer


def pack_schema(schema: Any) -> str:
    """Return a schema, metadata included, as an Arrow message in base 64."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def unpack_schema(text: str) -> Any:
    """Return the schema of pack_schema."""
    return pyarrow.ipc.read_schema(pyarrow.py_buffer(base64.b64decode(text)))


def pack_type(data_type: Any) -> str:
    """Return a type as the schema of one field."""
    return pack_schema(pyarrow.schema([pyarrow.field("", data_type)]))


def unpack_type(text: str) -> Any:
    """Return the type of pack_type."""
    return unpack_schema(text).field(0).type


def pack_array(array: Any, where: str) -> str:
    """Return an Arrow array as an Arrow stream in base 64. Raises Declined over 48 MB."""
    if array.nbytes > _INLINE_LIMIT:
        raise Declined(where, f"{array.nbytes} bytes of values are too many for a file's header")
    arrays = array.chunks if isinstance(array, pyarrow.ChunkedArray) else [array]
    table = pyarrow.table({"": pyarrow.chunked_array(arrays, array.type)})
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def unpack_array(text: str) -> Any:
    """Return the chunked array of pack_array."""
    table = pyarrow.ipc.open_stream(base64.b64decode(text)).read_all()
    table.validate(full=True)  # an offset that damage made wild would crash the process
    return table.column(0)


def check_values(table: Any) -> None:
    """Raise Declined for a column whose values Arrow calls invalid, such as text that is not UTF-8."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)  # as loading does
        except pyarrow.ArrowInvalid as error:
            raise Declined(name, str(error)) from error


def flatten_dictionary(column: Any, where: str) -> tuple[Any, str]:
    """Return a dictionary column whose chunks share one dictionary, and that dictionary packed.

    Raises Declined for a dictionary with nulls, repeated values or float16, whose indices could not be found again.
    """
    if pyarrow.types.is_float16(column.type.value_type):
        raise Declined(where, "a dictionary of float16: pyarrow cannot look its values up")
    column = column.unify_dictionaries()
    dictionary = column.chunk(0).dictionary if column.num_chunks else pyarrow.array([], column.type.value_type)
    if dictionary.null_count or len(pyarrow.compute.unique(dictionary)) < len(dictionary):
        raise Declined(where, "a dictionary with nulls or repeated values")
    try:
        dictionary.validate(full=True)  # as unpack_array does
    except pyarrow.ArrowInvalid as error:
        raise Declined(where, str(error)) from error
    return column, pack_array(dictionary, f"{where} (dictionary)")


def restore_column(column: Any, data_type: Any, dictionary: Any = None) -> Any:
    """Return a column as the type it was written in, over the given dictionary if it was a dictionary."""
    if dictionary is not None:
        chunks = [_restore_indices(chunk, data_type, dictionary) for chunk in column.chunks or [pyarrow.nulls(0)]]
        return pyarrow.chunked_array(chunks, data_type)
    # nested types are equal whatever their children are called: the cast names them as they were, without a copy
    return column.cast(data_type) if column.type != data_type or data_type.num_fields else column


def _restore_indices(chunk: Any, data_type: Any, dictionary: Any) -> Any:
    if pyarrow.types.is_dictionary(chunk.type):
        own = chunk.dictionary if chunk.dictionary.type == dictionary.type else chunk.dictionary.cast(dictionary.type)
        indices = chunk.indices
        if not own.equals(dictionary):
            indices = pyarrow.compute.index_in(own, dictionary).take(indices)
    else:  # dense, because parquet does not keep dictionaries of this type, or because there are no rows
        values = chunk if chunk.type == dictionary.type else chunk.cast(dictionary.type)
        indices = pyarrow.compute.index_in(values, dictionary)
    if indices.null_count != chunk.null_count:
        raise ValueError("a value is missing from the noted dictionary: the file is damaged")
    indices = indices.cast(data_type.index_type)
    return pyarrow.DictionaryArray.from_arrays(indices, dictionary, ordered=data_type.ordered)


def restore_table(table: Any, note: dict[str, Any], positions: Sequence[int] | None = None) -> Any:
    """Return a table with the exact schema that was noted.

    ``note`` has ``schema`` and ``dictionaries`` (packed, by position); ``positions`` says which of the noted columns
    the table has, None for all.
    """
    schema = unpack_schema(note["schema"])
    kept = range(len(schema)) if positions is None else positions
    if len(kept) != table.num_columns:
        raise ValueError(f"the file has {table.num_columns} columns, {len(kept)} were written: it is damaged")
    columns = []
    for position, column in zip(kept, table.columns, strict=True):
        packed = note["dictionaries"].get(str(position))
        dictionary = None if packed is None else unpack_array(packed)
        if dictionary is not None:
            dictionary = dictionary.combine_chunks() if dictionary.num_chunks != 1 else dictionary.chunk(0)
        columns.append(restore_column(column, schema.field(position).type, dictionary))
    fields = [schema.field(position) for position in kept]
    return pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields, metadata=schema.metadata))
