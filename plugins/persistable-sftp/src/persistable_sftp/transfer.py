"""Moving a content block by block, several at a time, so that nobody waits for a round trip between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import BinaryIO, NamedTuple

from persistable_sftp.loop import StoppedError

__all__ = ["BLOCK", "Content", "in_blocks"]

BLOCK = 1 << 20  # bytes; asyncssh makes requests of the size that the server takes out of one
_AT_A_TIME = 4
_PATIENCE = 5.0  # seconds for the blocks under way when the rest is called off


class Content(NamedTuple):
    """What is to be uploaded: its size, and a function ``block(offset, bytes)`` that gives a part of it."""

    size: int
    block: Callable[[int, int], bytes]

    @classmethod
    def of_bytes(cls, data: bytes) -> Content:
        return cls(len(data), lambda offset, count: data[offset : offset + count])

    @classmethod
    def of_file(cls, file: BinaryIO) -> Content:
        """Return the content of an open file, of which never more than some blocks are in memory."""

        def block(offset: int, count: int) -> bytes:
            file.seek(offset)
            return file.read(count)

        return cls(file.seek(0, 2), block)


async def in_blocks(size: int, move: Callable[[int, int], Awaitable[None]]) -> None:
    """Await ``move(offset, bytes)`` for every block of a content, four at a time. The first failure ends it.

    Blocks under way are never cancelled: asyncssh leaves the requests of a cancelled one without an owner.
    """
    if not size:
        return
    offsets = iter(range(0, size, BLOCK))
    called_off = False

    async def work() -> None:
        nonlocal called_off
        for offset in offsets:
            if called_off:
                return
            try:
                await move(offset, min(BLOCK, size - offset))
            except BaseException as error:
                called_off = True
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise StoppedError from error
                raise

    if size <= BLOCK:  # nobody to work beside
        await work()
        return
    workers = [asyncio.ensure_future(work()) for _ in range(min(_AT_A_TIME, -(-size // BLOCK)))]
    for worker in workers:
        worker.add_done_callback(_look)
    try:
        await asyncio.wait(workers)
    except asyncio.CancelledError:
        called_off = True
        await asyncio.wait(workers, timeout=_PATIENCE)
        raise
    for worker in workers:
        worker.result()


def _look(worker: asyncio.Future[None]) -> None:
    """Look at a failure, which asyncio would otherwise log: the first one is enough."""
    if not worker.cancelled():
        worker.exception()
