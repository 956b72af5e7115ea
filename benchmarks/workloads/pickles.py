"""Pickles: 256 MB in protocol 5, a plain pickle file, digests included."""

from __future__ import annotations

import pickle
from typing import Any

from benchmarks.held import given, loads, saves
from benchmarks.report import Report


def load(path: str) -> Any:
    """Unpickle a file."""
    with open(path, "rb") as file:
        return pickle.load(file)


def run(report: Report) -> None:
    """Time one large buffer, and many small objects."""
    payloads: dict[str, Any] = {"bytes": bytes(bytearray(range(256)) * report.size(1 << 20, 1 << 12))}
    try:
        import numpy as np
    except ImportError as error:
        report.missing("numpy", error)
    else:
        payloads = {"array": np.random.default_rng(0).random(report.size(32 << 20, 1 << 17))} | payloads
    for kind, payload in payloads.items():

        def save(path: str, payload: Any = payload) -> None:
            with open(path, "wb") as file:
                pickle.dump(payload, file, protocol=5)

        title = f"256 MB pickle of {kind}"
        make = given(payload)
        table = saves(report, f"{title}, save, durability=full", "pickle.dump", save, make, "pickle", most=9)
        loaded = loads(report, f"{title}, load", "pickle.load", save, load, make, "pickle", most=15)
        if payload is next(iter(payloads.values())):
            report.judge("pickle-save", table.ratio("persistable"), table.control)
            report.judge("pickle-load", loaded.ratio("persistable"), loaded.control)
    objects = [{"id": n, "name": f"name {n}", "score": n / 7} for n in range(report.size(1_000_000, 1000))]

    def save_objects(path: str) -> None:
        with open(path, "wb") as file:
            pickle.dump(objects, file, protocol=5)

    title = "1e6 small dicts"
    saves(
        report,
        f"{title}, pickled, save, durability=full",
        "pickle.dump",
        save_objects,
        lambda: objects,
        "pickle",
        least=3,
        most=5,
    )
    loads(
        report, f"{title}, pickled, load", "pickle.load", save_objects, load, lambda: objects, "pickle", least=3, most=5
    )
