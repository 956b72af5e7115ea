"""Say what an Arrow IPC file declares of its size, from its footer and the heads of its messages alone.

pyarrow allocates what a file declares: the body of a message, and for each compressed buffer the length in front of it.
It does not show them, so the few tables that hold them are read here; every offset is checked against the file.
Source: Apache Arrow columnar format, File.fbs, Message.fbs, and FlatBuffers, "Internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["sizes"]

_MAGIC = b"ARROW1"
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3  # of the union MessageHeader
_BLOCK, _NODE, _BUFFER = "<qi4xq", "<qq", "<qq"
_CONTINUATION = 0xFFFFFFFF


def sizes(content: Any) -> dict[str, int]:
    """Return how many batches, values and uncompressed bytes a file declares.

    Args:
        content: the whole file, as a buffer that is not copied, such as a mapping.

    Raises:
        ValueError: a length or an offset leads out of the file; it is cut or damaged.

    """
    content = memoryview(content).cast("B")
    try:
        batches = list(_batches(content))
    except (struct.error, IndexError, RecursionError) as error:
        raise ValueError(f"the Arrow file is cut or damaged: {error}") from error
    return {
        "values": sum(batch.values for batch in batches),
        "uncompressed_bytes": sum(batch.uncompressed for batch in batches),
    }


class _Batch(NamedTuple):
    values: int
    uncompressed: int


class _Table(NamedTuple):
    """A table of FlatBuffers, at a place in a buffer."""

    content: memoryview
    start: int

    def place(self, field: int) -> int | None:
        """Return where a field is, None if it has its default."""
        entries = self.start - _number("<i", self.content, self.start)
        if 4 + 2 * field >= _number("<H", self.content, entries):
            return None
        offset = _number("<H", self.content, entries + 4 + 2 * field)
        return self.start + offset if offset else None

    def number(self, field: int, layout: str) -> int:
        place = self.place(field)
        return 0 if place is None else _number(layout, self.content, place)

    def table(self, field: int) -> _Table | None:
        place = self.place(field)
        return None if place is None else _Table(self.content, place + _number("<I", self.content, place))

    def structs(self, field: int, layout: str) -> Iterator[tuple[Any, ...]]:
        place = self.place(field)
        if place is None:
            return iter(())
        start = place + _number("<I", self.content, place)
        count = _number("<I", self.content, start)
        return struct.iter_unpack(layout, _cut(self.content, start + 4, count * struct.calcsize(layout)))


def _batches(content: memoryview) -> Iterator[_Batch]:
    end = len(content) - len(_MAGIC) - 4
    if bytes(_cut(content, end + 4, len(_MAGIC))) != _MAGIC:
        raise ValueError("not an Arrow file, or one that lost its end")
    size = _number("<i", content, end)
    footer = _root(_cut(content, end - size, size))
    for field in (2, 3):  # dictionaries, record batches
        for offset, head, body in footer.structs(field, _BLOCK):
            yield _batch(_cut(content, offset, head), _cut(content, offset + head, body))


def _batch(head: memoryview, body: memoryview) -> _Batch:
    start = 8 if _number("<I", head, 0) == _CONTINUATION else 4  # files before format version 0.15 have no marker
    message = _root(head[start:])
    kind, batch = message.number(1, "<B"), message.table(2)
    if batch is not None and kind == _DICTIONARY_BATCH:
        kind, batch = _RECORD_BATCH, batch.table(1)
    if batch is None or kind != _RECORD_BATCH or message.number(3, "<q") > len(body):
        raise ValueError("the Arrow file is damaged: a block is no batch")
    compressed = batch.place(3) is not None
    values = sum(_positive(length) for length, _ in batch.structs(1, _NODE))
    uncompressed = 0
    for offset, size in batch.structs(2, _BUFFER):
        buffer = _cut(body, offset, size)
        declared = _number("<q", buffer, 0) if compressed and size else size
        uncompressed += size - 8 if declared == -1 else _positive(declared)  # -1: left as it was
    return _Batch(values, uncompressed)


def _root(content: memoryview) -> _Table:
    return _Table(content, _number("<I", content, 0))


def _number(layout: str, content: memoryview, place: int) -> int:
    if place < 0:
        raise ValueError("the Arrow file is damaged: an offset is negative")
    number: int = struct.unpack_from(layout, content, place)[0]
    return number


def _cut(content: memoryview, start: int, size: int) -> memoryview:
    if start < 0 or size < 0 or start + size > len(content):
        raise ValueError(f"the Arrow file is cut or damaged: {size} bytes at {start} of {len(content)}")
    return content[start : start + size]


def _positive(number: int) -> int:
    if number < 0:
        raise ValueError(f"the Arrow file is damaged: it declares a length of {number}")
    return number
