"""What the storage suite tests: a place, what is known of it, and how it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from persistable.storage import Storage
from persistable.testing.exemption import DoesNotApply
from persistable.testing.odd_names import ODD_NAMES

__all__ = ["CLIENTS", "RACERS", "StorageSubject", "free_of_secrets", "sizes", "taken", "written"]

RACERS = 8  # threads that share a storage
CLIENTS = 4  # storages on one place


class StorageSubject:
    """A storage to test; ``StorageTests`` says what each attribute means."""

    names: ClassVar[Sequence[str]] = ODD_NAMES
    large: ClassVar[int] = 40_000_000
    memory: ClassVar[int | DoesNotApply] = 24_000_000
    many: ClassVar[int] = 2000
    rounds: ClassVar[int] = 20
    examples: ClassVar[int] = 20
    steps: ClassVar[int] = 25
    versions_are_digests: ClassVar[bool] = False
    survives_fork: ClassVar[bool | DoesNotApply] = True
    secrets: ClassVar[Sequence[str]] = ()
    patience: ClassVar[float] = 60.0

    @pytest.fixture
    def place(self) -> Callable[[], Storage]:
        """Return a function that opens another storage on the same place: empty at first, and new for each test."""
        raise NotImplementedError("override the fixture place: return a function that opens a storage on a fresh place")

    @pytest.fixture
    def unreachable(self) -> Callable[[], Storage] | DoesNotApply:
        """Return a function that makes a storage whose place is not there: a port on which nobody listens, say."""
        return DoesNotApply("no place that cannot be reached was given")

    def leftovers(self, storage: Storage) -> Sequence[str]:  # noqa: ARG002 - for those who have some
        """Return what is at the place besides its objects: open uploads, parts, staged files. None may be left."""
        return ()

    # -- how

    def _assert_only(self, storage: Storage, objects: dict[str, bytes]) -> None:
        """Assert that a place has these objects and nothing else."""
        assert sizes(storage) == {name: len(content) for name, content in objects.items()}
        for name, content in objects.items():
            assert storage.get(name) == content
        assert list(self.leftovers(storage)) == []


def sizes(storage: Storage) -> dict[str, int]:
    """List all objects, each once, with their sizes in bytes."""
    entries = list(storage.list())
    assert len({entry.name for entry in entries}) == len(entries), "some are listed twice"
    return {entry.name: entry.bytes for entry in entries}


def written(path: Path, content: bytes) -> Path:
    """Write a local file; return its path."""
    path.write_bytes(content)
    return path


def taken(path: Path) -> bytes:
    """Return the content of a local file, and remove it."""
    content = path.read_bytes()
    path.unlink()
    return content


def free_of_secrets(text: str, secrets: Sequence[str]) -> bool:
    """Whether no secret is part of a text."""
    return not any(secret in text for secret in secrets)
