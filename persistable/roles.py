"""The roles under which dependencies enter a key. Pure."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import SupportsIndex, TypeVar, cast, overload

__all__ = ["Dependencies", "by_role"]

NodeT = TypeVar("NodeT")


class Dependencies(tuple[NodeT, ...]):
    """The dependencies of a Persistable: a tuple, of which ``[role]`` gives the one that has that role.

    Parts of it are plain tuples.

    Attributes:
        roles: their roles, in the same order.
    """

    roles: tuple[str, ...]

    def __new__(cls, pairs: Iterable[tuple[str, NodeT]]) -> Dependencies[NodeT]:
        """Take pairs of role and dependency."""
        roles, nodes = tuple(zip(*pairs, strict=True)) or ((), ())
        new = super().__new__(cls, nodes)
        new.roles = roles
        return new

    @overload
    def __getitem__(self, which: SupportsIndex | str) -> NodeT: ...
    @overload
    def __getitem__(self, which: slice) -> tuple[NodeT, ...]: ...
    def __getitem__(self, which: SupportsIndex | str | slice) -> NodeT | tuple[NodeT, ...]:
        if not isinstance(which, str):
            return super().__getitem__(which)
        try:
            return super().__getitem__(self.roles.index(which))
        except ValueError:
            known = ", ".join(self.roles) or "none"
            raise KeyError(f"no dependency has the role {which!r}; the roles are: {known}") from None

    def __contains__(self, which: object) -> bool:
        return which in self.roles if isinstance(which, str) else super().__contains__(which)

    def __reduce__(self) -> tuple[type[Dependencies[NodeT]], tuple[list[tuple[str, NodeT]]]]:
        return type(self), (list(zip(self.roles, self, strict=True)),)


def by_role(dependencies: Iterable[NodeT] | Mapping[str, NodeT], kind: type[NodeT]) -> tuple[tuple[str, NodeT], ...]:
    """Return dependencies, each of which is a ``kind``, with their roles, in the order that counts for the key.

    A mapping gives the roles, and its order does not count. In an iterable the order counts, and the role is the
    ``payload_name``, numbered as in ``name[0]`` where several share it.

    Raises:
        ValueError: a role is no str or empty, or two dependencies have the same one.
        TypeError: they are neither, or one of them is of another kind.
    """
    if isinstance(dependencies, Mapping):
        named = cast("Mapping[str, NodeT]", dependencies)
        roles: Iterable[object] = named
        for role in roles:
            if not isinstance(role, str) or not role:
                raise ValueError(f"dependency role {role!r}: give a str of at least one character")
        pairs = [(role, named[role]) for role in sorted(named)]
    else:
        if not isinstance(dependencies, Iterable):
            raise TypeError(
                f"tracked_persistable_dependencies={dependencies!r}: give an iterable of Persistables, or a mapping"
            )
        pairs = _numbered(list(dependencies))
    for role, node in pairs:
        if not isinstance(node, kind):
            raise TypeError(f"dependency {role or node!r} is a {type(node).__qualname__}, not a {kind.__name__}")
    return tuple(pairs)


def _numbered(nodes: list[NodeT]) -> list[tuple[str, NodeT]]:
    names: list[str] = [getattr(node, "payload_name", "") for node in nodes]
    bearers, numbers = Counter(names), defaultdict[str, Iterator[int]](itertools.count)
    pairs = [
        (name if bearers[name] == 1 else f"{name}[{next(numbers[name])}]", node)
        for name, node in zip(names, nodes, strict=True)
    ]
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"two dependencies have the role {max(names, key=names.count)!r}: give a mapping of roles")
    return pairs
