"""What is particular to places behind fsspec: caches, clients that are missing, servers that do not replace, errors."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import itertools
import json
import os
import threading
import traceback
import uuid
from dataclasses import dataclass
from importlib.util import find_spec
from types import SimpleNamespace
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry, known_implementations
from fsspec.spec import AbstractFileSystem
from hypothesis import given
from hypothesis import strategies as st
from persistable_fsspec import FsspecStorage
from persistable_fsspec.names import escaped, unescaped
from servers import free_port
from servers.moto import KEY, REGION, SECRET
from servers.proxy import before
from servers.silent import silent

from persistable import ArtifactStore, Persistable, PersistableParams
from persistable.exceptions import (
    BrokenStorageError,
    NoSuchPlaceError,
    StorageConnectionError,
    StorageCredentialsError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    UnknownStorageError,
)

# aiohttp would have gcsfs send files, not bytes
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly with raw bytes:ResourceWarning")


@dataclass
class SquaresParams(PersistableParams):
    n: int


class Squares(Persistable):
    generated = 0

    def _generate_payload(self, **untracked):
        type(self).generated += 1
        return [number**2 for number in range(self.params.n)]


@pytest.fixture
def memory():
    return f"memory://{uuid.uuid4().hex}/folder"


@pytest.fixture
def at_once(monkeypatch):
    """gcsfs tries six times; the pauses are half a minute."""
    sleep = asyncio.sleep
    monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=lambda _: sleep(0.001)))


def names(storage):
    return sorted(entry.name for entry in storage.list())


# -- memory, and filesystems that are there already


def test_stores_in_one_process_share_what_is_in_memory(memory, tmp_path, monkeypatch):
    """What one store has generated, another one of the same URL loads."""
    monkeypatch.setenv("PERSISTABLE_CACHE", str(tmp_path))
    before = Squares.generated
    for _ in range(2):
        squares = Squares(ArtifactStore(memory, trust="all"), SquaresParams(n=4), payload_name="squares")
        squares.load_generate()
        assert squares.payload == [0, 1, 4, 9]
    assert Squares.generated == before + 1


def test_filesystem_is_injected(tmp_path, monkeypatch):
    """A store takes a storage on a filesystem that is there already, which is the one that is used."""
    monkeypatch.setenv("PERSISTABLE_CACHE", str(tmp_path))
    fs = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    storage = FsspecStorage.on(fs, "memory://bucket/prefix")
    assert storage.url == "memory://bucket/prefix"
    Squares(ArtifactStore(storage, trust="all"), SquaresParams(n=3), payload_name="squares").load_generate()
    assert any(path.startswith("/bucket/prefix/squares/") for path in fs.store)
    assert MemoryFileSystem.store.keys().isdisjoint(fs.store)


def test_injected_filesystem_with_a_cache_of_listings_shows_what_others_write(gcs_server):
    """Neither fsspec's cache of listings nor its cache of instances hides an object."""
    bucket = gcs_server.make_bucket(uuid.uuid4().hex)
    fs = fsspec.filesystem("gs", use_listings_cache=True, token="anon")
    mine, other = FsspecStorage.on(fs, f"{bucket}/x"), FsspecStorage(f"gs://{bucket}/x", token="anon")
    other.put("folder/one", b"1")
    assert names(mine) == ["folder/one"]
    other.put("folder/two", b"2")
    other.delete("folder/one")
    assert names(mine) == ["folder/two"]
    assert mine.stat("folder/two").bytes == 1
    other.put("folder/two", b"longer")
    assert mine.stat("folder/two").bytes == 6
    with pytest.raises(FileNotFoundError):
        mine.stat("folder/one")


def test_filesystem_for_coroutines_is_refused():
    fs = SimpleNamespace(asynchronous=True)
    with pytest.raises(ValueError, match="asynchronous"):
        FsspecStorage.on(fs, "bucket")


# -- which filesystem


@pytest.mark.parametrize("url", ["file:///data/x", "local:///data/x", "fsspec+file:///data/x"])
def test_local_folder_is_refused_with_the_repair(url):
    """A local folder has its own storage, which promises more."""
    with pytest.raises(StorageError, match="give its path as data_dir"):
        FsspecStorage(url)


@pytest.mark.parametrize("url", ["simplecache::memory://x", "filecache::memory://x", "blockcache::memory://x"])
def test_caches_of_fsspec_are_refused(url):
    with pytest.raises(StorageError, match="cache would serve"):
        FsspecStorage(url)


