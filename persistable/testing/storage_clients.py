"""The part of the storage suite that is about clients: many of one place, in threads and processes; what they tell."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from persistable.exceptions import StorageError
from persistable.storage import Storage
from persistable.testing.equality import difference
from persistable.testing.exemption import DoesNotApply
from persistable.testing.storage_faults import at_once, descriptors, failure, in_child
from persistable.testing.storage_subject import RACERS, StorageSubject, free_of_secrets, sizes, taken, written

__all__ = ["ClientTests"]


class ClientTests(StorageSubject):
    """Test that clients see each other's writes, share a storage, touch nothing when made, and tell no credential."""

    # -- clients, threads, processes

    def test_clients_see_each_others_writes_at_once(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """Nothing that a client remembers is older than what another one has written."""
        one, other = place(), place()
        for client in (one, other):  # so that both have looked, and could remember
            assert sizes(client) == {}
            with pytest.raises(FileNotFoundError):
                client.stat("folder/name")
        for number in range(3):
            for writer, reader in ((one, other), (other, one)):
                content = b"%d" % number * (number + 1) + writer.url.encode()
                writer.put("folder/name", content)
                assert reader.get("folder/name") == content
                assert reader.stat("folder/name").bytes == len(content)
                assert sizes(reader) == {"folder/name": len(content)}
                reader.fetch("folder/name", str(tmp_path / "fetched"), len(content))
                assert taken(tmp_path / "fetched") == content
                writer.put_file("folder/name", str(written(tmp_path / "file", content + b"!")))
                assert reader.get("folder/name") == content + b"!"
                assert reader.stat("folder/name").bytes == len(content) + 1
                writer.put(f"folder/more/{number}", b"")
                assert f"folder/more/{number}" in sizes(reader)
                reader.delete(f"folder/more/{number}")
                assert f"folder/more/{number}" not in sizes(writer)
                writer.delete("folder/name")
                with pytest.raises(FileNotFoundError):
                    reader.get("folder/name")
                with pytest.raises(FileNotFoundError):
                    reader.stat("folder/name")
                assert sizes(reader) == {}

    def test_threads_share_a_storage(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """8 threads work with one storage from its first call on, each with objects of its own."""
        storage = place()
        at_once([partial(_work, storage, f"thread {number}", tmp_path) for number in range(RACERS)])
        assert sizes(storage) == {f"thread {number}/kept": 4 for number in range(RACERS)}

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
        assert sizes(storage) == {f"{worker}/kept": 4 for worker in workers}

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
        storage, path = unreachable(), str(written(tmp_path / "file", b"x" * 70_000))
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
            assert free_of_secrets(told, self.secrets), f"a credential shows in the error of {name}"
        assert free_of_secrets(caplog.text, self.secrets), "a credential shows in the log"
        assert free_of_secrets(storage.url + repr(storage) + storage.locate("x"), self.secrets)

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
            assert free_of_secrets(text, self.secrets)


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
