"""The fixture of the suites. Import it into your ``conftest.py`` to use it in tests of your own."""

from __future__ import annotations

import pytest

from persistable.registry import Registry

__all__ = ["isolated_registry"]


@pytest.fixture
def isolated_registry() -> Registry:
    """Return a registry of its own that knows the core's formats and never looks for installed plugins.

    ``isolated_registry.add(hooks, name="mine")`` adds a plugin; ``ArtifactStore(folder, registry=isolated_registry)``
    uses it.
    """
    return Registry(discover=False, strict=False)
