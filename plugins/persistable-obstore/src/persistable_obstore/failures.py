"""What an error of obstore means: it has few classes, and says the rest in text that the service wrote.

The text also has the request, which may be signed, so only the service's code and its one sentence are passed on.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
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

__all__ = ["is_about_the_place", "is_unsatisfiable", "kind_of_code", "says_nothing", "translated"]

_STATUS = re.compile(r"status code: (\d{3})|\(code: (\d{3})\)")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<\n]+)")
_BULK = re.compile(r"request failed for key .*?: (.+?) \(code: \d{3}\)", re.DOTALL)
_EMPTY = re.compile(r"status code: \d{3}[^:\n]*:\s*(?:\n|$)")
_REQUEST = re.compile(r"Error performing [A-Z]+ \S+ in [\w.]+(?:, after \d+ retries, [^-]*)? *- ")
_LONGEST = 300  # characters of a reason

_NO_PLACE = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled", "InvalidBucketName"}
_WHO = {
    "AccessDeniedException",
    "AuthenticationFailed",
    "AuthenticationRequired",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidAuthenticationInfo",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidToken",
    "NoAuthenticationInformation",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
}
_FULL = {"AccountQuotaExceeded", "InsufficientStorage", "QuotaExceeded", "StorageFull", "XMinioStorageFull"}
# where credentials are asked for: metadata of machines and containers, token services
_ASKING = re.compile(
    r"credential|token request|Azure CLI|[Aa]ccess ?[Kk]ey|SAS key|://169\.254\.|://metadata\.google|://sts\.|/oauth2/|"
    r"/latest/(api/token|meta-data)|/computeMetadata/|/metadata/identity"
)


def says_nothing(error: BaseException) -> bool:
    """Whether a service answered without a body, as to HEAD: a missing object looks like a missing bucket then."""
    return _EMPTY.search(_head(error)) is not None


def is_unsatisfiable(error: BaseException) -> bool:
    """Whether a range was asked for that begins behind the end of the object."""
    return _status(_head(error)) == 416


def kind_of_code(code: str) -> type[StorageError] | None:
    """Return which kind of failure a service means by a code of its own, if that alone tells."""
    kinds = ((_NO_PLACE, NoSuchPlaceError), (_WHO, StorageCredentialsError), (_FULL, StorageFullError))
    return next((kind for codes, kind in kinds if code in codes), None)


def is_about_the_place(error: BaseException) -> bool:
    """Whether it is the bucket or the container that is not there."""
    text = _head(error)
    code = _CODE.search(text)
    if code is not None:
        return code[1] in _NO_PLACE
    return "container does not exist" in text  # as a list of deletions has it


def translated(error: Exception, *, url: str, operation: str, secrets: Iterable[str] = ()) -> Exception:
    """Return the error to raise in place of one of obstore's; of this module's own accord it has no cause.

    It is chained to the original where that shows no credential.
    """
    text, whole = _head(error), str(error)
    failure = _failure(error, text, url, operation, redacted(_reason(text), secrets))
    error.__context__ = None
    if redacted(whole, secrets) == whole:
        failure.__cause__ = error
    return failure


def _failure(error: Exception, text: str, url: str, operation: str, reason: str) -> Exception:
    from obstore import exceptions

    status = _status(text)
    code = found[1] if (found := _CODE.search(text)) else ""
    kind: Any = None
    if is_about_the_place(error):
        kind = NoSuchPlaceError
    elif isinstance(error, FileNotFoundError):
        missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url)
        missing.add_note(reason)
        return missing
    elif (known := kind_of_code(code)) is not None:
        kind = known
    elif status == 401 or isinstance(error, exceptions.UnauthenticatedError):
        kind = StorageCredentialsError
    elif status == 507:
        kind = StorageFullError
    elif "authenticate the request" in text or _asks_who(text):
        kind = StorageCredentialsError
    elif status == 403 or isinstance(error, exceptions.PermissionDeniedError):
        kind = StoragePermissionError
    elif isinstance(error, exceptions.NotSupportedError) or status in (405, 501):
        kind = UnsupportedOperationError
    elif "dns error" in str(error) and "Temporary failure" not in str(error):
        kind, reason = NoSuchPlaceError, "the name of its host is not known"
    elif "kind: Timeout" in str(error):
        kind, reason = StorageConnectionError, "there was no answer in time, for which client_options has the limits"
    elif status in (408, 429) or (status >= 500 if status else "HTTP error" in text):
        kind = StorageConnectionError
    elif status == 404:  # of something that is no object
        kind = NoSuchPlaceError
    if kind is not None:
        failure: StorageError = kind(url=url, operation=operation, reason=reason)
        return failure
    if status in (301, 307, 400) and ("Redirect" in code or "redirect" in text or "Region" in code):
        reason += ": the bucket is in another region, give its region"
    return StorageError(f"{operation} {url}: {reason}", url=url, operation=operation)


def _asks_who(text: str) -> bool:
    """Whether it failed before the request, when credentials were looked for."""
    return _ASKING.search(text.partition("Server returned")[0]) is not None


def _head(error: BaseException) -> str:
    """Return what obstore says, without its description of the same in Rust."""
    return str(error).partition("\n\nDebug source")[0]


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return int(found[1] or found[2]) if found else None


def _reason(text: str) -> str:
    """Return what the service says in one line, else what obstore says."""
    code, message = _CODE.search(text), _MESSAGE.search(text) or _BULK.search(text)
    said = ": ".join(found[1].strip() for found in (code, message) if found)
    if not said:
        said = _REQUEST.sub("", text)
        said = re.sub(r"^.*?status code: ", "", said, flags=re.DOTALL)
        said = " ".join(said.split()).rstrip(" :.")
    return said[:_LONGEST]
