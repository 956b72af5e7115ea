"""The table of everything that plugins declare: who has which name. Pure; the same for any order of installation.

Built-in and first-party names are theirs whether or not they are installed. Of two third parties that claim one name
neither gets it. A plugin that breaks these rules is a failed one, with all that it declares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from persistable.discovery import Plugin, canonical_name
from persistable.specs import EncoderSpec, FormatSpec, StorageSpec

if TYPE_CHECKING:
    from pluggy import HookImpl

__all__ = [
    "CORE",
    "FIRST_PARTY",
    "FIRST_PARTY_ENCODERS",
    "FIRST_PARTY_STORAGES",
    "Claim",
    "StorageClaim",
    "Table",
    "is_first_party",
    "tabulate",
]

CORE = "persistable"

# What the first-party distributions bring: for install hints, and because only they can be a type's default.
# format: (distribution, types of which it is the default, subclasses that it keeps included)
FIRST_PARTY: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "npy": ("persistable-numpy", ("numpy.ndarray", "numpy.memmap")),
    "npz": ("persistable-numpy", ()),
    "parquet": (
        "persistable-arrow",
        ("pandas.DataFrame", "pyarrow.Table", "pyarrow.RecordBatchReader", "polars.DataFrame"),
    ),
    "csv": ("persistable-arrow", ()),
    "feather": ("persistable-arrow", ()),
    "avro": ("persistable-avro", ()),
}
# library of a param's type: distribution that encodes its types
FIRST_PARTY_ENCODERS: Mapping[str, str] = {
    "pandas": "persistable-arrow",
    "pyarrow": "persistable-arrow",
    "polars": "persistable-arrow",
}
# URL scheme: distribution that serves it; "*" serves what nobody else does
FIRST_PARTY_STORAGES: Mapping[str, str] = {
    "s3": "persistable-obstore",
    "az": "persistable-obstore",
    "gs": "persistable-obstore",
    "sftp": "persistable-sftp",
    "fsspec+*": "persistable-fsspec",
    "*": "persistable-fsspec",
}

_DISTRIBUTIONS = {
    CORE,
    *(owner for owner, _ in FIRST_PARTY.values()),
    *FIRST_PARTY_ENCODERS.values(),
    *FIRST_PARTY_STORAGES.values(),
}


class Claim(NamedTuple):
    """A declared format and the plugin that declares it."""

    spec: FormatSpec
    plugin: Plugin


class StorageClaim(NamedTuple):
    """A declared storage and the plugin that declares it."""

    spec: StorageSpec
    plugin: Plugin


class Table(NamedTuple):
    """What is declared.

    Attributes:
        plugins: all of them, the core first, then first-party ones, each sorted by name; broken ones with their errors.
        formats: by name.
        contested: formats that several third parties claim, by name; nobody has them.
        storages: all that claim a scheme, by scheme; one that several third parties claim is nobody's.
        encoders: of params, with their plugins.
        observers: of events.
    """

    plugins: tuple[Plugin, ...]
    formats: Mapping[str, Claim]
    contested: Mapping[str, tuple[Claim, ...]]
    storages: Mapping[str, tuple[StorageClaim, ...]]
    encoders: tuple[tuple[EncoderSpec, Plugin], ...]
    observers: tuple[HookImpl, ...]


def is_first_party(plugin: Plugin) -> bool:
    """Tell whether a plugin is the core's own or comes with one of its distributions."""
    return canonical_name(plugin.distribution) in _DISTRIBUTIONS


def tabulate(plugins: Iterable[Plugin]) -> Table:
    """Return the table of some plugins, in whatever order they come."""
    rows: list[Plugin] = []
    formats: dict[str, Claim] = {}
    contested: dict[str, tuple[Claim, ...]] = {}
    for plugin in sorted(plugins, key=_order):
        error = _trespass(plugin, formats) if plugin.status == "loaded" else None
        if error is not None:
            plugin = plugin.failed(error)
        rows.append(plugin)
        for spec in plugin.formats:
            claim = Claim(spec, plugin)
            if spec.name in contested:
                contested[spec.name] += (claim,)
            elif spec.name in formats:
                contested[spec.name] = (formats.pop(spec.name), claim)
            else:
                formats[spec.name] = claim
    storages: dict[str, tuple[StorageClaim, ...]] = {}
    for plugin in rows:
        for row in plugin.storages:
            for scheme in row.schemes:
                storages[scheme] = (*storages.get(scheme, ()), StorageClaim(row, plugin))
    encoders = tuple((spec, plugin) for plugin in rows for spec in plugin.encoders)
    observers = tuple(hook for plugin in rows for hook in plugin.observers)
    return Table(tuple(rows), formats, contested, storages, encoders, observers)


def _order(plugin: Plugin) -> tuple[bool, bool, str, str]:
    distribution = canonical_name(plugin.distribution)
    return (distribution != CORE, not is_first_party(plugin), plugin.name, distribution)


def _trespass(plugin: Plugin, formats: Mapping[str, Claim]) -> Exception | None:
    """Say which name in a plugin's declarations is somebody else's."""
    distribution = canonical_name(plugin.distribution)
    for spec in plugin.formats:
        owner = FIRST_PARTY[spec.name][0] if spec.name in FIRST_PARTY else None
        standing = formats.get(spec.name)
        if owner is not None and distribution != owner:
            return ValueError(f"the format name {spec.name!r} belongs to {owner}")
        if standing is not None and canonical_name(standing.plugin.distribution) == CORE:
            return ValueError(f"the format name {spec.name!r} belongs to the core")
        if standing is not None and canonical_name(standing.plugin.distribution) == distribution:
            return ValueError(f"the format name {spec.name!r} is declared twice by {plugin.distribution}")
    for storage in plugin.storages:
        for scheme in storage.schemes:
            if scheme == "file" or distribution != FIRST_PARTY_STORAGES.get(scheme, distribution):
                return ValueError(f"the scheme {scheme}:// belongs to {FIRST_PARTY_STORAGES.get(scheme, CORE)}")
    for encoder in plugin.encoders:
        for declared in encoder.types:
            library = declared.partition(".")[0]
            if distribution != FIRST_PARTY_ENCODERS.get(library, distribution):
                return ValueError(f"the encoding of {library} objects belongs to {FIRST_PARTY_ENCODERS[library]}")
    return None
