"""Frames: 1e6 and 5e6 mixed rows as parquet, feather and csv, beside pyarrow with the same options and ``to_csv``.

Six columns: integers, floats, text with nulls, a category, timestamps, booleans. Saves are flushed on both sides.
"""

from __future__ import annotations

from typing import Any

from benchmarks.held import given, loads, saves
from benchmarks.report import Report


def frame(rows: int) -> Any:
    """Return a frame of mixed columns."""
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "price": draw.random(rows),
            "name": draw.choice(["alpha", "beta", "gamma", None], rows),
            "kind": pd.Categorical(draw.choice(["x", "y"], rows)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 10_000, rows), unit="h"),
            "flag": draw.random(rows) < 0.5,
        }
    )


def run(report: Report) -> None:
    """Time the three formats at two sizes."""
    try:
        import pandas as pd
        import persistable_arrow  # noqa: F401 - the plugin
        import pyarrow as pa
        import pyarrow.feather
        import pyarrow.parquet
    except ImportError as error:
        report.missing("pandas, pyarrow, or the plugin for them", error)
        return

    def write_feather(payload: Any, path: str) -> None:
        pa.feather.write_feather(pa.Table.from_pandas(payload), path, compression="uncompressed")

    bare: dict[str, tuple[str, Any, str, Any]] = {
        "parquet": (
            "pyarrow.parquet from and to pandas",
            lambda payload, path: pa.parquet.write_table(pa.Table.from_pandas(payload), path),
            "pyarrow.parquet to pandas",
            lambda path: pa.parquet.read_table(path).to_pandas(),
        ),
        "feather": (
            "pyarrow.feather from pandas, uncompressed",
            write_feather,
            "pyarrow.feather to pandas",
            lambda path: pa.feather.read_table(path, memory_map=True).to_pandas(),
        ),
        "csv": (
            "to_csv",
            lambda payload, path: payload.to_csv(path, index=False),
            "read_csv, which guesses dtypes",
            pd.read_csv,
        ),
    }
    for rows in (1_000_000, 5_000_000):
        payload = frame(report.size(rows, rows // 1000))
        for name, (saver, save, loader, load) in bare.items():
            if name == "csv" and rows > 1_000_000 and not (report.full or report.quick):
                report.remark("5e6 rows of csv: only with --full, since to_csv takes half a minute for each round")
                continue
            title = f"{rows:.0e} rows, {name}".replace("e+0", "e")
            least, most = (3, 3 if name == "csv" else 7) if rows == 1_000_000 else (3, 4)
            effort: dict[str, Any] = {"least": least, "most": most, "seconds": 12}

            def to_path(path: str, save: Any = save, payload: Any = payload) -> None:
                save(payload, path)

            table = saves(report, f"{title}, save", saver, to_path, given(payload), name, **effort)
            loaded = loads(report, f"{title}, load", loader, to_path, load, given(payload), name, **effort)
            if rows == 1_000_000 and name == "parquet":
                report.judge("parquet-save", table.ratio("persistable"), table.control)
                report.judge("parquet-load", loaded.ratio("persistable"), loaded.control)
            if rows == 1_000_000 and name == "csv":
                report.judge("csv-save", table.ratio(table.floor, "persistable"), table.control)
