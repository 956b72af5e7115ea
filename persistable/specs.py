"""What a plugin declares: plain frozen rows of strings, cheap to register and to list."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FormatSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSpec:
    """Declare a format.

    Attributes:
        name: format id, as stored in records: lower case letters, digits, ``_`` and ``-``.
        suffix: file suffix with its dot, ``".parquet"``.
        io: the FileIO class as ``"module:Class"``, imported on first use.
        types: public names of the payload types it claims, ``"pandas.DataFrame"``; builtins are never claimed.
        default: whether it is the default of those types among equals (first-party formats only).
        executes_code: whether loading a file of this format can run code that the file brings.
        install: distribution that brings it, for the repair line.
    """

    name: str
    suffix: str
    io: str
    types: tuple[str, ...] = ()
    default: bool = False
    executes_code: bool = True
    install: str | None = None
