"""Commit: whatever fails, and wherever, the old artifact or the new one is there, whole, and no litter."""

from __future__ import annotations

import itertools
import mmap
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from faults import Faults, Interrupt, dying_disk, full_disk
from specimens import (
    artifact_files,
    blob,
    environment,
    fast,
    files,
    fork,
    in_child,
    loaded,
    spawn,
    stored,
    temps,
    umask,
    unprivileged,
    until,
)

import persistable
from persistable import ArtifactStore, FileIO, commit
from persistable.exceptions import MissingArtifactError, NoPayloadError, SaveError

OLD, NEW = {"old": b"o" * 3000}, {"new": b"n" * 5000}


class FolderFileIO(FileIO[Any]):
    """A payload of several files, one of them in a folder below."""

    name: ClassVar[str] = "test-folder"
    suffix: ClassVar[str] = ".parts"
    is_directory: ClassVar[bool] = True

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        (filepath / "inner").mkdir()
        with open(filepath / "inner" / "payload", "wb") as file:
            file.write(pickle.dumps(payload))
        with open(filepath / "size", "wb") as file:
            file.write(str(len(payload)).encode())

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        payload = pickle.loads((filepath / "inner" / "payload").read_bytes())
        assert len(payload) == int((filepath / "size").read_bytes())
        return payload


def state(root: Path, **options: Any) -> Any:
    """Return the payload that is stored, or None."""
    try:
        return loaded(root, **options)
    except MissingArtifactError:
        return None


SCENARIOS = {
    "first": {},
    "first, full": {"durability": "full"},
    "first, lineage": {"upstream": True, "durability": "full"},
    "first, folder": {"payload_io": FolderFileIO()},
    "over": {"old": OLD},
    "over, full": {"old": OLD, "durability": "full"},
    "over, lineage": {"old": OLD, "upstream": True},
    "over, folder": {"old": OLD, "payload_io": FolderFileIO(), "durability": "full"},
}
FAULTS = {
    "full disk": {"error": full_disk},
    "interrupt": {"error": KeyboardInterrupt},
    "interrupt behind": {"error": KeyboardInterrupt, "after": True},
    "error behind": {"error": dying_disk, "after": True},
}
MORE_FAULTS = {
    "dying disk": {"error": dying_disk},
    "exit": {"error": SystemExit},
    "exit behind": {"error": SystemExit, "after": True},
}


def prepared(root: Path, old: Any = None, durability: str = "fast", **options: Any) -> Any:
    """Return an object with the new payload in memory and the old one, if any, on disk."""
    store = ArtifactStore(root, durability=durability, lock_timeout=5.0)
    if old is not None:
        stored(store, old, **options)
    made = blob(store, **options)
    made.generate(persist=False, value=NEW)
    return made


def persisted_anew(made: Any, root: Path, options: dict[str, Any]) -> None:
    """Prove that the payload is still in memory and can be persisted again, leaving nothing but the artifact."""
    assert made.payload == NEW
    made.persist()
    assert state(root, **options) == NEW
    made.store.sweep(grace=0)
    assert temps(root) == []
    left = {path for path in artifact_files(root) if path.startswith("blob/")}
    named = {made.key + ".json", *(file.path for file in made.record.files)}
    if options.get("upstream"):
        named.add(made.key + ".lineage.json")
    assert left == {f"blob/{name}" for name in named}
    assert [finding.problem for finding in made.store.check()] == [None]


