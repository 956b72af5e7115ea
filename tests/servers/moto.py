"""moto's S3 on loopback, and what to ask it behind a storage's back."""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servers import free_port, running

INSTALL = "pip install 'moto[server]' boto3"
# moto takes whatever it is given
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
REGION = "eu-central-1"


class Moto:
    """A running server.

    Attributes:
        endpoint: its URL.
        client: boto3's, for buckets and for what obstore does not show.
    """

    def __init__(self, port: int) -> None:
        import boto3

        self.port, self.endpoint = port, f"http://127.0.0.1:{port}"
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name=REGION,
        )
        self._buckets = 0

    @property
    def options(self) -> dict[str, Any]:
        """``storage_options`` for it."""
        return {"endpoint": self.endpoint, "access_key_id": KEY, "secret_access_key": SECRET, "region": REGION}

    def bucket(self) -> str:
        """Make another bucket and return its name."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def uploads(self, bucket: str) -> list[str]:
        """Return the names of what is being uploaded in parts, or was left so."""
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]


@contextlib.contextmanager
def serving(log: Path) -> Iterator[Moto]:
    """Run a server until the block is left; skip the test where it is not installed."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("boto3") is None:
        pytest.skip(f"moto, a server that speaks S3, is not installed: {INSTALL}")
    port = free_port()
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, log):
        moto = Moto(port)
        with contextlib.closing(moto.client):
            yield moto
