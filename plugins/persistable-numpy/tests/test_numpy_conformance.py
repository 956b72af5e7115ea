"""npy and npz keep the promises of every format, and the plugin those of every plugin."""

import numpy as np
from persistable_numpy import NpyFileIO, NpzFileIO, hooks

from persistable.testing import DoesNotApply, FormatTests, PluginTests

NPY, NPZ = hooks.persistable_formats()
RECORDS = np.dtype([("name", "U8"), ("at", "datetime64[us]"), ("place", "f4", (2,))])


def arrays():
    random = np.random.default_rng(0)
    return {
        "floats": random.random((7, 3)),
        "specials": np.array([0.0, -0.0, np.nan, np.inf, -np.inf]),
        "fortran": np.asfortranarray(random.random((4, 5))),
        "strided": random.random((8, 8))[::2, ::-3],
        "scalar": np.array(3, "i2"),
        "no columns": np.empty((3, 0), "f2"),
        "big-endian": np.arange(5, dtype=">i8"),
        "complex": np.array([1 - 0j, complex("nan-infj")]),
        "times": np.array(["2020-02-29", "NaT"], "datetime64[ns]"),
        "records": np.array([("å", "2020-01-01", (1, -0.0)), ("", "NaT", (np.nan, 2))], RECORDS),
        "bytes": np.array([b"a\0b", b""]),
    }


class TestNpy(FormatTests):
    spec = NPY

    def file_io(self):
        return NpyFileIO()

    def payloads(self):
        return arrays()

    def empty(self):
        return np.empty(0)

    def unicode(self):
        return np.array(["größe", "", "文字", "\U0001f41f", "e\u0301"])

    def large(self):
        return np.random.default_rng(0).random((500, 600))

    def foreign(self):
        return {
            "list": [1.0],
            "objects": np.array([{}], object),
            "matrix": np.zeros((1, 1)).view(np.matrix),
            "masked": np.ma.masked_array([1, 2], [True, False]),
            "frame": {"a": np.zeros(2)},
        }


class TestNpyMapped(TestNpy):
    memory_mapped = True

    def options(self):
        return {}, {"mmap_mode": None}

    def file_io(self):
        return NpyFileIO(mmap_mode="r")

    def payloads(self):
        return {label: array for label, array in arrays().items() if array.size}

    def empty(self):
        return DoesNotApply("no bytes can be mapped")

    def difference(self, found, expected):
        # what is mapped is the array that it was, of the class that numpy gives to mapped arrays
        assert type(found) in (np.memmap, np.ndarray)
        return super().difference(np.asarray(found), np.asarray(expected))


class TestNpz(FormatTests):
    needs_metadata = True
    spec = NPZ
    notices_flips = True

    def file_io(self):
        return NpzFileIO()

    def payloads(self):
        return {
            "all": arrays(),
            "one": {"a": np.arange(3)},
            "odd keys": {"": np.zeros(1), "a/b": np.ones(1), ".npy": np.ones(2)},
        }

    def empty(self):
        return {}

    def unicode(self):
        return {"größe": np.array(["文字", "\U0001f41f"]), "e\u0301": np.array("é")}

    def large(self):
        return {"a": np.random.default_rng(0).random(200_000), "b": np.zeros(10)}

    def foreign(self):
        return {
            "array": np.zeros(3),
            "list": [np.zeros(3)],
            "number as key": {1: np.zeros(3)},
            "list as value": {"a": np.zeros(3), "b": [1, 2]},
            "objects": {"a": np.array([{}], object)},
        }


class TestNpzCompressed(TestNpz):
    def options(self):
        return {"compressed": False}, {}

    def file_io(self):
        return NpzFileIO(compressed=True)


class TestPlugin(PluginTests):
    hooks = "persistable_numpy.hooks"
    distribution = "persistable-numpy"
