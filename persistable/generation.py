"""Which keys are being generated at the moment: by whoever asks, and by any thread of this process.

Whoever asks for a payload within its own generation would wait for ever. A generation is known to what runs in its
context: its own thread, coroutines, tasks, and threads that were given a copy of it. A thread that was simply started
knows nothing of its ancestors, and may as well be an innocent that had better wait; so of these it can only be told
who generates here.
"""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["Generation", "generating", "is_within", "thread_generating"]


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


class generating:  # noqa: N801 - a context manager, read as a word between with and a colon
    """Let it be known what is generated here."""

    __slots__ = ("_generation", "_mark")

    def __init__(self, generation: Generation) -> None:
        self._generation = generation

    def __enter__(self) -> None:
        self._mark = _above.set((*_above.get(), self._generation))
        _running[id(self)] = threading.get_ident(), self._generation

    def __exit__(self, *_: object) -> None:
        _running.pop(id(self), None)
        _above.reset(self._mark)


def thread_generating(generation: Generation) -> str | None:
    """Return the name of the thread of this process that generates it at the moment; None if there is none."""
    threads = {thread for thread, running in list(_running.values()) if running == generation}
    return next((thread.name for thread in threading.enumerate() if thread.ident in threads), None)


def _forget() -> None:
    """In a forked child the other threads are gone; what its one thread is within, its context knows."""
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
