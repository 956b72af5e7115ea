"""The library's logger, a logger per payload name, and the 1.x ``get_logger``.

The library configures nothing but its own tree: a NullHandler at ``persistable``, and for payloads that are asked to
be verbose one handler on a child of that tree, which writes to whatever ``sys.stderr`` is at the time.
"""

from __future__ import annotations

import functools
import logging
import sys
from pathlib import Path

__all__ = ["LOGGER", "get_logger", "payload_logger"]

LOGGER = logging.getLogger("persistable")
LOGGER.addHandler(logging.NullHandler())

_FORMAT = "%(asctime)s - %(name)s - %(funcName)s - %(levelname)s - %(message)s"  # as in 1.x


class _StderrHandler(logging.Handler):
    """Write to the ``sys.stderr`` of the moment, which tests and notebooks replace.

    ``beside`` is the logger whose ancestors' handlers spare this one the line, if they write it there themselves.
    """

    def __init__(self, level: int = logging.NOTSET, beside: logging.Logger | None = None) -> None:
        super().__init__(level)
        self.beside = beside

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.beside is not None and _reaches_stderr(self.beside.parent, record.levelno):
                return
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - logging's own contract: report, never fail the work
            self.handleError(record)


def _reaches_stderr(logger: logging.Logger | None, level: int) -> bool:
    """Whether a record that a child of this logger passes on is written to ``sys.stderr`` without our doing."""
    while logger is not None:
        for handler in logger.handlers:
            stream = handler.stream if isinstance(handler, logging.StreamHandler) else None
            if stream is not None and stream is sys.stderr and handler.level <= level:
                return True
        logger = logger.parent if logger.propagate else None
    return False


@functools.lru_cache(maxsize=1024)
def payload_logger(slug: str, *, verbose: bool = False) -> logging.Logger:
    """Return ``persistable.payload.<slug>``, or for verbose payloads a child of it that reports at INFO on stderr."""
    logger = LOGGER.getChild(f"payload.{slug}")
    if not verbose:
        return logger
    spoken = logger.getChild("verbose")
    if not any(isinstance(handler, _StderrHandler) for handler in spoken.handlers):
        handler = _StderrHandler(logging.INFO, beside=spoken)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        spoken.addHandler(handler)
        spoken.setLevel(logging.INFO)
    return spoken


def get_logger(
    name: str,
    file_loc: Path | None,
    console_level: int | None = logging.DEBUG,
    file_level: int | None = logging.DEBUG,
    format_str: str = _FORMAT,
    adapt_from_logger: logging.Logger | None = None,
) -> logging.Logger:
    """Configure the logger ``name`` as 1.x did, with a console and a file handler, each at most once.

    Unlike in 1.x the console is stderr, unless the logger has a console of its own. ``None`` as the console's level
    leaves it out, as the file's level it means DEBUG; ``adapt_from_logger`` is configured in place of the logger
    ``name``.
    """
    logger = adapt_from_logger if adapt_from_logger is not None else logging.getLogger(name)
    if adapt_from_logger is None:
        logger.setLevel(logging.DEBUG)
    if console_level is not None:
        consoles = [handler for handler in logger.handlers if _is_console(handler)]
        for console in consoles or [_StderrHandler()]:
            _configure(logger, console, console_level, format_str)
    if file_loc is not None:
        path = str(Path(file_loc).absolute())
        files = [handler for handler in logger.handlers if getattr(handler, "baseFilename", None) == path]
        handler = files[0] if files else logging.FileHandler(path, encoding="utf-8", delay=True)
        _configure(logger, handler, logging.DEBUG if file_level is None else file_level, format_str)
    return logger


def _is_console(handler: logging.Handler) -> bool:
    if isinstance(handler, logging.FileHandler):
        return False
    return isinstance(handler, _StderrHandler | logging.StreamHandler)


def _configure(logger: logging.Logger, handler: logging.Handler, level: int, format_str: str) -> None:
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(format_str))
    logger.addHandler(handler)  # which adds no handler twice
