"""A glance: it answers for what is usual, abstains from all else, and says nothing that a closer look would not say."""

from __future__ import annotations

import errno
import os
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from specimens import BlobP, OtherP, blob, fast, stored, unprivileged

from persistable import reading
from persistable.exceptions import CorruptArtifactError
from persistable.io import FileIO
from persistable.outcome import Damaged, Loaded, Missing
from persistable.record import Record
from persistable.signing import keygen

SMALL = {"small": [1, 2.5, None, "é"]}
PIPES: list[int] = []  # kept open, or what is in them is gone
Arrange = Callable[[BlobP, Path, Path], object]


class ByPath(FileIO[Any]):
    """A payload that is read by its path."""

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_bytes(pickle.dumps(payload))

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return pickle.loads(filepath.read_bytes())


class Mapped(ByPath):
    """A payload that is mapped, though its format can read a buffer."""

    memory_mapped = True

    def load_buffer(self, buffer: Any) -> Any:
        raise AssertionError("it was to be mapped")


class Raises:
    """A payload whose own code raises when it is unpickled; ``loads`` counts how often it was tried."""

    loads = 0

    def __reduce__(self) -> Any:
        return _raise, ()


def _raise() -> None:
    Raises.loads += 1
    raise FileNotFoundError("the payload's own")


def described(outcome: Any) -> Any:
    """Return what is to be the same of two outcomes or errors."""
    if isinstance(outcome, Loaded):
        return "loaded", outcome.payload, outcome.record.raw, outcome.record.files, type(outcome.file_io)
    if isinstance(outcome, BaseException):
        return type(outcome), str(outcome)
    return outcome


def looked(made: BlobP) -> Any:
    """Return the outcome of a look, or its error."""
    try:
        return made._Persistable__look()  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001 - compared by the tests
        return error


def _moved(path: Path) -> Path:
    return path.rename(path.with_name(f"elsewhere-{path.name}"))


def _linked(path: Path) -> None:
    path.symlink_to(_moved(path))


def _piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _piped_whole(path: Path) -> None:
    """Put a pipe in place of a file, with all that the file had in it."""
    content = path.read_bytes()
    _piped(path)
    PIPES.append(os.open(path, os.O_RDWR))
    os.write(PIPES[-1], content)


