"""Requests that do not wait for each other's answers: a round trip takes its time, whatever it carries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, BinaryIO, NamedTuple

from persistable_sftp.loop import StoppedError

__all__ = ["LARGEST", "Content", "in_blocks", "together"]

_UNDER_WAY = 4 << 20  # bytes that were sent, or asked for, and not answered yet
_LEAST, _MOST = 16, 128  # requests that are under way
LARGEST = _UNDER_WAY // _LEAST  # bytes of a block; a server may announce that it takes any number
_PATIENCE = 5.0  # seconds for those under way when the rest is called off


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
            try:
                file.seek(offset)
                return file.read(count)
            except (KeyboardInterrupt, SystemExit) as error:
                raise StoppedError from error

        return cls(file.seek(0, 2), block)


async def together(*requests: Coroutine[Any, Any, Any]) -> list[Any]:
    """Send requests one right after the other, and return their answers.

    The requests for one file are served in the order in which they come (draft-ietf-secsh-filexfer-02, 6.1). The first
    failure is raised when all have been answered.
    """
    answers = await asyncio.gather(*requests, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


async def in_blocks(start: int, end: int, block: int, move: Callable[[int, int], Awaitable[None]]) -> None:
    """Await ``move(offset, bytes)`` for every block from ``start`` to ``end``, many at a time.

    The first failure ends it. Blocks under way are not cancelled: what a server is still about to do should be known.
    """
    if start >= end:
        return
    offsets = iter(range(start, end, block))
    called_off = False

    async def work() -> None:
        nonlocal called_off
        for offset in offsets:
            if called_off:
                return
            try:
                await move(offset, min(block, end - offset))
            except BaseException:
                called_off = True
                raise

    count = max(_LEAST, min(_UNDER_WAY // block, _MOST))
    workers = [asyncio.ensure_future(work()) for _ in range(min(count, -((start - end) // block)))]
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
