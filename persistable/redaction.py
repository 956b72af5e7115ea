"""Texts without credentials: URLs and the messages of clients, before they become part of an error, a log or a repr."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["has_credentials", "redacted", "secrets_of", "without_secrets"]

_SHORTEST = 4  # characters: shorter values are words like "us" and "true" that would tear texts to pieces
_USER = re.compile(r"(?<=://)(?:[^/@\s]+@)+")
# with slashes in it as well; a number and a slash are a port and a path
_PASSWORD = re.compile(r"(?<=://)[^/?#@\s:\[]*:(?!\d*(?:[/?#\s]|$))[^@\s]*@(?:[^/@\s]*@)*")
_TOKEN = re.compile(r"(?i)https?://[^/?#@\s]+@")  # no user: the web has none without a password
# what signs a request, in a query or a header
_SIGNATURE = re.compile(
    r"(?i)((?:x-amz-(?:signature|credential|security-token)|awsaccesskeyid|signature|sig|sas|token|access_token|"
    r"password|passwd|secret|secret[-_]?key|account_?key|access[-_]?key|api[-_]?key|authorization|"
    # words that mean something else in the text of an error
    r"(?<=[?&;])(?:key|auth|pwd|pw|pass|credentials?))[\"']?\s*[=:]\s*(?:bearer\s+)?[\"']?)[^\s&\"',;<>]+"
)
_PUBLIC = re.compile(r"(?i)(region|endpoint|url|host|port|bucket|container|project|protocol|scheme|timeout|retries)$")


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without the secrets, the user part of URLs and the signatures of requests."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _SIGNATURE.sub(r"\1***", _USER.sub("***@", _PASSWORD.sub("***@", text)))


def has_credentials(url: str) -> bool:
    """Whether a URL has a password, a token or a signature in it."""
    return any(pattern.search(url) for pattern in (_PASSWORD, _TOKEN, _SIGNATURE))


def secrets_of(options: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the texts among a storage's options, however deep, that may be credentials: all but what says where."""
    found: set[str] = set()
    waiting: list[tuple[str, object]] = [("", options)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(str(key), item) for key, item in value.items()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += [(name, item) for item in value]
        elif isinstance(value, bytes):
            waiting.append((name, value.decode("utf-8", "replace")))
        elif isinstance(value, str) and len(value) >= _SHORTEST and not _PUBLIC.search(name):
            found.add(value)
    return frozenset(found)


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a storage's options that say where and how: numbers, and texts whose names say so."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            found[name] = without_secrets(value)
        elif (
            value is None
            or isinstance(value, bool | int | float)
            or (isinstance(value, str) and _PUBLIC.search(str(name)))
        ):
            found[name] = value
    return found
