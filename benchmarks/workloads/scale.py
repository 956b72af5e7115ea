"""Scale: stores of 1e3 to 1e5 artifacts (``--full``: 1e6), all under one payload name: hit, list, sweep, verify.

The stores are written without the library, record and payload of each artifact in their real layout. A hit is of a key
drawn at random. The floors: a bare file of the same folder opened and unpickled; the folder scanned; every file read.
"""

from __future__ import annotations

import os
import pickle
import random
import time
from collections.abc import Callable

from benchmarks import payloads
from benchmarks.measure import Lane
from benchmarks.report import Report
from benchmarks.workloads.tiny import Tiny, TinyParams
from persistable import ArtifactStore
from persistable.digest import digest_of


def run(report: Report) -> None:
    """Build each store and time what its size may slow down."""
    sizes = [10**3, 10**4, 10**5, *([10**6] if report.full else [])]
    if report.quick:
        sizes = [50, 200]
    lines: dict[str, dict[int, float]] = {}
    upkeep: dict[str, dict[int, float]] = {}
    for size in sizes:
        report.say(f"building a store of {size}")
        root = report.path(f"store of {size}")
        build(root, size)
        store = ArtifactStore(root)
        draw = random.Random(0)
        files = [entry.path for entry in os.scandir(f"{root}/tiny") if entry.name.endswith(".pickle")]

        def bare(files: list[str] = files, draw: random.Random = draw) -> None:
            with open(draw.choice(files), "rb") as file:
                pickle.load(file)

        table = report.compare(
            f"tiny hit in a store of {size}",
            [
                Lane("open + pickle.load", bare, role="floor"),
                Lane("persistable", lambda: Tiny(store, TinyParams(draw.randrange(size))).load(), role="ours"),  # noqa: B023
                Lane("a miss: nothing under this key", lambda: _missing(store, size), role="ours"),  # noqa: B023
            ],
            seconds=4,
        )
        for name in table.samples:
            lines.setdefault(name, {})[size] = table.seconds(name).median
        acts: dict[str, Callable[[], int]] = {
            "scan the folder (floor)": lambda: sum(1 for _ in os.scandir(f"{root}/tiny")),  # noqa: B023
            "read every file (floor)": lambda: read_all(f"{root}/tiny"),  # noqa: B023
            "list": lambda: sum(1 for _ in store.list()),  # noqa: B023
            "sweep of fresh files": lambda: len(store.sweep().names),  # noqa: B023
            "sweep of old files": lambda: len(store.sweep(grace=0).names),  # noqa: B023
            "verify: check": lambda: sum(finding.problem is None for finding in store.check()),  # noqa: B023
        }
        expected = {"list": size, "sweep of fresh files": 0, "sweep of old files": 0, "verify: check": size}
        for name, act in acts.items():
            report.say(f"{name}, {size} artifacts")
            taken = []
            for _ in range(3 if size <= 10**4 else 1):
                started = time.perf_counter()
                found = act()
                taken.append(time.perf_counter() - started)
                assert found == expected.get(name, found), (name, found)
            upkeep.setdefault(name, {})[size] = sorted(taken)[len(taken) // 2]
    report.curve("hit by size of the store", "artifacts", lines, note="Median seconds for one.")
    report.curve(
        "upkeep by size of the store",
        "artifacts",
        upkeep,
        note="Seconds for the whole store; the files are in the page cache.",
    )


def _missing(store: ArtifactStore, size: int) -> None:
    try:
        Tiny(store, TinyParams(size + 1)).load()
    except FileNotFoundError:
        return
    raise AssertionError("there is one")


def read_all(folder: str) -> int:
    """Read every file of a folder; return how many there are."""
    count = 0
    for entry in os.scandir(folder):
        with open(entry.path, "rb") as file:
            file.read()
        count += 1
    return count


def build(root: str, size: int) -> None:
    """Write so many artifacts: the record of a real one with another key, param, name of the payload and check."""
    store = ArtifactStore(root, durability="fast")
    first = Tiny(store, TinyParams(0))
    first.load_generate()
    content = pickle.dumps(payloads.TINY, protocol=5)
    folder, suffix = f"{root}/tiny", os.path.basename(first.record.main_path)[32:]
    model = first.record.raw.decode()
    body, _ = model.rsplit('"check": "', 1)
    assert '"n":0' in body
    for n in range(1, size):
        key = Tiny(store, TinyParams(n)).key
        text = body.replace(first.key, key).replace('"n":0', f'"n":{n}', 1)
        record = f'{text}"check": "{digest_of(text.encode())}"\n}}\n'.encode()
        for name, data in ((f"{key}{suffix}", content), (f"{key}.json", record)):
            descriptor = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(descriptor, data)
            os.close(descriptor)
    os.sync()
