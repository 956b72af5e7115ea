"""This process and others: where it runs, and whether one is still alive."""

from __future__ import annotations

import functools
import os

__all__ = ["alive", "here", "me", "started"]


def alive(process: int, since: int | None = None) -> bool:
    """Whether a process of this machine is still running; one that belongs to somebody else is.

    With ``since``, when it was started, it has to be that very process, and not a later one that got its id.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    state, start = _stat(process)
    # one that has ended stays until its parent asks for it
    return state not in ("Z", "X") and (since is None or start is None or since == start)


def started(process: int) -> int | None:
    """Return when a process was started, in ticks since this machine was; None where the system does not say."""
    return _stat(process)[1]


def _stat(process: int) -> tuple[str, int | None]:
    """Return state and start of a process, as far as the system tells. Source: proc_pid_stat(5)."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()  # its name may hold anything
        return fields[0].decode("ascii"), int(fields[19])
    except (OSError, ValueError, IndexError):
        return "", None


@functools.lru_cache(maxsize=1)
def here() -> str:
    """Return what the process ids of this machine (or container) have in common: name, boot, pid and time namespace.

    Names alone do not tell machines apart, and the first namespaces have the same numbers on all of them.
    """
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        place = f"{name}-{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
        clock = "/proc/self/ns/time"  # since Linux 5.6: in another one processes were started at other times
        return f"{place}-{os.stat(clock).st_ino}" if os.path.exists(clock) else place
    except OSError:
        return name


def me() -> str:
    """Return ``pid@host``."""
    import socket

    return f"{os.getpid()}@{socket.gethostname()}"
