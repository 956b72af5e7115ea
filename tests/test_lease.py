"""Leases: one owner at a time on storages without locks, and no wait for the dead."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib.util
import json
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dict_storage import OBJECT_STORE, DictStorage

import persistable
from persistable import lease
from persistable.exceptions import StorageConnectionError, StorageWarning
from persistable.lock import NotFree
from persistable.naming import lease_name
from persistable.process import alive, here
from persistable.storage import Capabilities, Entry, Storage
from persistable.testing.storage_faults import at_once, in_child

KEY = "0123456789abcdef0123456789abcdef"
NAME = f"folder/{lease_name(KEY)}"
EXAMPLE = Path(persistable.__file__).parent.parent / "examples/third_party_plugin/src/imagebox/sqlite.py"
ELSEWHERE = {"place": "another machine", "owner": "1@elsewhere", "token": "theirs", "beat": 1}


class Clock:
    """A clock that moves when somebody sleeps; ``during`` is called at each sleep."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, 0.0
        self.during: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
        self.during()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of those who wait; owners do not beat meanwhile."""
    clock = Clock()
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep, time=time.time))
    return clock


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have owners beat all the time."""
    monkeypatch.setattr(lease, "BEAT", 0.005)


def new(kind: type[DictStorage] = DictStorage, **declared: bool) -> DictStorage:
    return kind(f"dict://{os.urandom(8).hex()}", capabilities=OBJECT_STORE._replace(**declared))


class _Distant(DictStorage):
    """A place to which every call takes its time, and another one each time."""

    def _called(self, operation: str, name: str) -> None:
        super()._called(operation, name)
        time.sleep(random.uniform(0, 0.004))


def acquire(storage: Storage, **options: Any) -> Any:
    return lease.acquire(storage, "folder", KEY, **options)


