"""Run campaigns and keep the scoreboard. Progress goes to stderr."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from campaigns.campaign import Setting, Tally, Unavailable
from campaigns.roster import CAMPAIGNS
from campaigns.scoreboard import Scoreboard

__all__ = ["main"]

_DOCS = Path(__file__).parent.parent.parent / "docs"


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the long versions (hours), not the short ones (minutes)")
    parser.add_argument("--only", action="append", metavar="NAME", help="a campaign, or campaign/case; can be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=_DOCS, metavar="DIR", help="where the scoreboard is (docs)")
    parser.add_argument("--resume", action="store_true", help="pass over cases that this code has been through")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where the stores of the campaigns are made")
    parser.add_argument("--list", action="store_true", help="name the campaigns and their cases")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 1 if a promise was broken, 2 for a campaign that does not exist."""
    asked = _arguments(given)
    chosen = [
        (campaign, case)
        for campaign in CAMPAIGNS
        for case in campaign.cases()
        if asked.only is None or campaign.name in asked.only or f"{campaign.name}/{case}" in asked.only
    ]
    unknown = [
        name for name in asked.only or () if not any(name in (one.name, f"{one.name}/{case}") for one, case in chosen)
    ]
    if unknown:
        print(f"no such campaign here: {', '.join(unknown)} (see --list)", file=sys.stderr)
        return 2
    if asked.list:
        for campaign in CAMPAIGNS:
            print(f"{campaign.name}: {campaign.promise}\n    {', '.join(campaign.cases())}")
        return 0
    board, failed = Scoreboard(asked.out), False
    for campaign, case in chosen:
        label = f"{campaign.name}/{case}"
        if asked.resume and board.has(campaign.name, case, full=asked.full, seed=asked.seed):
            print(f"{label}: known", file=sys.stderr)
            continue
        print(f"{label} …", file=sys.stderr, flush=True)
        folder = Path(tempfile.mkdtemp(prefix="persistable-campaign-", dir=asked.scratch))
        started = time.monotonic()
        outcome: Tally | str
        try:
            outcome = campaign.run(Setting(folder, asked.full, asked.seed), case)
        except Unavailable as reason:
            outcome = str(reason)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        seconds = time.monotonic() - started
        board.add(campaign.name, case, outcome, full=asked.full, seed=asked.seed, seconds=seconds, known=CAMPAIGNS)
        if isinstance(outcome, str):
            print(f"{label}: not run: {outcome}", file=sys.stderr, flush=True)
            continue
        failed |= bool(outcome.faults)
        what = ", ".join(f"{name} {outcome.faults[name]}" for name in campaign.faults)
        seen = ", ".join(f"{name} {value:g}" for name, value in outcome.seen.items())
        print(f"{label}: {outcome.rounds} rounds in {seconds:.1f} s: {what}; {seen}", file=sys.stderr, flush=True)
        for example in outcome.examples:
            print(f"    {example}", file=sys.stderr, flush=True)
    return int(failed)
