"""The store: its settings, what it touches and what it does not, its log, its upkeep."""

from __future__ import annotations

import errno
import os
import pickle
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from specimens import ROOT, BlobP, BlobParams, artifact_files, blob, fast, files, loaded, stored, temps, unprivileged

from persistable import ArtifactStore
from persistable.address import Address
from persistable.exceptions import (
    CorruptArtifactWarning,
    InvalidPayloadError,
    SaveError,
    StorageError,
    UnknownStorageError,
)
from persistable.local import LocalStorage
from persistable.registry import Registry
from persistable.signing import keygen

OLD = {"old": 1}

# -- settings


@pytest.mark.parametrize(
    ("name", "default", "given", "variable", "expected"),
    [
        ("verify", "full", "size", "off", "off"),
        ("durability", "full", "fast", "fast", "fast"),
        ("lock_timeout", None, 3, "2.5", 2.5),
        ("keep_rejected", True, False, "0", False),
    ],
)
def test_settings(name: str, default: Any, given: Any, variable: str, expected: Any, monkeypatch) -> None:
    """A setting is what was given, else what the environment says, else its default."""
    monkeypatch.delenv(f"PERSISTABLE_{name.upper()}", raising=False)
    assert getattr(ArtifactStore("x"), name) == default
    assert getattr(ArtifactStore("x", **{name: given}), name) == given
    monkeypatch.setenv(f"PERSISTABLE_{name.upper()}", variable)
    assert getattr(ArtifactStore("x"), name) == expected
    assert getattr(ArtifactStore("x", **{name: given}), name) == given
    monkeypatch.setenv(f"PERSISTABLE_{name.upper()}", "")
    assert getattr(ArtifactStore("x"), name) == default


def test_no_lock_timeout_overrules_the_environment(monkeypatch) -> None:
    """None is a lock_timeout of its own: wait, whatever the environment says."""
    monkeypatch.setenv("PERSISTABLE_LOCK_TIMEOUT", "1")
    assert ArtifactStore("x", lock_timeout=None).lock_timeout is None
    monkeypatch.setenv("PERSISTABLE_LOCK_TIMEOUT", "none")
    assert ArtifactStore("x").lock_timeout is None


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("verify", "fully"), ("verify", ""), ("verify", True), ("durability", "slow"), ("lock_timeout", -1),
        ("lock_timeout", "soon"), ("lock_timeout", float("nan")),
    ],
)  # fmt: skip
def test_bad_settings(name: str, bad: Any, monkeypatch) -> None:
    """A value that a setting does not take is a ValueError that names setting and value."""
    with pytest.raises(ValueError, match=f"{name}="):
        ArtifactStore("x", **{name: bad})
    if isinstance(bad, str) and bad:
        monkeypatch.setenv(f"PERSISTABLE_{name.upper()}", bad)
        with pytest.raises(ValueError, match=bad):
            getattr(ArtifactStore("x"), name)


def test_bad_keep_rejected(monkeypatch) -> None:
    """An environment variable that is neither yes nor no is a ValueError."""
    monkeypatch.setenv("PERSISTABLE_KEEP_REJECTED", "maybe")
    with pytest.raises(ValueError, match="PERSISTABLE_KEEP_REJECTED='maybe'"):
        _ = ArtifactStore("x").keep_rejected


# -- locations


def test_locations(tmp_path, monkeypatch) -> None:
    """A location is a str or path; a relative one counts from where the process was when the store was made."""
    monkeypatch.chdir(tmp_path)
    made = blob(fast("data"))
    other = blob(fast(Path("data/")))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    made.generate(value=OLD)
    assert os.listdir(tmp_path / "elsewhere") == []
    assert made.store.location == other.store.location == str(tmp_path / "data")
    for location in (tmp_path / "data", f"{tmp_path}/data", f"{tmp_path}/data//", f"file://{tmp_path}/data", "../data"):
        assert loaded(location) == OLD
    assert ArtifactStore("/").location == "/"


