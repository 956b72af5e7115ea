"""What all of this costs: persist and load beside bare pickle and bare npy, interleaved, with an A/A control."""

from __future__ import annotations

import gc
import os
import pickle
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from specimens import blob

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.samples import SAMPLES, installed
from persistable import ArtifactStore

__all__ = ["CAMPAIGN"]

_MB = 1_000_000
_LEARNT = 31 << 20  # bytes: below it glibc keeps what is freed, once as much has been freed; until then it depends


def _pickle_save(payload: Any, path: Path) -> None:
    with open(path, "wb") as file:
        pickle.dump(payload, file, protocol=5)


def _npy_save(payload: Any, path: Path) -> None:
    import numpy as np

    with open(path, "wb") as file:
        np.save(file, payload)


_SAVE: Mapping[str, Callable[[Any, Path], None]] = {"pickle": _pickle_save, "npy": _npy_save}


def _ratios(lanes: Mapping[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, float]:
    """Return the median over the rounds of each lane's time by the first lane's, which runs twice as its control."""
    floor = next(iter(lanes))
    lanes = {**lanes, "A/A": lanes[floor]}
    seconds: dict[str, list[float]] = {name: [] for name in lanes}
    for run in lanes.values():
        run()
    bytes(_LEARNT)  # made and freed: else each lane's memory would be new or not by what the others have left
    gc.collect()
    for _ in range(rounds):
        for name, run in lanes.items():
            started = time.perf_counter()
            for _ in range(calls):
                run()
            seconds[name].append(time.perf_counter() - started)
    bare = seconds[floor]
    found = {
        name: statistics.median(a / b for a, b in zip(taken, bare, strict=True)) for name, taken in seconds.items()
    }
    return found | {floor: statistics.median(bare) / calls * 1000}


def _run(setting: Setting, case: str) -> Tally:
    """Time saving and loading; with durability="full" the bare side flushes its file, too."""
    name, _, size = case.partition(", ")
    megabytes = float(size.removesuffix(" MB"))
    sample, tally = SAMPLES[name], Tally()
    megabytes = setting.pick(min(megabytes, 4), megabytes)
    tally.saw("MB", megabytes)
    payload = sample.make(1, int(megabytes * _MB))
    path, save = setting.folder / "bare", _SAVE[name]
    tally.rounds = setting.pick(3, 15)
    calls = 1 if megabytes > 1 else setting.pick(5, 50)

    def flushed() -> None:
        save(payload, path)
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    made = {}
    for durability in ("fast", "full"):
        store = ArtifactStore(setting.folder / durability, durability=durability)
        made[durability] = blob(store, payload_io=name)
        made[durability].generate(value=payload)
    table = {
        "fast save": {"bare": lambda: save(payload, path), "persist": made["fast"].persist},
        "full save": {"bare": flushed, "persist": made["full"].persist},
        "load": {
            "bare": lambda: sample.read(path),
            "persist": lambda: blob(made["fast"].store, payload_io=name).load(),
        },
    }
    for what, lanes in table.items():
        found = _ratios(lanes, tally.rounds, calls)
        tally.saw(f"{what}: bare ms", round(found["bare"], 3))
        tally.saw(f"{what}: by bare", round(found["persist"], 2))
        tally.saw(f"{what}: A/A", round(found["A/A"], 2))
    return tally


CAMPAIGN = Campaign(
    name="price",
    promise="Digests, records, locks and flushes cost little beside what the bare library takes (medians of ratios).",
    faults=(),
    cases=lambda: [f"{name}, {size} MB" for name in installed(*_SAVE) for size in ("0.001", "1", "256")],
    run=_run,
)
