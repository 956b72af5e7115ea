"""The canonical encoding of builtins, the standard library's values, and instances of Python classes."""

import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import json
import math
import operator
import os
import pathlib
import re
import struct
import subprocess
import sys
import time
import types
import typing
import uuid
import zoneinfo
from dataclasses import dataclass, field

import pytest

from persistable.canonical import canonical
from persistable.encoding import ParamEncoder, encode
from persistable.exceptions import UnkeyableParamError
from persistable.params import PersistableParams, param

UTC = dt.UTC


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Paint(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Metre(float):
    pass


class Foot(float):
    pass


class Count(int):
    pass


class Tagged(list):
    def __init__(self, values, tag=None):
        super().__init__(values)
        if tag is not None:
            self.tag = tag


class Slotted(tuple):
    __slots__ = ()


class LyingInt(int):
    def __repr__(self):
        return "1"

    def __lt__(self, other):
        return True


class AttrDict(dict):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.__dict__ = self


class Text(str):
    __slots__ = ("lang",)


class Point(typing.NamedTuple):
    x: int
    y: int


class Vector(typing.NamedTuple):
    x: int
    y: int


@dataclass
class Model:
    depth: int
    name: str = "a"


@dataclass
class OtherModel:
    depth: int
    name: str = "a"


@dataclass(slots=True)
class SlotModel:
    depth: int


@dataclass
class Hidden:
    shown: int
    quiet: int = field(default=0, repr=False)
    late: int = field(default=0, init=False)
    apart: int = field(default=0, compare=False)


@dataclass
class Box(typing.Generic[typing.TypeVar("T")]):
    value: object


@dataclass
class Cached:
    n: int

    @functools.cached_property
    def square(self):
        return self.n**2


@dataclass
class DictModel(dict):
    n: int = 0


@dataclass
class Noted:
    n: int
    note: str = param(default="", tracked=False)
    later: int = param(default=2, absent_means=1)


class Own:
    def __init__(self, value):
        self.value = value

    def __persistable_params__(self):
        return self.value


class OwnToo(Own):
    pass


class OwnFloat(float):
    def __persistable_params__(self):
        return round(self)


def late(model, value):
    model.late = value
    return model


def extra(instance, **attributes):
    for name, value in attributes.items():
        setattr(instance, name, value)
    return instance


def text(value, lang):
    made = Text(value)
    made.lang = lang
    return made


def use(value):
    if isinstance(value, Cached):
        assert value.square == value.n**2
    return value


def default_dict(factory, **items):
    return collections.defaultdict(factory, **items)


NAN2 = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000001))[0]
FOLD = dt.datetime(2020, 10, 25, 2, 30)
WIDE = 1 << 2048

