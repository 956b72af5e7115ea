"""How much memory an act needs, in a process of its own that has prepared everything before. Linux only."""

from __future__ import annotations

import gc
import importlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Peak", "peak_of"]


class Peak(NamedTuple):
    """Bytes above what the process had before: resident, and the part of it that is no file's (sampled)."""

    resident: int
    anonymous: int


def peak_of(function: str, *arguments: Any) -> Peak | None:
    """Run ``module:function`` with JSON arguments in a child; time nothing, but measure what the act it returns needs.

    None where the kernel does not tell.
    """
    if not sys.platform.startswith("linux"):
        return None
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", function, json.dumps(arguments)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Peak(*json.loads(done.stdout.splitlines()[-1]))


def _status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    raise LookupError(name)


def main() -> None:
    """Be the child."""
    module, _, function = sys.argv[1].partition(":")
    act = getattr(importlib.import_module(module), function)(*json.loads(sys.argv[2]))
    gc.collect()
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # the high-water mark starts anew
    resident, anonymous = _status("VmRSS:"), _status("RssAnon:")
    most, over = anonymous, threading.Event()

    def sample() -> None:
        nonlocal most
        while not over.is_set():
            most = max(most, _status("RssAnon:"))
            time.sleep(0.001)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    kept = act()
    most = max(most, _status("RssAnon:"))
    over.set()
    sampler.join()
    print(json.dumps([_status("VmHWM:") - resident, most - anonymous]))
    del kept


if __name__ == "__main__":
    main()
