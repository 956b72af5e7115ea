"""The format ``npy``: one numpy array in one file that ``numpy.load`` reads and maps. Source: NEP 1.

Representation decisions:

- The header is pure ASCII of format version 1.0, or 2.0 where a structure needs more than 64 KiB. Field names beyond
  ASCII are written as escapes of the Python literal, so version 3.0 is read but never needed.
- Data starts at a multiple of 64 bytes. An array that is contiguous in C or Fortran order is written straight from its
  memory and keeps that order; any other one is written in C order through a small buffer.
- A ``numpy.memmap`` is a plain array whose memory is a file, and comes back as a plain array. Other subclasses are
  declined, and so is every dtype that a header cannot hold exactly (see ``fidelity``).
- Files never unpickle: object arrays are declined both ways. The size of the file must be what the header declares, to
  the byte, and that is checked before anything is allocated; so a file of several arrays is refused as well.
- ``mmap_mode`` is ``"r"`` or ``"c"``. Stored payloads are immutable, so ``"r+"`` is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from persistable.io import FileIO
from persistable_numpy.fidelity import HEADER_LIMIT, array_refusal
from persistable_numpy.layout import blocks, memory, read_header, write_header

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from persistable.digest import DigestingReader

__all__ = ["NpyFileIO"]

LARGE = 2**24  # bytes from which numpy's own writer reserves room in the file system first, which saves a third


@dataclass(frozen=True)
class NpyFileIO(FileIO[NDArray[Any]]):
    """Keep one ``numpy.ndarray``.

    Attributes:
        mmap_mode: None loads into memory, a writable array of its own. ``"r"`` maps the file read-only, ``"c"`` lets
            changes stay in memory; both return a ``numpy.memmap`` and read what is looked at, when it is.

    """

    mmap_mode: Literal["r", "c"] | None = None

    name: ClassVar[str] = "npy"
    suffix: ClassVar[str] = ".npy"

    def __post_init__(self) -> None:
        _check_mode(self.mmap_mode)
        object.__setattr__(self, "memory_mapped", self.mmap_mode is not None)  # the interface's word; this is frozen

    def refusal(self, payload: object) -> str | None:
        """Say why this payload would not come back equal, or None. Looks at its type and dtype only."""
        return array_refusal(payload)

    def _save(self, payload: NDArray[Any], filepath: Path, **kwargs: Any) -> None:
        _save_npy(filepath, payload, **kwargs)

    def _load(self, filepath: Path, **kwargs: Any) -> NDArray[Any]:
        options: dict[str, Any] = {"mmap_mode": self.mmap_mode} | kwargs
        return _load_npy(filepath, **options)

    def load_buffer(self, buffer: Buffer) -> NDArray[Any]:
        """Return the array in the whole content of a file, copied, so that it is writable as after ``load``.

        Nothing can be mapped here, whatever ``mmap_mode`` says; with ``"r"`` the array is at least read-only.
        """
        content = memoryview(buffer).cast("B")
        file = BytesIO(content[: 2 * HEADER_LIMIT])
        array = read_header(file, size=len(content)).allocate()
        memory(array)[:] = content[file.tell() :]
        array.flags.writeable = self.mmap_mode != "r"
        return array

    def load_stream(self, file: DigestingReader, size: int) -> NDArray[Any]:
        """Return the array in an open file, read into its memory directly; ``mmap_mode`` as in ``load_buffer``."""
        array = _read_array(file, size)
        array.flags.writeable = self.mmap_mode != "r"
        return array


def _check_mode(mmap_mode: object) -> None:
    if mmap_mode not in (None, "r", "c"):
        raise ValueError(
            f"mmap_mode is {mmap_mode!r}, not None, 'r' or 'c'. What is stored is immutable: 'c' gives a writable "
            "array whose changes stay in memory."
        )


def _save_npy(filepath: Path, array: NDArray[Any]) -> None:
    array = np.asarray(array)  # a memmap as the plain array that it is
    with open(filepath, "wb") as file:
        write_header(file, array)
        if array.nbytes >= LARGE and array.flags.forc:
            _write_large(file, array)
        else:
            file.writelines(blocks(array))


def _write_large(file: BufferedWriter, array: NDArray[Any]) -> None:
    start, data = file.tell(), memory(array)
    try:
        np.frombuffer(data, np.uint8).tofile(file)
        complete = os.fstat(file.fileno()).st_size == start + len(data)
    except OSError:
        complete = False
    if not complete:
        # tofile does not tell a full disk from a quota or a broken one, and overlooks an error in the last page
        file.seek(start)
        file.write(data)


def _load_npy(filepath: Path, *, mmap_mode: Literal["r", "c"] | None) -> NDArray[Any]:
    _check_mode(mmap_mode)
    with open(os.fspath(filepath), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if mmap_mode is None:
            return _read_array(file, size)
        header = read_header(file, size=size)
        order: Literal["F", "C"] = "F" if header.fortran_order else "C"
        return np.memmap(file, header.dtype, mmap_mode, offset=file.tell(), shape=header.shape, order=order)


def _read_array(file: BufferedReader | DigestingReader, size: int) -> NDArray[Any]:
    header = read_header(file, size=size)
    array = header.allocate()
    if file.readinto(memory(array)) != header.nbytes:
        raise ValueError("the file became shorter while it was read")
    return array
