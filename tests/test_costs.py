"""What a tiny hit, a tiny miss and a key cost does not grow unnoticed: counts, not times, against a baseline."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BASELINE = json.loads((HERE / "golden_costs.json").read_text(encoding="utf-8"))
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
TOLERANCE = 1.10  # releases of one minor version differ by less, in their standard library
RENEW = "python tests/costs.py --renew"


def excess(found: dict[str, dict[str, int]], baseline: dict[str, dict[str, int]]) -> list[str]:
    """Return a line for every count that exceeds its baseline by more than the tolerance."""
    return [
        f"{act}: {what} grew from {before} to {found[act][what]}"
        for act, counts in baseline.items()
        for what, before in counts.items()
        if found[act][what] > before * TOLERANCE
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="the baseline is that of Linux: locks and paths differ elsewhere")
@pytest.mark.skipif(VERSION not in BASELINE, reason=f"no baseline for Python {VERSION}: {RENEW} makes one")
def test_nothing_costs_more_than_it_did() -> None:
    """Opcodes, function calls and calls of the system of each act stay within a tenth of the baseline."""
    command = [sys.executable, str(HERE / "costs.py")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    grown = excess(found, BASELINE[VERSION])
    assert not grown, "\n".join([*grown, f"if that is meant: {RENEW}, with each Python of the baseline"])


def test_what_grows_is_named() -> None:
    """The message says which act, which count, and from what to what."""
    assert excess({"hit": {"opcodes": 111, "system": 12}}, {"hit": {"opcodes": 100, "system": 12}}) == [
        "hit: opcodes grew from 100 to 111"
    ]
    assert excess({"hit": {"opcodes": 110}}, {"hit": {"opcodes": 100}}) == []
