"""The headers of the pages of parquet files, read past the footer: the same as an honest footer says, or an error."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistable_arrow.parquet_pages import pages_of

TABLE = pyarrow.table(
    {
        "n": np.arange(5000),
        "text": [f"name {n % 7}" for n in range(5000)],
        "long": ["x" * 3000 + str(n) for n in range(5000)],
        "lists": [[n, n] for n in range(5000)],
        "nothing": pyarrow.nulls(5000),
    }
)


def of_file(path: Path) -> list[tuple[Any, Any]]:
    """What footer and pages say of every column chunk."""
    footer, found = pyarrow.parquet.read_metadata(path), []
    with open(path, "rb") as file:
        for group in range(footer.num_row_groups):
            for column in range(footer.num_columns):
                chunk = footer.row_group(group).column(column)
                found.append((chunk, pages_of(file.fileno(), chunk)))
    return found


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("options", [{}, {"compression": "zstd", "data_page_size": 100}, {"use_dictionary": False}])
def test_pages_say_what_an_honest_footer_says(tmp_path: Path, version: Any, options: dict[str, Any]) -> None:
    """Values, bytes and dictionaries, however pages are laid out, and whatever their statistics hold."""
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(TABLE, path, data_page_version=version, row_group_size=2000, **options)
    for chunk, pages in of_file(path):
        assert pages.values == chunk.num_values
        grown = chunk.total_compressed_size if chunk.compression != "UNCOMPRESSED" else 0  # pages that do not compress
        assert chunk.total_uncompressed_size <= pages.encoded <= chunk.total_uncompressed_size + grown
        assert (pages.dictionary > 0) == chunk.has_dictionary_page
        assert not pages.shares_prefixes


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_values_beside_a_dictionary_are_seen(tmp_path: Path, version: Any) -> None:
    """Only where no page has values in full do all refer to a dictionary."""
    path, table = tmp_path / "x.parquet", TABLE.select(["text", "long"])
    small: Any = {"dictionary_pagesize_limit": 10_000, "write_batch_size": 100, "data_page_version": version}
    pyarrow.parquet.write_table(table, path, **small)
    assert [(pages.dictionary > 0, pages.refers) for _, pages in of_file(path)] == [(True, True), (True, False)]
    pyarrow.parquet.write_table(table, path, use_dictionary=False)
    assert [(pages.dictionary > 0, pages.refers) for _, pages in of_file(path)] == [(False, False)] * 2


def test_shared_prefixes_are_seen(tmp_path: Path) -> None:
    """The encoding of each page counts."""
    path = tmp_path / "x.parquet"
    encoding: Any = {"text": "DELTA_BYTE_ARRAY", "long": "PLAIN"}
    table = TABLE.select(["text", "long"])
    pyarrow.parquet.write_table(table, path, use_dictionary=False, column_encoding=encoding)
    assert [pages.shares_prefixes for _, pages in of_file(path)] == [True, False]


@given(st.binary(max_size=400))
def test_what_is_no_page_is_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Any bytes end in a ValueError, or in pages that have as many values as asked for."""
    path = tmp_path_factory.mktemp("pages") / "x"
    path.write_bytes(content)
    chunk = SimpleNamespace(data_page_offset=0, dictionary_page_offset=None, has_dictionary_page=False, num_values=5)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert pages_of(descriptor, chunk).values >= 5
    except ValueError:
        pass
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x15\x00\x15\x00\x15",  # cut
        b"\x1c" * 100,  # structs within structs
        b"\x15" + b"\xff" * 20,  # a number that does not end
        b"\x15\x00\x15\x00\x15\x00\x2c\x15\x01\x15\x00\x00\x00",  # -1 values
        b"\x15\x00\x15\x01\x15\x00\x2c\x15\x0a\x15\x00\x00\x00",  # -1 bytes
        b"\x15\x00\x15\x00\x15" + b"\xfe" * 9 + b"\x01\x2c\x15\x02\x15\x00\x00\x00",  # 2**62 bytes
        b"\x15\x00\x15\x00\x15\x00\x25\x0a\x00",  # a number where a struct belongs
        b"\x15\x00\x1f\x00",  # a value of no known kind
        b"\x15\x00\x15\x00\x15\x00\x2c\x15\x8a\x80\x80\x80\x20\x15\x00\x00\x00",  # 2**32 + 5 values, cut to 5
        b"\x15\x00\x15\x14\x05\x84\x80\x08\x00\x05\x06\x00\x2c\x15\x0a\x15\x00\x00\x00",  # field 2**16 + 2, cut to 2
    ],
)
def test_headers_that_are_none(tmp_path: Path, content: bytes) -> None:
    """They are told apart from those that are."""
    path = tmp_path / "x"
    path.write_bytes(content)
    chunk = SimpleNamespace(data_page_offset=0, dictionary_page_offset=None, has_dictionary_page=False, num_values=5)
    with open(path, "rb") as file, pytest.raises(ValueError, match=r"page|number|structs|value"):
        pages_of(file.fileno(), chunk)


@pytest.mark.parametrize(
    "sizes",
    [
        b"\x15\x14\x15\x00",  # 10 bytes, stored in none
        b"\x15\x00\x15\x14",  # none, and 10 are stored: read as they are where nothing is compressed
        b"\x15\x14\x06\x04\x00\x15\x00",  # 10 bytes, and once more none, as a number of 8 bytes
        b"\x15\x14\x04\x04\x00\x15\x00",  # the same of 2 bytes
    ],
)
def test_sizes_are_those_that_are_read(tmp_path: Path, sizes: bytes) -> None:
    """The larger of two counts, and only numbers of the type that a reader takes."""
    path = tmp_path / "x"
    path.write_bytes(b"\x15\x00" + sizes + b"\x2c\x15\x0a\x15\x00\x00\x00")
    chunk = SimpleNamespace(data_page_offset=0, dictionary_page_offset=None, has_dictionary_page=False, num_values=5)
    with open(path, "rb") as file:
        assert pages_of(file.fileno(), chunk).largest == 10
