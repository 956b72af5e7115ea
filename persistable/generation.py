"""Which keys are being generated at the moment: by whoever asks, and by any thread of this process.

Whoever asks for a payload within its own generation would wait for ever. A generation is known to what runs in its
context: its own thread, coroutines, tasks, and threads that were given a copy of it. A thread that was simply started
knows nothing of its ancestors, and may as well be an innocent that had better wait; so of these it can only be told
who generates here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

__all__ = ["Generation", "is_within", "thread_generating", "within"]

T = TypeVar("T")


class Generation(NamedTuple):
    """What one generation at a time is of: a key, and the folder where its artifact is to be."""

    key: str
    location: str

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Generation)
            and self.key == other.key
            and (self.location == other.location or _real(self.location) == _real(other.location))
        )

    def __ne__(self, other: object) -> bool:  # a tuple has its own
        return not self == other

    def __hash__(self) -> int:
        return hash(self.key)


_above: ContextVar[tuple[Generation, ...]] = ContextVar("persistable_generating", default=())
_running: dict[int, tuple[int, Generation]] = {}  # thread and generation, by the id of who lets it be known


def _real(location: str) -> str:
    return location if "://" in location else os.path.realpath(location)


def is_within(generation: Generation) -> bool:
    """Whether this is called, in whatever depth, by that very generation."""
    return generation in _above.get()


def within(generation: Generation, work: Callable[[], T]) -> T:
    """Do work that is to be known as this generation; return what it returns.

    It is no context manager because an interrupt may arrive as one of those is entered or left, and would have the key
    be generated for ever.
    """
    above, mark = _above.get(), object()
    try:
        _above.set((*above, generation))
        _running[id(mark)] = threading.get_ident(), generation
        return work()
    finally:
        try:
            _leave(mark, above)
        except BaseException:  # an interrupt that came as this began
            _leave(mark, above)
            raise


def _leave(mark: object, above: tuple[Generation, ...]) -> None:
    _above.set(above)
    _running.pop(id(mark), None)


def thread_generating(generation: Generation) -> str | None:
    """Return the name of the thread of this process that generates it at the moment; None if there is none."""
    threads = {thread for thread, running in list(_running.values()) if running == generation}
    return next((thread.name for thread in threading.enumerate() if thread.ident in threads), None)


def _forget() -> None:
    """In a forked child the other threads are gone; what its one thread is within, its context knows."""
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
