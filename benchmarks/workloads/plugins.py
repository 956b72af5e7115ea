"""Plugins: what the first lookup of a format costs with twenty of them installed, and what later ones do."""

from __future__ import annotations

import importlib
import importlib.metadata
import py_compile
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.measure import Lane
from benchmarks.report import Report
from persistable import Registry

HOOKS = """
from persistable import FormatSpec, hookimpl

@hookimpl
def persistable_formats():
    return [FormatSpec(name="format{0}", suffix=".f{0}", io="bench_{0}_io:FileIO", types=("bench_{0}.Thing",),
                       executes_code=False, install="bench-{0}")]
"""


def install(folder: Path) -> list[str]:
    """Install twenty plugins; return the names of their hooks modules."""
    for number in range(20):
        about = folder / f"bench_{number}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bench-{number}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[persistable]\nbench{number} = bench_{number}_hooks\n")
        (folder / f"bench_{number}_hooks.py").write_text(HOOKS.format(number))
        py_compile.compile(str(folder / f"bench_{number}_hooks.py"))  # as pip does
    return [f"bench_{number}_hooks" for number in range(20)]


def run(report: Report) -> None:
    """Time a new registry's first lookup by type; modules are compiled already, and imported anew each time."""
    folder = report.path("plugins")
    hooks = install(Path(folder))
    everything, paths = importlib.metadata.distributions, list(sys.path)

    def alone() -> Iterable[importlib.metadata.Distribution]:
        return everything(path=[folder])

    def forgetting(*, twenty: bool, others: bool) -> Callable[[], None]:
        def prepare() -> None:
            for name in hooks:
                sys.modules.pop(name, None)
            sys.path[:] = [folder, *paths] if twenty else paths
            importlib.metadata.distributions = everything if others else alone
            importlib.invalidate_caches()

        return prepare

    def scan() -> int:
        return sum(len(found.entry_points) for found in importlib.metadata.distributions())

    def look() -> None:
        assert Registry().explain(Path)[-1].format == "pickle"

    try:
        report.compare(
            "the first lookup",
            [
                Lane("entry points of this environment", scan, forgetting(twenty=False, others=True), "floor"),
                Lane("this environment's plugins", look, forgetting(twenty=False, others=True), "ours"),
                Lane("twenty more plugins", look, forgetting(twenty=True, others=True), "ours"),
                Lane("twenty plugins alone", look, forgetting(twenty=True, others=False), "ours"),
            ],
            seconds=8,
        )
        forgetting(twenty=True, others=True)()
        known = Registry()
        assert len(known.plugins) >= 20
        report.compare(
            "later lookups",
            [
                Lane("a dict", lambda: {"pickle": 1}["pickle"], role="floor"),
                Lane("format by type", lambda: next(known.for_saving(Path(), None)), role="ours"),
                Lane("format by name", lambda: known.named("pickle"), role="ours"),
                Lane("new registry, nothing looked for: by name", lambda: Registry().named("pickle"), role="ours"),
            ],
            seconds=3,
        )
    finally:
        sys.path[:] = paths
        importlib.metadata.distributions = everything
