"""A file that claims to be huge is refused by a clear error before memory is taken, whoever else it deceives.

The files are made by hand or by the bare library, and loaded in a child that may map little more than it has.
"""

import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from persistable import expansion
from persistable.exceptions import DeclaredSizeError
from persistable.expansion import EXPANSION, available_memory, compare, exceeds_memory, refusing, require_memory

ROOM = 256 << 20  # bytes that the child may map besides what it has when everything is imported
HUGE = 1 << 29  # what the bombs expand to, at least

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit needs /proc")

CHILD = """
import json, resource, sys
from importlib import import_module

cases = json.load(sys.stdin)
classes = [getattr(import_module(case["module"]), case["name"]) for case in cases]
for module in sys.argv[1:]:
    import_module(module)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int({room})
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
found = []
for case, file_io in zip(cases, classes):
    metadata = {{}} if case["metadata"] is None else {{"metadata": case["metadata"]}}
    try:
        loaded = file_io(**case["options"]).load(case["path"], **metadata)
        if case["iterate"]:
            for item in loaded:
                pass
        found.append(["nothing", [], ""])
    except BaseException as error:
        found.append([type(error).__name__, [kind.__name__ for kind in type(error).__mro__], str(error)])
json.dump(found, sys.stdout)
"""


class Bomb(NamedTuple):
    """A planted file, how it is loaded, and what a record may say of it."""

    path: Path
    metadata: Any = None
    options: Mapping[str, Any] = MappingProxyType({})
    iterate: bool = False


def explode(file_io: str, bombs: list[Bomb], *imports: str) -> list[list[Any]]:
    """Load files in a child with little memory; return type, bases and text of the error of each."""
    module, _, name = file_io.partition(":")
    cases = [
        bomb._asdict() | {"path": str(bomb.path), "options": dict(bomb.options), "module": module, "name": name}
        for bomb in bombs
    ]
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(room=ROOM), *imports],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    found: list[list[Any]] = json.loads(child.stdout)
    return found


def assert_foreseen(found: list[list[Any]]) -> None:
    """Refused by what was declared, before the memory ran out."""
    assert_refused(found, "DeclaredSizeError")
    assert all("there is memory for" in text for _, _, text in found), found


def assert_refused(found: list[list[Any]], kind: str = "ValueError") -> None:
    for name, bases, text in found:
        assert kind in bases, f"{name}: {text}"
        assert "MemoryError" not in bases, text


# -- the two questions -------------------------------------------------------------------------------------------------


def test_sizes_that_a_record_has_are_compared() -> None:
    """What differs from the record is refused by name; what the record lacks is not compared."""
    compare("npz", {"members": 2, "uncompressed_bytes": 9}, {"members": 2, "other": 1})
    with pytest.raises(DeclaredSizeError, match="declares 9 uncompressed bytes, the record says 8") as caught:
        compare("npz", {"members": 2, "uncompressed_bytes": 9}, {"members": 2, "uncompressed_bytes": 8})
    assert caught.value.declared == 9


