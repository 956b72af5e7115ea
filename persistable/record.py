"""The record: the JSON beside a payload that says what it is. Pure: bytes in, bytes out.

A record ends with a digest of all bytes before it, so that every flipped bit is noticed. Its text is indented for
people; its identity is the document whose canonical JSON gives the key, so the key can be recomputed with ``json`` and
``hashlib`` alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from persistable.digest import digest_of
from persistable.display import printable
from persistable.named_tuple import NamedTuple
from persistable.quoting import quoted

__all__ = ["SCHEMA", "Damage", "PayloadEntry", "PayloadFile", "Record", "UnknownSchema", "members", "render"]

SCHEMA = 1

_START = f'{{\n  "record_schema": {SCHEMA},\n  "key": "%s",\n'
# after the start; a pattern, compiled on first use
_NAMED = rb'  "identity": \{\n    "schema": 1,\n    "name": "([^"\\\x00-\x1f]*)",\n'
_NAMED_AT = len(_START % (32 * "0"))
_PAYLOAD = (
    '\n  "payload": '  # indented by two: within the identity lines are indented by more, and strings have no newlines
)
_USUAL = (  # a payload of one file, and what stands up to the class: what a hit needs of most records
    r'\n  "payload": \{\n    "format": TEXT,\n    "format_version": ([0-9]+),\n    "distribution": (?:null|TEXT),'
    r'\n    "type": .*\n    "chosen": .*\n    "metadata": (\{.*\}),'
    r'\n    "files": \[\n      \{"path": TEXT, "bytes": ([0-9]+), "digest": "((?:xxh3_128|sha256):[0-9a-f]+)"\}\n    \]'
    r'\n  \},\n  "provenance": \{\n    "created": .*\n    "seconds": .*\n    "class": TEXT'.replace(
        "TEXT", r'"([^"\\\x00-\x1f]*)"'
    )
)
_match_usual: Any = None  # bound on first use: compiling the pattern takes longer than loading the module
_TAIL = (  # a pattern, compiled on first use
    rb'\n  "check": "(?P<check>([a-z0-9_]+):[0-9a-f]+)"(?P<signature>,\n  "signature": "[^"\\\n]*")?\n}\n\Z'
)
_DIGESTS = ("xxh3_128:", "sha256:")
_TAIL_LONGEST = 512  # bytes, far above what a check and a signature take


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


_Head: TypeAlias = "tuple[str, int, str | None, dict[str, Any], tuple[PayloadFile, ...], str]"

# What was lately found in a record, by key. Whoever asks for the same payload again and again reads the same bytes,
# which need not be judged a second time.
_lately: dict[str, tuple[bytes, _Head]] = {}
_REMEMBERED = 1024  # records
_SHORT = 4096  # bytes of a record that is remembered


class Record:
    """A record that was read and found undamaged.

    Records are not to be modified.

    Attributes:
        raw: the bytes.
        key: 32 hex characters.
        class_path: import path of the class that generated the payload.
        format: name of the format that reads the payload.
        format_version: version of the layout that the format wrote.
        distribution: name and version of the distribution that brought the format; None for an injected FileIO.
        metadata: what the format keeps for itself.
        files: the payload's files.
    """

    _document: dict[str, Any] | None

    __slots__ = (
        "_document",
        "class_path",
        "distribution",
        "files",
        "format",
        "format_version",
        "key",
        "metadata",
        "raw",
    )

    def __init__(self, raw: bytes, key: str, head: _Head) -> None:
        self.raw, self.key, self._document = raw, key, None
        self.format, self.format_version, self.distribution, metadata, self.files, self.class_path = head
        self.metadata = metadata or {}  # of its own: a head is shared by records of the same bytes

    @property
    def document(self) -> dict[str, Any]:
        """The whole JSON object; parsed when it is first asked for, since a hit needs little of it.

        Raises:
            Damage: it is not that of a record, though its check holds.
        """
        document = self._document
        if document is None:
            import json  # on first use: a hit does without

            try:
                document = json.loads(self.raw)
                if not _is_whole(document):
                    raise TypeError("one of its fields is of another type")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise Damage(f"is not a record: {type(error).__name__} {error}") from None
            self._document = document
        return document

    @property
    def name(self) -> str:
        """The payload name, which the identity has; most names are read from the text, and the rest is not parsed.

        Raises:
            Damage: as ``document`` does.
        """
        named = re.compile(_NAMED).match(self.raw, _NAMED_AT)
        if named is not None:
            return named[1].decode("ascii")
        return str(self.document["identity"]["name"])

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
    def provenance(self) -> dict[str, Any]:
        """When, by which class, in which environment the payload was generated."""
        return dict(self.document["provenance"])

    @property
    def signature(self) -> tuple[bytes, str] | None:
        """The bytes that are signed and their signature; None of a record without one."""
        tail = re.compile(_TAIL).search(self.raw, max(0, len(self.raw) - _TAIL_LONGEST))
        if tail is None or tail["signature"] is None:
            return None
        return self.raw[: tail.start("signature")], tail["signature"].decode("ascii").split('"')[3]

    @property
    def main_path(self) -> str:
        """The payload's file, or its folder where the format writes several."""
        return self.files[0].path.partition("/")[0]

    @property
    def is_folder(self) -> bool:
        """Whether the payload is a folder of files."""
        return "/" in self.files[0].path or (len(self.files) > 1 and any("/" in file.path for file in self.files))

    @property
    def size(self) -> int:
        """Bytes of all payload files."""
        return sum([file.bytes for file in self.files])

    def __repr__(self) -> str:
        name = printable(self.document["identity"]["name"])
        return f"<Record {name} {self.key} {printable(self.format)} {self.size} bytes>"

    def _repr_html_(self) -> str:
        import html
        import json

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
        lately = _lately.get(key)
        if lately is not None and lately[0] == raw:
            return cls(raw, key, lately[1])
        cut = len(raw) - _UNSIGNED
        if cut <= 0 or raw[cut:] != _ending(digest_of(raw[:cut])):
            _check(raw)
        try:
            head = _head(raw.decode("ascii"), key)
        except (ValueError, KeyError, TypeError, StopIteration, RecursionError) as error:
            raise Damage(f"is not a record: {type(error).__name__} {error}") from None
        if len(raw) <= _SHORT and not head[3]:  # metadata may be changed by the format that is given them
            if len(_lately) >= _REMEMBERED:
                _lately.clear()
            _lately[key] = raw, head
        return cls(raw, key, head)


