"""The registry: who has a name, which format a type gets and why, and what is said where none can be had."""

from __future__ import annotations

import itertools
import sys
import threading
import types
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from installed import FILE_IO, HOOKS, Site

import persistable
from persistable import (
    ArtifactStore,
    FileIO,
    FormatSpec,
    Persistable,
    PersistableParams,
    Registry,
    hookimpl,
)
from persistable.choice import Choice, rank, resolve
from persistable.discovery import Plugin
from persistable.exceptions import (
    AmbiguousFormatError,
    BrokenPluginError,
    BrokenStorageError,
    FidelityError,
    FormatNotInstalledError,
    PluginWarning,
    SaveError,
    UnkeyableParamError,
    UnknownFormatError,
    UnknownStorageError,
)
from persistable.registry import default_registry
from persistable.table import tabulate


class Image:
    """A payload of a library that is made up."""


class Photo(Image):
    """A payload of a subclass."""


class Frame:
    """A payload of a library with a first-party format."""


@pytest.fixture(autouse=True)
def _libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two libraries imported: ``box`` with Image and Photo, and a ``pandas`` with a DataFrame of ours."""
    box, pandas = types.ModuleType("box"), types.ModuleType("pandas")
    box.Image, box.Photo, box.List, pandas.DataFrame = Image, Photo, list, Frame  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "box", box)
    monkeypatch.setitem(sys.modules, "pandas", pandas)


class Params(PersistableParams):
    pass


class Subject(Persistable[Any, PersistableParams]):
    """A payload that the test hands over."""

    def _generate_payload(self, **untracked: Any) -> Any:
        return untracked["value"]


def subject(folder: Path, registry: Registry | None = None, **settings: Any) -> Subject:
    store = ArtifactStore(folder, registry=registry or Registry(), durability="fast", trust="all")
    return Subject(store, PersistableParams(), **settings)


def formats(registry: Registry, value: object) -> list[str]:
    """Return the formats that are tried for a payload, in order."""
    return [choice.format for choice in registry.for_saving(value, None)]


def hooks(*specs: FormatSpec) -> object:
    class Hooks:
        @hookimpl
        def persistable_formats(self) -> list[FormatSpec]:
            return list(specs)

    return Hooks()


def spec(name: str, *types: str, **fields: Any) -> FormatSpec:
    return FormatSpec(name=name, suffix=f".{name}", io=f"{name}_io:FileIO", types=types, **fields)


# -- type match --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("box.Image", Image),
        ("collections.OrderedDict", OrderedDict),
        ("os.path.join", __import__("os").path.join),
        ("persistable.io.FileIO.save", FileIO.save),
        ("box.Missing", None),
        ("box.Image.Missing", None),
        ("no_such_library.Thing", None),
        ("box.Image.__name__.x", None),
    ],
)
def test_a_public_name_is_resolved_through_what_is_imported(declared: str, found: object) -> None:
    """The longest imported prefix is the module, the rest is looked up in it."""
    assert resolve(declared) is found


def test_resolving_imports_nothing_and_runs_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is not imported stays so, and one that loads itself lazily is not woken."""
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    assert resolve("colorsys.rgb_to_hsv") is None
    assert "colorsys" not in sys.modules

    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError("woken")

        def __getattr__(self, name: str) -> object:
            raise AssertionError("woken")

    monkeypatch.setitem(sys.modules, "sleepy", Lazy("sleepy"))
    assert resolve("sleepy.Thing") is None