@pytest.fixture
def no_waiting(monkeypatch) -> None:
    """Let the disk take its time elsewhere: what matters here is which calls are made."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("fault", [*FAULTS, *(pytest.param(name, marks=pytest.mark.campaign) for name in MORE_FAULTS)])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_failure_at_every_write(scenario: str, fault: str, tmp_path) -> None:
    """A failure at any write-type call of a commit leaves old, new or nothing, no temp, and the payload in memory."""
    given = SCENARIOS[scenario]
    options = {name: given[name] for name in ("upstream", "payload_io") if name in given}
    old, how = given.get("old"), (FAULTS | MORE_FAULTS)[fault]
    states = []
    for number in itertools.count(1):
        root = tmp_path / str(number)
        made = prepared(root, **given)
        faults, error = Faults(number, **how), None
        with faults.injected():
            try:
                made.persist()
            except (OSError, KeyboardInterrupt, SystemExit) as found:
                error = found
        if not faults.struck:
            assert error is None
            break
        where = f"{number}: {faults.calls[number - 1]} of {faults.calls}"
        found = state(root, **options)
        assert found in ((old, NEW) if error is not None else (NEW,)), where
        assert temps(root) == [], where
        if found is None:  # nothing of the new one is left
            assert not [path for path in artifact_files(root) if path.startswith("blob/")], where
        elif found == old:
            assert made.store.sweep(grace=0).names == (), where
        assert [finding.problem for finding in made.store.check()] in ([None], []), where
        persisted_anew(made, root, options)
        states.append(found)
    assert len(states) >= 7
    assert old in states
    assert NEW in states or how["error"] is not KeyboardInterrupt


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_disk_dies_for_good(scenario: str, tmp_path) -> None:
    """A disk that from some call on takes no write at all, not even for tidying, still holds old, new or nothing."""
    given = SCENARIOS[scenario]
    options = {name: given[name] for name in ("upstream", "payload_io") if name in given}
    for number in itertools.count(1):
        root = tmp_path / str(number)
        made = prepared(root, **given)
        faults = Faults(number, dying_disk, onward=True)
        with faults.injected():
            try:
                made.persist()
            except OSError:
                expected = (given.get("old"), NEW)
            else:
                expected = (NEW,)
        if not faults.struck:
            break
        assert state(root, **options) in expected, faults.calls
        assert made.payload == NEW
        made.persist()
        assert state(root, **options) == NEW


@pytest.mark.parametrize("old", [None, OLD], ids=["first", "over"])
def test_unreadable_after_commit(old: Any, tmp_path) -> None:
    """If nobody can tell after an error whether the record is in place, the payload that it would name stays."""
    made = prepared(tmp_path, old, durability="full")
    real = os.open

    def out_of_descriptors(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if record.exists() and not flags & (os.O_WRONLY | os.O_RDWR) and replaced:
            raise OSError(24, "Too many open files")
        return real(path, flags, *args, **options)

    record = tmp_path / "blob" / f"{made.key}.json"
    replaced: list[str] = []
    real_replace = os.replace

    def replace(source: Any, target: Any) -> None:
        real_replace(source, target)
        replaced.append(str(target))

    with mock.patch.object(os, "open", out_of_descriptors), mock.patch.object(os, "replace", replace):  # noqa: SIM117
        with pytest.raises(OSError, match="Too many open files"):
            made.persist()
    assert loaded(tmp_path) == NEW


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of files that nobody could close
def test_interrupt_at_every_line(tmp_path) -> None:
    """A Ctrl-C before any line of a commit leaves old or new, no temp, no lock held, and persist() works again."""
    package = str(Path(persistable.__file__).parent)
    prepared(tmp_path / "warm", OLD).persist()  # what is imported or cached once is no part of a commit
    for number in itertools.count(1):
        root = tmp_path / str(number)
        made = prepared(root, OLD)
        interrupt = Interrupt(number, package)
        try:
            with interrupt.injected():
                made.persist()
        except KeyboardInterrupt:
            pass
        if not interrupt.struck:
            break
        assert loaded(root) in (OLD, NEW), interrupt.where
        assert temps(root) == [], interrupt.where
        persisted_anew(made, root, {})
        shutil.rmtree(root)
    assert number > 100


@pytest.mark.parametrize("durability", ["full", "fast"])
def test_short_writes(durability: str, tmp_path) -> None:
    """A file system that writes a few bytes at a time gets every byte."""
    real = os.write
    with mock.patch.object(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:7]))):
        stored(ArtifactStore(tmp_path, durability=durability), OLD, upstream=True)
    assert loaded(tmp_path, upstream=True) == OLD
    assert [finding.problem for finding in ArtifactStore(tmp_path).check()] == [None]


@pytest.mark.parametrize("durability", ["full", "fast"])
def test_order_of_a_commit(durability: str, tmp_path) -> None:
    """Payload and lineage are flushed and in place before the record replaces the old one, and last goes the old."""
    made = prepared(tmp_path, OLD, upstream=True, durability=durability)
    (tmp_path / "blob" / f"{made.key}.lineage.json").unlink()
    faults = Faults(0)
    with faults.injected():
        made.persist()
    sync = ["fsync"] if durability == "full" else []
    calls = [call for call in faults.calls if call not in ("pwrite", "fchmod", "chmod", "mkdir")]
    put = ["open", "write", *sync, "replace", *sync]
    assert calls == ["open", "write", *sync, "open", "rename", *put, *sync, *put, "unlink", "open", "write"]


@pytest.mark.parametrize("size", [0, 1, 100_000, 5 << 20])
def test_big_and_small(size: int, tmp_path) -> None:
    """Payloads of any size come back, those that are flushed and hashed side by side as well."""
    payload = os.urandom(size)
    stored(ArtifactStore(tmp_path, durability="full"), payload)
    assert loaded(tmp_path) == payload
    stored(ArtifactStore(tmp_path, durability="full"), payload[::-1])
    assert loaded(tmp_path) == payload[::-1]
    assert len([path for path in artifact_files(tmp_path) if path.endswith(".pickle")]) == 1


def test_flush_fails_beside_the_digest(tmp_path) -> None:
    """A failing flush of a big payload is reported, though it ran in another thread."""
    stored(fast(tmp_path), OLD, n=2)
    made = blob(ArtifactStore(tmp_path, durability="full"))
    made.generate(persist=False, value=b"x" * (5 << 20))
    with mock.patch.object(os, "fsync", side_effect=dying_disk()), pytest.raises(OSError, match="Input/output"):
        made.persist()
    assert temps(tmp_path) == []
    assert state(tmp_path) is None


# -- payloads that cannot be saved


class Unpicklable:
    """A payload that fails when it is pickled."""

    def __reduce__(self) -> Any:
        raise RuntimeError("cannot be pickled")


@pytest.mark.parametrize("old", [None, OLD], ids=["first", "over"])
@pytest.mark.parametrize(
    "payload",
    [Unpicklable(), [b"x" * 1_000_000, Unpicklable()], lambda: 0, sys],
    ids=["at once", "half-way", "λ", "module"],
)
def test_unpicklable(payload: Any, old: Any, tmp_path) -> None:
    """A payload that cannot be pickled is a SaveError with its cause; the old artifact stays, the payload too."""
    if old is not None:
        stored(fast(tmp_path), old)
    made = blob(fast(tmp_path))
    for use in ("generate", "persist"):
        with pytest.raises(SaveError, match="could not be written") as caught:
            made.generate(value=lambda: payload) if use == "generate" else made.persist()
        assert caught.value.__cause__ is not None
        assert made.payload is payload
    assert state(tmp_path) == old
    assert temps(tmp_path) == []
    made.generate(value=NEW)
    assert state(tmp_path) == NEW


def test_iterators_are_not_persisted_half_read(tmp_path) -> None:
    """A payload that can be read only once is not taken for whole again after a save that failed half-way."""

    class Streamed(FileIO[Any]):
        def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
            with open(filepath, "wb") as file:
                for number, item in enumerate(payload):
                    if number == failing_at:
                        raise full_disk()
                    file.write(b"%d\n" % item)

        def _load(self, filepath: Path, **kwargs: Any) -> list[int]:
            return [int(line) for line in filepath.read_bytes().split()]

    failing_at = 3
    made = blob(fast(tmp_path), payload_io=Streamed())
    with pytest.raises(OSError, match="No space left"):
        made.generate(value=lambda: iter(range(10)))
    failing_at = -1
    with pytest.raises(NoPayloadError):
        made.persist()
    assert state(tmp_path, payload_io=Streamed()) is None
    made.load_generate(value=lambda: iter(range(10)))
    assert made.payload == list(range(10))
    assert loaded(tmp_path, payload_io=Streamed()) == list(range(10))


# -- FileIOs that do not keep to the rules


class Misbehaving(FileIO[Any]):
    """A FileIO that writes what a function writes."""

    suffix: ClassVar[str] = ".blob"

    def __init__(self, save: Any) -> None:
        self.how = save

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Any:
        return self.how(payload, filepath)

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return pickle.loads(filepath.read_bytes())


def _beside(payload: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(payload))
    path.with_name(path.name + ".index").write_bytes(b"index")


def _beside_as_folder(payload: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(payload))
    path.with_suffix(".d").mkdir()
    (path.with_suffix(".d") / "more").write_bytes(b"index")


def _fails_with_litter(payload: Any, path: Path) -> None:
    _beside_as_folder(payload, path)
    raise RuntimeError("too late")


MISBEHAVIOUR = {
    "nothing": (lambda payload, path: None, "wrote no file"),
    "elsewhere": (lambda payload, path: path.with_name(path.name + ".npy").write_bytes(b"x"), "wrote no file"),
    "other suffix": (lambda payload, path: path.with_suffix(".other").write_bytes(b"x"), "wrote no file"),
    "a folder": (lambda payload, path: path.mkdir(), "no regular file"),
    "a full folder": (lambda payload, path: (path.mkdir(), (path / "x").write_bytes(b"x")), "no regular file"),
    "a pipe": (lambda payload, path: os.mkfifo(path), "no regular file"),
    "a link": (lambda payload, path: path.symlink_to("/etc/passwd"), "link"),
    "more files": (_beside, "beside"),
    "more folders": (_beside_as_folder, "beside"),
    "fails with litter": (_fails_with_litter, "too late"),
}


@pytest.mark.parametrize("old", [None, OLD], ids=["first", "over"])
@pytest.mark.parametrize("case", MISBEHAVIOUR)
def test_misbehaving_file_io(case: str, old: Any, tmp_path) -> None:
    """A FileIO that does not write the one file it was asked for is told so, and leaves no trace."""
    save, message = MISBEHAVIOUR[case]
    if old is not None:
        stored(fast(tmp_path), old)
    made = blob(fast(tmp_path), payload_io=Misbehaving(save))
    with pytest.raises(OSError, match=message):
        made.generate(value=NEW)
    assert made.payload == NEW
    assert temps(tmp_path) == []
    assert state(tmp_path) == old
    assert made.store.sweep(grace=0).names == ()


class FolderOf(Misbehaving):
    """As above, for payloads of several files."""

    is_directory: ClassVar[bool] = True

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return pickle.loads((filepath / "x").read_bytes())


def _linked(payload: Any, path: Path) -> None:
    (path / "x").write_bytes(pickle.dumps(payload))
    (path / "etc").symlink_to("/etc")


def _replaced_by_file(payload: Any, path: Path) -> None:
    path.rmdir()
    path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda payload, path: None, "wrote no file"),
        (lambda payload, path: (path / "empty").mkdir(), "wrote no file"),
        (lambda payload, path: path.rmdir(), "took away the folder"),
        (_replaced_by_file, "took away the folder"),
        (_linked, "link"),
        (lambda payload, path: (path / "x").symlink_to("/etc/passwd"), "link"),
        (lambda payload, path: os.mkfifo(path / "x"), "no regular file"),
        (lambda payload, path: (path / "a\\b").write_bytes(b"x"), "name"),
    ],
)
def test_misbehaving_folder_io(save: Any, message: str, tmp_path) -> None:
    """A FileIO that fills a folder with what no record can list is told so, and leaves no trace."""
    made = blob(fast(tmp_path), payload_io=FolderOf(save))
    with pytest.raises(OSError, match=message):
        made.generate(value=NEW)
    assert temps(tmp_path) == []
    assert state(tmp_path) is None


def test_folder_payload(tmp_path) -> None:
    """A payload of several files is committed, loaded and superseded as one."""
    io = FolderFileIO()
    made = stored(fast(tmp_path), OLD, payload_io=io)
    assert made.persist_filepath.is_dir()
    assert [file.path.partition("/")[2] for file in made.record.files] == ["size", "inner/payload"]
    assert loaded(tmp_path, payload_io=io) == OLD
    made.generate(value=NEW)
    assert loaded(tmp_path, payload_io=io) == NEW
    assert len(files(tmp_path / "blob")) == 5  # record, two files, log, lock
    assert made.store.sweep(grace=0).names == ()


def test_superseded_folder_goes_in_one_step(tmp_path) -> None:
    """When the files of a superseded folder payload are deleted, none of them is under its old path any more."""
    io = FolderFileIO()
    old = stored(fast(tmp_path), OLD, payload_io=io).persist_filepath
    real, seen = shutil.rmtree, []

    def rmtree(path: str, **options: Any) -> None:
        seen.append((old.exists(), os.path.isdir(path)))
        real(path, **options)

    with mock.patch.object(shutil, "rmtree", rmtree):
        stored(fast(tmp_path), NEW, payload_io=io)
    assert seen == [(False, True)]
    assert temps(tmp_path) == []


@pytest.mark.parametrize("returned", [None, {}, {"rows": 3}, 5, "path", Path("x"), [1], True], ids=repr)
def test_only_load_and_save(returned: Any, tmp_path) -> None:
    """A FileIO that has only _load and _save works by injection, whatever its _save returns."""

    class OldFileIO(FileIO[Any]):
        def _load(self, filepath: Path, **kwargs: Any) -> Any:
            return filepath.read_text()

        def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Any:
            filepath.write_text(payload)
            return returned

    made = stored(fast(tmp_path), "text", payload_io=OldFileIO())
    assert made.record.format == "custom:test_only_load_and_save.<locals>.OldFileIO"
    assert made.record.metadata == (returned if isinstance(returned, dict) else {})
    assert loaded(tmp_path, payload_io=OldFileIO()) == "text"


def test_metadata_that_is_no_json(tmp_path) -> None:
    """Metadata that JSON cannot hold are an error before anything changes if loading needs them, else not kept."""
    stored(fast(tmp_path), OLD)

    class Needing(Misbehaving):
        needs_metadata = True

    def save(payload: Any, path: Path) -> Any:
        path.write_bytes(b"x")
        return {"x": object()}

    with pytest.raises(SaveError, match="metadata that JSON cannot hold"):
        blob(fast(tmp_path), payload_io=Needing(save)).generate(value=NEW)
    assert loaded(tmp_path) == OLD
    assert temps(tmp_path) == []
    assert stored(fast(tmp_path), NEW, payload_io=Misbehaving(save)).record.metadata == {}


# -- readers and writers side by side


def test_superseded_payload_goes(tmp_path) -> None:
    """After an overwrite only the new payload is there, and who has opened or mapped the old one keeps it."""
    old_path = stored(fast(tmp_path), OLD).persist_filepath
    content = old_path.read_bytes()
    with open(old_path, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        new_path = stored(fast(tmp_path), NEW).persist_filepath
        assert not old_path.exists()
        assert new_path != old_path
        assert opened.read() == content
        assert mapped[:] == content
    assert len([path for path in artifact_files(tmp_path) if path.endswith(".pickle")]) == 1


def test_failing_to_delete_the_old_is_no_failure(tmp_path) -> None:
    """A superseded payload that cannot be deleted stays for the sweep; the commit stands."""
    old_path = stored(fast(tmp_path), OLD).persist_filepath
    with mock.patch.object(os, "unlink", side_effect=PermissionError(1, "no")):
        stored(fast(tmp_path), NEW)
    assert loaded(tmp_path) == NEW
    assert old_path.exists()
    assert fast(tmp_path).sweep(grace=0).names == (f"blob/{old_path.name}",)
    assert loaded(tmp_path) == NEW


def test_over_damage(tmp_path) -> None:
    """A generation over a damaged record replaces it; the payload that nobody names any more is swept."""
    old_path = stored(fast(tmp_path), OLD).persist_filepath
    made = blob(fast(tmp_path))
    (tmp_path / "blob" / f"{made.key}.json").write_bytes(b"{}")
    made.generate(value=NEW)
    assert loaded(tmp_path) == NEW
    assert made.store.sweep(grace=0).names == (f"blob/{old_path.name}",)


def test_another_writer_has_no_lock(tmp_path) -> None:
    """Where nothing is locked, a commit that fails takes nothing from the one that succeeded meanwhile."""
    late = blob(fast(tmp_path), upstream=True)
    late.generate(persist=False, value=NEW)
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        if str(target).endswith(f"{late.key}.json"):
            with mock.patch.object(os, "replace", real):
                winner = fast(tmp_path)
                stored(winner, OLD, upstream=True)
            raise full_disk()
        real(source, target)

    unlocked = mock.patch("persistable.lock._CONTENDED", set())
    with mock.patch.object(os, "replace", replace), unlocked, mock.patch("fcntl.fcntl", side_effect=OSError(37, "no")):  # noqa: SIM117
        with pytest.raises(OSError, match="No space"):
            late.persist()
    assert loaded(tmp_path, upstream=True) == OLD
    assert [finding.problem for finding in late.store.check()] == [None]


# -- modes


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077, 0o027], ids=oct)
@pytest.mark.parametrize("payload_io", [None, FolderFileIO()], ids=["file", "folder"])
def test_umask(mask: int, payload_io: Any, open_folder: Path) -> None:
    """Whatever the umask, what is created can be read back under the default trust, without a warning."""

    def work() -> None:
        root = open_folder / "deep" / "data"
        with umask(mask):
            stored(ArtifactStore(root), OLD, payload_io=payload_io, upstream=payload_io is None)
            stored(ArtifactStore(root), NEW, payload_io=payload_io, upstream=payload_io is None)
        assert loaded(root, payload_io=payload_io, upstream=payload_io is None) == NEW
        for current, _, names in os.walk(root):
            for name in [".", *names]:
                mode = os.lstat(f"{current}/{name}").st_mode
                assert not mode & 0o022, (current, name, oct(mode))
                assert not mode & stat.S_IMODE(mask)

    unprivileged(work)


def test_umask_of_a_shared_store(tmp_path) -> None:
    """A store that trusts others leaves it to the umask who may write."""
    with umask(0o002):
        made = stored(ArtifactStore(tmp_path / "data", trust="all"), OLD)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o775
    assert stat.S_IMODE(made.persist_filepath.stat().st_mode) == 0o664
    assert stat.S_IMODE((tmp_path / "data" / "blob" / f"{made.key}.json").stat().st_mode) == 0o664


# -- signals and full disks

SCRIPT = """
import os, signal, sys, time
from specimens import blob, fast
from persistable.io import PickleFileIO

