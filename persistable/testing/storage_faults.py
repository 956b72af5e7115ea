"""What can happen while a storage works, for StorageTests: files that cannot be read, interrupts, forks."""

from __future__ import annotations

import builtins
import contextlib
import errno
import gc
import io
import os
import signal
import threading
import time
import traceback
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

__all__ = ["Peak", "at_once", "descriptors", "failing_reads", "failure", "in_child", "interrupted", "measured_memory"]

T = TypeVar("T")

_LOOK = 0.002  # seconds between two looks at the memory of this process


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run calls in a thread each, all started at the same moment; return their results, or raise the first error."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def failure(call: Callable[[], object]) -> BaseException | None:
    """Return the error that a call ends with, or None."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - which it is, is the question
        return error
    return None


class _FailingFile(io.BufferedReader):
    """A file that cannot be read beyond some bytes."""

    def __init__(self, path: str, after: int, error: BaseException, tripped: list[bool]) -> None:
        super().__init__(io.FileIO(path))
        self._left, self._error, self._tripped = after, error, tripped

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            self._tripped.append(True)
            raise self._error

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._take(len(data))
        return data

    def read1(self, size: int = -1, /) -> bytes:
        data = super().read1(size)
        self._take(len(data))
        return data

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self._take(count)
        return count

    def readinto1(self, buffer: Any, /) -> int:
        count = super().readinto1(buffer)
        self._take(count)
        return count


@contextlib.contextmanager
def failing_reads(path: str, after: int, error: BaseException) -> Iterator[list[bool]]:
    """Have a file that is opened by ``open`` raise an error once so many bytes are read; tell whether it did."""
    tripped: list[bool] = []
    real = builtins.open

    def fake(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        named = isinstance(file, str | os.PathLike) and os.fspath(file) == path
        if named and mode == "rb":
            return _FailingFile(path, after, error, tripped)
        return real(file, mode, *arguments, **options)

    def by_its_methods(*_: Any) -> int:
        raise OSError(errno.ENOTSUP, "this file is read by its methods only")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", fake)
        patch.setattr(io, "open", fake)
        patch.setattr(os, "sendfile", by_its_methods, raising=False)
        yield tripped


def interrupted(call: Callable[[], object], after: float) -> bool:
    """Run a call and interrupt it, as Ctrl-C does, when it takes longer than ``after`` seconds; return whether it did.

    Has to run in the main thread. A file that the interrupt left open, because it came between ``open`` and the
    ``with`` that was to close it, is closed here, and no warning says so: nobody can prevent that.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
        stopped = _interrupted(call, after)
        gc.collect()
    return stopped


def _interrupted(call: Callable[[], object], after: float) -> bool:
    done, main = threading.Event(), threading.main_thread().ident or 0

    def send() -> None:
        if not done.wait(after):
            signal.pthread_kill(main, signal.SIGINT)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=send, daemon=True)
    try:
        try:
            thread.start()
            call()
        finally:
            done.set()
            thread.join()
            for _ in range(8):  # a signal that came during the join is noticed here at the latest
                pass
    except KeyboardInterrupt:
        return True
    finally:
        signal.signal(signal.SIGINT, previous)
    return False


def in_child(call: Callable[[], object], patience: float) -> Callable[[], str | None]:
    """Fork, and run a call in the child; return a function that waits for it and says what went wrong, or None."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads are about: whether that works is the question
        child = os.fork()
    if child == 0:
        text = "it ended without a word"
        try:
            call()
            text = ""
        except BaseException:  # noqa: BLE001 - told to the parent
            text = traceback.format_exc()
        finally:
            os.write(write, b"!" + text.encode("utf-8", "replace")[:60_000])
            os._exit(0)  # nothing of the test run goes on here
    os.close(write)

    def outcome() -> str | None:
        deadline = time.monotonic() + patience
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                os.close(read)
                return f"the child hangs: it was ended after {patience:g} s"
            time.sleep(0.01)
        with open(read, "rb") as pipe:
            said = pipe.read()
        return said[1:].decode() or None if said.startswith(b"!") else "the child died"

    return outcome


class Peak:
    """How many bytes the process has grown by at most; known when the block is left."""

    bytes: int = 0


@contextlib.contextmanager
def measured_memory() -> Iterator[Peak]:
    """Measure the growth of this process by a block: all memory on Linux, that of Python objects elsewhere."""
    peak = Peak()
    if not os.path.exists("/proc/self/statm"):
        tracemalloc.start()
        try:
            yield peak
        finally:
            peak.bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return
    _give_back()
    before, done = _resident(), threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK):
            peak.bytes = max(peak.bytes, _resident() - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        peak.bytes = max(peak.bytes, _resident() - before)


def _give_back() -> None:
    """Return freed memory to the system, which would otherwise be used again without a trace."""
    import ctypes
    import gc

    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # of glibc
        ctypes.CDLL(None).malloc_trim(0)


def _resident() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """Return how many files and connections this process has open, where the system tells (else 0)."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
