"""Discovery: whatever is installed, each plugin is judged on its own, and nothing that one does reaches another."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from installed import HOOKS, Site

from persistable import Registry
from persistable.discovery import discover
from persistable.exceptions import AmbiguousFormatError, BrokenPluginError, PluginWarning, UnknownFormatError

IMAGE = (
    HOOKS
    + """
@hookimpl
def persistable_formats():
    return [FormatSpec(name="image", suffix=".image", io="image_io:FileIO", types=("box.Image",))]
"""
)


def rows(*, warned: bool = True, **settings) -> dict[str, tuple[str, str | None]]:
    """Look for plugins; return status and error by entry point, the core's row left out."""
    registry = Registry(**settings)
    with warnings.catch_warnings():
        if warned:
            warnings.simplefilter("ignore", PluginWarning)
        return {
            plugin.name: (plugin.status, plugin.error and f"{type(plugin.error).__name__}: {plugin.error}")
            for plugin in registry.plugins[1:]
        }


def test_a_plugin_is_found_with_its_distribution_and_version(site: Site) -> None:
    """A row has the entry point, the distribution's name as its author spells it, and what is declared."""
    site.plugin("image", IMAGE, "Image.Box", "2.5")
    [core, plugin] = Registry().plugins
    assert (core.name, core.distribution) == ("persistable", "persistable")
    assert [spec.name for spec in core.formats] == ["pickle", "json", "text"]
    assert (plugin.name, plugin.distribution, plugin.version, plugin.status) == ("image", "Image.Box", "2.5", "loaded")
    assert plugin.label == "Image.Box 2.5"
    assert [spec.name for spec in plugin.formats] == ["image"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("this is no Python", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(3)", "RuntimeError: it called sys.exit(3) when it was loaded"),
        ("import asyncio; raise asyncio.CancelledError('later')", "RuntimeError: it raised CancelledError: later"),
        ("import pytest; pytest.skip('no', allow_module_level=True)", "RuntimeError: it raised Skipped: no"),
        ("class Own(BaseException): pass\nraise Own", "RuntimeError: it raised Own: "),
        (HOOKS + "@hookimpl\ndef persistable_formats(): raise GeneratorExit", "it raised GeneratorExit"),
        ("", "implements no hook; are its functions marked with @hookimpl?"),
        ("def persistable_formats(): return []", "implements no hook; are its functions marked with @hookimpl?"),
        (
            HOOKS + "@hookimpl\ndef persistable_format(): return []",
            "it implements a hook 'persistable_format', which does not exist; did you mean 'persistable_formats'?",
        ),
        (
            IMAGE + "\ndef persistable_param_encoders(): return []",
            "ValueError: its persistable_param_encoders() is not marked with @hookimpl, so that nobody would ask it",
        ),
        (
            HOOKS + "@hookimpl\ndef on_save(): return []",
            "exist; there are persistable_event, persistable_formats, persistable_param_encoders, persistable_storages",
        ),
        (HOOKS + "@hookimpl\ndef persistable_formats(registry): return []", "Argument(s) {'registry'} are declared"),
        (HOOKS + "@hookimpl(wrapper=True)\ndef persistable_formats(): return (yield)", "it wraps the hook"),
        (HOOKS + "@hookimpl(hookwrapper=True)\ndef persistable_event(): yield", "it wraps the hook"),
        (HOOKS + "@hookimpl\ndef persistable_formats(): return 3", "TypeError: 'int' object is not iterable"),
        (HOOKS + "@hookimpl\ndef persistable_formats(): return 'png'", "returned 'png', not a list of FormatSpec"),
        (
            HOOKS + "@hookimpl\ndef persistable_formats(): return FormatSpec(name='a', suffix='.a', io='a:A')",
            "not a list of FormatSpec",
        ),
        (HOOKS + "@hookimpl\ndef persistable_formats(): return [{'name': 'png'}]", "which is not a FormatSpec"),
        (
            HOOKS + "@hookimpl\ndef persistable_formats(): return [FormatSpec(name='a', suffix='.a')]",
            "missing 1 required keyword-only argument: 'io'",
        ),
        (HOOKS + "@hookimpl\ndef persistable_formats(): yield 1 / 0", "ZeroDivisionError"),
        (HOOKS + "@hookimpl\ndef persistable_formats(): import sys; sys.exit()", "sys.exit(None)"),
    ],
)
def test_a_broken_plugin_is_a_row_with_its_error_and_nothing_else_breaks(site: Site, source: str, error: str) -> None:
    """Whatever a plugin does when it is loaded, it is a failure with that reason, and the others work."""
    site.plugin("another", IMAGE)
    site.plugin("broken", source)
    site.plugin("zebra", IMAGE.replace('"image"', '"zebra"'))
    found = rows()
    assert found["another"] == found["zebra"] == ("loaded", None)
    assert found["broken"][0] == "failed"
    assert error in str(found["broken"][1])