class Slow:
    def __reduce__(self):
        print("pickling", flush=True)
        time.sleep(30)

def leave(*_):
    raise SystemExit(3)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
if sys.argv[2] == "handler":
    signal.signal(signal.SIGTERM, leave)
elif sys.argv[2] == "ignored":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
blob(fast(sys.argv[1])).generate(value=[b"x" * 1_000_000, Slow()])
"""


@pytest.mark.parametrize("old", [None, OLD], ids=["first", "over"])
@pytest.mark.parametrize(
    ("handling", "number", "status"),
    [
        ("default", signal.SIGTERM, -signal.SIGTERM),
        ("handler", signal.SIGTERM, 3),
        ("default", signal.SIGINT, -signal.SIGINT),
    ],
)
def test_termination(handling: str, number: int, status: int, old: Any, tmp_path) -> None:
    """A process that is terminated while it persists leaves the old artifact and no temp, and dies as it would have."""
    if old is not None:
        stored(fast(tmp_path), old)
    before = artifact_files(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", SCRIPT, str(tmp_path), handling],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"pickling\n"
        assert len(temps(tmp_path)) == 1
        process.send_signal(number)
        assert process.wait(20) == status
    assert temps(tmp_path) == []
    assert artifact_files(tmp_path) == before
    assert state(tmp_path) == old


def test_handler_is_put_back(tmp_path) -> None:
    """A commit, whether it succeeds or fails, leaves the disposition of SIGTERM as it found it."""

    def work() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stored(fast(tmp_path), OLD)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with pytest.raises(SaveError):
            stored(fast(tmp_path), Unpicklable())
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stored(fast(tmp_path), OLD)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN

    in_child(work)


def test_commit_in_a_thread(tmp_path) -> None:
    """A commit outside of the main thread works, without touching signals."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(stored, fast(tmp_path), OLD).result()
    assert loaded(tmp_path) == OLD


