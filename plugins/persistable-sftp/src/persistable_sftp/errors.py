"""What the client and the server say, as the errors of persistable.

A server of SFTP version 3 has few words: whatever is neither a missing file nor a missing permission is "Failure", and
the free space has to be asked for.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection

import asyncssh

from persistable.exceptions import (
    NoSuchPlaceError,
    StorageConnectionError,
    StorageCredentialsError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    UnsupportedOperationError,
)
from persistable.redaction import redacted
from persistable_sftp.hostkeys import UnreadableError

__all__ = ["LOST", "HostKeyError", "explained", "unopened"]

# the connection is gone; the operation may or may not have been done
LOST = (
    asyncssh.DisconnectError,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.ChannelOpenError,
    ConnectionError,
)
_MISSING = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_FORBIDDEN = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, asyncssh.SFTPCannotDelete)
_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_UNUSABLE = (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, asyncssh.PermissionDenied)


class HostKeyError(StorageCredentialsError):
    """Say that the host did not prove to be the one that is known. Attribute: ``reason``."""

    _what = "the host's key is not the one that is known"
    _repair = "It may be another machine, so nothing was sent to it"


def explained(error: Exception, *, url: str, operation: str, secrets: Collection[str]) -> Exception:
    """Return what an operation on an open connection raises for an error, which may be that error itself."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, _MISSING):
        return FileNotFoundError(errno.ENOENT, "no such object", url)
    reason = redacted(_said(error), secrets)
    if isinstance(error, LOST):
        return StorageConnectionError(url=url, operation=operation, reason=reason)
    if isinstance(error, _FORBIDDEN):
        return StoragePermissionError(url=url, operation=operation, reason=reason)
    if isinstance(error, _FULL):
        return StorageFullError(url=url, operation=operation, reason=reason)
    if isinstance(error, asyncssh.SFTPOpUnsupported):
        return UnsupportedOperationError(url=url, operation=operation, reason=reason)
    if isinstance(error, asyncssh.Error):
        return StorageError(
            f"{operation} {url}: the server refused ({reason}). It says no more; look at its log, and at quotas, "
            "file systems and names there",
            url=url,
            operation=operation,
        )
    return error


def unopened(error: Exception, *, url: str, operation: str, secrets: Collection[str]) -> Exception:
    """Return what an operation raises for an error that kept the connection from being opened."""
    reason = redacted(_said(error), secrets)
    if isinstance(error, socket.gaierror):
        return NoSuchPlaceError(url=url, operation=operation, reason=reason)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return HostKeyError(url=url, operation=operation, reason=reason)
    if isinstance(error, (UnreadableError, *_UNUSABLE)):
        return StorageCredentialsError(url=url, operation=operation, reason=reason)
    if isinstance(error, asyncssh.ConfigParseError):
        return StorageError(
            f"{operation} {url}: the ssh configuration cannot be used ({reason}). Mend it, or give another one: "
            "storage_options={'config': …}",
            url=url,
            operation=operation,
        )
    if isinstance(error, FileNotFoundError | PermissionError):  # a key file, known_hosts
        return StorageCredentialsError(url=url, operation=operation, reason=reason)
    if isinstance(error, asyncssh.Error | OSError):
        return StorageConnectionError(url=url, operation=operation, reason=reason)
    if isinstance(error, TypeError | ValueError):  # an option that there is not, or that has no such value
        kind = TypeError if isinstance(error, TypeError) else ValueError
        return kind(f"{operation} {url}: the storage_options are those of asyncssh.connect, which says: {reason}")
    return error


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, asyncssh.PermissionDenied):
        return f"{text}; tried the ssh agent, the key files and the password that there were"
    return text or type(error).__name__
