"""The core's table of first-party names, for hints where they are not installed, is what its distributions declare."""

from __future__ import annotations

import importlib

import pytest

import persistable
from persistable.discovery import Plugin, canonical_name
from persistable.registry import Registry
from persistable.table import CORE, FIRST_PARTY, FIRST_PARTY_ENCODERS, FIRST_PARTY_STORAGES, is_first_party

OWNERS = sorted({owner for owner, _ in FIRST_PARTY.values()} | {*FIRST_PARTY_STORAGES.values()})


def plugin_of(distribution: str) -> Plugin:
    rows = [row for row in Registry().plugins if canonical_name(row.distribution) == distribution]
    if not rows:
        pytest.skip(f"{distribution} is not installed")
    (row,) = rows
    assert row.status == "loaded"
    return row


@pytest.mark.parametrize("distribution", OWNERS)
def test_the_table_has_what_a_distribution_declares(distribution: str) -> None:
    """The formats, the schemes and the libraries whose types it encodes, no more and no fewer."""
    plugin = plugin_of(distribution)
    assert is_first_party(plugin)
    assert {spec.name for spec in plugin.formats} == {
        name for name, (owner, _) in FIRST_PARTY.items() if owner == distribution
    }
    assert {scheme for spec in plugin.storages for scheme in spec.schemes} == {
        scheme for scheme, owner in FIRST_PARTY_STORAGES.items() if owner == distribution
    }
    assert {declared.partition(".")[0] for spec in plugin.encoders for declared in spec.types} == {
        library for library, owner in FIRST_PARTY_ENCODERS.items() if owner == distribution
    }


@pytest.mark.parametrize("distribution", OWNERS)
def test_a_format_is_the_default_of_the_types_that_it_claims(distribution: str) -> None:
    """The table may have more of them: subclasses that the format keeps too."""
    for spec in plugin_of(distribution).formats:
        types = FIRST_PARTY[spec.name][1]
        assert set(spec.types) <= set(types)
        assert spec.default is bool(types)
        assert spec.install == distribution != CORE
        assert spec.executes_code is False  # of ours pickle alone does, which the core brings


@pytest.mark.parametrize("distribution", OWNERS)
def test_versions_move_in_lockstep(distribution: str) -> None:
    """A distribution has the core's version, in its metadata as in its package."""
    plugin = plugin_of(distribution)
    package = importlib.import_module(distribution.replace("-", "_"))
    assert plugin.version == package.__version__ == persistable.__version__


@pytest.mark.parametrize("distribution", OWNERS)
def test_a_package_has_what_it_exports(distribution: str) -> None:
    """Whatever is imported on first use is there, and shown to who asks what there is."""
    plugin_of(distribution)
    package = importlib.import_module(distribution.replace("-", "_"))
    assert package.__all__ == sorted(package.__all__)
    assert all(getattr(package, name) for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018 - the access is what raises
