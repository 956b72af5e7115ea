"""The flights example on Google Cloud Storage: by another data_dir and a trust setting, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "flights.py"


def test_flights_are_kept_on_google_cloud_storage(gcs_server, tmp_path):
    """The second run has hits alone, with a cache that is empty, as on another machine."""
    url = f"fsspec+gs://{gcs_server.make_bucket('flights')}/data with a space"

    def run(cache, *arguments):
        environment = os.environ | {"PERSISTABLE_CACHE": str(tmp_path / cache), "PERSISTABLE_TRUST": "all"}
        # aiohttp would have gcsfs send files, not bytes
        ignored = ["-W", "error", "-W", "ignore:Sending a large body directly with raw bytes:ResourceWarning"]
        return subprocess.run(
            [sys.executable, *ignored, EXAMPLE, "--data-dir", url, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
            env=environment,
        )

    first = run("one machine")
    assert (first.returncode, first.stderr) == (0, "")
    assert len(re.findall(r"^\w+ +generated ", first.stdout, re.MULTILINE)) == 6
    second = run("another machine", "--expect-hits")
    assert (second.returncode, second.stderr) == (0, "")
    assert len(re.findall(r"^\w+ +hit ", second.stdout, re.MULTILINE)) == 6
    results = [re.search(r"^fitted to .*", run.stdout, re.MULTILINE | re.DOTALL)[0] for run in (first, second)]
    assert results[0].partition("0 of 6")[0] == results[1].partition("6 of 6")[0]
