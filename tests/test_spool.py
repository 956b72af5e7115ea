"""Staged files that are held in memory while they are small."""

import os
import pickle
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from persistable import ArtifactStore, FileIO, Persistable, PersistableParams, PickleFileIO
from persistable.exceptions import SaveError
from persistable.io import is_able
from persistable.spool import Spool

FRAME = 1 << 16


class BytesP(Persistable[Any, PersistableParams]):
    payload_value: Any = b""

    def _generate_payload(self, **untracked: Any) -> Any:
        return self.payload_value


@pytest.mark.parametrize("parts", [[], [b"a"], [b"a", b"bc"], [b"a" * FRAME]])
def test_what_is_small_is_held_and_makes_no_file(tmp_path: Path, parts: list[bytes]) -> None:
    """Up to 64 KiB nothing is on disk; the content is what was written, in order."""
    with closing(Spool(f"{tmp_path}/file", 0o644)) as spool:
        assert [spool.write(part) for part in parts] == [len(part) for part in parts]
        assert spool.content == b"".join(parts)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("parts", [[b"a", b"b" * FRAME], [b"a" * FRAME, b"b", b"c"], [b"a" * FRAME * 3]])
def test_what_is_long_is_written_through(tmp_path: Path, parts: list[bytes]) -> None:
    """One byte more, and all of it is in the file, what was held included."""
    with closing(Spool(f"{tmp_path}/file", 0o644)) as spool:
        for part in parts:
            spool.write(memoryview(part))
        assert spool.content is None
    assert (tmp_path / "file").read_bytes() == b"".join(parts)


def test_the_file_is_made_exclusively(tmp_path: Path) -> None:
    """A file, or a link, that stands at its path is not written to."""
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with closing(Spool(f"{tmp_path}/file", 0o644)) as spool, pytest.raises(FileExistsError):
        spool.write(b"a" * FRAME * 2)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("payload", [None, b"a" * 100, b"a" * FRAME * 3, list(range(100_000)), bytearray(FRAME * 2)])
@pytest.mark.parametrize("durability", ["full", "fast"])
def test_a_pickle_is_the_same_however_long(tmp_path: Path, payload: Any, durability: Any) -> None:
    """What is committed is the plain pickle of protocol 5, and is loaded again, verified."""
    made = BytesP(ArtifactStore(tmp_path, durability=durability), PersistableParams())
    made.payload_value = payload
    made.generate()
    assert made.persist_filepath.read_bytes() == pickle.dumps(payload, protocol=5)
    made.reset_payload()
    made.load()
    assert made.payload == payload


class Shouting(PickleFileIO[Any]):
    """Override only what 1.x had."""

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_bytes(pickle.dumps(payload.upper()))


class Saving(PickleFileIO[Any]):
    def save(self, payload: Any, filepath: Any, create_folder: bool = True, **kwargs: Any) -> None:
        super().save(payload.upper(), filepath, create_folder, **kwargs)


class Restoring(PickleFileIO[Any]):
    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return super()._load(filepath, **kwargs) + b" restored"


class Loading(PickleFileIO[Any]):
    def load(self, filepath: Any, **kwargs: Any) -> Any:
        return super().load(filepath, **kwargs) + b" restored"


class Marked(PickleFileIO[Any]):
    def refusal(self, payload: Any) -> str | None:
        return "it is too short" if len(payload) < 3 else None


@pytest.mark.parametrize("file_io", [Shouting, Saving])
def test_a_subclass_that_saves_its_own_way_is_asked_to(tmp_path: Path, file_io: type[FileIO[Any]]) -> None:
    """Writing to an open file is no way around an overridden ``_save`` or ``save``."""
    assert not is_able(file_io, "save_stream")
    made = BytesP(tmp_path, PersistableParams(), payload_io=file_io)
    made.payload_value = "quiet"
    made.generate()
    assert pickle.loads(made.persist_filepath.read_bytes()) == "QUIET"


@pytest.mark.parametrize("size", [5, 3 << 20])
@pytest.mark.parametrize("file_io", [Restoring, Loading])
def test_a_subclass_that_loads_its_own_way_is_asked_to(tmp_path: Path, file_io: type[FileIO[Any]], size: int) -> None:
    """Loading from what was read already is no way around an overridden ``_load`` or ``load``."""
    assert not is_able(file_io, "load_buffer")
    made = BytesP(tmp_path, PersistableParams(), payload_io=file_io)
    made.payload_value = b"q" * size
    made.generate()
    made.load()
    assert made.payload == b"q" * size + b" restored"


def test_a_subclass_that_only_refuses_does_so(tmp_path: Path) -> None:
    """Refusals of a subclass count when its base writes to an open file."""
    assert is_able(Marked, "save_stream")
    made = BytesP(tmp_path, PersistableParams(), payload_io=Marked())
    made.payload_value = "ab"
    with pytest.raises(Exception, match="it is too short"):
        made.generate()


class Unpicklable:
    def __reduce__(self) -> Any:
        raise ValueError("not me")


@pytest.mark.parametrize("head", [[], [b"a" * FRAME * 2]])
def test_a_pickle_that_fails_leaves_no_file(tmp_path: Path, head: list[bytes]) -> None:
    """Whether it fails while it is held or when part of it is in a file, the error is the same and nothing is left."""
    made = BytesP(ArtifactStore(tmp_path, keep_rejected=False), PersistableParams())
    made.payload_value = [*head, Unpicklable()]
    with pytest.raises(SaveError, match="not me") as raised:
        made.generate()
    assert isinstance(raised.value.__cause__, ValueError)
    assert sorted(name for name in os.listdir(tmp_path / "bytes_p") if not name.startswith(".lock")) == ["log.txt"]


def test_others_cannot_write_to_a_file_whatever_the_umask(tmp_path: Path) -> None:
    """Small and long pickles alike are made with permissions that the default trust accepts."""
    before = os.umask(0)
    try:
        for index, payload in enumerate([b"a", b"a" * FRAME * 2]):
            made = BytesP(tmp_path, PersistableParams(), payload_name=f"payload{index}")
            made.payload_value = payload
            made.generate()
            assert made.persist_filepath.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
