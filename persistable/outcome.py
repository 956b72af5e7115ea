"""What a load can find: the artifact, nothing, or damage; anything else is an error of its own."""

from __future__ import annotations

from typing import Any

from persistable.address import Address
from persistable.display import printable
from persistable.exceptions import CorruptArtifactError
from persistable.io import FileIO
from persistable.named_tuple import NamedTuple
from persistable.notice import note
from persistable.record import Record

__all__ = ["Damaged", "Loaded", "Missing", "Outcome", "note_undamaged"]


class Loaded(NamedTuple):
    """An artifact and its payload."""

    payload: Any
    record: Record
    file_io: FileIO[Any]


class Missing(NamedTuple):
    """Nothing is stored. ``path`` is where the record would be."""

    path: str


class Damaged(NamedTuple):
    """A damaged artifact: the file, what is wrong with it, the bytes of the record that was judged."""

    path: str
    reason: str
    raw: bytes

    def error(self, address: Address) -> CorruptArtifactError:
        """Return the error that says so."""
        return CorruptArtifactError(name=address.name, key=address.key, path=self.path, reason=self.reason)


Outcome = Loaded | Missing | Damaged


def note_undamaged(error: Exception, record: Record, folder: str) -> None:
    """Note at what was raised by a format, or by the payload's own code, that the bytes are not to blame."""
    note(
        error,
        f"raised by the format {record.format!r}, or by the payload's own code, while it read {folder}/"
        f"{printable(record.main_path)}, which is as it was written. If what it needs is gone, generate() it anew",
    )
