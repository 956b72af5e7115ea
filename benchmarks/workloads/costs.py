"""What costs what: a tiny hit and miss, and a large array, with one thing switched off at a time.

The floor of these tables is what the defaults cost; a ratio below 1 is what switching off saves.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Lane
from benchmarks.report import Report
from benchmarks.workloads.tiny import Tiny, TinyParams, load_bare, write_bare
from persistable import ArtifactStore, Persistable


def run(report: Report) -> None:
    """Time each with everything, and with one thing less."""
    hits(report)
    misses(report)
    arrays(report)


def hits(report: Report) -> None:
    """Time hits."""
    folder = report.path("hit")
    store = ArtifactStore(folder)
    Tiny(store, TinyParams(1)).load_generate()
    kept = Tiny(store, TinyParams(1))
    address = next(store.list())
    params = TinyParams(1)

    def lane(name: str, **settings: Any) -> Lane:
        other = ArtifactStore(folder, **settings)
        return Lane(name, lambda: Tiny(other, TinyParams(1)).load(), role="ours")

    def construct() -> object:
        return Tiny(store, params)

    table = report.compare(
        "tiny hit, one thing less at a time",
        [
            Lane("everything", lambda: Tiny(store, TinyParams(1)).load(), role="ours"),
            lane('payload not digested: verify="size"', verify="size"),
            lane('nor its size compared: verify="off"', verify="off"),
            lane('nobody distrusted: trust="all"', trust="all"),
            lane('verify="off", trust="all"', verify="off", trust="all"),
            Lane("construction and key alone", construct, role="ours"),
            Lane("object and key kept: p.load()", kept.load, role="ours"),
            Lane("record alone, read and verified: store.find", lambda: store.find(address), role="ours"),
            Lane("no record: open + pickle.load", load_bare(report.path("bare")), role="floor"),
            Lane("a path as data_dir, not a store", lambda: Tiny(folder, TinyParams(1)).load(), role="ours"),
        ],
        seconds=15,
    )
    differences(table)


def differences(table: Any) -> None:
    """Show what each lane saves."""
    for name in list(table.samples)[1:]:
        saved = table.difference(name)
        table.extra[name] = f"{saved.median * 1e6:+.1f} µs ({saved.lower * 1e6:+.1f} to {saved.upper * 1e6:+.1f})"


def misses(report: Report) -> None:
    """Time misses."""
    numbers = itertools.count()
    full, fast = (ArtifactStore(report.path(name), durability=name) for name in ("full", "fast"))  # type: ignore[arg-type]
    bare = report.path("bare-full"), report.path("bare-fast")

    def fresh(store: ArtifactStore) -> Tiny:
        return Tiny(store, TinyParams(next(numbers)))

    for store in (full, fast):
        fresh(store).load_generate()
    waiting: list[Tiny] = []

    def prepare() -> None:
        waiting[:] = [fresh(fast)]
        waiting[0].generate(persist=False)

    table = report.compare(
        "tiny miss, one thing less at a time",
        [
            Lane("everything: load_generate(), durability full", lambda: fresh(full).load_generate(), role="ours"),
            Lane("no look first, no lock of the key: generate()", lambda: fresh(full).generate(), role="ours"),
            Lane('no fsync: durability="fast"', lambda: fresh(fast).load_generate(), role="ours"),
            Lane("neither: generate(), fast", lambda: fresh(fast).generate(), role="ours"),
            Lane("payload there already: persist(), fast", lambda: waiting[0].persist(), prepare, role="ours"),
            Lane(
                "nothing written: load_generate(persist=False)",
                lambda: fresh(fast).load_generate(persist=False),
                role="ours",
            ),
            Lane("two bare files, fsync", write_bare(bare[0], durable=True, files=2), role="floor"),
            Lane("two bare files", write_bare(bare[1], durable=False, files=2), role="floor"),
        ],
        seconds=15,
    )
    differences(table)


def arrays(report: Report) -> None:
    """Time a 64 MB array."""
    try:
        import numpy as np
    except ImportError as error:
        report.missing("numpy", error)
        return
    array = np.random.default_rng(0).random(report.size(8 << 20, 1 << 14))
    folder = report.path("array")

    class Held(Persistable[Any, TinyParams]):
        def _generate_payload(self, **untracked: Any) -> Any:
            return array

    held = Held(folder, TinyParams(0))
    held.generate()

    def loading(**settings: Any) -> Callable[[], object]:
        store = ArtifactStore(folder, **settings)
        return lambda: Held(store, TinyParams(0)).load()

    path = os.fspath(held.persist_filepath)
    table = report.compare(
        "load of a 64 MB array, one thing less at a time",
        [
            Lane("everything", loading(), role="ours"),
            Lane('payload not digested: verify="size"', loading(verify="size"), role="ours"),
            Lane('verify="off", trust="all"', loading(verify="off", trust="all"), role="ours"),
            Lane("no record: np.load", lambda: np.load(path), role="floor"),
        ],
        seconds=8,
    )
    differences(table)
