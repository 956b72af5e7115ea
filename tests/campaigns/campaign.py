"""What a campaign is: a promise, its cases, and how one case is run and counted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Campaign", "Setting", "Tally", "Unavailable"]

_EXAMPLES = 5


class Unavailable(Exception):
    """Say what a case needs that this machine does not have, and how to get it."""


@dataclass(frozen=True)
class Setting:
    """How a case is run.

    Args:
        folder: an empty folder for this case.
        full: whether to run the long version.
        seed: makes the rounds repeatable, as far as timing lets them.
        options: settings of the stores that differ from what the campaign gives; sabotage, in tests of the campaigns.
    """

    folder: Path
    full: bool = False
    seed: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    def chance(self, case: str) -> random.Random:
        """Return the source of randomness of a case."""
        return random.Random(f"{self.seed} {case}")

    def pick(self, short: Any, full: Any) -> Any:
        """Return what belongs to the version that is run."""
        return full if self.full else short


class Tally:
    """Count what happened in the rounds of one case.

    Attributes:
        rounds: how many there were.
        faults: broken promises by name; anything but zero is a failure.
        seen: what else happened, for the reader.
        examples: the first broken promises in words.
    """

    def __init__(self) -> None:
        self.rounds = 0
        self.faults: Counter[str] = Counter()
        self.seen: dict[str, float] = {}
        self.examples: list[str] = []

    def fault(self, name: str, example: object = "", times: int = 1) -> None:
        """Count a broken promise."""
        self.faults[name] += times
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{name}, round {self.rounds}: {example}")

    def require(self, condition: object, name: str, example: object = "") -> bool:
        """Count a broken promise unless a condition holds; return whether it did."""
        if not condition:
            self.fault(name, example)
        return bool(condition)

    def saw(self, name: str, times: float = 1) -> None:
        """Count something worth telling."""
        self.seen[name] = self.seen.get(name, 0) + times

    def most(self, name: str, value: float) -> None:
        """Keep the greatest value of something that was measured."""
        self.seen[name] = max(self.seen.get(name, value), value)


@dataclass(frozen=True)
class Campaign:
    """One idea of what may go wrong.

    Args:
        name: as it is called on the command line.
        promise: one sentence that the campaign would disprove.
        faults: names of what has to be zero.
        cases: returns the names of the cases that can be run with what is installed here.
        run: runs one case; raises Unavailable where this machine cannot.
    """

    name: str
    promise: str
    faults: Sequence[str]
    cases: Callable[[], Sequence[str]]
    run: Callable[[Setting, str], Tally]
