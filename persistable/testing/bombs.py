"""Files that run code if a format lets them, and a watch on what is unpickled."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import sys
import zlib
from collections.abc import Iterator
from typing import Any

__all__ = ["bombs", "spliced", "unpickling"]


class _Bomb:
    """Pickle as something that makes a folder when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def bombs(path: str) -> Iterator[tuple[str, bytes]]:
    """Yield what makes a folder when it is unpickled or evaluated, bare and compressed."""
    for protocol in (0, 2, 4):  # by lines, by opcodes that work although their end is cut off, in a frame
        bomb = pickle.dumps(_Bomb(path), protocol)
        yield f"a pickle of protocol {protocol}", bomb
        yield f"a compressed pickle of protocol {protocol}", zlib.compress(bomb)
    yield "an expression", f"__import__('os').mkdir({path!r})".encode()


def spliced(content: bytes, bombs: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield files that begin as a valid one does and go on with a bomb; behind it nothing, or the rest."""
    size = len(content)
    places = {*range(17), 20, 24, 32, 64, 80, 128, size // 4, size // 2, size - 8, size - 4, size - 1, size}
    for name, bomb in bombs:
        for at in sorted(place for place in places if 0 <= place <= size):
            yield f"{name} after {at} bytes", content[:at] + bomb
            yield f"{name} inserted after {at} bytes", content[:at] + bomb + content[at:]
            yield f"{name} over what followed {at} bytes", content[:at] + bomb + content[at + len(bomb) :]


_WATCHES: list[list[str]] = []


@functools.cache
def _watch_unpickling() -> None:
    """Have Python report every global that a pickle asks for; there is no way to have it stop."""

    def report(event: str, arguments: tuple[Any, ...]) -> None:
        if _WATCHES and event == "pickle.find_class":
            _WATCHES[-1].append(".".join(map(str, arguments)))

    sys.addaudithook(report)


@contextlib.contextmanager
def unpickling() -> Iterator[list[str]]:
    """Give the globals that are unpickled meanwhile: each is imported and most likely called."""
    _watch_unpickling()
    _WATCHES.append([])
    try:
        yield _WATCHES[-1]
    finally:
        _WATCHES.pop()
