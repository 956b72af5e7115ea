"""The address of an artifact in a store."""

from __future__ import annotations

from persistable.named_tuple import NamedTuple
from persistable.naming import record_name

__all__ = ["Address"]


class Address(NamedTuple):
    """Where an artifact is: the payload name, the folder that stands for it, the key."""

    name: str
    folder: str
    key: str

    @property
    def record(self) -> str:
        """The object name of the record."""
        return f"{self.folder}/{record_name(self.key)}"
