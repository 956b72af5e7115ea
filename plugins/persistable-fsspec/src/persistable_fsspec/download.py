"""Downloads of no more bytes than are expected: in ranges, or ended when they bring more."""

from __future__ import annotations

import asyncio
from typing import Any, BinaryIO

from persistable_fsspec.connection import finish

__all__ = ["EnoughError", "at_most", "fetch_ranges"]

_RANGE = 8 << 20  # bytes of one ranged request
_AT_ONCE = 8  # ranged requests under way


def fetch_ranges(fs: Any, source: str, file: BinaryIO, size: int) -> None:
    """Download an object in ranges, several at a time."""

    async def part(start: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            data = await fs._cat_file(source, start=start, end=min(start + _RANGE, size))
        file.seek(start)  # all parts run in one thread, and nothing is awaited between the two
        file.write(data)

    async def everything() -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, size, _RANGE):
                    group.create_task(part(start, gate))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    finish(fs, everything())


class EnoughError(Exception):
    """A download has brought more than was asked for."""


def at_most(size: int) -> Any:
    """Return a callback for downloads that ends one that brings more bytes."""
    from fsspec.callbacks import Callback

    def look(_: int, value: int, **__: object) -> None:
        if value > size:
            raise EnoughError

    return Callback(hooks={"size": look})
