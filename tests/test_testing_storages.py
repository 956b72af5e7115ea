"""StorageTests: storages that keep their promises pass, and each broken promise is noticed."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import unicodedata
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dict_storage import OBJECT_STORE, PAGE, DictStorage

from persistable.exceptions import StorageConnectionError
from persistable.local import LocalStorage
from persistable.lock import Lock
from persistable.storage import Capabilities, Entry, Storage
from persistable.testing import DoesNotApply, StorageTests
from persistable.testing.storage_faults import interrupted

NOT_SHARED = DoesNotApply("a child has a copy of the dict")


def new_url() -> str:
    """Return the URL of a dict that nobody has used."""
    return f"dict://{os.urandom(8).hex()}"


class TestLocalStorage(StorageTests):
    """The core's own storage keeps the promises too."""

    @pytest.fixture
    def place(self, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Storage]:
        root = tmp_path_factory.mktemp("place") / "data dir"
        return lambda: LocalStorage(str(root), durable=False)

    def leftovers(self, storage: Storage) -> list[str]:
        assert isinstance(storage, LocalStorage)
        return [str(path) for path in Path(storage.root).rglob("*") if path.name.startswith(".tmp-")]


class TestDictStorage(StorageTests):
    """The least that keeps them."""

    memory = DoesNotApply("objects are kept in this process")
    survives_fork = NOT_SHARED
    secrets = ("swordfish",)

    @pytest.fixture
    def place(self) -> Callable[[], Storage]:
        url = new_url()
        return lambda: DictStorage(url)

    @pytest.fixture
    def unreachable(self) -> Callable[[], Storage]:
        return _Unreachable


class _Unreachable(DictStorage):
    """A storage whose every call fails."""

    error: Callable[..., Exception] = StorageConnectionError

    def __init__(self) -> None:
        super().__init__("dict://user@nowhere")

    def _called(self, operation: str, name: str) -> None:
        raise self.error(url=self.url, operation=operation, reason="nobody answers")


class SmallTests(StorageTests):
    """The suite with less of everything, for storages that are wrong with little, too."""

    large = 3_000_000
    memory = 2_000_000
    many = 3 * PAGE
    examples = 150  # so that chance does not decide whether a wrong one is noticed
    steps = 20
    patience = 1.0
    secrets = ("swordfish",)


# -- wrong storages ----------------------------------------------------------------------------------------------------


class _ReadsText(DictStorage):
    def get(self, name: str) -> bytes:
        return super().get(name).replace(b"\r\n", b"\n")


class _ReturnsBuffers(DictStorage):
    def get(self, name: str) -> bytes:
        return bytearray(super().get(name))  # type: ignore[return-value]


class _TakesEmptyForMissing(DictStorage):
    def stat(self, name: str) -> Entry:
        entry = super().stat(name)
        if entry.bytes == 0:
            raise FileNotFoundError(name)
        return entry


class _LeavesTheEndOfTheOld(DictStorage):
    def put(self, name: str, data: bytes) -> None:
        with self.place.lock:
            old = self.get(name) if name in self.objects else b""
            super().put(name, data + old[len(data) :])


class _TellsMilliseconds(DictStorage):
    def stat(self, name: str) -> Entry:
        entry = super().stat(name)
        return entry._replace(modified=entry.modified * 1000)


class _ListsRelativeNames(DictStorage):
    def list(self, folder: str = "") -> Iterator[Entry]:
        for entry in super().list(folder):
            yield entry._replace(name=entry.name.removeprefix(f"{folder}/"))


class _ListsOldVersions(DictStorage):
    def list(self, folder: str = "") -> Iterator[Entry]:
        for entry in super().list(folder):
            yield entry._replace(version="0")


class _DeletesNothing(DictStorage):
    def delete(self, name: str) -> None:
        pass


class _DeletesByPrefix(DictStorage):
    def delete(self, name: str) -> None:
        for found in [found for found in self.objects if found.startswith(name)]:
            super().delete(found)


class _GivesNothingForMissing(DictStorage):
    def get(self, name: str) -> bytes:
        return super().get(name) if name in self.objects else b""


class _RaisesKeyErrors(DictStorage):
    def stat(self, name: str) -> Entry:
        self.objects[name]
        return super().stat(name)


class _MindsDeletingTheMissing(DictStorage):
    def delete(self, name: str) -> None:
        super().stat(name)
        super().delete(name)


