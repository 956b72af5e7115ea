"""What a client is told: the user's options, the environment, and limits within which it gives up."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

__all__ = ["Settings", "secrets_of_environment"]

# A host that cannot be reached, or takes requests and never answers, is an error after 40 s: a second attempt begins if
# the first one took no more than 30 s. What is tried only once, as a put on condition, is an error after 20 s.
_CONNECT = {"connect_timeout": timedelta(seconds=10)}
_RETRY = {"retry_timeout": timedelta(seconds=30)}
# The client's ``timeout`` counts to the end of an answer's body, its ``read_timeout`` anew from each piece of it: only
# that tells silence from a slow line.
_ANSWERS = {"read_timeout": timedelta(seconds=20), "timeout": timedelta(hours=1)}
# But while a request is being sent, both count from its beginning. So what carries a part of a payload has time for it.
_UPLOADS = {"timeout": timedelta(seconds=180)}

_SECRET = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_TOKEN",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "GOOGLE_BEARER_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)


class Settings:
    """Options of a store of obstore, by the names that it has for them, with or without the service's prefix.

    Attributes:
        config: what is left for the store's ``config``.
        client: its ``client_options``, as far as they are decided by now.
        retry: its ``retry_config``.
        provider: its ``credential_provider``, or None.
    """

    def __init__(self, options: Mapping[str, Any], *prefixes: str) -> None:
        self._prefixes = prefixes
        rest = dict(options)
        self.client: dict[str, Any] = _CONNECT | dict(rest.pop("client_options", None) or {})
        self.retry: dict[str, Any] = _RETRY | dict(rest.pop("retry_config", None) or {})
        self.provider: Callable[[], Any] | None = rest.pop("credential_provider", None)
        self.config = {self._plain(name): value for name, value in rest.items() if value is not None}

    def _plain(self, name: str) -> str:
        name = name.lower()
        for prefix in self._prefixes:
            if name.startswith(prefix):
                return name.removeprefix(prefix)
        return name

    def has(self, *names: str) -> bool:
        """Whether one of these options is set."""
        return any(name in self.config for name in names)

    def find(self, options: tuple[str, ...], variables: tuple[str, ...]) -> str | None:
        """Return the first of some options that is set, else the first of some environment variables, else None."""
        found = [self.config.get(name) for name in options] + [os.environ.get(name) for name in variables]
        return next((str(value) for value in found if value), None)

    def allow_http_for(self, endpoint: str | None) -> None:
        """Allow plain http where the endpoint itself says so, unless the user has decided."""
        if endpoint is not None and endpoint.lower().startswith("http://"):
            self.client.setdefault("allow_http", True)

    def arguments(self, *, uploads: bool) -> dict[str, Any]:
        """Return what a store of obstore is made from, besides its bucket and prefix; ``uploads``: one for payloads."""
        client = _UPLOADS | self.client if uploads else _ANSWERS | self.client
        if uploads:
            client.pop("read_timeout", None)
        made: dict[str, Any] = {"config": self.config, "client_options": client, "retry_config": self.retry}
        if self.provider is not None:
            made["credential_provider"] = self.provider
        return made


def secrets_of_environment() -> frozenset[str]:
    """Return the credentials that the clients read from environment variables."""
    return frozenset(value for name in _SECRET if (value := os.environ.get(name)))
