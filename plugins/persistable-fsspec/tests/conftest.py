"""Servers for the tests, one of each per session, and an environment without anybody's credentials and proxies."""

from __future__ import annotations

import pytest
from servers import moto as moto_server
from servers.gcs import gcs_server
from servers.webdav import webdav_server

__all__ = ["gcs_server", "moto", "nobody", "webdav_server"]


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """A running server that speaks S3."""
    with moto_server.serving(tmp_path_factory.mktemp("moto") / "log") as server:
        yield server


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path_factory):
    """Leave no variable and no file in which a client would look for credentials or proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    # read when gcsfs is imported, which a test without a server may be the first to do; see servers.gcs
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    nothing = tmp_path_factory.mktemp("nothing")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(nothing / "missing"))
