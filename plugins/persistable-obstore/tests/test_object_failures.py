"""What goes wrong at a service is said by an error of the right kind, which names URL and operation and no secret."""

import http.server
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from persistable_obstore import ObjectStorage
from servers import proxy
from servers.azurite import Azurite
from servers.moto import KEY, SECRET, Moto

from persistable.exceptions import (
    NoSuchPlaceError,
    StorageConnectionError,
    StorageCredentialsError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
)
from persistable.storage import Entry

MIB = 1 << 20
BRIEFLY: dict[str, Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=5)}


def calls(storage: ObjectStorage, path: Path) -> dict[str, Callable[[], object]]:
    """Return a call of every operation."""
    path.write_bytes(b"x" * 1000)
    return {
        "get": lambda: storage.get("folder/name"),
        "put": lambda: storage.put("folder/name", b"x"),
        "put_if_absent": lambda: storage.put_if_absent("folder/name", b"x"),
        "put_if_match": lambda: storage.put_if_match("folder/name", b"x", '"version"'),
        "put_file": lambda: storage.put_file("folder/name", str(path)),
        "fetch": lambda: storage.fetch("folder/name", str(path.with_name("fetched")), 10),
        "stat": lambda: storage.stat("folder/name"),
        "list": lambda: list(storage.list("folder")),
        "delete": lambda: storage.delete("folder/name"),
    }


def failures(storage: ObjectStorage, path: Path) -> dict[str, StorageError]:
    """Return what every operation raises; each has to raise a StorageError that tells what it ought to."""
    found = {}
    for operation, call in calls(storage, path).items():
        path.with_name("fetched").unlink(missing_ok=True)
        found[operation] = failure(storage, operation, call)
    return found


def failure(storage: ObjectStorage, operation: str, call: Callable[[], object]) -> StorageError:
    """Return what one operation raises."""
    with pytest.raises(StorageError) as caught:
        call()
    error = caught.value
    assert error.operation == operation
    assert error.url.startswith(storage.url)
    assert error.url in str(error)
    told = "".join(traceback.format_exception(error)) + repr(vars(error))
    assert not any(secret in told for secret in storage._secrets), told
    assert error.__context__ is None or error.__context__ is error.__cause__
    return error


def kinds(storage: ObjectStorage, path: Path) -> set[type]:
    return {type(error) for error in failures(storage, path).values()}


# -- real servers


def test_no_such_bucket(moto: Moto, tmp_path: Path) -> None:
    """A bucket that does not exist is no missing object, in any operation."""
    storage = ObjectStorage("s3://no-such-bucket/prefix", **moto.options)
    found = failures(storage, tmp_path / "file")
    assert {type(error) for error in found.values()} == {NoSuchPlaceError}
    assert "NoSuchBucket: The specified bucket does not exist" in str(found["put"])


def test_no_such_container(azurite: Azurite, tmp_path: Path) -> None:
    """A container that does not exist is no missing object, in any operation."""
    storage = ObjectStorage("az://no-such-container/prefix", **azurite.options)
    found = failures(storage, tmp_path / "file")
    assert {type(error) for error in found.values()} == {NoSuchPlaceError}


def test_wrong_key_of_an_account(azurite: Azurite, tmp_path: Path) -> None:
    """A key that is not the account's is a matter of credentials, and is not shown."""
    wrong = "d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmc="
    options = azurite.options | {"account_key": wrong}
    found = failures(ObjectStorage(f"az://{azurite.container()}", **options), tmp_path / "file")
    assert {type(error) for error in found.values()} <= {StorageCredentialsError, StoragePermissionError}
    assert type(found["put"]) is StorageCredentialsError


def test_no_such_host(tmp_path: Path) -> None:
    """A host whose name is not known does not exist; without a network nobody knows."""
    options = {"endpoint": "http://no-such-host.invalid", "access_key_id": KEY, "secret_access_key": SECRET}
    assert kinds(ObjectStorage("s3://bucket", retry_config=BRIEFLY, **options), tmp_path / "file") == {NoSuchPlaceError}


