"""Tiny hit and miss: what it costs where the payload costs nothing, beside other caches and bare files.

A hit constructs and loads: record and payload are verified, trust is checked. A miss constructs, generates and
commits; ``load_generate`` also looks first and takes the lock of the key. The floors are ``open`` and
``pickle.load``, and a temporary file that is written and renamed, with fsync of file and folder where the artifact is
flushed. Peers do not flush; they stand beside ``durability="fast"``.
"""

from __future__ import annotations

import itertools
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import payloads, peers
from benchmarks.children import contestant
from benchmarks.measure import Lane, Table, remote
from benchmarks.report import Report
from persistable import ArtifactStore, Persistable, PersistableParams

_MANY = 2000  # artifacts: more than records are remembered in a process


@dataclass
class TinyParams(PersistableParams):
    """Five fields."""

    n: int
    rate: float = 0.1
    name: str = "adam"
    layers: int = 3
    shuffle: bool = True


class Tiny(Persistable[dict[str, float], TinyParams]):
    """Two numbers."""

    def _generate_payload(self, **untracked: Any) -> dict[str, float]:
        return payloads.TINY


def load_bare(folder: str, *, files: int = 1) -> Callable[[], Any]:
    """Return what opens and unpickles a file, of several one after the other."""
    paths = [f"{folder}/{number}.pickle" for number in range(files)]
    for path in paths:
        with open(path, "wb") as file:
            pickle.dump(payloads.TINY, file, protocol=5)
    turn = itertools.cycle(paths)

    def load() -> Any:
        with open(next(turn), "rb") as file:
            return pickle.load(file)

    return load


def write_bare(folder: str, *, durable: bool, files: int = 1) -> Callable[[], None]:
    """Return what writes so many temporary files and renames each to a new name."""
    numbers = itertools.count()

    def write() -> None:
        number = next(numbers)
        data = pickle.dumps(payloads.TINY, protocol=5)
        for part in range(files):
            with open(f"{folder}/.tmp-{number}", "wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(f"{folder}/.tmp-{number}", f"{folder}/{number}-{part}.pickle")
            if durable:
                descriptor = os.open(folder, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)

    return write


def miss_bare(folder: str, *, durable: bool) -> Callable[[], None]:
    """Return what makes the calls of the system that no miss under a lock can do without, and little else.

    The key is looked for, locked and looked for again; payload and record are written, flushed if asked, and renamed;
    the log gets a line. What it writes is as long as what a miss writes, and has been made before.
    """
    import errno
    import fcntl
    import struct

    payload, record, line = pickle.dumps(payloads.TINY, protocol=5), b"r" * 1065, b"l" * 200
    create, append = os.O_WRONLY | os.O_CREAT | os.O_EXCL, os.O_WRONLY | os.O_CREAT | os.O_APPEND
    numbers = itertools.count()
    region = [struct.pack("hhqqi4x", kind, os.SEEK_SET, 1, 1, 0) for kind in (fcntl.F_WRLCK, fcntl.F_UNLCK)]

    def is_missing(path: str) -> bool:
        try:
            os.open(path, os.O_RDONLY)
        except FileNotFoundError as error:
            return error.errno == errno.ENOENT
        return False

    def write(path: str, data: bytes, flags: int = create) -> None:
        descriptor = os.open(path, flags, 0o644)
        os.write(descriptor, data)
        if durable and flags == create:
            os.fsync(descriptor)
        os.close(descriptor)

    def place(staged: str, path: str) -> None:
        os.rename(staged, path)
        if durable:
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def miss() -> None:
        number = next(numbers)
        staged, final = f"{folder}/.tmp-{number}", f"{folder}/{number}"
        assert is_missing(f"{final}.json")
        lock = os.open(f"{folder}/.lock", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, region[0])
        os.fstat(lock)
        os.pwrite(lock, line[:128], 0)
        assert is_missing(f"{final}.json")
        write(staged, payload)
        place(staged, f"{final}.pickle")
        write(staged, record)
        place(staged, f"{final}.json")
        write(f"{folder}/log.txt", line, append)
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, region[1])
        os.close(lock)

    return miss


def run(report: Report) -> None:
    """Time hits, then misses at both durabilities."""
    hits(report)
    for durability in ("fast", "full"):
        misses(report, durability)


