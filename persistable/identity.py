"""The identity of an artifact, its key, and its lineage: pure functions, no I/O.

The identity is the JSON document ``{"dependencies": [[role, key], …], "name", "params", "schema", "version"}`` in
canonical form; its SHA-256, cut to 128 bits, is the key. Upstream artifacts enter by key (a Merkle tree), so the cost
is linear in the number of nodes, whatever the paths between them.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any, NoReturn

from persistable.canonical import canonical, quote

__all__ = ["SCHEMA", "Identity", "canonical", "identify", "key_of", "lineage", "lineage_text"]

SCHEMA = 1


class Identity:
    """What an artifact is: immutable, equal to another exactly if the keys are equal.

    Attributes:
        name: payload name.
        version: version of the algorithm.
        params: canonical ``"field":value`` texts, sorted by field.
        dependencies: role and identity of each upstream artifact, in the order that counts.
        text: the canonical document.
        key: 32 hex characters.
    """

    __slots__ = ("dependencies", "key", "name", "params", "text", "version")

    name: str
    version: str
    params: tuple[str, ...]
    dependencies: tuple[tuple[str, Identity], ...]
    text: str
    key: str

    def __init__(
        self, name: str, version: str, params: tuple[str, ...], dependencies: tuple[tuple[str, Identity], ...]
    ) -> None:
        upstream = ",".join([f'[{_quoted(role, "role")},"{identity.key}"]' for role, identity in dependencies])
        text = (
            f'{{"dependencies":[{upstream}],"name":{_quoted(name, "name")},"params":{{{",".join(params)}}},'
            f'"schema":{SCHEMA},"version":{_quoted(version, "version")}}}'
        )
        fix = object.__setattr__
        fix(self, "name", name)
        fix(self, "version", version)
        fix(self, "params", params)
        fix(self, "dependencies", dependencies)
        fix(self, "text", text)
        fix(self, "key", key_of(text))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an Identity is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an Identity is immutable: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Identity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<Identity {self.name} {self.key}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Identity, (self.name, self.version, self.params, self.dependencies)


def identify(
    name: str, version: str, params: tuple[str, ...], dependencies: tuple[tuple[str, Identity], ...]
) -> Identity:
    """Return the identity of a payload name, version, encoded params (``Snapshot.parts``) and dependencies by role.

    Raises:
        ValueError: a name, version or role has surrogates, which no two programs write alike.
        TypeError: one of them is not a str.
    """
    return Identity(name, version, params, dependencies)


def key_of(text: str) -> str:
    """Return the key of a canonical identity: the first 32 hex characters of its SHA-256."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


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


@functools.lru_cache(maxsize=1024, typed=True)
def _quoted(text: str, what: str) -> str:
    if type(text) is not str:
        raise TypeError(f"the {what} of an identity is a str, not {type(text).__qualname__}")
    quoted = quote(text)
    if quoted is None:
        raise ValueError(f"the {what} {text!a} has surrogates")
    return quoted
