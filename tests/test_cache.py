"""The cache of payloads: its trouble fails no hit and loses no generation; what is private ends with its process."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dict_storage import DictStorage
from faults import Faults, dying_disk, full_disk

import persistable
from persistable import ArtifactStore, Persistable, PersistableParams
from persistable.cache import CacheError, PayloadCache, _private, private_cache
from persistable.io import FileIO


@dataclass
class Params(PersistableParams):
    n: int = 3


class ListP(Persistable[list[int], Params]):
    generated = 0

    def _generate_payload(self, **untracked: Any) -> list[int]:
        type(self).generated += 1
        return list(range(self.params.n))


@pytest.fixture
def place(tmp_path: Path) -> DictStorage:
    ListP.generated = 0
    return DictStorage(f"dict://{tmp_path.name}-{os.urandom(4).hex()}")


@pytest.fixture
def spare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have private folders made here, and a new one by the next who asks."""
    folder = tmp_path / "spare"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    _private.cache_clear()
    yield folder
    _private.cache_clear()


def listed(place: DictStorage, cache: Path | str) -> ListP:
    return ListP(ArtifactStore(place, cache=cache, trust="all"), Params())


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said of caches."""
    return [record.getMessage() for record in caplog.records if "not cached" in record.getMessage()]


# -- hits


@pytest.mark.parametrize("error", [full_disk, dying_disk])
def test_a_hit_survives_any_failure_of_the_local_disk(
    place: DictStorage, tmp_path: Path, spare: Path, error: Callable[[], OSError]
) -> None:
    """Whichever call fails, once: the payload comes by another way, and no artifact is taken for damaged."""
    listed(place, tmp_path / "first").load_generate()
    stored = dict(place.objects)
    at = 0
    while True:
        at += 1
        _private.cache_clear()
        p = listed(place, tmp_path / f"cache-{at}")
        with Faults(at, error).injected() as faults:
            p.load_generate()
        assert p.payload == [0, 1, 2], at
        assert (ListP.generated, place.objects) == (1, stored), at
        if not faults.struck:
            break
    assert at > 5


def test_a_hit_without_any_disk_is_an_error_and_no_damage(place: DictStorage, tmp_path: Path, spare: Path) -> None:
    """There is nowhere to put the payload: that is said, and neither generated again nor put into quarantine."""
    listed(place, tmp_path / "first").load_generate()
    stored = dict(place.objects)
    with Faults(1, onward=True).injected(), pytest.raises(OSError) as caught:
        listed(place, tmp_path / "cache").load_generate()
    assert caught.value.errno == errno.ENOSPC
    assert (ListP.generated, place.objects) == (1, stored)


def test_a_full_private_folder_is_named(tmp_path: Path) -> None:
    """It is where there should be room, and write(2) does not say which disk is full."""
    with pytest.raises(OSError, match="No space left") as caught:
        private_cache(CacheError(PayloadCache(str(tmp_path), shared=False), OSError(errno.ENOSPC, "No space left")))
    assert caught.value.filename == str(tmp_path)


def test_a_cache_that_cannot_be_used_is_told_once(
    place: DictStorage, tmp_path: Path, spare: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Something else is in its place, from the start or later: one line, whatever is loaded after it."""
    listed(place, tmp_path / "cache").load_generate()
    early, late = listed(place, tmp_path / "cache"), listed(place, tmp_path / "other")
    early.load()
    shutil.rmtree(tmp_path / "cache")
    for name in ("cache", "other"):
        (tmp_path / name).write_bytes(b"a file")
    for _ in range(2):
        for p in (early, late, listed(place, tmp_path / "cache")):
            p.load()
            assert p.payload == [0, 1, 2]
    for name in ("cache", "other"):
        assert len([line for line in told(caplog) if str(tmp_path / name) in line]) == 1
    assert ListP.generated == 1


