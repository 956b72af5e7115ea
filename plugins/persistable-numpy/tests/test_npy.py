"""npy gives every array back as it was, or says beforehand why it would not."""

import errno
import itertools
import os
import pickle
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.lib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from persistable_numpy import NpyFileIO
from persistable_numpy.fidelity import HEADER_LIMIT, dtype_refusal
from persistable_numpy.npy import LARGE

from persistable import ArtifactStore, Persistable, PersistableParams
from persistable.exceptions import CorruptArtifactError, FidelityError, SaveError

NPY = NpyFileIO()
OTHERS = Path(numpy.lib.__file__).parent / "tests" / "data"  # files by numpy on Python 2, Windows and before 1.0


def assert_same(actual, expected, cls=np.ndarray):
    assert type(actual) is cls
    assert actual.dtype == expected.dtype
    assert repr(actual.dtype) == repr(expected.dtype)  # shows what == overlooks: alignment, titles, numpy.record
    assert actual.shape == expected.shape
    if expected.flags.forc and expected.nbytes:
        assert actual.flags.c_contiguous == expected.flags.c_contiguous
        assert actual.flags.f_contiguous == expected.flags.f_contiguous
    assert_same_bits(np.asarray(actual), np.asarray(expected))


def assert_same_bits(actual, expected):
    if expected.dtype.names is None:
        assert actual.tobytes() == expected.tobytes()
    for name in expected.dtype.names or ():  # not the padding between fields
        assert_same_bits(actual[name], expected[name])


def layouts(array):
    """Return the same kind of array in every layout of memory that numpy knows."""
    yield array
    yield np.asfortranarray(array)
    yield array.T
    yield array[..., ::2]
    yield array[::-1]
    yield np.stack([array, array], axis=-1)[..., 0]
    yield np.broadcast_to(array, (2, *array.shape))
    yield np.moveaxis(np.stack([array, array]), 0, array.ndim // 2)
    if array.nbytes:
        unaligned = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
        unaligned[...] = array
        yield unaligned
    frozen = array.copy()
    frozen.flags.writeable = False
    yield frozen


scalar_dtypes = st.one_of(
    hnp.scalar_dtypes(),
    hnp.complex_number_dtypes(),
    st.sampled_from([np.dtype(code) for code in ("g", "G", ">f8", ">c16", "q", "Q")]),
)
dtypes = st.one_of(
    scalar_dtypes,
    hnp.nested_dtypes(scalar_dtypes, max_leaves=4, max_itemsize=200).filter(lambda dtype: dtype.subdtype is None),
)


@st.composite
def arrays(draw):
    dtype = draw(dtypes)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    array = draw(hnp.arrays(dtype, shape))
    layout = draw(st.sampled_from(["C", "F", "transposed", "reversed", "every second", "broadcast", "permuted"]))
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "transposed":
        return array.T
    if layout == "reversed" and array.ndim:
        return array[::-1]
    if layout == "every second" and array.ndim:
        return array[..., ::2]
    if layout == "broadcast":
        return np.broadcast_to(array, (2, *array.shape))
    if layout == "permuted" and array.ndim:
        return array.transpose(draw(st.permutations(range(array.ndim))))
    return array


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(array=arrays())
def test_any_array_comes_back_as_it_was_and_plain_numpy_reads_it(array, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.npy"
    NPY.save(array, path)
    assert_same(NPY.load(path), array)
    assert_same(NPY.load_buffer(path.read_bytes()), array)
    assert_same_bits(np.load(path), array)


CODES = "? i1 u8 >i2 q l e >e f4 >f8 g c8 >c16 G M8 M8[ns] >M8[25s] m8 m8[D] S0 S5 U0 U2 >U2 V0 V7"
STRUCTURED = {
    "packed": [("a", "<i4"), ("b", ">f8"), ("c", "S3")],
    "padded": {"names": ["a", "b"], "formats": ["i1", "<i8"], "offsets": [3, 8], "itemsize": 32},
    "padded like C": np.lib.format.descr_to_dtype(np.dtype("i1,i8,i2", align=True).descr),
    "titles": [(("the title", "a"), "i4"), (("der Titel ä", "b"), "M8[ns]")],
    "subarrays": [("a", "f4", (2, 3)), ("b", [("c", "u1", 2), ("d", "c16")], (2,))],
    "nested with padding": [("a", {"names": ["x"], "formats": ["i2"], "offsets": [4], "itemsize": 10}), ("b", "?")],
    "names beyond ASCII": [("größe", "i4"), ("数", "f8"), ("\ud800", "i1"), ("it's \\ \" \n", "i1")],
    "no fields": [],
    "zero width": [("a", "S0"), ("b", "i4", (0,))],
}


@pytest.mark.parametrize("dtype", STRUCTURED.values(), ids=STRUCTURED)
def test_structured_arrays_come_back_with_offsets_titles_and_names(dtype, tmp_path):
    array = np.zeros(6, dtype)
    array.view(np.uint8)[...] = np.arange(array.nbytes) % 2 if array.nbytes else 0
    for variant in (array.reshape(2, 3), array.reshape(2, 3).T, array[::2], array[1]):
        variant = np.asarray(variant)
        NPY.save(variant, tmp_path / "a.npy")
        assert_same(NPY.load(tmp_path / "a.npy"), variant)
        assert np.load(tmp_path / "a.npy").dtype == variant.dtype


@pytest.mark.parametrize("code", CODES.split())
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (5,), (3, 4), (2, 3, 4)], ids=str)
def test_every_dtype_comes_back_in_every_layout(code, shape, tmp_path):
    array = np.ndarray(shape, code)
    array[...] = np.random.default_rng(1).integers(0, 2, shape).astype("S1" if array.dtype.kind == "V" else code)
    for number, variant in enumerate(layouts(array) if array.ndim else [array]):
        path = tmp_path / f"{number}.npy"
        NPY.save(variant, path)
        assert_same(NPY.load(path), variant)
        assert np.load(path).dtype == variant.dtype
        assert path.stat().st_size % 64 == variant.nbytes % 64  # data starts aligned


