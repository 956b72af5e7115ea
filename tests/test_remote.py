"""Artifacts on a storage without local paths: the same promises as in a local folder."""

import copy
import os
import pickle
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dict_storage import OBJECT_STORE, DictStorage

from persistable import ArtifactStore, Persistable, PersistableParams, naming
from persistable.exceptions import (
    CorruptArtifactError,
    CorruptArtifactWarning,
    ForeignArtifactError,
    MissingArtifactError,
    StorageConnectionError,
    StoragePermissionError,
    StorageWarning,
    TrustWarning,
    UntrustedArtifactError,
)
from persistable.io import FileIO
from persistable.local import LocalStorage
from persistable.remote import RemoteFolder, fetched


@dataclass
class Params(PersistableParams):
    n: int = 3


class ListP(Persistable[list[int], Params]):
    generated = 0

    def _generate_payload(self, **untracked: Any) -> list[int]:
        type(self).generated += 1
        return list(range(self.params.n))


class FolderIO(FileIO[dict[str, bytes]]):
    """A format of several files."""

    name = "custom-folder"
    suffix = ".parts"
    is_directory = True

    def _save(self, payload: dict[str, bytes], filepath: Path, **kwargs: Any) -> None:
        for name, content in payload.items():
            (filepath / name).parent.mkdir(parents=True, exist_ok=True)
            (filepath / name).write_bytes(content)

    def _load(self, filepath: Path, **kwargs: Any) -> dict[str, bytes]:
        return {
            path.relative_to(filepath).as_posix(): path.read_bytes() for path in filepath.rglob("*") if path.is_file()
        }


class PartsP(Persistable[dict[str, bytes], Params]):
    payload_io = FolderIO()

    def _generate_payload(self, **untracked: Any) -> dict[str, bytes]:
        return {"a.bin": b"a" * self.params.n, "deep/ü b.bin": b"b"}


@pytest.fixture
def place(tmp_path: Path) -> DictStorage:
    ListP.generated = 0
    return DictStorage(f"dict://{tmp_path.name}-{os.urandom(4).hex()}")


def record_of(p: Persistable[Any, Any]) -> str:
    """Return the name of the object that is the record."""
    return f"{p.payload_name}/{p.key}.json"


def store(place: DictStorage, cache: Path | str = "off", **settings: Any) -> ArtifactStore:
    return ArtifactStore(place, cache=cache, **({"trust": "all"} | settings))


def test_a_payload_is_generated_once_and_then_loaded(place: DictStorage, tmp_path: Path) -> None:
    """The record is put last and on condition, and nothing but the artifact is left."""
    ListP(store(place, tmp_path), Params()).load_generate()
    again = ListP(store(place, tmp_path / "other"), Params())
    again.load()
    assert (again.payload, ListP.generated) == ([0, 1, 2], 1)
    assert sorted(name.rpartition("/")[2].partition("-")[0] for name in place.objects) == [
        again.key,
        f"{again.key}.json",
    ]
    written = [call for call in place.calls if call[0].startswith("put") and again.key in call[1]]
    assert [operation for operation, name in written if name == record_of(again)] == ["put_if_absent", "put"]
    assert again.record.key == again.key


def test_the_second_load_downloads_no_payload(place: DictStorage, tmp_path: Path) -> None:
    """Neither the process that persisted it nor the next load fetches the payload; a fresh cache does, once."""
    shared = store(place, tmp_path / "cache")
    p = ListP(shared, Params())
    p.load_generate()
    payload = f"{p.payload_name}/{p.record.main_path}"
    place.calls.clear()
    ListP(shared, Params()).load()
    assert ("get", payload) not in place.calls
    other = store(place, tmp_path / "other")
    for _ in range(2):
        ListP(other, Params()).load()
    assert place.calls.count(("get", payload)) == 1


def test_without_a_cache_nothing_is_left_on_the_disk(place: DictStorage, tmp_path: Path) -> None:
    """With the cache switched off a payload is downloaded every time and removed after it was loaded."""
    p = ListP(store(place), Params())
    p.load_generate()
    local = p.store.cache.local
    for _ in range(2):
        q = ListP(store(place), Params())
        q.load()
        assert q.payload == [0, 1, 2]
    assert os.listdir(local.local_path("payloads")) == []
    assert os.listdir(local.local_path("staging")) == []


def test_a_payload_of_several_files(place: DictStorage, tmp_path: Path) -> None:
    """Each file is an object of its own, and comes back under its name."""
    PartsP(store(place, tmp_path / "a"), Params()).load_generate()
    again = PartsP(store(place, tmp_path / "b"), Params())
    again.load()
    assert again.payload == {"a.bin": b"aaa", "deep/ü b.bin": b"b"}
    assert again.persist_filepath.is_dir()
    assert len(place.objects) == 3


