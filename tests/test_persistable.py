"""The life cycle of a Persistable as its users meet it."""

import copy
import errno
import io
import itertools
import logging
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import pytest

from persistable import (
    ArtifactStore,
    Event,
    FileIO,
    Persistable,
    PersistableParams,
    PickleFileIO,
    Registry,
    hookimpl,
    param,
)
from persistable.address import Address
from persistable.exceptions import (
    CorruptArtifactError,
    CorruptArtifactWarning,
    FidelityError,
    ForeignArtifactError,
    InvalidPayloadError,
    InvalidPayloadWarning,
    LockTimeoutError,
    MissingArtifactError,
    NoPayloadError,
    ParamsChangedError,
    RecursiveGenerationError,
    SaveError,
    UnkeyableParamError,
    UnknownFormatError,
    UntrustedArtifactError,
)

KEY = re.compile(r"[0-9a-f]{32}")


@dataclass
class Params(PersistableParams):
    n: int = 3
    layers: list[int] = field(default_factory=lambda: [1, 2])


class NumbersP(Persistable[Any, Params]):
    """Count what is called, and with what."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def _generate_payload(self, **untracked: Any) -> Any:
        self.calls.append(("generate", untracked))
        return list(range(self.params.n))

    def _validate_payload(self, payload: Any) -> None:
        self.calls.append(("validate", {}))

    def _post_generate(self, **untracked: Any) -> None:
        self.calls.append(("post_generate", untracked))

    def _post_load(self, **untracked: Any) -> None:
        self.calls.append(("post_load", untracked))

    @property
    def called(self) -> list[str]:
        return [name for name, _ in self.calls]


class NothingP(Persistable[None, Params]):
    generated = 0

    def _generate_payload(self, **untracked: Any) -> None:
        type(self).generated += 1


class UnpicklableP(NumbersP):
    def _generate_payload(self, **untracked: Any) -> Any:
        super()._generate_payload(**untracked)
        return [threading.Lock()]


@dataclass
class ModelParams(PersistableParams):
    depth: int = 1


class ModelP(Persistable[list[int], ModelParams]):
    def _generate_payload(self, **untracked: Any) -> list[int]:
        return [sum(dependency.payload) for dependency in self.tracked_persistable_dependencies]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def files(folder: Path) -> set[str]:
    """All files below a folder, locks and logs apart."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.endswith((".lock", "log.txt"))}


# -- construction ------------------------------------------------------------------------------------------------------


def test_constructing_touches_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constructor opens no file, makes no folder, adds no log handler and looks for no plugin."""
    opened: list[object] = []
    armed = [True]
    watched = ("open", "os.", "shutil", "tempfile")
    sys.addaudithook(
        lambda event, args: opened.append((event, args)) if armed[0] and event.startswith(watched) else None
    )
    handlers = list(logging.getLogger("persistable").handlers), list(logging.getLogger().handlers)
    try:
        upstream = NumbersP(data_dir, Params())
        made = ModelP(ArtifactStore(data_dir), ModelParams(), [upstream], payload_io="pickle", verbose=True)
        made.key, repr(made), made.params_tree, made.payload_name
    finally:
        armed[0] = False
    assert opened == []
    assert not data_dir.exists()
    assert (logging.getLogger("persistable").handlers, logging.getLogger().handlers) == handlers


def test_many_instances_hold_no_descriptor(data_dir: Path) -> None:
    """10,000 instances, used or not, hold no descriptor and no handler each."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    NumbersP(data_dir, Params(0), verbose=False).load_generate()
    made = [NumbersP(data_dir, Params(index % 2), payload_name=f"p{index % 100}") for index in range(10_000)]
    for used in made[:200]:
        used.load_generate()
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert len(logging.getLogger("persistable").handlers) == 1


def test_what_cannot_be_keyed_fails_at_construction(data_dir: Path) -> None:
    """A param without an encoding is refused before anything is computed, with its path."""
    with pytest.raises(UnkeyableParamError, match=r"params\.layers\[1\]"):
        NumbersP(data_dir, Params(layers=[1, object()]))  # type: ignore[list-item]
    assert not data_dir.exists()


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", 3, b"x"])
def test_bad_payload_names_fail_at_construction(data_dir: Path, name: Any) -> None:
    """A name that is empty, no str, or has a NUL or a surrogate is a ValueError."""
    with pytest.raises(ValueError, match="payload_name"):
        NumbersP(data_dir, Params(), payload_name=name)


@pytest.mark.parametrize(
    "name",
    ["a.b", "a/b", "a\\b", "..", ".", "x\ny\x1b[31m", "log", "con", "n" * 300, "é", "e\u0301", "Points", "points", " "],
)
def test_any_other_payload_name_works_inside_data_dir(data_dir: Path, name: str) -> None:
    """Dots, separators, control characters, reserved and long names are stored, each apart, below data_dir."""
    p = NumbersP(data_dir, Params(), payload_name=name)
    p.load_generate()
    assert NumbersP(data_dir, Params(), payload_name=name).persist_filepath.parent.parent == data_dir
    assert os.listdir(data_dir.parent) == ["data"]
    assert p.record.identity["name"] == name


def test_twins_of_a_name_do_not_meet(data_dir: Path) -> None:
    """Names that differ in case or Unicode form have folders of their own."""
    names = ["points", "Points", "POINTS", "é", "e\u0301", "a.b", "a_b", "a/b", "n" * 300, "n" * 301]
    made = [NumbersP(data_dir, Params(), payload_name=name) for name in names]
    for p in made:
        p.load_generate()
    assert len({p.persist_filepath.parent for p in made}) == len(names)
    assert len({p.key for p in made}) == len(names)


@pytest.mark.parametrize("suffix", ["pickle", "/x", ".a/b", "../x", ".a b", 3, ".", "." + "x" * 300, ".x\n"])
def test_bad_suffixes_fail_at_once(data_dir: Path, suffix: Any) -> None:
    """A suffix is letters and digits after dots, and short enough for a file name, given or assigned."""
    with pytest.raises(ValueError, match="payload_file_suffix"):
        NumbersP(data_dir, Params(), payload_file_suffix=suffix)
    p = NumbersP(data_dir, Params())
    with pytest.raises(ValueError, match="payload_file_suffix"):
        p.payload_file_suffix = suffix
    assert p.payload_file_suffix is None


@pytest.mark.parametrize("suffix", ["pickle", "/../../x", ".a/b", 3, "." + "x" * 300, ".x\n"])
def test_a_file_io_with_a_bad_suffix_fails_at_once(data_dir: Path, suffix: Any) -> None:
    """It becomes part of a path: given, as a class or an instance, declared, or assigned."""
    cls = type("OddIO", (PickleFileIO,), {"suffix": suffix})
    for given in (cls, cls()):
        with pytest.raises(ValueError, match=r"OddIO\.suffix="):
            NumbersP(data_dir, Params(), payload_io=given)
        with pytest.raises(ValueError, match=r"OddIO\.suffix="):
            type("DeclaredP", (NumbersP,), {"payload_io": given})(data_dir, Params())
    p = NumbersP(data_dir, Params())
    with pytest.raises(ValueError, match=r"OddIO\.suffix="):
        p.payload_io = cls
    assert not data_dir.exists()


def test_suffix_replaces_that_of_the_format(data_dir: Path) -> None:
    """payload_file_suffix is what the payload's file ends with, dots included; the record finds it without."""
    p = NumbersP(data_dir, Params(), payload_file_suffix=".model.pickle")
    p.generate()
    assert p.persist_filepath.name.endswith(".model.pickle")
    assert NumbersP(data_dir, Params()).payload == [0, 1, 2]


@pytest.mark.parametrize("version", [1, None, b"1"])
def test_version_is_a_str(data_dir: Path, version: Any) -> None:
    """Another type of version is refused at construction."""
    with pytest.raises(TypeError, match="version"):
        type("VersionedP", (NumbersP,), {"version": version})(data_dir, Params())


@pytest.mark.parametrize("bad", [3, ["pickle"], object(), dict])
def test_bad_payload_io_fails_at_construction(data_dir: Path, bad: Any) -> None:
    """payload_io is a FileIO, a class of one, or a name."""
    with pytest.raises(TypeError, match="payload_io"):
        NumbersP(data_dir, Params(), payload_io=bad)


