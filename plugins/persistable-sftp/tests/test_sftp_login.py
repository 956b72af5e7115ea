"""Who is let in, and what is said to those who are not; hosts that are unknown, changed, silent or not there."""

import os
import socket
import subprocess
import time

import asyncssh
import pytest
from persistable_sftp import HostKeyError, SftpStorage
from servers import free_port

from persistable.exceptions import (
    NoSuchPlaceError,
    StorageConnectionError,
    StorageCredentialsError,
    StorageError,
)

SECRET = "correct horse battery"


def failure(storage):
    with pytest.raises(StorageError) as raised:
        storage.get("folder/name")
    error = raised.value
    assert error.operation == "get"
    assert error.url == storage.locate("folder/name")
    assert error.url in str(error)
    assert not isinstance(error, FileNotFoundError)
    return error


def keygen(path, *arguments):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-f", str(path), *arguments], check=True)
    return path


def test_everything_comes_from_the_ssh_config(server, folder, nobody_at_home):
    """An alias with host, port, user, key and known hosts is enough; nothing is given by options."""
    server.configure(nobody_at_home)
    storage = SftpStorage(f"sftp://hub.example.org{folder}")
    storage.put("a", b"1")
    assert (folder / "a").read_bytes() == b"1"


def test_jump_host_of_the_ssh_config(server, folder, nobody_at_home):
    """ProxyJump goes through the other host: here the same one, twice."""
    server.configure(nobody_at_home)
    config = nobody_at_home / ".ssh" / "config"
    config.write_text(
        config.read_text() + config.read_text().replace("hub.", "inner.") + "  ProxyJump hub.example.org\n"
    )
    before = server.log.read_text().count("Accepted publickey")
    storage = SftpStorage(f"sftp://inner.example.org{folder}")
    storage.put("a", b"1")
    assert storage.get("a") == b"1"
    assert server.log.read_text().count("Accepted publickey") == before + 2