def test_nobody_listens(tmp_path: Path) -> None:
    """A connection that is refused is an error of the connection, after some tries."""
    options = {"endpoint": "http://127.0.0.1:9", "access_key_id": KEY, "secret_access_key": SECRET}
    assert kinds(ObjectStorage("s3://bucket", retry_config=BRIEFLY, **options), tmp_path / "file") == {
        StorageConnectionError
    }


def test_upload_that_is_cut_off_leaves_the_old_object(moto: Moto, tmp_path: Path) -> None:
    """A connection that is lost for good in the middle of a single request changes nothing."""
    bucket, path = moto.bucket(), tmp_path / "file"
    path.write_bytes(b"new" * MIB)
    with proxy.before(moto.port) as line:
        options = moto.options | {"endpoint": line.endpoint}
        storage = ObjectStorage(f"s3://{bucket}", retry_config=BRIEFLY, **options)
        storage.put("folder/name", b"old")
        line.left = MIB
        with pytest.raises(StorageConnectionError):
            storage.put_file("folder/name", str(path))
        line.left = None
        assert storage.get("folder/name") == b"old"
        assert moto.uploads(bucket) == []


def test_upload_in_parts_that_is_cut_off_is_swept(moto: Moto, tmp_path: Path) -> None:
    """Whoever cannot reach the server cannot end an upload there; ``uploads`` finds it later, and ``abort`` ends it."""
    bucket, path = moto.bucket(), tmp_path / "file"
    path.write_bytes(b"new!" * (6 * MIB))
    with proxy.before(moto.port) as line:
        options = moto.options | {"endpoint": line.endpoint}
        storage = ObjectStorage(f"s3://{bucket}/prefix", part_size=5 * MIB, retry_config=BRIEFLY, **options)
        storage.put("folder/name", b"old")
        line.left = 12 * MIB
        with pytest.raises(StorageConnectionError):
            storage.put_file("folder/name", str(path))
        line.left = None
        assert storage.get("folder/name") == b"old"
        moto.client.create_multipart_upload(Bucket=bucket, Key="elsewhere/folder/name")
        [upload] = storage.uploads()
        assert upload.name == "folder/name"
        storage.abort(upload)
        storage.abort(upload)
        assert moto.uploads(bucket) == ["elsewhere/folder/name"]
        assert storage.get("folder/name") == b"old"


