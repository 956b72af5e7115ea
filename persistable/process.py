"""This process and others: where it runs, and whether one is still alive."""

from __future__ import annotations

import functools
import os

__all__ = ["alive", "here", "me"]


def alive(process: int) -> bool:
    """Whether a process of this machine is still running; one that belongs to somebody else is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # one that has ended stays until its parent asks for it
            return not file.read().rpartition(b") ")[2].startswith((b"Z", b"X"))
    except OSError:
        return True


@functools.lru_cache(maxsize=1)
def here() -> str:
    """Return what the process ids of this machine (or container) have in common: name, boot and pid namespace.

    Names alone do not tell machines apart, and the first namespace has the same number on all of them.
    """
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{name}-{file.read().strip()}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return name


def me() -> str:
    """Return ``pid@host``."""
    import socket

    return f"{os.getpid()}@{socket.gethostname()}"
