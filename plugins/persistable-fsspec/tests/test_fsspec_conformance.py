"""The storage keeps its promises: in memory, on Google Cloud by gcsfs, on S3 by s3fs, on WebDAV by webdav4."""

from __future__ import annotations

import asyncio
import uuid
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from persistable_fsspec import FsspecStorage
from servers import free_port
from servers.moto import KEY, REGION, SECRET

from persistable.testing import ODD_NAMES, DoesNotApply, PluginTests, StorageTests


def s3(endpoint, bucket):
    options = {"key": KEY, "secret": SECRET, "client_kwargs": {"endpoint_url": endpoint, "region_name": REGION}}
    return FsspecStorage(f"fsspec+s3://{bucket}/folder", **options)


class TestMemory(StorageTests):
    memory = DoesNotApply("the objects are in this process")
    survives_fork = DoesNotApply("a child has a copy of its parent's memory, and neither sees the other's writes")

    @pytest.fixture
    def place(self):
        url = f"memory://{uuid.uuid4().hex}/folder"
        return lambda: FsspecStorage(url)

    @pytest.fixture
    def unreachable(self):
        return DoesNotApply("the memory of this process is always there")


# aiohttp would have gcsfs send files, not bytes
@pytest.mark.filterwarnings("ignore:Sending a large body directly with raw bytes:ResourceWarning")
class TestGoogleCloud(StorageTests):
    # gcsfs holds one part of 32 MiB, the next one, and a copy; what else has grown meanwhile counts as well
    large, memory = 192_000_000, 140_000_000

    @pytest.fixture
    def place(self, gcs_server):
        bucket = gcs_server.make_bucket(f"bucket-{uuid.uuid4().hex}")
        return lambda: FsspecStorage(f"gs://{bucket}/a folder")

    @pytest.fixture
    def unreachable(self, monkeypatch, gcs_server):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
        sleep = asyncio.sleep  # gcsfs tries six times; the pauses are half a minute
        monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=lambda _: sleep(0.01)))
        return lambda: FsspecStorage("gs://bucket/folder")


@pytest.mark.skipif(find_spec("s3fs") is None, reason="pip install s3fs")
class TestS3(StorageTests):
    secrets = (SECRET,)
    many, rounds, examples = 60, 5, 5  # moto is slow; persistable-obstore does the whole of it
    memory = 80_000_000  # s3fs has no limit of its own: two parts of 8 MiB, and botocore's copies of them
    names = ODD_NAMES[::3]

    @pytest.fixture
    def place(self, moto):
        bucket = moto.bucket()
        return lambda: s3(moto.endpoint, bucket)

    @pytest.fixture
    def unreachable(self):
        return lambda: s3(f"http://127.0.0.1:{free_port()}", "bucket")

    @pytest.fixture(autouse=True)
    def _server(self, moto):
        self.server = moto

    def leftovers(self, storage):
        return self.server.uploads(storage.url.split("/")[2])


class TestWebdav(StorageTests):
    names = tuple(name for name in ODD_NAMES if "ö" * 9 not in name)  # escaped, it is too long for a file of the server
    secrets = ("dav-password-123",)
    large = 20_000_000
    many = 200  # a listing has no pages there

    @pytest.fixture
    def place(self, webdav_server):
        url = f"webdav://{uuid.uuid4().hex}/folder"
        auth = (webdav_server.user, webdav_server.password)
        return lambda: FsspecStorage(url, base_url=webdav_server.endpoint, auth=auth)

    @pytest.fixture
    def unreachable(self):
        options = {"base_url": f"http://127.0.0.1:{free_port()}", "auth": ("dav-user", "dav-password-123")}
        return lambda: FsspecStorage("webdav://folder", **options)


class TestPlugin(PluginTests):
    hooks = "persistable_fsspec.hooks"
    distribution = "persistable-fsspec"
