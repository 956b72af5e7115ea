"""What an implementation says of a file, as the entry of a storage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from persistable.storage import Entry

__all__ = ["entry"]

# what the implementations call the time of the last change, the best first
_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated", "modify", "last_write_time", "created")


def entry(name: str, info: Mapping[str, Any]) -> Entry:
    """Return the entry of an object from what ``info`` or ``ls`` say of it."""
    times = (_seconds(info.get(key)) for key in _TIMES)
    # what has no time is new: nothing is swept before its time
    return Entry(name, int(info["size"] or 0), next((found for found in times if found is not None), time.time()))


def _seconds(found: object) -> float | None:
    """Return a time in seconds since the epoch, of whatever an implementation has for it."""
    if isinstance(found, datetime):
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if isinstance(found, int | float):
        return float(found) / (1000 if found > 1e11 else 1)  # WebHDFS has milliseconds
    if isinstance(found, str):
        with contextlib.suppress(ValueError):
            return _seconds(datetime.fromisoformat(found))
        with contextlib.suppress(ValueError):  # FTP: 20260102030405.678
            return _seconds(datetime.strptime(found[:14], "%Y%m%d%H%M%S"))
    return None