def test_an_entry_of_none_among_the_modules_is_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sys.modules[name] = None`` forbids an import, and resolves to nothing."""
    monkeypatch.setitem(sys.modules, "forbidden", None)
    assert resolve("forbidden.Thing") is None


# -- choice by type ----------------------------------------------------------------------------------------------------


def test_the_only_format_for_a_type_is_chosen_and_pickle_is_last(site: Site) -> None:
    """A sole candidate serves its type; pickle follows in case it declines."""
    site.format("png", "box.Image")
    [first, last] = Registry().for_saving(Image(), None)
    assert (first.format, first.distribution, first.by_type) == ("png", "png-plugin-dist 1.0", True)
    assert first.reason == "the only format for its type box.Image"
    assert (last.format, last.by_type, last.reason) == ("pickle", True, "pickle takes anything")


@pytest.mark.parametrize("order", list(itertools.permutations(["near", "far"])))
def test_the_nearest_class_in_the_mro_wins(site: Site, order: tuple[str, ...]) -> None:
    """The distance decides, not the order of installation or of the alphabet."""
    declared = {"near": "box.Photo", "far": "box.Image"}
    for position, name in enumerate(order):
        site.format(name, declared[name], plugin=f"plugin_{position}")
    assert formats(Registry(), Photo()) == ["near", "far", "pickle"]
    assert formats(Registry(), Image()) == ["far", "pickle"]
    reasons = [choice.reason for choice in Registry().for_saving(Photo(), None)]
    assert reasons[:2] == ["the only format for its type box.Photo", "the only format for its base box.Image"]


def test_two_formats_for_one_type_are_ambiguous_until_one_is_preferred(site: Site) -> None:
    """With equal right neither is chosen; the error names both, their distributions and the line that settles it."""
    site.format("png", "box.Image")
    site.format("tiff", "box.Image", default=True)
    with pytest.raises(AmbiguousFormatError) as caught:
        formats(Registry(), Image())
    assert str(caught.value) == (
        f"'png' of png-plugin-dist 1.0 and 'tiff' of tiff-plugin-dist 1.0 both claim the type {__name__}.Image; "
        "say which: Registry(prefer={'box.Image': 'png'}) for the store, or payload_io='png'"
    )
    assert caught.value.candidates == (("png", "png-plugin-dist 1.0"), ("tiff", "tiff-plugin-dist 1.0"))
    for name, other in (("png", "tiff"), ("tiff", "png")):
        registry = Registry(prefer={"box.Image": name})
        assert formats(registry, Image()) == [name, other, "pickle"]
        reason = next(registry.for_saving(Image(), None)).reason
        assert reason == "preferred for its type box.Image by your settings"


def test_ambiguity_far_away_does_not_matter_until_it_is_reached(site: Site) -> None:
    """A sole candidate that is nearer serves, although two others quarrel about a base."""
    site.format("photo", "box.Photo")
    site.format("png", "box.Image")
    site.format("tiff", "box.Image")
    choices = Registry().for_saving(Photo(), None)
    assert next(choices).format == "photo"
    with pytest.raises(AmbiguousFormatError):
        next(choices)


def test_one_plugin_under_two_names_for_a_type_is_one_candidate(site: Site) -> None:
    """Two public names of the same class do not make a plugin its own rival."""
    sys.modules["box"].Alias = Image  # type: ignore[attr-defined]
    site.format("png", "box.Image", "box.Alias")
    assert formats(Registry(), Photo()) == ["png", "pickle"]


def test_a_format_that_claims_a_class_and_its_base_is_asked_once(site: Site) -> None:
    """Where it declines there is nothing more to ask it."""
    site.format("png", "box.Image", "box.Photo")
    assert formats(Registry(), Photo()) == ["png", "pickle"]


def test_builtin_types_are_never_claimed_not_even_by_another_name(site: Site) -> None:
    """A list stays a pickle, and so does a subclass of one, although a library has list under a name of its own."""
    site.format("png", "box.List")
    mine = type("Mine", (list,), {})
    assert formats(Registry(), []) == ["pickle"]
    assert formats(Registry(), mine()) == ["pickle"]


def test_builtin_types_look_for_no_plugins(site: Site) -> None:
    """Choosing pickle for a dict, and asking for it by name, does not load what is installed."""
    site.plugin("image", "raise AssertionError('loaded')")
    registry = Registry()
    assert formats(registry, {}) == ["pickle"]
    assert registry.named("pickle").executes_code
    assert registry.for_loading("pickle", None).reason == "recorded"
    assert registry.foreseen(dict, None) is not None


def test_a_preference_counts_for_builtins_and_types_that_nobody_claims(site: Site) -> None:
    """``prefer`` is the user's own word: it holds for any type, and further formats follow."""
    site.format("png", "box.Image")
    registry = Registry(prefer={"builtins.dict": "png", f"{__name__}.Frame": "png"})
    assert formats(registry, {}) == ["png", "pickle"]
    assert formats(registry, OrderedDict()) == ["png", "pickle"]
    assert formats(registry, []) == ["pickle"]