@pytest.fixture(params=["one stream", "ranges"])
def download(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have downloads take either way, however fast they are."""
    monkeypatch.setattr("persistable_obstore.storage._FAST", 0 if request.param == "one stream" else 1 << 60)


@pytest.mark.usefixtures("download")
@pytest.mark.parametrize("size", [3 * MIB, 24 * MIB])
def test_line_that_is_cut_once_is_no_error(moto: Moto, tmp_path: Path, size: int) -> None:
    """What the client can try again is not told; both ways."""
    bucket, path, fetched = moto.bucket(), tmp_path / "file", tmp_path / "fetched"
    path.write_bytes(b"new!" * (size // 4))
    with proxy.before(moto.port) as line:
        storage = ObjectStorage(f"s3://{bucket}", part_size=5 * MIB, **moto.options | {"endpoint": line.endpoint})
        line.mends, line.left = True, size // 2
        storage.put_file("folder/name", str(path))
        assert line.left is None
        line.given = size // 2
        storage.fetch("folder/name", str(fetched), size)
        assert line.given is None
    assert fetched.read_bytes() == path.read_bytes()
    assert moto.uploads(bucket) == []


@pytest.mark.usefixtures("download")
def test_download_that_is_cut_off_is_an_error(moto: Moto, tmp_path: Path) -> None:
    """What was lost on the way is told, and not taken for a shorter object."""
    bucket = moto.bucket()
    with proxy.before(moto.port) as line:
        options = moto.options | {"endpoint": line.endpoint}
        storage = ObjectStorage(f"s3://{bucket}", part_size=MIB, retry_config=BRIEFLY, **options)
        storage.put("folder/name", b"x" * 6 * MIB)
        line.given = 3 * MIB
        with pytest.raises(StorageConnectionError):
            storage.fetch("folder/name", str(tmp_path / "fetched"), 6 * MIB)
        line.given = MIB // 2
        with pytest.raises(StorageConnectionError):
            storage.get("folder/name")


# -- answers that a server gives in its own time


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status: ClassVar[int] = 403
    code: ClassVar[str] = "AccessDenied"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"" if self.command == "HEAD" else self.body()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        key = f"<AWSAccessKeyId>{KEY}</AWSAccessKeyId><StringToSign>{SECRET}</StringToSign>"
        return f"<Error><Code>{self.code}</Code><Message>It is {KEY} who asks</Message>{key}</Error>".encode()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """Return a function that runs a server with one answer to everything, and returns its endpoint."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def run(status: int, code: str) -> str:
        handler = type("Answer", (_Answer,), {"status": status, "code": code})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", StoragePermissionError),
        (403, "AllAccessDisabled", StoragePermissionError),
        (403, "InvalidAccessKeyId", StorageCredentialsError),
        (403, "SignatureDoesNotMatch", StorageCredentialsError),
        (400, "ExpiredToken", StorageCredentialsError),
        (403, "RequestTimeTooSkewed", StorageCredentialsError),
        (401, "Unauthorized", StorageCredentialsError),
        (403, "QuotaExceeded", StorageFullError),
        (507, "InsufficientStorage", StorageFullError),
        (503, "SlowDown", StorageConnectionError),
        (500, "InternalError", StorageConnectionError),
        (404, "NoSuchBucket", NoSuchPlaceError),
        (400, "MalformedXML", StorageError),
    ],
)
def test_answers_of_a_service(
    answering: Callable[[int, str], str], tmp_path: Path, status: int, code: str, kind: type[StorageError]
) -> None:
    """The code of the service decides, also where HEAD gives none; only its one sentence is passed on, redacted."""
    storage = ObjectStorage(
        "s3://bucket/prefix",
        endpoint=answering(status, code),
        access_key_id=KEY,
        secret_access_key=SECRET,
        retry_config=BRIEFLY | {"max_retries": 0},
    )
    found = failures(storage, tmp_path / "file")
    upload = Entry("folder/name", 0, 0.0, "an upload")  # by another client
    found["uploads"] = failure(storage, "uploads", lambda: list(storage.uploads()))
    found["abort"] = failure(storage, "abort", lambda: storage.abort(upload))
    wrong = {operation: repr(error) for operation, error in found.items() if type(error) is not kind}
    assert wrong == {}
    assert code in str(found["put"])
    assert "***" in str(found["put"])


def test_nobody_says_who_asks(answering: Callable[[int, str], str], tmp_path: Path) -> None:
    """Without credentials the metadata of the machine is asked; where that fails, it is a matter of credentials."""
    options = {"metadata_endpoint": answering(404, "NotFound"), "endpoint": "http://127.0.0.1:9"}
    found = failures(ObjectStorage("s3://bucket", retry_config=BRIEFLY, **options), tmp_path / "file")
    assert {type(error) for error in found.values()} == {StorageCredentialsError}


def test_provider_that_fails(tmp_path: Path) -> None:
    """What a credential provider raises is a matter of credentials; what it says may be one, and is cut off there."""

    def provider() -> Any:
        raise RuntimeError("the token is none of your business")

    storage = ObjectStorage("s3://bucket", credential_provider=provider, retry_config=BRIEFLY)
    assert kinds(storage, tmp_path / "file") == {StorageCredentialsError}


def test_option_that_is_unknown() -> None:
    """A misspelt option is told by name, without its value."""
    storage = ObjectStorage("s3://bucket", regin="eu-central-1", secret_access_key=SECRET)
    with pytest.raises(TypeError, match="regin") as caught:
        storage.get("name")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
