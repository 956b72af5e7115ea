"""Compare contestants in one run: interleaved rounds, an A/A control of the floor, medians and spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["Row", "compare", "markdown"]


class Row(NamedTuple):
    """A contestant's seconds per call: median and quartiles over the rounds, and the median ratio to the floor."""

    name: str
    median: float
    lower: float
    upper: float
    ratio: float


def compare(contestants: Mapping[str, Callable[[], object]], *, rounds: int = 7, calls: int = 1) -> list[Row]:
    """Time all contestants in turn, round by round; the first is the floor and runs twice a round, as A/A control.

    The ratio of a contestant is the median over the rounds of its time by the floor's of the same round.
    """
    floor = next(iter(contestants))
    lanes = {**contestants, f"{floor} (A/A)": contestants[floor]}
    seconds: dict[str, list[float]] = {name: [] for name in lanes}
    for run in lanes.values():  # once for warmth, not counted
        run()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, run in lanes.items():
                started = time.perf_counter()
                for _ in range(calls):
                    run()
                seconds[name].append((time.perf_counter() - started) / calls)
            gc.collect()
    finally:
        gc.enable()
    rows = []
    for name, taken in seconds.items():
        lower, _, upper = statistics.quantiles(taken, n=4)
        ratios = [mine / base for mine, base in zip(taken, seconds[floor], strict=True)]
        rows.append(Row(name, statistics.median(taken), lower, upper, statistics.median(ratios)))
    return rows


def markdown(title: str, rows: list[Row]) -> str:
    """Return a table of the rows."""
    lines = [f"### {title}", "", "| contestant | median | quartiles | ratio |", "|---|---|---|---|"]
    lines += [
        f"| {row.name} | {_readable(row.median)} | {_readable(row.lower)} to {_readable(row.upper)} | {row.ratio:.2f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _readable(seconds: float) -> str:
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
