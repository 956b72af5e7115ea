"""What is said, warned of and raised where a format is not there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from installed import FILE_IO, Site
from made_up import Frame, Image, formats, subject

from persistable import ArtifactStore, Persistable, PersistableParams, Registry
from persistable.exceptions import BrokenPluginError, FormatNotInstalledError, PluginWarning, UnknownFormatError

pytestmark = pytest.mark.usefixtures("libraries")


def test_an_unknown_name_is_answered_with_the_nearest_one(site: Site) -> None:
    """Misspelt, of a format that is installed or of one that could be."""
    site.format("png", "box.Image")
    for name, meant in (("pickel", "pickle"), ("pgn", "png"), ("parqet", "parquet")):
        with pytest.raises(UnknownFormatError) as caught:
            Registry().named(name)
        assert str(caught.value) == f"there is no format {name!r}; did you mean {meant!r}?"
    with pytest.raises(UnknownFormatError) as caught:
        Registry().named("zebra_stripes")
    assert str(caught.value) == "there is no format 'zebra_stripes'; known formats: json, pickle, png, text"


def test_a_known_format_that_is_not_installed_is_answered_with_the_pip_line(site: Site) -> None:
    """The core knows what the first-party distributions bring."""
    with pytest.raises(FormatNotInstalledError) as caught:
        Registry().named("parquet")
    assert str(caught.value) == "the format 'parquet' is not installed; pip install persistable-arrow"
    assert isinstance(caught.value, ImportError)


def test_a_known_format_that_was_not_looked_for_is_not_called_uninstalled(site: Site) -> None:
    """Without discovery nobody knows whether it is installed, and pip would not help."""
    with pytest.raises(FormatNotInstalledError) as caught:
        Registry(discover=False).named("parquet")
    assert str(caught.value) == (
        "the format 'parquet' is brought by persistable-arrow, which was not looked for: Registry(discover=False) has "
        "the core's formats and those that were added to it. Leave out discover=False, or add() the plugin"
    )
    assert (caught.value.install, caught.value.looked_for) == ("persistable-arrow", False)


def test_a_plugin_whose_library_is_missing_is_installed_but_broken(site: Site) -> None:
    """The format is listed, and asking for its FileIO names the plugin and chains the cause."""
    site.format("png", "box.Image")
    site.module("png_plugin_io", "import no_such_library")
    registry = Registry()
    assert registry.failures == ()
    with pytest.raises(BrokenPluginError) as caught:
        registry.named("png").file_io()
    assert str(caught.value) == (
        "the format 'png' comes from the plugin 'png_plugin' of png-plugin-dist 1.0, which is installed but broken: "
        "ModuleNotFoundError: No module named 'no_such_library'. Repair or reinstall png-plugin-dist 1.0, or switch it "
        "off: PERSISTABLE_DISABLE_PLUGINS=png-plugin-dist"
    )
    assert type(caught.value.__cause__) is ModuleNotFoundError


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("FileIO = 3", "TypeError: 'int' object is not callable"),
        ("FileIO = dict", "TypeError: png_plugin_io:FileIO is not a FileIO"),
        ("", "AttributeError: module 'png_plugin_io' has no attribute 'FileIO'"),
        ("import sys; sys.exit(1)", "SystemExit: 1"),
        (FILE_IO.format(name="tiff", refusal=None), "TypeError: png_plugin_io:FileIO names itself 'tiff'"),
        (
            FILE_IO.format(name="png", refusal=None).replace("name = 'png'", ""),
            "TypeError: png_plugin_io:FileIO names itself 'custom:FileIO'",
        ),
        (
            FILE_IO.format(name="png", refusal=None).replace('suffix = ".', 'suffix = "/../../.'),
            "TypeError: png_plugin_io:FileIO has the suffix '/../../.png', and is declared with '.png'",
        ),
    ],
)
def test_a_format_that_is_not_what_it_was_declared_as_is_broken(site: Site, source: str, reason: str) -> None:
    """What the io of a spec names has to be a FileIO class of that very name."""
    site.format("png", "box.Image")
    site.module("png_plugin_io", source)
    with pytest.raises(BrokenPluginError) as caught:
        Registry().named("png").file_io()
    assert caught.value.reason == reason


def test_a_disabled_plugin_is_neither_missing_nor_broken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says who switched it off, and not to reinstall anything."""
    site.format("parquet", "pandas.DataFrame", plugin="arrow", distribution="persistable-arrow")
    monkeypatch.setenv("PERSISTABLE_DISABLE_PLUGINS", "arrow")
    with pytest.raises(BrokenPluginError) as caught:
        Registry().named("parquet")
    assert caught.value.disabled
    assert str(caught.value) == (
        "the format 'parquet' comes from the plugin 'arrow' of persistable-arrow 1.0, which is installed but switched "
        "off. Take 'arrow' or 'persistable-arrow' off the list to use it: PERSISTABLE_DISABLE_PLUGINS, or "
        "Registry(disabled=…)"
    )