@pytest.mark.parametrize("location", ["", "a\0b", Path("s3://bucket/x")], ids=repr)
def test_bad_locations(location: Any) -> None:
    """What cannot be a place is a ValueError at construction; a URL that became a path is told so."""
    with pytest.raises(ValueError, match=r"URL|not a path"):
        ArtifactStore(location)


@pytest.mark.parametrize("location", [None, 5, b"data", ["x"]], ids=repr)
def test_locations_of_other_types(location: Any) -> None:
    """What is neither path nor str is a TypeError."""
    with pytest.raises(TypeError, match="data_dir"):
        ArtifactStore(location)


def test_unknown_urls(tmp_path, monkeypatch) -> None:
    """A URL that nobody serves is accepted at construction and refused by scheme at first use, with nothing created."""
    monkeypatch.chdir(tmp_path)
    made = blob("nowhere://bucket/prefix/")
    assert made.store.location == "nowhere://bucket/prefix"
    for use in (made.load, made.load_generate, made.generate):
        with pytest.raises(UnknownStorageError, match="nowhere://"):
            use()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "suggestion", "install"),
    [
        ("s4://bucket/x", "s3", "persistable-obstore"),
        ("azure://container/x", "az", "persistable-obstore"),
        ("abfs://container/x", "az", "persistable-obstore"),
        ("gcs://bucket/x", "gs", "persistable-obstore"),
        ("ssh://host/x", "sftp", "persistable-sftp"),
        ("sftps://host/x", "sftp", "persistable-sftp"),
        ("hdfs://host/x", None, "persistable-fsspec"),
        ("x9://host/x", None, "persistable-fsspec"),
        ("s3://bucket/x", None, "persistable-obstore"),
    ],
)
def test_urls_whose_plugin_is_not_installed(url: str, suggestion: str | None, install: str) -> None:
    """The line to install is said, also of the scheme that was meant."""
    with pytest.raises(UnknownStorageError) as caught:
        _ = ArtifactStore(url, registry=Registry(discover=False)).storage
    assert (caught.value.suggestion, caught.value.install) == (suggestion, install)
    assert f"pip install {install}" in str(caught.value)
    assert suggestion is None or f"did you mean {suggestion}://?" in str(caught.value)


# -- what a constructor touches


def test_construction_touches_nothing(tmp_path) -> None:
    """Constructing stores and persistables makes no call to the file system, and loading a miss creates nothing."""

    def touched(*args: Any, **options: Any) -> None:
        raise AssertionError(f"touched {args}")

    names = ("open", "stat", "lstat", "mkdir", "makedirs", "scandir", "listdir", "access", "chmod", "unlink")
    with mock.patch.multiple(os, **dict.fromkeys(names, touched)), mock.patch("builtins.open", touched):
        made = blob(ArtifactStore(tmp_path / "data", trust="own", durability="fast"), upstream=True)
        blob(tmp_path / "data", 2, upstream=True, payload_io="pickle", verbose=True)
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        made.load()
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are counted in /proc")
def test_ten_thousand_instances(tmp_path) -> None:
    """Ten thousand instances that have loaded hold no descriptor."""
    stored(fast(tmp_path), OLD)
    before = len(os.listdir("/proc/self/fd"))
    made = [blob(tmp_path, n=1) for _ in range(10_000)]
    for one in made[::100]:
        one.load()
    assert len(os.listdir("/proc/self/fd")) == before


# -- read-only


