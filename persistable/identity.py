"""The identity of an artifact, its key, and its lineage: pure functions, no I/O.

The identity is the JSON document ``{"dependencies": [[role, key], …], "name", "params", "schema", "version"}`` in
canonical form; its SHA-256, cut to 128 bits, is the key. Upstream artifacts enter by key (a Merkle tree), so the cost
is linear in the number of nodes, whatever the paths between them.
"""

from __future__ import annotations

import functools
from typing import Any

from persistable.canonical import canonical, quote
from persistable.named_tuple import NamedTuple

__all__ = ["SCHEMA", "Identity", "canonical", "identify", "indented", "key_of", "lineage", "lineage_text"]

SCHEMA = 1
_sha256: Any = None  # bound on first use: OpenSSL takes a tenth of the import to load


class _Fields(NamedTuple):
    name: str
    version: str
    params: tuple[str, ...]
    dependencies: tuple[tuple[str, Identity], ...]
    text: str
    key: str


class Identity(_Fields):
    """What an artifact is: immutable, equal to another exactly if the keys are equal. Made by ``identify``.

    Attributes:
        name: payload name.
        version: version of the algorithm.
        params: canonical ``"field":value`` texts, sorted by field.
        dependencies: role and identity of each upstream artifact, in the order that counts.
        text: the canonical document.
        key: 32 hex characters.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.key == other.key

    def __ne__(self, other: object) -> bool:  # a tuple has its own
        return not self == other

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<Identity {self.name} {self.key}>"


def identify(
    name: str, version: str, params: tuple[str, ...], dependencies: tuple[tuple[str, Identity], ...]
) -> Identity:
    """Return the identity of a payload name, version, encoded params (``Snapshot.parts``) and dependencies by role.

    Raises:
        ValueError: a name, version or role has lone surrogates, which no two programs write alike.
        TypeError: one of them is not a str.
    """
    upstream = ",".join([f'[{_quoted(role)},"{node.key}"]' for role, node in dependencies]) if dependencies else ""
    middle, end = _around_params(name, version)
    text = f'{{"dependencies":[{upstream}{middle}{",".join(params)}{end}'
    return tuple.__new__(Identity, (name, version, params, dependencies, text, key_of(text)))


def key_of(text: str) -> str:
    """Return the key of a canonical identity: the first 32 hex characters of its SHA-256."""
    global _sha256
    if _sha256 is None:
        from hashlib import sha256 as _sha256
    return _sha256(text.encode("ascii")).hexdigest()[:32]  # type: ignore[no-any-return]


def lineage(identity: Identity) -> dict[str, Identity]:
    """Return all upstream identities by key, sorted by key, each once and without the identity itself."""
    found: dict[str, Identity] = {}
    waiting = [identity]
    while waiting:
        for _, upstream in waiting.pop().dependencies:
            if upstream.key not in found:
                found[upstream.key] = upstream
                waiting.append(upstream)
    return dict(sorted(found.items()))


def lineage_text(identity: Identity) -> str:
    """Return the lineage as a JSON object from key to identity document, verbatim, one line per node."""
    lines = [f'"{key}":{upstream.text}' for key, upstream in lineage(identity).items()]
    return "{\n" + ",\n".join(lines) + "\n}\n" if lines else "{}\n"


def indented(identity: Identity) -> str:
    """Return the identity document for people: the same JSON value as ``text``, with a line per param."""
    name, version, params, dependencies, *_ = identity
    held = ",\n      ".join(params)
    upstream = (
        ",\n      ".join([f'[{quote(role)}, "{node.key}"]' for role, node in dependencies]) if dependencies else ""
    )
    return (
        f'{{\n    "schema": {SCHEMA},\n    "name": {_quoted(name)},\n    "version": {_quoted(version)},\n'
        f'    "params": {{{_block(held)}}},\n    "dependencies": [{_block(upstream)}]\n  }}'
    )


def _block(lines: str) -> str:
    return f"\n      {lines}\n    " if lines else ""


@functools.lru_cache(maxsize=1024, typed=True)
def _around_params(name: str, version: str) -> tuple[str, str]:
    """Return the text of an identity between its dependencies and its params, and after these."""
    return f'],"name":{_quoted(name)},"params":{{', f'}},"schema":{SCHEMA},"version":{_quoted(version)}}}'


@functools.lru_cache(maxsize=1024, typed=True)
def _quoted(text: str) -> str:
    if type(text) is not str:
        raise TypeError(f"the name, version and roles of an identity are str, not {type(text).__qualname__}")
    quoted = quote(text)
    if quoted is None:
        raise ValueError(f"payload name, version or role {text!a} has lone surrogates: leave them out")
    return quoted
