"""The record: what it says, in which order, and that no damage to it goes unnoticed."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
import xxhash
from specimens import blob, fast, loaded, stored

from persistable.exceptions import CorruptArtifactError, RecordSchemaError
from persistable.identity import identify, indented
from persistable.record import SCHEMA, Damage, PayloadEntry, PayloadFile, Record, UnknownSchema, members, render

KEY = "0123456789abcdef0123456789abcdef"
PROVENANCE = {"created": "2026-01-01T00:00:00.000Z", "seconds": 0.5, "class": "m:C", "versions": {}}
IDENTITY = '{"schema": 1, "name": "x", "version": "0", "params": {}, "dependencies": []}'


def rendered(path: str = f"{KEY}-00000000.pickle", **changed: object) -> bytes:
    """Render a small record, with some of its content changed."""
    given: dict = {
        "key": KEY,
        "identity": IDENTITY,
        "untracked_params": {},
        "lineage": None,
        "payload": PayloadEntry("pickle", 1, None, "int", "", {}, [PayloadFile(path, 5, "xxh3_128:00")]),
        "provenance": members(PROVENANCE),
        "algorithm": "xxh3_128",
    }
    return render(**(given | changed))


def sealed(document: object) -> bytes:
    """Return any JSON as a record whose check holds."""
    text = json.dumps(document, indent=2).encode()
    body = text.removesuffix(b"\n}") + b",\n  "
    return body + f'"check": "xxh3_128:{xxhash.xxh3_128_hexdigest(body)}"\n}}\n'.encode()


def changed(*path: object, to: object = None, drop: bool = False) -> bytes:
    """Return a record whose check holds, with one value replaced or dropped."""
    document = json.loads(rendered())
    del document["check"]
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return sealed(document)


def test_round_trip() -> None:
    """What is rendered is what is parsed, and the attributes are views on it."""
    entry = PayloadEntry(
        "npy", 3, "persistable-numpy 2", "numpy.ndarray", "its type", {"k": [1, None]},
        [PayloadFile(f"{KEY}-0/a", 5, "xxh3_128:00"), PayloadFile(f"{KEY}-0/b/c", 7, "sha256:11")],
    )  # fmt: skip
    raw = rendered(payload=entry, untracked_params={"path": "ä\n"}, lineage="xxh3_128:22")
    record = Record.parse(raw, KEY)
    assert (record.key, record.format, record.lineage) == (KEY, "npy", "xxh3_128:22")
    assert record.identity == json.loads(IDENTITY)
    assert record.untracked_params == {"path": "ä\n"}
    assert record.metadata == {"k": [1, None]}
    assert record.provenance == PROVENANCE
    assert record.files == tuple(entry.files)
    assert (record.main_path, record.size, record.raw) == (f"{KEY}-0", 12, raw)
    assert repr(record) == f"<Record x {KEY} npy 12 bytes>"
    assert "npy" in record._repr_html_()


@pytest.mark.parametrize(
    "entry",
    [
        PayloadEntry("pickle", 1, None, "int", "", {}, [PayloadFile(f"{KEY}-0.pickle", 5, "xxh3_128:00")]),
        PayloadEntry("npy", 12, "x 2", "int", "why", {"k": [1, {}]}, [PayloadFile(f"{KEY}-0.npy", 0, "sha256:0f")]),
        PayloadEntry('"ä\\', 1, "ä\n", "", "", {}, [PayloadFile(f'{KEY}-"ä', 5, "xxh3_128:00")]),
        PayloadEntry("zarr", 1, None, "", "", {}, [PayloadFile(f"{KEY}-0/a", 5, "xxh3_128:00")]),
        PayloadEntry("two", 1, None, "", "", {}, [PayloadFile(f"{KEY}-0/{n}", n, "xxh3_128:00") for n in (1, 2)]),
    ],
)
def test_the_layout_is_only_a_short_cut(entry: PayloadEntry) -> None:
    """A record says the same in its own layout, which is read by one expression, and in any other."""
    raw = rendered(payload=entry, identity=IDENTITY.replace("{}", '{"x": "\\n  \\"payload\\": {"}'))
    document = json.loads(raw)
    del document["check"]
    own, other = Record.parse(raw, KEY), Record.parse(sealed(document), KEY)
    for record in (own, other):
        assert (record.format, record.format_version, record.distribution) == entry[:3]
        assert (record.metadata, record.files, record.class_path) == (entry.metadata, tuple(entry.files), "m:C")
        assert [*map(type, record.files[0])] == [str, int, str]


def test_field_order(tmp_path) -> None:
    """People find the fields in the order of the design, in an indented ASCII text that ends with the check."""
    made = stored(tmp_path, upstream=True)
    raw = made.record.raw
    document = json.loads(raw)
    assert list(document) == [
        "record_schema", "key", "identity", "untracked_params", "lineage", "payload", "provenance", "check",
    ]  # fmt: skip
    assert list(document["identity"]) == ["schema", "name", "version", "params", "dependencies"]
    assert list(document["payload"]) == [
        "format", "format_version", "distribution", "type", "chosen", "metadata", "files",
    ]  # fmt: skip
    assert [list(file) for file in document["payload"]["files"]] == [["path", "bytes", "digest"]]
    provenance = list(document["provenance"])
    assert provenance[:7] == ["created", "seconds", "class", "code", "python", "platform", "persistable"]
    assert raw.isascii()
    assert raw.count(b"\n") > 20
    assert raw.endswith(b"}\n")


def test_recomputable_by_hand(tmp_path) -> None:
    """Key, check, lineage and payload digests follow from the files with json and hash functions alone."""
    made = stored(tmp_path, upstream=True)
    folder = tmp_path / "blob"
    text = (folder / f"{made.key}.json").read_bytes()
    document = json.loads(text)
    canonical = json.dumps(document["identity"], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert hashlib.sha256(canonical.encode()).hexdigest()[:32] == document["key"] == made.key
    before = text[: text.rindex(b'"check"')]
    assert document["check"] == f"xxh3_128:{xxhash.xxh3_128_hexdigest(before)}"
    lineage = (folder / f"{made.key}.lineage.json").read_bytes()
    assert document["lineage"] == f"xxh3_128:{xxhash.xxh3_128_hexdigest(lineage)}"
    for key, identity in json.loads(lineage).items():
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(canonical.encode()).hexdigest()[:32] == key
    (file,) = document["payload"]["files"]
    payload = (folder / file["path"]).read_bytes()
    assert (len(payload), f"xxh3_128:{xxhash.xxh3_128_hexdigest(payload)}") == (file["bytes"], file["digest"])


def test_every_bit_flip_is_noticed() -> None:
    """Whichever single bit of a record flips, it is damage: never a record, never a newer schema."""
    raw = rendered()
    assert Record.parse(raw, KEY)
    for position in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[position] ^= 1 << bit
            with pytest.raises(Damage):
                Record.parse(bytes(flipped), KEY)


def test_every_truncation_is_noticed() -> None:
    """A record cut at any length is damage, from either end."""
    raw = rendered()
    for length in range(len(raw)):
        with pytest.raises(Damage):
            Record.parse(raw[:length], KEY)
        with pytest.raises(Damage):
            Record.parse(raw[len(raw) - length :], KEY)


@pytest.mark.parametrize("tail", [b"\n", b"\0", b" ", b"}", rendered()], ids=repr)
def test_appended_bytes_are_noticed(tail: bytes) -> None:
    """A record with something after its end is damage."""
    with pytest.raises(Damage):
        Record.parse(rendered() + tail, KEY)


def test_bit_flips_on_disk(tmp_path) -> None:
    """A flipped bit anywhere in a real record is a CorruptArtifactError that names the record."""
    made = stored(fast(tmp_path))
    path = tmp_path / "blob" / f"{made.key}.json"
    raw = path.read_bytes()
    for position in range(0, len(raw), 7):
        flipped = bytearray(raw)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.raises(CorruptArtifactError) as caught:
            loaded(tmp_path)
        assert caught.value.path == str(path)
    path.write_bytes(raw)
    assert loaded(tmp_path) == b"old"


def test_record_of_another_key() -> None:
    """A record under the name of another key is damage."""
    with pytest.raises(Damage, match="is the record of key 0123"):
        Record.parse(rendered(), "f" * 32)


def test_newer_schema() -> None:
    """A newer schema is told apart from damage, whatever else it changed."""
    with pytest.raises(UnknownSchema) as caught:
        Record.parse(sealed({"record_schema": SCHEMA + 1, "all": "new"}), KEY)
    assert caught.value.found == SCHEMA + 1


def test_newer_schema_with_another_algorithm() -> None:
    """A newer schema may be checked by a digest that is not known here."""
    raw = rendered().replace(b'"record_schema": 1', b'"record_schema": 17')
    raw = raw.replace(b'"check": "xxh3_128:', b'"check": "blake9:')
    with pytest.raises(UnknownSchema) as caught:
        assert Record.parse(raw, KEY).document
    assert caught.value.found == 17


def test_newer_schema_names_both_versions(tmp_path) -> None:
    """load, load_generate, generate and find raise a RecordSchemaError with both versions, and keep the artifact."""
    made = stored(fast(tmp_path))
    path = tmp_path / "blob" / f"{made.key}.json"
    document = json.loads(path.read_bytes())
    del document["check"]
    raw = sealed(document | {"record_schema": 2})
    path.write_bytes(raw)
    before = sorted(os.listdir(tmp_path / "blob"))
    for use in ("load", "load_generate", "generate"):
        with pytest.raises(RecordSchemaError, match=r"has record schema 2; .* reads up to 1") as caught:
            getattr(blob(tmp_path), use)()
        assert (caught.value.found, caught.value.supported) == (2, SCHEMA)
    with pytest.raises(RecordSchemaError):
        _ = blob(tmp_path).record
    assert path.read_bytes() == raw
    assert sorted(os.listdir(tmp_path / "blob")) == before


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        f"{KEY}",
        f"{KEY}.json",
        f"{KEY}.lineage.json",
        f"{KEY}-0/../../x",
        f"{KEY}-0/..",
        f"{KEY}-0/./x",
        f"{KEY}-0//x",
        f"{KEY}-0/",
        f"../{KEY}-0",
        f"/{KEY}-0",
        f"./{KEY}-0",
        f"{KEY}-0\\..\\x",
        f"{KEY}-0\0",
        f"quarantine/{KEY}-0",
        "f" * 32 + "-00000000.pickle",
        "C:\\x",
        ".lock",
        "log.txt",
    ],
)
def test_hostile_paths(path: str) -> None:
    """A record cannot name a payload file that is not its own, whatever its check says."""
    with pytest.raises(Damage):
        Record.parse(rendered(path), KEY)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"null",
        b"\xff" * 50,
        sealed({"record_schema": 1}),
        sealed({"record_schema": None}),
        changed("record_schema", to="1"),
        changed("record_schema", to=0),
        changed("record_schema", to=1.0),
        changed("key", to=None),
        changed("identity", drop=True),
        changed("identity", to=[]),
        changed("identity", "name", to=5),
        changed("untracked_params", drop=True),
        changed("lineage", drop=True),
        changed("lineage", to=5),
        changed("payload", to=[]),
        changed("payload", "format", drop=True),
        changed("payload", "format", to=["pickle"]),
        changed("payload", "metadata", to=None),
        changed("payload", "files", to=[]),
        changed("payload", "files", to={}),
        changed("payload", "files", 0, to=None),
        changed("payload", "files", 0, "path", to=5),
        changed("payload", "files", 0, "bytes", to="5"),
        changed("payload", "files", 0, "bytes", to=-1),
        changed("payload", "files", 0, "bytes", to=True),
        changed("payload", "files", 0, "digest", to=None),
        changed("payload", "files", 0, "digest", drop=True),
        changed("payload", "files", 0, "digest", to="xxh3_128:0\nERROR forged"),
        changed("provenance", drop=True),
        changed("provenance", to="m:C"),
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_not_a_record(raw: bytes) -> None:
    """JSON of another shape is damage even if its check holds: nothing of it reaches a type that it does not have."""
    with pytest.raises(Damage):
        assert Record.parse(raw, KEY).document


def test_deep_json_is_damage() -> None:
    """JSON that nests deeper than the parser goes is damage, not a RecursionError."""
    body = b'{\n  "record_schema": 1,\n  "key": ' + b"[" * 100_000 + b"]" * 100_000 + b",\n  "
    raw = body + f'"check": "xxh3_128:{xxhash.xxh3_128_hexdigest(body)}"\n}}\n'.encode()
    with pytest.raises(Damage):
        assert Record.parse(raw, KEY).document


def test_repr_stays_a_line() -> None:
    """Neither the name nor the format that a record brings breaks out of its repr."""
    forged = "a\nERROR forged\x1b[2J"
    for raw in (changed("identity", "name", to=forged), changed("payload", "format", to=forged)):
        assert repr(Record.parse(raw, KEY)).isprintable()


@pytest.mark.parametrize(
    "name", ["x", 'a "quoted"', "back\\slash", "ü €", "\U0001f600", "a,\nb", "", "  ", '",', "name"]
)
def test_the_name_is_that_of_the_identity(name: str) -> None:
    """It is read from the text where that is laid out as ours and has no escapes, and else from the document."""
    raw = rendered(identity=indented(identify(name, "0", (), ())))
    record = Record.parse(raw, KEY)
    assert record.name == name
    assert (record._document is None) == (json.dumps(name) == f'"{name}"')
    assert record.identity["name"] == record.name == name
    assert Record.parse(changed("identity", "name", to=name), KEY).name == name


@pytest.mark.parametrize("text", ['"x" ,', '"x"', '"x\\",', "7,", "[[", '"x"]'])
def test_a_name_that_is_none(text: str) -> None:
    """Whatever else stands in its place is left to the parser of the whole, which finds the record damaged."""
    identity = indented(identify("NAME", "0", (), ())).replace('"NAME",', text)
    record = Record.parse(rendered(identity=identity), KEY)
    if text == '"x" ,':
        assert record.name == "x"
    else:
        with pytest.raises(Damage):
            record.name  # noqa: B018 - it is read
