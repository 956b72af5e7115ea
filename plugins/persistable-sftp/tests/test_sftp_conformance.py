"""The storage keeps the promises of every storage, on OpenSSH's server, and the plugin those of every plugin."""

import pytest
from persistable_sftp import SftpStorage
from servers import free_port

from persistable.testing import PluginTests, StorageTests


class TestSftpStorage(StorageTests):
    secrets = ("correct horse battery",)

    @pytest.fixture
    def place(self, opened):
        return lambda: opened(password=self.secrets[0])

    @pytest.fixture
    def unreachable(self, server):
        url = f"sftp://{server.user}:{self.secrets[0].replace(' ', '%20')}@127.0.0.1:{free_port()}/store"
        return lambda: SftpStorage(url, **server.options)

    def leftovers(self, storage):
        return [entry.name for entry in storage.list() if ".tmp-" in entry.name]


class TestPlugin(PluginTests):
    hooks = "persistable_sftp.hooks"
    distribution = "persistable-sftp"
