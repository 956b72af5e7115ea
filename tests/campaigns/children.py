"""Children that tell their parent what they are about to do; namespaces to mount in, folders that others may enter."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from specimens import fork

from campaigns.campaign import Unavailable

__all__ = ["child", "mounted", "open_folder", "own_mounts", "require_root", "unmounted"]

_CLONE_NEWNS = 0x00020000


def child(work: Callable[[int], None]) -> tuple[int, int]:
    """Fork a child whose work may tell something on a pipe; return its id and the pipe's other end."""
    reader, writer = os.pipe()
    process = fork()
    if not process:
        status = 1
        try:
            os.close(reader)
            work(writer)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    return process, reader


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that any user may enter, for as long as the block takes."""
    folder = Path(tempfile.mkdtemp(prefix="persistable-campaign-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def require_root(what: str) -> None:
    """Raise Unavailable unless this is root on Linux."""
    if not sys.platform.startswith("linux"):
        raise Unavailable(f"{what} needs Linux")
    if os.getuid() != 0:
        raise Unavailable(f"{what} needs root: run it with sudo, or in a container")


def own_mounts() -> None:
    """Give this process, for good, mounts that nobody else sees. Raises Unavailable where that is forbidden."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        raise Unavailable(f"no mount namespace of its own: {os.strerror(ctypes.get_errno())}")
    _mount("--make-rprivate", "/")


def mounted(*arguments: str | Path) -> None:
    """Mount something, as ``mount`` would."""
    _mount(*map(str, arguments))


def unmounted(path: str | Path) -> None:
    """Take a mount away, as soon as nobody looks into it any more."""
    for _ in range(50):
        done = subprocess.run(["umount", str(path)], check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise OSError(f"{path} cannot be unmounted: {done.stderr.strip()}")


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unavailable("there is no mount command: apt-get install mount") from None
    if done.returncode:
        raise Unavailable(f"mount {' '.join(arguments[:3])} failed: {done.stderr.strip()}")
