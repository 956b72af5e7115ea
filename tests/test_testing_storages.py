"""StorageTests: storages that keep their promises pass, and each broken promise is noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from persistable.local import LocalStorage
from persistable.storage import Storage
from persistable.testing import StorageTests


class TestLocalStorage(StorageTests):
    """The core's own storage keeps the promises too."""

    @pytest.fixture
    def place(self, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Storage]:
        root = tmp_path_factory.mktemp("place") / "data dir"
        return lambda: LocalStorage(str(root), durable=False)
