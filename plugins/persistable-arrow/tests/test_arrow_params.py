"""Encodings of pandas, pyarrow and polars objects as params: stable, exact by type, blind to memory layout."""

from __future__ import annotations

import datetime
import hashlib
import importlib
import itertools
import json
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistable import Registry
from persistable.encoding import ParamEncoder, encode
from persistable.exceptions import UnkeyableParamError
from persistable_arrow.content import content_digest
from persistable_arrow.hooks import persistable_param_encoders

GOLDEN = json.loads((Path(__file__).parent / "arrow_golden_params.json").read_text())


def _resolve(public):
    module, _, name = public.rpartition(".")
    return vars(sys.modules[module]).get(name) if module in sys.modules else None


def _encoder(cls):
    for spec in persistable_param_encoders():
        if any(_resolve(declared) is cls for declared in spec.types):
            module, _, function = spec.encode.partition(":")
            return ParamEncoder(spec.name, spec.version, getattr(importlib.import_module(module), function))
    return None


def text_of(value):
    return encode(value, extend=_encoder)


def key_of(value):
    return hashlib.sha256(text_of(value).encode()).hexdigest()[:16]


FRAME = pd.DataFrame(
    {"i": [1, 2], "f": [0.5, np.nan], "s": ["a", None], "o": pd.Series([None, (1, "x")], dtype=object)},
    index=pd.DatetimeIndex(["2020-01-01", "2020-01-02"], tz="Europe/Paris", name="t").as_unit("ns"),
)
FRAME.attrs["unit"] = "m"
VALUES = {
    "frame": FRAME,
    "frame columns": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "frame empty": pd.DataFrame(),
    "series": pd.Series([1, 2, 3], name="x", dtype="i8"),
    "series int32": pd.Series([1, 2, 3], name="x", dtype="i4"),
    "series unnamed": pd.Series([1, 2, 3], dtype="i8"),
    "series index": pd.Series([1, 2, 3], name="x", index=[1, 2, 3], dtype="i8"),
    "series nullable": pd.Series([1, 2, None], name="x", dtype="Int64"),
    "series float": pd.Series([1, 2, None], name="x", dtype="f8"),
    "series boolean": pd.Series([True, None], dtype="boolean"),
    "series None": pd.Series(["a", None], dtype=object),
    "series nan": pd.Series(["a", float("nan")], dtype=object),
    "series NA": pd.Series(["a", pd.NA], dtype=object),
    "series str": pd.Series(["a", None], dtype="str"),
    "series string": pd.Series(["a", None], dtype="string[pyarrow]"),
    "series string python": pd.Series(["a", None], dtype="string[python]"),
    "series time ns": pd.Series(np.array([1, 2], "M8[ns]")),
    "series time us": pd.Series(np.array([1, 2], "M8[us]")),
    "series delta": pd.Series(np.array([1, 2], "m8[us]")),
    "series utc": pd.Series(np.array([1, 2], "M8[us]")).dt.tz_localize("UTC"),
    "series sparse": pd.Series(pd.arrays.SparseArray([0, 1])),
    "series arrow": pd.Series([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    "series category": pd.Series(["a", "b"]).astype("category"),
    "index": pd.Index([1, 2, 3]),
    "index range": pd.RangeIndex(1, 4),
    "index named": pd.Index([1, 2, 3], name=("a", 1)),
    "index str": pd.Index(["a", "b"]),
    "index object": pd.Index(["a", "b"], dtype=object),
    "index time": pd.DatetimeIndex(["2020-01-01", "2020-01-02"]).as_unit("ns"),
    "index freq": pd.date_range("2020-01-01", periods=2, freq="D", unit="ns"),
    "index delta": pd.TimedeltaIndex(np.array([1, 2], "m8[ns]")),
    "index period": pd.period_range("2020", periods=2, freq="M"),
    "index interval": pd.interval_range(0, 2),
    "index categorical": pd.CategoricalIndex(["a", "b"]),
    "index multi": pd.MultiIndex.from_tuples([(1, "a"), (2, None)], names=["x", None]),
    "Timestamp": pd.Timestamp("2020-01-01"),
    "Timestamp zone": pd.Timestamp("2020-01-01", tz="Europe/Paris"),
    "Timestamp utc": pd.Timestamp("2020-01-01", tz="UTC"),
    "Timedelta": pd.Timedelta("1h"),
    "Period": pd.Period("2020-01", "M"),
    "Period day": pd.Period("2020-01-01", "D"),
    "Interval": pd.Interval(0, 1),
    "Interval float": pd.Interval(0.0, 1.0),
    "Interval closed": pd.Interval(0, 1, closed="both"),
    "Interval time": pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021")),
    "Categorical": pd.Categorical(["a", "b", None]),
    "Categorical order": pd.Categorical(["a", "b", None], ordered=True),
    "Categorical unused": pd.Categorical(["a", "b", None], categories=["a", "b", "c"]),
    "Categorical object": pd.Categorical(["a", "b", None], categories=pd.Index(["a", "b"], dtype=object)),
    "array": pd.array([1, 2, None], dtype="Int64"),
    "CategoricalDtype": pd.CategoricalDtype(["a"]),
    "CategoricalDtype open": pd.CategoricalDtype(),
    "DatetimeTZDtype": pd.DatetimeTZDtype("ns", "UTC"),
    "PeriodDtype": pd.PeriodDtype("M"),
    "IntervalDtype": pd.IntervalDtype("int64", "left"),
    "SparseDtype": pd.SparseDtype("f8"),
    "StringDtype": pd.StringDtype("python"),
    "Int64Dtype": pd.Int64Dtype(),
    "BooleanDtype": pd.BooleanDtype(),
    "ArrowDtype": pd.ArrowDtype(pa.string()),
    "NaT": pd.NaT,
    "NA": pd.NA,
    "pa table": pa.table({"x": [1, None], "y": ["a", "b"]}),
    "pa table metadata": pa.table({"x": [1, None], "y": ["a", "b"]}).replace_schema_metadata({"k": "v"}),
    "pa batch": pa.record_batch({"x": [1, None], "y": ["a", "b"]}),
    "pa int64": pa.array([1, None, 3]),
    "pa int32": pa.array([1, None, 3], pa.int32()),
    "pa zero": pa.array([1, 0, 3]),
    "pa float": pa.array([0.0, None, float("nan")]),
    "pa minus zero": pa.array([-0.0, None, float("nan")]),
    "pa half": pa.array([0.5, None], pa.float16()),
    "pa bool": pa.array([True, None, False]),
    "pa null": pa.nulls(2),
    "pa string": pa.array(["a", None, ""]),
    "pa large string": pa.array(["a", None, ""], pa.large_string()),
    "pa string view": pa.array(["a", None, ""], pa.string_view()),
    "pa binary": pa.array([b"a", None, b""]),
    "pa fixed": pa.array([b"ab", None], pa.binary(2)),
    "pa decimal": pa.array([Decimal("1.20"), None], pa.decimal128(5, 2)),
    "pa date": pa.array([datetime.date(2020, 1, 1), None]),
    "pa time": pa.array([1, None], pa.time64("us")),
    "pa duration": pa.array([1, None], pa.duration("us")),
    "pa timestamp": pa.array([1, None], pa.timestamp("us")),
    "pa timestamp zone": pa.array([1, None], pa.timestamp("us", "UTC")),
    "pa list": pa.array([[1], None, []]),
    "pa list nulls": pa.array([[1], [], None]),
    "pa list split": pa.array([["a"], ["b"]]),
    "pa list together": pa.array([["a", "b"], []]),
    "pa pair": pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
    "pa struct": pa.array([{"a": 1}, None]),
    "pa struct null inside": pa.array([{"a": 1}, {"a": None}]),
    "pa map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())),
    "pa dictionary": pa.array(["a", "b"]).dictionary_encode(),
    "pa dictionary ordered": pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), ["a", "b"], ordered=True),
    "pa chunked": pa.chunked_array([[1, None, 3]]),
    "pa scalar": pa.scalar(1),
    "pa scalar null": pa.scalar(None, pa.int64()),
    "pa type": pa.int64(),
    "pa type list": pa.list_(pa.int64()),
    "pa type struct": pa.struct([("a", pa.int8())]),
    "pa type zone": pa.timestamp("us", "UTC"),
    "pa schema": pa.schema([("a", pa.int8())]),
    "pa schema required": pa.schema([pa.field("a", pa.int8(), nullable=False)]),
    "pa field": pa.field("a", pa.int8()),
    "pl frame": pl.DataFrame({"x": [1, None], "y": ["a", "b"]}),
    "pl series": pl.Series("x", [1, None]),
    "pl series renamed": pl.Series("y", [1, None]),
    "pl series small": pl.Series("x", [1, None], dtype=pl.Int8),
    "pl categorical": pl.Series("x", ["a", None], dtype=pl.Categorical),
    "pl enum": pl.Series("x", ["a", None], dtype=pl.Enum(["a", "b"])),
    "pl list": pl.Series("x", [[1], None]),
    "pl datetime": pl.Series("x", [datetime.datetime(2020, 1, 1)]),
    "pl dtype": pl.Datetime("us", "UTC"),
    "pl dtype int": pl.Int64(),
    "pl dtype struct": pl.Struct({"a": pl.Int8}),
}


