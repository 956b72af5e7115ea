"""Describe Arrow types and digest Arrow arrays canonically: by what they hold, not by how memory is laid out.

Chunks, slices, offsets, the content of null slots, the bits of a NaN, and the width of offsets make no difference;
types, nulls and -0.0 do. Children of lists are described without their names, which Arrow itself does not compare.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import numpy
import pyarrow
import pyarrow.compute

__all__ = ["content_digest", "describe_schema", "describe_type", "numpy_digest"]

_PLAIN = {
    data_type: name
    for name, data_type in {
        "null": pyarrow.null(),
        "bool": pyarrow.bool_(),
        "int8": pyarrow.int8(),
        "int16": pyarrow.int16(),
        "int32": pyarrow.int32(),
        "int64": pyarrow.int64(),
        "uint8": pyarrow.uint8(),
        "uint16": pyarrow.uint16(),
        "uint32": pyarrow.uint32(),
        "uint64": pyarrow.uint64(),
        "float16": pyarrow.float16(),
        "float32": pyarrow.float32(),
        "float64": pyarrow.float64(),
        "string": pyarrow.string(),
        "large_string": pyarrow.large_string(),
        "string_view": pyarrow.string_view(),
        "binary": pyarrow.binary(),
        "large_binary": pyarrow.large_binary(),
        "binary_view": pyarrow.binary_view(),
        "date32": pyarrow.date32(),
        "date64": pyarrow.date64(),
        "month_day_nano_interval": pyarrow.month_day_nano_interval(),
    }.items()
}
_FLOATS = {pyarrow.float16(): "f2", pyarrow.float32(): "f4", pyarrow.float64(): "f8"}


def describe_type(data_type: Any) -> Any:
    """Return a type in plain values, the same exactly for types that Arrow holds equal. Raises TypeError for others."""
    types = pyarrow.types
    if isinstance(data_type, pyarrow.BaseExtensionType):
        raise TypeError(f"the Arrow extension type {data_type} has no canonical form")
    if data_type in _PLAIN:
        return _PLAIN[data_type]
    if types.is_timestamp(data_type):
        return ["timestamp", data_type.unit, data_type.tz]
    if types.is_time(data_type) or types.is_duration(data_type):
        return ["duration" if types.is_duration(data_type) else f"time{data_type.bit_width}", data_type.unit]
    if types.is_decimal(data_type):
        return [f"decimal{data_type.bit_width}", data_type.precision, data_type.scale]
    if types.is_fixed_size_binary(data_type):
        return ["fixed_size_binary", data_type.byte_width]
    if types.is_fixed_size_list(data_type):
        return ["fixed_size_list", data_type.list_size, *_describe_child(data_type.value_field)]
    if types.is_list(data_type) or types.is_large_list(data_type):
        name = "large_list" if types.is_large_list(data_type) else "list"
        return [name, *_describe_child(data_type.value_field)]
    if types.is_map(data_type):
        parts = [*_describe_child(data_type.key_field), *_describe_child(data_type.item_field)]
        return ["map", data_type.keys_sorted, *parts]
    if types.is_struct(data_type):
        fields = [data_type.field(i) for i in range(data_type.num_fields)]
        return ["struct", *([field.name, *_describe_child(field)] for field in fields)]
    if types.is_dictionary(data_type):
        parts = [describe_type(data_type.index_type), describe_type(data_type.value_type)]
        return ["dictionary", data_type.ordered, *parts]
    raise TypeError(f"the Arrow type {data_type} has no canonical form")


def _describe_child(field: Any) -> tuple[Any, bool]:
    return describe_type(field.type), field.nullable


def describe_schema(schema: Any) -> dict[str, Any]:
    """Return a schema in plain values, metadata included."""
    fields = [
        {"name": field.name, "type": describe_type(field.type), "nullable": field.nullable, "metadata": field.metadata}
        for field in schema
    ]
    return {"fields": fields, "metadata": schema.metadata}


def content_digest(array: Any) -> str:
    """Return the SHA-256 of the values of an array or chunked array; its type is not part of it, see describe_type."""
    describe_type(array.type)
    digest = hashlib.sha256()
    try:
        _feed(digest.update, _one_array(array))
    except pyarrow.ArrowNotImplementedError as error:
        raise TypeError(f"this version of pyarrow has no canonical form of {array.type}: {error}") from error
    return digest.hexdigest()


def numpy_digest(values: Any) -> str:
    """Return the SHA-256 of a one-dimensional numpy array without objects; its dtype is not part of it."""
    values = numpy.ascontiguousarray(values)
    if values.dtype.kind in "fc":
        parts = values.view(values.real.dtype)
        odd = numpy.isnan(parts)
        if odd.any():
            values = parts.copy()
            values[odd] = numpy.nan
    return hashlib.sha256(values.view("u1")).hexdigest()


def _one_array(array: Any) -> Any:
    if not isinstance(array, pyarrow.ChunkedArray):
        return array
    if array.num_chunks > 1 and _has_half_dictionary(array.type):  # it takes their bits for numbers
        raise TypeError("pyarrow cannot make one dictionary of float16 of those of several chunks")
    if pyarrow.types.is_dictionary(array.type):
        array = array.unify_dictionaries()
    elif pyarrow.types.is_string(array.type) or pyarrow.types.is_binary(array.type):
        array = array.cast(_large(array.type))  # one array of 32-bit offsets may be too small for all chunks
    return pyarrow.concat_arrays(array.chunks) if array.num_chunks else pyarrow.array([], array.type)


def _has_half_dictionary(data_type: Any) -> bool:
    if pyarrow.types.is_dictionary(data_type):
        return bool(pyarrow.types.is_float16(data_type.value_type))
    return any(_has_half_dictionary(data_type.field(i).type) for i in range(data_type.num_fields))


def _large(data_type: Any) -> Any:
    text = pyarrow.types.is_string(data_type) or pyarrow.types.is_large_string(data_type)
    text = text or data_type == pyarrow.string_view()
    return pyarrow.large_string() if text else pyarrow.large_binary()


def _feed(update: Callable[[Any], None], array: Any) -> None:
    types, data_type = pyarrow.types, array.type
    update(struct.pack("<q?", len(array), bool(array.null_count)))
    valid = None
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        update(numpy.packbits(valid, bitorder="little"))
    if types.is_null(data_type):
        return
    if types.is_boolean(data_type):
        update(numpy.packbits(array.fill_null(False).to_numpy(zero_copy_only=False), bitorder="little"))
    elif _is_variable(data_type):
        _feed_variable(update, array.cast(_large(data_type)))
    elif types.is_dictionary(data_type):
        if data_type.ordered:
            _feed(update, array.dictionary)
            _feed(update, array.indices.cast(pyarrow.int64()))
        else:  # the dictionary is a matter of storage
            _feed(update, array.dictionary.take(array.indices))
    elif types.is_struct(data_type):
        for child in array.flatten():  # nulls of the struct are nulls of its children
            _feed(update, child)
    elif types.is_map(data_type):
        compact = array.take(pyarrow.array(numpy.arange(len(array))))  # starts at 0, nothing under nulls
        update(numpy.diff(compact.offsets.to_numpy()).astype("<i8"))
        _feed(update, compact.keys)
        _feed(update, compact.items)
    elif types.is_fixed_size_list(data_type):
        compact = array.drop_null()
        _feed(update, compact.values.slice(compact.offset * data_type.list_size, len(compact) * data_type.list_size))
    elif data_type.num_fields:
        lengths = pyarrow.compute.list_value_length(array).fill_null(0)
        update(lengths.to_numpy(zero_copy_only=False).astype("<i8"))
        _feed(update, array.flatten())
    else:
        _feed_fixed(update, array, valid)


def _is_variable(data_type: Any) -> bool:
    types = pyarrow.types
    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(t(data_type) for t in tests) or data_type in (pyarrow.string_view(), pyarrow.binary_view())


def _feed_variable(update: Callable[[Any], None], array: Any) -> None:
    update(pyarrow.compute.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype("<i8"))
    kept = array.drop_null()
    _, offsets, data = kept.buffers()
    if len(kept) and data is not None:
        bounds = numpy.frombuffer(offsets, dtype="i8")[kept.offset : kept.offset + len(kept) + 1]
        update(memoryview(data)[bounds[0] : bounds[-1]])


def _feed_fixed(update: Callable[[Any], None], array: Any, valid: Any) -> None:
    if not len(array):
        return
    width = array.type.bit_width // 8
    rows = numpy.frombuffer(array.buffers()[1], dtype="u1")[array.offset * width : (array.offset + len(array)) * width]
    rows = rows.reshape(len(array), width)
    code = _FLOATS.get(array.type)
    odd = None if code is None else numpy.isnan(rows.view(code)).ravel()
    if valid is not None or (odd is not None and odd.any()):
        rows = rows.copy()
        if odd is not None:
            rows.view(code)[odd] = numpy.nan
        if valid is not None:
            rows[~valid] = 0
    update(numpy.ascontiguousarray(rows).ravel())
