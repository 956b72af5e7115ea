"""FormatTests, the promises that every format makes; subclass it once for each FileIO."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import shutil
import signal
import sys
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

from persistable.base import Persistable
from persistable.digest import DigestingReader
from persistable.discovery import load_object
from persistable.exceptions import CorruptArtifactError, FidelityError
from persistable.io import FileIO, format_name
from persistable.params import PersistableParams
from persistable.registry import Registry
from persistable.specs import FormatSpec
from persistable.store import ArtifactStore
from persistable.testing.equality import difference

__all__ = ["DoesNotApply", "FormatTests"]


class DoesNotApply(NamedTuple):
    """Stand in for a payload that cannot be, with the reason: ``DoesNotApply("an image has at least one pixel")``."""

    reason: str


@dataclass
class _Params(PersistableParams):
    label: str = "payload"


class _Subject(Persistable[Any, _Params]):
    """A payload that is handed over instead of computed; generating without one is a miss that should not have been."""

    def _generate_payload(self, **untracked: Any) -> Any:
        offer = untracked.get("offer")
        assert offer is not None, "it was generated again instead of loaded"
        return offer()


class FormatTests(ABC):
    """Test a FileIO: what it writes comes back, what it cannot keep it refuses, and what it declares is so.

    Every payload is asked for anew each time it is needed, so the methods may return mutable objects.

    Attributes:
        spec: the row by which a plugin declares the format; None for a FileIO that is only ever injected.
        is_directory, memory_mapped, needs_metadata: what ``file_io()`` declares; asserted both ways.
        notices_cuts: whether a file that lost its end never loads. True unless any bytes are a payload, as with text.
        notices_flips: whether one flipped bit anywhere never loads as another payload, because the format has digests
            of its own. Where it does not, the store's digest notices.
    """

    spec: ClassVar[FormatSpec | None] = None
    is_directory: ClassVar[bool] = False
    memory_mapped: ClassVar[bool] = False
    needs_metadata: ClassVar[bool] = False
    notices_cuts: ClassVar[bool] = True
    notices_flips: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Refuse a class that pytest would silently pass over, as it does with those that are abstract still."""
        super().__init_subclass__()
        asked = [name for name in vars(FormatTests) if name in FormatTests.__abstractmethods__]
        missing = [name for name in asked if getattr(getattr(cls, name), "__isabstractmethod__", False)]
        if missing and cls.__name__.startswith("Test"):
            raise TypeError(
                f"{cls.__qualname__} does not say {', '.join(missing)}: define what is missing, or give the class a "
                "name that does not start with Test if its subclasses do"
            )

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

    # -- what it promises

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the tests of ``label`` for each of ``payloads()``."""
        if "label" in metafunc.fixturenames:
            metafunc.parametrize("label", list(self.payloads()))

    def test_there_is_a_payload_to_test(self) -> None:
        """Nothing is promised by a suite without payloads."""
        assert self.payloads(), "payloads() is empty: give at least one"

    def test_it_is_what_its_spec_declares(self) -> None:
        """Name, suffix and class are those of the spec; without a spec the format is injected, and custom."""
        kind = type(self.file_io())
        if self.spec is None:
            assert format_name(kind).startswith("custom:"), f"{kind} names a format: give its spec"
            return
        assert format_name(kind) == self.spec.name
        assert self.file_io().suffix == self.spec.suffix
        assert load_object(self.spec.io) is kind

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
        size = max(entry.stat().st_size for entry in _files(path))
        subject = self._subject(tmp_path, label, self.file_io(), keep_rejected=False)
        for part in (size // 2, size - 1):
            made = self.large()
            made = self.payloads()[label] if isinstance(made, DoesNotApply) else made
            subject.generate(persist=False, offer=lambda made=made: made)
            # an open file, a full disk and a quota fail alike: the system refuses further bytes
            with pytest.raises(OSError), _file_size_limit(part):  # noqa: PT011 - any OSError, at any depth
                subject.persist()
        self._assert_only(before)

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

    def test_is_directory_is_declared_as_it_is(self, tmp_path: Path) -> None:
        """A format of several files fills the folder that it is given; any other one writes one regular file."""
        assert self.file_io().is_directory is self.is_directory
        path, _ = self._save(self.file_io(), self.payloads()[self._first()], tmp_path)
        assert path.is_dir() is self.is_directory
        assert all(entry.is_file() and not entry.is_symlink() for entry in _files(path))
        assert _files(path)

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

    def test_buffer_is_read_as_the_file_is(self, tmp_path: Path, label: str) -> None:
        """A FileIO that loads from memory gives the same payload from the bytes of its file."""
        file_io = self.file_io()
        load_buffer: Callable[[Any], Any] | None = getattr(file_io, "load_buffer", None)
        if load_buffer is None:
            return
        assert not file_io.is_directory
        path, _ = self._save(file_io, self.payloads()[label], tmp_path)
        assert not self.needs_metadata, "load_buffer is not given the metadata"
        expected = self._in_memory(self.payloads()[label])
        for buffer in (path.read_bytes(), memoryview(path.read_bytes())):
            assert self.difference(load_buffer(buffer), expected) is None

    def test_stream_is_read_as_the_file_is(self, tmp_path: Path, label: str) -> None:
        """A FileIO that loads from an open file gives the same payload, in large and small reads."""
        file_io = self.file_io()
        load_stream: Callable[[Any, int], Any] | None = getattr(file_io, "load_stream", None)
        if load_stream is None:
            return
        assert not file_io.is_directory
        assert not self.needs_metadata, "load_stream is not given the metadata"
        path, _ = self._save(file_io, self.payloads()[label], tmp_path)
        expected = self._in_memory(self.payloads()[label])
        with open(path, "rb") as file:
            loaded = load_stream(DigestingReader(file.fileno()), os.fstat(file.fileno()).st_size)
        assert self.difference(loaded, expected) is None

    def test_loading_leaves_the_file_as_it_is(self, tmp_path: Path) -> None:
        """Files of artifacts are immutable: a load reads."""
        label, file_io = self._first(), self.file_io()
        path, metadata = self._save(file_io, self.payloads()[label], tmp_path)
        before = {entry: entry.read_bytes() for entry in _files(path)}
        found = [self._load(file_io, path, metadata) for _ in range(2)]
        assert self.difference(found[0], found[1]) is None or isinstance(found[0], Iterator)
        assert {entry: entry.read_bytes() for entry in _files(path)} == before

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
                with _unpickling() as unpickled:
                    load()
                assert unpickled == [], f"loading its own file of {label!r} unpickles {unpickled}: {declare}"
            if number > 0:
                continue
            for entry in _files(path):
                for name, damaged in _spliced(entry.read_bytes(), _bombs(str(exploded))):
                    copy = folder / f"copy{file_io.suffix}"  # of its own, as a load may map the file
                    (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy)
                    target = copy / entry.relative_to(path)
                    target.unlink()
                    target.write_bytes(damaged)
                    with _unpickling() as unpickled:
                        for load in self._loads(copy, metadata):
                            with contextlib.suppress(Exception):
                                load()
                    assert unpickled == [], f"loading {entry.name} with {name} unpickles {unpickled}: {declare}"
                    assert not exploded.exists(), f"loading {entry.name} with {name} ran it: {declare}"
                    shutil.rmtree(copy) if copy.is_dir() else copy.unlink()

    def test_cut_file_is_noticed_as_declared(self, tmp_path: Path) -> None:
        """A file that lost its end raises instead of loading as something else, unless any bytes are a payload."""
        unnoticed = self._unnoticed(tmp_path, _cuts)
        assert bool(unnoticed) is not self.notices_cuts, unnoticed or "every cut is noticed: declare notices_cuts=True"

    def test_flipped_bit_is_noticed_if_declared(self, tmp_path: Path) -> None:
        """A format with digests of its own raises for every flipped bit, or gives the payload as it was."""
        if self.notices_flips:
            assert self._unnoticed(tmp_path, _flips) == []

    def test_store_notices_all_damage(self, tmp_path: Path) -> None:
        """Through a store, damage of any kind is CorruptArtifactError; nothing else is ever served."""
        label = self._first()
        subject = self._persisted(tmp_path, label)
        for entry in _files(subject.persist_filepath):
            content = entry.read_bytes()
            for name, damaged in [*_cuts(content), *_flips(content, most=16), ("longer", content + b"\0")]:
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

    def _loads(self, path: Path, metadata: Any) -> Iterator[Callable[[], object]]:
        """Yield every way to load a file, streams to their end."""

        def load() -> None:
            loaded = self._load(self.file_io(), path, metadata)
            if isinstance(loaded, Iterator):
                deque(loaded, maxlen=0)

        yield load
        load_buffer = getattr(self.file_io(), "load_buffer", None)
        if load_buffer is not None:
            yield lambda: load_buffer(path.read_bytes())
        load_stream = getattr(self.file_io(), "load_stream", None)
        if load_stream is not None:

            def load_from_stream() -> None:
                with open(path, "rb") as file:
                    load_stream(DigestingReader(file.fileno()), os.fstat(file.fileno()).st_size)

            yield load_from_stream

    def _round_trip(self, make: Any, folder: Path) -> None:
        payload = make()
        if isinstance(payload, DoesNotApply):
            assert payload.reason, "say why it does not apply"
            return
        file_io = self.file_io()
        path, metadata = self._save(file_io, payload, folder)
        assert self.difference(self._load(file_io, path, metadata), self.expected(make())) is None

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

    def _unnoticed(self, folder: Path, damages: Callable[[bytes], Iterator[tuple[str, bytes]]]) -> list[str]:
        """Return the damages after which a load gives something else, without an error."""
        label, file_io = self._first(), self.file_io()
        path, metadata = self._save(file_io, self.payloads()[label], folder)
        unnoticed = []
        for entry in _files(path):
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


class _Bomb:
    """Pickle as something that makes a folder when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def _bombs(path: str) -> Iterator[tuple[str, bytes]]:
    """Yield what makes a folder when it is unpickled or evaluated, bare and compressed."""
    for protocol in (0, 2, 4):  # by lines, by opcodes that work although their end is cut off, in a frame
        bomb = pickle.dumps(_Bomb(path), protocol)
        yield f"a pickle of protocol {protocol}", bomb
        yield f"a compressed pickle of protocol {protocol}", zlib.compress(bomb)
    yield "an expression", f"__import__('os').mkdir({path!r})".encode()


