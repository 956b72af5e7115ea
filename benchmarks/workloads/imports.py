"""Import: what it takes before the first line of work, over bare Python.

Every import is a process of its own, and what counts is its processor time, which waiting for others does not touch;
bytecode is compiled already. The first hit and the first miss of a process import what is imported on first use, and
the first miss looks for plugins.
"""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys

from benchmarks.children import plain_environment, predecessor_python
from benchmarks.measure import Lane
from benchmarks.peers import IMPORTS, PREDECESSOR
from benchmarks.report import Report

FIRST = """
import sys
from dataclasses import dataclass
from persistable import Persistable, PersistableParams

@dataclass
class Params(PersistableParams):
    n: int

class Numbers(Persistable[list[int], Params]):
    def _generate_payload(self, **untracked):
        return [self.params.n]

Numbers({folder!r}, Params({n})).payload
"""


def run(report: Report) -> None:
    """Time interpreters that import one thing and end."""
    folder = report.path("store")
    numbers = itertools.count(1)
    processor_time(FIRST.format(folder=folder, n=0))

    def lane(name: str, statement: str, role: str = "peer", python: str = sys.executable) -> Lane:
        return Lane(name, role=role, timer=lambda *_: processor_time(statement, python))

    def miss(*_: int) -> float:
        return processor_time(FIRST.format(folder=folder, n=next(numbers)))

    lanes = [
        lane("bare Python", "pass", "floor"),
        lane("persistable", "import persistable", "ours"),
        lane("persistable, and a first hit", FIRST.format(folder=folder, n=0), "ours"),
        Lane("persistable, and a first miss", role="ours", timer=miss),
        lane("pickle, hashlib, os, json", "import pickle, hashlib, os, json", "floor"),
    ]
    peers = []
    for name, statement in IMPORTS.items():
        try:
            processor_time(statement)
        except ImportError as error:
            report.missing(name, error)
        else:
            lanes.append(lane(name, statement))
            peers.append(name)
    try:
        python = predecessor_python()
    except ImportError as error:
        report.missing(PREDECESSOR, error)
    else:
        lanes += [
            lane("bare Python of 1.3.1", "pass", "floor", python),
            lane(PREDECESSOR, "import persistable", "peer", python),
        ]
        peers.append(PREDECESSOR)
    table = report.compare("import", lanes, seconds=60, least=9, most=25)
    own_floor = {PREDECESSOR: "bare Python of 1.3.1"}
    for name in table.samples:
        over = table.difference(name, own_floor.get(name))
        table.extra[name] = (
            f"{over.median * 1e3:+.1f} ms over bare Python ({over.lower * 1e3:+.1f} to {over.upper * 1e3:+.1f})"
        )
    ours = table.difference("persistable")
    report.judge("import", ours, table.control)
    if peers:
        fastest = min(peers, key=lambda name: table.difference(name, own_floor.get(name)).median)
        report.remark(f"the fastest peer to import is {fastest}")
        report.judge(
            "import-peers", ours.median / table.difference(fastest, own_floor.get(fastest)).median, table.control
        )


def processor_time(statement: str, python: str = sys.executable) -> float:
    """Run a statement in a new interpreter and return the seconds of processor time that it took, system included.

    What is imported is what is installed there, and not what lies in the folder that this was started from.

    Raises:
        ImportError: it failed; with the last line of what it said.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [python, "-P", "-c", statement],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=plain_environment(),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise ImportError(done.stderr.strip().splitlines()[-1])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
