"""Name the formats and the param encoders of this distribution; imports nothing but persistable."""

from persistable import FormatSpec, hookimpl

_HERE = "persistable-arrow"


@hookimpl
def persistable_formats() -> list[FormatSpec]:
    """Return the formats parquet (the default of frames), csv and feather (both by injection)."""
    return [
        FormatSpec(
            name="parquet",
            suffix=".parquet",
            io="persistable_arrow.parquet:ParquetFileIO",
            types=("pandas.DataFrame", "pyarrow.Table", "polars.DataFrame"),
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
