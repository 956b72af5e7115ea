"""Keep artifacts on machines that ssh reaches. asyncssh is imported with the first storage, not with this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_sftp.version import __version__

if TYPE_CHECKING:
    from persistable_sftp.errors import HostKeyError
    from persistable_sftp.storage import SftpStorage

__all__ = ["HostKeyError", "SftpStorage", "__version__"]


def __getattr__(name: str) -> Any:
    # the entry point names persistable_sftp.hooks, which imports this package: listing plugins must stay cheap
    if name == "HostKeyError":
        from persistable_sftp.errors import HostKeyError

        return HostKeyError
    if name == "SftpStorage":
        from persistable_sftp.storage import SftpStorage

        return SftpStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
