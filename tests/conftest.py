"""Fixtures that the tests share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


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