@pytest.mark.parametrize(
    ("prefer", "error"),
    [
        ({"DataFrame": "csv"}, ValueError),
        ({"pandas.": "csv"}, ValueError),
        ({Image: "csv"}, TypeError),
        ({"pandas.DataFrame": FileIO}, TypeError),
    ],
)
def test_a_preference_that_can_never_count_is_refused(prefer: Any, error: type[Exception]) -> None:
    """``prefer`` maps public names of types to names of formats."""
    with pytest.raises(error, match="prefer="):
        Registry(prefer=prefer)


@pytest.mark.parametrize(
    ("prefer", "warning"),
    [
        ({"box.Imgae": "png"}, "there is no type 'box.Imgae', for which prefer={'box.Imgae': 'png'} asks for a format"),
        (
            {"box.Photo": "pngg"},
            "there is no format 'pngg', which prefer={'box.Photo': 'pngg'} asks for; did you mean 'png'?",
        ),
    ],
)
def test_a_preference_that_chooses_nothing_is_warned_of_once(site: Site, prefer: Any, warning: str) -> None:
    """Whatever is chosen, a misspelt type or format in ``prefer`` does not go unnoticed."""
    site.format("png", "box.Image")
    registry = Registry(prefer=prefer)
    with pytest.warns(PluginWarning) as caught:
        assert formats(registry, Image()) == ["png", "pickle"]
    assert [str(warned.message) for warned in caught] == [warning]
    assert formats(registry, Image()) == ["png", "pickle"]


def test_a_preference_of_which_nothing_is_known_yet_is_left_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries and submodules that are not imported, lazy modules, and formats that are only not installed."""
    site.format("png", "box.Image")
    monkeypatch.setattr(sys.modules["box"], "__getattr__", lambda name: 1 / 0, raising=False)
    prefer = {"no_such_library.Thing": "png", "box.lazy": "png", "box.sub.Thing": "png", "pandas.DataFrame": "parquet"}
    assert formats(Registry(prefer=prefer), Image()) == ["png", "pickle"]


def test_a_preferred_format_that_nobody_has_is_an_error(site: Site) -> None:
    """A misspelt preference is not passed over in silence."""
    site.format("png", "box.Image")
    site.plugin("off", "")
    registry = Registry(prefer={"box.Image": "pngg", "box.List": "png"}, disabled=["off-dist"])
    with pytest.raises(UnknownFormatError) as caught:
        formats(registry, Photo())
    assert str(caught.value) == (
        "there is no format 'pngg', which prefer={'box.Image': 'pngg'} asks for; did you mean 'png'?"
    )
    assert caught.value.setting == "prefer={'box.Image': 'pngg'}"
    assert caught.value.__notes__ == ["the plugin 'off' of off-dist 1.0 is switched off"]


def test_what_is_chosen_does_not_depend_on_what_was_asked_before(site: Site) -> None:
    """A ranking is kept per type, and forgotten when something is added."""
    registry = Registry(discover=False)
    assert formats(registry, Image()) == ["pickle"]
    site.module("png_io", FILE_IO.format(name="png", refusal=None))
    registry.add(hooks(spec("png", "box.Image")), name="mine")
    assert formats(registry, Image()) == ["png", "pickle"]


# -- what belongs to whom ----------------------------------------------------------------------------------------------


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


def test_two_third_parties_with_one_scheme_both_lose_it(site: Site) -> None:
    """No catch-all takes their place; the error names them, and the switch."""
    for plugin in ("alpha", "beta"):
        spec = f"StorageSpec(schemes=('tape',), storage='{plugin}:Tape')"
        site.plugin(plugin, f"{HOOKS}@hookimpl\ndef persistable_storages(): return [{spec}]")
    everything = "@hookimpl\ndef persistable_storages(): return [StorageSpec(schemes=('*',), storage='all:All')]"
    site.plugin("all", HOOKS + everything, "persistable-fsspec")
    with pytest.raises(UnknownStorageError) as caught:
        Registry().storage("tape://user:password@host/x")
    assert str(caught.value) == (
        "alpha-dist 1.0 and beta-dist 1.0 each claim tape:// (tape://***@host/x), so none of them serves it; switch "
        "one off: PERSISTABLE_DISABLE_PLUGINS=alpha-dist"
    )
    assert caught.value.claims == ("alpha-dist 1.0", "beta-dist 1.0")
    with pytest.raises(BrokenStorageError, match=r"beta-dist 1\.0"):  # there is no such module
        Registry(disabled=["alpha-dist"]).storage("tape://host/x")


def test_a_contested_name_is_not_replaced_by_pickle_in_silence(site: Site) -> None:
    """A type that had a format does not become a pickle because somebody else installs one of the same name."""
    site.format("png", "box.Image", plugin="alpha")
    assert formats(Registry(), Image()) == ["png", "pickle"]
    site.format("png", "box.Image", plugin="beta")
    with pytest.raises(AmbiguousFormatError) as caught:
        formats(Registry(), Image())
    assert str(caught.value).endswith(
        f"both claim the type {__name__}.Image; switch one off: PERSISTABLE_DISABLE_PLUGINS=alpha-dist"
    )


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


# -- formats that are not there ----------------------------------------------------------------------------------------


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
            f"payloads of type {__name__}.Frame are persisted as pickle, because the format 'parquet' is not "
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


# -- declining by value ------------------------------------------------------------------------------------------------


def test_a_payload_that_is_declined_goes_to_the_next_format_and_the_record_says_why(site: Site, tmp_path: Path) -> None:
    """The nearest format declines by value, the next one takes it."""
    site.format("photo", "box.Photo", refusal="it is too dark")
    site.format("png", "box.Image")
    persisted = subject(tmp_path)
    persisted.generate(value=Photo())
    assert persisted.record.format == "png"
    assert persisted.record.document["payload"]["chosen"] == (
        "the only format for its base box.Image; photo declined: payload: it is too dark"
    )
    assert sorted(
        entry.suffix for entry in (tmp_path / "subject").iterdir() if entry.name.startswith(persisted.key)
    ) == [
        ".json",
        ".png",
    ]


def test_when_pickle_fails_too_the_error_says_who_declined_before(site: Site, tmp_path: Path) -> None:
    """The last format's own complaint does not hide why it was asked."""
    site.format("png", "box.Image", refusal="it is too dark")
    image = Image()
    image.unpicklable = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(SaveError, match="pickle") as caught:
        subject(tmp_path).generate(value=image)
    assert "png declined: payload: it is too dark" in caught.value.__notes__


