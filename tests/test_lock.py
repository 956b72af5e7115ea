"""Locks: one generation however many ask, no wait for the dead, and work without locks where there are none."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from faults import Interrupt
from specimens import (
    NOBODY,
    ROOT,
    BlobP,
    BlobParams,
    blob,
    environment,
    fast,
    in_child,
    kill,
    loaded,
    outcome_of,
    spawn,
    stored,
    until,
)

from persistable import generation, lock
from persistable.exceptions import LockTimeoutError, RecursiveGenerationError

KEY = "0123456789abcdef0123456789abcdef"

needs_ranges = pytest.mark.skipif(lock._SETLK is None, reason="this system has no open-file-description locks")


@pytest.fixture(params=[pytest.param("ranges", marks=needs_ranges), "filelock"])
def kind(request, monkeypatch) -> str:
    """Try both ways of locking."""
    if request.param == "filelock":
        monkeypatch.setattr(lock, "_SETLK", None)
    return request.param


def counted(root: Path, seconds: float = 0.3) -> Any:
    """Return a generation that leaves a mark of having run, takes its time, and says who ran it."""

    def generate() -> str:
        (root / f"ran-{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}").write_bytes(b"")
        time.sleep(seconds)
        return f"{os.getpid()}"

    return generate


def runs(root: Path) -> int:
    """Return how often it was generated."""
    return len(list(root.glob("ran-*")))


@pytest.mark.parametrize("upstream", [False, True], ids=["alone", "lineage"])
def test_eight_processes(kind: str, upstream: bool, tmp_path) -> None:
    """Of eight processes that miss one key at once, one generates and all are answered with its payload."""
    gate = time.time() + 0.3

    def ask() -> Any:
        made = blob(fast(tmp_path / "data"), upstream=upstream)
        time.sleep(max(0.0, gate - time.time()))
        made.load_generate(value=counted(tmp_path))
        return made.payload

    answers = [outcome_of(child) for child in [spawn(ask) for _ in range(8)]]
    assert runs(tmp_path) == 1
    assert len(answers) == 8
    assert len(set(answers)) == 1


def test_eight_threads(kind: str, tmp_path) -> None:
    """Of eight threads that miss one key at once, one generates and all are answered with its payload."""
    answers: list[Any] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        made = blob(fast(tmp_path / "data"))
        barrier.wait()
        made.load_generate(value=counted(tmp_path, 0.1))
        answers.append(made.payload)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs(tmp_path) == 1
    assert len(answers) == 8


def test_other_keys_do_not_wait(kind: str, tmp_path) -> None:
    """While one key is generated, another one of the same folder is."""
    (tmp_path / "x").mkdir()
    with lock.acquire(f"{tmp_path}/x", KEY, lock.GENERATE):
        with lock.acquire(f"{tmp_path}/x", "f" * 32, lock.GENERATE, timeout=0) as other:
            assert other.exclusive
        with lock.acquire(f"{tmp_path}/x", KEY, lock.COMMIT, timeout=0) as other:
            assert other.exclusive
        with pytest.raises(TimeoutError):
            lock.acquire(f"{tmp_path}/x", KEY, lock.GENERATE, timeout=0)
    assert [held() for held in lock._held.values() if held() is not None] == []


@needs_ranges
def test_one_file_for_both_purposes(tmp_path) -> None:
    """The commit lock beside a generation's uses its open file, is a lock of its own, and leaves the other as it is."""
    folder = str(tmp_path)
    with lock.acquire(folder, KEY, lock.GENERATE) as generating:
        before = len(os.listdir("/proc/self/fd"))
        committing = generating.to_commit()
        assert committing is not None
        with committing:
            assert committing.exclusive
            assert len(os.listdir("/proc/self/fd")) == before
            with pytest.raises(TimeoutError):
                lock.acquire(folder, KEY, lock.COMMIT, timeout=0)
        assert not committing.exclusive
        with lock.acquire(folder, KEY, lock.COMMIT, timeout=0):
            assert generating.to_commit() is None  # somebody else has it
        with pytest.raises(TimeoutError):
            lock.acquire(folder, KEY, lock.GENERATE, timeout=0)
    assert generating.to_commit() is None  # it is released
    lock.acquire(folder, KEY, lock.GENERATE, timeout=0).release()


@needs_ranges
def test_no_commit_lock_in_a_file_that_was_deleted(tmp_path) -> None:
    """If the folder was cleared while a lock was held, its file says nothing about those who lock the new one."""
    with lock.acquire(str(tmp_path), KEY, lock.GENERATE) as generating:
        (tmp_path / ".lock").unlink()
        assert generating.to_commit() is None