class _MindsMatchingTheMissing(DictStorage):
    def put_if_match(self, name: str, data: bytes, version: str) -> bool:
        super().stat(name)
        return super().put_if_match(name, data, version)


class _MindsListingTheMissing(DictStorage):
    def list(self, folder: str = "") -> Iterator[Entry]:
        found = list(super().list(folder))
        if folder and not found:
            raise FileNotFoundError(folder)
        yield from found


class _Mangles(DictStorage):
    """All calls agree on another name, and ``list`` gives that."""

    def mangled(self, name: str) -> str:
        return name

    def get(self, name: str) -> bytes:
        return super().get(self.mangled(name))

    def stat(self, name: str) -> Entry:
        return super().stat(self.mangled(name))

    def put(self, name: str, data: bytes) -> None:
        super().put(self.mangled(name), data)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return super().put_if_absent(self.mangled(name), data)

    def delete(self, name: str) -> None:
        super().delete(self.mangled(name))


class _Normalises(_Mangles):
    def mangled(self, name: str) -> str:
        return unicodedata.normalize("NFC", name)


class _FoldsCase(_Mangles):
    def mangled(self, name: str) -> str:
        return name.lower()


class _Unquotes(_Mangles):
    def mangled(self, name: str) -> str:
        return urllib.parse.unquote(name)


class _TakesPlusForSpace(_Mangles):
    def mangled(self, name: str) -> str:
        return name.replace("+", " ")


class _CutsAtFragments(_Mangles):
    def mangled(self, name: str) -> str:
        return name.partition("#")[0]


class _CutsLongNames(_Mangles):
    def mangled(self, name: str) -> str:
        return "/".join(part[:180] for part in name.split("/"))


class _StripsDots(_Mangles):
    def mangled(self, name: str) -> str:
        return name.rstrip(". ")


class _ExpandsTheHome(_Mangles):
    def mangled(self, name: str) -> str:
        return name.replace("~", "home")


class _LosesHiddenNames(DictStorage):
    def list(self, folder: str = "") -> Iterator[Entry]:
        return (entry for entry in super().list(folder) if not entry.name.rpartition("/")[2].startswith("."))


class _QuotesFetchedNames(DictStorage):
    def fetch(self, name: str, path: str, size: int) -> None:
        super().fetch(name.replace("?", "%3F"), path, size)


class _ListsByPrefix(DictStorage):
    def page(self, prefix: str, last: str) -> list[Entry]:
        return super().page(prefix.removesuffix("/"), last)


class _ListsOneLevel(DictStorage):
    def list(self, folder: str = "") -> Iterator[Entry]:
        depth = folder.count("/") + 2 if folder else 1
        return (entry for entry in super().list(folder) if entry.name.count("/") < depth)


class _ListsTheFirstPage(DictStorage):
    def list(self, folder: str = "") -> Iterator[Entry]:
        yield from self.page(f"{folder}/" if folder else "", "")


class _RepeatsTheEndOfPages(DictStorage):
    def page(self, prefix: str, last: str) -> list[Entry]:
        page = super().page(prefix, last)
        return [*page, page[-1]] if len(page) == PAGE else page


class _PagesByOffset(DictStorage):
    def list(self, folder: str = "") -> Iterator[Entry]:
        offset = 0
        while page := list(super().list(folder))[offset : offset + PAGE]:
            yield from page
            offset += PAGE


class _ListsAllAtOnce(DictStorage):
    def list(self, folder: str = "") -> Iterator[Entry]:
        return [*super().list(folder)]  # type: ignore[return-value]


class _SharesOneCursor(DictStorage):
    cursor: Iterator[Entry] | None = None

    def list(self, folder: str = "") -> Iterator[Entry]:
        self.cursor = super().list(folder)
        while (entry := next(self.cursor, None)) is not None:
            yield entry


class _IgnoresAbsence(DictStorage):
    def put_if_absent(self, name: str, data: bytes) -> bool:
        self.put(name, data)
        return True


class _OverwritesAndSaysNo(DictStorage):
    def put_if_absent(self, name: str, data: bytes) -> bool:
        there = name in self.objects
        self.put(name, data)
        return not there


class _LooksThenCreates(DictStorage):
    def put_if_absent(self, name: str, data: bytes) -> bool:
        if name in self.objects:
            return False
        time.sleep(0.001)
        self.put(name, data)
        return True