def test_read_only_data_dir(open_folder) -> None:
    """In a read-only data_dir all loads work and create nothing; a miss is a PermissionError before generating."""

    def work() -> None:
        root = open_folder / "data"
        stored(fast(root), OLD, upstream=True)
        stored(fast(root), OLD)
        (root / "blob" / ".lock").unlink()
        before = files(root)
        for path in (root / "blob", root):
            path.chmod(0o555)
        try:
            for upstream in (False, True):
                assert loaded(root, upstream=upstream) == OLD
                made = blob(root, upstream=upstream)
                made.load_generate()
                assert made.payload == OLD
            assert [finding.problem for finding in ArtifactStore(root).check()] == [None, None]
            for name in ("blob", "new"):
                for use in ("load_generate", "generate"):
                    with pytest.raises(PermissionError) as caught:
                        getattr(blob(root, n=7, payload_name=name), use)(value=lambda: pytest.fail("generated"))
                    assert caught.value.filename == f"{root}/{name}"
                    assert "nothing was generated" in caught.value.__notes__[0]
            assert files(root) == before
            made = blob(root, n=7)
            made.generate(persist=False, value="mine")
            with pytest.raises(PermissionError):
                made.persist()
            assert made.payload == "mine"
            assert files(root) == before
        finally:
            for path in (root, root / "blob"):
                path.chmod(0o755)

    unprivileged(work)


def test_parent_is_read_only(open_folder) -> None:
    """A data_dir that cannot be created is a PermissionError before generating."""

    def work() -> None:
        (open_folder / "parent").mkdir()
        (open_folder / "parent").chmod(0o555)
        with pytest.raises(PermissionError, match="parent/data"):
            blob(open_folder / "parent" / "data").load_generate(value=lambda: pytest.fail("generated"))

    unprivileged(work)


@pytest.mark.skipif(not ROOT, reason="only root may mount")
def test_read_only_file_system(tmp_path) -> None:
    """A file system that is mounted read-only is a PermissionError too, for root as well."""
    stored(fast(tmp_path), OLD)
    command = f"mount --bind '{tmp_path}' '{tmp_path}' && mount -o remount,ro,bind '{tmp_path}'"
    mounted = subprocess.run(command, shell=True, capture_output=True, check=False)
    try:
        if mounted.returncode:
            pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
        assert loaded(tmp_path) == OLD
        with pytest.raises(PermissionError) as caught:
            blob(tmp_path, n=2).load_generate(value=lambda: pytest.fail("generated"))
        assert caught.value.errno == errno.EROFS
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], capture_output=True, check=False)


# -- copies


def test_pickles_leave_credentials_behind(tmp_path) -> None:
    """A pickled store keeps its settings, and neither its credentials nor what is open."""
    store = ArtifactStore(
        tmp_path, storage_options={"secret": "hunter2"}, trust="all", verify="size", durability="fast", lock_timeout=3
    )
    stored(store, OLD)
    data = pickle.dumps(store)
    assert b"hunter2" not in data
    copy = pickle.loads(data)
    assert copy.storage_options is None
    assert (copy.trust.setting, copy.verify, copy.durability, copy.lock_timeout) == ("all", "size", "fast", 3)
    assert repr(copy) == repr(store)
    assert "hunter2" not in repr(store)
    assert loaded(copy) == OLD
    made = blob(store)
    made.load()
    data = pickle.dumps(made)
    assert b"hunter2" not in data
    assert pickle.loads(data).payload == OLD
    assert pickle.loads(pickle.dumps(ArtifactStore("x"))).lock_timeout is None


# -- the log

LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\w+) blob ([0-9a-f]{32})( .*)? pid=(\d+)")


def events(root: Path) -> list[bytes]:
    """Return the events in the log of a blob."""
    found = [LINE.fullmatch(line) for line in (root / "blob" / "log.txt").read_bytes().splitlines()]
    assert all(found)
    return [match[1] for match in found if match]


def test_log(tmp_path) -> None:
    """The log has a line for each generation, persist and quarantine, and none for a hit or a miss."""
    made = blob(fast(tmp_path))
    made.load_generate()
    assert events(tmp_path) == [b"generated", b"persisted"]
    loaded(tmp_path)
    blob(tmp_path).load_generate()
    with pytest.raises(FileNotFoundError):
        loaded(tmp_path, n=2)
    assert len(events(tmp_path)) == 2
    Path(made.persist_filepath).write_bytes(b"")
    with pytest.warns(UserWarning, match="quarantine"):
        blob(fast(tmp_path)).load_generate()
    assert events(tmp_path)[2:] == [b"quarantined", b"generated", b"persisted"]


