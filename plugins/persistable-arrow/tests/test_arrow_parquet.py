"""The format parquet: what comes back equal, what is declined, options, streams, sizes."""

from __future__ import annotations

import datetime
import json
import pickle
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persistable.exceptions import FidelityError
from persistable_arrow import CsvFileIO, FeatherFileIO, ParquetFileIO


@pytest.fixture
def round_trip(tmp_path):
    """Save and load through a path with spaces, metadata passed through JSON as a record does."""

    def run(payload, file_io=None, loader=None):
        file_io = file_io or ParquetFileIO()
        path = tmp_path / "a folder" / f"{len(list(tmp_path.rglob('*')))} ü.parquet"
        metadata = json.loads(json.dumps(file_io.save(payload, path)))
        return (loader or file_io).load(path, metadata=metadata)

    return run


DAYS = pd.date_range("2020-01-01", periods=3, freq="D", name="when")
WIDE = pd.DataFrame(
    {
        "int": [1, 2, 3],
        "float": [1.5, np.nan, -0.0],
        "half": np.array([1, 2, np.nan], "f2"),
        "bool": [True, False, True],
        "str": ["a", None, "ü\n\0"],
        "string": pd.array(["a", None, ""], dtype="string[python]"),
        "string_arrow": pd.array(["a", None, ""], dtype="string[pyarrow]"),
        "time": pd.to_datetime(["2020-01-01", None, "1500-01-01"]),
        "seconds": pd.to_datetime(["2020-01-01", None, "1500-01-01"]).as_unit("s"),
        "zone": pd.date_range("2020", periods=3, tz="Europe/Paris"),
        "utc": pd.date_range("2020", periods=3, tz="UTC", unit="ns"),
        "offset": pd.date_range("2020", periods=3, tz=datetime.timezone(datetime.timedelta(hours=5.5))),
        "delta": pd.to_timedelta([1, None, 3], unit="s"),
        "ordered": pd.Categorical(["x", "y", None], categories=["z", "y", "x"], ordered=True),
        "int_categories": pd.Categorical([5, 7, None], categories=[9, 7, 5]),
        "mixed_categories": pd.Categorical([5, "x", None]),
        "cut": pd.cut([1, 2, 3], 2),
        "no_categories": pd.Categorical([None, None, None]),
        "nullable": pd.array([1, None, 3], dtype="Int16"),
        "nullable_float": pd.array([1, None, 3], dtype="Float32"),
        "nullable_bool": pd.array([True, None, False], dtype="boolean"),
        "arrow_list": pd.array([[1], None, [2, 3]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        "arrow_decimal": pd.array([Decimal("1.20"), None, Decimal(3)], dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
        "period": pd.PeriodIndex(["2020-01", None, "2021-07"], freq="M"),
        "interval": pd.arrays.IntervalArray.from_tuples([(0, 1), None, (2.5, 3)], closed="both"),
        "interval_time": pd.interval_range(pd.Timestamp("2020"), periods=3),
        "object": np.array(["a", None, "b"], dtype=object),
        "object_str": pd.Series(["a", "", "b"], index=DAYS, dtype=object),
        "object_nan": np.array(["a", np.nan, "b"], dtype=object),
        "object_bool_nan": np.array([True, np.nan, False], dtype=object),
        "object_int_nan": np.array([1, np.nan, 1 << 62], dtype=object),
        "object_NA": np.array(["a", pd.NA, "b"], dtype=object),
        "object_int": np.array([1, None, -3], dtype=object),
        "object_float": np.array([1.5, None, np.nan], dtype=object),
        "object_bool": np.array([True, None, False], dtype=object),
        "object_none": np.array([None, None, None], dtype=object),
        "bytes": [b"a", b"\0\xff", None],
        "date": [datetime.date(2020, 1, 1), None, datetime.date(1, 1, 1)],
    },
    index=DAYS,
)


@pytest.mark.parametrize("column", WIDE.columns)
def test_each_dtype_comes_back_equal(column, round_trip, difference):
    assert difference(WIDE[[column]], round_trip(WIDE[[column]])) is None


def test_all_dtypes_together_and_without_rows_come_back_equal(round_trip, difference):
    assert difference(WIDE, round_trip(WIDE)) is None
    assert difference(WIDE.iloc[:0], round_trip(WIDE.iloc[:0])) is None


@pytest.mark.parametrize("file_io", [ParquetFileIO(), FeatherFileIO(), CsvFileIO()], ids=repr)
@pytest.mark.parametrize("width", ["f4", "f8"])
def test_nan_and_na_of_a_nullable_float_stay_apart(file_io, width, round_trip, difference):
    values = pd.arrays.FloatingArray(np.array([np.nan, 1, 2], width), np.array([False, False, True]))
    frame = pd.DataFrame({"x": values}, index=pd.Index(values, name="i"))
    loaded = round_trip(frame, file_io)
    assert difference(frame, loaded) is None
    loaded.iloc[0, 0] = 5.0


INDEXES = {
    "range": pd.RangeIndex(10, 4, -2, name="r"),
    "int": pd.Index([3, 1, 1], name=("a", 1)),
    "str": pd.Index(["b", None, "a"]),
    "object": pd.Index(["b", None, "a"], dtype=object),
    "bool": pd.Index([True, False, True], name=0),
    "time": pd.DatetimeIndex(["2020", None, "2019"], tz="Europe/Paris"),
    "freq": pd.date_range("2020", periods=3, freq="2h"),
    "month end": pd.date_range("2020", periods=3, freq="ME", tz="UTC"),
    "delta": pd.timedelta_range("1h", periods=3, freq="90min"),
    "period": pd.period_range("2020", periods=3, freq="Q-NOV"),
    "interval": pd.interval_range(0, 3, closed="left"),
    "categorical": pd.CategoricalIndex(["a", "b", None], categories=["b", "x", "a"], ordered=True, name="c"),
    "nullable": pd.Index(pd.array([1, None, 3], dtype="Int64")),
    "multi": pd.MultiIndex.from_tuples([(1, "x"), (2, None), (1, "y")], names=["l", None]),
    "multi unused": pd.MultiIndex.from_product([[1, 2, 3], pd.date_range("2020", periods=2)])[:3],
    "object without gaps": pd.Index(["b", "c", "a"], dtype=object),
    "multi object": pd.MultiIndex.from_arrays([pd.Index(["b", "c", "a"], dtype=object), [1, 2, 3]]),
    "categorical object": pd.CategoricalIndex(pd.Categorical(["b", "c", "b"], pd.Index(["b", "c"], dtype=object))),
    "multi one level": pd.MultiIndex.from_arrays([["a", "b", "a"]]),
    "multi categorical": pd.MultiIndex.from_arrays([pd.Categorical(["a", "b", "a"]), pd.interval_range(0, 3)]),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_each_index_comes_back_equal(index, round_trip, difference):
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=index)
    assert difference(frame, round_trip(frame)) is None


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_each_columns_index_comes_back_equal(index, round_trip, difference):
    frame = pd.DataFrame(np.arange(6).reshape(2, 3), columns=index)
    assert difference(frame, round_trip(frame)) is None


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "a", "a"],
        ["a", "a.1", "a"],
        [1, "1", 1.0],
        ["", None, float("nan")],
        [("a", 1), "b", b"c"],
        ["a.b", "a", "a.b.c"],
        ["__index_level_0__", "index", "x"],
        [pd.Timestamp("2020"), datetime.date(2020, 1, 1), pd.Timedelta(1)],
        [np.int64(1), True, 1 << 80],
        ["\udc80", "x\0y", "üß"],
    ],
)
def test_any_column_labels_come_back_equal(labels, round_trip, difference):
    columns = pd.Index(labels, dtype=object, tupleize_cols=False, name="labels")
    frame = pd.DataFrame(np.arange(6).reshape(2, 3), columns=columns, index=[5, 6])
    assert difference(frame, round_trip(frame)) is None


