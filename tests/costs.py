"""Count what a tiny hit, a tiny miss and a key cost, in what no noise touches: opcodes, calls, calls of the system.

    python tests/costs.py            print the counts of this Python
    python tests/costs.py --renew    make them the baseline of this Python's minor version

Opcodes and calls of Python functions are counted by tracing, those of functions in C by profiling; a call of a function
of ``posix``, ``fcntl`` or ``io.open`` stands for a call of the system. Everything is warm: counted is the third time.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persistable import ArtifactStore, Persistable, PersistableParams

BASELINE = Path(__file__).parent / "golden_costs.json"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
SYSTEM = {"posix", "fcntl", "_io"}


@dataclass
class TinyParams(PersistableParams):
    n: int
    rate: float = 0.1
    name: str = "adam"
    layers: int = 3
    shuffle: bool = True


class Tiny(Persistable[dict[str, float], TinyParams]):
    def _generate_payload(self, **untracked: Any) -> dict[str, float]:
        return {"mean": 0.48534879111973994, "standard_deviation": 0.27497659243084727}


def counted(act: Callable[[], object]) -> dict[str, int]:
    """Return what an act costs: it is run once traced and once profiled."""
    opcodes, functions = monitored(act) if sys.version_info >= (3, 12) else traced(act)
    builtins = system = 0

    def profile(frame: Any, event: str, called: Any) -> None:
        nonlocal builtins, system
        if event == "c_call":
            builtins += 1
            if called.__module__ in SYSTEM or type(called.__self__).__module__ in SYSTEM:
                system += 1

    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
    return {"opcodes": opcodes, "functions": functions, "builtins": builtins, "system": system}


def traced(act: Callable[[], object]) -> tuple[int, int]:
    """Count opcodes and calls of Python functions."""
    opcodes = functions = 0

    def trace(frame: Any, event: str, argument: object) -> Any:
        nonlocal opcodes, functions
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            functions += 1
        elif event == "opcode":
            opcodes += 1
        return trace

    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(None)
    return opcodes, functions


def monitored(act: Callable[[], object]) -> tuple[int, int]:
    """Count the same where there is ``sys.monitoring``; tracing misses opcodes there."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # since 3.12
    counts = {monitoring.events.INSTRUCTION: 0, monitoring.events.PY_START: 0}

    def counter(event: int) -> Callable[..., None]:
        def count(*_: object) -> None:
            counts[event] += 1

        return count

    monitoring.use_tool_id(monitoring.PROFILER_ID, "costs")
    try:
        for event in counts:
            monitoring.register_callback(monitoring.PROFILER_ID, event, counter(event))
        monitoring.set_events(monitoring.PROFILER_ID, sum(counts))
        act()
        monitoring.set_events(monitoring.PROFILER_ID, 0)
    finally:
        monitoring.free_tool_id(monitoring.PROFILER_ID)
    return counts[monitoring.events.INSTRUCTION], counts[monitoring.events.PY_START]


def costs(folder: str) -> dict[str, dict[str, int]]:
    """Return the counts of every act."""
    store, fast = ArtifactStore(f"{folder}/full"), ArtifactStore(f"{folder}/fast", durability="fast")
    Tiny(store, TinyParams(0)).load_generate()
    numbers = iter(range(1, 1000))
    params = TinyParams(0)
    acts: dict[str, Callable[[], object]] = {
        "key of 5 fields": lambda: Tiny(store, params).key,
        "hit": lambda: Tiny(store, TinyParams(0)).load(),
        "hit, a path as data_dir": lambda: Tiny(f"{folder}/full", TinyParams(0)).load(),
        "miss, fast": lambda: Tiny(fast, TinyParams(next(numbers))).load_generate(),
        "miss, fast, generate()": lambda: Tiny(fast, TinyParams(next(numbers))).generate(),
        "miss, full": lambda: Tiny(store, TinyParams(next(numbers))).load_generate(),
    }
    found = {}
    for name, act in acts.items():
        act()
        act()
        found[name] = counted(act)
    return found


def main() -> None:
    """Print or renew."""
    for variable in [variable for variable in os.environ if variable.startswith("PERSISTABLE_")]:
        del os.environ[variable]
    os.environ["PERSISTABLE_DISABLE_PLUGINS"] = "*"  # what is installed beside it is not to count
    folder = tempfile.mkdtemp()
    try:
        found = costs(folder)
    finally:
        shutil.rmtree(folder)
    if "--renew" in sys.argv:
        baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
        baseline[VERSION] = found
        BASELINE.write_text(json.dumps(dict(sorted(baseline.items())), indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