def test_log_follows_no_link(tmp_path) -> None:
    """A folder that is replaced by a link while a payload is generated gets no line of the log where it leads."""
    (tmp_path / "elsewhere").mkdir()
    made = blob(fast(tmp_path / "data"))

    def replacing() -> str:
        shutil.rmtree(tmp_path / "data" / "blob")
        (tmp_path / "data" / "blob").symlink_to(tmp_path / "elsewhere")
        return "payload"

    with pytest.raises(StorageError, match="is a symbolic link"):
        made.load_generate(value=replacing)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert made.payload == "payload"


@pytest.mark.parametrize("failure", [PermissionError(13, "no"), OSError(28, "full"), IsADirectoryError(21, "dir")])
def test_log_that_cannot_be_written(failure: OSError, tmp_path) -> None:
    """A log that cannot be written fails nothing."""
    real = os.open

    def opened(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith("log.txt"):
            raise failure
        return real(path, *args, **options)

    with mock.patch.object(os, "open", opened):
        stored(fast(tmp_path), OLD)
    assert loaded(tmp_path) == OLD
    assert not (tmp_path / "blob" / "log.txt").exists()


# -- rejected payloads


class PickyP(BlobP):
    """A payload that is valid only if it is a number."""

    def _validate_payload(self, payload: Any) -> None:
        if not isinstance(payload, int):
            raise InvalidPayloadError(f"{payload!r} is no number\nreally")


def test_rejected_payload_is_kept(tmp_path) -> None:
    """A payload that fails its validation is kept in quarantine with the error, one per key, and never served."""
    made = PickyP(fast(tmp_path), BlobParams(), payload_name="blob")
    for value in ("first", "second"):
        with pytest.raises(InvalidPayloadError) as caught:
            made.load_generate(value=value)
        where = tmp_path / "blob" / "quarantine" / f"{made.key}.rejected.pickle"
        assert caught.value.__notes__ == [f"the payload was kept, for pickle.load: {where}"]
    kept = files(tmp_path / "blob" / "quarantine")
    assert sorted(kept) == [f"{made.key}.rejected.pickle", f"{made.key}.rejected.txt"]
    assert pickle.loads(kept[f"{made.key}.rejected.pickle"]) == "second"
    assert b"is no number" in kept[f"{made.key}.rejected.txt"]
    assert events(tmp_path) == [b"rejected", b"rejected"]
    with pytest.raises(FileNotFoundError):
        made.load()
    made.load_generate(value=3)
    assert made.payload == 3


def test_rejected_payload_that_cannot_be_kept(tmp_path) -> None:
    """A rejected payload that cannot be pickled either leaves the error alone, and no temp."""
    made = PickyP(fast(tmp_path), BlobParams(), payload_name="blob")
    with pytest.raises(InvalidPayloadError) as caught:
        made.load_generate(value=lambda: lambda: 0)
    assert not hasattr(caught.value, "__notes__")
    assert list(files(tmp_path / "blob" / "quarantine")) == [f"{made.key}.rejected.txt"]
    assert temps(tmp_path) == []


def test_rejected_payload_is_not_wanted(tmp_path) -> None:
    """With keep_rejected=False nothing is kept."""
    made = PickyP(fast(tmp_path, keep_rejected=False), BlobParams(), payload_name="blob")
    with pytest.raises(InvalidPayloadError):
        made.load_generate(value="x")
    assert not (tmp_path / "blob" / "quarantine").exists()


def test_rejecting_never_fails(tmp_path) -> None:
    """If the disk does not take a rejected payload, the error of the validation is what is raised."""
    made = PickyP(fast(tmp_path), BlobParams(), payload_name="blob")
    with mock.patch("pickle.dump", side_effect=OSError(28, "full")), pytest.raises(InvalidPayloadError):
        made.load_generate(value="x")
    assert temps(tmp_path) == []


# -- list, check, sweep


def test_list_and_check(tmp_path) -> None:
    """list yields the intact artifacts, check a finding for every one, with what is wrong."""
    store = fast(tmp_path)
    assert list(store.list()) == []
    assert list(store.check()) == []
    for number in range(3):
        stored(store, number, n=number, payload_name="Blob no. ü")
    broken = stored(store, 5, n=5, upstream=True)
    Path(broken.persist_filepath).unlink()
    unreadable = stored(store, 6, n=6)
    (tmp_path / "blob" / f"{unreadable.key}.json").write_bytes(b"{}")
    assert sorted(address.name for address in store.list()) == ["Blob no. ü"] * 3 + ["blob"]
    problems = {Path(finding.path).name[:32]: finding.problem for finding in store.check()}
    assert len(problems) == 5
    assert "is missing" in str(problems.pop(broken.key))
    assert "does not end as a record" in str(problems.pop(unreadable.key))
    assert set(problems.values()) == {None}


def test_list_stays_at_home(open_folder) -> None:
    """Folders that can be no payload's are not entered, and links are not followed."""

    def work() -> None:
        root = open_folder / "data"
        stored(fast(root), OLD)
        (root / "lost+found").mkdir()
        (root / "lost+found").chmod(0)
        (root / "link").symlink_to("blob")
        store = fast(root)
        assert len(list(store.check())) == 1
        assert store.sweep(grace=0).names == ()
        (root / "lost+found").chmod(0o700)

    unprivileged(work)


def test_key_that_does_not_follow_from_the_identity(tmp_path) -> None:
    """check recomputes the key from the identity."""
    made = stored(fast(tmp_path), OLD)
    path = tmp_path / "blob" / f"{made.key}.json"
    import xxhash

    raw = path.read_bytes().replace(b'"n":1', b'"n":2')
    body = raw[: raw.rindex(b'"check"')]
    path.write_bytes(body + f'"check": "xxh3_128:{xxhash.xxh3_128_hexdigest(body)}"\n}}\n'.encode())
    assert [finding.problem for finding in made.store.check()] == ["has an identity of another key"]


def test_sweep_takes_only_litter(tmp_path) -> None:
    """A sweep takes what dead processes left and no record names, once it is old enough, and nothing else."""
    dead = 2**22 + 1  # above any process id
    made = stored(fast(tmp_path), OLD, upstream=True)
    folder = tmp_path / "blob"
    host = __import__("persistable.naming", fromlist=["host"]).host()
    litter = {
        folder / f".tmp-{host}-{dead}-00000000.pickle",
        folder / f".tmp-{host}-{dead}-00000001",
        folder / ".tmp-ffffffff-1-00000000",
        folder / f"{made.key}-00000000.npy",
        folder / ("0" * 32 + "-00000000"),
        folder / ("0" * 32 + ".lineage.json"),
    }
    for path in litter:
        path.write_bytes(b"litter")
    big = folder / f".tmp-{host}-{dead}-00000002.parts"
    big.mkdir()
    (big / "one").write_bytes(b"x" * 1000)
    mine = folder / f".tmp-{host}-{os.getpid()}-00000000.pickle"
    foreign = {mine, folder / ".tmp-notes", folder / "notes.txt", folder / "README", tmp_path / "notes.pickle"}
    outside = tmp_path / "My Files" / f".tmp-{host}-{dead}-00000000"
    outside.parent.mkdir()
    for path in [*foreign, outside]:
        path.write_bytes(b"mine")
    before = artifact_files(tmp_path)
    assert fast(tmp_path).sweep().names == ()
    swept = fast(tmp_path).sweep(grace=0)
    assert set(swept.names) == {f"blob/{path.name}" for path in [*litter, big]}
    assert swept.bytes >= 6 * 6 + 1000
    gone = {str(path.relative_to(tmp_path)) for path in [*litter, big / "one"]}
    assert artifact_files(tmp_path).keys() == before.keys() - gone
    assert loaded(tmp_path, upstream=True) == OLD
    assert fast(tmp_path).sweep(grace=0).names == ()
    assert fast(tmp_path / "not there").sweep(grace=0).names == ()
    assert not (tmp_path / "not there").exists()


def test_a_sweep_leaves_all_payloads_of_a_damaged_record(tmp_path) -> None:
    """Where the record cannot say which of two payloads is the superseded one, both stay."""
    made = stored(fast(tmp_path), OLD)
    (tmp_path / "blob" / f"{made.key}-00000000.pickle").write_bytes(b"another")
    record = tmp_path / "blob" / f"{made.key}.json"
    intact = record.read_bytes()
    record.write_bytes(intact[:-20])
    before = files(tmp_path)
    assert fast(tmp_path).sweep(grace=0).names == ()
    assert files(tmp_path) == before
    record.write_bytes(intact)
    assert fast(tmp_path).sweep(grace=0).names == (f"blob/{made.key}-00000000.pickle",)


def test_a_sweep_reads_no_record_of_what_is_whole(tmp_path) -> None:
    """Names tell that there is nothing to sweep; a record is read where they leave it open, and no other."""
    made = [stored(fast(tmp_path), OLD, n=n, upstream=True) for n in range(5)]
    extra = tmp_path / "blob" / f"{made[0].key}-00000000.pickle"
    extra.write_bytes(b"superseded")
    read: list[str] = []
    real = LocalStorage.get

    def watched(self, name: str) -> bytes:
        read.append(name)
        return real(self, name)

    with mock.patch.object(LocalStorage, "get", watched):
        assert fast(tmp_path).sweep(grace=0).names == (f"blob/{extra.name}",)
        assert set(read) == {f"blob/{made[0].key}.json"}
        read.clear()
        assert fast(tmp_path).sweep(grace=0).names == ()
        assert read == []


def test_sweep_beside_a_writer(tmp_path) -> None:
    """Sweeps without grace beside a writer that overwrites all the time cost it nothing."""
    from specimens import kill, spawn

    made = stored(fast(tmp_path), 0, upstream=True)

    def write() -> None:
        number = 0
        while True:
            number += 1
            made.generate(value=(number, b"x" * 10_000))

    child = spawn(write)
    try:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            fast(tmp_path).sweep(grace=0)
            assert loaded(tmp_path, upstream=True) is not None
            assert os.waitpid(child[0], os.WNOHANG) == (0, 0), "the writer failed"
    finally:
        kill(child[0])
        os.close(child[1])


def test_sweep_where_nothing_is_locked(tmp_path) -> None:
    """Where nothing can be locked, a payload without a record may be about to get one: it stays for an hour."""
    stored(fast(tmp_path), OLD)
    orphan = tmp_path / "blob" / ("0" * 32 + "-00000000.pickle")
    orphan.write_bytes(b"x")
    with (
        mock.patch("persistable.lock._SETLK", None),
        mock.patch("filelock.FileLock.acquire", side_effect=NotImplementedError),
    ):
        assert fast(tmp_path).sweep(grace=0).names == ()
        os.utime(orphan, (0, 0))
        assert fast(tmp_path).sweep(grace=0).names == (f"blob/{orphan.name}",)


def test_storage_error_names_the_link(tmp_path) -> None:
    """A folder that is a link is refused before anything is generated."""
    (tmp_path / "out").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "blob").symlink_to("../out")
    with pytest.raises(StorageError, match="data/blob is a symbolic link"):
        blob(fast(tmp_path / "data")).generate(value=lambda: pytest.fail("generated"))
    assert os.listdir(tmp_path / "out") == []