def test_arguments_of_1_x_by_position_and_keyword(data_dir: Path) -> None:
    """The first three arguments go by position or by name; the third may be left out."""
    upstream = NumbersP(data_dir, Params())
    by_name = ModelP(data_dir=data_dir, params=ModelParams(), tracked_persistable_dependencies=[upstream])
    assert by_name.key == ModelP(str(data_dir), ModelParams(), [upstream]).key
    assert ModelP(data_dir, ModelParams()).key == ModelP(data_dir, ModelParams(), None).key


# -- generate, persist, load -------------------------------------------------------------------------------------------


def test_first_generates_then_loads(data_dir: Path) -> None:
    """The same params are computed once and loaded ever after, and the payload is equal."""
    first, second = NumbersP(data_dir, Params()), NumbersP(data_dir, Params())
    assert first.payload == second.payload == [0, 1, 2]
    assert first.called == ["generate", "validate", "post_generate"]
    assert second.called == ["validate", "post_load"]
    assert first.payload is first.payload


def test_other_params_are_another_artifact(data_dir: Path) -> None:
    """A changed param misses, and the old artifact stays."""
    NumbersP(data_dir, Params(3)).load_generate()
    assert NumbersP(data_dir, Params(4)).payload == [0, 1, 2, 3]
    assert NumbersP(data_dir, Params(3)).payload == [0, 1, 2]


def test_none_is_a_payload(data_dir: Path) -> None:
    """None is generated once, persisted, loaded and validated like any other payload."""
    NothingP.generated = 0
    p = NothingP(data_dir, Params())
    assert p.payload is None
    assert p.payload is None
    assert NothingP(data_dir, Params()).payload is None
    assert NothingP.generated == 1
    p.validate_payload(None)
    p.validate_payload()


def test_generate_always_computes_and_the_last_commit_wins(data_dir: Path) -> None:
    """generate() computes although there is an artifact, and replaces it."""

    class TimesP(NumbersP):
        times = 0

        def _generate_payload(self, **untracked: Any) -> Any:
            TimesP.times += 1
            return TimesP.times

    first = TimesP(data_dir, Params())
    first.generate()
    TimesP(data_dir, Params()).generate()
    assert TimesP(data_dir, Params()).payload == 2
    assert first.payload == 1
    first.load()
    assert first.payload == 2
    assert len(files(data_dir)) == 2


def test_generate_without_persisting_touches_no_disk(data_dir: Path) -> None:
    """generate(persist=False) leaves nothing on disk; persist() does so later."""
    p = NumbersP(data_dir, Params())
    p.generate(persist=False)
    assert p.payload == [0, 1, 2]
    assert not data_dir.exists()
    with pytest.raises(MissingArtifactError):
        p.persist_filepath  # noqa: B018
    p.persist()
    assert NumbersP(data_dir, Params()).called == []
    assert NumbersP(data_dir, Params()).payload == [0, 1, 2]


def test_load_generate_without_persisting(data_dir: Path) -> None:
    """load_generate(persist=False) loads a hit, and keeps a miss to itself, as in 1.x."""
    p = NumbersP(data_dir, Params())
    p.load_generate(persist=False, seed=1)
    assert p.calls[0] == ("generate", {"seed": 1})
    assert not data_dir.exists()
    p.persist()
    q = NumbersP(data_dir, Params())
    q.load_generate(persist=False)
    assert q.called == ["validate", "post_load"]


def test_load_of_nothing_is_a_missing_artifact(data_dir: Path) -> None:
    """load() raises MissingArtifactError, also a FileNotFoundError, and creates nothing."""
    p = NumbersP(data_dir, Params())
    with pytest.raises(FileNotFoundError) as caught:
        p.load()
    assert isinstance(caught.value, MissingArtifactError)
    assert (caught.value.name, caught.value.key) == ("numbers_p", p.key)
    assert caught.value.filename == str(data_dir / "numbers_p" / f"{p.key}.json")
    assert p.called == []
    assert not data_dir.exists()


def test_persist_needs_a_payload(data_dir: Path) -> None:
    """persist() and validate_payload() without a payload say so, as the ValueError that 1.x raised."""
    p = NumbersP(data_dir, Params())
    for method in (p.persist, p.validate_payload):
        with pytest.raises(NoPayloadError) as caught:
            method()
        assert isinstance(caught.value, ValueError)


def test_untracked_params_reach_generation_and_hooks(data_dir: Path) -> None:
    """Untracked keyword arguments go to _generate_payload and the post hooks, and do not change the key."""
    p, q, r = (NumbersP(data_dir, Params()) for _ in range(3))
    p.load_generate(workers=4)
    assert p.calls == [("generate", {"workers": 4}), ("validate", {}), ("post_generate", {"workers": 4})]
    q.load(workers=5)
    assert q.calls == [("validate", {}), ("post_load", {"workers": 5})]
    r.generate(workers=6)
    assert r.calls[-1] == ("post_generate", {"workers": 6})
    assert p.key == q.key == r.key


def test_reset_payload_forgets_and_loads_again(data_dir: Path) -> None:
    """reset_payload() drops the payload from memory, not from the store."""
    p = NumbersP(data_dir, Params())
    p.load_generate()
    p.reset_payload()
    with pytest.raises(NoPayloadError):
        p.validate_payload()
    assert p.payload == [0, 1, 2]
    assert p.called[-1] == "post_load"


def test_missing_implementation_says_so(data_dir: Path) -> None:
    """A class without _generate_payload raises a NotImplementedError that names it."""

    class EmptyP(Persistable[int, Params]):
        pass

    with pytest.raises(NotImplementedError, match=r"EmptyP\._generate_payload"):
        EmptyP(data_dir, Params()).load_generate()


@pytest.mark.parametrize("error", [FileNotFoundError("mine"), KeyError("x"), PermissionError("mine"), StopIteration()])
def test_errors_of_user_code_come_out_as_they_are(data_dir: Path, error: Exception) -> None:
    """An exception of _generate_payload is never taken for a miss or wrapped, and leaves nothing behind."""

    class FailingP(NumbersP):
        def _generate_payload(self, **untracked: Any) -> Any:
            self.calls.append(("generate", untracked))
            raise error

    p = FailingP(data_dir, Params())
    with pytest.raises(type(error)) as caught:
        p.load_generate()
    assert caught.value is error
    assert p.called == ["generate"]
    assert files(data_dir) == set()


def test_file_not_found_of_a_hook_is_not_a_miss(data_dir: Path) -> None:
    """A FileNotFoundError out of _post_load or _validate_payload does not generate again, as it did in 1.x."""

    class HookedP(NumbersP):
        def _post_load(self, **untracked: Any) -> None:
            raise FileNotFoundError("a file of mine")

    HookedP(data_dir, Params()).load_generate()
    p = HookedP(data_dir, Params())
    with pytest.raises(FileNotFoundError, match="a file of mine"):
        p.load_generate()
    assert "generate" not in p.called


# -- validation --------------------------------------------------------------------------------------------------------


class PickyP(NumbersP):
    """Accept what ``accepted`` says."""

    accepted = True

    def _validate_payload(self, payload: Any) -> None:
        super()._validate_payload(payload)
        if not self.accepted:
            raise InvalidPayloadError("not what it should be")


