"""What a workload hands in: tables, judged budgets, curves, remarks; kept as one JSON file per workload."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.budgets import BUDGETS
from benchmarks.machine import describe
from benchmarks.measure import Lane, Spread, Table, compare, rounded
from benchmarks.memory import Peak

__all__ = ["Report"]


class Report:
    """The results of one workload while it runs.

    Attributes:
        quick: whether to only see that everything works.
        full: whether to run what takes gigabytes or minutes, too.
        folder: a temporary folder for the workload.
    """

    def __init__(
        self, workload: str, title: str, *, quick: bool = False, full: bool = False, place: str | None
    ) -> None:
        self.workload, self.title, self.quick, self.full = workload, title, quick, full
        self.folder = tempfile.mkdtemp(prefix="benchmark-", dir=place)
        self._tables: list[dict[str, Any]] = []
        self._verdicts: dict[str, dict[str, Any]] = {}
        self._notes: list[str] = []
        self._started = time.monotonic()

    def size(self, normal: int, quick: int) -> int:
        """Return the one or the other."""
        return quick if self.quick else normal

    def path(self, name: str) -> str:
        """Return a new folder in the temporary one."""
        path = os.path.join(self.folder, name)
        os.makedirs(path)
        return path

    def compare(
        self, title: str, lanes: Sequence[Lane], *, seconds: float, least: int = 7, most: int = 60, note: str = ""
    ) -> Table:
        """Time lanes against the first of them; see ``measure.compare``."""
        self.say(title)
        if self.quick:
            seconds, least, most = 0.0, 2, 2
        table = compare(title, lanes, seconds=seconds, least=least, most=most)
        table.note = note
        self.add(table)
        return table

    def add(self, table: Table) -> None:
        """Keep a table; what is changed in it until the end is kept as well."""
        self._tables.append({"table": table})

    def memory(self, title: str, peaks: Mapping[str, Peak | None], *, note: str = "") -> None:
        """Keep a table of memory."""
        rows = [{"name": name, "resident": peak[0], "anonymous": peak[1]} for name, peak in peaks.items() if peak]
        if rows:
            self._tables.append({"kind": "memory", "title": title, "note": note, "rows": rows})

    def curve(self, title: str, axis: str, points: Mapping[str, Mapping[int, float]], *, note: str = "") -> None:
        """Keep seconds by size, for each of several lines."""
        rows = [
            {"name": name, "points": [[size, float(f"{seconds:.4g}")] for size, seconds in line.items()]}
            for name, line in points.items()
        ]
        self._tables.append({"kind": "curve", "title": title, "axis": axis, "note": note, "rows": rows})

    def rows(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep a table whose cells are text."""
        self._tables.append({"kind": "rows", "title": title, "note": "", "rows": list(rows)})

    def judge(self, budget: str, measured: Spread | float, control: Spread | None = None) -> None:
        """Compare a measured value with a budget; ``control`` is the floor by itself in the same table."""
        assert budget in BUDGETS, budget
        values = measured if isinstance(measured, Spread) else Spread(measured, measured, measured)
        self._verdicts[budget] = {
            "measured": rounded(values),
            "control": None if control is None else rounded(control),
            "met": BUDGETS[budget].is_met(values.median),
        }

    def remark(self, text: str) -> None:
        """Keep a remark; twice the same is once."""
        if text not in self._notes:
            self.say(text)
            self._notes.append(text)

    def missing(self, who: str, error: BaseException) -> None:
        """Say that a contestant is not there."""
        self.remark(f"without {who}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")

    def say(self, text: str) -> None:
        """Report progress on stderr."""
        print(f"  {time.monotonic() - self._started:6.1f} s  {text}", file=sys.stderr, flush=True)

    def write(self, results: Path, failure: str | None = None) -> None:
        """Write the JSON file; the temporary folder is left to who gave its place."""
        tables = [entry["table"].data() if "table" in entry else entry for entry in self._tables]
        document = {
            "workload": self.workload,
            "title": self.title,
            "quick": self.quick,
            "full": self.full,
            "seconds": round(time.monotonic() - self._started, 1),
            "machine": describe(self.folder),
            "failure": failure,
            "verdicts": self._verdicts,
            "remarks": self._notes,
            "tables": tables,
        }
        results.mkdir(parents=True, exist_ok=True)
        target = results / f"{self.workload}.json"
        staged = target.with_suffix(".tmp")
        staged.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        staged.replace(target)
