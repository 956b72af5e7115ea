"""Time contestants in turn, round by round, the floor twice as A/A control: medians, quartiles, ratios per round."""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.children import Child
from benchmarks.clock import typical

__all__ = ["CONTROL", "Lane", "Spread", "Table", "compare", "remote"]

CONTROL = "A/A"
_TURN = 0.004  # seconds that a contestant runs before the next one's turn, so that noise meets all of them
_BATCH = 20e-6  # seconds between two looks at the clock, at least


class Spread(NamedTuple):
    """Median and quartiles."""

    median: float
    lower: float
    upper: float


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(statistics.median(values), lower, upper)


@dataclass(frozen=True)
class Lane:
    """A contestant of a table.

    Attributes:
        name: as the table shows it.
        run: what is timed.
        prepare: called before each run, not timed.
        role: ``"floor"``, ``"ours"`` or ``"peer"``; decides the colour in plots.
        timer: in place of ``run``; called with numbers of batches and of calls in each, returns the seconds of a call.
    """

    name: str
    run: Callable[[], object] = lambda: None
    prepare: Callable[[], object] | None = None
    role: str = "peer"
    timer: Callable[[int, int], float] | None = None

    def seconds(self, batches: int, batch: int) -> float:
        """Return what a call typically takes."""
        if self.prepare is not None:
            self.prepare()
            batches = batch = 1
        return typical(self.run, batches, batch) if self.timer is None else self.timer(batches, batch)


def remote(name: str, child: Child, act: str) -> Lane:
    """Return the lane of a contestant in another process, which waits while the others run."""

    def timer(batches: int, batch: int) -> float:
        return float(child.ask(time=act, batches=batches, batch=batch)["seconds"])

    return Lane(name, timer=timer)


@dataclass
class Table:
    """Seconds per call of each lane and round; the first lane is the floor, the second the same once more."""

    title: str
    samples: dict[str, list[float]]
    roles: dict[str, str]
    note: str = ""
    extra: dict[str, str] = field(default_factory=dict)  # a last column, by lane

    @property
    def floor(self) -> str:
        """The name of the floor."""
        return next(iter(self.samples))

    def ratio(self, name: str, to: str | None = None) -> Spread:
        """Return how many times as long as another one, by default the floor, a lane takes in the same round."""
        pairs = zip(self.samples[name], self.samples[to or self.floor], strict=True)
        return spread([mine / other for mine, other in pairs])

    def difference(self, name: str, to: str | None = None) -> Spread:
        """Return how many seconds longer."""
        pairs = zip(self.samples[name], self.samples[to or self.floor], strict=True)
        return spread([mine - other for mine, other in pairs])

    def seconds(self, name: str) -> Spread:
        """Return what a lane takes."""
        return spread(self.samples[name])

    @property
    def control(self) -> Spread:
        """The floor by itself: what the noise of this run is worth."""
        return self.ratio(CONTROL)

    def data(self) -> dict[str, Any]:
        """Return it as JSON data, without the single rounds."""
        rows = [
            {
                "name": name,
                "role": self.roles[name],
                "rounds": len(samples),
                "seconds": rounded(self.seconds(name)),
                "least": rounded([min(samples)])[0],
                "ratio": rounded(self.ratio(name)),
                **({"extra": self.extra[name]} if name in self.extra else {}),
            }
            for name, samples in self.samples.items()
        ]
        return {"kind": "times", "title": self.title, "note": self.note, "rows": rows}


def rounded(values: Sequence[float]) -> list[float]:
    """Return them with four digits that count."""
    return [float(f"{value:.4g}") for value in values]


def compare(title: str, lanes: Sequence[Lane], *, seconds: float, least: int = 7, most: int = 60) -> Table:
    """Time the lanes, of which the first is the floor, for about so many seconds.

    Every round runs each lane once, in an order that is drawn anew; a fast one is called many times in a row. There
    are at least ``least`` rounds, however long they take, and no more than ``most``.
    """
    floor = lanes[0]
    lanes = [floor, Lane(CONTROL, floor.run, floor.prepare, "floor", floor.timer), *lanes[1:]]
    turns = {}
    for lane in lanes:  # once for warmth, once to see how fast it is
        lane.seconds(1, 1)
        once = max(lane.seconds(1, 1), 1e-7)
        batch = math.ceil(_BATCH / once)
        turns[lane.name] = max(1, min(200, int(_TURN / (once * batch)))), batch
    table = Table(title, {lane.name: [] for lane in lanes}, {lane.name: lane.role for lane in lanes})
    order, shuffle = list(lanes), random.Random(0).shuffle
    started, number = time.perf_counter(), 0
    while number < least or (number < most and time.perf_counter() - started < seconds):
        shuffle(order)
        gc.collect()
        gc.disable()
        try:
            for lane in order:
                table.samples[lane.name].append(lane.seconds(*turns[lane.name]))
        finally:
            gc.enable()
        number += 1
    return table
