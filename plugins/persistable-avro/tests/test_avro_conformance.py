"""avro keeps the promises of every format, and the plugin those of every plugin."""

import datetime
import decimal
import uuid

from persistable_avro import AvroFileIO, hooks

from persistable.testing import FormatTests, PluginTests

[AVRO] = hooks.persistable_formats()
UTC = datetime.UTC


class TestAvro(FormatTests):
    needs_metadata = True
    spec = AVRO
    notices_flips = True

    def options(self):
        return {"codec": "snappy"}, {}

    def file_io(self):
        return AvroFileIO()

    def payloads(self):
        return {
            "records": [{"a": index, "b": index / 3, "c": f"n{index}", "d": None} for index in range(5)],
            "optional": [{"a": 1}, {"a": None}, {"a": 2}],
            "specials": [{"a": 0.0}, {"a": -0.0}, {"a": float("nan")}, {"a": float("inf")}],
            "nested": [{"a": {"b": [{"c": True}, {"c": False}]}}, {"a": {"b": []}}],
            "bytes": [{"a": b"\0\xff"}, {"a": b""}],
            "logical": [{"when": datetime.datetime(2020, 2, 29, tzinfo=UTC), "day": datetime.date(1, 1, 1)}],
            "local": [{"when": datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)}],
            "exact": [{"price": decimal.Decimal("1.10"), "id": uuid.UUID(int=7)}],
        }

    def empty(self):
        return []

    def unicode(self):
        # names of fields are ASCII in Avro
        return [{"a": "größe 文字", "b": ["\U0001f41f", "", "e\u0301", "\0"]}]

    def large(self):
        return [{"a": index, "text": f"{index:x}" * 4} for index in range(60_000)]

    def foreign(self):
        return {
            "tuple": ({"a": 1},),
            "dict": {"a": 1},
            "text": "a",
            "generator": (record for record in [{"a": 1}]),
            "rows": [[1], [2]],
            "mixed": [{"a": 1}, {"a": "1"}],
            "set inside": [{"a": {1}}],
        }


class TestAvroDeflated(TestAvro):
    def file_io(self):
        return AvroFileIO(codec="deflate", compression_level=9)


class TestPlugin(PluginTests):
    hooks = "persistable_avro.hooks"
    distribution = "persistable-avro"