@needs_ranges
def test_a_forked_child_drops_both(tmp_path) -> None:
    """A child that is forked under two locks of one file closes it once, and holds neither."""
    with lock.acquire(str(tmp_path), KEY, lock.GENERATE) as generating:
        committing = generating.to_commit()
        assert committing is not None
        assert in_child(lambda: (generating.exclusive, committing.exclusive)) == (False, False)
        with pytest.raises(TimeoutError):
            lock.acquire(str(tmp_path), KEY, lock.COMMIT, timeout=0)
        committing.release()


def test_commits_wait_beside_a_generation(kind: str, tmp_path) -> None:
    """A commit under a generation's lock waits for the commit of somebody who did not ask for that lock."""
    made = blob(fast(tmp_path))
    other: list[Any] = []

    def generate() -> bytes:
        other.append(lock.acquire(f"{tmp_path}/blob", made.key, lock.COMMIT))
        threading.Timer(0.2, lambda: (runs(tmp_path), other.pop().release())).start()
        return b"late"

    made.load_generate(value=generate)
    assert other == []
    assert loaded(tmp_path) == b"late"


def test_owner_killed(kind: str, tmp_path) -> None:
    """When the process that generates is killed, the next one takes over within a fraction of a second."""
    child = spawn(lambda: blob(fast(tmp_path / "data")).load_generate(value=counted(tmp_path, 60)))
    until(lambda: runs(tmp_path) == 1)
    waiting = spawn(lambda: (blob(fast(tmp_path / "data")).load_generate(value=counted(tmp_path, 0)), time.time()))
    time.sleep(0.3)
    assert runs(tmp_path) == 1
    killed = time.time()
    kill(child[0])
    os.close(child[1])
    _, answered = outcome_of(waiting)
    assert runs(tmp_path) == 2
    assert answered - killed < 2


def test_fork_inside_generation(kind: str, tmp_path) -> None:
    """A child that is forked inside a generation and outlives it holds nobody up."""

    def forking() -> Any:
        process = os.fork()
        if not process:
            (tmp_path / f"child-{os.getpid()}").write_bytes(b"")
            time.sleep(60)
            os._exit(0)
        time.sleep(60)

    child = spawn(lambda: blob(fast(tmp_path / "data")).load_generate(value=forking))
    (grandchild,) = until(lambda: list(tmp_path.glob("child-*")))
    time.sleep(0.1)
    try:
        kill(child[0])
        os.close(child[1])
        made = blob(fast(tmp_path / "data", lock_timeout=5))
        made.load_generate(value="taken over")
        assert made.payload == "taken over"
    finally:
        os.kill(int(grandchild.name.removeprefix("child-")), signal.SIGKILL)


def test_release_lets_in_though_a_child_lives(kind: str, tmp_path) -> None:
    """A lock that was inherited by a live child is free once its owner has released it."""
    with lock.acquire(str(tmp_path), KEY, lock.GENERATE):
        child = spawn(lambda: time.sleep(30))
        time.sleep(0.05)
    try:
        with lock.acquire(str(tmp_path), KEY, lock.GENERATE, timeout=2) as again:
            assert again.exclusive
    finally:
        kill(child[0])
        os.close(child[1])


def test_dropped_lock_is_free(tmp_path) -> None:
    """A lock that nobody holds on to any more, as after an interrupt, is released."""
    taken = lock.acquire(str(tmp_path), KEY, lock.COMMIT)
    del taken
    lock.acquire(str(tmp_path), KEY, lock.COMMIT, timeout=1).release()


class SelfishP(BlobP):
    """A payload that asks for itself."""

    def _generate_payload(self, **untracked: Any) -> Any:
        return SelfishP(self.store, self.params).payload


class PingP(BlobP):
    """A payload that asks for Pong."""

    def _generate_payload(self, **untracked: Any) -> Any:
        return PongP(self.store, self.params).payload


class PongP(BlobP):
    """A payload that asks for Ping."""

    def _generate_payload(self, **untracked: Any) -> Any:
        return PingP(self.store, self.params).payload


class ForkingP(BlobP):
    """A payload that asks for itself in a forked child."""

    def _generate_payload(self, **untracked: Any) -> Any:
        return in_child(lambda: ForkingP(self.store, self.params).payload)


@pytest.mark.parametrize("cls", [SelfishP, PingP, ForkingP])
def test_recursion(cls: type, tmp_path) -> None:
    """A generation that asks for its own payload, directly, through others or in a child, is an error at once."""
    made = cls(fast(tmp_path), BlobParams())
    for use in (made.load_generate, made.generate):
        with pytest.raises(RecursiveGenerationError) as caught:
            use()
        assert caught.value.key == made.key
    with pytest.raises(RecursiveGenerationError):
        _ = made.payload