def test_a_mark_that_names_its_hook_is_a_mark(site: Site) -> None:
    """``@hookimpl(specname=…)`` on a function of another name implements the hook; nothing is forgotten there."""
    named = IMAGE.replace("@hookimpl", "@hookimpl(specname='persistable_formats')").replace("def persistable_", "def ")
    site.plugin("image", named + "\npersistable_event = None\n")
    assert rows() == {"image": ("loaded", None)}


def test_what_is_no_routine_in_a_hooks_module_is_left_alone(site: Site) -> None:
    """A hooks module may offer a library lazily, and hold objects that do much when they are looked into."""
    site.plugin(
        "image",
        IMAGE
        + """
class Costly:
    def __getattribute__(self, name):
        raise RuntimeError(name)

costly = Costly()

def __dir__():
    return [*globals(), "library"]

def __getattr__(name):
    if name == "library":
        raise RuntimeError("the library was imported")
    raise AttributeError(name)
""",
    )
    assert rows() == {"image": ("loaded", None)}


def test_a_broken_plugin_is_warned_of_once_with_the_way_out(site: Site) -> None:
    """The first lookup warns, naming plugin, distribution, reason and switch; later ones do not."""
    site.plugin("broken", "import no_such_library", "broken-dist", "0.3")
    registry = Registry()
    with pytest.warns(PluginWarning) as caught:
        assert len(registry.failures) == 1
    [message] = [str(warning.message) for warning in caught]
    assert message == (
        "the plugin 'broken' of broken-dist 0.3 does not work: ModuleNotFoundError: No module named "
        "'no_such_library'. Repair or reinstall broken-dist, or switch it off: PERSISTABLE_DISABLE_PLUGINS=broken-dist"
    )
    assert caught[0].filename == __file__
    [failure] = registry.failures
    assert (failure.name, failure.distribution, failure.version) == ("broken", "broken-dist", "0.3")
    assert type(failure.error) is ModuleNotFoundError


def test_warnings_as_errors_leave_the_registry_whole(site: Site) -> None:
    """Under -W error the first lookup raises the warning, and the next one finds everything, once."""
    site.plugin("broken", "1 / 0")
    site.plugin("image", IMAGE)
    registry = Registry()
    with pytest.raises(PluginWarning):
        registry.named("image")
    assert registry.named("image").distribution == "image-dist 1.0"
    assert [plugin.name for plugin in registry.plugins] == ["persistable", "broken", "image"]


