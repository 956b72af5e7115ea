"""S3 keeps the promises of every storage, on moto."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from persistable_obstore import ObjectStorage
from servers import free_port
from servers.moto import KEY, SECRET, Moto

from persistable.exceptions import StorageError
from persistable.storage import Storage
from persistable.testing import StorageTests

MIB = 1 << 20


class TestS3(StorageTests):
    versions_are_digests = True
    secrets = (KEY, SECRET)

    @pytest.fixture
    def place(self, moto: Moto) -> Callable[[], Storage]:
        self.moto, self.bucket = moto, moto.bucket()
        # parts that are small enough for what is tested to have several
        return lambda: ObjectStorage(
            f"s3://{self.bucket}/some prefix%20/here", part_size=5 * MIB, concurrency=2, **moto.options
        )

    @pytest.fixture
    def unreachable(self) -> Callable[[], Storage]:
        nobody = {"endpoint": f"http://127.0.0.1:{free_port()}", "retry_config": {"max_retries": 2}}
        return lambda: ObjectStorage("s3://bucket/prefix", access_key_id=KEY, secret_access_key=SECRET, **nobody)

    def leftovers(self, storage: Storage) -> Sequence[str]:
        return self.moto.uploads(self.bucket)


@pytest.mark.parametrize("fast", [0, 1 << 60], ids=["one stream", "ranges"])
def test_downloads_take_two_ways(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: int) -> None:
    """A connection that is fast carries all of it; else the rest comes by ranges, of the version that was begun."""
    monkeypatch.setattr("persistable_obstore.storage._FAST", fast)
    storage = ObjectStorage(f"s3://{moto.bucket()}", part_size=MIB, concurrency=3, **moto.options)
    ranges: list[int] = []
    rest = storage._fetch_rest
    monkeypatch.setattr(storage, "_fetch_rest", lambda *given: (ranges.append(given[2]), rest(*given)))
    for size in (MIB, 2 * MIB, 2 * MIB + 1, 7 * MIB - 1):
        content = os.urandom(size)
        storage.put("name", content)
        for expected in (size, size + 10, size - 10):
            path = tmp_path / f"{size} {expected}"
            storage.fetch("name", str(path), expected)
            assert path.read_bytes() == content[:expected]
    assert bool(ranges) is (fast > 0)


def test_object_that_is_replaced_meanwhile_is_never_mixed(
    moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is fetched by ranges is one object or an error."""
    monkeypatch.setattr("persistable_obstore.storage._FAST", 1 << 60)
    storage = ObjectStorage(f"s3://{moto.bucket()}", part_size=MIB, **moto.options)
    storage.put("name", b"old" * MIB)
    rest = storage._fetch_rest
    monkeypatch.setattr(storage, "_fetch_rest", lambda *given: (storage.put("name", b"new" * MIB), rest(*given)))
    with pytest.raises(StorageError, match="PreconditionFailed"):
        storage.fetch("name", str(tmp_path / "fetched"), 3 * MIB)
