"""SIGINT and SIGTERM at a random point of a persist: the process tidies up and ends as it would have."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import time
from pathlib import Path

from specimens import blob, fast, temps

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.children import child
from campaigns.samples import SAMPLES, Sample, garbage, installed, standing
from persistable import ArtifactStore

__all__ = ["CAMPAIGN"]

_SIZES = (1_000, 2_000_000)
_SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}


def _persist(store: ArtifactStore, sample: Sample, size: int, told: int) -> None:
    """Persist payload 2 over whatever is there: say "s" before, "a" after, "i" of an interrupt."""
    gc.disable()  # finalisers of what was inherited would swallow an interrupt
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    made = blob(store, payload_io=sample.format)
    made.generate(persist=False, value=sample.make(2, size))
    try:
        os.write(told, b"s")
        made.persist()
        os.write(told, b"a")
        for _ in range(1000):  # the signal arrives outside of any commit, perhaps just before a sleep begins
            time.sleep(0.02)
    except KeyboardInterrupt:
        os.write(told, b"i")


def _run(setting: Setting, case: str) -> Tally:
    """Interrupt that many children, at delays drawn from a little more than a persist takes."""
    sample, chance, tally = SAMPLES[case], setting.chance(case), Tally()
    for size in _SIZES:
        seconds = _seconds(setting.folder / "measured", sample, size)
        for name, number in _SIGNALS.items():
            for _ in range(setting.pick(3, 250)):
                tally.rounds += 1
                delay = chance.random() * (seconds * 1.2 + 0.0005)
                _round(setting, tally, sample, size, name, number, delay, chance.random() < 0.5)
    return tally


def _seconds(root: Path, sample: Sample, size: int) -> float:
    process, reader = child(lambda told: _persist(fast(root), sample, size, told))
    times = []
    while len(times) < 2 and os.read(reader, 1):
        times.append(time.monotonic())
    os.close(reader)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    shutil.rmtree(root, ignore_errors=True)
    return times[1] - times[0]


def _round(
    setting: Setting, tally: Tally, sample: Sample, size: int, name: str, number: int, delay: float, fresh: bool
) -> None:
    root = setting.folder / "data"
    where = f"{sample.format}, {size} bytes, {'first' if fresh else 'over'}, {name} after {delay:.4f} s"
    store = ArtifactStore(root, **{"durability": "fast", "lock_timeout": 30.0} | dict(setting.options))
    if not fresh:
        blob(store, payload_io=sample.format).generate(value=sample.make(1, size))
    process, reader = child(lambda told: _persist(store, sample, size, told))
    os.read(reader, 1)
    time.sleep(delay)
    os.kill(process, number)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(process, 0)
    if name == "SIGTERM":
        tally.require(os.WIFSIGNALED(status) and os.WTERMSIG(status) == number, "wrong end", f"{where}: {status}")
    elif said == b"a" and status == 0:
        tally.saw("interrupt lost by the interpreter")  # it came in a finaliser or a callback, which may not raise
    else:
        tally.require(said.endswith(b"i") and status == 0, "wrong end", f"{where}: {status}, {said!r}")
    tally.saw("after the commit" if b"a" in said else "within the commit")
    litter = temps(root)
    tally.require(not litter, "temps left", f"{where}: {litter}")
    try:
        found = standing(root, sample)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        tally.fault("unrecoverable", f"{where}: {error!r}")
    else:
        tally.require(found is not None or fresh, "old lost", where)
        tally.require(b"a" not in said or (found is not None and found.number == 2), "acknowledged lost", where)
        whole = found is None or sample.same(found.payload, sample.make(found.number, size))
        tally.require(whole, "wrong", where)
        # committed, and interrupted before the superseded payload was deleted: the sweep's business
        tally.saw("superseded payload left to the sweep", len(garbage(root)))
        tally.require(found is not None or not garbage(root), "temps left", f"{where}: {garbage(root)}")
    store.sweep(grace=0)
    tally.require(not garbage(root), "left after a sweep", f"{where}: {garbage(root)}")
    shutil.rmtree(root, ignore_errors=True)


CAMPAIGN = Campaign(
    name="signals",
    promise="Ctrl-C and SIGTERM at any point of a persist leave old or new and no temp; the process ends as it would "
    "have without persistable.",
    faults=("wrong", "unrecoverable", "old lost", "acknowledged lost", "temps left", "left after a sweep", "wrong end"),
    cases=installed,
    run=_run,
)
