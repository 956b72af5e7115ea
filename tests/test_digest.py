"""Digests of bytes and files, and of what is read meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistable import digest
from persistable.digest import DigestingReader, digest_of, digest_of_file


@pytest.fixture(params=[1, 2], ids=["one core", "two cores"], autouse=True)
def _small_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "cores", lambda: request.param)
    monkeypatch.setattr(digest, "_PIECE", 7)
    monkeypatch.setattr(digest, "_PIECE_ALONE", 5)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(bytes(range(250)))
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reads=st.lists(st.tuples(st.booleans(), st.integers(0, 120)), max_size=8))
def test_what_is_read_is_the_file_and_so_is_its_digest(descriptor: int, reads: list[tuple[bool, int]]) -> None:
    """Whatever is read by read and readinto, beyond the end too; what was not read counts for the digest as well."""
    reader, found = DigestingReader(descriptor), b""
    for into, size in reads:
        if into:
            buffer = bytearray(size)
            found += buffer[: reader.readinto(buffer)]
        else:
            found += reader.read(size)
    assert reader.tell() == len(found) == min(sum(size for _, size in reads), 250)
    assert found == bytes(range(250))[: len(found)]
    assert reader.digest() == digest_of(bytes(range(250))) == digest_of_file(descriptor, 250)


def test_other_algorithms_and_wider_items_count_in_bytes(descriptor: int) -> None:
    """A buffer of eight-byte items is filled whole, and its bytes are hashed."""
    reader, buffer = DigestingReader(descriptor, "sha256"), memoryview(bytearray(240)).cast("q")
    assert reader.readinto(buffer) == 240
    assert reader.digest() == f"sha256:{hashlib.sha256(bytes(range(250))).hexdigest()}"


@pytest.mark.parametrize("failing", [0, 1, 3, 34])
def test_an_error_of_the_disk_is_raised_whichever_thread_meets_it(
    descriptor: int, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No byte that could not be read is taken for one that was."""
    preadv = os.preadv

    def bad_sector(opened: int, buffers: Any, offset: int) -> int:
        if offset <= failing * 7 < offset + len(buffers[0]):
            raise OSError(errno.EIO, "bad sector")
        return preadv(opened, buffers, offset)

    monkeypatch.setattr(os, "preadv", bad_sector)
    with pytest.raises(OSError, match="bad sector"):
        DigestingReader(descriptor).readinto(bytearray(250))


def test_after_an_interrupt_nobody_writes_to_the_buffer(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other thread has ended by the time that the interrupt is raised."""
    preadv = os.preadv

    def interrupted(opened: int, buffers: Any, offset: int) -> int:
        if threading.current_thread() is threading.main_thread() and offset > 20:
            raise KeyboardInterrupt
        return preadv(opened, buffers, offset)

    monkeypatch.setattr(os, "preadv", interrupted)
    before = threading.active_count()
    reader = DigestingReader(descriptor)
    try:
        reader.readinto(bytearray(250))
    except KeyboardInterrupt:
        pass
    else:
        assert digest.cores() > 1, "the other thread has read all the rest"
    assert threading.active_count() == before
