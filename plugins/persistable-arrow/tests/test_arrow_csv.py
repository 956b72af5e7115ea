"""The format csv: exact dtypes by the record, a text that others understand, what is declined."""

from __future__ import annotations

import csv
import datetime
import json
import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from persistable.exceptions import FidelityError
from persistable_arrow import CsvFileIO


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a folder" / "x.csv"


@pytest.fixture
def round_trip(path):
    def run(payload):
        metadata = json.loads(json.dumps(CsvFileIO().save(payload, path)))
        return CsvFileIO().load(path, metadata=metadata)

    return run


FRAME = pd.DataFrame(
    {
        "text": ["", None, "NA", 'say "hi",\nplease'],
        "float": [0.1, np.nan, 5e-324, -np.inf],
        "single": np.array([0.1, 1e-45, 3.4e38, -0.0], "f4"),
        "int": [2**63 - 1, 0, -(2**63), 1],
        "bool": [True, False, True, False],
        "nullable": pd.array([1, None, 3, 4], dtype="Int8"),
        "zone": pd.to_datetime(["1890-01-01", None, "2020-07-01", "2020-01-01"]).tz_localize("Europe/Paris"),
        "kind": pd.Categorical(["b", None, "a", "b"], categories=["c", "b", "a"], ordered=True),
        "day": [datetime.date(1, 1, 1), None, datetime.date(9999, 12, 31), datetime.date(2020, 2, 29)],
        "delta": pd.to_timedelta([1, None, 3, 4], unit="us"),
        "period": pd.PeriodIndex(["2020-01", None, "2021-01", "1900-12"], freq="M"),
        "half": np.array([0.5, np.nan, 1, 2], "f2"),
    },
    index=pd.Index(["w", "x", "y", "z"], name="id"),
)


def test_dtypes_and_values_come_back_exactly(round_trip, difference):
    assert difference(FRAME, round_trip(FRAME)) is None
    assert difference(FRAME.iloc[:0], round_trip(FRAME.iloc[:0])) is None
    table = pa.table({"f": [1.0, None, float("nan")], "d": [Decimal("1.20"), None, Decimal("-3.00")]})
    assert difference(table, round_trip(table)) is None
    frame = pl.DataFrame({"f": [1.0, None, float("nan")], "c": pl.Series(["", None, "x"], dtype=pl.Categorical)})
    assert difference(frame, round_trip(frame)) is None


def test_a_column_of_nulls_keeps_its_rows(round_trip, difference):
    for frame in (
        pd.DataFrame({"x": [None, None]}),
        pd.DataFrame({"x": ["a", None, ""]}),
        pd.DataFrame({"": [np.nan]}),
    ):
        assert difference(frame, round_trip(frame)) is None


def test_rows_longer_than_a_block_and_many_slices_come_back(round_trip, difference):
    long = pd.DataFrame({"x": ["short", '"\n' * 1_500_000, None], "y": [1, 2, 3]})
    assert difference(long, round_trip(long)) is None
    many = pd.DataFrame({"x": np.arange(200_001), "s": [f"line\n{i}" for i in range(200_001)]})
    pd.testing.assert_frame_equal(round_trip(many), many)


def test_ordinary_readers_understand_the_file(path):
    CsvFileIO().save(FRAME, path)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", *FRAME.columns]
    assert rows[4][1] == 'say "hi",\nplease'
    assert rows[1][2] == "0.1"
    assert rows[3][7] == "2020-06-30 22:00:00.000000Z"
    read = pd.read_csv(path, index_col="id", keep_default_na=False, na_values={"float": [""]})
    assert list(read["text"]) == ["", "", "NA", 'say "hi",\nplease']
    np.testing.assert_array_equal(read["float"], FRAME["float"])
    assert list(read["int"]) == list(FRAME["int"])
    assert list(read["bool"]) == list(FRAME["bool"])
    assert pl.read_csv(path)["kind"].to_list() == ["b", None, "a", "b"]


def test_a_file_without_a_record_is_read_as_a_table(path):
    path.parent.mkdir()
    path.write_text("a,b\n1,x\n2,y\n")
    assert CsvFileIO().load(path).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.array([[1]]), "nested"),
        (pa.array([{"a": 1}]), "nested"),
        (pa.array([b"x"]), "no exact text for the type binary"),
        (pa.array(["x"], pa.string_view()), "no exact text"),
        (pa.array([Decimal(1)], pa.decimal256(50, 2)), "no exact text"),
        (pa.array([253402300800], pa.timestamp("s")), "year outside"),
        (pa.array([-62135596801], pa.timestamp("s")), "year outside"),
        (pa.array([2932897], pa.date32()), "year outside"),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))), "extension"),
        (pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), "nested"),
        (pa.DictionaryArray.from_arrays([0], [[1]]), "nested"),
        (pa.array([None], pa.month_day_nano_interval()), "no exact text"),
        (pa.DictionaryArray.from_arrays([0], pa.array(np.array([1.5], "f2"))), "dictionary of float16"),
    ],
    ids=lambda value: str(getattr(value, "type", value))[:30],
)
def test_what_csv_cannot_hold_is_declined_by_column(values, reason, round_trip):
    with pytest.raises(FidelityError, match=reason) as caught:
        round_trip(pa.table({"good": [1], "bad": values}))
    assert "bad" in str(caught.value)


