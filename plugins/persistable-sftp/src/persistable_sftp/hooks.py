"""Declare the storage of sftp:// to persistable. Imports nothing else, so that listing plugins costs nothing."""

from __future__ import annotations

from persistable import StorageSpec, hookimpl


@hookimpl
def persistable_storages() -> list[StorageSpec]:
    """Return the storage that speaks SFTP."""
    return [
        StorageSpec(schemes=("sftp",), storage="persistable_sftp.storage:SftpStorage", install="persistable-sftp"),
    ]
