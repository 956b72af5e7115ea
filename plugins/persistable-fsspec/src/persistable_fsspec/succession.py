"""Replacing an object where a move deletes what it replaces before it moves, as WebDAV's does (RFC 4918, 9.9.3).

What is in the way would be lost if the server were interrupted between the two. So the new object first takes a name
beside it, its successor's, and is moved over it from there: whoever does not find the object finds its successor.
Whatever is interrupted, and whenever, one of the two is there, whole. The next who replaces the object ends what was
left half done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

__all__ = ["found", "replace", "standing", "successor"]

T = TypeVar("T")

_NEW = "=new"  # no escaped name has this: after = there are two hex digits
_TRIES = 10  # how many others may be replacing the same object


def successor(path: str) -> str:
    """Return the name, or path, that the successor of an object has."""
    return path + _NEW


def standing(names: Iterable[str]) -> dict[str, str]:
    """Return which names in a folder stand for an object, and for which: a successor only where the object is gone."""
    objects = {name: name for name in names if not name.endswith(_NEW)}
    for name in names:
        if name.endswith(_NEW):
            objects.setdefault(name.removesuffix(_NEW), name)
    return {name: stands_for for stands_for, name in objects.items()}


def found(path: str, use: Callable[[str], T]) -> T:
    """Return what ``use`` makes of an object, or of its successor where it is just being replaced.

    Raises what ``use`` raises; a FileNotFoundError only if there is neither.
    """
    for candidate in (path, successor(path)):
        try:
            return use(candidate)
        except FileNotFoundError:
            continue
    return use(path)  # the successor may have taken its place in between


def replace(
    fs: Any, staged: str, path: str, move: Callable[[Any, str, str], object], over: Callable[[Any, str, str], object]
) -> None:
    """Move a staged file to the path of an object.

    ``move`` raises FileExistsError if there is something already, ``over`` replaces that, and both raise
    FileNotFoundError if what is to be moved is not there.
    """
    try:
        move(fs, staged, path)
    except FileExistsError:
        _succeed(fs, staged, path, move, over)


def _succeed(
    fs: Any, staged: str, path: str, move: Callable[[Any, str, str], object], over: Callable[[Any, str, str], object]
) -> None:
    heir = successor(path)
    for attempt in range(_TRIES):
        try:
            move(fs, staged, heir)
            break
        except FileExistsError:  # of somebody else, who is at it or was interrupted
            if attempt + 1 == _TRIES:
                raise
        _enthrone(fs, heir, path, over)
    _enthrone(fs, heir, path, over)


def _enthrone(fs: Any, heir: str, path: str, over: Callable[[Any, str, str], object]) -> None:
    with contextlib.suppress(FileNotFoundError):  # somebody else has done it
        over(fs, heir, path)
