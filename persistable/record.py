"""The record: the JSON beside a payload that says what it is. Pure: bytes in, bytes out.

A record ends with a digest of all bytes before it, so that every flipped bit is noticed. Its text is indented for
people; its identity is the document whose canonical JSON gives the key, so the key can be recomputed with ``json`` and
``hashlib`` alone.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from persistable.digest import digest_of

__all__ = ["SCHEMA", "Damage", "PayloadEntry", "PayloadFile", "Record", "UnknownSchema", "render"]

SCHEMA = 1

_dump = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False).encode
_TAIL = re.compile(
    rb'\n  "check": "(?P<check>([a-z0-9_]+):[0-9a-f]+)"(?P<signature>,\n  "signature": "[^"\\\n]*")?\n}\n\Z'
)
_TAIL_LONGEST = 512  # bytes, far above what a check and a signature take
_PATH = re.compile(r"(?:(?:\A|/)(?!\.{1,2}(?:/|\Z))[^/\\\0]+)+")  # no step of it is empty, "." or ".."


class Damage(Exception):  # noqa: N818 - never leaves the package: the store turns it into a CorruptArtifactError
    """Say what is wrong with a record or payload. Attributes: ``reason``, ``path`` (of the file, once known)."""

    def __init__(self, reason: str, path: str = "") -> None:
        self.reason, self.path = reason, path
        super().__init__(reason)


class UnknownSchema(Exception):  # noqa: N818 - as above, a RecordSchemaError outside
    """Say which schema a record has. Attribute: ``found``."""

    def __init__(self, found: object) -> None:
        self.found = found
        super().__init__(found)


class PayloadFile(NamedTuple):
    """A file of a payload: its path below the folder of the record, with ``/``, its size in bytes and its digest."""

    path: str
    bytes: int
    digest: str


class PayloadEntry(NamedTuple):
    """What a record says of its payload; ``chosen`` is the reason why this format was chosen."""

    format: str
    format_version: int
    distribution: str | None
    type: str
    chosen: str
    metadata: Mapping[str, Any]
    files: Sequence[PayloadFile]


class Record:
    """A record that was read and found undamaged.

    ``document`` is the whole JSON object; the attributes are views on it. Records are not to be modified.
    """

    __slots__ = ("document", "files", "raw")

    def __init__(self, document: dict[str, Any], raw: bytes, files: tuple[PayloadFile, ...]) -> None:
        self.document, self.raw, self.files = document, raw, files

    @property
    def key(self) -> str:
        """The key: 32 hex characters."""
        return str(self.document["key"])

    @property
    def identity(self) -> dict[str, Any]:
        """Schema, name, version, params and dependencies: what the key is the digest of."""
        return dict(self.document["identity"])

    @property
    def untracked_params(self) -> dict[str, Any]:
        """The params that are not in the key."""
        return dict(self.document["untracked_params"])

    @property
    def lineage(self) -> str | None:
        """The digest of the lineage file; None without dependencies."""
        value = self.document["lineage"]
        return None if value is None else str(value)

    @property
    def format(self) -> str:
        """The name of the format that reads the payload."""
        return str(self.document["payload"]["format"])

    @property
    def metadata(self) -> dict[str, Any]:
        """What the format keeps for itself."""
        return dict(self.document["payload"]["metadata"])

    @property
    def provenance(self) -> dict[str, Any]:
        """When, by which class, in which environment the payload was generated."""
        return dict(self.document["provenance"])

    @property
    def main_path(self) -> str:
        """The payload's file, or its folder where the format writes several."""
        return self.files[0].path.partition("/")[0]

    @property
    def size(self) -> int:
        """Bytes of all payload files."""
        return sum(file.bytes for file in self.files)

    def __repr__(self) -> str:
        identity = self.document["identity"]
        return f"<Record {identity['name']} {self.key} {self.format} {self.size} bytes>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{html.escape(name)}</th>"
            f"<td><pre style='margin:0'>{html.escape(json.dumps(value, indent=1))}</pre></td></tr>"
            for name, value in self.document.items()
        )
        return f"<table>{rows}</table>"

    @classmethod
    def parse(cls, raw: bytes, key: str) -> Record:
        """Judge and read the bytes of the record of ``key``.

        Raises:
            Damage: the check does not hold, the JSON is not a record, or it is the record of another key.
            UnknownSchema: a newer persistable wrote it.
        """
        tail = _TAIL.search(raw, max(0, len(raw) - _TAIL_LONGEST))
        if tail is None:
            raise Damage("does not end as a record does" if raw else "is empty")
        try:
            holds = digest_of(raw[: tail.start() + 3], tail[2].decode()).encode() == tail["check"]
        except ValueError:
            holds, newer = False, re.match(rb'{\n  "record_schema": (\d+),', raw)
            if newer and int(newer[1]) > SCHEMA:
                raise UnknownSchema(int(newer[1])) from None
        if not holds:
            raise Damage("does not have the digest it ends with")
        try:
            document = json.loads(raw)
            schema = document["record_schema"]
            if type(schema) is int and schema > SCHEMA:
                raise UnknownSchema(schema)
            found, entry = document["key"], document["payload"]
            files = tuple([PayloadFile(file["path"], file["bytes"], file["digest"]) for file in entry["files"]])
            sound = _has_its_types(document, files)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Damage(f"is not a record: {type(error).__name__} {error}") from None
        if not sound:
            raise Damage("is not a record: one of its fields is of another type")
        if found != key:
            raise Damage(f"is the record of key {found}")
        root = f"{key}-"
        for file in files:
            if not (file.path.startswith(root) and _PATH.fullmatch(file.path)):
                raise Damage(f"names a payload file that cannot be its own: {file.path!r}")
        if not files:
            raise Damage("names no payload file")
        return cls(document, raw, files)


