"""A stranger's distribution, installed with pip, is found, chosen, recorded and missed like one of ours."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import persistable

pytest.importorskip("PIL", reason="the example is a format of Pillow")
pytest.importorskip("numpy", reason="the example keeps arrays too")

ROOT = Path(persistable.__file__).parent.parent
EXAMPLE = ROOT / "examples" / "third_party_plugin"

pytestmark = pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the examples are not part of what is installed")

END_TO_END = """
import sys, warnings
import numpy as np
from PIL import Image
from persistable import ArtifactStore, Persistable, PersistableParams, Registry

class Icon(Persistable[Image.Image, PersistableParams]):
    def _generate_payload(self, **untracked):
        return Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))

class Mask(Persistable[np.ndarray, PersistableParams]):
    payload_io = "png"

    def _generate_payload(self, **untracked):
        return np.eye(5, dtype=np.uint8)

store = ArtifactStore(sys.argv[1], trust="data-only")
for kind in (Icon, Mask):
    made = kind(store, PersistableParams())
    made.load_generate()
    again = kind(store, PersistableParams())
    again.load()
    assert type(again.payload) is type(made.payload)
    assert np.array_equal(again.payload, made.payload)
    written = made.record.document["payload"]
    assert written["distribution"] == "imagebox-persistable 0.1.0", written
    with Image.open(made.persist_filepath) as shown:
        assert shown.size == np.asarray(made.payload).shape[1::-1]
    print(written["format"], "-", written["chosen"])
"""

IN_SQLITE = """
import sys
from PIL import Image
from persistable import ArtifactStore, Persistable, PersistableParams

class Icon(Persistable[Image.Image, PersistableParams]):
    def _generate_payload(self, **untracked):
        print("generated")
        return Image.new("RGB", (4, 4), "teal")

icon = Icon(ArtifactStore(sys.argv[1], trust="data-only", cache=sys.argv[2]), PersistableParams())
icon.load_generate()
assert icon.payload.getpixel((1, 1)) == (0, 128, 128)
print(icon.record.format)
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the example, in which building may leave what it likes."""
    folder = tmp_path_factory.mktemp("example") / "third_party_plugin"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return folder


@pytest.fixture(scope="module")
def target(copied: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which pip has installed the example; without pip and hatchling, its metadata is written."""
    folder = tmp_path_factory.mktemp("target")
    if importlib.util.find_spec("pip") is not None and importlib.util.find_spec("hatchling") is not None:
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(copied)], check=True
        )
        return folder
    project = tomllib.loads((copied / "pyproject.toml").read_text())["project"]
    shutil.copytree(copied / "src" / "imagebox", folder / "imagebox")
    metadata = folder / f"imagebox_persistable-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    points = "\n".join(f"{name} = {value}" for name, value in project["entry-points"]["persistable"].items())
    (metadata / "entry_points.txt").write_text(f"[persistable]\n{points}\n")
    return folder


def run(target: Path | None, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the example on its path, or without it."""
    paths = [str(ROOT), *(path for path in sys.path if path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(target)] * bool(target) + paths)} | variables
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_its_own_tests_pass_where_it_is_installed(copied: Path, target: Path) -> None:
    """Its tests are the conformance suites, and find the entry point of the installed distribution."""
    done = run(target, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(copied), str(copied / "tests"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed in", done.stdout), done.stdout
    assert "skipped" not in done.stdout


def test_images_are_kept_by_type_and_arrays_by_name_until_it_is_gone(target: Path, tmp_path: Path) -> None:
    """Installed it serves and is recorded; without it the artifact is an error with its pip line, not a guess."""
    (tmp_path / "work.py").write_text(END_TO_END)
    arguments = ["-W", "error", str(tmp_path / "work.py"), str(tmp_path / "data")]
    done = run(target, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "png - the only format for its type PIL.Image.Image\npng - injected by name\n"
    again = run(target, *arguments)
    assert again.stdout == done.stdout, again.stderr
    away = run(None, *arguments)
    assert away.returncode == 1
    assert "FormatNotInstalledError: the format 'png' is not installed; pip install imagebox-persistable" in away.stderr
    off = run(target, *arguments, PERSISTABLE_DISABLE_PLUGINS="imagebox")
    assert "BrokenPluginError" in off.stderr
    assert "switched off. Take 'imagebox' or 'imagebox-persistable' off the list" in off.stderr


def test_its_storage_keeps_artifacts_until_it_is_gone(target: Path, tmp_path: Path) -> None:
    """By the URL alone everything is in one SQLite file: a second machine, with an empty cache, has hits."""
    (tmp_path / "work.py").write_text(IN_SQLITE)
    arguments = ["-W", "error", str(tmp_path / "work.py"), f"sqlite://{tmp_path}/objects.db"]
    done = run(target, *arguments, str(tmp_path / "cache"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "generated\npng\n", "")
    for cache in ("cache", "empty cache", "off"):
        again = run(target, *arguments, cache if cache == "off" else str(tmp_path / cache))
        assert (again.stdout, again.stderr) == ("png\n", ""), cache
    assert {path.name for path in tmp_path.iterdir()} == {"work.py", "objects.db", "cache", "empty cache"}
    away = run(None, *arguments, "off")
    assert "UnknownStorageError: no installed storage serves sqlite://" in away.stderr


def test_it_is_listed_without_importing_pillow(target: Path) -> None:
    """``python -m persistable plugins`` names distribution, version, format and type."""
    done = run(target, "-X", "importtime", "-m", "persistable", "plugins", "--json")
    assert done.returncode == 0, done.stderr
    row = next(row for row in json.loads(done.stdout) if row["name"] == "imagebox")
    assert (row["distribution"], row["version"], row["status"]) == ("imagebox-persistable", "0.1.0", "loaded")
    assert [(spec["name"], spec["types"]) for spec in row["formats"]] == [("png", ["PIL.Image.Image"])]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "persistable.cli" in imported
    assert row["storages"] == [{"schemes": ["sqlite"]}]
    assert not {"PIL", "numpy", "sqlite3", "imagebox.png", "imagebox.sqlite"} & imported


def test_the_example_of_its_readme_runs(target: Path, tmp_path: Path) -> None:
    """What its README shows is what happens."""
    [block] = re.findall(r"```python\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    (tmp_path / "readme.py").write_text(f"import os; os.chdir({str(tmp_path)!r})\n{block}")
    done = run(target, "-W", "error", str(tmp_path / "readme.py"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("png data/icon/") or done.stdout.startswith(f"png {tmp_path}")
