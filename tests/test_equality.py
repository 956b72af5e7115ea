"""Type-strict equality: what == calls the same may differ, and it is said where."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import pickle
import types
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from persistable import Registry
from persistable.testing import difference, param_digest, type_strict_equal


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = dataclasses.field(default=0, compare=False)


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x


class Mine(list[int]):
    """A list with more to it."""


def mine(note: str) -> Mine:
    made = Mine([1])
    made.note = note  # type: ignore[attr-defined]
    return made


class Vague:
    def __eq__(self, other: object) -> Any:
        raise ValueError("neither")

    __hash__ = None  # type: ignore[assignment]


BERLIN = timezone(timedelta(hours=1))
NAN = float("nan")


@pytest.mark.parametrize(
    ("left", "right", "where"),
    [
        (1, True, "payload is a int, not a bool"),
        (1, 1.0, "payload is a int, not a float"),
        (0.0, -0.0, "payload is 0.0, not -0.0"),
        (complex(0.0, 0.0), complex(0.0, -0.0), "payload is"),
        ("e\u0301", "é", "payload is"),
        (b"a", bytearray(b"a"), "payload is a bytes, not a bytearray"),
        ([1, 2], (1, 2), "payload is a list, not a tuple"),
        ([1, [2, 3.0]], [1, [2, 3]], "payload[1][1] is a float, not a int"),
        ([1], [1, 2], "payload has 1 items, not 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "payload has 1 keys, not 2"),
        ({1: "a"}, {True: "a"}, "payload key 1 is a int, not a bool"),
        ({"a": 1}, {"b": 1}, "payload has the key 'a', which the other has not"),
        ({"a": {"b": [None]}}, {"a": {"b": [0]}}, "payload['a']['b'][0] is a NoneType, not a int"),
        ({1, 2}, {1.0, 2}, "payload has the element 1, which the other has not"),
        ({1}, frozenset({1}), "payload is a set, not a frozenset"),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), "payload keys[0] is 'a', not 'b'"),
        (deque([1], 2), deque([1], 3), "payload.maxlen is 2, not 3"),
        (Counter("aab"), Counter("abb"), "payload['a'] is 2, not 1"),
        (mine("a"), mine("b"), "payload.note is 'a', not 'b'"),
        (Color.RED, Color.BLUE, "payload is"),
        (Point(1), Point(1.0), "payload.x is a int, not a float"),
        (Point(1, 2), Point(1, 3), "payload.y is 2, not 3"),
        (Slotted(1), Slotted(2), "payload.x is 1, not 2"),
        (types.SimpleNamespace(a=1), types.SimpleNamespace(a=1, b=2), "payload"),
        (object(), object(), "payload is a object, which cannot be compared"),
        (Vague(), Vague(), "payload"),
        (decimal.Decimal("1.0"), decimal.Decimal("1.00"), "payload is"),
        (datetime(2020, 1, 1, 12, tzinfo=UTC), datetime(2020, 1, 1, 13, tzinfo=BERLIN), "payload is"),
        (datetime(2020, 1, 1, fold=1), datetime(2020, 1, 1), "payload is"),
        (time(1, tzinfo=UTC), time(1), "payload is"),
        (range(3), range(0, 3, 2), "payload is"),
    ],
)
def test_payloads_that_differ_in_type_or_value_are_told_apart(left: Any, right: Any, where: str) -> None:
    """However alike ``==`` takes them; the sentence starts with the path to the place."""
    assert str(difference(left, right)).startswith(where)
    assert not type_strict_equal(left, right)
    assert not type_strict_equal(right, left)


def test_payloads_that_are_the_same_are_equal() -> None:
    """Every NaN equals every NaN, also as a key; order counts where the type says so; cycles end."""
    cycle: list[Any] = [1]
    cycle.append(cycle)
    other: list[Any] = [1]
    other.append(other)
    printed = Path("a/b")
    hash(printed), str(printed)  # which it keeps in private attributes
    for left, right in [
        (printed, Path("a/b")),
        (NAN, float("nan")),
        ([complex(NAN, 1)], [complex(float("nan"), 1)]),
        ({NAN: 1}, {float("nan"): 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({(1, "a"), (2, NAN)}, {(2, float("nan")), (1, "a")}),
        (decimal.Decimal("NaN"), decimal.Decimal("NaN")),
        (Point([1]), Point([1])),
        (cycle, other),
        (mine("a"), mine("a")),
        (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)),
    ]:
        assert difference(left, right) is None
        assert difference(right, left) is None


def test_arrays_are_compared_with_dtype_shape_and_objects() -> None:
    """numpy's own comparison is blind to most of these."""
    np = pytest.importorskip("numpy")
    pairs: Iterator[tuple[Any, Any]] = iter(
        [
            (np.zeros(2, "f4"), np.zeros(2, "f8")),
            (np.zeros(2, "<i4"), np.zeros(2, ">i4")),
            (np.zeros((1, 2)), np.zeros((2, 1))),
            (np.array([0.0]), np.array([-0.0])),
            (np.array([complex(1, 0.0)]), np.array([complex(1, -0.0)])),
            (np.array([[1], None], object), np.array([(1,), None], object)),
            (np.array([np.nan, 1]), np.array([np.nan, 2])),
            (np.array([1, None], object), np.array([True, None], object)),
            (np.float32(1), np.float64(1)),
            (np.float64(1), 1.0),
            (np.ma.masked_array([1, 2], [True, False]), np.ma.masked_array([1, 2], [False, False])),
            (np.array([(1, 0.0)], "i4,f4"), np.array([(1, -0.0)], "i4,f4")),
            (np.array(["NaT"], "M8[s]"), np.array(["2020"], "M8[s]")),
            (np.array([b"ab"], "V2"), np.array([b"ac"], "V2")),
            (np.dtype("i4"), np.dtype("u4")),
        ]
    )
    for left, right in pairs:
        assert difference(left, right) is not None, (left, right)
    for same in (
        np.array([np.nan, -0.0]),
        np.array(["NaT"], "M8[s]"),
        np.array([{"a": (1,)}], object),
        np.array([(1, np.nan)], "i4,f4"),
        np.ma.masked_array([1, 2], [True, False]),
        np.zeros((0, 3)),
        np.array([complex(np.nan, 1)]),
        np.float32("nan"),
    ):
        assert difference(same, pickle.loads(pickle.dumps(same))) is None


