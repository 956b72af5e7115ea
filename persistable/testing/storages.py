"""StorageTests, the promises that every storage makes; subclass it once for each kind of place."""

from __future__ import annotations

import errno
import hashlib
import inspect
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from persistable.exceptions import StorageError, UnsupportedOperationError
from persistable.local import LocalStorage
from persistable.lock import GENERATE
from persistable.storage import Capabilities, Entry, Storage
from persistable.testing.equality import difference
from persistable.testing.formats import DoesNotApply
from persistable.testing.storage_faults import (
    at_once,
    descriptors,
    failing_reads,
    failure,
    in_child,
    interrupted,
    measured_memory,
)

__all__ = ["ODD_NAMES", "StorageTests"]

# every name of an object is one that some client, URL or file system has mistaken for something else
ODD_NAMES = (
    "plain/name.txt",
    "spaces/a b",
    "spaces/ leading",
    "spaces/trailing ",
    "spaces/two  in a row",
    "percent/a%20b",
    "percent/a b",
    "percent/%",
    "percent/%2F",
    "percent/%252F",
    "plus/a+b",
    "plus/a b",
    "url/#fragment",
    "url/question?query=1&more=2",
    "url/semi;colon:at@equals=,",
    "url/http:host",
    "tilde/~",
    "tilde/~user",
    "dots/..x",
    "dots/...",
    "dots/trailing.",
    "dots/trailing..",
    "dots/.hidden",
    "dots/.tmp-1",
    "quotes/'single'",
    'quotes/"double"',
    "quotes/`back`$HOME",
    "quotes/<tag>&amp;",
    "glob/*",
    "glob/[a-z]?",
    "glob/{a,b}",
    "glob/!x^y|z",
    "dash/-rf",
    "case/Name",
    "case/name",
    "unicode/é",  # one character
    "unicode/e\u0301",  # two, that look the same
    "unicode/文字.txt",
    "unicode/🦆",
    "unicode/ﬁle ²",
    "unicode/شكرا",
    "ünï çödé/größe/x",
    "prefix/name",
    "prefix/name.json",
    "prefix/name2/x",
    "prefix2/x",
    "deep/" + "/".join(f"d{number}" for number in range(40)),
    "long/" + "n" * 200,
    "long/" + "ö" * 100,
    "long/" + "n" * 199 + "m",
    "without folder",
)

_KEY = "0123456789abcdef0123456789abcdef"
_RACERS = 8
_CLIENTS = 4


