"""AvroRecords, the records of a file without a list of them in memory."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, overload

import fastavro
from fastavro.read import SchemaResolutionError

from persistable_avro.container import MAX_BLOCK_BYTES, Container, Frame, encode_long
from persistable_avro.schema import Schema, read_schema

__all__ = ["AvroRecords", "decode"]


def decode(
    container: Container, payloads: Iterable[tuple[Frame, bytes]], reader_schema: Any = None
) -> Iterator[list[Any]]:
    """Return the records of blocks, block by block.

    A block's records have the encoding of an Avro array's items: given its count in front and its end behind, fastavro
    decodes it in one call, and what is left over shows.

    Raises:
        ValueError: a block is not what its schema says, or has bytes left over.
        SchemaResolutionError: the reader schema does not fit the writer's.

    """
    writer = _array_of(container.schema)
    reader = None if reader_schema is None else _array_of(read_schema(reader_schema))
    read = _implementation(container.schema).schemaless_reader
    for frame, payload in payloads:
        if not frame.records:
            continue
        encoded = io.BytesIO(b"".join((encode_long(frame.records), payload, b"\0")))
        try:
            records: list[Any] = read(encoded, writer, reader)
        except (OSError, MemoryError, SchemaResolutionError):
            raise
        except RecursionError as error:
            raise ValueError(f"the block at byte {frame.start} nests too deep") from error
        except Exception as error:  # EOFError, IndexError, KeyError, OverflowError: whatever wrong bytes run into
            raise ValueError(f"the block at byte {frame.start}: {type(error).__name__}: {error}") from error
        if len(records) != frame.records or encoded.read(1):
            raise ValueError(f"the block at byte {frame.start} has other records than the {frame.records} it claims")
        yield records


def _array_of(schema: Schema) -> dict[str, Any]:
    # the hints tell fastavro that the schema is parsed, which it would do again for every block
    hints = {"__fastavro_parsed": True, "__named_schemas": dict(schema.named)}
    return {"type": "array", "items": schema.parsed} | hints


def _implementation(schema: Schema) -> Any:
    if not schema.recursive:
        return fastavro
    from fastavro import _read_py  # its compiled twin overflows the C stack where the data nests deep

    return _read_py


class AvroRecords(Sequence[Any]):
    """The records of an Avro file as a sequence that reads them when they are asked for, any number of times.

    Holds one block in memory and the file open, so it goes on working after the file was deleted or replaced. Iterating
    to the end checks the whole file; an index reads only the block that it falls into. Equal to a list with equal
    records. Close it, or use it in a ``with`` block, to give the file back early. Pickles as its path.

    Attributes:
        schema: the schema that the file was written with, as JSON values.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        reader_schema: Any = None,
        max_block_bytes: int = MAX_BLOCK_BYTES,
        recorded: Mapping[str, Any] | None = None,
    ) -> None:
        self._path, self._reader_schema = os.path.abspath(path), reader_schema
        self._container = Container(path, max_block_bytes=max_block_bytes, recorded=recorded)
        self._frames: list[Frame] | None = None
        self._ends: list[int] = []
        self._cached: tuple[int, list[Any]] = (-1, [])
        self.schema = self._container.schema.raw

    @property
    def effective_schema(self) -> Any:
        """The schema that the records are in: the reader schema if there is one, else the file's own."""
        return self.schema if self._reader_schema is None else self._reader_schema

    def close(self) -> None:
        """Close the file. Asking for records afterwards raises ValueError."""
        self._container.close()
        self._cached = (-1, [])

    def __iter__(self) -> Iterator[Any]:
        for records in decode(self._container, self._container.payloads(), self._reader_schema):
            yield from records

    def __len__(self) -> int:
        declared = self._container.count
        if declared is not None:
            return declared
        self._index()
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        frames = self._index()
        count = self._ends[-1] if self._ends else 0
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(count))]
        number = index + count if index < 0 else index
        if not 0 <= number < count:
            raise IndexError(f"record {index} of {count}")
        block = bisect_right(self._ends, number)
        cached, records = self._cached
        if cached != block:
            frame = frames[block]
            payload = self._container.payload(frame)
            records = next(decode(self._container, [(frame, payload)], self._reader_schema))
            self._cached = (block, records)
        return records[number - self._ends[block]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, AvroRecords)):
            return NotImplemented
        return len(self) == len(other) and all(ours == theirs for ours, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as any sequence of dicts

    def __enter__(self) -> AvroRecords:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._reader_schema, self._container.max_block_bytes)

    def __repr__(self) -> str:
        return f"<AvroRecords of {self._path}>"

    def _index(self) -> list[Frame]:
        if self._frames is None:
            frames = [frame for frame in self._container.frames() if frame.records]
            self._ends = [*accumulate(frame.records for frame in frames)]
            self._frames = frames
        return self._frames


def _reopen(path: str, reader_schema: Any, max_block_bytes: int) -> AvroRecords:
    return AvroRecords(path, reader_schema=reader_schema, max_block_bytes=max_block_bytes)
