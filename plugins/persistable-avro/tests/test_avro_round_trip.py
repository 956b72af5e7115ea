"""What comes back from an Avro file is what was saved, by exact type, or nothing is saved."""

import math
import pickle
import struct
import sys
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from persistable_avro import AvroFileIO

from persistable.exceptions import FidelityError, FormatError


def same(a, b):
    """Compare by exact type, bit by bit for floats (any NaN equals any NaN), looking inside of everything."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, Decimal):
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, (datetime, time)):
        return a == b and repr(a) == repr(b)
    return a == b


names = st.text("abcXYZ_019", min_size=1, max_size=6) | st.text(max_size=3)
stamps = st.datetimes(
    timezones=st.sampled_from([None, UTC, UTC, ZoneInfo("Europe/Paris"), timezone(timedelta(hours=1))])
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(),
    st.text(),
    st.text(st.characters(codec=None), max_size=3),
    st.binary(max_size=20),
    stamps,
    st.dates(),
    st.times(),
    st.times(timezones=st.just(UTC)),
    st.decimals(),
    st.decimals(places=2, allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000),
    st.uuids(),
)
values = st.recursive(
    leaves,
    lambda inside: st.lists(inside, max_size=3) | st.tuples(inside) | st.dictionaries(names, inside, max_size=3),
    max_leaves=6,
)


def without_fold(moment):
    return moment.replace(fold=0)


@st.composite
def uniform_records(draw):
    """Records with one kind of value per field, which is what avro is for."""

    def column(depth):
        kinds = [
            st.booleans(),
            st.integers(-(1 << 63), (1 << 63) - 1),
            st.floats(),
            st.text(),
            st.binary(max_size=20),
            st.datetimes(timezones=st.just(UTC)).map(without_fold),
            st.datetimes().map(without_fold),
            st.dates(),
            st.times().map(without_fold),
            st.uuids(),
            st.integers(-(10**8), 10**8).map(lambda number: Decimal(number).scaleb(-3)),
        ]
        kind = draw(st.integers(0, len(kinds) + (3 if depth else 0) - 1))
        if kind < len(kinds):
            made = kinds[kind]
        elif kind == len(kinds):
            made = st.lists(column(depth - 1), max_size=3)
        elif kind == len(kinds) + 1:
            made = st.dictionaries(st.text(max_size=3), column(depth - 1), max_size=3)
        else:
            made = st.fixed_dictionaries({"x": column(depth - 1), "y_1": column(depth - 1)})
        return made | st.none() if draw(st.booleans()) else made

    fields = draw(st.lists(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True), max_size=4, unique=True))
    return draw(st.lists(st.fixed_dictionaries({field: column(2) for field in fields}), max_size=8))


def round_trip(payload, folder, **options):
    """Save and load; the file never outlives a refusal."""
    path = folder / "x.avro"
    path.unlink(missing_ok=True)
    file_io = AvroFileIO(**options)
    try:
        metadata = file_io.save(payload, path)
    except FidelityError:
        assert not path.exists()
        return None
    assert metadata["records"] == len(payload)
    return file_io.load(path)


relaxed = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@given(records=uniform_records())
@relaxed
def test_uniform_records_come_back(records, tmp_path_factory):
    """Records of one kind per field always come back, with no refusal."""
    assert same(round_trip(records, tmp_path_factory.getbasetemp()), records)


@given(records=st.lists(st.dictionaries(names, values, max_size=3), max_size=4))
@relaxed
def test_any_records_come_back_or_are_refused(records, tmp_path_factory):
    """Whatever the records hold, they come back by exact type or are refused."""
    back = round_trip(records, tmp_path_factory.getbasetemp())
    assert back is None or same(back, records)


primitive = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
logical = st.sampled_from(
    [
        {"type": "int", "logicalType": "date"},
        {"type": "int", "logicalType": "time-millis"},
        {"type": "long", "logicalType": "time-micros"},
        {"type": "long", "logicalType": "timestamp-millis"},
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "long", "logicalType": "local-timestamp-millis"},
        {"type": "long", "logicalType": "local-timestamp-micros"},
        {"type": "string", "logicalType": "uuid"},
        {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2},
        {"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 2},
        {"type": "fixed", "name": "F", "size": 2},
        {"type": "enum", "name": "E", "symbols": ["a", "b"]},
        {"type": "string", "logicalType": "unheard-of"},
    ]
)
schemas = st.recursive(
    primitive | logical,
    lambda inside: st.one_of(
        inside.map(lambda items: {"type": "array", "items": items}),
        inside.map(lambda entries: {"type": "map", "values": entries}),
        inside.map(lambda kind: {"type": "record", "name": "R", "fields": [{"name": "x", "type": kind}]}),
        st.lists(inside, min_size=1, max_size=3),
    ),
    max_leaves=4,
)
plain = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(1 << 31), (1 << 31) - 1),
    "long": st.integers(-(1 << 63), (1 << 63) - 1),
    "float": st.floats(width=32),
    "double": st.floats(),
    "bytes": st.binary(max_size=4),
    "string": st.text(max_size=4),
}


def fitting(schema):
    """Values that a schema is meant for, with a few that it is not."""
    if isinstance(schema, list):
        return st.one_of([fitting(branch) for branch in schema])
    if isinstance(schema, str):
        return plain[schema]
    match schema:
        case {"type": "array", "items": items}:
            return st.lists(fitting(items), max_size=3)
        case {"type": "map", "values": entries}:
            return st.dictionaries(st.text(max_size=2), fitting(entries), max_size=3)
        case {"type": "record", "fields": fields}:
            return st.fixed_dictionaries({field["name"]: fitting(field["type"]) for field in fields})
        case {"type": "enum", "symbols": symbols}:
            return st.sampled_from(symbols)
        case {"logicalType": "decimal"}:
            return st.integers(-99999, 99999).map(lambda number: Decimal(number).scaleb(-2))
        case {"logicalType": "uuid"}:
            return st.uuids()
        case {"logicalType": "date"}:
            return st.dates()
        case {"logicalType": "time-millis" | "time-micros"}:
            return st.times()
        case {"logicalType": "timestamp-millis" | "timestamp-micros"}:
            return st.datetimes(timezones=st.just(UTC))
        case {"logicalType": "local-timestamp-millis" | "local-timestamp-micros"}:
            return st.datetimes()
        case {"type": "fixed", "size": size}:
            return st.binary(min_size=size, max_size=size)
    return plain[schema["type"]]


@given(data=st.data())
@relaxed
def test_a_given_schema_keeps_or_refuses(data, tmp_path_factory):
    """Under any schema, values of its kind and of others come back by exact type or are refused, never changed."""
    kind = data.draw(schemas)
    schema = {"type": "record", "name": "Top", "fields": [{"name": "a", "type": kind}, {"name": "b", "type": "long"}]}
    fits = fitting(kind)
    wrong = fits | values if data.draw(st.booleans()) else fits
    records = data.draw(st.lists(st.fixed_dictionaries({"a": wrong, "b": st.integers(0, 9)}), max_size=4))
    try:
        AvroFileIO(schema)
    except ValueError:
        return  # a name twice, a union in a union, items of no bytes
    back = round_trip(records, tmp_path_factory.getbasetemp(), schema=schema)
    assert back is None or same(back, records)


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_every_codec_and_many_blocks(tmp_path, codec):
    """Records over many blocks come back under every codec."""
    if codec == "zstandard":
        pytest.importorskip("backports.zstd")
    records = [{"number": number, "text": f"text {number}" * 3} for number in range(5000)]
    level = 3 if codec in ("deflate", "zstandard") else None
    assert round_trip(records, tmp_path, codec=codec, compression_level=level) == records


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"compression_level": 1}, ValueError, "'null' does not take the level 1: it has no levels"),
        ({"codec": "snappy", "compression_level": 1}, ValueError, "'snappy' does not take the level 1"),
        ({"codec": "deflate", "compression_level": 99}, ValueError, "'deflate' does not take the level 99"),
        ({"codec": "zstandard", "compression_level": 99}, ValueError, "'zstandard' does not take the level 99"),
        ({"codec": "deflate", "compression_level": "9"}, TypeError, "a whole number or None, not '9'"),
        ({"codec": "deflate", "compression_level": True}, TypeError, "not True"),
        ({"sync_interval": -1}, ValueError, "sync_interval has to be at least 0, not -1"),
        ({"sync_interval": "x"}, TypeError, "sync_interval has to be a whole number of bytes, not 'x'"),
        ({"max_block_bytes": 0}, ValueError, "max_block_bytes has to be at least 1, not 0"),
        ({"max_block_bytes": 1e6}, TypeError, "max_block_bytes has to be"),
        ({"schema": "{bad"}, ValueError, "the schema is no JSON: "),
        ({"schema": "flight.avsc"}, ValueError, "not an Avro schema: UnknownType: flight.avsc"),
        ({"reader_schema": {"type": "recrd"}}, ValueError, "not an Avro schema: UnknownType: "),
    ],
    ids=str,
)
def test_options_that_mean_nothing_are_refused_at_once(options, error, message):
    """An option that would be ignored, or would fail the save for no fault of the records, fails the constructor."""
    with pytest.raises(error, match=message):
        AvroFileIO(**options)


@pytest.mark.parametrize(
    ("codec", "module", "install"),
    [
        ("snappy", "cramjam", "cramjam"),
        ("zstandard", "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", "backports.zstd"),
    ],
)
def test_a_codec_whose_package_is_missing_names_it(tmp_path, monkeypatch, codec, module, install):
    """It is an ImportError with the pip line, before there is a payload; the payload itself is not at fault."""
    pytest.importorskip(module)
    made, path = AvroFileIO(codec=codec), tmp_path / "x.avro"
    made.save([{"a": 1}], path)
    monkeypatch.setitem(sys.modules, module, None)
    attempts = (
        lambda: AvroFileIO(codec=codec),
        lambda: made.save([{"a": 1}], tmp_path / "new.avro"),
        lambda: AvroFileIO().save([{"a": 1}], tmp_path / "new.avro", codec=codec),
        lambda: AvroFileIO().load(path),
    )
    for attempt in attempts:
        with pytest.raises(FormatError, match=f"pip install {install}$") as caught:
            attempt()
        assert isinstance(caught.value, ImportError)
        assert (caught.value.codec, caught.value.install) == (codec, install)
        assert type(pickle.loads(pickle.dumps(caught.value))) is type(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{}],
        [{}, {}, {}],
        [{"a": None}],
        [{"a": []}],
        [{"a": [None, None]}],
        [{"a": {}}, {"a": {}}],
        [{"a": {"not a name": 1}}, {"a": {"other": 2}}],
        [{"a": {"x": 1, "y": "s"}}, {"a": {"y": "t", "x": 2}}],
        [{"a": -0.0, "b": math.inf, "c": math.nan}],
        [{"a": "", "b": b"", "c": "𝄞\0\ufeff"}],
        [{"a": datetime.min}, {"a": datetime.max}],
        [{"a": datetime.min.replace(tzinfo=UTC)}, {"a": datetime.max.replace(tzinfo=UTC)}],
        [{"a": date.min, "b": time.max}, {"a": date.max, "b": time.min}],
        [{"a": Decimal("-0.01")}, {"a": Decimal("123456789012345678901234567890.12")}],
        [{"Record": {"Record": {"Record": {"Record": 1}}}}],
        [{"a_b": {"c": 1}, "a": {"b_c": 1, "b": {"c": 1}}}],
    ],
)
def test_corner_records(tmp_path, records):
    """Corner cases of each type come back."""
    assert same(round_trip(records, tmp_path), records)


class Colour(StrEnum):
    RED = "red"


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("records", "where", "reason"),
    [
        ([{"a": 1}, {"a": 1.0}], "record 1, field 'a'", "float among int"),
        ([{"a": 1}, {"a": None}, {"a": True}], "record 2, field 'a'", "bool among int"),
        ([{"a": 1}, {}], "record 1, field 'a'", "missing"),
        ([{"a": 1}, {"a": 1, "b": 2}], "record 1", "the key 'b'"),
        ([{"a": (1,)}], "record 0, field 'a'", "a tuple has no Avro type"),
        ([{"a": {1}}], "record 0, field 'a'", "a set has no Avro type"),
        ([{"a": OrderedDict()}], "record 0, field 'a'", "OrderedDict"),
        ([{"a": Colour.RED}], "record 0, field 'a'", "Colour"),
        ([{"a": 1}, {"a": 1 << 63}], "record 1, field 'a'", "64 bits"),
        ([{"a": None}, {"a": -(1 << 63) - 1}], "record 1, field 'a'", "64 bits"),
        ([{"a": "x"}, {"a": "\ud800"}], "record 1, field 'a'", "surrogate"),
        ([{"a": {"\ud800": 1}}], "record 0, field 'a'", "surrogate"),
        ([{"a b": 1}], "record 0", "no Avro name"),
        ([{"ä": 1}], "record 0", "no Avro name"),
        ([{1: 1}], "record 0", "no Avro name"),
        ([{"a": {1: 1}}], "record 0, field 'a'", "no str"),
        ([{"a": [1, 2]}, {"a": [3, "4"]}], "record 1, field 'a[1]'", "str among int"),
        ([{"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": b""}]}], "record 1, field 'a[1].b'", "bytes among int"),
        ([{"a": {"x y": 1, "z": "s"}}], "record 0, field 'a.z'", "str among int"),
        ([{"a": datetime(2020, 1, 1, tzinfo=ZoneInfo("UTC"))}], "record 0, field 'a'", "come back as UTC"),
        ([{"a": datetime(2020, 1, 1)}, {"a": datetime(2020, 1, 1, tzinfo=UTC)}], "record 1, field 'a'", "time zone"),
        ([{"a": datetime(2020, 1, 1, fold=1)}], "record 0, field 'a'", "fold"),
        ([{"a": time(1, tzinfo=UTC)}], "record 0, field 'a'", "time zone"),
        ([{"a": Decimal("1.0")}, {"a": Decimal("1.00")}], "record 1, field 'a'", "digits after its point"),
        ([{"a": Decimal("1E+2")}], "record 0, field 'a'", "exponent"),
        ([{"a": Decimal("NaN")}], "record 0, field 'a'", "not finite"),
        ([{"a": Decimal("-0")}], "record 0, field 'a'", "zero"),
        ([{"a": timedelta(1)}], "record 0, field 'a'", "timedelta"),
        ([{"a": 1}, 2], "record 1", "2 (int) is no dict"),
    ],
)
def test_refusals_name_record_and_field(tmp_path, records, where, reason):
    """What cannot be inferred to come back is refused with its place and the reason, and nothing is written."""
    with pytest.raises(FidelityError) as caught:
        AvroFileIO().save(records, tmp_path / "x.avro")
    assert caught.value.where == where
    assert reason in caught.value.reason
    assert list(tmp_path.iterdir()) == []


def test_deep_and_cyclic_values_are_refused(tmp_path):
    """A value nested without end, or nearly, is refused instead of exhausting the stack."""
    cyclic: list = []
    cyclic.append(cyclic)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in (cyclic, deep):
        with pytest.raises(FidelityError, match="nests deeper than 64"):
            AvroFileIO().save([{"a": value}], tmp_path / "x.avro")
    while deep:
        deep = deep[0]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("long", True, "True (bool) is no int"),
        ("long", 1.0, "no int"),
        ("long", 1 << 63, "64 bits"),
        ("int", 1 << 31, "32 bits"),
        ("double", 1, "1 (int) is no float"),
        ("float", 0.1, "round"),
        ("float", 1e300, "round"),
        ("string", Text("a"), "'a' (Text) is no str"),
        ("string", b"a", "no str"),
        ("bytes", bytearray(b"a"), "no bytes"),
        ("boolean", 1, "no bool"),
        (["null", "double"], 1, "no float"),
        (["long", "double"], 1 << 70, "come back as"),
        (["double", "long"], 1, "come back as 1.0 (float)"),
        (["string", "bytes"], bytearray(b"x"), "come back as"),
        (
            [{"type": "long", "logicalType": f"{local}timestamp-micros"} for local in ("", "local-")],
            datetime(2020, 1, 1),
            "datetime.datetime(2020, 1, 1, 0, 0) would come back as datetime.datetime(2020, 1, 1, 0, 0, tzinfo=",
        ),
        ({"type": "long", "logicalType": "timestamp-micros"}, 5, "no datetime"),
        ({"type": "long", "logicalType": "timestamp-micros"}, datetime(2020, 1, 1), "naive"),
        ({"type": "long", "logicalType": "timestamp-millis"}, datetime(2020, 1, 1, 0, 0, 0, 1, UTC), "cut off"),
        ({"type": "string", "logicalType": "uuid"}, str(UUID(int=1)), "no UUID"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 1}, Decimal("1.50"), "quantize"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 1}, Decimal("999.9"), "precision of 3"),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, "b", "no symbol"),
        ({"type": "fixed", "name": "F", "size": 2}, b"abc", "has 3 bytes"),
        ({"type": "array", "items": "long"}, (1,), "no list"),
        ({"type": "map", "values": "long"}, {1: 1}, "no str"),
        ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "long", "default": 7}]}, {}, "missing"),
        ({"type": "record", "name": "R", "fields": []}, {"y": 1}, "no field"),
    ],
)
def test_a_given_schema_refuses_what_it_would_change(tmp_path, kind, value, reason):
    """Where fastavro would convert a value, round it, cut it off or fill it in, it is refused with its place."""
    schema = {"type": "record", "name": "Top", "fields": [{"name": "a", "type": kind}]}
    good = [{"a": value}] * 3
    with pytest.raises(FidelityError) as caught:
        AvroFileIO(schema).save(good, tmp_path / "x.avro")
    assert caught.value.where.startswith("record 0")
    assert reason in caught.value.reason
    assert list(tmp_path.iterdir()) == []


def test_the_place_is_found_beyond_the_first_chunk(tmp_path):
    """A record deep in a stream is named by its number."""
    schema = {"type": "record", "name": "Top", "fields": [{"name": "a", "type": {"type": "array", "items": "long"}}]}
    records = ({"a": [0, 1 << 63 if number == 1234 else 5]} for number in range(2000))
    with pytest.raises(FidelityError) as caught:
        AvroFileIO(schema).save(records, tmp_path / "x.avro")
    assert caught.value.where == "record 1234, field 'a[1]'"
    assert list(tmp_path.iterdir()) == []


def test_unions_enums_fixed_and_references(tmp_path):
    """Everything that only a given schema can say comes back."""
    schema = {
        "type": "record",
        "name": "Node",
        "fields": [
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["leaf", "inner"]}},
            {"name": "other", "type": "Kind"},
            {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 4}},
            {"name": "value", "type": ["null", "long", "double", "string", {"type": "array", "items": "string"}]},
            {"name": "left", "type": ["null", "Node"]},
        ],
    }
    leaf = {"kind": "leaf", "other": "inner", "hash": b"1234", "value": None, "left": None}
    records = [leaf | {"value": value, "left": leaf | {"value": value}} for value in (None, 1, 1.0, "1", ["1"])]
    assert same(round_trip(records, tmp_path, schema=schema), records)


def test_recursive_values_are_limited_in_depth(tmp_path):
    """A value of a recursive schema comes back up to the limit and is refused beyond, as reading it could crash."""
    schema = {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}

    def chain(length):
        node = None
        for _ in range(length):
            node = {"next": node}
        return node

    assert round_trip([chain(60)], tmp_path, schema=schema) == [chain(60)]
    with pytest.raises(FidelityError, match="nests deeper"):
        AvroFileIO(schema).save([chain(100)], tmp_path / "x.avro")


def test_key_order_is_the_schemas(tmp_path):
    """Dicts are equal whatever their order; the fields come back in the order of the first record."""
    records = [{"b": 1, "a": 2}, {"a": 3, "b": 4}]
    back = round_trip(records, tmp_path)
    assert back == records
    assert [list(record) for record in back] == [["b", "a"], ["b", "a"]]


@pytest.mark.parametrize(
    ("usual", "late"),
    [
        ({"a": 1}, {"a": None}),
        ({"a": None}, {"a": 1.5}),
        ({"a": []}, {"a": [1]}),
        ({"a": []}, {"a": ["x"]}),
        ({"a": {"x": 1}}, {"a": {"y": 1}}),
        ({"a": Decimal("1.5")}, {"a": Decimal("12345.5")}),
    ],
)
def test_the_schema_is_inferred_from_the_last_record_too(tmp_path, usual, late):
    """A record at the end of a long list that needs another schema gets it, the same as at the beginning."""
    records = [usual] * 3000 + [late]
    path = tmp_path / "x.avro"
    metadata = AvroFileIO().save(records, path)
    assert same(AvroFileIO().load(path), records)
    assert metadata == AvroFileIO().save([usual, late], path) | {"records": 3001}


@pytest.mark.parametrize(("late", "reason"), [(1.5, "float among int"), (1 << 63, "64 bits")])
def test_a_long_list_is_refused_for_its_last_record(tmp_path, late, reason):
    """The last of many records is named as the first would be."""
    with pytest.raises(FidelityError) as caught:
        AvroFileIO().save([{"a": 1}] * 3000 + [{"a": late}], tmp_path / "x.avro")
    assert caught.value.where == "record 3000, field 'a'"
    assert reason in caught.value.reason
    assert list(tmp_path.iterdir()) == []


def test_lists_of_records_that_take_no_bytes_are_refused(tmp_path):
    """A list whose items hold None alone would let a file claim any length: it is refused by name, not as a failure."""
    with pytest.raises(FidelityError, match="take no bytes"):
        AvroFileIO().save([{"a": [{"x": None}]}], tmp_path / "x.avro")
