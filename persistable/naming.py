"""Names on disk: the folder of a payload name, and the files of a key in it. Pure functions."""

from __future__ import annotations

import functools
import os
import re

from persistable.process import here, started

__all__ = [
    "LEASE",
    "LOCK",
    "LOG",
    "QUARANTINE",
    "STAGED",
    "lease_name",
    "lineage_name",
    "payload_name",
    "record_name",
    "slug",
    "staged_name",
]

LOG = "log.txt"
LOCK = ".lock"
LEASE = ".lease-"
QUARANTINE = "quarantine"
STAGED = ".tmp-"

_LONGEST = 80  # bytes of a slug, so that folder, key and suffix stay far below the 255 bytes of a file name
# patterns, compiled on first use
_SLUG = r"[a-z0-9_]{0,80}(-[0-9a-f]{8})?"
_PROCESS = r"([0-9]{1,9})(?:_([0-9]{1,19}))?"
_QUARANTINED = r"[0-9a-f]{8}-[0-9a-f]{32}[.-].*|[0-9a-f]{32}\.rejected\.(pickle|txt)"
_RECORD = r"[0-9a-f]{32}\.json"
_PART = r"([0-9a-f]{32})(?:(?P<record>\.json)|(?P<lineage>\.lineage\.json)|(?P<payload>-[0-9a-f]{8}(?:\..*)?))"
# names that Windows keeps for devices, and those that stand beside artifacts
_RESERVED = frozenset({"con", "prn", "aux", "nul", "log", QUARANTINE}) | {
    f"{device}{number}" for device in ("com", "lpt") for number in range(10)
}


@functools.lru_cache(maxsize=4096)
def slug(name: str) -> str:
    """Return the folder name of a payload name: ASCII, lower case, at most 89 bytes, distinct for distinct names.

    A name that had to be changed gets 8 hex characters of its SHA-256, so that case twins, Unicode twins and names
    that differ beyond the 80th byte do not meet (and if two ever did, their keys would still differ).

    Raises:
        ValueError: the name is not a str, is empty, or has a NUL or a surrogate.
    """
    if not isinstance(name, str):
        raise ValueError(f"payload_name {name!r} is a {type(name).__qualname__}: give a str")
    if not name:
        raise ValueError("payload_name is empty: give at least one character")
    if "\0" in name:
        raise ValueError(f"payload_name {name!r} has a NUL character: leave it out")
    from hashlib import sha256

    try:
        digest = sha256(name.encode()).hexdigest()
    except UnicodeEncodeError:
        raise ValueError(f"payload_name {name!r} has a lone surrogate: leave it out") from None
    import unicodedata

    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub("[^a-z0-9_]", "_", plain)[:_LONGEST]
    return plain if plain == name and plain not in _RESERVED else f"{plain}-{digest[:8]}"


def is_slug(name: str) -> bool:
    """Whether a folder of this name may be one of a payload's."""
    return bool(name) and re.fullmatch(_SLUG, name) is not None


def record_name(key: str) -> str:
    """Return the file name of the record of a key."""
    return f"{key}.json"


def lineage_name(key: str) -> str:
    """Return the file name of the lineage of a key."""
    return f"{key}.lineage.json"


def lease_name(key: str) -> str:
    """Return the file name of the lease under which a key is generated, on storages without locks."""
    return f"{LEASE}{key}"


def payload_name(key: str, suffix: str) -> str:
    """Return a new, unique name for a payload of a key."""
    return f"{key}-{os.urandom(4).hex()}{suffix}"


def key_of_record(name: str) -> str | None:
    """Return the key whose record has this file name, or None if it is no record."""
    return name[:32] if re.fullmatch(_RECORD, name) else None


def part_of(name: str) -> tuple[str, str] | None:
    """Return the key, and which part of its artifact may have this file name: record, payload or lineage."""
    match = re.fullmatch(_PART, name)
    return None if match is None else (match[1], match.lastgroup or "")


def key_of_payload(name: str) -> str | None:
    """Return the key whose payload may have this file name, or None if it cannot be a payload."""
    key, part = part_of(name) or (None, "")
    return key if part == "payload" else None


def key_beside(name: str) -> str | None:
    """Return the key whose payload or lineage may have this file name, or None if it can be neither."""
    key, part = part_of(name) or (None, "")
    return key if part in ("payload", "lineage") else None


def is_quarantined(name: str) -> bool:
    """Whether a file of this name was put into quarantine by us; others may have a folder of that name as well."""
    return re.fullmatch(_QUARANTINED, name) is not None


def key_of_lease(name: str) -> str | None:
    """Return the key whose lease has this name, or None if it is none."""
    key = name.removeprefix(LEASE)
    return key if name.startswith(LEASE) and key_of_record(record_name(key)) else None


@functools.lru_cache(maxsize=1)
def host() -> str:
    """Return 8 hex characters that stand for this machine (or container), as it runs, in the names of staged files."""
    from hashlib import sha256

    return sha256(here().encode()).hexdigest()[:8]


@functools.lru_cache(maxsize=1)
def _mark() -> str:
    """Return how the names of the files begin that this process is writing."""
    process = os.getpid()
    start = started(process)
    return f"{STAGED}{host()}-{process}-" if start is None else f"{STAGED}{host()}-{process}_{start}-"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark.cache_clear)


def staged_name(suffix: str) -> str:
    """Return a new name for a file that is being written: host, process and chance, then the suffix of the format.

    None is the beginning of another one. Nobody can tell it beforehand and put a link there for a format to follow.
    """
    return f"{_mark()}{os.urandom(4).hex()}{suffix}"


def staged_by(name: str) -> tuple[str, int, int | None] | None:
    """Return host and id of the process that writes a staged file, and when it was started, if the name says so.

    None if the name is not one of ours.
    """
    parts = name.removeprefix(STAGED).split("-", 2)
    if not name.startswith(STAGED) or len(parts) != 3 or not (process := re.fullmatch(_PROCESS, parts[1])):
        return None
    return parts[0], int(process[1]), int(process[2]) if process[2] else None