def test_protocol_that_nobody_knows_is_unknown():
    """Misspelt protocols are noticed when the storage is made, and met with what was meant."""
    with pytest.raises(UnknownStorageError, match="did you mean memory://"):
        FsspecStorage("memmory://x")


@pytest.mark.parametrize(("url", "meant"), [("s4://bucket", "s3"), ("azure://x", "az"), ("wasb://x", "az")])
def test_protocol_that_another_plugin_has_under_another_name(monkeypatch, url, meant):
    """It is named, and what to install if that is not."""
    monkeypatch.setattr("persistable_fsspec.protocols.find_spec", lambda _: None)
    with pytest.raises(UnknownStorageError, match=rf"did you mean {meant}://\?.*pip install persistable-obstore"):
        FsspecStorage(url)
    monkeypatch.setattr("persistable_fsspec.protocols.find_spec", lambda _: object())
    with pytest.raises(UnknownStorageError, match=rf"did you mean {meant}://\?$"):
        FsspecStorage(url)


@pytest.mark.parametrize(
    ("error", "install"),
    [
        ("Install s3fs to access S3", "s3fs"),
        ('SMB requires "smbprotocol" or "smbprotocol[kerberos]" installed', "smbprotocol"),
        ("Please install gcsfs to access Google Storage", "gcsfs"),
        ("Install the requests package to use the github FS", "requests"),
        ("pyarrow and local java libraries required for HDFS", "pyarrow"),
        ("Install 'morefs[asynclocalfs]' to use AsyncLocalFileSystem", "morefs[asynclocalfs]"),
        ("not_there_at_all import failed", "not_there_at_all"),
    ],
)
def test_missing_client_is_named_with_its_install_line(monkeypatch, error, install):
    """A client that is not installed is no miss; the error has the line that fsspec names."""
    row = {"class": "not_there_at_all.FileSystem", "err": error}
    monkeypatch.setitem(known_implementations, "nowhere", row)
    storage = FsspecStorage("nowhere://bucket")
    with pytest.raises(UnknownStorageError) as raised:
        storage.get("x")
    assert raised.value.install == install
    assert f"pip install {install}" in str(raised.value)


def test_client_that_cannot_be_imported_is_broken(monkeypatch, tmp_path):
    (tmp_path / "broken_client_fs.py").write_text("raise ImportError('its C library is of another version')")
    monkeypatch.syspath_prepend(tmp_path)
    row = {"class": "broken_client_fs.FileSystem", "err": "Install broken"}
    monkeypatch.setitem(known_implementations, "nowhere", row)
    with pytest.raises(BrokenStorageError, match="C library"):
        FsspecStorage("nowhere://bucket").get("x")


# -- names


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_escaped_names_come_back(name):
    """An escaped name has only harmless characters, and says which name it was."""
    wire = escaped(name)
    assert unescaped(wire) == name
    assert not set(wire) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-=/")
    assert not wire.endswith(".")


def test_names_of_the_core_are_not_escaped():
    for name in ("points_p/0123456789abcdef.json", "a-b_2/.tmp-12ab-99-ff.npy", "x/log.txt"):
        assert escaped(name) == name


# -- filesystems of which nothing is known


