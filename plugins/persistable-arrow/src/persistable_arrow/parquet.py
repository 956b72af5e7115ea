"""The format ``parquet``: pandas, pyarrow and polars frames in one Apache Parquet file.

Representation decisions:

- The file's key-value metadata has an entry ``persistable``: the note of the frame (see ``frame``), and the exact
  Arrow schema and dictionaries. The file alone suffices to load it; other tools ignore the entry.
- pyarrow's defaults: format version 2.6, snappy, dictionary encoding, row groups of 2**20 rows. Options change them.
- ``timestamp[s]`` and ``time32[s]`` are written in milliseconds, ``date64`` in days, and cast back; values that do not
  fit are declined. Unions, intervals, run-end encoded, view and extension types, dictionaries inside nested columns,
  decimals of negative scale, and nulls where a field or a nested one is declared not nullable are declined.
- A RecordBatchReader, or an iterator of record batches, is written row group by row group and comes back as a table,
  or as a reader again with ``as_reader=True``. Its dictionary columns are declined: their values are not known before
  the end.
- The record keeps rows, row groups, and bytes uncompressed and decoded. They are compared with the footer before
  anything is allocated, so a file that was swapped for a small one that expands hugely is refused. Record or not, a
  file is refused that would take more memory than there is out of all proportion to its size: by its footer, by the
  headers of its pages, and by the texts that a few bytes repeat a million times. Filters are judged as if they kept
  all, a reader by each row group.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from persistable import expansion
from persistable.io import streamed
from persistable_arrow.dense import require_dense_memory
from persistable_arrow.frame import NOTE_KEY, FrameFileIO, check_count, frame_labels, from_table, is_stream, to_table
from persistable_arrow.label import Declined
from persistable_arrow.parquet_sizes import require_memory, sizes
from persistable_arrow.parquet_types import check_type, physical_schema, to_physical
from persistable_arrow.schema import pack_schema, restore_table, unpack_schema

__all__ = ["ParquetFileIO"]

_NOTE_LIMIT = 70 << 20  # parquet libraries refuse footers with strings of 100 MB, and pyarrow 16 adds a third
_STREAM_ROWS, _STREAM_BYTES = 1 << 17, 64 << 20  # a row group of a stream ends at the first of these
_CODECS = ("snappy", "zstd", "gzip", "lz4", "brotli", "none")


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
    _options: ClassVar[tuple[str, ...]] = (
        "compression",
        "compression_level",
        "row_group_size",
        "use_dictionary",
        "columns",
        "filters",
        "as_reader",
    )
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
        if compression not in _CODECS:
            raise ValueError(f"compression has to be one of {', '.join(map(repr, _CODECS))}, not {compression!r}")
        if compression_level is not None:
            _check_level(compression, compression_level)
        columns_given = isinstance(use_dictionary, Sequence) and not isinstance(use_dictionary, str)
        if not isinstance(use_dictionary, bool) and not columns_given:
            raise TypeError(f"use_dictionary has to be True, False or a list of columns, not {use_dictionary!r}")
        if isinstance(columns, (str, bytes)):
            raise TypeError(f"columns has to be a list of labels, not {columns!r}")
        _check_filters(filters)
        if as_reader and filters is not None:
            raise ValueError("as_reader reads all rows: filter its batches instead")
        self.compression, self.compression_level = compression, compression_level
        self.row_group_size = check_count("row_group_size", row_group_size)
        self.use_dictionary = use_dictionary
        self.columns = None if columns is None else list(columns)
        self.filters, self.as_reader = filters, as_reader

    def _check(self, payload: Any) -> None:
        super()._check(payload)
        if isinstance(payload, pyarrow.Table):
            for field in payload.schema:
                check_type(field.type, field.name)

    # -- saving --------------------------------------------------------------------------------------------------------

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Mapping[str, Any]:
        writing = self._with(kwargs)
        try:
            if is_stream(payload):
                schema, tables = writing._coalesce(payload)
                note: dict[str, Any] = {"version": 1, "type": "pyarrow.Table", "schema": pack_schema(schema)}
                note["dictionaries"] = {}
                physical = physical_schema(schema)
                return writing._write(filepath, physical, tables, note)
            try:
                table, note = to_table(payload)
                table, added = to_physical(table, keep_metadata=note["type"] == "pyarrow.Table")
                return writing._write(filepath, table.schema, iter([table]), note | added)
            except (pyarrow.ArrowInvalid, NotImplementedError) as error:  # the next format is asked
                raise Declined("payload", str(error)) from error
        except Declined as declined:
            raise self._fidelity_error(declined) from declined.__cause__

    def _write(self, filepath: Path, schema: Any, tables: Iterator[Any], note: dict[str, Any]) -> Mapping[str, Any]:
        footers: list[Any] = []
        packed = {NOTE_KEY: json.dumps(note).encode()}
        if len(packed[NOTE_KEY]) > _NOTE_LIMIT:
            raise Declined("payload", f"{len(packed[NOTE_KEY])} bytes of categories and names do not fit into a footer")
        late = hasattr(pyarrow.parquet.ParquetWriter, "add_key_value_metadata")
        if not late:  # pyarrow 16: written once more within the schema
            schema = schema.with_metadata((schema.metadata or {}) | packed)
        with pyarrow.OSFile(str(filepath), "wb") as file:
            writer = pyarrow.parquet.ParquetWriter(
                file,
                schema,
                compression=self.compression,
                compression_level=self.compression_level,
                use_dictionary=self.use_dictionary,
                metadata_collector=footers,
            )
            try:
                for table in tables:
                    writer.write_table(table, row_group_size=self.row_group_size)
                if late:
                    writer.add_key_value_metadata(packed)
                writer.close()
            except BaseException:
                writer.is_open = False  # else its finalizer writes a footer to what is no file any more
                raise
        return sizes(footers[0])

    def _coalesce(self, payload: Any) -> tuple[Any, Iterator[Any]]:
        """Return the schema of a stream and its batches gathered into tables the size of a row group."""
        batches = enumerate(streamed(payload))
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
        if not len(schema):
            raise Declined("payload", "rows without columns in a stream")
        for field in schema:
            check_type(field.type, field.name)
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
                    yield to_physical(pyarrow.Table.from_batches(pending, schema))[0]
                    pending, rows, size = [], 0, 0
                pending.append(batch)
                rows, size = rows + len(batch), size + batch.nbytes
            if pending:
                yield to_physical(pyarrow.Table.from_batches(pending, schema))[0]

        return schema, gather()

    # -- loading -------------------------------------------------------------------------------------------------------

    def _load(self, filepath: Path, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        return self._with(kwargs)._read(filepath, metadata or {})

    def _read(self, filepath: Path, metadata: Mapping[str, Any]) -> Any:
        stored = os.path.getsize(filepath)
        file = pyarrow.parquet.ParquetFile(str(filepath), pre_buffer=not self.as_reader)
        with contextlib.ExitStack() as closing, expansion.refusing(self.name, stored=stored):
            closing.enter_context(file)
            expansion.compare(self.name, sizes(file.metadata), metadata)
            packed = (file.metadata.metadata or {}).get(NOTE_KEY)
            note = None if packed is None else json.loads(packed)
            names = file.schema_arrow.names
            kept, positions = self._choose(note, names)
            if self.as_reader:
                if note is not None and note["type"] != "pyarrow.Table":
                    raise ValueError(f"a {note['type']} cannot be loaded as a reader: leave out as_reader")
                if note is not None and "empty_rows" in note:
                    return from_table(restore_table(file.read(), note), note).to_reader()
                require_memory(filepath, file, positions, each_group=True)
                closing.pop_all()
                return _read_batches(file, note, positions, stored)
            require_memory(filepath, file, positions if self.filters is None else None)
            if self.filters is None:
                table = file.read(columns=None if positions is None else [names[i] for i in positions])
            else:
                table = self._read_filtered(filepath, names, note, positions)
            if positions is not None:
                table = table.select([names[i] for i in positions])
            if note is None:
                return table
            require_dense_memory(self.name, table, note, kept, stored=stored)
            return from_table(restore_table(table, note, positions), note, kept, whole=self.filters is None)

    def _choose(self, note: dict[str, Any] | None, names: list[str]) -> tuple[list[int] | None, list[int] | None]:
        """Return the positions of the columns that were asked for, and of those to read: the index's come last."""
        if self.columns is None:
            return None, None
        labels, levels = self._labels(note, names)
        kept = []
        for label in self.columns:
            found = _positions(labels, label)
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
            filters = _rename_filters(filters, lambda label: _name_of(label, labels, names))
        columns = None if positions is None else [names[i] for i in positions]
        return pyarrow.parquet.read_table(str(filepath), columns=columns, filters=filters, partitioning=None)


