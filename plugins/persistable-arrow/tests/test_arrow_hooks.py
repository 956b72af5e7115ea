"""The hooks module is a light table of strings, and everything it names exists."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pandas as pd
import polars as pl
import pyarrow as pa

import persistable_arrow
from persistable_arrow import hooks

ALLOWED = {  # declared for versions of the libraries that have them
    *(f"pyarrow.{name}" for name in ("Decimal32Array", "Decimal32Scalar", "Decimal64Array", "Decimal64Scalar")),
    *(f"pyarrow.{name}" for name in ("Decimal32Type", "Decimal64Type", "Decima32Array")),
    "polars.Float16",
}


def _import(text):
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)


def test_formats_name_classes_that_agree_with_them():
    for spec in hooks.persistable_formats():
        cls = _import(spec.io)
        assert (cls.name, cls.suffix) == (spec.name, spec.suffix)
        assert spec.install == "persistable-arrow"
        assert not spec.executes_code
        assert bool(spec.types) == spec.default == (spec.name == "parquet")
        assert cls() is not None


def test_every_declared_type_is_public_where_it_says():
    for spec in [*hooks.persistable_formats(), *hooks.persistable_param_encoders()]:
        for public in spec.types:
            module, _, name = public.rpartition(".")
            assert public in ALLOWED or isinstance(getattr(sys.modules[module], name), type), public


def test_encoders_name_functions_and_no_type_is_claimed_twice():
    claimed = [public for spec in hooks.persistable_param_encoders() for public in spec.types]
    assert len(claimed) == len(set(claimed))
    for spec in hooks.persistable_param_encoders():
        assert callable(_import(spec.encode))


def test_no_public_class_of_values_is_forgotten():
    claimed = {public for spec in hooks.persistable_param_encoders() for public in spec.types}
    for cls in (pd.DataFrame, pd.Series, pd.Index, pd.MultiIndex, pd.Timestamp, pd.Period, pd.Interval):
        assert f"pandas.{cls.__name__}" in claimed
    for name in (n for n in dir(pd) if n.endswith("Dtype")):
        assert f"pandas.{name}" in claimed
    for name in ("Table", "RecordBatch", "ChunkedArray", "DataType", "Schema"):
        assert f"pyarrow.{name}" in claimed
    assert type(pa.int64()).__name__ == "DataType"
    assert {"polars.DataFrame", "polars.Series", "polars.Datetime", "polars.LazyFrame"} <= claimed
    assert pl.Datetime("us").__class__ is pl.Datetime


def _modules_after(code):
    script = f"{code}\nimport sys\nprint(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_the_hooks_module_imports_no_library():
    loaded = _modules_after(
        "import persistable_arrow.hooks as h; h.persistable_formats(); h.persistable_param_encoders()"
    )
    assert not loaded & {"numpy", "pandas", "pyarrow", "polars"}


def test_tables_need_neither_pandas_nor_polars(tmp_path):
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pandas", "polars"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
import pyarrow as pa
from persistable_arrow import CsvFileIO, FeatherFileIO, ParquetFileIO
for file_io in (ParquetFileIO(), FeatherFileIO(), CsvFileIO()):
    metadata = file_io.save(pa.table({{"x": [1], "d": pa.array(["a"]).dictionary_encode()}}), {str(tmp_path / "x")!r})
    assert file_io.load({str(tmp_path / "x")!r}, metadata=metadata).num_rows == 1
"""
    assert "pyarrow" in _modules_after(code)


def test_the_public_surface_is_what_is_exported():
    assert (
        sorted(persistable_arrow.__all__)
        == persistable_arrow.__all__
        == ["CsvFileIO", "FeatherFileIO", "ParquetFileIO", "__version__"]
    )
