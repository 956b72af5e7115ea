"""Turn any payload of these formats into an Arrow table and back: the conversion that all formats share.

A *note* is the JSON that gives a table back as the payload it was: its type, and whatever Arrow itself does not say.
pandas and polars are imported only when a payload or a note is of theirs.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

import pyarrow

from persistable.exceptions import FidelityError
from persistable.io import FileIO, PayloadT
from persistable_arrow.label import Declined

if TYPE_CHECKING:
    import os

__all__ = [
    "NOTE_KEY",
    "FrameFileIO",
    "check_count",
    "check_payload",
    "frame_labels",
    "from_table",
    "is_stream",
    "to_table",
]

NOTE_KEY = b"persistable"
_PANDAS, _POLARS, _ARROW = "pandas.DataFrame", "polars.DataFrame", "pyarrow.Table"


class FrameFileIO(FileIO[PayloadT], Generic[PayloadT]):
    """Decline, by column and reason, what does not come back equal; subclasses write tables.

    Every option of the constructor can also be given to a single ``save`` or ``load``.
    """

    needs_metadata: ClassVar[bool] = True
    _options: ClassVar[tuple[str, ...]] = ()
    _streams: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._options)})"

    def _with(self, options: Mapping[str, Any]) -> Self:
        """Return this FileIO with some options changed. Raises TypeError for one that it does not have."""
        if not options:
            return self
        return type(self)(**{name: getattr(self, name) for name in self._options} | dict(options))

    def save(
        self, payload: PayloadT, filepath: str | os.PathLike[str], create_folder: bool = True, **kwargs: Any
    ) -> Mapping[str, Any] | None:
        """Write the payload and return the metadata that goes into the record.

        Raises:
            FidelityError: a column would not come back equal; ``where`` names it.
            OSError: as for any FileIO.

        """
        try:
            self._check(payload)
        except Declined as declined:
            raise self._fidelity_error(declined) from declined.__cause__
        return super().save(payload, filepath, create_folder, **kwargs)

    def refusal(self, payload: PayloadT) -> str | None:
        """Say which column, by its dtype or name, would not come back equal, or None."""
        try:
            self._check(payload)
        except Declined as declined:
            return declined.reason if declined.where == "payload" else str(declined)
        return None

    def _check(self, payload: Any) -> None:
        if self._streams and is_stream(payload):
            return
        check_payload(payload)

    def _fidelity_error(self, declined: Declined) -> FidelityError:
        return FidelityError(format=type(self).name, where=declined.where, reason=declined.reason)


def check_count(name: str, value: Any) -> int | None:
    """Return the value of an option that counts something. Raises TypeError or ValueError, naming the option."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} has to be a whole number or None, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} has to be at least 1, not {value!r}")
    return operator.index(value)


def is_stream(payload: Any) -> bool:
    """Tell whether a payload is a RecordBatchReader or an iterator, to be written batch by batch."""
    return isinstance(payload, (pyarrow.RecordBatchReader, Iterator))


def check_payload(payload: Any) -> None:
    """Raise Declined for a payload that is of another type, or known from its dtypes and names not to come back."""
    match payload_type(payload):
        case "pandas.DataFrame":
            from persistable_arrow import pandas_frame

            pandas_frame.check_frame(payload)
        case "polars.DataFrame":
            from persistable_arrow import polars_frame

            polars_frame.check_frame(payload)


def payload_type(payload: Any) -> str:
    """Return the public name of a payload's type. Raises Declined for subclasses and for other types."""
    for name in (_PANDAS, _POLARS, _ARROW):
        library, _, class_name = name.partition(".")
        known = getattr(sys.modules.get(library), class_name, None)
        if known is None:
            continue
        if type(payload) is known:
            return name
        if isinstance(payload, known):
            raise Declined("payload", f"{_qualified(payload)} is a subclass of {name} and would come back as that")
    raise Declined("payload", f"{_qualified(payload)} is not a {_PANDAS}, {_ARROW} or {_POLARS}")


def _qualified(payload: Any) -> str:
    return f"{type(payload).__module__}.{type(payload).__qualname__}"


def to_table(payload: Any) -> tuple[Any, dict[str, Any]]:
    """Return the table of a payload, with unique column names, and its note. Raises Declined."""
    kind = payload_type(payload)
    if kind == _PANDAS:
        from persistable_arrow import pandas_frame

        table, note = pandas_frame.to_table(payload)
    elif kind == _POLARS:
        from persistable_arrow import polars_frame

        table, note = polars_frame.to_table(payload)
    else:
        table, note = payload, {}
        if not payload.num_columns:  # else its columns say how many rows there are
            note["empty_rows"] = payload.num_rows
    return table, {"version": 1, "type": kind, **note}


def from_table(table: Any, note: dict[str, Any] | None, kept: Sequence[int] | None = None, whole: bool = True) -> Any:
    """Return the payload of a table that comes from a file; without a note (somebody else's file) the table itself.

    ``kept`` are the positions of the columns that were asked for (None: all), in the table's order; ``whole`` is false
    if rows were filtered.
    """
    if note is None:
        return table
    if note["version"] != 1:
        raise ValueError(f"the file was written by a newer persistable-arrow (note version {note['version']}): upgrade")
    if note["type"] == _PANDAS:
        from persistable_arrow import pandas_frame

        return pandas_frame.from_table(table, note, kept, whole)
    if note["type"] == _POLARS:
        from persistable_arrow import polars_frame

        return polars_frame.from_table(table, note, kept, whole)
    if "empty_rows" in note:  # metadata first: replacing them drops rows without columns
        return pyarrow.table({"": pyarrow.nulls(note["empty_rows"])}, metadata=table.schema.metadata).select([])
    return table


def frame_labels(note: dict[str, Any], names: list[str]) -> tuple[list[Any], int]:
    """Return the payload's own column labels and how many further columns of the table belong to its index."""
    if note["type"] != _PANDAS:
        return list(names), 0
    from persistable_arrow import pandas_column

    labels = list(pandas_column.decode_index(note["labels"]))
    return labels, len(names) - len(labels)
