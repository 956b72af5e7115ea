"""The formats of the core keep the promises of every format."""

from collections.abc import Mapping
from typing import Any

from persistable import PickleFileIO, builtin
from persistable.io import FileIO
from persistable.plain import JsonFileIO, TextFileIO
from persistable.testing import DoesNotApply, FormatTests

SPECS = {spec.name: spec for spec in builtin.persistable_formats()}


class TestPickle(FormatTests):
    spec = SPECS["pickle"]

    def file_io(self) -> FileIO[Any]:
        return PickleFileIO()

    def payloads(self) -> Mapping[str, Any]:
        return {
            "none": None,
            "tuple": (1, 1.0, True),
            "set": {1, 2},
            "bytes": b"\0\xff",
            "nested": {"a": [{"b": (1,)}]},
        }

    def empty(self) -> Any:
        return {}

    def unicode(self) -> Any:
        return {"größe": ["文字", "\U0001f41f"]}

    def large(self) -> Any:
        return list(range(500_000))

    def foreign(self) -> Any:
        return DoesNotApply("a pickle takes anything that can be pickled")


class TestJson(FormatTests):
    spec = SPECS["json"]

    def file_io(self) -> FileIO[Any]:
        return JsonFileIO()

    def payloads(self) -> Mapping[str, Any]:
        return {"none": None, "numbers": [1, 1.0, -0.0, 1e300, 10**30, True], "nested": {"b": [{"a": []}], "a": {}}}

    def empty(self) -> Any:
        return {}

    def unicode(self) -> Any:
        return {"größe": ["文字", "\U0001f41f", "\0", "\u2028"]}

    def large(self) -> Any:
        return [index / 7 for index in range(100_000)]

    def foreign(self) -> Mapping[str, Any]:
        return {"tuple": (1,), "set": [{1}], "nan": [float("nan")], "key": {1: 2}, "surrogate": "\ud800"}


class TestText(FormatTests):
    spec = SPECS["text"]
    notices_cuts = False

    def file_io(self) -> FileIO[Any]:
        return TextFileIO()

    def payloads(self) -> Mapping[str, Any]:
        return {"line": "a line\n", "ends": "a\r\nb\rc\n", "control": "\0\x1a\x85\ufeff"}

    def empty(self) -> Any:
        return ""

    def unicode(self) -> Any:
        return "größe 文字 \U0001f41f"

    def large(self) -> Any:
        return "0123456789" * 200_000

    def foreign(self) -> Mapping[str, Any]:
        return {"bytes": b"a", "none": None, "surrogate": "\ud800"}
