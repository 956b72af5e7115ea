"""The part of the format suite that is about what fails: refused payloads, full disks, damaged files."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from persistable.exceptions import CorruptArtifactError, FidelityError
from persistable.io import format_name
from persistable.testing.damage import cuts, flips
from persistable.testing.exemption import DoesNotApply
from persistable.testing.format_subject import FormatSubject, files

__all__ = ["FailureTests"]


class FailureTests(FormatSubject):
    """Test that what cannot be kept or read is an error, and that it costs nothing that was there."""

    def test_missing_file_is_said_to_be_missing(self, tmp_path: Path) -> None:
        """Loading what is not there raises FileNotFoundError and creates nothing."""
        metadata = self._save(self.file_io(), self.payloads()[self._first()], tmp_path)[1]
        with pytest.raises(FileNotFoundError):
            self._load(self.file_io(), tmp_path / f"missing{self.file_io().suffix}", metadata)
        assert not (tmp_path / f"missing{self.file_io().suffix}").exists()

    def test_foreign_payload_is_refused_before_the_target_is_touched(self, tmp_path: Path) -> None:
        """What would not come back equal raises FidelityError, and what stood at the path is as it was."""
        foreign: Any = self.foreign()
        if isinstance(foreign, DoesNotApply):
            assert foreign.reason
            return
        assert foreign, "name a payload that is refused, or why there is none"
        path = tmp_path / f"target{self.file_io().suffix}"
        path.write_bytes(b"what was there before")
        for label, payload in foreign.items():
            with pytest.raises(FidelityError) as caught:
                self.file_io().save(payload, path)
            assert caught.value.format == format_name(type(self.file_io())), label
            assert caught.value.reason, label
            assert path.read_bytes() == b"what was there before", label
            assert os.listdir(tmp_path) == [path.name], label

    def test_foreign_payload_leaves_a_store_as_it_was(self, tmp_path: Path) -> None:
        """A refused payload is an error of the save; the artifact that was there before still loads."""
        foreign: Any = self.foreign()
        if isinstance(foreign, DoesNotApply):
            return
        label = self._first()
        before = self._persisted(tmp_path, label)
        for payload in foreign.values():
            subject = self._subject(tmp_path, label, self.file_io())
            with pytest.raises(FidelityError):
                subject.generate(offer=lambda payload=payload: payload)
        self._assert_only(before)

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
    def test_failed_write_is_an_error_and_leaves_nothing(self, tmp_path: Path) -> None:
        """When a write fails half-way the save raises OSError, and the store has the artifact it had, and no other."""
        label = self._first()
        before = self._persisted(tmp_path, label)
        payload = self.large()
        if isinstance(payload, DoesNotApply):
            payload = self.payloads()[label]
        (tmp_path / "probe").mkdir()
        path, _ = self._save(self.file_io(), payload, tmp_path / "probe")
        size = max(entry.stat().st_size for entry in files(path))
        subject = self._subject(tmp_path, label, self.file_io(), keep_rejected=False)
        for part in (size // 2, size - 1):
            made = self.large()
            made = self.payloads()[label] if isinstance(made, DoesNotApply) else made
            subject.generate(persist=False, offer=lambda made=made: made)
            # an open file, a full disk and a quota fail alike: the system refuses further bytes
            with pytest.raises(OSError), _file_size_limit(part):  # noqa: PT011 - any OSError, at any depth
                subject.persist()
        self._assert_only(before)

    def test_cut_file_is_noticed_as_declared(self, tmp_path: Path) -> None:
        """A file that lost its end raises instead of loading as something else, unless any bytes are a payload."""
        unnoticed = self._unnoticed(tmp_path, cuts)
        assert bool(unnoticed) is not self.notices_cuts, unnoticed or "every cut is noticed: declare notices_cuts=True"

    def test_flipped_bit_is_noticed_if_declared(self, tmp_path: Path) -> None:
        """A format with digests of its own raises for every flipped bit, or gives the payload as it was."""
        if self.notices_flips:
            assert self._unnoticed(tmp_path, flips) == []

    def test_store_notices_all_damage(self, tmp_path: Path) -> None:
        """Through a store, damage of any kind is CorruptArtifactError; nothing else is ever served."""
        label = self._first()
        subject = self._persisted(tmp_path, label)
        for entry in files(subject.persist_filepath):
            content = entry.read_bytes()
            for name, damaged in [*cuts(content), *flips(content, most=16), ("longer", content + b"\0")]:
                entry.write_bytes(damaged)
                again = self._subject(tmp_path, label, self.file_io(), verify="full")
                try:
                    again.load()
                except CorruptArtifactError:
                    continue
                pytest.fail(f"{entry.name} was damaged ({name}) and loaded")
            entry.write_bytes(content)
            entry.rename(entry.with_name("elsewhere"))
            with pytest.raises(CorruptArtifactError):
                self._subject(tmp_path, label, self.file_io(), verify="full").load()
            entry.with_name("elsewhere").rename(entry)
        self._assert_only(subject)

    def _unnoticed(self, folder: Path, damages: Callable[[bytes], Iterator[tuple[str, bytes]]]) -> list[str]:
        """Return the damages after which a load gives something else, without an error."""
        label, file_io = self._first(), self.file_io()
        path, metadata = self._save(file_io, self.payloads()[label], folder)
        unnoticed = []
        for entry in files(path):
            content = entry.read_bytes()
            for name, damaged in damages(content):
                entry.write_bytes(damaged)
                try:
                    found = self._load(file_io, path, metadata)
                except Exception:  # noqa: BLE001, S112 - any error notices
                    continue
                if self.difference(found, self.expected(self.payloads()[label])) is not None:
                    unnoticed.append(f"{entry.name}: {name}")
            entry.write_bytes(content)
        return unnoticed


@contextlib.contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    """Have the system refuse to write files beyond a size, as a full disk would."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
