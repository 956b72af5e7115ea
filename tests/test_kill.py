"""Sweeping beside the living: what a process is writing stays, until it is dead.

What a killed process leaves behind is the campaign ``kills``.
"""

from __future__ import annotations

import os
import signal
import time

from specimens import blob, fast, kill, temps


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
    while not sum(map(os.path.getsize, temps(tmp_path))) and time.monotonic() < deadline:
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