def test_no_warning_in_the_common_case(tmp_path) -> None:
    """Generating and loading in a folder of one's own warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        blob(tmp_path).load_generate(value=OLD)
        assert blob(tmp_path).payload == OLD


def test_a_sweep_follows_no_link(tmp_path) -> None:
    """A quarantine that leads elsewhere is nobody's quarantine, and names that look like ours stop no sweep."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"precious")
    stored(fast(tmp_path / "data"), OLD)
    (tmp_path / "data" / "x").mkdir()
    (tmp_path / "data" / "x" / "quarantine").symlink_to(outside)
    for name in (".tmp-00000000-²-x", f".tmp-00000000-{10**30}-x"):
        (tmp_path / "data" / "blob" / name).write_bytes(b"")
    for path in (outside / "kept", *(tmp_path / "data" / "blob").iterdir()):
        os.utime(path, (0, 0))
    assert fast(tmp_path / "data").sweep(grace=0, quarantined=0).names == ()
    assert (outside / "kept").read_bytes() == b"precious"


def test_quarantine_keeps_what_is_old_for_its_own_time(tmp_path) -> None:
    """The time begins when it was put aside, however old the artifact is."""
    made = stored(fast(tmp_path), OLD)
    payload = made.persist_filepath
    payload.write_bytes(b"damaged")
    for path in (payload, payload.with_name(f"{made.key}.json")):
        os.utime(path, (0, 0))
    assert [finding.quarantined for finding in fast(tmp_path).check(quarantine=True)] == [True]
    assert fast(tmp_path).sweep(grace=0).names == ()
    assert len(fast(tmp_path).sweep(quarantined=0).names) == 2