def test_a_format_that_declines_while_it_writes_goes_to_the_next_one_too(site: Site, tmp_path: Path) -> None:
    """FidelityError half-way through a save by type is a refusal: nothing of that file is left, pickle takes over."""
    site.format("png", "box.Image")
    site.module(
        "png_plugin_io",
        FILE_IO.format(name="png", refusal=None).replace(
            "filepath.write_text(repr(payload))",
            "filepath.write_text('half');"
            "from persistable.exceptions import FidelityError;"
            "raise FidelityError(format='png', where='row 3', reason='it is odd')",
        ),
    )
    persisted = subject(tmp_path)
    persisted.generate(value=Image())
    assert persisted.record.format == "pickle"
    assert persisted.record.document["payload"]["chosen"] == "pickle takes anything; png declined: row 3: it is odd"
    assert not [entry for entry in (tmp_path / "subject").iterdir() if entry.suffix == ".png" or ".tmp" in entry.name]
    injected = subject(tmp_path, payload_io="png")
    with pytest.raises(FidelityError, match="row 3"):
        injected.generate(value=Image())
    assert subject(tmp_path).record.format == "pickle"


# -- injected and recorded ---------------------------------------------------------------------------------------------


def test_loading_follows_the_record_whatever_is_preferred_today(site: Site, tmp_path: Path) -> None:
    """What was written as png loads as png, also when tiff is preferred, default or injected by now."""
    site.format("png", "box.Image")
    site.format("tiff", "box.Photo")
    subject(tmp_path, payload_io="png").generate(value=Image())
    for registry, settings in (
        (Registry(prefer={"box.Image": "tiff"}), {}),
        (Registry(), {"payload_io": "tiff"}),
        (Registry(strict=True), {"payload_io": "pickle"}),
    ):
        again = subject(tmp_path, registry, **settings)
        again.load()
        assert again.payload[0] == "png"


def test_a_recorded_format_that_is_gone_is_not_replaced_by_another(site: Site, tmp_path: Path) -> None:
    """Without its plugin an artifact is an error that names what the record says, not a miss and not a guess."""
    site.format("png", "box.Image", distribution="image-box")
    subject(tmp_path, payload_io="png").generate(value=Image())
    with pytest.raises(FormatNotInstalledError, match="'png' is brought by image-box, which was not looked for"):
        subject(tmp_path, Registry(discover=False)).load_generate(value=Image())
    with pytest.raises(BrokenPluginError, match=r"'png_plugin' of image-box 1\.0, which is installed but switched off"):
        subject(tmp_path, Registry(disabled=["image-box"])).load()
    [metadata] = site.folder.glob("image_box*.dist-info")
    metadata.rename(metadata.with_suffix(".gone"))
    with pytest.raises(FormatNotInstalledError) as caught:
        subject(tmp_path, Registry()).load_generate(value=Image())
    assert str(caught.value) == "the format 'png' is not installed; pip install image-box"


