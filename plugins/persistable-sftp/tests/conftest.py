"""A server on loopback, and a folder on it for each test."""

import pytest
from persistable_sftp import SftpStorage
from servers import sshd


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    why = sshd.missing()
    if why:
        pytest.skip(why)
    with sshd.serving(tmp_path_factory.mktemp("sshd"), lines=["MaxStartups 100"]) as found:
        yield found


@pytest.fixture(autouse=True)
def nobody_at_home(monkeypatch, tmp_path_factory):
    """Nothing of the user's own ssh."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("place") / "store"


@pytest.fixture
def opened(server, folder):
    """Return a function that opens another storage on the test's folder."""
    return lambda **options: SftpStorage(server.url(folder), **(server.options | options))