def test_an_interrupt_leaves_no_key_in_generation(tmp_path) -> None:
    """Wherever a Ctrl-C meets the mark of what is being generated, it may be generated afterwards."""
    for number in itertools.count(1):
        made, interrupt = blob(fast(tmp_path / str(number))), Interrupt(number, generation.__file__)
        with contextlib.suppress(KeyboardInterrupt), interrupt.injected():
            made.load_generate()
        if not interrupt.struck:
            break
        made.generate()
        assert generation._running == {}, interrupt.where
    assert number > 5


def test_lock_timeout(kind: str, tmp_path) -> None:
    """Who waits longer than lock_timeout gets a LockTimeoutError that names key, seconds and owner."""
    child = spawn(lambda: blob(fast(tmp_path / "data")).load_generate(value=counted(tmp_path, 60)))
    try:
        until(lambda: runs(tmp_path) == 1)
        made = blob(fast(tmp_path / "data", lock_timeout=0.1))
        started = time.monotonic()
        with pytest.raises(LockTimeoutError, match=r"waited 0\.1 s") as caught:
            made.load_generate(value=1)
        assert 0.1 <= time.monotonic() - started < 2
        assert isinstance(caught.value, TimeoutError)
        assert (caught.value.key, caught.value.seconds) == (made.key, 0.1)
        if kind == "ranges":
            assert caught.value.owner == f"{child[0]}@{os.uname().nodename}"
        with pytest.raises(LockTimeoutError):
            blob(fast(tmp_path / "data", lock_timeout=0)).load_generate(value=1)
        # generate() computes by itself: it never waits for the generation of others
        made.generate(value="mine")
        assert loaded(tmp_path / "data") == "mine"
    finally:
        kill(child[0])
        os.close(child[1])


def test_commits_wait_for_each_other(tmp_path) -> None:
    """However short lock_timeout is, a payload that is generated is not lost because another commit is under way."""
    made = blob(fast(tmp_path, lock_timeout=0))
    made.generate(persist=False, value="mine")
    (tmp_path / "blob").mkdir()
    other = lock.acquire(f"{tmp_path}/blob", made.key, lock.COMMIT)
    timer = threading.Timer(0.2, other.release)
    timer.start()
    made.persist()
    timer.join()
    assert loaded(tmp_path) == "mine"


def test_waiting_is_told(tmp_path, monkeypatch, caplog) -> None:
    """Who waits for long is told in the log for whom, once."""
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    child = spawn(lambda: blob(fast(tmp_path / "data")).load_generate(value=counted(tmp_path, 0.6)))
    until(lambda: runs(tmp_path) == 1)
    with caplog.at_level(logging.WARNING, "persistable"):
        blob(fast(tmp_path / "data")).load_generate(value=1)
    outcome_of(child)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("waiting for ")
    assert "is generating blob" in message
    if lock._SETLK is not None:
        assert f"{child[0]}@{os.uname().nodename}" in message


@needs_ranges
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_no_locks_there(code: int, tmp_path, caplog) -> None:
    """On a file system without locks everything works, with a line in the log."""
    with mock.patch("fcntl.fcntl", side_effect=OSError(code, os.strerror(code))):
        stored(fast(tmp_path), b"old")
        blob(fast(tmp_path)).load_generate()
        blob(fast(tmp_path), n=2).load_generate()
        assert not lock.acquire(str(tmp_path), KEY, lock.COMMIT).exclusive
    assert "has no locks" in caplog.text
    assert loaded(tmp_path) == b"old"


