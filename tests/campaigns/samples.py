"""A payload for every format, and how the bare library reads it back: past the code under test."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from specimens import artifact_files

__all__ = ["SAMPLES", "Sample", "Stored", "garbage", "installed", "standing"]

_RECORD = re.compile(r"[0-9a-f]{32}\.json")
_CHUNK = 1 << 16


class Sample(NamedTuple):
    """Payloads of one format that say which one they are.

    Attributes:
        format: its registered name.
        needs: the module without which it cannot be tried.
        make: (number, bytes) to a payload of about that many bytes in memory.
        read: the payload in a file, by the bare library.
        number: which one a payload is.
    """

    format: str
    needs: str
    make: Callable[[int, int], Any]
    read: Callable[[Path], Any]
    number: Callable[[Any], int]

    def same(self, one: Any, other: Any) -> bool:
        """Whether two payloads are equal in every part."""
        if isinstance(one, Mapping) and one and hasattr(next(iter(one.values())), "dtype"):
            return one.keys() == other.keys() and all(bool((one[name] == other[name]).all()) for name in one)
        if hasattr(one, "dtype"):
            return bool(one.dtype == other.dtype and one.shape == other.shape and (one == other).all())
        return bool(one.equals(other)) if hasattr(one, "equals") else bool(one == other)


def _pattern(number: int, size: int) -> bytes:
    return (b"%012d" % number) * (size // 12 + 1)


def _array(number: int, size: int) -> Any:
    import numpy as np

    return np.arange(max(1, size // 8), dtype=np.int64) + (number << 32)


def _arrays(number: int, size: int) -> Any:
    return {"one": _array(number, size // 2), "two": -_array(number, size // 2)}


def _table(number: int, size: int) -> Any:
    import numpy as np
    import pyarrow as pa

    rows = max(1, size // 16)
    return pa.table({"number": np.full(rows, number, np.int64), "x": np.arange(rows, dtype=np.int64) * 7 + number})


def _json(number: int, size: int) -> Any:
    text = _pattern(number, min(size, _CHUNK)).decode()
    return {"number": number, "parts": [text] * max(1, size // _CHUNK)}


def _records(number: int, size: int) -> Any:
    data = _pattern(number, min(size, _CHUNK))
    return [{"number": number, "part": part, "data": data} for part in range(max(1, size // _CHUNK))]


def _read_pickle(path: Path) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)


def _read_npy(path: Path) -> Any:
    import numpy as np

    return np.load(path, allow_pickle=False)


def _read_npz(path: Path) -> Any:
    import numpy as np

    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _read_parquet(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read().replace_schema_metadata(None)


def _read_csv(path: Path) -> Any:
    import pyarrow.csv

    return pyarrow.csv.read_csv(path)


def _read_feather(path: Path) -> Any:
    import pyarrow.feather

    return pyarrow.feather.read_table(path, memory_map=False).replace_schema_metadata(None)


def _read_avro(path: Path) -> Any:
    import fastavro

    with open(path, "rb") as file:
        return list(fastavro.reader(file))


def _first(column: str) -> Callable[[Any], int]:
    return lambda table: int(table.column(column)[0].as_py())


_ALL = (
    Sample(
        "pickle",
        "pickle",
        lambda number, size: {"number": number, "data": _pattern(number, size)},
        _read_pickle,
        lambda payload: int(payload["number"]),
    ),
    Sample("json", "json", _json, lambda path: json.loads(path.read_bytes()), lambda payload: int(payload["number"])),
    Sample(
        "text",
        "re",
        lambda number, size: _pattern(number, size).decode(),
        lambda path: path.read_bytes().decode(),
        lambda payload: int(payload[:12]),
    ),
    Sample("npy", "persistable_numpy", _array, _read_npy, lambda payload: int(payload[0]) >> 32),
    Sample("npz", "persistable_numpy", _arrays, _read_npz, lambda payload: int(payload["one"][0]) >> 32),
    Sample("parquet", "persistable_arrow", _table, _read_parquet, _first("number")),
    Sample("csv", "persistable_arrow", _table, _read_csv, _first("number")),
    Sample("feather", "persistable_arrow", _table, _read_feather, _first("number")),
    Sample("avro", "persistable_avro", _records, _read_avro, lambda payload: int(payload[0]["number"])),
)
SAMPLES: Mapping[str, Sample] = {sample.format: sample for sample in _ALL}


def installed(*names: str) -> list[str]:
    """Return which formats, of some or of all, can be tried here."""
    return [name for name in names or SAMPLES if importlib.util.find_spec(SAMPLES[name].needs) is not None]


class Stored(NamedTuple):
    """What a folder holds according to ``json`` and the bare library."""

    number: int
    payload: Any


def standing(root: Path, sample: Sample) -> Stored | None:
    """Return the payload of the one artifact in ``root/blob``, past persistable; None without a record.

    Raises whatever goes wrong: a record that is no JSON, a payload that is not there or cannot be read.
    """
    folder = root / "blob"
    records = [name for name in os.listdir(folder) if _RECORD.fullmatch(name)] if folder.is_dir() else []
    if not records:
        return None
    (name,) = records
    record = json.loads((folder / name).read_bytes())
    (file,) = record["payload"]["files"]
    path = folder / file["path"]
    if path.stat().st_size != file["bytes"]:
        raise ValueError(f"{file['path']} has {path.stat().st_size} bytes instead of {file['bytes']}")
    payload = sample.read(path)
    return Stored(sample.number(payload), payload)


def garbage(root: Path) -> list[str]:
    """Return the files of a store that belong to no artifact, by their records; logs and locks are the store's own."""
    found = artifact_files(root)
    named = set()
    for path, content in found.items():
        folder, name = os.path.split(path)
        if _RECORD.fullmatch(name):
            record = json.loads(content)
            named |= {path, *(os.path.join(folder, file["path"]) for file in record["payload"]["files"])}
            if record["lineage"]:
                named.add(os.path.join(folder, f"{record['key']}.lineage.json"))
    return sorted(found.keys() - named)