def test_an_interrupt_is_the_users_and_leaves_nothing_behind(site: Site) -> None:
    """KeyboardInterrupt in a plugin ends the lookup; the next one starts anew, and no plugin is there twice."""
    site.plugin("aaa", IMAGE)
    site.plugin("slow", HOOKS + "import builtins\nif not hasattr(builtins, 'again'):\n    raise KeyboardInterrupt")
    registry = Registry()
    with pytest.raises(KeyboardInterrupt):
        registry.named("image")
    site.module("slow_hooks", IMAGE.replace('"image"', '"slow"'))
    assert registry.named("image").distribution == "aaa-dist 1.0"
    assert registry.failures == ()
    assert [plugin.name for plugin in registry.plugins] == ["persistable", "aaa", "slow"]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("name='Png', suffix='.png', io='a:A'", "name 'Png' does not look like"),
        ("name='custom:png', suffix='.png', io='a:A'", "name 'custom:png' does not look like"),
        ("name='', suffix='.png', io='a:A'", "name '' does not look like"),
        ("name=3, suffix='.png', io='a:A'", "name 3 does not look like"),
        ("name='a\\n', suffix='.png', io='a:A'", "does not look like"),
        ("name='png', suffix='png', io='a:A'", "suffix 'png' does not look like"),
        ("name='png', suffix='', io='a:A'", "suffix '' does not look like"),
        ("name='png', suffix='.' + 'x' * 200, io='a:A'", "does not look like"),
        ("name='png', suffix='./png', io='a:A'", "suffix './png' does not look like"),
        ("name='png', suffix='.png', io='a.A'", "io 'a.A' does not look like"),
        ("name='png', suffix='.png', io='a:A()'", "io 'a:A()' does not look like"),
        ("name='png', suffix='.png', io=list", "does not look like"),
        ("name='png', suffix='.png', io='a:A', types='PIL.Image.Image'", "types is a str, not a tuple"),
        ("name='png', suffix='.png', io='a:A', types=('Image',)", "type 'Image' does not look like"),
        ("name='png', suffix='.png', io='a:A', types=(int,)", "does not look like"),
        ("name='png', suffix='.png', io='a:A', types=('builtins.dict',)", "builtin types are not claimed by type"),
        ("name='png', suffix='.png', io='a:A', executes_code=0", "executes_code is not a bool"),
        ("name='png', suffix='.png', io='a:A', install=('a',)", "is not the name of a distribution"),
    ],
)
def test_an_invalid_format_is_a_failure_that_names_the_field(site: Site, spec: str, error: str) -> None:
    """Specs are validated when they are registered, with the field and the value in the error."""
    site.plugin("image", HOOKS + f"@hookimpl\ndef persistable_formats(): return [FormatSpec({spec})]")
    status, reason = rows()["image"]
    assert status == "failed"
    assert error in str(reason)


@pytest.mark.parametrize(
    ("hook", "spec", "error"),
    [
        ("storages", "StorageSpec(schemes='s3', storage='a:A')", "schemes is a str, not a tuple"),
        ("storages", "StorageSpec(schemes=('S3:',), storage='a:A')", "scheme 'S3:' does not look like"),
        ("storages", "StorageSpec(schemes=('s3',), storage='a')", "storage 'a' does not look like"),
        ("storages", "FormatSpec(name='a', suffix='.a', io='a:A')", "is not a StorageSpec"),
        ("param_encoders", "EncoderSpec(name='a', version=0, types=('a.A',), encode='a:a')", "version is not a whole"),
        ("param_encoders", "EncoderSpec(name='a', version=True, types=('a.A',), encode='a:a')", "version is not"),
        ("param_encoders", "EncoderSpec(name='a', version=1, types=['a.A'], encode='a:a')", "types is a list"),
        ("param_encoders", "EncoderSpec(name='$', version=1, types=('a.A',), encode='a:a')", "name '$' does not"),
        ("param_encoders", "EncoderSpec(name='a', version=1, types=('a.A',), encode='a')", "encode 'a' does not"),
        (
            "param_encoders",
            "EncoderSpec(name='a', version=1, types=('a.A',), encode='a:a', locate='a')",
            "locate 'a' does not",
        ),
        (
            "param_encoders",
            "EncoderSpec(name='a', version=1, types=('datetime.datetime',), encode='a:a')",
            "types of datetime are the core's to encode",
        ),
        (
            "param_encoders",
            "EncoderSpec(name='a', version=1, types=('builtins.int',), encode='a:a')",
            "types of builtins are the core's to encode",
        ),
        (
            "param_encoders",
            "EncoderSpec(name='a', version=1, types=('numpy.ndarray',), encode='a:a')",
            "types of numpy are the core's to encode",
        ),
        (
            "param_encoders",
            "EncoderSpec(name='a', version=1, types=('pandas.Series',), encode='a:a')",
            "the encoding of pandas objects belongs to persistable-arrow",
        ),
    ],
)
def test_an_invalid_storage_or_encoder_is_a_failure(site: Site, hook: str, spec: str, error: str) -> None:
    """Storages and encoders are validated too; types that the core or a first-party plugin encodes are not open."""
    site.plugin("image", HOOKS + f"@hookimpl\ndef persistable_{hook}(): return [{spec}]")
    status, reason = rows()["image"]
    assert status == "failed"
    assert error in str(reason)


