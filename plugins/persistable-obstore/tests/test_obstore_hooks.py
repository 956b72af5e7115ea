"""Declaring the storages costs nothing; a client is imported with the first request."""

import subprocess
import sys

from persistable_obstore import ObjectStorage
from persistable_obstore.hooks import persistable_storages

from persistable.registry import Registry


def test_three_schemes_are_served() -> None:
    """A registry finds the class for each URL."""
    registry = Registry()
    for scheme in ("s3", "az", "gs"):
        assert registry.storage(f"{scheme}://bucket/prefix") is ObjectStorage
    [spec] = persistable_storages()
    assert spec.install == "persistable-obstore"


def test_nothing_is_imported_before_the_first_request() -> None:
    """Neither listing the plugin nor making a storage imports a client."""
    program = (
        "import sys, persistable_obstore.hooks\n"
        "persistable_obstore.hooks.persistable_storages()\n"
        "assert 'persistable_obstore.storage' not in sys.modules\n"
        "persistable_obstore.ObjectStorage('s3://bucket/prefix', profile='any')\n"
        "assert not {'obstore', 'boto3', 'botocore', 'google', 'azure', 'asyncio'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