def test_a_sweep_leaves_what_others_have_in_quarantine(tmp_path) -> None:
    """A folder of that name may be somebody else's, where a data_dir is shared with other things."""
    made = stored(fast(tmp_path), OLD)
    made.persist_filepath.write_bytes(b"")
    with pytest.warns(CorruptArtifactWarning):
        blob(fast(tmp_path)).load_generate()
    with pytest.raises(SaveError):
        blob(fast(tmp_path), n=2).generate(value=[1, lambda: 0])
    (tmp_path / "mails" / "quarantine" / "of_may").mkdir(parents=True)
    theirs = [*(tmp_path / "mails" / "quarantine" / name for name in ("spam.txt", f"{made.key}.json", "of_may/x"))]
    theirs.append(tmp_path / "blob" / "quarantine" / "notes.txt")
    for path in theirs:
        path.write_bytes(b"precious")
    swept = fast(tmp_path).sweep(quarantined=0).names
    assert len([name for name in swept if "/quarantine/" in name]) == len(swept) == 3
    assert all(path.exists() for path in theirs)
    assert os.listdir(tmp_path / "blob" / "quarantine") == ["notes.txt"]


@pytest.mark.parametrize("name", ["{key}.json", "{key}.lineage.json"])
def test_a_planted_file_of_any_size_is_not_read_into_memory(tmp_path, name) -> None:
    """A record or lineage that takes no room on the disk, and all of the memory, is refused by its size."""
    made, other = stored(fast(tmp_path), OLD, n=1, upstream=True), stored(fast(tmp_path), OLD, n=2, upstream=True)
    address = Address("blob", "blob", made.key)
    os.truncate(tmp_path / "blob" / name.format(key=made.key), 1 << 40)
    with pytest.raises(StorageError, match="1099511627776 bytes, more than"):
        _ = made.store.lineage(address) if "lineage" in name else made.store.find(address)
    listed = {address.key for address in fast(tmp_path).list()}
    assert (made.key in listed) is ("lineage" in name)
    assert other.key in listed
    problems = {finding.key: finding.problem for finding in fast(tmp_path).check() if finding.problem}
    assert list(problems) == [made.key]
    assert "more than" in problems[made.key]


