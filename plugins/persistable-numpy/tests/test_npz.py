"""npz gives a dict of arrays back as it was, or names the key for which it would not."""

import errno
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import numpy.lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from persistable_numpy import NpyFileIO, NpzFileIO

from persistable.exceptions import DeclaredSizeError, FidelityError, SaveError

NPZ = NpzFileIO()
OTHERS = Path(numpy.lib.__file__).parent / "tests" / "data"


def assert_same(actual, expected):
    assert type(actual) is dict
    assert list(actual) == list(expected)
    for key, array in expected.items():
        assert type(key) is str
        assert type(actual[key]) is np.ndarray
        assert (repr(actual[key].dtype), actual[key].shape) == (repr(array.dtype), array.shape)
        assert actual[key].tobytes() == array.tobytes()
        assert actual[key].flags.writeable
        if array.flags.forc and array.nbytes:
            assert actual[key].flags.f_contiguous == array.flags.f_contiguous


keys = st.text(max_size=20).filter(lambda key: "\0" not in key)


@settings(max_examples=150, deadline=None)
@given(
    arrays=st.dictionaries(keys, hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0)), max_size=4),
    compressed=st.booleans(),
)
def test_any_dict_of_arrays_comes_back_as_it_was(arrays, compressed, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    NpzFileIO(compressed).save(arrays, path)
    assert_same(NPZ.load(path), arrays)


@pytest.mark.parametrize("compressed", [False, True])
def test_keys_keep_their_order_and_may_be_any_text(compressed, tmp_path):
    names = ["z", "file", "a", "", "größe 数", "a/b", "/root", "../up", "a.npy", ".", "key\nline", "x" * 5000, "\\"]
    arrays = {name: np.full((number, 2), number, order="F") for number, name in enumerate(names)}
    NPZ.save(arrays, tmp_path / "a.npz", compressed=compressed)
    assert_same(NPZ.load(tmp_path / "a.npz"), arrays)
    with np.load(tmp_path / "a.npz") as loaded:
        assert loaded.files == names
        assert (loaded["größe 数"] == arrays["größe 数"]).all()


def test_an_empty_dict_comes_back(tmp_path):
    NPZ.save({}, tmp_path / "a.npz")
    assert NPZ.load(tmp_path / "a.npz") == {}
    with np.load(tmp_path / "a.npz") as loaded:
        assert loaded.files == []


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_of_every_layout_come_back(compressed, tmp_path):
    base = np.arange(480_000.0).reshape(60, 80, 100)
    NpyFileIO().save(base, tmp_path / "mapped.npy")
    arrays = {
        "C": base,
        "F": np.asfortranarray(base),
        "strided": base[::-1, ::3, ::2],
        "0-d": np.array(5),
        "empty": np.ones((0, 3)),
        "names": np.ones(3, [("größe 数", "i4"), ("b", "S0")]),
        "zeros": np.zeros(10**7, np.uint8),  # deflate at its best is no bomb
        "mapped": np.load(tmp_path / "mapped.npy", mmap_mode="r"),
        "big-endian": base.astype(">f4"),
        "long header": np.zeros(2, [(f"field_{i:020}", "i1") for i in range(3000)]),
    }
    path = tmp_path / "a.npz"
    NpzFileIO(compressed=compressed).save(arrays, path)
    assert_same(NPZ.load(path), arrays)
    with np.load(path, max_header_size=2**20) as loaded:
        assert all((loaded[key] == arrays[key]).all() for key in arrays)
    assert (path.stat().st_size < 10**7) == compressed


def test_equal_dicts_give_equal_files(tmp_path, monkeypatch):
    NPZ.save({"a": np.ones(3)}, tmp_path / "a.npz")
    monkeypatch.setattr("time.time", lambda: 2e9)
    NPZ.save({"a": np.ones(3)}, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# -- what is declined --------------------------------------------------------------------------------------------------


class Text(str):
    pass


@pytest.mark.parametrize("payload", [None, [np.ones(2)], np.ones(2), type("Dict", (dict,), {})(a=np.ones(2))], ids=repr)
def test_what_is_no_plain_dict_is_declined(payload, tmp_path):
    with pytest.raises(FidelityError, match="not a dict of arrays") as caught:
        NPZ.save(payload, tmp_path / "a.npz")
    assert (caught.value.format, caught.value.where) == ("npz", "payload")
    assert list(tmp_path.iterdir()) == []


DECLINED = {
    "key of another type": ({"a": np.ones(2), 5: np.ones(2)}, "payload[5]", "the key is a int, not a str"),
    "key of a subclass": ({Text("a"): np.ones(2)}, "payload['a']", "the key is a Text, not a str"),
    "key with NUL": ({"a\0b": np.ones(2)}, "payload['a\\x00b']", "NUL"),
    "key with a surrogate": ({"\ud800": np.ones(2)}, "payload['\\ud800']", "UTF-8"),
    "key of 64 kB": ({"é" * 32766: np.ones(2)}, f"payload['{'é' * 32766}']", "65535"),
    "a list": ({"a": np.ones(2), "b": [1, 2]}, "payload['b']", "builtins.list, not a numpy.ndarray"),
    "a nested dict": ({"a": {"b": np.ones(2)}}, "payload['a']", "builtins.dict, not a numpy.ndarray"),
    "objects": ({"a": np.array([None])}, "payload['a']", "object"),
    "objects in a field": ({"a": np.zeros(2, [("f", "O")])}, "payload['a']", "field 'f' is object"),
    "masked": ({"a": np.ma.masked_array([1], [True])}, "payload['a']", "MaskedArray and would come back"),
    "metadata": ({"a": np.zeros(2, np.dtype("i4", metadata={"u": 1}))}, "payload['a']", "metadata"),
}


@pytest.mark.parametrize(("payload", "where", "reason"), DECLINED.values(), ids=DECLINED)
def test_the_item_that_would_not_come_back_is_named_before_anything_is_written(payload, where, reason, tmp_path):
    with pytest.raises(FidelityError) as caught:
        NPZ.save(payload, tmp_path / "a.npz")
    assert (caught.value.format, caught.value.where) == ("npz", where)
    assert reason in caught.value.reason
    assert list(tmp_path.iterdir()) == []


# -- files by others, and damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_numpy_load(save, tmp_path):
    arrays = {"b": np.arange(6).reshape(2, 3, order="F"), "a": np.array("text"), "größe": np.ones(3)}
    save(tmp_path / "a.npz", **arrays)
    assert_same(NPZ.load(tmp_path / "a.npz"), arrays)


@pytest.mark.parametrize("path", sorted(OTHERS.glob("*.npz")), ids=lambda path: path.name)
def test_files_that_need_unpickling_are_refused(path):
    with pytest.raises(ValueError, match="unpickling"):
        NPZ.load(path)


def npy(array=None, header=None):
    if header is None:
        header = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape}}}\n"
    data = b"" if array is None else array.tobytes()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


