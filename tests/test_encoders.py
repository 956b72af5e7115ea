"""Encoders of params that plugins bring."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from installed import HOOKS, Site
from made_up import Image, Photo

from persistable import Registry
from persistable.exceptions import PluginWarning, UnkeyableParamError

pytestmark = pytest.mark.usefixtures("libraries")


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
