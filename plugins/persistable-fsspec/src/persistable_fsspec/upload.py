"""Uploads that nobody sees half of: under a name of their own first, in the same folder, where a place needs it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from persistable.naming import staged_name
from persistable_fsspec import succession
from persistable_fsspec.connection import call, complete
from persistable_fsspec.failures import is_missing, is_silence
from persistable_fsspec.promises import Promise

__all__ = ["Uploads"]

Send = Callable[[Any, str], object]

_ATTEMPTS = 4  # to write into a folder that may have to be made first


class Uploads:
    """Upload to the places of one storage, as its implementation's promise allows."""

    def __init__(self, promise: Promise) -> None:
        self._promise = promise
        self._folders: set[str] = set()  # that were written to

    def upload(self, fs: Any, path: str, send: Send) -> None:
        """Have ``send`` write to a path, in one step as others see it; whatever fails leaves what was there.

        Raises what ``send`` raises.
        """
        if self._promise.whole:
            self._send(fs, path, send)
        else:
            self._send_and_move(fs, path, send)

    def _send(self, fs: Any, path: str, send: Send) -> None:
        try:
            send(fs, path)
        except BaseException:
            if self._promise.abort is not None:
                with contextlib.suppress(Exception):
                    self._promise.abort(fs, path)
            raise

    def _send_and_move(self, fs: Any, path: str, send: Send) -> None:
        folder, staged = path.rpartition("/")[0], _beside(path)
        try:
            for attempt in range(_ATTEMPTS):
                known = folder in self._folders  # before: another thread may come to know it meanwhile
                try:
                    send(fs, staged)
                    break
                except Exception as error:
                    if attempt + 1 == _ATTEMPTS or (known and not is_missing(error)) or is_silence(error):
                        raise
                    # Each server has another word for a folder that is not there: the first failure may mean that. Of
                    # several who make it at a time, one may be told that it is there before the other has made it.
                    time.sleep(0.1 * attempt)
                    with contextlib.suppress(Exception):  # the next attempt tells what is wrong
                        _make_folder(fs, folder)
            self._folders.add(folder)
            complete(lambda: self._move(fs, staged, path))  # half of a move might be the loss of both
        except BaseException:
            _discard(fs, staged)
            raise

    def _move(self, fs: Any, staged: str, path: str) -> None:
        """Move an upload to its name, over what is there."""
        move = self._promise.move or _move
        if self._promise.over is not None:
            succession.replace(fs, staged, path, move, self._promise.over)
            return
        try:
            move(fs, staged, path)
        except Exception:
            if not fs.exists(path):  # half of the move was done, perhaps
                move(fs, staged, path)
                return
            if self._promise.replaces:
                raise
            # It does not replace. What is there steps aside, and comes back if that was of no use.
            aside = _beside(path)
            move(fs, path, aside)
            try:
                move(fs, staged, path)
            except BaseException:
                move(fs, aside, path)
                raise
            call(fs, "rm_file", aside)


def _discard(fs: Any, staged: str) -> None:
    """Delete an upload that failed; a server may come to creating it only after the connection is gone."""
    for pause in (0.0, 0.1, 0.4):
        time.sleep(pause)
        try:
            call(fs, "rm_file", staged)
        except Exception as error:  # noqa: BLE001 - what failed before is what is told
            if is_missing(error):
                continue
        return


def _make_folder(fs: Any, folder: str) -> None:
    if folder.strip("/"):
        with contextlib.suppress(NotImplementedError, FileExistsError):
            call(fs, "makedirs", folder, exist_ok=True)


def _move(fs: Any, old: str, new: str) -> None:
    if fs.async_impl and hasattr(fs, "_mv"):
        call(fs, "mv", old, new)
    else:
        fs.mv(old, new)


def _beside(path: str) -> str:
    """Return a free name in the same folder, of those that a sweep knows."""
    return path[: path.rfind("/") + 1] + staged_name("")
