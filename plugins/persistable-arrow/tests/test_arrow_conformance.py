"""parquet, csv and feather keep the promises of every format, and the plugin those of every plugin."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from persistable.testing import FormatTests, PluginTests
from persistable_arrow import CsvFileIO, FeatherFileIO, ParquetFileIO, hooks

PARQUET, CSV, FEATHER = hooks.persistable_formats()


def frame():
    return pd.DataFrame({"a": [1, 2, 3], "b": [0.5, np.nan, -0.0], "c": ["x", None, ""]})


def flat_frames():
    """Return frames of pandas, pyarrow and polars that every format keeps."""
    times = pd.date_range("2020-02-29", periods=3, freq="D", tz="Europe/Berlin")
    indexed = frame().set_index(pd.Index(["p", "q", "r"], name="key"))
    indexed.attrs = {"source": "somewhere"}
    return {
        "pandas": frame(),
        "pandas with an index": indexed,
        "pandas with times": pd.DataFrame({"at": times, "for": pd.to_timedelta([1, 2, None], unit="s")}),
        "pandas with categories": pd.DataFrame(
            {"a": pd.Categorical(["x", None, "y"], categories=["y", "x", "z"], ordered=True)}
        ),
        "pandas with nullable types": pd.DataFrame(
            {"a": pd.array([1, None, 3], "Int64"), "b": pd.array([True, None, False], "boolean")}
        ),
        "pandas with odd labels": pd.DataFrame([[1, 2.0], [3, 4.0]], columns=["a", "a"], index=[5, 7]),
        "pyarrow": pa.table(
            {"a": pa.array([1, None], pa.int16()), "b": ["NA", ""], "c": pa.array([1.5, float("nan")])}
        ),
        "polars": pl.DataFrame(
            {"a": [1, None, 3], "b": ["", "NA", None], "c": [datetime.date(2020, 1, 1), None, datetime.date(1, 1, 1)]}
        ),
    }


class FrameTests(FormatTests):
    needs_metadata = True

    def payloads(self):
        return flat_frames()

    def empty(self):
        return frame().iloc[:0]

    def unicode(self):
        return pd.DataFrame(
            {"größe": ["文字", "\U0001f41f", "e\u0301", 'a,"\r\n']}, index=pd.Index(list("äöüß"), name="é")
        )

    def large(self):
        random = np.random.default_rng(0)
        return pd.DataFrame({"a": random.random(150_000), "b": random.integers(0, 2**60, 150_000)})

    def foreign(self):
        return {
            "list": [1, 2],
            "dict": {"a": [1]},
            "array": np.zeros((2, 2)),
            "series": pd.Series([1, 2]),
            "objects": pd.DataFrame({"a": [(1, 2), (3, 4)]}),
            "subclass": type("Mine", (pd.DataFrame,), {})({"a": [1]}),
        }


class TestParquet(FrameTests):
    spec = PARQUET

    def options(self):
        return {"compression": "zstd", "row_group_size": 2}, {}

    def file_io(self):
        return ParquetFileIO()

    def payloads(self):
        nested = pa.table({"a": [[1, 2], None, []], "b": [{"c": 1, "d": "x"}, None, {"c": None, "d": ""}]})
        return flat_frames() | {"nested": nested, "no columns": pd.DataFrame(index=[1, 2])}


class TestCsv(FrameTests):
    spec = CSV

    def file_io(self):
        return CsvFileIO()


class TestFeather(FrameTests):
    spec = FEATHER

    def file_io(self):
        return FeatherFileIO(memory_map=False)


class TestFeatherMapped(FrameTests):
    spec = FEATHER
    memory_mapped = True

    def file_io(self):
        return FeatherFileIO()

    def large(self):
        return pa.table({"a": np.random.default_rng(0).random(200_000)})


class TestPlugin(PluginTests):
    hooks = "persistable_arrow.hooks"
    distribution = "persistable-arrow"
