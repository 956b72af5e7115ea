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

    def golden_params(self):
        return [
            (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), "861ef17b82061981bcd5d2294eef4477"),
            (pd.Series([1.5, None], name="s"), "6baf91af60aa1c290371a974ca05b124"),
            (pd.Index(["a", "b"], name="i"), "8a96533d02cc64a9ba19b0caa2999a14"),
            (pd.array([1, None], "Int64"), "6cc80d563009d4cda6e2509eb1779a0c"),
            (pd.CategoricalDtype(["x", "y"], ordered=True), "3058f7460b2e13d0d09ccd1d380bb7ea"),
            (pd.Timestamp("2020-02-29T12:00", tz="UTC"), "dfddc80c98d43991c9dbddff2444e992"),
            (pd.Timedelta("1s"), "49b997891a8924516bb8cf36f9f423d6"),
            (pd.Period("2020-01", "M"), "fb3506619b3c4d7db7fd39227a995730"),
            (pd.Interval(0, 1), "44c1f78e51eaf0c3c7b70c3f56cd1932"),
            (pd.NA, "11a617949588bc3b6340212cd0044692"),
            (pa.table({"a": [1, None]}), "c1c2c68619cf723025ec2fbb3e7a24a4"),
            (pa.record_batch({"a": [1, None]}), "babef14c5cf2b29a5abeb7dd8e691d55"),
            (pa.chunked_array([[1], [2]]), "5561823582056c78fbeec20fd900a20f"),
            (pa.array([1, 2], pa.int16()), "e4a292e28de9f7bbc63a569b1584bdc0"),
            (pa.scalar(1.5), "bf9c0767b2254cf4f658c26edf2ce8e7"),
            (pa.list_(pa.int8()), "35ec455b562ffa8edb822b98583cbb2e"),
            (pa.schema([("a", pa.int8())]), "bfff021755a2bfd17e4ffb7fbd1e038b"),
            (pa.field("a", pa.string()), "34101523997e0130c3d0f11a4e563492"),
            (pl.DataFrame({"a": [1, None]}), "a181d575a79be0166c708461b998c03a"),
            (pl.Series("s", [1.5]), "33c0ba4465620b9c73c34d9e7da38122"),
            (pl.Datetime("us", "UTC"), "0e094e7d9efdcaebb210760009ec7937"),
            (pl.LazyFrame({"a": [1]}), None),
        ]
