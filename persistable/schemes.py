"""Which storage serves a URL, by its scheme; and where none does, what to install or what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from persistable.diagnosis import note_troubles
from persistable.discovery import Plugin, canonical_name, describe, load_object
from persistable.exceptions import BrokenStorageError, UnknownStorageError
from persistable.redaction import redacted
from persistable.storage import Storage
from persistable.table import FIRST_PARTY_STORAGES, StorageClaim, Table

__all__ = ["meant_scheme", "storage_class"]

# what others call these schemes, or write in their place
_MEANT: Mapping[str, str] = {
    **dict.fromkeys(("aws", "minio", "r2", "s3a", "s3n"), "s3"),
    **dict.fromkeys(("abfs", "abfss", "adl", "azure", "blob", "wasb", "wasbs"), "az"),
    **dict.fromkeys(("gcs", "google"), "gs"),
    **dict.fromkeys(("scp", "ssh", "sshfs"), "sftp"),
}


def storage_class(url: str, table: Table) -> type[Storage]:
    """Return the Storage class that serves a URL, imported now; raises as ``Registry.storage`` does."""
    scheme = url.partition("://")[0].lower()
    family = f"{scheme.partition('+')[0]}+*" if "+" in scheme else scheme
    claims = table.storages.get(scheme) or table.storages.get(family)
    owner = FIRST_PARTY_STORAGES.get(scheme) or FIRST_PARTY_STORAGES.get(family)
    if not claims and owner is not None:
        for plugin in table.plugins:
            if plugin.error is not None and canonical_name(plugin.distribution) == owner:
                raise _broken_storage(url, scheme, plugin, plugin.error) from plugin.error
    claims = claims or table.storages.get("*", ())
    if len(claims) != 1:
        raise _unserved(url, scheme, owner, claims, table)
    spec, plugin = claims[0]
    try:
        found = load_object(spec.storage)
        if not (isinstance(found, type) and issubclass(found, Storage)):
            raise TypeError(f"{spec.storage} is not a Storage")
    except (Exception, SystemExit) as error:
        raise _broken_storage(url, scheme, plugin, error) from error
    return found


def meant_scheme(scheme: str, known: Iterable[str] = ()) -> str | None:
    """Return the URL scheme that somebody may have meant: of first-party storages, or another that is known."""
    import difflib

    if scheme in _MEANT:
        return _MEANT[scheme]
    served = [known for known in FIRST_PARTY_STORAGES if not known.endswith("*")]
    # of two letters one may be wrong, which is half of them
    near = difflib.get_close_matches(scheme, {*known, *served}, n=1) or [
        other for other in served if len(other) == len(scheme) == 2 and other[0] == scheme[0]
    ]
    return near[0] if near else None


def _broken_storage(url: str, scheme: str, plugin: Plugin, error: BaseException) -> BrokenStorageError:
    return BrokenStorageError(url=redacted(url), scheme=scheme, distribution=plugin.label, reason=describe(error))


def _unserved(
    url: str, scheme: str, owner: str | None, claims: tuple[StorageClaim, ...], table: Table
) -> UnknownStorageError:
    known = [known for known in table.storages if not known.endswith("*")]
    near = None if owner or claims else meant_scheme(scheme, known)
    install = owner
    if install is None and not claims and near not in table.storages:
        install = FIRST_PARTY_STORAGES["*" if near is None else near]
    error = UnknownStorageError(
        url=redacted(url),
        scheme=scheme,
        install=install,
        suggestion=near,
        claims=[claim.plugin.label for claim in claims],
    )
    note_troubles(error, table)
    return error
