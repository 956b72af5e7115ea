"""Judge what a file declares of its size, before anything is allocated for it. For formats that run no code.

There are two questions, and a format asks both once it has read its header or footer:

- Is it what was recorded? ``compare`` holds the sizes that the file declares against those that the format returned as
  metadata when it was saved. Records of older versions lack some or all of them: what is not there is not compared.
- Is it believable? Somebody who can forge the file may be able to forge the record, and files without one are read as
  well. So ``require_memory`` refuses what takes more than 16 times the file's bytes and also more memory than there is.
  Either alone is ordinary: constant columns shrink a thousandfold, and a payload as large as its file is no surprise.

What no header tells shows only when the memory runs out; ``refusing`` then says the same of a file that is small.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from persistable.exceptions import DeclaredSizeError

__all__ = ["EXPANSION", "available_memory", "compare", "exceeds_memory", "refusing", "require_memory"]

EXPANSION = 16  # bytes in memory for a byte of the file; text and ordinary compression make less of most data
_GROUP = Path("/sys/fs/cgroup")  # of the processes in this container


def compare(format: str, declared: Mapping[str, int], recorded: Mapping[str, Any]) -> None:
    """Compare the sizes that a file declares with those of the same names in its record, where it has them.

    Raises:
        DeclaredSizeError: one of them differs, so this is not the file that was saved.
    """
    for name, size in declared.items():
        if recorded.get(name, size) != size:
            raise DeclaredSizeError(
                format=format,
                declared=size,
                what=name.replace("_", " "),
                reason=f"the record says {recorded[name]}: it is another file",
            )


def require_memory(format: str, declared: int, *, stored: int) -> None:
    """Refuse a payload that needs more memory than there is, though its file is small.

    Args:
        format: name of the format, for the error.
        declared: bytes that the payload takes in memory at least, as its file declares.
        stored: bytes of the file.

    Raises:
        DeclaredSizeError: both limits are exceeded.
    """
    if exceeds_memory(declared, stored=stored):
        raise DeclaredSizeError(
            format=format,
            declared=declared,
            what="bytes in memory",
            reason=(
                f"it has {stored} bytes itself, and there is memory for {available_memory()}: it is damaged, or made "
                "to exhaust them"
            ),
        )


def exceeds_memory(declared: int, *, stored: int) -> bool:
    """Say whether ``require_memory`` would refuse."""
    return declared > EXPANSION * stored and declared > available_memory()


@contextlib.contextmanager
def refusing(format: str, *, stored: int) -> Iterator[None]:
    """Turn a lack of memory while a file is read into a refusal, if 16 times the file's bytes would have fitted.

    Raises:
        DeclaredSizeError: the memory did not suffice, so the file declares out of all proportion to its size.
        MemoryError: it did not suffice, and the file is large.
    """
    try:
        yield
    except MemoryError as error:
        if EXPANSION * stored >= available_memory():
            raise
        raise DeclaredSizeError(
            format=format,
            declared=EXPANSION * stored,
            what="bytes in memory or more",
            reason=(
                f"it has {stored} bytes itself, and the memory ran out while it was read: it is damaged, or made to "
                "exhaust it"
            ),
        ) from error


def available_memory() -> int:
    """Return about how many bytes this process can still allocate: the least of what its system, group and limits say.

    Swap counts. Where nothing is known (no ``/proc``), all of the machine's memory counts as available.
    """
    found = [_of_machine()]
    # no container, or one without a limit
    with contextlib.suppress(OSError, ValueError):
        found.append(_of_group())
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            found.append(limit - _mapped())
    return max(min(found), 0)


def _of_machine() -> int:
    with contextlib.suppress(OSError, ValueError, KeyError):
        with open("/proc/meminfo", "rb") as file:
            rows = dict(line.split(b":", 1) for line in file)
        return sum(int(rows[name].split()[0]) << 10 for name in (b"MemAvailable", b"SwapFree"))
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 1 << 62


def _of_group() -> int:
    limit, used = (int((_GROUP / name).read_bytes()) for name in ("memory.max", "memory.current"))
    with contextlib.suppress(OSError, ValueError, KeyError):  # cached files are counted as used, and given up on demand
        rows = dict(line.split() for line in (_GROUP / "memory.stat").read_bytes().splitlines())
        used -= int(rows[b"inactive_file"])
    return limit - used


def _mapped() -> int:
    with contextlib.suppress(OSError), open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0
