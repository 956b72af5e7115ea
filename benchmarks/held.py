"""Payloads that were made beforehand, saved and loaded through a store and by the bare library: one lane each."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import Lane, Table
from benchmarks.report import Report
from persistable import ArtifactStore, Persistable, PersistableParams

__all__ = ["Held", "HeldParams", "bare_saving", "flush", "given", "loads", "made", "saves", "saving"]

_numbers = itertools.count()


@dataclass
class HeldParams(PersistableParams):
    """A number, so that every save has a new key."""

    n: int


class Held(Persistable[Any, HeldParams]):
    """A payload that was made beforehand."""

    make: Callable[[], Any]

    def _generate_payload(self, **untracked: Any) -> Any:
        return self.make()


def given(payload: Any) -> Callable[[], Any]:
    """Return what returns a payload that is there."""
    return lambda: payload


def made(store: ArtifactStore, make: Callable[[], Any], payload_io: Any = None) -> Held:
    """Return a new Persistable, of a new key, with its payload in memory."""
    held = Held(store, HeldParams(next(_numbers)), payload_io=payload_io)
    held.make = make
    held.generate(persist=False)
    return held


def saving(name: str, store: ArtifactStore, make: Callable[[], Any], payload_io: Any = None) -> Lane:
    """Return the lane that commits a payload under a new key; what was committed before is deleted first."""
    ready: list[Held] = []

    def prepare() -> None:
        shutil.rmtree(f"{store.location}/held", ignore_errors=True)
        if store.durability == "fast":
            os.sync()  # what others wrote is not to be written now
        ready[:] = [made(store, make, payload_io)]

    return Lane(name, lambda: ready[0].persist(), prepare, "ours")


def bare_saving(name: str, path: str, save: Callable[[str], object], *, durable: bool) -> Lane:
    """Return the lane that has the bare library write a new file."""

    def prepare() -> None:
        if os.path.exists(path):
            os.unlink(path)
        if not durable:
            os.sync()

    def run() -> None:
        save(path)
        if durable:
            flush(path)

    return Lane(f"{name} + fsync" if durable else name, run, prepare, "floor")


def flush(path: str) -> None:
    """Flush a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def saves(
    report: Report,
    title: str,
    bare: str,
    save: Callable[[str], object],
    make: Callable[[], Any],
    payload_io: Any = None,
    *,
    durability: Any = "full",
    others: tuple[Lane, ...] = (),
    seconds: float = 20,
    least: int = 5,
    most: int = 15,
) -> Table:
    """Compare saving through a store with a bare library."""
    store = ArtifactStore(report.path(f"{title} store"), durability=durability)
    floor = bare_saving(bare, f"{report.path(f'{title} bare')}/file", save, durable=durability == "full")
    ours = saving("persistable", store, make, payload_io)
    table = report.compare(title, [floor, ours, *others], seconds=seconds, least=least, most=most)
    shutil.rmtree(store.location)
    shutil.rmtree(f"{report.folder}/{title} bare")
    return table


def loads(
    report: Report,
    title: str,
    bare: str,
    save: Callable[[str], object],
    load: Callable[[str], object],
    make: Callable[[], Any],
    payload_io: Any = None,
    *,
    touch: Callable[[Any], object] = lambda payload: None,
    others: tuple[Lane, ...] = (),
    seconds: float = 10,
    least: int = 5,
    most: int = 25,
) -> Table:
    """Compare loading through a store with a bare library; ``touch`` is what is done with what was loaded."""
    store = ArtifactStore(report.path(f"{title} store"))
    held = made(store, make, payload_io)
    held.persist()
    path = f"{report.path(f'{title} bare')}/file"
    save(path)
    os.sync()

    def ours() -> None:
        again = Held(store, held.params, payload_io=payload_io)
        again.load()
        touch(again.payload)

    lanes = [Lane(bare, lambda: touch(load(path)), role="floor"), Lane("persistable", ours, role="ours"), *others]
    table = report.compare(title, lanes, seconds=seconds, least=least, most=most)
    shutil.rmtree(store.location)
    shutil.rmtree(f"{report.folder}/{title} bare")
    return table
