"""Azure Blob Storage keeps the promises of every storage, on azurite."""

from collections.abc import Callable

import pytest
from persistable_obstore import ObjectStorage
from servers import free_port
from servers.azurite import KEY, Azurite

from persistable.storage import Storage
from persistable.testing import StorageTests

MIB = 1 << 20


class TestAzure(StorageTests):
    secrets = (KEY,)

    @pytest.fixture
    def place(self, azurite: Azurite) -> Callable[[], Storage]:
        url = f"az://{azurite.container()}/some prefix%20/here"
        return lambda: ObjectStorage(url, part_size=5 * MIB, concurrency=2, **azurite.options)

    @pytest.fixture
    def unreachable(self) -> Callable[[], Storage]:
        nobody = {"endpoint": f"http://127.0.0.1:{free_port()}/account", "retry_config": {"max_retries": 2}}
        return lambda: ObjectStorage("az://container/prefix", account_name="account", account_key=KEY, **nobody)
