"""The place that a URL names: service, bucket (or container) and prefix."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Place"]


class Place(NamedTuple):
    """A part of a bucket.

    Attributes:
        scheme: ``"s3"``, ``"az"`` or ``"gs"``.
        bucket: the bucket, or the container.
        prefix: what all names begin with, without slashes around it; ``""`` for the whole bucket.
    """

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> Place:
        """Return the place of a URL, of which the prefix is taken as it is written: ``%`` is a character like others.

        Raises:
            ValueError: no bucket, an empty part, or credentials, which have no place in a URL.
        """
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        prefix = prefix.rstrip("/")
        if "?" in rest:  # not told what it is, as below: it may be a credential
            raise ValueError(
                f"a query, from the ? on, is no part of a location: a {scheme}:// URL is {scheme}://bucket/prefix and "
                "nothing else; what the client is to be told goes into storage_options"
            )
        if "@" in bucket:
            raise ValueError(
                f"a {scheme}:// URL is {scheme}://bucket/prefix and nothing else: give credentials by storage_options, "
                "or where the client looks for them"
            )
        if not bucket:
            raise ValueError(f"{url!r} names no bucket: give {scheme}://bucket/prefix")
        if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
            raise ValueError(f"{url!r} has a part that is empty, '.' or '..'")
        return cls(scheme.lower(), bucket, prefix)

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")
