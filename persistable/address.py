"""The address of an artifact in a store."""

# no annotations from __future__: a NamedTuple compiles those that are text, one by one, at import
from typing import NamedTuple

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
