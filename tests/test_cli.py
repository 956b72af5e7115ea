"""``python -m persistable plugins``: a list that comes whatever is installed, on stdout, and nothing else there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from installed import HOOKS, Site

import persistable
from persistable import cli
from persistable.registry import Registry

VERSION = persistable.__version__


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command look for plugins anew."""
    monkeypatch.setattr(cli, "default_registry", Registry)


@pytest.fixture
def zoo(site: Site, fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a plugin of every kind."""
    site.format("png", "PIL.Image.Image", "numpy.ndarray", plugin="image", distribution="image-box", default=True)
    site.plugin(
        "cloud",
        HOOKS + "print('hello')\n@hookimpl\n"
        "def persistable_storages(): return [StorageSpec(schemes=('cloud', 'tape'), storage='c:C')]",
    )
    site.plugin("broken", "raise ValueError('several\\n  lines, ünïcode')", "broken-dist", "0.1")
    site.plugin("mute", "class Mute(Exception):\n    def __str__(self): return 1 / 0\nraise Mute")
    site.plugin("quiet", "raise AssertionError('loaded')")
    monkeypatch.setenv("PERSISTABLE_DISABLE_PLUGINS", "quiet")


@pytest.mark.usefixtures("zoo")
def test_plugins_are_listed_with_what_they_bring(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each: name, distribution, version, status, and formats with types, or the error on one line."""
    assert cli.main(["plugins"]) == 0
    printed, noise = capsys.readouterr()
    assert printed == (
        f"NAME         DISTRIBUTION  VERSION     STATUS    FORMATS\n"
        f"persistable  persistable   {VERSION}  loaded    pickle, json, text\n"
        f"broken       broken-dist   0.1         failed    ValueError: several lines, ünïcode\n"
        f"cloud        cloud-dist    1.0         loaded    cloud://, tape://\n"
        f"image        image-box     1.0         loaded    png (PIL.Image.Image, numpy.ndarray)\n"
        f"mute         mute-dist     1.0         failed    Mute, whose message cannot be had\n"
        f"quiet        quiet-dist    1.0         disabled\n"
    )
    assert noise == "hello\n"


@pytest.mark.usefixtures("zoo")
def test_json_is_a_list_with_an_object_for_each_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys are those of the design, for every plugin, whatever became of it."""
    assert cli.main(["plugins", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["persistable", "broken", "cloud", "image", "mute", "quiet"]
    assert rows["image"] == {
        "name": "image",
        "distribution": "image-box",
        "version": "1.0",
        "status": "loaded",
        "error": None,
        "formats": [
            {
                "name": "png",
                "suffix": ".png",
                "types": ["PIL.Image.Image", "numpy.ndarray"],
                "default": True,
                "executes_code": False,
                "contested": False,
            }
        ],
        "storages": [],
    }
    assert rows["broken"]["error"] == "ValueError: several\n  lines, ünïcode"
    assert (rows["broken"]["status"], rows["broken"]["formats"]) == ("failed", [])
    assert (rows["quiet"]["status"], rows["quiet"]["error"]) == ("disabled", None)
    assert rows["cloud"]["storages"] == [{"schemes": ["cloud", "tape"]}]
    assert [spec["executes_code"] for spec in rows["persistable"]["formats"]] == [True, False, False]
    assert all(list(row) == list(rows["image"]) for row in rows.values())


@pytest.mark.usefixtures("fresh")
def test_a_format_that_several_claim_is_marked(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that nobody has is not listed as if it worked."""
    site.format("png", "box.Image", plugin="alpha")
    site.format("png", plugin="beta")
    site.format("tiff", plugin="gamma")
    assert cli.main(["plugins"]) == 0
    listed = [line.partition("loaded")[2].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert listed == ["png contested (box.Image)", "png contested", "tiff"]
    assert cli.main(["plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)[1:]
    assert [(row["status"], row["formats"][0]["contested"]) for row in rows] == [
        ("loaded", True),
        ("loaded", True),
        ("loaded", False),
    ]


@pytest.mark.parametrize("arguments", [["plugins"], ["plugins", "--json"]])
def test_the_command_works_as_a_process_with_broken_plugins(tmp_path: Path, arguments: list[str]) -> None:
    """Exit status 0, warnings as errors, a terminal of ASCII, prints of plugins: the list comes, and only it."""
    with pytest.MonkeyPatch.context() as patch:
        site = Site(tmp_path / "site", patch)
        site.plugin("broken", "print('noise')\nraise ValueError('größe')")
        site.plugin("leaving", "import sys; sys.exit(3)")
    here = Path(persistable.__file__).parent.parent
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(here)]),
        "PYTHONIOENCODING": "ascii",
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "persistable", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "noise\n")
    assert "noise" not in done.stdout
    if "--json" in arguments:
        rows = {row["name"]: row for row in json.loads(done.stdout)}
        assert rows["broken"]["error"] == "ValueError: größe"
        assert rows["leaving"]["error"] == "RuntimeError: it called sys.exit(3) when it was loaded"
    else:
        assert "ValueError: gr\\xf6\\xdfe" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["plugin"], ["plugins", "--xml"]])
def test_arguments_that_make_no_sense_are_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, usage on stderr, nothing on stdout."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    printed, usage = capsys.readouterr()
    assert (caught.value.code, printed) == (2, "")
    assert usage.startswith("usage: python -m persistable")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` names the library and its version."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"persistable {VERSION}\n"
