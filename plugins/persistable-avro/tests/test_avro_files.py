"""Files: written for any Avro reader, read from any Avro writer, and never believed."""

import json
import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import fastavro
import pytest
from persistable_avro import AvroFileIO, AvroRecords
from persistable_avro.container import encode_long
from persistable_avro.schema import MAX_FOOTPRINT, read_schema

from persistable.exceptions import DeclaredSizeError, FidelityError

FILES = sorted((Path(__file__).parent / "avro-files").glob("*.avro"))
SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}, {"name": "s", "type": "string"}]}


def numbered(count):
    return [{"n": number, "s": f"s{number}"} for number in range(count)]


def written(folder, schema, *blocks, codec="null", sync=b"s" * 16):
    """Write a container by hand: blocks are (claimed count, content)."""
    meta = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": codec.encode()}
    head = b"Obj\x01" + encode_long(len(meta))
    for key, value in meta.items():
        head += encode_long(len(key)) + key + encode_long(len(value)) + value
    path = folder / "hand.avro"
    body = b"".join(encode_long(count) + encode_long(len(content)) + content + sync for count, content in blocks)
    path.write_bytes(head + b"\0" + sync + body)
    return path


# -- others' files and other readers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_files_of_other_writers_load(path):
    """Files of Apache Avro come back as the bare library reads them, as a list and as a stream."""
    with open(path, "rb") as file:
        expected = list(fastavro.reader(file))
    assert AvroFileIO().load(path) == expected
    with AvroFileIO(stream=True).load(path) as records:
        assert records == expected
        assert len(records) == len(expected)


def test_the_weather_of_apache(tmp_path):
    """A file of Avro's own test data has the content that it is known for."""
    weather = AvroFileIO().load(FILES[0].parent / "weather.avro")
    assert weather[0] == {"station": "011990-99999", "time": -619524000000, "temp": 0}
    assert [record["temp"] for record in weather] == [0, 22, -11, 111, 78]


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_plain_fastavro_reads_ours(tmp_path, codec):
    """The bare library reads our file with the schema that the metadata names."""
    records = [{"n": number, "s": None if number % 2 else "x", "l": [1.5], "d": {"k": b"v"}} for number in range(3000)]
    metadata = AvroFileIO(codec=codec).save(records, tmp_path / "x.avro")
    with open(tmp_path / "x.avro", "rb") as file:
        reader = fastavro.reader(file)
        assert reader.codec == codec
        assert list(reader) == records
        assert json.loads(reader.metadata["avro.schema"]) == metadata["schema"]
    assert metadata["records"] == 3000
    assert metadata["inferred"]
    assert json.loads(json.dumps(metadata)) == metadata


@pytest.mark.parametrize("form", [lambda s: s, json.dumps, fastavro.parse_schema], ids=["dict", "json", "parsed"])
def test_a_schema_may_be_given_in_any_form(tmp_path, form):
    """A schema as dict, as JSON text and as parsed by fastavro gives the same file content and pickles."""
    file_io = pickle.loads(pickle.dumps(AvroFileIO(form(SCHEMA))))
    metadata = file_io.save(numbered(5), tmp_path / "x.avro")
    assert metadata["schema"] == SCHEMA
    assert not metadata["inferred"]
    assert file_io.load(tmp_path / "x.avro") == numbered(5)


def test_a_reader_schema_resolves(tmp_path):
    """Fields are dropped, renamed, promoted and filled by the reader schema, in lists and in streams."""
    AvroFileIO(SCHEMA).save(numbered(300), tmp_path / "x.avro")
    newer = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "number", "aliases": ["n"], "type": "double"},
            {"name": "extra", "type": "string", "default": "none"},
        ],
    }
    expected = [{"number": float(number), "extra": "none"} for number in range(300)]
    assert AvroFileIO(reader_schema=newer).load(tmp_path / "x.avro") == expected
    with AvroFileIO(reader_schema=json.dumps(newer), stream=True).load(tmp_path / "x.avro") as records:
        assert records == expected
        assert records[7] == expected[7]
    assert AvroFileIO().load(tmp_path / "x.avro", reader_schema=newer) == expected
    with pytest.raises(fastavro.read.SchemaResolutionError):
        AvroFileIO(reader_schema={"type": "record", "name": "R", "fields": [{"name": "q", "type": "int"}]}).load(
            tmp_path / "x.avro"
        )


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "nothing",
        {"type": "record"},
        {"type": "record", "name": "R", "fields": [{"name": "a"}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "what"}]},
        {"type": "bytes", "logicalType": "decimal"},
        {"type": "array", "items": "null"},
        {"type": "array", "items": {"type": "record", "name": "R", "fields": []}},
        {"type": "fixed", "name": "F", "size": -1},
        7,
    ],
)
def test_a_bad_schema_fails_at_construction(schema):
    """What is no schema, or none that can be kept safely, is a ValueError before anything is computed."""
    with pytest.raises(ValueError):
        AvroFileIO(schema)


