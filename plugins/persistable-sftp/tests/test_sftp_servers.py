"""What other servers, file systems and administrators do not have or allow."""

import os
import subprocess

import pytest
from persistable_sftp import SftpStorage
from servers import sshd

from persistable.conditions import conditions_of
from persistable.exceptions import StorageConnectionError, StorageFullError, StoragePermissionError


@pytest.fixture
def serve(tmp_path_factory):
    """Return a function that runs a server of another kind, and opens a storage on a new folder of it."""
    import contextlib

    if sshd.missing():
        pytest.skip(sshd.missing())
    with contextlib.ExitStack() as servers:

        def run(folder, **how):
            server = servers.enter_context(sshd.serving(tmp_path_factory.mktemp("sshd"), **how))
            return lambda: SftpStorage(server.url(folder), **server.options)

        yield run


def names(storage):
    return sorted(entry.name for entry in storage.list())


def test_openssh_promises(opened):
    storage = opened()
    assert not storage.capabilities.atomic_replace, "nothing is promised of a server that nobody has asked"
    storage.put("a", b"1")
    assert storage.capabilities._asdict() == {
        "atomic_replace": True,
        "create_exclusive": True,
        "replace_matching": False,
        "lock": False,
        "local_path": False,
        "open_files_survive_deletion": True,
    }
    assert conditions_of(storage, "folder") == (True, False)


def test_server_without_posix_rename_says_so_and_replaces_all_the_same(serve, folder):
    storage = serve(folder, sftp="internal-sftp -P posix-rename,fsync")()
    for content in (b"1", b"22", b"3"):
        storage.put("a/b", content)
        assert storage.get("a/b") == content
    assert not storage.capabilities.atomic_replace
    assert names(storage) == ["a/b"]


def test_server_without_links_creates_exclusively(serve, folder):
    """One of many creates, and what is there stays."""
    from concurrent.futures import ThreadPoolExecutor

    opener = serve(folder, sftp="internal-sftp -P hardlink", lines=["MaxStartups 100"])
    storage = opener()
    assert storage.put_if_absent("a/b", b"1")
    assert not storage.put_if_absent("a/b", b"2")
    assert storage.get("a/b") == b"1"
    for race in range(5):
        with ThreadPoolExecutor(8) as pool:
            won = list(
                pool.map(lambda number, race=race: storage.put_if_absent(f"race/{race}", b"%d" % number), range(8))
            )
        assert won.count(True) == 1
        assert storage.get(f"race/{race}") == b"%d" % won.index(True)
    assert names(storage) == ["a/b", *(f"race/{race}" for race in range(5))]
    assert conditions_of(storage, "folder") == (True, False)


def test_server_without_sftp(serve, folder):
    storage = serve(folder, sftp="/bin/false")()
    with pytest.raises(StorageConnectionError, match="SFTP"):
        storage.get("a")


def test_read_only_server(serve, folder):
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    storage = serve(folder, sftp="internal-sftp -R")()
    assert storage.get("a") == b"1"
    for call in (lambda: storage.put("a", b"2"), lambda: storage.prepare("x"), lambda: storage.delete("a")):
        with pytest.raises(StoragePermissionError):
            call()
    with pytest.raises(StoragePermissionError):
        storage.put_if_absent("b", b"2")
    assert names(storage) == ["a"]


@pytest.mark.parametrize(
    ("forbidden", "call"),
    [
        ("mkdir", lambda storage: storage.put("new/b", b"1")),
        ("mkdir", lambda storage: storage.put_if_absent("new/b", b"1")),
        ("read", lambda storage: storage.get("a")),
        ("lstat", lambda storage: storage.stat("a")),
        ("opendir", lambda storage: list(storage.list())),
        ("remove", lambda storage: storage.delete("a")),
        ("write", lambda storage: storage.put("a", b"2")),
        ("posix-rename,rename", lambda storage: storage.put("b", b"2")),
    ],
    ids=["put", "put_if_absent", "get", "stat", "list", "delete", "write", "rename"],
)
def test_what_is_forbidden_is_not_taken_for_missing(serve, folder, forbidden, call):
    """A permission that is not given is a StoragePermissionError; the old object stays, and nothing is left."""
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    with pytest.raises(StoragePermissionError):
        call(serve(folder, sftp=f"internal-sftp -P {forbidden}")())
    assert (folder / "a").read_bytes() == b"1"
    assert [path.name for path in folder.rglob("*")] == ["a"]


def _can_mount():
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not _can_mount(), reason="needs the right to mount file systems")
def test_full_disk_is_told_from_other_failures(serve, folder, tmp_path):
    """The server only says "Failure"; its free space says why. The old object stays, and nothing is left."""
    folder.mkdir()
    storage = serve(folder, before=f"mount -t tmpfs -o size=8m none {folder}")()
    storage.put("a", b"old")
    large = tmp_path / "large"
    large.write_bytes(os.urandom(20_000_000))
    for name in ("a", "b"):
        with pytest.raises(StorageFullError) as raised:
            storage.put_file(name, str(large))
        assert raised.value.url == storage.locate(name)
        assert raised.value.operation == "put_file"
        with pytest.raises(StorageFullError):
            storage.put_if_absent("c", large.read_bytes())
        assert names(storage) == ["a"]
        assert storage.get("a") == b"old"
    storage.put("a", b"new")
    assert storage.get("a") == b"new"


@pytest.mark.skipif(not _can_mount(), reason="needs the right to mount file systems")
def test_file_system_that_is_mounted_read_only(serve, folder):
    folder.mkdir()
    storage = serve(folder, before=f"mount -t tmpfs -o ro none {folder}")()
    for call in (
        lambda: storage.put("a/b", b"1"),
        lambda: storage.put_if_absent("a", b"1"),
        lambda: storage.prepare("x"),
    ):
        with pytest.raises(StoragePermissionError):
            call()


@pytest.mark.skipif(not _can_mount(), reason="needs the right to mount file systems")
def test_server_of_another_file_system_is_not_seen_here(serve, folder):
    """The mounts of these tests are the server's own."""
    folder.mkdir()
    serve(folder, before=f"mount -t tmpfs -o size=1m none {folder}")().put("a", b"1")
    assert list(folder.iterdir()) == []
