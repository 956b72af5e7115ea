"""Say what a parquet file declares of its size, and refuse one that would exhaust the memory.

A column takes more memory than its footer's "uncompressed" bytes, which count encoded values: runs and dictionaries
make thousands of values of each byte, and one that shares prefixes repeats texts as well. A footer can lie, so the
pages themselves are asked which of this they do. Neither says how long texts are. Two bounds clear nearly every file,
from the pages and from the dictionaries; what they do not clear is counted.
Source: Apache Parquet, "Encodings".
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
from persistable_arrow.parquet_pages import LARGEST, pages_of

__all__ = ["require_memory", "sizes"]

_FORMAT = "parquet"
# bytes of a decoded value; of a text its offset, as no footer says how long texts are
_WIDTHS = {"INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 4}
_READ = 1 << 16  # bytes read at a time in search of a dictionary
_STEP = 1 << 26  # bytes that texts which share prefixes may take at a time when they are counted


class _Chunk(NamedTuple):
    """What a footer, or its pages, say of one column in one row group."""

    group: int
    path: str
    decoded: int
    values: int
    encoded: int
    is_text: bool
    largest: int
    dictionary: int
    shares_prefixes: bool
    is_kept: bool = False  # a dictionary in memory as well, where a text counts once

    @property
    def least(self) -> int:
        """Bytes in memory at least: texts that nothing repeats are all there."""
        if not self.is_text:
            return self.decoded
        if self.is_kept:
            return self.decoded + self.dictionary
        return self.decoded if self.dictionary else max(self.decoded, self.encoded)

    @property
    def most(self) -> int:
        """Bytes in memory at most: no text is longer than the dictionary or, sharing prefixes, all that is encoded."""
        if self.is_text and self.shares_prefixes:
            return self.least + self.values * self.encoded
        if self.is_text and (self.dictionary or self.is_kept):
            return self.decoded + self.encoded + (0 if self.is_kept else self.values * self.dictionary)
        return self.least


def sizes(footer: Any) -> dict[str, int]:
    """Return what the record keeps of a footer, to be compared when the file is loaded."""
    return {
        "rows": footer.num_rows,
        "row_groups": footer.num_row_groups,
        "uncompressed_bytes": sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups)),
        "decoded_bytes": sum(chunk.decoded for chunk in _chunks(footer, None)),
    }


def require_memory(filepath: Path, file: Any, positions: Sequence[int] | None, *, each_group: bool = False) -> None:
    """Refuse to read columns, by position or all, that take more memory than there is.

    Args:
        filepath: of the file.
        file: it, opened.
        positions: of the columns; None for all.
        each_group: whether row groups are read one after the other, and so are judged one by one.

    Raises:
        DeclaredSizeError: they would take too much.
    """
    footer, schema, stored = file.metadata, file.schema_arrow, os.path.getsize(filepath)
    names = schema.names if positions is None else [schema.names[i] for i in positions]
    chosen = tuple(f"{name}." for name in names)
    kept = {field.name for field in schema if pyarrow.types.is_dictionary(field.type)}
    together: dict[int, list[_Chunk]] = {}
    each = expansion.exceeds_memory(LARGEST, stored=stored)  # else no page is too much, whatever it says
    with open(filepath, "rb", buffering=0) as content:
        for chunk in _chunks(footer, content.fileno(), chosen, each=each):
            judged = chunk._replace(is_kept=chunk.path in kept)
            together.setdefault(chunk.group if each_group else 0, []).append(judged)
    for chunks in together.values():
        least = max(sum(chunk.least for chunk in chunks), *(chunk.largest for chunk in chunks))  # a page is read whole
        expansion.require_memory(_FORMAT, least, stored=stored)
        if expansion.exceeds_memory(sum(chunk.most for chunk in chunks), stored=stored):
            _look_into(filepath, footer, chunks, stored)


def _look_into(filepath: Path, footer: Any, chunks: list[_Chunk], stored: int) -> None:
    """Judge texts by the dictionaries and, where these do not suffice, one by one."""
    certain = sum(chunk.least for chunk in chunks if chunk.most == chunk.least)
    repeating = [chunk for chunk in chunks if chunk.most > chunk.least]
    # pyarrow reads no dictionary where prefixes are shared
    sharing = {chunk.path for chunk in repeating if chunk.shares_prefixes}
    with pyarrow.parquet.ParquetFile(
        str(filepath),
        metadata=footer,
        read_dictionary=list({chunk.path for chunk in repeating} - sharing),
        buffer_size=_READ,
        pre_buffer=False,
    ) as file:
        most = certain
        for chunk in repeating:
            if chunk.path in sharing or chunk.is_kept:
                most += chunk.most
            else:  # the values that did not fit into the dictionary are encoded in full
                most += chunk.decoded + chunk.encoded + chunk.values * _longest(file, chunk)
        if not expansion.exceeds_memory(most, stored=stored):
            return
        total = certain + sum(chunk.decoded for chunk in repeating)
        for chunk in repeating:
            for length in _distinct(file, chunk) if chunk.is_kept else _lengths(file, chunk):
                total += length
                expansion.require_memory(_FORMAT, total, stored=stored)


def _longest(file: Any, chunk: _Chunk) -> int:
    """Return the bytes of the longest text in the dictionary of a column, without reading the column."""
    first = next(file.iter_batches(batch_size=1, row_groups=[chunk.group], columns=[chunk.path]), None)
    values = getattr(first and _leaf(first.column(0)), "dictionary", None)
    return 0 if values is None else pyarrow.compute.max(pyarrow.compute.binary_length(values)).as_py() or 0


def _lengths(file: Any, chunk: _Chunk) -> Iterator[int]:
    """Yield the bytes that the texts of a column take, batch by batch, as dictionaries where pyarrow can read them."""
    rows = max(1, min(_STEP // max(chunk.encoded, 1), 1 << 16)) if chunk.shares_prefixes else 1 << 16
    for batch in file.iter_batches(batch_size=rows, row_groups=[chunk.group], columns=[chunk.path]):
        texts = _leaf(batch.column(0))
        if pyarrow.types.is_dictionary(texts.type):
            lengths = pyarrow.compute.binary_length(texts.dictionary).cast(pyarrow.int64())
            yield pyarrow.compute.sum(lengths.take(texts.indices)).as_py() or 0
        else:
            yield max(texts.nbytes - _WIDTHS["BYTE_ARRAY"] * len(texts), 0)


def _distinct(file: Any, chunk: _Chunk) -> Iterator[int]:
    """Yield the bytes of the texts of a column that stays a dictionary, each text once."""
    seen: set[int] = set()
    # they are in as many pages at most, and pyarrow doubles the dictionary that it makes of them
    rows = max(1, min(_STEP // 4 // max(chunk.largest, 1), 1 << 16))
    for batch in file.iter_batches(batch_size=rows, row_groups=[chunk.group], columns=[chunk.path]):
        for scalar in batch.column(0).dictionary.cast(pyarrow.large_binary()):
            text = scalar.as_py()
            if hash(text) not in seen:
                seen.add(hash(text))
                yield len(text)


def _leaf(array: Any) -> Any:
    """Return the values of the one column that a nested array was read from."""
    while array.type.num_fields and not pyarrow.types.is_dictionary(array.type):
        array = array.flatten()[0] if pyarrow.types.is_struct(array.type) else array.flatten()
    return array


def _chunks(
    footer: Any, descriptor: int | None, chosen: tuple[str, ...] = ("",), *, each: bool = False
) -> Iterator[_Chunk]:
    """Yield what the footer says and, of an open file, what its pages say; of columns whose paths start as chosen.

    Of a flat column that is no text pyarrow reads no more values than the footer promises, and knows how long they
    are. Pages add to it only how large the largest is: pyarrow decompresses it whole, for one value as well. They are
    read if ``each`` says so.
    """
    columns = [(i, footer.schema.column(i)) for i in range(footer.num_columns)]
    columns = [(i, column) for i, column in columns if f"{column.path}.".startswith(chosen)]
    for group in range(footer.num_row_groups):
        row_group = footer.row_group(group)
        for i, column in columns:
            chunk = row_group.column(i)
            kind, values, encoded = chunk.physical_type, max(chunk.num_values, 0), max(chunk.total_uncompressed_size, 0)
            is_text, largest, dictionary = kind == "BYTE_ARRAY", 0, 0
            sharing = is_text and "DELTA_BYTE_ARRAY" in chunk.encodings
            is_unknown = is_text or column.max_repetition_level
            if descriptor is not None and (is_unknown or each):
                pages = pages_of(descriptor, chunk)
                largest = pages.largest
                if is_unknown:
                    values, encoded = max(values, pages.values), max(encoded, pages.encoded)
                    dictionary = pages.dictionary
                    sharing = sharing or (is_text and pages.shares_prefixes)
            decoded = values // 8 if kind == "BOOLEAN" else values * max(_WIDTHS.get(kind, column.length), 0)
            yield _Chunk(group, column.path, decoded, values, encoded, is_text, largest, dictionary, sharing)