def test_frames_are_compared_inside_their_cells() -> None:
    """assert_frame_equal overlooks lists that became tuples, attrs, and names of axes."""
    pd = pytest.importorskip("pandas")

    def frame(**columns: Any) -> Any:
        return pd.DataFrame(columns)

    named = frame(a=[1])
    named.index.name = "i"
    noted = frame(a=[1])
    noted.attrs = {"a": 1}
    pairs = [
        (frame(a=[[1]]), frame(a=[(1,)])),
        (frame(a=[{"b": None}]), frame(a=[{}])),
        (pd.DataFrame({"a": [None, "x"]}, dtype=object), pd.DataFrame({"a": [float("nan"), "x"]}, dtype=object)),
        (frame(a=[1]), named),
        (frame(a=[1]), noted),
        (frame(a=[1]), frame(b=[1])),
        (frame(a=[1, 2]), pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1]))),
        (frame(a=[0.0]), frame(a=[-0.0])),
        (frame(a=pd.Categorical(["x"], ["x", "y"])), frame(a=pd.Categorical(["x"], ["y", "x"]))),
        (frame(a=pd.array([1], "Int64")), frame(a=pd.array([1], "Int32"))),
        (pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020-01-01 01:00", tz="Etc/GMT-1")),
        (pd.Series([1], name="a"), pd.Series([1], name="b")),
        (pd.MultiIndex.from_tuples([(1, "a")]), pd.MultiIndex.from_tuples([(1, "b")])),
        (pd.date_range("2020", periods=3), pd.DatetimeIndex(list(pd.date_range("2020", periods=3)), freq=None)),
    ]
    for left, right in pairs:
        assert difference(left, right) is not None, (left, right)
    times = pd.date_range("2020-03-29", periods=4, freq="h", tz="Europe/Berlin")
    for same in (
        frame(a=[[1], None, NAN], b=pd.array([1, None, 3], "Int64"), c=["x", None, ""]),
        frame(t=times, p=times.tz_localize(None).to_period("D"), i=pd.interval_range(0, 4)),
        frame(a=[1]).set_index(pd.MultiIndex.from_tuples([(1, pd.Timestamp("2020"))], names=["a", None])),
        pd.Timedelta("1s"),
    ):
        assert difference(same, pickle.loads(pickle.dumps(same))) is None


def test_arrow_and_polars_objects_are_compared_with_schema_and_nan() -> None:
    """pyarrow takes no NaN for equal, and polars no -0.0 for different."""
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    table = pa.table({"a": [1.0, NAN], "b": [[1], None]})
    assert difference(table, pa.table({"a": [1.0, NAN], "b": [[1], None]})) is None
    assert difference(pa.chunked_array([[1], [2]]), pa.chunked_array([[1, 2]])) is None
    for left, right in [
        (table, table.replace_schema_metadata({"a": "b"})),
        (pa.table({"a": [0.0]}), pa.table({"a": [-0.0]})),
        (pa.table({"a": [None]}), pa.table({"a": pa.array([None], pa.int8())})),
        (pa.array([1]), pa.array([1, 2])),
        (pa.scalar(1), pa.scalar(2)),
        (pa.schema([("a", pa.int8())]), pa.schema([("a", pa.int16())])),
        (pl.DataFrame({"a": [0.0]}), pl.DataFrame({"a": [-0.0]})),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]}, schema={"a": pl.Int8})),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1, 2]})),
        (pl.Series("a", [1]), pl.Series("b", [1])),
        (pl.LazyFrame({"a": [1]}), pl.LazyFrame({"a": [2]})),
    ]:
        assert difference(left, right) is not None, (left, right)
    frame = pl.DataFrame({"a": [1.0, NAN, None], "b": [[1], None, []]})
    assert difference(frame, frame.clone()) is None


def test_a_param_digest_is_of_the_encoding_alone() -> None:
    """It is the first half of the SHA-256 of canonical JSON."""
    import hashlib

    assert param_digest([1, "a"], Registry(discover=False)) == hashlib.sha256(b'[1,"a"]').hexdigest()[:32]