def test_not_a_number_keeps_its_bits_and_zero_its_sign(tmp_path):
    bits = np.array([0x7FF8000000000001, 0xFFF800000000BEEF, 0x8000000000000000], np.uint64).view(float)
    NPY.save(bits, tmp_path / "a.npy")
    assert NPY.load(tmp_path / "a.npy").view(np.uint64).tolist() == bits.view(np.uint64).tolist()


def test_blocks_of_arrays_that_need_several_join_up(tmp_path):
    array = np.arange(3_000_003.0)
    for variant in (
        array,
        array[::-1],
        array[:-3].reshape(-1, 3)[:, :2],
        array[:-3].reshape(300, 100, 100).swapaxes(0, 1),
    ):
        NPY.save(variant, tmp_path / "a.npy")
        assert_same(NPY.load(tmp_path / "a.npy"), variant)


def test_a_memmap_comes_back_as_a_plain_array(tmp_path):
    NPY.save(np.arange(12).reshape(3, 4, order="F"), tmp_path / "a.npy")
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    NPY.save(mapped, tmp_path / "b.npy")
    assert_same(NPY.load(tmp_path / "b.npy"), mapped)


def test_what_is_loaded_is_writable_and_its_own(tmp_path):
    NPY.save(np.zeros(3), tmp_path / "a.npy")
    loaded = NPY.load(tmp_path / "a.npy")
    loaded[0] = 1
    assert loaded.flags.owndata
    assert NPY.load(tmp_path / "a.npy")[0] == 0


# -- what is declined --------------------------------------------------------------------------------------------------


class Void(np.void):
    pass


class Subclass(np.ndarray):
    pass