def test_one_plugin_cannot_declare_a_name_twice(site: Site) -> None:
    """The same format twice in a list, or in two entry points of a distribution, is a failure, not a coin toss."""
    twice = IMAGE.replace('types=("box.Image",))]', 'types=("box.Image",))] * 2')
    site.plugin("twice", twice)
    site.module("two_hooks", IMAGE.replace('"image"', '"two"'))
    site.metadata("two-dist", "[persistable]\nfirst = two_hooks\nsecond = two_hooks\n")
    found = rows()
    assert found["twice"] == ("failed", "ValueError: persistable_formats() returned image twice")
    assert found["first"] == ("loaded", None)
    assert found["second"] == ("failed", "ValueError: the format name 'two' is declared twice by two-dist")


def test_two_entry_points_may_share_a_module_and_its_observers(site: Site) -> None:
    """A failure of the one does not switch off what the other registered."""
    site.module("seen", "events = []")
    site.module(
        "two_hooks", IMAGE + "\nimport seen\n@hookimpl\ndef persistable_event(event): seen.events.append(event.kind)\n"
    )
    site.metadata("two-dist", "[persistable]\nfirst = two_hooks\nsecond = two_hooks\n")
    registry = Registry()
    with pytest.warns(PluginWarning, match="declared twice"):
        registry.notify("started", "name", "key")
    import seen

    assert seen.events == ["started"]


@pytest.mark.parametrize(
    ("entry_points", "error"),
    [
        ("[persistable]\nno equals sign here\n", "its entry_points.txt cannot be read"),
        (b"[persistable]\nimage = \xff\xfe\n", None),
        ("[persistable]\nimage = not a module\n", "names 'not a module', which is no module"),
        ("[persistable]\nimage =\n", "names '', which is no module"),
        ("[persistable]\nimage = image_hooks:nothing\n", "has no attribute 'nothing'"),
        ("[persistable]\nimage = image_hooks:None\n", ""),
        ("[persistable]\nimage = no_such_module_at_all\n", "No module named 'no_such_module_at_all'"),
    ],
)
def test_broken_metadata_is_its_distributions_own_affair(site: Site, entry_points: str | bytes, error: str) -> None:
    """One unreadable entry_points.txt does not hide the plugins of everybody else, and is named where it can be."""
    site.metadata("aaa-broken", entry_points)
    site.module("image_hooks", "")
    site.plugin("good", IMAGE)
    found = rows()
    assert found.pop("good") == ("loaded", None)
    if error is not None:
        [(status, reason)] = found.values()
        assert status == "failed"
        assert error in str(reason)


def test_metadata_without_a_name_takes_the_folders(site: Site) -> None:
    """A distribution whose METADATA is empty or binary is called by its folder."""
    site.module("image_hooks", IMAGE)
    site.metadata("nameless", "[persistable]\nimage = image_hooks\n", metadata="\n")
    (site.folder / "nameless-1.0.dist-info" / "METADATA").write_bytes(b"\xff\xfe\0")
    [_, plugin] = Registry().plugins
    assert (plugin.distribution, plugin.version, plugin.status) == ("nameless", "?", "loaded")


def test_other_groups_and_broken_strangers_are_passed_over(site: Site) -> None:
    """Entry points of other groups, and metadata that does not mention us, are never loaded or judged."""
    site.metadata("stranger", "[console_scripts]\nthis is broken\n")
    site.metadata("neighbour", "[persistable.other]\nimage = no_such_module\n[console_scripts]\na = b:c\n")
    assert rows(warned=False) == {}


