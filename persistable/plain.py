"""JsonFileIO and TextFileIO, the formats of the core that hold data only. Both are chosen by injection.

Neither can run code on load, and any editor opens their files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from persistable.exceptions import FidelityError
from persistable.io import FileIO

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Buffer

__all__ = ["JsonFileIO", "TextFileIO"]

_LEAVES = frozenset((str, int, float, bool, type(None)))
_TYPES = _LEAVES | {list, dict}
_MAX_DEPTH = 200  # the parser and the encoder of the standard library recurse
_MAX_DIGITS = 4300  # the default of sys.set_int_max_str_digits


class JsonFileIO(FileIO[Any]):
    r"""Keep what JSON can hold exactly: dict, list, str, int, float, bool and None, by exact type.

    - Keys are str; another type would come back as one. Keys keep their order.
    - A tuple would come back as a list, a subclass as its builtin: declined.
    - Floats are written in the shortest form that reads back equal; NaN and infinities are not JSON: declined.
    - Lone surrogates are kept, as ``\udxxx`` escapes, with ``ensure_ascii=True``; without it they are declined, since
      UTF-8 cannot hold them. A high one before a low one would come back as one character: declined either way.
    - Nesting deeper than 200 levels is declined, and ints of more digits than Python prints (4300 by default).

    Source: RFC 8259.

    Args:
        indent: spaces per level; None writes one line.
        ensure_ascii: write everything beyond ASCII as escapes instead of UTF-8.

    """

    name: ClassVar[str] = "json"
    suffix: ClassVar[str] = ".json"

    def __init__(self, *, indent: int | None = None, ensure_ascii: bool = False) -> None:
        self.indent, self.ensure_ascii = indent, ensure_ascii

    def refusal(self, payload: Any) -> str | None:
        """Decline a payload whose own type is none of JSON's."""
        kind = type(payload)
        return (
            None if kind in _TYPES else f"a {kind.__qualname__} is none of dict, list, str, int, float, bool and None"
        )

    def _save(self, payload: Any, filepath: Path, **kwargs: Any) -> None:
        import json

        _require_known(self.name, kwargs, ("indent", "ensure_ascii"))
        options: dict[str, Any] = {"indent": self.indent, "ensure_ascii": self.ensure_ascii} | kwargs
        escaping = bool(options["ensure_ascii"])
        if escaping or not _has_json_types(payload):
            self._explain(payload, escaping)
        try:
            content = json.dumps(payload, allow_nan=False, check_circular=False, **options).encode()
        except (ValueError, RecursionError):  # NaN, a lone surrogate, too many digits
            self._explain(payload, escaping)
            raise
        with open(filepath, "wb") as file:
            file.write(content)

    def _explain(self, payload: Any, escaping: bool) -> None:
        """Raise for the first part of the payload that would not come back equal, if there is one."""
        for where, reason in _json_faults(payload, escaping=escaping):
            raise FidelityError(format=self.name, where=where, reason=reason)

    def _load(self, filepath: Path, **kwargs: Any) -> Any:
        _require_known(self.name, kwargs, ())
        with open(filepath, "rb") as file:
            return self.load_buffer(file.read())

    def load_buffer(self, buffer: Buffer) -> Any:
        """Parse the whole content of a JSON file. ValueError if it is none, also for NaN, Infinity and UTF-16."""
        import json

        try:
            return json.loads(bytes(buffer).decode(), parse_constant=_no_constant)
        except RecursionError as error:
            raise ValueError("the JSON nests too deep to be read") from error


