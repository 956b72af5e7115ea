"""The canonical encoding of numpy's values."""

import json

import pytest

from persistable.canonical import canonical
from persistable.encoding import encode
from persistable.exceptions import UnkeyableParamError

np = pytest.importorskip("numpy")

LONG = np.dtype(np.longdouble)
PADDED = np.dtype([("a", "i1"), ("b", "f8")], align=True)
PACKED = np.dtype([("a", "i1"), ("b", "f8")])


class Celsius(np.ndarray):
    pass


class Kelvin(np.ndarray):
    pass


def view(array, cls, **attributes):
    made = array.view(cls)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def padded(filler, dtype=PADDED):
    made = np.frombuffer(bytes([filler]) * dtype.itemsize * 3, dtype).copy()
    made["a"], made["b"] = 1, 2.5
    return made


OVERLAPPING = np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 0], "itemsize": 8})


def overlapping(filler):
    made = np.frombuffer(bytes([filler]) * 8, OVERLAPPING).copy()
    made["a"] = 1
    return made


def long_doubles(filler, dtype=LONG):
    raw = np.full(3 * dtype.itemsize, filler, np.uint8)
    for index in range(3 * dtype.itemsize // LONG.itemsize):
        start = index * LONG.itemsize
        raw[start : start + 10] = np.array([1.5], LONG).view(np.uint8)[:10]
    return raw.view(dtype)


def drawn(generator, n=1):
    generator.random(n)
    return generator


def spawned(generator):
    generator.bit_generator.seed_seq.spawn(1)
    return generator


def masked(under, **kwargs):
    return np.ma.array([1.0, under, 3.0], mask=[0, 1, 0], **kwargs)


GRID = np.arange(24.0).reshape(2, 3, 4)
WIDE = np.arange(600_000.0).reshape(2, 300_000)

DIFFERENT = [
    (np.float64(1), 1.0),
    (np.float64(1), np.float32(1)),
    (np.int64(1), 1),
    (np.int64(1), np.int32(1)),
    (np.int64(1), np.uint64(1)),
    (np.bool_(True), True),
    (np.float64("nan"), float("nan")),
    (np.float64(0.0), np.float64(-0.0)),
    (np.float64(1), np.array(1.0)),
    (np.array(1.0), np.array([1.0])),
    (np.str_("a"), "a"),
    (np.bytes_(b"a"), b"a"),
    (np.complex128(1j), np.complex64(1j)),
    (np.complex128(1j), 1j),
    (np.datetime64("2020-01-01", "D"), np.datetime64("2020-01-01", "ns")),
    (np.datetime64("2020-01-01T00:00:00.000000001"), np.datetime64("2020-01-01T00:00:00.000000002")),
    (np.timedelta64(1, "s"), np.timedelta64(1, "m")),
    (np.longdouble(1), np.float64(1)),
    (np.longdouble(1), np.longdouble(1) + np.finfo(np.longdouble).eps),
    (np.void(b"abc"), b"abc"),
    (np.dtype("f8"), np.dtype("f4")),
    (np.dtype("f8"), np.dtype(">f8")),
    (np.dtype("f8"), np.float64),
    (np.dtype("f8"), "<f8"),
    (np.dtype("M8[s]"), np.dtype("M8[25s]")),
    (PADDED, PACKED),
    (np.dtype([("a", "i4")]), np.dtype([("b", "i4")])),
    (np.dtype(("f4", (2,))), np.dtype(("f4", (2, 1)))),
    (np.dtype({"names": ["a"], "formats": ["i4"], "itemsize": 8}), np.dtype([("a", "i4")])),
    (
        np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 4]}),
        np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [4, 0]}),
    ),
    (np.arange(3), [0, 1, 2]),
    (np.arange(3), np.arange(3.0)),
    (np.arange(3), np.arange(3).astype(">i8")),
    (np.arange(6), np.arange(6).reshape(2, 3)),
    (np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2)),
    (np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2).T),
    (np.zeros((0, 2)), np.zeros((2, 0))),
    (np.zeros(0), np.zeros(0, "f4")),
    (np.zeros(2), -np.zeros(2)),
    (np.arange(2000), np.where(np.arange(2000) == 1000, -1, np.arange(2000))),
    (np.array(["a"]), np.array(["a"], "U2")),
    (np.array(["a"]), np.array([b"a"])),
    (np.array([1, "a"], object), np.array([1, b"a"], object)),
    (np.array([1], object), np.array([True], object)),
    (np.array([1], object), np.array([1])),
    (np.array(None, object), None),
    (padded(0), np.array([(1, 2.5)] * 3, PACKED)),
    (np.array([[1]]).view(np.matrix), np.array([[1]])),
    (np.array([(1, 2.5)], PACKED), np.rec.array([(1, 2.5)], dtype=PACKED)),
    (view(np.arange(3), Celsius), np.arange(3)),
    (view(np.arange(3), Celsius), view(np.arange(3), Kelvin)),
    (view(np.arange(3), Celsius, unit="a"), view(np.arange(3), Celsius, unit="b")),
    (masked(0), np.array([1.0, 0, 3.0])),
    (masked(0), np.ma.array([1.0, 0, 3.0], mask=[1, 0, 0])),
    (masked(0), masked(0, fill_value=7)),
    (np.ma.array([1.0]), np.array([1.0])),
    (np.ma.masked, np.ma.array(0.0, mask=True)),
    (np.random.SeedSequence(1), np.random.SeedSequence(2)),
    (np.random.SeedSequence(1), np.random.SeedSequence(1, spawn_key=(0,))),
    (np.random.default_rng(1), np.random.default_rng(2)),
    (np.random.default_rng(1), drawn(np.random.default_rng(1))),
    (np.random.default_rng(1), spawned(np.random.default_rng(1))),
    (np.random.default_rng(1), np.random.PCG64(1)),
    (np.random.PCG64(1), np.random.MT19937(1)),
    (np.random.RandomState(1), np.random.RandomState(2)),
    (np.random.RandomState(1), drawn(np.random.RandomState(1))),
    (np.add, np.subtract),
    (np.sum, np.mean),
]

