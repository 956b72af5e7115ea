"""Say what a parquet file declares of its size, and refuse one that would exhaust the memory.

A column takes more memory than its footer's "uncompressed" bytes, which count encoded values: runs and dictionaries
make thousands of values of each byte, and one that shares prefixes repeats texts as well. A footer can lie, so the
pages themselves are asked which of this they do. Neither says how long texts are. Two bounds clear nearly every file,
from the pages and from the dictionaries; what they do not clear is counted.
Source: Apache Parquet, "Encodings".
"""

from __future__ import annotations

import os
from collections import Counter
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
_STEP = 1 << 24  # bytes that texts may take at a time when they are counted, or a part of the memory if that is more


class _Chunk(NamedTuple):
    """What a footer, or its pages, say of one column in one row group."""

    group: int
    column: int  # among all that have no columns within
    path: str
    decoded: int
    values: int
    encoded: int
    is_text: bool
    largest: int
    dictionary: int
    shares_prefixes: bool
    refers: bool  # all values are in the dictionary
    is_kept: bool = False  # a dictionary in memory as well, where a text counts once
    is_namesake: bool = False  # its path is that of another column too, so it cannot be asked for as a dictionary

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
        if self.is_text and self.is_kept:
            return self.least if self.refers else self.decoded + self.encoded
        if self.is_text and self.dictionary:
            return self.decoded + self.encoded + self.values * self.dictionary
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
    namesakes = _namesakes(footer)
    together: dict[int, list[_Chunk]] = {}
    each = expansion.exceeds_memory(LARGEST, stored=stored)  # else no page is too much, whatever it says
    with open(filepath, "rb", buffering=0) as content:
        for chunk in _chunks(footer, content.fileno(), chosen, each=each):
            is_namesake = chunk.path in namesakes
            judged = chunk._replace(is_kept=chunk.path in kept and not is_namesake, is_namesake=is_namesake)
            together.setdefault(chunk.group if each_group else 0, []).append(judged)
    for chunks in together.values():
        least = max(sum(chunk.least for chunk in chunks), *(chunk.largest for chunk in chunks))  # a page is read whole
        expansion.require_memory(_FORMAT, least, stored=stored)
        if expansion.exceeds_memory(sum(chunk.most for chunk in chunks), stored=stored):
            _look_into(filepath, footer, chunks, stored)


def _look_into(filepath: Path, footer: Any, chunks: list[_Chunk], stored: int) -> None:
    """Judge texts by the dictionaries and, where these do not suffice, one by one."""
    repeating = [chunk for chunk in chunks if chunk.most > chunk.least and not chunk.is_namesake]
    certain = sum(chunk.most for chunk in chunks) - sum(chunk.most for chunk in repeating)
    expansion.require_memory(_FORMAT, certain, stored=stored)
    # pyarrow reads no dictionary where prefixes are shared, and so none of that column in other row groups
    sharing = {chunk.path for chunk in repeating if chunk.shares_prefixes}
    repeating = [chunk._replace(shares_prefixes=chunk.path in sharing) for chunk in repeating]
    kept = [chunk for chunk in repeating if chunk.is_kept]
    texts = [chunk for chunk in repeating if not chunk.is_kept]
    most_kept = sum(chunk.most for chunk in kept)
    with pyarrow.parquet.ParquetFile(
        str(filepath),
        metadata=footer,
        read_dictionary=list({chunk.path for chunk in repeating} - sharing),
        buffer_size=_READ,
        pre_buffer=False,
    ) as file:
        most = certain + most_kept
        for chunk in texts:
            if chunk.shares_prefixes:
                most += chunk.most
            else:  # the values that did not fit into the dictionary are encoded in full
                most += chunk.decoded + chunk.encoded + chunk.values * _longest(file, chunk)
        if not expansion.exceeds_memory(most, stored=stored):
            return
        total = certain + sum(chunk.decoded for chunk in repeating)
        for chunk in texts:
            for length in _lengths(file, chunk):
                total += length
                expansion.require_memory(_FORMAT, total, stored=stored)
        if not expansion.exceeds_memory(total + most_kept, stored=stored):
            return
        for chunk in kept:
            size = 0
            for size in _distinct(file, chunk):
                expansion.require_memory(_FORMAT, total + 2 * size, stored=stored)  # what pyarrow collects it copies
            total += size


