"""This process and others: where it runs, and whether one is still alive."""

from __future__ import annotations

import functools
import os

from persistable.naming import host

__all__ = ["alive", "here", "me"]


def alive(process: int) -> bool:
    """Whether a process of this machine is still there; one that belongs to somebody else is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@functools.lru_cache(maxsize=1)
def here() -> str:
    """Return what the process ids of this machine (or container) have in common: its name and its pid namespace."""
    try:
        return f"{host()}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return host()


def me() -> str:
    """Return ``pid@host``."""
    import socket

    return f"{os.getpid()}@{socket.gethostname()}"