def test_invalid_generated_payload_is_not_persisted_but_kept_aside(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails validation after generating is kept in quarantine with the error, at most once per key, not served."""
    monkeypatch.setattr(PickyP, "accepted", False)
    p = PickyP(data_dir, Params())
    for _ in range(2):
        with pytest.raises(InvalidPayloadError):
            p.load_generate()
    with pytest.raises(NoPayloadError):
        p.persist()
    kept = data_dir / "picky_p" / "quarantine"
    assert sorted(os.listdir(kept)) == [f"{p.key}.rejected.pickle", f"{p.key}.rejected.txt"]
    assert pickle.loads((kept / f"{p.key}.rejected.pickle").read_bytes()) == [0, 1, 2]
    assert "not what it should be" in (kept / f"{p.key}.rejected.txt").read_text()
    with pytest.raises(MissingArtifactError):
        PickyP(data_dir, Params()).load()


def test_rejected_payloads_need_not_be_kept(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """keep_rejected=False, or its variable, leaves no trace of an invalid payload; nor does persist=False."""
    monkeypatch.setattr(PickyP, "accepted", False)
    with pytest.raises(InvalidPayloadError):
        PickyP(ArtifactStore(data_dir, keep_rejected=False), Params()).load_generate()
    assert files(data_dir) == set()
    with pytest.raises(InvalidPayloadError):
        PickyP(data_dir, Params()).generate(persist=False)
    assert files(data_dir) == set()
    monkeypatch.setenv("PERSISTABLE_KEEP_REJECTED", "0")
    with pytest.raises(InvalidPayloadError):
        PickyP(data_dir, Params()).load_generate()
    assert files(data_dir) == set()


def test_invalid_loaded_payload(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails validation after loading raises that exception with a note, or warns if asked, and is not replaced."""
    PickyP(data_dir, Params()).load_generate()
    before = files(data_dir)
    monkeypatch.setattr(PickyP, "accepted", False)
    p = PickyP(data_dir, Params())
    for method in (p.load, p.load_generate):
        with pytest.raises(InvalidPayloadError) as caught:
            method()
        assert p.key in "".join(caught.value.__notes__)
        with pytest.raises(NoPayloadError):
            p.validate_payload()
    for method in (p.load, p.load_generate):
        with pytest.warns(InvalidPayloadWarning, match="picky_p") as warned:
            method(warn_if_validation_fails=True)
        assert warned[0].filename == __file__
        p._validate_payload = lambda payload: None  # type: ignore[method-assign]
        assert p.payload == [0, 1, 2]
        del p._validate_payload  # type: ignore[method-assign]
    assert "generate" not in p.called
    assert files(data_dir) == before


def test_validate_payload_takes_any_payload(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """validate_payload(x) judges x, in memory or not, and raises what the class raises."""
    p = PickyP(data_dir, Params())
    p.validate_payload([1])
    monkeypatch.setattr(PickyP, "accepted", False)
    with pytest.raises(InvalidPayloadError):
        p.validate_payload(None)


def error_within(seconds: float, function: Callable[[], object]) -> BaseException | None:
    """What a call raises; a TimeoutError if it hangs."""
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - it is what the test asks for
            outcome.append(error)
        else:
            outcome.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else TimeoutError("it hangs")


def test_validation_that_asks_for_its_own_payload(data_dir: Path) -> None:
    """self.payload inside _generate_payload or _validate_payload is a RecursiveGenerationError, not a wait for ever."""

    class SelfValidatingP(NumbersP):
        def _validate_payload(self, payload: Any) -> None:
            assert self.payload

    class SelfGeneratingP(NumbersP):
        def _generate_payload(self, **untracked: Any) -> Any:
            return self.payload

    class DeepP(NumbersP):
        def _generate_payload(self, **untracked: Any) -> Any:
            return DeepP(self.data_dir, Params(self.params.n)).payload

    for cls in (SelfValidatingP, SelfGeneratingP, DeepP):
        for method in ("load_generate", "generate"):
            error = error_within(20, getattr(cls(data_dir, Params()), method))
            assert type(error) is RecursiveGenerationError, (cls, method)
            assert isinstance(error, RuntimeError)


def test_generating_another_key_inside_a_generation(data_dir: Path) -> None:
    """The same class with other params may be generated inside a generation."""

    class FactorialP(Persistable[int, Params]):
        def _generate_payload(self, **untracked: Any) -> int:
            n = self.params.n
            return n * FactorialP(self.data_dir, Params(n - 1)).payload if n else 1

    assert FactorialP(data_dir, Params(5)).payload == 120


# -- when persisting fails ---------------------------------------------------------------------------------------------


def test_payload_stays_when_persisting_fails(data_dir: Path) -> None:
    """If persisting fails the payload stays in memory, nothing is left on disk, and persist() can be tried again."""
    p = UnpicklableP(data_dir, Params())
    with pytest.raises(SaveError) as caught:
        p.load_generate()
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value.__cause__, TypeError)
    assert p.called == ["generate", "validate"]
    assert {Path(name).name for name in files(data_dir)} == {f"{p.key}.rejected.txt"}
    with pytest.raises(SaveError):
        p.persist()
    p.payload[0] = 5
    p.persist()
    assert UnpicklableP(data_dir, Params()).payload == [5]
    assert p.called == ["generate", "validate"]


def test_a_failed_save_leaves_the_old_artifact(data_dir: Path) -> None:
    """A payload that cannot be saved does not harm the one that is stored."""
    p = NumbersP(data_dir, Params(), payload_name="x")
    p.load_generate()
    before = {path: path.read_bytes() for path in (data_dir / "x").glob("*.*") if path.suffix != ".txt"}
    p.payload.append(threading.Lock())
    with pytest.raises(SaveError):
        p.persist()
    assert {path: path.read_bytes() for path in before} == before
    assert NumbersP(data_dir, Params(), payload_name="x").payload == [0, 1, 2]


def test_full_disk_during_persist(data_dir: Path) -> None:
    """The file system's own error comes out, and after it is over persist() succeeds without computing again."""

    class FullFileIO(PickleFileIO[Any]):
        full = True

        def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
            super()._save(payload, filepath)
            if self.full:
                raise OSError(errno.ENOSPC, "no space left", str(filepath))

    p = NumbersP(data_dir, Params(), payload_io=FullFileIO())
    with pytest.raises(OSError, match="no space left") as caught:
        p.payload  # noqa: B018
    assert caught.value.errno == errno.ENOSPC
    assert p.payload == [0, 1, 2]
    p.payload_io.full = False
    p.persist()
    assert p.called == ["generate", "validate"]


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/proc/self"), reason="root writes anywhere")
def test_a_store_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only data_dir is loaded from, and a miss raises PermissionError with the path before generating."""
    from persistable.local import LocalStorage

    NumbersP(tmp_path, Params()).load_generate()

    def refuse(self: Any, folder: str) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/{folder}")

    monkeypatch.setattr(LocalStorage, "prepare", refuse)
    monkeypatch.setattr(LocalStorage, "lock", lambda self, folder, *_, **__: refuse(self, folder))
    assert NumbersP(tmp_path, Params()).payload == [0, 1, 2]
    missed = NumbersP(tmp_path, Params(9))
    for method in (missed.load_generate, missed.generate):
        with pytest.raises(PermissionError, match=re.escape(str(tmp_path))):
            method()
    assert missed.called == []
    missed.load_generate(persist=False)
    assert len(missed.payload) == 9


# -- damage, foreigners, formats ---------------------------------------------------------------------------------------


def spoil_payload(p: Persistable[Any, Any]) -> Path:
    path = p.persist_filepath
    path.write_bytes(path.read_bytes()[:-1])
    return path


def spoil_record(p: Persistable[Any, Any]) -> Path:
    path = p.persist_filepath.parent / f"{p.key}.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    return path


def lose_payload(p: Persistable[Any, Any]) -> Path:
    path = p.persist_filepath
    path.unlink()
    return path


@pytest.mark.parametrize("spoil", [spoil_payload, spoil_record, lose_payload])
def test_damage(data_dir: Path, spoil: Any) -> None:
    """load() raises CorruptArtifactError; load_generate() warns, moves the damage aside and generates again."""
    p = NumbersP(data_dir, Params())
    p.load_generate()
    path = spoil(p)
    with pytest.raises(CorruptArtifactError) as caught:
        NumbersP(data_dir, Params()).load()
    assert Path(caught.value.path) == path
    again = NumbersP(data_dir, Params())
    with pytest.warns(CorruptArtifactWarning, match="quarantine") as warned:
        again.load_generate()
    assert [warning.filename for warning in warned] == [__file__]  # at the line that asked for it
    assert again.called[0] == "generate"
    assert any("quarantine" in name for name in files(data_dir))
    third = NumbersP(data_dir, Params())
    third.load()
    assert third.payload == [0, 1, 2]


def test_damage_is_left_alone_where_nothing_is_to_be_persisted(data_dir: Path) -> None:
    """load_generate(persist=False) computes past a damaged artifact and leaves the store as it is."""
    p = NumbersP(data_dir, Params())
    p.load_generate()
    spoil_payload(p)
    before = files(data_dir)
    q = NumbersP(data_dir, Params())
    q.load_generate(persist=False)
    assert q.payload == [0, 1, 2]
    assert files(data_dir) == before


def test_io_errors_are_never_a_miss(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error while looking comes out as it is, and nothing is generated."""

    def fail(path: Any, *arguments: Any, **options: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error", path)

    p = NumbersP(data_dir, Params())
    data_dir.joinpath("numbers_p").mkdir(parents=True)
    for call, method in itertools.product(("lstat", "open"), (p.load, p.load_generate)):
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            with pytest.raises(OSError, match="Input/output") as caught:
                method()
        assert caught.value.errno == errno.EIO
    assert p.called == []


def test_two_classes_of_one_name(data_dir: Path) -> None:
    """Another class under the same name and params is refused by load and generate; formerly adopts it."""
    NumbersP(data_dir, Params(), payload_name="shared").load_generate()

    class OtherP(Persistable[str, Params]):
        def _generate_payload(self, **untracked: Any) -> str:
            return "other"

    other = OtherP(data_dir, Params(), payload_name="shared")
    for method in (other.load, other.load_generate, other.generate):
        with pytest.raises(ForeignArtifactError, match="formerly"):
            method()
    OtherP.formerly = (f"{__name__}:NumbersP",)
    other.load()
    assert other.payload == [0, 1, 2]  # type: ignore[comparison-overlap]


def test_unknown_format_fails_before_generating(data_dir: Path) -> None:
    """A misspelt format is told before generating, not at construction, with the nearest name."""
    p = NumbersP(data_dir, Params(), payload_io="pikle")
    with pytest.raises(UnknownFormatError, match="did you mean 'pickle'"):
        p.load_generate()
    assert p.called == []


def test_untrusted_artifact_is_refused_by_both(data_dir: Path) -> None:
    """What may run somebody else's code is refused by load() and load_generate(), and not generated over."""
    p = NumbersP(data_dir, Params())
    p.load_generate()
    p.persist_filepath.chmod(0o666)
    for method in (NumbersP(data_dir, Params()).load, NumbersP(data_dir, Params()).load_generate):
        with pytest.raises(UntrustedArtifactError, match="trust"):
            method()
    q = NumbersP(ArtifactStore(data_dir, trust="all"), Params())
    q.load_generate()
    assert q.called == ["validate", "post_load"]


class RefusingFileIO(PickleFileIO[Any]):
    def refusal(self, payload: Any) -> str | None:
        return "no element like 2" if 2 in payload else None


def test_payload_that_its_format_refuses(data_dir: Path) -> None:
    """A FidelityError leaves the payload in memory and a copy in quarantine, and persist() can be tried again."""
    p = NumbersP(data_dir, Params(), payload_io=RefusingFileIO)
    with pytest.raises(FidelityError, match="no element like 2"):
        p.load_generate()
    assert {Path(name).suffix for name in files(data_dir)} == {".pickle", ".txt"}
    with pytest.raises(MissingArtifactError):
        NumbersP(data_dir, Params()).load()
    p.payload_io = "pickle"
    p.persist()
    assert NumbersP(data_dir, Params()).payload == [0, 1, 2]


# -- params ------------------------------------------------------------------------------------------------------------


def test_assigning_params_starts_anew(data_dir: Path) -> None:
    """p.params = … takes another key and forgets payload and record."""
    p = NumbersP(data_dir, Params(3))
    p.load_generate()
    old = p.key
    p.params = Params(2)
    assert p.key != old
    with pytest.raises(NoPayloadError):
        p.persist()
    with pytest.raises(MissingArtifactError):
        p.record  # noqa: B018
    assert p.payload == [0, 1]
    p.params = Params(3)
    assert (p.key, p.payload) == (old, [0, 1, 2])


def test_assigning_params_that_cannot_be_keyed_changes_nothing(data_dir: Path) -> None:
    """A refused assignment leaves params, key and payload as they were."""
    p = NumbersP(data_dir, Params(3))
    p.load_generate()
    with pytest.raises(UnkeyableParamError):
        p.params = Params(layers=[lambda: 1])  # type: ignore[list-item]
    assert (p.params, p.payload) == (Params(3), [0, 1, 2])
    p.persist()


@pytest.mark.parametrize("method", ["load", "generate", "load_generate", "persist"])
def test_params_changed_in_place(data_dir: Path, method: str) -> None:
    """A change of own params, shallow or nested, is noticed before load, generate and persist, and named."""
    for change, path in ((lambda q: setattr(q, "n", 5), "params.n"), (lambda q: q.layers.append(3), "params.layers")):
        p = NumbersP(data_dir, Params())
        p.generate()
        change(p.params)
        p.calls.clear()
        with pytest.raises(ParamsChangedError, match=re.escape(path)) as caught:
            getattr(p, method)()
        assert (caught.value.path, caught.value.key) == (path, p.key)
        assert p.called == []


def test_a_change_that_is_undone_is_none(data_dir: Path) -> None:
    """What was changed and changed back does not matter."""
    p = NumbersP(data_dir, Params())
    p.params.layers.append(3)
    p.params.layers.pop()
    p.load_generate()


@pytest.mark.parametrize("method", ["load", "generate", "load_generate", "persist"])
def test_upstream_params_changed(data_dir: Path, method: str) -> None:
    """A change upstream, however far, in place or by assignment, is noticed and named by its role."""

    def pipeline() -> tuple[NumbersP, ModelP, ModelP]:
        first = NumbersP(data_dir, Params())
        second = ModelP(data_dir, ModelParams(), [first])
        third = ModelP(data_dir, ModelParams(), {"model": second}, payload_name="third")
        third.generate()
        return first, second, third

    first, _, third = pipeline()
    first.params.layers.append(7)
    with pytest.raises(ParamsChangedError, match=re.escape("model.numbers_p.params.layers")):
        getattr(third, method)()
    _, second, third = pipeline()
    second.params = ModelParams(9)
    with pytest.raises(ParamsChangedError, match=re.escape("model.params")):
        getattr(third, method)()


class ConsumingP(NumbersP):
    def _generate_payload(self, **untracked: Any) -> Any:
        super()._generate_payload(**untracked)
        return [self.params.layers.pop()]


def test_params_changed_by_their_own_generation(data_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is stored under the key of the params as they were, with a log warning, and can be persisted again."""
    p = ConsumingP(data_dir, Params())
    with caplog.at_level(logging.WARNING, logger="persistable"):
        p.load_generate()
    assert "params.layers" in caplog.text
    assert p.key == ConsumingP(data_dir, Params()).key
    assert ConsumingP(data_dir, Params()).payload == [2]
    p.persist()
    with pytest.raises(ParamsChangedError):
        p.generate()
    p.params.n = 4
    with pytest.raises(ParamsChangedError):
        p.persist()


def test_a_dependency_that_changed_its_params_by_generating(data_dir: Path) -> None:
    """What is downstream of it is persisted, and persisted again."""
    upstream = ConsumingP(data_dir, Params())
    p = ModelP(data_dir, ModelParams(), [upstream])
    p.load_generate()
    p.persist()
    assert ModelP(data_dir, ModelParams(), [ConsumingP(data_dir, Params())]).payload == [2]
    upstream.params.layers.append(5)
    with pytest.raises(ParamsChangedError):
        p.persist()


def test_payload_name_changed_after_construction(data_dir: Path) -> None:
    """The name is in the key: assigning another is noticed."""
    p = NumbersP(data_dir, Params())
    p.payload_name = "other"
    with pytest.raises(ParamsChangedError, match="payload_name"):
        p.load_generate()


# -- dependencies ------------------------------------------------------------------------------------------------------


def named(data_dir: Path, name: str, n: int = 3) -> NumbersP:
    return NumbersP(data_dir, Params(n), payload_name=name)


def test_dependencies_may_be_any_iterable(data_dir: Path) -> None:
    """List, tuple, generator and None are kept as a tuple."""
    a, b = named(data_dir, "a"), named(data_dir, "b")
    keys = {ModelP(data_dir, ModelParams(), given).key for given in ([a, b], (a, b), iter([a, b]), (x for x in (a, b)))}
    assert len(keys) == 1
    p = ModelP(data_dir, ModelParams(), (x for x in (a, b)))
    assert p.tracked_persistable_dependencies == (a, b)
    assert ModelP(data_dir, ModelParams(), None).tracked_persistable_dependencies == ()
    assert ModelP(data_dir, ModelParams(), []).key == ModelP(data_dir, ModelParams()).key


def test_order_counts_for_iterables_and_not_for_mappings(data_dir: Path) -> None:
    """Swapped arguments are another key; swapped entries of a mapping are not, and swapped roles are."""
    a, b = named(data_dir, "a"), named(data_dir, "b")

    def key(given: Any) -> str:
        return ModelP(data_dir, ModelParams(), given).key

    assert key([a, b]) != key([b, a])
    assert key({"x": a, "y": b}) == key({"y": b, "x": a})
    assert key({"x": a, "y": b}) != key({"x": b, "y": a})
    assert key([a]) != key([a, b])
    assert KEY.fullmatch(key([a, b]))


def test_roles_of_shared_names_are_numbered(data_dir: Path) -> None:
    """Dependencies of one name have roles name[0], name[1], none is lost, and each counts."""
    a, b, c = named(data_dir, "a", 1), named(data_dir, "a", 2), named(data_dir, "c")
    p = ModelP(data_dir, ModelParams(), [a, c, b])
    assert list(p.params_tree) == ["depth", "a[0]", "c", "a[1]"]
    assert p.params_tree["a[1]"]["n"] == 2
    assert p.key != ModelP(data_dir, ModelParams(), [a, c, a]).key


def test_a_thousand_dependencies_of_one_name(data_dir: Path) -> None:
    """Numbering takes no time that grows with the square of their number."""
    many = [named(data_dir, "a")] * 20_000
    started = time.process_time()
    p = ModelP(data_dir, ModelParams(), many)
    assert time.process_time() - started < 5
    assert list(p.params_tree)[-1] == "a[19999]"


def test_roles_that_collide(data_dir: Path) -> None:
    """A name that looks like a numbered role of others is a ValueError that asks for a mapping."""
    with pytest.raises(ValueError, match="mapping"):
        ModelP(data_dir, ModelParams(), [named(data_dir, "a"), named(data_dir, "a", 2), named(data_dir, "a[0]")])


@pytest.mark.parametrize("given", [lambda p: [p], lambda p: {"depth": p}])
def test_a_role_that_is_a_param(data_dir: Path, given: Any) -> None:
    """A role that equals a param's name is a ValueError that names it."""
    with pytest.raises(ValueError, match="'depth'"):
        ModelP(data_dir, ModelParams(), given(named(data_dir, "depth")))


@pytest.mark.parametrize("given", [[3], {"a": 3}, 3, "abc", [None], [NumbersP], {"a": None}])
def test_dependencies_that_are_none(data_dir: Path, given: Any) -> None:
    """What is no Persistable is a TypeError at construction."""
    with pytest.raises(TypeError, match="Persistable"):
        ModelP(data_dir, ModelParams(), given)


@pytest.mark.parametrize("role", ["", 3, None, "\ud800"])
def test_roles_are_text(data_dir: Path, role: Any) -> None:
    """A role is a str of at least one character."""
    with pytest.raises(ValueError, match=r"role|surrogate"):
        ModelP(data_dir, ModelParams(), {role: named(data_dir, "a")})


def test_dependencies_are_loaded_lazily(data_dir: Path) -> None:
    """A hit downstream asks nothing of upstream."""
    upstream = named(data_dir, "a")
    assert ModelP(data_dir, ModelParams(), [upstream]).payload == [3]
    upstream = named(data_dir, "a")
    assert ModelP(data_dir, ModelParams(), [upstream]).payload == [3]
    assert upstream.called == []


def test_version_is_in_the_key(data_dir: Path) -> None:
    """Another version of a class is another artifact."""

    class SecondP(NumbersP):
        version = "2"

    old, new = NumbersP(data_dir, Params(), payload_name="x"), SecondP(data_dir, Params(), payload_name="x")
    assert old.key != new.key
    assert old.persist_hash == old.key


def diamond(data_dir: Path, levels: int) -> ModelP:
    left: Persistable[Any, Any] = named(data_dir, "left")
    right: Persistable[Any, Any] = named(data_dir, "right")
    for level in range(levels):
        left, right = (
            ModelP(data_dir, ModelParams(level), {"l": left, "r": right}, payload_name=f"{side}{level}")
            for side in ("left", "right")
        )
    return ModelP(data_dir, ModelParams(), {"l": left, "r": right})


def test_params_tree_is_nested_by_role_and_shares_nodes(data_dir: Path) -> None:
    """The tree is nested by role, and a node that two share is the same dict."""
    tree = diamond(data_dir, 1).params_tree
    assert list(tree) == ["depth", "l", "r"]
    assert tree["l"]["r"] == {"n": 3, "layers": [1, 2]}
    assert tree["l"]["r"] is tree["r"]["r"]


def test_a_deep_diamond_is_linear(data_dir: Path) -> None:
    """200 levels of diamonds have a key, a tree and a check of changes in time linear in the nodes."""
    started = time.process_time()
    p = diamond(data_dir, 200)
    tree: Any = p.params_tree
    for _ in range(200):
        assert tree["l"]["l"] is tree["r"]["l"]
        tree = tree["l"]
    with pytest.raises(MissingArtifactError):
        p.load()
    assert time.process_time() - started < 5


# -- formats -----------------------------------------------------------------------------------------------------------


class TextIO_(FileIO[Any]):
    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return eval(filepath.read_text())

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_text(repr(payload))


@pytest.mark.parametrize("given", [TextIO_(), TextIO_])
def test_payload_io_as_instance_and_class(data_dir: Path, given: Any) -> None:
    """An injected FileIO saves, is recorded by its class, and is found again when injected on load."""
    p = NumbersP(data_dir, Params(), payload_io=given)
    p.load_generate()
    assert p.record.format == "custom:TextIO_"
    assert p.persist_filepath.read_text() == "[0, 1, 2]"
    assert isinstance(p.payload_io, TextIO_)
    q = NumbersP(data_dir, Params(), payload_io=given)
    q.load()
    assert q.payload == [0, 1, 2]
    with pytest.raises(UnknownFormatError, match="custom:TextIO_"):
        NumbersP(data_dir, Params()).load()


def test_payload_io_by_name(data_dir: Path) -> None:
    """A name is looked up when it is needed; reading the attribute gives the FileIO that was used."""
    p = NumbersP(data_dir, Params(), payload_io="pickle")
    assert p.payload_io is None
    p.load_generate()
    assert isinstance(p.payload_io, PickleFileIO)
    assert p.record.document["payload"]["chosen"] == "injected by name"


def test_loading_follows_the_record(data_dir: Path) -> None:
    """What is injected decides saving; an artifact of another format is loaded by its own."""
    NumbersP(data_dir, Params(), payload_io="pickle").load_generate()
    p = NumbersP(data_dir, Params(), payload_io=TextIO_())
    assert p.payload == [0, 1, 2]
    assert p.called == ["validate", "post_load"]


def test_payload_io_as_class_attribute(data_dir: Path) -> None:
    """A class attribute is the default, inherited, overridden by the argument, from a mixin or set later."""

    class TextP(NumbersP):
        payload_io = TextIO_

    class HeirP(TextP):
        pass

    class BackP(TextP):
        payload_io = None

    class Mixin:
        payload_io = TextIO_()

    class MixedP(Mixin, NumbersP):
        pass

    class LateP(NumbersP):
        pass

    LateP.payload_io = "pickle"
    for cls in (TextP, HeirP, MixedP):
        assert isinstance(cls(data_dir, Params()).payload_io, TextIO_), cls
        assert cls(data_dir, Params(), payload_io="pickle").payload_io is None
    assert BackP(data_dir, Params()).payload_io is None
    late = LateP(data_dir, Params())
    late.load_generate()
    assert late.record.document["payload"]["chosen"] == "injected by name"
    assert NumbersP(data_dir, Params()).payload_io is None


def test_assigning_payload_io(data_dir: Path) -> None:
    """Assigning injects another FileIO for the next save; None goes back to the choice by type."""
    p = NumbersP(data_dir, Params())
    p.load_generate()
    p.payload_io = TextIO_
    p.persist()
    assert p.record.format == "custom:TextIO_"
    p.payload_io = None
    assert p.payload_io is None
    p.persist()
    assert isinstance(p.payload_io, PickleFileIO)
    with pytest.raises(TypeError):
        p.payload_io = 3


def test_payload_name(data_dir: Path) -> None:
    """The name is the class's in snake_case, else the class attribute's, else the argument's."""

    class HTTPResponse2P(NumbersP):
        pass

    class TitledP(NumbersP):
        payload_name = "titled"

    assert HTTPResponse2P(data_dir, Params()).payload_name == "http_response2_p"
    assert TitledP(data_dir, Params()).payload_name == "titled"
    assert TitledP(data_dir, Params(), payload_name="mine").payload_name == "mine"
    with pytest.raises(ValueError, match="empty"):
        TitledP(data_dir, Params(), payload_name="")


def test_persist_filepath_and_record(data_dir: Path) -> None:
    """They are those of what is committed, else MissingArtifactError or CorruptArtifactError."""
    p = NumbersP(data_dir, Params())
    for name in ("persist_filepath", "record"):
        with pytest.raises(MissingArtifactError):
            getattr(p, name)
    p.load_generate()
    assert p.persist_filepath.is_file()
    assert p.record.key == p.key == NumbersP(data_dir, Params()).record.key
    assert pickle.loads(p.persist_filepath.read_bytes()) == [0, 1, 2]
    spoil_record_path = data_dir / "numbers_p" / f"{p.key}.json"
    spoil_record_path.write_text("{}")
    for name in ("persist_filepath", "record"):
        with pytest.raises(CorruptArtifactError):
            getattr(NumbersP(data_dir, Params()), name)


def test_record_says_what_is_untracked_and_never_secrets(data_dir: Path) -> None:
    """Untracked fields are in the record, secrets nowhere: record, log, repr, pickle."""

    @dataclass
    class SecretParams(PersistableParams):
        n: int = 1
        workers: int = param(default=8, tracked=False)
        token: str = param(default="", secret=True)

    class SecretP(Persistable[int, SecretParams]):
        def _generate_payload(self, **untracked: Any) -> int:
            return len(self.params.token)

    p = SecretP(data_dir, SecretParams(token="hunter2"))
    assert p.payload == 7
    assert p.record.untracked_params == {"workers": 8}
    written = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert b"hunter2" not in written
    assert "hunter2" not in repr(p) + p._repr_html_() + repr(p.params_tree)
    assert p.key == SecretP(data_dir, SecretParams(token="other", workers=1)).key


def test_assigning_data_dir_moves_on(data_dir: Path, tmp_path: Path) -> None:
    """Another data_dir is where the next persist and load go; the payload in memory stays."""
    p = NumbersP(data_dir, Params())
    p.load_generate()
    p.data_dir = tmp_path / "other"
    with pytest.raises(MissingArtifactError):
        p.record  # noqa: B018
    p.persist()
    assert p.persist_filepath.is_relative_to(tmp_path / "other")
    assert p.called == ["generate", "validate", "post_generate"]


T = TypeVar("T")
ParamsT = TypeVar("ParamsT", bound=PersistableParams)


class Frame:
    pass


PAYLOAD_TYPE = "_Persistable__payload_type"


def test_declared_payload_type() -> None:
    """The type between brackets is known as far as it tells a format, also through generic bases."""

    class Direct(Persistable[Frame, Params]): ...

    class Of(Persistable[list[T], Params], Generic[T]): ...

    class OwnParams(Persistable[Frame, ParamsT], Generic[ParamsT]): ...

    class Swapped(Persistable[T, ParamsT], Generic[ParamsT, T]): ...

    class Plain(Direct): ...

    known = {Direct: Frame, Of[int]: list, OwnParams[Params]: Frame, Swapped[Params, Frame]: Frame, Plain: Frame}
    for base, expected in known.items():
        sub = _subclass(base)
        assert getattr(sub, PAYLOAD_TYPE) is expected, base
    for vague in (Any, object, Frame | None, Annotated[Frame, 1], Sequence[int], Iterator[int], T, "Frame"):
        assert getattr(_subclass(Persistable[vague, Params]), PAYLOAD_TYPE) is None, vague  # type: ignore[valid-type]


def _subclass(base: Any) -> Any:
    import types

    return types.new_class("Sub", (base,))


# -- payloads that can be read once ------------------------------------------------------------------------------------


class LinesFileIO(FileIO[Any]):
    """Write an iterator line by line, and read a list back."""

    suffix = ".lines"

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        with filepath.open("w") as file:
            for line in payload:
                file.write(f"{line}\n")

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return [int(line) for line in filepath.read_text().splitlines()]


class LazyLinesFileIO(LinesFileIO):
    """Read an iterator back."""

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        with filepath.open() as file:
            for line in file:
                yield int(line)


class StreamP(Persistable[Any, Params]):
    payload_io = LinesFileIO
    fail_at: int | None = None
    valid = True
    seen: Any = None

    def _generate_payload(self, **untracked: Any) -> Any:
        for number in range(self.params.n):
            if number == self.fail_at:
                raise RuntimeError("in the middle")
            yield number

    def _validate_payload(self, payload: Any) -> None:
        self.seen = list(payload)
        if not self.valid:
            raise InvalidPayloadError("not valid")


@pytest.mark.parametrize("file_io", [LinesFileIO, LazyLinesFileIO, PickleFileIO])
def test_one_shot_payload(data_dir: Path, file_io: Any) -> None:
    """An iterator is streamed, validated in its loaded form, and the payload afterwards is that form, unread."""

    class OnceP(StreamP):
        payload_io = file_io

        def _generate_payload(self, **untracked: Any) -> Any:
            numbers = super()._generate_payload(**untracked)
            return iter(list(numbers)) if file_io is PickleFileIO else numbers

    p = OnceP(data_dir, Params())
    p.load_generate()
    assert p.seen == [0, 1, 2]
    assert list(p.payload) == [0, 1, 2]
    q = OnceP(data_dir, Params())
    q.load()
    assert q.seen == [0, 1, 2]
    assert list(q.payload) == [0, 1, 2]
    if file_io is LinesFileIO:
        assert p.payload == [0, 1, 2]


def test_one_shot_payload_is_validated_before_the_commit(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid one is not committed; its loaded form is kept in quarantine; the old artifact stays."""
    StreamP(data_dir, Params()).load_generate()
    monkeypatch.setattr(StreamP, "valid", False)
    p = StreamP(data_dir, Params(), payload_io=LinesFileIO)
    with pytest.raises(InvalidPayloadError):
        p.generate()
    rejected = data_dir / "stream_p" / "quarantine" / f"{p.key}.rejected.pickle"
    assert pickle.loads(rejected.read_bytes()) == [0, 1, 2]
    monkeypatch.setattr(StreamP, "valid", True)
    q = StreamP(data_dir, Params())
    q.load()
    assert q.payload == [0, 1, 2]


def test_one_shot_payload_that_failed_is_never_persisted_in_part(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a save failed half-way, what is left of an iterator is no payload: persist() refuses."""
    monkeypatch.setattr(StreamP, "fail_at", 2)
    p = StreamP(data_dir, Params())
    with pytest.raises(OSError, match="in the middle"):
        p.load_generate()
    with pytest.raises(NoPayloadError):
        p.persist()
    with pytest.raises(MissingArtifactError):
        StreamP(data_dir, Params()).load()
    monkeypatch.setattr(StreamP, "fail_at", None)
    assert p.payload == [0, 1, 2]


def test_iterator_whose_save_failed_is_never_persisted_in_part(data_dir: Path) -> None:
    """Nor is any other iterator, whose state cannot be seen, when the FileIO fails after reading a part of it."""

    class FullFileIO(LinesFileIO):
        full = True

        def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
            if self.full:
                next(payload)
                raise OSError(errno.ENOSPC, "no space left")
            super()._save(payload, filepath)

    class MappedP(StreamP):
        def _generate_payload(self, **untracked: Any) -> Any:
            return map(int, "012")

    p = MappedP(data_dir, Params(), payload_io=FullFileIO())
    with pytest.raises(OSError, match="no space left"):
        p.load_generate()
    p.payload_io.full = False
    with pytest.raises(NoPayloadError):
        p.persist()
    assert p.payload == [0, 1, 2]


def test_generator_that_was_read_is_not_persisted(data_dir: Path) -> None:
    """A generator that the user has begun to read, or read up, is refused by persist()."""
    for read in (next, list):
        p = StreamP(data_dir, Params())
        p.generate(persist=False)
        read(p.payload)
        with pytest.raises(NoPayloadError, match="read only once"):
            p.persist()
    p = StreamP(data_dir, Params())
    p.generate(persist=False)
    p.persist()
    assert p.payload == [0, 1, 2]


# -- copies, pickles, looks --------------------------------------------------------------------------------------------


def test_pickle_carries_the_key_and_no_payload(data_dir: Path) -> None:
    """A pickle has params, dependencies, settings and key, but neither payload, record, logger nor credentials."""
    store = ArtifactStore(data_dir, storage_options={"key": "hunter2"}, verify="size", registry=Registry())
    upstream = NumbersP(store, Params())
    logger = logging.getLogger("hunter3")
    p = ModelP(store, ModelParams(4), [upstream], logger=logger, payload_file_suffix=".x", payload_io=PickleFileIO())
    p.load_generate()
    raw = pickle.dumps(p)
    assert b"hunter" not in raw
    q = pickle.loads(raw)
    assert (q.key, q.params, q.payload_name, q.payload_file_suffix) == (p.key, p.params, "model_p", ".x")
    assert (q.store.verify, q.store.storage_options) == ("size", None)
    assert q.logger is not logger
    assert isinstance(q.payload_io, PickleFileIO)
    with pytest.raises(NoPayloadError):
        q.validate_payload()
    assert q.payload == [3]
    assert q.tracked_persistable_dependencies[0].key == upstream.key


def test_pickle_keeps_what_subclasses_add_and_share(data_dir: Path) -> None:
    """Attributes of subclasses survive, and a dependency kept as an attribute stays the same object."""

    class_ = _AttributeP(data_dir, ModelParams(), points=named(data_dir, "a"))
    q = pickle.loads(pickle.dumps(class_))
    assert q.points is q.tracked_persistable_dependencies[0]
    assert (q.extra, q.key) == ([1], class_.key)


class _AttributeP(ModelP):
    def __init__(self, data_dir: Path, params: ModelParams, *, points: NumbersP) -> None:
        super().__init__(data_dir, params, [points])
        self.points, self.extra = points, [1]


def test_unpickling_compares_the_key(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key is another on the other side, or the params changed, unpickling fails."""
    p = NumbersP(data_dir, Params())
    raw = pickle.dumps(p)
    monkeypatch.setattr(NumbersP, "version", "9")
    with pytest.raises(ParamsChangedError, match=p.key):
        pickle.loads(raw)
    monkeypatch.undo()
    assert pickle.loads(raw).key == p.key
    p.params.layers.append(1)
    with pytest.raises(ParamsChangedError):
        pickle.loads(pickle.dumps(p))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_copies(data_dir: Path, how: Any) -> None:
    """A copy has the same key and loads for itself; a deep copy has params of its own."""
    p = ModelP(data_dir, ModelParams(), [NumbersP(data_dir, Params())])
    p.load_generate()
    q = how(p)
    assert q.key == p.key
    assert q.payload == p.payload
    q.params = ModelParams(7)
    assert q.key != p.key
    assert p.params == ModelParams(1)
    p.load()


def test_looks_escape(data_dir: Path) -> None:
    """repr names class, params and key; the HTML of a notebook escapes whatever users put in."""

    @dataclass
    class TextParams(PersistableParams):
        text: str = "<script>alert(1)</script>"

    class TextP(Persistable[str, TextParams]):
        def _generate_payload(self, **untracked: Any) -> str:
            return ""

    p = TextP(data_dir / "<b>", TextParams(), {"<i>": named(data_dir, "a")}, payload_name="<u>&")
    shown = p._repr_html_()
    for raw in ("<script>", "<b>", "<i>", "<u>"):
        assert raw not in shown
    assert "&lt;u&gt;&amp;" in shown
    assert "not in memory" in shown
    p.generate(persist=False)
    assert "in memory: str" in p._repr_html_()
    assert p.key in repr(p)
    assert "TextP(" in repr(p)
    assert "TextParams(" in repr(p)
    assert str(p) == repr(p)


# -- logs and events ---------------------------------------------------------------------------------------------------


def test_verbose_reports_once_on_stderr(data_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """verbose=True reports what happens at INFO on stderr, each line once however many instances there are."""
    made = [NumbersP(data_dir, Params(), verbose=True) for _ in range(3)]
    for p in made:
        p.load_generate()
    out, err = capfd.readouterr()
    assert out == ""
    lines = [line.split(" ", 3)[-1] for line in err.splitlines()]
    assert [line.split()[0] for line in lines] == ["generating", "generated", "persisted", "loaded", "loaded"]


def test_silent_by_default(data_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is written to stdout or stderr by a payload that is not verbose, warnings of the log included."""
    p = ConsumingP(data_dir, Params())
    p.load_generate()
    ConsumingP(data_dir, Params()).load()
    assert capfd.readouterr() == ("", "")


def test_verbose_beside_an_application_that_logs() -> None:
    """Where the application logs to stderr itself, no line comes twice; where it logs to a file, both have it."""
    code = """
        import io, logging, sys, tempfile
        from dataclasses import dataclass
        from persistable import Persistable, PersistableParams

        @dataclass
        class Params(PersistableParams):
            n: int = 1

        class NumberP(Persistable[int, Params]):
            def _generate_payload(self, **untracked):
                return 1

        kind, folder = sys.argv[1], tempfile.mkdtemp()
        journal = io.StringIO()
        if kind != "none":
            logging.basicConfig(stream=sys.stderr if kind == "stderr" else journal, level=logging.WARNING)
        NumberP(folder, Params(), verbose=True).load_generate()
        sys.stderr.write(f"journal {journal.getvalue().count('generating')}\\n")
    """
    for kind, in_journal in (("none", 0), ("stderr", 0), ("file", 1)):
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), kind], capture_output=True, text=True, check=True
        )
        assert run.stdout == ""
        assert run.stderr.count("generating") == 1, run.stderr
        assert f"journal {in_journal}" in run.stderr


@pytest.mark.parametrize("name", ["urllib3", "root", "a.b", "persistable", "payload", "asyncio"])
def test_foreign_loggers_are_never_touched(data_dir: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever a payload is called, no logger outside the library's own tree changes level, handlers or children."""
    foreign = {who: logging.getLogger(who) for who in (name, "urllib3", "", "root")}

    def state() -> Any:
        return {
            who: (logger.level, list(logger.handlers), logger.propagate, list(logger.filters))
            for who, logger in foreign.items()
            if not who.startswith("persistable")
        }

    before = state()
    names = set(logging.root.manager.loggerDict)
    p = NumbersP(data_dir, Params(), payload_name=name, verbose=True)
    p.load_generate()
    assert state() == before
    assert p.logger.name.startswith("persistable.payload.")
    assert all(added.startswith("persistable") for added in set(logging.root.manager.loggerDict) - names)
    assert len(logging.getLogger("persistable").handlers) == 1
    capfd.readouterr()


def test_given_logger_is_used_and_left_as_it_is(data_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """logger= gets the reports, also with verbose=True, and is not configured."""
    stream = io.StringIO()
    logger = logging.Logger("mine", logging.INFO)
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    p = NumbersP(data_dir, Params(), logger=logger, verbose=True)
    p.load_generate()
    assert p.logger is logger
    assert (logger.level, logger.handlers) == (logging.INFO, [handler])
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["generating", "generated", "persisted"]
    assert capfd.readouterr() == ("", "")


def test_waiting_is_told_to_the_given_logger(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits long for another's generation is told the owner through its own logger."""
    from persistable import lock

    monkeypatch.setattr(lock, "PATIENCE", 0.02)
    stream = io.StringIO()
    logger = logging.Logger("mine")
    logger.addHandler(logging.StreamHandler(stream))
    begun, done = threading.Event(), threading.Event()

    class SlowP(NumbersP):
        def _generate_payload(self, **untracked: Any) -> Any:
            begun.set()
            done.wait(20)
            return 1

    thread = threading.Thread(target=SlowP(data_dir, Params()).load_generate)
    thread.start()
    assert begun.wait(20)
    waiting = SlowP(data_dir, Params(), logger=logger)
    threading.Timer(0.3, done.set).start()
    waiting.load_generate()
    thread.join()
    assert "waiting for" in stream.getvalue()
    assert f"{os.getpid()}@" in stream.getvalue()
    assert waiting.called == ["validate", "post_load"]


def test_log_txt(data_dir: Path) -> None:
    """log.txt has one escaped line per generation, persist and quarantine, and none per hit."""
    name = "a\n2026 forged"
    p = NumbersP(data_dir, Params(), payload_name=name)
    p.load_generate()
    for _ in range(3):
        NumbersP(data_dir, Params(), payload_name=name).load()
    spoil_payload(p)
    with pytest.warns(CorruptArtifactWarning):
        NumbersP(data_dir, Params(), payload_name=name).load_generate()
    folder = p.persist_filepath.parent
    lines = (folder / "log.txt").read_text(encoding="ascii").splitlines()
    assert [line.split()[1] for line in lines] == ["generated", "persisted", "quarantined", "generated", "persisted"]
    assert all(p.key in line and "forged" in line for line in lines)


def test_a_log_that_cannot_be_written_never_fails_the_work(data_dir: Path) -> None:
    """A folder in the place of log.txt is no hindrance."""
    (data_dir / "numbers_p" / "log.txt").mkdir(parents=True)
    p = NumbersP(data_dir, Params())
    p.load_generate()
    assert NumbersP(data_dir, Params()).payload == [0, 1, 2]


def test_observers_hear_what_happens(data_dir: Path) -> None:
    """Observers get an event per step, and one that fails or is misspelt never fails the work."""
    heard: list[Event] = []

    class Observer:
        @hookimpl
        def persistable_event(self, event: Event) -> None:
            heard.append(event)

    class Broken:
        @hookimpl
        def persistable_event(self, event: Event) -> None:
            raise RuntimeError("observer")

    class ReportingP(NumbersP):
        def _generate_payload(self, **untracked: Any) -> Any:
            self.report_progress(1, 2)
            return super()._generate_payload(**untracked)

    registry = Registry(discover=False)
    registry.add(Broken(), name="broken")
    registry.add(Observer(), name="observer")
    store = ArtifactStore(data_dir, registry=registry)
    p = ReportingP(store, Params())
    p.load_generate()
    ReportingP(store, Params()).load()
    spoil_payload(p)
    with pytest.warns(CorruptArtifactWarning):
        ReportingP(store, Params()).load_generate()
    kinds = [event.kind for event in heard]
    generation = ["started", "progress", "generated", "persisted"]
    assert kinds == ["missed", *generation, "loaded", "missed", "quarantined", *generation]
    assert {(event.name, event.key) for event in heard} == {("reporting_p", p.key)}
    assert heard[2].details == {"done": 1, "total": 2}
    assert heard[4].details["record"].key == p.key
    assert heard[3].details["seconds"] >= 0


def test_no_warning_on_the_ordinary_path(data_dir: Path) -> None:
    """Generating, persisting and loading builtin payloads gives no warning at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NumbersP(data_dir, Params()).load_generate()
        NumbersP(data_dir, Params()).load()


# -- subclasses and their attributes


class OneX(Persistable[int, Params]):
    """A subclass as 1.x code has them, with attributes of its own that any class may want."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in TAKEN:
            setattr(self, name, "mine")

    def _generate_payload(self, **_: Any) -> int:
        return self.params.n

    def _look(self) -> None:
        raise AssertionError("ours is another one")

    _commit = _compute = _serve = _check_unchanged = _look


TAKEN = ("_record", "_folder", "_address", "_seconds", "_left", "_used", "_params", "_payload", "_identity", "_logger")
TAKEN += ("_store", "_data_dir", "_snapshot", "_depth", "_dependencies", "_injected", "_file_suffix", "_state")


def test_subclasses_may_use_any_private_name(tmp_path: Path) -> None:
    """What subclasses call their private attributes and methods meets nothing of ours, pickled or not."""
    OneX(tmp_path, Params()).load_generate()
    for made in (OneX(tmp_path, Params()), pickle.loads(pickle.dumps(OneX(tmp_path, Params())))):
        made.load()
        assert made.payload == Params().n
        assert made.record.key == made.key
        assert {getattr(made, name) for name in TAKEN} == {"mine"}


def test_a_subclass_that_wants_its_own_store_is_told(tmp_path: Path) -> None:
    """Assigning another store moves on to it; assigning anything else says that the name is taken."""
    made = OneX(tmp_path / "one", Params())
    made.store = ArtifactStore(tmp_path / "two")
    made.load_generate()
    assert made.data_dir is made.store
    assert made.persist_filepath.parts[len(tmp_path.parts)] == "two"
    with pytest.raises(TypeError, match=r"OneX\.store is where the artifacts are, and no place for a dict: give"):
        made.store = {}  # type: ignore[assignment]


class AsksItself(Persistable[str, Params]):
    """Asks for itself in a thread that it starts, and waits for the answer."""

    def _generate_payload(self, **_: Any) -> str:
        answers: list[str] = []

        def ask() -> None:
            try:
                answers.append(AsksItself(self.data_dir, self.params).payload)
            except LockTimeoutError as error:
                answers.append(type(error).__name__)

        thread = threading.Thread(target=ask, name="asking")
        thread.start()
        thread.join()
        return answers[0]


def test_a_generation_that_waits_for_its_own_thread_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a generation in this process is told so, with the names of both threads."""
    monkeypatch.setattr("persistable.lock.PATIENCE", 0.05)
    made = AsksItself(ArtifactStore(tmp_path, lock_timeout=0.5), Params())
    assert made.payload == "LockTimeoutError"
    (told,) = [record.getMessage() for record in caplog.records if "this very process" in record.getMessage()]
    assert repr(threading.current_thread().name) in told
    assert "'asking'" in told
    caplog.clear()
    elsewhere = ArtifactStore(tmp_path, lock_timeout=0.2)
    with (
        ArtifactStore(tmp_path).generating(Address("asks_itself", "asks_itself", "0" * 32)),
        pytest.raises(LockTimeoutError),
        elsewhere.generating(Address("asks_itself", "asks_itself", "0" * 32)),
    ):
        pass
    assert "waiting for" in caplog.text
    assert "this very process" not in caplog.text


def test_an_error_of_a_generation_says_of_which(data_dir: Path) -> None:
    """What a generation raises comes out as it was, with a note of whose generation it was, also from upstream."""

    class FailsP(Persistable[int, Params]):
        def _generate_payload(self, **untracked: Any) -> int:
            raise ZeroDivisionError("its own")

    class AboveP(Persistable[int, Params]):
        def _generate_payload(self, **untracked: Any) -> int:
            (below,) = self.tracked_persistable_dependencies
            return int(below.payload)

    below = FailsP(data_dir, Params())
    above = AboveP(data_dir, Params(), [below])
    with pytest.raises(ZeroDivisionError, match="its own") as caught:
        above.load_generate()
    notes = [f"raised while generating {made.payload_name!r} (key {made.key})" for made in (below, above)]
    assert caught.value.__notes__ == notes