def test_empty_frames_come_back_equal(round_trip, difference):
    for frame in (
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame(index=pd.RangeIndex(5)),
        pd.DataFrame(columns=["a", "b"]),
        pd.DataFrame({"a": []}, index=pd.DatetimeIndex([], tz="UTC")),
        pd.DataFrame(index=pd.MultiIndex.from_arrays([[], []])),
        pl.DataFrame(),
        pl.DataFrame({"a": []}),
        pa.table({}),
        pa.table({"a": pa.array([], pa.string())}),
    ):
        assert difference(frame, round_trip(frame)) is None


def test_attrs_and_flags_come_back_equal(round_trip, difference):
    frame = pd.DataFrame({"x": [1]}).set_flags(allows_duplicate_labels=False)
    frame.attrs = {"unit": ("m", 1.0, None), 3: {"nested": [b"x", float("inf"), datetime.date(2020, 1, 1)]}}
    assert difference(frame, round_trip(frame)) is None


def test_what_is_loaded_can_be_changed_in_place(round_trip):
    frame = round_trip(WIDE)
    for i in range(frame.shape[1]):
        frame.iloc[0, i] = frame.iloc[1, i]
        frame[frame.columns[i]].array[0] = frame[frame.columns[i]].array[1]


class Subclass(pd.DataFrame):
    """A frame with a class of its own, as geopandas has."""


