"""What the format suite tests: a FileIO, payloads for it, and a store to keep them in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from persistable.base import Persistable
from persistable.io import FileIO
from persistable.params import PersistableParams
from persistable.registry import Registry
from persistable.specs import FormatSpec
from persistable.store import ArtifactStore
from persistable.testing.equality import difference

__all__ = ["FormatSubject", "files"]


@dataclass
class _Params(PersistableParams):
    label: str = "payload"


class _Subject(Persistable[Any, _Params]):
    """A payload that is handed over instead of computed; generating without one is a miss that should not have been."""

    def _generate_payload(self, **untracked: Any) -> Any:
        offer = untracked.get("offer")
        assert offer is not None, "it was generated again instead of loaded"
        return offer()


class FormatSubject(ABC):
    """A FileIO to test; ``FormatTests`` says what each attribute means."""

    spec: ClassVar[FormatSpec | None] = None
    is_directory: ClassVar[bool] = False
    memory_mapped: ClassVar[bool] = False
    needs_metadata: ClassVar[bool] = False
    notices_cuts: ClassVar[bool] = True
    notices_flips: ClassVar[bool] = False

    # -- what to test

    @abstractmethod
    def file_io(self) -> FileIO[Any]:
        """Return a new FileIO to test."""

    @abstractmethod
    def payloads(self) -> Mapping[str, Any]:
        """Return typical payloads and special cases by a short label, at least one, each small."""

    @abstractmethod
    def empty(self) -> Any:
        """Return the payload without content, or ``DoesNotApply`` with the reason."""

    @abstractmethod
    def unicode(self) -> Any:
        """Return a payload with text beyond ASCII in all places that hold text, or ``DoesNotApply``."""

    @abstractmethod
    def large(self) -> Any:
        """Return a payload that takes a megabyte or more, or ``DoesNotApply``."""

    @abstractmethod
    def foreign(self) -> Mapping[str, Any]:
        """Return payloads that the format has to refuse, by label; ``DoesNotApply`` if it takes anything."""

    def options(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return keyword arguments that ``save`` and ``load`` take, which are tried on every payload."""
        return {}, {}

    def expected(self, payload: Any) -> Any:
        """Return what a load gives for a payload; differs only for streams and mappings of memory."""
        return payload

    def difference(self, found: Any, expected: Any) -> str | None:
        """Say where two payloads differ, or None. Override it for types that ``type_strict_equal`` does not know."""
        return difference(found, expected)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the tests of ``label`` for each of ``payloads()``."""
        if "label" in metafunc.fixturenames:
            metafunc.parametrize("label", list(self.payloads()))

    # -- how

    def _first(self) -> str:
        label = next(iter(self.payloads()), None)
        if label is None:
            pytest.skip("payloads() is empty: test_there_is_a_payload_to_test fails for it")
        return label

    def _save(self, file_io: FileIO[Any], payload: Any, folder: Path, **options: Any) -> tuple[Path, Any]:
        path = folder / f"saved{file_io.suffix}"
        if file_io.is_directory:
            path.mkdir()
        return path, file_io.save(payload, path, **options)

    def _load(self, file_io: FileIO[Any], path: Path, metadata: Any, **options: Any) -> Any:
        if file_io.needs_metadata:
            options["metadata"] = metadata
        return file_io.load(path, **options)

    def _in_memory(self, payload: Any) -> Any:
        """Return what a FileIO without options loads: the payload itself, unless ``expected`` is about streams."""
        return payload if self.memory_mapped else self.expected(payload)

    def _registry(self) -> Registry:
        registry = Registry(discover=False, strict=False)
        if self.spec is not None and self.spec.name not in ("pickle", "json", "text"):
            registry.add(_hooks(self.spec), name="tested", distribution=self.spec.install or "tested")
        return registry

    def _subject(self, folder: Path, label: str, file_io: FileIO[Any] | None, **settings: Any) -> _Subject:
        common: dict[str, Any] = {"trust": "all", "durability": "fast", "registry": self._registry()}
        store = ArtifactStore(folder / "data dir", **(common | settings))
        return _Subject(store, _Params(label), payload_name="subject", payload_io=file_io)

    def _persisted(self, folder: Path, label: str) -> _Subject:
        subject = self._subject(folder, label, self.file_io())
        subject.generate(offer=lambda: self.payloads()[label])
        return subject

    def _assert_only(self, subject: _Subject) -> None:
        """Assert that a store has nothing but the artifact it had, and that it loads."""
        folder, record = subject.persist_filepath.parent, subject.record
        again = self._subject(folder.parent.parent, subject.params.label, self.file_io())
        again.load()
        assert self.difference(again.payload, self.expected(self.payloads()[subject.params.label])) is None
        assert again.record.main_path == record.main_path
        temporary = [entry.name for entry in folder.iterdir() if entry.name.startswith(".tmp")]
        assert temporary == []
        payloads = {entry.name for entry in folder.iterdir() if entry.name.startswith(subject.key)}
        assert payloads == {f"{subject.key}.json", record.main_path}


def _hooks(spec: FormatSpec) -> object:
    from persistable.hookspecs import hookimpl

    class Hooks:
        @hookimpl
        def persistable_formats(self) -> list[FormatSpec]:
            return [spec]

    return Hooks()


def files(path: Path) -> Sequence[Path]:
    """Return the files of a payload: itself, or what is in its folder."""
    return sorted(entry for entry in path.rglob("*") if not entry.is_dir()) if path.is_dir() else [path]