def test_regenerating_replaces_the_record_and_leaves_the_old_payload_to_the_sweep(
    place: DictStorage, tmp_path: Path
) -> None:
    """A reader between record and payload still finds what it was promised; later a sweep collects it."""
    p = ListP(store(place, tmp_path), Params())
    p.generate()
    old = f"{p.payload_name}/{p.record.main_path}"
    p.generate()
    assert old in place.objects
    assert p.store.sweep().names == ()
    assert p.store.sweep(grace=0, dry_run=True).names == (old,)
    assert old in place.objects
    assert p.store.sweep(grace=0).names == (old,)
    assert len(place.objects) == 2
    p.load()


def test_what_was_being_put_into_quarantine_is_swept_as_elsewhere(place: DictStorage) -> None:
    """An upload that broke off is nobody's loss; what others keep there is, and what is in quarantine has its time."""
    folder = f"x/{naming.QUARANTINE}"
    left = f"{folder}/{naming.staged_name('')}"
    for name in (
        left,
        f"{folder}/.tmp-notes",
        f"{folder}/mine/{naming.staged_name('')}",
        f"{folder}/{'0' * 32}.rejected.txt",
    ):
        place.put(name, b"")
    assert store(place).sweep().names == ()
    assert store(place).sweep(grace=0).names == (left,)
    assert left not in place.objects
    assert len(place.objects) == 3


@pytest.mark.parametrize("what", ["flip", "cut", "missing", "record"])
def test_damage_is_noticed_and_generated_again(place: DictStorage, tmp_path: Path, what: str) -> None:
    """Whatever happens to the objects, a wrong payload is never served; the record is kept in quarantine."""
    p = ListP(store(place, tmp_path / "a"), Params())
    p.load_generate()
    name = f"{p.payload_name}/{p.record.main_path}" if what != "record" else record_of(p)
    content = place.objects[name][0]
    if what == "missing":
        del place.objects[name]
    else:
        place.put(name, content[:-1] if what == "cut" else bytes([content[0] ^ 1]) + content[1:])
    other = ListP(store(place, tmp_path / "b"), Params())
    with pytest.raises(CorruptArtifactError):
        other.load()
    with pytest.warns(CorruptArtifactWarning):
        other.load_generate()
    assert other.payload == [0, 1, 2]
    ListP(store(place, tmp_path / "c"), Params()).load()
    assert [name for name in place.objects if "/quarantine/" in name]


def test_a_damaged_cache_is_filled_again(place: DictStorage, tmp_path: Path) -> None:
    """What is wrong in the cache alone is fetched anew, and never served."""
    p = ListP(store(place, tmp_path), Params())
    p.load_generate()
    (cached,) = (tmp_path / "payloads").iterdir()
    cached.write_bytes(b"x" * cached.stat().st_size)
    q = ListP(store(place, tmp_path), Params())
    q.load()
    assert q.payload == [0, 1, 2]
    assert cached.read_bytes() == pickle.dumps([0, 1, 2], protocol=5)


def test_a_failed_upload_leaves_the_old_artifact_and_nothing_else(place: DictStorage, tmp_path: Path) -> None:
    """Whichever call of a commit fails, the state is old or new, and there are no orphans."""
    upstream = ListP(store(place), Params(1), payload_name="upstream")
    upstream.load_generate()

    def commit(failing: int | None, n: int) -> int:
        p = ListP(store(place), Params(n), [upstream])
        p._Persistable__payload = list(range(n))  # type: ignore[attr-defined]
        real, count = type(place)._called, 0

        def called(self: DictStorage, operation: str, name: str) -> None:
            nonlocal count
            if operation in ("put", "put_if_absent", "put_if_match", "get", "stat"):
                count += 1
                if count == failing:
                    raise StorageConnectionError(url=self.locate(name), operation=operation)
            real(self, operation, name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(place), "_called", called)
            p.persist()
        return count

    before = dict(place.objects)
    total = commit(None, 5)
    for failing in range(1, total + 1):
        place.objects.clear()
        place.objects |= before
        try:
            commit(failing, 5)
        except StorageConnectionError:
            assert place.objects == before, failing
        else:  # a question that can be done without, such as whether the lineage is there already
            ListP(store(place), Params(5), [upstream]).load()


