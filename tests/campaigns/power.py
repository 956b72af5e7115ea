"""Power cuts: an ext4 file system on a loop device is shut down in mid-write, without its journal being flushed.

The ioctl is the one that the file systems' own test suite (xfstests, "godown") uses: whatever the kernel has not
handed to the device is lost, and the next mount replays the journal. What a disk loses of what it has been given and
not yet been told to flush is not simulated.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from specimens import blob, in_child, kill, stored

from campaigns.campaign import Campaign, Setting, Tally, Unavailable
from campaigns.children import child, mounted, own_mounts, require_root, unmounted
from campaigns.samples import SAMPLES, Sample, garbage, installed, standing
from persistable import ArtifactStore

__all__ = ["CAMPAIGN"]

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
_NO_LOG_FLUSH = struct.pack("I", 2)
_IMAGE = 64 << 20
_SLOTS = 6  # data_dirs in turn: some rounds write for the first time, most over what an earlier cut has left
_SIZES = (500, 30_000, 1_000_000)
_DELAY = 0.3  # seconds: half a dozen commits
_FORMATS = ("pickle", "npy", "parquet", "json")
_MOUNTS = {"ext4": "loop", "ext4 writeback": "loop,data=writeback"}


class _Disk:
    """A file system in a file."""

    def __init__(self, folder: Path, options: str) -> None:
        self.image, self.root, self.options = folder / "image", folder / "mounted", options
        self.root.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(_IMAGE)
        try:
            made = subprocess.run(
                ["mkfs.ext4", "-q", "-F", str(self.image)], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise Unavailable("mkfs.ext4 is not installed: apt-get install e2fsprogs") from None
        if made.returncode:
            raise Unavailable(f"mkfs.ext4 failed: {made.stderr.strip()}")

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        """Mount it for a while; the journal of the last cut is replayed."""
        mounted("-o", self.options, self.image, self.root)
        try:
            yield self.root
        finally:
            unmounted(self.root)

    def cut(self) -> None:
        """Lose everything that has not reached the device, from this moment on."""
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _NO_LOG_FLUSH)
        except OSError as error:
            raise Unavailable(f"the file system cannot be shut down: {error}") from None
        finally:
            os.close(descriptor)


def _run(setting: Setting, case: str) -> Tally:
    """Cut the power on durability="full", then, as a control that the cut is one, on durability="fast"."""
    require_root("mounting a loop device")

    def work() -> Tally:
        own_mounts()
        tally = Tally()
        for name in installed(*_FORMATS):  # what is imported once takes none of the time before a cut
            stored(ArtifactStore(setting.folder / "warm"), SAMPLES[name].make(1, 100), payload_io=name)
        for durability, rounds in (("full", setting.pick(8, 500)), ("fast", setting.pick(3, 100))):
            folder = setting.folder / durability
            folder.mkdir()
            disk = _Disk(folder, _MOUNTS[case])
            known: dict[int, int] = {}
            chance = setting.chance(f"{case} {durability}")
            for number in range(rounds):
                if durability == "full":
                    tally.rounds += 1
                    how = {"durability": "full"} | dict(setting.options)
                    _round(disk, tally, chance, number % _SLOTS, known, how)
                else:
                    control = Tally()
                    _round(disk, control, chance, number % _SLOTS, {}, {"durability": "fast"})
                    tally.saw('control: cuts with durability="fast"')
                    for name in CAMPAIGN.faults:
                        tally.saw(f"control: {name}", bool(control.faults[name]))
                    with disk.mounted() as root:
                        shutil.rmtree(root / f"data{number % _SLOTS}", ignore_errors=True)
        return tally

    tally: Tally = in_child(work)
    return tally


def _round(
    disk: _Disk, tally: Tally, chance: random.Random, slot: int, known: dict[int, int], how: dict[str, str]
) -> None:
    """Persist until the power is cut, then look at what the disk has."""
    formats = installed(*_FORMATS)
    sample, size = SAMPLES[formats[slot % len(formats)]], _SIZES[slot % len(_SIZES)]
    where = f"{sample.format}, {size} bytes, {how}"
    before = known.get(slot, 0)
    with disk.mounted() as mount:
        root = mount / f"data{slot}"
        process, reader = child(lambda told: _persist(root, sample, size, before, told, how))
        os.read(reader, 1)
        time.sleep(chance.random() * _DELAY)
        disk.cut()
        kill(process)
        with open(reader, "rb") as pipe:
            acknowledged = before + pipe.read().count(b"a")
    tally.saw("commits acknowledged", acknowledged - before)
    with disk.mounted() as mount:
        known[slot] = acknowledged
        _judge(mount / f"data{slot}", tally, sample, size, acknowledged, where)
        number = _number(mount / f"data{slot}", sample)
        known[slot] = max(acknowledged, number)


def _persist(root: Path, sample: Sample, size: int, before: int, told: int, how: dict[str, str]) -> None:
    """Persist one payload after the other, and acknowledge each; ends with the file system."""
    made = blob(ArtifactStore(root, **how), payload_io=sample.format, upstream=True)
    os.write(told, b"s")
    for number in range(before + 1, 10**9):
        with contextlib.suppress(OSError):
            made.generate(value=sample.make(number, size))
            os.write(told, b"a")


def _number(root: Path, sample: Sample) -> int:
    try:
        found = standing(root, sample)
    except Exception:  # noqa: BLE001 - judged before
        return 0
    return 0 if found is None else found.number


def _judge(root: Path, tally: Tally, sample: Sample, size: int, acknowledged: int, where: str) -> None:
    try:
        found = standing(root, sample)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        tally.fault("unrecoverable", f"{where}: {error!r}")
        return
    if found is None:
        tally.require(acknowledged == 0, "acknowledged lost", f"{where}: all of {acknowledged}")
    else:
        tally.require(found.number >= acknowledged, "acknowledged lost", f"{where}: {found.number} of {acknowledged}")
        tally.require(sample.same(found.payload, sample.make(found.number, size)), "wrong", where)
    store = ArtifactStore(root)
    problems = [finding.problem for finding in store.check() if finding.problem]
    tally.require(not problems, "unrecoverable", f"{where}: {problems}")
    tally.saw("files left to the sweep", len(garbage(root)))
    store.sweep(grace=0)
    tally.require(not garbage(root), "left after a sweep", f"{where}: {garbage(root)}")


CAMPAIGN = Campaign(
    name="power",
    promise='With durability="full", the default, what persist() has acknowledged survives a power cut, and what it '
    "has not is old, new or nothing.",
    faults=("wrong", "unrecoverable", "acknowledged lost", "left after a sweep"),
    cases=lambda: list(_MOUNTS),
    run=_run,
)