def hits(report: Report) -> None:
    """Time hits: of one artifact again and again, as of the peers, and of so many that none is remembered."""
    folder = report.path("hit")
    store = ArtifactStore(folder, durability="fast")
    for number in range(1, 1 + _MANY):
        Tiny(store, TinyParams(number)).load_generate()
    turn = itertools.cycle(range(1, 1 + _MANY))
    lanes = [
        Lane("open + pickle.load", load_bare(report.path("hit-bare")), role="floor"),
        Lane(
            f"open + pickle.load, {_MANY} in turn", load_bare(report.path("hit-bare-many"), files=_MANY), role="floor"
        ),
        Lane("persistable", lambda: Tiny(store, TinyParams(1)).load(), role="ours"),
        Lane(f"persistable, {_MANY} in turn", lambda: Tiny(store, TinyParams(next(turn))).load(), role="ours"),
        Lane("persistable, a path as data_dir", lambda: Tiny(folder, TinyParams(1)).load(), role="ours"),
    ]
    with_peers(report, "tiny hit", lanes, "hit", seconds=12, judge=judge_hit)


def judge_hit(report: Report, table: Table) -> None:
    """Compare with the budgets."""
    report.judge("hit-floor", table.ratio("persistable"), table.control)
    faster = {"hit-predecessor": peers.PREDECESSOR, "hit-joblib": "joblib.Memory", "hit-kedro": "kedro PickleDataset"}
    for budget, name in faster.items():
        if name in table.samples:
            report.judge(budget, table.ratio(name, "persistable"), table.control)
    if "diskcache.memoize" in table.samples:
        report.judge("hit-diskcache", table.ratio("persistable", "diskcache.memoize"), table.control)


def misses(report: Report, durability: Any) -> None:
    """Time misses."""
    durable = durability == "full"
    numbers = itertools.count()
    store = ArtifactStore(report.path(f"miss-{durability}"), durability=durability)
    Tiny(store, TinyParams(-1)).load_generate()  # the folder is there
    fsync = ", fsync" if durable else ""
    lanes = [
        Lane(
            f"temp + write + rename{fsync}", write_bare(report.path(f"{durability}-1"), durable=durable), role="floor"
        ),
        Lane(
            f"two such files{fsync}", write_bare(report.path(f"{durability}-2"), durable=durable, files=2), role="floor"
        ),
        Lane(
            f"the calls of a miss, bare{fsync}",
            miss_bare(report.path(f"{durability}-3"), durable=durable),
            role="floor",
        ),
        Lane("persistable generate()", lambda: Tiny(store, TinyParams(next(numbers))).generate(), role="ours"),
        Lane(
            "persistable load_generate()", lambda: Tiny(store, TinyParams(next(numbers))).load_generate(), role="ours"
        ),
    ]
    title = f"tiny miss, durability={durability}"
    if durable:
        table = report.compare(title, lanes, seconds=20)
        report.judge("miss-full", table.ratio("persistable load_generate()"), table.control)
    else:
        with_peers(report, title, lanes, "miss", seconds=20, judge=judge_miss)


def judge_miss(report: Report, table: Table) -> None:
    """Compare with the budgets."""
    report.judge("miss-fast", table.ratio("persistable generate()"), table.control)
    report.judge("miss-fast-lock", table.ratio("persistable load_generate()"), table.control)


def with_peers(
    report: Report,
    title: str,
    lanes: list[Lane],
    act: str,
    *,
    seconds: float,
    judge: Callable[[Report, Table], None],
) -> None:
    """Compare with the peers that are there; 1.3.1 in a process of its own, which waits while the others run."""
    for name, peer in peers.IN_PROCESS.items():
        try:
            remembered = peer(report.path(f"{act} {name}"), payloads.tiny)
        except ImportError as error:
            report.missing(name, error)
            continue
        remembered(0)
        numbers = itertools.count(1)
        lanes.append(Lane(name, hit_of(remembered) if act == "hit" else miss_of(remembered, numbers)))
    try:
        child = contestant(peers.PREDECESSOR, "tiny", f"{report.folder}/{act} predecessor")
    except ImportError as error:
        report.missing(peers.PREDECESSOR, error)
        judge(report, report.compare(title, lanes, seconds=seconds))
        return
    with child:
        judge(report, report.compare(title, [*lanes, remote(peers.PREDECESSOR, child, act)], seconds=seconds))


def hit_of(remembered: peers.Compute) -> Callable[[], object]:
    """Return what asks for the same again and again."""
    return lambda: remembered(0)


def miss_of(remembered: peers.Compute, numbers: Any) -> Callable[[], object]:
    """Return what asks for something new each time."""
    return lambda: remembered(next(numbers))