def _spliced(content: bytes, bombs: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield files that begin as a valid one does and go on with a bomb; behind it nothing, or the rest."""
    size = len(content)
    places = {*range(17), 20, 24, 32, 64, 80, 128, size // 4, size // 2, size - 8, size - 4, size - 1, size}
    for name, bomb in bombs:
        for at in sorted(place for place in places if 0 <= place <= size):
            yield f"{name} after {at} bytes", content[:at] + bomb
            yield f"{name} inserted after {at} bytes", content[:at] + bomb + content[at:]
            yield f"{name} over what followed {at} bytes", content[:at] + bomb + content[at + len(bomb) :]


_WATCHES: list[list[str]] = []


@functools.cache
def _watch_unpickling() -> None:
    """Have Python report every global that a pickle asks for; there is no way to have it stop."""

    def report(event: str, arguments: tuple[Any, ...]) -> None:
        if _WATCHES and event == "pickle.find_class":
            _WATCHES[-1].append(".".join(map(str, arguments)))

    sys.addaudithook(report)


@contextlib.contextmanager
def _unpickling() -> Iterator[list[str]]:
    """Give the globals that are unpickled meanwhile: each is imported and most likely called."""
    _watch_unpickling()
    _WATCHES.append([])
    try:
        yield _WATCHES[-1]
    finally:
        _WATCHES.pop()


def _hooks(spec: FormatSpec) -> object:
    from persistable.hookspecs import hookimpl

    class Hooks:
        @hookimpl
        def persistable_formats(self) -> list[FormatSpec]:
            return [spec]

    return Hooks()


def _files(path: Path) -> Sequence[Path]:
    return sorted(entry for entry in path.rglob("*") if not entry.is_dir()) if path.is_dir() else [path]


def _cuts(content: bytes) -> Iterator[tuple[str, bytes]]:
    for length in sorted({0, 1, len(content) // 4, len(content) // 2, len(content) - 1} - {len(content)}):
        if length >= 0:
            yield f"cut to {length} of {len(content)} bytes", content[:length]


def _flips(content: bytes, most: int = 512) -> Iterator[tuple[str, bytes]]:
    step = max(1, len(content) // most)
    for at in range(0, len(content), step):
        damaged = bytearray(content)
        damaged[at] ^= 1 << (at % 8)
        yield f"a bit of byte {at} flipped", bytes(damaged)


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
