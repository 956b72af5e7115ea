"""Reading: what a load can find, and that nothing of it is ever taken for something else."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import shutil
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from specimens import (
    BlobP,
    BlobParams,
    OtherP,
    artifact_files,
    blob,
    fast,
    files,
    loaded,
    spawn,
    stored,
    unprivileged,
)

from persistable import ArtifactStore, FileIO, Persistable
from persistable.address import Address
from persistable.exceptions import (
    CorruptArtifactError,
    CorruptArtifactWarning,
    ForeignArtifactError,
    InvalidPayloadWarning,
    MissingArtifactError,
    StorageError,
    UnknownFormatError,
)

OLD = {"old": b"o" * 3000}


def payload_path(made: BlobP) -> Path:
    """Return the path of the payload that is stored."""
    return Path(made.persist_filepath)


def record_path(made: BlobP) -> Path:
    """Return the path of the record that is stored."""
    return payload_path(made).parent / f"{made.key}.json"


class Parts(FileIO[Any]):
    """A payload of two files."""

    name: ClassVar[str] = "test-parts"
    is_directory: ClassVar[bool] = True

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        (filepath / "below").mkdir()
        (filepath / "one").write_bytes(pickle.dumps(payload))
        (filepath / "below" / "two").write_bytes(b"two")

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return pickle.loads((filepath / "one").read_bytes())


class ByPath(FileIO[Any]):
    """A payload that is read by its path, not from a buffer."""

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_bytes(pickle.dumps(payload))

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return pickle.loads(filepath.read_bytes())


# -- nothing


def test_missing(tmp_path) -> None:
    """Nothing stored is a MissingArtifactError that is a FileNotFoundError, and load_generate generates."""
    for place in (tmp_path, tmp_path / "not" / "there"):
        with pytest.raises(MissingArtifactError, match="load_generate") as caught:
            blob(place).load()
        assert isinstance(caught.value, FileNotFoundError)
        assert caught.value.path.startswith(str(place))
        with pytest.raises(MissingArtifactError):
            _ = blob(place).record
        with pytest.raises(MissingArtifactError):
            _ = blob(place).persist_filepath
    assert files(tmp_path) == {}
    made = blob(fast(tmp_path))
    made.load_generate(value=None)
    assert made.payload is None
    assert loaded(tmp_path) is None


# -- damage


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _zeroed(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def _extended(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"\0")


def _removed(path: Path) -> None:
    path.unlink()


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _another(path: Path) -> None:
    path.write_bytes(pickle.dumps({"new": b"o" * 3000}))


DAMAGE = [_cut, _emptied, _zeroed, _flipped, _extended]


@pytest.mark.parametrize("payload_io", [None, ByPath(), Parts()], ids=["buffer", "path", "folder"])
@pytest.mark.parametrize("verify", [None, "full"])
@pytest.mark.parametrize("damage", [*DAMAGE, _removed, _a_pipe, _another])
def test_damaged_payload(damage: Any, verify: Any, payload_io: Any, tmp_path) -> None:
    """A damaged payload is a CorruptArtifactError naming the file; load_generate quarantines it and generates."""
    made = stored(fast(tmp_path), OLD, payload_io=payload_io)
    path = payload_path(made)
    path = path / "one" if path.is_dir() else path
    damage(path)
    after = artifact_files(tmp_path)
    store = fast(tmp_path, verify=verify)
    with pytest.raises(CorruptArtifactError) as caught:
        loaded(store, payload_io=payload_io)
    assert caught.value.path == str(path)
    assert artifact_files(tmp_path) == after
    assert [finding.problem is None for finding in store.check()] == [False]
    again = blob(store, payload_io=payload_io)
    with pytest.warns(CorruptArtifactWarning, match="moved to quarantine"):
        again.load_generate(value="new")
    assert again.payload == "new"
    assert loaded(store, payload_io=payload_io) == "new"
    assert [finding.problem for finding in store.check()] == [None]
    quarantined = [name for name in files(tmp_path) if name.startswith("blob/quarantine/")]
    assert any(name.endswith(f"{made.key}.json") for name in quarantined)
    assert b"quarantined" in files(tmp_path)["blob/log.txt"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_record(damage: Any, tmp_path) -> None:
    """A damaged record is damage, not a miss: load raises, load_generate quarantines payload and all."""
    made = stored(fast(tmp_path), OLD, upstream=True)
    damage(record_path(made))
    with pytest.raises(CorruptArtifactError):
        loaded(tmp_path, upstream=True)
    with pytest.raises(CorruptArtifactError):
        _ = blob(tmp_path, upstream=True).record
    with pytest.warns(CorruptArtifactWarning):
        blob(fast(tmp_path), upstream=True).load_generate(value="new")
    assert loaded(tmp_path, upstream=True) == "new"
    assert len(os.listdir(tmp_path / "blob" / "quarantine")) == 3


def test_missing_record(tmp_path) -> None:
    """Without its record an artifact is none; the payload that was left is swept."""
    made = stored(fast(tmp_path), OLD)
    record_path(made).unlink()
    with pytest.raises(MissingArtifactError):
        loaded(tmp_path)
    blob(fast(tmp_path)).load_generate(value="new")
    assert loaded(tmp_path) == "new"
    assert len(fast(tmp_path).sweep(grace=0).names) == 1


@pytest.mark.parametrize("damage", [*DAMAGE, _removed])
def test_damaged_lineage(damage: Any, tmp_path) -> None:
    """A damaged lineage does not spoil the hit: reading it and verifying the store tell, and a commit mends it."""
    made = stored(fast(tmp_path), OLD, upstream=True)
    path = record_path(made).with_name(f"{made.key}.lineage.json")
    address = Address(made.payload_name, made.payload_name, made.key)
    lineage = made.store.lineage(address)
    assert list(lineage) == [dependency.key for dependency in made.tracked_persistable_dependencies]
    damage(path)
    assert loaded(tmp_path, upstream=True) == OLD
    with pytest.raises(CorruptArtifactError) as caught:
        made.store.lineage(address)
    assert caught.value.path == str(path)
    assert [finding.problem is None for finding in made.store.check()] == [False]
    made.persist()
    assert made.store.lineage(address) == lineage
    assert [finding.problem for finding in made.store.check()] == [None]


@pytest.mark.parametrize(
    "plant",
    [
        lambda folder: (folder / "three").write_bytes(b""),
        lambda folder: (folder / "below" / "three").write_bytes(b"x"),
        lambda folder: (folder / "link").symlink_to("one"),
        lambda folder: (folder / "etc").symlink_to("/etc"),
        lambda folder: os.mkfifo(folder / "pipe"),
        lambda folder: shutil.rmtree(folder),
        lambda folder: shutil.rmtree(folder / "below"),
    ],
)
def test_folder_payload_is_what_is_listed(plant: Any, tmp_path) -> None:
    """A file in a folder payload that its record does not list, or one that is gone, is damage."""
    made = stored(fast(tmp_path), OLD, payload_io=Parts())
    assert loaded(tmp_path, payload_io=Parts()) == OLD
    plant(payload_path(made))
    with pytest.raises(CorruptArtifactError):
        loaded(tmp_path, payload_io=Parts())
    assert [finding.problem is None for finding in made.store.check()] == [False]


def test_copied_record(tmp_path) -> None:
    """A record that was copied to the name of another key is damage."""
    made, other = stored(fast(tmp_path), OLD), blob(fast(tmp_path), n=2)
    shutil.copy(record_path(made), tmp_path / "blob" / f"{other.key}.json")
    with pytest.raises(CorruptArtifactError, match=f"is the record of key {made.key}"):
        other.load()


# -- verify


@pytest.mark.parametrize("payload_io", [None, ByPath()], ids=["buffer", "path"])
@pytest.mark.parametrize("size", [1000, 2 << 20])
def test_verify_size_and_off(size: int, payload_io: Any, tmp_path) -> None:
    """With less verification a changed byte is served, a payload that cannot be parsed still is called damaged."""
    made = stored(fast(tmp_path), b"x" * size, payload_io=payload_io)
    path = payload_path(made)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"xxxx", b"xyxx", 1))
    for verify in ("size", "off"):
        assert b"y" in loaded(fast(tmp_path, verify=verify), payload_io=payload_io)
    with pytest.raises(CorruptArtifactError):
        loaded(fast(tmp_path, verify="full"), payload_io=payload_io)
    path.write_bytes(content[: len(content) // 2])
    for verify in ("full", "size", "off"):
        with pytest.raises(CorruptArtifactError, match="bytes instead of"):
            loaded(fast(tmp_path, verify=verify), payload_io=payload_io)
    path.write_bytes(content)
    for verify in ("full", "size", "off"):
        assert loaded(fast(tmp_path, verify=verify), payload_io=payload_io) == b"x" * size


# -- whose it is


def other_class(module: str, body: str = "return 1", **attributes: Any) -> type[Persistable[Any, Any]]:
    """Return a class BlobP of another module."""
    namespace = {"__module__": module, "_generate_payload": lambda self, **untracked: body} | attributes
    found = types.new_class("BlobP", (Persistable[Any, BlobParams],), exec_body=lambda space: space.update(namespace))
    found.__qualname__ = "BlobP"
    return found


def test_foreign_class(tmp_path) -> None:
    """The artifact of another class is an error that names both and the ways out; it stays as it is."""
    stored(fast(tmp_path), OLD)
    before = artifact_files(tmp_path)
    other = OtherP(fast(tmp_path), BlobParams(), payload_name="blob")
    for use in (other.load, other.load_generate, other.generate):
        with pytest.raises(ForeignArtifactError, match="formerly") as caught:
            use()
        assert caught.value.found.endswith("specimens:BlobP")
        assert caught.value.asked.endswith("specimens:OtherP")
    other.generate(persist=False)
    with pytest.raises(ForeignArtifactError):
        other.persist()
    assert artifact_files(tmp_path) == before


def test_formerly(tmp_path) -> None:
    """A class that lists the path under which it used to write adopts what is there."""
    stored(fast(tmp_path), OLD)
    moved = other_class("elsewhere")(fast(tmp_path), BlobParams(), payload_name="blob")
    with pytest.raises(ForeignArtifactError):
        moved.load()
    adopting = other_class("elsewhere", formerly=(f"{BlobP.__module__}:BlobP",))
    made = adopting(fast(tmp_path), BlobParams(), payload_name="blob")
    made.load()
    assert made.payload == OLD


def test_main_twin(tmp_path) -> None:
    """A class of __main__ and the same qualified name in a module are one, in both directions."""
    stored(fast(tmp_path), OLD)
    twin = other_class("__main__")(fast(tmp_path), BlobParams(), payload_name="blob")
    twin.load()
    assert twin.payload == OLD
    twin.generate()
    assert loaded(tmp_path) == "return 1"


# -- errors of the disk are not misses


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
@pytest.mark.parametrize(
    ("call", "suffix"),
    [("open", ".json"), ("open", ".pickle"), ("lstat", "blob"), ("read", ".json"), ("read", ".pickle")],
)
def test_io_error_is_no_miss(call: str, suffix: str, code: int, tmp_path) -> None:
    """An error while opening or reading is raised as it is, by load and load_generate, and changes nothing."""
    stored(fast(tmp_path), OLD)
    before = artifact_files(tmp_path)
    real_open, real_read, real_lstat, failing = os.open, os.read, os.lstat, set()

    def opened(path: Any, *args: Any, **options: Any) -> int:
        wanted = str(path).endswith(suffix)
        if wanted and call == "open":
            raise OSError(code, os.strerror(code))
        descriptor = real_open(path, *args, **options)
        failing.discard(descriptor)
        if wanted:
            failing.add(descriptor)
        return descriptor

    def read(descriptor: int, size: int) -> bytes:
        if descriptor in failing:
            raise OSError(code, os.strerror(code))
        return real_read(descriptor, size)

    def lstat(path: Any, **options: Any) -> os.stat_result:
        if str(path).endswith(suffix) and call == "lstat":
            raise OSError(code, os.strerror(code), path)
        return real_lstat(path, **options)

    patches = {"open": opened, "read": read, "lstat": lstat}
    with mock.patch.multiple(os, **patches):
        for use in ("load", "load_generate"):
            made = blob(tmp_path)
            with pytest.raises(OSError, match=os.strerror(code)) as caught:
                getattr(made, use)(**({"value": "no"} if use == "load_generate" else {}))
            assert caught.value.errno == code
            assert not isinstance(caught.value, FileNotFoundError)
            if not (call == "read" and suffix == ".pickle"):
                assert caught.value.filename.endswith(suffix)
    assert artifact_files(tmp_path) == before
    assert loaded(tmp_path) == OLD


@pytest.mark.parametrize("what", ["record", "payload", "folder", "root"])
def test_no_permission_is_no_miss(what: str, open_folder) -> None:
    """What may not be read is a PermissionError that names it, never a miss."""

    def work() -> None:
        root = open_folder / "data"
        made = stored(fast(root), OLD)
        paths = {"record": record_path(made), "payload": payload_path(made), "folder": root / "blob", "root": root}
        path = paths[what]
        mode = path.stat().st_mode
        path.chmod(0)
        for use in ("load", "load_generate"):
            with pytest.raises(PermissionError) as caught:
                getattr(blob(fast(root)), use)()
            assert str(path) in str(caught.value.filename)
        path.chmod(mode)
        assert loaded(root) == OLD

    unprivileged(work)


def test_data_dir_is_a_file(tmp_path) -> None:
    """A file in place of data_dir is a NotADirectoryError."""
    (tmp_path / "data").write_bytes(b"")
    for use in ("load", "load_generate", "generate"):
        with pytest.raises(NotADirectoryError):
            getattr(blob(tmp_path / "data"), use)()


# -- user code


class Fussy:
    """A payload whose unpickling fails with a FileNotFoundError."""

    def __setstate__(self, state: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "not there", "/some/where")

    def __getstate__(self) -> Any:
        return {"x": 1}


class InvalidP(BlobP):
    """A payload whose validation fails with a FileNotFoundError when it is told to."""

    strict = False

    def _validate_payload(self, payload: Any) -> None:
        if self.strict:
            raise FileNotFoundError(errno.ENOENT, "not there", "/some/where")


class PostP(BlobP):
    """A payload whose post hook fails."""

    def _post_load(self, **untracked: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "not there", "/some/where")


def test_user_code_is_no_miss(tmp_path, monkeypatch) -> None:
    """A FileNotFoundError of the payload's own code is that error, and neither a miss nor damage."""
    stored(fast(tmp_path), Fussy())
    InvalidP(fast(tmp_path), BlobParams()).generate()
    PostP(fast(tmp_path), BlobParams()).generate()
    monkeypatch.setattr(InvalidP, "strict", True)
    before = artifact_files(tmp_path)
    for make in (lambda: blob(fast(tmp_path)), lambda: InvalidP(fast(tmp_path), BlobParams()),
                 lambda: PostP(fast(tmp_path), BlobParams())):  # fmt: skip
        for use in ("load", "load_generate"):
            with pytest.raises(FileNotFoundError, match="/some/where") as caught:
                getattr(make(), use)()
            assert not isinstance(caught.value, MissingArtifactError)
    assert artifact_files(tmp_path) == before