def test_only_what_is_out_of_proportion_and_out_of_memory_is_refused() -> None:
    """A large file may be large, and a small one may expand: refused is what does so beyond the memory."""
    beyond = 1 << 60
    assert not exceeds_memory(beyond, stored=beyond // EXPANSION)
    assert not exceeds_memory(1 << 20, stored=1)
    with pytest.raises(DeclaredSizeError, match="it has 10 bytes itself"):
        require_memory("npz", beyond, stored=10)


def test_available_memory_is_what_there_is() -> None:
    """It is positive, and no more than the machine could have."""
    assert 1 << 20 < available_memory() < 1 << 50


def test_what_the_group_uses_is_not_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the limit of a container, what it already uses is gone; files it caches are not."""
    monkeypatch.setattr(expansion, "_GROUP", tmp_path)
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("4500\n")
    assert available_memory() == 500
    (tmp_path / "memory.stat").write_text("anon 3500\ninactive_file 1000\nactive_file 0\n")
    assert available_memory() == 1500
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() > 1 << 20


def test_only_a_small_file_is_blamed_for_a_lack_of_memory() -> None:
    """Memory that runs out is a refusal of a file that ought to fit, and stays what it is for a large one."""
    with pytest.raises(DeclaredSizeError, match="it has 10 bytes itself") as caught, refusing("npz", stored=10):
        raise MemoryError
    assert isinstance(caught.value.__cause__, MemoryError)
    with pytest.raises(MemoryError), refusing("npz", stored=1 << 60):
        raise MemoryError


# -- the core's formats ------------------------------------------------------------------------------------------------


def test_deeply_nested_json_is_refused(tmp_path: Path) -> None:
    """A million brackets neither overflow the stack nor fill the memory."""
    lists, dicts = tmp_path / "lists.json", tmp_path / "dicts.json"
    lists.write_text("[" * 1_000_000)
    dicts.write_text('{"a":' * 1_000_000)
    assert_refused(explode("persistable.plain:JsonFileIO", [Bomb(lists), Bomb(dicts)]))


# -- numpy -------------------------------------------------------------------------------------------------------------


def npy(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def test_npy_headers_of_terabytes_are_refused(tmp_path: Path) -> None:
    """A header that asks for more than its file has is refused, mapped or not."""
    pytest.importorskip("persistable_numpy")
    bombs = []
    for number, shape in enumerate(("(1099511627776,)", "(4611686018427387904, 4)", "(0, 4611686018427387904)")):
        path = tmp_path / f"{number}.npy"
        path.write_bytes(npy(shape) + bytes(64))
        bombs += [Bomb(path), Bomb(path, options={"mmap_mode": "r"})]
    assert_refused(explode("persistable_numpy.npy:NpyFileIO", bombs))


def test_npz_zip_bombs_are_refused(tmp_path: Path) -> None:
    """Members that deflate a thousandfold are refused by the record and, without one, by the memory that there is."""
    pytest.importorskip("persistable_numpy")
    path, count = tmp_path / "bomb.npz", 4
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(count):
            with archive.open(f"{number}.npy", "w") as file:
                file.write(npy(f"({HUGE // 8 // count},)"))
                for _ in range(HUGE // count >> 20):
                    file.write(bytes(1 << 20))
    honest = {"members": 1, "uncompressed_bytes": 208}
    forged = {"members": count, "uncompressed_bytes": HUGE + 128 * count}
    bombs = [Bomb(path, metadata) for metadata in (honest, None, {}, forged)]
    assert path.stat().st_size < HUGE // 100
    assert_refused(explode("persistable_numpy.npz:NpzFileIO", bombs), "DeclaredSizeError")


# -- avro --------------------------------------------------------------------------------------------------------------


def long(value: int) -> bytes:
    value, encoded = value << 1, bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def avro(schema: Any, blocks: list[tuple[int, bytes]], codec: str = "null") -> bytes:
    entries = {"avro.schema": json.dumps(schema), "avro.codec": codec}
    head = b"Obj\x01" + long(len(entries))
    for key, value in entries.items():
        head += long(len(key)) + key.encode() + long(len(value)) + value.encode()
    sync = bytes(range(16))
    return head + b"\0" + sync + b"".join(long(count) + long(len(body)) + body + sync for count, body in blocks)


def deflated(size: int) -> bytes:
    import zlib

    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])


def test_avro_blocks_that_claim_too_much_are_refused(tmp_path: Path) -> None:
    """Records of nothing, blocks that expand, and schemas that make much of nothing are refused, listed or streamed."""
    pytest.importorskip("persistable_avro")
    optional = {"type": "record", "name": "R", "fields": [{"name": "a", "type": ["null", "long"]}]}
    laughs: Any = "null"
    for level in range(10):
        fields = [{"name": "f0", "type": laughs}]
        fields += [{"name": f"f{i}", "type": f"L{level - 1}" if level else "null"} for i in range(1, 10)]
        laughs = {"type": "record", "name": f"L{level}", "fields": fields}
    room, expanding = 200 << 20, deflated(200 << 20)
    files = {
        "nulls": avro("null", [(2_000_000_000, b"")]),
        "blocks of nulls": avro("null", [(1 << 16, b"")] * (1 << 12)),
        "laughs": avro(laughs, [(1, b"")]),
        "expanding": avro(optional, [(room, expanding)], "deflate"),
    }
    bombs = []
    for name, content in files.items():
        path = tmp_path / f"{name}.avro"
        path.write_bytes(content)
        codec = "deflate" if name == "expanding" else "null"
        honest = {"records": 5, "codec": codec} | ({"blocks": 1, "largest_block": 10} if codec == "deflate" else {})
        bombs += [Bomb(path, metadata) for metadata in (honest, None, {})]
        if name != "blocks of nulls":  # as a stream they are harmless: a block at a time
            bombs += [Bomb(path, metadata, {"stream": True}, iterate=True) for metadata in (honest, None)]
    assert len(files["nulls"]) < 148
    assert_refused(explode("persistable_avro.avro:AvroFileIO", bombs))


# -- arrow -------------------------------------------------------------------------------------------------------------


def test_parquet_files_of_equal_values_are_refused(tmp_path: Path) -> None:
    """Runs of numbers and repeated texts are refused by the record and, without one, by the memory that there is."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.parquet
    from persistable_arrow.parquet_sizes import sizes

    numbers = pyarrow.table({"x": pyarrow.nulls(1 << 20, "int64").fill_null(0)})
    twice = pyarrow.nulls(HUGE >> 15, "int32").fill_null(0)
    texts = pyarrow.table({"x": pyarrow.DictionaryArray.from_arrays(twice, ["x" * (1 << 15)])})
    bombs = []
    for name, table, count in (("numbers", numbers, HUGE >> 23), ("texts", texts, 2)):
        path = tmp_path / f"{name}.parquet"
        with pyarrow.parquet.ParquetWriter(path, table.schema, store_schema=False) as writer:
            for _ in range(count):
                writer.write_table(table)
        assert path.stat().st_size < HUGE // 100
        footer = pyarrow.parquet.read_metadata(path)
        honest = {"rows": 5, "row_groups": 1, "uncompressed_bytes": 60, "decoded_bytes": 40}
        bombs += [Bomb(path, metadata) for metadata in (honest, {"rows": 5}, None, {}, sizes(footer))]
    found = explode("persistable_arrow.parquet:ParquetFileIO", bombs, "pandas")
    assert_refused(found, "DeclaredSizeError")


def test_parquet_texts_that_hardly_take_a_byte_are_refused(tmp_path: Path) -> None:
    """However texts are encoded, nested and read, a small file of many long ones is refused."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.parquet
    from persistable_arrow.parquet_sizes import sizes

    text, rows, groups = "x" * (1 << 18), 64, HUGE >> 24
    texts = pyarrow.array([text] * rows)
    nested = pyarrow.StructArray.from_arrays([texts], ["x"])
    listed = pyarrow.ListArray.from_arrays([0, rows], texts)
    delta = {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}
    files: dict[str, tuple[Any, dict[str, Any]]] = {
        "plain": (texts, {"use_dictionary": False}),
        "shared prefixes": (texts, delta),
        "nested": (nested, {}),
        "listed": (listed, {}),
        "nested with shared prefixes": (nested, delta),
    }
    bombs = []
    for name, (column, options) in files.items():
        path, table = tmp_path / f"{name}.parquet", pyarrow.table({"x": column})
        with pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd", **options) as writer:
            for _ in range(groups):
                writer.write_table(table)
        assert path.stat().st_size < HUGE // 1000
        bombs += [Bomb(path, metadata) for metadata in (None, sizes(pyarrow.parquet.read_metadata(path)))]
        bombs += [Bomb(path, options={"filters": [("x", "!=", "")]})] if column is texts else []
    found = explode("persistable_arrow.parquet:ParquetFileIO", bombs, "pandas", "pyarrow.dataset")
    assert_foreseen(found)


def test_parquet_row_groups_are_judged_one_by_one_for_a_reader(tmp_path: Path) -> None:
    """A reader refuses a row group that is too much, and reads any number of those that are not."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.parquet

    bombs = []
    for groups in (1, 32):
        indices = pyarrow.nulls((HUGE >> 18) // groups, "int32").fill_null(0)
        table = pyarrow.table({"x": pyarrow.DictionaryArray.from_arrays(indices, ["x" * (1 << 18)])})
        path = tmp_path / f"{groups}.parquet"
        with pyarrow.parquet.ParquetWriter(path, table.schema, store_schema=False) as writer:
            for _ in range(groups):
                writer.write_table(table)
        bombs.append(Bomb(path, options={"as_reader": True}, iterate=True))
    refused, read = explode("persistable_arrow.parquet:ParquetFileIO", bombs, "pandas")
    assert_foreseen([refused])
    assert read[0] == "nothing", read


def test_parquet_dictionaries_that_hardly_take_a_byte_are_refused(tmp_path: Path) -> None:
    """A column that stays a dictionary takes what its different texts take, in a dictionary's page or in others."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.parquet

    different = pyarrow.array([str(n) + "x" * (1 << 20) for n in range(HUGE >> 20)]).dictionary_encode()
    repeated = pyarrow.DictionaryArray.from_arrays(pyarrow.nulls(HUGE >> 18, "int32").fill_null(0), ["x" * (1 << 18)])
    options: dict[str, dict[str, Any]] = {
        "dictionary": {},
        "one page": {"use_dictionary": False, "write_batch_size": 1 << 20},
        "pages": {"use_dictionary": False, "write_batch_size": 1},
    }
    bombs = []
    for column in (different, repeated):
        for name, chosen in options.items():
            path = tmp_path / f"{len(bombs)} {name}.parquet"
            pyarrow.parquet.write_table(pyarrow.table({"x": column}), path, compression="zstd", **chosen)
            assert path.stat().st_size < HUGE // 1000
            bombs.append(Bomb(path))
    found = explode("persistable_arrow.parquet:ParquetFileIO", bombs, "pandas")
    assert_foreseen(found[:3])
    assert [name for name, _, _ in (found[3], found[5])] == ["nothing"] * 2, found  # found[4]: a page is read whole


def test_parquet_lists_that_are_longer_than_their_footer_says_are_refused(tmp_path: Path) -> None:
    """One row may hold any number of values, which only the pages say."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.parquet

    count = HUGE >> 2
    values = pyarrow.nulls(count, "int64").fill_null(0)
    path = tmp_path / "x.parquet"
    table = pyarrow.table({"x": pyarrow.ListArray.from_arrays([0, count], values)})
    pyarrow.parquet.write_table(table, path, compression="zstd", data_page_size=1 << 30, store_schema=False)
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8]
    promised = b"\x16" + long(count) + b"\x16"  # field 5 of a column's metadata, and the head of field 6
    assert footer.count(promised) == 1
    footer = footer.replace(promised, b"\x16" + long(1) + b"\x16")
    path.write_bytes(content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    assert pyarrow.parquet.read_metadata(path).row_group(0).column(0).num_values == 1
    assert_foreseen(explode("persistable_arrow.parquet:ParquetFileIO", [Bomb(path)], "pandas"))


def test_parquet_values_of_one_width_in_a_page_larger_than_its_footer_says_are_refused(tmp_path: Path) -> None:
    """Few values are read of such a page, and yet it is decompressed whole."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.parquet

    path, width = tmp_path / "x.parquet", 1 << 16
    count = HUGE // width
    values = pyarrow.Array.from_buffers(pyarrow.binary(width), count, [None, pyarrow.py_buffer(bytes(HUGE))])
    one_page: Any = {"compression": "zstd", "use_dictionary": False, "data_page_size": 1 << 30}
    pyarrow.parquet.write_table(
        pyarrow.table({"x": values}), path, write_statistics=False, store_schema=False, **one_page
    )
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    footer, promised = content[-8 - length : -8], b"\x16" + long(count)  # of the file, the row group and the column
    assert footer.count(promised) == 3
    footer = footer.replace(promised, b"\x16" + long(1))
    path.write_bytes(content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    assert pyarrow.parquet.read_metadata(path).num_rows == 1
    bombs = [Bomb(path), Bomb(path, options={"as_reader": True}, iterate=True)]
    assert_foreseen(explode("persistable_arrow.parquet:ParquetFileIO", bombs, "pandas"))


def test_parquet_files_with_one_long_text_are_read(tmp_path: Path) -> None:
    """Bounds that are too coarse refuse nothing: the texts are counted."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.parquet

    texts = pyarrow.array(["x" * (1 << 20), *["y"] * 1000])
    nested = pyarrow.ListArray.from_arrays([0, len(texts)], texts)
    bombs = []
    for name, column in (("texts", texts), ("nested", nested)):
        for encoding in (None, "DELTA_BYTE_ARRAY"):
            path, options = tmp_path / f"{name}-{encoding}.parquet", {}
            if encoding:
                options = {"use_dictionary": False, "column_encoding": encoding}
            pyarrow.parquet.write_table(pyarrow.table({"x": column}), path, compression="zstd", **options)
            bombs.append(Bomb(path))
    found = explode("persistable_arrow.parquet:ParquetFileIO", bombs, "pandas")
    assert [name for name, _, _ in found] == ["nothing"] * 4, found


def _without_dictionary_offset(content: bytes, at: int) -> bytes:
    """Change a footer of one column so that its first page, the dictionary, is taken for one of data."""
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8]
    # fields 9 and 11, the offsets of data and dictionary (4), and the head of field 12, counted from the one before
    offsets, first = b"\x26" + long(at) + b"\x26" + long(4) + b"\x1c", b"\x26" + long(4) + b"\x3c"
    assert footer.count(offsets) == 1
    footer = footer.replace(offsets, first)
    return content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def test_parquet_pages_that_contradict_their_footer_are_refused(tmp_path: Path) -> None:
    """What a lying footer hides is found in the headers of the pages."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    texts = pyarrow.array(["x" * (1 << 20)] * (HUGE >> 20))
    options: Any = {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}
    pyarrow.parquet.write_table(pyarrow.table({"x": texts}), path, compression="zstd", **options)
    content, encodings = path.read_bytes(), b"\x19\x25\x06\x0e"  # a list of two integers: RLE, DELTA_BYTE_ARRAY
    assert content.count(encodings) == 1
    path.write_bytes(content.replace(encodings, b"\x19\x25\x06\x00"))  # RLE, PLAIN
    assert pyarrow.parquet.read_metadata(path).row_group(0).column(0).encodings == ("RLE", "PLAIN")
    hidden = tmp_path / "hidden.parquet"
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.nulls(HUGE >> 18, "int32").fill_null(0), ["x" * (1 << 18)])
    pyarrow.parquet.write_table(pyarrow.table({"x": texts}), hidden, compression="zstd", store_schema=False)
    at = pyarrow.parquet.read_metadata(hidden).row_group(0).column(0).data_page_offset
    hidden.write_bytes(_without_dictionary_offset(hidden.read_bytes(), at))
    assert not pyarrow.parquet.read_metadata(hidden).row_group(0).column(0).has_dictionary_page
    found = explode("persistable_arrow.parquet:ParquetFileIO", [Bomb(path), Bomb(hidden)], "pandas")
    assert_foreseen(found)


def test_notes_that_make_much_of_a_small_arrow_file_are_refused(tmp_path: Path) -> None:
    """Nothing made objects, and a dictionary made texts, are refused though the file itself is as small as it says."""
    pytest.importorskip("persistable_arrow")
    import pandas
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet
    from persistable_arrow.feather import FeatherFileIO
    from persistable_arrow.ipc_sizes import sizes
    from persistable_arrow.parquet import ParquetFileIO

    def noted(values: Any, rows: int, file_io: Any) -> dict[bytes, bytes]:
        path = tmp_path / "noted"
        file_io.save(pandas.DataFrame({"x": values}), path)
        of_file = (
            pyarrow.ipc.open_file(path).schema if file_io.name == "feather" else pyarrow.parquet.read_metadata(path)
        )
        note = json.loads(of_file.metadata[b"persistable"])
        note["index"]["range"][1] = rows
        return {b"persistable": json.dumps(note).encode()}

    count, text = HUGE >> 18, "x" * (1 << 18)
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.nulls(count, "int32").fill_null(0), [text])
    nothing = pyarrow.nulls(HUGE >> 3)
    strings = pandas.Series(["x", "y"], dtype="string")
    objects = pandas.Series([None, None], dtype=object)
    bombs = []
    for name, column, values in (("texts", texts, strings), ("nothing", nothing, objects)):
        table = pyarrow.table({"x": column}).replace_schema_metadata(noted(values, len(column), FeatherFileIO()))
        path = tmp_path / f"{name}.arrow"
        with pyarrow.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
        assert path.stat().st_size < HUGE // 1000
        bombs += [Bomb(path, metadata) for metadata in (None, sizes(path.read_bytes()))]
    assert_foreseen(explode("persistable_arrow.feather:FeatherFileIO", bombs, "pandas"))
    table = pyarrow.table({"x": texts}).replace_schema_metadata(noted(strings, count, ParquetFileIO()))
    path = tmp_path / "texts.parquet"
    pyarrow.parquet.write_table(table, path)
    assert_foreseen(explode("persistable_arrow.parquet:ParquetFileIO", [Bomb(path)], "pandas"))


def test_arrow_files_whose_buffers_lie_or_expand_are_refused(tmp_path: Path) -> None:
    """Lengths of buffers are checked against the file and the memory, mapped or read."""
    pytest.importorskip("persistable_arrow")
    import pyarrow
    import pyarrow.ipc
    from persistable_arrow.ipc_sizes import sizes

    def written(codec: str | None, rows: int, batches: int = 1) -> bytes:
        table = pyarrow.table({"x": pyarrow.nulls(rows, "int64").fill_null(0)})
        sink = pyarrow.BufferOutputStream()
        options = pyarrow.ipc.IpcWriteOptions(compression=codec)
        with pyarrow.ipc.new_file(sink, table.schema, options=options) as writer:
            for _ in range(batches):
                writer.write_table(table)
        return bytes(sink.getvalue())

    small, plain = written("lz4", 1000), written(None, 1000)
    body = struct.pack("<q", 8000)
    files = {
        "expanding": written("zstd", 1 << 22, HUGE >> 25),
        "lying": small.replace(body, struct.pack("<q", 1 << 60)),
        "lying within memory": small.replace(body, struct.pack("<q", 2 * HUGE)),
        "beyond": plain.replace(body, struct.pack("<q", 1 << 50)),
        "negative": plain.replace(body, struct.pack("<q", -8000)),
    }
    assert small.count(body) >= 1 <= plain.count(body)
    bombs = []
    for name, content in files.items():
        path = tmp_path / f"{name}.arrow"
        path.write_bytes(content)
        claims: list[Any] = [{"rows": 5, "columns": 1, "batches": 1, "values": 5, "uncompressed_bytes": 40}, None]
        if name not in ("beyond", "negative"):
            claims.append(sizes(content))
        bombs += [Bomb(path, metadata, {"memory_map": mapped}) for metadata in claims for mapped in (True, False)]
    assert len(files["expanding"]) < HUGE // 100
    assert_refused(explode("persistable_arrow.feather:FeatherFileIO", bombs, "pandas"))


def test_csv_reserves_no_more_than_the_file_has(tmp_path: Path) -> None:
    """A record that claims rows of half a gigabyte makes no reader reserve them."""
    pytest.importorskip("persistable_arrow")
    import pandas
    from persistable_arrow.csv import CsvFileIO

    path = tmp_path / "x.csv"
    metadata = dict(CsvFileIO().save(pandas.DataFrame({"x": range(5)}), path))
    forged = metadata | {"longest_row": (1 << 29), "rows": 6}
    assert_refused(explode("persistable_arrow.csv:CsvFileIO", [Bomb(path, forged)], "pandas"))
