"""Conformance suites for plugin authors: subclass, say what to test, run pytest.

    from persistable.testing import FormatTests, PluginTests, StorageTests, isolated_registry

Needs pytest, and none of its plugins. Failed assertions of the suites are explained like those of your own tests.
"""

import pytest

# before the suites are imported: pytest rewrites the asserts of modules that it is told of in time
pytest.register_assert_rewrite(
    "persistable.testing.format_declarations",
    "persistable.testing.format_failures",
    "persistable.testing.format_round_trips",
    "persistable.testing.format_subject",
    "persistable.testing.plugins",
    "persistable.testing.storage_capabilities",
    "persistable.testing.storage_clients",
    "persistable.testing.storage_machine",
    "persistable.testing.storage_objects",
    "persistable.testing.storage_subject",
    "persistable.testing.storage_transfers",
)

from persistable.testing.equality import difference, type_strict_equal  # noqa: E402
from persistable.testing.exemption import DoesNotApply  # noqa: E402
from persistable.testing.fixtures import isolated_registry  # noqa: E402
from persistable.testing.formats import FormatTests  # noqa: E402
from persistable.testing.odd_names import ODD_NAMES  # noqa: E402
from persistable.testing.plugins import PluginTests, param_digest  # noqa: E402
from persistable.testing.storages import StorageTests  # noqa: E402

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