def test_an_unknown_codec_fails_at_construction():
    """A codec is checked before anything is computed."""
    with pytest.raises(ValueError, match="lzo"):
        AvroFileIO(codec="lzo")


# -- payloads and streams ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [({"n": 1},), {"n": 1}, {1}, "text", b"bytes", 5, None, range(3), {}.keys()])
def test_other_payloads_are_declined_before_writing(tmp_path, payload):
    """What is no list and no stream is refused by its type, and no file appears."""
    file_io = AvroFileIO(SCHEMA)
    assert file_io.refusal(payload)
    with pytest.raises(FidelityError):
        file_io.save(payload, tmp_path / "x.avro")
    assert list(tmp_path.iterdir()) == []


def test_a_stream_needs_a_schema():
    """An iterator cannot be inferred from without using it up; it is left as it was."""
    records = iter(numbered(3))
    assert "schema" in AvroFileIO().refusal(records)
    assert len(list(records)) == 3
    assert AvroFileIO(SCHEMA).refusal(records) is None


def test_streams_both_ways_in_constant_memory(tmp_path):
    """A generator of 60,000 records is written, and iterated over again, in a few blocks' memory."""
    count = 60_000
    AvroFileIO(SCHEMA).save(iter(numbered(1000)), tmp_path / "warm.avro")
    tracemalloc.start()
    try:
        metadata = AvroFileIO(SCHEMA).save(({"n": n, "s": f"{n:060d}"} for n in range(count)), tmp_path / "x.avro")
        records = AvroFileIO(stream=True).load(tmp_path / "x.avro")
        assert sum(record["n"] for record in records) == count * (count - 1) // 2
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert metadata["records"] == len(records) == count
    records.close()
    assert os.path.getsize(tmp_path / "x.avro") > 3_500_000
    assert peak < 1_500_000


def test_records_behave_as_a_sequence(tmp_path):
    """A lazily loaded file can be iterated twice at once, indexed, sliced, compared, pickled and saved again."""
    AvroFileIO(SCHEMA, sync_interval=100).save(numbered(500), tmp_path / "x.avro")
    with AvroFileIO(stream=True).load(tmp_path / "x.avro") as records:
        assert isinstance(records, AvroRecords)
        assert list(zip(records, records, strict=True)) == list(zip(numbered(500), numbered(500), strict=True))
        assert records[0] == numbered(1)[0]
        assert records[-1] == records[499] == {"n": 499, "s": "s499"}
        assert records[10:13] == numbered(13)[10:]
        assert {"n": 77, "s": "s77"} in records
        assert records != numbered(499)
        with pytest.raises(IndexError):
            records[500]
        with pickle.loads(pickle.dumps(records)) as again:
            assert again == records
        metadata = AvroFileIO(codec="deflate").save(records, tmp_path / "y.avro")
        assert metadata["schema"] == records.schema == SCHEMA
        assert AvroFileIO().load(tmp_path / "y.avro") == numbered(500)


def test_records_survive_the_deletion_of_their_file(tmp_path):
    """Open records go on working when the file is replaced; closed ones raise."""
    AvroFileIO().save(numbered(5), tmp_path / "x.avro")
    records = AvroFileIO(stream=True).load(tmp_path / "x.avro")
    (tmp_path / "x.avro").unlink()
    assert records == numbered(5)
    records.close()
    records.close()
    with pytest.raises(ValueError, match="closed"):
        list(records)


@pytest.mark.parametrize("error", [KeyError("mine"), ValueError("mine"), FileNotFoundError("mine")], ids=repr)
def test_an_error_of_the_stream_itself_is_raised_as_it_was(tmp_path, error):
    """An exception of the user's generator is no failure of the format, and leaves nothing behind."""

    def broken():
        yield from numbered(1000)
        raise error

    with pytest.raises(type(error), match="mine") as caught:
        AvroFileIO(SCHEMA).save(broken(), tmp_path / "x.avro")
    assert caught.value is error
    assert error.__cause__ is error.__context__ is None
    assert list(tmp_path.iterdir()) == []


