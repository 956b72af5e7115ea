"""The format ``parquet``: pandas, pyarrow and polars frames in one Apache Parquet file.

Representation decisions:

- The file's key-value metadata has an entry ``persistable``: the note of the frame (see ``frame``), and the exact
  Arrow schema and dictionaries. The file alone suffices to load it; other tools ignore the entry.
- pyarrow's defaults: format version 2.6, snappy, dictionary encoding, row groups of 2**20 rows. Options change them.
- ``timestamp[s]`` and ``time32[s]`` are written in milliseconds, ``date64`` in days, and cast back; values that do not
  fit are declined. Unions, intervals, run-end encoded, view and extension types, and dictionaries inside nested columns
  are declined.
- A RecordBatchReader, or an iterator of record batches, is written row group by row group and comes back as a table,
  or as a reader again with ``as_reader=True``. Its dictionary columns are declined: their values are not known before
  the end.
- The record keeps rows, row groups and uncompressed bytes. They are compared with the footer before anything is
  allocated, so a file that was swapped for a small one that expands hugely is refused; pages that contradict their own
  footer are left to the digest in the record. A file that comes without a record is read as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from persistable_arrow.frame import NOTE_KEY, FrameFileIO, frame_labels, from_table, is_stream, to_table
from persistable_arrow.label import Declined, unique_names
from persistable_arrow.schema import flatten_dictionary, pack_schema, restore_table, unpack_schema

__all__ = ["ParquetFileIO"]

_STREAM_ROWS, _STREAM_BYTES = 1 << 17, 64 << 20  # a row group of a stream ends at the first of these


class ParquetFileIO(FrameFileIO[Any]):
    """Keep a DataFrame or Table in a parquet file that comes back as the type it was.

    Args:
        compression: codec of all columns, ``"snappy"``, ``"zstd"``, ``"gzip"``, ``"lz4"``, ``"brotli"`` or ``"none"``.
        compression_level: of the codec; None for its default.
        row_group_size: rows per row group; None for 2**20, or for a stream 2**17 rows or 64 MB.
        use_dictionary: whether, or for which columns, to try dictionary encoding.
        columns: labels of the columns to load, in this order; None for all. The index always comes along.
        filters: rows to load: an expression, or ``(column, op, value)`` lists as for ``pyarrow.parquet.read_table``.
        as_reader: load a pyarrow table as a RecordBatchReader, which reads batch by batch.

    """

    name: ClassVar[str] = "parquet"
    suffix: ClassVar[str] = ".parquet"
    needs_metadata: ClassVar[bool] = True
    _streams: ClassVar[bool] = True

    def __init__(
        self,
        *,
        compression: str = "snappy",
        compression_level: int | None = None,
        row_group_size: int | None = None,
        use_dictionary: bool | Sequence[str] = True,
        columns: Sequence[Any] | None = None,
        filters: Any = None,
        as_reader: bool = False,
    ) -> None:
        if row_group_size is not None and row_group_size < 1:
            raise ValueError(f"row_group_size has to be at least 1, not {row_group_size}")
        if as_reader and filters is not None:
            raise ValueError("as_reader reads all rows: filter its batches instead")
        self.compression, self.compression_level = compression, compression_level
        self.row_group_size, self.use_dictionary = row_group_size, use_dictionary
        self.columns = None if columns is None else list(columns)
        self.filters, self.as_reader = filters, as_reader

    def __repr__(self) -> str:
        return f"ParquetFileIO({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def _check(self, payload: Any) -> None:
        super()._check(payload)
        if isinstance(payload, pyarrow.Table):
            for field in payload.schema:
                _check_type(field.type, field.name)

    # -- saving --------------------------------------------------------------------------------------------------------

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Mapping[str, Any]:  # noqa: ARG002 - 1.x signature
        try:
            if is_stream(payload):
                schema, tables = self._coalesce(payload)
                note: dict[str, Any] = {"version": 1, "type": "pyarrow.Table", "schema": pack_schema(schema)}
                note["dictionaries"] = {}
                physical = pyarrow.schema(
                    [_physical_field(field, n) for field, n in zip(schema, unique_names(schema.names), strict=True)],
                    schema.metadata,
                )
                return self._write(filepath, physical, tables, note)
            table, note = to_table(payload)
            table, added = _to_physical(table, keep_metadata=note["type"] == "pyarrow.Table")
            return self._write(filepath, table.schema, iter([table]), note | added)
        except Declined as declined:
            raise self._fidelity_error(declined) from declined.__cause__

    def _write(self, filepath: Path, schema: Any, tables: Iterator[Any], note: dict[str, Any]) -> Mapping[str, Any]:
        footers: list[Any] = []
        packed = {NOTE_KEY: json.dumps(note).encode()}
        late = hasattr(pyarrow.parquet.ParquetWriter, "add_key_value_metadata")
        if not late:  # pyarrow 16: written once more within the schema
            schema = schema.with_metadata((schema.metadata or {}) | packed)
        with (
            pyarrow.OSFile(str(filepath), "wb") as file,
            pyarrow.parquet.ParquetWriter(
                file,
                schema,
                compression=self.compression,
                compression_level=self.compression_level,
                use_dictionary=self.use_dictionary,
                metadata_collector=footers,
            ) as writer,
        ):
            for table in tables:
                writer.write_table(table, row_group_size=self.row_group_size)
            if late:
                writer.add_key_value_metadata(packed)
        return _sizes(footers[0])

    def _coalesce(self, payload: Any) -> tuple[Any, Iterator[Any]]:
        """Return the schema of a stream and its batches gathered into tables the size of a row group."""
        batches = enumerate(payload)
        first = None
        if isinstance(payload, pyarrow.RecordBatchReader):
            schema = payload.schema
        else:
            _, first = next(batches, (0, None))
            if first is None:
                raise Declined("payload", "an empty iterator has no schema; a RecordBatchReader has")
            schema = getattr(first, "schema", None)
        if schema is None or not isinstance(first, (pyarrow.RecordBatch, type(None))):
            raise Declined("batch 0", f"{type(first).__qualname__} is not a pyarrow.RecordBatch")
        for field in schema:
            _check_type(field.type, field.name)
            if pyarrow.types.is_dictionary(field.type):
                raise Declined(field.name, "a dictionary column in a stream")

        def gather() -> Iterator[Any]:
            pending = [] if first is None else [first]
            rows, size = sum(len(batch) for batch in pending), sum(batch.nbytes for batch in pending)
            limit = self.row_group_size or _STREAM_ROWS
            for number, batch in batches:
                if not isinstance(batch, pyarrow.RecordBatch) or batch.schema != schema:
                    raise Declined(f"batch {number}", "its schema differs from the first one's")
                if pending and (rows + len(batch) > limit or size + batch.nbytes > _STREAM_BYTES):
                    yield _to_physical(pyarrow.Table.from_batches(pending, schema))[0]
                    pending, rows, size = [], 0, 0
                pending.append(batch)
                rows, size = rows + len(batch), size + batch.nbytes
            if pending:
                yield _to_physical(pyarrow.Table.from_batches(pending, schema))[0]

        return schema, gather()

    # -- loading -------------------------------------------------------------------------------------------------------

    def _load(self, filepath: Path, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:  # noqa: ARG002
        file = pyarrow.parquet.ParquetFile(str(filepath), pre_buffer=not self.as_reader)
        close = True
        try:
            _check_sizes(file.metadata, metadata or {})
            packed = (file.metadata.metadata or {}).get(NOTE_KEY)
            note = None if packed is None else json.loads(packed)
            names = file.schema_arrow.names
            kept, positions = self._choose(note, names)
            if self.as_reader:
                if note is not None and note["type"] != "pyarrow.Table":
                    raise ValueError(f"a {note['type']} cannot be loaded as a reader: leave out as_reader")
                close = False
                return _read_batches(file, note, positions)
            if self.filters is None:
                table = file.read(columns=None if positions is None else [names[i] for i in positions])
            else:
                table = self._read_filtered(filepath, names, note, positions)
            if positions is not None:
                table = table.select([names[i] for i in positions])
            if note is None:
                return table
            return from_table(restore_table(table, note, positions), note, kept, whole=self.filters is None)
        finally:
            if close:
                file.close()

    def _choose(self, note: dict[str, Any] | None, names: list[str]) -> tuple[list[int] | None, list[int] | None]:
        """Return the positions of the columns that were asked for, and of those to read: the index's come last."""
        if self.columns is None:
            return None, None
        labels, levels = self._labels(note, names)
        kept = []
        for label in self.columns:
            found = [i for i, other in enumerate(labels) if type(other) is type(label) and other == label]
            if not found:
                raise KeyError(f"no column {label!r}; there are {labels}")
            kept += found
        return kept, [*kept, *range(len(names) - levels, len(names))]

    def _labels(self, note: dict[str, Any] | None, names: list[str]) -> tuple[list[Any], int]:
        if note is None:
            return list(names), 0
        if note["type"] == "pyarrow.Table":
            return list(unpack_schema(note["schema"]).names), 0
        return frame_labels(note, names)

    def _read_filtered(
        self, filepath: Path, names: list[str], note: dict[str, Any] | None, positions: list[int] | None
    ) -> Any:
        labels, _ = self._labels(note, names)
        filters = self.filters
        if not isinstance(filters, pyarrow.compute.Expression):
            renamed = {label: name for label, name in zip(labels, names, strict=False) if label != name}
            filters = _rename_filters(filters, renamed)
        columns = None if positions is None else [names[i] for i in positions]
        return pyarrow.parquet.read_table(str(filepath), columns=columns, filters=filters, partitioning=None)


