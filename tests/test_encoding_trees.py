"""Random trees of values: no two different ones share a text, and no rebuilt one changes it."""

import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import struct
import uuid
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

import pytest

from persistable.canonical import canonical
from persistable.encoding import encode

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies


class Colour(enum.Enum):
    RED = 1
    GREEN = "1"


class Count(int):
    pass


@dataclass
class Node:
    left: object
    right: object = None


@dataclass(slots=True)
class Leaf:
    value: object


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.sampled_from([2**2048, 2**2048 - 1, -(2**2048), 10**900]),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf]),
    st.text(st.characters(), max_size=6),
    st.sampled_from(["", "$", "nan", "1", "null", "\ud83d\ude00", "\U0001f600", "\ud800", "\\ud800", "tuple", "items"]),
    st.binary(max_size=4),
    st.complex_numbers(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, places=2),
    st.fractions(max_denominator=5),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, datetime.UTC])),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([Colour.RED, Colour.GREEN, Count(1), ..., int, bool, len, range(3), slice(1)]),
    st.sampled_from(["a", "a/b"]).map(pathlib.Path),
    st.sampled_from(["a", "a/b"]).map(pathlib.PurePosixPath),
)
KEYS = st.one_of(
    st.sampled_from(["a", "b", "$", "$a", "items", "value"]),
    st.text(max_size=3),
    st.integers(-2, 2),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, width=16),
    st.tuples(st.integers(0, 2)),
    st.frozensets(st.integers(0, 3), max_size=2),
)


def tag_like(values):
    return st.fixed_dictionaries(
        {"$": st.sampled_from(["tuple", "dict", "set", "float", "int", "str", "bytes"])},
        optional={"items": st.lists(values, max_size=2), "value": values, "hex": st.just("61")},
    )


def inner(values):
    return st.one_of(
        st.lists(values, max_size=4),
        st.lists(st.integers(-1, 1), min_size=16, max_size=18),
        st.lists(values, max_size=4).map(tuple),
        st.lists(values, max_size=3).map(deque),
        st.dictionaries(KEYS, values, max_size=4),
        st.dictionaries(st.text(max_size=3), values, max_size=4),
        st.dictionaries(KEYS, values, max_size=3).map(OrderedDict),
        st.dictionaries(KEYS, st.integers(0, 2), max_size=3).map(Counter),
        tag_like(values),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.builds(Node, values, values),
        st.builds(Leaf, values),
    )


TREES = st.recursive(SCALARS, inner, max_leaves=12)


def strict(value):
    """Describe a value by exact types and contents, independently of the encoding: equal exactly if it is the same."""
    cls = type(value)
    if cls is float:
        return cls, "nan" if math.isnan(value) else struct.pack("<d", value)
    if cls is complex:
        return cls, struct.pack("<dd", value.real, value.imag)
    if cls in (list, tuple):
        return cls, tuple(map(strict, value))
    if cls is deque:
        return cls, value.maxlen, tuple(map(strict, value))
    if cls is OrderedDict:
        return cls, tuple((strict(key), strict(held)) for key, held in value.items())
    if cls in (dict, Counter):
        return cls, frozenset((strict(key), strict(held)) for key, held in value.items())
    if cls in (set, frozenset):
        return cls, frozenset(map(strict, value))
    if cls is Node:
        return cls, strict(value.left), strict(value.right)
    if cls is Leaf:
        return cls, strict(value.value)
    if cls is datetime.datetime:
        return cls, value.isoformat(), value.fold
    if cls in (slice, range):
        return cls, (value.start, value.stop, value.step)
    if cls is decimal.Decimal:
        return cls, value.as_tuple()
    if cls is type:
        return cls, value.__name__
    return cls, value


def rebuilt(value):
    """Build an equal value from new objects, containers without an order in the opposite one."""
    cls = type(value)
    if cls in (list, tuple, deque):
        return cls([rebuilt(part) for part in value])
    if cls in (dict, Counter):
        return cls({rebuilt(key): rebuilt(held) for key, held in reversed(value.items())})
    if cls is OrderedDict:
        return cls((rebuilt(key), rebuilt(held)) for key, held in value.items())
    if cls in (set, frozenset):
        return cls([rebuilt(part) for part in reversed(list(value))])
    if cls is Node:
        return Node(right=rebuilt(value.right), left=rebuilt(value.left))
    if cls is Leaf:
        return Leaf(rebuilt(value.value))
    if cls in (float, int, str, bytes) and value:
        return {float: lambda x: x * 1.0, int: lambda x: x + 1 - 1, str: lambda x: (x + "x")[:-1]}.get(cls, bytes)(
            value
        )
    return value


class Campaign:
    """What the trees seen so far were encoded as."""

    def __init__(self):
        self.seen = {}
        self.texts = set()

    def check(self, tree):
        text, what = encode(tree), strict(tree)
        assert encode(rebuilt(tree)) == text, "unstable"
        assert canonical(json.loads(text)) == text, "not canonical"
        assert self.seen.setdefault(text, what) == what, "collision"
        self.texts.add(what)
        assert len(self.texts) == len(self.seen), "two texts for one value"


def run(examples):
    campaign = Campaign()

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(st.lists(TREES, min_size=5, max_size=5))
    def each(trees):
        for tree in trees:
            campaign.check(tree)

    each()
    return campaign


def test_ten_thousand_random_trees_neither_collide_nor_change():
    """Equal text means the same value by type; an equal value built anew has the same text, which is canonical JSON."""
    assert len(run(2_000).seen) > 1_500


def test_the_check_would_notice():
    """The description of values that the campaign relies on tells apart what the tables of pairs tell apart."""
    pairs = [(1, True), (1, 1.0), (0.0, -0.0), ([1], (1,)), ({1: 2}, {True: 2}), ({1}, frozenset({1})), (Count(1), 1)]
    for one, other in pairs:
        assert strict(one) != strict(other)
    campaign = Campaign()
    campaign.check([1])
    campaign.seen["[1]"] = strict([2])
    with pytest.raises(AssertionError, match="collision"):
        campaign.check([1])


def test_uuid_and_fraction_leaves_are_among_the_trees():
    """The strategy is made of types whose equality is type-strict, as the check needs."""
    assert strict(uuid.UUID(int=1)) == strict(uuid.UUID(int=1))
    assert strict(fractions.Fraction(1)) != strict(1)