class _CreatesWithALockOfItsOwn(DictStorage):
    """One client excludes its own threads, and no other client."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.own = threading.Lock()

    def put_if_absent(self, name: str, data: bytes) -> bool:
        with self.own:
            if name in self.objects:
                return False
            time.sleep(0.001)
            self.put(name, data)
            return True


class _Declares(DictStorage):
    """Another declaration, and nothing done about it."""

    declared = OBJECT_STORE

    def __init__(self, url: str) -> None:
        super().__init__(url, capabilities=self.declared)


class _DeclaresNoConditions(_Declares):
    declared = OBJECT_STORE._replace(create_exclusive=False, replace_matching=False)


class _IgnoresVersions(DictStorage):
    def put_if_match(self, name: str, data: bytes, version: str) -> bool:
        self.put(name, data)
        return True


class _ReplacesWhatIsGone(DictStorage):
    def put_if_match(self, name: str, data: bytes, version: str) -> bool:
        return name not in self.objects or super().put_if_match(name, data, version)


class _LooksThenReplaces(DictStorage):
    def put_if_match(self, name: str, data: bytes, version: str) -> bool:
        if self.stat(name).version != version:
            return False
        time.sleep(0.001)
        self.put(name, data)
        return True


class _HasNoVersions(DictStorage):
    def stat(self, name: str) -> Entry:
        return super().stat(name)._replace(version=None)


class _VersionsAreSizes(DictStorage):
    def stat(self, name: str) -> Entry:
        entry = super().stat(name)
        return entry._replace(version=str(entry.bytes))


class _VersionsAreContents(DictStorage):
    def stat(self, name: str) -> Entry:
        return super().stat(name)._replace(version=super().get(name).hex())


class _DeclaresNumbers(_Declares):
    declared = Capabilities(1, 1, 1, 0, 0, 1)  # type: ignore[arg-type]


class _DeclaresPaths(_Declares):
    declared = OBJECT_STORE._replace(local_path=True)


class _WritesInTwoHalves(DictStorage):
    def put(self, name: str, data: bytes) -> None:
        super().put(name, data[: len(data) // 2])
        time.sleep(0)
        super().put(name, data)


class _DeletesBeforeItReplaces(DictStorage):
    def put(self, name: str, data: bytes) -> None:
        self.delete(name)
        time.sleep(0)
        super().put(name, data)


class _DeclaresLocks(_Declares):
    declared = OBJECT_STORE._replace(lock=True)


class _LocksNobodyOut(_DeclaresLocks):
    def lock(self, folder: str, key: str, purpose: int, **_: Any) -> Lock:
        return Lock(lambda forked: None)


class _LocksInSecret(_Declares):
    def lock(self, folder: str, key: str, purpose: int, **_: Any) -> Lock:
        return Lock(None)


class _TruncatesBeforeItDeletes(LocalStorage):
    def delete(self, name: str) -> None:
        os.truncate(self.local_path(name), 0)
        super().delete(name)


class _LeavesItsProof(DictStorage):
    def prepare(self, folder: str) -> None:
        self.put(f"{folder}/.proof", b"")


class _ReadsFilesWhole(LocalStorage):
    def put_file(self, name: str, path: str) -> None:
        with open(path, "rb") as file:
            self.put(name, file.read())


class _FetchesRangesInDisorder(DictStorage):
    def fetch(self, name: str, path: str, size: int) -> None:
        content, half = self.get(name)[:size], size // 2
        with open(path, "xb") as file:
            file.write(content[half:] + content[:half] if size > 1_000_000 else content)


class _LosesTheLastRange(DictStorage):
    def fetch(self, name: str, path: str, size: int) -> None:
        super().fetch(name, path, size if size < 1_000_000 else size // 1_000_000 * 1_000_000 - 1)


class _FetchesAll(DictStorage):
    def fetch(self, name: str, path: str, size: int) -> None:
        with open(path, "xb") as file:
            file.write(self.get(name))


class _FetchesOverOthers(DictStorage):
    def fetch(self, name: str, path: str, size: int) -> None:
        with open(path, "wb") as file:
            file.write(self.get(name)[:size])


class _UploadsInPieces(DictStorage):
    """What was uploaded until now is the object."""

    def put_file(self, name: str, path: str) -> None:
        content = b""
        with open(path, "rb") as file:
            self.put(name, content)
            while piece := file.read(50_000):
                content += piece
                self.put(name, content)
                time.sleep(0.0005)


class _LeavesParts(DictStorage):
    def put_file(self, name: str, path: str) -> None:
        with open(path, "rb") as file:
            self.put(f"{name}.part", b"")
            self.put(name, file.read())
            self.delete(f"{name}.part")


class _SwallowsReadErrors(DictStorage):
    def put_file(self, name: str, path: str) -> None:
        content = b""
        try:
            with open(path, "rb") as file:
                while piece := file.read(50_000):
                    content += piece
        except OSError:
            pass
        self.put(name, content)


class _SwallowsInterrupts(DictStorage):
    def put_file(self, name: str, path: str) -> None:
        try:
            super().put_file(name, path)
        except KeyboardInterrupt:
            raise StorageConnectionError(url=self.url, operation="put_file") from None


class _Remembers(DictStorage):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.known: dict[str, Entry] = {}

    def stat(self, name: str) -> Entry:
        return self.known.get(name) or self.known.setdefault(name, super().stat(name))

    def put(self, name: str, data: bytes) -> None:
        super().put(name, data)
        self.known.pop(name, None)

    def delete(self, name: str) -> None:
        super().delete(name)
        self.known.pop(name, None)


class _RemembersAbsence(DictStorage):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.unknown: set[str] = set()

    def stat(self, name: str) -> Entry:
        if name in self.unknown:
            raise FileNotFoundError(name)
        try:
            return super().stat(name)
        except FileNotFoundError:
            self.unknown.add(name)
            raise


class _HasOneConnection(DictStorage):
    """A request and its answer belong together; here another thread may come between them."""

    asked = ""

    def get(self, name: str) -> bytes:
        self.asked = name
        time.sleep(0.0005)
        return super().get(self.asked)


class _DiesInChildren(LocalStorage):
    def __init__(self, root: str) -> None:
        super().__init__(root, durable=False)
        self.process = os.getpid()

    def put(self, name: str, data: bytes) -> None:
        if os.getpid() != self.process:
            raise RuntimeError("a connection of somebody else")
        super().put(name, data)


class _HangsInChildren(_DiesInChildren):
    def put(self, name: str, data: bytes) -> None:
        if os.getpid() != self.process:
            threading.Event().wait()
        super().put(name, data)


class _OpensAtOnce(DictStorage):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.connection = open(os.devnull, "rb")  # noqa: SIM115

    def __del__(self) -> None:
        self.connection.close()


class _ShowsItsPassword(DictStorage):
    def __init__(self, url: str) -> None:
        super().__init__(f"dict://user:swordfish@{url.removeprefix('dict://')}")


class _TellsItsPassword(DictStorage):
    def get(self, name: str) -> bytes:
        try:
            return super().get(name)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{name}, asked for by user:swordfish") from error


class _TellsItsPasswordByItsCause(DictStorage):
    def stat(self, name: str) -> Entry:
        try:
            if name not in self.objects:
                raise KeyError("swordfish")
        except KeyError as error:
            raise FileNotFoundError(name) from error
        return super().stat(name)


class _LogsItsPassword(DictStorage):
    def put(self, name: str, data: bytes) -> None:
        import logging

        logging.getLogger("persistable").debug("logged in with swordfish")
        super().put(name, data)


class _BuriesItsDead(DictStorage):
    """What was deleted cannot be created any more."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.dead: set[str] = set()

    def delete(self, name: str) -> None:
        super().delete(name)
        self.dead.add(name)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return name not in self.dead and super().put_if_absent(name, data)


