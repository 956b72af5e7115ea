"""The event loop of all SFTP connections of a process, in a thread of its own that starts when it is first needed.

Callers are ordinary threads that wait for a coroutine. A forked child starts a loop of its own: what belongs to its
parent's is left untouched there, because closing it would speak on the parent's connections.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["StoppedError", "current", "run"]

ResultT = TypeVar("ResultT")

_PATIENCE = 5.0  # seconds for an interrupted call to clean up, and for all connections to close at exit


class StoppedError(Exception):
    """Carry a KeyboardInterrupt or SystemExit, as its cause, through the event loop, which would end by it."""


class _Loop:
    """A running event loop."""

    def __init__(self) -> None:
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(started,), name="persistable-sftp", daemon=True)
        self._thread.start()
        started.result()

    def _serve(self, started: Future[None]) -> None:
        async def serve() -> None:
            self.loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
            started.set_result(None)
            await self._stopped.wait()

        asyncio.run(serve())  # at its end all tasks are cancelled, which closes their connections

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_PATIENCE)


_guard = threading.Lock()
_running: _Loop | None = None
_left: list[_Loop] = []  # by forked children: kept, so that nothing of it is closed by being collected


def current() -> asyncio.AbstractEventLoop | None:
    """Return the loop of this process, if it is running."""
    running = _running
    return None if running is None else running.loop


def run(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine on the loop and return its result.

    If the caller is interrupted (Ctrl-C), the coroutine is cancelled, and has some seconds to clean up.
    """
    ended = threading.Event()

    async def watched() -> ResultT:
        try:
            return await coroutine
        finally:
            ended.set()

    answer = asyncio.run_coroutine_threadsafe(watched(), _started())
    try:
        return answer.result()
    except StoppedError as stopped:
        raise stopped.__cause__ or stopped from None
    except BaseException:
        if answer.cancel():
            ended.wait(_PATIENCE)
        raise


def _started() -> asyncio.AbstractEventLoop:
    global _running
    with _guard:
        if _running is None:
            _running = _Loop()
        return _running.loop


def _stop() -> None:
    global _running
    running, _running = _running, None
    if running is not None:
        running.stop()


def _forget() -> None:
    global _guard, _running
    _guard = threading.Lock()  # another thread may have held it
    if _running is not None:
        _left.append(_running)
    _running = None


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
