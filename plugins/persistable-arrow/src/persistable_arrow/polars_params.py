"""Encode polars objects as params: dtypes in plain values, content by SHA-256 of their Arrow export.

Categoricals count by their text. What polars cannot export exactly, and LazyFrames, raise TypeError.
"""

from __future__ import annotations

from typing import Any, NoReturn

import polars

from persistable_arrow.content import content_digest
from persistable_arrow.label import Declined
from persistable_arrow.polars_frame import encode_dtype

__all__ = ["encode_dataframe", "encode_lazyframe", "encode_series", "encode_type"]


def encode_dataframe(frame: Any) -> dict[str, Any]:
    """Return what defines a DataFrame."""
    return {"rows": frame.height, "columns": [encode_series(frame[name]) for name in frame.columns]}


def encode_series(series: Any) -> dict[str, Any]:
    """Return what defines a Series."""
    dtype = encode_type(series.dtype)
    plain = series.cast(polars.String) if isinstance(series.dtype, (polars.Categorical, polars.Enum)) else series
    return {"name": series.name, "dtype": dtype, "content": content_digest(plain.to_arrow())}


def encode_type(dtype: Any) -> Any:
    """Return what defines a DataType."""
    try:
        return encode_dtype(dtype, "dtype")
    except Declined as declined:
        raise TypeError(declined.reason) from declined


def encode_lazyframe(frame: Any) -> NoReturn:  # noqa: ARG001 - called as every encoder is
    """Refuse a LazyFrame, whose plan says nothing of the data that it will read."""
    raise TypeError("a LazyFrame is a plan, not data: collect() it, or make what defines the plan the param")
