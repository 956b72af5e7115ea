"""Names on disk: whatever a payload is called, its files stay in the data_dir and meet nobody else's."""

from __future__ import annotations

import os
import re
import unicodedata

import pytest
from specimens import BlobP, BlobParams, blob, fast, files

from persistable import naming
from persistable.naming import slug
from persistable.process import started

KEY = "0123456789abcdef0123456789abcdef"

HOSTILE = [
    ".", "..", "...", "../x", "../../etc/passwd", "/etc/passwd", "//x", "a/b", "a/../b", "a\\b", "..\\..\\x", "C:\\x",
    "C:", "\\\\server\\share", "~", "~root", "$HOME", "%2e%2e%2f", "a.b", "a.b.c", ".hidden", "trailing.", "trailing ",
    " leading", " ", "\t", "\n", "a\nb", "a\rb", "\x1b[31mred", "\x07", "\x7f", "\x85", "\u2028", "-", "--", "-rf",
    "*", "?", "a:b", "a|b", "<a>", '"', "'", "`id`", "$(id)", ";", "&",
    "con", "CON", "nul", "prn.txt", "aux", "com1", "lpt9", "log", "Log", "log.txt", "quarantine", "Quarantine",
    ".lock", ".lock-x", ".tmp-", ".tmp-00000000-1-00000000", "lost+found", "__pycache__",
    KEY, f"{KEY}.json", f"{KEY}.lineage.json", f"{KEY}-00000000.pickle",
    slug("Points"), slug("a.b"), slug("con"), "points-00000000",
    "points", "Points", "POINTS", "pointS", "poInts",
    unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"), "ﬁ", "fi", "Ⅳ", "IV", "iv",
    "😀", "👨‍👩‍👧", "点", "点点", "مرحبا", "\u202egnp", "\u200b", "\u200b\u200b", "a\u0300", "ß", "ss", "İ", "\u0131",
    "i", "x" * 80, "x" * 81, "x" * 300, "x" * 299 + "y", "é" * 300, "😀" * 300, "." * 300, "../" * 100,
]  # fmt: skip


def test_enough_hostile_names() -> None:
    """The list of hostile names is long, and names none twice."""
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


def test_slugs_are_plain_and_distinct() -> None:
    """Every slug is one plain path component that any file system takes, and none is that of another name."""
    slugs = [slug(name) for name in HOSTILE]
    for found in slugs:
        assert re.fullmatch(r"[a-z0-9_]{0,80}(-[0-9a-f]{8})?", found), found
        assert found
        assert len(found.encode()) <= 89
        assert found not in ("con", "prn", "aux", "nul", "log", "quarantine", "com1", "lpt9")
        assert naming.key_of_record(f"{found}.json") is None or found == KEY
        assert naming.key_of_payload(found) is None
        assert naming.staged_by(found) is None
    assert len({found.casefold() for found in slugs}) == len(HOSTILE)


def test_plain_names_stay() -> None:
    """A name that is a plain slug is its own folder."""
    for name in ("points", "points_p", "_", "0", "a" * 80, "conn", "logs"):
        assert slug(name) == name


def test_slug_is_pinned() -> None:
    """A slug is part of the layout on disk: it never changes."""
    assert slug("Points.v2") == "points_v2-7a83b55d"
    assert slug("é") == "e-4a99557e"
    assert slug("log") == "log-836ff184"


def test_everything_stays_inside(tmp_path) -> None:
    """Whatever the names are, nothing is written outside the data_dir, and every one loads its own payload."""
    root = tmp_path / "deep" / "data"
    store = fast(root)
    for number, name in enumerate(HOSTILE):
        blob(store, payload_name=name).load_generate(value=number)
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(tmp_path / "deep") == ["data"]
    assert len(os.listdir(root)) == len(HOSTILE)
    for number, name in enumerate(HOSTILE):
        again = blob(store, payload_name=name)
        again.load()
        assert again.payload == number
        assert again.persist_filepath.parent.parent == root
        assert again.record.identity["name"] == name
    assert sorted(address.name for address in store.list()) == sorted(HOSTILE)
    assert [finding.problem for finding in store.check()] == [None] * len(HOSTILE)
    assert store.sweep(grace=0).names == ()


def test_log_cannot_be_forged(tmp_path) -> None:
    """A log line stays one line of printable ASCII, whatever the payload or what went wrong is called."""
    for name in HOSTILE:
        blob(fast(tmp_path), payload_name=name).load_generate()
    forged = blob(fast(tmp_path), payload_name="x 0 pid=1\n2026-01-01T00:00:00.000Z persisted y")
    forged.load_generate()
    logs = [content for path, content in files(tmp_path).items() if path.endswith("log.txt")]
    assert len(logs) == len(HOSTILE) + 1
    line = re.compile(
        rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (generated|persisted) [ -~]* [0-9a-f]{32} [ -~]+ pid=\d+\n"
    )
    for content in logs:
        lines = content.splitlines(keepends=True)
        assert len(lines) == 2
        assert all(line.fullmatch(found) for found in lines), lines


@pytest.mark.parametrize("name", ["", "a\0b", "\0", "\ud800", "x\udfff", b"points", 5, ("a",), float("nan")], ids=repr)
def test_impossible_names(name: object, tmp_path) -> None:
    """A name that is empty, no str, or has a NUL or surrogate is a ValueError at construction."""
    with pytest.raises(ValueError, match="payload_name"):
        BlobP(tmp_path, BlobParams(), payload_name=name)
    assert os.listdir(tmp_path) == []


def test_names_of_files() -> None:
    """The names of record, payload and staged file are recognised again, and nothing else is."""
    assert naming.key_of_record(naming.record_name(KEY)) == KEY
    assert naming.key_of_payload(naming.payload_name(KEY, ".npy")) == KEY
    assert naming.key_of_payload(naming.payload_name(KEY, "")) == KEY
    for suffix in (".npy", ""):
        assert naming.staged_by(naming.staged_name(suffix)) == (naming.host(), os.getpid(), started(os.getpid()))
    assert naming.staged_by(f".tmp-{naming.host()}-12-0123abcd.npy") == (naming.host(), 12, None), "older ones, too"
    for name in (f"{KEY}.lineage.json", f"{KEY.upper()}.json", f"{KEY}.json\n", f"x{KEY}.json", "log.txt", ".lock"):
        assert naming.key_of_record(name) is None
    for name in (KEY, f"{KEY}-x", f"{KEY}-0000000.npy", f"{KEY}.json", f"{KEY}.lineage.json", f"x{KEY}-00000000"):
        assert naming.key_of_payload(name) is None
    for name in (
        ".tmp-",
        ".tmp-x",
        ".tmp-a-b-c",
        ".tmp-00000000-x-0",
        ".tmp-0-1_-0",
        ".tmp-0-1_x-0",
        "tmp-00000000-1-0",
    ):
        assert naming.staged_by(name) is None


def test_names_of_payloads_differ() -> None:
    """Two payloads of one key never have one name, and a staged file never has the name of another."""
    assert len({naming.payload_name(KEY, ".x") for _ in range(1000)}) == 1000
    assert len({naming.staged_name(".x") for _ in range(1000)}) == 1000
    one, other = (naming.staged_name("")[-8:] for _ in range(2))  # from one of them nobody can tell the next
    assert abs(int(one, 16) - int(other, 16)) > 1
