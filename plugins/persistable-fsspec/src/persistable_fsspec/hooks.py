"""Declare the storage of all URLs that nobody else serves. Imports nothing else: listing plugins costs nothing."""

from __future__ import annotations

from persistable import hookimpl
from persistable.specs import StorageSpec


@hookimpl
def persistable_storages() -> list[StorageSpec]:
    """Return the catch-all, and ``fsspec+gs://…`` for schemes that somebody else would serve."""
    return [
        StorageSpec(
            schemes=("*", "fsspec+*"),
            storage="persistable_fsspec.storage:FsspecStorage",
            install="persistable-fsspec",
        )
    ]