class Text(str):
    """A str that is not one."""

    __slots__ = ()


OBJECT_CELLS = {
    "list": [[1], None],
    "tuple": [(1,), None],
    "set": [{1}, None],
    "dict": [{"a": 1}, {"b": 2}],
    "array": [np.array([1]), None],
    "Decimal": [Decimal("1.0"), Decimal("1.00")],
    "None and nan": ["a", None, float("nan")],
    "None and NA": ["a", None, pd.NA],
    "NaT": ["a", pd.NaT],
    "int and str": [1, "a"],
    "bool and int": [True, 1],
    "float and str": [1.5, "a"],
    "big int": [1 << 70, 1],
    "numpy scalar": [np.int64(1), np.int64(2)],
    "datetime": [datetime.datetime(2020, 1, 1), None],
    "Timestamp": [pd.Timestamp("2020"), None],
    "subclass of str": [Text("a"), Text("b")],
    "surrogate": ["\udc80", "a"],
}


@pytest.mark.parametrize("cells", OBJECT_CELLS.values(), ids=OBJECT_CELLS)
def test_object_cells_that_arrow_changes_are_declined_by_column(cells, round_trip):
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    frame = pd.DataFrame({"good": [1] * len(cells)})
    frame["cells"] = pd.Series(values, dtype=object)
    with pytest.raises(FidelityError, match="cells") as caught:
        round_trip(frame)
    assert caught.value.where == "cells"


DTYPES = {
    "complex": np.array([1j]),
    "long double": np.array([1], dtype=np.longdouble),
    "big endian": np.array([1], dtype=">i4"),
    "sparse": pd.arrays.SparseArray([1, 0]),
    "twin of UTC": pd.array([0], dtype=pd.DatetimeTZDtype("us", datetime.timezone(datetime.timedelta(0), "UTC"))),
    "union": pd.array([None], dtype=pd.ArrowDtype(pa.month_day_nano_interval())),
}


@pytest.mark.parametrize("values", DTYPES.values(), ids=DTYPES)
def test_dtypes_that_arrow_changes_are_declined_by_column(values, round_trip):
    with pytest.raises(FidelityError, match=r"\bbad: "):
        round_trip(pd.DataFrame({"good": 1, "bad": values}))


