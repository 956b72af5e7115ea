"""StorageTests, the promises that every storage makes; subclass it once for each kind of place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from persistable.storage import Storage
from persistable.testing.storage_capabilities import CapabilityTests
from persistable.testing.storage_clients import ClientTests
from persistable.testing.storage_objects import ObjectTests
from persistable.testing.storage_transfers import TransferTests

__all__ = ["StorageTests"]


class StorageTests(ObjectTests, CapabilityTests, TransferTests, ClientTests):
    """Test a storage: what it is given it keeps, what it declares is so, and what fails leaves nothing behind.

    Override the fixture ``place``, and ``unreachable`` where there can be such a thing.

    Attributes:
        names: odd names that objects have to be able to have; leave out what the place itself, not its client, cannot
            tell apart, such as twins in case on a file system that has none.
        large: bytes of a large object.
        memory: bytes by which the process may grow while a large object is uploaded; or why that says nothing, as where
            objects are kept in this process.
        many: how many objects a folder with several pages has.
        rounds: how often each of 4 writers replaces one object while 4 readers look.
        examples, steps: how many random sequences of how many calls are compared with a dict.
        versions_are_digests: whether equal contents have equal versions, as with the ETag of S3. Otherwise a version is
            another after every ``put``.
        survives_fork: True, or why a forked child cannot use the storage of its parent.
        secrets: texts that ``place`` and ``unreachable`` gave as credentials, which must not show anywhere.
        patience: seconds after which a child that does not end hangs.
    """

    def test_storage_behaves_like_a_dict(self, place: Callable[[], Storage], tmp_path: Path) -> None:
        """Random calls in random order give the answers that a dict gives."""
        pytest.importorskip("hypothesis", reason="random sequences of calls are made by it: pip install hypothesis")
        from persistable.testing.storage_machine import compare_with_dict

        compare_with_dict(place(), tmp_path, examples=self.examples, steps=self.steps)
