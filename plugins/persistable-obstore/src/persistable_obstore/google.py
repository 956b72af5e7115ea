"""Google Cloud Storage.

obstore reads options, ``GOOGLE_*`` variables, the application's default credentials, and the metadata of machines. What
kinds of credentials it does not know are found by google-auth, where it is installed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from persistable_obstore.place import Place
from persistable_obstore.settings import Settings

if TYPE_CHECKING:
    from obstore.store import GCSStore

__all__ = ["connect"]

_IDENTITY = ("service_account", "service_account_path", "service_account_key", "bearer_token", "skip_signature")
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


def connect(place: Place, options: Mapping[str, Any], *, uploads: bool = False) -> GCSStore:
    """Return obstore's client for a bucket, or one for uploads."""
    from obstore.store import GCSStore

    settings = _settings(options)
    return GCSStore(place.bucket, prefix=place.prefix or None, **settings.arguments(uploads=uploads))


def _settings(options: Mapping[str, Any]) -> Settings:
    settings = Settings(options, "google_")
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator and settings.find(("base_url",), ("GOOGLE_BASE_URL",)) is None:
        settings.config["base_url"] = emulator if "://" in emulator else f"http://{emulator}"
        settings.config.setdefault("bearer_token", "emulator")  # skip_signature is for reading alone
    settings.allow_http_for(settings.find(("base_url",), ("GOOGLE_BASE_URL",)))
    if settings.provider is None and not _is_identified(settings):
        settings.provider = _default_credentials()
    return settings


def _is_identified(settings: Settings) -> bool:
    """Whether options, or variables that obstore reads by itself, say who asks."""
    return settings.has(*_IDENTITY, "application_credentials") or any(
        os.environ.get(f"GOOGLE_{name.upper()}") for name in _IDENTITY
    )


def _default_credentials() -> Any:
    """Return a provider of google-auth's default credentials; None where that is not installed or finds nothing."""
    try:
        if importlib.util.find_spec("google.auth") is None or importlib.util.find_spec("requests") is None:
            return None
    except ModuleNotFoundError:  # there is no package google at all
        return None
    import google.auth
    import google.auth.exceptions
    from obstore.auth.google import GoogleCredentialProvider

    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except google.auth.exceptions.DefaultCredentialsError:
        return None
    return GoogleCredentialProvider(credentials)