def test_ssh_agent(server, folder, nobody_at_home, monkeypatch):
    """A key that only the agent has."""
    server.configure(nobody_at_home)
    config = nobody_at_home / ".ssh" / "config"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "IdentityFile" not in line))
    path = str(nobody_at_home / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if os.path.exists(path):
                break
            time.sleep(0.05)
        subprocess.run(["ssh-add", "-q", str(server.key)], env=os.environ | {"SSH_AUTH_SOCK": path}, check=True)
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        storage = SftpStorage(f"sftp://hub.example.org{folder}")
        storage.put("a", b"1")
        assert storage.get("a") == b"1"
    finally:
        agent.terminate()
        agent.wait()


def test_unknown_host_says_how_to_make_it_known(server, folder):
    """By default nobody is trusted, and nothing is sent."""
    storage = SftpStorage(server.url(folder), client_keys=[str(server.key)])
    error = failure(storage)
    assert isinstance(error, HostKeyError)
    assert isinstance(error, StorageCredentialsError)
    key = asyncssh.read_public_key(server.folder / "host_key.pub")
    for said in (
        key.get_fingerprint(),
        f"ssh-keyscan -p {server.port} 127.0.0.1 >> ~/.ssh/known_hosts",
        "none is known",
    ):
        assert said in str(error)
    assert not folder.exists()


def test_the_repair_for_an_unknown_host_repairs(server, folder, nobody_at_home):
    storage = SftpStorage(server.url(folder), client_keys=[str(server.key)])
    command = str(failure(storage)).partition("owner says: ")[2].partition(";")[0]
    (nobody_at_home / ".ssh").mkdir()
    subprocess.run(command, shell=True, check=True, stderr=subprocess.DEVNULL)
    storage.put("a", b"1")
    assert storage.get("a") == b"1"


def test_no_check_of_hosts_has_to_be_asked_for(server, folder):
    storage = SftpStorage(server.url(folder), client_keys=[str(server.key)], known_hosts=None)
    storage.put("a", b"1")
    assert storage.get("a") == b"1"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_changed_host_key(server, folder, tmp_path, kind):
    """Another key of that host is known, of the same kind or another."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(tmp_path / "key")], check=True)
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'key.pub').read_text()}")
    error = failure(SftpStorage(server.url(folder), client_keys=[str(server.key)], known_hosts=str(known)))
    assert isinstance(error, HostKeyError)
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}'" in str(error)
    assert not folder.exists()


def test_known_hosts_that_are_not_there(server, folder, tmp_path):
    error = failure(SftpStorage(server.url(folder), **server.options | {"known_hosts": str(tmp_path / "none")}))
    assert isinstance(error, StorageCredentialsError)
    assert str(tmp_path / "none") in str(error)


@pytest.mark.parametrize("content", [b"127.0.0.1 ssh-ed25519 \xff\xfe\n", b"nothing-but-a-name\n"])
@pytest.mark.parametrize("where", ["option", "home"])
def test_known_hosts_that_are_something_else(server, folder, tmp_path, nobody_at_home, where, content):
    """The file is named, and what to do about it."""
    path = nobody_at_home / ".ssh" / "known_hosts" if where == "home" else tmp_path / "known"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    options = {"client_keys": [str(server.key)]} | ({"known_hosts": str(path)} if where == "option" else {})
    error = failure(SftpStorage(server.url(folder), **options))
    assert isinstance(error, StorageCredentialsError)
    assert f"{path} cannot be read" in str(error)
    assert "Mend it, or name another file: storage_options={'known_hosts': …}" in str(error)


def test_ssh_configuration_that_is_something_else(server, folder, nobody_at_home):
    path = nobody_at_home / ".ssh" / "config"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"Host \xff\xfe\n")
    error = failure(SftpStorage(server.url(folder), client_keys=[str(server.key)]))
    assert isinstance(error, StorageCredentialsError)
    assert f"{path} cannot be read" in str(error)
    assert "storage_options={'config': …}" in str(error)


def test_key_that_is_not_accepted(server, folder, tmp_path):
    error = failure(
        SftpStorage(server.url(folder), **server.options | {"client_keys": [str(keygen(tmp_path / "k", "-N", ""))]})
    )
    assert type(error) is StorageCredentialsError


def test_wrong_password_is_not_repeated(server, folder, caplog):
    storage = SftpStorage(server.url(folder), **server.options | {"client_keys": None, "password": SECRET})
    caplog.set_level("DEBUG")
    error = failure(storage)
    assert type(error) is StorageCredentialsError
    assert SECRET not in str(error) + repr(vars(error)) + caplog.text + repr(storage)


@pytest.mark.parametrize("passphrase", [None, "wrong " + SECRET])
def test_key_that_cannot_be_opened(server, folder, tmp_path, passphrase):
    """Its passphrase is missing, or another."""
    path = keygen(tmp_path / "key", "-N", SECRET)
    options = server.options | {"client_keys": [str(path)], "passphrase": passphrase}
    error = failure(SftpStorage(server.url(folder), **options))
    assert type(error) is StorageCredentialsError
    assert SECRET not in str(error)


def test_key_file_that_is_not_there(server, folder, tmp_path):
    error = failure(SftpStorage(server.url(folder), **server.options | {"client_keys": [str(tmp_path / "none")]}))
    assert type(error) is StorageCredentialsError
    assert str(tmp_path / "none") in str(error)


def test_ssh_config_that_cannot_be_read(server, folder, nobody_at_home):
    server.configure(nobody_at_home, more="  Port many\n")
    error = failure(SftpStorage(f"sftp://hub.example.org{folder}"))
    assert "ssh configuration" in str(error)


def test_option_that_there_is_not(server, folder):
    with pytest.raises(TypeError, match=r"storage_options are those of asyncssh\.connect.*pasword"):
        SftpStorage(server.url(folder), **server.options, pasword="x").get("a")


def test_nobody_listens(server, folder):
    error = failure(SftpStorage(f"sftp://127.0.0.1:{free_port()}{folder}", **server.options))
    assert type(error) is StorageConnectionError


def test_host_that_there_is_not(server, folder):
    error = failure(SftpStorage(f"sftp://no-such-host.invalid{folder}", **server.options))
    assert type(error) is NoSuchPlaceError


def test_host_that_says_nothing(server, folder):
    """It is given up after the time of ``login_timeout`` (by default 20 s), and not tried again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sftp://127.0.0.1:{silent.getsockname()[1]}{folder}"
        error = failure(SftpStorage(url, **server.options, login_timeout=3.5))
    assert type(error) is StorageConnectionError


def test_server_that_is_no_ssh(server, folder):
    """Whatever answers, it is a failed connection."""
    import threading

    def answer():
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        error = failure(SftpStorage(f"sftp://127.0.0.1:{listening.getsockname()[1]}{folder}", **server.options))
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert type(error) is StorageConnectionError
