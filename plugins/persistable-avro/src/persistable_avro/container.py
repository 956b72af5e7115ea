"""Read the object container file of Avro, trusting nothing that it declares.

Every size and count is compared with the bytes that are there before anything is allocated for it: fastavro believes
them. What the record of the artifact says of its records, codec and largest block is compared as well. A file that this
distribution wrote also carries, under the header key ``persistable.check``, the number of its records and the XXH3-128
of all its bytes (those of the check itself taken as zeros), so that truncation at a block's end, which Avro cannot see,
and flipped bits are noticed. Source: Avro 1.12 specification, "Object Container Files".
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from persistable import expansion
from persistable.exceptions import DeclaredSizeError, FormatError
from persistable_avro.schema import Schema, read_schema

__all__ = [
    "CHECK_KEY",
    "CHECK_WIDTH",
    "CODECS",
    "MAX_BLOCK_BYTES",
    "CodecNotInstalledError",
    "Container",
    "Frame",
    "encode_long",
    "require_codec",
]

# codec: module, distribution to install for it (3.14 has the module, unless it was built without)
_LIBRARIES = {
    "snappy": ("cramjam", "cramjam"),
    "zstandard": ("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", "backports.zstd"),
}

MAGIC = b"Obj\x01"
SYNC_SIZE = 16
CHECK_KEY = "persistable.check"
CHECK_WIDTH = 20 + 32  # decimal digits of the count, hex digits of XXH3-128
MAX_BLOCK_BYTES = 1 << 28
MAX_EMPTY_RECORDS = 1 << 16  # in one block, where records take no bytes

_POINTER = 8  # bytes of an item of a list
_FIRST_READ = 1 << 16
_FRAME_HEAD = 20  # two longs of ten bytes


class CodecNotInstalledError(FormatError, ImportError):
    """Say which distribution a codec needs. Attributes: ``codec``, ``install`` (its name)."""

    def __init__(self, *, codec: str, install: str) -> None:
        self.codec, self.install = codec, install
        super().__init__(
            f"the codec {codec!r} of the format 'avro' needs the package {install}, which cannot be imported; "
            f"pip install {install}",
            format="avro",
        )


class _TooLongError(Exception):
    """Say that a block expands to more than the limit that was given."""


class Frame(NamedTuple):
    """Where a block starts, how many records it claims, where its content is and how many bytes it has."""

    start: int
    records: int
    offset: int
    size: int


class Container:
    """An open Avro file. Keeps its descriptor, so it can be read after the file was deleted. Thread-safe."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_block_bytes: int = MAX_BLOCK_BYTES,
        recorded: Mapping[str, Any] | None = None,
    ) -> None:
        self.max_block_bytes, self._recorded = max_block_bytes, recorded or {}
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        self._closing = weakref.finalize(self, os.close, self._descriptor)
        self._lock = threading.Lock()
        try:
            self.size = os.fstat(self._descriptor).st_size
            self._read_header()
            self._compare_header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the descriptor back. Reading afterwards raises ValueError."""
        self._closing()

    def require_memory(self) -> None:
        """Walk over the blocks and refuse records that take more memory than there is. Raises DeclaredSizeError."""
        records = blocks = 0
        for frame in self.frames():
            records, blocks = records + frame.records, blocks + 1
        expansion.compare("avro", {"records": records, "blocks": blocks}, self._recorded)
        expansion.require_memory("avro", self._footprint(records), stored=self.size)

    def frames(self) -> Iterator[Frame]:
        """Walk over the blocks without reading their content."""
        start = self.first
        while start < self.size:
            head = self._read(start, min(_FRAME_HEAD, self.size - start))
            try:
                count, at = _decode_long(head, 0)
                size, at = _decode_long(head, at)
            except IndexError:
                raise ValueError(f"the file ends inside the block at byte {start}") from None
            if count < 0 or size < 0 or start + at + size + SYNC_SIZE > self.size:
                raise ValueError(
                    f"the block at byte {start} claims {count} records in {size} bytes; "
                    f"{self.size - start - at} bytes are left in the file"
                )
            frame = Frame(start, count, start + at, size)
            self._require_room(frame, size if self.codec == "null" else self.max_block_bytes)
            yield frame
            start = frame.offset + size + SYNC_SIZE

    def payload(self, frame: Frame, digest: Any = None) -> bytes:
        """Return the decompressed content of a block, up to the limit of one; feed its raw bytes to a digest."""
        raw = self._read(frame.start, frame.offset + frame.size + SYNC_SIZE - frame.start)
        if not raw.endswith(self.sync):
            raise ValueError(f"the block at byte {frame.start} does not end in the file's sync marker")
        if digest is not None:
            digest.update(raw)
        content = raw[frame.offset - frame.start : -SYNC_SIZE]
        expansion.require_memory("avro", self._footprint(frame.records), stored=frame.size)
        try:
            content = CODECS[self.codec](content, self._block_limit)
        except _TooLongError:
            raise DeclaredSizeError(
                format="avro",
                declared=self._block_limit + 1,
                what=f"bytes or more in the block at byte {frame.start}",
                reason=self._limited_by,
            ) from None
        except (ValueError, ImportError):
            raise
        except Exception as error:  # each codec library has its own errors
            raise ValueError(f"the block at byte {frame.start} is not {self.codec}: {error}") from error
        self._require_room(frame, len(content))
        if content and (frame.records == 0 or self.schema.minimum == 0):
            raise ValueError(f"the block at byte {frame.start} has bytes, but no records that take any")
        return content

    def payloads(self) -> Iterator[tuple[Frame, bytes]]:
        """Walk over the blocks and their decompressed content; at the end compare with the check of the file."""
        digest, total = None, 0
        if self.check is not None:
            import xxhash

            digest = xxhash.xxh3_128(self._header)
        for frame in self.frames():
            total += frame.records
            yield frame, self.payload(frame, digest)
        if digest is not None and self.check != f"{total:020d}{digest.hexdigest()}":
            raise ValueError(f"the file does not agree with its own {CHECK_KEY}: it is damaged or cut off")

    @property
    def count(self) -> int | None:
        """Number of records as the file's own check declares it, or None."""
        return None if self.check is None else int(self.check[:20])

    def _compare_header(self) -> None:
        codec, largest = self._recorded.get("codec", self.codec), self._recorded.get("largest_block")
        if codec != self.codec:
            raise ValueError(f"the file has the codec {self.codec!r}, the record says {codec!r}: it is another file")
        self._block_limit, self._limited_by = self.max_block_bytes, "raise max_block_bytes if that is expected"
        if isinstance(largest, int) and largest < self.max_block_bytes:
            self._block_limit, self._limited_by = largest, "the record says less: it is another file"

    def _footprint(self, records: int) -> int:
        return records * (_POINTER + self.schema.footprint)

    def _require_room(self, frame: Frame, available: int) -> None:
        minimum = self.schema.minimum
        crowded = minimum == 0 and frame.records > MAX_EMPTY_RECORDS
        if crowded or frame.records * minimum > available:
            raise ValueError(
                f"the block at byte {frame.start} claims {frame.records} records of at least {minimum} bytes "
                f"in {available} bytes"
            )

    def _read(self, offset: int, size: int) -> bytes:
        if not self._closing.alive:
            raise ValueError("the file is closed")
        parts = []
        while size > 0:
            if hasattr(os, "pread"):
                part = os.pread(self._descriptor, size, offset)
            else:
                with self._lock:
                    os.lseek(self._descriptor, offset, os.SEEK_SET)
                    part = os.read(self._descriptor, size)
            if not part:
                raise ValueError("the file became shorter while it was read")
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_header(self) -> None:
        asked = _FIRST_READ
        while True:
            data = self._read(0, min(asked, self.size))
            try:
                at = self._parse_header(data)
                break
            except IndexError:
                if asked >= self.size:
                    raise ValueError("the file ends inside its header") from None
                asked *= 8
        self.first = at
        try:
            self.codec = self.metadata.get("avro.codec", b"null").decode()
            text = self.metadata["avro.schema"].decode()
        except (KeyError, UnicodeDecodeError) as error:
            raise ValueError(f"the header has no readable schema and codec: {error!r}") from error
        if self.codec not in CODECS:
            raise ValueError(f"the codec {self.codec!r} is not one of {', '.join(CODECS)}")
        self.schema: Schema = read_schema(text)
        header, self.check = data[:at], None
        check = self.metadata.get(CHECK_KEY)
        if check is not None:
            if len(check) != CHECK_WIDTH or not check[:20].isdigit() or not check.isalnum() or not check.isascii():
                raise ValueError(f"the header's {CHECK_KEY} is not one: {check[:80]!r}")
            self.check = check.decode()
            header = header.replace(check, b"0" * CHECK_WIDTH, 1)
        self._header = header

    def _parse_header(self, data: bytes) -> int:
        if data[:4] != MAGIC:
            raise ValueError(f"not an Avro file: it begins with {data[:4]!r}")
        self.metadata: dict[str, bytes] = {}
        count, at = _decode_long(data, 4)
        while count != 0:
            if count < 0:
                _, at = _decode_long(data, at)
            for _ in range(abs(count)):
                key, at = self._parse_bytes(data, at)
                value, at = self._parse_bytes(data, at)
                self.metadata[key.decode("utf-8", "replace")] = value
            count, at = _decode_long(data, at)
        if at + SYNC_SIZE > len(data):
            raise IndexError
        self.sync = data[at : at + SYNC_SIZE]
        return at + SYNC_SIZE

    def _parse_bytes(self, data: bytes, at: int) -> tuple[bytes, int]:
        size, at = _decode_long(data, at)
        if size < 0 or at + size > self.size:
            raise ValueError(f"the header claims {size} bytes at byte {at} of a file of {self.size}")
        if at + size > len(data):
            raise IndexError
        return data[at : at + size], at + size


