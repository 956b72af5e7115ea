"""SIGKILL, ENOSPC, EIO and EINTR at every call of a commit that writes, by strace, one call and one fault per run."""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from specimens import blob, fork, stored, temps

from campaigns.campaign import Campaign, Setting, Tally, Unavailable
from campaigns.samples import SAMPLES, Sample, garbage, installed, standing
from persistable import ArtifactStore

__all__ = ["CAMPAIGN"]

# fmt: off
_CALLS = (
    "open", "openat", "creat", "write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "sync_file_range",
    "ftruncate", "fallocate", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink",
    "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "fcntl", "close",
)
_BY_DESCRIPTOR = ("write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "sync_file_range", "ftruncate",
                  "fallocate", "fchmod", "fcntl", "close")
# what a commit does without: all was flushed before it, or others will see to it
_DISPENSABLE = ("fcntl", "close", "unlink", "unlinkat", "rmdir")
_OPENED_AGAIN = ("npz",)  # by zipfile, in another mode
# fmt: on
_FAULTS = ("SIGKILL", "ENOSPC", "EIO", "EINTR")
_SIZE = 3_000
_BIG = 5_000_000  # flushed in another thread
_BY_PYARROW = ("parquet", "csv", "feather")
_SHORT = 6
_ATTACHED = 30.0  # seconds
_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_PATH = re.compile(r'"([^"]*)"')


class _Point(NamedTuple):
    """The n-th call of a name in a commit, and what it is called with."""

    call: str
    number: int
    what: str


class _Outcome(NamedTuple):
    """What became of a child: None where it died of SIGKILL, else the error it reported, if any."""

    reported: bool
    error: str | None
    errno: int | None
    is_os_error: bool


def _run(setting: Setting, case: str) -> Tally:
    """Count the calls of a commit, then run it once per call and fault."""
    if not sys.platform.startswith("linux") or shutil.which("strace") is None:
        raise Unavailable("strace is not installed: apt-get install strace (Linux only)")
    sample, chance, tally = SAMPLES[case], setting.chance(case), Tally()
    for size in (_SIZE, _BIG):  # what is imported once is no call of a commit, and would shift all that come after it
        stored(ArtifactStore(setting.folder / "warm"), sample.make(1, size), payload_io=sample.format, upstream=True)
    scenarios = [("first", _SIZE), ("over", _SIZE), *setting.pick([], [("first", _BIG), ("over", _BIG)])]
    for kind, size in scenarios:
        points = list(_points(setting, sample, kind, size))
        tally.saw(f"calls of a commit, {kind}, {size} bytes", len(points))
        if not setting.full and case != "pickle":
            points = chance.sample(points, min(_SHORT, len(points)))  # all of them once is enough for the short version
        for point in points:
            for fault in setting.pick([chance.choice(_FAULTS)], _FAULTS):
                tally.rounds += 1
                _strike(setting, tally, sample, kind, size, point, fault)
    return tally


def _prepared(setting: Setting, sample: Sample, kind: str, size: int) -> tuple[Path, Any]:
    root = setting.folder / "data"
    shutil.rmtree(root, ignore_errors=True)
    store = ArtifactStore(root, **{"lock_timeout": 5.0} | dict(setting.options))
    if kind == "over":
        stored(store, sample.make(1, size), payload_io=sample.format, upstream=True)
    made = blob(store, payload_io=sample.format, upstream=True)
    made.generate(persist=False, value=sample.make(2, size))
    return root, made


def _traced(made: Any, log: Path, expressions: Sequence[str]) -> _Outcome:
    """Persist in a child under strace, which is attached just before; return what the child says."""
    go_reader, go_writer = os.pipe()
    reader, writer = os.pipe()
    process = fork()
    if not process:
        try:
            if hasattr(ctypes.CDLL(None), "prctl"):
                ctypes.CDLL(None).prctl(0x59616D61, -1)  # PR_SET_PTRACER: any, where Yama restricts it
            os.close(go_writer)
            os.write(writer, b".")  # what was called so far is no call of the commit, and must not be counted
            os.read(go_reader, 1)
            outcome = _Outcome(True, None, None, False)
            try:
                made.persist()
            except BaseException as error:  # noqa: BLE001 - told to the parent
                outcome = _Outcome(True, repr(error), getattr(error, "errno", None), isinstance(error, OSError))
            os.write(writer, pickle.dumps(outcome))
        finally:
            os._exit(0)
    os.close(go_reader)
    os.close(writer)
    os.read(reader, 1)
    command = ["strace", "-f", "-y", "-o", str(log), "-p", str(process), *expressions]
    strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert strace.stderr is not None
    said = strace.stderr.readline()
    attached = "attached" in said
    os.write(go_writer, b"g") if attached else os.kill(process, signal.SIGKILL)
    os.close(go_writer)
    with open(reader, "rb") as pipe:
        told = pipe.read()
    os.waitpid(process, 0)
    strace.communicate(timeout=_ATTACHED)
    if not attached:
        raise Unavailable(f"strace cannot attach here: {said.strip()}")
    return pickle.loads(told) if told else _Outcome(False, None, None, False)


