"""The part of the storage suite that is about objects: put, got, listed and deleted under any name."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from persistable.storage import Entry, Storage
from persistable.testing.equality import difference
from persistable.testing.storage_subject import RACERS, StorageSubject, free_of_secrets, sizes, written

__all__ = ["ObjectTests"]


class ObjectTests(StorageSubject):
    """Test that a storage keeps what it is given, under the name it is given."""

    # -- objects

    def test_object_comes_back_as_it_was_put(self, place: Callable[[], Storage]) -> None:
        """Any bytes come back, from ``get``, ``fetch``, ``stat`` and ``list`` alike."""
        storage = place()
        contents = {"every byte": bytes(range(256)) * 5, "lines": b"a\r\nb\n\0", "one": b"x", "more": b"y" * 300_000}
        for name, content in contents.items():
            storage.put(f"folder/{name}", content)
        for name, content in contents.items():
            found = storage.get(f"folder/{name}")
            assert difference(found, content, name) is None
            assert storage.stat(f"folder/{name}").bytes == len(content)
        assert sizes(storage) == {f"folder/{name}": len(content) for name, content in contents.items()}

    def test_empty_object_is_an_object(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """An object without content is there, and not taken for a missing one."""
        storage = place()
        storage.put("folder/put", b"")
        storage.put_file("folder/put_file", str(written(tmp_path / "empty", b"")))
        for name in ("folder/put", "folder/put_file"):
            assert storage.get(name) == b""
            assert storage.stat(name)[:2] == (name, 0)
            storage.fetch(name, str(tmp_path / "fetched"), 0)
            assert (tmp_path / "fetched").read_bytes() == b""
            (tmp_path / "fetched").unlink()
        assert sizes(storage) == {"folder/put": 0, "folder/put_file": 0}

    def test_object_is_replaced(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """A second ``put`` or ``put_file`` replaces content and size, whichever made the first, shorter or longer."""
        storage, path = place(), tmp_path / "file"
        for number, size in enumerate((10, 1000, 3)):
            storage.put("folder/name", b"%d" % number * size)
            assert storage.get("folder/name") == b"%d" % number * size
            assert sizes(storage) == {"folder/name": size}
            path.write_bytes(b"f" * (size + 1))
            storage.put_file("folder/name", str(path))
            assert storage.get("folder/name") == b"f" * (size + 1)
            assert sizes(storage) == {"folder/name": size + 1}
        assert path.read_bytes() == b"ffff", "the local file is left as it is"

    def test_entry_says_the_same_from_stat_and_list(self, place: Callable[[], Storage]) -> None:
        """Both give the full name, size, time in seconds since the epoch, and the version."""
        storage = place()
        storage.put("folder/name", b"content")
        entry, [listed] = storage.stat("folder/name"), list(storage.list("folder"))
        for found in (entry, listed):
            assert isinstance(found, Entry)
            assert found[:2] == ("folder/name", 7)
            assert abs(found.modified - time.time()) < 3600, "modified is in seconds since the epoch"
            assert found.version is None or (type(found.version) is str and len(found.version) > 0)
        assert abs(entry.modified - listed.modified) < 2
        assert listed.version in (None, entry.version)

    def test_deleted_object_is_gone(self, place: Callable[[], Storage]) -> None:
        """It is not there any more, nor is anything of it; its neighbours stay; and it can be made anew."""
        storage = place()
        for name in ("folder/name", "folder/name2", "folder/other/name"):
            storage.put(name, b"content")
        storage.delete("folder/name")
        with pytest.raises(FileNotFoundError):
            storage.get("folder/name")
        assert sizes(storage) == {"folder/name2": 7, "folder/other/name": 7}
        storage.put("folder/name", b"again")
        assert storage.get("folder/name") == b"again"
        for entry in list(storage.list()):
            storage.delete(entry.name)
        assert sizes(storage) == {}

    def test_unknown_object_is_file_not_found(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """``get``, ``stat`` and ``fetch`` raise FileNotFoundError; nothing else minds that an object is not there."""
        storage = place()
        for state in ("nothing was ever written", "there are others"):
            for name in ("unknown", "folder/unknown", "folder/na", "folder/name2", "other/deep/unknown"):
                with pytest.raises(FileNotFoundError):
                    storage.get(name)
                with pytest.raises(FileNotFoundError):
                    storage.stat(name)
                path = tmp_path / "fetched"
                with pytest.raises(FileNotFoundError):
                    storage.fetch(name, str(path), 10)
                path.unlink(missing_ok=True)
                storage.delete(name)
                assert list(storage.list(name)) == [], state
                if storage.capabilities.replace_matching:
                    assert storage.put_if_match(name, b"x", "no version") is False
            if state == "nothing was ever written":
                assert sizes(storage) == {}
                storage.put("folder/name", b"content")
        assert sizes(storage) == {"folder/name": 7}

    def test_odd_names_are_kept_as_they_are(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """Names are text and nothing else: each is an object of its own, in all calls, whatever it looks like."""
        storage, contents = place(), {name: name.encode() for name in self.names}
        for name, content in contents.items():
            storage.put(name, content)
        listed = {entry.name: entry.bytes for entry in storage.list()}
        assert listed == {name: len(content) for name, content in contents.items()}
        for number, (name, content) in enumerate(contents.items()):
            assert storage.get(name) == content, name
            assert storage.stat(name)[:2] == (name, len(content))
            path = tmp_path / str(number)
            storage.fetch(name, str(path), len(content))
            assert path.read_bytes() == content, name
            storage.put_file(name, str(path))
            assert storage.get(name) == content, name
            if storage.capabilities.create_exclusive:
                assert storage.put_if_absent(name, b"other") is False, name
            assert free_of_secrets(storage.locate(name), self.secrets)
        folders = {name.rpartition("/")[0] for name in contents} - {""}
        for folder in folders:
            below = {name for name in contents if name.startswith(f"{folder}/")}
            assert {entry.name for entry in storage.list(folder)} == below, folder
        for name in [*contents]:
            storage.delete(name)
            del contents[name]
            if len(contents) % 8 == 0:
                assert sizes(storage).keys() == contents.keys(), f"after {name!r} was deleted"

    # -- listing

    def test_folder_lists_what_is_below_it_alone(self, place: Callable[[], Storage]) -> None:
        """A folder is no prefix: ``a`` lists ``a/…`` however deep, and neither ``ab/…`` nor ``a.json``."""
        storage = place()
        names = {"a/x", "a/y/z", "a/b/c/d/e", "ab/x", "a.json", "b/a/x", "a b/x"}
        for name in names:
            storage.put(name, b"")
        assert {entry.name for entry in storage.list()} == names
        assert {entry.name for entry in storage.list("a")} == {"a/x", "a/y/z", "a/b/c/d/e"}
        assert {entry.name for entry in storage.list("a/b")} == {"a/b/c/d/e"}
        assert {entry.name for entry in storage.list("b")} == {"b/a/x"}
        for nothing in ("x", "a/x/y", "a/y/z", "c"):
            assert list(storage.list(nothing)) == []

    def test_many_objects_are_listed_once_each(self, place: Callable[[], Storage]) -> None:
        """All pages are read, no object comes twice, and a listing can be left half-way or run beside another."""
        storage = place()
        names = {f"many/{number:05}" for number in range(self.many)}
        with ThreadPoolExecutor(RACERS) as pool:
            list(pool.map(lambda name: storage.put(name, b"x"), sorted(names)))
        storage.put("other/name", b"")
        listed = [entry.name for entry in storage.list("many")]
        assert len(listed) == len(set(listed)), "some are listed twice"
        assert set(listed) == names
        assert len(list(storage.list())) == len(names) + 1
        listing, beside = storage.list("many"), storage.list("many")
        assert iter(listing) is listing, "list is lazy: it returns an iterator"
        first, others, second = next(listing), [next(beside) for _ in range(3)], next(listing)
        assert len({first.name, second.name} & names) == 2
        if inspect.isgenerator(listing):
            listing.close()
        assert len({entry.name for entry in others} | {entry.name for entry in beside}) == len(names)
        for entry in storage.list("many"):  # as a sweep does
            storage.delete(entry.name)
        assert [entry.name for entry in storage.list()] == ["other/name"]
