"""Keep artifacts on machines that ssh reaches. asyncssh is imported with the first storage, not with this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_sftp.version import __version__

if TYPE_CHECKING:
    from persistable_sftp.errors import HostKeyError
    from persistable_sftp.storage import SftpStorage

__all__ = ["HostKeyError", "SftpStorage", "__version__"]

_HOMES = {"HostKeyError": "errors", "SftpStorage": "storage"}


def __getattr__(name: str) -> Any:
    # on first use: the hooks module lies in this package, and listing plugins must not import asyncssh
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