def test_a_pickle_is_refused_without_a_trust_setting_and_told_before_generating(place: DictStorage) -> None:
    """Nobody knows who owns what is on a remote storage, so it is said before hours of compute."""

    class Late(ListP):
        def _generate_payload(self, **untracked: Any) -> list[int]:
            raise KeyboardInterrupt

    untrusted = ArtifactStore(place, cache="off")
    with pytest.warns(TrustWarning, match="trust="), pytest.raises(KeyboardInterrupt):
        Late(untrusted, Params()).load_generate()
    ListP(store(place), Params()).load_generate()
    place.calls.clear()
    with pytest.raises(UntrustedArtifactError, match="owner is not known"):
        ListP(untrusted, Params()).load()
    assert {name for _, name in place.calls} == {record_of(ListP(untrusted, Params()))}  # not even downloaded


def test_an_endpoint_that_ignores_conditions_is_found_out(place: DictStorage) -> None:
    """One StorageWarning; work may be done twice, and what is loaded is right."""
    careless = DictStorage(place.url, ignores_conditions=True)
    with pytest.warns(StorageWarning, match="created only once"):
        ListP(store(careless), Params()).load_generate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ListP(store(careless), Params(4)).load_generate()
    ListP(store(place), Params()).load()


def test_threads_generate_once(place: DictStorage) -> None:
    """However many threads miss a key at a time, one generates under a lease that is gone afterwards."""
    shared = store(place)
    started = threading.Barrier(8)

    def work() -> None:
        p = ListP(shared, Params())
        started.wait()
        p.load_generate()
        assert p.payload == [0, 1, 2]

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ListP.generated == 1
    assert len(place.objects) == 2


