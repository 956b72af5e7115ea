"""The part of the format suite that is about what comes back: equal, and of the same type."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from persistable.digest import DigestingReader
from persistable.io import BufferLoader, StreamLoader, format_name, is_able
from persistable.testing.exemption import DoesNotApply
from persistable.testing.format_subject import FormatSubject, files

__all__ = ["RoundTripTests"]


class RoundTripTests(FormatSubject):
    """Test that what is saved is loaded equal, on every way that there is."""

    def test_there_is_a_payload_to_test(self) -> None:
        """Nothing is promised by a suite without payloads."""
        assert self.payloads(), "payloads() is empty: give at least one"

    def test_payload_comes_back_equal_by_type_and_value(self, tmp_path: Path, label: str) -> None:
        """What is saved comes back the same, and is left as it was by saving."""
        payload, reference = self.payloads()[label], self.payloads()[label]
        file_io = self.file_io()
        assert file_io.refusal(payload) is None
        path, metadata = self._save(file_io, payload, tmp_path)
        if not isinstance(payload, Iterator):
            assert self.difference(payload, reference) is None, "saving changed the payload"
        assert self.difference(self._load(file_io, path, metadata), self.expected(reference)) is None

    def test_payload_comes_back_from_a_store(self, tmp_path: Path, label: str) -> None:
        """A store that knows the format gives the payload back by what the record says, without it being injected."""
        subject = self._persisted(tmp_path, label)
        assert subject.record.format == format_name(type(self.file_io()))
        assert subject.persist_filepath.is_dir() is self.is_directory
        again = self._subject(tmp_path, label, None if self.spec is not None else self.file_io())
        again.load()
        assert self.difference(again.payload, self._in_memory(self.payloads()[label])) is None

    def test_payload_comes_back_from_a_store_with_the_same_file_io(self, tmp_path: Path, label: str) -> None:
        """Injecting the FileIO to load, with its options, gives what a load of it gives."""
        self._persisted(tmp_path, label)
        again = self._subject(tmp_path, label, self.file_io())
        again.load()
        assert self.difference(again.payload, self.expected(self.payloads()[label])) is None

    def test_empty_payload_comes_back(self, tmp_path: Path) -> None:
        """The payload without content is a payload."""
        self._round_trip(self.empty, tmp_path)

    def test_unicode_comes_back(self, tmp_path: Path) -> None:
        """Text is kept whatever its script, whatever the locale."""
        self._round_trip(self.unicode, tmp_path)

    def test_large_payload_comes_back(self, tmp_path: Path) -> None:
        """A payload over one buffer's length is kept."""
        self._round_trip(self.large, tmp_path)

    def test_options_are_taken(self, tmp_path: Path, label: str) -> None:
        """A file saved and loaded with the declared options has the same payload."""
        file_io = self.file_io()
        to_save, to_load = self.options()
        path, metadata = self._save(file_io, self.payloads()[label], tmp_path, **to_save)
        found = self._load(file_io, path, metadata, **to_load)
        assert self.difference(found, self.expected(self.payloads()[label])) is None

    @pytest.mark.parametrize(
        "name", ["with spaces.{}", "ünïcödé 文.{}", "without_suffix", "other.suffix", "a.b.{}.tmp"]
    )
    def test_any_path_will_do(self, tmp_path: Path, name: str) -> None:
        """The path is the store's business: folders with spaces and other suffixes are written to as they are."""
        folder = tmp_path / "a folder, ein Ordner für 文"
        folder.mkdir()
        path = folder / name.format(self.file_io().suffix.removeprefix("."))
        label, file_io = self._first(), self.file_io()
        if self.is_directory:
            path.mkdir()
        metadata = file_io.save(self.payloads()[label], path)
        assert [entry.name for entry in folder.iterdir()] == [path.name], "it wrote beside the path that it was given"
        assert path.is_dir() is self.is_directory
        assert self.difference(self._load(file_io, path, metadata), self.expected(self.payloads()[label])) is None

    def test_buffer_is_read_as_the_file_is(self, tmp_path: Path, label: str) -> None:
        """A FileIO that loads from memory gives the same payload from the bytes of its file."""
        file_io = self.file_io()
        if not is_able(type(file_io), "load_buffer"):
            return
        assert not file_io.is_directory
        path, _ = self._save(file_io, self.payloads()[label], tmp_path)
        assert not self.needs_metadata, "load_buffer is not given the metadata"
        expected = self._in_memory(self.payloads()[label])
        for buffer in (path.read_bytes(), memoryview(path.read_bytes())):
            assert self.difference(cast("BufferLoader", file_io).load_buffer(buffer), expected) is None

    def test_stream_is_read_as_the_file_is(self, tmp_path: Path, label: str) -> None:
        """A FileIO that loads from an open file gives the same payload, in large and small reads."""
        file_io = self.file_io()
        if not is_able(type(file_io), "load_stream"):
            return
        assert not file_io.is_directory
        assert not self.needs_metadata, "load_stream is not given the metadata"
        path, _ = self._save(file_io, self.payloads()[label], tmp_path)
        expected = self._in_memory(self.payloads()[label])
        with open(path, "rb") as file:
            loaded = cast("StreamLoader", file_io).load_stream(
                DigestingReader(file.fileno()), os.fstat(file.fileno()).st_size
            )
        assert self.difference(loaded, expected) is None

    def test_file_io_can_be_pickled(self, tmp_path: Path) -> None:
        """A FileIO travels to worker processes and works there as it did here."""
        label = self._first()
        copy = pickle.loads(pickle.dumps(self.file_io()))
        assert type(copy) is type(self.file_io())
        path, metadata = self._save(copy, self.payloads()[label], tmp_path)
        found = self._load(pickle.loads(pickle.dumps(copy)), path, metadata)
        assert self.difference(found, self.expected(self.payloads()[label])) is None

    def test_metadata_is_json(self, tmp_path: Path, label: str) -> None:
        """What a save returns for the record is a JSON object or None, and comes back equal from JSON."""
        _, metadata = self._save(self.file_io(), self.payloads()[label], tmp_path)
        if metadata is not None:
            assert isinstance(metadata, Mapping)
            assert json.loads(json.dumps(metadata, allow_nan=False)) == metadata

    def test_loading_leaves_the_file_as_it_is(self, tmp_path: Path) -> None:
        """Files of artifacts are immutable: a load reads."""
        label, file_io = self._first(), self.file_io()
        path, metadata = self._save(file_io, self.payloads()[label], tmp_path)
        before = {entry: entry.read_bytes() for entry in files(path)}
        found = [self._load(file_io, path, metadata) for _ in range(2)]
        assert self.difference(found[0], found[1]) is None or isinstance(found[0], Iterator)
        assert {entry: entry.read_bytes() for entry in files(path)} == before

    def _round_trip(self, make: Any, folder: Path) -> None:
        payload = make()
        if isinstance(payload, DoesNotApply):
            assert payload.reason, "say why it does not apply"
            return
        file_io = self.file_io()
        path, metadata = self._save(file_io, payload, folder)
        assert self.difference(self._load(file_io, path, metadata), self.expected(make())) is None
