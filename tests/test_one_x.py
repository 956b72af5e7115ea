"""What 1.x code imports and relies on, and what 1.3.1 did wrong.

Results of 1.3.1 in the tables below were recorded from that version. Where this version differs on purpose:

| case | 1.3.1 | here |
|---|---|---|
| `payload_name="a.b"` | the hash is dropped from the file name: params collide | any name has a folder of its own |
| two dependencies of one name | the last overwrites the others in the hash | roles `name[0]`, `name[1]` |
| a dependency named like a param | overwrites the param in the hash | `ValueError` |
| dependencies from a generator | used up by the first hash, gone from the second | kept as a tuple |
| arrays of over 1000 elements as params | equal if their reprs are | by content |
| params with `slots=True` | not in the hash | by field |
| params that JSON cannot write (a set) | fail after the payload was written | encoded, or refused at construction |
| a truncated file | `load_generate` raises for ever | quarantined with a warning, generated again |
| a second `data_dir` | gets no log | its own `log.txt` |
| log handlers | one per name, each with an open file | one in all, no open file |
| a payload called `"urllib3"` | configures that library's logger | a child of the library's logger |
| a read-only data_dir | cannot be opened | loads, and refuses to generate |
| `None` as a payload | cannot be persisted, is generated again | a payload like any other |
| `FileNotFoundError` in user code | taken for a miss | raised as it is |
| post hooks | get no arguments | get the untracked ones |
| `load`, `save` through `Persistable` | no digest, written in place | verified, committed atomically |
| `persist_filepath` | where it would be, without suffix | where it is, else `MissingArtifactError` |
| `persist_hash` | MD5 of a repr | the key |
| `_save` raises an `OSError` | wrapped in another one | as the system raised it |
| `dict_almost_equal` of a float and text, a dict and a number, ragged arrays | raises | `False` |
| `dict_almost_equal` of arrays of different shapes | broadcast: `[1, 1]` equals `1`, `[1]` equals `[]` | `False` |
| reports of `verbose` and of `dict_almost_equal(verbose=True)`, console of `get_logger` | stdout | stderr |
| the README's example | rejects its own array (`ndim == 2`) | its data and numbers, with `ndim == 1` |
"""

import importlib
import json
import logging
import math
import os
import pickle
import sys
import warnings
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pytest

import persistable
from persistable import Persistable, PersistableParams
from persistable.data import PersistableParam
from persistable.exceptions import (
    CorruptArtifactWarning,
    ExplainedNotImplementedError,
    MissingArtifactError,
    NoPayloadError,
    UnkeyableParamError,
)
from persistable.io import DictEncodable, FileIO, PickleFileIO
from persistable.logging import get_logger

PAYLOAD = [1, 2, 3]


@dataclass
class PointsParams(PersistableParams):
    n: int
    random_state: int = 100


class PointsP(Persistable[list[int], PointsParams]):
    def _generate_payload(self, **untracked_payload_params: Any) -> list[int]:
        return list(range(self.params.n))


# -- imports -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "persistable.Persistable",
        "persistable.PersistableParams",
        "persistable.__version__",
        "persistable.base.Persistable",
        "persistable.data.PersistableParam",
        "persistable.data.PersistableParams",
        "persistable.data.ParamTypeT",
        "persistable.data.DictEncodable",
        "persistable.exceptions.ExplainedNotImplementedError",
        "persistable.exceptions.InvalidPayloadError",
        "persistable.exceptions.InvalidPayloadWarning",
        "persistable.exceptions.NoPayloadError",
        "persistable.exceptions.PayloadError",
        "persistable.io.DictEncodable",
        "persistable.io.FileIO",
        "persistable.io.PayloadTypeT",
        "persistable.io.PickleFileIO",
        "persistable.logging.get_logger",
        "persistable.base.PersistableParamsT",
        "persistable.base.PayloadTypeT",
    ],
)
def test_names_of_1_x(name: str) -> None:
    """Every public name of 1.3.1 can be imported from where it was."""
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)


