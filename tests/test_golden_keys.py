"""Keys that must never change: one per type, and the same in every process, interpreter and hash seed.

``golden_keys.json`` maps a name to a key. To add one: add a maker to ``CORE`` (or ``NUMPY``), run this test, and copy
the line that it asks for. A key that is there already is never changed: it is that of artifacts that people have. The
makers below run in bare interpreters too, so this file imports pytest only where it is run as a test.
"""

import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import types
import typing
import uuid
import zoneinfo
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden_keys.json"


class Colour(enum.Enum):
    RED = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Metre(float):
    pass


class Tagged(list):
    pass


class Point(typing.NamedTuple):
    x: int
    y: float


@dataclass
class Model:
    depth: int
    name: str = "a"
    parts: list = field(default_factory=list, repr=False)


@dataclass(slots=True)
class SlotModel:
    depth: int


class Own:
    def __persistable_params__(self):
        return {"own": 1}


def tagged():
    made = Tagged([1, 2])
    made.unit = "m"
    return made


def file_content():
    from persistable.params import FileContent

    return FileContent(HERE / "golden_file.txt")


def options():
    from persistable.params import PersistableParams, param

    @dataclass
    class Options(PersistableParams):
        n: int = 1
        jobs: int = param(default=4, tracked=False)
        password: str = param(default="x", secret=True)
        added: int = param(default=1, absent_means=1)
        changed: int = param(default=2, absent_means=1)

    Options.__qualname__ = "Options"
    return Options()


CORE = {
    "none": lambda: None,
    "bool": lambda: [True, False],
    "int": lambda: [0, -1, 2**64, 10**300],
    "int wide": lambda: -(2**2048) - 1,
    "float": lambda: [0.1, -0.0, 1e22, 5e-324, 1.7976931348623157e308],
    "float odd": lambda: [math.nan, math.inf, -math.inf],
    "str": lambda: ["", 'a"\\\n\x00\x7f', "é", "\U0001f600"],
    "str surrogate": lambda: "a\ud83d\ude00",
    "bytes": lambda: b"\x00\xff",
    "bytes long": lambda: b"ab" * 3000,
    "bytearray": lambda: bytearray(b"ab"),
    "complex": lambda: complex(1.5, -0.0),
    "list": lambda: [1, [2, []]],
    "list long": lambda: [*range(100), 0.5, "a", None, True],
    "tuple": lambda: (1, (2, ())),
    "dict": lambda: {"b": 1, "a": {"z": None}},
    "dict any keys": lambda: {1: "a", "1": "b", (1, 2): "c", None: "d"},
    "dict like a tag": lambda: {"$": "tuple", "items": [1]},
    "dict long": lambda: {f"k{i}": i / 7 for i in range(100)},
    "set": lambda: {1, "a", (1,), "b", 2.5},
    "frozenset": lambda: frozenset({"x", "y", frozenset({1})}),
    "range": lambda: range(1, 10, 2),
    "slice": lambda: slice(None, 5),
    "ellipsis": lambda: ...,
    "date": lambda: dt.date(2020, 2, 29),
    "datetime": lambda: dt.datetime(2020, 10, 25, 2, 30, 1, 5, fold=1),
    "datetime zone": lambda: dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3), "X")),
    "time": lambda: dt.time(1, 2, 3, 4),
    "timedelta": lambda: dt.timedelta(days=-1, microseconds=1),
    "timezone": lambda: dt.UTC,
    "zoneinfo": lambda: zoneinfo.ZoneInfo("UTC"),
    "decimal": lambda: [decimal.Decimal("1.50"), decimal.Decimal("-Infinity"), decimal.Decimal("sNaN12")],
    "fraction": lambda: fractions.Fraction(-1, 3),
    "uuid": lambda: uuid.UUID(int=12345),
    "path": lambda: pathlib.Path("a/ü.txt"),
    "pure path": lambda: [pathlib.PurePosixPath("a/b"), pathlib.PureWindowsPath("c:\\a\\b")],
    "pattern": lambda: [re.compile("a+", re.IGNORECASE), re.compile(b"a")],
    "ordered dict": lambda: collections.OrderedDict(b=1, a=2),
    "defaultdict": lambda: collections.defaultdict(list, a=[1]),
    "counter": lambda: collections.Counter("aab"),
    "deque": lambda: collections.deque([1, 2], maxlen=3),
    "namespace": lambda: types.SimpleNamespace(a=1, b=[2]),
    "enum": lambda: Colour.RED,
    "flag": lambda: [Right.READ, Right.READ | Right.WRITE, Right(0)],
    "named tuple": lambda: Point(1, 2.5),
    "dataclass": lambda: Model(3, parts=[SlotModel(1)]),
    "subclass": lambda: Metre(1.5),
    "subclass with state": tagged,
    "class": lambda: [int, decimal.Decimal, type(None)],
    "function": lambda: [len, json.dumps, math.sin],
    "partial": lambda: functools.partial(json.dumps, indent=2),
    "own params": lambda: Own(),
    "file content": file_content,
    "field options": options,
}