DECLINED = {
    "a list": ([1, 2], "builtins.list, not a numpy.ndarray"),
    "None": (None, "not a numpy.ndarray"),
    "a scalar": (np.float64(1), "numpy.float64, not a numpy.ndarray"),
    "matrix": (np.ones(3).view(np.matrix), "matrix and would come back as a plain"),
    "masked": (np.ma.masked_array([1, 2], [True, False]), "MaskedArray and would come back"),
    "recarray": (np.zeros(2, [("a", "i4")]).view(np.recarray), "recarray and would come back"),
    "own subclass": (np.zeros(2).view(Subclass), "Subclass and would come back"),
    "object": (np.array([1, None]), "dtype is object, and Python objects could only be pickled"),
    "object in a field": (np.zeros(2, [("a", [("b", "O")]), ("c", "i4")]), "field 'a.b' is object"),
    "object in a subarray": (np.zeros(2, [("a", "O", (2,))]), "field 'a' is object"),
    "metadata": (np.zeros(2, np.dtype("i4", metadata={"unit": "m"})), "its dtype carries metadata"),
    "metadata of a field": (np.zeros(2, [("a", np.dtype("i4", metadata={"unit": "m"}))]), "field 'a' carries metadata"),
    "aligned": (np.zeros(2, np.dtype("i1,i8", align=True)), "aligned structure"),
    "aligned inside": (np.zeros(2, [("a", np.dtype("i1,i8", align=True))]), "would come back as"),
    "record": (np.zeros(2, np.dtype((np.record, [("a", "i4")]))), "would come back as"),
    "void subclass": (np.zeros(2, np.dtype((Void, [("a", "i4")]))), "would come back as"),
    "fields of an integer": (
        np.zeros(2, np.dtype(("i4", {"low": ("i2", 0), "high": ("i2", 2)}))),
        "would come back as",
    ),
    "overlapping": (
        np.zeros(2, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]}),
        "overlapping or out-of-order",
    ),
    "out of order": (
        np.zeros(2, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [4, 0]}),
        "overlapping or out-of-order",
    ),
    "a title that is an object": (
        np.zeros(2, {"names": ["a"], "formats": ["i4"], "titles": [Path("x")]}),
        "cannot be written in a header",
    ),
    "too many names": (np.zeros(2, [(f"{i}" * 2000, "i1") for i in range(300)]), "300 fields need"),
}
if hasattr(np.dtypes, "StringDType"):
    DECLINED["variable-width strings"] = (np.array(["a", "bc"], np.dtypes.StringDType()), "StringDType(), which has no")


@pytest.mark.parametrize(("payload", "reason"), DECLINED.values(), ids=DECLINED)
def test_what_would_not_come_back_is_declined_before_anything_is_written(payload, reason, tmp_path):
    assert reason in NPY.refusal(payload)
    with pytest.raises(FidelityError) as caught:
        NPY.save(payload, tmp_path / "a.npy")
    assert (caught.value.format, caught.value.where) == ("npy", "payload")
    assert reason in caught.value.reason
    assert list(tmp_path.iterdir()) == []


def test_a_user_defined_dtype_is_declined():
    rational = pytest.importorskip("numpy._core._rational_tests").rational  # numpy's own, where it ships its tests
    assert "would come back as dtype('V8')" in dtype_refusal(np.dtype(rational))


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1000, 5000])
def test_long_headers_load_and_map_though_numpy_wants_to_be_told(count, tmp_path):
    array = np.ones(3, [(f"field_{i:04}", "f4") for i in range(count)])
    path = tmp_path / "a.npy"
    NPY.save(array, path)
    assert_same(NPY.load(path), array)
    assert_same(NPY.load(path, mmap_mode="r"), array, np.memmap)
    with pytest.raises(ValueError, match="max_header_size"):
        np.load(path)
    assert_same(np.load(path, max_header_size=HEADER_LIMIT), array)


@pytest.mark.parametrize(
    ("version", "dtype"),
    [
        *itertools.product([(1, 0), (2, 0), (3, 0)], ["f8", [("a", "i4"), ("b", "f8", 2)], [("größe", "i4")]]),
        ((3, 0), [("größe", "i4"), ("数'\\", "f8")]),  # which latin-1 and so the older versions do not hold
    ],
    ids=str,
)
def test_every_version_of_the_format_loads(version, dtype, tmp_path):
    array = np.ones((2, 3), dtype, order="F")
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)
    assert_same(NPY.load(tmp_path / "a.npy"), array)


def npy(header, data=b"", version=(1, 0), length=None):
    """Return a file with a header of our making."""
    text = header.encode() if isinstance(header, str) else header
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + (length or len(text)).to_bytes(width, "little") + text + data


