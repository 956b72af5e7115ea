"""Connections that break: in the middle of a transfer, between two calls, for once and for good."""

import hashlib
import os
import subprocess
import sys
import threading

import pytest
from persistable_sftp import SftpStorage
from servers import proxy

from persistable.exceptions import StorageConnectionError

LARGE = 6_000_000


@pytest.fixture
def between(server):
    with proxy.before(server.port) as found:
        yield found


@pytest.fixture
def storage(server, between, folder):
    url = f"sftp://{server.user}@127.0.0.1:{between.port}{folder}"
    return SftpStorage(url, **server.options | {"known_hosts": None})


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(LARGE))
    return path


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("sent", [10_000, LARGE // 2, LARGE - 1])
def test_upload_that_is_cut_once_goes_through(storage, between, folder, large, sent):
    """A second connection does it, and what the first one staged is gone."""
    storage.put("a", b"old")
    between.left, between.mends = sent, True
    storage.put_file("a", str(large))
    assert hashlib.sha256((folder / "a").read_bytes()).digest() == hashlib.sha256(large.read_bytes()).digest()
    assert files(folder) == ["a"]


@pytest.mark.parametrize("sent", [10_000, LARGE // 2])
def test_upload_that_is_cut_for_good_leaves_the_old_object(storage, between, folder, large, sent):
    """It is a StorageConnectionError; what is staged goes as soon as there is a connection again."""
    storage.put("a", b"old")
    between.left = sent
    with pytest.raises(StorageConnectionError) as raised:
        storage.put_file("a", str(large))
    assert raised.value.operation == "put_file"
    assert raised.value.url == storage.locate("a")
    assert (folder / "a").read_bytes() == b"old"
    between.left = None
    assert storage.get("a") == b"old"
    assert files(folder) == ["a"]


def test_connection_that_goes_silent_is_given_up(server, between, folder):
    """Nobody closes it, and nothing comes back any more: the client asks for signs of life, by default for a minute."""
    options = {"known_hosts": None, "keepalive_interval": 0.2, "login_timeout": 1, "connect_timeout": 1}
    url = f"sftp://{server.user}@127.0.0.1:{between.port}{folder}"
    storage = SftpStorage(url, **server.options | options)
    storage.put("a", b"old")
    between.stalls = True
    for call in (lambda: storage.get("a"), lambda: storage.put("a", b"new")):
        with pytest.raises(StorageConnectionError):
            call()
    between.stalls = False
    assert storage.get("a") == b"old"


def test_patience_has_limits_unless_the_user_sets_others():
    """What asyncssh would wait for without an end has one."""
    found = SftpStorage("sftp://host/x", login_timeout=3)._session._options
    assert {name: found[name] for name in ("connect_timeout", "login_timeout")} == {
        "connect_timeout": 10,
        "login_timeout": 3,
    }
    assert (found["keepalive_interval"], found["keepalive_count_max"]) == (15, 3)


@pytest.mark.parametrize("given", [100, LARGE // 2, LARGE - 1])
def test_download_that_is_cut_once_goes_through(storage, between, tmp_path, large, given):
    storage.put_file("a", str(large))
    between.given, between.mends = given, True
    storage.fetch("a", str(tmp_path / "fetched"), LARGE)
    assert (tmp_path / "fetched").read_bytes() == large.read_bytes()
    between.given, between.mends = given, True
    assert storage.get("a") == large.read_bytes()


def test_download_that_is_cut_for_good_is_no_missing_object(storage, between, tmp_path, large):
    storage.put_file("a", str(large))
    between.given = LARGE // 2
    for call in (lambda: storage.fetch("a", str(tmp_path / "fetched"), LARGE), lambda: storage.get("a")):
        with pytest.raises(StorageConnectionError):
            call()


def test_connection_that_was_lost_between_two_calls(storage, between):
    """Nobody notices: all calls connect again, those that cannot be repeated, too."""
    calls = [
        lambda: storage.put("a", b"1"),
        lambda: storage.get("a"),
        lambda: storage.stat("a"),
        lambda: list(storage.list()),
        lambda: storage.put_if_absent("a", b"2"),
        lambda: storage.put_if_absent("b", b"2"),
        lambda: storage.delete("a"),
    ]
    expected = [call() for call in calls][3:]
    storage.delete("b")
    storage.put("a", b"1")
    for number, call in enumerate(calls):
        between.left, between.mends = 0, True
        result = call()
        if number >= 4:
            assert result == expected[number - 3]


def test_creation_is_not_repeated_when_nobody_knows_whether_it_was_done(storage, between, folder, monkeypatch):
    """The answer to the decisive request is lost: an error, not "somebody else made it"."""
    from persistable_sftp import files as operations

    async def link(client, staged, path):
        await client.link(staged, path)
        raise ConnectionResetError("the answer was lost")

    storage.put("x", b"")
    monkeypatch.setattr(operations, "link", link)
    with pytest.raises(StorageConnectionError):
        storage.put_if_absent("a", b"1")
    monkeypatch.undo()
    assert storage.get("a") == b"1"
    assert files(folder) == ["a", "x"]


def test_listing_goes_on_after_a_lost_connection(storage, between, folder):
    """Each object once."""
    (folder / "many").mkdir(parents=True)
    names = {f"many/{number:04}" for number in range(600)}
    for name in names:
        (folder / name).touch()
    listing = storage.list()
    found = [next(listing).name for _ in range(10)]
    between.left, between.mends = 0, True
    found += [entry.name for entry in listing]
    assert len(found) == 600
    assert set(found) == names


def test_threads_share_the_connection_and_its_loss(storage, between, large):
    """8 threads work while it is cut: all of them get through."""
    from concurrent.futures import ThreadPoolExecutor

    content = large.read_bytes()[:1_000_000]
    between.left, between.mends = 3_000_000, True
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: storage.put(f"a/{number}", content), range(8)))
    assert all(storage.get(f"a/{number}") == content for number in range(8))
    assert len(list(storage.list())) == 8


def test_collected_storage_closes_its_connection(server, opened):
    """No socket and no warning is left behind."""
    import gc
    import time

    storage = opened()
    storage.put("a", b"1")
    known = storage._session._connection
    assert not known.is_closed()
    del storage
    gc.collect()
    deadline = time.monotonic() + 10
    while not known.is_closed() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert known.is_closed()


def test_process_ends_without_a_word(server, folder):
    """Nothing of unclosed connections at exit, with a listing left half-way and two storages open."""
    script = (
        "from persistable_sftp import SftpStorage\n"
        f"storage = SftpStorage({server.url(folder)!r}, **{server.options!r})\n"
        "for number in range(3): storage.put(f'a/{number}', b'x')\n"
        "left = storage.list(); next(left)\n"
        "other = SftpStorage(storage.url, **{**" + repr(server.options) + "})\n"
        "print(other.get('a/0'))\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("b'x'\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_leaves_its_parents_connection_alone(server, folder):
    """It has one of its own, ends quietly, and the parent goes on with the one it had."""
    script = (
        "import os\n"
        "from persistable_sftp import SftpStorage\n"
        f"storage = SftpStorage({server.url(folder)!r}, **{server.options!r})\n"
        "storage.put('a', b'1')\n"
        "connection, listing = storage._session._connection, storage.list()\n"
        "if (child := os.fork()) == 0:\n"
        "    assert storage.get('a') == b'1'\n"
        "    assert storage._session._connection is not connection\n"
        "    del listing\n"
        "    raise SystemExit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert [entry.name for entry in listing] == ['a']\n"
        "assert storage._session._connection is connection and storage.get('a') == b'1'\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_no_thread_before_the_first_call(server, folder):
    before = threading.active_count()
    SftpStorage(server.url(folder), **server.options)
    assert threading.active_count() == before
