"""Digests of bytes and files, written as ``algorithm:hex``.

xxh3_128 finds damage, at several GB/s; it is no defence against somebody who forges on purpose. Large files are hashed
through a mapping, off the interpreter lock, so that it can run beside another thread's work.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ALGORITHM", "digest_of", "digest_of_file"]

ALGORITHM = "xxh3_128"
_CHUNK = 8 << 20  # bytes hashed at a time: an interrupt waits for one chunk at most

_xxh3_128: Any = None  # bound on first use: importing persistable does not import xxhash


def _hasher(algorithm: str) -> Any:
    global _xxh3_128
    if algorithm == ALGORITHM:
        if _xxh3_128 is None:
            from xxhash import xxh3_128

            _xxh3_128 = xxh3_128
        return _xxh3_128
    if algorithm == "sha256":
        import hashlib

        return hashlib.sha256
    raise ValueError(f"unknown digest algorithm {algorithm!r}: known are {ALGORITHM} and sha256")


def digest_of(data: Buffer, algorithm: str = ALGORITHM) -> str:
    """Return the digest of bytes-like data."""
    hasher = _xxh3_128 if _xxh3_128 is not None and algorithm == ALGORITHM else _hasher(algorithm)
    if type(data) is bytes and len(data) <= _CHUNK:
        return f"{algorithm}:{hasher(data).hexdigest()}"
    view = memoryview(data)
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
