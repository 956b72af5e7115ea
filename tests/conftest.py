"""Fixtures that the tests share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from installed import Site
from made_up import libraries

from persistable.testing import isolated_registry


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return an empty folder in which any user may create, below folders that any user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="persistable-test-"))
    inside = folder / "inside"
    try:
        folder.chmod(0o755)
        inside.mkdir()
        inside.chmod(0o1777)
        yield inside
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return an empty folder on ``sys.path`` to install into; plugins that are really installed are not seen."""
    import importlib.metadata

    everything, folder = importlib.metadata.distributions, tmp_path / "site"
    monkeypatch.setattr(
        importlib.metadata,
        "distributions",
        lambda: (found for found in everything() if str(found.locate_file("")).startswith(str(tmp_path))),
    )
    for name in ("PERSISTABLE_DISABLE_PLUGINS", "PERSISTABLE_STRICT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    return Site(folder, monkeypatch)


__all__ = ["isolated_registry", "libraries", "open_folder", "site"]
