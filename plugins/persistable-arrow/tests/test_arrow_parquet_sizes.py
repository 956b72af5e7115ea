"""Whether a parquet file would exhaust the memory: never cleared by what another column says, and decided soon."""

import base64
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from persistable import expansion
from persistable.exceptions import DeclaredSizeError
from persistable_arrow import parquet_sizes
from persistable_arrow.parquet_sizes import require_memory

ROWS = 20_000
BOMB = pyarrow.DictionaryArray.from_arrays(pyarrow.nulls(ROWS, "int32").fill_null(0), ["x" * 10_000])
SMALL = pyarrow.DictionaryArray.from_arrays(pyarrow.nulls(ROWS, "int32").fill_null(0), ["x"])
CATEGORIES = pyarrow.array([f"customer {n % 2000:09d}" for n in range(ROWS)]).dictionary_encode()
ONE_LONG = pyarrow.array(["x" * 10_000, *["y"] * (ROWS - 1)])


def judge(path: Path, table: Any, said: Any = None, **options: Any) -> None:
    if said is not None:
        said = {b"ARROW:schema": base64.b64encode(said.serialize().to_pybytes())}
    table = table.replace_schema_metadata(said)
    pyarrow.parquet.write_table(table, path, compression="zstd", store_schema=said is None, **options)
    with pyarrow.parquet.ParquetFile(path) as file:
        require_memory(path, file, None)


def limit(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(expansion, "available_memory", lambda: memory)


@pytest.mark.parametrize("options", [{}, {"dictionary_pagesize_limit": 1000, "data_page_size": 1000}])
def test_categories_are_not_counted_beside_a_long_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """Where what they can take at most fits, whether all are in the dictionary or not."""
    monkeypatch.setattr(parquet_sizes, "_distinct", lambda *_: pytest.fail("counted"))
    limit(monkeypatch, 2 << 20)
    judge(tmp_path / "x", pyarrow.table({"c": CATEGORIES, "t": ONE_LONG}), **options)


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "data_page_size": 100_000}])
def test_categories_that_repeat_are_counted_in_few_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """Each batch has all categories, so they are few however large a page is."""
    read, batches = [], parquet_sizes._batches

    def counting(*args: Any) -> Any:
        for batch in batches(*args):
            read.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(parquet_sizes, "_batches", counting)
    monkeypatch.setattr(parquet_sizes, "_STEP", 1 << 19)
    limit(monkeypatch, 300_000)
    judge(tmp_path / "x", pyarrow.table({"c": CATEGORIES}), **options)
    assert len(read) == ("use_dictionary" in options)  # an honest dictionary needs no reading


NESTED = pyarrow.StructArray.from_arrays([pyarrow.StructArray.from_arrays([SMALL.cast("string")], ["c"])], ["b"])
TEXT, KEPT = pyarrow.string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            pyarrow.table([BOMB, SMALL], names=["x", "x"]),
            pyarrow.schema([("x", TEXT), ("x", KEPT)]),
        ),
        (
            pyarrow.table([pyarrow.StructArray.from_arrays([BOMB], ["b"]), SMALL], names=["a", "a.b"]),
            pyarrow.schema([("a", pyarrow.struct([("b", TEXT)])), ("a.b", KEPT)]),
        ),
        (
            pyarrow.table([NESTED, BOMB], names=["a", "a.b"]),
            pyarrow.schema([("a", NESTED.type), ("a.b", TEXT)]),
        ),
    ],
)
def test_columns_of_one_name_are_not_judged_by_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Any, said: Any
) -> None:
    """Equal names, the path of another column, and the path of its parent."""
    limit(monkeypatch, 10 << 20)
    with pytest.raises(DeclaredSizeError):
        judge(tmp_path / "x", table, said)


def test_a_column_that_is_named_like_a_part_of_another_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by its position, and cleared where it is small."""
    limit(monkeypatch, 2 << 20)
    judge(tmp_path / "x", pyarrow.table([NESTED, ONE_LONG], names=["a", "a.b"]))
    judge(tmp_path / "y", pyarrow.table([ONE_LONG, ONE_LONG], names=["a", "a.1"]))


def test_prefixes_shared_in_another_row_group_do_not_expand_a_dictionary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyarrow reads no dictionary of such a column, so few rows are read at a time."""
    path = tmp_path / "x"
    table = pyarrow.table({"x": BOMB.slice(0, ROWS // 2)})
    with pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table)
        writer.write_table(table)
    encodings = b"\x19\x35\x00\x06\x10"  # a list of three integers: PLAIN, RLE, RLE_DICTIONARY
    content = path.read_bytes()
    assert content.count(encodings) == 2
    content = b"\x19\x35\x0e\x06\x10".join(content.rsplit(encodings, 1))  # DELTA_BYTE_ARRAY for PLAIN
    path.write_bytes(content)
    asked, batches = [], parquet_sizes._batches

    def noting(file: Any, chunk: Any, rows: int) -> Any:
        asked.append(rows)
        return batches(file, chunk, rows)

    monkeypatch.setattr(parquet_sizes, "_batches", noting)
    limit(monkeypatch, 10 << 20)
    with pyarrow.parquet.ParquetFile(path) as file, pytest.raises(DeclaredSizeError):
        require_memory(path, file, None)
    assert asked
    assert max(asked) * 10_000 <= parquet_sizes._STEP
