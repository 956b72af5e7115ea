"""kill -9 at a random point of a persist: old, new or nothing is there, whole, and a sweep leaves no byte over."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from specimens import blob, fast, kill, loaded, temps

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.children import child
from campaigns.samples import SAMPLES, Sample, garbage, installed, standing
from persistable import ArtifactStore
from persistable.exceptions import CorruptArtifactError, MissingArtifactError

__all__ = ["CAMPAIGN"]

_MB = 1_000_000
_SHORT = ((1_000, 8), (300_000, 5), (4 * _MB, 2))  # bytes, how many kills; half of them into a first write
_ONE_STORE = "one store"
_IN_ONE = (1_000, 300_000)
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


def _overwrite(store: ArtifactStore, sample: Sample, n: int, size: int, before: int, told: int) -> None:
    """Persist one payload after the other under a key; say "s" before the first, and "a" after each, or "e"."""
    made = blob(store, n, payload_io=sample.format, upstream=True)
    os.write(told, b"s")
    for number in itertools.count(before + 1):
        made.generate(persist=False, value=sample.make(number, size))
        try:
            made.persist()
        except Exception:  # noqa: BLE001 - counted
            os.write(told, b"e")
            return
        os.write(told, b"a")


def _one_store(setting: Setting) -> Tally:
    """Kill many writers of one store; sweep it beside some of the first half, and once when all are dead."""
    chance, tally, root = setting.chance(_ONE_STORE), Tally(), setting.folder / "data"
    store, formats = fast(root, **setting.options), installed()
    for name in formats:  # what is imported once takes none of the time before a kill
        blob(fast(setting.folder / "warm"), payload_io=name).generate(value=SAMPLES[name].make(1, 1000))
    acknowledged: dict[int, int] = {}  # by n, which a format has ten of
    kills = setting.pick(40, 2000)
    for number in range(kills):
        tally.rounds += 1
        n = chance.randrange(10 * len(formats))
        sample, size, before = SAMPLES[formats[n // 10]], _IN_ONE[n % 2], acknowledged.get(n, 0)
        process, reader = child(partial(_overwrite, store, sample, n, size, before))
        os.read(reader, 1)
        for _ in range(20 if number < kills // 2 and chance.random() < 0.3 else 0):
            store.sweep(grace=0)
            tally.saw("sweeps beside a writer")
        time.sleep(chance.random() * 0.03)
        kill(process)
        with open(reader, "rb") as pipe:
            said = pipe.read()
        tally.require(b"e" not in said, "wrong", f"{sample.format}, {size} bytes: a writer had an error")
        acknowledged[n] = before + said.count(b"a")
        found = _number(store, sample, n, size)
        tally.require(found >= acknowledged[n], "acknowledged lost", f"{sample.format}: {found} of {acknowledged[n]}")
        acknowledged[n] = max(found, acknowledged[n])
    tally.saw("files left before the sweep", len([*garbage(root), *temps(root)]))
    store.sweep(grace=0)
    left = [*garbage(root), *temps(root)]
    tally.require(not left, "left after a sweep", left)
    tally.require(all(finding.problem is None for finding in store.check()), "unrecoverable", "check() complains")
    for n, last in acknowledged.items():
        sample = SAMPLES[formats[n // 10]]
        found = _number(store, sample, n, _IN_ONE[n % 2])
        tally.require(found == last, "acknowledged lost", f"{sample.format}: {found} of {last} after the sweep")
    return tally


def _number(store: ArtifactStore, sample: Sample, n: int, size: int) -> int:
    """Return which payload is stored; 0 for none, -1 if it is not whole."""
    made = blob(store, n, payload_io=sample.format, upstream=True)
    try:
        made.load()
    except MissingArtifactError:
        return 0
    except CorruptArtifactError:
        return -1
    number = sample.number(made.payload)
    return number if sample.same(made.payload, sample.make(number, size)) else -1


def _run(setting: Setting, case: str) -> Tally:
    """Kill that many children per size; half of them while they write for the first time."""
    if case == _ONE_STORE:
        return _one_store(setting)
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
    cases=lambda: [*installed(), _ONE_STORE],
    run=_run,
)
