"""Say which arrays come back from the npy layout as they were; pure logic, no I/O.

What comes back is the class (``numpy.ndarray``), the dtype in every part that ``repr`` shows, shape, order and values.
Equal for numpy is not enough: ``numpy.dtype.__eq__`` is blind to metadata, to the flag of aligned structures and to
``numpy.record``, all of which an npy header has no place for. Integer types of the same width that C spells
differently (``long`` and ``long long``) do count as one.
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

__all__ = ["HEADER_LIMIT", "array_refusal", "dtype_refusal"]

# numpy reads headers of up to 10 kB unless told otherwise, which a structure of a few hundred fields exceeds. This is
# what we read, and so what we write; the parser behind it is Python's own and bounded in depth.
HEADER_LIMIT = 2**20
MARGIN = 2**12  # what a header holds besides the dtype: 64 dimensions and padding


def array_refusal(array: object) -> str | None:
    """Say why this array would not come back as it is, or None. Looks at its type and dtype only."""
    cls = type(array)
    if cls is np.ndarray or cls is np.memmap:
        return dtype_refusal(np.asarray(array).dtype)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if isinstance(array, np.ndarray):
        return f"it is a {name} and would come back as a plain numpy.ndarray, without what the subclass adds"
    return f"it is a {name}, not a numpy.ndarray"


def dtype_refusal(dtype: np.dtype[Any], field: str = "") -> str | None:
    """Say which part of a dtype an npy header cannot hold, or None. ``field`` is the path to it, for the message."""
    at = f"field {field!r} " if field else "its dtype "
    if dtype.metadata is not None:
        return f"{at}carries metadata, which is not written"
    if dtype.subdtype is not None:
        return dtype_refusal(dtype.subdtype[0], field)
    for name, (part, *_) in _fields(dtype):
        refusal = dtype_refusal(part, f"{field}.{name}" if field else name)
        if refusal is not None:
            return refusal
    if dtype.hasobject and dtype.names is None:
        if dtype == np.dtype(object):
            return f"{at}is object, and Python objects could only be pickled"
        return f"{at}is {dtype!r}, which has no fixed width and could only be pickled; astype('U') has one"
    return None if field else _layout_refusal(dtype)


def _layout_refusal(dtype: np.dtype[Any]) -> str | None:
    if dtype.isalignedstruct:
        return "its dtype is flagged as an aligned structure, and only the offsets would be kept, not the flag"
    try:
        # the text of the header, and what numpy makes of it
        text = ascii(npy_format.dtype_to_descr(dtype))
        restored = npy_format.descr_to_dtype(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        return f"its dtype {dtype!r} cannot be written in a header: {error}"
    if len(text) + MARGIN > HEADER_LIMIT:
        return f"the names and types of its {len(dtype.names or ())} fields need {len(text)} characters of header"
    if _layout(restored) != _layout(dtype):
        return f"its dtype {dtype!r} would come back as {restored!r}"
    return None


def _layout(dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return all that tells two dtypes apart, nested as they are."""
    if dtype.subdtype is not None:
        return (dtype.shape, _layout(dtype.subdtype[0]))
    if dtype.names is None:
        return (dtype, dtype.type if dtype.kind == "V" else None)
    fields = [(name, _layout(part), *place) for name, (part, *place) in _fields(dtype)]
    return (dtype.type, dtype.itemsize, dtype.isalignedstruct, fields)


def _fields(dtype: np.dtype[Any]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return pairs of name and (dtype, offset, title if there is one), in order."""
    fields: Any = dtype.fields  # its keys are the titles, too
    return [(name, fields[name]) for name in dtype.names or ()]
