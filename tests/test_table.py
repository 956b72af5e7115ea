"""Who has a name, and which types are open: the same whatever is installed, in whatever order."""

from __future__ import annotations

import itertools
import sys
import warnings
from pathlib import Path

import pytest
from installed import Site
from made_up import Frame, Image, Photo, formats, spec

import persistable
from persistable import Registry
from persistable.choice import rank
from persistable.discovery import Plugin
from persistable.exceptions import AmbiguousFormatError, FormatNotInstalledError, PluginWarning
from persistable.table import tabulate

pytestmark = pytest.mark.usefixtures("libraries")


@pytest.mark.parametrize("name", ["pickle", "json", "text"])
def test_core_names_cannot_be_taken(site: Site, name: str) -> None:
    """A plugin that declares a core format is a failure, and the core's is the one in use."""
    site.format(name, "box.Image", plugin="thief")
    registry = Registry()
    with pytest.warns(PluginWarning, match=f"the format name '{name}' belongs to the core"):
        assert len(registry.failures) == 1
    assert registry.named(name).distribution == f"persistable {persistable.__version__}"


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("distribution", ["aaa", "persistable-numpy-extra", "zzz"])
def test_first_party_names_cannot_be_taken(site: Site, installed: bool, distribution: str) -> None:
    """``npy`` is persistable-numpy's, whatever sorts before it, and also while that is not installed."""
    site.format("npy", "box.Image", plugin="thief", distribution=distribution)
    if installed:
        site.format("npy", "box.Image", plugin="numpy", distribution="Persistable_Numpy")
    registry = Registry()
    with pytest.warns(PluginWarning, match="the format name 'npy' belongs to persistable-numpy"):
        assert [failure.distribution for failure in registry.failures] == [distribution]
    if installed:
        assert registry.named("npy").distribution == "Persistable_Numpy 1.0"
    else:
        with pytest.raises(FormatNotInstalledError, match="pip install persistable-numpy"):
            registry.named("npy")


def test_a_distribution_that_calls_itself_the_core_takes_nothing(site: Site) -> None:
    """Metadata that says ``persistable`` is no licence for the core's names."""
    site.format("pickle", plugin="thief", distribution="persistable")
    registry = Registry()
    with pytest.warns(PluginWarning, match="'pickle' belongs to the core"):
        assert len(registry.plugins) == 2
    assert registry.named("pickle").distribution == f"persistable {persistable.__version__}"


@pytest.mark.parametrize("installed", [True, False])
def test_types_with_a_first_party_default_are_not_open(site: Site, installed: bool) -> None:
    """A third party that claims a DataFrame is not chosen by type, with or without the first-party plugin."""
    site.format("fast", "pandas.DataFrame", default=True)
    if installed:
        site.format("parquet", "pandas.DataFrame", plugin="arrow", distribution="persistable-arrow", default=True)
        assert formats(Registry(), Frame()) == ["parquet", "pickle"]
        reason = next(Registry().for_saving(Frame(), None)).reason
        assert reason == "the default for its type pandas.DataFrame"
    else:
        with pytest.warns(PluginWarning, match="pip install persistable-arrow"):
            assert formats(Registry(), Frame()) == ["pickle"]
    row = next(row for row in Registry().explain(Frame) if row.format == "fast")
    assert row.rank is None
    assert row.reason == (
        "claims its type pandas.DataFrame, whose default is not open to plugins; "
        "ask for it by prefer={'pandas.DataFrame': 'fast'}"
    )
    preferring = Registry(prefer={"pandas.DataFrame": "fast"})
    assert next(preferring.for_saving(Frame(), None)).format == "fast"