def test_text_that_is_not_utf_8_is_declined_by_column(round_trip):
    offsets = {pa.string(): np.array([0, 2], "i4"), pa.large_string(): np.array([0, 2], "i8")}
    for data_type, bounds in offsets.items():
        invalid = pa.Array.from_buffers(data_type, 1, [None, pa.py_buffer(bounds.tobytes()), pa.py_buffer(b"\xff\xfe")])
        coded = pa.DictionaryArray.from_arrays(pa.array([0]), invalid, safe=False)
        extension = pd.arrays.ArrowExtensionArray(invalid)
        for payload in (pa.table({"bad": invalid}), pa.table({"bad": coded}), pd.DataFrame({"bad": extension})):
            with pytest.raises(FidelityError, match=r"bad: .*UTF8"):
                round_trip(payload)


def test_pandas_columns_that_csv_cannot_hold_are_declined_by_column(round_trip):
    for values, reason in (
        ([b"x"], "binary"),
        (pd.interval_range(0, 1), "nested"),
        ([[1]], "list"),
        (np.array([1j]), "complex"),
    ):
        with pytest.raises(FidelityError, match=reason):
            round_trip(pd.DataFrame({"good": [1], "bad": values}))
    with pytest.raises(FidelityError, match="without columns"):
        round_trip(pd.DataFrame())


def _words(count):
    return [f"word {i:07}" for i in range(count)]


@pytest.mark.parametrize(
    ("make", "column"),
    [
        (lambda n: pd.DataFrame({"good": pd.Categorical(["a"] * n), "bad": pd.Categorical(_words(n))}), "bad"),
        (lambda n: pd.DataFrame({"x": range(n)}, index=pd.CategoricalIndex(_words(n), name="bad")), "bad"),
        (lambda n: pd.DataFrame({"x": range(n)}, index=pd.MultiIndex.from_arrays([_words(n), [1] * n])), "level_0"),
        (lambda n: pd.DataFrame({"bad": pd.cut(range(n), n)}), "bad"),
        (lambda n: pl.DataFrame({"bad": pl.Series(_words(n), dtype=pl.Enum(_words(n)))}), "bad"),
        (lambda n: pa.table({"bad": pa.array(_words(n)).dictionary_encode()}), "bad"),
    ],
    ids=["column", "index", "level", "by text", "Enum", "table"],
)
def test_more_categories_than_a_record_should_hold_are_declined_by_column(make, column, path, difference):
    few = make(5_000)
    metadata = CsvFileIO().save(few, path)
    assert difference(few, CsvFileIO().load(path, metadata=metadata)) is None
    assert len(json.dumps(metadata)) < 1_100_000
    with pytest.raises(
        FidelityError, match=r"categories make \d+ bytes in the record, where csv keeps 1048576"
    ) as caught:
        CsvFileIO().save(make(60_000), path)
    assert column in caught.value.where


def test_categories_of_all_columns_count_together(path):
    frame = pd.DataFrame({f"c{i}": pd.Categorical(_words(15_000)) for i in range(3)})
    CsvFileIO().save(frame[["c0", "c1"]], path)
    with pytest.raises(FidelityError, match="c2: its categories"):
        CsvFileIO().save(frame, path)


def test_a_file_that_does_not_fit_its_record_is_refused(path):
    metadata = CsvFileIO().save(FRAME, path)
    text = path.read_bytes()
    path.write_bytes(text.replace(b"delta", b"dleta"))
    with pytest.raises(ValueError, match="other columns"):
        CsvFileIO().load(path, metadata=metadata)
    path.write_bytes(text[: text.rindex(b'"z"')])
    with pytest.raises(ValueError, match="number of rows"):
        CsvFileIO().load(path, metadata=metadata)


def test_options_are_shown_checked_and_picklable(path, difference):
    assert repr(pickle.loads(pickle.dumps(CsvFileIO(threads=1)))) == "CsvFileIO(threads=1)"
    metadata = CsvFileIO(threads=1).save(FRAME, path)
    assert difference(FRAME, CsvFileIO().load(path, metadata=metadata)) is None
    with pytest.raises(ValueError, match="threads"):
        CsvFileIO(threads=0)
    with pytest.raises(TypeError, match=r"threads has to be a whole number or None, not 1\.5"):
        CsvFileIO(threads=1.5)


def test_times_that_no_reader_parses_again_are_declined_and_their_neighbours_come_back(round_trip, difference):
    first = -(2**63 // 10**9) * 10**9  # the first whole second that nanoseconds hold
    for zone in (None, "UTC"):
        times = pa.array([first, 2**63 - 1, None], pa.timestamp("ns", zone))
        assert difference(pa.table({"t": times}), round_trip(pa.table({"t": times}))) is None
        early = pa.array([first - 1], pa.timestamp("ns", zone))
        for column in (early, early.dictionary_encode()):
            with pytest.raises(FidelityError, match="bad: a time within the first second"):
                round_trip(pa.table({"bad": column}))
    with pytest.raises(FidelityError, match="t: a time within the first second"):
        round_trip(pd.DataFrame({"t": pd.DatetimeIndex([pd.Timestamp.min])}))
