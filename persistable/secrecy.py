"""Secrets in what does not enter the key: it is pickled all the same, by classes that may not know how to keep them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from persistable.canonical import Refusal
from persistable.instances import Plan, plan_of

__all__ = ["check_untracked"]

_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})


def check_untracked(plan: Plan, value: Any) -> None:
    """Refuse a secret in the untracked fields of an instance, unless its own class keeps it out of pickles.

    Looked at are dataclasses, however deep in containers of the standard library and in other dataclasses.
    """
    names = (*plan.untracked, *value._excluded_attributes) if plan.excludes else plan.untracked
    for name in names:
        try:
            _check(getattr(value, name, None))
        except Refusal as refusal:
            refusal.segments.append(f".{name}")
            raise


def _check(value: object) -> None:
    from collections import deque
    from dataclasses import is_dataclass
    from types import SimpleNamespace

    waiting, seen = [value], set[int]()
    while waiting:
        held = waiting.pop()
        if id(held) in seen:
            continue
        seen.add(id(held))
        if isinstance(held, dict):
            waiting += [*_worth_a_look(held.keys()), *_worth_a_look(held.values())]
        elif isinstance(held, list | tuple | set | frozenset | deque):
            waiting += _worth_a_look(held)
        elif isinstance(held, SimpleNamespace):
            waiting += _worth_a_look(vars(held).values())
        elif is_dataclass(held) and not isinstance(held, type):
            plan = plan_of(type(held))
            plan.check_leaking(held)
            waiting += _worth_a_look([getattr(held, name, None) for name in (*plan.names, *plan.untracked)])


def _worth_a_look(items: Collection[Any]) -> Collection[Any]:
    return () if _SCALARS.issuperset(map(type, items)) else items
