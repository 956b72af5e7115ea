"""Promises that were once broken in ways no other test looked for."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from persistable import ArtifactStore, FileContent, FileIO, Persistable, PersistableParams
from persistable.digest import digest_of
from persistable.exceptions import (
    CorruptArtifactError,
    FormatError,
    NoPayloadError,
    ParamsChangedError,
    RecursiveGenerationError,
    UntrustedArtifactError,
)


@dataclass
class Params(PersistableParams):
    n: int = 1


class Number(Persistable[int, Params]):
    def _generate_payload(self, **untracked: Any) -> int:
        return self.params.n


# -- params


@dataclass
class Scaled(PersistableParams):
    n: int
    kind: str = field(default="a", init=False)  # stays on the class: an attribute more could take its place unseen

    def __post_init__(self) -> None:
        self.scale = SCALE[0]


SCALE = [1.0]


def test_an_attribute_beside_a_field_that_was_never_set_is_in_the_key(tmp_path: Path) -> None:
    """Params with as many attributes as fields, but others, drop none of them."""
    keys = set()
    for scale in (1.0, 2.0):
        SCALE[0] = scale
        p = Persistable[int, Scaled](tmp_path, Scaled(n=1), payload_name="scaled")
        keys.add(p.key)
    assert len(keys) == 2
    p.params.scale = 99.0
    with pytest.raises(ParamsChangedError, match="scale"):
        p.load()


def test_a_file_that_was_rewritten_with_its_old_time_is_noticed(tmp_path: Path) -> None:
    """A FileContent is hashed again if its file was written to, even if size and modification time are as they were."""
    path = tmp_path / "data.txt"
    path.write_text("one")
    past = time.time() - 1000
    os.utime(path, (past, past))
    first = FileContent(path).digest()
    time.sleep(0.02)
    path.write_text("two")
    os.utime(path, (past, past))
    assert FileContent(path).digest() != first


def test_another_version_is_noticed(tmp_path: Path) -> None:
    """A version that is changed on the object after its key was taken is an error, not the old key."""
    p = Number(tmp_path, Params())
    p.version = "2"  # type: ignore[misc]
    with pytest.raises(ParamsChangedError, match="version"):
        p.load_generate()


# -- finished work


class Caching(Persistable[int, Params]):
    def _generate_payload(self, **untracked: Any) -> int:
        self.params.cache = lambda: 1  # type: ignore[attr-defined]
        return 7


def test_a_generation_that_spoils_its_params_loses_nothing(tmp_path: Path) -> None:
    """Params that cannot be keyed any more after generating cost neither the payload nor the artifact."""
    p = Caching(tmp_path, Params())
    p.load_generate()
    assert p.payload == 7
    assert Caching(tmp_path, Params()).payload == 7


def test_what_may_have_been_read_in_part_is_not_persisted(tmp_path: Path) -> None:
    """An iterator that does not tell whether it was read is persisted in one go with its generation, or not at all."""

    class Mapped(Persistable[Any, Params]):
        def _generate_payload(self, **untracked: Any) -> Iterator[int]:
            return map(abs, [1, 2, 3])

    p = Mapped(tmp_path, Params())
    p.generate(persist=False)
    next(p.payload)
    with pytest.raises(NoPayloadError, match="only once"):
        p.persist()


def test_a_loaded_payload_keeps_its_provenance(tmp_path: Path) -> None:
    """Persisting again what was loaded does not say that it was generated now."""
    Number(tmp_path, Params()).generate()
    p = Number(tmp_path, Params())
    p.load()
    before = p.record.provenance
    p.persist()
    assert p.record.provenance == before


# -- foreign artifacts


def test_formerly_is_a_tuple(tmp_path: Path) -> None:
    """A str in its place, which would match every part of itself, is refused at construction."""

    class Moved(Number):
        formerly: ClassVar[Any] = "somewhere:Number"

    with pytest.raises(TypeError, match="tuple"):
        Moved(tmp_path, Params())


def test_a_newer_layout_of_a_format_is_not_parsed(tmp_path: Path) -> None:
    """A payload that a newer version of its format wrote is an error that names both versions."""
    p = Number(tmp_path, Params())
    p.generate()
    path = tmp_path / "number" / f"{p.key}.json"
    path.write_bytes(forged(path.read_bytes(), b'"format_version": 1', b'"format_version": 99'))
    with pytest.raises(FormatError, match=r"version 99 .* up to 1"):
        Number(tmp_path, Params()).load()


def forged(raw: bytes, old: bytes, new: bytes) -> bytes:
    """Return a record with something else in it and a check that holds."""
    body = raw[: raw.index(b'"check"')].replace(old, new)
    return body + f'"check": "{digest_of(body)}"\n}}\n'.encode()


def test_an_unknown_digest_is_damage(tmp_path: Path) -> None:
    """A record that names a digest nobody knows is damage, to a load as to a check of the whole store."""
    p = Number(tmp_path, Params())
    p.generate()
    path = tmp_path / "number" / f"{p.key}.json"
    path.write_bytes(forged(path.read_bytes(), b"xxh3_128:", b"md5:"))
    with pytest.raises(CorruptArtifactError):
        Number(tmp_path, Params()).load()
    assert [finding.problem is None for finding in p.store.check()] == [False]


# -- trust


def test_an_access_control_list_is_no_private_group(tmp_path: Path) -> None:
    """A file that somebody else may write through an ACL is not trusted, although its group is private."""
    p = Number(tmp_path, Params())
    p.generate()
    user, group, mask, other = 0x01, 0x04, 0x10, 0x20
    nobody, undefined = 65534, 0xFFFFFFFF
    rows = [(user, 6, undefined), (0x02, 6, nobody), (group, 6, undefined), (mask, 6, undefined), (other, 4, undefined)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)
    try:
        os.setxattr(p.persist_filepath, "system.posix_acl_access", acl)
    except (AttributeError, OSError):
        pytest.skip("no access control lists on this file system")
    with pytest.raises(UntrustedArtifactError, match="access control list"):
        Number(tmp_path, Params()).load()


# -- processes


class Forking(FileIO[int]):
    """Fork a child while a commit is under way, and end it with SIGTERM."""

    codes: ClassVar[list[int | None]] = []

    def _save(self, payload: int, filepath: Path, **kwargs: Any) -> None:
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
        child.start()
        time.sleep(0.2)
        child.terminate()
        child.join()
        self.codes.append(child.exitcode)
        filepath.write_text(str(payload))

    def _load(self, filepath: Path, **kwargs: Any) -> int:
        return int(filepath.read_text())


def test_a_child_of_a_commit_dies_of_sigterm_as_any_other(tmp_path: Path) -> None:
    """A child forked during a commit is killed by SIGTERM, and does not unwind its parent's commit."""
    Number(tmp_path, Params(), payload_io=Forking()).generate()
    assert Forking.codes == [-15]


