"""Distributions that are installed without installing anything: folders with metadata on ``sys.path``."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

HOOKS = """
from persistable import EncoderSpec, Event, FormatSpec, StorageSpec, hookimpl
"""

FORMAT = (
    HOOKS
    + """
@hookimpl
def persistable_formats():
    return [FormatSpec(name={name!r}, suffix=".{name}", io="{module}_io:FileIO", types={types!r}, default={default!r},
                       executes_code=False, install={install!r})]
"""
)

FILE_IO = """
from persistable import FileIO as Base

class FileIO(Base):
    name = {name!r}
    suffix = ".{name}"

    def refusal(self, payload):
        return {refusal!r}

    def _save(self, payload, filepath, **kwargs):
        filepath.write_text(repr(payload))

    def _load(self, filepath, **kwargs):
        return ({name!r}, filepath.read_text())
"""


class Site:
    """A folder on ``sys.path`` with distributions in it; what was imported from it is forgotten at the end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.syspath_prepend(str(folder))

    def module(self, name: str, source: str) -> None:
        """Add a module, and have it imported anew."""
        (self.folder / f"{name}.py").write_text(textwrap.dedent(source))
        self._monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()

    def metadata(self, distribution: str, entry_points: str | bytes, version: str = "1.0", metadata: str = "") -> Path:
        """Add a distribution's metadata; ``entry_points`` is the file itself, ``metadata`` too, if it is given."""
        folder = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        stated = metadata or f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (folder / "METADATA").write_text(stated)
        content = entry_points if isinstance(entry_points, bytes) else entry_points.encode()
        (folder / "entry_points.txt").write_bytes(content)
        importlib.invalidate_caches()
        return folder

    def plugin(self, name: str, source: str, distribution: str = "", version: str = "1.0") -> None:
        """Add a distribution with one entry point whose hooks module has this source."""
        self.module(f"{name}_hooks", source)
        self.metadata(distribution or f"{name}-dist", f"[persistable]\n{name} = {name}_hooks\n", version)

    def format(
        self,
        name: str,
        *types: str,
        plugin: str = "",
        distribution: str = "",
        default: bool = False,
        refusal: str | None = None,
    ) -> None:
        """Add a distribution that brings one working format for some types."""
        plugin = plugin or f"{name}_plugin"
        distribution = distribution or f"{plugin}-dist".replace("_", "-")
        source = FORMAT.format(name=name, module=plugin, types=types, default=default, install=distribution)
        self.plugin(plugin, source, distribution)
        self.module(f"{plugin}_io", FILE_IO.format(name=name, refusal=refusal))