class _MakesMissingFilesEmpty(DictStorage):
    def put_file(self, name: str, path: str) -> None:
        if not os.path.exists(path):
            self.put(name, b"")
            raise FileNotFoundError(path)
        super().put_file(name, path)


class _IsNotFound(_Unreachable):
    error = staticmethod(lambda **_: FileNotFoundError("no such host"))


class _IsRefused(_Unreachable):
    error = staticmethod(lambda **_: ConnectionRefusedError("refused"))


class _NamesNoPlace(_Unreachable):
    error = staticmethod(lambda **_: StorageConnectionError(url="", operation="get"))


class _NamesNoOperation(_Unreachable):
    error = staticmethod(lambda **named: StorageConnectionError(url=named["url"], operation=""))


class _TellsAReason(_Unreachable):
    error = staticmethod(lambda **named: StorageConnectionError(**(named | {"reason": "user:swordfish refused"})))


class _CallsAtOnce(_Unreachable):
    def __init__(self) -> None:
        super().__init__()
        self.get("any")


@pytest.fixture
def broken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., set[str]]:
    """Return a function that runs a suite, or some of it, without pytest and returns the tests that fail."""

    def run(wrong: type[Storage], only: str = "", tests: StorageTests | None = None) -> set[str]:
        tests, failed = tests or SmallTests(), set()
        gone = issubclass(wrong, _Unreachable)
        for name in [name for name in dir(tests) if name.startswith(f"test_{only}")]:
            here = tmp_path / f"{wrong.__name__}-{name}"
            here.mkdir()
            place = str(here / "place") if issubclass(wrong, LocalStorage) else new_url()
            given = {
                "place": (lambda: DictStorage(new_url())) if gone else lambda place=place: wrong(place),
                "unreachable": wrong if gone else _Unreachable,
                "tmp_path": here / "scratch",
                "caplog": caplog,
            }
            given["tmp_path"].mkdir()
            test = getattr(tests, name)
            wanted = test.__code__.co_varnames[1 : test.__code__.co_argcount]
            for error in (OSError(5, "Input/output error"), KeyboardInterrupt()) if "error" in wanted else [None]:
                try:
                    test(**{name: (given | {"error": error, "after": 100_000})[name] for name in wanted})
                except (Exception, pytest.fail.Exception):  # noqa: BLE001 - as pytest does
                    failed.add(name.removeprefix("test_"))
                except pytest.skip.Exception:
                    pass
        return failed

    return run


