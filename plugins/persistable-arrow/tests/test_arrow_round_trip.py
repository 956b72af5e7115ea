"""Random frames come back equal or are declined, never changed, by every format."""

from __future__ import annotations

import datetime
import json
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from persistable.exceptions import FidelityError
from persistable_arrow import CsvFileIO, FeatherFileIO, ParquetFileIO

FORMATS = {  # one of these at random, for each frame
    "parquet": [ParquetFileIO(), ParquetFileIO(row_group_size=3, compression="zstd")],
    "feather": [FeatherFileIO(), FeatherFileIO(compression="lz4", memory_map=False)],
    "csv": [CsvFileIO()],
}
EXAMPLES = {"pandas": 250, "pyarrow": 150, "polars": 100}

TEXT = st.text(max_size=4) | st.sampled_from(["", "NA", "nan", "null", '"', "a,b", "x\ny", "\r", "ü", "\0", " "])
INTS = st.integers(-(2**63), 2**63 - 1)
DATES = st.dates()
DAYS = st.integers(-100_000, 1_000_000)
ZONES = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "+05:30"])
UNITS = st.sampled_from(["s", "ms", "us", "ns"])


def sized(strategy, n):
    return st.lists(strategy, min_size=n, max_size=n)


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@st.composite
def times(draw, n, unit=None, missing=True):
    unit = unit or draw(UNITS)
    numbers = draw(sized(st.integers(-(10**9), 10**9) | st.integers(-(2**62), 2**62), n))
    values = np.array(numbers, dtype="i8").view(f"M8[{unit}]")
    if missing and n and draw(st.booleans()):
        values[0] = np.datetime64("NaT")
    return values