def test_invalid_payload_as_a_warning(tmp_path, monkeypatch) -> None:
    """A stored payload that fails its validation is served with a warning where that was asked for."""
    InvalidP(fast(tmp_path), BlobParams()).generate()
    monkeypatch.setattr(InvalidP, "strict", True)
    made = InvalidP(fast(tmp_path), BlobParams())
    with pytest.warns(InvalidPayloadWarning):
        made.load(warn_if_validation_fails=True)
    assert made.payload == b"generated"


def test_unknown_format(tmp_path) -> None:
    """A format that is not there is an error that names it, for load and load_generate, and the artifact stays."""
    stored(fast(tmp_path), OLD, payload_io=ByPath())
    before = artifact_files(tmp_path)
    for use in ("load", "load_generate"):
        with pytest.raises(UnknownFormatError, match="custom:ByPath"):
            getattr(blob(fast(tmp_path)), use)()
    assert artifact_files(tmp_path) == before


# -- links and pipes


@pytest.mark.parametrize("what", ["record", "payload", "folder"])
def test_links_are_not_followed(what: str, tmp_path) -> None:
    """A symbolic link in place of record, payload or folder is an error that says so, whatever it points to."""
    made = stored(fast(tmp_path / "data"), OLD)
    paths = {"record": record_path(made), "payload": payload_path(made), "folder": tmp_path / "data" / "blob"}
    path = paths[what]
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    before = files(tmp_path)
    for use in ("load", "load_generate"):
        with pytest.raises(StorageError, match="symbolic link"):
            getattr(blob(fast(tmp_path / "data")), use)()
    assert artifact_files(tmp_path).keys() == {name for name in before if "lock" not in name and "log" not in name}