@pytest.mark.parametrize("installed", [True, False])
def test_bases_of_types_with_a_first_party_default_are_not_open(
    site: Site, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """A claim on a base of DataFrame gets no frame, nor what derives from one; other classes of that base it gets."""
    general = type("NDFrame", (), {})
    frame = type("DataFrame", (general,), {})
    mine, other = type("Mine", (frame,), {}), type("Series", (general,), {})
    monkeypatch.setattr(sys.modules["pandas"], "DataFrame", frame)
    monkeypatch.setattr(sys.modules["box"], "NDFrame", general, raising=False)
    monkeypatch.setattr(sys.modules["box"], "Mine", mine, raising=False)
    site.format("hdf", "box.NDFrame", default=True)
    site.format("geo", "box.Mine")
    if installed:
        site.format("parquet", "pandas.DataFrame", plugin="arrow", distribution="persistable-arrow", default=True)
    standing = ["parquet"] if installed else []
    registry = Registry()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        assert formats(registry, frame()) == [*standing, "pickle"]
        assert formats(registry, mine()) == ["geo", *standing, "pickle"]
        assert formats(registry, other()) == ["hdf", "pickle"]
    row = next(row for row in registry.explain(frame) if row.format == "hdf")
    assert row.rank is None
    assert row.reason == (
        "claims its base box.NDFrame, but it is a DataFrame, whose default is not open to plugins; "
        "ask for it by prefer={'box.NDFrame': 'hdf'}"
    )
    preferring = Registry(prefer={"box.NDFrame": "hdf"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        assert formats(preferring, frame()) == [*standing, "hdf", "pickle"]


def test_a_first_party_format_that_is_no_default_is_not_preferred_to_others(site: Site) -> None:
    """First-party plugins have defaults where the core's table says so, and else the rights of everybody."""
    site.format("feather", "box.Image", plugin="arrow", distribution="persistable-arrow", default=True)
    site.format("png", "box.Image")
    with pytest.raises(AmbiguousFormatError):
        formats(Registry(), Image())


@pytest.mark.parametrize("order", list(itertools.permutations(["alpha", "beta", "gamma"])))
def test_two_third_parties_with_one_name_both_lose_it(site: Site, order: tuple[str, ...]) -> None:
    """Of those that claim a name neither gets it; the error on use names them and the switch."""
    for plugin in order:
        site.format("png" if plugin != "gamma" else "tiff", "box.Image", plugin=plugin)
    for _ in range(2):
        registry = Registry()
        with pytest.raises(AmbiguousFormatError) as caught:
            registry.named("png")
        assert str(caught.value) == (
            "'png' of alpha-dist 1.0 and 'png' of beta-dist 1.0 both claim the format name 'png'; so neither has it. "
            "Switch one off: PERSISTABLE_DISABLE_PLUGINS=alpha-dist"
        )
    assert Registry(disabled=["alpha-dist"]).named("png").distribution == "beta-dist 1.0"
    assert Registry().named("tiff").distribution == "gamma-dist 1.0"


def test_three_that_claim_a_name_all_lose_it(site: Site) -> None:
    """Each is named."""
    for plugin in ("alpha", "beta", "gamma"):
        site.format("png", "box.Image", plugin=plugin)
    with pytest.raises(AmbiguousFormatError) as caught:
        Registry().named("png")
    assert str(caught.value) == (
        "'png' of alpha-dist 1.0 and 'png' of beta-dist 1.0 and 'png' of gamma-dist 1.0 all claim the format name "
        "'png'; so none has it. Switch all but one off: PERSISTABLE_DISABLE_PLUGINS=alpha-dist,beta-dist"
    )
    assert Registry(disabled=["alpha-dist", "beta-dist"]).named("png").distribution == "gamma-dist 1.0"


def test_a_contested_name_is_not_replaced_by_pickle_in_silence(site: Site) -> None:
    """A type that had a format does not become a pickle because somebody else installs one of the same name."""
    site.format("png", "box.Image", plugin="alpha")
    assert formats(Registry(), Image()) == ["png", "pickle"]
    site.format("png", "box.Image", plugin="beta")
    with pytest.raises(AmbiguousFormatError) as caught:
        formats(Registry(), Image())
    assert str(caught.value).endswith(
        "both claim the type made_up.Image; switch off all but one: PERSISTABLE_DISABLE_PLUGINS=alpha-dist"
    )


def test_the_way_out_of_a_contest_for_a_name_is_no_preference(site: Site) -> None:
    """Explanations and errors name what can be preferred, and of the others what to switch off."""
    off = "others claim its name, too, so nobody has it; switch them off: PERSISTABLE_DISABLE_PLUGINS="
    off += "beta-dist,gamma-dist"
    site.format("png", "box.Image", plugin="alpha")
    site.format("png", plugin="beta")
    site.format("png", plugin="gamma")
    assert Registry().explain(Image)[0].reason == f"claims its type box.Image; {off}"
    assert formats(Registry(disabled=off.rpartition("=")[2].split(",")), Image())[0] == "png"
    site.format("tiff", "box.Image")
    rows = Registry().explain(Image)
    assert rows[0].reason == f"claims its type box.Image with no more right than others; {off}"
    assert rows[1].reason.endswith("ask for it by prefer={'box.Image': 'tiff'}")
    with pytest.raises(AmbiguousFormatError) as caught:
        formats(Registry(), Image())
    assert str(caught.value).endswith(
        "say which: Registry(prefer={'box.Image': 'tiff'}) for the store, or payload_io='tiff'"
    )
    assert next(Registry(prefer={"box.Image": "tiff"}).for_saving(Image(), None)).format == "tiff"


def test_a_name_contested_by_one_that_claims_no_type_is_an_error_by_type_too(site: Site) -> None:
    """The format that the type had is the one whose name is contested."""
    site.format("png", "box.Image", plugin="alpha")
    site.format("png", plugin="beta")
    with pytest.raises(AmbiguousFormatError, match="both claim the format name 'png'"):
        formats(Registry(), Image())


def test_installing_more_never_changes_what_is_written(site: Site, tmp_path: Path) -> None:
    """Each further package leaves the first choice as it was, or makes it an error; never another format."""
    site.format("parquet", "pandas.DataFrame", plugin="arrow", distribution="persistable-arrow", default=True)
    site.format("png", "box.Image")
    before = [formats(Registry(), value)[0] for value in (Frame(), Image(), {}, 3)]
    assert before == ["parquet", "png", "pickle", "pickle"]
    for name, declared in [
        ("aaa", "pandas.DataFrame"),
        ("parquet2", "pandas.DataFrame"),
        ("bbb", "box.Photo"),
        ("ccc", "box.List"),
        ("zzz", "box.Missing"),
    ]:
        site.format(name, declared, default=True)
        assert [formats(Registry(), value)[0] for value in (Frame(), Image(), {}, 3)] == before
    site.format("another", "box.Image")
    with pytest.raises(AmbiguousFormatError):
        formats(Registry(), Image())


def test_the_table_is_the_same_for_every_order_of_plugins() -> None:
    """Who has which name is a function of the set of plugins."""
    plugins = [
        Plugin("persistable", "persistable", "2", "loaded", None, (spec("pickle"),)),
        Plugin("numpy", "persistable-numpy", "2", "loaded", None, (spec("npy", "box.Image"),)),
        Plugin("a", "a-dist", "1", "loaded", None, (spec("png", "box.Image"),)),
        Plugin("b", "b-dist", "1", "loaded", None, (spec("png", "box.Image"), spec("tiff", "box.Photo"))),
        Plugin("c", "c-dist", "1", "loaded", None, (spec("npy"),)),
        Plugin("d", "d-dist", "1", "failed", ValueError("broken")),
    ]
    tables, rankings = set(), set()
    for order in itertools.permutations(plugins):
        table = tabulate(order)
        tables.add(repr((table.plugins, sorted(table.formats.items()), sorted(table.contested.items()))))
        rankings.add(rank(Photo, table, {}))
    assert len(tables) == len(rankings) == 1