def test_a_record_cannot_put_a_command_into_the_install_line(site: Site) -> None:
    """What a record names is only repeated where it is the name of a distribution."""
    for told in ("evil; rm -rf / 1.0", "--index-url=x 1.0", "a b 1.0", "", None, "image-box"):
        with pytest.raises(UnknownFormatError):
            Registry(discover=False).for_loading("png", None, told)
    with pytest.raises(UnknownFormatError):
        Registry(discover=False).for_loading("png", None, "persistable 2.0")


class Mine(FileIO[Any]):
    """A FileIO of the user's own with a name of its own."""

    name = "mine"
    suffix = ".mine"

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        filepath.write_text(repr(payload))

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        return filepath.read_text()


def test_an_injected_file_io_is_the_only_choice(site: Site) -> None:
    """No fallback follows what was asked for."""
    site.format("png", "box.Image")
    for injected in (Mine(), "png", "pickle"):
        assert len(list(Registry().for_saving(Image(), injected))) == 1


def test_an_injected_file_io_reads_back_what_it_wrote(tmp_path: Path, site: Site) -> None:
    """By its name, and only by injection: nobody else knows that name."""
    subject(tmp_path, payload_io=Mine()).generate(value=3)
    again = subject(tmp_path, payload_io=Mine())
    again.load()
    assert again.payload == "3"
    with pytest.raises(UnknownFormatError, match="there is no format 'mine'"):
        subject(tmp_path).load()


def test_an_injected_instance_of_a_registered_class_stands_for_its_format(site: Site) -> None:
    """Its spec decides about code and distribution, and the instance with its options is what works."""
    site.format("png", "box.Image")
    import png_plugin_io

    file_io = png_plugin_io.FileIO()
    choice = Registry().injected(file_io)
    assert (choice.format, choice.distribution, choice.executes_code) == ("png", "png-plugin-dist 1.0", False)
    assert choice.file_io() is file_io


def test_an_injected_class_that_borrows_a_name_is_the_users_own(site: Site) -> None:
    """Calling itself ``json`` does not make a FileIO data-only in the eyes of trust."""
    borrowed = type("Borrowed", (Mine,), {"name": "json"})()
    choice = Registry().injected(borrowed)
    assert (choice.format, choice.distribution, choice.executes_code) == ("json", None, True)
    assert Registry().for_loading("json", borrowed).file_io() is borrowed


def test_what_is_foreseen_is_what_is_tried_first(site: Site) -> None:
    """``foreseen`` imports the format, so that what is wrong with it shows before generating."""
    site.format("png", "box.Image")
    registry = Registry()
    assert registry.foreseen(Image, None) == next(registry.for_saving(Image(), None))
    assert registry.foreseen(None, None) is None
    assert registry.foreseen(object, None) is None
    with pytest.raises(UnknownFormatError):
        registry.foreseen(None, "pgn")
    site.module("png_plugin_io", "1 / 0")
    with pytest.raises(BrokenPluginError):
        Registry().foreseen(None, "png")


# -- explain -----------------------------------------------------------------------------------------------------------


def test_explain_ranks_with_reasons(site: Site) -> None:
    """Every format that claims the type or a base, in the order in which it would be asked, pickle last."""
    site.format("near", "box.Photo")
    site.format("png", "box.Image")
    site.format("tiff", "box.Image")
    rows = Registry().explain(Photo)
    assert [(row.format, row.rank) for row in rows] == [("near", 1), ("png", 2), ("tiff", 2), ("pickle", 3)]
    assert rows[1].reason == (
        "claims its base box.Image with no more right than others; ask for it by prefer={'box.Image': 'png'}"
    )
    rows = Registry(prefer={"box.Image": "tiff"}).explain(Photo)
    assert [(row.format, row.rank) for row in rows] == [("near", 1), ("tiff", 2), ("png", 3), ("pickle", 4)]


