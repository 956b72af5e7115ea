"""The conformance suites: a FileIO and a plugin that keep their promises pass, and each broken promise is noticed."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import mmap
import os
import pickle
import subprocess
import sys
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from installed import HOOKS, Site

import persistable
from persistable import FileIO, FormatSpec, PickleFileIO, Registry, builtin, reading
from persistable.digest import DigestingReader
from persistable.exceptions import FidelityError
from persistable.testing import DoesNotApply, FormatTests, PluginTests
from persistable.testing import formats as formats_module

SPEC = FormatSpec(name="lines", suffix=".lines", io=f"{__name__}:Lines", executes_code=False, install="lines-dist")


class Lines(FileIO[Any]):
    """Keep a list of str, as JSON."""

    name = "lines"
    suffix = ".lines"

    def __init__(self, *, indent: int | None = None) -> None:
        self.indent = indent

    def refusal(self, payload: Any) -> str | None:
        if type(payload) is list and all(type(line) is str for line in payload):
            return None
        return "it is no list of str"

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Mapping[str, Any] | None:
        options = {"indent": self.indent} | kwargs
        with open(filepath, "w", encoding="utf-8") as file:
            json.dump(payload, file, **options)
        return None

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        with open(filepath, encoding="utf-8") as file:
            return json.load(file, **kwargs)


class LinesTests(FormatTests):
    """What a plugin author would write; the file_io is exchanged by the tests below."""

    spec = SPEC
    made: Any = Lines

    def file_io(self) -> FileIO[Any]:
        return self.made()

    def payloads(self) -> Mapping[str, Any]:
        return {"two": ["a line", "b"], "one": ["c" * 100]}

    def empty(self) -> Any:
        return []

    def unicode(self) -> Any:
        return ["größe", "文字"]

    def large(self) -> Any:
        return [f"line {number}" for number in range(100_000)]

    def foreign(self) -> Mapping[str, Any]:
        return {"tuple": ("a",), "numbers": [1], "text": "a"}

    def options(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        return {"indent": 3}, {"parse_int": int}


class TestLines(LinesTests):
    """The suite as pytest runs it."""


class TestPickle(FormatTests):
    """The core's own format keeps the promises too."""

    spec = builtin.persistable_formats()[0]

    def file_io(self) -> FileIO[Any]:
        return PickleFileIO()

    def payloads(self) -> Mapping[str, Any]:
        return {
            "nested": {"a": [1, 2.0, (None, True)], "b": {"c": {1, 2}}},
            "none": None,
            "special": [float("nan"), -0.0, b"\0", datetime(2020, 1, 1, tzinfo=UTC)],
        }

    def empty(self) -> Any:
        return {}

    def unicode(self) -> Any:
        return {"größe": ["文字", "\ud800"]}

    def large(self) -> Any:
        return {"a": list(range(300_000)), "b": b"x" * 1_000_000}

    def foreign(self) -> Any:
        return DoesNotApply("pickle takes anything")

    def options(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        return {"protocol": 2}, {"encoding": "utf-8"}


def test_a_suite_that_lacks_something_is_an_error() -> None:
    """Pytest passes over abstract classes, so that a suite with a method forgotten would test nothing."""
    methods: dict[str, Any] = {name: getattr(TestLines, name) for name in ("file_io", "payloads", "empty", "foreign")}
    with pytest.raises(TypeError, match="TestHalf does not say unicode, large: define"):
        type("TestHalf", (FormatTests,), methods)
    half = type("Half", (FormatTests,), methods)
    assert type("TestWhole", (half,), {"unicode": TestLines.unicode, "large": TestLines.large})


def broken_promises(folder: Path, tests: FormatTests, only: str = "") -> set[str]:
    """Run a suite, or some of it, without pytest and return the names of the tests that fail."""
    failed = set()
    for number, name in enumerate(name for name in dir(tests) if name.startswith(f"test_{only}")):
        test = getattr(tests, name)
        wanted = test.__code__.co_varnames[1 : test.__code__.co_argcount]
        for label in tests.payloads() if "label" in wanted else [""]:
            for file_name in ["a b.{}", "other.suffix"] if "name" in wanted else [""]:
                here = folder / f"{number}{label}{file_name.partition('.')[0]}"
                here.mkdir()
                given = {"tmp_path": here, "label": label, "name": file_name}
                try:
                    test(**{argument: given[argument] for argument in wanted})
                except (Exception, pytest.fail.Exception):  # noqa: BLE001 - as pytest does
                    failed.add(name.removeprefix("test_"))
    return failed


def test_a_format_that_keeps_its_promises_passes(tmp_path: Path) -> None:
    """No test of the suite fails for a right FileIO."""
    assert broken_promises(tmp_path, LinesTests()) == set()


class Wrong(Lines):
    """A FileIO that breaks one promise; it still has the name."""

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            cls.name = "lines"  # names are not inherited


class _ComesBackAsATuple(Wrong):
    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return tuple(super()._load(filepath, **kwargs))


class _ChangesThePayload(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        super()._save(payload, filepath, **kwargs)
        payload.append("saved")


class _LosesUnicode(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        super()._save([line.encode("ascii", "replace").decode() for line in payload], filepath, **kwargs)


class _LosesEmptiness(Wrong):
    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return super()._load(filepath, **kwargs) or None


class _LosesTheEnd(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        super()._save(payload[:1000], filepath, **kwargs)


class _TakesAnything(Wrong):
    def refusal(self, payload: Any) -> str | None:
        return None


class _RefusesTooLate(Wrong):
    def refusal(self, payload: Any) -> str | None:
        return None

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        with open(filepath, "w"):
            reason = Lines().refusal(payload)
        if reason is not None:
            raise FidelityError(format="lines", reason=reason)
        super()._save(payload, filepath, **kwargs)


class _RefusesItsOwn(Wrong):
    def refusal(self, payload: Any) -> str | None:
        return super().refusal(payload) or ("too long" if len(payload) == 1 else None)


class _SwallowsErrors(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        with contextlib.suppress(OSError):
            super()._save(payload, filepath, **kwargs)


class _AddsItsSuffix(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        super()._save(payload, filepath.with_suffix(".lines"), **kwargs)

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return super()._load(filepath.with_suffix(".lines"), **kwargs)


class _WritesBeside(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.with_name("beside").write_text("more")
        super()._save(payload, filepath, **kwargs)


class _TakesMissingForEmpty(Wrong):
    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return super()._load(filepath, **kwargs) if filepath.exists() else []


class _CannotTravel(Wrong):
    def __init__(self) -> None:
        super().__init__()
        self.key = lambda line: line


class _RemembersInsteadOfWriting(Wrong):
    last: Any = None

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        super()._save([], filepath, **kwargs)
        self.last = list(payload)

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        found = super()._load(filepath, **kwargs)
        return found if self.last is None else self.last


class _ReturnsNoJson(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> Any:
        super()._save(payload, filepath, **kwargs)
        return {1: "one"}


class _SaysItIsAFolder(Wrong):
    is_directory = True


class _NeedsWhatItDoesNotGive(Wrong):
    needs_metadata = True

    def _load(self, filepath: Path, metadata: Any = None, **kwargs: Any) -> Any:
        return super()._load(filepath, **kwargs)


class _MapsInSecret(Wrong):
    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        found = super()._load(filepath, **kwargs)
        with open(filepath, "rb") as file:
            _HELD.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return found


_HELD: list[mmap.mmap] = []


class _SaysItMaps(Wrong):
    memory_mapped = True


class _BufferIsAnother(Wrong):
    def load_buffer(self, buffer: Any) -> Any:
        return [*json.loads(bytes(buffer)), "end"]


class _StreamIsAnother(Wrong):
    def load_stream(self, file: DigestingReader, size: int) -> Any:
        return json.loads(file.read(size))[1:]


class _ChangesItsFile(Wrong):
    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        found = super()._load(filepath, **kwargs)
        with open(filepath, "a") as file:
            file.write(" ")
        return found


class _RunsCode(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_bytes(pickle.dumps(payload))

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return pickle.loads(filepath.read_bytes())


class _RunsCodeBehindItsMagic(Wrong):
    magic = b"MAGIC"

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_bytes(self.magic + self.pack(pickle.dumps(payload)))

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        content = filepath.read_bytes()
        if not content.startswith(self.magic):
            raise ValueError("no such file")
        return pickle.loads(self.unpack(content[len(self.magic) :]))

    def pack(self, pickled: bytes) -> bytes:
        return pickled

    def unpack(self, content: bytes) -> bytes:
        return content


class _RunsCodeOfAStatedLength(_RunsCodeBehindItsMagic):
    magic = b"a longer magic"

    def pack(self, pickled: bytes) -> bytes:
        return len(pickled).to_bytes(4, "little") + pickled

    def unpack(self, content: bytes) -> bytes:
        return content[4 : 4 + int.from_bytes(content[:4], "little")]


class _RunsCodeCompressed(_RunsCodeBehindItsMagic):
    def pack(self, pickled: bytes) -> bytes:
        return zlib.compress(pickled)

    def unpack(self, content: bytes) -> bytes:
        return zlib.decompress(content)


class _RunsCodeOfAnotherKind(_RunsCodeBehindItsMagic):
    """Where no bomb reaches, as everything is encoded, its own payloads tell."""

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        super()._save(OrderedDict(lines=payload), filepath, **kwargs)

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return super()._load(filepath, **kwargs)["lines"]

    def pack(self, pickled: bytes) -> bytes:
        return pickled.hex().encode()

    def unpack(self, content: bytes) -> bytes:
        return bytes.fromhex(content.decode())


class _RunsCodeFromMemory(Wrong):
    def load_buffer(self, buffer: Any) -> Any:
        return pickle.loads(buffer) if bytes(buffer[:1]) == b"\x80" else json.loads(bytes(buffer))


class _RunsCodeFromAStream(Wrong):
    def load_stream(self, file: DigestingReader, size: int) -> Any:
        content = file.read(size)
        return pickle.loads(content) if content[:1] == b"\x80" else json.loads(content)


class _Evaluates(Wrong):
    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return eval(filepath.read_text(encoding="utf-8"))


class _TakesWhatIsLeft(Wrong):
    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_text("\n".join(payload), encoding="utf-8")

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return filepath.read_text(encoding="utf-8").split("\n")


class _TakesNoOptions(Wrong):
    def _save(self, payload: Any, filepath: Path) -> None:  # type: ignore[override]
        super()._save(payload, filepath)


class _HasAnotherName(Wrong):
    name = "rows"


class _HasAnotherSuffix(Wrong):
    suffix = ".rows"


@pytest.mark.parametrize(
    ("wrong", "noticed"),
    [
        (_ComesBackAsATuple, "payload_comes_back_equal_by_type_and_value"),
        (_ChangesThePayload, "payload_comes_back_equal_by_type_and_value"),
        (_RefusesItsOwn, "payload_comes_back_equal_by_type_and_value"),
        (_LosesUnicode, "unicode_comes_back"),
        (_LosesEmptiness, "empty_payload_comes_back"),
        (_LosesTheEnd, "large_payload_comes_back"),
        (_TakesAnything, "foreign_payload_is_refused_before_the_target_is_touched"),
        (_TakesAnything, "foreign_payload_leaves_a_store_as_it_was"),
        (_RefusesTooLate, "foreign_payload_is_refused_before_the_target_is_touched"),
        (_SwallowsErrors, "failed_write_is_an_error_and_leaves_nothing"),
        (_AddsItsSuffix, "any_path_will_do"),
        (_WritesBeside, "any_path_will_do"),
        (_TakesMissingForEmpty, "missing_file_is_said_to_be_missing"),
        (_CannotTravel, "file_io_can_be_pickled"),
        (_RemembersInsteadOfWriting, "payload_comes_back_from_a_store"),
        (_RemembersInsteadOfWriting, "payload_comes_back_from_a_store_with_the_same_file_io"),
        (_ReturnsNoJson, "metadata_is_json"),
        (_SaysItIsAFolder, "is_directory_is_declared_as_it_is"),
        (_NeedsWhatItDoesNotGive, "needs_metadata_is_declared_as_it_is"),
        (_MapsInSecret, "memory_mapped_is_declared_as_it_is"),
        (_SaysItMaps, "memory_mapped_is_declared_as_it_is"),
        (_BufferIsAnother, "buffer_is_read_as_the_file_is"),
        (_StreamIsAnother, "stream_is_read_as_the_file_is"),
        (_ChangesItsFile, "loading_leaves_the_file_as_it_is"),
        (_RunsCode, "data_only_format_runs_no_code"),
        (_RunsCodeBehindItsMagic, "data_only_format_runs_no_code"),
        (_RunsCodeOfAStatedLength, "data_only_format_runs_no_code"),
        (_RunsCodeCompressed, "data_only_format_runs_no_code"),
        (_RunsCodeOfAnotherKind, "data_only_format_runs_no_code"),
        (_RunsCodeFromMemory, "data_only_format_runs_no_code"),
        (_RunsCodeFromAStream, "data_only_format_runs_no_code"),
        (_Evaluates, "data_only_format_runs_no_code"),
        (_TakesWhatIsLeft, "cut_file_is_noticed_as_declared"),
        (_TakesNoOptions, "options_are_taken"),
        (_HasAnotherName, "it_is_what_its_spec_declares"),
        (_HasAnotherSuffix, "it_is_what_its_spec_declares"),
    ],
)
def test_a_broken_promise_is_noticed(tmp_path: Path, wrong: type[Lines], noticed: str) -> None:
    """For every promise there is a FileIO that breaks it, and the test of that promise fails."""
    spec = dataclasses.replace(SPEC, io=f"{__name__}:{wrong.__name__}")
    declared = {"spec": spec, "made": wrong, "is_directory": False, "large": lambda self: [f"{n}" for n in range(2000)]}
    if wrong in (_NeedsWhatItDoesNotGive, _SaysItMaps):
        declared |= {"needs_metadata": wrong.needs_metadata, "memory_mapped": wrong.memory_mapped}
    tests = type("WrongTests", (LinesTests,), declared)()
    assert noticed in broken_promises(tmp_path, tests, noticed)


@pytest.mark.parametrize(
    ("declared", "noticed"),
    [
        ({"notices_cuts": False}, "cut_file_is_noticed_as_declared"),
        ({"notices_flips": True}, "flipped_bit_is_noticed_if_declared"),
        ({"is_directory": True}, "is_directory_is_declared_as_it_is"),
        ({"needs_metadata": True}, "needs_metadata_is_declared_as_it_is"),
        ({"memory_mapped": True}, "memory_mapped_is_declared_as_it_is"),
        ({"spec": None}, "it_is_what_its_spec_declares"),
        ({"payloads": lambda self: {}}, "there_is_a_payload_to_test"),
        ({"empty": lambda self: DoesNotApply("")}, "empty_payload_comes_back"),
        ({"foreign": lambda self: {}}, "foreign_payload_is_refused_before_the_target_is_touched"),
        ({"foreign": lambda self: DoesNotApply("")}, "foreign_payload_is_refused_before_the_target_is_touched"),
    ],
)
def test_a_false_declaration_is_noticed(tmp_path: Path, declared: dict[str, Any], noticed: str) -> None:
    """What a suite declares is asserted both ways, and never a way to skip."""
    small = {"large": lambda self: [f"{n}" for n in range(2000)]}
    assert noticed in broken_promises(tmp_path, type("WrongTests", (LinesTests,), small | declared)(), noticed)


def test_a_suite_without_payloads_fails_once(tmp_path: Path) -> None:
    """One failure that says what to give, and no StopIteration for each of the other tests."""
    folder = Path(__file__).parent
    source = "from test_testing import LinesTests\nclass TestNothing(LinesTests):\n    def payloads(self): return {}\n"
    (tmp_path / "test_nothing.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "TestNothing", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *(path for path in sys.path if path)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed" in done.stdout, done.stdout
    assert "payloads() is empty: give at least one" in done.stdout
    assert "StopIteration" not in done.stdout


def test_a_store_that_notices_nothing_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of damage is about what the store serves, so it fails with a store that compares nothing."""
    monkeypatch.setattr(reading, "_compare", lambda *arguments: None)
    monkeypatch.setattr(LinesTests, "large", lambda self: [f"{n}" for n in range(2000)])
    assert broken_promises(tmp_path, LinesTests(), "store_notices_all_damage")


class TestFolder(FormatTests):
    """A format of several files, injected, whose metadata is needed to load."""

    is_directory = True
    needs_metadata = True
    notices_cuts = False

    def file_io(self) -> FileIO[Any]:
        return Folder()

    def payloads(self) -> Mapping[str, Any]:
        return {"two": {"a": "first", "b": "second"}, "same": {"a": "", "ä": "x"}}

    def empty(self) -> Any:
        return DoesNotApply("a folder without files is no payload")

    def unicode(self) -> Any:
        return {"größe": "文字"}

    def large(self) -> Any:
        return {"a": "x" * 2_000_000}

    def foreign(self) -> Mapping[str, Any]:
        return {"list": ["a"]}


class Folder(FileIO[dict[str, str]]):
    """Keep a dict of texts as files."""

    suffix = ".texts"
    is_directory = True
    needs_metadata = True

    def refusal(self, payload: Any) -> str | None:
        return None if type(payload) is dict and payload else "it is no dict of texts"

    def _save(self, payload: dict[str, str], filepath: Path, **kwargs: Any) -> Mapping[str, Any]:
        for number, text in enumerate(payload.values()):
            (filepath / f"{number}.txt").write_text(text, encoding="utf-8")
        return {"names": list(payload)}

    def _load(self, filepath: Path, metadata: Any = None, **kwargs: Any) -> dict[str, str]:
        files = enumerate(metadata["names"])
        return {name: (filepath / f"{number}.txt").read_text(encoding="utf-8") for number, name in files}


# -- plugins -----------------------------------------------------------------------------------------------------------

GOOD = (
    HOOKS
    + """
@hookimpl
def persistable_formats():
    return [FormatSpec(name="lines", suffix=".lines", io="good_io:Lines", types=("argparse.Namespace",),
                       executes_code=False, install="good-dist")]

@hookimpl
def persistable_storages():
    return [StorageSpec(schemes=("good", "good+*"), storage="good_storage:Good", install="good-dist")]

@hookimpl
def persistable_param_encoders():
    return [EncoderSpec(name="link", version=1, types=("good_types.Link",), encode="good_types:encode",
                        install="good-dist")]
"""
)
GOOD_IO = """
from persistable import FileIO

class Lines(FileIO):
    name = "lines"
    suffix = ".lines"
    def _load(self, filepath, **kwargs): ...
"""
GOOD_TYPES = """
class Link:
    pass

def encode(link):
    return ["a", 1]
"""
GOOD_STORAGE = """
from persistable.storage import Storage

class Good(Storage):
    pass
"""
DIGEST = "334e4d99ac027c4cb7335e0fd16dc4d0"


class GoodPlugin(PluginTests):
    hooks = "good_hooks"
    distribution = "good-dist"
    digest = DIGEST

    def golden_params(self) -> list[tuple[Any, str]]:
        import good_types

        return [([good_types.Link()], self.digest)]


@pytest.fixture
def good(site: Site) -> Site:
    site.plugin("good", GOOD, "good-dist")
    site.module("good_io", GOOD_IO)
    site.module("good_types", GOOD_TYPES)
    site.module("good_storage", GOOD_STORAGE)
    return site


def failures(tests: PluginTests, only: str = "") -> set[str]:
    failed = set()
    for name in dir(tests):
        if name.startswith(f"test_{only}"):
            try:
                getattr(tests, name)()
            except (Exception, pytest.fail.Exception):  # noqa: BLE001 - as pytest does
                failed.add(name.removeprefix("test_"))
    return failed


def test_a_plugin_that_keeps_its_promises_passes(good: Site) -> None:
    """No test of the suite fails for a right plugin."""
    assert failures(GoodPlugin()) == set()


@pytest.mark.parametrize(
    ("module", "old", "new", "noticed"),
    [
        ("good_hooks", "@hookimpl\ndef", "import xxhash\n@hookimpl\ndef", "hooks_module_imports_nothing_heavy"),
        (
            "good_hooks",
            "    return [Format",
            "    import xxhash\n    return [Format",
            "hooks_module_imports_nothing_heavy",
        ),
        ("good_hooks", 'name="lines"', 'name="Lines"', "hooks_are_accepted"),
        ("good_hooks", 'name="lines"', 'name="npy"', "hooks_are_accepted"),
        ("good_hooks", 'name="lines"', 'name="rows"', "io_is_a_file_io_with_the_declared_name_and_suffix"),
        ("good_hooks", 'suffix=".lines"', 'suffix=".rows"', "io_is_a_file_io_with_the_declared_name_and_suffix"),
        ("good_hooks", "good_io:Lines", "good_io:Missing", "io_is_a_file_io_with_the_declared_name_and_suffix"),
        ("good_io", "FileIO):", "dict):", "io_is_a_file_io_with_the_declared_name_and_suffix"),
        ("good_io", '    suffix = ".lines"', '    suffix = ".lines"\n    def __init__(self, x): ...', "formats_can_be"),
        ("good_hooks", "good_storage:Good", "good_storage:Missing", "storages_can_be_asked_for_by_url"),
        ("good_hooks", '"good+*"', '"s3"', "hooks_are_accepted"),
        ("good_storage", "(Storage)", "", "storages_can_be_asked_for_by_url"),
        ("good_hooks", "argparse.Namespace", "argparse.Missing", "declared_types_resolve_once_their_library"),
        ("good_hooks", "argparse.Namespace", "argparse.ArgumentParser.parse_args", "declared_types_resolve_once"),
        ("good_hooks", "good_types.Link", "good_alias.Link", "declared_types_resolve_once_their_library_is_imported"),
        ("good_hooks", 'install="good-dist"', 'install="other"', "install_line_is_present"),
        ("good_hooks", ', install="good-dist"', "", "install_line_is_present"),
        ("good_types", "1]", "2]", "encoders_keep_their_golden_digests"),
        ("good_hooks", "version=1", "version=2", "encoders_keep_their_golden_digests"),
        ("good_hooks", '"link"', '"chain"', "encoders_keep_their_golden_digests"),
    ],
)
def test_a_plugins_broken_promise_is_noticed(good: Site, module: str, old: str, new: str, noticed: str) -> None:
    """For every promise of a plugin there is one that breaks it, and a test of it fails."""
    source = (good.folder / f"{module}.py").read_text()
    assert old in source or "install" in old
    good.module("good_alias", "from good_types import Link")
    good.module(module, source.replace(old, new).replace(',\n                        install="good-dist"', "", not new))
    assert failures(GoodPlugin(), noticed)


def test_two_formats_of_a_plugin_for_one_type_are_noticed(good: Site) -> None:
    """A plugin that is its own rival leaves its users with an ambiguity."""
    more = (
        'FormatSpec(name="b", suffix=".b", io="b:B", types=("argparse.Namespace",), install="good-dist"), FormatSpec('
    )
    good.module("good_hooks", GOOD.replace("[FormatSpec(", f"[{more}"))
    assert failures(GoodPlugin(), "no_two_formats_claim_a_type")


def test_encoders_without_golden_digests_are_noticed(good: Site) -> None:
    """An encoder that pins nothing may change keys without anybody noticing."""
    tests = type("Tests", (GoodPlugin,), {"golden_params": lambda self: []})()
    assert failures(tests, "encoders_keep_their_golden_digests")


def test_an_encoder_that_is_there_to_refuse_is_golden_too(good: Site) -> None:
    """None pins a refusal, and an encoder that takes such params by now is noticed."""

    def link() -> object:
        return importlib.import_module("good_types").Link()

    tests = type("Tests", (GoodPlugin,), {"golden_params": lambda self: [(link(), None)]})()
    assert failures(tests, "encoders_keep_their_golden_digests")
    good.module("good_types", GOOD_TYPES.replace("return", "raise TypeError"))
    assert not failures(tests, "encoders_keep_their_golden_digests")


def test_an_entry_point_that_names_another_module_is_noticed(good: Site) -> None:
    """What is installed has to load the hooks that were tested."""
    (good.folder / "good_dist-1.0.dist-info" / "entry_points.txt").write_text("[persistable]\ngood = good_io\n")
    assert failures(GoodPlugin(), "entry_point_names_the_hooks_module")


# -- as pytest runs it -------------------------------------------------------------------------------------------------


def test_failed_promises_are_explained_and_no_plugin_of_pytest_is_needed(tmp_path: Path) -> None:
    """The suite's assertions are rewritten like those of the author's own tests, with no more than an import."""
    (tmp_path / "conftest.py").write_text("from persistable.testing import isolated_registry\n")
    (tmp_path / "test_mine.py").write_text(
        "from persistable import PickleFileIO\n"
        "from persistable.testing import DoesNotApply, FormatTests\n"
        "from persistable.builtin import persistable_formats\n"
        "class TestMine(FormatTests):\n"
        "    spec = persistable_formats()[0]\n"
        "    needs_metadata = True\n"
        "    def file_io(self): return PickleFileIO()\n"
        "    def payloads(self): return {'one': 1}\n"
        "    def empty(self): return 0\n"
        "    def unicode(self): return 'ä'\n"
        "    def large(self): return b'x' * 2_000_000\n"
        "    def foreign(self): return DoesNotApply('it takes anything')\n"
        "def test_fixture(isolated_registry):\n"
        "    assert [plugin.name for plugin in isolated_registry.plugins] == ['persistable']\n"
    )
    arguments = ["-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path), "--rootdir", str(tmp_path)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert "2 failed" in done.stdout, done.stdout
    assert "E       assert False is True" in done.stdout
    assert "where False = <persistable.io.PickleFileIO object at" in done.stdout
    assert "PytestAssertRewriteWarning" not in done.stdout


def test_isolated_registry_never_discovers(site: Site, isolated_registry: Registry) -> None:
    """The fixture is a registry of its own."""
    site.plugin("image", "raise AssertionError('loaded')")
    assert [plugin.name for plugin in isolated_registry.plugins] == ["persistable"]


def test_there_is_no_entry_point_for_pytest() -> None:
    """Installing persistable adds nothing to anybody's test runs."""
    pyproject = Path(persistable.__file__).parent.parent / "pyproject.toml"
    assert "pytest11" not in pyproject.read_text()
    assert formats_module.__name__ in sys.modules