@pytest.mark.parametrize("file_io", [ParquetFileIO(), FeatherFileIO()], ids=["parquet", "feather"])
@pytest.mark.parametrize("metadata", [None, {"k": "v"}])
def test_rows_without_columns_come_back(tmp_path, file_io, metadata):
    """A table that has rows and nothing in them keeps their number, which its own pickle does not."""
    table = pa.table({"x": [1, 2]}, metadata=metadata).select([])
    recorded = file_io.save(table, tmp_path / "x")
    loaded = file_io.load(tmp_path / "x", metadata=recorded)
    assert (loaded.num_rows, loaded.num_columns) == (2, 0)
    assert loaded.schema.equals(table.schema, check_metadata=True)
    if isinstance(file_io, ParquetFileIO):
        assert file_io.load(tmp_path / "x", as_reader=True).read_all().num_rows == 2


def test_rows_without_columns_are_declined_where_they_would_be_lost(tmp_path):
    """A stream of them has no end to note their number at, csv has no place for them."""
    table = pa.table({"x": [1, 2]}).select([])
    for file_io, payload in ((ParquetFileIO(), table.to_reader()), (CsvFileIO(), table)):
        with pytest.raises(FidelityError, match="without columns"):
            file_io.save(payload, tmp_path / "x")


def test_other_payloads_are_declined_before_anything_is_written(tmp_path):
    target = tmp_path / "x.parquet"
    odd_zone = pd.DataFrame({"t": pd.date_range("2020", periods=1, tz=ZoneInfo("UTC"))})
    odd_zone["t"] = odd_zone["t"].dt.tz_convert(datetime.timezone(datetime.timedelta(hours=1), "mine"))
    odd_attrs = pd.DataFrame({"x": [1]})
    odd_attrs.attrs["function"] = len
    payloads = {
        "subclass": Subclass({"x": [1]}),
        "not a": {"x": [1]},
        "is not a": pd.Series([1]),
        "time zone": odd_zone,
        "attrs": odd_attrs,
        "Object": pl.DataFrame({"x": pl.Series([object()], dtype=pl.Object)}),
        "Int128": pl.DataFrame({"x": pl.Series([1], dtype=pl.Int128)}),
        "nested": pl.DataFrame({"x": pl.Series([["a"]], dtype=pl.List(pl.Categorical))}),
    }
    for reason, payload in payloads.items():
        assert reason in ParquetFileIO().refusal(payload)
        with pytest.raises(FidelityError, match=reason):
            ParquetFileIO().save(payload, target)
    assert not target.exists()


TABLE = pa.table(
    [
        pa.array(["a", "b"]),
        pa.array([1, None], pa.timestamp("s", "UTC")),
        pa.array([1, None], pa.time32("s")),
        pa.array([86_400_000, None], pa.date64()),
        pa.chunked_array([pa.array(["q"]).dictionary_encode(), pa.array(["r"]).dictionary_encode()]),
        pa.DictionaryArray.from_arrays(pa.array([2, None], pa.int8()), pa.array([5, 6, 7]), ordered=True),
        pa.array([[1], None]),
        pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
        pa.array([{"x": 1, "y": ["z"]}, None]),
        pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
        pa.array([None, None]),
        pa.array([Decimal("1.20"), None], pa.decimal128(5, 2)),
        pa.array([b"12", None], pa.binary(2)),
        pa.array([float("nan"), None]),
        pa.array([1.5, None], pa.float16()),
        pa.array([1, None], pa.duration("us")),
    ],
    names=[
        "a",
        "a",
        "t32",
        "d64",
        "chunks",
        "codes",
        "list",
        "pair",
        "struct",
        "map",
        "null",
        "dec",
        "fix",
        "nan",
        "half",
        "dur",
    ],
).replace_schema_metadata({"made": "by hand", "persistable": "not a note"})


