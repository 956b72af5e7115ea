"""Refuse what a forged note makes of a small table: pandas arrays have a place for each value, where Arrow repeats one.

Columns of nothing take no memory in Arrow, and a dictionary holds each text once. What the formats write for pandas has
dictionaries only where the note says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow
import pyarrow.compute

from persistable import expansion
from persistable_arrow.schema import unpack_type

__all__ = ["require_dense_memory"]

_POINTER = 8


def require_dense_memory(
    format: str, table: Any, note: Mapping[str, Any], kept: Sequence[int] | None = None, *, stored: int
) -> None:
    """Refuse to convert a table into a DataFrame that takes more memory than there is.

    Args:
        format: name of the format, for the error.
        table: as it is handed to ``from_table``, with the note and the positions ``kept``.
        note: says which columns stay dictionaries, and whether it is pandas that converts.
        kept: positions of the columns; None for all.
        stored: bytes of the file.

    Raises:
        DeclaredSizeError: it would take too much.
    """
    if note["type"] != "pandas.DataFrame":
        return
    notes = note["columns"] if kept is None else [note["columns"][i] for i in kept]
    dense = most = 0
    repeating: list[Any] = []
    for i, column in enumerate(table.columns):
        if pyarrow.types.is_null(column.type):
            dense += _POINTER * len(column)
        elif pyarrow.types.is_dictionary(column.type) and not (i < len(notes) and _stays(notes[i])):
            repeating += column.chunks
            most += sum(len(chunk) * chunk.dictionary.nbytes for chunk in column.chunks)
    if expansion.exceeds_memory(dense + most, stored=stored):  # no value is longer than all of them
        dense += sum(map(_length, repeating))
    expansion.require_memory(format, dense, stored=stored)


def _stays(note: Mapping[str, Any]) -> bool:
    return note["kind"] == "arrow" and bool(pyarrow.types.is_dictionary(unpack_type(note["type"])))


def _length(array: Any) -> int:
    """Return the bytes that a dictionary array takes as an array of its values."""
    values = array.dictionary
    if not len(values):
        return 0
    try:
        lengths = pyarrow.compute.binary_length(values).cast(pyarrow.int64())
    except (pyarrow.ArrowNotImplementedError, pyarrow.ArrowInvalid):  # of no texts: the average of the values
        return int(values.nbytes * len(array) // len(values))
    return int(pyarrow.compute.sum(lengths.take(array.indices)).as_py() or 0)
