"""The filesystem behind a storage: one per process, and one per thread where its client is not made for threads.

fsspec runs asynchronous filesystems on an event loop in a thread of its own. A forked child has no such thread, so that
it needs a filesystem of its own; and a call that is interrupted goes on in that thread unless it is ended there.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

__all__ = ["Connection", "call", "complete", "finish"]

_PATIENCE = 30.0  # seconds until a call that is to end has ended


class Connection:
    """Make a filesystem where there is none yet.

    Attributes:
        make: called without arguments, it returns a filesystem that nobody else has.
        close: closes one that ``make`` made, where it does not do so by itself.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        *,
        shared: bool,
        close: Callable[[Any], object] | None = None,
        given: Any = None,
    ) -> None:
        self.make, self._shared = make, shared  # whether threads may share one
        # Those of a parent process stay here: closed in its child, they would close what the parent still uses.
        self._made: dict[tuple[int, int], Any] = {}
        self._own = threading.local()
        if given is not None:
            self._keep(given)
        elif close is not None:  # in a cycle of garbage a finalizer of its own might come after those of its sockets
            weakref.finalize(self, _close_own, self._made, close)

    def filesystem(self) -> Any:
        """Return the filesystem for this process and thread."""
        found = self._made.get((os.getpid(), 0)) or getattr(self._own, "made", {}).get(os.getpid())
        return self._keep(self.make()) if found is None else found

    def _keep(self, fs: Any) -> Any:
        if self._shared or fs.async_impl:
            return self._made.setdefault((os.getpid(), 0), fs)
        if not hasattr(self._own, "made"):
            self._own.made = {}
        return self._own.made.setdefault(os.getpid(), fs)


def _close_own(made: Mapping[tuple[int, int], Any], close: Callable[[Any], object]) -> None:
    for (process, _), fs in made.items():
        if process == os.getpid():
            close(fs)


def complete(work: Callable[[], object]) -> None:
    """Run a call to its end; an interrupt that comes meanwhile comes out after that."""
    errors = list[BaseException]()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised where it was called
            errors.append(error)

    thread = threading.Thread(target=run, name="persistable-fsspec")
    thread.start()
    interrupts = list[BaseException]()
    while thread.is_alive():
        try:
            thread.join()
        except BaseException as error:  # noqa: BLE001 - raised as soon as it may be
            interrupts.append(error)
    for found in (*interrupts, *errors):
        raise found


def call(fs: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """Call a method of a filesystem; if that is interrupted, it has ended when the interrupt comes out."""
    if not fs.async_impl:
        return getattr(fs, method)(*arguments, **options)
    return finish(fs, getattr(fs, f"_{method}")(*arguments, **options))


def finish(fs: Any, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on the loop of an asynchronous filesystem; if that is interrupted, cancel it and wait."""
    ended, outcome = threading.Event(), list[Any]()

    async def run() -> None:
        try:
            outcome.append((await coroutine, None))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised where it was called; here it would end fsspec's thread
            outcome.append((None, error))
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(run(), fs.loop)
    try:
        ended.wait()
    except BaseException:
        future.cancel()
        ended.wait(_PATIENCE)
        raise
    result, error = outcome[0] if outcome else (None, ConnectionAbortedError("the call was cancelled"))
    if error is not None:
        raise error
    return result
