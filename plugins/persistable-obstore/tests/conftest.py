"""Servers for the tests of this plugin, one of each per session, and an environment without anybody's credentials."""

import os
from collections.abc import Iterator

import pytest
from servers import azurite as azurite_server
from servers import moto as moto_server
from servers.azurite import Azurite
from servers.moto import Moto


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """A running server that speaks S3."""
    with moto_server.serving(tmp_path_factory.mktemp("moto") / "log") as server:
        yield server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A running server that speaks Azure Blob Storage."""
    with azurite_server.serving(tmp_path_factory.mktemp("azurite") / "log") as server:
        yield server


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leave no variable and no file in which a client would look for credentials, endpoints or proxies."""

    for name in [*os.environ]:
        if name.upper().startswith(("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR")) or name.lower().endswith(
            "_proxy"
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
