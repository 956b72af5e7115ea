"""Texts as logs and terminals show them: what others have named must neither forge a line nor steer a terminal."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: object) -> str:
    """Return ``str(text)`` with line breaks, control and invisible characters escaped, as ``repr`` would."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in shown)