def test_the_first_of_two_versions_on_the_path_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that is shadowed further down the path is not a plugin, even if only that one was one."""
    below = Site(site.folder.parent / "below", monkeypatch)
    monkeypatch.syspath_prepend(str(site.folder))
    below.plugin("image", IMAGE, "image-box", "1.0")
    assert [plugin.version for plugin in Registry().plugins[1:]] == ["1.0"]
    site.metadata("Image.Box", "[console_scripts]\na = b:c\n", "2.0")
    assert Registry().plugins[1:] == ()


@pytest.mark.parametrize(
    ("disabled", "left"),
    [
        ("image", ["other"]),
        ("Image_Dist", ["other"]),
        ("image,other", []),
        (" other-dist , image ", []),
        ("*", []),
        ("imag", ["image", "other"]),
        ("", ["image", "other"]),
    ],
)
def test_disabled_plugins_are_listed_and_never_imported(
    site: Site, monkeypatch: pytest.MonkeyPatch, disabled: str, left: list[str]
) -> None:
    """PERSISTABLE_DISABLE_PLUGINS names entry points or distributions; what is off is a row, and its code stays off."""
    site.plugin("image", IMAGE)
    site.plugin("other", IMAGE.replace('"image"', '"other"'))
    monkeypatch.setenv("PERSISTABLE_DISABLE_PLUGINS", disabled)
    for settings in ({}, {"disabled": disabled}, {"disabled": disabled.split(",")}):
        for name in ("image_hooks", "other_hooks"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        found = rows(warned=False, **settings)
        assert [name for name, row in found.items() if row == ("loaded", None)] == left
        assert [name for name, row in found.items() if row == ("disabled", None)] == sorted(
            {"image", "other"} - {*left}
        )
        assert [name for name in ("image", "other") if f"{name}_hooks" in sys.modules] == left


@pytest.mark.parametrize("installed", [True, False])
def test_the_switch_of_a_plugin_switches_off_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """What a warning says to set is the distribution, and an entry point of another one's name is not meant by it."""
    site.metadata("takeover-npy", "[persistable]\npersistable-numpy = broken_hooks\n")
    site.module("broken_hooks", "1 / 0")
    if installed:
        site.plugin("numpy", IMAGE, "Persistable_Numpy")
    with pytest.warns(PluginWarning) as caught:
        assert len(Registry().failures) == 1
    [message] = [str(warning.message) for warning in caught]
    switch = message.rpartition("PERSISTABLE_DISABLE_PLUGINS=")[2]
    assert switch == "takeover-npy"
    ours = {"numpy": ("loaded", None)} if installed else {}
    monkeypatch.setenv("PERSISTABLE_DISABLE_PLUGINS", switch)
    assert rows(warned=False) == {**ours, "persistable-numpy": ("disabled", None)}
    found = rows(disabled=["persistable-numpy"])
    if installed:
        assert (found["numpy"][0], found["persistable-numpy"][0]) == ("disabled", "failed")
    else:
        assert found["persistable-numpy"] == ("disabled", None)


def test_settings_of_a_registry_win_over_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """disabled=() loads what the environment switches off."""
    site.plugin("image", IMAGE)
    monkeypatch.setenv("PERSISTABLE_DISABLE_PLUGINS", "*")
    assert rows(warned=False, disabled=()) == {"image": ("loaded", None)}


def test_a_plugin_may_ask_while_it_is_loaded(site: Site) -> None:
    """A hooks module that looks something up sees what is known so far, instead of looking for itself for ever."""
    site.module("shared", "from persistable import Registry\nregistry = Registry()\n")
    site.plugin(
        "curious",
        IMAGE.replace('"image"', '"curious"')
        + "\nimport shared\nassert shared.registry.named('pickle').format == 'pickle'\n"
        + "assert [plugin.name for plugin in shared.registry.plugins] == ['persistable']\n",
    )
    import shared

    assert [plugin.status for plugin in shared.registry.plugins] == ["loaded", "loaded"]


