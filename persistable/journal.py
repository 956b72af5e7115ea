"""log.txt: one line for whatever was generated, persisted or quarantined in a folder; hits leave none."""

from __future__ import annotations

import os

from persistable.display import printable
from persistable.naming import LOG
from persistable.provenance import timestamp

__all__ = ["note"]

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
for _flag in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):  # a pipe or a link in its place is not written to
    _APPEND |= getattr(os, _flag, 0)


def note(folder: str, event: str, name: str, key: str, detail: str = "", mode: int = 0o644) -> None:
    """Append a line to the folder's log, escaped so that no name can forge another line; a failure is not one."""
    text = f"{event} {name} {key} {detail}".rstrip()
    if not text.isprintable():
        text = printable(text)
    line = f"{timestamp()} {text} pid={os.getpid()}\n".encode("ascii", "backslashreplace")
    try:
        if os.path.islink(folder):  # put in its place meanwhile: it leads out of the store
            return
        descriptor = os.open(f"{folder}/{LOG}", _APPEND, mode)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError:  # the work is done, whether there is a line of it or not
        pass
