"""What the first lookup costs with twenty plugins installed. Run: pytest benchmarks/test_discovery_benchmark.py."""

from __future__ import annotations

import importlib
import importlib.metadata
import py_compile
import sys
from pathlib import Path
from typing import Any

import pytest

import persistable
from persistable import Registry

HOOKS = """
from persistable import FormatSpec, hookimpl

@hookimpl
def persistable_formats():
    return [FormatSpec(name="format{0}", suffix=".f{0}", io="bench_{0}_io:FileIO", types=("bench_{0}.Thing",),
                       executes_code=False, install="bench-{0}")]
"""


@pytest.fixture
def twenty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Install twenty plugins; return the names of their hooks modules."""
    for number in range(20):
        folder = tmp_path / f"bench_{number}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bench-{number}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[persistable]\nbench{number} = bench_{number}_hooks\n")
        (tmp_path / f"bench_{number}_hooks.py").write_text(HOOKS.format(number))
        py_compile.compile(str(tmp_path / f"bench_{number}_hooks.py"))  # as pip does
    monkeypatch.syspath_prepend(str(tmp_path))
    return [f"bench_{number}_hooks" for number in range(20)]


@pytest.mark.parametrize("around", ["twenty plugins alone", "twenty plugins in this environment", "this environment"])
def test_first_lookup(benchmark: Any, twenty: list[str], tmp_path: Path, monkeypatch: Any, around: str) -> None:
    """Time a new registry's first lookup by type; modules are compiled already, and imported anew each time."""
    if around == "this environment":
        monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(tmp_path)])
    elif around == "twenty plugins alone":
        everything = importlib.metadata.distributions
        monkeypatch.setattr(importlib.metadata, "distributions", lambda: everything(path=[str(tmp_path)]))

    def forget() -> None:
        for name in twenty:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    found = benchmark.pedantic(lambda: Registry().explain(Path), setup=forget, rounds=30, warmup_rounds=2)
    assert found[-1].format == "pickle"


@pytest.mark.usefixtures("twenty")
def test_later_lookups(benchmark: Any) -> None:
    """Time a choice by type once the plugins are known."""
    registry = Registry()
    assert len(registry.plugins) > 20
    assert benchmark(lambda: next(registry.for_saving(Path(), None)).format) == "pickle"


def test_new_registry(benchmark: Any) -> None:
    """Time making a registry that has not looked for plugins, and asking it for pickle."""
    assert benchmark(lambda: Registry().named("pickle").format) == "pickle"
    assert persistable.__version__
