r"""The format ``csv``: pandas, pyarrow and polars frames in one text file that any reader understands, by injection.

Representation decisions:

- RFC 4180, UTF-8, comma, one header line, ``\n``; the levels of an index come first. Strings are quoted, so that null
  (nothing) and ``""`` (quoted) are apart; ``"NA"`` is a string. A frame of one column has blank lines for nulls, which
  readers skip that are told to skip blank lines (pandas: ``skip_blank_lines=False``).
- Types are not in the file: they are in the record, as the note of the frame, the exact Arrow schema and the
  dictionaries. A file that comes without a record is read as pyarrow infers it, as a table.
- Floats are written with as many digits as give them back; NaN in a pandas float column is missing (empty), while
  pyarrow and polars, which tell them apart, get ``nan`` and empty.
- Times with a zone are written in UTC; durations, periods and float16 as plain numbers; categoricals by their values.
- Declined: nested and binary columns, years outside 1 to 9999, the first second of nanoseconds in 1677, decimals of
  other widths than 128 bits, views, extension types, text that is not UTF-8, a table without columns, and more than
  about 1 MB of categories (those of levels of a MultiIndex among them), because they are in the record.
- A csv declares nothing, and a value takes at least one byte of it: it expands to a few times its size at most. That
  it has the rows of its record is checked when it was read.
- Slices are formatted by several threads and written in order; pyarrow's reader uses several threads by itself.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
import pyarrow.compute
import pyarrow.csv

from persistable_arrow.frame import FrameFileIO, check_count, from_table, to_table
from persistable_arrow.label import Declined, unique_names
from persistable_arrow.schema import check_values, flatten_dictionary, pack_schema, restore_table, unpack_schema

__all__ = ["CsvFileIO"]

_SLICE = 1 << 16  # rows that one thread formats at a time
_BLOCK = 1 << 20  # bytes that one thread parses at a time; a row has to fit
_LONGEST = 1 << 29  # bytes of a row: readers count a block in 31 bits
_CATEGORY_LIMIT = 1 << 20  # bytes of a frame's categories in the record, which is read whenever artifacts are listed
_PLAIN_WIDTH = 64  # bytes of the longest number or time, and its comma


class CsvFileIO(FrameFileIO[Any]):
    """Keep a DataFrame or Table in a csv file that comes back with its exact dtypes, by the record that goes with it.

    Args:
        threads: how many threads format slices; None for as many as Arrow uses.

    """

    name: ClassVar[str] = "csv"
    suffix: ClassVar[str] = ".csv"
    _options: ClassVar[tuple[str, ...]] = ("threads",)

    def __init__(self, *, threads: int | None = None) -> None:
        self.threads = check_count("threads", threads)

    def _check(self, payload: Any) -> None:
        super()._check(payload)
        if isinstance(payload, pyarrow.Table):
            for field in payload.schema:
                _text_type(field.type, field.name)

    # -- saving --------------------------------------------------------------------------------------------------------

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Mapping[str, Any]:
        try:
            table, note = to_table(payload)
            check_values(table)
            names = unique_names(table.column_names)
            text, longest, newlines, dictionaries = _to_text(table, names)
            _check_categories(table, note, dictionaries)
        except Declined as declined:
            raise self._fidelity_error(declined) from declined.__cause__
        schema = table.schema if note["type"] == "pyarrow.Table" else table.schema.remove_metadata()
        levels = len(names) - len(note["columns"]) if "columns" in note else 0
        order = names[len(names) - levels :] + names[: len(names) - levels]
        self._with(kwargs)._write(text.select(order), filepath)
        return note | {
            "schema": pack_schema(schema),
            "dictionaries": dictionaries,
            "order": order,
            "rows": table.num_rows,
            "longest_row": longest,
            "newlines": newlines,
        }

    def _write(self, table: Any, filepath: Path) -> None:
        threads = self.threads or pyarrow.cpu_count()
        with pyarrow.OSFile(str(filepath), "wb") as file:
            pyarrow.csv.write_csv(table.slice(0, 0), file)
            slices = (table.slice(start, _SLICE) for start in range(0, table.num_rows, _SLICE))
            for buffer in _in_order(slices, threads):
                file.write(buffer)

    # -- loading -------------------------------------------------------------------------------------------------------

    def _load(self, filepath: Path, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        self._with(kwargs)
        if not metadata:
            return pyarrow.csv.read_csv(str(filepath))
        schema = unpack_schema(metadata["schema"])
        names = unique_names(schema.names)
        types = [_text_type(field.type, field.name) for field in schema]
        with pyarrow.OSFile(str(filepath)) as file:
            longest = min(metadata["longest_row"], file.size(), _LONGEST)  # reserved at once, so no record is believed
            table = pyarrow.csv.read_csv(
                file,
                read_options=pyarrow.csv.ReadOptions(block_size=max(_BLOCK, 2 * longest)),
                parse_options=pyarrow.csv.ParseOptions(
                    newlines_in_values=metadata["newlines"], ignore_empty_lines=False
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict(zip(names, types, strict=True)),
                    null_values=[""],
                    true_values=["true"],
                    false_values=["false"],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        if table.column_names != metadata["order"] or table.num_rows != metadata["rows"]:
            raise ValueError("the file has other columns or another number of rows than the record: it is another file")
        return from_table(restore_table(table.select(names), dict(metadata)), dict(metadata))


def _in_order(slices: Iterator[Any], threads: int) -> Iterator[Any]:
    """Yield the text of each slice, formatted by several threads, at most two slices per thread ahead."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Any]] = deque()
        for part in slices:
            waiting.append(pool.submit(_format, part))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _format(table: Any) -> Any:
    sink = pyarrow.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(include_header=False, batch_size=1 << 14))
    return sink.getvalue()


