"""Only type-checked, never run: payload and params have their types, and wrong uses are errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, assert_type

from persistable import (
    ArtifactStore,
    Event,
    FileContent,
    FileIO,
    FormatSpec,
    Persistable,
    PersistableParams,
    PickleFileIO,
    Registry,
    StorageSpec,
    hookimpl,
    param,
)
from persistable.exceptions import CorruptArtifactError, MissingArtifactError, UnkeyableParamError
from persistable.storage import Capabilities, Entry, Storage


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


# what is there, and how it is
store = ArtifactStore("data", trust=["alice", 1000])
for address in store.list():
    assert_type(address.name, str)
    assert_type(store.lineage(address), dict[str, dict[str, Any]])
    if (record := store.find(address)) is not None:
        assert_type(record.format, str)
        assert_type(record.size, int)
assert_type([finding.problem for finding in store.check(quarantine=True)], list[str | None])
assert_type(store.sweep(grace=0).bytes, int)
assert_type(Registry().explain(list)[0].rank, int | None)

try:
    points.load()
except MissingArtifactError as missing:
    assert_type(missing.key, str)
except CorruptArtifactError as corrupt:
    assert_type(corrupt.reason, str)
except UnkeyableParamError as unkeyable:
    assert_type(unkeyable.path, str)


# plugins
@hookimpl
def persistable_formats() -> list[FormatSpec]:
    FormatSpec(name="lines")  # type: ignore[call-arg]
    return [FormatSpec(name="lines", suffix=".txt", io="lines:LinesFileIO", types=("lines.Lines",))]


@hookimpl
def persistable_storages() -> list[StorageSpec]:
    return [StorageSpec(schemes=("tape",), storage="tape:TapeStorage")]


@hookimpl
def persistable_event(event: Event) -> None:
    assert_type(event.kind, str)


class TapeStorage(Storage):
    capabilities = Capabilities(
        atomic_replace=True,
        create_exclusive=False,
        replace_matching=False,
        lock=False,
        local_path=False,
        open_files_survive_deletion=False,
    )

    def __init__(self, url: str, *, speed: float = 1.0) -> None:
        self.url = url

    def get(self, name: str) -> bytes:
        return b""

    def put(self, name: str, data: bytes) -> None:
        pass

    def stat(self, name: str) -> Entry:
        return Entry(name, 0, 0.0)

    def list(self, folder: str = "") -> Iterator[Entry]:
        yield self.stat(folder)

    def delete(self, name: str) -> None:
        pass


ArtifactStore(TapeStorage("tape://1"), cache="off", cache_bytes=0)
Storage()  # type: ignore[abstract]