def test_threads_that_look_at_once_find_everything_and_load_once(site: Site) -> None:
    """Eight threads at the first lookup agree, and the hooks of a plugin are asked once."""
    site.module("counted", "calls = []\n")
    counting = "\nimport counted, time\ntime.sleep(0.05)\ncounted.calls.append(1)\n"
    site.plugin("image", IMAGE + counting)
    import counted

    registry, barrier, found = Registry(), threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        found.append((registry.named("image").distribution, len(registry.plugins)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [("image-dist 1.0", 2)] * 8
    assert counted.calls == [1]


def test_order_of_installation_and_of_the_path_changes_nothing(tmp_path: Path, site: Site, monkeypatch) -> None:
    """The same distributions in any order on the path give the same table, failures and reasons included."""
    site.folder.rmdir()
    seen = set()
    for number, order in enumerate(itertools.permutations(["alpha", "beta", "npy", "broken"])):
        with pytest.MonkeyPatch.context() as patch:
            for name in order:
                here = Site(tmp_path / str(number) / name, patch)
                if name == "broken":
                    here.plugin("broken", "1 / 0")
                else:
                    here.format("png" if name != "npy" else "npy", "box.Image", plugin=name)
            registry = Registry()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PluginWarning)
                listed = [(plugin.name, plugin.status, str(plugin.error)) for plugin in registry.plugins]
            with pytest.raises(AmbiguousFormatError) as caught:
                registry.named("png")
            seen.add((str(listed), str(caught.value)))
    assert len(seen) == 1


def test_discovery_says_what_it_found_without_a_registry(site: Site) -> None:
    """``discover`` returns rows sorted by name, and never raises."""
    site.plugin("zebra", IMAGE)
    site.plugin("broken", "1 / 0")
    assert [(plugin.name, plugin.status) for plugin in discover([])] == [("broken", "failed"), ("zebra", "loaded")]


def test_the_cause_of_a_failure_is_chained_to_the_error_of_its_format(site: Site) -> None:
    """Asking for a first-party format whose plugin fails names the plugin and carries its own error."""
    site.plugin("numpy", "import no_such_library", "persistable-numpy", "2.0")
    registry = Registry()
    with pytest.warns(PluginWarning), pytest.raises(BrokenPluginError) as caught:
        registry.named("npy")
    assert type(caught.value.__cause__) is ModuleNotFoundError
    assert (caught.value.plugin, caught.value.distribution) == ("numpy", "persistable-numpy 2.0")


def test_an_unknown_format_tells_of_plugins_that_might_have_had_it(site: Site) -> None:
    """Where plugins are broken or switched off the error for an unknown name says so in notes."""
    site.plugin("broken", "1 / 0")
    site.plugin("off", IMAGE)
    registry = Registry(disabled=["off"])
    with pytest.warns(PluginWarning), pytest.raises(UnknownFormatError) as caught:
        registry.named("image")
    assert caught.value.__notes__ == [
        "the plugin 'broken' of broken-dist 1.0 does not work: ZeroDivisionError: division by zero",
        "the plugin 'off' of off-dist 1.0 is switched off",
    ]


def test_a_file_of_metadata_is_read_once_and_only_of_plugins(site: Site) -> None:
    """Looking for plugins opens each entry_points.txt once, and METADATA of those alone that have plugins."""
    site.plugin("image", IMAGE, "image-box")
    site.metadata("stranger", "[console_scripts]\na = b:c\n")
    script = (
        "import collections, os, sys\n"
        "opened = collections.Counter()\n"
        "def note(event, given):\n"
        "    if event == 'open' and isinstance(given[0], str) and '.dist-info' in given[0]:\n"
        "        opened['/'.join(given[0].replace(os.sep, '/').split('/')[-2:])] += 1\n"
        "import persistable\n"
        "sys.addaudithook(note)\n"
        "assert {'image'} <= {plugin.name for plugin in persistable.Registry().plugins}\n"
        "assert opened['image_box-1.0.dist-info/METADATA'] == 1, opened\n"
        "assert opened['stranger-1.0.dist-info/entry_points.txt'] == 1, opened\n"
        "assert 'stranger-1.0.dist-info/METADATA' not in opened, opened\n"
        "assert set(opened.values()) == {1}, opened\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", script], check=True, env=environment)


def test_nothing_is_imported_to_list_and_choose() -> None:
    """Listing what is installed and choosing a format by type imports no payload library."""
    script = (
        "import sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import persistable\n"
        "assert 'pluggy' not in sys.modules and 'importlib.metadata' not in sys.modules\n"
        "registry = persistable.Registry()\n"
        "registry.named('pickle')\n"
        "assert 'importlib.metadata' not in sys.modules\n"
        "registry.plugins, registry.explain(dict), registry.explain(persistable.Registry)\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'polars', 'fastavro', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-P", "-c", script], check=True)
