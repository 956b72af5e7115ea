"""Conformance suites for plugin authors: subclass, say what to test, run pytest.

    from persistable.testing import FormatTests, PluginTests, StorageTests, isolated_registry

Needs pytest, and none of its plugins. Failed assertions of the suites are explained like those of your own tests.
"""

import pytest

# before the suites are imported: pytest rewrites the asserts of modules that it is told of in time
pytest.register_assert_rewrite(
    "persistable.testing.formats",
    "persistable.testing.plugins",
    "persistable.testing.storages",
    "persistable.testing.storage_machine",
)

from persistable.testing.equality import difference, type_strict_equal  # noqa: E402
from persistable.testing.fixtures import isolated_registry  # noqa: E402
from persistable.testing.formats import DoesNotApply, FormatTests  # noqa: E402
from persistable.testing.plugins import PluginTests, param_digest  # noqa: E402
from persistable.testing.storages import ODD_NAMES, StorageTests  # noqa: E402

__all__ = [
    "ODD_NAMES",
    "DoesNotApply",
    "FormatTests",
    "PluginTests",
    "StorageTests",
    "difference",
    "isolated_registry",
    "param_digest",
    "type_strict_equal",
]