def numpy_values():
    import numpy as np

    grid = np.arange(24.0).reshape(2, 3, 4)
    aligned = np.dtype([("a", "i1"), ("b", "<f8"), ("c", "U3", (2,))], align=True)
    records = np.zeros(2, aligned)
    records["a"], records["b"], records["c"] = 1, 2.5, "x"
    return {
        "numpy bool": np.bool_(True),
        "numpy int": [np.int8(-3), np.uint64(2**64 - 1)],
        "numpy float": [np.float16(0.1), np.float32(0.1), np.float64(0.1), np.float64("nan")],
        "numpy complex": np.complex64(1 + 2j),
        "numpy str": [np.str_("ab"), np.bytes_(b"ab")],
        "numpy datetime": [np.datetime64("2020-01-01", "ns"), np.timedelta64(3, "D")],
        "numpy dtype": [np.dtype("<f4"), np.dtype(">i2"), np.dtype("M8[25s]"), aligned],
        "numpy array": [grid, np.asfortranarray(grid), grid[::-1, ::2].astype("<f4"), np.zeros((0, 3)), np.array(5)],
        "numpy strings": [np.array(["ab", ""]), np.array([b"a"])],
        "numpy structured": [records, records[0]],
        "numpy objects": np.array([[1, "a"], [None, 2.5]], object),
        "numpy masked": np.ma.array([1.5, 2.5], mask=[False, True], fill_value=0.0),
        "numpy matrix": np.array([[1, 2]]).view(np.matrix),
        "numpy recarray": np.rec.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        "numpy seed": np.random.SeedSequence(5, spawn_key=(1,)),
        "numpy generators": [
            np.random.default_rng(5),
            np.random.Generator(np.random.MT19937(5)),
            np.random.Generator(np.random.Philox(5)),
            np.random.Generator(np.random.SFC64(5)),
        ],
        "numpy random state": np.random.RandomState(5),
        "numpy function": [np.add, np.float64],
    }


def key_of_value(value):
    from persistable.encoding import encode
    from persistable.identity import identify
    from persistable.params import PersistableParams, snapshot

    parts = snapshot(value).parts if isinstance(value, PersistableParams) else (f'"value":{encode(value)}',)
    return identify("golden", "0", parts, (("up", identify("upstream", "1", (), ())),)).key


def core_keys():
    return {name: key_of_value(make()) for name, make in CORE.items()}


def golden(prefix=""):
    keys = json.loads(GOLDEN.read_text())
    return {name: key for name, key in keys.items() if name.startswith("numpy") == (prefix == "numpy")}


def interpreters():
    """Find Python 3.11 to 3.13 beside the one that runs: on PATH, and what pyenv installed."""
    found = {}
    places = [pathlib.Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if "shims" not in place]
    places += sorted((pathlib.Path.home() / ".pyenv" / "versions").glob("3.1[123].*/bin"))
    for place in places:
        for version in ("3.11", "3.12", "3.13"):
            program = place / f"python{version}"
            if version != "{}.{}".format(*sys.version_info) and version not in found and program.is_file():
                found[version] = str(program)
    return found


def keys_elsewhere(program, seed):
    """Compute the keys of CORE in another interpreter that has nothing installed."""
    code = (
        "import sys, json, runpy; sys.path[:0] = sys.argv[1:2]; import importlib.util as u;"
        "spec = u.spec_from_file_location('golden', sys.argv[2]); module = u.module_from_spec(spec);"
        "sys.modules['golden'] = module; spec.loader.exec_module(module);"
        "print(json.dumps(module.core_keys()))"
    )
    root = str(pathlib.Path(sys.modules["persistable"].__file__).parents[1])
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    command = [program, "-B", "-c", code, root, __file__]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


if "pytest" in sys.modules:
    import multiprocessing

    import pytest

    import persistable.encoding  # noqa: F401

    def test_the_keys_of_every_type_are_as_they_ever_were():
        """Every maker has its line in golden_keys.json, and every line its maker."""
        keys = core_keys()
        missing = {name: key for name, key in keys.items() if name not in golden()}
        assert not missing, f"add to golden_keys.json: {json.dumps(missing, indent=4)}"
        assert keys == golden()

    def test_the_keys_of_numpys_values_are_as_they_ever_were():
        """The same for numpy, whatever its version."""
        pytest.importorskip("numpy")
        keys = {name: key_of_value(value) for name, value in numpy_values().items()}
        missing = {name: key for name, key in keys.items() if name not in golden("numpy")}
        assert not missing, f"add to golden_keys.json: {json.dumps(missing, indent=4)}"
        assert keys == golden("numpy")

    def test_every_golden_key_is_unique():
        """No two types share a key."""
        keys = json.loads(GOLDEN.read_text())
        assert len(set(keys.values())) == len(keys)

    @pytest.mark.parametrize("seed", range(10))
    def test_keys_do_not_depend_on_the_hash_seed(seed):
        """A set has another order in every process; its key does not."""
        assert keys_elsewhere(sys.executable, seed) == golden()

    @pytest.mark.parametrize("version", sorted(interpreters()))
    def test_keys_do_not_depend_on_the_interpreter(version):
        """Other versions of Python, with nothing installed, compute the same keys."""
        assert keys_elsewhere(interpreters()[version], 0) == golden()

    def _send_keys(connection):
        connection.send(core_keys())

    def test_keys_survive_a_fork():
        """A forked child computes the same keys."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.write(writer, json.dumps(core_keys()).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader) as file:
            sent = file.read()
        assert os.waitpid(child, 0)[1] == 0
        assert json.loads(sent) == golden()

    def test_keys_survive_a_spawn():
        """An identity that travels to a spawned process, where nothing is inherited, has the same key there."""
        from persistable.identity import identify

        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            made = identify("a", "0", ('"n":1',), ())
            again = pool.apply(identify, (made.name, made.version, made.params, ()))
        assert again == made
