"""Named tuples that cost little at import.

``typing.NamedTuple`` compiles code for each class, and with annotations that are text also each of these: up to three
million instructions per class, of an import that has eighty. This one makes a class like any other, and values that are
given by position cost least. Type checkers see that of ``typing``. Whoever uses it has annotations from ``__future__``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    try:
        from _collections import _tuplegetter as _getter
    except ImportError:
        from operator import itemgetter

        def _getter(index, _):
            return property(itemgetter(index))

    _new = tuple.__new__

    class _NamedTupleType(type):
        def __new__(mcs, name, bases, body):
            fields = tuple(body.get("__annotations__", ()))
            if fields:
                if any(getattr(base, "_fields", ()) for base in bases):
                    raise TypeError(f"{name} adds fields to those of a named tuple: give a class all of them itself")
                body["_field_defaults"] = {field: body.pop(field) for field in fields if field in body}
                body["_fields"], body["_size"] = fields, len(fields)
                body["__match_args__"] = fields
                body |= {field: _getter(index, None) for index, field in enumerate(fields)}
            body.setdefault("__slots__", ())
            return super().__new__(mcs, name, bases, body)

    class NamedTuple(tuple, metaclass=_NamedTupleType):
        """A tuple whose items are fields."""

        _fields = ()
        _size = 0
        _field_defaults = {}  # noqa: RUF012 - each class has its own

        def __new__(cls, *values, **named):
            if named or len(values) != cls._size:
                values = cls.__completed(values, named)
            return _new(cls, values)

        @classmethod
        def __completed(cls, values, named):
            """Return the values of all fields. Raises TypeError if there are more or less of them."""
            fields = cls._fields
            given = dict(zip(fields, values, strict=False))
            unknown = [field for field in named if field not in fields or field in given]
            if unknown or len(values) > len(fields):
                extra = ", ".join(unknown) or f"{len(values) - len(fields)} more"
                raise TypeError(f"{cls.__qualname__}() was given {extra}: give each of {', '.join(fields)} once")
            held = cls._field_defaults | given | named
            missing = [field for field in fields if field not in held]
            if missing:
                raise TypeError(f"{cls.__qualname__}() was not given {', '.join(missing)}")
            return [held[field] for field in fields]

        @classmethod
        def _make(cls, values):
            """Return one of the values of all fields. Raises TypeError if there are more or less of them."""
            made = _new(cls, values)
            if len(made) != cls._size:
                raise TypeError(f"{cls.__qualname__} has {cls._size} fields, and {len(made)} values were given")
            return made

        def _asdict(self):
            """Return the values by field."""
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, /, **named):
            """Return one with other values for some fields."""
            return type(self)(**(self._asdict() | named))

        __replace__ = _replace  # for copy.replace

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            shown = ", ".join([f"{field}={value!r}" for field, value in self._asdict().items()])
            return f"{type(self).__name__}({shown})"


__all__ = ["NamedTuple"]
