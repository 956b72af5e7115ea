"""Keys: params and upstream to identity, beside the hash of texts or bytes that are there already."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

from benchmarks.children import contestant
from benchmarks.measure import Lane, remote
from benchmarks.peers import PREDECESSOR
from benchmarks.report import Report
from benchmarks.workloads.tiny import Tiny, TinyParams
from persistable import ArtifactStore
from persistable.identity import Identity, identify
from persistable.params import snapshot


def key_of(params: Any, upstream: tuple[tuple[str, Identity], ...] = ()) -> Identity:
    """Return the identity of params, taken anew."""
    return identify("tiny", "0", snapshot(params).parts, upstream)


PARAMS = [TinyParams(n) for n in range(201)]


def chain(length: int) -> list[Identity]:
    """Return so many nodes, each upstream of the next."""
    nodes = [key_of(PARAMS[0])]
    for params in PARAMS[1:length]:
        nodes.append(key_of(params, (("before", nodes[-1]),)))
    return nodes


def diamond(levels: int) -> list[Identity]:
    """Return as many levels, each of which has the one below upstream twice, and one at the bottom."""
    nodes = [key_of(PARAMS[0])]
    for params in PARAMS[1 : levels + 1]:
        nodes.append(key_of(params, (("left", nodes[-1]), ("right", nodes[-1]))))
    return nodes


def hash_again(nodes: list[Identity]) -> Callable[[], object]:
    """Return what hashes texts that are there already."""
    texts = [node.text for node in nodes]
    return lambda: [hashlib.sha256(text.encode("ascii")).hexdigest()[:32] for text in texts]


def run(report: Report) -> None:
    """Time keys of small params, of lineages, and of large values."""
    store = ArtifactStore(report.folder)
    lineages(report, store)
    values(report)


def lineages(report: Report, store: ArtifactStore) -> None:
    """Time one node and many."""

    def construct(count: int, *roles: str) -> Callable[[], object]:
        def make() -> Tiny:
            node = Tiny(store, PARAMS[0])
            for params in PARAMS[1:count]:
                node = Tiny(store, params, dict.fromkeys(roles, node))
            return node

        return make

    shapes: list[tuple[str, str | None, Callable[[], list[Identity]], Callable[[], object]]] = [
        ("key of 5 fields", "key-fields", lambda: [key_of(PARAMS[0])], construct(1)),
        ("keys of a chain of 100 nodes", "key-chain", lambda: chain(100), construct(100, "before")),
        ("keys of a diamond of 20 levels", None, lambda: diamond(20), construct(21, "left", "right")),
        ("keys of a diamond of 200 levels", "key-diamond", lambda: diamond(200), construct(201, "left", "right")),
    ]
    for title, budget, take, make in shapes:
        lanes = [
            Lane("SHA-256 of the same texts", hash_again(take()), role="floor"),
            Lane("params to identity", take, role="ours"),
            Lane("a Persistable per node", make, role="ours"),
        ]
        if budget == "key-fields":
            try:
                import joblib
            except ImportError as error:
                report.missing("joblib.hash", error)
            else:
                lanes.append(Lane("joblib.hash of the params' dict", lambda: joblib.hash(vars(PARAMS[0]))))
        if budget == "key-chain":
            try:
                child = contestant(PREDECESSOR, "tiny", f"{report.folder}/predecessor")
            except ImportError as error:
                report.missing(PREDECESSOR, error)
            else:
                with child:
                    child.ask(keys="chain")
                    lanes.append(remote(f"{PREDECESSOR}, the last hash of the chain", child, "keys"))
                    table = report.compare(title, lanes, seconds=4)
                    report.judge(budget, table.seconds("params to identity"), table.control)
                continue
        table = report.compare(title, lanes, seconds=4)
        if budget:
            report.judge(budget, table.seconds("params to identity"), table.control)


def values(report: Report) -> None:
    """Time a large dict and large arrays, each as the only param."""
    from dataclasses import dataclass

    from persistable import PersistableParams

    @dataclass
    class Value(PersistableParams):
        value: Any

    draw = random.Random(0)
    numbers = {f"weight {n}": draw.random() for n in range(report.size(100_000, 1000))}
    params = Value(numbers)
    table = report.compare(
        "key of a dict of 1e5 floats",
        [
            Lane("json.dumps", lambda: json.dumps(numbers), role="floor"),
            Lane("json.dumps, sorted, and SHA-256", lambda: _json_digest(numbers), role="floor"),
            Lane("params to identity", lambda: key_of(params), role="ours"),
        ],
        seconds=8,
    )
    report.judge("key-dict", table.ratio("params to identity"), table.control)
    try:
        import numpy as np
    except ImportError as error:
        report.missing("numpy", error)
        return
    side = report.size(3535, 100)  # 100 MB of float64
    square = np.random.default_rng(0).random((side, side))
    wide = np.random.default_rng(0).random((side, 2 * side))
    raw = square.tobytes()
    orders = {"C order": square, "strided (every other column)": wide[:, ::2], "F order": np.asfortranarray(square)}
    lanes = [Lane("SHA-256 of as many bytes", lambda: hashlib.sha256(raw).hexdigest(), role="floor")]
    for order, array in orders.items():
        lanes.append(Lane(order, _key_of_value(Value(array)), role="ours"))
    try:
        import joblib
    except ImportError as error:
        report.missing("joblib.hash", error)
    else:
        lanes.append(Lane("joblib.hash (MD5), C order", lambda: joblib.hash(square)))
    table = report.compare("key of a 100 MB array", lanes, seconds=15)
    for budget, order in zip(("key-array", "key-strided", "key-fortran"), orders, strict=True):
        report.judge(budget, table.ratio(order), table.control)


def _json_digest(numbers: dict[str, float]) -> str:
    return hashlib.sha256(json.dumps(numbers, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _key_of_value(params: Any) -> Callable[[], object]:
    return lambda: key_of(params)
