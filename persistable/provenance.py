"""Where an artifact came from: the class that generated it, the digest of its code, the environment.

The import path of a class is not in the key, so moving a module recomputes nothing. Two different classes that share
a payload name and params are told apart on load by path and code instead.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from persistable.address import Address
from persistable.exceptions import ForeignArtifactError
from persistable.record import Record, members
from persistable.version import __version__

if TYPE_CHECKING:
    from weakref import WeakKeyDictionary

__all__ = ["Origin", "class_path", "code_digest", "provenance", "timestamp"]


@functools.cache
def _digests() -> WeakKeyDictionary[type, str | None]:
    from weakref import WeakKeyDictionary  # on first use: a hit does without

    return WeakKeyDictionary()


def class_path(cls: type) -> str:
    """Return ``module:qualname``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def timestamp() -> str:
    """Return the time of day in UTC, ISO 8601 to the millisecond."""
    now = time.time()
    return f"{_to_the_second(int(now))}.{int(now % 1 * 1000):03d}Z"


@functools.lru_cache(maxsize=1)
def _to_the_second(now: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))


class Origin:
    """The class that asks for an artifact, and what it takes for its own.

    ``root`` is the library's base class: bodies of classes above it are no user code. ``formerly`` lists the import
    paths under which the class used to write.
    """

    __slots__ = ("_root", "cls", "formerly")

    def __init__(self, cls: type, root: type, formerly: tuple[str, ...]) -> None:
        self.cls, self._root, self.formerly = cls, root, formerly

    @property
    def path(self) -> str:
        """The class's import path."""
        return class_path(self.cls)

    @property
    def digest(self) -> str | None:
        """The digest of the class's code; None where the source cannot be read."""
        return code_digest(self.cls, self._root)

    def check(self, record: Record, address: Address, path: str) -> None:
        """Raise ForeignArtifactError if the artifact at ``path`` is not this class's own."""
        found, cls = record.class_path, self.cls
        if found == f"{cls.__module__}:{cls.__qualname__}" or found in self.formerly:
            return
        module, _, name = found.partition(":")
        if "__main__" in (module, cls.__module__) and name == cls.__qualname__:
            return
        code = record.provenance.get("code")
        if code is None or code != self.digest:
            raise ForeignArtifactError(name=address.name, key=address.key, path=path, found=found, asked=self.path)


def code_digest(cls: type, root: type) -> str | None:
    """Return a digest of the code of every user-defined class body in the MRO below ``root``.

    Comments, layout and docstrings do not count; it is the same under every version of Python. None if a source
    cannot be found, as in an interactive session.
    """
    known = _digests()
    try:
        return known[cls]
    except KeyError:
        digest = known[cls] = _code_digest(cls, root)
        return digest


def _code_digest(cls: type, root: type) -> str | None:
    import ast
    import hashlib
    import inspect
    import textwrap

    state = hashlib.sha256()
    for base in cls.__mro__:
        if not issubclass(base, root) or base is root:
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError, ValueError):
            return None
        for part in _normalised(tree):
            state.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return f"sha256:{state.hexdigest()[:32]}"


def _normalised(node: object) -> Iterator[str]:
    """Yield a syntax tree as text, without docstrings and empty fields, which versions add and drop."""
    import ast

    if isinstance(node, ast.AST):
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            if value is None or value == []:
                continue
            if name == "body" and isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                value = [part for index, part in enumerate(value) if index or not _is_docstring(part)]
            yield name
            yield from _normalised(value)
        yield "."
    elif isinstance(node, list):
        for item in node:
            yield from _normalised(item)
    else:
        yield f"{type(node).__name__} {node!r}"


def _is_docstring(node: Any) -> bool:
    import ast

    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def provenance(origin: Origin, seconds: float | None, payload: object) -> str:
    """Say where a payload comes from that took so many seconds to generate: members of a record, as text."""
    took = "null" if seconds is None else f"{seconds:.6f}"  # the shortest of all digits would take ten times as long
    versions = _versions(payload)
    of = members(versions) if versions else ""
    source = _source(class_path(origin.cls), origin.digest)
    return f'"created": "{timestamp()}",\n    "seconds": {took},\n    {source},\n    "versions": {{{of}}}'


@functools.lru_cache(maxsize=256)
def _source(path: str, code: str | None) -> str:
    """Describe class, interpreter, platform and library."""
    version = ".".join(map(str, sys.version_info[:3]))
    system = os.uname() if hasattr(os, "uname") else None
    return members(
        {
            "class": path,
            "code": code,
            "python": f"{sys.implementation.name} {version}",
            "platform": f"{system.sysname} {system.release} {system.machine}" if system else sys.platform,
            "persistable": __version__,
        }
    )


def _versions(payload: object) -> dict[str, str]:
    """Return the version of the library that the payload's type comes from, where it says one."""
    library = type(payload).__module__.partition(".")[0]
    if library == "builtins":
        return {}
    version = getattr(sys.modules.get(library), "__version__", None)
    return {library: version} if isinstance(version, str) and library != "persistable" else {}
