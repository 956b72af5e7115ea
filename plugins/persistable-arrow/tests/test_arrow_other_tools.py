"""Files of other writers load, other readers understand ours, and damaged files never load as something else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistable_arrow import FeatherFileIO, ParquetFileIO

BUNDLED = Path(pa.__file__).parent / "tests" / "data"
FRAME = pd.DataFrame(
    {
        "i": [1, 2, 3],
        "n": pd.array([1, None, 3], dtype="Int32"),
        "s": ["a", None, "ü"],
        "t": pd.date_range("2020", periods=3, tz="UTC", unit="us"),
        "c": pd.Categorical(["x", "y", None]),
        "b": [True, False, True],
    },
    index=pd.Index([10, 20, 30], name="key"),
)


@pytest.fixture
def path(tmp_path):
    ParquetFileIO().save(FRAME, tmp_path / "ours.parquet")
    return tmp_path / "ours.parquet"


@pytest.mark.skipif(not BUNDLED.exists(), reason="this build of pyarrow has no test data")
def test_files_of_old_writers_load():
    files = sorted((BUNDLED / "parquet").glob("*.parquet"))
    assert len(files) >= 4
    for file in files:
        table = ParquetFileIO().load(file)
        assert table.equals(pq.read_table(file, partitioning=None))
        assert table.num_rows
        assert table.to_pandas().equals(pd.read_parquet(file))
    feather = list((BUNDLED / "feather").glob("*.feather"))
    assert feather
    for file in feather:
        assert FeatherFileIO().load(file).equals(pa.feather.read_table(file))


def test_parquet_of_polars_loads(tmp_path):
    frame = pl.DataFrame({"x": [1, None], "l": [[1], None], "c": pl.Series(["a", "b"], dtype=pl.Categorical)})
    frame.write_parquet(tmp_path / "p.parquet")
    table = ParquetFileIO().load(tmp_path / "p.parquet")
    assert pl.from_arrow(table).to_dict(as_series=False) == frame.to_dict(as_series=False)
    chosen = ParquetFileIO(columns=["c"], filters=[("x", "==", 1)]).load(tmp_path / "p.parquet")
    assert chosen.to_pydict() == {"c": ["a"]}


def test_parquet_of_plain_pandas_loads(tmp_path):
    FRAME.to_parquet(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(ParquetFileIO().load(tmp_path / "p.parquet").to_pandas(), FRAME)


def test_parquet_of_duckdb_loads_and_duckdb_reads_ours(tmp_path, path):
    duckdb = pytest.importorskip("duckdb")
    duckdb.sql(f"copy (select 1 as x, 'a' as s, null::int as n) to '{tmp_path}/d.parquet' (format parquet)")
    assert ParquetFileIO().load(tmp_path / "d.parquet").to_pydict() == {"x": [1], "s": ["a"], "n": [None]}
    rows = duckdb.sql(f"select * from '{path}'")
    types = dict(zip(rows.columns, map(str, rows.types), strict=True))
    assert types == {
        "i": "BIGINT",
        "n": "INTEGER",
        "s": "VARCHAR",
        "t": "TIMESTAMP WITH TIME ZONE",
        "c": "VARCHAR",
        "b": "BOOLEAN",
        "key": "BIGINT",
    }
    assert duckdb.sql(f"select sum(i), count(n), max(s) from '{path}'").fetchall() == [(6, 2, "ü")]


def test_plain_pandas_reads_ours_as_the_same_frame(path, tmp_path):
    pd.testing.assert_frame_equal(pd.read_parquet(path), FRAME)
    odd = pd.DataFrame({1: [1], 2: ["x"]}, index=pd.RangeIndex(3, 5, 2, name="r"))
    ParquetFileIO().save(odd, tmp_path / "odd.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "odd.parquet"), odd)


@pytest.mark.parametrize("file_io", [ParquetFileIO(), FeatherFileIO()], ids=["parquet", "feather"])
def test_plain_pandas_sees_what_the_readme_says_of_what_arrow_has_no_type_for(file_io, tmp_path):
    def read(frame):
        file_io.save(frame, tmp_path / "x")
        return pd.read_parquet(tmp_path / "x") if file_io.name == "parquet" else pd.read_feather(tmp_path / "x")

    months = pd.period_range("1970-03", periods=1, freq="M")
    row = read(pd.DataFrame({"p": months, "i": pd.interval_range(0, 1), "c": pd.Categorical(months)}, index=months))
    assert list(row.index) == [2]
    assert row.iloc[0].to_list() == [2, {"left": 0, "right": 1}, "1970-03"]
    assert isinstance(row["c"].dtype, pd.CategoricalDtype)
    numbers = read(pd.DataFrame({"c": pd.Categorical([3, 1])}))["c"]
    assert isinstance(numbers.dtype, pd.CategoricalDtype) == (file_io.name == "feather")
    assert numbers.to_list() == [3, 1]
    multi = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", "l"])
    levels = read(pd.DataFrame({"a": [1, 2]}, index=multi)).index
    assert levels.to_list() == multi.to_list()
    categories = [isinstance(level.dtype, pd.CategoricalDtype) for level in levels.levels]
    assert categories == [file_io.name == "feather"] * 2
    assert list(read(pd.DataFrame([[1, 2]], columns=multi)).columns) == ["('x', 1)", "('y', 2)"]
    assert list(read(pd.DataFrame([[1, 2]], columns=["a", "a"])).columns) == ["a", "a"]


def test_polars_reads_ours_with_the_right_schema(path):
    schema = dict(pl.read_parquet(path).schema)
    assert schema == {
        "i": pl.Int64,
        "n": pl.Int32,
        "s": pl.String,
        "t": pl.Datetime("us", "UTC"),
        "c": pl.Categorical,
        "b": pl.Boolean,
        "key": pl.Int64,
    }


def test_a_truncated_file_raises(path):
    content = path.read_bytes()
    for size in range(0, len(content), max(1, len(content) // 97)):
        path.write_bytes(content[:size])
        with pytest.raises((OSError, ValueError, pa.ArrowException)):
            ParquetFileIO().load(path)


def test_a_truncated_feather_file_raises(tmp_path):
    path = tmp_path / "x.arrow"
    FeatherFileIO().save(FRAME, path)
    content = path.read_bytes()
    for size in range(0, len(content), max(1, len(content) // 97)):
        path.write_bytes(content[:size])
        with pytest.raises((OSError, ValueError, pa.ArrowException)):
            FeatherFileIO().load(path)


def test_flipped_bits_raise_or_load_but_never_crash(path, tmp_path):
    """What loads nevertheless is caught by the digest in the record; here the parsers are shown to survive it."""
    FeatherFileIO().save(FRAME, tmp_path / "x.arrow")
    script = """
