"""Declare the storages s3, az and gs to persistable. Imports nothing else, so that listing plugins costs nothing."""

from __future__ import annotations

from persistable import StorageSpec, hookimpl


@hookimpl
def persistable_storages() -> list[StorageSpec]:
    """Return the one storage behind the three schemes."""
    return [
        StorageSpec(
            schemes=("s3", "az", "gs"),
            storage="persistable_obstore.storage:ObjectStorage",
            install="persistable-obstore",
        )
    ]
