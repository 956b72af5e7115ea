"""Which implementation fsspec has for a protocol, and what to install for it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

from persistable.exceptions import BrokenStorageError, UnknownStorageError
from persistable.schemes import meant_scheme
from persistable.table import FIRST_PARTY_STORAGES
from persistable_fsspec.version import __version__

__all__ = ["implementation_of", "load_class"]

# what fsspec says of a missing package: 'Install s3fs to access S3', 'SMB requires "smbprotocol" or …'
_PACKAGE = re.compile(r"\"([\w.\[\]-]+)\"|'([\w.\[\]-]+)'|[Ii]nstall(?: the)? ([\w-]+(?:\[\w+\])?)|^(pyarrow)\b")


def implementation_of(protocol: str, url: str) -> str | type:
    """Return the class of a protocol, or its import path where it is not imported yet.

    Raises UnknownStorageError if fsspec has none.
    """
    from fsspec.registry import known_implementations, registry

    if protocol in registry:
        found: str | type = registry[protocol]
    elif protocol in known_implementations:
        found = known_implementations[protocol]["class"]
    else:
        near = meant_scheme(protocol, {*registry, *known_implementations})
        owner = FIRST_PARTY_STORAGES.get(near or "")
        if owner is not None and find_spec(owner.replace("-", "_")) is not None:
            owner = None
        raise UnknownStorageError(url=url, scheme=protocol, install=owner, suggestion=near)
    return found


def load_class(protocol: str, url: str) -> Any:
    """Import the class of a protocol.

    Raises:
        UnknownStorageError: the package that it needs is not installed.
        BrokenStorageError: it is installed and cannot be imported.
    """
    from fsspec.registry import get_filesystem_class

    try:
        return get_filesystem_class(protocol)
    except ImportError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError):
            said = _PACKAGE.search(str(error))
            package = next(filter(None, said.groups())) if said else (cause.name or "").partition(".")[0]
            missing = UnknownStorageError(url=url, scheme=protocol, install=package or None)
            missing.add_note(f"fsspec says: {error}")
            raise missing from error
        broken = BrokenStorageError(
            url=url,
            scheme=protocol,
            distribution=f"persistable-fsspec {__version__}",
            reason=f"{error}" + (f" ({cause})" if cause else ""),
        )
        raise broken from error
