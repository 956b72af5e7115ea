"""The format feather: mapped loads, Arrow types as they are, damage."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pytest

from persistable import ArtifactStore, Persistable, PersistableParams, Registry
from persistable.exceptions import CorruptArtifactError, FidelityError
from persistable_arrow import FeatherFileIO, hooks


@pytest.fixture(params=[FeatherFileIO(), FeatherFileIO(compression="zstd", memory_map=False)], ids=repr)
def round_trip(request, tmp_path):
    def run(payload):
        path = tmp_path / "a folder" / "x.arrow"
        metadata = json.loads(json.dumps(request.param.save(payload, path)))
        return request.param.load(path, metadata=metadata)

    return run


def test_a_mapped_table_is_loaded_without_copying_it(tmp_path):
    table = pa.table({"x": pa.array(range(1_000_000)), "s": ["text"] * 1_000_000})
    FeatherFileIO().save(table, tmp_path / "x.arrow")
    before = pa.total_allocated_bytes()
    loaded = FeatherFileIO().load(tmp_path / "x.arrow")
    assert pa.total_allocated_bytes() - before < 100_000
    assert loaded.equals(table)


def test_a_mapped_frame_can_be_changed_and_the_file_stays_as_it_is(tmp_path):
    frame = pd.DataFrame({"x": [1, 2], "t": pd.to_datetime(["2020", "2021"]), "c": pd.Categorical(["a", "b"])})
    FeatherFileIO().save(frame, tmp_path / "x.arrow")
    content = (tmp_path / "x.arrow").read_bytes()
    loaded = FeatherFileIO().load(tmp_path / "x.arrow")
    for i in range(3):
        loaded.iloc[0, i] = loaded.iloc[1, i]
        loaded[loaded.columns[i]].array[0] = loaded[loaded.columns[i]].array[1]
    assert (tmp_path / "x.arrow").read_bytes() == content


def test_dictionaries_of_float16_are_declined_by_column(round_trip):
    half = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([np.float16(1), np.float16(2)]))
    other = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([np.float16(3), np.float16(2)]))
    for column in (half, pa.chunked_array([], half.type), pa.chunked_array([half, other])):
        with pytest.raises(FidelityError, match="bad: a dictionary of float16"):
            round_trip(pa.table({"good": [1] * len(column), "bad": column}))
    with pytest.raises(FidelityError, match="bad: a dictionary of float16"):
        round_trip(pa.table({"bad": pa.chunked_array([], pa.list_(half.type))}))


def test_arrow_types_that_parquet_declines_come_back_equal(round_trip, difference):
    table = pa.table(
        {
            "interval": pa.array([None, (1, 2, 3)], pa.month_day_nano_interval()),
            "view": pa.array(["a", None], pa.string_view()),
            "run": pa.RunEndEncodedArray.from_arrays([1, 2], ["a", "b"]),
            "nested": pa.array([["a"], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
            "nulls": pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])),
            "date64": pa.array([86_400_000, None], pa.date64()),
        }
    )
    assert difference(table, round_trip(table)) is None


def test_extension_types_and_invalid_values_are_declined_by_column(round_trip):
    array = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16)))
    with pytest.raises(FidelityError, match="bad: the extension type"):
        round_trip(pa.table({"bad": array}))
    with pytest.raises(FidelityError, match=r"bad: .*whole number of days"):
        round_trip(pa.table({"bad": pa.array([1], pa.date64())}))
    text = pa.array([b"\xff"], pa.large_binary()).view(pa.large_string())
    for payload in (pa.table({"bad": text}), pd.DataFrame({"bad": pd.arrays.ArrowExtensionArray(text)})):
        with pytest.raises(FidelityError, match=r"bad: .*UTF8"):
            round_trip(payload)
    nested = pa.StructArray.from_arrays([array], ["x"])
    with pytest.raises(FidelityError, match="bad: the extension type"):
        round_trip(pa.table({"bad": nested}))


def test_other_libraries_read_what_we_write(tmp_path):
    frame = pd.DataFrame({"x": [1, 2], "s": ["a", None]}, index=pd.Index([5, 6], name="i"))
    path = tmp_path / "x.arrow"
    FeatherFileIO().save(frame, path)
    pd.testing.assert_frame_equal(pd.read_feather(path), frame)
    assert pl.read_ipc(path).schema == {"x": pl.Int64, "s": pl.String, "i": pl.Int64}
    assert pa.feather.read_table(path).column_names == ["x", "s", "i"]


def test_polars_reads_missing_values_of_categoricals_and_levels(tmp_path):
    level = pd.MultiIndex.from_arrays([["p", None, "q"], [1, 2, 3]], names=["k", "n"])
    frame = pd.DataFrame({"c": pd.Categorical(["b", None, "a"])}, index=level)
    FeatherFileIO().save(frame, tmp_path / "x.arrow")
    read = pl.read_ipc(tmp_path / "x.arrow")
    assert read["c"].to_list() == ["b", None, "a"]
    assert read["k"].to_list() == ["p", None, "q"]


def test_files_of_others_load_as_tables(tmp_path):
    pl.DataFrame({"x": [1], "c": pl.Series(["a"], dtype=pl.Categorical)}).write_ipc(tmp_path / "p.arrow")
    assert FeatherFileIO().load(tmp_path / "p.arrow").column("x").to_pylist() == [1]
    pd.DataFrame({"x": [1, None]}).to_feather(tmp_path / "d.feather")
    assert FeatherFileIO().load(tmp_path / "d.feather").column("x").to_pylist() == [1, None]


def test_options_are_shown_checked_and_picklable():
    file_io = FeatherFileIO(compression="lz4", memory_map=False)
    assert repr(pickle.loads(pickle.dumps(file_io))) == "FeatherFileIO(compression='lz4', memory_map=False)"
    assert FeatherFileIO().memory_mapped
    assert not file_io.memory_mapped
    with pytest.raises(ValueError, match="compression"):
        FeatherFileIO(compression="gzip")


class TableP(Persistable[pa.Table, PersistableParams]):
    """Generate a table that is long enough to have a byte of data to damage."""

    def _generate_payload(self, **untracked):
        return pa.table({"x": [1] * 1000})


def test_only_a_map_that_is_injected_skips_the_digest(tmp_path):
    registry = Registry(discover=False)
    registry.add(hooks, name="arrow", distribution="persistable-arrow", version="1")
    store = ArtifactStore(tmp_path, registry=registry)
    stored = TableP(store, PersistableParams(), payload_io="feather")
    stored.generate()
    path = stored.persist_filepath
    content = bytearray(path.read_bytes())
    position = content.index((1).to_bytes(8, "little") * 10) + 80
    content[position] = 7
    path.write_bytes(content)
    for options in ({"payload_io": "feather"}, {}, {"payload_io": FeatherFileIO(memory_map=False)}):
        with pytest.raises(CorruptArtifactError):
            TableP(store, PersistableParams(), **options).load()
    mapped = TableP(store, PersistableParams(), payload_io=FeatherFileIO())
    mapped.load()
    assert 7 in mapped.payload.column("x").to_pylist()


def test_another_file_than_the_recorded_one_is_refused_by_its_sizes(tmp_path):
    path = tmp_path / "x.arrow"
    metadata = FeatherFileIO().save(pd.DataFrame({"x": range(5)}), path)
    FeatherFileIO(compression="zstd").save(pd.DataFrame({"x": [0] * 1_000_000}), path)
    with pytest.raises(ValueError, match="1000000 values, the record says 5"):
        FeatherFileIO().load(path, metadata=metadata)
