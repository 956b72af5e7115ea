"""Files as accidents leave them, each with a few words on what happened to it."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["cuts", "flips"]


def cuts(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file that lost its end, in several places."""
    for length in sorted({0, 1, len(content) // 4, len(content) // 2, len(content) - 1} - {len(content)}):
        if length >= 0:
            yield f"cut to {length} of {len(content)} bytes", content[:length]


def flips(content: bytes, most: int = 512) -> Iterator[tuple[str, bytes]]:
    """Yield a file with one bit flipped, all over it, ``most`` times or a few more."""
    step = max(1, len(content) // most)
    for at in range(0, len(content), step):
        damaged = bytearray(content)
        damaged[at] ^= 1 << (at % 8)
        yield f"a bit of byte {at} flipped", bytes(damaged)