def test_the_same_folder_by_another_name_is_the_same_generation(tmp_path: Path, monkeypatch: Any) -> None:
    """Asking for the payload under generation by another spelling of its folder raises, and does not wait for ever."""
    monkeypatch.chdir(tmp_path)

    class Twice(Persistable[int, Params]):
        def _generate_payload(self, **untracked: Any) -> int:
            return Twice("./data/../data", self.params).payload

    with pytest.raises(RecursiveGenerationError):
        Twice("data", Params()).load_generate()


# -- deep pipelines


def chain(folder: Path, levels: int, width: int) -> Persistable[Any, Any]:
    below: list[Persistable[Any, Any]] = []
    for level in range(levels):
        below = [
            Number(folder, Params(n=level * width + index), below, payload_name=f"n{index}") for index in range(width)
        ]
    return below[0]


@pytest.mark.parametrize("width", [1, 2])
def test_deep_pipelines_survive_pickle_and_copy(tmp_path: Path, width: int) -> None:
    """A pipeline of hundreds of levels, a diamond at each, comes back from a pickle with its key."""
    p = chain(tmp_path, 600, width)
    assert pickle.loads(pickle.dumps(p)).key == p.key
    assert copy.deepcopy(p).key == p.key


# -- settings


@pytest.mark.parametrize(
    ("location", "found"),
    [("file:///a/b", "/a/b"), ("FILE:///a/b", "/a/b"), ("file://localhost/a%20b", "/a b")],
)
def test_file_urls_are_folders(location: str, found: str) -> None:
    """A file URL is the folder that it names."""
    assert ArtifactStore(location).location == found


@pytest.mark.parametrize("location", ["file://elsewhere/a", "file://"])
def test_file_urls_of_other_hosts_are_refused(location: str) -> None:
    """A file URL with a host, or with no path, is no folder here."""
    with pytest.raises(ValueError, match="file"):
        ArtifactStore(location)


@pytest.mark.parametrize("setting", [{"keep_rejected": "no"}, {"lock_timeout": True}])
def test_settings_are_of_their_type(tmp_path: Path, setting: dict[str, Any]) -> None:
    """A setting of another type is refused, not taken for true."""
    with pytest.raises(ValueError, match=next(iter(setting))):
        ArtifactStore(tmp_path, **setting)