def _folded(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _edited(path: Path, edit: Callable[[bytes], bytes]) -> None:
    path.write_bytes(edit(path.read_bytes()))


def _resealed(path: Path, old: bytes, new: bytes) -> None:
    """Change a record and let its check hold again."""
    from persistable.record import _UNSIGNED, _ending, digest_of

    raw = path.read_bytes()
    assert old in raw
    text = raw[: len(raw) - _UNSIGNED].replace(old, new)
    path.write_bytes(text + _ending(digest_of(text)))


def _other_key(made: BlobP, record: Path, payload: Path) -> None:
    other = stored(fast(record.parent.parent), n=2)
    record.write_bytes((record.parent / f"{other.key}.json").read_bytes())


def _in_full_memory(path: Path) -> None:
    _edited(path, lambda raw: raw + b" " * (1 << 20))


# what is arranged with an artifact that is whole, and whether a glance still answers
USUAL: dict[str, Arrange] = {
    "nothing": lambda made, record, payload: None,
    "no record": lambda made, record, payload: record.unlink(),
    "no folder": lambda made, record, payload: _moved(record.parent),
    "no root": lambda made, record, payload: _moved(record.parent.parent),
    "a file beside it": lambda made, record, payload: (record.parent / f"{made.key}-1234abcd.pickle").write_bytes(b"x"),
}
UNUSUAL: dict[str, Arrange] = {
    "root is a link": lambda made, record, payload: _linked(record.parent.parent),
    "folder is a link": lambda made, record, payload: _linked(record.parent),
    "folder is a file": lambda made, record, payload: (_moved(record.parent), record.parent.write_bytes(b"")),
    "record is a link": lambda made, record, payload: _linked(record),
    "record is a pipe": lambda made, record, payload: _piped(record),
    "record comes from a pipe": lambda made, record, payload: _piped_whole(record),
    "record is a folder": lambda made, record, payload: _folded(record),
    "record is empty": lambda made, record, payload: record.write_bytes(b""),
    "record is cut": lambda made, record, payload: _edited(record, lambda raw: raw[:-5]),
    "record is changed": lambda made, record, payload: _edited(record, lambda raw: raw.replace(b"blob", b"flob", 1)),
    "record is long": lambda made, record, payload: _in_full_memory(record),
    "record of another key": _other_key,
    "record of a newer schema": lambda made, record, payload: _resealed(record, b'schema": 1,', b'schema": 9,'),
    "record of a newer version": lambda made, record, payload: _resealed(record, b'version": 1,', b'version": 9,'),
    "record of another class": lambda made, record, payload: _resealed(record, b":BlobP", b":FlobP"),
    "record of a lie": lambda made, record, payload: _resealed(record, b'"bytes": ', b'"bytes": 1'),
    "record of an unknown format": lambda made, record, payload: _resealed(record, b'"format": "', b'"format": "x'),
    "payload is missing": lambda made, record, payload: payload.unlink(),
    "payload is a link": lambda made, record, payload: _linked(payload),
    "payload is a pipe": lambda made, record, payload: _piped(payload),
    "payload comes from a pipe": lambda made, record, payload: _piped_whole(payload),
    "payload is a folder": lambda made, record, payload: _folded(payload),
    "payload is empty": lambda made, record, payload: payload.write_bytes(b""),
    "payload is cut": lambda made, record, payload: _edited(payload, lambda raw: raw[:-1]),
    "payload is longer": lambda made, record, payload: _edited(payload, lambda raw: raw + b"."),
    "payload is changed": lambda made, record, payload: _edited(payload, lambda raw: raw.replace(b"small", b"large")),
    "payload is everybody's": lambda made, record, payload: payload.chmod(0o666),
    "record is everybody's": lambda made, record, payload: record.chmod(0o666),
    "folder is everybody's": lambda made, record, payload: record.parent.chmod(0o777),
    "root is everybody's": lambda made, record, payload: record.parent.parent.chmod(0o777),
    "payload is the group's": lambda made, record, payload: payload.chmod(0o664),
}


@pytest.fixture
def glances(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Return a list that gets what each glance says; after ``None`` in it nobody glances any more."""
    said: list[Any] = []
    real = reading.glance

    def watched(*arguments: Any) -> Any:
        if None in said[:1]:
            return None
        said.append(real(*arguments))
        return said[-1]

    monkeypatch.setattr(reading, "glance", watched)
    yield said
    while PIPES:
        os.close(PIPES.pop())


@pytest.mark.parametrize(("format", "trust"), [("pickle", "own"), ("pickle", "all"), ("json", "own")])
@pytest.mark.parametrize("name", [*USUAL, *UNUSUAL])
def test_a_glance_says_what_a_closer_look_says(
    tmp_path: Path, glances: list[Any], name: str, format: str, trust: str
) -> None:
    """With and without it a look ends the same, whatever there is; a glance answers for what is usual only."""
    store = fast(tmp_path / "data", trust=trust)
    made = stored(store, SMALL, payload_io=format)
    glances.clear()
    payload = Path(made.persist_filepath)
    (USUAL | UNUSUAL)[name](made, payload.parent / f"{made.key}.json", payload)
    first = described(looked(made))
    raised = name == "record of an unknown format"  # by the registry, as a closer look would
    judged = (format, trust) == ("pickle", "own")  # by whose everything on the way is
    usual = name in USUAL or (name.endswith("'s") and not judged)
    assert [outcome is not None for outcome in glances] == ([] if raised else [usual])
    glances[:] = [None]
    if not name.endswith("from a pipe"):  # which the look has emptied
        assert described(looked(made)) == first
    assert first[0] != "loaded" or first[1] == SMALL


@pytest.mark.parametrize(
    ("settings", "options", "answers"),
    [
        ({}, {}, True),
        ({"trust": "all"}, {}, True),
        ({"verify": "full"}, {}, True),
        ({}, {"payload_io": "pickle"}, True),
        ({}, {"payload_io": "json"}, True),
        ({"trust": "data-only"}, {"payload_io": "json"}, False),
        ({"trust": str(os.getuid())}, {}, False),
        ({"trust": "data-only"}, {}, False),
        ({"trust": "signed"}, {}, False),
        ({"verify": "size"}, {}, False),
        ({"verify": "off"}, {}, False),
        ({"signing_key": "key"}, {}, False),
        ({}, {"payload_io": ByPath()}, False),
        ({}, {"payload_io": Mapped()}, False),
    ],
)
def test_a_glance_knows_which_settings_it_can_keep(
    tmp_path: Path, glances: list[Any], settings: dict[str, Any], options: dict[str, Any], answers: bool
) -> None:
    """A store that asks for less or more than is usual is looked at closely, with the same outcome."""
    if "signing_key" in settings:
        settings = {"signing_key": tmp_path / "key"}
        keygen(tmp_path / "key")
    elif settings.get("trust") == "signed":
        keygen(tmp_path / "key")
        settings = settings | {"signing_key": tmp_path / "key"}
    trusting = settings | {"trust": "all"} if settings.get("trust") == "data-only" else settings
    stored(fast(tmp_path / "data", **trusting), SMALL, **options)
    made = blob(fast(tmp_path / "data", **settings), **options)
    glances.clear()
    first = described(looked(made))
    assert [isinstance(outcome, Loaded) for outcome in glances] == [answers]
    glances[:] = [None]
    assert described(looked(made)) == first


def test_a_large_payload_takes_a_closer_look(tmp_path: Path, glances: list[Any]) -> None:
    """What is mapped rather than read at once is none of a glance's business."""
    made = stored(fast(tmp_path), b"x" * (2 << 20))
    glances.clear()
    assert looked(made).payload == b"x" * (2 << 20)
    assert glances == [None]


def test_what_the_payload_raises_is_raised_once(tmp_path: Path) -> None:
    """An exception of the payload's own code comes out as it was, and its code has not been tried twice."""
    made = stored(fast(tmp_path), Raises())
    Raises.loads = 0
    with pytest.raises(FileNotFoundError, match="the payload's own") as caught:
        made.load()
    assert Raises.loads == 1
    (note,) = caught.value.__notes__
    assert made.persist_filepath.name in note
    assert "as it was written" in note


def test_nobody_trusts_what_belongs_to_others(open_folder: Path) -> None:
    """The owner of record and payload counts, not only their modes."""
    made = stored(fast(open_folder / "data"), SMALL)
    (open_folder / "data").chmod(0o755)

    def theirs() -> Any:
        outcome = looked(blob(fast(open_folder / "data")))
        return type(outcome).__name__

    if os.geteuid() == 0:
        os.chown(made.persist_filepath, 65534, 65534)
        assert type(looked(made)).__name__ == "UntrustedArtifactError"
        os.chown(made.persist_filepath, 0, 0)
        assert unprivileged(theirs) == "Loaded"  # root's own are trusted, after a closer look
    assert looked(made).payload == SMALL


@pytest.mark.parametrize("call", ["lstat", "open", "fstat", "read"])
def test_an_error_of_the_system_is_for_a_closer_look_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, glances: list[Any], call: str
) -> None:
    """An I/O error at any of its calls is no answer, least of all that nothing is there; no file stays open."""
    made = stored(fast(tmp_path / "data"), SMALL)
    real = getattr(os, call)
    opened = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    for number in range(2):
        calls = 0

        def failing(*arguments: Any, which: int = number, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == which + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments, **options)

        glances.clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, call, failing)
            outcome = looked(made)  # it fails once: the closer look finds everything
        assert glances == [None]
        assert outcome.payload == SMALL
    if opened:
        assert len(os.listdir("/proc/self/fd")) == opened


