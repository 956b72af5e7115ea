"""The data-only formats of the core: what comes back is what was saved, by exact type, or nothing is saved."""

import json
import math
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict
from enum import IntEnum
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from persistable.exceptions import FidelityError
from persistable.io import BufferLoader, format_name
from persistable.plain import JsonFileIO, TextFileIO


def same(a, b):
    """Compare by exact type, floats bit by bit, dicts with the order of their keys."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    return a == b


def round_trip(file_io, payload, folder):
    path = folder / "payload"
    path.unlink(missing_ok=True)
    try:
        assert file_io.save(payload, path) is None
    except FidelityError:
        assert not path.exists()
        return None
    assert same(file_io.load(path), file_io.load_buffer(path.read_bytes()))
    return (file_io.load(path),)


relaxed = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
json_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
wild_text = st.text(st.characters(codec=None), max_size=4) | st.text("\ud83d\ude00a", max_size=4)
wild_leaves = json_leaves | st.floats() | wild_text | st.binary(max_size=3) | st.fractions()


def nested(leaves, keys):
    return st.recursive(leaves, lambda x: st.lists(x, max_size=4) | st.dictionaries(keys, x, max_size=4), max_leaves=12)


options = st.fixed_dictionaries({"indent": st.sampled_from([None, 0, 2]), "ensure_ascii": st.booleans()})


@given(payload=nested(json_leaves, st.text()), options=options)
@relaxed
def test_what_json_holds_comes_back(payload, options, tmp_path_factory):
    """Every value of JSON's types comes back, under all options, without a refusal."""
    back = round_trip(JsonFileIO(**options), payload, tmp_path_factory.getbasetemp())
    assert back is not None
    assert same(back[0], payload)


@given(payload=nested(wild_leaves, wild_text | st.integers() | st.none()), options=options)
@example(payload=["\ud83d\ude00"], options={"ensure_ascii": True})
@relaxed
def test_any_value_comes_back_or_is_refused(payload, options, tmp_path_factory):
    """Whatever a payload holds, it comes back by exact type or is refused."""
    back = round_trip(JsonFileIO(**options), payload, tmp_path_factory.getbasetemp())
    assert back is None or same(back[0], payload)


class Level(IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("payload", "where", "reason"),
    [
        ({"a": [0, 1, (2,)]}, "payload['a'][2]", "tuple"),
        ({"a": [0, 1, math.nan]}, "payload['a'][2]", "nan"),
        ([math.inf], "payload[0]", "inf"),
        ([{"x": -math.inf}], "payload[0]['x']", "-inf"),
        (math.nan, "payload", "nan"),
        ({1: 2}, "payload", "the key 1 is a int"),
        ({"a": {None: 2}}, "payload['a']", "the key None"),
        ({"a": {True: 2}}, "payload['a']", "the key True"),
        ([Level.LOW], "payload[0]", "Level"),
        ({Text("k"): 1}, "payload", "Text"),
        ([Text("k")], "payload[0]", "Text"),
        ([OrderedDict()], "payload[0]", "OrderedDict"),
        ([b"x"], "payload[0]", "bytes"),
        ([{1}], "payload[0]", "set"),
        ([Fraction(1, 2)], "payload[0]", "Fraction"),
        (["ok", "\ud800"], "payload[1]", "surrogate"),
        ({"\udfff": 1}, "payload", "surrogate"),
        ([10**4300], "payload[0]", "digits"),
    ],
)
def test_refusals_name_the_place(tmp_path, payload, where, reason):
    """What would come back as something else is refused with its place, and no file appears."""
    with pytest.raises(FidelityError) as caught:
        JsonFileIO().save(payload, tmp_path / "x.json")
    assert caught.value.where == where
    assert reason in caught.value.reason
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("payload", [(1,), {1}, b"x", object(), Level.LOW, Text("x"), OrderedDict()])
def test_foreign_payloads_are_declined_by_type(payload):
    """A payload that is none of JSON's types is declined without looking inside."""
    assert JsonFileIO().refusal(payload)
    assert JsonFileIO().refusal([payload]) is None


