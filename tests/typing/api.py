"""Only type-checked, never run: payload and params have their types, and wrong uses are errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, assert_type

from persistable import (
    ArtifactStore,
    FileContent,
    FileIO,
    Persistable,
    PersistableParams,
    PickleFileIO,
    Registry,
    param,
)


@dataclass
class PointsParams(PersistableParams):
    n: int
    seed: int = 100
    workers: int = param(default=4, tracked=False)
    names: list[str] = param(default_factory=list)


class PointsP(Persistable[list[float], PointsParams]):
    version = "2"
    formerly = ("old.module:PointsP",)
    payload_io = "pickle"

    def _generate_payload(self, **untracked: Any) -> list[float]:
        assert_type(self.params, PointsParams)
        assert_type(self.params.n, int)
        return [0.0] * self.params.n

    def _validate_payload(self, payload: list[float]) -> None:
        assert_type(payload, list[float])

    def _post_generate(self, **untracked: Any) -> None:
        assert_type(self.payload, list[float])


@dataclass
class MeanParams(PersistableParams):
    weight: float | None = None
    source: FileContent | None = None


class MeanP(Persistable[float | None, MeanParams]):
    def __init__(self, data_dir: Path, params: MeanParams, *, points: PointsP) -> None:
        super().__init__(data_dir, params, tracked_persistable_dependencies=[points], verbose=True)
        self.points = points

    def _generate_payload(self, **untracked: Any) -> float | None:
        assert_type(self.points.payload, list[float])
        return sum(self.points.payload)


points = PointsP(Path("data"), PointsParams(n=3), None)
mean = MeanP(Path("data"), MeanParams(), points=points)

assert_type(points.payload, list[float])
assert_type(points.params, PointsParams)
assert_type(points.params.workers, int)
assert_type(points.params.names, list[str])
assert_type(mean.payload, float | None)
assert_type(mean.params.weight, float | None)
assert_type(points.key, str)
assert_type(points.persist_hash, str)
assert_type(points.persist_filepath, Path)
assert_type(points.params_tree, dict[str, Any])
assert_type(points.payload_name, str)
assert_type(points.record.key, str)

points.generate()
points.generate(persist=False, workers=3)
points.load(warn_if_validation_fails=True, anything=1)
points.load_generate(anything=1)
points.validate_payload([1.0])
points.validate_payload()
points.persist()
points.reset_payload()
points.params = PointsParams(4)

# every way of saying where and from what
PointsP("s3://bucket", PointsParams(1), payload_io=PickleFileIO())
PointsP(ArtifactStore("data", verify="size", durability="fast", lock_timeout=None), PointsParams(1))
PointsP(ArtifactStore("data", registry=Registry(prefer={"pandas.DataFrame": "csv"})), PointsParams(1))
PointsP("data", PointsParams(1), {"role": mean}, payload_io="pickle", payload_name="x", payload_file_suffix=".x")
PointsP("data", PointsParams(1), (each for each in [mean]), payload_io=PickleFileIO)

# wrong uses: mypy reports a type: ignore that is not needed, so these are checked as well
PointsP("data", MeanParams())  # type: ignore[arg-type]
PointsP("data", PointsParams(1), [3])  # type: ignore[list-item]
PointsP(3, PointsParams(1))  # type: ignore[arg-type]
points.params = MeanParams()  # type: ignore[assignment]
points.validate_payload("x")  # type: ignore[arg-type]
points.payload = []  # type: ignore[misc]
points.key = "x"  # type: ignore[misc]
ArtifactStore("data", verify="sometimes")  # type: ignore[arg-type]


# formats of one's own, and bases with a parameter left open
class LinesFileIO(FileIO[list[str]]):
    name = "lines"
    suffix = ".txt"

    def _load(self, filepath: Path, **kwargs: Any) -> list[str]:
        return filepath.read_text().splitlines()

    def _save(self, payload: list[str], filepath: Path, **kwargs: Any) -> None:
        filepath.write_text("\n".join(payload))


assert_type(LinesFileIO().load("x"), list[str])
assert_type(PickleFileIO[int]().load(Path("x")), int)

T = TypeVar("T")
ParamsT = TypeVar("ParamsT", bound=PersistableParams)


class ListsP(Persistable[list[T], ParamsT], Generic[T, ParamsT]):
    pass


class IntsP(ListsP[int, PointsParams]):
    def _generate_payload(self, **untracked: Any) -> list[int]:
        return [self.params.n]


class StreamP(Persistable[Iterator[int], PointsParams]):
    def _generate_payload(self, **untracked: Any) -> Iterator[int]:
        yield self.params.n


assert_type(IntsP("data", PointsParams(1)).payload, list[int])
assert_type(IntsP("data", PointsParams(1)).params, PointsParams)
assert_type(StreamP("data", PointsParams(1)).payload, Iterator[int])
