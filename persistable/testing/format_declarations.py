"""The part of the format suite that is about what a format says of itself."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from persistable.digest import DigestingReader
from persistable.discovery import load_object
from persistable.io import BufferLoader, StreamLoader, format_name, is_able
from persistable.testing.bombs import bombs, spliced, unpickling
from persistable.testing.exemption import DoesNotApply
from persistable.testing.format_subject import FormatSubject, files

__all__ = ["DeclarationTests"]


class DeclarationTests(FormatSubject):
    """Test that what a FileIO and its spec declare is so, both ways."""

    def test_it_is_what_its_spec_declares(self) -> None:
        """Name, suffix and class are those of the spec; without a spec the format is injected, and custom."""
        kind = type(self.file_io())
        if self.spec is None:
            assert format_name(kind).startswith("custom:"), f"{kind} names a format: give its spec"
            return
        assert format_name(kind) == self.spec.name
        assert self.file_io().suffix == self.spec.suffix
        assert load_object(self.spec.io) is kind

    def test_is_directory_is_declared_as_it_is(self, tmp_path: Path) -> None:
        """A format of several files fills the folder that it is given; any other one writes one regular file."""
        assert self.file_io().is_directory is self.is_directory
        path, _ = self._save(self.file_io(), self.payloads()[self._first()], tmp_path)
        assert path.is_dir() is self.is_directory
        assert all(entry.is_file() and not entry.is_symlink() for entry in files(path))
        assert files(path)

    def test_needs_metadata_is_declared_as_it_is(self, tmp_path: Path, label: str) -> None:
        """A FileIO that needs its metadata returns some; one that does not loads without."""
        file_io = self.file_io()
        assert file_io.needs_metadata is self.needs_metadata
        path, metadata = self._save(file_io, self.payloads()[label], tmp_path)
        if self.needs_metadata:
            assert metadata, "it needs metadata and returned none"
        else:
            assert self.difference(file_io.load(path), self.expected(self.payloads()[label])) is None

    def test_memory_mapped_is_declared_as_it_is(self, tmp_path: Path) -> None:
        """A FileIO says whether the payload goes on reading from its file, since then less of it is verified."""
        file_io = self.file_io()
        assert file_io.memory_mapped is self.memory_mapped
        payload = self.large()
        payload = self.payloads()[self._first()] if isinstance(payload, DoesNotApply) else payload
        path, metadata = self._save(file_io, payload, tmp_path)
        loaded = self._load(file_io, path, metadata)
        if os.path.exists("/proc/self/maps"):
            with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
                mapped = str(path) in maps.read()
            assert mapped is self.memory_mapped, f"the file is {'' if mapped else 'not '}mapped while the payload lives"
        del loaded

    def test_data_only_format_runs_no_code(self, tmp_path: Path) -> None:
        """A format that declares executes_code=False runs nothing that a file brings; others have to declare it."""
        file_io = self.file_io()
        if self.spec is None or self.spec.executes_code:
            return  # it may run code; trust decides
        exploded, declare = tmp_path / "exploded", "declare executes_code=True"
        for number, label in enumerate(self.payloads()):
            folder = tmp_path / str(number)
            folder.mkdir()
            path, metadata = self._save(file_io, self.payloads()[label], folder)
            for load in self._loads(path, metadata):
                load()  # what it imports is imported now, and not of the file's doing
                with unpickling() as unpickled:
                    load()
                assert unpickled == [], f"loading its own file of {label!r} unpickles {unpickled}: {declare}"
            if number > 0:
                continue
            for entry in files(path):
                for name, damaged in spliced(entry.read_bytes(), bombs(str(exploded))):
                    copy = folder / f"copy{file_io.suffix}"  # of its own, as a load may map the file
                    (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy)
                    target = copy / entry.relative_to(path)
                    target.unlink()
                    target.write_bytes(damaged)
                    with unpickling() as unpickled:
                        for load in self._loads(copy, metadata):
                            with contextlib.suppress(Exception):
                                load()
                    assert unpickled == [], f"loading {entry.name} with {name} unpickles {unpickled}: {declare}"
                    assert not exploded.exists(), f"loading {entry.name} with {name} ran it: {declare}"
                    shutil.rmtree(copy) if copy.is_dir() else copy.unlink()

    def _loads(self, path: Path, metadata: Any) -> Iterator[Callable[[], object]]:
        """Yield every way to load a file, streams to their end."""

        def load() -> None:
            loaded = self._load(self.file_io(), path, metadata)
            if isinstance(loaded, Iterator):
                deque(loaded, maxlen=0)

        yield load
        file_io = self.file_io()
        if is_able(type(file_io), "load_buffer"):
            yield lambda: cast("BufferLoader", file_io).load_buffer(path.read_bytes())
        if is_able(type(file_io), "load_stream"):

            def load_from_stream() -> None:
                with open(path, "rb") as file:
                    cast("StreamLoader", file_io).load_stream(
                        DigestingReader(file.fileno()), os.fstat(file.fileno()).st_size
                    )

            yield load_from_stream