def _ending(check: str) -> bytes:
    return f'"check": "{check}"\n}}\n'.encode("ascii")


_CLOSE = b"\n}\n"
_UNSIGNED = len(_ending("xxh3_128:" + 32 * "0"))  # bytes of the ending that nearly all records have


def _check(raw: bytes) -> None:
    """Judge a record by its check. Raises Damage, or UnknownSchema if a newer persistable has another kind of check."""
    tail = re.compile(_TAIL).search(raw, max(0, len(raw) - _TAIL_LONGEST))
    if tail is None:
        raise Damage("does not end as a record does" if raw else "is empty")
    try:
        holds = digest_of(raw[: tail.start() + 3], tail[2].decode()).encode() == tail["check"]
    except ValueError:
        newer = re.match(rb'{\n  "record_schema": (\d+),', raw)
        if newer and int(newer[1]) > SCHEMA:
            raise UnknownSchema(int(newer[1])) from None
        holds = False
    if not holds:
        raise Damage("does not have the digest it ends with")


def _head(text: str, key: str) -> _Head:
    """Read what a hit needs: format, its version and distribution, metadata, files, and the class of the payload.

    The layout is our own and the check has held, so most of the JSON can be skipped.
    """
    global _match_usual
    if _match_usual is None:
        _match_usual = re.compile(_USUAL).match
    usual = _match_usual(text, text.find(_PAYLOAD))
    if usual is None or not text.startswith(_START % key):
        return _parsed(text, key)
    format, version, distribution, metadata, path, size, digest, class_path = usual.groups()
    if "/" in path or not path.startswith(f"{key}-"):
        return _parsed(text, key)
    held = {} if metadata == "{}" else _loads(metadata)
    return format, int(version), distribution, held, (PayloadFile(path, int(size), digest),), class_path


def _loads(text: str) -> Any:
    import json

    return json.loads(text)


