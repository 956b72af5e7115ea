"""What a call typically takes, in any interpreter: the median over batches, so that an interruption counts little."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["typical"]


def typical(act: Callable[[], object], batches: int, batch: int) -> float:
    """Return the median seconds per call of so many batches of so many calls each."""
    clock = time.perf_counter
    taken = []
    calls = range(batch)
    for _ in range(batches):
        started = clock()
        for _ in calls:
            act()
        taken.append(clock() - started)
    return sorted(taken)[len(taken) // 2] / batch