@pytest.mark.parametrize("name", VALUES)
def test_keys_are_pinned(name):
    assert key_of(VALUES[name]) == GOLDEN[name]


def test_no_two_values_share_a_key():
    by_key = {}
    for name, value in VALUES.items():
        by_key.setdefault(key_of(value), []).append(name)
    assert [names for names in by_key.values() if len(names) > 1] == []
    assert len(set(GOLDEN)) == len(VALUES)


def test_layout_in_memory_makes_no_difference():
    plain = pa.array(["a", None, "ü", "", "b"])
    padded = pa.concat_arrays([pa.array(["zz"]), plain, pa.array(["zz"])]).slice(1, 5)
    assert key_of(plain) == key_of(padded)
    assert key_of(pa.chunked_array([plain])) == key_of(pa.chunked_array([plain[:2], plain[2:2], plain[2:]]))
    table = pa.table({"x": plain})
    assert key_of(table) == key_of(pa.concat_tables([table[:1], table[1:]]))
    garbage = pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([1, 9, 3]))])
    assert key_of(garbage) == key_of(pa.array([1, None, 3]))
    nan = pa.array(np.array([0x7FF8000000000001], "u8").view("f8"))
    assert key_of(nan) == key_of(pa.array([float("nan")]))
    renamed = pa.list_(pa.field("element", pa.int64()))
    assert key_of(renamed) == key_of(pa.list_(pa.int64()))
    one, other = (
        pa.DictionaryArray.from_arrays(pa.array(i, pa.int32()), d) for i, d in (([0, 1], "ab"), ([1, 0], "ba"))
    )
    assert key_of(one) == key_of(other)

    frame = pd.DataFrame(np.arange(6).reshape(2, 3), columns=list("abc"))
    apart = pd.DataFrame({"a": [0, 3], "b": [1, 4], "c": [2, 5]})
    assert key_of(frame) == key_of(apart)
    assert key_of(frame[::-1][::-1].reset_index(drop=True)) == key_of(frame)
    index = pd.MultiIndex.from_product([[1, 2], ["x", "y"]])
    assert key_of(index[:2]) == key_of(pd.MultiIndex.from_tuples([(1, "x"), (1, "y")]))
    assert key_of(pd.Timestamp("2020").as_unit("s")) == key_of(pd.Timestamp("2020").as_unit("ns"))
    strings = pd.Series(["a", None, "b"] * 3, dtype="str")
    assert key_of(pd.concat([strings[:2], strings[2:]])) == key_of(strings)

    series = pl.Series("x", ["a", None, "b"])
    assert key_of(pl.concat([series[:1], series[1:]], rechunk=False)) == key_of(series)
    assert key_of(pl.Series("x", ["z", "a"], dtype=pl.Categorical)[1:]) == key_of(
        pl.Series("x", ["a"], dtype=pl.Categorical)
    )


