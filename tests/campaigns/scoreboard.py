"""The scoreboard: results by campaign and case, kept as JSON and shown as Markdown."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import persistable
from campaigns.campaign import Campaign, Tally

__all__ = ["Scoreboard", "circumstances"]

_NAME = "reliability-scoreboard"
_LIBRARIES = ("persistable", "numpy", "pyarrow", "fastavro")


def circumstances() -> dict[str, Any]:
    """Return what a result depends on; nothing that says whose machine it was."""
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return {
        "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "revision": _revision(),
        "code": _code(),
        "python": platform.python_version(),
        "system": f"{sys.platform} on {os.cpu_count()} cores",
        "versions": versions,
    }


def _revision() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


@functools.cache
def _code() -> str:
    """Return a digest of what is tested and what tests it: a result of other code is out of date."""
    found = hashlib.sha256()
    for folder in (Path(persistable.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


class Scoreboard:
    """Results in a folder. A full result is replaced by a full one only; every entry is on disk once it is added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results: dict[str, dict[str, dict[str, Any]]] = {}
        self._read()

    @property
    def _json(self) -> Path:
        return self.folder / f"{_NAME}.json"

    def _read(self) -> None:
        if self._json.exists():
            self.results = json.loads(self._json.read_text(encoding="utf-8"))

    def has(self, campaign: str, case: str, *, full: bool, seed: int) -> bool:
        """Whether a case has been run to its end, with this code, in that version and with that seed."""
        entry = self.results.get(campaign, {}).get(case, {"skipped": "never tried"})
        return "skipped" not in entry and (entry.get("code"), entry["full"], entry["seed"]) == (_code(), full, seed)

    def add(
        self,
        campaign: str,
        case: str,
        outcome: Tally | str,
        *,
        full: bool,
        seed: int,
        seconds: float,
        known: Iterable[Campaign],
    ) -> None:
        """Add a result, or the reason why there is none, and write both files."""
        self._read()  # another runner may have added something
        before = self.results.get(campaign, {}).get(case, {"skipped": "never tried"})
        if "skipped" not in before and (isinstance(outcome, str) or (before["full"] and not full)):
            return  # what is known already says more
        entry: dict[str, Any] = {"full": full, "seed": seed, "seconds": round(seconds, 1), **circumstances()}
        if isinstance(outcome, str):
            entry["skipped"] = outcome
        else:
            entry |= {
                "rounds": outcome.rounds,
                "faults": dict(outcome.faults),
                "seen": {name: round(value, 3) for name, value in outcome.seen.items()},
                "examples": outcome.examples,
            }
        self.results.setdefault(campaign, {})[case] = entry
        self.write(known)

    def write(self, known: Iterable[Campaign]) -> None:
        """Write the scoreboard in the order of the campaigns."""
        order = [campaign for campaign in known if campaign.name in self.results]
        self.folder.mkdir(parents=True, exist_ok=True)
        ordered = {campaign.name: self.results[campaign.name] for campaign in order}
        self._replace(self._json, json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
        self._replace(self.folder / f"{_NAME}.md", _page(order, ordered))

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        staged = path.with_name(path.name + ".new")
        staged.write_text(text, encoding="utf-8")
        staged.replace(path)


def _page(campaigns: Iterable[Campaign], results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    lines = [
        "# Scoreboard",
        "",
        "Written by `python -m tests.campaigns`. What stands under *faults* has to be zero;",
        "[Reliability](reliability.md) says what the campaigns prove, and how. The seeds, versions and examples of",
        f"each result are in `{_NAME}.json` beside this page.",
        "",
    ]
    for campaign in campaigns:
        entries = results[campaign.name]
        lines += [f"## {campaign.name}", "", campaign.promise, ""]
        run = {case: entry for case, entry in entries.items() if "skipped" not in entry}
        if run:
            lines += [
                f"| {' | '.join(['case', 'version', 'rounds', *campaign.faults, 'seen besides'])} |",
                "|---|---|--:|" + "--:|" * len(campaign.faults) + "---|",
            ]
        for case, entry in run.items():
            faults = [str(entry["faults"].get(name, 0)) for name in campaign.faults]
            seen = ", ".join(f"{name} {value:g}" for name, value in entry["seen"].items())
            length = "full" if entry["full"] else "short"
            lines.append(f"| {' | '.join([case, length, str(entry['rounds']), *faults, seen])} |")
        lines += [""] if run else []
        for case, entry in entries.items():
            if "skipped" in entry:
                lines += [f"{case} was not run: {entry['skipped']}", ""]
        days = sorted(
            {f"{entry['day']} at revision {entry['revision']}, Python {entry['python']}" for entry in run.values()}
        )
        lines += [f"Run on {'; '.join(days)}.", ""] if days else []
    return "\n".join(lines).rstrip() + "\n"
