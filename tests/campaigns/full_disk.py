"""A disk that is really full, after every possible number of pages: a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from specimens import artifact_files, blob, in_child, stored, temps

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.children import mounted, own_mounts, require_root
from campaigns.samples import SAMPLES, garbage, installed
from persistable import ArtifactStore

__all__ = ["CAMPAIGN"]

_DISK = 1 << 20
_SIZES = (100_000, 40_000)  # one is streamed into its file, one is held and written at once
_PAGE = 4096


def _run(setting: Setting, case: str) -> Tally:
    """Persist beside ballast that leaves fewer and fewer pages, in a child with its own mounts."""
    require_root("mounting a small tmpfs")

    def work() -> Tally:
        own_mounts()
        mounted("-t", "tmpfs", "-o", f"size={_DISK},mode=755", "tmpfs", setting.folder)
        tally = Tally()
        for kind in ("first", "over"):
            for size, pages in itertools.product(_SIZES, _room(setting)):
                tally.rounds += 1
                _fill(setting, tally, case, kind, size, pages)
        return tally

    tally: Tally = in_child(work)
    return tally


def _room(setting: Setting) -> Iterator[int]:
    """Yield how many pages are left, from none to what a commit needs."""
    yield from range(0, 40, setting.pick(5, 1))


def _fill(setting: Setting, tally: Tally, case: str, kind: str, size: int, pages: int) -> None:
    sample, root, ballast = SAMPLES[case], setting.folder / "data", setting.folder / "ballast"
    where = f"{case}, {kind}, {size} bytes, {pages} pages left"
    store = ArtifactStore(root, **setting.options)
    root.mkdir()
    if kind == "over":
        stored(store, sample.make(1, size), payload_io=case)
    before = artifact_files(root)
    made: Any = blob(store, payload_io=case)
    payload = sample.make(2, size)
    made.generate(persist=False, value=payload)
    _leave(ballast, pages)
    try:
        made.persist()
    except OSError as error:
        tally.saw("refused")
        tally.require(error.errno == errno.ENOSPC, "mistyped", f"{where}: {error!r}")
        tally.require(artifact_files(root) == before, "old lost or garbage", where)
        tally.require(temps(root) == [], "old lost or garbage", where)
        tally.require(made.payload is payload, "payload lost", where)
        ballast.unlink()
        made.persist()
    except BaseException as error:  # noqa: BLE001 - counted
        tally.fault("mistyped", f"{where}: {error!r}")
        ballast.unlink()
        made.persist()
    else:
        tally.saw("fitted")
        ballast.unlink()
    fresh = blob(store, payload_io=case)
    fresh.load()
    tally.require(sample.same(fresh.payload, payload), "payload lost", f"{where}: afterwards")
    tally.require(garbage(root) == [], "old lost or garbage", f"{where}: afterwards {garbage(root)}")
    subprocess.run(["rm", "-rf", str(root)], check=True)


def _leave(ballast: Path, pages: int) -> None:
    """Fill the disk up to some pages."""
    with open(ballast, "wb", buffering=0) as file:
        free = os.statvfs(ballast).f_bavail * os.statvfs(ballast).f_bsize - pages * _PAGE
        file.write(bytes(max(0, free)))
    left = os.statvfs(ballast).f_bavail * os.statvfs(ballast).f_bsize
    assert left == pages * _PAGE, f"{left} bytes left instead of {pages} pages"


CAMPAIGN = Campaign(
    name="full disk",
    promise="On a disk that is full the error is ENOSPC, the old artifact stays as it was, nothing of the new one is "
    "left, and the payload in memory can be persisted once there is room.",
    faults=("mistyped", "old lost or garbage", "payload lost"),
    cases=installed,
    run=_run,
)