STRUCTS = {"a": st.none() | st.integers(0, 3), "b": st.none() | st.binary(max_size=2)}
NESTED = st.one_of(
    st.lists(st.none() | st.lists(st.none() | st.text(max_size=2), max_size=3)).map(
        lambda rows: pa.array(rows, pa.list_(pa.string()))
    ),
    st.lists(st.none() | st.fixed_dictionaries(STRUCTS)).map(
        lambda rows: pa.array(rows, pa.struct([("a", pa.int8()), ("b", pa.binary())]))
    ),
    st.lists(st.none() | st.lists(st.tuples(st.text(max_size=1), st.none() | st.floats()), max_size=2)).map(
        lambda rows: pa.array(rows, pa.map_(pa.string(), pa.float64()))
    ),
    st.lists(st.none() | st.lists(st.none() | st.booleans(), min_size=2, max_size=2)).map(
        lambda rows: pa.array(rows, pa.list_(pa.bool_(), 2))
    ),
)


@settings(max_examples=150, deadline=None, database=None)
@given(array=NESTED, data=st.data())
def test_a_digest_depends_on_values_alone(array, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(array)), max_size=3)))
    bounds = itertools.pairwise([0, *cuts, len(array)])
    chunked = pa.chunked_array([array[a:b] for a, b in bounds], array.type)
    assert content_digest(chunked) == content_digest(array)
    start = data.draw(st.integers(0, len(array)))
    rebuilt = pa.array(array[start:].to_pylist(), array.type)
    assert content_digest(array[start:]) == content_digest(rebuilt)
    if len(array) > start:
        assert content_digest(array[start + 1 :]) != content_digest(rebuilt)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (pl.LazyFrame({"x": [1]}), "collect"),
        (pl.Series([object()], dtype=pl.Object), "Object"),
        (pa.array([b"0" * 16], pa.binary(16)).cast(pa.uuid()), "extension type|no encoding|implemented in C"),
        (pa.RunEndEncodedArray.from_arrays([1], ["a"]), "canonical form|no encoding|implemented in C"),
        (pa.table({"x": pa.RunEndEncodedArray.from_arrays([1], ["a"])}), "canonical form"),
        (pd.Timestamp("2020", tz=datetime.timezone(datetime.timedelta(1 / 24), "mine")), "time zone"),
    ],
    ids=["LazyFrame", "Object", "uuid", "REE", "REE table", "zone"],
)
def test_what_has_no_exact_encoding_is_refused_with_the_reason(value, reason):
    with pytest.raises((TypeError, UnkeyableParamError), match=reason):
        text_of(value)


