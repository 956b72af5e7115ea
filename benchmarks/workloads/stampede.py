"""Stampede: eight processes miss one key at once, and the owner of a generation is killed.

The processes are there and have imported everything; generating is half a second of sleep. What is counted is how often
it was generated, and how long after one generation the last process has its answer.
"""

from __future__ import annotations

import contextlib
import select
import statistics
import time
from typing import Any

from benchmarks.children import Child, contestant
from benchmarks.measure import Spread, spread
from benchmarks.peers import ALL
from benchmarks.report import Report

PROCESSES = 8
PATIENCE = 20.0  # seconds after which a contestant is taken to hang


def run(report: Report) -> None:
    """Let all contestants be overrun, and kill an owner of ours."""
    seconds = 0.05 if report.quick else 0.5
    rounds = report.size(7, 1)
    results: dict[str, tuple[list[int], list[float]]] = {}
    for name in list(ALL)[:3] if report.quick else ALL:
        report.say(f"stampede on {name}")
        try:
            results[name] = stampede(
                f"{report.folder}/stampede {name}", name, seconds, report.size(PROCESSES, 2), rounds
            )
        except (ImportError, TimeoutError, RuntimeError) as error:
            report.missing(name, error)
    rows = []
    for name, (generated, late) in results.items():
        after = spread(late)
        counted = f"{statistics.mean(generated):g} on average, {max(generated)} at most"
        rows.append({"name": name, "generations": counted, "last answer after one generation": milliseconds(after)})
    report.rows(f"{PROCESSES} processes miss one key, {rounds} times", rows)
    generated, late = results["persistable"]
    report.judge("stampede-once", Spread(statistics.median(generated), min(generated), max(generated)))
    report.judge("stampede-answer", spread(late))
    delays = [succession(f"{report.folder}/killed {n}") for n in range(report.size(7, 1))]
    after = spread(delays)
    report.rows("the owner is killed", [{"name": "next owner generates after", "delay": milliseconds(after)}])
    report.judge("stampede-killed", after)


def milliseconds(values: Spread) -> str:
    """Return median and quartiles as text."""
    median, lower, upper = (value * 1e3 for value in values)
    return f"{median:.1f} ms ({lower:.1f} to {upper:.1f})"


def stampede(folder: str, name: str, seconds: float, processes: int, rounds: int) -> tuple[list[int], list[float]]:
    """Return, for each round, how often it was generated and how late the last answer was after one generation."""
    generated, late = [], []
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(contestant(name, "sleep", folder)) for _ in range(processes)]
        warm(children)
        for number in range(1, rounds + 1):
            started = time.monotonic()
            for child in children:
                child.send(answer=number, seconds=seconds)
            count, last = 0, 0.0
            for child in children:
                reply = child.receive(PATIENCE)
                while "computing" in reply:
                    count += 1
                    reply = child.receive(PATIENCE)
                if not reply:
                    raise RuntimeError(f"a process of {name} has died in the stampede")
                last = max(last, reply["answered"])
            generated.append(count)
            late.append(last - started - seconds)
    return generated, late


def warm(children: list[Child]) -> None:
    """Have each generate something of its own, so that everything that is imported on first use is there."""
    for number, child in enumerate(children):
        child.send(answer=-1 - number, seconds=0)
        while "answered" not in child.receive(PATIENCE):
            pass


def succession(folder: str) -> float:
    """Kill the process that generates while others wait; return the seconds until the next one generates."""
    with contextlib.ExitStack() as stack:
        owner, *heirs = [stack.enter_context(contestant("persistable", "sleep", folder)) for _ in range(3)]
        warm([owner, *heirs])
        owner.send(answer=1, seconds=60)
        assert "computing" in owner.receive()
        for heir in heirs:
            heir.send(answer=1, seconds=0.05)
        time.sleep(0.3)  # they wait by now, and have slowed down looking
        killed = time.monotonic()
        owner.kill()
        return _first(heirs)["at"] - killed


def _first(children: list[Child]) -> dict[str, Any]:
    """Return the first answer of any."""
    streams = {child.stdout: child for child in children}
    ready, _, _ = select.select(list(streams), [], [], 30)
    if not ready:
        raise TimeoutError("nobody took over from the owner that was killed")
    return streams[ready[0]].receive()
