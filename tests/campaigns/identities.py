"""Random trees of params, many of them twins of each other but for a type: equal keys mean equal values, everywhere.

Two interpreters with different hash seeds make the same trees from the same seeds, and say for each its key and what an
independent description of it hashes to. Run as a module it is such an interpreter.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import hashlib
import math
import os
import pathlib
import random
import subprocess
import sys
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from specimens import environment

from campaigns.campaign import Campaign, Setting, Tally
from persistable import Persistable, PersistableParams

__all__ = ["CAMPAIGN"]

_SHORT, _FULL = 5_000, 1_000_000
_BATCH = 50_000
_BYTES = 16  # of a key, and of the digest of a description
_TWINS = 4  # trees from one seed: the first, and three that differ from it in one node
_DEPTH = 4


class _Colour(enum.Enum):
    RED = 1
    GREEN = "1"


class _Count(int):
    pass


class _Name(str):
    __slots__ = ()


@dataclass
class _Node:
    left: Any
    right: Any = None


@dataclass(slots=True)
class _Leaf:
    left: Any
    right: Any = None


@dataclass
class TreeParams(PersistableParams):
    """One tree."""

    tree: Any


class TreeP(Persistable[None, TreeParams]):
    """Something that is defined by a tree."""

    def _generate_payload(self, **untracked: Any) -> None:
        return None


_TEXTS = ("", "a", "b", "$", "nan", "1", "1.0", "null", "true", "tuple", "items", "\ud800", "\U0001f600", "a/b", "61")
_DAY = datetime.date(2020, 2, 29)
_LEAVES: tuple[Callable[[random.Random], Any], ...] = (
    lambda chance: None,
    lambda chance: chance.random() < 0.5,
    lambda chance: chance.randint(-3, 3),
    lambda chance: chance.choice((2**53 + 1, 2**2048, -(2**2048), 10**900)) + chance.randint(-1, 1),
    lambda chance: chance.choice((0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 0.1, 1e300, 5e-324)),
    lambda chance: chance.uniform(-10, 10),
    lambda chance: chance.choice(_TEXTS),
    lambda chance: chance.choice(_TEXTS).encode("utf-8", "surrogatepass"),
    lambda chance: complex(chance.choice((0.0, -0.0, 1.0)), chance.choice((0.0, -0.0, 1.0))),
    lambda chance: decimal.Decimal(chance.choice(("1", "1.0", "1.00", "-0", "0", "1E+2", "100"))),
    lambda chance: fractions.Fraction(chance.randint(-3, 3), chance.randint(1, 3)),
    lambda chance: _DAY + datetime.timedelta(days=chance.randint(0, 3)),
    lambda chance: datetime.datetime(2020, 2, 29, chance.randint(0, 2), fold=chance.randint(0, 1)),
    lambda chance: datetime.datetime(2020, 2, 29, tzinfo=datetime.UTC),
    lambda chance: datetime.timedelta(seconds=chance.randint(0, 3)),
    lambda chance: uuid.UUID(int=chance.randint(0, 3)),
    lambda chance: chance.choice((pathlib.PurePosixPath("a"), pathlib.PurePosixPath("a/b"), pathlib.Path("a"))),
    lambda chance: chance.choice((_Colour.RED, _Colour.GREEN, _Count(1), _Name("a"), ..., int, bool, len)),
    lambda chance: chance.choice((range(3), range(0, 3, 2), slice(3), slice(0, 3))),
)
_ORDERED: tuple[Callable[[list[Any]], Any], ...] = (
    list,
    tuple,
    deque,
    lambda parts: _Node(*parts[:2]) if parts else _Node(None),
    lambda parts: _Leaf(*parts[:2]) if parts else _Leaf(None),
    lambda parts: {str(number): part for number, part in enumerate(parts)},
    lambda parts: dict(enumerate(parts)),
    lambda parts: OrderedDict((str(number), part) for number, part in enumerate(parts)),
    lambda parts: {"$": "tuple", "items": parts},
)


class _Grower:
    """Grow one tree from one seed; at one node, counted from 0, do otherwise."""

    def __init__(self, seed: str, otherwise: int) -> None:
        self.chance, self.otherwise, self.nodes = random.Random(seed), otherwise, 0

    def grow(self, depth: int = 0) -> Any:
        """Return a tree."""
        number = self.nodes
        self.nodes += 1
        kind = self.chance.random() if depth else self.chance.uniform(0.45, 1)  # a leaf alone is soon seen
        if depth == _DEPTH or kind < 0.4:
            leaf = self.chance.choice(_LEAVES)(self.chance)
            return _twin(leaf) if number == self.otherwise else leaf
        if kind < 0.55:
            parts = {self.chance.choice(_LEAVES[:8])(self.chance) for _ in range(self.chance.randint(0, 4))}
            order = sorted(parts, key=_described, reverse=number == self.otherwise)
            return set(order) if kind < 0.47 else frozenset(order)
        if kind < 0.65:
            keys = [self.chance.choice(_LEAVES[:8])(self.chance) for _ in range(self.chance.randint(0, 4))]
            held = {key: self.grow(depth + 1) for key in keys}
            return dict(reversed(held.items())) if number == self.otherwise else held
        build = self.chance.choice(_ORDERED)
        parts = [self.grow(depth + 1) for _ in range(self.chance.randint(0, 4))]
        return (
            _ORDERED[(_ORDERED.index(build) + 1) % len(_ORDERED)](parts) if number == self.otherwise else build(parts)
        )


def _twin(leaf: Any) -> Any:
    """Return what may be taken for a leaf by whoever does not look at types."""
    kind = type(leaf)
    if kind is bool:
        return int(leaf)
    if kind is int:
        return _Count(leaf) if leaf % 2 else (float(leaf) if abs(leaf) < 2**53 else str(leaf)[:4000])
    if kind is float:
        return -leaf if leaf == 0 else repr(leaf)
    if kind is str:
        return _Name(leaf) if len(leaf) > 1 else leaf.encode("utf-8", "surrogatepass")
    if kind is bytes:
        return bytearray(leaf).hex()
    return [leaf]


def _described(value: Any) -> str:
    """Describe a value by exact types and contents: the same text exactly if it is the same value."""
    kind = type(value)
    name = kind.__qualname__
    if kind in (bool, int, _Count, _Colour) or value is None or value is ...:
        content = hex(value) if isinstance(value, int) else repr(value)
    elif kind is float:
        content = value.hex()
    elif kind is complex:
        content = f"{value.real.hex()} {value.imag.hex()}"
    elif isinstance(value, str):
        content = str.__repr__(value)
    elif kind in (list, tuple, deque):
        content = ",".join(map(_described, value))
    elif kind in (set, frozenset):
        content = ",".join(sorted(map(_described, value)))
    elif kind is OrderedDict:
        content = ",".join(f"{_described(key)}:{_described(held)}" for key, held in value.items())
    elif kind is dict:
        content = ",".join(sorted(f"{_described(key)}:{_described(held)}" for key, held in value.items()))
    elif kind in (_Node, _Leaf):
        content = ",".join(f"{field.name}={_described(getattr(value, field.name))}" for field in fields(value))
    elif kind is decimal.Decimal:
        content = repr(value.as_tuple())
    elif kind in (type, type(len)):
        content = value.__qualname__
    elif kind is datetime.datetime:
        content = f"{value.isoformat()} {value.fold}"
    else:
        content = repr(value)
    return f"{name}({content})"


def _trees(seed: int, first: int, count: int) -> Iterator[Any]:
    """Yield trees by number: every fourth is grown anew, those between are its twins."""
    nodes = 1
    for number in range(first, first + count):
        origin, twin = divmod(number, _TWINS)
        otherwise = -1 if not twin else random.Random(f"{seed} {number}").randrange(nodes)
        grower = _Grower(f"{seed} {origin}", otherwise)
        tree = grower.grow()
        if not twin:
            nodes = grower.nodes
        yield tree


def _answers(setting: Setting, first: int, count: int, hash_seed: int) -> bytes:
    """Return keys and descriptions of some trees, as an interpreter of its own found them."""
    arguments = [str(setting.seed), str(first), str(count), str(setting.folder)]
    done = subprocess.run(
        [sys.executable, "-m", "campaigns.identities", *arguments],
        env=environment() | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stderr.decode(errors="replace"))
    return done.stdout


def _run(setting: Setting, case: str) -> Tally:
    """Compare the answers of two interpreters, and all keys with all descriptions."""
    tally, total = Tally(), setting.pick(_SHORT, _FULL)
    keys: dict[bytes, bytes] = {}
    descriptions: dict[bytes, bytes] = {}
    for first in range(0, total, _BATCH):
        count = min(_BATCH, total - first)
        one, other = (_answers(setting, first, count, first + hash_seed + 1) for hash_seed in (0, 1))
        tally.require(len(one) == len(other) == count * 2 * _BYTES, "unstable", "answers are missing")
        for number in range(count):
            tally.rounds += 1
            at = number * 2 * _BYTES
            key, what = one[at : at + _BYTES], one[at + _BYTES : at + 2 * _BYTES]
            where = f"tree {first + number} of seed {setting.seed}"
            tally.require(other[at : at + 2 * _BYTES] == key + what, "unstable", where)
            tally.require(keys.setdefault(key, what) == what, "collisions", where)
            tally.require(descriptions.setdefault(what, key) == key, "two keys for one value", where)
    tally.saw("different values", len(keys))
    return tally


def _answer(seed: int, first: int, count: int, folder: str) -> None:
    """Write key and digest of the description of each tree to stdout."""
    for tree in _trees(seed, first, count):
        key = TreeP(folder, TreeParams(tree)).key
        what = hashlib.sha256(_described(tree).encode("utf-8", "surrogatepass")).digest()[:_BYTES]
        os.write(1, bytes.fromhex(key) + what)


CAMPAIGN = Campaign(
    name="identities",
    promise="Different params have different keys and equal ones the same, in every process, whatever the hash seed "
    "and the order in which sets and dicts were filled.",
    faults=("collisions", "two keys for one value", "unstable"),
    cases=lambda: ["trees"],
    run=_run,
)

if __name__ == "__main__":
    seed, first, count, folder = sys.argv[1:]
    _answer(int(seed), int(first), int(count), folder)