# -- values as text ----------------------------------------------------------------------------------------------------


def _text_type(data_type: Any, where: str) -> Any:
    """Return the type whose text stands for a type in the file. Raises Declined where there is none."""
    types = pyarrow.types
    if types.is_dictionary(data_type):
        return _text_type(data_type.value_type, where)
    if isinstance(data_type, pyarrow.BaseExtensionType):
        raise Declined(where, f"the extension type {data_type}")
    if types.is_timestamp(data_type):
        return pyarrow.timestamp(data_type.unit, None if data_type.tz is None else "UTC")
    if types.is_duration(data_type):
        return pyarrow.int64()
    if types.is_float16(data_type):
        return pyarrow.float32()
    numbers = (types.is_null, types.is_boolean, types.is_integer, types.is_floating)
    others = (types.is_string, types.is_large_string, types.is_date32, types.is_time)
    if any(test(data_type) for test in numbers + others) or (types.is_decimal128(data_type) and data_type.scale >= 0):
        return data_type
    if types.is_nested(data_type):
        raise Declined(where, f"csv has no text for the nested type {data_type}")
    raise Declined(where, f"csv has no exact text for the type {data_type}")


def _to_text(table: Any, names: list[str]) -> tuple[Any, int, bool, dict[str, str]]:
    """Return the table as it is written, the bytes of its longest row, whether newlines occur, and dictionaries."""
    if not table.num_columns:
        raise Declined("payload", "csv without columns has no rows")
    columns, dictionaries = [], {}
    longest, newlines = 0, any("\n" in name or "\r" in name for name in names)
    for position, field in enumerate(table.schema):
        column, text_type = table.column(position), _text_type(field.type, field.name)
        values = column
        if pyarrow.types.is_dictionary(field.type):
            column, dictionaries[str(position)] = flatten_dictionary(column, field.name)
            values = column.chunk(0).dictionary if column.num_chunks else pyarrow.nulls(0, text_type)
        elif column.type != text_type:
            column = values = column.cast(text_type)
        _check_years(values, field.name)
        if pyarrow.types.is_string(text_type) or pyarrow.types.is_large_string(text_type):
            length = pyarrow.compute.max(pyarrow.compute.binary_length(values)).as_py() or 0
            longest += 2 * length + 3
            newlines = newlines or _contains(values, "\n") or _contains(values, "\r")
        else:
            longest += _PLAIN_WIDTH
        columns.append(column)
    longest = max(longest, sum(2 * len(name.encode()) + 3 for name in names))
    if longest > _LONGEST:
        raise Declined("payload", f"a row of up to {longest} bytes is longer than a csv reader takes")
    return pyarrow.table(columns, names=names), longest, newlines, dictionaries


def _check_categories(table: Any, note: Mapping[str, Any], dictionaries: Mapping[str, str]) -> None:
    """Raise Declined for the column with which the categories, as text in the record, exceed their limit."""
    index = note.get("index", {})
    notes = [*note.get("columns", ()), *note.get("dtypes", ())]
    notes += index["columns"] if index.get("kind") == "multi" else [index.get("array")]
    size = 0
    for position, packed in dictionaries.items():
        column = int(position)
        size += len(packed) + (len(json.dumps(notes[column])) if column < len(notes) else 0)
        if size > _CATEGORY_LIMIT:
            reason = f"its categories make {size} bytes in the record, where csv keeps {_CATEGORY_LIMIT} of a frame's"
            raise Declined(table.column_names[column], f"{reason}; parquet and feather keep them in the file")


def _contains(values: Any, text: str) -> bool:
    return bool(pyarrow.compute.any(pyarrow.compute.match_substring(values, text)).as_py())


_EPOCH_DAYS = {"first": -719_162, "last": 2_932_896}  # 0001-01-01 and 9999-12-31
_FIRST_NS = -((1 << 63) // 10**9) * 10**9  # readers parse whole seconds first, which overflow in the last one before it
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def _check_years(values: Any, where: str) -> None:
    if pyarrow.types.is_date32(values.type):
        numbers, per_day = values.cast(pyarrow.int32()), 1
    elif pyarrow.types.is_timestamp(values.type):
        numbers, per_day = values.cast(pyarrow.int64()), _PER_DAY[values.type.unit]
    else:
        return
    bounds = pyarrow.compute.min_max(numbers).as_py()
    first, last = _EPOCH_DAYS["first"] * per_day, (_EPOCH_DAYS["last"] + 1) * per_day - 1
    if bounds["min"] is None:
        return
    if bounds["min"] < first or bounds["max"] > last:
        raise Declined(where, "a year outside 1 to 9999 has no text that readers agree on")
    if per_day == _PER_DAY["ns"] and bounds["min"] < _FIRST_NS:
        raise Declined(where, "a time within the first second that nanoseconds hold, in 1677, is not parsed again")