def _require_known(name: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := ", ".join(option for option in given if option not in known):
        raise TypeError(f"the format {name!r} has no option {unknown}")


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _has_json_types(payload: Any) -> bool:
    """Say in bulk, container by container, whether every type is one of JSON's and nothing nests too deep."""
    level = [payload] if type(payload) not in _LEAVES else []
    for _ in range(_MAX_DEPTH + 1):
        inside: dict[int, Any] = {}  # by id, so that shared and cyclic containers do not multiply
        for container in level:
            members: Collection[Any] = container.values() if isinstance(container, dict) else container
            types = set(map(type, members))
            if type(container) is dict and not set(map(type, container)) <= {str}:
                return False
            if types <= _LEAVES:
                continue
            if not types <= _TYPES:
                return False
            inside |= {id(member): member for member in members if type(member) not in _LEAVES}
        if not inside:
            return True
        level = [*inside.values()]
    return False


def _json_faults(payload: Any, *, escaping: bool) -> Iterator[tuple[str, str]]:
    """Yield where and why parts of the payload would not come back equal, in its own order."""
    stack: list[tuple[Any, str, int]] = [(payload, "payload", 0)]
    while stack:
        value, where, depth = stack.pop()
        if type(value) is not dict and type(value) is not list:
            if (reason := _leaf_fault(value, escaping=escaping)) is not None:
                yield where, reason
            continue
        if depth > _MAX_DEPTH:
            yield where, f"it nests deeper than {_MAX_DEPTH} levels"
            return
        inside = []
        for key in value if type(value) is dict else range(len(value)):
            reason = _key_fault(key, escaping=escaping) if type(value) is dict else None
            if reason is not None:
                yield where, f"the key {_brief(key)} {reason}"
            inside.append((value[key], f"{where}[{_brief(key)}]", depth + 1))
        stack += reversed(inside)


def _key_fault(key: Any, *, escaping: bool) -> str | None:
    if type(key) is not str:
        return f"is a {type(key).__qualname__} and would come back as a str"
    return _text_fault(key, escaping=escaping)


def _leaf_fault(value: Any, *, escaping: bool) -> str | None:
    kind = type(value)
    if kind not in _LEAVES:
        return f"a {kind.__qualname__} would not come back as one"
    if kind is str:
        return _text_fault(value, escaping=escaping)
    if kind is float:
        return None if value - value == 0 else f"{value} is no JSON number"
    if kind is int and value.bit_length() > 14_200 and abs(value) >= 10**_MAX_DIGITS:
        return f"it has more than {_MAX_DIGITS} digits, which Python does not parse by default"
    return None


def _text_fault(text: str, *, escaping: bool) -> str | None:
    try:
        text.encode()
        return None
    except UnicodeEncodeError as error:
        if not escaping:
            return f"has a lone surrogate at {error.start}; ensure_ascii=True keeps it as an escape"
    # escaped one by one, a high surrogate before a low one reads back as the one character that they encode
    if text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") != text:
        return "has a pair of surrogates, which would come back as one character"
    return None


def _brief(value: Any) -> str:
    text = ascii(value) if type(value) in (str, bytes, int, float, bool, type(None)) else ""
    return text if 0 < len(text) <= 40 else f"(a {type(value).__qualname__})"


class TextFileIO(FileIO[str]):
    """Keep one str as UTF-8, character by character: newlines of every kind, a leading BOM and NUL stay as they are.

    Lone surrogates, which UTF-8 cannot hold, are declined.
    """

    name: ClassVar[str] = "text"
    suffix: ClassVar[str] = ".txt"

    def refusal(self, payload: str) -> str | None:
        """Decline what is no str, subclasses included."""
        return None if type(payload) is str else f"a {type(payload).__qualname__} is no str"

    def _save(self, payload: str, filepath: Path, **kwargs: Any) -> None:
        _require_known(self.name, kwargs, ())
        try:
            content = payload.encode()
        except UnicodeEncodeError as error:
            reason = "a lone surrogate, which UTF-8 cannot hold"
            raise FidelityError(format=self.name, where=f"character {error.start}", reason=reason) from None
        with open(filepath, "wb") as file:
            file.write(content)

    def _load(self, filepath: Path, **kwargs: Any) -> str:
        _require_known(self.name, kwargs, ())
        with open(filepath, "rb") as file:
            return file.read().decode()

    def load_buffer(self, buffer: Buffer) -> str:
        """Decode the whole content of a text file."""
        return bytes(buffer).decode()
