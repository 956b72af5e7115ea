"""The named tuples of the library are those of ``typing`` in all that is relied on."""

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