def describe(descr="'<f8'", fortran_order="False", shape="(3,)"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}}}\n"


NONSENSE = {
    "empty file": (b"", "EOF"),
    "another format": (b"PAR1" * 10, "magic string"),
    "unknown version": (npy(describe(), bytes(24), version=(4, 0)), r"version \(4, 0\)"),
    "header cut": (npy(describe(), length=1000), "EOF"),
    "header cut, 3.0": (npy(describe(), length=1000, version=(3, 0)), "EOF|cut"),
    "header of 4 GB": (npy(describe(), length=2**32 - 1, version=(2, 0)), "claims 4294967295 bytes"),
    "header of 4 GB, 3.0": (npy(describe(), length=2**32 - 1, version=(3, 0)), "claims 4294967295 bytes"),
    "no literal": (npy("import os\n"), "header"),
    "deeply nested": (npy("(" * 300 + ")" * 300), "header"),
    "a chain of signs": (npy("-" * 5000 + "1"), "header"),
    "not UTF-8": (npy(b"{'descr': '\xff'}", version=(3, 0)), "utf-8"),
    "unterminated": (npy("{'descr': '''"), "header"),
    "10 TB": (
        npy(describe(shape="(10995116277760,)", descr="'|u1'")),
        "declares 10995116277760 bytes.*there are 0.*cut",
    ),
    "10 TB, overflowing": (npy(describe(shape="(4294967296, 4294967296, 4294967296)")), "impossible"),
    "10 TB of one item": (npy(describe(descr="'|V2147483647'", shape="(5000,)")), "there are 0.*cut"),
    "too short": (npy(describe(), bytes(23)), "declares 24 bytes.*there are 23: the file is cut"),
    "too long": (npy(describe(), bytes(25)), "declares 24 bytes.*there are 25: the file is too long"),
    "negative length": (npy(describe(shape="(-1, -3)"), bytes(24)), "impossible"),
    "length True": (npy(describe(shape="(True,)"), bytes(8)), "impossible"),
    "no length, and more than there is": (npy(describe(shape=f"(0, {2**62})")), "too big|too large|impossible"),
    "no length, and no integer of C": (npy(describe(shape=f"(0, {10**30})")), "dimension|impossible"),
    "100 dimensions": (npy(describe(shape=repr((1,) * 100)), bytes(8)), "dimension"),
    "subarray": (npy(describe(descr="('<f8', (3,))", shape="()"), bytes(24)), "impossible"),
    "objects": (npy(describe(descr="'|O'")), "unpickling"),
    "objects in a field": (npy(describe(descr="[('a', '|O')]")), "unpickling"),
    "no dtype": (npy(describe(descr="'no such type'"), bytes(24)), "descr"),
    "a class": (npy(describe(descr="{}"), bytes(24)), "header|declares"),
}