def test_linked_data_dir_is_followed(tmp_path) -> None:
    """A data_dir may itself be a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    stored(fast(tmp_path / "link"), OLD)
    assert loaded(tmp_path / "real") == OLD


def test_quarantine_is_not_followed(tmp_path) -> None:
    """A link in place of the quarantine leads nothing out of the store."""
    made = stored(fast(tmp_path / "data"), OLD)
    (tmp_path / "out").mkdir()
    (tmp_path / "data" / "blob" / "quarantine").symlink_to(tmp_path / "out")
    payload_path(made).write_bytes(b"")
    with pytest.raises(StorageError, match="symbolic link"):
        blob(fast(tmp_path / "data")).load_generate()
    with pytest.raises(OSError, match="could not be written"):
        blob(fast(tmp_path / "data")).generate(value=lambda: lambda: 0)
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("what", ["record", "log", "lock"])
def test_pipes_are_not_waited_for(what: str, tmp_path) -> None:
    """A pipe in place of a file makes nobody wait."""
    made = stored(fast(tmp_path), OLD)
    path = {"record": record_path(made), "log": tmp_path / "blob/log.txt", "lock": tmp_path / "blob/.lock"}[what]
    _a_pipe(path)
    signal.alarm(10)
    try:
        if what == "record":
            with pytest.raises(StorageError, match="regular file"):
                loaded(tmp_path)
        elif what == "log":
            blob(fast(tmp_path), n=2).load_generate()
            assert loaded(tmp_path) == OLD
        else:
            assert loaded(tmp_path) == OLD
    finally:
        signal.alarm(0)


# -- races


def test_superseded_between_record_and_payload(tmp_path) -> None:
    """A reader whose artifact is superseded after it read the record looks again, however often."""
    made = stored(fast(tmp_path), 0)
    real, numbers = os.open, itertools.count(1)

    def opened(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith(".pickle"):
            number = next(numbers)
            if number < 20:
                with mock.patch.object(os, "open", real):
                    made.generate(value=number)
        return real(path, *args, **options)

    with mock.patch.object(os, "open", opened):
        assert loaded(tmp_path) == 19


def test_superseded_while_parsed(tmp_path) -> None:
    """A FileIO that meets a payload which is superseded at that moment is asked again for the new one."""

    class Late(ByPath):
        def _load(self, filepath: Path, **kwargs: Any) -> Any:
            if not seen:
                seen.append(filepath)
                made.generate(value="new")
            return super()._load(filepath)

    seen: list[Path] = []
    made = stored(fast(tmp_path), "old", payload_io=Late())
    assert loaded(tmp_path, payload_io=Late()) == "new"
    assert not seen[0].exists()


def test_folder_taken_away_while_parsed(tmp_path) -> None:
    """A folder payload that is superseded while its files are listed is never served in part."""

    class Listed(Parts):
        name: ClassVar[str] = "test-listed"

        def _load(self, filepath: Path, **kwargs: Any) -> Any:
            if not seen:
                seen.append(filepath)
                made.generate(value="new")
            return sorted(path.name for path in filepath.glob("*"))

    seen: list[Path] = []
    made = stored(fast(tmp_path), "old", payload_io=Listed())
    assert loaded(tmp_path, payload_io=Listed()) == ["below", "one"]


def test_quarantine_takes_only_what_was_judged(tmp_path) -> None:
    """An artifact that is replaced between judgement and quarantine stays, and is what load_generate answers with."""
    made = stored(fast(tmp_path), "old")
    payload_path(made).write_bytes(b"damage")
    late = blob(fast(tmp_path))
    real = type(late.store).quarantine

    def replaced(self: Any, *args: Any) -> bool:
        made.generate(value="good")
        return real(self, *args)

    with mock.patch.object(ArtifactStore, "quarantine", replaced):
        late.load_generate(value=lambda: pytest.fail("generated"))
    assert late.payload == "good"
    assert loaded(tmp_path) == "good"
    assert not (tmp_path / "blob" / "quarantine").exists()


def test_readers_against_a_writer(tmp_path) -> None:
    """Four readers beside a writer that overwrites all the time: none torn, none wrong, none with an error."""
    made = stored(fast(tmp_path), (0, b"0" * 5000))

    def write() -> None:
        for number in itertools.count(1):
            made.generate(value=(number, b"%d" % (number % 10) * 5000))

    def read() -> int:
        last, deadline, count = -1, time.monotonic() + 1.5, 0
        while time.monotonic() < deadline:
            number, content = loaded(tmp_path)
            assert content == b"%d" % (number % 10) * 5000
            assert number >= last
            last, count = number, count + 1
        return count

    from specimens import kill, outcome_of

    writer = spawn(write)
    try:
        assert sum(outcome_of(child) for child in [spawn(read) for _ in range(4)]) > 100
    finally:
        kill(writer[0])
        os.close(writer[1])


def test_a_hit_leaves_no_descriptor(tmp_path) -> None:
    """Loads, misses and damage leave no descriptor open."""
    if not sys.platform.startswith("linux"):
        pytest.skip("descriptors are counted in /proc")
    made = stored(fast(tmp_path), OLD)
    broken = stored(fast(tmp_path), OLD, n=2)
    payload_path(broken).write_bytes(b"")
    loaded(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        loaded(tmp_path)
        with pytest.raises(CorruptArtifactError):
            loaded(tmp_path, n=2)
        with pytest.raises(MissingArtifactError):
            loaded(tmp_path, n=3)
    assert len(os.listdir("/proc/self/fd")) == before
    assert json.loads(record_path(made).read_bytes())["key"] == made.key


def test_a_payload_that_is_whole_and_cannot_be_read_is_told_from_damage(tmp_path, monkeypatch) -> None:
    """What a parser raises on the bytes that were written has a note that says so, whichever way they are read."""
    for io in ("pickle", ByPath()):
        for settings in ({}, {"verify": "size"}):
            made = stored(fast(tmp_path, **settings), types.SimpleNamespace(x=1), payload_io=io)
            with monkeypatch.context() as patched:
                patched.delattr(types, "SimpleNamespace")
                with pytest.raises(AttributeError, match="SimpleNamespace") as caught:
                    made.load()
            (note,) = caught.value.__notes__
            assert f"{payload_path(made)}, which is as it was written" in note
            assert "generate() it anew" in note
