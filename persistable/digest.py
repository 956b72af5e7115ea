"""Digests of bytes and files, written as ``algorithm:hex``.

xxh3_128 finds damage, at several GB/s; it is no defence against somebody who forges on purpose. Large files are hashed
through a mapping, off the interpreter lock, so that it can run beside another thread's work; or while they are read,
so that every byte is touched once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ALGORITHM", "DigestingReader", "cores", "digest_of", "digest_of_file"]

ALGORITHM = "xxh3_128"
_CHUNK = 8 << 20  # bytes hashed at a time: an interrupt waits for one chunk at most
_PIECE = 4 << 20  # bytes read at a time where two threads take turns; smaller ones cost more in turns
_PIECE_ALONE = 1 << 20  # bytes read at a time by one thread: they are in the processor's cache still when hashed

_at_once: dict[str, Callable[[bytes], str]] = {}  # bound on first use: importing persistable does not import xxhash


def _bound(algorithm: str) -> Callable[[bytes], str]:
    """Return what digests bytes in one call."""
    if algorithm == ALGORITHM:
        from xxhash import xxh3_128_hexdigest

        return _at_once.setdefault(algorithm, xxh3_128_hexdigest)
    hasher = _hasher(algorithm)
    return _at_once.setdefault(algorithm, lambda data: str(hasher(data).hexdigest()))


def _hasher(algorithm: str) -> Any:
    if algorithm == ALGORITHM:
        from xxhash import xxh3_128

        return xxh3_128
    if algorithm == "sha256":
        import hashlib

        return hashlib.sha256
    raise ValueError(f"unknown digest algorithm {algorithm!r}: known are {ALGORITHM} and sha256")


def digest_of(data: Buffer, algorithm: str = ALGORITHM) -> str:
    """Return the digest of bytes-like data."""
    if type(data) is bytes and len(data) <= _CHUNK:
        at_once = _at_once.get(algorithm) or _bound(algorithm)
        return f"{algorithm}:{at_once(data)}"
    view, hasher = memoryview(data), _hasher(algorithm)
    if view.nbytes <= _CHUNK:
        return f"{algorithm}:{hasher(view).hexdigest()}"
    state = hasher()
    for start in range(0, view.nbytes, _CHUNK):
        state.update(view[start : start + _CHUNK])
    return f"{algorithm}:{state.hexdigest()}"


def digest_of_file(descriptor: int, size: int, algorithm: str = ALGORITHM) -> str:
    """Return the digest of the first ``size`` bytes of an open file."""
    if size <= 1 << 20:
        return digest_of(os.pread(descriptor, size, 0), algorithm)
    import mmap

    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as mapping, memoryview(mapping) as view:
        state = _hasher(algorithm)()
        for start in range(0, size, _CHUNK):
            with view[start : start + _CHUNK] as chunk:
                state.update(chunk)
        return f"{algorithm}:{state.hexdigest()}"


def cores() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return os.cpu_count() or 1 if affinity is None else len(affinity(0))


class DigestingReader:
    """Read an open file from its start, in order, and hash what is read: a binary file as far as formats need one.

    Large reads are shared with a second thread where there is a second processor: both read, and the caller's hashes
    what is there. So the digest costs next to nothing beside the reading.

    Args:
        descriptor: of a regular file; its position is neither used nor moved.
        algorithm: of the digest.
    """

    def __init__(self, descriptor: int, algorithm: str = ALGORITHM) -> None:
        self._descriptor, self._algorithm, self._position = descriptor, algorithm, 0
        self._state = _hasher(algorithm)()

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._position

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes; less only at the end of the file."""
        parts = []
        while size > 0 and (part := os.pread(self._descriptor, size, self._position)):
            self._state.update(part)
            self._position += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def readinto(self, buffer: Buffer) -> int:
        """Fill a contiguous writable buffer; return the number of bytes, which is less only at the end of the file."""
        with memoryview(buffer) as given, given.cast("B") as view:
            length = len(view)
            read = self._read_by_two if length > _PIECE and cores() > 1 else self._read_alone
            count = read(view)
        self._position += count
        return count

    def digest(self) -> str:
        """Read what is left, and return the digest of the whole file."""
        while self.read(_CHUNK):
            pass
        return f"{self._algorithm}:{self._state.hexdigest()}"

    def _fill(self, view: memoryview, offset: int) -> int:
        """Read from ``offset`` within a view to its end, or to that of the file; return how many bytes it was."""
        count = 0
        while count < len(view):
            with view[count:] as rest:
                read = os.preadv(self._descriptor, [rest], self._position + offset + count)
            if not read:
                break
            count += read
        return count

    def _read_alone(self, view: memoryview) -> int:
        count = 0
        while count < len(view):
            with view[count : count + _PIECE_ALONE] as piece:
                read = self._fill(piece, count)
                self._state.update(piece[:read])
                count += read
                if read < len(piece):
                    break
        return count

    def _read_by_two(self, view: memoryview) -> int:
        from concurrent.futures import ThreadPoolExecutor
        from itertools import count as numbers
        from threading import Event

        pieces = [view[start : start + _PIECE] for start in range(0, len(view), _PIECE)]
        counts, done = [0] * len(pieces), [Event() for _ in pieces]
        turns, stop = numbers(), Event()

        def take_turn() -> bool:
            """Read the next piece that nobody has taken; return whether there was one."""
            turn = next(turns)  # atomic
            if turn >= len(pieces) or stop.is_set():
                return False
            try:
                counts[turn] = self._fill(pieces[turn], turn * _PIECE)
            finally:
                done[turn].set()
            return True

        def help_reading() -> None:
            while take_turn():
                pass

        total = 0
        with ThreadPoolExecutor(1, "persistable-read") as pool:
            try:
                helping = pool.submit(help_reading)
                for piece, event, number in zip(pieces, done, range(len(pieces)), strict=True):
                    while not event.is_set() and take_turn():
                        pass
                    event.wait()
                    self._state.update(piece[: counts[number]])
                    total += counts[number]
                    if counts[number] < len(piece):  # the end of the file, or the other thread's error
                        break
                stop.set()
                helping.result()
            finally:
                stop.set()  # an interrupt: the other thread must not go on to write to a buffer that is not ours
        return total
