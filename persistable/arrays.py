"""Encodings of numpy's values, without importing numpy: who has an instance has imported it.

An array is its dtype, its shape and the SHA-256 of its elements in C order; layout in memory does not matter, and bytes
that are no part of a value (padding of structured dtypes and of long doubles) do not enter. Arrays of objects are
encoded element by element. A dtype is written as numpy writes it, byte order included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from persistable.canonical import Context, Emitter, Refusal, items, mapping
from persistable.literals import find_public, within

__all__ = ["MASKED_STATE", "numpy_emitter"]

_BLOCK = 1 << 20  # bytes that are made contiguous at a time
# what MaskedArray itself keeps in the __dict__ of an instance
MASKED_STATE = frozenset(
    {"_mask", "_fill_value", "_hardmask", "_sharedmask", "_isfield", "_baseclass", "_optinfo", "_basedict"}
)


def numpy_emitter(cls: type) -> Emitter | None:
    """Return the encoding of instances of a class of numpy's own, or None. numpy must be imported."""
    numpy = sys.modules["numpy"]
    if cls is numpy.ndarray or cls is find_public("numpy", "memmap"):
        return _array
    if issubclass(cls, numpy.dtype):
        return _dtype
    if issubclass(cls, numpy.generic):
        return _scalar if cls.__module__ == "numpy" and find_public("numpy", cls.__name__) is not None else None
    for module, name, emitter in _OTHERS:
        if find_public(module, name) is cls:
            return emitter
    generators = find_public("numpy.random", "BitGenerator")
    return _bit_generator if generators is not None and issubclass(cls, generators) else None


# -- dtypes ------------------------------------------------------------------------------------------------------------


def _dtype(dtype: Any, context: Context) -> str:
    numpy = sys.modules["numpy"]
    if dtype.subdtype is not None:
        inner, shape = dtype.subdtype
        return f'{{"$":"dtype","base":{_dtype(inner, context)},"shape":{items(tuple(map(int, shape)), context)}}}'
    own = '{"$":"dtype",'
    if dtype.kind == "V" and dtype.type is not numpy.void:
        own += f'"class":{context.emit(dtype.type.__qualname__)},'
        if dtype.type is not numpy.record:
            raise Refusal(dtype, "a dtype that is not numpy's own")
    elif dtype.type.__module__ != "numpy" and type(dtype) is not find_public("numpy.dtypes", "StringDType"):
        raise Refusal(dtype, "a dtype that is not numpy's own")
    if dtype.names is not None:
        fields = ",".join(_field(dtype, name, context) for name in dtype.names)
        return f'{own}"fields":[{fields}],"itemsize":{dtype.itemsize}}}'
    if dtype.kind == "T":
        missing = f',"na":{context.emit(dtype.na_object)}' if hasattr(dtype, "na_object") else ""
        return f'{own}"coerce":{context.emit(bool(dtype.coerce))}{missing},"value":"T"}}'
    return f'{own}"value":"{dtype.str}"}}'


def _field(dtype: Any, name: str, context: Context) -> str:
    inner, offset, *title = dtype.fields[name]
    named = context.emit(title[0] if title else None)
    return f"[{context.emit(name)},{named},{int(offset)},{_dtype(inner, context)}]"


def _dense(dtype: Any) -> bool:
    """Say whether every byte of an element is part of its value, and none is a reference."""
    if dtype.subdtype is not None:
        return _dense(dtype.subdtype[0])
    if dtype.names is None:
        return dtype.kind in "biuSUmMV" or (dtype.kind in "fc" and dtype.itemsize <= (8 if dtype.kind == "f" else 16))
    end = 0
    for inner, offset in sorted(((inner, offset) for inner, offset, *_ in dtype.fields.values()), key=_offset):
        if offset != end or not _dense(inner):
            return False
        end += inner.itemsize
    return bool(end == dtype.itemsize)


def _offset(field: tuple[Any, int]) -> int:
    return field[1]


# -- arrays ------------------------------------------------------------------------------------------------------------


def _array(value: Any, context: Context) -> str:
    """Encode an array, also one of a subclass, as a plain one."""
    numpy = sys.modules["numpy"]
    array = numpy.ndarray.view(value, numpy.ndarray)
    if array.dtype.names is not None and array.dtype.type is not value.dtype.type:
        array = array.view(value.dtype)
    dtype, shape = array.dtype, items(array.shape, context)
    head = f'{{"$":"ndarray","dtype":{_dtype(dtype, context)},'
    if dtype.kind in "OT":
        return f'{head}"items":{within("", _elements, array, context)},"shape":{shape}}}'
    if dtype.kind in "fc" and not _dense(dtype):
        return f'{head}"sha256":"{_sha256(_significant(array))}","shape":{shape}}}'
    if not _dense(dtype):
        fields = ",".join(
            f"[{context.emit(name)},{within(f'[{name!r}]', _array, array[name], context)}]" for name in dtype.names
        )
        return f'{head}"fields":[{fields}],"shape":{shape}}}'
    return f'{head}"sha256":"{_sha256(array)}","shape":{shape}}}'