def test_one_object_by_all_its_paths() -> None:
    """The old and new paths give the same objects."""
    from persistable import data, encodable, io, params

    assert data.PersistableParams is persistable.PersistableParams is params.PersistableParams
    assert io.DictEncodable is encodable.DictEncodable is data.DictEncodable
    assert io.PayloadTypeT is io.PayloadT  # type: ignore[attr-defined]


# -- FileIO ------------------------------------------------------------------------------------------------------------


class JsonFileIO(FileIO[Any]):
    """As written for 1.x: two methods on a path."""

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        with filepath.open() as file_handler:
            return json.load(file_handler, **kwargs)

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        with filepath.open("w") as file_handler:
            json.dump(payload, file_handler, **kwargs)


def test_file_io_of_1_x_works_by_injection(tmp_path: Path) -> None:
    """A FileIO with only _load and _save saves, and loads again when it is injected on load."""
    p = PointsP(tmp_path, PointsParams(3), None, payload_io=JsonFileIO(), payload_file_suffix=".json")
    p.load_generate()
    assert json.loads(p.persist_filepath.read_text()) == [0, 1, 2]
    q = PointsP(tmp_path, PointsParams(3), None, payload_io=JsonFileIO())
    q.load()
    assert q.payload == [0, 1, 2]
    assert p.record.format == "custom:JsonFileIO"


def test_file_io_on_its_own(tmp_path: Path) -> None:
    """save and load work on any path and pass keyword arguments on."""
    file_io = JsonFileIO()
    file_io.save(payload=PAYLOAD, filepath=tmp_path / "a.json", indent=1)
    assert (tmp_path / "a.json").read_text() == json.dumps(PAYLOAD, indent=1)
    assert file_io.load(filepath=tmp_path / "a.json", parse_int=float) == [1.0, 2.0, 3.0]
    pickled = PickleFileIO[Any]()
    pickled.save(PAYLOAD, str(tmp_path / "a.pickle"), protocol=2)
    assert pickle.loads((tmp_path / "a.pickle").read_bytes()) == PAYLOAD
    assert pickled.load(tmp_path / "a.pickle", encoding="ascii") == PAYLOAD


def test_save_makes_the_folder_unless_told_not_to(tmp_path: Path) -> None:
    """create_folder is True by default."""
    JsonFileIO().save(PAYLOAD, tmp_path / "a" / "b" / "c.json")
    assert JsonFileIO().load(tmp_path / "a" / "b" / "c.json") == PAYLOAD
    with pytest.raises(OSError, match="x"):
        JsonFileIO().save(PAYLOAD, tmp_path / "x" / "c.json", create_folder=False)
    assert not (tmp_path / "x").exists()


def test_a_failing_save_is_an_os_error(tmp_path: Path) -> None:
    """Whatever _save raises comes as an OSError with the cause, naming payload type, path and FileIO."""
    with pytest.raises(OSError, match="set") as caught:
        JsonFileIO().save({1, 2}, tmp_path / "a.json")
    assert isinstance(caught.value.__cause__, TypeError)
    for told in ("set", "a.json", "JsonFileIO"):
        assert told in str(caught.value)


def test_a_file_io_that_cannot_save(tmp_path: Path) -> None:
    """A FileIO without _save is an OSError on save, with an ExplainedNotImplementedError as its cause."""

    class LoadOnly(FileIO[Any]):
        def _load(self, filepath: Path, **kwargs: Any) -> Any:
            return None

    with pytest.raises(OSError, match="LoadOnly") as caught:
        LoadOnly().save(1, tmp_path / "a")
    assert isinstance(caught.value.__cause__, ExplainedNotImplementedError)
    with pytest.raises(TypeError, match="abstract"):
        FileIO()  # type: ignore[abstract]


def test_load_raises_what_the_format_raises(tmp_path: Path) -> None:
    """load wraps nothing."""
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(json.JSONDecodeError):
        JsonFileIO().load(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError):
        JsonFileIO().load(tmp_path / "b.json")


# -- DictEncodable -----------------------------------------------------------------------------------------------------


class Color(Enum):
    RED = 1


class Encoded(DictEncodable):
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Inner(Encoded):
    pass