@needs_ranges
def test_a_disk_that_is_full_where_the_owner_is_noted(tmp_path) -> None:
    """Before anything is generated, the error says which file could not be written."""
    made, ran = blob(fast(tmp_path)), []
    with (
        mock.patch.object(os, "pwrite", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
        pytest.raises(OSError, match=r"No space left on device: .*\.lock") as caught,
    ):
        made.load_generate(value=lambda: ran.append(1))
    assert caught.value.errno == errno.ENOSPC
    assert ran == []
    made.load_generate(value="afterwards")


@needs_ranges
def test_other_errors_of_locking(tmp_path) -> None:
    """An error of the disk while locking is that error, before anything is generated."""
    with (
        mock.patch("fcntl.fcntl", side_effect=OSError(errno.EIO, "bad disk")),
        pytest.raises(OSError, match="bad disk"),
    ):
        blob(fast(tmp_path)).load_generate(value=lambda: pytest.fail("generated"))


def test_data_dir_deleted_while_waiting(kind: str, tmp_path) -> None:
    """Whoever waits while the data_dir is deleted goes on in a new one."""
    child = spawn(lambda: blob(fast(tmp_path / "data")).load_generate(value=counted(tmp_path, 0.5)))
    until(lambda: runs(tmp_path) == 1)
    waiting = spawn(lambda: blob(fast(tmp_path / "data")).load_generate(value=counted(tmp_path, 0)))
    time.sleep(0.15)
    shutil.rmtree(tmp_path / "data")
    outcome_of(waiting)
    outcome_of(child)
    assert loaded(tmp_path / "data")


@needs_ranges
def test_deleted_between_open_and_lock(tmp_path) -> None:
    """A lock on a file that has just been deleted counts for nothing; if its folder is gone that is the error."""
    import fcntl

    real = fcntl.fcntl
    folder = tmp_path / "x"

    def locked(descriptor: int, *args: Any) -> Any:
        found = real(descriptor, *args)
        if folder.exists():
            shutil.rmtree(folder)
        return found

    folder.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with mock.patch("fcntl.fcntl", locked), pytest.raises(FileNotFoundError):
        lock.acquire(str(folder), KEY, lock.COMMIT)
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_descriptor_is_left(kind: str, tmp_path) -> None:
    """A thousand locks leave no descriptor open."""
    if not sys.platform.startswith("linux"):
        pytest.skip("descriptors are counted in /proc")
    lock.acquire(str(tmp_path), KEY, lock.COMMIT).release()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1000):
        with lock.acquire(str(tmp_path), f"{number:032x}" if kind == "ranges" else KEY, lock.COMMIT):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


@needs_ranges
@pytest.mark.skipif(not ROOT, reason="being somebody else needs root")
def test_nobody_else_can_lock_what_is_ours(open_folder) -> None:
    """A lock for reading, which takes no more than to open the file for reading, would hold up its owner for ever."""
    blob(fast(open_folder / "data")).load_generate()
    path = open_folder / "data" / "blob" / ".lock"

    def held_up() -> None:
        with pytest.raises(PermissionError):
            os.open(path, os.O_RDONLY)

    in_child(held_up, uid=NOBODY)
    blob(fast(open_folder / "shared", trust="all")).load_generate()
    assert (open_folder / "shared" / "blob" / ".lock").stat().st_mode & 0o044


@needs_ranges
def test_lock_of_somebody_else(open_folder, caplog) -> None:
    """A lock file that cannot be opened is no reason not to work."""
    store = fast(open_folder, trust="all")
    stored(store, b"old")

    def work() -> None:
        os.chmod(open_folder / "blob", 0o777)
        os.chmod(open_folder / "blob" / ".lock", 0)

    work()

    def persist() -> Any:
        made = blob(fast(open_folder, trust="all"), n=3)
        made.load_generate()
        return made.payload

    from specimens import unprivileged

    if os.getuid() == 0:
        assert unprivileged(persist) == b"generated"
    else:
        assert persist() == b"generated"


@needs_ranges
def test_a_lock_beside_another_never_unlocks_for_somebody_else(tmp_path: Path) -> None:
    """Once the file of its lender is closed, its number may be that of any file: releasing it later does nothing."""
    generating = lock.acquire(str(tmp_path), KEY, lock.GENERATE, timeout=0)
    committing = generating.to_commit()
    assert committing is not None
    generating.release()  # in the wrong order, as where a traceback keeps the other one
    others = lock.acquire(str(tmp_path), KEY, lock.COMMIT, timeout=0)
    assert others._descriptor == committing._descriptor  # type: ignore[attr-defined]
    committing.release()
    with pytest.raises(lock.NotFree):
        lock.acquire(str(tmp_path), KEY, lock.COMMIT, timeout=0)
    others.release()
    held = len(lock._held)
    assert generating.to_commit() is None
    assert len(lock._held) == held


def test_a_python_without_these_locks_does_with_files(tmp_path: Path) -> None:
    """One that was built with the headers of an old system has no F_OFD_SETLK; artifacts are persisted all the same."""
    script = (
        "import fcntl, sys\n"
        "if hasattr(fcntl, 'F_OFD_SETLK'): del fcntl.F_OFD_SETLK\n"
        "from specimens import blob, fast\n"
        "from persistable import lock\n"
        "made = blob(fast(sys.argv[1]))\n"
        "made.load_generate()\n"
        "made.generate()\n"
        "assert lock._SETLK is None\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment(), check=True)