import random, sys
from persistable_arrow import FeatherFileIO, ParquetFileIO
parquet, feather = sys.argv[1:]
rng, outcomes = random.Random(0), {"raised": 0, "loaded": 0}
for path, file_io in ((parquet, ParquetFileIO()), (feather, FeatherFileIO(memory_map=False))):
    content = open(path, "rb").read()
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        open(path, "wb").write(damaged)
        try:
            file_io.load(path)
            outcomes["loaded"] += 1
        except Exception:
            outcomes["raised"] += 1
print(outcomes["raised"], outcomes["loaded"])
"""
    command = [sys.executable, "-W", "ignore", "-c", script, str(path), str(tmp_path / "x.arrow")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    raised, loaded = map(int, run.stdout.split())
    assert raised > 0
    assert raised + loaded == 600


@settings(max_examples=25, deadline=None, database=None)
@given(st.binary(max_size=200))
def test_a_file_of_anything_raises(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_bytes(content)
    for file_io in (ParquetFileIO(), FeatherFileIO()):
        with pytest.raises((OSError, ValueError, pa.ArrowException)):
            file_io.load(path)


def test_plain_pandas_reads_the_frame_of_a_groupby(tmp_path):
    """A frame with a MultiIndex of text and numbers is equal when plain pandas reads its parquet file."""
    frame = pd.DataFrame({"k": ["b", "a", "b"], "n": [1, 1, 2], "v": [1.0, 2.0, 3.0]}).groupby(["k", "n"]).sum()
    ParquetFileIO().save(frame, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), frame)
    pd.testing.assert_frame_equal(ParquetFileIO().load(tmp_path / "x.parquet"), frame)