# -- damage and hostility ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_every_truncation_raises(tmp_path, codec):
    """A file cut off anywhere raises, also at the end of a block, where Avro itself sees nothing missing."""
    AvroFileIO(SCHEMA, codec=codec, sync_interval=60).save(numbered(40), tmp_path / "x.avro")
    content = (tmp_path / "x.avro").read_bytes()
    for size in range(len(content)):
        (tmp_path / "y.avro").write_bytes(content[:size])
        with pytest.raises(ValueError):
            AvroFileIO().load(tmp_path / "y.avro")


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_every_flipped_bit_raises_or_changes_nothing(tmp_path, codec):
    """A flipped bit anywhere raises, unless it is one that no value depends on."""
    AvroFileIO(SCHEMA, codec=codec, sync_interval=60).save(numbered(20), tmp_path / "x.avro")
    content = (tmp_path / "x.avro").read_bytes()
    silent = 0
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "y.avro").write_bytes(damaged)
        try:
            assert AvroFileIO().load(tmp_path / "y.avro") == numbered(20)
            silent += 1
        except (ValueError, ImportError):
            pass
    assert silent <= 8 * len("persistable.check")  # under another key it is no check any more


@pytest.mark.parametrize("content", [b"", b"Obj", b"Obj\x01", b"PAR1" * 10, b"Obj\x01" + b"\xff" * 40, b"\0" * 100])
def test_what_is_no_avro_file_raises(tmp_path, content):
    """Anything else than an Avro file is a ValueError."""
    (tmp_path / "x.avro").write_bytes(content)
    with pytest.raises(ValueError):
        AvroFileIO().load(tmp_path / "x.avro")
    with pytest.raises(ValueError):
        AvroFileIO(stream=True).load(tmp_path / "x.avro")


def test_a_missing_file_is_a_missing_file(tmp_path):
    """The absence of the file is FileNotFoundError."""
    for stream in (False, True):
        with pytest.raises(FileNotFoundError):
            AvroFileIO(stream=stream).load(tmp_path / "x.avro")


EMPTY = {"type": "record", "name": "E", "fields": []}
ONE = {"type": "record", "name": "O", "fields": [{"name": "b", "type": "bytes"}]}


@pytest.mark.parametrize(
    ("schema", "blocks"),
    [
        (EMPTY, [(2_000_000_000, b"")]),
        (SCHEMA, [(2_000_000_000, b"\0\0")]),
        (SCHEMA, [(1, b"\0\0\0\0")]),
        (SCHEMA, [(2, b"\0\0\0")]),
        (SCHEMA, [(1, b"\0" + encode_long(1 << 40))]),
        (ONE, [(1, encode_long(1 << 62))]),
        ({"type": "array", "items": "null"}, [(1, encode_long(1 << 40) + b"\0")]),
        ({"type": "array", "items": EMPTY}, [(1, encode_long(1 << 40) + b"\0")]),
        ({"type": "array", "items": "int"}, [(1, encode_long(1 << 60) + b"\0")]),
        ({"type": "map", "values": "null"}, [(1, encode_long(1 << 60) + b"\0")]),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, [(1, b"\x02")]),
        (["null", "int"], [(1, b"\x08")]),
        ({"type": "fixed", "name": "F", "size": 1 << 60}, [(1, b"\0")]),
    ],
)
def test_claims_are_checked_before_memory_is_taken(tmp_path, schema, blocks):
    """Counts and sizes that the bytes cannot hold raise, at once and without allocating for them."""
    path = written(tmp_path, schema, *blocks)
    assert path.stat().st_size < 300
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            AvroFileIO().load(path)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_a_block_beyond_the_file_raises(tmp_path):
    """A block that claims more bytes than the file has raises before they are read."""
    path = written(tmp_path, SCHEMA)
    content = path.read_bytes() + encode_long(1) + encode_long(1 << 50) + b"\0" * 20
    path.write_bytes(content)
    with pytest.raises(ValueError, match="bytes are left"):
        AvroFileIO().load(path)


