"""S3, and what speaks its protocol.

obstore reads options, ``AWS_*`` variables, and the metadata of machines and containers. Profiles in ``~/.aws`` are read
by boto3, where it is installed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from persistable.exceptions import (
    StorageConnectionError,
    StorageCredentialsError,
    StorageError,
    StoragePermissionError,
)
from persistable.redaction import redacted, secrets_of
from persistable.storage import Entry
from persistable_obstore.failures import kind_of_code
from persistable_obstore.place import Place
from persistable_obstore.settings import Settings, secrets_of_environment

if TYPE_CHECKING:
    from obstore.store import S3Store

__all__ = ["Uploads", "connect"]

T = TypeVar("T")

_ENDPOINT = ("endpoint_url_s3", "endpoint_url", "endpoint")
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_IDENTITY = ("access_key_id", "secret_access_key", "skip_signature", "web_identity_token_file")
_IDENTITY_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_FILES = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))


def connect(place: Place, options: Mapping[str, Any], *, uploads: bool = False) -> S3Store:
    """Return obstore's client for a bucket, or one for uploads.

    Raises ImportError if a profile is asked for and boto3 is not installed.
    """
    from obstore.store import S3Store

    settings = _settings(place, options)
    settings.config.setdefault("disable_bulk_delete", True)  # one at a time is all we do, and everybody has that
    return S3Store(place.bucket, prefix=place.prefix or None, **settings.arguments(uploads=uploads))


class Uploads:
    """Multipart uploads that are open below a place. obstore has no call for that, boto3 has."""

    def __init__(self, place: Place, options: Mapping[str, Any]) -> None:
        """Raises ImportError if boto3 is not installed."""
        import boto3
        from botocore.config import Config

        settings = _settings(place, options)
        config = settings.config
        identity = settings.provider() if settings.provider is not None else {}
        region = settings.find(("region", "default_region"), ("AWS_REGION", "AWS_DEFAULT_REGION"))
        self._place, self._start = place, f"{place.prefix}/" if place.prefix else ""
        self._secrets = secrets_of(options) | secrets_of_environment()
        self._client = boto3.Session().client(
            "s3",
            endpoint_url=settings.find(_ENDPOINT, _ENDPOINT_VARIABLES),
            region_name=region or "us-east-1",
            aws_access_key_id=identity.get("access_key_id", config.get("access_key_id")),
            aws_secret_access_key=identity.get("secret_access_key", config.get("secret_access_key")),
            aws_session_token=identity.get("token", config.get("session_token", config.get("token"))),
            config=Config(
                s3={"addressing_style": "auto" if config.get("virtual_hosted_style_request") else "path"},
                connect_timeout=10,  # seconds, as obstore has it
                read_timeout=20,
                retries={"total_max_attempts": 2},
            ),
        )

    def list(self) -> list[Entry]:
        """Return them all."""

        def found() -> list[Entry]:
            pages = self._client.get_paginator("list_multipart_uploads")
            return [
                Entry(upload["Key"].removeprefix(self._start), 0, upload["Initiated"].timestamp(), upload["UploadId"])
                for page in pages.paginate(Bucket=self._place.bucket, Prefix=self._start)
                for upload in page.get("Uploads", ())
            ]

        return self._done("uploads", self._place.url, found) or []

    def abort(self, upload: Entry) -> None:
        """End one of them, and drop the parts that it has; one that is not there any more is no error."""
        self._done(
            "abort",
            f"{self._place.url}/{upload.name}",
            lambda: self._client.abort_multipart_upload(
                Bucket=self._place.bucket, Key=self._start + upload.name, UploadId=upload.version
            ),
        )

    def _done(self, operation: str, url: str, call: Callable[[], T]) -> T | None:
        """Call boto3; what it raises becomes an error of ours."""
        from botocore.exceptions import BotoCoreError, ClientError

        failure: Exception
        kind: Any
        try:
            with contextlib.closing(self._client):
                return call()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == "NoSuchUpload":
                return None
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            failure, kind = error, kind_of_code(code) or _kind_of_status(status)
        except BotoCoreError as error:
            failure, kind = error, StorageConnectionError
        # outside of the handler: the original may show credentials, and would be kept as the context
        reason = redacted(str(failure), self._secrets)
        cause = failure if reason == str(failure) else None
        if kind is None:
            raise StorageError(f"{operation} {url}: {reason}", url=url, operation=operation) from cause
        raise kind(url=url, operation=operation, reason=reason) from cause


def _kind_of_status(status: int) -> type[StorageError] | None:
    if status >= 500:
        return StorageConnectionError
    return {401: StorageCredentialsError, 403: StoragePermissionError}.get(status)


def _settings(place: Place, options: Mapping[str, Any]) -> Settings:
    rest = dict(options)
    profile = rest.pop("profile", None)
    settings = Settings(rest, "aws_")
    if profile is not None or (settings.provider is None and _may_need_a_profile(settings)):
        _take_profile(place, settings, profile)
    settings.allow_http_for(settings.find(_ENDPOINT, _ENDPOINT_VARIABLES))
    return settings


def _may_need_a_profile(settings: Settings) -> bool:
    if settings.has(*_IDENTITY) or any(os.environ.get(name) for name in _IDENTITY_VARIABLES):
        return False
    return bool(os.environ.get("AWS_PROFILE")) or any(
        os.path.exists(os.path.expanduser(os.environ.get(variable) or path)) for variable, path in _FILES
    )


def _take_profile(place: Place, settings: Settings, profile: str | None) -> None:
    """Take credentials, region and endpoint from a profile of ``~/.aws``; what is set otherwise has precedence."""
    try:
        import boto3
        import botocore.exceptions
        import botocore.session
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        if profile is None and not os.environ.get("AWS_PROFILE"):
            return  # the files are there, and may have nothing to do with it
        raise ImportError("profiles of ~/.aws are read by boto3: pip install boto3") from error
    session = botocore.session.Session(profile=profile)
    try:
        scoped = session.get_scoped_config()
        is_known = session.get_credentials() is not None
    except (
        botocore.exceptions.BotoCoreError
    ) as error:  # no such profile, files that cannot be read, a login that is over
        raise StorageCredentialsError(url=place.url, operation="open", reason=str(error)) from error
    for name, options, variables in (
        ("region", ("region", "default_region"), ("AWS_REGION", "AWS_DEFAULT_REGION")),
        ("endpoint_url", _ENDPOINT, _ENDPOINT_VARIABLES),
    ):
        if scoped.get(name) and settings.find(options, variables) is None:
            settings.config[options[-1] if name != "region" else name] = scoped[name]
    if is_known:
        settings.provider = Boto3CredentialProvider(boto3.Session(botocore_session=session))