def _elements(array: Any, context: Context) -> str:
    numpy = sys.modules["numpy"]
    texts: list[str] = []
    for element in array.ravel().tolist():
        try:
            texts.append(context.emit(element))
        except Refusal as refusal:
            index = numpy.unravel_index(len(texts), array.shape)
            refusal.segments.append(f"[{', '.join(str(int(i)) for i in index)}]" if index else "[()]")
            raise
    return f"[{','.join(texts)}]"


def _significant(array: Any) -> Any:
    """Return the bytes of long doubles that carry the value, in native order: an x87 number has 10 in 12 or 16."""
    numpy = sys.modules["numpy"]
    native = numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    parts = (
        native.reshape(-1).view(numpy.longdouble).view(numpy.uint8).reshape(-1, numpy.dtype(numpy.longdouble).itemsize)
    )
    bits = numpy.finfo(numpy.longdouble).nmant
    used = 10 if bits == 63 else parts.shape[1]
    return parts[:, :used] if sys.byteorder == "little" else parts[:, parts.shape[1] - used :]


def _sha256(array: Any) -> str:
    from hashlib import sha256

    digest = sha256()
    if array.nbytes:
        for block in _blocks(array):
            digest.update(block)
    return digest.hexdigest()


def _blocks(array: Any) -> Iterator[Any]:
    """Give the bytes of the elements in C order: without a copy if they lie so, else in contiguous blocks."""
    numpy = sys.modules["numpy"]
    if array.flags.c_contiguous:
        yield array.reshape(-1).view(numpy.uint8)
        return
    row = array[0].size * array.itemsize
    if row > _BLOCK and array.ndim > 1:
        for part in array:
            yield from _blocks(part)
        return
    step = max(1, _BLOCK // max(1, row))
    for start in range(0, len(array), step):
        yield numpy.ascontiguousarray(array[start : start + step]).reshape(-1).view(numpy.uint8)


# -- scalars, masked arrays --------------------------------------------------------------------------------------------


def _scalar(value: Any, context: Context) -> str:
    numpy = sys.modules["numpy"]
    dtype = value.dtype
    if dtype.kind in "biufUS" and _dense(dtype):
        plain = value.item() if dtype.kind in "biuf" else (str if dtype.kind == "U" else bytes)(value)
        return f'{{"$":"numpy","dtype":{_dtype(dtype, context)},"value":{context.emit(plain)}}}'
    return f'{{"$":"numpy","value":{_array(numpy.asarray(value), context)}}}'


def _masked(value: Any, context: Context) -> str:
    numpy = sys.modules["numpy"]
    mask = numpy.ma.getmaskarray(value)
    data = numpy.array(numpy.ndarray.view(value, numpy.ndarray), copy=True, order="C")
    _blank(data, mask)
    fill = within(".fill_value", _emit, value.fill_value, context)
    hard = context.emit(bool(value.hardmask))
    return (
        f'{{"$":"masked","data":{within(".data", _array, data, context)},"fill":{fill},"hard":{hard},'
        f'"mask":{_array(mask, context)}}}'
    )


def _blank(data: Any, mask: Any) -> None:
    """Set what is masked to zero, in place: a masked element has no value."""
    if data.dtype.names is None:
        data[mask] = None if data.dtype.kind == "O" else sys.modules["numpy"].zeros((), data.dtype)
        return
    for name in data.dtype.names:
        _blank(data[name], mask[name])


def _emit(value: object, context: Context) -> str:
    return context.emit(value)


def _masked_constant(_value: Any, _context: Context) -> str:
    return '{"$":"masked"}'


def _matrix(value: Any, context: Context) -> str:
    # the attribute that an instance has is a note of its own indexing
    return f'{{"$":"subclass","class":"matrix","value":{_array(value, context)}}}'


# -- random numbers ----------------------------------------------------------------------------------------------------


def _seed_sequence(value: Any, context: Context) -> str:
    return f'{{"$":"SeedSequence","state":{mapping(value.state, context)}}}'


def _bit_generator(value: Any, context: Context) -> str:
    seeds = getattr(value, "seed_seq", None) or getattr(value, "_seed_seq", None)
    state = mapping(value.state, context)
    return f'{{"$":"BitGenerator","seeds":{within(".seed_seq", _emit, seeds, context)},"state":{state}}}'


def _generator(value: Any, context: Context) -> str:
    return f'{{"$":"Generator","value":{within(".bit_generator", _emit, value.bit_generator, context)}}}'


def _random_state(value: Any, context: Context) -> str:
    return f'{{"$":"RandomState","state":{mapping(value.get_state(legacy=False), context)}}}'


_OTHERS: tuple[tuple[str, str, Callable[[Any, Context], str]], ...] = (
    ("numpy", "matrix", _matrix),
    ("numpy.ma", "MaskedArray", _masked),
    ("numpy.ma.core", "MaskedConstant", _masked_constant),
    ("numpy.random", "SeedSequence", _seed_sequence),
    ("numpy.random", "Generator", _generator),
    ("numpy.random", "RandomState", _random_state),
)
