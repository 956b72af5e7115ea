"""The formats of the core, registered through the same hook as everybody's."""

from __future__ import annotations

from persistable.hookspecs import hookimpl
from persistable.specs import FormatSpec

__all__ = ["persistable_formats"]


@hookimpl
def persistable_formats() -> list[FormatSpec]:
    """Return pickle, for anything, and the data-only formats that need no library."""
    return [
        FormatSpec(name="pickle", suffix=".pickle", io="persistable.io:PickleFileIO", executes_code=True),
        FormatSpec(name="json", suffix=".json", io="persistable.plain:JsonFileIO", executes_code=False),
        FormatSpec(name="text", suffix=".txt", io="persistable.plain:TextFileIO", executes_code=False),
    ]
