"""Azure Blob Storage.

obstore reads options, ``AZURE_STORAGE_*`` variables, and the metadata of machines. Connection strings, and the names
that the az command has for variables, are understood too. Whoever is logged in by other means is found by
azure-identity, where it is installed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from persistable_obstore.place import Place
from persistable_obstore.settings import Settings

if TYPE_CHECKING:
    from obstore.store import AzureStore

__all__ = ["connect"]

# the well-known account of the emulator: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
_EMULATOR = {
    "DefaultEndpointsProtocol": "http",
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
_IDENTITY = {
    "account_key", "access_key", "master_key", "client_id", "client_secret", "sas_key", "sas_token", "bearer_token",
    "token", "federated_token_file", "use_azure_cli", "skip_signature", "msi_endpoint", "identity_endpoint",
}  # fmt: skip
_ENDPOINT_VARIABLES = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")


def connect(place: Place, options: Mapping[str, Any], *, uploads: bool = False) -> AzureStore:
    """Return obstore's client for a container, or one for uploads."""
    from obstore.store import AzureStore

    settings = _settings(options)
    return AzureStore(place.bucket, prefix=place.prefix or None, **settings.arguments(uploads=uploads))


def _settings(options: Mapping[str, Any]) -> Settings:
    rest = dict(options)
    said = rest.pop("connection_string", None)
    settings = Settings(rest, "azure_storage_", "azure_")
    if said is None and not settings.config:
        said = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    if said is not None:
        settings.config = _parsed(said) | settings.config
    for name, variable in (  # as the az command has them
        ("account_name", "AZURE_STORAGE_ACCOUNT"),
        ("account_key", "AZURE_STORAGE_KEY"),
        ("sas_token", "AZURE_STORAGE_SAS_TOKEN"),
    ):
        value = os.environ.get(variable)
        if value and not settings.has(name) and (name == "account_name" or not _is_identified(settings)):
            settings.config[name] = value
    settings.allow_http_for(settings.find(("endpoint",), _ENDPOINT_VARIABLES))
    if settings.provider is None and not _is_identified(settings) and _has_azure_identity():
        from obstore.auth.azure import AzureCredentialProvider

        settings.provider = AzureCredentialProvider()
    return settings


def _is_identified(settings: Settings) -> bool:
    """Whether options, or variables that obstore reads by itself, say who asks."""
    if settings.config.keys() & _IDENTITY:
        return True
    return any(os.environ.get(prefix + name.upper()) for name in _IDENTITY for prefix in ("AZURE_STORAGE_", "AZURE_"))


def _has_azure_identity() -> bool:
    try:
        return importlib.util.find_spec("azure.identity") is not None
    except ModuleNotFoundError:  # there is no package azure at all
        return False


def _parsed(connection_string: str) -> dict[str, Any]:
    """Return the options that a connection string stands for."""
    said = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    if said.get("UseDevelopmentStorage", "").lower() == "true":
        said = _EMULATOR | said
    endpoint = said.get("BlobEndpoint")
    if endpoint is None and said.get("AccountName"):
        scheme, suffix = said.get("DefaultEndpointsProtocol", "https"), said.get("EndpointSuffix", "core.windows.net")
        endpoint = f"{scheme}://{said['AccountName']}.blob.{suffix}"
    found = {
        "account_name": said.get("AccountName"),
        "account_key": said.get("AccountKey"),
        "sas_token": said.get("SharedAccessSignature"),
        "endpoint": endpoint,
    }
    return {name: value for name, value in found.items() if value}
