"""Read the headers of the pages of a parquet file: what is there, whatever the footer says of it.

Pages follow one another, each with its header before it, so nothing but headers is read. pyarrow reads the same pages:
from the dictionary, or the first page of data, until there are as many values as the footer promises.
Source: Apache Parquet, ``parquet.thrift`` (PageHeader); Apache Thrift, "Compact protocol encoding".
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

__all__ = ["Pages", "pages_of"]

_HEADER = 1 << 8  # bytes that nearly every header fits into; statistics make some of them longer
_LONGEST = 1 << 24  # bytes of a header, as in pyarrow
_LARGEST = 1 << 31  # bytes of a page, exclusive
_DEEPEST = 8  # structs within structs, of which a header has three
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3  # kinds of pages
_DETAIL = {_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}  # the field of a header that says more, by kind
_ENCODING = {_DATA: 2, _DICTIONARY: 2, _DATA_2: 4}
_DELTA_BYTE_ARRAY = 7


class Pages(NamedTuple):
    """What the pages of one column in one row group say of themselves, all together.

    Attributes:
        values: how many they hold.
        encoded: bytes that they take when they are not compressed, headers included.
        has_dictionary: whether one of them is a dictionary.
        shares_prefixes: whether texts are encoded by what they share with the one before.
    """

    values: int
    encoded: int
    has_dictionary: bool
    shares_prefixes: bool


def pages_of(descriptor: int, chunk: Any) -> Pages:
    """Return what the pages of a column chunk say.

    Raises:
        ValueError: they are none.
    """
    at, first = chunk.data_page_offset, chunk.dictionary_page_offset
    if chunk.has_dictionary_page and first is not None and 0 < first < at:
        at = first
    values = encoded = 0
    has_dictionary = shares_prefixes = False
    while values < chunk.num_values:
        header, length = _header(descriptor, at)
        try:
            kind, size, stored = header[1], header[2], header[3]
            if kind in _DETAIL:
                detail = header[_DETAIL[kind]]
                count, encoding = detail[1], detail[_ENCODING[kind]]
                has_dictionary |= kind == _DICTIONARY
                shares_prefixes |= kind != _DICTIONARY and encoding == _DELTA_BYTE_ARRAY
                values += 0 if kind == _DICTIONARY else count
                if count < 0:
                    raise ValueError(f"a page with {count} values")
            if not (0 <= size < _LARGEST and 0 <= stored < _LARGEST):
                raise ValueError(f"a page of {stored} bytes, {size} uncompressed")
        except (KeyError, TypeError) as error:
            raise ValueError(f"no header of a page at byte {at}") from error
        encoded += size + length
        at += stored + length
    return Pages(values, encoded, has_dictionary, shares_prefixes)


def _header(descriptor: int, at: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a header by number, and its length."""
    size = _HEADER
    while True:
        data = os.pread(descriptor, size, max(at, 0))
        try:
            return _Compact(data).header()
        except IndexError:
            if len(data) < size or size >= _LONGEST:
                raise ValueError(f"no header of a page at byte {at}") from None
        size *= 16


class _Compact:
    """A struct in the compact protocol. Raises IndexError where the bytes end before it does."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def header(self) -> tuple[dict[int, Any], int]:
        fields = self._struct(0)
        return fields, self._at

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _struct(self, depth: int) -> dict[int, Any]:
        if depth > _DEEPEST:
            raise ValueError("structs too deep within structs")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = self._value(head & 0x0F, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):  # true, false
            return kind == 1
        if kind in (4, 5, 6):  # integers of 2, 4 and 8 bytes
            return self._integer()
        if kind == 8:  # bytes or text
            return self._skip(self._varint())
        if kind == 12:
            return self._struct(depth + 1)
        if kind in (3, 7):  # a byte; a double
            return self._skip(1 if kind == 3 else 8)
        raise ValueError(f"a value of kind {kind}, which no header of a page has")

    def _skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise IndexError
