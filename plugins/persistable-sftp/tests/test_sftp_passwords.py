"""Passwords, and an SFTP server that is not OpenSSH's: asyncssh's own, which needs no account of the system."""

import asyncio
import threading
from typing import ClassVar

import asyncssh
import pytest
from persistable_sftp import SftpStorage

from persistable.conditions import conditions_of
from persistable.exceptions import StorageCredentialsError

SECRET = "correct horse: battery"


class _Door(asyncssh.SSHServer):
    opened: ClassVar[list] = []

    def connection_made(self, conn):
        self.opened.append(conn)

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == ("me@work", SECRET)


@pytest.fixture(scope="module")
def port():
    started, box = threading.Event(), {}

    async def serve():
        key = asyncssh.generate_private_key("ssh-ed25519")
        listener = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=_Door, server_host_keys=[key], sftp_factory=True, reuse_address=True
        )
        box.update(port=listener.get_port(), loop=asyncio.get_running_loop(), stop=asyncio.Event())
        started.set()
        await box["stop"].wait()
        listener.close()
        for conn in _Door.opened:  # a client may not have gone yet, and its socket would outlive the loop
            conn.abort()
        await asyncio.sleep(0.1)  # for the sockets to be closed

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(30)
    yield box["port"]
    box["loop"].call_soon_threadsafe(box["stop"].set)
    thread.join(10)


OPTIONS = {"known_hosts": None, "client_keys": None, "agent_path": None, "config": None}


def test_password_as_an_option(port, folder):
    url = f"sftp://me%40work@127.0.0.1:{port}{folder}"
    storage = SftpStorage(url, password=SECRET, **OPTIONS)
    storage.put("a/b", b"1")
    storage.put("a/b", b"2")
    assert storage.get("a/b") == b"2"
    assert storage.capabilities.atomic_replace
    assert not storage.capabilities.open_files_survive_deletion, "nobody knows where else it runs"
    assert conditions_of(storage, "folder") == (True, False)
    assert [entry.name for entry in storage.list()] == ["a/b"]
    with pytest.raises(FileNotFoundError):
        storage.get("a")


def test_password_in_the_url(port, folder):
    url = f"sftp://me%40work:{SECRET.replace(':', '%3A').replace(' ', '%20')}@127.0.0.1:{port}{folder}"
    storage = SftpStorage(url, **OPTIONS)
    storage.put("a", b"1")
    assert storage.get("a") == b"1"
    assert storage.url == f"sftp://me%40work@127.0.0.1:{port}{folder}"


def test_wrong_password(port, folder):
    storage = SftpStorage(f"sftp://me%40work@127.0.0.1:{port}{folder}", password=SECRET + "!", **OPTIONS)
    with pytest.raises(StorageCredentialsError) as raised:
        storage.put("a", b"1")
    assert SECRET not in str(raised.value)