TEN_TB = npy(header="{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000000,)}\n")


def test_members_that_are_no_arrays_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", npy(np.ones(2)))
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match=r"'readme.txt' of the npz file is not an array"):
        NPZ.load(tmp_path / "a.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_appear_twice_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", npy(np.ones(2)))
        archive.writestr("a.npy", npy(np.zeros(2)))
    with pytest.raises(ValueError, match=r"'a.npy' of the npz file appears twice"):
        NPZ.load(tmp_path / "a.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_without_a_bound_are_refused(method, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("a.npy", npy(np.zeros(10**6)))
    with pytest.raises(ValueError, match="compression"):
        NPZ.load(tmp_path / "a.npz")


def rewrite_directory(path, old, new):
    """Replace a size of 4 bytes in the central directory of a zip file of one member, leaving the member."""
    content = path.read_bytes()
    start = content.rindex(b"PK\x01\x02")
    assert content.count(old.to_bytes(4, "little"), start) >= 1
    path.write_bytes(content[:start] + content[start:].replace(old.to_bytes(4, "little"), new.to_bytes(4, "little")))


@pytest.mark.parametrize("compressed", [False, True])
def test_an_array_that_declares_10_tb_is_refused_without_allocating(compressed, tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr("a.npy", TEN_TB)
    tracemalloc.start()
    with pytest.raises(ValueError, match="declares 10000000000000 bytes"):
        NPZ.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_member_that_declares_more_than_its_bytes_can_hold_is_refused_without_allocating(compressed, tmp_path):
    path, size = tmp_path / "a.npz", 2**32 - 2
    content = npy(header=f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size - 128},)}}".ljust(117) + "\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr("a.npy", content + b"ab")
        packed = archive.infolist()[0].compress_size
    if compressed:
        rewrite_directory(path, len(content) + 2, size)
    else:  # both sizes are the same number
        rewrite_directory(path, packed, size)
    tracemalloc.start()
    with pytest.raises(ValueError, match="bomb"):
        NPZ.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_member_that_inflates_to_less_than_it_declares_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    content = npy(header="{'descr': '|u1', 'fortran_order': False, 'shape': (1001,)}\n") + bytes(1000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", content)
    rewrite_directory(path, len(content), len(content) + 1)
    with pytest.raises(ValueError, match="cut: 1000 of 1001 bytes"):
        NPZ.load(path)


@pytest.mark.parametrize("offset", [2**33, 2**62, 2**64 - 1])
def test_a_member_beyond_the_end_of_the_file_is_refused(offset, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", npy(np.ones(2)))
        archive.writestr("b.npy", npy(np.ones(2)))
        archive.infolist()[1].header_offset = offset
    with pytest.raises(ValueError, match=r"damaged at 'b.npy'"):
        NPZ.load(tmp_path / "a.npz")


def test_every_truncation_raises(tmp_path):
    path = tmp_path / "a.npz"
    NPZ.save({"a": np.arange(6), "b": np.ones(2)}, path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"npz|npy"):
            NPZ.load(path)


TWO = {"a": np.arange(3), "bc": np.ones((2, 1), "f4")}


@pytest.mark.parametrize(
    ("arrays", "compressed", "bits"),
    [
        (TWO, False, slice(0, None, 3)),
        (TWO, True, slice(1, None, 3)),
        ({}, False, slice(None)),
        ({"14 characters.": np.ones(1)}, False, slice(-86 * 8, None)),  # the directory has 64 bytes: a single bit
        ({str(number): np.ones(0) for number in range(16)}, False, slice(-838 * 8, -782 * 8)),  # its first entry
    ],
    ids=["stored", "compressed", "empty", "one entry", "first of many entries"],
)
def test_a_flipped_bit_raises_a_value_error_or_changes_nothing(arrays, compressed, bits, tmp_path):
    path = tmp_path / "a.npz"
    NPZ.save(arrays, path, compressed=compressed)
    content = path.read_bytes()
    raised = 0
    for bit in range(len(content) * 8)[bits]:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            loaded = NPZ.load(path)
        except ValueError:
            raised += 1
        else:
            assert_same(loaded, arrays)
    assert raised >= 50


def test_a_file_that_is_no_zip_or_missing_is_told_apart(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"a.npz cannot be read as npz"):
        NPZ.load(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        NPZ.load(tmp_path / "b.npz")


# -- failures and options ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full is Linux's")
@pytest.mark.parametrize("size", [1, 10**6])
def test_a_full_disk_is_told_with_its_errno(size):
    with pytest.raises(OSError, match="No space left") as caught:
        NPZ.save({"a": np.zeros(size)}, "/dev/full")
    assert caught.value.errno == errno.ENOSPC


def test_loading_takes_no_second_copy_and_closes_the_file(tmp_path):
    NPZ.save({"a": np.ones(2**21)}, tmp_path / "a.npz")
    tracemalloc.start()
    loaded = NPZ.load(tmp_path / "a.npz")  # a file left open would be a ResourceWarning, which is an error here
    assert tracemalloc.get_traced_memory()[1] < 2**24 + 2**23
    tracemalloc.stop()
    (tmp_path / "a.npz").unlink()
    assert loaded["a"].sum() == 2**21


def test_a_folder_is_created_and_spaces_are_no_matter(tmp_path):
    path = tmp_path / "a folder" / "größe 数.v1"
    NPZ.save({"a": np.ones(3)}, path)
    assert_same(NPZ.load(str(path)), {"a": np.ones(3)})
    assert [entry.name for entry in path.parent.iterdir()] == ["größe 数.v1"]


def test_options_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(SaveError, match="allow_pickle"):
        NPZ.save({}, tmp_path / "a.npz", allow_pickle=True)
    NPZ.save({}, tmp_path / "a.npz")
    with pytest.raises(TypeError, match="mmap_mode"):
        NPZ.load(tmp_path / "a.npz", mmap_mode="r")


@pytest.mark.parametrize("io", [NPZ, NpzFileIO(compressed=True)], ids=repr)
def test_a_file_io_shows_its_options_and_survives_pickling(io):
    assert eval(repr(io)) == io
    assert pickle.loads(pickle.dumps(io)) == io
    assert NpzFileIO(compressed=True) != NPZ


def test_another_file_than_the_recorded_one_is_refused_by_its_sizes(tmp_path):
    """A file with other members or bytes than were saved is refused before it is read; without a record it is read."""
    path = tmp_path / "x.npz"
    recorded = NpzFileIO().save({"a": np.arange(3)}, path)
    assert recorded == {"members": 1, "uncompressed_bytes": 128 + 24}
    swapped = {"a": np.zeros(1000)}
    NpzFileIO(compressed=True).save(swapped, path)
    with pytest.raises(DeclaredSizeError, match="8128 uncompressed bytes, the record says 152"):
        NpzFileIO().load(path, metadata=recorded)
    for old in (None, {}):
        assert np.array_equal(NpzFileIO().load(path, metadata=old)["a"], swapped["a"])
