"""Persist pandas, pyarrow and polars frames as parquet, csv and feather, equal when they come back."""

from persistable_arrow.csv import CsvFileIO
from persistable_arrow.feather import FeatherFileIO
from persistable_arrow.parquet import ParquetFileIO

__all__ = ["CsvFileIO", "FeatherFileIO", "ParquetFileIO"]
