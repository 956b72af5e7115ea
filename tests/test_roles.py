"""Roles of dependencies: a tuple that also knows each dependency by its role."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from specimens import BlobP, BlobParams, blob

from persistable.roles import Dependencies


def test_dependencies_are_a_tuple_and_known_by_role(tmp_path: Path) -> None:
    """By index as before, by role whatever the order was; another role is a KeyError that says which there are."""
    one, two = blob(tmp_path, 1), blob(tmp_path, 2)
    for given in ({"second": two, "first": one}, {"first": one, "second": two}):
        held = BlobP(tmp_path, BlobParams(3), given).tracked_persistable_dependencies
        assert held == (one, two)
        assert isinstance(held, tuple)
        assert (held["first"], held["second"]) == (one, two) == (held[0], held[-1]) == held[:2]
        assert held.roles == ("first", "second")
        assert ("second" in held, "third" in held, one in held) == (True, False, True)
        with pytest.raises(KeyError, match=r"no dependency has the role 'third'.*: first, second"):
            held["third"]
    shared = BlobP(tmp_path, BlobParams(3), [two, one]).tracked_persistable_dependencies
    assert (shared["blob[0]"], shared["blob[1]"]) == (two, one)
    nothing = blob(tmp_path, 1).tracked_persistable_dependencies
    assert nothing == ()
    with pytest.raises(KeyError, match="none"):
        nothing["any"]


def test_dependencies_are_copied_and_pickled_with_their_roles() -> None:
    """What comes back is the same tuple, with the same roles."""
    held = Dependencies([("b", 1), ("a", 2)])
    for again in (copy.copy(held), copy.deepcopy(held), pickle.loads(pickle.dumps(held))):
        assert (again, again.roles, again["a"], type(again)) == ((1, 2), ("b", "a"), 2, Dependencies)