def _batches(file: Any, chunk: _Chunk, rows: int) -> Iterator[Any]:
    """Yield batches of one column alone, by position: a name with dots may be the path of another, or of its part."""
    batches: Iterator[Any] = file.reader.iter_batches(
        rows, row_groups=[chunk.group], column_indices=[chunk.column], use_threads=False
    )
    return batches


def _longest(file: Any, chunk: _Chunk) -> int:
    """Return the bytes of the longest text in the dictionary of a column, without reading the column."""
    first = next(_batches(file, chunk, 1), None)
    values = getattr(first and _leaf(first.column(0)), "dictionary", None)
    return 0 if values is None else pyarrow.compute.max(pyarrow.compute.binary_length(values)).as_py() or 0


def _lengths(file: Any, chunk: _Chunk) -> Iterator[int]:
    """Yield the bytes that the texts of a column take, batch by batch, as dictionaries where pyarrow can read them."""
    rows = max(1, min(_step() // max(chunk.encoded, 1), 1 << 16)) if chunk.shares_prefixes else 1 << 16
    for batch in _batches(file, chunk, rows):
        texts = _leaf(batch.column(0))
        if pyarrow.types.is_dictionary(texts.type):
            lengths = pyarrow.compute.binary_length(texts.dictionary).cast(pyarrow.int64())
            yield pyarrow.compute.sum(lengths.take(texts.indices)).as_py() or 0
        else:
            yield max(texts.nbytes - _WIDTHS["BYTE_ARRAY"] * len(texts), 0)


def _distinct(file: Any, chunk: _Chunk) -> Iterator[int]:
    """Yield, batch by batch, the bytes of the dictionary of a column that stays one: of all texts met so far, once.

    pyarrow copies them all for every batch, so there should be few batches.
    """
    step, rows = _step(), 1 << 16
    if chunk.encoded > step:  # the texts of a batch are in as many pages at most
        rows = max(1, min(step // max(chunk.largest, 1), rows))
    for batch in _batches(file, chunk, rows):
        size = batch.column(0).dictionary.nbytes
        del batch  # before the next is made
        yield size


def _step() -> int:
    return max(_STEP, expansion.available_memory() // 16)


def _leaf(array: Any) -> Any:
    """Return the values of the one column that a nested array was read from."""
    while array.type.num_fields and not pyarrow.types.is_dictionary(array.type):
        array = array.flatten()[0] if pyarrow.types.is_struct(array.type) else array.flatten()
    return array


def _namesakes(footer: Any) -> set[str]:
    """Return the paths that several columns have: names may be equal, and have dots."""
    found = Counter(footer.schema.column(i).path for i in range(footer.num_columns))
    return {path for path, count in found.items() if count > 1}


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
            is_text, largest, dictionary, refers = kind == "BYTE_ARRAY", 0, 0, False
            sharing = is_text and "DELTA_BYTE_ARRAY" in chunk.encodings
            is_unknown = is_text or column.max_repetition_level
            if descriptor is not None and (is_unknown or each):
                pages = pages_of(descriptor, chunk)
                largest = pages.largest
                if is_unknown:
                    values, encoded = max(values, pages.values), max(encoded, pages.encoded)
                    dictionary, refers = pages.dictionary, pages.refers
                    sharing = sharing or (is_text and pages.shares_prefixes)
            decoded = values // 8 if kind == "BOOLEAN" else values * max(_WIDTHS.get(kind, column.length), 0)
            yield _Chunk(group, i, column.path, decoded, values, encoded, is_text, largest, dictionary, sharing, refers)