def test_arrow_tables_come_back_with_their_exact_schema(round_trip, difference):
    fields = [field.with_metadata({"unit": "m"}) for field in TABLE.schema]
    table = pa.Table.from_arrays(TABLE.columns, schema=pa.schema(fields, metadata=TABLE.schema.metadata))
    for payload in (table, table.slice(1), table.slice(2)):
        assert difference(payload, round_trip(payload)) is None


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1], pa.date64()),
        pa.array([None], pa.month_day_nano_interval()),
        pa.array([1 << 60], pa.timestamp("s")),
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])),
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", "a"])),
        pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        pa.array([[1]], pa.list_(pa.timestamp("s"))),
        pa.array(["a"], pa.string_view()),
        pa.array([{}], pa.struct([])),
        pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))),
        pa.RunEndEncodedArray.from_arrays([1], ["a"]),
        pa.array([Decimal(1200)], pa.decimal128(3, -2)),
        pa.array([[Decimal(1200)]], pa.list_(pa.decimal256(3, -2))),
        pa.array([Decimal(1200)], pa.decimal128(3, -2)).dictionary_encode(),
    ],
    ids=lambda array: str(array.type)[:40],
)
def test_arrow_types_that_parquet_changes_are_declined_by_column(array, round_trip):
    with pytest.raises(FidelityError, match=r"\bbad\b"):
        round_trip(pa.table({"good": [1] * len(array), "bad": array}))


def test_dictionaries_that_could_not_be_looked_up_again_are_declined_by_column(round_trip):
    half = pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(np.array([1.5], "f2")))
    text = pa.array([b"\xff"], pa.large_binary()).view(pa.large_string())
    invalid = pa.DictionaryArray.from_arrays(pa.array([0]), text, safe=False)
    for array, reason in ((half, "float16"), (half[:0], "float16"), (invalid, "UTF8")):
        with pytest.raises(FidelityError, match=f"bad: .*{reason}"):
            round_trip(pa.table({"bad": array}))


def _text(data, large=False):
    kinds = (pa.large_binary(), pa.large_string()) if large else (pa.binary(), pa.string())
    return pa.array(data, kinds[0]).view(kinds[1])


NOT_UTF8 = _text([b"\xff", None, b"fine"])


@pytest.mark.parametrize(
    "column",
    [
        NOT_UTF8,
        _text([b"fine", b"\xed\xa0\x80"], large=True),
        pa.StringArray.from_buffers(2, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer("é".encode())),
        pa.ListArray.from_arrays(pa.array([0, 3], pa.int32()), NOT_UTF8),
        pa.StructArray.from_arrays([NOT_UTF8], ["inside"]),
        pa.MapArray.from_arrays(pa.array([0, 1], pa.int32()), _text([b"\xff"]), pa.array([1])),
    ],
    ids=["text", "large text", "half a character each", "list", "struct", "map"],
)
def test_text_that_is_not_utf8_is_declined_by_column(column, round_trip):
    """Whole tables, frames and streams, plain and nested: readers would refuse the file."""
    table = pa.table({"good": ["a"] * len(column), "bad": column})
    for payload in (table, table.to_reader(), table.select(["bad"]).to_pandas(types_mapper=pd.ArrowDtype)):
        with pytest.raises(FidelityError, match=r"bad: .*UTF8"):
            round_trip(payload)


def test_only_the_text_of_a_slice_counts(round_trip):
    table = pa.table({"text": pa.chunked_array([NOT_UTF8.slice(1), _text(["é".encode(), b""])])})
    assert round_trip(table).equals(table)


def test_nulls_where_none_are_allowed_are_declined(round_trip):
    table = pa.Table.from_arrays([pa.array([None], pa.int8())], schema=pa.schema([pa.field("x", pa.int8(), False)]))
    with pytest.raises(FidelityError, match="x: nulls"):
        round_trip(table)


def _strict(name="item"):
    return pa.field(name, pa.int8(), nullable=False)