def test_a_storage_that_keeps_its_promises_passes(broken: Callable[..., set[str]]) -> None:
    """No test of the suite fails for a right storage, however small the suite is made."""
    small = {"memory": DoesNotApply("a dict"), "survives_fork": NOT_SHARED, "examples": 10}
    tests = type("Tests", (SmallTests,), small)()
    assert broken(DictStorage, tests=tests) == set()
    assert broken(_Unreachable, "place_that_cannot_be_reached") == set()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals are sent to threads of POSIX systems")
def test_an_interrupt_that_leaves_a_file_open_is_no_failure(tmp_path: Path) -> None:
    """Ctrl-C between ``open`` and the ``with`` that was to close the file says nothing about a storage."""

    def call() -> None:
        file = (tmp_path / "file").open("wb")
        time.sleep(10)
        file.close()

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert interrupted(call, 0.02)
        gc.collect()
    assert seen == []


@pytest.mark.parametrize(
    ("wrong", "noticed"),
    [
        (_ReadsText, "object_comes_back_as_it_was_put"),
        (_ReturnsBuffers, "object_comes_back_as_it_was_put"),
        (_TakesEmptyForMissing, "empty_object_is_an_object"),
        (_LeavesTheEndOfTheOld, "object_is_replaced"),
        (_TellsMilliseconds, "entry_says_the_same_from_stat_and_list"),
        (_ListsRelativeNames, "entry_says_the_same_from_stat_and_list"),
        (_ListsOldVersions, "entry_says_the_same_from_stat_and_list"),
        (_DeletesNothing, "deleted_object_is_gone"),
        (_DeletesByPrefix, "deleted_object_is_gone"),
        (_GivesNothingForMissing, "unknown_object_is_file_not_found"),
        (_RaisesKeyErrors, "unknown_object_is_file_not_found"),
        (_MindsDeletingTheMissing, "unknown_object_is_file_not_found"),
        (_MindsMatchingTheMissing, "unknown_object_is_file_not_found"),
        (_MindsListingTheMissing, "unknown_object_is_file_not_found"),
        (_Normalises, "odd_names_are_kept_as_they_are"),
        (_FoldsCase, "odd_names_are_kept_as_they_are"),
        (_Unquotes, "odd_names_are_kept_as_they_are"),
        (_TakesPlusForSpace, "odd_names_are_kept_as_they_are"),
        (_CutsAtFragments, "odd_names_are_kept_as_they_are"),
        (_CutsLongNames, "odd_names_are_kept_as_they_are"),
        (_StripsDots, "odd_names_are_kept_as_they_are"),
        (_ExpandsTheHome, "odd_names_are_kept_as_they_are"),
        (_LosesHiddenNames, "odd_names_are_kept_as_they_are"),
        (_QuotesFetchedNames, "odd_names_are_kept_as_they_are"),
        (_ListsByPrefix, "folder_lists_what_is_below_it_alone"),
        (_ListsOneLevel, "folder_lists_what_is_below_it_alone"),
        (_ListsTheFirstPage, "many_objects_are_listed_once_each"),
        (_RepeatsTheEndOfPages, "many_objects_are_listed_once_each"),
        (_PagesByOffset, "many_objects_are_listed_once_each"),
        (_ListsAllAtOnce, "many_objects_are_listed_once_each"),
        (_SharesOneCursor, "many_objects_are_listed_once_each"),
        (_IgnoresAbsence, "put_if_absent_is_as_declared"),
        (_OverwritesAndSaysNo, "put_if_absent_is_as_declared"),
        (_DeclaresNoConditions, "put_if_absent_is_as_declared"),
        (_LooksThenCreates, "one_of_many_creates"),
        (_CreatesWithALockOfItsOwn, "one_of_many_creates"),
        (_IgnoresVersions, "put_if_match_is_as_declared"),
        (_ReplacesWhatIsGone, "put_if_match_is_as_declared"),
        (_HasNoVersions, "put_if_match_is_as_declared"),
        (_DeclaresNoConditions, "put_if_match_is_as_declared"),
        (_LooksThenReplaces, "one_of_many_replaces"),
        (_VersionsAreSizes, "version_is_another_after_every_put"),
        (_VersionsAreContents, "version_is_another_after_every_put"),
        (_DeclaresNumbers, "capabilities_are_declared"),
        (_DeclaresPaths, "capabilities_are_declared"),
        (_WritesInTwoHalves, "replacing_is_atomic_if_declared"),
        (_DeletesBeforeItReplaces, "replacing_is_atomic_if_declared"),
        (_DeclaresLocks, "lock_is_as_declared"),
        (_LocksNobodyOut, "lock_is_as_declared"),
        (_LocksInSecret, "lock_is_as_declared"),
        (_TruncatesBeforeItDeletes, "open_files_survive_deletion_if_declared"),
        (_LeavesItsProof, "prepare_proves_and_leaves_nothing"),
        (_ReadsFilesWhole, "large_object_comes_back"),
        (_FetchesRangesInDisorder, "large_object_comes_back"),
        (_LosesTheLastRange, "large_object_comes_back"),
        (_FetchesAll, "fetch_never_writes_more_than_expected"),
        (_FetchesOverOthers, "fetch_creates_its_file"),
        (_UploadsInPieces, "failing_upload_leaves_the_old_object"),
        (_LeavesParts, "failing_upload_leaves_the_old_object"),
        (_SwallowsReadErrors, "failing_upload_leaves_the_old_object"),
        (_SwallowsInterrupts, "failing_upload_leaves_the_old_object"),
        (_MakesMissingFilesEmpty, "missing_local_file_leaves_the_old_object"),
        (_UploadsInPieces, "interrupted_upload_leaves_the_old_object_or_the_new"),
        (_Remembers, "clients_see_each_others_writes_at_once"),
        (_RemembersAbsence, "clients_see_each_others_writes_at_once"),
        (_HasOneConnection, "threads_share_a_storage"),
        (_DiesInChildren, "storage_survives_a_fork"),
        (_HangsInChildren, "storage_survives_a_fork"),
        (_OpensAtOnce, "making_a_storage_touches_nothing"),
        (_CallsAtOnce, "making_a_storage_touches_nothing"),
        (_ShowsItsPassword, "no_credential_shows"),
        (_TellsItsPassword, "no_credential_shows"),
        (_TellsItsPasswordByItsCause, "no_credential_shows"),
        (_LogsItsPassword, "no_credential_shows"),
        (_IsNotFound, "place_that_cannot_be_reached_is_a_storage_error"),
        (_IsRefused, "place_that_cannot_be_reached_is_a_storage_error"),
        (_NamesNoPlace, "place_that_cannot_be_reached_is_a_storage_error"),
        (_NamesNoOperation, "place_that_cannot_be_reached_is_a_storage_error"),
        (_TellsAReason, "place_that_cannot_be_reached_is_a_storage_error"),
        (_BuriesItsDead, "storage_behaves_like_a_dict"),
        (_ListsByPrefix, "storage_behaves_like_a_dict"),
    ],
)
def test_a_broken_promise_is_noticed(broken: Callable[..., set[str]], wrong: type[Storage], noticed: str) -> None:
    """For every promise there is a storage that breaks it, and the test of that promise fails."""
    declared: dict[str, Any] = {"memory": DoesNotApply("objects are kept in this process")}
    if issubclass(wrong, LocalStorage):  # less than this is lost among what the process has anyway
        declared = {"memory": 24_000_000, "large": 40_000_000}
    assert noticed in broken(wrong, noticed, type("WrongTests", (SmallTests,), declared)())
