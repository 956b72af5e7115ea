"""Declare the format ``avro``."""

from persistable import FormatSpec, hookimpl


@hookimpl
def persistable_formats() -> list[FormatSpec]:
    """Return the one format of this distribution. It claims no type: a list is a builtin, so avro is injected."""
    return [
        FormatSpec(
            name="avro",
            suffix=".avro",
            io="persistable_avro.avro:AvroFileIO",
            executes_code=False,
            install="persistable-avro",
        )
    ]
