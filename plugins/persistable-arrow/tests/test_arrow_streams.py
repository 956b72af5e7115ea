"""Readers and iterators of record batches are written with bounded memory, and come back as tables or readers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persistable import ArtifactStore, Persistable, PersistableParams, Registry
from persistable.exceptions import FidelityError
from persistable_arrow import FeatherFileIO, ParquetFileIO, hooks

TABLE = pa.table({"x": range(1000), "t": pa.array(range(1000), pa.timestamp("s"))}).replace_schema_metadata({"k": "v"})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.parquet"


def test_a_reader_comes_back_as_a_table(path, difference):
    metadata = ParquetFileIO().save(TABLE.to_reader(7), path)
    assert metadata["rows"] == 1000
    assert difference(TABLE.combine_chunks(), ParquetFileIO().load(path, metadata=metadata).combine_chunks()) is None


class ReaderP(Persistable[Any, PersistableParams]):
    """Generate a reader, without a word on its format."""

    def _generate_payload(self, **untracked):
        return TABLE.to_reader(30)


def test_a_reader_is_parquet_by_its_type(tmp_path):
    registry = Registry(discover=False)
    registry.add(hooks, name="arrow", distribution="persistable-arrow", version="1")
    reader = ReaderP(ArtifactStore(tmp_path, registry=registry), PersistableParams())
    reader.load_generate()
    assert reader.record.format == "parquet"
    assert "pyarrow.RecordBatchReader" in reader.record.document["payload"]["chosen"]
    assert reader.payload.equals(TABLE)


class ChangingP(Persistable[Any, PersistableParams]):
    """Generate a reader whose second batch has another schema."""

    def _generate_payload(self, **untracked):
        batches = iter([pa.record_batch({"x": [1]}), pa.record_batch({"y": [1]})])
        return pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]), batches)


def test_a_reader_that_breaks_half_way_says_why_instead_of_being_offered_to_pickle(tmp_path):
    registry = Registry(discover=False)
    registry.add(hooks, name="arrow", distribution="persistable-arrow", version="1")
    with pytest.raises(FidelityError, match="batch 1: its schema differs"):
        ChangingP(ArtifactStore(tmp_path, registry=registry), PersistableParams()).generate()
    assert not list(tmp_path.rglob(".tmp*"))


def test_an_iterator_of_batches_comes_back_as_a_table(path):
    ParquetFileIO(row_group_size=100).save(iter(TABLE.to_batches(30)), path)
    assert ParquetFileIO().load(path).equals(TABLE)
    footer = pq.read_metadata(path)
    assert max(footer.row_group(i).num_rows for i in range(footer.num_row_groups)) <= 100
    assert footer.num_row_groups == 11


def test_a_stream_comes_back_as_a_reader_by_option(path):
    ParquetFileIO().save(TABLE.to_reader(7), path)
    reader = ParquetFileIO(as_reader=True, columns=["t"]).load(path)
    assert isinstance(reader, pa.RecordBatchReader)
    assert reader.read_all().equals(TABLE.select(["t"]))
    ParquetFileIO().save(TABLE, path)
    assert ParquetFileIO(as_reader=True).load(path).read_all().equals(TABLE)
    ParquetFileIO().save(TABLE.to_pandas(), path)
    with pytest.raises(ValueError, match=r"pandas\.DataFrame"):
        ParquetFileIO(as_reader=True).load(path)
    with pytest.raises(ValueError, match="as_reader"):
        ParquetFileIO(as_reader=True, filters=[("x", ">", 1)])


def test_a_stream_without_batches_keeps_its_schema(path, difference):
    empty = TABLE.slice(0, 0)
    ParquetFileIO().save(pa.RecordBatchReader.from_batches(TABLE.schema, []), path)
    assert difference(empty, ParquetFileIO().load(path)) is None


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (iter([]), "no schema"),
        (iter([1]), "int is not a pyarrow.RecordBatch"),
        (iter([*TABLE.to_batches(), *TABLE.select(["x"]).to_batches()]), "batch 1: its schema differs"),
        (iter([*TABLE.to_batches(), 3]), "batch 1"),
        (pa.table({"d": pa.array(["a"]).dictionary_encode()}).to_reader(), "d: a dictionary column in a stream"),
        (pa.table({"i": pa.array([None], pa.month_day_nano_interval())}).to_reader(), "i: parquet does not"),
        (pa.table({"s": pa.array([1 << 60], pa.timestamp("s"))}).to_reader(), "s: "),
    ],
    ids=str,
)
def test_streams_that_would_not_come_back_are_declined(stream, reason, path):
    with pytest.raises(FidelityError, match=reason):
        ParquetFileIO().save(stream, path)


@pytest.mark.parametrize("error", [RuntimeError, pa.ArrowInvalid, NotImplementedError])
def test_an_error_of_the_stream_is_raised_as_it_was(error, path):
    def batches():
        yield TABLE.to_batches()[0]
        raise error("the source broke")

    for payload in (batches(), pa.RecordBatchReader.from_batches(TABLE.schema, batches())):
        with pytest.raises(error, match="the source broke"):
            ParquetFileIO().save(payload, path)


def test_other_formats_do_not_take_streams():
    assert "not a pandas.DataFrame" in FeatherFileIO().refusal(TABLE.to_reader())


def test_memory_stays_bounded_both_ways(path):
    """400 MB pass through a process whose Arrow memory never exceeds a few row groups."""
    script = """
import sys
import numpy as np, pyarrow as pa
from persistable_arrow import ParquetFileIO
schema = pa.schema([("x", pa.float64())])
def batches():
    rng = np.random.default_rng(0)
    for _ in range(200):
        yield pa.record_batch([pa.array(rng.random(250_000))], schema=schema)
ParquetFileIO(compression="none", use_dictionary=False).save(batches(), sys.argv[1])
rows = sum(len(b) for b in ParquetFileIO(as_reader=True).load(sys.argv[1]))
print(rows, pa.default_memory_pool().max_memory())
"""
    run = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    rows, peak = map(int, run.stdout.split())
    assert rows == 50_000_000
    assert peak < 100_000_000, peak


def test_what_is_streamed_reads_elsewhere_with_the_right_schema(path):
    ParquetFileIO().save(TABLE.to_reader(), path)
    frame = pd.read_parquet(path)
    np.testing.assert_array_equal(frame["x"], np.arange(1000))