@st.composite
def columns(draw, n):
    """Draw one pandas column of n rows: numpy, extension, categorical or object."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    return KINDS[kind](draw, n)


def _categorical(draw, n):
    pool = draw(
        st.sampled_from(
            [["b", "a", "", "NA"], [3, 1, 2], [1.5, -1.0], [True, False], ["a", 1], [("x", 1), ("y",)], [b"a", b"b"]]
        )
    )
    pool = pd.Index(pool, tupleize_cols=False) if draw(st.booleans()) else pd.Index(objects(pool), dtype=object)
    codes = draw(sized(st.integers(-1, len(pool) - 1), n))
    return pd.Categorical.from_codes(codes, categories=pool, ordered=draw(st.booleans()))


CELLS = st.one_of(
    TEXT,
    INTS,
    st.none(),
    st.just(float("nan")),
    st.just(pd.NA),
    st.booleans(),
    st.binary(max_size=3),
    st.floats(),
    DATES,
    st.lists(st.integers(0, 3), max_size=2),
    st.tuples(st.integers(0, 3)),
    st.dictionaries(TEXT, st.integers(0, 3), max_size=2),
    st.decimals(allow_nan=False, places=2, min_value=-9, max_value=9),
    st.sets(st.integers(0, 3), max_size=2),
)
CELL_KINDS = [TEXT, st.binary(max_size=3), st.booleans(), INTS, st.floats(), DATES, st.integers(), CELLS]


def _objects(draw, n):
    cells = draw(st.sampled_from(CELL_KINDS))
    gap = draw(st.sampled_from([None, float("nan"), pd.NA, pd.NaT]))
    gap = draw(st.sampled_from([st.just(gap), st.nothing()]))
    return objects(draw(sized(cells | gap, n)))


def _interval(draw, n):
    left = draw(sized(st.integers(-5, 5), n))
    return pd.arrays.IntervalArray.from_arrays(
        left, [x + 1 for x in left], closed=draw(st.sampled_from(["left", "both"]))
    )


def _masked(draw, n):
    dtype, values = draw(
        st.sampled_from(
            [
                ("Int64", INTS),
                ("UInt8", st.integers(0, 255)),
                ("Float64", st.floats()),
                ("Float32", st.floats(width=32)),
                ("boolean", st.booleans()),
            ]
        )
    )
    drawn = draw(sized(values | st.none(), n))
    missing = np.array([value is None for value in drawn], dtype=bool)
    dtype = pd.api.types.pandas_dtype(dtype)
    filled = np.array([dtype.type(0) if value is None else value for value in drawn], dtype=dtype.numpy_dtype)
    return dtype.construct_array_type()(filled, missing)  # pd.array would make NaN missing


def _arrow(draw, n):
    data_type, values = draw(
        st.sampled_from(
            [
                (pa.string(), TEXT),
                (pa.int8(), st.integers(-128, 127)),
                (pa.list_(pa.string()), st.lists(TEXT, max_size=2)),
                (pa.float64(), st.floats()),
                (pa.binary(), st.binary(max_size=3)),
                (pa.date32(), DATES),
                (pa.decimal128(9, 2), st.decimals(places=2, min_value=-9, max_value=9)),
                (pa.struct([("a", pa.int8())]), st.fixed_dictionaries({"a": st.none() | st.integers(0, 3)})),
            ]
        )
    )
    return pd.arrays.ArrowExtensionArray(pa.array(draw(sized(values | st.none(), n)), data_type))


KINDS = {
    "int": lambda draw, n: np.array(draw(sized(INTS, n)), dtype="i8"),
    "small": lambda draw, n: np.array(
        draw(sized(st.integers(0, 100), n)), dtype=draw(st.sampled_from(["i1", "u2", "u8", ">i4"]))
    ),
    "float": lambda draw, n: np.array(draw(sized(st.floats(), n)), dtype="f8"),
    "single": lambda draw, n: np.array(draw(sized(st.floats(width=32), n)), dtype="f4"),
    "half": lambda draw, n: np.array(draw(sized(st.floats(width=16), n)), dtype="f2"),
    "complex": lambda draw, n: np.array(draw(sized(st.complex_numbers(), n)), dtype="c16"),
    "bool": lambda draw, n: np.array(draw(sized(st.booleans(), n)), dtype=bool),
    "time": lambda draw, n: draw(times(n)),
    "zone": lambda draw, n: pd.DatetimeIndex(draw(times(n))).tz_localize("UTC").tz_convert(draw(ZONES)).array,
    "delta": lambda draw, n: np.array(draw(sized(st.integers(-(2**62), 2**62), n)), dtype="i8").view(
        f"m8[{draw(UNITS)}]"
    ),
    "str": lambda draw, n: pd.array(draw(sized(TEXT | st.none(), n)), dtype="str"),
    "string": lambda draw, n: pd.array(
        draw(sized(TEXT | st.none(), n)), dtype=draw(st.sampled_from(["string[python]", "string[pyarrow]"]))
    ),
    "object": _objects,
    "words": lambda draw, n: objects(draw(sized(TEXT, n))),
    "categorical": _categorical,
    "period": lambda draw, n: (
        pd.PeriodIndex.from_ordinals(draw(sized(DAYS, n)), freq=draw(st.sampled_from(["D", "M", "2h"]))).array
    ),
    "interval": _interval,
    "masked": _masked,
    "arrow": _arrow,
    "sparse": lambda draw, n: pd.arrays.SparseArray(draw(sized(st.integers(0, 1), n))),
}
LABELS = st.one_of(
    TEXT, st.integers(-3, 3), st.none(), st.floats(), st.tuples(TEXT, st.integers(0, 2)), st.booleans(), DATES
)


@st.composite
def indexes(draw, n):
    kind = draw(st.sampled_from(["range", "range", "column", "multi", "freq"]))
    if kind == "range":
        start, step = draw(st.integers(-3, 3)), draw(st.sampled_from([1, 2, -1]))
        return pd.RangeIndex(start, start + n * step, step, name=draw(LABELS))
    if kind == "freq":
        freq = draw(st.sampled_from(["D", "ME", "2h", "W-MON", "15min"]))
        return pd.date_range("2020-01-31", periods=n, freq=freq, tz=draw(st.none() | ZONES))
    arrays = [draw(columns(n)) for _ in range(1 if kind == "column" else 2)]
    try:
        if kind == "column":
            return pd.Index(arrays[0], dtype=arrays[0].dtype, name=draw(LABELS), tupleize_cols=False)
        levels = [pd.Index(array, dtype=array.dtype, tupleize_cols=False) for array in arrays]
        return pd.MultiIndex.from_arrays(levels, names=draw(sized(LABELS, 2)))
    except (TypeError, ValueError, NotImplementedError, pa.ArrowException):
        return pd.RangeIndex(n)


@st.composite
def pandas_frames(draw):
    rows, width = draw(st.integers(0, 5)), draw(st.integers(0, 4))
    drawn = [draw(columns(rows)) for _ in range(width)]
    # with the dtype, or pandas infers another one from objects
    frame = pd.DataFrame({i: pd.Series(x, dtype=x.dtype) for i, x in enumerate(drawn)}, index=pd.RangeIndex(rows))
    frame.index = draw(indexes(rows))
    if draw(st.booleans()):
        frame.columns = pd.Index(objects(draw(sized(LABELS, width))), dtype=object, tupleize_cols=False)
    elif draw(st.booleans()):
        frame.columns = pd.Index([f"c{i}" for i in range(width)], name=draw(LABELS))
    frame.attrs = draw(st.dictionaries(TEXT, LABELS | st.lists(LABELS, max_size=2), max_size=2))
    return frame


ARROW_COLUMNS = [
    (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.string(), TEXT),
    (pa.large_string(), TEXT),
    (pa.binary(), st.binary(max_size=3)),
    (pa.bool_(), st.booleans()),
    (pa.null(), st.none()),
    (pa.timestamp("s"), DAYS),
    (pa.timestamp("ns", "Europe/Paris"), INTS),
    (pa.timestamp("us", "UTC"), INTS),
    (pa.date32(), DATES),
    (pa.date64(), DATES),
    (pa.time32("s"), st.integers(0, 86399)),
    (pa.time64("ns"), st.integers(0, 86_399_999_999_999)),
    (pa.duration("ms"), INTS),
    (pa.decimal128(7, 2), st.decimals(places=2, min_value=-999, max_value=999)),
    (pa.decimal256(50, 2), st.decimals(places=2, min_value=-999, max_value=999)),
    (pa.dictionary(pa.int8(), pa.string()), TEXT),
    (pa.dictionary(pa.int32(), pa.int64()), st.integers(-3, 3)),
    (pa.list_(pa.int8()), st.lists(st.none() | st.integers(-3, 3), max_size=3)),
    (pa.large_list(pa.list_(pa.string())), st.lists(st.none() | st.lists(TEXT, max_size=2), max_size=2)),
    (pa.list_(pa.int8(), 2), st.tuples(st.integers(-3, 3), st.none() | st.integers(-3, 3)).map(list)),
    (
        pa.struct([("a", pa.string()), ("b", pa.list_(pa.float64()))]),
        st.fixed_dictionaries({"a": st.none() | TEXT, "b": st.none() | st.lists(st.floats(), max_size=2)}),
    ),
    (pa.map_(pa.string(), pa.int8()), st.lists(st.tuples(TEXT, st.none() | st.integers(0, 3)), max_size=2)),
    (pa.list_(pa.struct([("x", pa.int8())])), st.lists(st.fixed_dictionaries({"x": st.none() | st.integers(0, 3)}))),
    (pa.month_day_nano_interval(), st.none()),
    (pa.binary(2), st.binary(min_size=2, max_size=2)),
]


@st.composite
def arrow_tables(draw):
    rows = draw(st.integers(0, 6))
    chosen = draw(st.lists(st.sampled_from(ARROW_COLUMNS), max_size=4))
    fields, arrays = [], []
    for data_type, values in chosen:
        array = pa.array(draw(sized(values | st.none(), rows)), data_type)
        cut = draw(st.integers(0, rows))
        arrays.append(pa.chunked_array([array[:cut], array[cut:]], data_type))
        metadata = draw(
            st.none() | st.dictionaries(st.sampled_from(["k", "unit"]), TEXT.filter(lambda s: "\0" not in s))
        )
        fields.append(pa.field(draw(TEXT), data_type, metadata=metadata))
    metadata = draw(st.none() | st.dictionaries(st.sampled_from(["persistable", "pandas", "x"]), st.just("y")))
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))
    return table.slice(draw(st.integers(0, 2))) if draw(st.booleans()) else table


POLARS_COLUMNS = [
    (pl.Int64, INTS),
    (pl.UInt8, st.integers(0, 255)),
    (pl.Float32, st.floats(width=32)),
    (pl.Float64, st.floats()),
    (pl.String, TEXT),
    (pl.Binary, st.binary(max_size=3)),
    (pl.Boolean, st.booleans()),
    (pl.Null, st.none()),
    (pl.Date, DATES),
    (pl.Datetime("us"), st.datetimes()),
    (pl.Duration("ms"), st.integers(-(10**10), 10**10).map(lambda n: datetime.timedelta(milliseconds=n))),
    (pl.Time, st.times()),
    (pl.Categorical(), TEXT),
    (pl.Enum(["x", "", "NA"]), st.sampled_from(["x", "", "NA"])),
    (pl.Decimal(9, 2), st.decimals(places=2, min_value=-9, max_value=9).map(lambda d: Decimal(d))),
    (pl.List(pl.Int8), st.lists(st.none() | st.integers(0, 3), max_size=2)),
    (pl.Array(pl.Int8, 2), st.lists(st.none() | st.integers(0, 3), min_size=2, max_size=2)),
    (pl.Struct({"a": pl.String}), st.fixed_dictionaries({"a": st.none() | TEXT})),
    (pl.List(pl.Categorical()), st.lists(TEXT, max_size=2)),
    (pl.Int128, st.integers(0, 3)),
]


@st.composite
def polars_frames(draw):
    rows = draw(st.integers(0, 5))
    names = draw(st.lists(TEXT, max_size=4, unique=True))
    series = []
    for name in names:
        dtype, values = draw(st.sampled_from(POLARS_COLUMNS))
        series.append(pl.Series(name, draw(sized(values | st.none(), rows)), dtype=dtype))
    return pl.DataFrame(series)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("library", EXAMPLES)
def test_frames_come_back_equal_or_are_declined(format_name, library, difference):
    frames = {"pandas": pandas_frames(), "pyarrow": arrow_tables(), "polars": polars_frames()}[library]

    @settings(
        max_examples=EXAMPLES[library],
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(frame=frames, file_io=st.sampled_from(FORMATS[format_name]))
    def check(frame, file_io):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"x{file_io.suffix}"
            try:
                metadata = json.loads(json.dumps(file_io.save(frame, path)))
            except FidelityError as error:
                counts["declined"] += 1
                event(f"declined: {error.reason[:60]}")
                return
            counts["equal"] += 1
            assert difference(frame, file_io.load(path, metadata=metadata)) is None

    counts = {"equal": 0, "declined": 0}
    check()
    assert counts["equal"] >= 10, counts
