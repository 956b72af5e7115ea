"""Type-strict equality: what ``load(save(payload)) == payload`` means, also inside containers, arrays and frames.

``==`` alone is too weak a promise: ``1 == 1.0 == True``, ``-0.0 == 0.0``, ``nan != nan``, a frame's object cells may
change from tuple to list without ``assert_frame_equal`` noticing. Imports no payload library.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time
from decimal import Decimal
from typing import Any

__all__ = ["difference", "type_strict_equal"]


def type_strict_equal(left: object, right: object) -> bool:
    """Tell whether two payloads are the same by type and value; see ``difference``."""
    return difference(left, right) is None


def difference(left: object, right: object, path: str = "payload") -> str | None:
    """Say where two payloads differ first, as a sentence that starts with the path to the place; None if nowhere.

    Types have to be the same exactly, at every depth. Floats are equal bit by bit, but every NaN equals every NaN.
    dicts and sets are compared without regard to order, OrderedDicts with it. numpy arrays are compared with dtype and
    shape, not with strides; pandas objects with index, names, dtypes, categories, attrs and flags; pyarrow objects with
    schema and metadata, not with chunks; polars objects with schema. Anything else is compared by its dataclass fields,
    by its own ``==`` if it has one, or by its attributes.
    """
    return _Comparison().compare(left, right, path)


class _Comparison:
    def __init__(self) -> None:
        self._entered: set[tuple[int, int]] = set()

    def compare(self, left: Any, right: Any, path: str) -> str | None:
        if type(left) is not type(right):
            return f"{path} is a {_name(type(left))}, not a {_name(type(right))}"
        if left is right:
            return None
        leaf = _LEAVES.get(type(left))
        if leaf is not None:
            return None if leaf(left, right) else f"{path} is {_brief(left)}, not {_brief(right)}"
        pair = (id(left), id(right))
        if pair in self._entered:
            return None  # within itself: what holds it is being compared
        self._entered.add(pair)
        try:
            return self._inner(left, right, path)
        finally:
            self._entered.discard(pair)

    def _inner(self, left: Any, right: Any, path: str) -> str | None:
        if isinstance(left, enum.Enum):
            return f"{path} is {left!r}, not {right!r}"  # members are single
        for name, method in _LIBRARIES:
            library = sys.modules.get(name)
            if library is not None:
                found: str | _NotMine | None = method(self, library, left, right, path)
                if not isinstance(found, _NotMine):
                    return found
        for base in type(left).__mro__:
            builtin = _BUILTINS.get(base)
            if builtin is not None:
                return builtin(self, left, right, path) or self._attributes(left, right, path)
        if dataclasses.is_dataclass(left):
            return self._attributes(left, right, path)
        if "__eq__" in {name for cls in type(left).__mro__[:-1] for name in vars(cls)}:
            return None if _is_equal(left, right) else f"{path} is {_brief(left)}, not {_brief(right)}"
        return self._attributes(left, right, path, required=True)

    # -- builtins and instances

    def _attributes(self, left: Any, right: Any, path: str, *, required: bool = False) -> str | None:
        mine, theirs = _state(left), _state(right)
        if required and not mine and not theirs:
            return f"{path} is a {_name(type(left))}, which cannot be compared"
        if mine.keys() != theirs.keys():
            return f"{path} has the attributes {sorted(mine)}, not {sorted(theirs)}"
        return self._first(self.compare(value, theirs[name], f"{path}.{name}") for name, value in mine.items())

    def sequence(self, left: Any, right: Any, path: str) -> str | None:
        if len(left) != len(right):
            return f"{path} has {len(left)} items, not {len(right)}"
        return self._first(
            self.compare(mine, theirs, f"{path}[{index}]")
            for index, (mine, theirs) in enumerate(zip(left, right, strict=True))
        )

    def mapping(self, left: Any, right: Any, path: str) -> str | None:
        if len(left) != len(right):
            return f"{path} has {len(left)} keys, not {len(right)}"
        keys = {key: key for key in right}
        unpaired = [key for key in right if key not in left]
        for key in left:
            # a NaN is a key that nothing but itself finds
            other = keys[key] if key in keys else next((far for far in unpaired if self.is_same(key, far)), _ABSENT)
            if other is _ABSENT:
                return f"{path} has the key {_brief(key)}, which the other has not"
            found = self.compare(key, other, f"{path} key {_brief(key)}")
            found = found or self.compare(left[key], right[other], f"{path}[{_brief(key)}]")
            if found is not None:
                return found
        return None

    def ordered(self, left: Any, right: Any, path: str) -> str | None:
        return self.sequence(list(left), list(right), f"{path} keys") or self.mapping(left, right, path)

    def deque(self, left: Any, right: Any, path: str) -> str | None:
        return self.compare(left.maxlen, right.maxlen, f"{path}.maxlen") or self.sequence(left, right, path)

    def set(self, left: Any, right: Any, path: str) -> str | None:
        if len(left) != len(right):
            return f"{path} has {len(left)} elements, not {len(right)}"
        waiting = list(right)
        for element in left:
            index = next((at for at, other in enumerate(waiting) if self.is_same(element, other)), None)
            if index is None:
                return f"{path} has the element {_brief(element)}, which the other has not"
            waiting.pop(index)
        return None

    def is_same(self, left: Any, right: Any) -> bool:
        return self.compare(left, right, "") is None

    @staticmethod
    def _first(found: Iterable[str | None]) -> str | None:
        return next((sentence for sentence in found if sentence is not None), None)

    # -- numpy

    def numpy(self, np: Any, left: Any, right: Any, path: str) -> Any:
        if isinstance(left, np.dtype):
            return None if repr(left) == repr(right) and left == right else f"{path} is {left!r}, not {right!r}"
        if isinstance(left, np.generic):
            left, right = np.asarray(left), np.asarray(right)
        elif not isinstance(left, np.ndarray):
            return _NOT_MINE
        if repr(left.dtype) != repr(right.dtype) or left.dtype != right.dtype:
            return f"{path} has dtype {left.dtype!r}, not {right.dtype!r}"
        if left.shape != right.shape:
            return f"{path} has shape {left.shape}, not {right.shape}"
        if isinstance(left, np.ma.MaskedArray):
            masks = np.ma.getmaskarray(left), np.ma.getmaskarray(right)
            found = self.compare(*masks, f"{path}.mask")
            found = found or self.compare(left.fill_value, right.fill_value, f"{path}.fill_value")
            return found or self._array(np, left.filled(), right.filled(), path)
        return self._array(np, np.asarray(left), np.asarray(right), path)

    def _array(self, np: Any, left: Any, right: Any, path: str) -> str | None:
        if left.dtype.names is not None:
            return self._first(
                self._array(np, left[name], right[name], f"{path}[{name!r}]") for name in left.dtype.names
            )
        if left.dtype == object:
            places = np.ndindex(left.shape)
            return self._first(self.compare(left[at], right[at], f"{path}[{_place(at)}]") for at in places)
        if left.dtype.kind == "V":
            same = np.array(
                [mine.tobytes() == other.tobytes() for mine, other in zip(left.flat, right.flat, strict=True)]
            )
            same = same.reshape(left.shape)
        else:
            same = (left == right) | ((left != left) & (right != right))  # of NaN and NaT
            if left.dtype.kind == "f":
                same &= (np.signbit(left) == np.signbit(right)) | np.isnan(left)
            elif left.dtype.kind == "c":
                return self._array(np, left.real, right.real, f"{path}.real") or self._array(
                    np, left.imag, right.imag, f"{path}.imag"
                )
        if same.all():
            return None
        at = tuple(int(index) for index in np.argwhere(~same)[0])
        return f"{path}[{_place(at)}] is {left[at]!r}, not {right[at]!r}"

    # -- pandas

    def pandas(self, pd: Any, left: Any, right: Any, path: str) -> Any:
        if isinstance(left, pd.DataFrame):
            return (
                self.compare(left.columns, right.columns, f"{path}.columns")
                or self.compare(left.index, right.index, f"{path}.index")
                or self._frame_state(left, right, path)
                or self._first(
                    self._values(left.iloc[:, at].array, right.iloc[:, at].array, f"{path} column {left.columns[at]!r}")
                    for at in range(left.shape[1])
                )
            )
        if isinstance(left, pd.Series):
            return (
                self.compare(left.name, right.name, f"{path}.name")
                or self.compare(left.index, right.index, f"{path}.index")
                or self._frame_state(left, right, path)
                or self._values(left.array, right.array, path)
            )
        if isinstance(left, pd.MultiIndex):
            levels = range(left.nlevels)
            return self.compare(list(left.names), list(right.names), f"{path}.names") or (
                f"{path} has {left.nlevels} levels, not {right.nlevels}"
                if left.nlevels != right.nlevels
                else self._first(
                    self.compare(left.get_level_values(at), right.get_level_values(at), f"{path} level {at}")
                    for at in levels
                )
            )
        if isinstance(left, pd.RangeIndex):
            mine, theirs = (
                (left.start, left.stop, left.step, left.name),
                (right.start, right.stop, right.step, right.name),
            )
            return self.compare(mine, theirs, path)
        if isinstance(left, pd.Index):
            freq = self.compare(getattr(left, "freq", None), getattr(right, "freq", None), f"{path}.freq")
            return (
                freq
                or self.compare(left.name, right.name, f"{path}.name")
                or self._values(left.array, right.array, path)
            )
        if isinstance(left, pd.api.extensions.ExtensionArray):
            return self._values(left, right, path)
        if isinstance(left, pd.Timestamp):
            mine, theirs = [
                (value.tz_localize(None).value, value.unit, value.tz, value.fold) for value in (left, right)
            ]
            return self.compare(mine, theirs, path)
        if isinstance(left, pd.Timedelta):
            return self.compare((left.value, left.unit), (right.value, right.unit), path)
        return _NOT_MINE

    def _frame_state(self, left: Any, right: Any, path: str) -> str | None:
        flags = left.flags.allows_duplicate_labels, right.flags.allows_duplicate_labels
        return self.compare(left.attrs, right.attrs, f"{path}.attrs") or self.compare(*flags, f"{path}.flags")

    def _values(self, left: Any, right: Any, path: str) -> str | None:
        if left.dtype != right.dtype or repr(left.dtype) != repr(right.dtype):
            return f"{path} has dtype {left.dtype!r}, not {right.dtype!r}"
        if len(left) != len(right):
            return f"{path} has {len(left)} values, not {len(right)}"
        categories = getattr(left.dtype, "categories", None)
        if categories is not None:
            return self.compare(categories, right.dtype.categories, f"{path} categories") or self.compare(
                left.codes, right.codes, f"{path} codes"
            )
        for name in ("asi8", "_ndarray"):  # of times, and of numpy's own types, without boxing every value
            if hasattr(left, name):
                return self.compare(getattr(left, name), getattr(right, name), path)
        return self.sequence(list(left), list(right), path)

    # -- pyarrow

    def pyarrow(self, pa: Any, left: Any, right: Any, path: str) -> Any:
        if isinstance(left, pa.Table | pa.RecordBatch):
            if not left.schema.equals(right.schema, check_metadata=True):
                return f"{path}.schema is {_brief(left.schema)}, not {_brief(right.schema)}"
            if left.num_rows != right.num_rows:
                return f"{path} has {left.num_rows} rows, not {right.num_rows}"
            columns = enumerate(left.schema.names)
            return self._first(
                self._arrow(left.column(at), right.column(at), f"{path} column {name!r}") for at, name in columns
            )
        if isinstance(left, pa.Array | pa.ChunkedArray | pa.Scalar):
            if left.type != right.type:
                return f"{path} has type {left.type}, not {right.type}"
            return self._arrow(left, right, path)
        if isinstance(left, pa.Schema | pa.Field):
            same = left.equals(right, check_metadata=True)
            return None if same else f"{path} is {_brief(left)}, not {_brief(right)}"
        return _NOT_MINE

    def _arrow(self, left: Any, right: Any, path: str) -> str | None:
        if hasattr(left, "to_pylist"):
            return self.sequence(left.to_pylist(), right.to_pylist(), path)
        return self.compare(left.as_py(), right.as_py(), path)

    # -- polars

    def polars(self, pl: Any, left: Any, right: Any, path: str) -> Any:
        if isinstance(left, pl.LazyFrame):
            return self.compare(left.collect(), right.collect(), path)
        if isinstance(left, pl.DataFrame):
            if list(left.schema.items()) != list(right.schema.items()):
                return f"{path}.schema is {left.schema!r}, not {right.schema!r}"
            if left.height != right.height:
                return f"{path} has {left.height} rows, not {right.height}"
            return self._first(
                self.sequence(left[name].to_list(), right[name].to_list(), f"{path} column {name!r}")
                for name in left.columns
            )
        if isinstance(left, pl.Series):
            if (left.name, left.dtype) != (right.name, right.dtype):
                return f"{path} is {left.name!r} of {left.dtype!r}, not {right.name!r} of {right.dtype!r}"
            return self.sequence(left.to_list(), right.to_list(), path)
        return _NOT_MINE


class _NotMine:
    """The answer of a library's comparison for objects that are not the library's."""


_NOT_MINE = _NotMine()
_ABSENT = object()

_LIBRARIES: tuple[tuple[str, Callable[[_Comparison, Any, Any, Any, str], Any]], ...] = (
    ("numpy", _Comparison.numpy),
    ("pandas", _Comparison.pandas),
    ("pyarrow", _Comparison.pyarrow),
    ("polars", _Comparison.polars),
)

_BUILTINS: dict[type, Callable[[_Comparison, Any, Any, str], str | None]] = {
    OrderedDict: _Comparison.ordered,
    deque: _Comparison.deque,
    list: _Comparison.sequence,
    tuple: _Comparison.sequence,
    dict: _Comparison.mapping,
    set: _Comparison.set,
    frozenset: _Comparison.set,
}


def _floats(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right and math.copysign(1, left) == math.copysign(1, right)


def _complex(left: complex, right: complex) -> bool:
    return _floats(left.real, right.real) and _floats(left.imag, right.imag)


def _equal(left: object, right: object) -> bool:
    return left == right


def _decimals(left: Decimal, right: Decimal) -> bool:
    return left.as_tuple() == right.as_tuple()  # 1.0 and 1.00 are equal, but not the same


def _clocks(left: datetime | time, right: datetime | time) -> bool:
    naive = left.replace(tzinfo=None), right.replace(tzinfo=None)  # moments are equal across zones
    return naive[0] == naive[1] and left.fold == right.fold and type_strict_equal(left.tzinfo, right.tzinfo)


_LEAVES: dict[type, Callable[[Any, Any], bool]] = {
    **dict.fromkeys((type(None), bool, int, str, bytes, bytearray, range, type(...)), _equal),
    float: _floats,
    complex: _complex,
    Decimal: _decimals,
    datetime: _clocks,
    time: _clocks,
}


def _state(value: Any) -> Mapping[str, Any]:
    """Return the attributes of an instance, those in slots included."""
    names = [name for cls in type(value).__mro__ for name in _slots(cls) if name not in ("__dict__", "__weakref__")]
    state = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return state | dict(getattr(value, "__dict__", {}))


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_equal(left: object, right: object) -> bool:
    try:
        return bool(left == right)
    except Exception:  # noqa: BLE001 - an == without a yes or no has not said that they are equal
        return False


def _name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _place(at: tuple[int, ...]) -> str:
    return ", ".join(map(str, at))
