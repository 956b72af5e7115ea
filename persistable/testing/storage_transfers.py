"""The part of the storage suite that is about files: uploaded and fetched whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from persistable.exceptions import StorageError
from persistable.storage import Storage
from persistable.testing.equality import difference
from persistable.testing.exemption import DoesNotApply
from persistable.testing.storage_faults import failing_reads, failure, interrupted, measured_memory
from persistable.testing.storage_subject import StorageSubject, sizes, written

__all__ = ["TransferTests"]


class TransferTests(StorageSubject):
    """Test that large files come and go in bounded memory, and that what fails half-way leaves nothing."""

    def test_large_object_comes_back(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """A file beyond the size of parts and ranges is uploaded in bounded memory, and comes back to the byte."""
        storage, path, fetched = place(), tmp_path / "large", tmp_path / "fetched"
        _write_large(path, self.large)
        storage.put_file("folder/small", str(written(tmp_path / "small", b"x" * 70_000)))  # whatever is imported first
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
        assert sizes(storage) == {"folder/small": 70_000}
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
        storage, path = place(), written(tmp_path / "there", b"precious")
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
            entries = sizes(storage)
            assert entries.keys() == {"folder/name"}, f"interrupted: {stopped}"
            assert entries["folder/name"] in ((3, self.large) if stopped else (self.large,))
            assert list(self.leftovers(storage)) == []
            if entries["folder/name"] == 3:
                assert storage.get("folder/name") == b"old"
            else:
                assert hashlib.sha256(storage.get("folder/name")).digest() == _digest(path)


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
