"""Storages in forked children. obstore's threads do not survive a fork: any call in the child would hang for ever.

So in a child of a process that has used obstore, calls are passed on to another process that was not forked from it.
Each such process serves one call at a time; as many are started as there are threads that call at once. They end with
the child.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from persistable.exceptions import StorageConnectionError, UnsupportedOperationError

__all__ = ["Delegate", "is_needed", "serve"]

_PROGRAM = "from persistable_obstore.forked import serve; serve()"

_inherited = False  # whether this process was forked from one that had obstore
_delegates: list[_Process] = []  # all that this process has started


def is_needed() -> bool:
    """Whether this process cannot use obstore itself."""
    return _inherited


def _note_fork() -> None:
    global _inherited
    _inherited = "obstore" in sys.modules
    for process in _delegates:
        process.forget()
    _delegates.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


class Delegate:
    """Make a storage's calls in other processes. ``url`` and ``options`` are what the storage was made from."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._url, self._options = url, options
        self._owner = os.getpid()
        self._free: list[_Process] = []
        self._lock = threading.Lock()

    @property
    def is_mine(self) -> bool:
        """Whether it was made by this process, not by the one that this was forked from."""
        return self._owner == os.getpid()

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the storage, and return or raise what it does."""
        with self._lock:
            process = self._free.pop() if self._free else None
        if process is None:
            process = _Process(self._url, self._options)
        succeeded, result = process.call(method, arguments, named)
        with self._lock:
            self._free.append(process)
        if succeeded:
            return result
        raise result


class _Process:
    """One process that makes calls."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._url = url
        try:
            made = pickle.dumps((url, dict(options)))
        except Exception as error:
            raise UnsupportedOperationError(
                url=url,
                operation="fork",
                reason="a forked child cannot use obstore, and these storage_options cannot be pickled for another "
                "process; start processes with multiprocessing's 'spawn' or 'forkserver'",
            ) from error
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and a program of ours
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C comes from here, so that it can clean up
        )
        _delegates.append(self)
        self._input.write(made)
        self._input.flush()

    @property
    def _input(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    @property
    def _output(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    def call(self, method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[bool, Any]:
        """Return whether a call succeeded, and what it returned or raised."""
        try:
            pickle.dump((method, arguments, named), self._input)
            self._input.flush()
            return pickle.load(self._output)  # type: ignore[no-any-return]
        except (EOFError, OSError) as error:
            raise StorageConnectionError(
                url=self._url, operation=method, reason="the process that makes calls for this forked child ended"
            ) from error
        except BaseException:
            with contextlib.suppress(Exception):  # it has until then to leave nothing behind
                self._process.send_signal(signal.SIGINT)
                pickle.load(self._output)
            self.close()
            raise

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._input.close()
            self._output.close()
        self._process.wait()

    def forget(self) -> None:
        """Leave it to the process that this one was forked from."""
        self._process.returncode = 0  # or its destructor would wait for it, and warn


def serve() -> None:
    """Make the calls that come on standard input, until it ends."""
    from persistable_obstore.storage import ObjectStorage

    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nobody else writes there
    requests = sys.stdin.buffer
    url, options = pickle.load(requests)
    storage = ObjectStorage(url, **options)
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            method, arguments, named = pickle.load(requests)
            _reply(replies, _outcome(functools.partial(getattr(storage, method), *arguments, **named)))


def _outcome(call: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        result = call()
        return True, list(result) if hasattr(result, "__next__") else result
    except BaseException as error:  # noqa: BLE001 - raised where it was called from
        return False, error


def _reply(replies: BinaryIO, outcome: tuple[bool, Any]) -> None:
    try:
        said = pickle.dumps(outcome)
    except Exception:  # noqa: BLE001 - whatever an error may hold
        said = pickle.dumps((False, RuntimeError(str(outcome[1]))))
    replies.write(said)
    replies.flush()