def _rename_filters(filters: Any, renamed: dict[Any, str]) -> Any:
    if isinstance(filters, tuple):
        column, operator, value = filters
        return renamed.get(column, column), operator, value
    return [_rename_filters(part, renamed) for part in filters]


def _read_batches(file: Any, note: dict[str, Any] | None, positions: list[int] | None) -> Any:
    names = file.schema_arrow.names
    columns = None if positions is None else [names[i] for i in positions]

    def restore(table: Any) -> Any:
        table = table if columns is None else table.select(columns)
        return table if note is None else restore_table(table, note, positions)

    def batches() -> Iterator[Any]:
        with file:
            for batch in file.iter_batches(columns=columns):
                yield from restore(pyarrow.Table.from_batches([batch])).to_batches()

    schema = restore(file.schema_arrow.empty_table()).schema
    return pyarrow.RecordBatchReader.from_batches(schema, batches())


# -- sizes -------------------------------------------------------------------------------------------------------------


def _sizes(footer: Any) -> dict[str, int]:
    groups = range(footer.num_row_groups)
    return {
        "rows": footer.num_rows,
        "row_groups": footer.num_row_groups,
        "uncompressed_bytes": sum(footer.row_group(i).total_byte_size for i in groups),
    }


def _check_sizes(footer: Any, metadata: Mapping[str, Any]) -> None:
    declared = _sizes(footer)
    for name, size in declared.items():
        if metadata.get(name, size) != size:
            raise ValueError(f"the file declares {size} {name}, the record says {metadata[name]}: it is another file")


