"""kill -9 at a random point of a persist: old, new or nothing is there, whole, and a sweep leaves no byte over."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from specimens import blob, fast, kill, loaded, temps

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.children import child
from campaigns.samples import SAMPLES, Sample, garbage, installed, standing
from persistable import ArtifactStore

__all__ = ["CAMPAIGN"]

_MB = 1_000_000
_SHORT = ((1_000, 8), (300_000, 5), (4 * _MB, 2))  # bytes, how many kills; half of them into a first write
_FULL = ((1_000, 350), (300_000, 300), (20 * _MB, 250), (200 * _MB, 100))


def _persist(store: ArtifactStore, sample: Sample, size: int, upstream: bool, told: int) -> None:
    """Persist payloads 1 and 2 under one key; say "s" before and "a" after each: a kill comes meanwhile."""
    made = blob(store, payload_io=sample.format, upstream=upstream)
    for number in (1, 2):
        made.generate(persist=False, value=sample.make(number, size))
        os.write(told, b"s")
        made.persist()
        os.write(told, b"a")


def _seconds(root: Path, sample: Sample, size: int) -> float:
    """Measure one persist in a child: the delay of a kill is drawn from a little more than that."""
    process, reader = child(lambda told: _persist(fast(root), sample, size, False, told))
    times = []
    while os.read(reader, 1):
        times.append(time.monotonic())
    os.close(reader)
    os.waitpid(process, 0)
    shutil.rmtree(root, ignore_errors=True)
    return times[1] - times[0]


def _round(
    root: Path, sample: Sample, size: int, fresh: bool, upstream: bool, delay: float, tally: Tally, **how: Any
) -> None:
    where = f"{sample.format}, {size} bytes, {'first' if fresh else 'over'}, killed after {delay:.4f} s"
    before = -1
    if not fresh:
        blob(fast(root), payload_io=sample.format, upstream=upstream).generate(value=sample.make(0, size))
        before = 0
    store = ArtifactStore(root, **{"durability": "fast", "lock_timeout": 30.0} | how)
    process, reader = child(lambda told: _persist(store, sample, size, upstream, told))
    os.read(reader, 1)
    time.sleep(delay)
    kill(process)
    acknowledged = before
    while said := os.read(reader, 1):
        acknowledged += said == b"a"
    if fresh and acknowledged > -1:
        acknowledged += 1  # numbers start at 1
    os.close(reader)
    litter = bool(temps(root))
    tally.saw("killed with a temp on disk", litter)
    tally.saw("killed before anything was there", not litter and before == acknowledged)
    tally.saw("killed after a commit", acknowledged > before)
    try:
        found = standing(root, sample)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        tally.fault("unrecoverable", f"{where}: {error!r}")
        return
    if found is None:
        tally.require(fresh, "old lost", where)
        tally.require(acknowledged <= 0 or not fresh, "acknowledged lost", where)
    else:
        tally.require(found.number >= acknowledged, "acknowledged lost", where)
        whole = found.number <= acknowledged + 1 + (fresh and acknowledged < 0)
        tally.require(whole and sample.same(found.payload, sample.make(found.number, size)), "wrong", where)
        try:
            payload = loaded(store, payload_io=sample.format, upstream=upstream)
            tally.require(sample.same(payload, found.payload), "wrong", f"{where}: loaded another")
        except Exception as error:  # noqa: BLE001
            tally.fault("unrecoverable", f"{where}: {error!r}")
    store.sweep(grace=0)
    left = [*garbage(root), *temps(root)]
    tally.require(not left, "left after a sweep", f"{where}: {left}")
    tally.require(all(finding.problem is None for finding in store.check()), "wrong", f"{where}: check() complains")
    again = blob(store, payload_io=sample.format, upstream=upstream)
    again.load_generate(value=lambda: sample.make(9, 1000))
    tally.require(
        sample.number(again.payload) == (9 if found is None else found.number), "wrong", f"{where}: afterwards"
    )


def _run(setting: Setting, case: str) -> Tally:
    """Kill that many children per size; half of them while they write for the first time."""
    sample, chance, tally = SAMPLES[case], setting.chance(case), Tally()
    for size, kills in setting.pick(_SHORT, _FULL):
        seconds = _seconds(setting.folder / "measured", sample, size)
        for number in range(kills):
            tally.rounds += 1
            root = setting.folder / "data"
            # the smaller ones need a full commit, too: it flushes in another thread and takes longer steps
            durability = "full" if size < 10 * _MB and chance.random() < 0.25 else "fast"
            delay = chance.random() * (seconds * 1.2 + 0.0005)
            how = {"durability": durability} | dict(setting.options)
            _round(root, sample, size, number % 2 == 0, chance.random() < 0.5, delay, tally, **how)
            shutil.rmtree(root, ignore_errors=True)
        tally.saw(f"kills at {size / _MB:g} MB", kills)
    return tally


CAMPAIGN = Campaign(
    name="kills",
    promise="A process that is killed at any point of a persist leaves the old artifact, the new one, or none if there "
    "was none; what it left behind besides is swept to the last byte.",
    faults=("wrong", "unrecoverable", "old lost", "acknowledged lost", "left after a sweep"),
    cases=installed,
    run=_run,
)
