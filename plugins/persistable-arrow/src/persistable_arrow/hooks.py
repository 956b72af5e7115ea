"""Name the formats and the param encoders of this distribution; imports nothing but persistable."""

from persistable import EncoderSpec, FormatSpec, hookimpl

_HERE = "persistable-arrow"


@hookimpl
def persistable_formats() -> list[FormatSpec]:
    """Return the formats parquet (the default of frames), csv and feather (both by injection)."""
    return [
        FormatSpec(
            name="parquet",
            suffix=".parquet",
            io="persistable_arrow.parquet:ParquetFileIO",
            types=("pandas.DataFrame", "pyarrow.Table", "pyarrow.RecordBatchReader", "polars.DataFrame"),
            default=True,
            executes_code=False,
            install=_HERE,
        ),
        FormatSpec(name="csv", suffix=".csv", io="persistable_arrow.csv:CsvFileIO", executes_code=False, install=_HERE),
        FormatSpec(
            name="feather",
            suffix=".arrow",
            io="persistable_arrow.feather:FeatherFileIO",
            executes_code=False,
            install=_HERE,
        ),
    ]


def _public(pattern: str, kinds: str) -> tuple[str, ...]:
    return tuple(pattern.format(kind) for kind in kinds.split())


_PANDAS_INDEXES = _public("pandas.{}Index", "Range Multi Datetime Timedelta Period Interval Categorical")
_PANDAS_ARRAYS = _public(
    "pandas.arrays.{}",
    "ArrowExtensionArray ArrowStringArray BooleanArray Categorical DatetimeArray FloatingArray IntegerArray "
    "IntervalArray NumpyExtensionArray PeriodArray SparseArray StringArray TimedeltaArray",
)
_PANDAS_DTYPES = _public(
    "pandas.{}Dtype",
    "Arrow Boolean Categorical DatetimeTZ Float32 Float64 Int16 Int32 Int64 Int8 Interval Period Sparse String "
    "UInt16 UInt32 UInt64 UInt8",
)
_ARROW_KINDS = (
    "Binary BinaryView Boolean Date32 Date64 Decimal128 Decimal256 Decimal32 Decimal64 Dictionary Double Duration "
    "FixedSizeBinary FixedSizeList Float HalfFloat Int16 Int32 Int64 Int8 LargeBinary LargeList LargeString List Map "
    "MonthDayNanoInterval Null String StringView Struct Time32 Time64 Timestamp UInt16 UInt32 UInt64 UInt8"
)
_ARROW_TYPES = (
    "pyarrow.DataType",
    *_public(
        "pyarrow.{}Type",
        "Decimal128 Decimal256 Decimal32 Decimal64 Dictionary Duration FixedSizeBinary FixedSizeList LargeList List "
        "Map Struct Time32 Time64 Timestamp",
    ),
)
_POLARS_TYPES = _public(
    "polars.{}",
    "Array Binary Boolean Categorical Date Datetime Decimal Duration Enum Float16 Float32 Float64 Int16 Int32 Int64 "
    "Int8 List Null String Struct Time UInt16 UInt32 UInt64 UInt8",
)
_ENCODERS = {  # name in the key: (types, module:function)
    "pandas.DataFrame": (("pandas.DataFrame",), "pandas_params:encode_dataframe"),
    "pandas.Series": (("pandas.Series",), "pandas_params:encode_series"),
    "pandas.Index": (("pandas.Index", *_PANDAS_INDEXES), "pandas_params:encode_index"),
    "pandas.array": (_PANDAS_ARRAYS, "pandas_params:encode_array"),
    "pandas.dtype": (_PANDAS_DTYPES, "pandas_params:encode_dtype"),
    "pandas.Timestamp": (("pandas.Timestamp",), "pandas_params:encode_timestamp"),
    "pandas.Timedelta": (("pandas.Timedelta",), "pandas_params:encode_timedelta"),
    "pandas.Period": (("pandas.Period",), "pandas_params:encode_period"),
    "pandas.Interval": (("pandas.Interval",), "pandas_params:encode_interval"),
    "pandas.missing": (("pandas.api.typing.NAType", "pandas.api.typing.NaTType"), "pandas_params:encode_missing"),
    "pyarrow.Table": (("pyarrow.Table",), "arrow_params:encode_table"),
    "pyarrow.RecordBatch": (("pyarrow.RecordBatch",), "arrow_params:encode_table"),
    "pyarrow.ChunkedArray": (("pyarrow.ChunkedArray",), "arrow_params:encode_array"),
    "pyarrow.Array": (_public("pyarrow.{}Array", _ARROW_KINDS), "arrow_params:encode_array"),
    "pyarrow.Scalar": (_public("pyarrow.{}Scalar", _ARROW_KINDS), "arrow_params:encode_array"),
    "pyarrow.DataType": (_ARROW_TYPES, "arrow_params:encode_type"),
    "pyarrow.Schema": (("pyarrow.Schema",), "arrow_params:encode_schema"),
    "pyarrow.Field": (("pyarrow.Field",), "arrow_params:encode_schema"),
    "polars.DataFrame": (("polars.DataFrame",), "polars_params:encode_dataframe"),
    "polars.Series": (("polars.Series",), "polars_params:encode_series"),
    "polars.DataType": (_POLARS_TYPES, "polars_params:encode_type"),
    "polars.LazyFrame": (("polars.LazyFrame",), "polars_params:encode_lazyframe"),
}
_LOCATED = ("pandas.DataFrame", "pandas.Series", "pandas.Index", "pandas.array")  # with cells that may be anything


@hookimpl
def persistable_param_encoders() -> list[EncoderSpec]:
    """Return the encoders of pandas, pyarrow and polars objects as params."""
    return [
        EncoderSpec(
            name=name,
            version=1,
            types=types,
            encode=f"persistable_arrow.{function}",
            install=_HERE,
            locate="persistable_arrow.pandas_params:locate" if name in _LOCATED else None,
        )
        for name, (types, function) in _ENCODERS.items()
    ]