def encode_long(value: int) -> bytes:
    """Return a non-negative number in Avro's variable-length zig-zag coding."""
    value <<= 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _decode_long(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at`` and where it ends. IndexError if the data ends before."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > 63:
            raise ValueError(f"the number before byte {at} has more than 64 bits")


# -- codecs: content of a block, limit → decompressed content ----------------------------------------------------------


def _bounded(codec: str, decompressor: Any, content: bytes, limit: int) -> bytes:
    """Decompress with a decompressor of the standard library's protocol, up to a limit and to the end of its stream."""
    decompressed: bytes = decompressor.decompress(content, limit + 1)
    if len(decompressed) > limit:
        raise _TooLongError
    if not decompressor.eof:
        raise ValueError(f"a block of codec {codec} is cut off")
    return decompressed


def _null(content: bytes, limit: int) -> bytes:  # noqa: ARG001 - the file's size is the limit
    return content


def _deflate(content: bytes, limit: int) -> bytes:
    return _bounded("deflate", zlib.decompressobj(-15), content, limit)  # raw deflate; bytes after its end are ignored


def require_codec(codec: str) -> Any:
    """Import and return the module of a codec; None for those of the standard library.

    Raises:
        CodecNotInstalledError: it is not there; the cause is chained.
    """
    if codec not in _LIBRARIES:
        return None
    module, distribution = _LIBRARIES[codec]
    try:
        return import_module(module)
    except ImportError as error:
        raise CodecNotInstalledError(codec=codec, install=distribution) from error


def _snappy(content: bytes, limit: int) -> bytes:
    snappy = require_codec("snappy").snappy
    compressed, checksum = content[:-4], content[-4:]
    if snappy.decompress_raw_len(compressed) > limit:
        raise _TooLongError
    decompressed = bytes(snappy.decompress_raw(compressed))
    if zlib.crc32(decompressed).to_bytes(4, "big") != checksum:
        raise ValueError("a block does not agree with its CRC-32")
    return decompressed


def _zstandard(content: bytes, limit: int) -> bytes:
    zstd = require_codec("zstandard")
    return _bounded("zstandard", zstd.ZstdDecompressor(), content, limit)


def _bzip2(content: bytes, limit: int) -> bytes:
    import bz2

    return _bounded("bzip2", bz2.BZ2Decompressor(), content, limit)


def _xz(content: bytes, limit: int) -> bytes:
    import lzma

    return _bounded("xz", lzma.LZMADecompressor(memlimit=1 << 28), content, limit)


CODECS: dict[str, Callable[[bytes, int], bytes]] = {
    "null": _null,
    "deflate": _deflate,
    "snappy": _snappy,
    "zstandard": _zstandard,
    "bzip2": _bzip2,
    "xz": _xz,
}