class Mapped(Encoded):
    @property
    def _custom_type_encoder_map(self) -> dict[type[Any], Any]:
        return {Path: lambda path: str(path).replace("/", "!_!"), int: lambda number: -number, list: len}

    @property
    def _excluded_attributes(self) -> set[str]:
        return {"hidden"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Encoded(), {}),
        (Encoded(b=1, a="x"), {"b": 1, "a": "x"}),
        (Encoded(p=Path("/a/b"), c=Color.RED), {"p": "/a/b", "c": "RED"}),
        (Encoded(inner=Inner(p=Path("x"), deep=Inner(c=Color.RED))), {"inner": {"p": "x", "deep": {"c": "RED"}}}),
        (Encoded(many=[Path("x"), Color.RED]), {"many": [Path("x"), Color.RED]}),
        (Encoded(__initialised__=True, n=1), {"n": 1}),
        (Mapped(p=Path("/a"), n=3, flag=True, text="x", hidden=1), {"p": "!_!a", "n": -3, "flag": -1, "text": "x"}),
        (Mapped(many=[1, 2], inner=Inner(n=3)), {"many": 2, "inner": {"n": 3}}),
        (PointsParams(3), {"n": 3, "random_state": 100}),
    ],
)
def test_to_dict(value: DictEncodable, expected: dict[str, Any]) -> None:
    """to_dict gives what 1.3.1 gave, in the same order."""
    found = value.to_dict()
    assert list(found.items()) == list(expected.items())


def test_to_dict_of_slots_and_class_variables() -> None:
    """Slots count as attributes, which in 1.3.1 they did not; class variables do not."""

    @dataclass(slots=True)
    class Slotted(PersistableParams):
        n: int = 1
        unit: ClassVar[str] = "m"

    class Slots(DictEncodable):
        __slots__ = ("a", "unset")

        def __init__(self) -> None:
            self.a = Path("x")

    assert Slotted().to_dict() == {"n": 1}
    assert Slots().to_dict() == {"a": "x"}


def test_params_have_text_and_md5() -> None:
    """get_str_repr and get_md5_hash give what they gave."""
    params = PointsParams(3)
    assert params.get_str_repr() == "{'n': 3, 'random_state': 100}"
    assert params.get_md5_hash() == "44e165c8ce3e13242131d27c37420383"


NAN, INF = math.nan, math.inf

ALMOST: list[tuple[dict[Any, Any], dict[Any, Any], bool]] = [
    ({}, {}, True),
    ({"a": 1}, {}, False),
    ({"a": 1}, {"b": 1}, False),
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": 2}, False),
    ({"a": 1.0}, {"a": 1.0 + 1e-7}, True),
    ({"a": 1.0}, {"a": 1.001}, False),
    ({"a": 1}, {"a": 1.0000001}, False),
    ({"a": 1.0}, {"a": 1}, True),
    ({"a": 0.0}, {"a": 1e-7}, True),
    ({"a": 0.0}, {"a": 1e-5}, False),
    ({"a": NAN}, {"a": NAN}, True),
    ({"a": NAN}, {"a": 1.0}, False),
    ({"a": 1.0}, {"a": NAN}, False),
    ({"a": INF}, {"a": INF}, True),
    ({"a": INF}, {"a": -INF}, False),
    ({"a": 1.0}, {"a": INF}, False),
    ({"a": INF}, {"a": 1.0}, False),
    ({"a": True}, {"a": 1}, True),
    ({"a": 1.0}, {"a": True}, True),
    ({"a": "x"}, {"a": "x"}, True),
    ({"a": "x"}, {"a": "y"}, False),
    ({"a": None}, {"a": None}, True),
    ({"a": [1.0]}, {"a": [1.0 + 1e-9]}, False),
    ({"a": {"b": 1.0}}, {"a": {"b": 1.0 + 1e-7}}, True),
    ({"a": {"b": 1.0}}, {"a": {"b": 2.0}}, False),
    ({"a": {"b": {}}}, {"a": {"b": {}}}, True),
    ({"a": {}}, {"a": {"b": 1}}, False),
    ({"a": 1.0, "b": 2}, {"b": 2, "a": 1.0}, True),
    ({1: 1.0}, {1: 1.0}, True),
    ({"a": 1e300}, {"a": 1e300 * (1 + 1e-7)}, True),
    ({"a": (1, 2)}, {"a": (1, 2)}, True),
    ({"a": (1, 2)}, {"a": [1, 2]}, False),
    ({"a": 100.0}, {"a": 100.00005}, True),
    ({"a": 100.0}, {"a": 100.0002}, False),
]


