"""Encode pyarrow objects as params: types in plain values, content by SHA-256 (see ``content``).

Equal objects have equal encodings whatever their chunks, slices and offsets. Metadata of fields and schemas counts.
"""

from __future__ import annotations

from typing import Any

import pyarrow

from persistable_arrow.content import content_digest, describe_schema, describe_type

__all__ = ["encode_array", "encode_schema", "encode_table", "encode_type"]


def encode_table(table: Any) -> dict[str, Any]:
    """Return what defines a Table or RecordBatch."""
    content = [content_digest(column) for column in table.columns]
    return {"schema": describe_schema(table.schema), "rows": table.num_rows, "content": content}


def encode_array(array: Any) -> dict[str, Any]:
    """Return what defines an Array, a ChunkedArray or a Scalar."""
    if isinstance(array, pyarrow.Scalar):
        array = pyarrow.array([array], array.type)
    return {"type": describe_type(array.type), "content": content_digest(array)}


def encode_type(data_type: Any) -> Any:
    """Return what defines a DataType."""
    return describe_type(data_type)


def encode_schema(schema: Any) -> dict[str, Any]:
    """Return what defines a Schema or a Field."""
    return describe_schema(pyarrow.schema([schema]) if isinstance(schema, pyarrow.Field) else schema)
