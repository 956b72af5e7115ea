"""What persistable costs where the payload costs nothing: tiny hits, tiny misses, keys; each beside its floor.

The floor is the same work by the bare library. Each floor is measured twice (A and A'): how far these two are apart is
what the machine's noise is worth. Nothing here asserts a time; compare the ratios of one run:

    python -m pytest benchmarks --benchmark-group-by=group --benchmark-sort=name --benchmark-columns=median,iqr
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from persistable import ArtifactStore, Persistable, PersistableParams
from persistable.identity import Identity, identify
from persistable.params import snapshot

PAYLOAD = {"mean": 0.48534879111973994, "standard_deviation": 0.27497659243084727}
FLOOR = pytest.mark.usefixtures("control")
DURABILITY = pytest.mark.parametrize("durability", ["fast", "full"])


@pytest.fixture(params=["A", "A'"])
def control(request: pytest.FixtureRequest) -> Any:
    return request.param


@dataclass
class TinyParams(PersistableParams):
    n: int
    rate: float = 0.1
    name: str = "adam"
    layers: int = 3
    shuffle: bool = True


class Tiny(Persistable[dict[str, float], TinyParams]):
    def _generate_payload(self, **_: Any) -> dict[str, float]:
        return PAYLOAD


# -- hits --------------------------------------------------------------------------------------------------------------


@pytest.mark.benchmark(group="tiny hit")
def test_hit(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Construct and load: record and payload verified, trust checked."""
    Tiny(tmp_path, TinyParams(1)).load_generate()

    def hit() -> Tiny:
        tiny = Tiny(tmp_path, TinyParams(1))
        tiny.load()
        return tiny

    assert benchmark(hit).payload == PAYLOAD


@pytest.mark.benchmark(group="tiny hit")
def test_hit_with_one_store(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The same, where the store is made once, as a pipeline does."""
    store = ArtifactStore(tmp_path)
    Tiny(store, TinyParams(1)).load_generate()
    assert benchmark(lambda: Tiny(store, TinyParams(1)).payload) == PAYLOAD


@FLOOR
@pytest.mark.benchmark(group="tiny hit")
def test_hit_floor(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Open and pickle.load."""
    path = str(tmp_path / "payload.pickle")
    Path(path).write_bytes(pickle.dumps(PAYLOAD, protocol=5))

    def load() -> Any:
        with open(path, "rb") as file:
            return pickle.load(file)

    assert benchmark(load) == PAYLOAD


# -- misses ------------------------------------------------------------------------------------------------------------


def each_time_new(benchmark: BenchmarkFixture, act: Callable[[int], Any], rounds: int = 500) -> int:
    """Benchmark an act whose argument is another number in every round; return how often it was called."""
    numbers = itertools.count()
    benchmark.pedantic(act, setup=lambda: ((next(numbers),), {}), rounds=rounds, iterations=1, warmup_rounds=20)
    return next(numbers)


@DURABILITY
@pytest.mark.parametrize("method", ["generate", "load_generate"])
def test_miss(benchmark: BenchmarkFixture, tmp_path: Path, durability: Any, method: str) -> None:
    """Construct, generate, commit; ``load_generate`` also looks first and takes the lock."""
    benchmark.group = f"tiny miss, durability={durability}"
    store = ArtifactStore(tmp_path, durability=durability)
    Tiny(store, TinyParams(-1)).load_generate()  # the folder is there
    made = each_time_new(benchmark, lambda n: getattr(Tiny(store, TinyParams(n)), method)())
    assert len(list(store.list())) == 1 + made


@FLOOR
@DURABILITY
@pytest.mark.parametrize("files", [1, 2])
def test_miss_floor(benchmark: BenchmarkFixture, tmp_path: Path, durability: str, files: int) -> None:
    """A temporary file, written and renamed; flushed with its folder if durable. Two files: a record needs its own."""
    benchmark.group = f"tiny miss, durability={durability}"
    root = str(tmp_path)

    def write(n: int) -> None:
        data = pickle.dumps(PAYLOAD, protocol=5)
        for part in range(files):
            with open(f"{root}/.tmp-{n}", "wb") as file:
                file.write(data)
                if durability == "full":
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(f"{root}/.tmp-{n}", f"{root}/{n}-{part}.pickle")
            if durability == "full":
                folder = os.open(root, os.O_RDONLY)
                os.fsync(folder)
                os.close(folder)

    each_time_new(benchmark, write)


# -- keys --------------------------------------------------------------------------------------------------------------


def sha256_of(texts: list[str]) -> Callable[[], list[str]]:
    return lambda: [hashlib.sha256(text.encode("ascii")).hexdigest()[:32] for text in texts]


def key_of(params: TinyParams, upstream: tuple[tuple[str, Identity], ...] = ()) -> Identity:
    return identify("tiny", "0", snapshot(params).parts, upstream)


PARAMS = [TinyParams(n) for n in range(201)]


def chain_of_100() -> list[Identity]:
    """100 nodes, each upstream of the next."""
    nodes = [key_of(PARAMS[0])]
    for params in PARAMS[1:100]:
        nodes.append(key_of(params, (("before", nodes[-1]),)))
    return nodes


def diamond_of_200() -> list[Identity]:
    """200 levels, each of which has the one below upstream twice: 2**200 paths."""
    nodes = [key_of(PARAMS[0])]
    for params in PARAMS[1:]:
        nodes.append(key_of(params, (("left", nodes[-1]), ("right", nodes[-1]))))
    return nodes


SHAPES: dict[str, Callable[[], list[Identity]]] = {
    "key of 5 fields": lambda: [key_of(PARAMS[0])],
    "key of 100 nodes": chain_of_100,
    "key of a 200-level diamond": diamond_of_200,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_key(benchmark: BenchmarkFixture, shape: str) -> None:
    """Params to identity, for every node."""
    benchmark.group = shape
    assert len(benchmark(SHAPES[shape])[-1].key) == 32


@pytest.mark.parametrize("shape", SHAPES)
def test_construct(benchmark: BenchmarkFixture, shape: str, tmp_path: Path) -> None:
    """The same with a Persistable per node, which is what a user pays."""
    benchmark.group = shape
    store = ArtifactStore(tmp_path)
    count, roles = {"key of 5 fields": (1, ()), "key of 100 nodes": (100, ("before",))}.get(
        shape, (201, ("left", "right"))
    )

    def construct() -> Tiny:
        node = Tiny(store, PARAMS[0])
        for params in PARAMS[1:count]:
            node = Tiny(store, params, dict.fromkeys(roles, node))
        return node

    assert benchmark(construct).key == SHAPES[shape]()[-1].key


@FLOOR
@pytest.mark.parametrize("shape", SHAPES)
def test_key_floor(benchmark: BenchmarkFixture, shape: str) -> None:
    """SHA-256 of the same canonical texts, which are there already."""
    benchmark.group = shape
    nodes = SHAPES[shape]()
    assert benchmark(sha256_of([node.text for node in nodes])) == [node.key for node in nodes]