def _points(setting: Setting, sample: Sample, kind: str, size: int) -> Iterator[_Point]:
    """Yield every call of one commit that writes, creates, moves or removes, or closes what was written."""
    log = setting.folder / "calls"
    root, made = _prepared(setting, sample, kind, size)
    outcome = _traced(made, log, ["-e", f"trace={','.join(f'?{call}' for call in _CALLS)}"])
    assert outcome.reported, "the child died without a fault"
    assert outcome.error is None, outcome.error
    numbers: Counter[tuple[str, str]] = Counter()
    written: set[str] = set()
    found: set[tuple[str, int]] = set()
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue  # a signal, an exit, or the end of a call that was counted already
        thread, call, rest = match.groups()
        numbers[thread, call] += 1
        if call == "write" and "pipe:" in rest.partition(",")[0]:
            break  # the report to the parent: the commit is over
        named = [] if call in _BY_DESCRIPTOR else _PATH.findall(rest)
        path = (named or [rest.partition("<")[2].partition(">")[0]])[0]
        if call in ("open", "openat"):
            if not re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest):
                continue
            written.add(path)
        if call == "fsync":
            written.add(path)  # a folder: what its close says counts, too
        if call in ("close", "fcntl") and path not in written:
            continue
        if call == "fcntl" and "SETLK" not in rest:
            continue
        # strace counts per call and thread: the first call of two threads fails in both
        if (call, numbers[thread, call]) not in found:
            found.add((call, numbers[thread, call]))
            yield _Point(call, numbers[thread, call], path.replace(str(root), ""))


def _strike(setting: Setting, tally: Tally, sample: Sample, kind: str, size: int, point: _Point, fault: str) -> None:
    """Run one commit with one fault, and judge what is there afterwards."""
    where = f"{sample.format}, {kind}, {size} bytes: {fault} at {point.call} {point.number} ({point.what})"
    root, made = _prepared(setting, sample, kind, size)
    action = "signal=KILL" if fault == "SIGKILL" else f"error={fault}"
    injected = f"inject={point.call}:{action}:when={point.number}"
    outcome = _traced(made, setting.folder / "calls", ["-e", f"trace={point.call}", "-e", injected])
    tally.saw("killed" if not outcome.reported else "reported" if outcome.error else "survived")
    if not outcome.reported and fault != "SIGKILL":
        # strace counts per thread: it may have met a thread that closes a pipe of pyarrow, which then gives up
        if sample.format in _BY_PYARROW and _struck_a_pipe(setting.folder / "calls"):
            tally.saw("pipes of pyarrow struck instead")
        else:
            tally.fault("died", where)
        return
    tally.require(fault != "SIGKILL" or not outcome.reported, "missed", where)
    needed = fault in ("ENOSPC", "EIO") and point.call not in _DISPENSABLE and not point.what.endswith("log.txt")
    needed &= not (point.call == "openat" and ".tmp-" in point.what and sample.format in _OPENED_AGAIN)
    tally.require(outcome.error is not None or not needed, "unreported", where)
    if outcome.error is not None:
        code = getattr(errno, fault, None)
        if outcome.is_os_error and outcome.errno is None and point.call == "close" and sample.format in _BY_PYARROW:
            tally.saw("OSError without errno, as pyarrow raises it of close")
        else:
            tally.require(outcome.is_os_error and outcome.errno == code, "mistyped", f"{where}: {outcome.error}")
    old, new = (1 if kind == "over" else None), 2
    allowed: tuple[int | None, ...] = (old, new) if outcome.error or not outcome.reported else (new,)
    try:
        found = standing(root, sample)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        tally.fault("unrecoverable", f"{where}: {error!r}")
        return
    number = None if found is None else found.number
    whole = found is None or sample.same(found.payload, sample.make(found.number, size))
    tally.require(number in allowed and whole, "wrong", f"{where}: found {number}, allowed {allowed}")
    if outcome.error is not None:
        left = [*garbage(root), *temps(root)]
        if point.call == "fsync" and number == new and len(left) == 1 and kind == "over":
            # the record is in place, but nobody knows whether the disk has it: after a power cut the old record may be
            # there again, and needs its payload
            tally.saw("superseded payload kept for a record that may not be on disk")
        else:
            tally.require(not left, "garbage after a reported error", f"{where}: {left}")
    store = ArtifactStore(root)
    store.sweep(grace=0)
    left = [*garbage(root), *temps(root)]
    tally.require(not left, "left after a sweep", f"{where}: {left}")
    tally.require(all(finding.problem is None for finding in store.check()), "unrecoverable", f"{where}: check()")
    made.persist()
    again = blob(store, payload_io=sample.format, upstream=True)
    again.load()
    tally.require(sample.number(again.payload) == new, "unrecoverable", f"{where}: cannot be persisted afterwards")


def _struck_a_pipe(log: Path) -> bool:
    """Whether a call that was made to fail was about a pipe."""
    lines = log.read_text(errors="replace").splitlines()
    return any("<pipe:" in line and ("INJECTED" in line or "unfinished" in line) for line in lines)


CAMPAIGN = Campaign(
    name="syscalls",
    promise="Whatever fails, at whichever call of a commit that writes: the error is reported with its type, old or "
    "new (or none, if there was none) is there, whole, and after a reported error there is no garbage.",
    faults=(
        "wrong",
        "unrecoverable",
        "unreported",
        "mistyped",
        "died",
        "missed",
        "garbage after a reported error",
        "left after a sweep",
    ),
    cases=installed,
    run=_run,
)
