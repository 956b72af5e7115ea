"""WebDAV by wsgidav.

python -m pip install wsgidav cheroot
wsgidav --host 127.0.0.1 --port 8080 --root FOLDER --auth anonymous
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from servers import free_port, running

INSTALL = "python -m pip install wsgidav cheroot"


class WebdavServer(NamedTuple):
    """A running server.

    Attributes:
        endpoint: its URL.
        root: the folder that it serves.
        user, password: the one account that may come in.
    """

    endpoint: str
    root: Path
    user: str
    password: str


@pytest.fixture(scope="session")
def webdav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebdavServer]:
    """Run a server for the session; one account may read and write everything."""
    if importlib.util.find_spec("wsgidav") is None or importlib.util.find_spec("cheroot") is None:
        pytest.skip(f"no wsgidav: {INSTALL}")
    folder = tmp_path_factory.mktemp("webdav")
    root, port = folder / "root", free_port()
    root.mkdir()
    account = {"dav-user": {"password": "dav-password-123"}}
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "provider_mapping": {"/": str(root)},
        "simple_dc": {"user_mapping": {"*": account}},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "verbose": 1,
        "logging": {"enable": False},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "wsgidav.server.server_cli", "--config", str(folder / "settings.json")]
    with running(command, port, folder / "log"):
        yield WebdavServer(f"http://127.0.0.1:{port}", root, "dav-user", "dav-password-123")
