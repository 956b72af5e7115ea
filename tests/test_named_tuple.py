"""The named tuples of the library do what those of ``typing`` do with fields, and refuse more of them in a subclass."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import Any

import pytest

from persistable.named_tuple import NamedTuple


class Cheap(NamedTuple):
    """Two fields, of which one has a default."""

    name: str
    size: int = 3

    @property
    def twice(self) -> int:
        """Say something of the fields."""
        return 2 * self.size


class Usual(typing.NamedTuple):
    """The same."""

    name: str
    size: int = 3


class Longer(Cheap):
    """A class in between, with no field of its own."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{self.name}>"


@pytest.mark.parametrize("given", [(("a", 5), {}), (("a",), {}), (("a",), {"size": 4}), ((), {"size": 4, "name": "b"})])
def test_it_is_as_that_of_typing(given: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    """Fields by position or name, defaults, comparison, unpacking, looks, and copies with other values."""
    values, named = given
    cheap, usual = Cheap(*values, **named), Usual(*values, **named)
    assert cheap == usual == tuple(cheap)
    assert hash(cheap) == hash(usual)
    assert (cheap.name, cheap.size, cheap.twice) == (usual.name, usual.size, 2 * usual.size)
    assert repr(cheap) == repr(usual).replace("Usual", "Cheap")
    assert cheap._asdict() == usual._asdict()
    assert cheap._replace(size=9) == usual._replace(size=9)
    assert type(cheap._replace(size=9)) is Cheap
    assert Cheap._make(iter(["c", 4])) == Usual._make(iter(["c", 4]))
    assert type(Longer._make(["c", 4])) is Longer
    assert (Cheap._fields, Cheap._field_defaults) == (Usual._fields, Usual._field_defaults)
    match cheap:
        case Cheap(name, size):
            assert [name, size] == [*usual]


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("a", 1, 2), {}), (("a",), {"name": "b"}), (("a",), {"sise": 1})]
)
def test_what_does_not_fit_is_refused(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Too few, too many, twice and unknown are a TypeError, as with that of typing."""
    for cls in (Cheap, Usual):
        with pytest.raises(TypeError):
            cls(*values, **named)
    with pytest.raises(TypeError):
        Cheap("a")._replace(sise=1)


@pytest.mark.parametrize("values", [(), ("a",), ("a", 1, 2)])
def test_one_made_of_values_has_them_all(values: tuple[Any, ...]) -> None:
    """No default takes the place of a value, as with that of typing."""
    for cls in (Cheap, Usual):
        with pytest.raises(TypeError):
            cls._make(values)


def test_copy_replace_knows_it() -> None:
    """It asks a value for this method, from Python 3.13 on."""
    changed: Any = Cheap("a", 1)
    assert changed.__replace__(size=2) == ("a", 2)


def test_fields_are_not_added_in_a_subclass() -> None:
    """They would stand in place of those that are there, whose positions they had."""
    with pytest.raises(TypeError, match="More adds fields"):

        class More(Longer):
            other: int


@pytest.mark.parametrize("made", [Cheap("a"), Longer("a", 1)])
def test_copies(made: Cheap) -> None:
    """It can be pickled and copied, is immutable, and holds nothing but its fields."""
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
        assert again == made
        assert type(again) is type(made)
    assert not hasattr(made, "__dict__")
    with pytest.raises(AttributeError):
        made.name = "b"  # type: ignore[misc]
    assert repr(Longer("a")) == "<a>"