def test_a_record_that_is_a_link_does_not_hide_the_others(tmp_path) -> None:
    """It is listed by nobody, and named by a verification."""
    made, other = stored(fast(tmp_path), OLD, n=1), stored(fast(tmp_path), OLD, n=2)
    record = tmp_path / "blob" / f"{made.key}.json"
    record.rename(tmp_path / "elsewhere.json")
    record.symlink_to(tmp_path / "elsewhere.json")
    assert other.key in {address.key for address in fast(tmp_path).list()}
    assert made.key not in {address.key for address in fast(tmp_path).list()}
    assert [finding.key for finding in fast(tmp_path).check() if finding.problem] == [made.key]


def _special(path: Path, kind: str) -> None:
    """Make something at a path that is no file."""
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o644, os.makedev(1, 3))
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))  # a short name: an address has a hundred bytes


@pytest.mark.parametrize(
    "kind", ["folder", "pipe", "socket", pytest.param("device", marks=pytest.mark.skipif(not ROOT, reason="by root"))]
)
def test_what_is_no_file_is_not_read(kind: str, tmp_path, monkeypatch) -> None:
    """A device in place of a record would be read for ever; the record hides no other one, and none is lost to it."""
    made, other = stored(fast(tmp_path), OLD, n=1, upstream=True), stored(fast(tmp_path), OLD, n=2)
    address = Address("blob", "blob", made.key)
    monkeypatch.chdir(tmp_path / "blob")
    lineage, record = tmp_path / "blob" / f"{made.key}.lineage.json", tmp_path / "blob" / f"{made.key}.json"
    lineage.unlink()
    _special(lineage, kind)
    with pytest.raises(StorageError, match="is not a regular file"):
        made.store.lineage(address)
    record.unlink()
    _special(record, kind)
    assert {address.key for address in fast(tmp_path).list()} == {other.key}
    for use in (made.load, made.load_generate, made.generate):
        with pytest.raises(StorageError, match="is not a regular file"):
            use()
    assert fast(tmp_path).sweep(grace=0).names == ()
    assert {finding.key for finding in fast(tmp_path).check() if finding.problem} == {made.key}


