"""The benchmarks run, hand in what they measured, and say where they ran only as far as anybody may know."""

import importlib.util
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"

pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").is_dir(), reason="not tested from its source tree")


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_list_names_every_workload() -> None:
    """Each module of the folder is listed with the first line of its docstring."""
    done = benchmarks("--list")
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert listed == {path.stem for path in (ROOT / "benchmarks" / "workloads").glob("*.py")} - {"__init__"}


class Run(NamedTuple):
    done: subprocess.CompletedProcess[str]
    results: Path


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three workloads, of which the one in the middle cannot write its results."""
    results = tmp_path_factory.mktemp("results")
    (results / "scale.tmp").mkdir()
    arguments = ("--quick", "--only", "tiny,scale,plugins", "--results", str(results), "--folder", str(results))
    return Run(benchmarks(*arguments), results)


def test_a_quick_run_hands_in_results(quick: Run) -> None:
    """A picked workload writes its JSON with control and budgets, and the tables; progress goes to stderr."""
    assert quick.done.stdout == ""
    tiny = json.loads((quick.results / "tiny.json").read_text(encoding="utf-8"))
    assert tiny["failure"] is None
    assert {"hit-floor", "miss-fast", "miss-full"} <= tiny["verdicts"].keys()
    for table in tiny["tables"]:
        assert [row["name"] for row in table["rows"]][1] == "A/A"
    readme = (quick.results / "README.md").read_text(encoding="utf-8")
    assert "| tiny hit | open + pickle.load | ≤ 3.50" in readme
    assert "find by params" in readme, "budgets that nobody measured are listed, too"
    assert not list(quick.results.glob("benchmark-*")), "temporary folders are removed"


def test_a_failure_stops_no_other_workload(quick: Run) -> None:
    """What fails is said, and by the exit code; the next one runs."""
    assert "scale FAILED" in quick.done.stderr
    assert "plugins done" in quick.done.stderr
    assert quick.done.returncode == 1
    assert {path.stem for path in quick.results.glob("*.json")} == {"tiny", "plugins"}


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")
def test_plots_are_drawn_of_whatever_is_there(quick: Run) -> None:
    """``--report`` measures nothing and draws the tables of times, and the budgets."""
    for plot in quick.results.glob("*.png"):
        plot.unlink()
    assert benchmarks("--report", "--results", str(quick.results)).returncode == 0
    assert {path.stem for path in quick.results.glob("*.png")} == {"tiny", "plugins", "budgets"}


def test_committed_results_are_those_of_a_whole_run() -> None:
    """No quick run is committed, and nothing in it names the machine or its user."""
    found = sorted(RESULTS.glob("*.json"))
    if not found:
        pytest.skip("no results are committed")
    names = {str(ROOT), "/tmp/", "/home/", "/root/", "/Users/"}
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert json.loads(text)["quick"] is False
        assert not [name for name in names if name in text], path.name
        host = socket.gethostname()
        assert len(host) < 6 or host not in text, path.name


def test_the_documentation_shows_the_committed_plots() -> None:
    """Plots of the documentation are those of the results, byte by byte."""
    for plot in (ROOT / "docs" / "performance").glob("*.png"):
        assert plot.read_bytes() == (RESULTS / plot.name).read_bytes(), plot.name