STRICT_STRUCT = pa.struct([_strict("x")])
STRICT_MAP = pa.map_(pa.string(), _strict("value"))
STRICT_NESTED = [
    (STRICT_STRUCT, [{"x": 1}, None], {"x": None}),
    (pa.list_(_strict()), [[1], None, []], [None]),
    (pa.large_list(STRICT_STRUCT), [[{"x": 1}, None], None], [{"x": None}]),
    (pa.list_(pa.field("item", STRICT_STRUCT, nullable=False)), [[{"x": 1}], None], [None]),
    (pa.list_(_strict(), 2), [[1, 2], [3, 4]], [1, None]),
    (pa.list_(_strict(), 2), [[1, 2], [3, 4]], None),
    (STRICT_MAP, [[("a", 1)], None, []], [("a", None)]),
]


@pytest.mark.parametrize(("data_type", "good", "bad"), STRICT_NESTED, ids=lambda value: str(value)[:40])
def test_nulls_within_a_nested_type_that_allows_none_are_declined(data_type, good, bad, round_trip, difference):
    array = pa.array([bad, *good, bad], data_type)
    sliced = pa.table({"x": array[1:-1]})  # what lies outside of a slice does not count
    assert difference(sliced, round_trip(sliced)) is None
    assert difference(sliced.slice(0, 1), round_trip(sliced.slice(0, 1))) is None
    extension = pd.arrays.ArrowExtensionArray(array[1:])
    for payload in (pa.table({"x": array[:-1]}), pa.table({"x": array[1:]}), pd.DataFrame({"x": extension})):
        with pytest.raises(FidelityError, match=r"x: null"):
            round_trip(payload)


@pytest.mark.parametrize("error", [pa.ArrowInvalid, pa.ArrowNotImplementedError, NotImplementedError])
def test_what_the_writer_refuses_is_declined(error, round_trip, monkeypatch):
    def refuse(*_, **__):
        raise error("not this one")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", refuse)
    with pytest.raises(FidelityError, match="not this one") as caught:
        round_trip(pa.table({"x": [1]}))
    assert isinstance(caught.value.__cause__, error)