def _has_its_types(document: dict[str, Any], files: Sequence[PayloadFile]) -> bool:
    """Whether the fields that readers rely on are what they take them for: a check can be computed by anybody."""
    entry, lineage = document["payload"], document["lineage"]
    if type(document["record_schema"]) is not int or document["record_schema"] < 1:
        return False
    if not (type(document["identity"]["name"]) is type(entry["format"]) is str):
        return False
    if not (type(document["untracked_params"]) is type(document["provenance"]) is type(entry["metadata"]) is dict):
        return False
    if lineage is not None and type(lineage) is not str:
        return False
    return all(
        type(file.path) is type(file.digest) is str and type(file.bytes) is int and file.bytes >= 0 for file in files
    )


def render(
    *,
    key: str,
    identity: str,
    untracked_params: Mapping[str, Any],
    lineage: str | None,
    payload: PayloadEntry,
    provenance: Mapping[str, Any],
    algorithm: str,
) -> bytes:
    """Write a record. ``identity`` is indented JSON text of the identity document; the rest is JSON data."""
    files = ",\n      ".join(_dump(file._asdict()) for file in payload.files)
    entry = payload._asdict()
    del entry["files"]
    text = (
        f'{{\n  "record_schema": {SCHEMA},\n  "key": "{key}",\n  "identity": {identity},\n'
        f'  "untracked_params": {_dump(untracked_params)},\n  "lineage": {_dump(lineage)},\n'
        f'  "payload": {{\n    {_lines(entry)},\n    "files": [\n      {files}\n    ]\n  }},\n'
        f'  "provenance": {{\n    {_lines(provenance)}\n  }},\n  '
    ).encode("ascii")
    return text + f'"check": "{digest_of(text, algorithm)}"\n}}\n'.encode("ascii")


def _lines(entry: Mapping[str, Any]) -> str:
    return ",\n    ".join([f'"{name}": {_dump(value)}' for name, value in entry.items()])
