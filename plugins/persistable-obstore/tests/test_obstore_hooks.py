"""The plugin keeps the promises of every plugin; a client is imported with the first request."""

import subprocess
import sys

from persistable.testing import PluginTests


class TestPlugin(PluginTests):
    hooks = "persistable_obstore.hooks"
    distribution = "persistable-obstore"


def test_nothing_is_imported_before_the_first_request() -> None:
    """Making a storage imports no client."""
    program = (
        "import sys, persistable_obstore\n"
        "assert 'persistable_obstore.storage' not in sys.modules\n"
        "persistable_obstore.ObjectStorage('s3://bucket/prefix', profile='any')\n"
        "assert not {'obstore', 'boto3', 'botocore', 'google', 'azure', 'asyncio'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