def test_every_flipped_bit_is_seen_at_a_glance(tmp_path: Path, glances: list[Any]) -> None:
    """Of 2,000 damaged records and payloads a glance serves none, also where the whole ones were served before."""
    made = stored(fast(tmp_path), SMALL)
    made.load()
    random_bits = random.Random(5)
    payload = Path(made.persist_filepath)
    for path in (payload.parent / f"{made.key}.json", payload):
        whole = path.read_bytes()
        for _ in range(1000):
            bit = random_bits.randrange(8 * len(whole))
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            glances.clear()
            outcome = looked(made)
            assert isinstance(outcome, Damaged), (path.name, bit)
            assert glances == [None]
        path.write_bytes(whole)
    assert looked(made).payload == SMALL


def test_a_record_that_was_judged_before_is_told_by_its_bytes(tmp_path: Path) -> None:
    """Another artifact under the same key is read anew, and records that are remembered share nothing."""
    made = stored(fast(tmp_path), "first")
    made.load()
    first = made.record
    stored(fast(tmp_path), "second")
    made.load()
    assert made.payload == "second"
    assert made.record.raw != first.raw
    again, once_more = (Record.parse(made.record.raw, made.key) for _ in range(2))
    again.metadata["own"] = 1  # type: ignore[index]
    assert once_more.metadata == {} == Record.parse(made.record.raw, made.key).metadata


def test_another_class_is_asked_about_closely(tmp_path: Path) -> None:
    """Two classes of one name are told apart after a hit of the right one, too."""
    made = stored(fast(tmp_path), SMALL)
    made.load()
    other = OtherP(fast(tmp_path), made.params, payload_name=made.payload_name)
    assert type(looked(other)).__name__ == "ForeignArtifactError"
    assert isinstance(looked(blob(fast(tmp_path), n=77)), Missing)
    Path(made.persist_filepath).write_bytes(b"")
    with pytest.raises(CorruptArtifactError):
        made.load()