@pytest.mark.parametrize(("content", "message"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_raises_a_clear_error_and_allocates_nothing(content, message, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    for load in (NPY.load, NpyFileIO("r").load, lambda path: NPY.load_buffer(path.read_bytes())):
        tracemalloc.start()
        with pytest.raises(ValueError, match=message):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
        tracemalloc.stop()


def test_every_truncation_raises(tmp_path):
    buffer = BytesIO()
    np.save(buffer, np.arange(6).reshape(2, 3))
    for length in range(buffer.tell()):
        (tmp_path / "a.npy").write_bytes(buffer.getvalue()[:length])
        with pytest.raises(ValueError, match=r"EOF|cut"):
            NPY.load(tmp_path / "a.npy")


def test_a_flipped_bit_in_the_header_gives_a_value_error_or_an_array_of_the_same_bytes(tmp_path):
    NPY.save(np.array([(1, 2.5)] * 3, [("größe", "<i4"), ("b", ">f8")]), tmp_path / "a.npy")
    content = (tmp_path / "a.npy").read_bytes()
    outcomes = set()
    for bit in range((len(content) - 36) * 8):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            array = NPY.load_buffer(damaged)
        except ValueError:
            outcomes.add("raised")
        else:  # another name or another type of the same width: only a digest can tell
            outcomes.add("loaded")
            assert array.tobytes() == content[-36:]
    assert outcomes == {"raised", "loaded"}


# -- files by others ---------------------------------------------------------------------------------------------------


def test_a_file_of_python_3_before_1_9_loads():
    assert_same(NPY.load(OTHERS / "python3.npy"), np.ones(2))


def test_a_file_of_python_2_on_windows_loads_with_the_warning_that_numpy_gives():
    with pytest.warns(UserWarning, match="created on Python 2"):
        assert_same(NPY.load(OTHERS / "win64python2.npy"), np.ones(2))


@pytest.mark.parametrize("path", sorted(OTHERS.glob("*objarr.npy")), ids=lambda path: path.name)
def test_files_that_need_unpickling_are_refused(path):
    with pytest.raises(ValueError, match="unpickling"):
        NPY.load(path)


def test_a_file_of_several_arrays_is_refused_rather_than_read_in_part(tmp_path):
    with open(tmp_path / "a.npy", "wb") as file:
        np.save(file, np.ones(2))
        np.save(file, np.ones(3))
    with pytest.raises(ValueError, match="too long"):
        NPY.load(tmp_path / "a.npy")


# -- mapping -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array", [np.arange(12).reshape(3, 4), np.ones((3, 4), order="F"), np.ones((0, 3)), np.array(5)]
)
@pytest.mark.parametrize("mode", ["r", "c"])
def test_mapped_arrays_are_equal_and_never_change_the_file(mode, array, tmp_path):
    path = tmp_path / "a.npy"
    NPY.save(array, path)
    before = path.read_bytes()
    mapped = NpyFileIO(mmap_mode=mode).load(path)
    assert_same(mapped, array, np.memmap)
    assert mapped.mode == mode
    assert mapped.flags.writeable == (mode == "c")
    if mode == "c" and mapped.size:
        mapped[...] = 77
        assert mapped.flat[0] == 77
    mapped.flush()
    assert path.read_bytes() == before


def test_a_mapped_array_survives_the_deletion_of_its_file(tmp_path):
    NPY.save(np.arange(100), tmp_path / "a.npy")
    mapped = NpyFileIO("r").load(tmp_path / "a.npy")
    (tmp_path / "a.npy").unlink()
    assert mapped.sum() == 4950


def test_mapping_works_whatever_the_length_of_the_header(tmp_path):
    for count in range(1, 400, 13):
        array = np.zeros(0, [(f"{i:020}", "i1") for i in range(count)])
        NPY.save(array, tmp_path / "a.npy")
        assert NpyFileIO("r").load(tmp_path / "a.npy").dtype == array.dtype


@pytest.mark.parametrize("mode", ["r+", "w+", "readonly", True, 1])
def test_modes_that_could_change_what_is_stored_are_refused(mode, tmp_path):
    with pytest.raises(ValueError, match="immutable"):
        NpyFileIO(mode)
    NPY.save(np.ones(3), tmp_path / "a.npy")
    with pytest.raises(ValueError, match="immutable"):
        NPY.load(tmp_path / "a.npy", mmap_mode=mode)


# -- buffers and memory ------------------------------------------------------------------------------------------------


def test_a_buffer_is_copied_and_its_array_writable(tmp_path):
    NPY.save(np.arange(6).reshape(2, 3, order="F"), tmp_path / "a.npy")
    content = bytearray((tmp_path / "a.npy").read_bytes())
    for buffer in (bytes(content), content, memoryview(content).toreadonly(), np.frombuffer(content, np.uint8)):
        loaded = NPY.load_buffer(buffer)
        assert_same(loaded, np.arange(6).reshape(2, 3, order="F"))
        assert loaded.flags.writeable
        assert loaded.flags.owndata
    loaded = NPY.load_buffer(content)
    content[-8:] = bytes(8)
    assert loaded[-1, -1] == 5
    assert not NpyFileIO("r").load_buffer(content).flags.writeable
    assert NpyFileIO("c").load_buffer(content).flags.writeable


@pytest.mark.parametrize("index", [np.s_[:], np.s_[::-1], np.s_[:, :2]])
def test_saving_and_loading_take_no_second_copy(index, tmp_path):
    array = np.ones((2**20, 4))[index]
    tracemalloc.start()
    NPY.save(array, tmp_path / "a.npy")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.reset_peak()
    loaded = NPY.load(tmp_path / "a.npy")
    assert tracemalloc.get_traced_memory()[1] < array.nbytes + 2**20
    tracemalloc.stop()
    assert (loaded == array).all()


# -- failures and options ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full is Linux's")
@pytest.mark.parametrize("size", [1, 1000, LARGE])
@pytest.mark.parametrize("step", [1, 2])
def test_a_full_disk_is_told_with_its_errno(size, step):
    with pytest.raises(OSError, match="No space left") as caught:
        NPY.save(np.zeros(size * step, np.uint8)[::step], "/dev/full")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
@pytest.mark.parametrize("missing", [1, 100, LARGE])
def test_a_file_that_cannot_be_written_to_its_end_is_told_with_its_errno(missing, tmp_path):
    script = (
        "import resource, sys, numpy as np, persistable_numpy.npy as pn\n"
        "array = np.ones(pn.LARGE + 1000, np.uint8)\n"
        "limit = array.nbytes + 128 - int(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
        "try:\n    pn.NpyFileIO().save(array, sys.argv[2])\n"
        "except OSError as error:\n    print(error.errno)\n"
    )
    command = [sys.executable, "-P", "-c", script, str(missing), str(tmp_path / "a.npy")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.split() == [str(errno.EFBIG)]


def test_a_folder_is_created_and_spaces_are_no_matter(tmp_path):
    path = tmp_path / "a folder" / "größe 数.v1.npy"
    NPY.save(np.ones(3), path)
    assert_same(NPY.load(str(path)), np.ones(3))


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        NPY.load(tmp_path / "a.npy")


def test_options_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(SaveError, match="compressed"):
        NPY.save(np.ones(3), tmp_path / "a.npy", compressed=True)
    NPY.save(np.ones(3), tmp_path / "a.npy")
    with pytest.raises(TypeError, match="allow_pickle"):
        NPY.load(tmp_path / "a.npy", allow_pickle=True)


@pytest.mark.parametrize("io", [NPY, NpyFileIO("r"), NpyFileIO(mmap_mode="c")], ids=repr)
def test_a_file_io_shows_its_options_and_survives_pickling(io):
    assert eval(repr(io)) == io
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(io, protocol)) == io


def test_settings_tell_file_ios_apart_and_which_of_them_map():
    ios = [NpyFileIO(), NpyFileIO("r"), NpyFileIO("c")]
    assert [io.memory_mapped for io in ios] == [False, True, True]
    assert all(one != other for one, other in itertools.combinations(ios, 2))


# -- in a store --------------------------------------------------------------------------------------------------------


@dataclass
class _LengthParams(PersistableParams):
    n: int


class _Numbers(Persistable[NDArray[np.int64], _LengthParams]):
    def _generate_payload(self, **untracked):
        return np.arange(self.params.n)


@pytest.mark.parametrize("verify", ["full", "size", "off"])
def test_a_large_array_is_its_own_again_and_damage_is_noticed_wherever_it_is(tmp_path, verify):
    """Large files are hashed as they are read: a flipped bit in header, first or last byte withholds the array."""
    n = 2**20 + 3
    _Numbers(ArtifactStore(tmp_path, durability="fast"), _LengthParams(n)).load_generate()

    def load():
        numbers = _Numbers(ArtifactStore(tmp_path, verify=verify), _LengthParams(n))
        numbers.load()
        return numbers

    first = load()
    assert_same(first.payload, np.arange(n))
    assert first.payload.flags.writeable
    assert first.payload.flags.owndata
    if verify != "full":
        return
    path = first.persist_filepath
    good = path.read_bytes()
    for place in (3, 20, 130, 4 * 2**20 + 128, len(good) - 1):
        bad = bytearray(good)
        bad[place] ^= 4
        path.write_bytes(bad)
        with pytest.raises(CorruptArtifactError):
            load()
    path.write_bytes(good)
    assert_same(load().payload, np.arange(n))
