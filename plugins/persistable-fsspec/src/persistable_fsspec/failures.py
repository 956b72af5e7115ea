"""Errors of clients as errors of storages. The clients behind fsspec have little in common but HTTP's status codes."""

from __future__ import annotations

import errno
import re
import socket
import traceback
from collections.abc import Collection, Iterator
from typing import Any

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

__all__ = ["chain", "is_missing", "is_out_of_range", "is_silence", "storage_error"]

_NO_PLACE = re.compile(
    r"(?i)NoSuchBucket|bucket does not exist|ContainerNotFound|container does not exist|bad_network_name"
    r"|name or service not known|nodename nor servname|no address associated"
)
_CREDENTIALS = re.compile(
    r"(?i)InvalidAccessKeyId|SignatureDoesNotMatch|Expired ?Token|Invalid ?Token|token .*expired|invalid[ _]credentials"
    r"|invalid authentication|AuthenticationFailed|authentication failed|anonymous caller|logon[ _]failure|^530\b"
    r"|no credentials|unable to locate credentials|default credentials"
)
_CREDENTIALS_CLASS = re.compile(r"Credential|RefreshError|ClientAuthentication|AuthenticationException|AccessDenied401")
_FULL = re.compile(
    r"(?i)quota[ _]?exceeded|exceeded .*quota|insufficient ?storage|no space left|storage ?full|^(452|552)\b"
)
_FORBIDDEN = re.compile(r"(?i)^forbidden\b|access ?denied|permission denied|not authori[sz]ed")
_CONNECTION_CLASS = re.compile(
    r"Timeout|Connect|Disconnected|Protocol(Error)?$|Payload|Stream|Network|Transport|Proxy|Gateway"
)
_WHERE_CREDENTIALS_ARE_READ = (
    "gcsfs.credentials",
    "google.auth.",
    "google.oauth2.",
    "azure.identity.",
    "botocore.credentials",
)
_HTTP = frozenset({"aiohttp", "httpx", "httpcore", "requests", "urllib3", "asyncssh"})
_FULL_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN_NUMBERS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_UNREACHABLE_NUMBERS = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EPIPE, errno.ECONNREFUSED}
)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, the error first."""
    seen = 0
    found: BaseException | None = error
    while found is not None and seen < 20:
        yield found
        found, seen = found.__cause__ or (None if found.__suppress_context__ else found.__context__), seen + 1


def is_missing(error: BaseException) -> bool:
    """Tell whether an error says that an object is not there, and nothing else.

    The filesystem for FTP says it of everything, a lost connection included.
    """
    if any(map(_comes_from_credentials, chain(error))):
        return False
    if not isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        if type(error).__module__ == "ftplib":
            return str(error).startswith("550") and not _FORBIDDEN.search(str(error))
        return getattr(error, "errno", None) == errno.ENOENT
    causes = [found for found in chain(error) if type(found).__module__ == "ftplib" or isinstance(found, EOFError)]
    return all(is_missing(cause) for cause in causes)


def is_out_of_range(error: BaseException) -> bool:
    """Tell whether an error may say that a range lies beyond the end of an object."""
    return any(_status(found) == 416 for found in chain(error)) or _kind(error) is None


def is_silence(error: BaseException) -> bool:
    """Tell whether an error says that nothing came back in time."""
    return any(isinstance(found, TimeoutError) or "Timeout" in type(found).__name__ for found in chain(error))


def storage_error(error: BaseException, *, url: str, operation: str, secrets: Collection[str]) -> StorageError:
    """Return the kind of failure that a client's error is, without credentials."""
    text = next((str(found) for found in chain(error) if str(found)), "")
    reason = redacted(f"{type(error).__name__}: {text}" if text else type(error).__name__, secrets)
    reason = " ".join(reason.split())
    kind = _kind(error)
    if kind is None:
        return StorageError(f"{operation} {url}: {reason}", url=url, operation=operation)
    return kind(url=url, operation=operation, reason=reason[:500])


def _kind(error: BaseException) -> type[StorageError] | None:
    errors = list(chain(error))
    texts = [str(found) for found in errors]
    statuses = {_status(found) for found in errors}
    numbers = {getattr(found, "errno", None) for found in errors}
    classes = [type(found) for found in errors]
    names = [cls.__name__ for cls in classes]
    if any(isinstance(found, NotImplementedError) for found in errors):
        return UnsupportedOperationError
    if any(map(_NO_PLACE.search, texts)) or any(_unknown_host(found) for found in errors):
        return NoSuchPlaceError
    if 507 in statuses or numbers & _FULL_NUMBERS or any(map(_FULL.search, texts)):
        return StorageFullError
    if 401 in statuses or any(map(_CREDENTIALS.search, texts)) or any(map(_CREDENTIALS_CLASS.search, names)):
        return StorageCredentialsError
    if ("asyncssh.misc", "PermissionDenied") in {(cls.__module__, cls.__name__) for cls in classes}:
        return StorageCredentialsError
    if 403 in statuses or numbers & _FORBIDDEN_NUMBERS or any(map(_FORBIDDEN.search, texts)):
        return StoragePermissionError
    if any(isinstance(found, PermissionError) for found in errors):
        return StoragePermissionError
    if statuses & {408, 429} or any(status is not None and status >= 500 for status in statuses):
        return StorageConnectionError
    if numbers & _UNREACHABLE_NUMBERS or any(
        isinstance(found, ConnectionError | TimeoutError | EOFError) for found in errors
    ):
        return StorageConnectionError
    if any(_CONNECTION_CLASS.search(cls.__name__) or cls.__module__.partition(".")[0] in _HTTP for cls in classes):
        return StorageConnectionError
    if any(map(_comes_from_credentials, errors)):
        return StorageCredentialsError
    return None


def _comes_from_credentials(error: BaseException) -> bool:
    """Tell whether an error was raised where credentials are read: a KeyError, say, of a file that has others."""
    modules = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(module.startswith(_WHERE_CREDENTIALS_ARE_READ) for module in modules)


def _unknown_host(error: BaseException) -> bool:
    return isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN


def _status(error: Any) -> int | None:
    """Return the HTTP status that an error carries, under one of the names that clients have for it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    for found in (
        getattr(error, "status_code", None),
        getattr(error, "status", None),
        getattr(error, "code", None),
        getattr(response, "status_code", response),
    ):
        if isinstance(found, int | str) and str(found).isdecimal() and 100 <= int(found) < 600:
            return int(found)
    return None
