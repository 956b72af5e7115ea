"""S3 keeps the promises of every storage, on moto."""

from collections.abc import Callable, Sequence

import pytest
from persistable_obstore import ObjectStorage
from servers import free_port
from servers.moto import KEY, SECRET, Moto

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
