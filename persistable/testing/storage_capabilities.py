"""The part of the storage suite that is about capabilities: what is declared is so, and what is not is refused."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from persistable.exceptions import UnsupportedOperationError
from persistable.local import LocalStorage
from persistable.lock import GENERATE
from persistable.storage import Capabilities, Storage
from persistable.testing.storage_faults import at_once
from persistable.testing.storage_subject import CLIENTS, RACERS, StorageSubject, sizes

__all__ = ["CapabilityTests"]

_KEY = "0123456789abcdef0123456789abcdef"


class CapabilityTests(StorageSubject):
    """Test conditions, locks and what else a storage declares, both ways."""

    # -- conditions

    def test_put_if_absent_is_as_declared(self, place: Callable[[], Storage]) -> None:
        """Declared, it makes an object only where there is none; not declared, it is an UnsupportedOperationError."""
        storage = place()
        if not storage.capabilities.create_exclusive:
            with pytest.raises(UnsupportedOperationError):
                storage.put_if_absent("folder/name", b"first")
            assert sizes(storage) == {}
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
        assert sizes(storage) == {"folder/name": 0}

    def test_one_of_many_creates(self, place: Callable[[], Storage]) -> None:
        """Of 8 threads with one storage, and of 4 clients, exactly one creates an object, and it is its content."""
        if not place().capabilities.create_exclusive:
            return
        for race in range(5):
            shared = place()
            for racers in ([shared] * RACERS, [place() for _ in range(CLIENTS)]):
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
        assert sizes(storage) == {}

    def test_one_of_many_replaces(self, place: Callable[[], Storage]) -> None:
        """Of 8 threads with one storage, and of 4 clients, that saw one version, exactly one replaces it."""
        if not place().capabilities.replace_matching:
            return
        shared = place()
        shared.put("race", b"start")
        for _ in range(5):
            for racers in ([shared] * RACERS, [place() for _ in range(CLIENTS)]):
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
        contents = {bytes([65 + writer]) * size for writer in range(CLIENTS) for size in (10, 40_000 + 7 * writer)}
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
            with ThreadPoolExecutor(2 * CLIENTS) as pool:
                readers = [pool.submit(read, number, place()) for number in range(CLIENTS)]
                writers = [pool.submit(write, number, place()) for number in range(CLIENTS)]
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
        assert sizes(storage) == {}
        storage.put("folder/name", b"content")
        storage.prepare("folder")
        self._assert_only(storage, {"folder/name": b"content"})


def _described(content: bytes) -> str:
    return f"{len(content)} bytes of {sorted({chr(byte) for byte in content})}"
