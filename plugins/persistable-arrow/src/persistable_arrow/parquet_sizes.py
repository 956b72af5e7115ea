"""Say what a parquet file declares of its size, and refuse one that would exhaust the memory.

A column takes more memory than its footer's "uncompressed" bytes, which count encoded values: runs and dictionaries
make thousands of values of each byte. Source: Apache Parquet, "Encodings".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from persistable import expansion

__all__ = ["require_memory", "sizes"]

_FORMAT = "parquet"
# bytes of a decoded value; of a text its offset, as no footer says how long texts are
_WIDTHS = {"INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 4}
_READ = 1 << 16  # bytes read at a time in search of a dictionary


class _Chunk(NamedTuple):
    """What a footer says of one column in one row group."""

    group: int
    path: str
    decoded: int
    values: int
    encoded: int
    has_dictionary: bool


def sizes(footer: Any) -> dict[str, int]:
    """Return what the record keeps of a footer, to be compared when the file is loaded."""
    return {
        "rows": footer.num_rows,
        "row_groups": footer.num_row_groups,
        "uncompressed_bytes": sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups)),
        "decoded_bytes": sum(chunk.decoded for chunk in _chunks(footer)),
    }


def require_memory(filepath: Path, file: Any, positions: Sequence[int] | None) -> None:
    """Refuse to read columns, by position or all, that take more memory than there is. Raises DeclaredSizeError."""
    footer, schema, stored = file.metadata, file.schema_arrow, os.path.getsize(filepath)
    names = schema.names if positions is None else [schema.names[i] for i in positions]
    chosen = tuple(f"{name}." for name in names)
    chunks = [chunk for chunk in _chunks(footer) if f"{chunk.path}.".startswith(chosen)]
    decoded = sum(chunk.decoded for chunk in chunks)
    expansion.require_memory(_FORMAT, decoded, stored=stored)
    texts = {field.name for field in schema if _is_text(field.type)}
    repeating = [chunk for chunk in chunks if chunk.has_dictionary and chunk.path in texts]
    # a few bytes of a dictionary can stand for many long texts. Two bounds, from the footer and from the dictionaries,
    # clear nearly every file; what they do not clear is counted
    if not repeating or not expansion.exceeds_memory(
        decoded + sum(chunk.values * chunk.encoded for chunk in repeating), stored=stored
    ):
        return
    with pyarrow.parquet.ParquetFile(
        str(filepath), metadata=footer, read_dictionary=list(texts), buffer_size=_READ, pre_buffer=False
    ) as dictionaries:
        longest = sum(chunk.values * _longest(dictionaries, chunk) for chunk in repeating)
        if expansion.exceeds_memory(decoded + longest, stored=stored):
            total = sum(_length(dictionaries, chunk) for chunk in repeating)
            expansion.require_memory(_FORMAT, decoded + total, stored=stored)


def _longest(file: Any, chunk: _Chunk) -> int:
    """Return the bytes of the longest text in the dictionary of a column, without reading the column."""
    first = next(file.iter_batches(batch_size=1, row_groups=[chunk.group], columns=[chunk.path]), None)
    values = getattr(first and first.column(0), "dictionary", None)
    return 0 if values is None else pyarrow.compute.max(pyarrow.compute.binary_length(values)).as_py() or 0


def _length(file: Any, chunk: _Chunk) -> int:
    """Return the bytes that the texts of a column take, from the column as a dictionary: 4 bytes for each."""
    total = 0
    for part in file.read_row_group(chunk.group, columns=[chunk.path]).column(0).chunks:
        lengths = pyarrow.compute.binary_length(part.dictionary).cast(pyarrow.int64())
        total += pyarrow.compute.sum(lengths.take(part.indices)).as_py() or 0
    return total


def _is_text(data_type: Any) -> bool:
    types = pyarrow.types
    plain = types.is_string(data_type) or types.is_binary(data_type)
    return bool(plain or types.is_large_string(data_type) or types.is_large_binary(data_type))


def _chunks(footer: Any) -> Iterator[_Chunk]:
    columns = [footer.schema.column(i) for i in range(footer.num_columns)]
    for group in range(footer.num_row_groups):
        row_group = footer.row_group(group)
        for i, column in enumerate(columns):
            chunk = row_group.column(i)
            kind, values = chunk.physical_type, max(chunk.num_values, 0)
            decoded = values // 8 if kind == "BOOLEAN" else values * max(_WIDTHS.get(kind, column.length), 0)
            has_dictionary = kind == "BYTE_ARRAY" and chunk.has_dictionary_page
            yield _Chunk(group, column.path, decoded, values, chunk.total_uncompressed_size, has_dictionary)
