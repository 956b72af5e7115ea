"""Failures of the disk and of the user's patience, injected at the n-th call that writes."""

from __future__ import annotations

import builtins
import errno
import io
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from unittest import mock

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CALLS = ("open", "write", "pwrite", "fsync", "rename", "replace", "unlink", "rmdir", "mkdir", "chmod", "fchmod")


def full_disk() -> OSError:
    """Return the error of a full disk."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def dying_disk() -> OSError:
    """Return the error of a disk that fails."""
    return OSError(errno.EIO, os.strerror(errno.EIO))


class Faults:
    """What to inject where, and what happened.

    Args:
        at: the number of the call that fails, from 1; 0 only counts.
        error: makes the exception to raise.
        after: whether the call does its work first, as it does where an interrupt arrives right behind it.
        onward: whether all later calls fail as well.
    """

    def __init__(
        self, at: int, error: Callable[[], BaseException] = full_disk, *, after: bool = False, onward: bool = False
    ) -> None:
        self.at, self.error, self.after, self.onward = at, error, after, onward
        self.calls: list[str] = []

    @property
    def struck(self) -> bool:
        """Whether it came to the failure."""
        return 0 < self.at <= len(self.calls)

    def _hits(self, name: str) -> bool:
        self.calls.append(name)
        number = len(self.calls)
        return number == self.at or (self.onward and 0 < self.at < number)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if name == "open" and not (args[1] if len(args) > 1 else options["flags"]) & _WRITING:
                return real(*args, **options)
            hit = self._hits(name)
            if hit and not self.after:
                raise self.error()
            result = real(*args, **options)
            if hit:
                if name == "open":
                    os.close(result)  # nobody was told of it
                raise self.error()
            return result

        return call

    def _open(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if not set(mode) & set("wxa+"):
            return _real_open(file, mode, *args, **options)
        assert "b" in mode
        if self._hits(f"open {mode}"):
            if self.after:
                _real_open(file, mode).close()
            raise self.error()
        faults = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                hit = faults._hits("file.write")
                if hit and not faults.after:
                    raise faults.error()
                written = super().write(data)
                if hit:
                    raise faults.error()
                return written

        return io.BufferedWriter(Raw(file, mode.replace("b", "")))

    @contextmanager
    def injected(self) -> Iterator[Faults]:
        """Put the faults in place for a while."""
        with mock.patch.multiple(os, **{name: self._wrapped(name, getattr(os, name)) for name in _CALLS}):  # noqa: SIM117
            with mock.patch.object(builtins, "open", self._open):
                yield self


_real_open = builtins.open


class Interrupt:
    """A KeyboardInterrupt before the n-th line that runs in some files (all whose path contains ``within``)."""

    def __init__(self, at: int, within: str) -> None:
        self.at, self.within, self.lines, self.where = at, within, 0, ""

    @property
    def struck(self) -> bool:
        """Whether it came to the interrupt."""
        return bool(self.where)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if self.within not in frame.f_code.co_filename or self.struck:
            return None
        # a bare "try:" runs nothing, so no interrupt can arrive there
        if event == "line" and linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() != "try:":
            self.lines += 1
            if self.lines == self.at:
                self.where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._trace

    @contextmanager
    def injected(self) -> Iterator[Interrupt]:
        """Put it in place for a while."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            yield self
        finally:
            sys.settrace(before)
