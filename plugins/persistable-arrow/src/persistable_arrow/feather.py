"""The format ``feather``: pandas, pyarrow and polars frames in one Arrow IPC file, mapped into memory when loaded.

Representation decisions:

- The file is an Arrow IPC file, which is what Feather V2 is; its suffix is ``.arrow``, as registered with IANA
  (``application/vnd.apache.arrow.file``). ``pandas.read_feather``, ``polars.read_ipc`` and ``pyarrow.ipc`` read it.
- The note of the frame (see ``frame``) is the entry ``persistable`` of the schema's metadata.
- Uncompressed unless asked for, so that a mapped load copies nothing: a pyarrow table lies over the file. pandas
  columns of numpy dtypes are copied, so that they can be changed in place.
- Arrow types survive as they are; values that Arrow calls invalid (a date64 within a day, text that is not UTF-8) are
  declined. Extension types are declined: what a file says of them depends on what the reader has registered. The chunks
  of a dictionary column come back over one dictionary.
- The record keeps rows, columns, batches, values and uncompressed bytes. They are compared with what the file declares
  before anything is allocated (see ``ipc_sizes``), so a file that was swapped for a small one that expands hugely is
  refused. Record or not, a file is refused that would take more memory than there is out of all proportion to its
  size. A mapped load checks offsets only where they end; ``memory_map=False`` reads and checks all of them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
import pyarrow.ipc

from persistable import expansion
from persistable_arrow.dense import require_dense_memory
from persistable_arrow.frame import NOTE_KEY, FrameFileIO, from_table, to_table
from persistable_arrow.ipc_sizes import sizes
from persistable_arrow.label import Declined
from persistable_arrow.schema import check_values

__all__ = ["FeatherFileIO"]


class FeatherFileIO(FrameFileIO[Any]):
    """Keep a DataFrame or Table in an Arrow IPC file that comes back as the type it was.

    Args:
        compression: codec of the buffers, ``"lz4"`` or ``"zstd"``; None keeps them as they are in memory.
        memory_map: whether to map the file when loading instead of reading it.

    """

    name: ClassVar[str] = "feather"
    suffix: ClassVar[str] = ".arrow"
    _options: ClassVar[tuple[str, ...]] = ("compression", "memory_map")

    def __init__(self, *, compression: str | None = None, memory_map: bool = True) -> None:
        if compression not in (None, "lz4", "zstd"):
            raise ValueError(f"compression has to be 'lz4', 'zstd' or None, not {compression!r}")
        self.compression, self.memory_map = compression, memory_map
        self.memory_mapped = memory_map  # if it is injected, the store then verifies the size, not the digest

    def _check(self, payload: Any) -> None:
        super()._check(payload)
        if isinstance(payload, pyarrow.Table):
            _check_schema(payload.schema)

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Mapping[str, Any]:
        try:
            table, note = to_table(payload)
            _check_schema(table.schema)
            check_values(table)
        except Declined as declined:
            raise self._fidelity_error(declined) from declined.__cause__
        metadata = dict(table.schema.metadata or {})
        if NOTE_KEY in metadata:
            note["replaced"] = base64.b64encode(metadata[NOTE_KEY]).decode()
        metadata[NOTE_KEY] = json.dumps(note).encode()
        table = table.replace_schema_metadata(metadata).unify_dictionaries()
        batches = table.to_batches() or [_empty_batch(table)]
        options = pyarrow.ipc.IpcWriteOptions(compression=self._with(kwargs).compression)
        with (
            pyarrow.OSFile(str(filepath), "wb") as file,
            pyarrow.ipc.new_file(file, table.schema, options=options) as writer,
        ):
            for batch in batches:
                writer.write_batch(batch)
        rows = {"rows": table.num_rows, "columns": table.num_columns, "batches": len(batches)}
        return rows | sizes(_content(filepath, mapped=True))

    def _load(self, filepath: Path, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        recorded, mapped = metadata or {}, self._with(kwargs).memory_map
        content = _content(filepath, mapped=mapped)
        declared = sizes(content)
        expansion.compare(self.name, declared, recorded)
        expansion.require_memory(self.name, sum(declared.values()), stored=content.size)  # a value takes some byte
        with expansion.refusing(self.name, stored=content.size):
            return self._decode(content, recorded, mapped)

    def _decode(self, content: Any, recorded: Mapping[str, Any], mapped: bool) -> Any:
        with pyarrow.ipc.open_file(content) as reader:
            count = reader.num_record_batches
            expansion.compare(self.name, {"columns": len(reader.schema), "batches": count}, recorded)
            batches = [reader.get_batch(i) for i in range(count)]
            table = pyarrow.Table.from_batches(batches, reader.schema)
        expansion.compare(self.name, {"rows": table.num_rows}, recorded)
        table.validate(full=not mapped)
        entries = dict(table.schema.metadata or {})
        packed = entries.pop(NOTE_KEY, None)
        if packed is None:
            return table
        note = json.loads(packed)
        if "replaced" in note:
            entries[NOTE_KEY] = base64.b64decode(note["replaced"])
        require_dense_memory(self.name, table, note, stored=content.size)
        return from_table(table.replace_schema_metadata(entries or None), note)


def _content(filepath: Path, *, mapped: bool) -> Any:
    """Return the whole file as one buffer, over which batches lie where they are not compressed."""
    source = pyarrow.memory_map(str(filepath)) if mapped else pyarrow.OSFile(str(filepath))
    with source as file:
        return file.read_buffer()


def _empty_batch(table: Any) -> Any:
    """Return a batch without rows that still holds the dictionaries."""
    arrays = [column.chunk(0) if column.num_chunks else pyarrow.array([], column.type) for column in table.columns]
    return pyarrow.RecordBatch.from_arrays(arrays, schema=table.schema)


def _check_schema(schema: Any) -> None:
    for field in schema:
        _check_type(field.type, field.name)


def _check_type(data_type: Any, where: str) -> None:
    if isinstance(data_type, pyarrow.BaseExtensionType):
        raise Declined(where, f"the extension type {data_type} depends on what the reader has registered")
    if pyarrow.types.is_dictionary(data_type):
        if pyarrow.types.is_float16(data_type.value_type):  # it takes their bits for numbers
            raise Declined(where, "a dictionary of float16: pyarrow cannot make one of those of several chunks")
        _check_type(data_type.value_type, where)
    for i in range(data_type.num_fields):
        _check_type(data_type.field(i).type, where)
