"""A storage in a dict: what the tests of remote stores use where no real server is needed."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

from persistable.storage import Capabilities, Entry, Storage

OBJECT_STORE = Capabilities(
    atomic_replace=True,
    create_exclusive=True,
    replace_matching=True,
    lock=False,
    local_path=False,
    open_files_survive_deletion=False,
)


PAGE = 50  # entries that are listed at a time


class Place:
    """What all storages of one URL share, as if it were a server."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, float, str]] = {}
        self.lock = threading.RLock()
        self.versions = itertools.count(1)


class DictStorage(Storage):
    """Objects of one process, shared by all storages of one URL; ``calls`` are counted by operation."""

    places: ClassVar[dict[str, Place]] = {}

    def __init__(
        self, url: str, *, capabilities: Capabilities = OBJECT_STORE, ignores_conditions: bool = False, key: str = ""
    ) -> None:
        self.url, self.capabilities, self.ignores_conditions = url, capabilities, ignores_conditions
        self.place = self.places.setdefault(url, Place())
        self.objects = self.place.objects
        self.calls: list[tuple[str, str]] = []

    def _called(self, operation: str, name: str) -> None:
        self.calls.append((operation, name))

    def get(self, name: str) -> bytes:
        self._called("get", name)
        return self._found(name)[0]

    def _found(self, name: str) -> tuple[bytes, float, str]:
        try:
            return self.objects[name]
        except KeyError:
            raise FileNotFoundError(2, "no such object", self.locate(name)) from None

    def put(self, name: str, data: bytes) -> None:
        self._called("put", name)
        with self.place.lock:
            self.objects[name] = (bytes(data), time.time(), str(next(self.place.versions)))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        self._called("put_if_absent", name)
        with self.place.lock:
            if name in self.objects and not self.ignores_conditions:
                return False
            self.put(name, data)
            return True

    def put_if_match(self, name: str, data: bytes, version: str) -> bool:
        self._called("put_if_match", name)
        with self.place.lock:
            if not self.ignores_conditions and (name not in self.objects or self.objects[name][2] != version):
                return False
            self.put(name, data)
            return True

    def stat(self, name: str) -> Entry:
        self._called("stat", name)
        data, modified, version = self._found(name)
        return Entry(name, len(data), modified, version)

    def list(self, folder: str = "") -> Iterator[Entry]:
        self._called("list", folder)
        prefix, last = f"{folder}/" if folder else "", ""
        while page := self.page(prefix, last):
            yield from page
            last = page[-1].name

    def page(self, prefix: str, last: str) -> "list[Entry]":
        """Return the next entries after a name."""
        with self.place.lock:
            names = sorted(name for name in self.objects if name.startswith(prefix) and name > last)[:PAGE]
            found = [(name, *self.objects[name]) for name in names]
        return [Entry(name, len(data), modified, version) for name, data, modified, version in found]

    def delete(self, name: str) -> None:
        self._called("delete", name)
        self.objects.pop(name, None)
