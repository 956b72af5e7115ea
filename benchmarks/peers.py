"""The contestants: each turns a function of one int into one that remembers on disk, as its users would.

A contestant is ``(folder, function) -> remembering function``. It raises ImportError where its library is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Compute = Callable[[int], Any]
Contestant = Callable[[str, Compute], Compute]

PREDECESSOR = "persistable 1.3.1"


def persistable(folder: str, compute: Compute, *, durability: str = "fast") -> Compute:
    """This project, from a store that is made once; what peers do not flush it does not flush either."""
    from dataclasses import dataclass

    from persistable import ArtifactStore, Persistable, PersistableParams

    @dataclass
    class Params(PersistableParams):
        n: int
        rate: float = 0.1
        name: str = "adam"
        layers: int = 3
        shuffle: bool = True

    class Computed(Persistable[Any, Params]):
        def _generate_payload(self, **untracked: Any) -> Any:
            return compute(self.params.n)

    store = ArtifactStore(folder, durability=durability)  # type: ignore[arg-type]
    return lambda n: Computed(store, Params(n)).payload


def predecessor(folder: str, compute: Compute) -> Compute:
    """persistable 1.3.1, which has the same import name: to be called in an interpreter of its own."""
    from dataclasses import dataclass
    from pathlib import Path

    from persistable import Persistable
    from persistable.data import PersistableParams

    @dataclass
    class Params(PersistableParams):
        n: int
        rate: float = 0.1
        name: str = "adam"
        layers: int = 3
        shuffle: bool = True

    class Computed(Persistable):
        def _generate_payload(self, **untracked: Any) -> Any:
            return compute(self.params.n)

    place = Path(folder)
    return lambda n: Computed(place, Params(n), None).payload


def joblib(folder: str, compute: Compute) -> Compute:
    """joblib.Memory."""
    import joblib as library

    return library.Memory(folder, verbose=0).cache(compute)


def diskcache(folder: str, compute: Compute) -> Compute:
    """diskcache.Cache.memoize, without the limit of 1 GB."""
    import diskcache as library

    return library.Cache(folder, size_limit=1 << 40).memoize()(compute)


def cachier(folder: str, compute: Compute) -> Compute:
    """cachier with a file per entry."""
    from cachier import cachier as remember

    return remember(cache_dir=folder, separate_files=True)(compute)


def kedro(folder: str, compute: Compute) -> Compute:
    """kedro's PickleDataset: load, or compute and save if there is nothing to load. A dataset is made once per file."""
    from kedro.io.core import DatasetError
    from kedro_datasets.pickle import PickleDataset

    datasets: dict[int, Any] = {}

    def remembered(n: int) -> Any:
        dataset = datasets.get(n)
        if dataset is None:
            dataset = datasets[n] = PickleDataset(filepath=f"{folder}/{n}.pickle")
        try:
            return dataset.load()
        except DatasetError:
            payload = compute(n)
            dataset.save(payload)
            return payload

    return remembered


IN_PROCESS: dict[str, Contestant] = {
    "joblib.Memory": joblib,
    "diskcache.memoize": diskcache,
    "kedro PickleDataset": kedro,
    "cachier": cachier,
}
ALL: dict[str, Contestant] = {"persistable": persistable, PREDECESSOR: predecessor, **IN_PROCESS}
IMPORTS = {
    "joblib.Memory": "import joblib",
    "diskcache.memoize": "import diskcache",
    "kedro PickleDataset": "from kedro_datasets.pickle import PickleDataset",
    "cachier": "import cachier",
}