ODD = pd.Series([None, object()], dtype=object)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ODD}), "['b'].iloc[1]"),
        (pd.DataFrame({("x", "y"): ODD}), "[('x', 'y')].iloc[1]"),
        (pd.DataFrame({"a": [None, [0, {"k": object()}]]}), "['a'].iloc[1][1]['k']"),
        (pd.DataFrame({"a": [0, 0]}, index=pd.Index(ODD)), ".index[1]"),
        (pd.DataFrame([[0, 0]], columns=pd.Index(ODD)), ".columns[1]"),
        (pd.DataFrame({"a": [None, pd.Series(ODD)]}), "['a'].iloc[1].iloc[1]"),
        (pd.Series(ODD), ".iloc[1]"),
        (pd.Series([0, 0], index=pd.Index(ODD)), ".index[1]"),
        (pd.Index(ODD), "[1]"),
        (pd.MultiIndex.from_arrays([[0, 1], ODD]), ".get_level_values(1)[1]"),
        (ODD.array, "[1]"),
    ],
)
def test_cells_without_an_encoding_are_refused_by_column_and_row(value, path):
    with pytest.raises(UnkeyableParamError) as caught:
        encode(value, path="params.frame", extend=Registry().param_encoder)
    assert caught.value.path == f"params.frame{path}"


def test_chunks_with_dictionaries_of_float16_are_refused_and_not_confused():
    """pyarrow takes the bits of a half for a number when it makes one dictionary of several."""
    chunks = [
        pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([np.float16(value)])) for value in (1, 1.0009765625)
    ]
    lists = [pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), chunk) for chunk in chunks]
    for several in (chunks, lists):
        with pytest.raises(TypeError, match="dictionary of float16"):
            content_digest(pa.chunked_array(several))
    assert content_digest(chunks[0]) != content_digest(chunks[1])
