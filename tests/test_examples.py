"""The examples run as a user runs them: in a process of their own, twice, the second time all hits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(example: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    inherited = os.environ.get("PYTHONPATH")
    return subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / example, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *([inherited] if inherited else [])])},
    )


def steps(output: str) -> dict[str, tuple[str, str]]:
    """Return outcome and format of each step by name."""
    rows = re.findall(
        r"^(\w+) +(hit|generated) +\d+\.\d{3} s +[\d,]+ bytes +(\w+): \S.*\n +(/.+)$", output, re.MULTILINE
    )
    for _, _, _, path in rows:
        assert Path(path).exists()
    return {name: (outcome, format) for name, outcome, format, _ in rows}


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def check_twice(example: str, data: Path, formats: dict[str, str]) -> str:
    """Run an example with nothing there, and again with everything there; return what it said then."""
    first = run(example, "--data-dir", data)
    assert (first.returncode, first.stderr) == (0, "")
    assert steps(first.stdout) == {name: ("generated", format) for name, format in formats.items()}
    made = state(data)

    second = run(example, "--data-dir", data, "--expect-hits")
    assert (second.returncode, second.stderr) == (0, "")
    assert steps(second.stdout) == {name: ("hit", format) for name, format in formats.items()}
    assert state(data) == made
    return second.stdout


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data with a space"


def test_points_have_the_published_values(data: Path) -> None:
    """The first point, the mean and the standard deviation are those that numpy's seed 10 gives everywhere."""
    pytest.importorskip("persistable_numpy")
    said = check_twice("points.py", data, {"points": "npy", "outlier_estimator": "pickle"})
    assert re.search(r"^first point +0\.77132064$", said, re.MULTILINE)
    assert re.search(r"^mean +0\.48534879111973994$", said, re.MULTILINE)
    assert re.search(r"^standard deviation +0\.27497659243084727$", said, re.MULTILINE)


def test_flights_are_all_hits_the_second_time(data: Path) -> None:
    """Frames are parquet and arrays npy by type, records avro and the report csv by a word, the model is pickled."""
    for library in ("numpy", "pandas", "persistable_numpy", "persistable_arrow", "persistable_avro"):
        pytest.importorskip(library)
    formats = {
        "loaded_flights": "parquet",
        "clean_flights": "parquet",
        "delay_features": "npy",
        "delay_model": "pickle",
        "carrier_records": "avro",
        "delay_report": "csv",
    }
    said = check_twice("flights.py", data, formats)
    errors = dict(re.findall(r"^  (\w[\w ]+\w) +([\d.]+) minutes$", said, re.MULTILINE))
    assert float(errors["model"]) < float(errors["as late as it left"]) < float(errors["mean of the past"])


def test_a_damaged_file_is_generated_again_and_is_no_hit(data: Path) -> None:
    """Of a step that had to be generated again, --expect-hits makes an exit status; the steps before it stay hits."""
    pytest.importorskip("persistable_numpy")
    assert run("points.py", "--data-dir", data).returncode == 0
    (payload,) = (data / "outlier_estimator").glob("*.pickle")
    payload.write_bytes(payload.read_bytes()[:-1])
    again = subprocess.run(
        [sys.executable, ROOT / "examples" / "points.py", "--data-dir", data, "--expect-hits"],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    assert again.returncode == 1
    assert "CorruptArtifactWarning" in again.stderr
    assert steps(again.stdout) == {"points": ("hit", "npy"), "outlier_estimator": ("generated", "pickle")}


def test_what_can_run_code_is_refused_where_only_data_is_trusted(data: Path) -> None:
    """--trust reaches the store: the estimator is a pickle, the points are not."""
    pytest.importorskip("persistable_numpy")
    assert run("points.py", "--data-dir", data).returncode == 0
    refused = run("points.py", "--data-dir", data, "--trust", "data-only")
    assert refused.returncode == 1
    assert list(steps(refused.stdout)) == ["points"]
    assert "UntrustedArtifactError" in refused.stderr
