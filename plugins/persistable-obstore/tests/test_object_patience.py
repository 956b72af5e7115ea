"""How long a service may take to answer: not long, unless a payload is on its way."""

import http.server
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from persistable_obstore import ObjectStorage
from servers.azurite import ACCOUNT
from servers.azurite import KEY as ACCOUNT_KEY
from servers.moto import KEY, SECRET
from servers.silent import silent

from persistable.exceptions import StorageConnectionError

MIB = 1 << 20
BRIEFLY: dict[str, Any] = {
    "client_options": {"read_timeout": timedelta(seconds=0.2), "timeout": timedelta(seconds=0.3)},
    "retry_config": {"max_retries": 0},
}


def places(port: int) -> dict[str, dict[str, Any]]:
    """Return the options of each service behind a port, by URL."""
    endpoint = f"http://127.0.0.1:{port}"
    return {
        "s3://bucket/x": {"endpoint": endpoint, "access_key_id": KEY, "secret_access_key": SECRET},
        "az://container/x": {
            "endpoint": f"{endpoint}/{ACCOUNT}",
            "account_name": ACCOUNT,
            "account_key": ACCOUNT_KEY,
        },
        "gs://bucket/x": {"base_url": endpoint, "bearer_token": "token"},
    }


@pytest.mark.parametrize("url", list(places(0)))
def test_server_that_never_answers_is_an_error(url: str, tmp_path: Path) -> None:
    """It takes the connection and the request, and nothing comes back: no call waits for ever, whatever it carries."""
    (tmp_path / "file").write_bytes(b"x" * 2 * MIB)
    with silent() as port:
        storage = ObjectStorage(url, part_size=5 * MIB, **BRIEFLY, **places(port)[url])
        for call in (
            lambda: storage.get("folder/name"),
            lambda: storage.stat("folder/name"),
            lambda: list(storage.list("folder")),
            lambda: storage.fetch("folder/name", str(tmp_path / "fetched"), 10),
            lambda: storage.put("folder/name", b"x"),
            lambda: storage.put_if_absent("folder/name", b"x"),
            lambda: storage.put_file("folder/name", str(tmp_path / "file")),
            lambda: storage.delete("folder/name"),
        ):
            with pytest.raises(StorageConnectionError, match=f"{url}.*no answer in time"):
                call()


@pytest.mark.parametrize("url", list(places(0)))
def test_patience_has_limits_unless_the_user_sets_others(url: str) -> None:
    """A silent server is given up after two attempts of 20 s; what carries a payload has three minutes to be sent."""
    identity = places(9)[url]
    storage = ObjectStorage(url, **identity)
    found, uploads = storage._connected(), storage._connected(uploads=True)
    assert found.client_options["connect_timeout"] == uploads.client_options["connect_timeout"] == "10s"
    assert found.client_options["read_timeout"] == "20s"
    assert found.retry_config["retry_timeout"] == uploads.retry_config["retry_timeout"] == timedelta(seconds=30)
    assert "read_timeout" not in uploads.client_options
    assert uploads.client_options["timeout"] == "3m"
    given = {"client_options": {"timeout": "7s", "connect_timeout": "1s"}, "retry_config": {"max_retries": 0}}
    storage = ObjectStorage(url, **given, **identity)
    for client in (storage._connected(), storage._connected(uploads=True)):
        assert (client.client_options["timeout"], client.client_options["connect_timeout"]) == ("7s", "1s")
        assert client.retry_config["max_retries"] == 0


class _Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(1)
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(206)
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Mon, 05 Jan 2026 12:00:00 GMT")
        self.send_header("Content-Length", str(5 * MIB))
        self.send_header("Content-Range", f"bytes 0-{5 * MIB - 1}/{5 * MIB}")
        self.end_headers()
        for _ in range(5):
            self.wfile.write(b"x" * MIB)
            time.sleep(0.3)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_slow_line_is_not_taken_for_silence(slow: int, tmp_path: Path) -> None:
    """An upload takes longer than an answer may, a download goes on as long as something comes."""
    (tmp_path / "file").write_bytes(b"x" * 5 * MIB)
    options = {"client_options": {"read_timeout": timedelta(seconds=0.9)}, "retry_config": {"max_retries": 0}}
    storage = ObjectStorage("s3://bucket", **options, **places(slow)["s3://bucket/x"])
    storage.put_file("name", str(tmp_path / "file"))
    storage.put("name", b"x" * 2 * MIB)
    storage.fetch("name", str(tmp_path / "fetched"), 5 * MIB)
    assert (tmp_path / "fetched").read_bytes() == (tmp_path / "file").read_bytes()
    with pytest.raises(StorageConnectionError):
        storage.put("name", b"x")