class Foreign(AbstractFileSystem):
    """A filesystem that shows an upload byte by byte and whose rename does not replace, as on SMB and HDFS."""

    protocol = "foreign"
    cachable = False
    shared: ClassVar[dict] = {}
    made: ClassVar[list] = []
    broken: ClassVar[set] = set()

    def __init__(self, **options):
        super().__init__(**options)
        self.made.append((os.getpid(), threading.get_ident()))
        self.back = MemoryFileSystem(global_store=False, skip_instance_cache=True)
        self.back.store = self.shared

    def cat_file(self, path, start=None, end=None, **_):
        return self.back.cat_file(path, start, end)

    def info(self, path, **_):
        return self.back.info(path)

    def ls(self, path, detail=True, **_):
        return self.back.ls(path, detail)

    def _rm(self, path):
        self.back._rm(path)

    def makedirs(self, path, exist_ok=False):
        pass

    def pipe_file(self, path, value, mode="overwrite", **_):
        self.back.pipe_file(path, value[: len(value) // 2])
        if "upload" in self.broken:
            raise ConnectionResetError("the network is gone")
        self.back.pipe_file(path, value)

    def put_file(self, lpath, rpath, **_):
        with open(lpath, "rb") as file:
            self.pipe_file(rpath, file.read())

    def get_file(self, rpath, lpath, **_):
        with open(lpath, "wb") as file:
            file.write(self.cat_file(rpath))

    def mv(self, old, new, **_):
        if self.back.exists(new):
            raise FileExistsError(new)
        if "move" in self.broken and "/name" in new:
            raise PermissionError("not this one")
        self.back.store[self.back._strip_protocol(new)] = self.back.store.pop(self.back._strip_protocol(old))


@pytest.fixture
def foreign(monkeypatch):
    monkeypatch.setitem(_registry, "foreign", Foreign)
    monkeypatch.setattr(Foreign, "shared", {})
    monkeypatch.setattr(Foreign, "made", [])
    monkeypatch.setattr(Foreign, "broken", set())
    return lambda: FsspecStorage("foreign://root")


def test_nothing_is_promised_of_an_unknown_filesystem(foreign):
    assert not any(foreign().capabilities)


def test_upload_that_fails_half_way_leaves_the_old_object(foreign, tmp_path):
    """It went to a name of its own, which is deleted."""
    storage = foreign()
    (tmp_path / "new").write_bytes(b"new content")
    storage.put("folder/name", b"old")
    Foreign.broken = {"upload"}
    for call in (lambda: storage.put("folder/name", b"new"), lambda: storage.put_file("folder/name", tmp_path / "new")):
        with pytest.raises(StorageConnectionError, match="the network is gone"):
            call()
    Foreign.broken = set()
    assert {entry.name: storage.get(entry.name) for entry in storage.list()} == {"folder/name": b"old"}


def test_object_is_replaced_where_a_rename_does_not(foreign):
    """The old object steps aside, and is deleted after that."""
    storage = foreign()
    for content in (b"first", b"second", b"third"):
        storage.put("folder/name", content)
        assert storage.get("folder/name") == content
    assert names(storage) == ["folder/name"]


def test_old_object_comes_back_if_the_new_one_cannot_take_its_place(foreign, monkeypatch):
    storage = foreign()
    storage.put("folder/name", b"old")
    moves = itertools.count()

    def mv(self, old, new, **_):
        if next(moves) in (0, 2):  # over the old one; to its name
            raise PermissionError("not this one")
        self.back.store[self.back._strip_protocol(new)] = self.back.store.pop(self.back._strip_protocol(old))

    monkeypatch.setattr(Foreign, "mv", mv)
    with pytest.raises(StoragePermissionError):
        storage.put("folder/name", b"new")
    assert {entry.name: storage.get(entry.name) for entry in storage.list()} == {"folder/name": b"old"}


def test_threads_and_children_have_filesystems_of_their_own(foreign):
    """A client that is not made for threads, an FTP connection say, is never used by two."""
    storage = foreign()
    storage.put("name", b"x")
    thread = threading.Thread(target=storage.get, args=("name",))
    thread.start()
    thread.join()
    storage.get("name")
    assert len(Foreign.made) == len(set(Foreign.made)) == 2


# -- errors of servers


@pytest.fixture
def bucket(gcs_server):
    return gcs_server.make_bucket(uuid.uuid4().hex)


def operations(storage, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    return {
        "get": lambda: storage.get("folder/name"),
        "stat": lambda: storage.stat("folder/name"),
        "list": lambda: list(storage.list("folder")),
        "fetch": lambda: storage.fetch("folder/name", str(tmp_path / uuid.uuid4().hex), 10),
        "delete": lambda: storage.delete("folder/name"),
        "put": lambda: storage.put("folder/name", b"x"),
        "put_file": lambda: storage.put_file("folder/name", str(tmp_path / "file")),
        "prepare": lambda: storage.prepare("folder"),
        "put_if_absent": lambda: storage.put_if_absent("folder/name", b"x"),
    }


def test_bucket_that_is_not_there_is_no_missing_object(gcs_server, moto, tmp_path):
    """Every call says that there is no such bucket, and none makes it."""
    where = uuid.uuid4().hex
    options = {"key": KEY, "secret": SECRET, "client_kwargs": {"endpoint_url": moto.endpoint, "region_name": REGION}}
    places: list[tuple[str, dict[str, object]]] = [(f"gs://{where}/x", {"token": "anon"})]
    if find_spec("s3fs") is not None:
        places.append((f"s3://{where}/x", options))
    for url, extra in places:
        for name in operations(None, tmp_path):
            storage = FsspecStorage(url, **extra)
            with pytest.raises(NoSuchPlaceError) as raised:
                operations(storage, tmp_path)[name]()
            assert url in str(raised.value), name
            assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_url_without_a_bucket_is_no_place(gcs_server):
    with pytest.raises(NoSuchPlaceError, match="names no bucket"):
        FsspecStorage("gs://", token="anon").get("x")


def test_empty_bucket_has_no_objects(bucket, tmp_path):
    storage = FsspecStorage(f"gs://{bucket}", token="anon")
    assert names(storage) == []
    with pytest.raises(FileNotFoundError):
        storage.get("folder/name")
    storage.delete("folder/name")


class Answering(http.server.BaseHTTPRequestHandler):
    """Answer everything with one status and text."""

    status, body = 500, b""

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_PROPFIND = do_MKCOL = do_MOVE = do_OPTIONS = do_GET

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def answering(status, body):
    handler = type("Handler", (Answering,), {"status": status, "body": body})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


SECRET_TOKEN = "ya29.a-token-that-nobody-may-see"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, f"Invalid Credentials: {SECRET_TOKEN} has expired", StorageCredentialsError),
        (403, f"nobody has no storage.objects.get access {SECRET_TOKEN}", StoragePermissionError),
        (403, f"The project exceeded its quota {SECRET_TOKEN}", StorageFullError),
        (503, f"Backend Error {SECRET_TOKEN}", StorageConnectionError),
        (400, f"quite wrong {SECRET_TOKEN}", StorageError),
    ],
)
def test_refusals_of_google_are_kinds_of_errors(at_once, tmp_path, status, message, kind):
    """Each names URL and operation, and never the token."""
    from google.oauth2.credentials import Credentials

    body = json.dumps({"error": {"code": status, "message": message}}).encode()
    with answering(status, body) as endpoint:
        headers = {"headers": {"X-Token": SECRET_TOKEN}}
        token = Credentials(SECRET_TOKEN)
        storage = FsspecStorage("gs://bucket/x", endpoint_url=endpoint, token=token, session_kwargs=headers)
        for name, call in operations(storage, tmp_path).items():
            with pytest.raises(kind) as raised:
                call()
            assert not isinstance(raised.value, FileNotFoundError), name
            assert "gs://bucket/x" in str(raised.value), name
            assert SECRET_TOKEN not in "".join(traceback.format_exception(raised.value)), name