def _parsed(text: str, key: str) -> _Head:
    """Read the same from any JSON. What is relied on may be anything: a check can be computed by anybody."""
    document = _loads(text)
    schema = document["record_schema"]
    if type(schema) is not int:
        raise TypeError("its schema is no number")
    if schema > SCHEMA:
        raise UnknownSchema(schema)
    if document["key"] != key:
        raise Damage(f"is the record of key {document['key']}")
    payload, class_path = document["payload"], document["provenance"]["class"]
    format, version, metadata = payload["format"], payload["format_version"], payload["metadata"]
    distribution = payload.get("distribution")
    if not (type(class_path) is type(format) is str and type(metadata) is dict and type(version) is int):
        raise TypeError("one of its fields is of another type")
    if distribution is not None and type(distribution) is not str:
        raise TypeError("its distribution is no text")
    return format, version, distribution, metadata, _files(payload["files"], key), class_path


def _files(entries: Sequence[dict[str, Any]], key: str) -> tuple[PayloadFile, ...]:
    """Return what a record says of its payload's files, whose paths have to start with the key."""
    files = []
    for entry in entries:
        path, size, digest = entry["path"], entry["bytes"], entry["digest"]
        if not (
            type(path) is type(digest) is str
            and type(size) is int
            and size >= 0
            and digest.startswith(_DIGESTS)
            and digest.isprintable()  # errors show it
        ):
            raise TypeError("one of its fields is of another type")
        if not path.startswith(f"{key}-") or "\\" in path or "\0" in path or ("/" in path and not _is_inside(path)):
            raise Damage(f"names a payload file that cannot be its own: {path!r}")
        files.append(PayloadFile(path, size, digest))
    if not files:
        raise Damage("names no payload file")
    return tuple(files)


def _is_inside(path: str) -> bool:
    return {"", ".", ".."}.isdisjoint(path.split("/"))


def _is_whole(document: dict[str, Any]) -> bool:
    """Whether the rest of a record is what it is taken for."""
    lineage = document["lineage"]
    if type(document["record_schema"]) is not int or document["record_schema"] < 1:
        return False
    if not (type(document["untracked_params"]) is type(document["provenance"]) is dict):
        return False
    if lineage is not None and not (type(lineage) is str and lineage.startswith(_DIGESTS)):
        return False
    return type(document["identity"]["name"]) is str


def render(
    *,
    key: str,
    identity: str,
    untracked_params: Mapping[str, Any],
    lineage: str | None,
    payload: PayloadEntry,
    provenance: str,
    algorithm: str,
    main: str = "",
    sign: Callable[[bytes], str] | None = None,
) -> bytes:
    """Write a record. ``identity`` is the identity document, and ``provenance`` ``members``, as indented JSON text.

    ``main`` is the payload's file or folder, with which the paths of its files then start.

    ``sign`` returns the signature of all bytes before it.
    """
    listed = ",\n      ".join(
        [
            f'{{"path": {quoted(main + path)}, "bytes": {size}, "digest": "{digest}"}}'
            for path, size, digest in payload.files
        ]
    )
    text = (
        f'{_START % key}  "identity": {identity},\n  "untracked_params": {_text(untracked_params)},\n'
        f'  "lineage": {"null" if lineage is None else quoted(lineage)},\n'
        f'  "payload": {{\n    "format": {quoted(payload.format)},\n    "format_version": {payload.format_version},\n'
        f'    "distribution": {_text(payload.distribution)},\n    "type": {quoted(payload.type)},\n'
        f'    "chosen": {quoted(payload.chosen)},\n    "metadata": {_text(payload.metadata)},\n'
        f'    "files": [\n      {listed}\n    ]\n  }},\n  "provenance": {{\n    {provenance}\n  }},\n  '
    ).encode("ascii")
    raw = text + _ending(digest_of(text, algorithm))
    if sign is None:
        return raw
    signed = raw.removesuffix(_CLOSE)
    return signed + f',\n  "signature": "{sign(signed)}"'.encode("ascii") + _CLOSE


def members(given: Mapping[str, Any]) -> str:
    """Return the members of a JSON object as text, one line each, indented as a record has them."""
    return ",\n    ".join([f"{quoted(name)}: {_text(value)}" for name, value in given.items()])


def _text(value: Any) -> str:
    """Return a value as JSON; the encoder sets itself up anew for whatever is no str."""
    if value is None:
        return "null"
    if not value and type(value) is dict:
        return "{}"
    return quoted(value) if type(value) is str else _encode()(value)


@functools.cache
def _encode() -> Callable[[Any], str]:
    from json import JSONEncoder

    return JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False).encode