def said(storage: Storage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(storage.get(NAME))
    return found


def put(storage: Storage, **content: object) -> bytes:
    data = json.dumps(content).encode()
    storage.put(NAME, data)
    return data


def dead_process() -> int:
    """Return the number of a process that was."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def eventually(condition: Callable[[], object]) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_lease_is_an_object_while_it_is_held() -> None:
    """It says who has it, and is gone with its owner."""
    storage = new()
    with acquire(storage) as lock:
        assert lock.exclusive
        assert said(storage)["process"] == os.getpid()
        assert said(storage)["owner"].startswith(f"{os.getpid()}@")
    assert storage.objects == {}


def test_a_lease_is_one_per_key_and_folder() -> None:
    """Who generates something else does not wait."""
    storage = new()
    with acquire(storage), lease.acquire(storage, "folder", KEY[::-1], timeout=0):
        lease.acquire(storage, "another", KEY, timeout=0).release()


def test_where_conditions_are_not_kept_nobody_is_excluded() -> None:
    """One warning, and locks that exclude nobody and leave nothing."""
    careless = DictStorage(f"dict://{os.urandom(8).hex()}", ignores_conditions=True)
    with pytest.warns(StorageWarning) as warned:
        locks = [acquire(careless, timeout=0) for _ in range(3)]
    assert len(warned) == 1
    assert [lock.exclusive for lock in locks] == [False] * 3
    for lock in locks:
        lock.release()
    assert careless.objects == {}


def test_who_waits_gets_it_when_it_is_released(clock: Clock) -> None:
    """And is told the owner once it takes long."""
    storage, told = new(), []
    owner = acquire(storage)
    name = said(storage)["owner"]
    clock.during = lambda: owner.release() if clock.slept > 20 else None
    with acquire(storage, on_wait=told.append):
        assert 20 < clock.slept < 25
    assert told == [name]


def test_who_does_not_want_to_wait_longer_is_told_the_owner(clock: Clock) -> None:
    """After the timeout, and not much later; the lease stays."""
    storage = new()
    with acquire(storage):
        with pytest.raises(NotFree) as raised:
            acquire(storage, timeout=3.0)
        assert raised.value.owner == said(storage)["owner"]
        assert clock.slept == pytest.approx(3.0)
        with pytest.raises(NotFree):
            acquire(storage, timeout=0)
        assert said(storage)["process"] == os.getpid()


@pytest.mark.parametrize("replaces", [True, False])
def test_the_lease_of_a_dead_process_of_this_machine_is_taken_at_once(clock: Clock, replaces: bool) -> None:
    """Nobody waits for who cannot come back."""
    storage = new(replace_matching=replaces)
    put(storage, **(ELSEWHERE | {"place": here(), "process": dead_process()}))
    with acquire(storage):
        assert clock.slept == 0
        assert said(storage)["process"] == os.getpid()
    assert storage.objects == {}


@pytest.mark.parametrize("replaces", [True, False])
@pytest.mark.parametrize("content", [ELSEWHERE, {**ELSEWHERE, "process": 2**22 + 1}, {}, {"process": "?"}])
def test_a_silent_lease_is_taken_after_its_lifetime(clock: Clock, replaces: bool, content: dict[str, Any]) -> None:
    """By the waiter's own clock, whoever wrote it, whatever it says; a process has its number on its machine alone."""
    storage = new(replace_matching=replaces)
    put(storage, **content)
    with acquire(storage):
        assert lease.LIFETIME < clock.slept < lease.LIFETIME + 5
    assert storage.objects == {}


def test_a_lease_that_is_no_json_dies_too(clock: Clock) -> None:
    """What nobody keeps is nobody's."""
    storage = new()
    storage.put(NAME, b"\xff no lease")
    with acquire(storage):
        assert clock.slept > lease.LIFETIME


@pytest.mark.parametrize("replaces", [True, False])
def test_a_lease_that_is_kept_is_never_taken(clock: Clock, replaces: bool) -> None:
    """However long it takes: a beat now and then is enough, also one that comes late."""
    storage, last = new(replace_matching=replaces), [clock.now]
    put(storage, **ELSEWHERE)

    def beat() -> None:
        if clock.now - last[0] > lease.LIFETIME - 2:
            last[0] = clock.now
            put(storage, **ELSEWHERE, at=clock.now)

    clock.during = beat
    with pytest.raises(NotFree):
        acquire(storage, timeout=2000.0)
    assert said(storage)["token"] == "theirs"


def test_a_beat_between_look_and_takeover_keeps_the_lease(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner was slow, not dead: who wants to replace what was seen is refused."""
    storage, real = new(), DictStorage.put_if_match
    put(storage, **ELSEWHERE)

    def beats_first(self: DictStorage, name: str, data: bytes, version: str) -> bool:
        if name == NAME and clock.slept < lease.LIFETIME + 5:
            put(self, **ELSEWHERE, at=clock.now)
        return real(self, name, data, version)

    acquire(new()).release()
    monkeypatch.setattr(DictStorage, "put_if_match", beats_first)
    with acquire(storage):
        assert clock.slept > 2 * lease.LIFETIME


@pytest.mark.usefixtures("beating")
@pytest.mark.parametrize("replaces", [True, False])
def test_an_owner_beats(replaces: bool) -> None:
    """What it says changes all the time, and stays its own."""
    storage = new(replace_matching=replaces)
    with acquire(storage):
        token, first = said(storage)["token"], said(storage)["beat"]
        eventually(lambda: said(storage)["beat"] > first + 3)
        assert said(storage)["token"] == token
    assert storage.objects == {}


@pytest.mark.usefixtures("beating")
@pytest.mark.parametrize("replaces", [True, False])
@pytest.mark.parametrize("taken", [True, False])
def test_a_lost_lease_is_noticed_and_left_alone(caplog: pytest.LogCaptureFixture, replaces: bool, taken: bool) -> None:
    """Its owner says so once, and neither beats for another one's lease nor releases it."""
    storage, theirs = new(replace_matching=replaces), json.dumps(ELSEWHERE).encode()

    def take() -> bool:
        """Take it away, again where a beat of the owner came in between, until it has noticed."""
        if taken and storage.get(NAME) != theirs:
            storage.put(NAME, theirs)
        elif not taken:
            storage.delete(NAME)
        return "was lost: work may be done twice" in caplog.text

    with caplog.at_level(logging.WARNING, "persistable"):
        lock = acquire(storage)
        eventually(take)
        lock.release()
    assert caplog.text.count("was lost") == 1
    assert storage.objects.keys() == ({NAME} if taken else set())
    assert not taken or storage.get(NAME) == theirs


@pytest.mark.usefixtures("beating")
def test_a_beat_that_fails_is_not_the_end(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage that cannot be reached for a moment costs no lease."""
    storage, real, failed = new(), DictStorage.put_if_match, []

    def fail_thrice(self: DictStorage, name: str, data: bytes, version: str) -> bool:
        if name == NAME and len(failed) < 3:
            failed.append(1)
            raise StorageConnectionError(url=self.url, operation="put_if_match")
        return real(self, name, data, version)

    monkeypatch.setattr(DictStorage, "put_if_match", fail_thrice)
    with acquire(storage):
        eventually(lambda: len(failed) == 3)
        beat = said(storage)["beat"]
        eventually(lambda: said(storage)["beat"] > beat + 2)
    assert "was lost" not in caplog.text
    assert storage.objects == {}


@pytest.mark.usefixtures("beating")
def test_a_release_in_the_midst_of_a_beat_is_no_loss(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A beat that is slower than the release finds no lease, and has no reason to complain."""
    storage, real = new(), DictStorage.put_if_match
    beating, released = threading.Event(), threading.Event()

    def slow(self: DictStorage, name: str, data: bytes, version: str) -> bool:
        if name == NAME:
            beating.set()
            released.wait()
        return real(self, name, data, version)

    acquire(storage).release()  # its conditions are known from here on
    monkeypatch.setattr(DictStorage, "put_if_match", slow)
    lock = acquire(storage)
    keeper = next(thread for thread in threading.enumerate() if thread.name == "persistable-lease")
    beating.wait()
    lock.release()
    released.set()
    keeper.join()
    assert "was lost" not in caplog.text
    assert storage.objects == {}


def test_a_release_that_cannot_be_told_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is done; the lease dies by itself."""
    storage = new()
    lock = acquire(storage)

    def fail(self: DictStorage, name: str) -> None:
        raise StorageConnectionError(url=self.url, operation="delete")

    monkeypatch.setattr(DictStorage, "delete", fail)
    lock.release()
    assert NAME in storage.objects


def test_an_answer_that_was_lost_on_the_way_is_no_rival(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that tried again, and was refused for its own first attempt, has the lease."""
    storage, real = new(), DictStorage.put_if_absent
    acquire(storage).release()

    def lose_the_answer(self: DictStorage, name: str, data: bytes) -> bool:
        real(self, name, data)
        return False

    monkeypatch.setattr(DictStorage, "put_if_absent", lose_the_answer)
    with acquire(storage):
        assert clock.slept == 0
    assert storage.objects == {}


@pytest.mark.parametrize("replaces", [True, False])
def test_one_of_many_takes_over(monkeypatch: pytest.MonkeyPatch, replaces: bool) -> None:
    """Of eight who see that the owner is dead, one has the lease, and the others wait for that one."""
    monkeypatch.setattr(lease, "_LONGEST", 0.01)
    process = dead_process()
    for _ in range(10):
        storage = new(replace_matching=replaces, kind=_Distant)
        put(storage, **(ELSEWHERE | {"place": here(), "process": process}))
        inside: list[int] = []

        def enter(storage: DictStorage = storage, inside: list[int] = inside) -> int:
            with acquire(storage):
                inside.append(1)
                time.sleep(0.01)  # long enough for who deletes a lease that is no longer the dead one's
                most = len(inside)
                inside.pop()
            return most

        assert at_once([enter] * 8) == [1] * 8
        assert storage.objects == {}


def test_who_dies_while_taking_over_does_not_block_the_others(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is replaced on condition there is a claim; after another lifetime somebody else has it."""
    storage, real = new(replace_matching=False), DictStorage.put
    put(storage, **ELSEWHERE)
    acquire(new()).release()

    def die(self: DictStorage, name: str, data: bytes) -> None:
        if name == NAME:
            raise SystemExit
        real(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(DictStorage, "put", die)
        patch.setattr(DictStorage, "delete", lambda self, name: None)
        with pytest.raises(SystemExit):
            acquire(storage)
    assert len(storage.objects) == 2 + 1  # the lease, the claim, and what the conditions were tried with
    started = clock.slept
    with acquire(storage):
        assert 2 * lease.LIFETIME < clock.slept - started < 2 * lease.LIFETIME + 5
    assert all(name.startswith("folder/.tmp-") for name in storage.objects), "which a sweep deletes"


# -- processes ---------------------------------------------------------------------------------------------------------


class FolderStorage(Storage):
    """A folder as if it were remote: creation is exclusive, replacement is not conditional, and there are no locks."""

    capabilities = Capabilities(
        atomic_replace=True,
        create_exclusive=True,
        replace_matching=False,
        lock=False,
        local_path=False,
        open_files_survive_deletion=True,
    )

    def __init__(self, url: str) -> None:
        from persistable.local import LocalStorage

        self.url = url
        self.local = LocalStorage(url.removeprefix("folder://"), durable=False)

    def get(self, name: str) -> bytes:
        return self.local.get(name)

    def put(self, name: str, data: bytes) -> None:
        self.local.put(name, data)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return self.local.put_if_absent(name, data)

    def stat(self, name: str) -> Entry:
        return self.local.stat(name)

    def list(self, folder: str = "") -> Iterator[Entry]:
        return self.local.list(folder)

    def delete(self, name: str) -> None:
        self.local.delete(name)


def in_folder(path: Path) -> Storage:
    return FolderStorage(f"folder://{path}/objects")


def in_sqlite(path: Path) -> Storage:
    if not EXAMPLE.exists():
        pytest.skip("the examples are not part of what is installed")
    spec = importlib.util.spec_from_file_location("example_of_sqlite", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    storage: Storage = module.SqliteStorage(f"sqlite://{path}/objects.db", durable=False)
    return storage


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Fail if another process is inside; one that died inside is not there any more."""
    while True:
        try:
            with path.open("x") as file:
                file.write(str(os.getpid()))
            break
        except FileExistsError:
            other = int(path.read_text() or "0")
            assert not alive(other), f"{other} and {os.getpid()} have it at once"
            path.unlink()
    yield
    path.unlink()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("make", [in_folder, in_sqlite])
def test_sixteen_processes_never_have_it_at_once(
    make: Callable[[Path], Storage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one of them gets it, one after the other."""
    monkeypatch.setattr(lease, "_LONGEST", 0.03)
    storage, done = make(tmp_path), tmp_path / "done"
    acquire(storage).release()

    def work() -> None:
        for _ in range(3):
            with acquire(storage), alone(tmp_path / "inside"), done.open("ab") as file:
                file.write(b".")

    outcomes = [outcome() for outcome in [in_child(work, 300.0) for _ in range(16)]]
    assert outcomes == [None] * 16
    assert done.read_bytes() == b"." * 48
    assert list(storage.list()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("make", [in_folder, in_sqlite])
def test_processes_that_die_with_it_are_succeeded_by_one(
    make: Callable[[Path], Storage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are waiting when an owner dies."""
    monkeypatch.setattr(lease, "_LONGEST", 0.03)
    storage, done = make(tmp_path), tmp_path / "done"
    acquire(storage).release()

    def work(number: int) -> None:
        with acquire(storage), alone(tmp_path / "inside"), done.open("ab", buffering=0) as file:
            file.write(b".")
            if number % 2:
                os._exit(1)

    outcomes = [outcome() for outcome in [in_child(lambda n=n: work(n), 300.0) for n in range(16)]]
    assert [(outcome or "").splitlines()[-1:] for outcome in outcomes] == [[], ["the child died"]] * 8
    assert done.read_bytes() == b"." * 16
    acquire(storage, timeout=60.0).release()
    assert list(storage.list()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.usefixtures("beating")
def test_a_forked_child_neither_keeps_nor_releases_it(tmp_path: Path) -> None:
    """The lease is its parent's, also after the child has ended or dropped what it inherited."""
    storage = in_folder(tmp_path)
    lock = acquire(storage)
    held = [lock]

    def child() -> None:
        assert not lock.exclusive
        held[0].release()
        held.clear()
        gc.collect()
        assert said(storage)["process"] == os.getppid()
        assert not [thread for thread in threading.enumerate() if thread.name == "persistable-lease"]
        with pytest.raises(NotFree):
            acquire(storage, timeout=0)

    assert in_child(child, 60.0)() is None
    assert lock.exclusive
    beat = said(storage)["beat"]
    eventually(lambda: said(storage)["beat"] > beat)
    lock.release()
    with pytest.raises(FileNotFoundError):
        storage.get(NAME)


def test_whether_a_lease_beats_is_told_by_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who sweeps leaves a lease alone that is kept."""
    storage = new()
    assert not lease.beats(storage, "folder", KEY)
    with acquire(storage):
        assert lease.beats(storage, "folder", KEY)
        monkeypatch.setattr(lease, "LIFETIME", -1.0)
        assert not lease.beats(storage, "folder", KEY)
        monkeypatch.undo()
    put(storage, **(ELSEWHERE | {"place": here(), "process": dead_process()}))
    assert not lease.beats(storage, "folder", KEY)


def test_errors_of_the_storage_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot take a lease because the place fails is told that, and no other story."""
    storage = new()
    acquire(storage).release()

    def fail(self: DictStorage, name: str, data: bytes) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(DictStorage, "put_if_absent", fail)
    with pytest.raises(OSError, match="Input/output"):
        acquire(storage)
