"""AvroFileIO, the format ``avro``: records in an object container file that any Avro library reads.

- A payload is a list of dicts, or a stream of them (an iterator, an ``AvroRecords``) with a schema. It comes back as a
  list, or with ``stream=True`` as an ``AvroRecords``. A tuple would come back as a list and is declined.
- Without a schema it is inferred from all records of the list; see ``persistable_avro.inference`` for the rules.
- With a schema the records must be exactly what it says: an int where it says double, a bool where it says long, a key
  that is missing or too many, a Decimal of another scale are declined, as they would come back as something else.
- A timestamp holds aware datetimes whose tzinfo is ``timezone.utc`` itself; other zones would come back as UTC and are
  declined. Naive datetimes take a local-timestamp. ``fold`` is declined, millis only where nothing is cut off.
- Dicts are equal whatever the order of their keys: a record's come back in the schema's order, a map's in their own.
- None is null in a union or a field of only None; a missing key never becomes None.
- Records are written block by block in constant memory, checked chunk by chunk before they are. The header carries
  their number and a digest under ``persistable.check``; other readers ignore it.
- The record keeps how many records there are and, of compressed ones, how many blocks and the bytes of the largest. A
  file that declares others is refused before they are read, and so is a list that would take more memory than there is
  out of all proportion to its file; an ``AvroRecords`` is held to that block by block.
- Schemas whose arrays have items of no bytes (null, empty records) are declined: a file could claim any length.

Source: Avro 1.12 specification.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, Sized
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, ClassVar

import fastavro
import xxhash

from persistable import FileIO
from persistable.exceptions import FidelityError
from persistable.io import streamed
from persistable_avro.container import CHECK_KEY, CHECK_WIDTH, MAX_BLOCK_BYTES, Container, encode_long, require_codec
from persistable_avro.fidelity import Fidelity
from persistable_avro.inference import NotInferableError, infer_schema
from persistable_avro.records import AvroRecords, decode
from persistable_avro.schema import Schema, read_schema

__all__ = ["AvroFileIO"]

_CHUNK = 256  # records that are checked and held at a time
_SAMPLE = 1024  # records that a schema is first inferred from
_CODECS = ("null", "deflate", "snappy", "zstandard")
_SYNC_INTERVAL = 16000  # fastavro's


class AvroFileIO(FileIO[Any]):
    """Keep records in an Avro file.

    Args:
        schema: of what is written, as JSON values, JSON text or ``fastavro.parse_schema`` returned it. None: inferred.
        reader_schema: what loaded records are resolved to, by Avro's rules of schema evolution.
        codec: ``null``, ``deflate``, ``snappy`` or ``zstandard``. Files of bzip2 and xz are read as well.
        compression_level: of the codec ``deflate`` or ``zstandard``; the others have none.
        sync_interval: bytes of records, before compression, after which a block ends.
        stream: load as an ``AvroRecords``, which reads records when they are asked for, instead of a list.
        max_block_bytes: that a compressed block may expand to, saved or loaded.

    Raises:
        ValueError: a schema or codec is none, the codec has no such level, a number is too small.
        TypeError: a level or number is no int.
        CodecNotInstalledError: the package of a codec is missing, an ImportError.
    """

    name: ClassVar[str] = "avro"
    suffix: ClassVar[str] = ".avro"
    needs_metadata: ClassVar[bool] = True

    def __init__(
        self,
        schema: Any = None,
        *,
        reader_schema: Any = None,
        codec: str = "null",
        compression_level: int | None = None,
        sync_interval: int = _SYNC_INTERVAL,
        stream: bool = False,
        max_block_bytes: int = MAX_BLOCK_BYTES,
    ) -> None:
        if codec not in _CODECS:
            raise ValueError(f"the codec {codec!r} is not one of {', '.join(_CODECS)}")
        _check_level(codec, compression_level)  # known now, not after hours of compute
        _check_bytes("sync_interval", sync_interval, least=0)
        _check_bytes("max_block_bytes", max_block_bytes, least=1)
        self.schema = None if schema is None else read_schema(schema)
        self.reader_schema = None if reader_schema is None else read_schema(reader_schema)
        self.codec, self.compression_level = codec, compression_level
        self.sync_interval, self.stream, self.max_block_bytes = sync_interval, stream, max_block_bytes
        if self.schema is not None:
            Fidelity(self.schema)  # a schema that cannot be checked is refused now, not after hours of compute

    def refusal(self, payload: Any) -> str | None:
        """Decline what is no list or stream, and a stream without a schema."""
        kind = type(payload).__qualname__
        if type(payload) is list or isinstance(payload, AvroRecords):
            return None
        if isinstance(payload, (Mapping, Set, Sequence, bytearray)) or (
            isinstance(payload, Sized) and not isinstance(payload, Iterator)
        ):
            return f"a {kind} would come back as a list; give a list of dicts, or an iterator of dicts with a schema"
        if not isinstance(payload, Iterable):
            return f"a {kind} is no list of dicts"
        if self.schema is None:
            return f"the schema of a {kind} cannot be inferred without using it up; give one: AvroFileIO(schema)"
        return None

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> dict[str, Any]:
        if kwargs:
            options = self._options()
            if "codec" in kwargs:
                options["compression_level"] = None  # a level is that of its codec
            return type(self)(**(options | kwargs))._save(payload, filepath)
        if self.schema is not None:
            return self._write_file(_Source(payload, self.schema, checking=True), filepath)
        if isinstance(payload, AvroRecords):
            return self._write_file(_Source(payload, read_schema(payload.effective_schema), checking=True), filepath)
        return self._save_inferred(payload, filepath) | {"inferred": True}

    def _save_inferred(self, records: list[Any], filepath: Path) -> dict[str, Any]:
        """Infer from a sample and check the others against it as they are written: one pass over memory, not two.

        If one does not fit, all records are inferred from. What fits the sample's schema gives that schema again.
        """
        raw, certain = self._infer(records[:_SAMPLE])
        if len(records) > _SAMPLE:
            if certain:
                try:
                    return self._write_file(_Source(records, self._inferred(raw), checking=True), filepath)
                except FidelityError:
                    whole, _ = self._infer(records)
                    if whole == raw:
                        raise
                    raw = whole
            else:
                raw, _ = self._infer(records)
        return self._write_file(_Source(records, self._inferred(raw), checking=False), filepath)

    def _inferred(self, raw: Any) -> Schema:
        """Take an inferred schema as any other; one that would not be read back is no way to keep the records."""
        try:
            return read_schema(raw)
        except ValueError as error:
            raise FidelityError(format=self.name, where="payload", reason=str(error)) from None

    def _infer(self, records: list[Any]) -> tuple[Any, bool]:
        try:
            return infer_schema(records)
        except NotInferableError as error:
            raise FidelityError(format=self.name, where=error.where, reason=error.reason) from None

    def _write_file(self, source: _Source, filepath: Path) -> dict[str, Any]:
        require_codec(self.codec)  # it may have travelled to where that is missing
        try:
            with open(filepath, "wb") as file:
                count = self._write(source, source.schema, file)
            blocks = {} if self.codec == "null" else self._reread(filepath)
        except BaseException:
            filepath.unlink(missing_ok=True)
            raise
        metadata = {"records": count, "codec": self.codec, "inferred": False, "schema": source.schema.raw}
        return metadata | blocks

    def _load(self, filepath: Path, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        if kwargs:
            return type(self)(**(self._options() | kwargs))._load(filepath, metadata)
        resolved = None if self.reader_schema is None else self.reader_schema.raw
        if self.stream:
            return AvroRecords(
                filepath, reader_schema=resolved, max_block_bytes=self.max_block_bytes, recorded=metadata
            )
        container = Container(filepath, max_block_bytes=self.max_block_bytes, recorded=metadata)
        try:
            container.require_memory()
            records: list[Any] = []
            for block in decode(container, container.payloads(), resolved):
                records += block
            return records
        finally:
            container.close()

    def _options(self) -> dict[str, Any]:
        return {
            "schema": None if self.schema is None else self.schema.raw,
            "reader_schema": None if self.reader_schema is None else self.reader_schema.raw,
            "codec": self.codec,
            "compression_level": self.compression_level,
            "sync_interval": self.sync_interval,
            "stream": self.stream,
            "max_block_bytes": self.max_block_bytes,
        }

    def _write(self, source: _Source, schema: Schema, file: IO[bytes]) -> int:
        digesting: Any = _DigestingFile(file)
        try:
            fastavro.writer(
                digesting,
                schema.raw,
                source.records(),
                codec=self.codec,
                sync_interval=self.sync_interval if schema.minimum else 0,  # records of no bytes: a block for each
                metadata={CHECK_KEY: "0" * CHECK_WIDTH},
                codec_compression_level=self.compression_level,
                strict=True,  # refuses the keys that are no fields: the bulk check counts on it
                disable_tuple_notation=True,
            )
        except (FidelityError, OSError, MemoryError, ImportError):
            raise
        except Exception as error:
            raise source.explain(error) from error
        digesting.seal(source.count)
        return source.count

    def _reread(self, filepath: Path) -> dict[str, int]:
        """Open every compressed block once more: what a reader would take for a bomb must not be written.

        Return what the record keeps of the blocks, so that no other file can make a reader open larger ones.
        """
        container = Container(filepath, max_block_bytes=self.max_block_bytes)
        try:
            blocks = [len(content) for _, content in container.payloads()]
            return {"blocks": len(blocks), "largest_block": max(blocks, default=0)}
        except ValueError as error:
            raise FidelityError(format=self.name, reason=str(error)) from error
        finally:
            container.close()


def _check_level(codec: str, level: Any) -> None:
    """Raise for a level that a codec does not have, or for a codec that is not installed."""
    library = require_codec(codec)
    if level is None:
        return
    if isinstance(level, bool) or not isinstance(level, int):
        raise TypeError(f"compression_level has to be a whole number or None, not {level!r}")
    try:
        if codec == "deflate":
            zlib.compressobj(level)
        elif codec == "zstandard":
            library.ZstdCompressor(level=level)
        else:
            raise ValueError("it has no levels")
    except (ValueError, zlib.error) as error:
        raise ValueError(f"the codec {codec!r} does not take the level {level}: {error}") from error


def _check_bytes(name: str, value: Any, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} has to be a whole number of bytes, not {value!r}")
    if value < least:
        raise ValueError(f"{name} has to be at least {least}, not {value}")


class _Source:
    """Hand records to fastavro, each chunk checked first, and know which chunk it was when something fails."""

    def __init__(self, payload: Iterable[Any], schema: Schema, *, checking: bool) -> None:
        self.payload, self.schema, self.checking = payload, schema, checking
        self.fidelity = Fidelity(schema) if checking else None
        self.count = 0
        self._chunk: Sequence[Any] = ()

    def records(self) -> Iterable[Any]:
        if self.fidelity is None and isinstance(self.payload, list):
            self._chunk, self.count = self.payload, len(self.payload)
            return self.payload
        return chain.from_iterable(self._chunks())

    def _chunks(self) -> Iterator[Sequence[Any]]:
        for chunk in self._cut():
            found = None if self.fidelity is None else self.fidelity.fault(chunk, self.count)
            if found is not None:
                raise FidelityError(format=AvroFileIO.name, where=found[0], reason=found[1])
            self._chunk = chunk
            self.count += len(chunk)
            yield chunk

    def _cut(self) -> Iterator[Sequence[Any]]:
        payload = self.payload
        if isinstance(payload, list):
            for start in range(0, len(payload), _CHUNK):
                yield payload[start : start + _CHUNK]
            return
        records = streamed(payload)
        while chunk := [*islice(records, _CHUNK)]:
            yield chunk

    def explain(self, error: Exception) -> FidelityError:
        """Return which record fastavro could not write, and why."""
        first = self.count - len(self._chunk)
        found = (self.fidelity or Fidelity(self.schema)).first_fault(self._chunk, first)
        where, reason = found or (f"records {first} to {self.count - 1}", f"{type(error).__name__}: {error}")
        return FidelityError(format=AvroFileIO.name, where=where, reason=reason)


class _DigestingFile:
    """Pass writes on to a file and digest them; at the end fill in the check that the header left room for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = xxhash.xxh3_128()
        self._header = b""

    def write(self, data: bytes) -> int:
        if not self._header:
            self._header = bytes(data)
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def seekable(self) -> bool:
        return False  # so that fastavro does not look for records to append to

    def seal(self, count: int) -> None:
        key = CHECK_KEY.encode()
        room = encode_long(len(key)) + key + encode_long(CHECK_WIDTH)
        self._file.seek(self._header.index(room + b"0" * CHECK_WIDTH) + len(room))
        self._file.write(f"{count:020d}{self._digest.hexdigest()}".encode())
