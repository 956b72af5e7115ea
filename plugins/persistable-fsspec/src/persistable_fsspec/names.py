"""Names of objects on places whose client or server takes some of their characters for something else.

There a name is written in letters, digits, ``.``, ``_`` and ``-`` alone; every other byte of its UTF-8 is ``=`` and two
hex digits, as in quoted-printable. ``%`` would be taken for a part of the URL. What the core names itself needs none of
it: its files keep their names.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

__all__ = ["escaped", "unescaped"]

# a dot at the end is lost on SMB
_ODD = re.compile(r"[^A-Za-z0-9._/-]|\.(?=/|$)")
_ESCAPE = re.compile(r"=([0-9A-F]{2})")


def escaped(name: str) -> str:
    """Return a name in characters that nobody takes for anything else."""
    return _ODD.sub(lambda odd: "".join(f"={byte:02X}" for byte in odd[0].encode()), name)


def unescaped(name: str) -> str:
    """Return the name that was escaped."""
    return unquote_to_bytes(_ESCAPE.sub(r"%\1", name.replace("%", "%25"))).decode("utf-8", "replace")
