"""Measure persistable beside the bare libraries and other caches.

    python -m benchmarks                  all workloads, in about a quarter of an hour
    python -m benchmarks --only tiny      one of them, or several: --only tiny,keys
    python -m benchmarks --quick          only see that everything works
    python -m benchmarks --full           also what takes minutes: a store of 1e6 artifacts, 5e6 rows of csv

Each workload runs in a process of its own and its results are written when it is through, so that a failure of one
stops no other, and one can be repeated. Tables and plots are made from whatever results are there.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from benchmarks import workloads
from benchmarks.children import plain_environment, predecessor_python
from benchmarks.report import Report

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ORDER = [
    "imports",
    "tiny",
    "costs",
    "keys",
    "stampede",
    "scale",
    "plugins",
    "pickles",
    "arrays",
    "frames",
    "avro",
    "storages",
]
LONGEST = 900.0  # seconds that one workload may take; --full four times that


def titles() -> dict[str, str]:
    """Return the first line of each workload's docstring, in the order in which they run."""
    found = {module.name for module in pkgutil.iter_modules(workloads.__path__)}
    assert found == set(ORDER), found ^ set(ORDER)
    return {name: (load(name).__doc__ or "").splitlines()[0] for name in ORDER}


def load(name: str):  # type: ignore[no-untyped-def]
    """Return the module of a workload."""
    return importlib.import_module(f"benchmarks.workloads.{name}")


def work(name: str, asked: argparse.Namespace) -> int:
    """Run one workload in this process; return 0 if it went through."""
    warnings.simplefilter("ignore")  # of the peers
    module = load(name)
    report = Report(
        name, (module.__doc__ or "").splitlines()[0], quick=asked.quick, full=asked.full, place=asked.folder
    )
    failure = None
    try:
        module.run(report)
    except BaseException as error:  # noqa: BLE001 - said in the results, and by the exit code
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}".replace(report.folder, "…")
    report.write(asked.results, failure)
    return 1 if failure else 0


def main() -> int:
    """Run what is asked for and write tables and plots; return how many workloads failed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", metavar="NAMES", help="workloads, separated by commas; a part of the name will do")
    parser.add_argument("--list", action="store_true", help="list the workloads")
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds")
    parser.add_argument("--full", action="store_true", help="the largest sizes, too")
    parser.add_argument("--report", action="store_true", help="measure nothing, make tables and plots anew")
    parser.add_argument("--resume", action="store_true", help="pass over workloads that have results without a failure")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results go; default: benchmarks/results")
    parser.add_argument("--folder", help="where the workloads write; default: the folder for temporary files")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        return work(asked.worker, asked)
    if asked.list:
        print("\n".join(f"{name:10} {title}" for name, title in titles().items()))
        return 0
    if asked.quick and asked.results == RESULTS:
        parser.error("--quick needs --results: what it measures is not worth keeping")
    wanted = [part.strip() for part in (asked.only or "").split(",") if part.strip()]
    unknown = [part for part in wanted if not any(part in name for name in ORDER)]
    if unknown:
        parser.error(f"no workload is called {', '.join(unknown)}; there are {', '.join(ORDER)}")
    names = [name for name in ORDER if not wanted or any(part in name for part in wanted)]
    failed = 0 if asked.report else sum(not run(name, asked) for name in names)

    from benchmarks.tables import write_tables

    write_tables(asked.results, document=HERE.parent / "docs" / "performance.md" if asked.results == RESULTS else None)
    try:
        from benchmarks.plots import write_plots
    except ImportError as error:
        print(f"no plots: {error}", file=sys.stderr)
    else:
        shown = HERE.parent / "docs" / "performance" if asked.results == RESULTS else None
        write_plots(asked.results, shown)
    return failed


def run(name: str, asked: argparse.Namespace) -> bool:
    """Run one workload in a process of its own; return whether it went through."""
    if asked.resume and _is_done(asked.results / f"{name}.json"):
        return True
    if not asked.quick:
        try:
            predecessor_python(install=True)
        except ImportError as error:
            print(error, file=sys.stderr)
    print(f"{name}", file=sys.stderr, flush=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "benchmarks", "--worker", name, "--results", str(asked.results.absolute())]
    command += ["--quick"] * asked.quick + ["--full"] * asked.full
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=asked.folder, ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [*command, "--folder", os.path.abspath(folder)],
            cwd=HERE.parent,
            stdin=subprocess.DEVNULL,
            env=plain_environment(),
        )
        try:
            code = process.wait(LONGEST * (4 if asked.full else 1))
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            process.kill()  # what it had measured is lost; what others have is there
            process.wait()
    said = "done" if code == 0 else "FAILED"
    print(f"{name} {said} after {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return code == 0


def _is_done(path: Path) -> bool:
    import json

    try:
        return json.loads(path.read_text(encoding="utf-8"))["failure"] is None
    except (OSError, ValueError, KeyError):
        return False


if __name__ == "__main__":
    sys.exit(main())