def test_power_cut_order(tmp_path) -> None:
    """A full commit flushes the folders that it creates, so that a new artifact does not vanish with its folder."""
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.path.realpath(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the names of open files are not known here")
    root = Path(os.path.realpath(tmp_path)) / "data"
    with mock.patch.object(os, "fsync", fsync):
        stored(ArtifactStore(root, durability="full"), OLD)
    assert str(root.parent) in synced
    assert str(root) in synced
    assert synced[-1] == str(root / "blob")


def test_readers_while_committing(tmp_path) -> None:
    """A reader beside a writer that overwrites all the time loads a whole payload every time, folder payloads too."""
    for payload_io in (
        None,
        FolderFileIO(),
        Misbehaving(lambda payload, path: path.write_bytes(pickle.dumps(payload))),
    ):
        root = tmp_path / str(payload_io)
        made = stored(fast(root), {0: b"x" * 2000}, payload_io=payload_io)

        def write(made: Any = made) -> None:
            for number in itertools.count():
                made.generate(value={number: b"%d" % number * 2000})

        child = spawn(write)
        try:
            seen = set()
            deadline = time.monotonic() + 1.5
            while time.monotonic() < deadline:
                ((number, content),) = loaded(root, payload_io=payload_io).items()
                assert content in (b"%d" % number * 2000, b"x" * 2000)
                seen.add(number)
        finally:
            os.kill(child[0], signal.SIGKILL)
            os.waitpid(child[0], 0)
            os.close(child[1])
        assert len(seen) > 3
        until(lambda root=root: fast(root).sweep(grace=0).names == ())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_as_a_commit_ends_is_not_lost(tmp_path: Path, number: int) -> None:
    """It comes before the handler is put back, and acts as it would have: the process ends by it, or is interrupted."""
    end = commit._Termination.end
    times: list[int] = []

    def struck(termination: Any) -> None:
        times.append(len(times))
        if len(times) == 1:
            os.kill(os.getpid(), number)
        end(termination)

    process = fork()
    if not process:
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with mock.patch.object(commit._Termination, "end", struck):
                try:
                    stored(fast(tmp_path))
                except KeyboardInterrupt:
                    os.kill(os.getpid(), signal.SIGTERM)  # kills as before any commit
        finally:
            os._exit(status)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGTERM


class _TidiesUp(FileIO[Any]):
    """Raises an error of its own while an interrupt unwinds it, as zipfile does."""

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        try:
            raise payload
        finally:
            raise ValueError("there is an open writing handle")

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interrupt_is_one_whatever_the_format_makes_of_it(tmp_path: Path, kind: type[BaseException]) -> None:
    """It is raised as it was, and what is interrupted is no payload that its format refuses."""
    is_interrupt = not issubclass(kind, Exception)
    try:
        raise KeyboardInterrupt("one that was handled already")
    except KeyboardInterrupt:
        with pytest.raises(kind if is_interrupt else SaveError):
            _TidiesUp().save(kind("now"), tmp_path / "file")
    made = blob(fast(tmp_path / "data"), payload_io=_TidiesUp())
    with pytest.raises(kind if is_interrupt else SaveError):
        made.generate(value=kind("now"))
    assert any("rejected" in name for name in files(tmp_path / "data")) is not is_interrupt