@pytest.mark.parametrize("codec", ["deflate", "snappy", "zstandard", "bzip2", "xz"])
def test_a_decompression_bomb_raises(tmp_path, codec):
    """A block that expands beyond the limit raises in every codec; a higher limit lets it pass."""
    if codec == "zstandard":
        pytest.importorskip("backports.zstd")
    path = tmp_path / "x.avro"
    with open(path, "wb") as file:
        fastavro.writer(file, ONE, [{"b": bytes(3_000_000)}], codec=codec)
    with pytest.raises(ValueError, match="declares 1000001 bytes or more"):
        AvroFileIO(max_block_bytes=1_000_000).load(path)
    assert AvroFileIO(max_block_bytes=3_000_100).load(path) == [{"b": bytes(3_000_000)}]


def test_what_would_look_like_a_bomb_is_not_written(tmp_path):
    """A record that expands beyond the limit on loading is refused on saving."""
    with pytest.raises(FidelityError, match="max_block_bytes"):
        AvroFileIO(codec="deflate", max_block_bytes=1000).save([{"b": bytes(2000)}], tmp_path / "x.avro")
    assert list(tmp_path.iterdir()) == []


def test_a_snappy_block_is_checked_by_its_crc(tmp_path):
    """The checksum of a foreign snappy block is compared, which fastavro leaves out."""
    content = bytearray((FILES[0].parent / "weather-snappy.avro").read_bytes())
    content[-17] ^= 1
    (tmp_path / "x.avro").write_bytes(content)
    with pytest.raises(ValueError, match="CRC-32"):
        AvroFileIO().load(tmp_path / "x.avro")


def test_deep_data_of_a_recursive_schema_does_not_crash(tmp_path):
    """Bytes that nest 100,000 levels deep raise: the compiled reader would overflow the stack of the process."""
    schema = {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}
    path = written(tmp_path, schema, (1, b"\x02" * 100_000 + b"\0"))
    script = (
        "import sys\nfrom persistable_avro import AvroFileIO\n"
        "try:\n    AvroFileIO().load(sys.argv[1])\nexcept ValueError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(path)], capture_output=True, text=True, check=True, env=environment()
    )
    assert "nests too deep" in done.stdout


def test_a_schema_that_nests_deep_raises(tmp_path):
    """A file whose schema nests without end raises before anything recursive looks at it."""
    for depth in (500, 50_000):
        path = tmp_path / "x.avro"
        text = b'{"type":"array","items":' * depth + b'"int"' + b"}" * depth
        head = b"Obj\x01" + encode_long(1) + encode_long(11) + b"avro.schema" + encode_long(len(text)) + text
        path.write_bytes(head + b"\0" + b"s" * 16)
        with pytest.raises(ValueError, match="nests deeper"):
            AvroFileIO().load(path)


# -- the hooks module --------------------------------------------------------------------------------------------------


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_another_file_than_the_recorded_one_is_refused(tmp_path, codec):
    """A file of other records, blocks or codec than were saved is refused before they are read, listed or streamed."""
    path, other = tmp_path / "x.avro", tmp_path / "other.avro"
    recorded = AvroFileIO(codec=codec).save([{"a": 1}, {"a": 2}], path)
    AvroFileIO(codec=codec).save([{"a": index} for index in range(10_000)], other)
    with pytest.raises(DeclaredSizeError, match="declares 10000 records, the record says 2"):
        AvroFileIO().load(other, metadata=recorded)
    assert len(AvroFileIO().load(other, metadata={})) == len(AvroFileIO().load(other)) == 10_000
    with pytest.raises(ValueError, match="the record says 'snappy'"):
        AvroFileIO().load(path, metadata=recorded | {"codec": "snappy"})
    if codec == "deflate":
        with pytest.raises(DeclaredSizeError, match=r"bytes or more in the block at byte .* the record says less"):
            next(iter(AvroFileIO(stream=True).load(other, metadata=recorded)))


def test_schemas_that_make_much_of_nothing_are_refused():
    """Records of records of nulls would take gigabytes without a byte in the file; a wide record of nulls is fine."""
    wide = {"type": "record", "name": "W", "fields": [{"name": f"f{i}", "type": "null"} for i in range(500)]}
    assert read_schema(wide).footprint < MAX_FOOTPRINT
    fields = [{"name": f"w{i}", "type": "W" if i else wide} for i in range(500)]
    with pytest.raises(ValueError, match="bytes in memory of each N"):
        read_schema({"type": "record", "name": "N", "fields": fields})
