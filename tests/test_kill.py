"""Killing: a process that dies anywhere in a commit leaves the old payload or the new one, and litter that is swept."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from specimens import artifact_files, blob, fast, kill, loaded, temps

from persistable.exceptions import MissingArtifactError

SIZES = (10, 5_000, 300_000, 3_000_000)


def content(number: int, size: int) -> bytes:
    """Return a payload that says which one it is in every part of it."""
    return (b"%08d" % number) * (size // 8 + 1)


def persist_until_killed(root: Path, first: int, size: int, ready: int) -> None:
    """Persist one payload after the other under one key; never return."""
    made = blob(fast(root), upstream=True)
    os.write(ready, b".")
    number = first
    while True:
        made.generate(value=content(number, size))
        number += 1


def kills(root: Path, times: int, seed: int) -> tuple[int, int]:
    """Kill a persisting child that many times; return how often it had litter left, and how often nothing stored."""
    chance = random.Random(seed)
    litter = missing = 0
    for number in range(times):
        size, fresh = chance.choice(SIZES), number % 2 == 0
        place = root / str(number)
        known = -1
        if not fresh:
            blob(fast(place), upstream=True).generate(value=content(0, 1000))
            known = 0
        reader, writer = os.pipe()
        process = os.fork()
        if not process:
            try:
                persist_until_killed(place, 1, size, writer)
            finally:
                os._exit(1)
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        time.sleep(chance.random() * (0.004 + size / 300_000_000))
        kill(process)
        try:
            payload = loaded(place, upstream=True)
        except MissingArtifactError:
            assert fresh, "an artifact was lost"
            missing += 1
        else:
            assert int(payload[:8]) >= max(known, 0)
            assert payload in (content(int(payload[:8]), size), content(0, 1000))
        litter += bool(temps(place)) or len([path for path in artifact_files(place) if path.endswith(".pickle")]) > 1
        store = fast(place)
        store.sweep(grace=0)
        made = blob(store, upstream=True)
        left = {os.path.basename(path) for path in artifact_files(place)}
        if payload_is_there := (place / "blob" / f"{made.key}.json").exists():
            assert left == {f"{made.key}.json", f"{made.key}.lineage.json", made.record.main_path}
            assert [finding.problem for finding in store.check()] == [None]
        else:
            assert left == set()
        made.load_generate(value=b"again")
        assert payload_is_there or made.payload == b"again"
    return litter, missing


def test_kill_loop(tmp_path) -> None:
    """A hundred and twenty processes are killed while they persist: old or new loads, and a sweep takes the rest."""
    litter, _ = kills(tmp_path, 120, seed=1)
    assert litter > 0, "no kill came at an interesting moment: the delays do not fit this machine"


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 12))
def test_kill_campaign(seed: int, tmp_path) -> None:
    """Five thousand kills, five hundred at a time."""
    kills(tmp_path, 500, seed=seed)


def test_temps_of_the_living_stay(tmp_path) -> None:
    """A sweep leaves alone what a live process is writing at the moment, and takes it once that is dead."""
    process = os.fork()
    if not process:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

            class Slow:
                def __reduce__(self) -> tuple:
                    time.sleep(30)
                    return int, ()

            blob(fast(tmp_path)).generate(value=[b"x" * 1_000_000, Slow()])
        finally:
            os._exit(1)
    deadline = time.monotonic() + 10
    while not temps(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(temps(tmp_path)) == 1
    assert fast(tmp_path).sweep(grace=0).names == ()
    kill(process)
    assert len(temps(tmp_path)) == 1
    assert fast(tmp_path).sweep(grace=3600).names == ()
    swept = fast(tmp_path).sweep(grace=0)
    assert len(swept.names) == 1
    assert swept.bytes > 0
    assert temps(tmp_path) == []