def test_a_tilde_stands_for_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a shell, and as a path; a folder that is really called so is given as ./~."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for given in ("~/data", Path("~/data")):
        assert ArtifactStore(given).location == f"{tmp_path}/data"
    assert ArtifactStore("./~/data").location == f"{tmp_path}/./~/data"
    with pytest.raises(ValueError, match=r"'~nobody-of-that-name/data': there is no such user; give \./~nobody"):
        ArtifactStore("~nobody-of-that-name/data")
    keygen(tmp_path / "key")
    assert ArtifactStore("data", signing_key="~/key").signing_key is not None
    monkeypatch.setenv("PERSISTABLE_SIGNING_KEY", "~/key")
    assert ArtifactStore("data").signing_key is not None


def test_a_registry_is_a_registry(tmp_path: Path) -> None:
    """Preferences alone are refused at once, with the way to give them."""
    with pytest.raises(TypeError, match=r"registry=\{'a.B': 'csv'\}: give a Registry, such as Registry\(prefer="):
        ArtifactStore(tmp_path, registry={"a.B": "csv"})  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ELOOP, errno.ENOTDIR])
def test_only_what_is_not_there_is_certainly_not_there(code: int, tmp_path) -> None:
    """The second look is left out where there is no record, and nowhere else: no error is taken for a miss."""
    made = stored(fast(tmp_path), OLD)
    address = Address("blob", "blob", made.key)
    assert made.store.may_hold(address)
    assert not made.store.may_hold(address._replace(key="0" * 32))
    assert not made.store.may_hold(address._replace(folder="elsewhere"))
    with mock.patch("os.open", side_effect=OSError(code, os.strerror(code))):
        assert made.store.may_hold(address)
