"""Three readers, one of them memory-mapped where the format can be, against a writer that overwrites all the time."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any, NamedTuple

from specimens import blob, fast, outcome_of, spawn

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.samples import SAMPLES, Sample, installed

__all__ = ["CAMPAIGN"]

_READERS = 3
_READS = {"npy": 100_000, "pickle": 100_000}  # full; the others fewer, as every reader does the same
_FEWER = 30_000


class _Read(NamedTuple):
    """What one reader has seen."""

    reads: int
    torn: int
    raised: list[str]
    numbers: int


def _size(number: int) -> int:
    return 1_000 + 700 * (number % 60)


def _write(setting: Setting, root: Path, sample: Sample) -> None:
    made = blob(fast(root, **setting.options), payload_io=sample.format)
    for number in itertools.count(1):
        made.generate(value=sample.make(number, _size(number)))


def _read(setting: Setting, root: Path, sample: Sample, payload_io: Any, reads: int) -> _Read:
    torn, raised, numbers, held = 0, [], set(), []
    for _ in range(reads):
        try:
            fresh = blob(fast(root, **setting.options), payload_io=payload_io)
            fresh.load()
            payload = fresh.payload
            number = sample.number(payload)
            torn += not sample.same(payload, sample.make(number, _size(number)))
            numbers.add(number)
            held = [*held[-20:], (number, payload)]  # what was mapped stays mapped while it is overwritten
        except Exception as error:  # noqa: BLE001 - counted
            raised.append(repr(error))
    torn += sum(not sample.same(payload, sample.make(number, _size(number))) for number, payload in held)
    return _Read(reads, torn, raised[:5], len(numbers))


def _run(setting: Setting, case: str) -> Tally:
    """Let them read their share each, and stop the writer when they are done."""
    sample, tally, root = SAMPLES[case], Tally(), setting.folder / "data"
    blob(fast(root, **setting.options), payload_io=case).generate(value=sample.make(0, _size(0)))
    mapped: Any = case
    if case == "npy":
        from persistable_numpy import NpyFileIO

        mapped = NpyFileIO(mmap_mode="r")
    elif case == "feather":
        from persistable_arrow import FeatherFileIO

        mapped = FeatherFileIO(memory_map=True)
    tally.saw("memory-mapped readers", mapped != case)
    share = -(-setting.pick(900, _READS.get(case, _FEWER)) // _READERS)  # no read too few
    writer = spawn(lambda: _write(setting, root, sample))
    try:
        ways = [mapped, *[case] * (_READERS - 1)]
        readers = [spawn(lambda way=way: _read(setting, root, sample, way, share)) for way in ways]
        found = [outcome_of(reader) for reader in readers]
    finally:
        os.kill(writer[0], signal.SIGKILL)
        os.waitpid(writer[0], 0)
        os.close(writer[1])
    for one in found:
        tally.rounds += one.reads
        if one.torn:
            tally.fault("torn", f"{one.torn} of {one.reads}", one.torn)
        for error in one.raised:
            tally.fault("raised", error)
        tally.most("different payloads seen by a reader", one.numbers)
    tally.require(max(one.numbers for one in found) > 1, "idle writer")
    return tally


CAMPAIGN = Campaign(
    name="readers",
    promise="A reader beside a writer that overwrites gets a whole payload every time, and keeps what it has mapped.",
    faults=("torn", "raised", "idle writer"),
    cases=installed,
    run=_run,
)