def test_a_cache_that_was_removed_is_made_again(place: DictStorage, tmp_path: Path) -> None:
    """Somebody has tidied up, and nobody needs to know."""
    p = listed(place, tmp_path / "cache")
    p.load_generate()
    shutil.rmtree(tmp_path / "cache")
    p.load()
    assert len(list((tmp_path / "cache" / "payloads").iterdir())) == 1


def test_a_cache_that_vanishes_during_a_download_is_no_damage(
    place: DictStorage, tmp_path: Path, spare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the object that is missing, but the folder that it should go to."""
    listed(place, tmp_path / "first").load_generate()
    stored = dict(place.objects)
    fetch, cache = DictStorage.fetch, tmp_path / "cache"

    def fetch_and_tidy(self: DictStorage, name: str, path: str, size: int) -> None:
        shutil.rmtree(cache, ignore_errors=True)
        fetch(self, name, path, size)

    monkeypatch.setattr(DictStorage, "fetch", fetch_and_tidy)
    p = listed(place, cache)
    p.load_generate()
    assert p.payload == [0, 1, 2]
    assert (ListP.generated, place.objects) == (1, stored)


def test_an_entry_that_cannot_be_read_is_done_without(
    place: DictStorage, tmp_path: Path, spare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector under one payload fails no hit."""
    p = listed(place, tmp_path / "cache")
    p.load_generate()
    real = os.open

    def refuse(path: str, *args: Any, **options: Any) -> int:
        if str(path).startswith(f"{tmp_path}/cache/payloads/"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    p.load()
    assert p.payload == [0, 1, 2]


# -- generations


@pytest.mark.parametrize("error", [full_disk, dying_disk])
@pytest.mark.parametrize("call", [ListP.load_generate, ListP.generate])
def test_a_generation_survives_any_failure_of_the_local_disk(
    place: DictStorage, tmp_path: Path, spare: Path, call: Callable[[ListP], None], error: Callable[[], OSError]
) -> None:
    """Whichever call fails, once: what was generated is committed, and generated once."""
    at = 0
    while True:
        at += 1
        _private.cache_clear()
        place.objects.clear()
        ListP.generated = 0
        with Faults(at, error).injected() as faults:
            call(listed(place, tmp_path / f"cache-{at}"))
        assert ListP.generated == 1, at
        listed(place, tmp_path / "other").load()
        if not faults.struck:
            break
    assert at > 10
    assert [path for path in spare.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("call", [ListP.load_generate, ListP.generate])
def test_without_any_disk_nothing_is_generated(
    place: DictStorage, tmp_path: Path, spare: Path, call: Callable[[ListP], None]
) -> None:
    """What could not even be staged is not computed: it is said before."""
    with Faults(1, onward=True).injected(), pytest.raises(OSError) as caught:
        call(listed(place, tmp_path / "cache"))
    assert caught.value.errno == errno.ENOSPC
    assert (ListP.generated, place.objects) == (0, {})


class HeavyIO(FileIO[list[int]]):
    """A format for which a disk is full, and another one is not."""

    name = "heavy"
    suffix = ".heavy"
    full = ""

    def _save(self, payload: list[int], filepath: Path, **kwargs: Any) -> None:
        filepath.write_bytes(bytes(payload))
        if str(filepath).startswith(self.full):
            raise full_disk()

    def _load(self, filepath: Path, **kwargs: Any) -> list[int]:
        return list(filepath.read_bytes())


def test_a_payload_for_which_the_cache_has_no_room_is_staged_elsewhere(
    place: DictStorage, tmp_path: Path, spare: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Entries that nobody is using make room first, since it may be one disk; nothing is left where there was none."""
    cache = tmp_path / "cache"
    old = listed(place, cache)
    old.load_generate()
    (entry,) = (cache / "payloads").iterdir()
    os.utime(entry, (0, 0))
    HeavyIO.full = str(cache)
    store = ArtifactStore(place, cache=cache, trust="all")
    p = ListP(store, Params(n=5), payload_io=HeavyIO())
    p.load_generate()
    assert (p.record.format, ListP.generated) == ("heavy", 2)
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert len(told(caplog)) == 1
    again = ListP(ArtifactStore(place, cache=tmp_path / "other", trust="all"), Params(n=5), payload_io=HeavyIO())
    again.load()
    assert again.payload == [0, 1, 2, 3, 4]
    old.load()


# -- private folders


_FORK = """
import os, sys, time
from dataclasses import dataclass
from dict_storage import DictStorage
from persistable import ArtifactStore, Persistable, PersistableParams

@dataclass
class Params(PersistableParams):
    n: int = 3

class ListP(Persistable[list, Params]):
    def _generate_payload(self, **untracked):
        return [1, 2, 3]

p = ListP(ArtifactStore(DictStorage("dict://fork"), cache="off", trust="all"), Params())
p.load_generate()
p.load()
mine = p.store.cache.local.root
assert os.listdir(os.environ["TMPDIR"]) == [os.path.basename(mine)]
seen, told = os.pipe()
if os.fork():
    os.close(told)
    sys.exit(0)  # the child outlives it
os.close(seen)
parent = os.getppid()
while os.path.exists(mine):
    time.sleep(0.01)
p.load()
p.generate()
assert not os.path.exists(mine), "the parent's folder is there again"
assert p.store.cache.local.root != mine
assert len(os.listdir(os.environ["TMPDIR"])) == 1
with open(os.environ["RESULT"], "w") as file:
    file.write("done")
sys.exit(0)
"""


def _environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir()
    sources = [os.path.dirname(os.path.dirname(persistable.__file__)), os.path.dirname(__file__)]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([*sources, *filter(None, sys.path)]),
        "TMPDIR": str(tmp_path / "tmp"),
        "RESULT": str(tmp_path / "result"),
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_that_outlives_its_parent_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Each process makes its private folder and takes it away; none makes that of another one again."""
    environment = _environment(tmp_path)
    # the output is open until the child has ended, too
    subprocess.run([sys.executable, "-c", _FORK], env=environment, check=True, stdout=subprocess.PIPE, timeout=120)
    assert (tmp_path / "result").read_text() == "done"
    assert os.listdir(tmp_path / "tmp") == []


_WORKERS = """
import multiprocessing
from test_cache import ListP, Params
from dict_storage import DictStorage
from persistable import ArtifactStore

def work(n):
    p = ListP(ArtifactStore(DictStorage(f"dict://{n}"), cache="off", trust="all"), Params())
    p.load_generate()
    p.load()
    return p.payload

with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, range(4)) == [[0, 1, 2]] * 4
    pool.close()
    pool.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_workers_of_multiprocessing_clean_up(tmp_path: Path) -> None:
    """They end without what is registered for the end of a process."""
    subprocess.run([sys.executable, "-c", _WORKERS], env=_environment(tmp_path), check=True, timeout=120)
    assert os.listdir(tmp_path / "tmp") == []


_KILLED = """
import os, signal
from persistable.cache import open_cache
open_cache("off", 0).prove()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="nobody is killed like that here")
def test_the_folder_of_a_killed_process_goes_with_the_next(tmp_path: Path) -> None:
    """Whoever makes a private folder takes away those of processes that are no more, and no other ones."""
    environment = _environment(tmp_path)
    subprocess.run([sys.executable, "-c", _KILLED], env=environment, check=False, timeout=60)
    (left,) = os.listdir(tmp_path / "tmp")
    living = left.replace(left.split("-")[2], str(os.getpid()))
    for name in (living, "persistable-other", f"{left.rpartition('-')[0]}x"):
        (tmp_path / "tmp" / name).mkdir()
    program = "from persistable.cache import open_cache; open_cache('off', 0).prove()"
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    assert left not in os.listdir(tmp_path / "tmp")
    assert len(os.listdir(tmp_path / "tmp")) == 3


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