def test_refused_writes_are_said_before_generating(place: DictStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No permission to write: a typed error, and nothing is generated."""

    def refuse(self: DictStorage, name: str, *_: Any) -> bool:
        raise StoragePermissionError(url=self.locate(name), operation="put")

    for method in ("put", "put_if_absent"):
        monkeypatch.setattr(DictStorage, method, refuse)
    for ask in (ListP.load_generate, ListP.generate):
        with pytest.raises(PermissionError, match="dict://"):
            ask(ListP(store(place), Params()))
    assert ListP.generated == 0


def test_nothing_there(place: DictStorage) -> None:
    """load says where the record would be."""
    with pytest.raises(MissingArtifactError, match=place.url):
        ListP(store(place), Params()).load()


def test_another_class_is_not_overwritten(place: DictStorage) -> None:
    """A foreign artifact is an error on load and before generating, as in a local folder."""
    ListP(store(place), Params(), payload_name="shared").load_generate()
    other = PartsP(store(place), Params(), payload_name="shared")
    for ask in (PartsP.load, PartsP.load_generate, PartsP.generate):
        with pytest.raises(ForeignArtifactError):
            ask(other)


def test_list_and_check(place: DictStorage, tmp_path: Path) -> None:
    """Listing and verification work on any storage."""
    p = ListP(store(place, tmp_path), Params())
    q = PartsP(store(place, tmp_path), Params())
    for persistable in (p, q):
        persistable.load_generate()
    assert {address.key for address in p.store.list()} == {p.key, q.key}
    assert [finding.problem for finding in p.store.check()] == [None, None]
    place.put(f"{p.payload_name}/{p.record.main_path}", b"other")
    assert [bool(finding.problem) for finding in p.store.check()].count(True) == 1


def test_a_store_travels_without_its_credentials() -> None:
    """The URL is opened again on the other side, from the environment there."""
    sent = pickle.loads(pickle.dumps(ArtifactStore("s3://bucket/x", storage_options={"secret": "hunter22"})))
    assert sent.location == "s3://bucket/x"
    assert sent.storage_options is None
    assert b"hunter22" not in pickle.dumps(sent)


def test_capabilities_without_replacement(place: DictStorage, tmp_path: Path) -> None:
    """A storage that can only create exclusively still commits, lastly wins."""
    plain = DictStorage(place.url, capabilities=OBJECT_STORE._replace(replace_matching=False))
    p = ListP(store(plain, tmp_path), Params())
    p.load_generate()
    p.generate()
    ListP(store(place, tmp_path / "b"), Params()).load()


def test_threads_load_without_a_cache(place: DictStorage) -> None:
    """Each load has a copy of its own, so that none is taken away from another."""
    p = ListP(store(place), Params())
    p.load_generate()
    source = RemoteFolder(place, p.record.identity["name"])
    with fetched(p.store.cache, source, p.record) as one, fetched(p.store.cache, source, p.record) as other:
        assert one.files != other.files
        for held in (one, other):
            p.store.cache.remove(held.files[0].path)
    shared, failed = store(place), list[BaseException]()

    def work() -> None:
        try:
            for _ in range(20):
                ListP(shared, Params()).load()
        except BaseException as error:  # noqa: BLE001 - reported below
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert os.listdir(shared.cache.local.local_path("payloads")) == []


@pytest.mark.parametrize("how", ["folder", "link", "flipped"])
def test_whatever_is_in_the_place_of_a_cached_payload(place: DictStorage, tmp_path: Path, how: str) -> None:
    """It makes room; a good artifact is never taken for damaged, and persist_filepath leads to the right bytes."""
    p = ListP(store(place, tmp_path), Params())
    p.load_generate()
    (cached,) = (tmp_path / "payloads").iterdir()
    good = cached.read_bytes()
    (tmp_path / "other").write_bytes(b"x" * len(good))
    cached.unlink()
    if how == "folder":
        (cached / "inside").mkdir(parents=True)
    elif how == "link":
        cached.symlink_to(tmp_path / "other")
    else:
        cached.write_bytes(b"x" * len(good))
    again = ListP(store(place, tmp_path), Params())
    if how == "flipped":
        assert again.persist_filepath.read_bytes() == good
    again.load()
    assert again.payload == [0, 1, 2]
    assert (tmp_path / "other").read_bytes() == b"x" * len(good)


def test_a_lineage_that_somebody_counts_on_is_put_back(place: DictStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing commit withdraws its lineage; one that commits meanwhile has found it there."""
    upstream = ListP(store(place), Params(1), payload_name="upstream")
    upstream.load_generate()
    failing, other = (ListP(store(place), Params(), [upstream]) for _ in range(2))
    real = DictStorage.put_if_absent
    lost = False

    def put(self: DictStorage, name: str, data: bytes) -> bool:
        nonlocal lost
        if name.endswith(f"/{failing.key}.json") and not lost:
            lost = True
            raise StorageConnectionError(url=name, operation="put")
        return real(self, name, data)

    deleted = DictStorage.delete

    def delete(self: DictStorage, name: str) -> None:
        if name.endswith(".lineage.json") and not other_is_there():
            other.generate()
        deleted(self, name)

    def other_is_there() -> bool:
        return any(name.endswith(f"/{other.key}.json") for name in place.objects)

    monkeypatch.setattr(DictStorage, "put_if_absent", put)
    monkeypatch.setattr(DictStorage, "delete", delete)
    with pytest.raises(StorageConnectionError):
        failing.generate()
    assert other_is_there()
    assert [finding.problem for finding in store(place).check()] == [None, None]


def test_a_class_without_a_payload_type_is_told_before_generating_too(place: DictStorage) -> None:
    """Nobody knows what it will be, and a pickle could not be loaded again."""

    class Any_(Persistable):  # type: ignore[type-arg]
        def _generate_payload(self, **untracked: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.warns(TrustWarning, match="may be persisted"), pytest.raises(KeyboardInterrupt):
        Any_(ArtifactStore(place, cache="off"), Params()).load_generate()


def test_a_store_travels_with_what_says_where() -> None:
    """Endpoint and region go along, so that the other side asks the same service; a copy here keeps everything."""
    options = {"endpoint": "https://minio.example", "secret": "hunter22", "nested": {"region": "eu", "token": "abcdef"}}
    sender = ArtifactStore("s3://bucket/x", storage_options=options)
    sent = pickle.loads(pickle.dumps(sender))
    assert sent.storage_options == {"endpoint": "https://minio.example", "nested": {"region": "eu"}}
    assert copy.deepcopy(sender).storage_options == options


@pytest.mark.parametrize("url", ["s3://", "s3:///", "s3:/bucket", "memory:/x"])
def test_a_mistyped_url_is_no_folder(url: str) -> None:
    """It is refused with what was meant, and nothing is made in the working directory."""
    with pytest.raises(ValueError, match="data_dir"):
        ArtifactStore(url)


def test_a_relative_local_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts from the working directory of now, and its folders are made."""
    monkeypatch.chdir(tmp_path)
    ListP(ArtifactStore(LocalStorage("data", durable=False)), Params()).load_generate()
    assert list((tmp_path / "data").rglob("*.pickle"))


@pytest.mark.parametrize("name", ["data", "50%41 of it"])
def test_a_store_of_a_local_storage_travels(tmp_path: Path, name: str) -> None:
    """Where it comes out it is the same folder, and as durable."""
    made = ArtifactStore(LocalStorage(str(tmp_path / name), durable=False))
    ListP(made, Params()).load_generate()
    there = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(made))))
    assert isinstance(there.storage, LocalStorage)
    assert (there.storage.root, there.storage.durable) == (str(tmp_path / name), False)
    p = ListP(there, Params())
    p.load()
    assert p.payload == [0, 1, 2]
