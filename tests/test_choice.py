"""Which format a payload gets by its type, by its value, and why."""

from __future__ import annotations

import itertools
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from installed import FILE_IO, Site
from made_up import Frame, Image, Photo, formats, hooks, spec, subject

from persistable import FileIO, Registry
from persistable.choice import Choice, resolve
from persistable.exceptions import AmbiguousFormatError, FidelityError, PluginWarning, SaveError, UnknownFormatError

pytestmark = pytest.mark.usefixtures("libraries")


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
        "'png' of png-plugin-dist 1.0 and 'tiff' of tiff-plugin-dist 1.0 both claim the type made_up.Image; "
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
    registry = Registry(prefer={"builtins.dict": "png", "made_up.Frame": "png"})
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
    site.format("webp", "box.Image")
    rows = Registry(prefer={"box.Image": "tiff"}).explain(Photo)
    assert [(row.format, row.rank) for row in rows[:3]] == [("near", 1), ("tiff", 2), ("pickle", 3)]
    assert [(row.format, row.rank, row.reason) for row in rows[3:]] == [
        (name, None, "claims its base box.Image, for which you prefer tiff") for name in ("png", "webp")
    ]


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


def test_a_choice_is_plain_data() -> None:
    """A choice can be compared and replaced."""
    choice = Registry(discover=False).named("pickle")
    assert choice == Choice(*choice)
    assert choice._replace(reason="x").reason == "x"