def test_pickle_in_place_of_a_missing_format_is_warned_of_once_per_type(site: Site, tmp_path: Path) -> None:
    """The warning names the install line, comes once for each type and format, and the record says what was missing."""
    registry = Registry()
    for number in range(2):
        persisted = subject(tmp_path / str(number), registry)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            persisted.generate(value=Frame())
        expected = (
            "payloads of type made_up.Frame are persisted as pickle, because the format 'parquet' is not "
            "installed; pip install persistable-arrow. (payload_io='pickle' says that this is what you want)"
        )
        assert [str(warning.message) for warning in caught] == [expected] * (number == 0)
        assert persisted.record.document["payload"]["chosen"] == (
            "parquet is not available: persistable-arrow is not installed; pickle takes anything"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        subject(tmp_path / "asked", Registry(), payload_io="pickle").generate(value=Frame())


def test_where_nobody_looks_nothing_is_said_to_be_missing(site: Site, tmp_path: Path) -> None:
    """Without discovery a frame is a pickle, without a warning of what may well be installed, also in strict mode."""
    site.format("parquet", "pandas.DataFrame", plugin="arrow", distribution="persistable-arrow", default=True)
    for strict in (False, True):
        registry = Registry(discover=False, strict=strict)
        persisted = subject(tmp_path / str(strict), registry)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            persisted.generate(value=Frame())
        assert persisted.record.document["payload"]["chosen"] == "pickle takes anything"
        assert [row.format for row in registry.explain(Frame)] == ["pickle"]


def test_pickle_in_place_of_a_broken_format_is_warned_of_too(site: Site, tmp_path: Path) -> None:
    """A plugin that is installed and does not work is named, with its reason, in warning and record."""
    site.format("png", "box.Image")
    site.module("png_plugin_io", "import no_such_library")
    persisted = subject(tmp_path)
    with pytest.warns(PluginWarning, match="are persisted as pickle, because .*'png_plugin' of png-plugin-dist 1.0"):
        persisted.generate(value=Image())
    assert persisted.record.document["payload"]["chosen"] == (
        "png is not available: png-plugin-dist 1.0: ModuleNotFoundError: No module named 'no_such_library'; "
        "pickle takes anything"
    )


def test_a_pickle_beside_a_plugin_that_failed_says_so(site: Site, tmp_path: Path) -> None:
    """Nobody knows which types a plugin would have served that could not be loaded: the record names it."""
    site.plugin("broken", "1 / 0")
    persisted = subject(tmp_path)
    with pytest.warns(PluginWarning, match="'broken' of broken-dist 1.0 does not work"):
        persisted.generate(value=Image())
    assert persisted.record.document["payload"]["chosen"] == (
        "the plugin 'broken' of broken-dist 1.0 does not work; pickle takes anything"
    )


def test_a_subclass_that_a_missing_format_would_decline_is_no_reason_to_warn(site: Site) -> None:
    """parquet gives back plain DataFrames: a subclass of one is a pickle with or without it."""
    assert formats(Registry(strict=True), type("Mine", (Frame,), {})()) == ["pickle"]


@pytest.mark.parametrize("setting", ["1", "true", "on"])
def test_strict_makes_a_missing_format_an_error_before_generating(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """Where the class declares its payload's type the error comes before the work; else after it, and work is kept."""
    monkeypatch.setenv("PERSISTABLE_STRICT_PLUGINS", setting)
    calls = []

    class Declared(Persistable[Frame, PersistableParams]):
        def _generate_payload(self, **untracked: Any) -> Frame:
            calls.append(1)
            return Frame()

    store = ArtifactStore(tmp_path, registry=Registry(), trust="all")
    with pytest.raises(FormatNotInstalledError):
        Declared(store, PersistableParams()).load_generate()
    with pytest.raises(FormatNotInstalledError):
        Declared(store, PersistableParams()).generate()
    assert calls == []
    undeclared = subject(tmp_path, Registry())
    with pytest.raises(FormatNotInstalledError):
        undeclared.generate(value=Frame())
    assert type(undeclared.payload) is Frame


@pytest.mark.parametrize("setting", ["", "0", "false", "No", " OFF "])
def test_strict_is_off_where_the_variable_says_no(site: Site, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """PERSISTABLE_STRICT_PLUGINS=0 is what it says."""
    monkeypatch.setenv("PERSISTABLE_STRICT_PLUGINS", setting)
    with pytest.warns(PluginWarning):
        assert formats(Registry(), Frame()) == ["pickle"]


def test_strict_in_code_wins_over_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registry(strict=…) is the nearer word."""
    monkeypatch.setenv("PERSISTABLE_STRICT_PLUGINS", "1")
    with pytest.warns(PluginWarning):
        assert formats(Registry(strict=False), Frame()) == ["pickle"]
    monkeypatch.setenv("PERSISTABLE_STRICT_PLUGINS", "0")
    with pytest.raises(FormatNotInstalledError):
        formats(Registry(strict=True), Frame())


def test_strict_makes_a_broken_and_a_disabled_format_an_error(site: Site) -> None:
    """Missing, broken or switched off: in strict mode none of them becomes a pickle."""
    site.format("parquet", "pandas.DataFrame", plugin="arrow", distribution="persistable-arrow", default=True)
    site.format("png", "box.Image")
    site.module("png_plugin_io", "1 / 0")
    with pytest.raises(BrokenPluginError, match="ZeroDivisionError"):
        formats(Registry(strict=True), Image())
    with pytest.raises(BrokenPluginError, match="switched off"):
        formats(Registry(strict=True, disabled=["arrow"]), Frame())


def test_a_preferred_format_that_is_not_installed_is_stood_in_for_with_a_warning(site: Site) -> None:
    """Work is not thrown away for a preference, and the warning says what stands in."""
    site.format("png", "box.Image")
    registry = Registry(prefer={"box.Image": "csv"})
    with pytest.warns(PluginWarning, match="persisted as png, because the format 'csv' is not installed; pip install"):
        choice = next(registry.for_saving(Image(), None))
    assert choice.reason == (
        "csv is not available: persistable-arrow is not installed; the only format for its type box.Image"
    )
