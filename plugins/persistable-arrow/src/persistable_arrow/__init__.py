"""Persist pandas, pyarrow and polars frames as parquet, csv and feather, equal when they come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persistable_arrow.version import __version__

if TYPE_CHECKING:
    from persistable_arrow.csv import CsvFileIO
    from persistable_arrow.feather import FeatherFileIO
    from persistable_arrow.parquet import ParquetFileIO

__all__ = ["CsvFileIO", "FeatherFileIO", "ParquetFileIO", "__version__"]

_HOMES = {"CsvFileIO": "csv", "FeatherFileIO": "feather", "ParquetFileIO": "parquet"}


def __getattr__(name: str) -> Any:
    # on first use: the hooks module lies in this package, and listing plugins must not import pyarrow
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
