"""Write one array to a binary file in the npy layout and read it back: what npy and npz share. Source: NEP 1.

Headers are written and parsed by the public functions of ``numpy.lib.format``; everything that a file declares is
checked before it is believed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from persistable_numpy.fidelity import HEADER_LIMIT

__all__ = ["BLOCK", "Header", "blocks", "memory", "read_header", "write_header"]

BLOCK = 2**20  # bytes copied at a time where a copy is needed: within the cache, above the overhead of the loop


class Header(NamedTuple):
    """What a file says of its array, checked: ``nbytes`` of data are really there."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes, as Python computes it: it does not overflow."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_possible(self) -> bool:
        """Whether numpy can have such an array: lengths are integers, and it could be addressed if none were zero."""
        if self.dtype.subdtype is not None or not all(type(length) is int and length >= 0 for length in self.shape):
            return False
        return math.prod(length or 1 for length in self.shape) * (self.dtype.itemsize or 1) <= sys.maxsize

    def allocate(self) -> NDArray[Any]:
        """Return an uninitialised array of this layout, which owns its memory."""
        # numpy.empty would make one-character strings of zero-width ones
        return np.ndarray(self.shape, self.dtype, order="F" if self.fortran_order else "C")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def tell(self) -> int: ...


class _Bounded:
    """Pass on reads of a header, unless one asks for more than any header needs."""

    def __init__(self, file: _Readable) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= HEADER_LIMIT:
            raise ValueError(f"its header claims {size} bytes, more than the {HEADER_LIMIT} that are read")
        return self._file.read(size)


class _Ascii:
    """Print a value for a header without characters beyond ASCII."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return ascii(self._value)


def write_header(file: IO[bytes], array: NDArray[Any]) -> None:
    """Write the header of an array at the position of ``file``; the data follows in ``blocks``."""
    header = npy_format.header_data_from_array_1_0(array)
    header["descr"] = _Ascii(header["descr"])
    try:
        npy_format.write_array_header_1_0(file, header)
    except ValueError:  # too long for two bytes of length; nothing was written
        npy_format.write_array_header_2_0(file, header)


def blocks(array: NDArray[Any]) -> Iterator[memoryview]:
    """Yield the data of an array in the order of the file. A block is valid until the next one is asked for."""
    if array.nbytes == 0:
        return
    if array.flags.forc:
        whole = memory(array)
        for start in range(0, len(whole), BLOCK):
            yield whole[start : start + BLOCK]
        return
    contiguous: Any = [["readonly", "contig"]]  # numpy's stub spells it "config"
    size = max(BLOCK // array.itemsize, 1)
    chunks = np.nditer(array, ["external_loop", "buffered"], contiguous, order="C", buffersize=size)
    for chunk in cast("Iterator[NDArray[Any]]", chunks):
        yield memory(chunk)


def read_header(file: _Readable, *, size: int) -> Header:
    """Read a header and leave ``file`` at the data. Nothing is allocated for data.

    Args:
        file: opened for reading, at its start.
        size: length of the whole file in bytes, against which the declared size is checked.

    Raises:
        ValueError: this is no npy file, it is cut or too long, or it holds Python objects.

    """
    try:
        header = Header(*_parse_header(_Bounded(file)))
    except OSError:
        raise
    except Exception as error:  # a dozen kinds: what tokenizer, parser and dtype constructor make of nonsense
        raise ValueError(f"the npy header cannot be read: {type(error).__name__}: {error}") from error
    if header.dtype.hasobject:
        raise ValueError("the file holds Python objects, which are only loaded by unpickling: it is refused")
    if not header.is_possible:
        raise ValueError(f"the npy header declares an impossible array: {header}")
    available = size - file.tell()
    if header.nbytes != available:
        raise ValueError(
            f"the npy header declares {header.nbytes} bytes of data (shape {header.shape}, dtype {header.dtype}), but "
            f"there are {available}: the file is {'cut' if header.nbytes > available else 'too long'} or damaged"
        )
    return header


def memory(array: NDArray[Any]) -> memoryview:
    """Return the bytes of a C- or Fortran-contiguous array in the order of its memory: a view, never a copy."""
    if array.nbytes == 0:
        return memoryview(bytearray())
    return (array if array.flags.c_contiguous else array.T).reshape(-1).view(np.uint8).data


def _parse_header(file: _Bounded) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy_format.read_magic(file)
    if version == (1, 0):
        return npy_format.read_array_header_1_0(file, max_header_size=HEADER_LIMIT)
    if version == (2, 0):
        return npy_format.read_array_header_2_0(file, max_header_size=HEADER_LIMIT)
    if version != (3, 0):
        raise ValueError(f"the file has npy version {version}, and 1.0, 2.0 and 3.0 are known")
    # 3.0 is 2.0 in UTF-8, for which numpy has no public reader; as escapes of a literal both mean the same
    length = int.from_bytes(file.read(4), "little")
    text = file.read(length).decode("utf-8").encode("ascii", "backslashreplace")
    return npy_format.read_array_header_2_0(
        BytesIO(len(text).to_bytes(4, "little") + text), max_header_size=HEADER_LIMIT
    )