def test_surrogates_are_kept_as_escapes_on_request(tmp_path):
    """A lone surrogate comes back with ensure_ascii; a pair would become one character and is refused."""
    file_io = JsonFileIO(ensure_ascii=True)
    file_io.save({"\ud800": ["x\udfff"]}, tmp_path / "x.json")
    assert file_io.load(tmp_path / "x.json") == {"\ud800": ["x\udfff"]}
    assert (tmp_path / "x.json").read_bytes().isascii()
    with pytest.raises(FidelityError, match="one character"):
        file_io.save(["\ud83d\ude00"], tmp_path / "y.json")


def test_depth_is_limited(tmp_path):
    """Nesting comes back up to the limit; beyond it, and in cycles, it is refused instead of recursing."""
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    assert round_trip(JsonFileIO(indent=1), deep, tmp_path) == (deep,)
    for _ in range(100_000):
        deep = [deep]
    cyclic: list = []
    cyclic += [cyclic, {"again": cyclic}]
    for payload in (deep, cyclic):
        for escaping in (False, True):
            with pytest.raises(FidelityError, match="nests deeper"):
                JsonFileIO(ensure_ascii=escaping).save(payload, tmp_path / "x.json")
    while isinstance(deep, list):
        deep = deep[0]


def test_options_and_plain_readers(tmp_path):
    """Any JSON reader reads the file; options are kept by the instance or given per call, and unknown ones refused."""
    payload = {"ä": [1, 2.5, None, True], "b": {}}
    path = tmp_path / "a folder" / "x.json"
    JsonFileIO().save(payload, path)
    assert json.loads(path.read_text(encoding="utf-8")) == payload
    assert "ä" in path.read_text(encoding="utf-8")
    pickle.loads(pickle.dumps(JsonFileIO(indent=2))).save(payload, path)
    assert path.read_bytes().count(b"\n") == 8
    JsonFileIO().save(payload, path, indent=None, ensure_ascii=True)
    assert path.read_bytes().isascii()
    with pytest.raises(OSError, match="no option default"):
        JsonFileIO().save(payload, path, default=str)
    with pytest.raises(TypeError, match="no option cls"):
        JsonFileIO().load(path, cls=json.JSONDecoder)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[NaN]", b"[Infinity]", b"\xff", b'["\xed\xa0\x80"]', "[1]".encode("utf-16"), b"[" * 100_000],
)
def test_what_is_no_json_raises(tmp_path, content):
    """Anything but JSON in UTF-8 is a ValueError."""
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError):
        JsonFileIO().load(tmp_path / "x.json")


@given(payload=st.text() | wild_text)
@example(payload="\r\n\n\r\x85\u2028\ufeff\0")
@example(payload="\ufeffbom")
@relaxed
def test_text_comes_back_character_by_character(payload, tmp_path_factory):
    """Every str comes back with its newlines, BOM and NULs, except those with surrogates, which are refused."""
    back = round_trip(TextFileIO(), payload, tmp_path_factory.getbasetemp())
    if any("\ud800" <= character <= "\udfff" for character in payload):
        assert back is None
    else:
        assert back == (payload,)


def test_text_is_plain_utf8(tmp_path):
    """The file holds the text and nothing else."""
    TextFileIO().save("zeile\r\nö\n", tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_bytes() == "zeile\r\nö\n".encode()
    (tmp_path / "x.txt").write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        TextFileIO().load(tmp_path / "x.txt")
    with pytest.raises(TypeError):
        TextFileIO().load(tmp_path / "x.txt", encoding="latin-1")


@pytest.mark.parametrize("payload", [b"x", 5, None, ["x"], Text("x")])
def test_only_str_is_text(tmp_path, payload):
    """Anything but an exact str is declined before a file appears."""
    assert TextFileIO().refusal(payload)
    with pytest.raises(FidelityError):
        TextFileIO().save(payload, tmp_path / "x.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("file_io", "name", "suffix"), [(JsonFileIO, "json", ".json"), (TextFileIO, "text", ".txt")])
def test_the_formats_are_named(file_io, name, suffix):
    """Names and suffixes are fixed, and the content can be loaded from memory."""
    assert format_name(file_io) == name
    assert file_io.suffix == suffix
    assert isinstance(file_io(), BufferLoader)
    with pytest.raises(FileNotFoundError):
        file_io().load(Path("does") / "not exist")


def test_importing_the_module_costs_nothing():
    """The module imports neither json nor any third party before it is used."""
    script = (
        "import persistable.io, sys\nbefore = set(sys.modules)\n"
        "import persistable.plain\nprint(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout.split() == ["persistable.plain"]
