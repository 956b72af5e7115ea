"""The canonical encoding of models of pydantic, attrs and msgspec, and the refusal of pandas' hidden state."""

import functools

import pytest

from persistable.encoding import ParamEncoder, encode
from persistable.exceptions import UnkeyableParamError


def test_pydantic_models_are_encoded_by_fields_extra_and_private_attributes():
    """Fields, extra values and private attributes count, cached properties do not."""
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        n: int
        names: list[str] = []  # noqa: RUF012 - pydantic copies it
        _secret: int = pydantic.PrivateAttr(default=0)

        @functools.cached_property
        def square(self):
            return self.n**2

    used = Model(n=2)
    assert used.square == 4
    private = Model(n=2)
    private._secret = 1
    texts = [encode(value) for value in (Model(n=2), Model(n=3), Model(n=2, names=["a"]), Model(n=2, more=1), private)]
    assert len(set(texts)) == 5
    assert encode(used) == texts[0] == encode(Model(names=[], n=2))
    with pytest.raises(UnkeyableParamError, match=r"value\.more"):
        encode(Model(n=2, more=object()))


def test_attrs_instances_are_encoded_by_their_attributes():
    """Slotted or not, whether or not an attribute takes part in equality; added attributes count."""
    attrs = pytest.importorskip("attrs")

    @attrs.define
    class Slotted:
        n: int
        quiet: int = attrs.field(default=0, eq=False, repr=False)

    @attrs.define(slots=False)
    class Open:
        n: int

    class Looks(Slotted):
        width: int = 3

    more = Open(1)
    more.more = 1
    texts = [encode(value) for value in (Slotted(1), Slotted(2), Slotted(1, quiet=1), Open(1), more)]
    assert len(set(texts)) == 5
    with pytest.raises(UnkeyableParamError, match="Decorate it"):
        encode(Looks(1))


def test_msgspec_structs_are_encoded_by_their_fields():
    """The class and every field count."""
    msgspec = pytest.importorskip("msgspec")

    class One(msgspec.Struct):
        n: int
        name: str = "a"

    class Two(msgspec.Struct):
        n: int
        name: str = "a"

    assert len({encode(value) for value in (One(1), One(2), One(1, "b"), Two(1))}) == 4
    assert encode(One(1)) == encode(One(1, "a"))


def test_pandas_values_are_left_to_their_plugin():
    """A Timestamp is a datetime with hidden nanoseconds: it is refused, not cut, and the plugin's encoder is asked."""
    pandas = pytest.importorskip("pandas")
    stamp = pandas.Timestamp("2020-01-01 00:00:00.000000001")
    for value in (stamp, pandas.Timedelta(1), pandas.DataFrame({"a": [1]}), pandas.Series([1]), pandas.NaT, pandas.NA):
        with pytest.raises(UnkeyableParamError):
            encode(value)
    encoder = ParamEncoder("pandas", 1, lambda value: value.value)
    assert "1577836800000000001" in encode(stamp, extend=lambda cls: encoder if cls is pandas.Timestamp else None)