# -- Arrow types that parquet does not give back -----------------------------------------------------------------------


def _check_type(data_type: Any, where: str, nested: bool = False) -> None:
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
        _check_type(child.type, where, nested=True)


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
        types.is_decimal128,
        types.is_decimal256,
        types.is_duration,
    )
    if isinstance(data_type, pyarrow.BaseExtensionType):
        return False
    if types.is_timestamp(data_type):
        return not _is_seconds(data_type)
    return any(test(data_type) for test in tests) or data_type == pyarrow.time32("ms")


def _is_seconds(data_type: Any) -> bool:
    return bool(pyarrow.types.is_timestamp(data_type)) and data_type.unit == "s"


def _physical_field(field: Any, name: str) -> Any:
    if _is_seconds(field.type):
        field = field.with_type(pyarrow.timestamp("ms", field.type.tz))
    elif field.type == pyarrow.time32("s"):
        field = field.with_type(pyarrow.time32("ms"))
    elif field.type == pyarrow.date64():
        field = field.with_type(pyarrow.date32())
    return field.with_name(name)


def _to_physical(table: Any, keep_metadata: bool = True) -> tuple[Any, dict[str, Any]]:
    """Return the table as parquet keeps it, and the note with which restore_table gives it back. Raises Declined."""
    columns, fields, dictionaries = [], [], {}
    for position, (field, name) in enumerate(zip(table.schema, unique_names(table.column_names), strict=True)):
        column, physical = table.column(position), _physical_field(field, name)
        _check_type(field.type, field.name)
        if not field.nullable and column.null_count:
            raise Declined(field.name, "nulls in a field that is declared not nullable")
        if pyarrow.types.is_dictionary(field.type):
            column, dictionaries[str(position)] = flatten_dictionary(column, field.name)
        elif physical.type != field.type:
            column = _cast_exactly(column, physical.type, field.name)
        columns.append(column)
        fields.append(physical)
    schema = table.schema if keep_metadata else table.schema.remove_metadata()
    physical_table = pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields, metadata=table.schema.metadata))
    return physical_table, {"schema": pack_schema(schema), "dictionaries": dictionaries}


def _cast_exactly(column: Any, data_type: Any, where: str) -> Any:
    try:
        cast = column.cast(data_type)
    except pyarrow.ArrowInvalid as error:
        raise Declined(where, str(error)) from error
    if data_type == pyarrow.date32() and not cast.cast(column.type).equals(column):
        raise Declined(where, "a date64 that is not a whole day")
    return cast