class StorageTests:
    """Test a storage: what it is given it keeps, what it declares is so, and what fails leaves nothing behind.

    Override the fixture ``place``, and ``unreachable`` where there can be such a thing.

    Attributes:
        names: odd names that objects have to be able to have; leave out what the place itself, not its client, cannot
            tell apart, such as twins in case on a file system that has none.
        large: bytes of a large object.
        memory: bytes by which the process may grow while a large object is uploaded; or why that says nothing, as where
            objects are kept in this process.
        many: how many objects a folder with several pages has.
        rounds: how often each of 4 writers replaces one object while 4 readers look.
        examples, steps: how many random sequences of how many calls are compared with a dict.
        versions_are_digests: whether equal contents have equal versions, as with the ETag of S3. Otherwise a version is
            another after every ``put``.
        survives_fork: True, or why a forked child cannot use the storage of its parent.
        secrets: texts that ``place`` and ``unreachable`` gave as credentials, which must not show anywhere.
        patience: seconds after which a child that does not end hangs.
    """

    names: ClassVar[Sequence[str]] = ODD_NAMES
    large: ClassVar[int] = 40_000_000
    memory: ClassVar[int | DoesNotApply] = 24_000_000
    many: ClassVar[int] = 2000
    rounds: ClassVar[int] = 20
    examples: ClassVar[int] = 20
    steps: ClassVar[int] = 25
    versions_are_digests: ClassVar[bool] = False
    survives_fork: ClassVar[bool | DoesNotApply] = True
    secrets: ClassVar[Sequence[str]] = ()
    patience: ClassVar[float] = 60.0

    # -- what to test

    @pytest.fixture
    def place(self) -> Callable[[], Storage]:
        """Return a function that opens another storage on the same place: empty at first, and new for each test."""
        raise NotImplementedError("override the fixture place: return a function that opens a storage on a fresh place")

    @pytest.fixture
    def unreachable(self) -> Callable[[], Storage] | DoesNotApply:
        """Return a function that makes a storage whose place is not there: a port on which nobody listens, say."""
        return DoesNotApply("no place that cannot be reached was given")

    def leftovers(self, storage: Storage) -> Sequence[str]:  # noqa: ARG002 - for those who have some
        """Return what is at the place besides its objects: open uploads, parts, staged files. None may be left."""
        return ()

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
        assert _sizes(storage) == {f"folder/{name}": len(content) for name, content in contents.items()}

    def test_empty_object_is_an_object(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """An object without content is there, and not taken for a missing one."""
        storage = place()
        storage.put("folder/put", b"")
        storage.put_file("folder/put_file", str(_written(tmp_path / "empty", b"")))
        for name in ("folder/put", "folder/put_file"):
            assert storage.get(name) == b""
            assert storage.stat(name)[:2] == (name, 0)
            storage.fetch(name, str(tmp_path / "fetched"), 0)
            assert (tmp_path / "fetched").read_bytes() == b""
            (tmp_path / "fetched").unlink()
        assert _sizes(storage) == {"folder/put": 0, "folder/put_file": 0}

    def test_object_is_replaced(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """A second ``put`` or ``put_file`` replaces content and size, whichever made the first, shorter or longer."""
        storage, path = place(), tmp_path / "file"
        for number, size in enumerate((10, 1000, 3)):
            storage.put("folder/name", b"%d" % number * size)
            assert storage.get("folder/name") == b"%d" % number * size
            assert _sizes(storage) == {"folder/name": size}
            path.write_bytes(b"f" * (size + 1))
            storage.put_file("folder/name", str(path))
            assert storage.get("folder/name") == b"f" * (size + 1)
            assert _sizes(storage) == {"folder/name": size + 1}
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
        assert _sizes(storage) == {"folder/name2": 7, "folder/other/name": 7}
        storage.put("folder/name", b"again")
        assert storage.get("folder/name") == b"again"
        for entry in list(storage.list()):
            storage.delete(entry.name)
        assert _sizes(storage) == {}

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
                assert _sizes(storage) == {}
                storage.put("folder/name", b"content")
        assert _sizes(storage) == {"folder/name": 7}

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
            assert _free_of_secrets(storage.locate(name), self.secrets)
        folders = {name.rpartition("/")[0] for name in contents} - {""}
        for folder in folders:
            below = {name for name in contents if name.startswith(f"{folder}/")}
            assert {entry.name for entry in storage.list(folder)} == below, folder
        for name in [*contents]:
            storage.delete(name)
            del contents[name]
            if len(contents) % 8 == 0:
                assert _sizes(storage).keys() == contents.keys(), f"after {name!r} was deleted"

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
        with ThreadPoolExecutor(_RACERS) as pool:
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

    # -- conditions

    def test_put_if_absent_is_as_declared(self, place: Callable[[], Storage]) -> None:
        """Declared, it makes an object only where there is none; not declared, it is an UnsupportedOperationError."""
        storage = place()
        if not storage.capabilities.create_exclusive:
            with pytest.raises(UnsupportedOperationError):
                storage.put_if_absent("folder/name", b"first")
            assert _sizes(storage) == {}
            return
        assert storage.put_if_absent("folder/name", b"first") is True
        assert storage.put_if_absent("folder/name", b"another") is False
        assert storage.put_if_absent("folder/name", b"first") is False
        assert storage.get("folder/name") == b"first"
        storage.put("folder/name", b"replaced")
        assert storage.put_if_absent("folder/name", b"another") is False
        assert storage.get("folder/name") == b"replaced"
        storage.delete("folder/name")
        assert storage.put_if_absent("folder/name", b"") is True
        assert storage.put_if_absent("folder/name", b"another") is False
        assert _sizes(storage) == {"folder/name": 0}

    def test_one_of_many_creates(self, place: Callable[[], Storage]) -> None:
        """Of 8 threads with one storage, and of 4 clients, exactly one creates an object, and it is its content."""
        if not place().capabilities.create_exclusive:
            return
        for race in range(5):
            shared = place()
            for racers in ([shared] * _RACERS, [place() for _ in range(_CLIENTS)]):
                name = f"race/{race}-{len(racers)}"
                won = at_once(
                    [partial(client.put_if_absent, name, b"%d" % number) for number, client in enumerate(racers)]
                )
                assert won.count(True) == 1, won
                assert racers[-1].get(name) == b"%d" % won.index(True)

    def test_put_if_match_is_as_declared(self, place: Callable[[], Storage]) -> None:
        """Declared, it replaces only the version that was seen; not declared, it is an UnsupportedOperationError."""
        storage = place()
        storage.put("folder/name", b"first")
        version = storage.stat("folder/name").version
        if not storage.capabilities.replace_matching:
            with pytest.raises(UnsupportedOperationError):
                storage.put_if_match("folder/name", b"other", version or "1")
            assert storage.get("folder/name") == b"first"
            return
        assert version is not None, "put_if_match needs versions"
        assert storage.put_if_match("folder/name", b"second", version) is True
        assert storage.get("folder/name") == b"second"
        assert storage.put_if_match("folder/name", b"stale", version) is False
        assert storage.get("folder/name") == b"second"
        newer = storage.stat("folder/name").version
        assert newer is not None
        storage.put("folder/name", b"third")
        assert storage.put_if_match("folder/name", b"stale", newer) is False, "put makes a version stale too"
        assert storage.get("folder/name") == b"third"
        last = storage.stat("folder/name").version
        assert last is not None
        storage.delete("folder/name")
        assert storage.put_if_match("folder/name", b"gone", last) is False, "what is gone is not replaced"
        assert _sizes(storage) == {}

    def test_one_of_many_replaces(self, place: Callable[[], Storage]) -> None:
        """Of 8 threads with one storage, and of 4 clients, that saw one version, exactly one replaces it."""
        if not place().capabilities.replace_matching:
            return
        shared = place()
        shared.put("race", b"start")
        for _ in range(5):
            for racers in ([shared] * _RACERS, [place() for _ in range(_CLIENTS)]):
                version = shared.stat("race").version
                assert version is not None
                contents = [os.urandom(8) for _ in racers]
                pairs = zip(racers, contents, strict=True)
                won = at_once([partial(client.put_if_match, "race", data, version) for client, data in pairs])
                assert won.count(True) == 1, won
                assert shared.get("race") == contents[won.index(True)]

    def test_version_is_another_after_every_put(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """Whatever replaced an object, its version is another; also of equal content, unless versions are digests."""
        storage, path = place(), tmp_path / "file"
        seen: list[str | None] = []
        for content in (b"first", b"other", b"third"):
            storage.put("name", content)
            seen.append(storage.stat("name").version)
            path.write_bytes(content[::-1])
            storage.put_file("name", str(path))
            seen.append(storage.stat("name").version)
        if not storage.capabilities.replace_matching:
            return
        assert None not in seen
        assert len(set(seen)) == len(seen), seen
        assert storage.stat("name").version == seen[-1], "it stays the same while nobody writes"
        storage.put("name", b"same")
        version = storage.stat("name").version
        storage.put("name", b"same")
        assert (storage.stat("name").version == version) is self.versions_are_digests, "see versions_are_digests"

    # -- capabilities

    def test_capabilities_are_declared(self, place: Callable[[], Storage]) -> None:
        """They are booleans; only a LocalStorage has local paths."""
        storage = place()
        assert isinstance(storage.capabilities, Capabilities)
        assert all(isinstance(value, bool) for value in storage.capabilities)
        assert storage.capabilities.local_path is isinstance(storage, LocalStorage)

    def test_replacing_is_atomic_if_declared(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """While 4 replace an object, 4 others read one whole content or another, always; and the last one stays."""
        storage = place()
        contents = {bytes([65 + writer]) * size for writer in range(_CLIENTS) for size in (10, 40_000 + 7 * writer)}
        whole = {_described(content) for content in contents}
        storage.put("folder/name", min(contents))
        stopped = threading.Event()

        def write(writer: int, client: Storage) -> None:
            own = sorted(content for content in contents if content[0] == 65 + writer)
            path = tmp_path / f"writer {writer}"
            for number in range(self.rounds):
                content = own[number % 2]
                if number % 3 == 0:
                    path.write_bytes(content)
                    client.put_file("folder/name", str(path))
                else:
                    client.put("folder/name", content)

        def read(reader: int, client: Storage) -> None:
            path = tmp_path / f"reader {reader}"
            while not stopped.is_set():
                found = client.get("folder/name")
                assert _described(found) in whole
                entry = client.stat("folder/name")
                assert entry.bytes in {len(content) for content in contents}
                client.fetch("folder/name", str(path), max(map(len, contents)))
                assert _described(path.read_bytes()) in whole
                path.unlink()

        if storage.capabilities.atomic_replace:
            with ThreadPoolExecutor(2 * _CLIENTS) as pool:
                readers = [pool.submit(read, number, place()) for number in range(_CLIENTS)]
                writers = [pool.submit(write, number, place()) for number in range(_CLIENTS)]
                try:
                    for future in writers:
                        future.result()
                finally:
                    stopped.set()
                for future in readers:
                    future.result()
            assert _described(storage.get("folder/name")) in whole
        storage.put("folder/name", b"last")
        self._assert_only(storage, {"folder/name": b"last"})

    def test_lock_is_as_declared(self, place: Callable[[], Storage]) -> None:
        """Declared, one at a time has it; not declared, it is an UnsupportedOperationError."""
        storage, other = place(), place()
        if not storage.capabilities.lock:
            with pytest.raises(UnsupportedOperationError):
                storage.lock("folder", _KEY, GENERATE, timeout=0, on_wait=None)
            return
        with storage.lock("folder", _KEY, GENERATE, timeout=None, on_wait=None) as lock:
            assert lock.exclusive
            for rival in (storage, other):
                with pytest.raises(TimeoutError):
                    rival.lock("folder", _KEY, GENERATE, timeout=0.05, on_wait=None)
            other.lock("folder", _KEY[::-1], GENERATE, timeout=0, on_wait=None).release()
            other.lock("another", _KEY, GENERATE, timeout=0, on_wait=None).release()
        inside: list[int] = []

        def enter(client: Storage) -> int:
            with client.lock("folder", _KEY, GENERATE, timeout=None, on_wait=None):
                inside.append(1)
                most = len(inside)
                time.sleep(0.002)
                inside.pop()
            return most

        assert at_once([partial(enter, client) for client in [storage, other] * 4]) == [1] * 8

    def test_open_files_survive_deletion_if_declared(self, place: Callable[[], Storage]) -> None:
        """What was opened by its local path is read to its end after the object was deleted."""
        storage = place()
        if not isinstance(storage, LocalStorage) or not storage.capabilities.open_files_survive_deletion:
            return
        storage.put("folder/name", b"content")
        with open(storage.local_path("folder/name"), "rb") as file:
            storage.delete("folder/name")
            assert file.read() == b"content"

    def test_prepare_proves_and_leaves_nothing(self, place: Callable[[], Storage]) -> None:
        """A folder that is new, or has objects, is found writable, and is as it was."""
        storage = place()
        storage.prepare("folder")
        assert _sizes(storage) == {}
        storage.put("folder/name", b"content")
        storage.prepare("folder")
        self._assert_only(storage, {"folder/name": b"content"})

    # -- files

    def test_large_object_comes_back(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """A file beyond the size of parts and ranges is uploaded in bounded memory, and comes back to the byte."""
        storage, path, fetched = place(), tmp_path / "large", tmp_path / "fetched"
        _write_large(path, self.large)
        storage.put_file("folder/small", str(_written(tmp_path / "small", b"x" * 70_000)))  # whatever is imported first
        with measured_memory() as peak:
            storage.put_file("folder/large", str(path))
        assert isinstance(self.memory, DoesNotApply) or peak.bytes <= self.memory, f"it took {peak.bytes} bytes"
        assert storage.stat("folder/large").bytes == self.large
        storage.fetch("folder/large", str(fetched), self.large)
        assert fetched.stat().st_size == self.large
        assert _digest(fetched) == _digest(path)
        fetched.unlink()
        place().fetch("folder/large", str(fetched), self.large)
        assert _digest(fetched) == _digest(path)
        assert hashlib.sha256(storage.get("folder/large")).digest() == _digest(path)
        storage.delete("folder/large")
        assert _sizes(storage) == {"folder/small": 70_000}
        assert list(self.leftovers(storage)) == []

    def test_fetch_never_writes_more_than_expected(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """The size that was asked for is not exceeded; an object that is shorter gives its bytes or an error."""
        storage = place()
        for size in (0, 1, 10, 300_000):
            content = os.urandom(size)
            storage.put("folder/name", content)
            for expected in {0, size // 2, max(0, size - 1), size + 1, size * 2}:
                path = tmp_path / f"{size} {expected}"
                error = failure(partial(storage.fetch, "folder/name", str(path), expected))
                assert error is None or (isinstance(error, OSError) and expected != size)
                assert not isinstance(error, FileNotFoundError)
                if path.exists():
                    assert path.stat().st_size <= max(0, min(expected, size)), f"{expected} bytes of {size} wanted"
                    fetched = path.read_bytes()
                    assert difference(fetched, content[: len(fetched)], "fetched") is None
                    path.unlink()

    def test_fetch_creates_its_file(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """What is there already under the local path is neither overwritten nor followed."""
        storage, path = place(), _written(tmp_path / "there", b"precious")
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        storage.put("folder/name", b"content")
        for taken in (path, tmp_path / "link"):
            with pytest.raises(FileExistsError):
                storage.fetch("folder/name", str(taken), 7)
        assert path.read_bytes() == b"precious"
        assert not (tmp_path / "elsewhere").exists()

    @pytest.mark.parametrize("after", [0, 100_000, 0.5, 0.99])
    @pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()], ids=type)
    def test_failing_upload_leaves_the_old_object(
        self, place: Callable[[], Storage], tmp_path: Path, after: float, error: BaseException
    ) -> None:
        """A local file that cannot be read to its end is an error; the old object stays, and nothing is left."""
        storage, path = place(), tmp_path / "large"
        _write_large(path, self.large)
        storage.put("folder/name", b"old")
        for name in ("folder/name", "folder/new"):
            allowed = int(after * self.large) if after < 1 else int(after)
            with failing_reads(str(path), allowed, error) as tripped:
                raised = failure(partial(storage.put_file, name, str(path)))
            if raised is None and not tripped:
                pytest.skip("put_file reads its file by other means than open(): see the test of interrupts")
            expected = type(error) if isinstance(error, KeyboardInterrupt) else (type(error), StorageError)
            assert isinstance(raised, expected), raised
            assert tripped, raised
            assert not isinstance(raised, FileNotFoundError)
            self._assert_only(storage, {"folder/name": b"old"})

    def test_missing_local_file_leaves_the_old_object(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """Uploading what is not there is an error, and changes nothing."""
        storage = place()
        storage.put("folder/name", b"old")
        for name in ("folder/name", "folder/new"):
            with pytest.raises(OSError):  # noqa: PT011 - of any kind
                storage.put_file(name, str(tmp_path / "missing"))
        self._assert_only(storage, {"folder/name": b"old"})

    def test_interrupted_upload_leaves_the_old_object_or_the_new(
        self, place: Callable[[], Storage], tmp_path: Path
    ) -> None:
        """After Ctrl-C at any moment there is the old object or the new one, and nothing else."""
        if not hasattr(signal, "pthread_kill") or threading.current_thread() is not threading.main_thread():
            pytest.skip("signals are sent to main threads of POSIX systems")
        storage, path = place(), tmp_path / "large"
        _write_large(path, self.large)
        started = time.perf_counter()
        storage.put_file("folder/other", str(path))
        whole = time.perf_counter() - started
        storage.delete("folder/other")
        for part in (0.05, 0.2, 0.4, 0.6, 0.8, 0.95):
            storage.put("folder/name", b"old")
            stopped = interrupted(lambda: storage.put_file("folder/name", str(path)), part * whole)
            entries = _sizes(storage)
            assert entries.keys() == {"folder/name"}, f"interrupted: {stopped}"
            assert entries["folder/name"] in ((3, self.large) if stopped else (self.large,))
            assert list(self.leftovers(storage)) == []
            if entries["folder/name"] == 3:
                assert storage.get("folder/name") == b"old"
            else:
                assert hashlib.sha256(storage.get("folder/name")).digest() == _digest(path)

    # -- clients, threads, processes

    def test_clients_see_each_others_writes_at_once(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """Nothing that a client remembers is older than what another one has written."""
        one, other = place(), place()
        for client in (one, other):  # so that both have looked, and could remember
            assert _sizes(client) == {}
            with pytest.raises(FileNotFoundError):
                client.stat("folder/name")
        for number in range(3):
            for writer, reader in ((one, other), (other, one)):
                content = b"%d" % number * (number + 1) + writer.url.encode()
                writer.put("folder/name", content)
                assert reader.get("folder/name") == content
                assert reader.stat("folder/name").bytes == len(content)
                assert _sizes(reader) == {"folder/name": len(content)}
                reader.fetch("folder/name", str(tmp_path / "fetched"), len(content))
                assert _taken(tmp_path / "fetched") == content
                writer.put_file("folder/name", str(_written(tmp_path / "file", content + b"!")))
                assert reader.get("folder/name") == content + b"!"
                assert reader.stat("folder/name").bytes == len(content) + 1
                writer.put(f"folder/more/{number}", b"")
                assert f"folder/more/{number}" in _sizes(reader)
                reader.delete(f"folder/more/{number}")
                assert f"folder/more/{number}" not in _sizes(writer)
                writer.delete("folder/name")
                with pytest.raises(FileNotFoundError):
                    reader.get("folder/name")
                with pytest.raises(FileNotFoundError):
                    reader.stat("folder/name")
                assert _sizes(reader) == {}

    def test_threads_share_a_storage(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """8 threads work with one storage from its first call on, each with objects of its own."""
        storage = place()
        at_once([partial(_work, storage, f"thread {number}", tmp_path) for number in range(_RACERS)])
        assert _sizes(storage) == {f"thread {number}/kept": 4 for number in range(_RACERS)}

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_storage_survives_a_fork(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """Parent and children go on with one storage, at the same time, with connections of their own."""
        if isinstance(self.survives_fork, DoesNotApply):
            assert self.survives_fork.reason, "say why it does not apply"
            pytest.skip(self.survives_fork.reason)
        storage = place()
        _work(storage, "before", tmp_path)
        children = [
            in_child(partial(_work, storage, f"child {number}", tmp_path), self.patience) for number in range(2)
        ]
        try:
            _work(storage, "parent", tmp_path)
        finally:
            outcomes = [outcome() for outcome in children]
        assert outcomes == [None, None]
        _work(storage, "after", tmp_path)
        workers = ("before", "child 0", "child 1", "parent", "after")
        assert _sizes(storage) == {f"{worker}/kept": 4 for worker in workers}

    # -- making one, errors, secrets

    def test_making_a_storage_touches_nothing(
        self, place: Callable[[], Storage], unreachable: Callable[[], Storage] | DoesNotApply
    ) -> None:
        """No file, no connection, no thread before the first call; a place that is not there is no error yet."""
        before = descriptors(), threading.active_count()
        made = [place(), place(), *([] if isinstance(unreachable, DoesNotApply) else [unreachable()])]
        assert (descriptors(), threading.active_count()) == before
        for storage in made:
            assert isinstance(storage.url, str)
            assert storage.url
            assert storage.url in repr(storage) or repr(storage.url) in repr(storage)
            assert storage.locate("folder/name")
        assert (descriptors(), threading.active_count()) == before

    def test_place_that_cannot_be_reached_is_a_storage_error(
        self,
        unreachable: Callable[[], Storage] | DoesNotApply,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Every call says so by a StorageError that names URL and operation, and not by FileNotFoundError."""
        if isinstance(unreachable, DoesNotApply):
            assert unreachable.reason, "say why it does not apply"
            return
        caplog.set_level("DEBUG", "persistable")
        storage, path = unreachable(), str(_written(tmp_path / "file", b"x" * 70_000))
        calls: list[tuple[str, Callable[[], object]]] = [
            ("get", lambda: storage.get("folder/name")),
            ("put", lambda: storage.put("folder/name", b"x")),
            ("stat", lambda: storage.stat("folder/name")),
            ("list", lambda: next(storage.list("folder"), None)),
            ("delete", lambda: storage.delete("folder/name")),
            ("put_file", lambda: storage.put_file("folder/name", path)),
            ("fetch", lambda: storage.fetch("folder/name", str(tmp_path / "fetched"), 10)),
            ("prepare", lambda: storage.prepare("folder")),
        ]
        if storage.capabilities.create_exclusive:
            calls.append(("put_if_absent", lambda: storage.put_if_absent("folder/name", b"x")))
        for (name, _), error in zip(calls, at_once([partial(failure, call) for _, call in calls]), strict=True):
            assert isinstance(error, StorageError), f"{name}: {error!r}"
            assert not isinstance(error, FileNotFoundError), name
            assert error.operation, name
            assert error.url.startswith(storage.url.rstrip("/")), name
            assert error.operation in str(error), name
            assert error.url in str(error), name
            told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
            assert _free_of_secrets(told, self.secrets), f"a credential shows in the error of {name}"
        assert _free_of_secrets(caplog.text, self.secrets), "a credential shows in the log"
        assert _free_of_secrets(storage.url + repr(storage) + storage.locate("x"), self.secrets)

    def test_no_credential_shows(
        self, place: Callable[[], Storage], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """None in url, repr, places for people, logs and errors."""
        caplog.set_level("DEBUG", "persistable")
        storage = place()
        storage.put("folder/name", b"content")
        storage.get("folder/name")
        told = [storage.url, repr(storage), storage.locate("folder/name"), caplog.text]
        failing: list[Callable[[], object]] = [
            lambda: storage.get("unknown"),
            lambda: storage.stat("unknown"),
            lambda: storage.fetch("unknown", str(tmp_path / "fetched"), 1),
            lambda: storage.put_file("folder/name", str(tmp_path / "missing")),
        ]
        for call in failing:
            error = failure(call)
            assert error is not None
            told += ["".join(traceback.format_exception(error)), repr(error), repr(vars(error))]
        for text in told:
            assert _free_of_secrets(text, self.secrets)

    # -- against a model

    def test_storage_behaves_like_a_dict(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """Random calls in random order give the answers that a dict gives."""
        pytest.importorskip("hypothesis", reason="random sequences of calls are made by it: pip install hypothesis")
        from persistable.testing.storage_machine import compare_with_dict

        compare_with_dict(place(), tmp_path, examples=self.examples, steps=self.steps)

    # -- how

    def _assert_only(self, storage: Storage, objects: dict[str, bytes]) -> None:
        """Assert that a place has these objects and nothing else."""
        assert _sizes(storage) == {name: len(content) for name, content in objects.items()}
        for name, content in objects.items():
            assert storage.get(name) == content
        assert list(self.leftovers(storage)) == []


def _free_of_secrets(text: str, secrets: Sequence[str]) -> bool:
    """Whether no secret is part of a text."""
    return not any(secret in text for secret in secrets)


def _sizes(storage: Storage) -> dict[str, int]:
    entries = list(storage.list())
    assert len({entry.name for entry in entries}) == len(entries), "some are listed twice"
    return {entry.name: entry.bytes for entry in entries}


def _work(storage: Storage, folder: str, scratch: Path) -> None:
    """Use all that a storage has, in a folder of one's own; one object stays."""
    path = scratch / f"{folder}.file"
    for number in range(5):
        content = f"{folder} {number} ".encode() * 2000
        storage.put(f"{folder}/{number}", content)
        assert difference(storage.get(f"{folder}/{number}"), content, folder) is None
        assert storage.stat(f"{folder}/{number}").bytes == len(content)
        storage.fetch(f"{folder}/{number}", str(path), len(content))
        assert difference(path.read_bytes(), content, folder) is None
        storage.put_file(f"{folder}/{number}", str(path))
        assert difference(storage.get(f"{folder}/{number}"), content, folder) is None
        path.unlink()
        assert [entry.name for entry in storage.list(folder)] == [f"{folder}/{number}"]
        storage.delete(f"{folder}/{number}")
        with pytest.raises(FileNotFoundError):
            storage.get(f"{folder}/{number}")
    storage.put(f"{folder}/kept", b"kept")


def _blocks(size: int) -> Iterator[bytes]:
    """Yield random bytes, of which no two MiB are the same."""
    block = os.urandom(1 << 20)
    for number in range(0, size, len(block)):
        yield (number.to_bytes(8, "big") + block[8:])[: size - number]


def _write_large(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.writelines(_blocks(size))


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _taken(path: Path) -> bytes:
    content = path.read_bytes()
    path.unlink()
    return content


def _described(content: bytes) -> str:
    return f"{len(content)} bytes of {sorted({chr(byte) for byte in content})}"
