"""The registry: formats that are injected, recorded or added in code, and who is told what happens."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from installed import FILE_IO, HOOKS, Site
from made_up import Image, formats, hooks, spec, subject

from persistable import FileIO, Registry
from persistable.exceptions import AmbiguousFormatError, BrokenPluginError, FormatNotInstalledError, UnknownFormatError
from persistable.registry import default_registry

pytestmark = pytest.mark.usefixtures("libraries")


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


def test_a_recorded_name_of_an_injected_file_io_asks_for_it_again(tmp_path: Path) -> None:
    """No distribution brings it, so there is nothing to install: the note says what to do."""
    subject(tmp_path, payload_io=Mine()).generate(value=3)
    with pytest.raises(UnknownFormatError, match="no format 'mine'") as caught:
        subject(tmp_path).load()
    assert any("give it as payload_io again" in note for note in caught.value.__notes__)
    with pytest.raises(UnknownFormatError) as caught:
        Registry(discover=False).named("mine")
    assert not hasattr(caught.value, "__notes__")


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