@pytest.mark.parametrize(("left", "right", "expected"), ALMOST)
def test_dict_almost_equal(left: dict[Any, Any], right: dict[Any, Any], expected: bool) -> None:
    """Floats are compared within tolerance, the rest by equality, as 1.3.1 did."""
    assert DictEncodable.dict_almost_equal(left, right) is expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"a": {"b": 1}}, {"a": 1}, False),
        ({"a": 1.0}, {"a": "x"}, False),
        ({"a": 1.0}, {"a": None}, False),
        ({"a": 1.0}, {"a": Fraction(1)}, True),
        ({"a": 1.0}, {"a": 10**400}, False),
    ],
)
def test_dict_almost_equal_never_raises(left: dict[Any, Any], right: dict[Any, Any], expected: bool) -> None:
    """Where 1.3.1 raised, values that have no distance are compared by equality."""
    assert DictEncodable.dict_almost_equal(left, right) is expected


def test_dict_almost_equal_tolerances_and_report(capsys: pytest.CaptureFixture[str]) -> None:
    """rtol and atol are passed down; verbose names the first difference on stderr."""
    left, right = {"a": {"b": 1.0}}, {"a": {"b": 1.4}}
    assert DictEncodable.dict_almost_equal(left, right, rtol=0, atol=0.5)
    assert DictEncodable.dict_almost_equal(left, right, rtol=0.5, atol=0)
    assert not DictEncodable.dict_almost_equal(left, right)
    assert capsys.readouterr() == ("", "")
    assert not DictEncodable.dict_almost_equal({"x": 1.0}, {"x": 2.0}, verbose=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "x: 1.0 != 2.0" in err


def test_dict_almost_equal_of_arrays() -> None:
    """Arrays are compared as 1.3.1 did where their shapes agree; else they differ."""
    np = pytest.importorskip("numpy")
    array = np.array
    almost = DictEncodable.dict_almost_equal
    as_before = [
        (np.float64(1), 1.0, True),
        (0.1, np.float32(0.1), True),
        (1.0, np.int64(1), True),
        (array([1.0, 2.0]), array([1.0, 2.0 + 1e-7]), True),
        (array([1.0, 2.0]), array([1.0, 3.0]), False),
        (array([1, 2]), [1, 2], True),
        (array([NAN]), array([NAN]), False),
        (array([INF]), array([INF]), True),
        (array([]), array([]), True),
    ]
    on_purpose = [
        (array([1.0, 1.0]), 1.0, False),
        (array([1.0]), array([]), False),
        (array([1.0, 2.0]), array([1.0, 2.0, 3.0]), False),
        (array([1.0, 2.0]), [[1.0], [1.0, 2.0]], False),
        (array(["x"]), array(["x"]), True),
        (array([1, None], dtype=object), array([1, None], dtype=object), True),
        ([1.0, 2.0], array([1.0, 2.0]), True),
        (1.0, array([1.0, 1.0]), False),
    ]
    for left, right, expected in as_before + on_purpose:
        assert almost({"a": left}, {"a": right}) is expected, (left, right)


# -- params ------------------------------------------------------------------------------------------------------------


class PlainParams(PersistableParams):
    """No dataclass: sets attributes in __init__."""

    def __init__(self, n: int, cache: Any = None) -> None:
        self.n = n
        self.cache = cache

    @property
    def _excluded_attributes(self) -> set[str]:
        return super()._excluded_attributes | {"cache"}


class PlainP(Persistable[int, PlainParams]):
    def _generate_payload(self, **untracked_payload_params: Any) -> int:
        return self.params.n


def test_params_that_set_attributes_in_init(tmp_path: Path) -> None:
    """They enter the key by attribute, and _excluded_attributes leaves some out."""
    key = PlainP(tmp_path, PlainParams(1), None).key
    assert PlainP(tmp_path, PlainParams(2), None).key != key
    assert PlainP(tmp_path, PlainParams(1, cache=object()), None).key == key
    assert PlainP(tmp_path, PlainParams(1), None).params_tree == {"n": 1}
    assert PlainP(tmp_path, PlainParams(5), None).payload == 5


def test_persistables_that_set_attributes_in_init(tmp_path: Path) -> None:
    """A subclass may set anything before and after the base's constructor, by whatever signature."""

    class FitP(PointsP):
        def __init__(self, folder: Path, *, points: PointsP, scale: float) -> None:
            self.scale = scale
            super().__init__(folder, PointsParams(2), tracked_persistable_dependencies=[points], verbose=False)
            self.points = points

        def _generate_payload(self, **untracked_payload_params: Any) -> list[int]:
            return [int(value * self.scale) for value in self.points.payload]

    p = FitP(tmp_path, points=PointsP(tmp_path, PointsParams(4), None), scale=2)
    p.load_generate()
    assert p.payload == [0, 2, 4, 6]


def test_custom_type_encoder_map_gives_types_an_encoding(tmp_path: Path) -> None:
    """A type that has no encoding gets one, as it did; without it the param is refused."""

    class Unit:
        def __init__(self, name: str) -> None:
            self.name = name

    class UnitParams(PersistableParams):
        def __init__(self, unit: Any) -> None:
            self.unit = unit

    class EncodedParams(UnitParams):
        @property
        def _custom_type_encoder_map(self) -> dict[type[Any], Any]:
            return {Unit: lambda unit: unit.name}

    class UnitP(Persistable[int, UnitParams]):
        pass

    def key(name: str) -> str:
        return UnitP(tmp_path, EncodedParams(Unit(name)), None).key

    assert key("m") == key("m") != key("s")
    assert UnitP(tmp_path, EncodedParams(Unit("m")), None).params_tree == {"unit": "m"}
    with pytest.raises(UnkeyableParamError, match=r"params\.unit"):
        UnitP(tmp_path, UnitParams(Unit("m")), None)


ValueT = TypeVar("ValueT")


def test_persistable_param(tmp_path: Path) -> None:
    """A wrapped param is in the key unless exclude_from_file_hash says otherwise."""

    @dataclass
    class WrappedParams(PersistableParams):
        n: PersistableParam[int]
        workers: PersistableParam[int]

    class WrappedP(Persistable[int, WrappedParams]):
        pass

    def key(n: int, workers: int) -> str:
        params = WrappedParams(PersistableParam(n), PersistableParam(param=workers, exclude_from_file_hash=True))
        return WrappedP(tmp_path, params, None).key

    assert key(1, 1) == key(1, 8) != key(2, 1)
    wrapped = PersistableParam[int](3)
    assert (wrapped.param, wrapped.exclude_from_file_hash) == (3, False)


# -- get_logger --------------------------------------------------------------------------------------------------------


@pytest.fixture
def one_x_logger() -> Any:
    logger = logging.getLogger("one_x_test")
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def test_get_logger(tmp_path: Path, one_x_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """A logger has a console on stderr and a file, each with its level, and no handler twice."""
    for _ in range(3):
        logger = get_logger("one_x_test", tmp_path / "a.log", console_level=logging.INFO, file_level=logging.DEBUG)
    assert logger is one_x_logger
    assert (logger.level, len(logger.handlers)) == (logging.DEBUG, 2)
    logger.debug("quiet")
    logger.info("loud")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("loud") == 1
    assert "quiet" not in err
    assert "one_x_test - test_get_logger - INFO - loud" in err
    assert [line.rpartition(" - ")[2] for line in (tmp_path / "a.log").read_text().splitlines()] == ["quiet", "loud"]


def test_get_logger_without_console_or_file(tmp_path: Path, one_x_logger: logging.Logger) -> None:
    """None leaves the console or the file out; the file is opened when something is written."""
    assert get_logger("one_x_test", None, console_level=None).handlers == []
    get_logger("one_x_test", file_loc=tmp_path / "b.log", console_level=None, file_level=None)
    assert [handler.level for handler in one_x_logger.handlers] == [logging.DEBUG]
    assert not (tmp_path / "b.log").exists()


def test_get_logger_adapts_another(one_x_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """adapt_from_logger is configured in place of the name, its own console is kept, and its level is left."""
    console = logging.StreamHandler(sys.stderr)
    one_x_logger.addHandler(console)
    one_x_logger.setLevel(logging.WARNING)
    found = get_logger(
        "other", None, console_level=logging.ERROR, format_str="%(message)s!", adapt_from_logger=one_x_logger
    )
    assert found is one_x_logger
    assert (found.handlers, found.level, console.level) == ([console], logging.WARNING, logging.ERROR)
    found.error("once")
    assert capsys.readouterr().err == "once!\n"
    assert "other" not in logging.root.manager.loggerDict


# -- what 1.3.1 did wrong ----------------------------------------------------------------------------------------------


def test_a_dot_in_the_name_keeps_params_apart(tmp_path: Path) -> None:
    """1.3.1 wrote all params of "a.b" to one file."""
    for n in (1, 2):
        PointsP(tmp_path, PointsParams(n), None, payload_name="a.b").load_generate()
    assert [len(PointsP(tmp_path, PointsParams(n), None, payload_name="a.b").payload) for n in (1, 2)] == [1, 2]


def test_dependencies_of_one_name_all_count(tmp_path: Path) -> None:
    """1.3.1 let the last dependency of a name overwrite the others."""

    def key(*ns: int) -> str:
        return PointsP(
            tmp_path, PointsParams(0), [PointsP(tmp_path, PointsParams(n), None) for n in ns], payload_name="x"
        ).key

    assert len({key(1, 2), key(2, 2), key(2), key(2, 1)}) == 4


def test_a_dependency_does_not_overwrite_a_param(tmp_path: Path) -> None:
    """1.3.1 lost the param."""
    with pytest.raises(ValueError, match="'n'"):
        PointsP(tmp_path, PointsParams(0), [PointsP(tmp_path, PointsParams(1), None, payload_name="n")])


def test_a_generator_of_dependencies_does_not_vanish(tmp_path: Path) -> None:
    """1.3.1 saw the dependencies once, and then none."""
    made = (PointsP(tmp_path, PointsParams(n), None) for n in (1, 2))
    p = PointsP(tmp_path, PointsParams(0), made, payload_name="x")
    assert p.persist_hash == p.persist_hash
    assert len(p.tracked_persistable_dependencies) == 2
    assert len(p.params_tree) == 4


def test_large_arrays_do_not_collide(tmp_path: Path) -> None:
    """1.3.1 took arrays of over 1000 elements for the same if their abridged reprs are."""
    np = pytest.importorskip("numpy")

    class ArrayParams(PersistableParams):
        def __init__(self, array: Any) -> None:
            self.array = array

    class ArrayP(Persistable[int, Any]):
        pass

    one, other = np.zeros(2000), np.zeros(2000)
    other[1000] = 1
    assert str(one) == str(other)
    try:
        keys = {ArrayP(tmp_path, ArrayParams(array), None).key for array in (one, other, one.copy())}
    except UnkeyableParamError:
        return  # refused, which is no collision either
    assert len(keys) == 2


def test_slots_count(tmp_path: Path) -> None:
    """1.3.1 found params with slots=True empty."""

    @dataclass(slots=True)
    class SlottedParams(PersistableParams):
        n: int

    class SlottedP(Persistable[int, SlottedParams]):
        pass

    assert SlottedP(tmp_path, SlottedParams(1), None).key != SlottedP(tmp_path, SlottedParams(2), None).key
    assert SlottedP(tmp_path, SlottedParams(1), None).params_tree == {"n": 1}


def test_a_set_is_a_param(tmp_path: Path) -> None:
    """1.3.1 wrote the payload and then failed to write the params."""

    @dataclass
    class SetParams(PersistableParams):
        names: frozenset[str]
        more: set[str]

    class SetP(Persistable[int, SetParams]):
        def _generate_payload(self, **untracked_payload_params: Any) -> int:
            return 1

    first = SetP(tmp_path, SetParams(frozenset("abc"), set("xyz")), None)
    first.load_generate()
    again = SetP(tmp_path, SetParams(frozenset("cba"), set("zyx")), None)
    again.load()
    assert again.key == first.key


def test_a_truncated_file_is_generated_again(tmp_path: Path) -> None:
    """1.3.1 raised for ever."""
    p = PointsP(tmp_path, PointsParams(3), None)
    p.load_generate()
    p.persist_filepath.write_bytes(b"")
    q = PointsP(tmp_path, PointsParams(3), None)
    with pytest.warns(CorruptArtifactWarning):
        q.load_generate()
    assert q.payload == [0, 1, 2]
    PointsP(tmp_path, PointsParams(3), None).load()


def test_a_second_data_dir_has_its_log(tmp_path: Path) -> None:
    """1.3.1 gave a name one log for ever."""
    for name in ("a", "b"):
        PointsP(tmp_path / name, PointsParams(3), None).load_generate()
        assert "persisted" in (tmp_path / name / "points_p" / "log.txt").read_text()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_names_leak_no_descriptors(tmp_path: Path) -> None:
    """1.3.1 kept an open log file for every name."""
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        PointsP(tmp_path, PointsParams(1), None, payload_name=f"n{number}").load_generate()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_names_of_libraries_are_names(tmp_path: Path) -> None:
    """1.3.1 set the logger of a library to DEBUG if a payload had its name."""
    foreign = logging.getLogger("urllib3")
    before = foreign.level, list(foreign.handlers)
    PointsP(tmp_path, PointsParams(1), None, payload_name="urllib3").load_generate()
    assert (foreign.level, foreign.handlers) == before


def test_opening_a_store_writes_nothing(tmp_path: Path) -> None:
    """1.3.1 made the folder and a log file to look whether something is there."""
    p = PointsP(tmp_path / "data", PointsParams(1), None)
    with pytest.raises(MissingArtifactError):
        p.load()
    assert os.listdir(tmp_path) == []


def test_none_is_generated_once(tmp_path: Path) -> None:
    """1.3.1 could not persist None, and generated it again at every look."""

    class NoneP(Persistable[None, PointsParams]):
        times = 0

        def _generate_payload(self, **untracked_payload_params: Any) -> None:
            NoneP.times += 1

    p = NoneP(tmp_path, PointsParams(1), None)
    assert p.payload is p.payload is NoneP(tmp_path, PointsParams(1), None).payload is None
    assert NoneP.times == 1


def test_errors_of_1_x_are_still_caught(tmp_path: Path) -> None:
    """except FileNotFoundError around load, ValueError around persist, OSError around a save go on working."""
    p = PointsP(tmp_path, PointsParams(1), None)
    with pytest.raises(FileNotFoundError):
        p.load()
    with pytest.raises(ValueError, match="payload"):
        p.persist()
    with pytest.raises(NoPayloadError):
        p.validate_payload()
    p.generate(persist=False)
    p.payload.append(lambda: 1)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="PickleFileIO"):
        p.persist()


# -- the README of 1.3.1 -----------------------------------------------------------------------------------------------

README = """
from dataclasses import dataclass
from numpy.typing import NDArray
from pathlib import Path
from persistable import PersistableParams
from persistable import Persistable
from persistable.exceptions import InvalidPayloadError
from typing import Any, Optional

import numpy as np


@dataclass
class GaussianDistributedPointsParams(PersistableParams):
    n: int
    random_state: int = 100


class GaussianDistributedPointsP(Persistable[NDArray[np.float64], GaussianDistributedPointsParams]):
    def _generate_payload(self, **untracked_payload_params: Any) -> NDArray[np.float64]:
        np.random.seed(self.params.random_state)
        return np.random.random(self.params.n)

    def _validate_payload(self, payload: NDArray[np.float64]) -> None:
        if not isinstance(payload, np.ndarray):
            raise TypeError("Payload must be of type np.ndarray to be valid.")
        if not payload.ndim == 1:
            raise InvalidPayloadError("Payload must be a 1-D array.")
        if len_ := len(payload) != self.params.n:
            raise InvalidPayloadError(f"Payload expected to have length {self.params.n} (len(payload)={len_})")

data_dir = Path('.').absolute() / "example-data"
params = GaussianDistributedPointsParams(n=100, random_state=10)
gaussian_distributed_points_p = GaussianDistributedPointsP(
   data_dir=data_dir, params=params, tracked_persistable_dependencies=None
)
gaussian_distributed_points_p.generate()

gaussian_distributed_points_reloaded_p = GaussianDistributedPointsP(
   data_dir=data_dir, params=params, tracked_persistable_dependencies=None
)
gaussian_distributed_points_reloaded_p.load()


@dataclass
class OutlierEstimatorParams(PersistableParams):
    z_threshold: int


class OutlierEstimator:
    def __init__(self, z_threshold: float) -> None:
        self.z_threshold = z_threshold

        self._mean = Optional[float]
        self._stdev = Optional[float]

    def fit(self, data: NDArray[np.float64]) -> None:
        self._mean = np.mean(data)
        self._stdev = np.std(data)

    def transform(self, data: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs((data - self._mean) / self._stdev) > self.z_threshold

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}{self.__dict__}"


class OutlierEstimatorP(Persistable[OutlierEstimator, OutlierEstimatorParams]):
    def __init__(
        self,
        data_dir: Path,
        params: OutlierEstimatorParams,
        *,
        data_points_p: GaussianDistributedPointsP,
    ) -> None:
        super().__init__(data_dir, params, tracked_persistable_dependencies=[data_points_p], verbose=True)
        self.data_points_p = data_points_p

    def _generate_payload(self, **untracked_payload_params: Any) -> OutlierEstimator:
        outlier_estimator = OutlierEstimator(z_threshold = self.params.z_threshold)
        outlier_estimator.fit(self.data_points_p.payload)

        return outlier_estimator


data_dir = Path('.').absolute() / "example-data"
params = OutlierEstimatorParams(z_threshold=2)
outlier_estimator_p = OutlierEstimatorP(data_dir=data_dir, params=params, data_points_p=gaussian_distributed_points_p)
outlier_estimator_p.load_generate()
"""


def test_the_example_of_1_x(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's code of 1.3.1 runs unchanged, its own ndim mistake apart, and gives the numbers it says."""
    pytest.importorskip("numpy")
    monkeypatch.chdir(tmp_path)
    module = type(sys)("one_x_readme")
    monkeypatch.setitem(sys.modules, "one_x_readme", module)
    with warnings.catch_warnings():
        # without the plugin for arrays they are pickled, with a warning that is right
        warnings.simplefilter("ignore", persistable.exceptions.PluginWarning)
        exec(compile(README, "one_x_readme.py", "exec", dont_inherit=True), module.__dict__)
    points, again = module.gaussian_distributed_points_p, module.gaussian_distributed_points_reloaded_p
    assert points.payload[0] == pytest.approx(0.77132064, abs=5e-9)
    assert (points.payload == again.payload).all()
    estimator = module.outlier_estimator_p.payload
    assert (estimator._mean, estimator._stdev) == (0.48534879111973994, 0.27497659243084727)
    assert sorted(os.listdir(tmp_path / "example-data")) == ["gaussian_distributed_points_p", "outlier_estimator_p"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "generating outlier_estimator_p" in err


def test_tables_name_types_that_are_generic() -> None:
    """PersistableParam and FileIO can be subscripted, as 1.x code does."""
    assert PersistableParam[int]
    assert FileIO[list[int]]

    class Wrapped(PickleFileIO[ValueT], Generic[ValueT]):
        pass

    assert Wrapped[int]