def test_explain_takes_the_public_name_of_a_type_and_no_payload(site: Site) -> None:
    """What is no type is an error that asks for one, before anything is looked up by it."""
    site.format("png", "box.Image")
    assert Registry().explain("box.Photo") == Registry().explain(Photo)
    with pytest.raises(TypeError, match=r"an object of type Photo; give a type: explain\(type\(…\)\)"):
        Registry().explain(Photo())  # type: ignore[arg-type]
    for name in ("Photo", "box.Missing", "no_such_library.Thing", "sys.path"):
        with pytest.raises(TypeError, match="no imported library has a type of this name; give a type"):
            Registry().explain(name)


def test_explain_names_what_is_missing(site: Site) -> None:
    """A first-party default that is not installed is there with its install line, and out of the question."""
    [pickle, parquet] = Registry().explain(Frame)
    assert (pickle.format, pickle.rank, parquet.format, parquet.rank) == ("pickle", 1, "parquet", None)
    assert parquet.reason == "the format 'parquet' is not installed; pip install persistable-arrow"
    assert [row.format for row in Registry().explain(dict)] == ["pickle"]


def test_explain_warns_and_raises_nothing(site: Site) -> None:
    """Explaining is for finding out."""
    site.format("png", "box.Image", plugin="alpha")
    site.format("png", "box.Image", plugin="beta")
    rows = Registry(strict=True).explain(Image)
    assert [(row.format, row.distribution, row.rank) for row in rows][:2] == [
        ("png", "alpha-dist 1.0", 1),
        ("png", "beta-dist 1.0", 1),
    ]


# -- in code -----------------------------------------------------------------------------------------------------------


def test_a_plugin_added_in_code_is_like_an_installed_one(site: Site) -> None:
    """Its row is listed, its format is chosen, and contested like any other."""
    site.module("png_io", FILE_IO.format(name="png", refusal=None))
    registry = Registry()
    row = registry.add(hooks(spec("png", "box.Image")), name="mine")
    assert (row.name, row.distribution, row.status) == ("mine", "your own code", "loaded")
    assert registry.named("png").file_io().name == "png"
    assert row in registry.plugins
    site.format("png", "box.Image", plugin="alpha")
    late = Registry()
    late.add(hooks(spec("png", "box.Image")), name="mine")
    with pytest.raises(AmbiguousFormatError):
        late.named("png")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (object(), "implements no hook"),
        (hooks(spec("npy")), "belongs to persistable-numpy"),
        (hooks(spec("json")), "belongs to the core"),
        (hooks(spec("a"), spec("a")), "returned a twice"),
    ],
)
def test_a_plugin_added_in_code_that_is_wrong_is_an_error_at_once(wrong: object, error: str) -> None:
    """Nobody has to read a warning to notice what they have just written; nothing is registered."""
    registry = Registry(discover=False)
    with pytest.raises(ValueError, match=error):
        registry.add(wrong, name="mine")
    assert [plugin.name for plugin in registry.plugins] == ["persistable"]


def test_a_plugin_added_twice_replaces_itself(site: Site) -> None:
    """Running a notebook's cell again is no conflict."""
    registry = Registry(discover=False)
    for _ in range(2):
        registry.add(hooks(spec("png", "box.Image")), name="mine")
    assert [plugin.name for plugin in registry.plugins] == ["persistable", "mine"]
    assert registry.named("png").format == "png"


def test_registries_know_nothing_of_each_other(site: Site) -> None:
    """What is added or preferred in one is not in another, and the default one is made once."""
    first, second = Registry(discover=False), Registry(discover=False)
    first.add(hooks(spec("png", "box.Image")), name="mine")
    with pytest.raises(UnknownFormatError):
        second.named("png")
    assert default_registry() is default_registry()
    assert first is not default_registry()


def test_a_registry_that_does_not_discover_never_does(site: Site) -> None:
    """``discover=False`` loads nothing, whatever is asked."""
    site.plugin("image", "raise AssertionError('loaded')")
    registry = Registry(discover=False)
    registry.plugins, registry.failures, registry.explain(Image)
    registry.notify("started", "name", "key")
    assert registry.param_encoder(Image) is None
    assert formats(registry, Image()) == ["pickle"]