def _positions(labels: Sequence[Any], label: Any) -> list[int]:
    return [i for i, other in enumerate(labels) if type(other) is type(label) and other == label]


def _name_of(label: Any, labels: Sequence[Any], names: Sequence[str]) -> str:
    """Return the name in the file of the one column that a filter is on, which may be a level of the index."""
    found = _positions(labels, label) or _positions(names, label)
    if not found:
        raise KeyError(f"no column {label!r} to filter by; there are {labels}")
    if len(found) > 1:
        raise ValueError(f"a filter on {label!r} may mean each of {len(found)} columns of that label")
    return names[found[0]]


def _rename_filters(filters: Any, name_of: Callable[[Any], str]) -> Any:
    if not isinstance(filters, (list, tuple)):
        raise TypeError(f"{filters!r} is no list")
    if len(filters) == 3 and isinstance(filters[1], str):  # an operator, so this is one condition
        column, operator, value = filters
        return name_of(column), operator, value
    return [_rename_filters(part, name_of) for part in filters]


def _read_batches(file: Any, note: dict[str, Any] | None, positions: list[int] | None, stored: int) -> Any:
    names = file.schema_arrow.names
    columns = None if positions is None else [names[i] for i in positions]

    def restore(table: Any) -> Any:
        table = table if columns is None else table.select(columns)
        return table if note is None else restore_table(table, note, positions)

    def batches() -> Iterator[Any]:
        with file:
            for group in range(file.num_row_groups):  # each was judged by itself
                read = file.iter_batches(row_groups=[group], columns=columns)
                while (batch := _next_batch(read, stored)) is not None:
                    yield from restore(pyarrow.Table.from_batches([batch])).to_batches()

    schema = restore(file.schema_arrow.empty_table()).schema
    return pyarrow.RecordBatchReader.from_batches(schema, batches())


def _next_batch(batches: Iterator[Any], stored: int) -> Any:
    with expansion.refusing(ParquetFileIO.name, stored=stored):
        return next(batches, None)


# -- options -----------------------------------------------------------------------------------------------------------


def _check_level(compression: str, level: Any) -> None:
    if isinstance(level, bool) or not isinstance(level, int):
        raise TypeError(f"compression_level has to be a whole number or None, not {level!r}")
    if compression == "none":
        raise ValueError(f"compression 'none' has no level, not {level!r}")
    try:
        pyarrow.Codec(compression, level)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"compression {compression!r} does not take the level {level!r}: {error}") from error


def _check_filters(filters: Any) -> None:
    if filters is None or isinstance(filters, pyarrow.compute.Expression):
        return
    try:
        pyarrow.parquet.filters_to_expression(_rename_filters(filters, lambda _: "column"))
    except (ValueError, TypeError, pyarrow.ArrowException) as error:
        raise ValueError(f"filters has to be an expression or lists of (column, op, value), not {filters!r}") from error
