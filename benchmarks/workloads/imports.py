"""Import: what it takes before the first line of work, over bare Python.

Every import is a process of its own, timed from outside; bytecode is compiled already. The first hit and the first miss
of a process import what is imported on first use, and the first miss looks for plugins.
"""

from __future__ import annotations

import itertools
import subprocess
import sys

from benchmarks.children import predecessor_python
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
    run_python(FIRST.format(folder=folder, n="0"))

    def interpreter(statement: str, python: str = sys.executable) -> Lane:
        return Lane(statement, lambda: run_python(statement, python))

    lanes = [
        Lane("bare Python", interpreter("pass").run, role="floor"),
        Lane("persistable", interpreter("import persistable").run, role="ours"),
        Lane("persistable, and a first hit", interpreter(FIRST.format(folder=folder, n="0")).run, role="ours"),
        Lane(
            "persistable, and a first miss",
            lambda: run_python(FIRST.format(folder=folder, n=next(numbers))),
            role="ours",
        ),
        Lane("pickle, hashlib, os, json", interpreter("import pickle, hashlib, os, json").run, role="floor"),
    ]
    peers = []
    for name, statement in IMPORTS.items():
        try:
            lane = Lane(name, interpreter(statement).run)
            lane.seconds(1)
        except subprocess.CalledProcessError as error:
            report.missing(name, ImportError(error.stderr.decode().splitlines()[-1]))
        else:
            lanes.append(lane)
            peers.append(name)
    try:
        python = predecessor_python()
    except ImportError as error:
        report.missing(PREDECESSOR, error)
    else:
        lanes += [
            Lane("bare Python of 1.3.1", interpreter("pass", python).run, role="floor"),
            Lane(PREDECESSOR, interpreter("import persistable", python).run),
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


def run_python(statement: str, python: str = sys.executable) -> None:
    """Run a statement in a new interpreter."""
    subprocess.run([python, "-c", statement], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
