"""azurite, Microsoft's emulator of Azure Blob Storage, on loopback.

It is an npm package: ``npm install --prefix .servers azurite@3`` in the root of the tree, or anywhere on the PATH.
"""

import base64
import contextlib
import hashlib
import hmac
import shutil
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from servers import free_port, running

INSTALL = "npm install --prefix .servers azurite@3"
FOLDER = Path(__file__).parent.parent.parent / ".servers" / "node_modules" / ".bin"
# of every azurite: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2023-11-03"


class Azurite:
    """A running server.

    Attributes:
        endpoint: its URL, with the account.
    """

    def __init__(self, port: int) -> None:
        self.port, self.endpoint = port, f"http://127.0.0.1:{port}/{ACCOUNT}"
        self._containers = 0

    @property
    def options(self) -> dict[str, Any]:
        """``storage_options`` for it."""
        return {"account_name": ACCOUNT, "account_key": KEY, "endpoint": self.endpoint}

    def container(self) -> str:
        """Make another container and return its name; obstore cannot, and the SDK is not needed for one request."""
        self._containers += 1
        name = f"container-{self._containers}"
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        resource = f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        signed = hmac.digest(base64.b64decode(KEY), ("PUT" + "\n" * 12 + resource).encode(), hashlib.sha256)
        request = urllib.request.Request(
            f"{self.endpoint}/{name}?restype=container",
            method="PUT",
            headers={
                "x-ms-date": date,
                "x-ms-version": _VERSION,
                "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}",
                "Content-Length": "0",
            },
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30):
            return name


def missing() -> str | None:
    """Return why there can be no server here, or None."""
    if _program() is None or shutil.which("node") is None:
        return f"azurite, a server that speaks Azure Blob Storage, is not installed: {INSTALL}"
    return None


def _program() -> str | None:
    return shutil.which("azurite-blob", path=str(FOLDER)) or shutil.which("azurite-blob")


@contextlib.contextmanager
def serving(log: Path) -> Iterator[Azurite]:
    """Run a server until the block is left; skip the test where it is not installed."""
    program, why = _program(), missing()
    if program is None or why is not None:
        pytest.skip(why or "")
    port = free_port()
    command = [program, "--silent", "--disableTelemetry", "--inMemoryPersistence", "--skipApiVersionCheck"]
    with running([*command, "--blobHost", "127.0.0.1", "--blobPort", str(port)], port, log):
        yield Azurite(port)