POLARS = pl.DataFrame(
    {
        "str": ["x", None, ""],
        "cat": pl.Series(["b", None, "a"], dtype=pl.Categorical),
        "enum": pl.Series(["b", None, "a"], dtype=pl.Enum(["b", "a", "z"])),
        "list": [[1], None, []],
        "array": pl.Series([[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int8, 2)),
        "struct": [{"a": 1, "b": "x"}, None, {"a": None, "b": None}],
        "float": [1.5, None, float("nan")],
        "time": pl.Series([datetime.datetime(2020, 1, 1), None, None], dtype=pl.Datetime("ms", "Europe/Paris")),
        "clock": [datetime.time(1, 2, 3, 4), None, None],
        "date": [datetime.date(2020, 1, 1), None, None],
        "delta": pl.Series([1, None, 2], dtype=pl.Duration("ns")),
        "decimal": pl.Series([Decimal("1.20"), None, None], dtype=pl.Decimal(20, 2)),
        "bytes": [b"x", None, b""],
        "null": [None, None, None],
        "small": pl.Series([1, None, 3], dtype=pl.UInt8),
    }
)


def test_polars_frames_come_back_equal(round_trip, difference):
    for payload in (POLARS, POLARS.clear(), POLARS.slice(1, 2), pl.concat([POLARS, POLARS], rechunk=False)):
        assert difference(payload, round_trip(payload)) is None


@pytest.mark.parametrize("file_io", [ParquetFileIO(), FeatherFileIO(), CsvFileIO()], ids=lambda f: f.name)
@pytest.mark.parametrize("names", [[""], ["", "a"], ["column_0", "", "x"]], ids=repr)
def test_a_polars_column_without_a_name_keeps_none(file_io, names, round_trip, difference):
    frame = pl.DataFrame({name: [1, 2] for name in names})
    for payload in (frame, frame.clear()):
        assert difference(payload, round_trip(payload, file_io)) is None


@pytest.mark.parametrize("file_io", [ParquetFileIO(), FeatherFileIO(), CsvFileIO()], ids=lambda f: f.name)
def test_metadata_under_the_keys_of_the_format_itself_come_back(file_io, round_trip, difference):
    metadata = {"ARROW:schema": "not one", "persistable": "{}", "pandas": "not JSON"}
    table = pa.table({"x": [1]}).replace_schema_metadata(metadata)
    assert difference(table, round_trip(table, file_io)) is None


def test_a_reader_keeps_metadata_under_the_keys_of_the_format_itself(round_trip, difference):
    table = pa.table({"x": [1]}).replace_schema_metadata({"ARROW:schema": "not one"})
    assert difference(table, round_trip(table.to_reader())) is None
    assert difference(table, round_trip(table, loader=ParquetFileIO(as_reader=True)).read_all()) is None


def test_options_are_used_shown_and_picklable(tmp_path, round_trip):
    file_io = ParquetFileIO(compression="zstd", compression_level=3, row_group_size=2, columns=["x"])
    assert repr(pickle.loads(pickle.dumps(file_io))) == repr(file_io)
    assert "compression='zstd'" in repr(file_io)
    assert "row_group_size=2" in repr(file_io)
    path = tmp_path / "x.parquet"
    file_io.save(pd.DataFrame({"x": range(5), "y": 0}), path)
    footer = pq.read_metadata(path)
    assert footer.num_row_groups == 3
    assert footer.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"compression": "foo"}, ValueError, r"'snappy', 'zstd', .*, not 'foo'"),
        ({"compression": None}, ValueError, "'none', not None"),
        ({"compression_level": 1}, ValueError, "'snappy' does not take the level 1"),
        ({"compression": "gzip", "compression_level": 11}, ValueError, "'gzip' does not take the level 11"),
        ({"compression": "none", "compression_level": 1}, ValueError, "has no level"),
        ({"compression": "zstd", "compression_level": 2.5}, TypeError, "whole number or None, not 2.5"),
        ({"row_group_size": 0}, ValueError, "row_group_size has to be at least 1, not 0"),
        ({"row_group_size": -1}, ValueError, "at least 1, not -1"),
        ({"row_group_size": 2.5}, TypeError, "row_group_size has to be a whole number or None, not 2.5"),
        ({"row_group_size": True}, TypeError, "not True"),
        ({"use_dictionary": "x"}, TypeError, "a list of columns, not 'x'"),
        ({"use_dictionary": 1}, TypeError, "not 1"),
        ({"columns": "ab"}, TypeError, "columns has to be a list of labels, not 'ab'"),
        ({"filters": ("a", "<", 2)}, ValueError, r"lists of \(column, op, value\), not \('a', '<', 2\)"),
        ({"filters": [("a", "<")]}, ValueError, "lists of"),
        ({"filters": [("a", "~", 2)]}, ValueError, "lists of"),
        ({"filters": ["a < 2"]}, ValueError, "lists of"),
        ({"filters": []}, ValueError, "lists of"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_are_refused_at_once(options, error, message):
    with pytest.raises(error, match=message):
        ParquetFileIO(**options)


def test_columns_and_filters_choose_by_label_and_keep_the_index(round_trip, difference):
    some = round_trip(WIDE, loader=ParquetFileIO(columns=["period", "int"]))
    assert difference(some, WIDE[["period", "int"]]) is None
    rows = round_trip(WIDE, loader=ParquetFileIO(columns=["str"], filters=[("int", ">", 1)]))
    expected = WIDE[["str"]].iloc[1:]
    expected.index.freq = None
    assert difference(rows, expected) is None
    labels = pd.DataFrame([[1, 2, 3, 4]], columns=["a.b", "a", 0, "a"])
    assert difference(round_trip(labels, loader=ParquetFileIO(columns=[0, "a"])), labels[[0, "a"]]) is None
    assert list(round_trip(labels, loader=ParquetFileIO(filters=[(0, "==", 4)])).index) == []
    dotted = round_trip(labels, loader=ParquetFileIO(columns=["a.b"], filters=[[("a.b", "==", 1)], [(0, "==", 4)]]))
    assert difference(dotted, labels[["a.b"]]) is None
    table = round_trip(TABLE, loader=ParquetFileIO(columns=["codes", "a"]))
    assert difference(table, TABLE.select([5, 0, 1])) is None
    assert difference(round_trip(POLARS, loader=ParquetFileIO(columns=["enum"])), POLARS[["enum"]]) is None
    with pytest.raises(KeyError, match="no column 'z'"):
        round_trip(WIDE, loader=ParquetFileIO(columns=["z"]))


def test_filters_find_their_column_by_exact_type_and_never_guess(round_trip):
    twins = pd.DataFrame([[1, 10], [10, 1]], columns=pd.Index([1, True], dtype=object))
    assert list(round_trip(twins, loader=ParquetFileIO(filters=[(1, "==", 1)])).index) == [0]
    assert list(round_trip(twins, loader=ParquetFileIO(filters=[[1, "==", 1]])).index) == [0]
    assert round_trip(twins, loader=ParquetFileIO(filters=[(True, "==", 1)])).iloc[0, 0] == 10
    same = pd.DataFrame([[1, 10], [10, 1]], columns=["a", "a"])
    with pytest.raises(ValueError, match="'a' may mean each of 2 columns"):
        round_trip(same, loader=ParquetFileIO(filters=[("a", "==", 1)]))
    with pytest.raises(KeyError, match="no column 0 to filter by"):  # which pyarrow takes for a position
        round_trip(pd.DataFrame({"a": [1], "b": [2]}), loader=ParquetFileIO(filters=[(0, "==", 1)]))
    by_level = round_trip(WIDE, loader=ParquetFileIO(filters=[("when", ">", DAYS[0])]))
    assert list(by_level.index) == list(DAYS[1:])


def test_another_file_than_the_recorded_one_is_refused_by_its_sizes(tmp_path):
    path = tmp_path / "x.parquet"
    metadata = ParquetFileIO().save(pd.DataFrame({"x": range(5)}), path)
    pd.DataFrame({"x": [0] * 1_000_000}).to_parquet(path)
    with pytest.raises(ValueError, match="1000000 rows, the record says 5"):
        ParquetFileIO().load(path, metadata=metadata)


def test_options_can_be_given_to_one_save_or_load(tmp_path):
    path = tmp_path / "x.parquet"
    file_io = ParquetFileIO()
    file_io.save(pd.DataFrame({"x": range(5), "y": 0}), path, row_group_size=2)
    assert pq.read_metadata(path).num_row_groups == 3
    assert list(file_io.load(path, columns=["y"]).columns) == ["y"]
    with pytest.raises(TypeError, match="colums"):
        file_io.load(path, colums=["y"])


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    for file_io in (ParquetFileIO(), FeatherFileIO(), FeatherFileIO(memory_map=False), CsvFileIO()):
        with pytest.raises(FileNotFoundError):
            file_io.load(tmp_path / "missing")


def test_declined_dtypes_name_the_column_in_the_error(tmp_path):
    with pytest.raises(FidelityError) as caught:
        ParquetFileIO().save(pd.DataFrame({"good": [1], "bad": [1j]}), tmp_path / "x")
    assert (caught.value.where, caught.value.format) == ("bad", "parquet")


def test_more_categories_than_a_footer_holds_are_declined(round_trip, difference):
    words = pa.array([f"{i:01000d}" for i in range(60_000)])
    table = pa.table({"words": pa.DictionaryArray.from_arrays(pa.array([0, 59_999]), words)})
    with pytest.raises(FidelityError, match=r"words.*too many"):
        round_trip(table)
    several = pa.table({str(i): pa.DictionaryArray.from_arrays(pa.array([i]), words[:30_000]) for i in range(2)})
    with pytest.raises(FidelityError, match="do not fit into a footer"):
        round_trip(several)
    few = pa.table({"words": pa.DictionaryArray.from_arrays(pa.array([0, 29_999]), words[:30_000])})
    assert difference(few, round_trip(few)) is None
