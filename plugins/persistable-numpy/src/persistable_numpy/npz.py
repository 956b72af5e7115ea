"""The format ``npz``: a dict of arrays in one zip file that ``numpy.load`` reads. Chosen by name, never by type.

Representation decisions:

- Each array is a member ``key + ".npy"`` under the rules of ``npy``. Keys are any ``str`` that a zip file can name;
  order is kept; the dict comes back as a plain one, with the arrays in memory and the file closed.
- Members carry no time, so that equal dicts give equal files. Zip's own CRC-32 is checked on load.
- The same array under two keys is written twice and comes back as two arrays.
- The record keeps how many members there are and how many bytes they have uncompressed. A file that declares other
  numbers is refused, and so is one that would take more memory than there is out of all proportion to its size.
- Sizes are checked before anything is allocated: members may not take more than the file has, a stored member is as
  long as it says, a deflated one at most what deflate can hold (1032 times), an array exactly what its member declares.
  Members that are no arrays, appear twice, are encrypted or use another compression are refused.
- The directory has no CRC, so a flipped bit in it could hide members from ``zipfile``: what such a bit leaves behind
  (a member inside another's comment, a first member that is not at the start of the file) is refused.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from persistable import expansion
from persistable.exceptions import FidelityError
from persistable.io import FileIO
from persistable_numpy.fidelity import array_refusal
from persistable_numpy.layout import BLOCK, blocks, memory, read_header, write_header

__all__ = ["NpzFileIO"]

MEMBER_SUFFIX = ".npy"
DEFLATE_RATIO = (
    1032  # the most that deflate can shrink data. Source: zlib technical details, "Maximum compression factor"
)
ENTRY, END_SIZE = b"PK\1\2", 22  # what a member begins with in the directory, and the size of the directory's end


@dataclass(frozen=True)
class NpzFileIO(FileIO[dict[str, NDArray[Any]]]):
    """Keep a ``dict`` of ``str`` to ``numpy.ndarray``.

    Attributes:
        compressed: whether members are deflated. Either kind is loaded by either setting.

    """

    compressed: bool = False

    name: ClassVar[str] = "npz"
    suffix: ClassVar[str] = ".npz"
    needs_metadata: ClassVar[bool] = True

    def refusal(self, payload: object) -> str | None:
        """Say why this payload is no plain dict, or None. What is wrong with an item, the save says, with its key."""
        if type(payload) is not dict:
            return f"it is a {type(payload).__module__}.{type(payload).__qualname__}, not a dict of arrays"
        return None

    def _save(self, payload: dict[str, NDArray[Any]], filepath: Path, **kwargs: Any) -> dict[str, int]:
        for key, value in payload.items():
            reason = _key_refusal(key) or array_refusal(value)
            if reason is not None:
                raise FidelityError(format=self.name, where=f"payload[{key!r}]", reason=reason)
        return _save_npz(filepath, payload, **({"compressed": self.compressed} | kwargs))

    def _load(
        self, filepath: Path, metadata: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> dict[str, NDArray[Any]]:
        return _load_npz(filepath, metadata or {}, **kwargs)


def _key_refusal(key: object) -> str | None:
    if type(key) is not str:
        return f"the key is a {type(key).__qualname__}, not a str"
    try:
        encoded = (key + MEMBER_SUFFIX).encode("utf-8")
    except UnicodeEncodeError as error:
        return f"the key cannot be encoded in UTF-8: {error.reason}"
    if len(encoded) > zipfile.ZIP_FILECOUNT_LIMIT:
        return f"the key takes {len(encoded)} bytes, and a zip file names its members in 65535"
    if zipfile.ZipInfo(key + MEMBER_SUFFIX).filename != key + MEMBER_SUFFIX:
        return "the key holds a character that a zip file does not keep in names (NUL, or a backslash on Windows)"
    return None


def _save_npz(filepath: Path, arrays: dict[str, NDArray[Any]], *, compressed: bool) -> dict[str, int]:
    with zipfile.ZipFile(filepath, "w") as archive:
        for key, array in arrays.items():
            member = zipfile.ZipInfo(key + MEMBER_SUFFIX)  # of 1980, the beginning of time for zip files
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            with archive.open(member, "w", force_zip64=True) as file:
                array = np.asarray(array)  # a memmap as the plain array that it is
                write_header(file, array)
                file.writelines(blocks(array))
        return _sizes(archive)


def _load_npz(filepath: Path, metadata: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(filepath) as archive:
            members = archive.infolist()
            available = os.path.getsize(filepath)
            _check_directory(archive, available)
            declared = _sizes(archive)
            expansion.compare(NpzFileIO.name, declared, metadata)
            expansion.require_memory(NpzFileIO.name, declared["uncompressed_bytes"], stored=available)
            arrays = {member.filename.removesuffix(MEMBER_SUFFIX): _read(archive, member) for member in members}
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:  # zipfile and zlib have a dozen errors for damage, without a common base
        raise ValueError(f"{filepath} cannot be read as npz: {type(error).__name__}: {error}") from error
    return arrays


def _sizes(archive: zipfile.ZipFile) -> dict[str, int]:
    members = archive.infolist()
    return {"members": len(members), "uncompressed_bytes": sum(member.file_size for member in members)}


def _check_directory(archive: zipfile.ZipFile, available: int) -> None:
    """Compare what the directory of the file claims with the file, before anything is read or allocated."""
    members = archive.infolist()
    if min((member.header_offset for member in members), default=END_SIZE + len(archive.comment) - available) != 0:
        raise ValueError("the first member of the npz file is not at its start: the directory is damaged")
    if sum(member.compress_size for member in members) > available:
        raise ValueError(f"the members of the npz file declare more bytes than its {available}: damaged, or a zip bomb")
    seen = set()
    for member in members:
        name, limit = member.filename, member.compress_size
        if not name.endswith(MEMBER_SUFFIX):
            raise ValueError(f"the member {name!r} of the npz file is not an array (.npy)")
        if name in seen:
            raise ValueError(f"the member {name!r} of the npz file appears twice")
        seen.add(name)
        if ENTRY in member.extra + member.comment or member.header_offset > available:
            raise ValueError(f"the directory of the npz file is damaged at {name!r}")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"the member {name!r} of the npz file has compression {member.compress_type}, not deflate")
        if member.compress_type == zipfile.ZIP_DEFLATED:
            limit *= DEFLATE_RATIO
        if member.file_size > limit:
            raise ValueError(
                f"the member {name!r} of the npz file declares {member.file_size} bytes, and its "
                f"{member.compress_size} bytes hold at most {limit}: damaged, or a zip bomb"
            )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        header = read_header(file, size=member.file_size)
        array = header.allocate()
        target, start = memory(array), 0
        while block := file.read(BLOCK):  # to the end, where zipfile checks the CRC
            target[start : start + len(block)] = block
            start += len(block)
        if start != header.nbytes:
            raise ValueError(f"the member {member.filename!r} of the npz file is cut: {start} of {header.nbytes} bytes")
    return array
