"""Identity, key and lineage."""

import hashlib
import json

import pytest

from persistable.identity import SCHEMA, canonical, identify, key_of, lineage, lineage_text


def chain(length):
    node = identify("n0", "0", (), ())
    for index in range(1, length):
        node = identify(f"n{index}", "0", ('"k":1',), (("up", node),))
    return node


def diamond(levels):
    left = right = identify("root", "0", (), ())
    for index in range(levels):
        upstream = (("left", left), ("right", right))
        left, right = identify(f"l{index}", "0", (), upstream), identify(f"r{index}", "0", (), upstream)
    return identify("top", "0", (), (("left", left), ("right", right)))


def test_the_key_can_be_recomputed_with_json_and_hashlib_alone():
    """The text is canonical JSON of the five members, and its cut SHA-256 is the key."""
    up = identify("up", "1", (), ())
    made = identify("points ü", "0", ('"n":100', '"seed":{"$":"tuple","items":[1]}'), (("role", up),))
    document = {
        "schema": SCHEMA,
        "name": "points ü",
        "version": "0",
        "params": {"n": 100, "seed": {"$": "tuple", "items": [1]}},
        "dependencies": [["role", up.key]],
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    assert made.text == text
    assert made.key == hashlib.sha256(text.encode()).hexdigest()[:32] == key_of(canonical(json.loads(made.text)))


@pytest.mark.parametrize(
    "other",
    [
        ("name2", "0", ('"a":1',), ()),
        ("name", "1", ('"a":1',), ()),
        ("name", "0", ('"a":2',), ()),
        ("name", "0", (), ()),
        ("name", "0", ('"a":1',), (("a", identify("a", "0", (), ())),)),
    ],
)
def test_everything_in_the_identity_changes_the_key(other):
    """Name, version, params and dependencies each count."""
    assert identify("name", "0", ('"a":1',), ()).key != identify(*other).key


def test_roles_and_their_order_change_the_key():
    """The same upstream artifacts in another order or under other roles are another computation."""
    a, b = identify("a", "0", (), ()), identify("b", "0", (), ())
    made = [(("x", a), ("y", b)), (("y", b), ("x", a)), (("x", b), ("y", a)), (("x", a), ("z", b))]
    assert len({identify("n", "0", (), dependencies).key for dependencies in made}) == 4


@pytest.mark.parametrize("position", range(3))
def test_text_that_cannot_be_written_alike_everywhere_is_refused(position):
    """Lone surrogates in names, versions and roles are a ValueError, other types a TypeError."""
    for bad, error in (("\ud800", ValueError), (1, TypeError), (None, TypeError)):
        words = ["a", "b", "c"]
        words[position] = bad
        with pytest.raises(error):
            identify(words[0], words[1], (), ((words[2], identify("up", "0", (), ())),))


def test_an_identity_is_immutable_and_equal_by_key():
    """It can be neither changed nor extended, and hashes by its key."""
    made = identify("a", "0", (), ())
    for name in ("key", "text", "more"):
        with pytest.raises(AttributeError):
            setattr(made, name, "x")
    assert made == identify("a", "0", (), ())
    assert made != identify("b", "0", (), ())
    assert len({made, identify("a", "0", (), ())}) == 1
    assert made != tuple(made)


@pytest.mark.parametrize("make", [lambda: chain(5000), lambda: diamond(200)], ids=["chain", "diamond"])
def test_deep_and_wide_lineages_cost_neither_stack_nor_exponential_time(make):
    """5,000 levels and a 200-level diamond: each node is listed once, and prints."""
    top = make()
    nodes = lineage(top)
    assert list(nodes) == sorted(nodes)
    assert top.key not in nodes
    assert len(nodes) in (4999, 401)
    assert top.key in repr(top)


def test_the_lineage_text_holds_every_document_verbatim_one_per_line():
    """It is JSON; each line is one node, from which its key can be recomputed."""
    text = lineage_text(diamond(3))
    parsed = json.loads(text)
    assert len(text.splitlines()) == len(parsed) + 2 == 9
    assert list(parsed) == sorted(parsed)
    for key, document in parsed.items():
        assert key_of(canonical(document)) == key
        assert all(upstream in parsed for _, upstream in document["dependencies"])
    assert json.loads(lineage_text(identify("a", "0", (), ()))) == {}