SAME = [
    (GRID, np.asfortranarray(GRID)),
    (GRID, GRID.copy()[:, :, :]),
    (GRID, np.repeat(GRID, 2, axis=2)[:, :, ::2]),
    (GRID, GRID[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]),
    (WIDE, np.asfortranarray(WIDE)),
    (WIDE.T, np.ascontiguousarray(WIDE.T)),
    (np.broadcast_to(1.0, (3, 4)), np.ones((3, 4))),
    (np.arange(3, dtype="q"), np.arange(3, dtype="l").astype("i8")),
    (padded(0), padded(255)),
    (padded(0)[0], padded(255)[0]),
    (overlapping(0), overlapping(255)),
    (padded(0)[::2], padded(7)[::2].copy()),
    (np.array([[1, "a"], [None, 2]], object), np.asfortranarray(np.array([[1, "a"], [None, 2]], object))),
    (masked(0), masked(5)),
    (np.ma.array([1.0]), np.ma.array([1.0], mask=[False])),
    (
        np.ma.array(padded(0), mask=True),
        np.ma.array(np.zeros(3, PADDED), mask=True, fill_value=np.ma.array(padded(0)).fill_value),
    ),
    (np.random.default_rng(1), np.random.default_rng(1)),
    (np.random.RandomState(1), np.random.RandomState(1)),
    (np.dtype("i8"), np.dtype("int64")),
]
if np.finfo(LONG).nmant == 63:
    COMPLEX = np.dtype(np.clongdouble)
    SAME += [
        (long_doubles(0), long_doubles(255)),
        (long_doubles(0)[0], long_doubles(255)[0]),
        (long_doubles(0)[::2], long_doubles(255)[::2]),
        (long_doubles(0, COMPLEX), long_doubles(255, COMPLEX)),
        (long_doubles(0).view([("a", LONG)]), long_doubles(255).view([("a", LONG)])),
    ]
    DIFFERENT += [(long_doubles(0), long_doubles(0) + 1)]
if hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType"):
    STRING = np.dtypes.StringDType
    DIFFERENT += [
        (np.array(["a"], STRING()), np.array(["a"])),
        (np.array(["a"], STRING()), np.array(["b"], STRING())),
        (STRING(), STRING(na_object=None)),
        (STRING(), STRING(coerce=False)),
    ]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=map(str, range(len(DIFFERENT))))
def test_different_numpy_values_are_encoded_differently(one, other):
    """Type, dtype, shape and every element count; the text is canonical."""
    assert encode(one) != encode(other)
    for value in (one, other):
        assert canonical(json.loads(encode(value))) == encode(value)


@pytest.mark.parametrize(("one", "other"), SAME, ids=map(str, range(len(SAME))))
def test_equal_numpy_values_are_encoded_alike(one, other):
    """Layout in memory, padding and what a mask covers do not count."""
    assert encode(one) == encode(other)


def test_a_memory_map_is_encoded_as_the_array_it_shows(tmp_path):
    """Where the bytes of an array are does not matter."""
    np.save(tmp_path / "a.npy", GRID)
    assert encode(np.load(tmp_path / "a.npy", mmap_mode="r")) == encode(GRID)


def test_an_array_is_not_changed_by_encoding_it():
    """Encoding works on read-only arrays and leaves masked values as they are."""
    array = masked(5)
    array.data.flags.writeable = False
    encode(array)
    assert array.data[1] == 5


def test_an_element_without_an_encoding_is_named_by_its_index():
    """The path goes into object arrays."""
    array = np.array([[1, 2], [3, object()]], object)
    with pytest.raises(UnkeyableParamError) as caught:
        encode({"table": array})
    assert caught.value.path == "value['table'][1, 1]"


def test_an_array_that_contains_itself_is_refused():
    """Self-reference through an object array is the same typed error."""
    array = np.array([None], object)
    array[0] = array
    with pytest.raises(UnkeyableParamError, match="contains itself"):
        encode(array)


def test_a_bit_generator_of_random_state_does_not_bring_its_random_entropy():
    """Two RandomStates of one seed agree although their hidden seed sequences do not."""
    assert encode([np.random.RandomState(5)]) == encode([np.random.RandomState(5)])