def test_threads_may_add_and_choose_at_once(site: Site) -> None:
    """Looking something up while plugins are added sees a whole table, old or new."""
    registry, errors = Registry(discover=False), []
    stop = threading.Event()

    def choose() -> None:
        try:
            while not stop.is_set():
                registry.explain(Image)
                registry.named("pickle")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is about it
            errors.append(error)

    threads = [threading.Thread(target=choose) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(60):
        registry.add(hooks(spec(f"png{number}", "box.Image")), name=f"mine{number}")
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(registry.explain(Image)) == 61


# -- param encoders ----------------------------------------------------------------------------------------------------

ENCODER = (
    HOOKS
    + """
@hookimpl
def persistable_param_encoders():
    return [EncoderSpec(name={name!r}, version={version}, types={types!r}, encode="{module}:encode", install="x")]

def encode(value):
    return {result}
"""
)


def encoder(
    site: Site, plugin: str = "boxes", name: str = "box", version: int = 1, result: str = "[1, 'a']", **more: Any
):
    kinds = more.get("types", ("box.Image",))
    source = ENCODER.format(name=name, version=version, types=kinds, module=f"{plugin}_hooks", result=result)
    site.plugin(plugin, source, more.get("distribution", ""))


def digest(value: object, registry: Registry | None = None) -> str:
    from persistable.testing import param_digest

    return param_digest(value, registry or Registry())


def test_an_encoded_param_is_tagged_with_the_encoders_own_name_and_version(site: Site) -> None:
    """Golden: what a plugin's encoder returns is in the key as it was when this test was written."""
    from persistable.encoding import encode

    encoder(site)
    text = encode([Image()], extend=Registry().param_encoder)
    assert text == '[{"$":"plugin","encoder":"box","value":[1,"a"],"version":1}]'
    assert digest([Image()]) == "377d007a49d6bcccfa6712b57f113995"


def test_name_and_version_of_an_encoder_are_part_of_the_key(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name or version is another key, although the encoder returns the same."""
    found = set()
    for number, (name, version) in enumerate([("box", 1), ("box", 2), ("other", 1)]):
        with pytest.MonkeyPatch.context() as patch:
            encoder(Site(site.folder.parent / str(number), patch), name=name, version=version)
            found.add(digest(Image()))
    assert len(found) == 3


def test_an_encoder_serves_exactly_the_types_it_names(site: Site) -> None:
    """A subclass may have more to it, so it has no encoding."""
    encoder(site)
    with pytest.raises(UnkeyableParamError):
        digest(Photo())


def test_two_encoders_for_a_type_or_of_a_name_encode_nothing(site: Site) -> None:
    """A key must not depend on which of them was installed first: both are refused by name."""
    encoder(site, "alpha", "a")
    encoder(site, "beta", "b")
    with pytest.raises(UnkeyableParamError, match=r"'a' of alpha-dist 1\.0 and 'b' of beta-dist 1\.0 both claim it"):
        digest(Image())
    assert digest(Image(), Registry(disabled=["beta"]))
    encoder(site, "gamma", "c", types=("box.Photo",))
    assert digest(Photo())
    encoder(site, "delta", "c", types=("box.List",))
    with pytest.raises(UnkeyableParamError, match="both claim the name 'c', so neither has it"):
        digest(Photo())


def test_what_an_encoder_raises_is_an_error_with_the_path_and_its_name(site: Site) -> None:
    """UnkeyableParamError says where in the params, which encoder of whom, and why."""
    encoder(site, result="1 / 0")
    with pytest.raises(UnkeyableParamError) as caught:
        digest({"a": [3, Image()]})
    assert caught.value.path == "value['a'][1]"
    assert caught.value.reason == "the encoder 'box' of boxes-dist 1.0 says ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("locate", "path"), [("return ['.pixels', *steps[1:]]", ".pixels[1]"), ("return 1 / 0", "['parts'][1]")]
)
def test_an_encoder_says_where_its_users_find_what_is_refused(site: Site, locate: str, path: str) -> None:
    """The path of a part is the users' own; where the plugin cannot say it, that of its encoding. No key changes."""
    encoder(site, result="{'parts': [0, object() if vars(value) else 1]}")
    before = digest(Image())
    hooks = (site.folder / "boxes_hooks.py").read_text()
    located = hooks.replace('install="x"', 'install="x", locate="boxes_hooks:locate"')
    site.module("boxes_hooks", f"{located}\ndef locate(value, steps):\n    {locate}\n")
    assert digest(Image()) == before
    odd = Image()
    odd.__dict__["odd"] = True
    with pytest.raises(UnkeyableParamError) as caught:
        digest({"a": [3, odd]})
    assert caught.value.path == f"value['a'][1]{path}"


def test_an_encoder_that_cannot_be_imported_is_an_error_with_the_reason(site: Site) -> None:
    """Installed but broken, as with formats."""
    encoder(site)
    site.module(
        "boxes_hooks", (site.folder / "boxes_hooks.py").read_text().replace('encode="boxes_hooks:', 'encode="no:')
    )
    with pytest.raises(
        UnkeyableParamError, match=r"'box' of boxes-dist 1\.0 is installed but broken: ModuleNotFoundError"
    ):
        digest(Image())


def test_params_of_a_first_party_library_name_the_distribution_to_install(site: Site) -> None:
    """A DataFrame among the params says what to install, or to switch on, or to repair."""
    Frame_ = type("DataFrame", (), {"__module__": "pandas.core.frame"})
    with pytest.raises(UnkeyableParamError, match="which is not installed; pip install persistable-arrow"):
        digest(Frame_())
    with pytest.raises(UnkeyableParamError, match="persistable-arrow, which was not looked for: leave out"):
        digest(Frame_(), Registry(discover=False))
    site.plugin("arrow", "1 / 0", "persistable-arrow")
    with pytest.raises(UnkeyableParamError, match="persistable-arrow, which is installed and switched off"):
        digest(Frame_(), Registry(disabled=["arrow"]))
    with pytest.warns(PluginWarning), pytest.raises(UnkeyableParamError, match="installed and broken: ZeroDivision"):
        digest(Frame_())


def test_a_type_that_the_core_encodes_is_never_given_to_a_plugin(site: Site) -> None:
    """Dataclasses and their like have an encoding: a plugin that claims one is not asked."""
    from dataclasses import dataclass

    @dataclass
    class Point:
        x: int

    sys.modules["box"].Point = Point  # type: ignore[attr-defined]
    before = digest(Point(1), Registry(discover=False))
    encoder(site, types=("box.Point",))
    assert digest(Point(1)) == before


# -- observers ---------------------------------------------------------------------------------------------------------

OBSERVER = (
    HOOKS
    + """
import seen

@hookimpl
def persistable_event(event):
    seen.events.append((event.kind, event.name, sorted(event.details)))
"""
)


def test_observers_see_the_whole_life_of_an_artifact(site: Site, tmp_path: Path) -> None:
    """Also of payloads that need no plugin, since generating looks for plugins first."""
    site.module("seen", "events = []")
    site.plugin("watcher", OBSERVER)
    import seen

    persisted = subject(tmp_path)
    persisted.load_generate(value={})
    subject(tmp_path, persisted.store.registry).load()
    assert seen.events == [
        ("missed", "subject", []),
        ("started", "subject", []),
        ("generated", "subject", ["seconds"]),
        ("persisted", "subject", ["record"]),
        ("loaded", "subject", ["record"]),
    ]


@pytest.mark.parametrize(
    "body", ["1 / 0", "import sys; sys.exit()", "event.details.clear(); event.kind = 'x'", "raise FileNotFoundError"]
)
def test_an_observer_never_fails_the_work(site: Site, tmp_path: Path, body: str, caplog) -> None:
    """What it raises is logged, other observers hear the event as it was, and the artifact is there."""
    site.module("seen", "events = []")
    site.plugin("aaa", HOOKS + f"@hookimpl\ndef persistable_event(event):\n    {body}\n")
    site.plugin("watcher", OBSERVER)
    import seen

    persisted = subject(tmp_path)
    persisted.generate(value=1)
    assert subject(tmp_path).record.format == "pickle"
    assert [kind for kind, _, _ in seen.events] == ["started", "generated", "persisted"]
    assert seen.events[-1][2] == ["record"]
    assert "observer aaa-dist:aaa failed at persisted of subject" in caplog.text


def test_an_observer_may_leave_out_the_event(site: Site) -> None:
    """A hook takes the arguments that it wants."""
    site.module("seen", "events = []")
    site.plugin("watcher", HOOKS + "import seen\n@hookimpl\ndef persistable_event():\n    seen.events.append(1)\n")
    import seen

    Registry().notify("started", "name", "key")
    assert seen.events == [1]


def test_a_choice_is_plain_data() -> None:
    """A choice can be compared and replaced."""
    choice = Registry(discover=False).named("pickle")
    assert choice == Choice(*choice)
    assert choice._replace(reason="x").reason == "x"