DIFFERENT = [
    # JSON's natives, by exact type
    (1, 1.0),
    (1, True),
    (0, False),
    (1, "1"),
    (None, "null"),
    (None, False),
    (None, "None"),
    ("", None),
    (0, ""),
    (0.0, -0.0),
    (0, 0.0),
    (float("nan"), "nan"),
    (float("nan"), None),
    (math.inf, -math.inf),
    (math.inf, "inf"),
    (0.1, 0.1 + 2**-56),
    (10**22, 1e22),
    (2**53, 2**53 + 1),
    ("é", "e\u0301"),
    ("a", "A"),
    ("a", b"a"),
    ("\ud83d\ude00", "\U0001f600"),
    (["x"] * 20 + ["\ud83d\ude00"], ["x"] * 20 + ["\U0001f600"]),
    ("\\ud800", "\ud800"),
    ({"\ud83d\ude00": 1}, {"\U0001f600": 1}),
    (WIDE, WIDE + 1),
    (WIDE, -WIDE),
    (WIDE, hex(WIDE)),
    (WIDE, {"$": "int", "hex": f"{WIDE:x}"}),
    (10**5000, 10**5000 + 1),
    ([10**5000] * 20, [10**5000 + 1] * 20),
    # containers
    ([1, 2], (1, 2)),
    ([1, 2], [2, 1]),
    ([1], [[1]]),
    ([], ()),
    ([], {}),
    ([], None),
    ({1, 2}, frozenset({1, 2})),
    ({1, 2}, [1, 2]),
    (set(), {}),
    ({1}, {True}),
    ({1}, {1.0}),
    ({"1"}, {1}),
    ({"a": 1}, {"a": 2}),
    ({"a": None}, {}),
    ({1: "a"}, {"1": "a"}),
    ({1: "a"}, {True: "a"}),
    ({1: "a"}, {1.0: "a"}),
    ({None: 1}, {"null": 1}),
    ({(1, 2): 1}, {"(1, 2)": 1}),
    ({"a": [1, 2]}, {"a": (1, 2)}),
    ([1, [2, 3]], [1, 2, 3]),
    (list(range(50)), [*range(49), 49.0]),
    ({str(i): float(i) for i in range(50)}, {str(i): i for i in range(50)}),
    (dict.fromkeys(map(str, range(50)), 1), dict.fromkeys(map(str, range(50)), True)),
    # nothing imitates a tag
    ((1, 2), {"$": "tuple", "items": [1, 2]}),
    ({"$": 1}, {"$": 2}),
    ({"$": "tuple", "items": []}, ()),
    ({"$": 1}, {"$": "dict", "items": [["$", 1]]}),
    ({"$a": 1}, {"$": "dict", "items": [["$a", 1]]}),
    ({"$": "x", **dict.fromkeys(map(str, range(50)), 1)}, dict.fromkeys(map(str, range(50)), 1)),
    ({1: 2}, {"$": "dict", "items": [[1, 2]]}),
    ({1: 2, "1": 2}, {1: 2}),
    (float("nan"), {"$": "float", "value": "nan"}),
    # bytes and numbers
    (b"", ""),
    (b"a", bytearray(b"a")),
    (b"\x00", b"\x00\x00"),
    (b"a" * 4096, b"a" * 4097),
    (b"a" * 5000, b"a" * 4999 + b"b"),
    (1j, 1.0),
    (complex(0.0, 1), complex(-0.0, 1)),
    (complex(1, 2), (1.0, 2.0)),
    (range(3), [0, 1, 2]),
    (range(0, 4, 2), range(0, 3, 2)),
    (slice(1), slice(None, None, 1)),
    (slice(1), slice(0, 1)),
    (..., "Ellipsis"),
    (..., None),
    (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    (decimal.Decimal("1"), 1),  # noqa: FURB157 - as written
    (decimal.Decimal("0"), decimal.Decimal("-0")),  # noqa: FURB157 - as written
    (decimal.Decimal("nan"), decimal.Decimal("snan")),
    (decimal.Decimal("inf"), decimal.Decimal("-inf")),
    (fractions.Fraction(1, 2), 0.5),
    (fractions.Fraction(2), 2),
    (fractions.Fraction(1, 2), (1, 2)),
    (uuid.UUID(int=1), uuid.UUID(int=2)),
    (uuid.UUID(int=1), str(uuid.UUID(int=1))),
    # dates and times
    (dt.date(2020, 1, 1), dt.datetime(2020, 1, 1)),
    (dt.date(2020, 1, 1), "2020-01-01"),
    (dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=UTC)),
    (dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, 0, 0, 0, 1)),
    (FOLD, FOLD.replace(fold=1)),
    (dt.datetime(2020, 1, 1, 12, tzinfo=UTC), dt.datetime(2020, 1, 1, 13, tzinfo=dt.timezone(dt.timedelta(hours=1)))),
    (dt.datetime(2020, 1, 1, tzinfo=UTC), dt.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC"))),
    (dt.time(1), dt.time(1, tzinfo=UTC)),
    (dt.time(1), dt.time(1, fold=1)),
    (dt.timedelta(1), dt.timedelta(0, 86399)),
    (dt.timedelta(1), 86400.0),
    (dt.timezone(dt.timedelta(0), "A"), dt.timezone(dt.timedelta(0), "B")),
    (zoneinfo.ZoneInfo("Europe/Paris"), zoneinfo.ZoneInfo("Europe/Berlin")),
    (zoneinfo.ZoneInfo("UTC"), "UTC"),
    # paths, patterns
    (pathlib.Path("a"), "a"),
    (pathlib.Path("a"), pathlib.PurePosixPath("a")),
    (pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a")),
    (pathlib.Path("a"), pathlib.Path("a/..")),
    (re.compile("a"), re.compile("a", re.IGNORECASE)),
    (re.compile("a"), re.compile(b"a")),
    (re.compile("a"), "a"),
    # collections
    (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
    (collections.OrderedDict(a=1), {"a": 1}),
    (default_dict(list), default_dict(int)),
    (default_dict(None), {}),
    (collections.Counter("ab"), {"a": 1, "b": 1}),
    (collections.Counter("ab"), collections.Counter("abb")),
    (collections.deque([1]), [1]),
    (collections.deque([1]), collections.deque([1], maxlen=1)),
    (types.SimpleNamespace(a=1), {"a": 1}),
    (types.SimpleNamespace(a=1), types.SimpleNamespace(b=1)),
    # enum members, tuples with names
    (Colour.RED, Colour.GREEN),
    (Colour.RED, Paint.RED),
    (Colour.RED, 1),
    (Colour.RED, "RED"),
    (Number.ONE, 1),
    (Right.READ, Right.READ | Right.WRITE),
    (Right(0), Right.READ),
    (Right.READ, 1),
    (Point(1, 2), (1, 2)),
    (Point(1, 2), Vector(1, 2)),
    (Point(1, 2), Point(2, 1)),
    # subclasses of builtins
    (Metre(1), 1.0),
    (Metre(1), Foot(1)),
    (Count(1), 1),
    (LyingInt(1), LyingInt(2)),
    (Tagged([1]), [1]),
    (Tagged([1]), Tagged([2])),
    (Tagged([1], tag=1), Tagged([1], tag=2)),
    (Tagged([1]), Tagged([1], tag=0)),
    (Slotted((1,)), (1,)),
    (text("a", "de"), text("a", "en")),
    (AttrDict(a=1), {"a": 1}),
    (AttrDict(a=1), AttrDict(a=2)),
    # dataclasses: no field is dropped, whatever its options
    (Model(1), Model(2)),
    (Model(1), OtherModel(1)),
    (Model(1), {"depth": 1, "name": "a"}),
    (Model(1), SlotModel(1)),
    (SlotModel(1), SlotModel(2)),
    (Hidden(1), Hidden(1, quiet=1)),
    (Hidden(1), late(Hidden(1), 1)),
    (Hidden(1), Hidden(1, apart=1)),
    (Model(1), extra(Model(1), more=1)),
    (extra(Model(1), more=1), extra(Model(1), more=2)),
    (Box(Model(1)), Box(Model(2))),
    (DictModel(1), extra(DictModel(1), n=2)),
    (Noted(1), Noted(2)),
    (Noted(1, later=1), Noted(1, later=2)),
    (Noted(1, later=1), Noted(1, later=True)),
    # classes and functions
    (int, float),
    (int, "int"),
    (int, 0),
    (len, "len"),
    (math.sin, math.cos),
    (json.dumps, json.dump),
    (Model, Model(1)),
    (functools.partial(json.dumps, indent=1), functools.partial(json.dumps, indent=2)),
    (functools.partial(json.dumps, 1), functools.partial(json.dumps, 2)),
    (functools.partial(json.dumps), json.dumps),
    (functools.partial(operator.add, 1), functools.partial(operator.sub, 1)),
    # what a class says of itself
    (Own(1), Own(2)),
    (Own(1), 1),
    (Own(1), OwnToo(1)),
    (OwnFloat(1.2), OwnFloat(2.2)),
]


def dict_content(model, **items):
    model.update(items)
    return model


DIFFERENT.append((dict_content(DictModel(1), a=1), dict_content(DictModel(1), a=2)))

SAME = [
    (1.0, 1.00),
    (float("nan"), -float("nan")),
    (float("nan"), NAN2),
    (10**400, int("1" + "0" * 400)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1: "x", "1": "y"}, {"1": "y", 1: "x"}),
    ({"a", "b", "c"}, {"c", "b", "a"}),
    ({frozenset({1, 2}), (3,)}, {(3,), frozenset({2, 1})}),
    ({str(i): i for i in range(50)}, {str(i): i for i in reversed(range(50))}),
    ({"n": {"b": 1, "a": 2}}, {"n": {"a": 2, "b": 1}}),
    (b"a" * 5000, bytes(bytearray(b"a" * 5000))),
    (pathlib.Path("a/b"), pathlib.Path("a//b/.")),
    (dt.timedelta(days=1), dt.timedelta(hours=24)),
    (dt.UTC, dt.timezone(dt.timedelta(0))),
    (zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo.no_cache("UTC")),
    (fractions.Fraction(1, 2), fractions.Fraction(2, 4)),
    (re.compile("a", re.UNICODE), re.compile("a")),
    (collections.Counter("ab"), collections.Counter("ba")),
    (default_dict(list, a=1, b=2), default_dict(list, b=2, a=1)),
    (types.SimpleNamespace(a=1, b=2), types.SimpleNamespace(b=2, a=1)),
    (functools.partial(json.dumps, a=1, b=2), functools.partial(json.dumps, b=2, a=1)),
    (Right.READ | Right.WRITE, Right.WRITE | Right.READ),
    (Model(1), Model(1, "a")),
    (extra(Model(1), a=1, b=2), extra(Model(1), b=2, a=1)),
    (Cached(2), use(Cached(2))),
    (Box(1), Box[int](1)),
    (Noted(1), Noted(1, note="x")),
    (AttrDict(a=1), AttrDict(a=1)),
    (OwnFloat(1.2), OwnFloat(1.3)),
    (LyingInt(7), LyingInt(7)),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=map(str, range(len(DIFFERENT))))
def test_different_values_are_encoded_differently(one, other):
    """Two values that differ by type or content never share a text, and the text of each is canonical."""
    assert encode(one) != encode(other)
    for value in (one, other):
        assert canonical(json.loads(encode(value))) == encode(value)
        assert encode([value]) == f"[{encode(value)}]"
        assert encode({"k": value}) == f'{{"k":{encode(value)}}}'


@pytest.mark.parametrize(("one", "other"), SAME, ids=map(str, range(len(SAME))))
def test_equal_values_are_encoded_alike(one, other):
    """Order of insertion, spelling and caches do not matter."""
    assert encode(one) == encode(other)


def test_the_tables_have_the_size_that_was_promised():
    """At least 120 pairs, of both kinds."""
    assert len(DIFFERENT) + len(SAME) >= 120
    assert len(SAME) >= 20


def local_function():
    pass


local_function.__qualname__ = "another_name"


class Plain:
    pass


class Unnamed:
    __persistable_params__ = None


class Loop:
    def __persistable_params__(self):
        return self


class NotUtc(dt.tzinfo):
    def utcoffset(self, when):
        return dt.timedelta(0)


def nested_list():
    loop = [1]
    loop.append(loop)
    return loop


def nested_dict():
    loop = {}
    loop["a"] = {"b": loop}
    return loop


def deep_list():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep


def main_function():
    made = types.FunctionType(local_function.__code__, {"__name__": "__main__"}, "f")
    made.__module__, made.__qualname__ = "__main__", "f"
    return made


class MainClass:
    __module__ = "__main__"


@dataclass
class Undecorated(Model):
    pass


class Looks(Model):
    width: int = 3


def zone_from_file():
    path = next(
        (os.path.join(root, "UTC") for root in zoneinfo.TZPATH if os.path.exists(os.path.join(root, "UTC"))), None
    )
    if path is None:
        pytest.skip("no time zone files here")
    with open(path, "rb") as file:
        return zoneinfo.ZoneInfo.from_file(file)


REFUSED = [
    (lambda: object(), "value", "object", "no encoding"),
    (lambda: Plain(), "value", "Plain", "no encoding"),
    (lambda: lambda: 1, "value", "function", "inside a function"),
    (lambda: [1, (lambda: 1)], "value[1]", "function", "inside a function"),
    (lambda: main_function(), "value", "function", "__main__"),
    (lambda: MainClass, "value", "type", "__main__"),
    (lambda: local_function, "value", "function", "does not give this object"),
    (lambda: [].append, "value", "builtin_function_or_method", "bound"),
    (lambda: Own(1).__persistable_params__, "value", "method", "bound"),
    (lambda: functools.partial(lambda: 1), "value.func", "function", "inside a function"),
    (lambda: functools.partial(print, Plain()), "value.args[0]", "Plain", "no encoding"),
    (lambda: functools.partial(print, end=Plain()), "value.keywords['end']", "Plain", "no encoding"),
    (lambda: {"a b": [Plain()]}, "value['a b'][0]", "Plain", "no encoding"),
    (lambda: {1: Plain()}, "value[1]", "Plain", "no encoding"),
    (lambda: {Plain(): 1}, "value{…}", "Plain", "no encoding"),
    (lambda: {Point(1, 2): Plain()}, "value[…]", "Plain", "no encoding"),
    (lambda: {Plain()}, "value{…}", "Plain", "no encoding"),
    (lambda: (1, [Plain()]), "value[1][0]", "Plain", "no encoding"),
    (lambda: Model(Plain()), "value.depth", "Plain", "no encoding"),
    (lambda: extra(Model(1), more=Plain()), "value.more", "Plain", "no encoding"),
    (lambda: Point(1, Plain()), "value.y", "Plain", "no encoding"),
    (lambda: Tagged([1], tag=Plain()), "value.tag", "Plain", "no encoding"),
    (lambda: default_dict(lambda: 1), "value.default_factory", "function", "inside a function"),
    (lambda: Own(Plain()), "value.__persistable_params__()", "Plain", "no encoding"),
    (lambda: Unnamed(), "value", "Unnamed", "None"),
    (lambda: Loop(), "value", "Loop", "contains itself"),
    (nested_list, "value", "list", "contains itself"),
    (nested_dict, "value", "dict", "contains itself"),
    (deep_list, "value", "list", "too deeply"),
    (lambda: dt.datetime(2020, 1, 1, tzinfo=NotUtc()), "value.tzinfo", "NotUtc", "C"),
    (zone_from_file, "value", "ZoneInfo", "no key"),
    (lambda: time.gmtime(0), "value", "struct_time", "no encoding"),
    (lambda: sys.version_info, "value", "version_info", "no encoding"),
    (lambda: iter([1]), "value", "list_iterator", "no encoding"),
    (lambda: (x for x in ()), "value", "generator", "no encoding"),
    (lambda: memoryview(b"a"), "value", "memoryview", "no encoding"),
    (lambda: json, "value", "module", "no encoding"),
    (lambda: ValueError("x"), "value", "ValueError", "no encoding"),
    (lambda: Looks(1), "value", "Looks", "extends a dataclass but is not one"),
    (lambda: [Looks(1)], "value[0]", "Looks", "extends a dataclass but is not one"),
    (lambda: extra(Model(1), **{"$": 1}), "value", "Model", "no plain text"),
]


@pytest.mark.parametrize(("make", "path", "name", "reason"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_a_value_without_an_encoding_is_refused_with_its_path(make, path, name, reason):
    """The error names where the value is, what it is, why it is refused, and the ways out."""
    with pytest.raises(UnkeyableParamError) as caught:
        encode(make())
    assert caught.value.path == path
    assert caught.value.value_type.rpartition(".")[2] == name
    assert reason in caught.value.reason
    assert ("Decorate it with @dataclass" if name == "Looks" else "param(tracked=False)") in str(caught.value)


def test_no_object_is_asked_for_its_repr_hash_or_text():
    """Refusing a value runs none of its methods."""

    class Shy:
        def fail(self, *_):
            raise AssertionError("asked")

        __repr__ = __str__ = __hash__ = __reduce_ex__ = __getattr__ = __eq__ = __iter__ = __len__ = fail

    with pytest.raises(UnkeyableParamError):
        encode([Shy()])


def test_ints_print_the_same_under_every_limit_of_digits():
    """sys.set_int_max_str_digits neither changes a text nor makes it fail, alone or among many."""
    values = [10**600, 10**617, 2**2048 - 1, 2**2048, 10**5000, -(10**5000)]
    before = sys.get_int_max_str_digits()
    texts = []
    try:
        for limit in (640, 4300, 0):
            sys.set_int_max_str_digits(limit)
            texts.append([encode(values), encode(values * 10), *map(encode, values), encode({"k": 1, "n": values})])
            assert all(canonical(json.loads(text)) == text for text in texts[-1])
    finally:
        sys.set_int_max_str_digits(before)
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize(
    "odd",
    [math.nan, math.inf, 10**700, "\ud800", "$", "\\ud800", "\U0001f600", -0.0, None, True, Count(1), b"x", [1]],
    ids=map(str, range(13)),
)
def test_long_containers_are_encoded_like_short_ones(odd):
    """The path through the C encoder gives the same text as one element after the other."""
    values = [*range(30), 0.5, "a", odd]
    assert encode(values) == f"[{','.join(map(encode, values))}]"
    keyed = {f"k{i:02}": value for i, value in enumerate(values)}
    assert encode(keyed) == f"{{{','.join(f'{encode(key)}:{encode(value)}' for key, value in keyed.items())}}}"
    assert encode(tuple(values)) == f'{{"$":"tuple","items":{encode(values)}}}'


def test_a_custom_encoder_wins_at_any_depth_and_the_nearest_class_counts():
    """The 1.x map is asked before everything, and its result is encoded under the name of the class it is for."""
    custom = {pathlib.PurePath: str, int: lambda n: f"m{n % 2}", float: round}
    assert encode([pathlib.Path("a")], custom=custom) == '[{"$":"custom","class":"PurePath","value":"a"}]'
    assert encode({"k": 3}, custom=custom) == encode({"k": 5}, custom=custom)
    assert encode([3] * 30, custom=custom) == encode([5] * 30, custom=custom)
    assert encode(Count(3), custom={**custom, Count: str}) == '{"$":"custom","class":"Count","value":"3"}'
    assert "custom" in encode(1.5, custom=custom)


def test_a_custom_encoder_may_return_what_it_is_for():
    """Rounding floats to floats ends."""
    custom = {float: lambda x: round(x, 1)}
    assert encode([1.04], custom=custom) == encode([0.96], custom=custom) != encode([1.1], custom=custom)


def test_a_plugins_encoder_is_asked_only_for_types_without_an_encoding():
    """It gets the exact type; its result is tagged with its name and version; it cannot override the core."""
    asked = []

    def extend(cls):
        asked.append(cls)
        return ParamEncoder("plain", 3, lambda value: [1, "x"]) if cls is Plain else None

    assert encode([1, "a", Model(1), Plain()], extend=extend).endswith(
        ',{"$":"plugin","encoder":"plain","value":[1,"x"],"version":3}]'
    )
    assert asked == [Plain]
    with pytest.raises(UnkeyableParamError):
        encode(object(), extend=extend)


def test_a_class_that_moved_keeps_its_texts():
    """Class ids leave the module out."""
    before = encode(Model(1))
    module, Model.__module__ = Model.__module__, "somewhere.else"
    try:
        assert encode(Model(1)) == before
    finally:
        Model.__module__ = module


def test_undecorated_constants_are_no_params():
    """A ClassVar annotation, also as a string, or an instance attribute of the name, makes it fine."""

    class Constants(Model):
        one: typing.ClassVar[int] = 1
        two: "typing.ClassVar[int]" = 2
        three: "ClassVar" = 3  # noqa: F821
        four = 4

    class Declared(Model):
        width: int = 3

        def __init__(self, width):
            super().__init__(1)
            self.width = width

    assert encode(Constants(1)) != encode(Constants(2))
    assert encode(Declared(1)) != encode(Declared(2))


def test_a_nested_params_object_brings_its_own_hooks():
    """The 1.x hooks of nested params count for what is below them."""

    class Inner(PersistableParams):
        def __init__(self, value, scratch):
            self.value, self.scratch = value, scratch

        @property
        def _excluded_attributes(self):
            return {"scratch"}

        @property
        def _custom_type_encoder_map(self):
            return {float: round}

    assert encode([Inner(1.1, 1)]) == encode([Inner(1.2, 2)]) != encode([Inner(2.2, 1)])
    assert "custom" not in encode([1.1, Inner(1, 1)])


def test_a_field_that_is_not_set_differs_from_every_value():
    """A field that was never assigned has a text of its own."""

    @dataclass
    class Lazy:
        made: object = field(init=False)

    assert encode(Lazy()) != encode(late_made(Lazy(), None))


def late_made(lazy, value):
    lazy.made = value
    return lazy


def test_decimal_context_does_not_matter():
    """The text of a Decimal does not follow the context of the thread."""
    value = decimal.Decimal("1E+5")
    before = encode(value)
    with decimal.localcontext() as context:
        context.capitals, context.prec = 0, 1
        assert encode(value) == before


def test_a_long_dict_that_looks_like_a_tag_is_tagged():
    """The path through the C encoder lets no key that starts with a dollar pass; one in a value is no matter."""
    plain = dict.fromkeys(map(str, range(30)), "$x")
    assert encode(plain) == json.dumps(plain, sort_keys=True, separators=(",", ":"))
    assert encode({"$": "tuple", **plain}).startswith('{"$":"dict","items":[["$","tuple"],')


def test_a_dict_that_is_its_own_dict_is_encoded_once():
    """The attributes of an AttrDict are its items, not added state."""
    assert encode(AttrDict(a=1)) == '{"$":"subclass","class":"AttrDict","value":{"a":1}}'


def test_what_is_defined_in_main_is_refused_although_it_can_be_imported(monkeypatch):
    """__main__ is another module in every script."""
    main = sys.modules["__main__"]
    made = main_function()
    monkeypatch.setattr(main, "f", made, raising=False)
    monkeypatch.setattr(main, "MainClass", MainClass, raising=False)
    for value in (made, MainClass, functools.partial(made)):
        with pytest.raises(UnkeyableParamError, match="another module in every script"):
            encode(value)


def test_encoding_imports_no_library_for_a_type_that_nobody_has():
    """A key is computed without numpy, pandas or the rarer modules of the standard library."""
    rare = "numpy pandas pydantic attr msgspec decimal fractions uuid zoneinfo datetime pickle pluggy asyncio"
    code = (
        "import sys, persistable.data; from persistable.params import PersistableParams, snapshot\n"
        "from persistable.identity import identify\n"
        "identify('a', '0', snapshot(PersistableParams()).parts, ())\n"
        f"print(sorted(set({rare.split()}) & sys.modules.keys()))"
    )
    root = str(pathlib.Path(sys.modules["persistable"].__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