def test_file_of_credentials_that_is_none_is_a_matter_of_credentials(gcs_server, bucket, tmp_path):
    """Whatever the client stumbles on where it reads them; here it is a KeyError."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"type": "service_account", "private_key": SECRET_TOKEN, "client_email": "a@b"}))
    storage = FsspecStorage(f"gs://{bucket}/x", token=str(path))
    with pytest.raises(StorageCredentialsError) as raised:
        storage.get("name")
    assert SECRET_TOKEN not in "".join(traceback.format_exception(raised.value))
    folder = FsspecStorage(f"gs://{bucket}/x", token=str(tmp_path))  # no object is missing because this is no file
    for call in (lambda: folder.get("name"), lambda: folder.stat("name")):
        with pytest.raises(StorageCredentialsError):
            call()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, StorageCredentialsError),
        (403, StoragePermissionError),
        (507, StorageFullError),
        (502, StorageConnectionError),
    ],
)
def test_refusals_of_webdav_are_kinds_of_errors(monkeypatch, tmp_path, status, kind):
    monkeypatch.setattr("webdav4.retry.BACKOFF", 0.001)
    with answering(status, b"no") as endpoint:
        storage = FsspecStorage("webdav://x", base_url=endpoint, auth=("user", "a-password"))
        for name, call in operations(storage, tmp_path).items():
            if name != "put_if_absent":
                with pytest.raises(kind) as raised:
                    call()
                assert "a-password" not in "".join(traceback.format_exception(raised.value)), name


def test_wrong_password_of_webdav_is_told(webdav_server):
    storage = FsspecStorage("webdav://x", base_url=webdav_server.endpoint, auth=(webdav_server.user, "wrong-password"))
    with pytest.raises(StorageCredentialsError) as raised:
        storage.get("x")
    assert "wrong-password" not in "".join(traceback.format_exception(raised.value))


def test_webdav_share_that_is_not_there_is_no_missing_object(webdav_server):
    options = {"base_url": f"{webdav_server.endpoint}/nowhere", "auth": (webdav_server.user, webdav_server.password)}
    with pytest.raises(NoSuchPlaceError):
        FsspecStorage("webdav://x", **options).get("x")


# -- connections that are lost


def test_upload_to_google_survives_a_lost_connection_or_leaves_nothing(at_once, gcs_server, bucket, tmp_path):
    """gcsfs tries again; where that is of no use the old object stays, and nothing is left."""
    (tmp_path / "file").write_bytes(os.urandom(12_000_000))
    direct = FsspecStorage(f"gs://{bucket}/x", token="anon")
    direct.put("folder/name", b"old")
    with before(int(gcs_server.endpoint.rpartition(":")[2])) as proxy:
        cut = FsspecStorage(f"gs://{bucket}/x", token="anon", endpoint_url=proxy.endpoint)
        cut.get("folder/name")
        proxy.left = 1_000_000
        with pytest.raises(StorageConnectionError):
            cut.put_file("folder/new", str(tmp_path / "file"))
        proxy.left = 1000
        with pytest.raises(StorageConnectionError):
            cut.put("folder/name", b"x" * 10_000)
        assert {entry.name: direct.get(entry.name) for entry in direct.list()} == {"folder/name": b"old"}

        proxy.left = None
        direct.put_file("folder/large", str(tmp_path / "file"))
        proxy.given = 5_000_000
        with pytest.raises(StorageConnectionError):
            cut.fetch("folder/large", str(tmp_path / "fetched"), 12_000_000)
        (tmp_path / "fetched").unlink()
        proxy.given, proxy.mends = 5_000_000, True
        cut.fetch("folder/large", str(tmp_path / "fetched"), 12_000_000)
        assert (tmp_path / "fetched").read_bytes() == (tmp_path / "file").read_bytes()


def test_upload_to_webdav_that_is_cut_leaves_the_old_object(monkeypatch, webdav_server, tmp_path):
    monkeypatch.setattr("webdav4.retry.BACKOFF", 0.001)
    (tmp_path / "file").write_bytes(os.urandom(5_000_000))
    auth, url = (webdav_server.user, webdav_server.password), f"webdav://{uuid.uuid4().hex}"
    direct = FsspecStorage(url, base_url=webdav_server.endpoint, auth=auth)
    direct.put("folder/name", b"old")
    with before(int(webdav_server.endpoint.rpartition(":")[2])) as proxy:
        cut = FsspecStorage(url, base_url=proxy.endpoint, auth=auth)
        cut.put("folder/name", b"old")
        proxy.left, proxy.mends = 1_000_000, True  # so that it can clear away what is there of it
        with pytest.raises(StorageConnectionError):
            cut.put_file("folder/name", str(tmp_path / "file"))
        assert {entry.name: direct.get(entry.name) for entry in direct.list()} == {"folder/name": b"old"}


def test_unknown_host_is_no_place(at_once):
    storage = FsspecStorage("ftp://host.invalid/x")
    with pytest.raises((NoSuchPlaceError, StorageConnectionError)) as raised:
        storage.get("x")
    assert "ftp://host.invalid/x" in str(raised.value)


def test_port_where_nobody_listens_is_a_connection_error():
    with pytest.raises(StorageConnectionError):
        FsspecStorage(f"ftp://127.0.0.1:{free_port()}/x").get("x")


# -- places where a move deletes first


@pytest.fixture
def webdav(webdav_server):
    """Return a storage on WebDAV, and the folder behind it."""
    where = uuid.uuid4().hex
    auth = (webdav_server.user, webdav_server.password)
    return FsspecStorage(f"webdav://{where}", base_url=webdav_server.endpoint, auth=auth), webdav_server.root / where


def test_server_that_dies_in_the_middle_of_a_move_loses_nothing(monkeypatch, webdav, tmp_path):
    """It has deleted the old object and not moved the new one: one of the two is there, and the next put ends it."""
    httpx = pytest.importorskip("httpx")
    storage, folder = webdav
    storage.put("folder/name", b"old")
    send, dead = httpx.Client.send, []

    def die(self, request, **options):
        if request.method == "MOVE" and request.headers["Overwrite"] == "T":
            gone = folder / "folder" / request.headers["Destination"].rpartition("/")[2]
            gone.unlink(missing_ok=True)
            dead.append(gone.name)
        if dead:
            raise httpx.RemoteProtocolError("the server is gone")
        return send(self, request, **options)

    with monkeypatch.context() as patch:
        patch.setattr(httpx.Client, "send", die)
        with pytest.raises(StorageConnectionError):
            storage.put("folder/name", b"new one")
    assert dead == ["name"]
    assert storage.get("folder/name") == b"new one"
    assert (storage.stat("folder/name").name, storage.stat("folder/name").bytes) == ("folder/name", 7)
    assert names(storage) == ["folder/name"]
    storage.fetch("folder/name", str(tmp_path / "fetched"), 7)
    assert (tmp_path / "fetched").read_bytes() == b"new one"
    storage.put("folder/name", b"third")
    storage.put("folder/name", b"fourth")
    assert {entry.name: storage.get(entry.name) for entry in storage.list()} == {"folder/name": b"fourth"}
    assert os.listdir(folder / "folder") == ["name"]


def test_what_an_interrupted_move_has_left_is_no_object_of_its_own(webdav):
    """While the old object is there it stands; both go when it is deleted."""
    storage, folder = webdav
    storage.put("folder/name", b"old")
    (folder / "folder" / "name=new").write_bytes(b"never acknowledged")
    assert {entry.name: storage.get(entry.name) for entry in storage.list()} == {"folder/name": b"old"}
    storage.put("folder/name", b"newer")
    assert {entry.name: storage.get(entry.name) for entry in storage.list()} == {"folder/name": b"newer"}
    (folder / "folder" / "name=new").write_bytes(b"never acknowledged")
    storage.delete("folder/name")
    assert names(storage) == []
    with pytest.raises(FileNotFoundError):
        storage.get("folder/name")
    storage.put("folder/name=new", b"a name like any other")
    assert names(storage) == ["folder/name=new"]


# -- servers that do not answer


@pytest.mark.parametrize("protocol", ["webdav", "gs"])
def test_server_that_never_answers_is_an_error(at_once, tmp_path, protocol):
    """It takes connection and request, and nothing comes back; that is not taken for a folder that has to be made."""
    aiohttp, httpx = pytest.importorskip("aiohttp"), pytest.importorskip("httpx")
    with silent() as port:
        endpoint = f"http://127.0.0.1:{port}"
        options = {
            "webdav": {"base_url": endpoint, "timeout": httpx.Timeout(0.2)},
            "gs": {
                "endpoint_url": endpoint,
                "token": "anon",
                "requests_timeout": aiohttp.ClientTimeout(sock_connect=0.1, sock_read=0.1),
            },
        }[protocol]
        storage = FsspecStorage(f"{protocol}://x/y", **options)
        for name, call in operations(storage, tmp_path).items():
            if name in ("put_if_absent", "prepare") and protocol == "webdav":
                continue
            with pytest.raises(StorageConnectionError):
                call()


def test_upload_to_a_silent_server_is_tried_once(monkeypatch):
    """Whether the folder is there is not asked of somebody who does not answer."""
    httpx = pytest.importorskip("httpx")
    asked = []
    send = httpx.Client.send
    monkeypatch.setattr(
        httpx.Client, "send", lambda self, request, **o: asked.append(request) or send(self, request, **o)
    )
    with silent() as port, pytest.raises(StorageConnectionError):
        FsspecStorage("webdav://x", base_url=f"http://127.0.0.1:{port}", timeout=0.2).put("folder/name", b"x")
    assert [request.method for request in asked] == ["PUT", "DELETE"]


def test_patience_has_limits_unless_the_user_sets_others():
    """A silent server is given up after half a minute; who has sent much is given time to have it put away."""
    httpx = pytest.importorskip("httpx")
    client = FsspecStorage("webdav://x", base_url="http://127.0.0.1:9")._make().client.http
    assert client.timeout == httpx.Timeout(30, connect=10)
    asked = client.build_request("PUT", "http://127.0.0.1:9/x", headers={"Content-Length": str(400 << 20)})
    for hook in client.event_hooks["request"]:
        hook(asked)
    assert asked.extensions["timeout"]["read"] == 130
    given = FsspecStorage("webdav://x", base_url="http://127.0.0.1:9", timeout=3)._make().client.http
    assert given.timeout == httpx.Timeout(3)
    google = FsspecStorage("gs://x", token="anon")._make()
    assert (google.requests_timeout.sock_connect, google.requests_timeout.sock_read) == (5, 10)
