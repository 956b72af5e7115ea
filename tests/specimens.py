"""What the tests of the store share: persistables to try it with, children to try it in, looks at a folder."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import pkgutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import persistable
from persistable import ArtifactStore, Persistable, PersistableParams

NOBODY = 65534
ROOT = os.getuid() == 0


@dataclass
class BlobParams(PersistableParams):
    """Params of a blob."""

    n: int = 1


class BlobP(Persistable[Any, BlobParams]):
    """A payload that the caller names, so that two generations under one key can be told apart."""

    def _generate_payload(self, value: Any = b"generated", **untracked: Any) -> Any:
        return value() if callable(value) else value


class OtherP(Persistable[Any, BlobParams]):
    """Another class, for artifacts that are foreign to BlobP."""

    def _generate_payload(self, **untracked: Any) -> Any:
        return f"other {self.params.n}"


def blob(store: Any, n: int = 1, *, upstream: bool = False, **options: Any) -> BlobP:
    """Return a new blob; with an upstream node that gives it a lineage file, if asked."""
    dependencies = [OtherP(store, BlobParams(n))] if upstream else None
    options.setdefault("payload_name", "blob")
    return BlobP(store, BlobParams(n), dependencies, **options)


def stored(store: Any, value: Any = b"old", **options: Any) -> BlobP:
    """Return a blob whose payload has been generated and persisted."""
    made = blob(store, **options)
    made.generate(value=value)
    return made


def loaded(store: Any, **options: Any) -> Any:
    """Return the payload that a fresh object loads."""
    fresh = blob(store, **options)
    fresh.load()
    return fresh.payload


def fast(location: Any, **settings: Any) -> ArtifactStore:
    """Return a store that does not wait for the disk, nor for ever."""
    return ArtifactStore(location, **({"durability": "fast", "lock_timeout": 30.0} | settings))


def files(root: Any) -> dict[str, bytes]:
    """Return the content of every file below a folder, by path; links and pipes by what they are."""
    found: dict[str, bytes] = {}
    for current, folders, names in os.walk(root):
        for name in [*names, *(folder for folder in folders if os.path.islink(f"{current}/{folder}"))]:
            path = f"{current}/{name}"
            relative = os.path.relpath(path, root)
            if os.path.islink(path):
                found[relative] = b"-> " + os.fsencode(os.readlink(path))
            elif os.path.isfile(path):
                with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                    found[relative] = file.read()
            else:
                found[relative] = b"special"
    return found


def temps(root: Any) -> list[str]:
    """Return the paths of staged files and folders below a root, at any depth."""
    return [
        f"{current}/{name}"
        for current, folders, names in os.walk(root)
        for name in names + folders
        if name.startswith(".tmp-")
    ]


def artifact_files(root: Any) -> dict[str, bytes]:
    """Return the files of a store without its log and its locks."""
    return {
        path: content
        for path, content in files(root).items()
        if os.path.basename(path) != "log.txt" and not os.path.basename(path).startswith(".lock")
    }


def become_nobody() -> None:
    """Drop the privileges of root for good, once everything is imported that somebody else may not be able to read."""
    for module in pkgutil.iter_modules(persistable.__path__, "persistable."):
        if not module.ispkg and module.name != "persistable.__main__":
            importlib.import_module(module.name)
    importlib.import_module("concurrent.futures.thread")
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def fork() -> int:
    """Fork; Python 3.12 warns where a library has started threads, which the children here make no use of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def spawn(work: Callable[[], Any], *, uid: int | None = None) -> tuple[int, int]:
    """Run work in a forked child, as another user if given; return its id and the pipe of its outcome."""
    reader, writer = os.pipe()
    process = fork()
    if process:
        os.close(writer)
        return process, reader
    status = 1
    try:
        os.close(reader)
        if uid is not None and os.getuid() == 0:
            become_nobody()
        try:
            outcome = True, work()
        except BaseException as error:  # noqa: BLE001 - reported to the parent
            error.add_note(traceback.format_exc())
            outcome = False, error
        with open(writer, "wb") as pipe:
            pickle.dump(outcome, pipe)
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


def outcome_of(child: tuple[int, int]) -> Any:
    """Wait for a spawned child; return what its work returned, or raise what it raised."""
    process, reader = child
    with open(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(process, 0)
    assert data, "the child died without an outcome"
    succeeded, outcome = pickle.loads(data)
    if succeeded:
        return outcome
    raise outcome


def in_child(work: Callable[[], Any], *, uid: int | None = None) -> Any:
    """Run work in a forked child, as another user if given; return its outcome."""
    return outcome_of(spawn(work, uid=uid))


def unprivileged(work: Callable[[], Any]) -> Any:
    """Run work as somebody whom permissions bind: in a child of root's, or right here."""
    return in_child(work, uid=NOBODY)


def environment() -> dict[str, str]:
    """Return the environment of a new interpreter that imports what this one does."""
    path = [os.path.dirname(os.path.dirname(persistable.__file__)), os.path.dirname(__file__)]
    given = os.environ.get("PYTHONPATH")
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(path + ([given] if given else []))}


def kill(process: int) -> None:
    """Kill a child and wait for its death."""
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something to become true and return it; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError("it did not come true")


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the umask for a while."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
