"""What a format costs through a store — digest, record, lock and trust included — beside the bare library.

    python benchmarks/formats.py [--size 1.0] [--only npy,pickle,parquet,csv,avro] [--durability full]

The same options on both sides; with durability "full" the bare side flushes its file too. Memory-mapped loads are
timed to the first element.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import compare, markdown

from persistable import ArtifactStore, Persistable, PersistableParams


@dataclass
class Params(PersistableParams):
    """Name a payload."""

    what: str


class Held(Persistable[Any, Params]):
    """A payload that was made beforehand."""

    made: Any = None

    def _generate_payload(self, **untracked: Any) -> Any:
        return self.made


def lanes(
    store: ArtifactStore, payload: Any, io: Any, save: Callable[[Any, Path], object], load: Callable[[Path], object]
) -> None:
    """Time saving and loading of one payload, bare and through the store, and print both tables."""
    name = io if isinstance(io, str) else type(io).name if io is not None else "by type"
    held = Held(store, Params(what=f"{name} {type(payload).__name__}"), payload_io=io)
    held.made = payload
    path = Path(store.location) / "bare"
    flush = store.durability == "full"

    def bare_save() -> None:
        save(payload, path)
        if flush:
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    held.generate()
    label = f"{name}: {type(payload).__module__}.{type(payload).__name__}, {held.record.size / 1e6:.1f} MB"
    saves = compare({"bare save": bare_save, "persist": held.persist})
    print(markdown(f"{label}, save", saves), flush=True)
    loads = compare({"bare load": lambda: load(path), "load": lambda: Held(store, held.params, payload_io=io).load()})
    print(markdown(f"{label}, load", loads), flush=True)


def frame(rows: int) -> Any:
    """Return a frame of mixed columns."""
    import pandas as pd

    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "price": random.random(rows),
            "name": random.choice(["alpha", "beta", "gamma", None], rows),
            "kind": pd.Categorical(random.choice(["x", "y"], rows)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 10_000, rows), unit="h"),
            "flag": random.random(rows) < 0.5,
        }
    )


def npy(store: ArtifactStore, size: float) -> None:
    """256 MB of floats."""
    from persistable_numpy.npy import NpyFileIO

    array = np.random.default_rng(0).random(int(32 * 2**20 * size))

    def bare(payload: Any, path: Path) -> None:
        with open(path, "wb") as file:
            np.save(file, payload)

    lanes(store, array, "npy", bare, np.load)
    lanes(store, array, NpyFileIO(mmap_mode="r"), bare, lambda path: np.load(path, mmap_mode="r")[0])


def pickled(store: ArtifactStore, size: float) -> None:
    """The same as a pickle."""
    array = np.random.default_rng(0).random(int(32 * 2**20 * size))

    def save(payload: Any, path: Path) -> None:
        with open(path, "wb") as file:
            pickle.dump(payload, file, protocol=5)

    def load(path: Path) -> Any:
        with open(path, "rb") as file:
            return pickle.load(file)

    lanes(store, array, "pickle", save, load)


def parquet(store: ArtifactStore, size: float) -> None:
    """A million mixed rows."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    pandas = frame(int(1e6 * size))
    lanes(store, pandas, "parquet", lambda payload, path: payload.to_parquet(path), pd.read_parquet)
    table = pa.Table.from_pandas(pandas)
    lanes(store, table, "parquet", lambda payload, path: pq.write_table(payload, path), pq.read_table)


def csv(store: ArtifactStore, size: float) -> None:
    """A million mixed rows."""
    import pandas as pd

    lanes(store, frame(int(1e6 * size)), "csv", lambda payload, path: payload.to_csv(path, index=False), pd.read_csv)


def avro(store: ArtifactStore, size: float) -> None:
    """A hundred thousand records."""
    import fastavro

    schema = {
        "type": "record",
        "name": "flight",
        "fields": [
            {"name": "n", "type": "long"},
            {"name": "x", "type": "double"},
            {"name": "s", "type": ["null", "string"]},
        ],
    }
    records = [{"n": n, "x": n / 7, "s": None if n % 5 == 0 else f"name {n}"} for n in range(int(1e5 * size))]

    def save(payload: Any, path: Path) -> None:
        with open(path, "wb") as file:
            fastavro.writer(file, schema, payload)

    def load(path: Path) -> Any:
        with open(path, "rb") as file:
            return list(fastavro.reader(file))

    lanes(store, records, "avro", save, load)


WORKLOADS = {"npy": npy, "pickle": pickled, "parquet": parquet, "csv": csv, "avro": avro}


def main() -> None:
    """Run the workloads that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=1.0, help="factor on the size of the payloads")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, separated by commas")
    parser.add_argument("--durability", choices=("full", "fast"), default="full")
    parser.add_argument("--folder", default=None, help="where to write; default: a temporary folder")
    asked = parser.parse_args()
    folder = tempfile.mkdtemp(dir=asked.folder)
    try:
        for name in asked.only.split(","):
            WORKLOADS[name](ArtifactStore(folder, durability=asked.durability), asked.size)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
