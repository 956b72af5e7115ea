"""Read the headers of the pages of a parquet file: what is there, whatever the footer says of it.

Pages follow one another, each with its header before it, so nothing but headers is read. pyarrow reads the same pages:
from the dictionary, or the first page of data, until there are as many values as the footer promises.
Source: Apache Parquet, ``parquet.thrift`` (PageHeader); Apache Thrift, "Compact protocol encoding".
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

__all__ = ["LARGEST", "Pages", "pages_of"]

_HEADER = 1 << 8  # bytes that nearly every header fits into; statistics make some of them longer
_LONGEST = 1 << 24  # bytes of a header, as in pyarrow
LARGEST = 1 << 31  # bytes of a page, exclusive
_DEEPEST = 8  # structs within structs, of which a header has three
_FIELDS = 1 << 15  # numbers of fields, exclusive
_KIND, _SIZE, _STORED = (1,), (2,), (3,)  # what a page is; its bytes uncompressed, and as they are stored
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3  # kinds of pages
_DETAILS = {_DATA: ((5, 1), (5, 2)), _DICTIONARY: ((7, 1), (7, 2)), _DATA_2: ((8, 1), (8, 4))}  # values and encoding
_DELTA_BYTE_ARRAY = 7
_REFERRING = (2, 8)  # encodings of pages that refer to the dictionary


class Pages(NamedTuple):
    """What the pages of one column in one row group say of themselves, all together.

    Attributes:
        values: how many they hold.
        encoded: bytes that they take when they are not compressed, headers included; of each at least what is stored,
            as pyarrow reads pages that are not compressed whatever else they say.
        largest: bytes of the largest of them.
        dictionary: bytes that those of them take which are dictionaries.
        shares_prefixes: whether texts are encoded by what they share with the one before.
        refers: whether all values are in a dictionary.
    """

    values: int
    encoded: int
    largest: int
    dictionary: int
    shares_prefixes: bool
    refers: bool


def pages_of(descriptor: int, chunk: Any) -> Pages:
    """Return what the pages of a column chunk say.

    Raises:
        ValueError: they are none.
    """
    at, first, promised = chunk.data_page_offset, chunk.dictionary_page_offset, chunk.num_values
    if chunk.has_dictionary_page and first is not None and 0 < first < at:
        at = first
    values = encoded = largest = dictionary = 0
    shares_prefixes, refers = False, True
    while values < promised:
        numbers, length = _header(descriptor, at)
        try:
            kind, size, stored = numbers[_KIND], numbers[_SIZE], numbers[_STORED]
            if not (0 <= size < LARGEST and 0 <= stored < LARGEST):
                raise ValueError(f"a page of {stored} bytes, {size} uncompressed")
            size = max(size, stored)
            if kind in _DETAILS:
                count, encoding = (numbers[path] for path in _DETAILS[kind])
                if count < 0:
                    raise ValueError(f"a page with {count} values")
                if kind == _DICTIONARY:
                    dictionary += size + length
                else:
                    values += count
                    shares_prefixes |= encoding == _DELTA_BYTE_ARRAY
                    refers &= encoding in _REFERRING
        except KeyError as error:
            raise ValueError(f"no header of a page at byte {at}") from error
        encoded += size + length
        largest = max(largest, size)
        at += stored + length
    return Pages(values, encoded, largest, dictionary, shares_prefixes, refers and dictionary > 0)


def _header(descriptor: int, at: int) -> tuple[dict[tuple[int, ...], int], int]:
    """Return the whole numbers in a header, by path, and its length."""
    size = _HEADER
    while True:
        data = os.pread(descriptor, size, max(at, 0))
        try:
            return _whole_numbers(data)
        except IndexError:
            if len(data) < size or size >= _LONGEST:
                raise ValueError(f"no header of a page at byte {at}") from None
        size *= 16


def _whole_numbers(data: bytes) -> tuple[dict[tuple[int, ...], int], int]:
    """Return the whole numbers of 4 bytes in a struct of the compact protocol, and its length.

    A reader passes over a field of another type than it expects, and cuts what is longer than its type: so only these
    count, and what is longer is an error. A path is the number of the field after those of the structs around it. This
    is one loop because it decides what the load of a large file of many pages costs. Raises IndexError where the bytes
    end before the struct does.
    """
    found: dict[tuple[int, ...], int] = {}
    around: tuple[int, ...] = ()
    number = at = 0
    while True:
        head = data[at]
        at += 1
        if not head:  # the end of a struct
            if not around:
                return found, at
            around, number = around[:-1], around[-1]
            continue
        kind, step = head & 0x0F, head >> 4
        if step:
            number += step
        else:
            number, at = _varint(data, at)
            number = number >> 1 ^ -(number & 1)
        if not -_FIELDS <= number < _FIELDS:
            raise ValueError(f"a field of number {number}")
        if kind in (4, 5, 6, 8):  # integers of 2, 4 and 8 bytes; bytes or text, after their length
            value = data[at]
            if value < 0x80:
                at += 1
            else:
                value, at = _varint(data, at)
                if value >> 32 and kind in (5, 8):
                    raise ValueError("a number of more than 32 bits")
            if kind == 8:
                at += value
            elif kind == 5:
                found[*around, number] = value >> 1 ^ -(value & 1)
        elif kind == 12:
            around, number = (*around, number), 0
            if len(around) > _DEEPEST:
                raise ValueError("structs too deep within structs")
        elif kind in (3, 7):  # a byte; a double
            at += 1 if kind == 3 else 8
        elif kind not in (1, 2):  # true, false
            raise ValueError(f"a value of kind {kind}, which no header of a page has")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a byte, and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
