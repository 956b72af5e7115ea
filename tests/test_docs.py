"""Every Python block in README and docs is executed, in the order of its document; the README's commands are the two.

A line directly above a block may name what it needs (``<!-- needs numpy, pandas -->``): where that is not installed,
the block is passed over. A block whose first line is ``# file: package/module.py`` becomes that file, which later
blocks import; such files in tests/ are run by pytest.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import types
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# those of the other plugins need servers, which the tests of those plugins have
OF_PLUGINS = [ROOT / "plugins" / f"persistable-{name}" / "README.md" for name in ("arrow", "avro", "fsspec", "numpy")]
COMMAND = "python3 -m venv .venv && .venv/bin/python -m pip install -r requirements-dev.txt && .venv/bin/python"

# blocks that are not executed: (document, line) and why
EXCUSED: dict[tuple[str, int], str] = {}

_NEEDS = r"(?:^<!-- needs (?P<needs>[\w., ]+) -->\n)?"
_BLOCK = re.compile(_NEEDS + r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKED = re.compile(r"^ *(?:```|~~~) *(?:py|python|pycon)\b.*$", re.MULTILINE | re.IGNORECASE)


class Block(NamedTuple):
    line: int
    needs: list[str]
    code: str
    file: str | None


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        needs = [name.strip() for name in (match["needs"] or "").split(",") if name.strip()]
        file = re.match(r"# file: ([\w/]+\.py)\n", match["code"])
        found.append(Block(text.count("\n", 0, match.start("code")) + 1, needs, match["code"], file and file[1]))
    return found


def is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def shown(document: Path) -> str:
    return document.relative_to(ROOT).with_suffix("").as_posix()


@pytest.mark.parametrize("document", [*DOCUMENTS, *OF_PLUGINS], ids=shown)
def test_every_python_block_runs(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks of a document are one program, run in an empty folder."""
    plugin = document.parent.name.replace("-", "_")
    if document in OF_PLUGINS and not is_there(plugin):
        pytest.skip(f"{plugin} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSISTABLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    module = types.ModuleType(re.sub(r"\W", "_", shown(document)).lower())
    monkeypatch.setitem(sys.modules, module.__name__, module)
    before = set(sys.modules)
    if document in OF_PLUGINS:
        assert blocks(document), "a plugin shows how it is used"
    try:
        for block in blocks(document):
            if (document.name, block.line) in EXCUSED or not all(map(is_there, block.needs)):
                continue
            code = "\n" * (block.line - 1) + block.code  # so that a traceback has the document's lines
            if block.file is not None:
                path = tmp_path / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(code, encoding="utf-8")
                compile(code, str(document), "exec")
            else:
                exec(compile(code, str(document), "exec"), vars(module))
        if list(tmp_path.glob("tests/test_*.py")):
            run_pytest(tmp_path)
    finally:
        for name in set(sys.modules) - before:
            if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]


def run_pytest(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_excused_blocks_exist() -> None:
    """An excuse for a block that is gone is taken back."""
    lines = {(document.name, block.line) for document in DOCUMENTS for block in blocks(document)}
    assert EXCUSED.keys() <= lines


def test_no_python_is_hidden_from_the_tests() -> None:
    """Every block that is marked as Python, in whatever way, is among those that run."""
    for document in [*DOCUMENTS, *OF_PLUGINS]:
        marked = _MARKED.findall(document.read_text(encoding="utf-8"))
        assert len(marked) == len(blocks(document)), shown(document)


def commands(section: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    body = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert body is not None, f"README has no section {section!r}"
    return [block.strip() for block in re.findall(r"^```\w*\n(.*?)^```$", body[1], re.MULTILINE | re.DOTALL)]


def test_readme_has_exactly_the_two_commands() -> None:
    """One block with one line each, for a machine with Python 3.11 and nothing else."""
    assert commands("Run it") == [f"{COMMAND} examples/flights.py"]
    assert commands("Test it") == [f"{COMMAND} -m pytest"]


def test_every_relative_link_leads_somewhere() -> None:
    """Links between documents, and to files of the tree, exist."""
    others = [*(ROOT / "plugins").glob("*/README.md"), *(ROOT / "examples").glob("*/README.md")]
    for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *others]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{shown(document)}: {target}"


def test_every_document_is_in_the_navigation() -> None:
    """A page that nobody finds is not there."""
    listed = re.findall(r"^ +- .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_every_plugin_is_listed_and_installed_from_the_tree() -> None:
    """requirements-dev.txt installs each folder of plugins/, and what is installed is that folder."""
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    listed = {line.removeprefix("-e ./plugins/") for line in lines if line.startswith("-e ./plugins/")}
    folders = {path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    assert "-e ." in lines
    assert folders == listed
    for name in folders:
        try:
            origin = distribution(name).read_text("direct_url.json")
        except PackageNotFoundError:
            continue  # an environment with the core alone
        if origin is not None:  # None: put on the path by hand
            assert json.loads(origin)["url"] == (ROOT / "plugins" / name).as_uri()


def test_requirements_name_no_registry() -> None:
    """Whoever installs decides where from."""
    text = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^--?(i|index-url|extra-index-url|find-links|f)\b", text, re.MULTILINE)


@pytest.mark.parametrize("script", ["install", "check", "test", "docs"])
def test_the_four_verbs_are_executable(script: str) -> None:
    """CONTRIBUTING names them, and they can be run."""
    assert f"scripts/{script}" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert os.access(ROOT / "scripts" / script, os.X_OK)
