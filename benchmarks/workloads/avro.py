"""Avro: 1e6 records as a list and as a stream, beside fastavro with the same schema, and the memory of streams.

Given the schema, the record count and digest that persistable writes and checks are what it does more than fastavro.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.held import Held, HeldParams, given, loads, made, saves
from benchmarks.memory import peak_of
from benchmarks.report import Report
from persistable import ArtifactStore

SCHEMA = {
    "type": "record",
    "name": "flight",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "x", "type": "double"},
        {"name": "s", "type": ["null", "string"]},
    ],
}


def generated(count: int) -> Iterator[dict[str, Any]]:
    """Yield so many records."""
    for n in range(count):
        yield {"n": n, "x": n / 7, "s": None if n % 5 == 0 else f"name {n}"}


def write(records: Any, path: str) -> None:
    """Write records with fastavro."""
    import fastavro

    with open(path, "wb") as file:
        fastavro.writer(file, SCHEMA, records)


def read(path: str) -> list[Any]:
    """Read records with fastavro."""
    import fastavro

    with open(path, "rb") as file:
        return list(fastavro.reader(file))


def read_through(path: str) -> None:
    """Read records one by one and keep none."""
    import fastavro

    with open(path, "rb") as file:
        for _ in fastavro.reader(file):
            pass


def run(report: Report) -> None:
    """Time a list with an inferred schema and with a given one, then a stream; measure the memory of streams."""
    try:
        import fastavro  # noqa: F401
        from persistable_avro import AvroFileIO
    except ImportError as error:
        report.missing("fastavro, or the plugin for it", error)
        return
    count = report.size(1_000_000, 2000)
    lists(report, list(generated(count)), AvroFileIO(SCHEMA))
    streams(report, count, AvroFileIO(SCHEMA, stream=True))


def lists(report: Report, records: list[Any], payload_io: Any) -> None:
    """Time a list of records, with the schema given and inferred."""
    effort: dict[str, Any] = {"least": 3, "most": 5, "seconds": 20}

    def save(path: str) -> None:
        write(records, path)

    make = given(records)
    table = saves(report, "1e6 records, avro, save", "fastavro", save, make, payload_io, **effort)
    report.judge("avro-save", table.ratio("persistable"), table.control)
    loaded = loads(report, "1e6 records, avro, load", "fastavro", save, read, make, "avro", **effort)
    report.judge("avro-load", loaded.ratio("persistable"), loaded.control)
    effort |= {"least": 3, "most": 3}
    title = "1e6 records, avro, save, schema inferred"
    saves(report, title, "fastavro, given the schema", save, make, "avro", **effort)


def streams(report: Report, count: int, payload_io: Any) -> None:
    """Time a generator of records: made, written and, if saved by persistable, loaded as a stream."""
    effort: dict[str, Any] = {"least": 3, "most": 4, "seconds": 20}
    title = "1e6 records, avro, save a stream"
    table = saves(
        report,
        title,
        "fastavro",
        lambda path: write(generated(count), path),
        lambda: generated(count),
        payload_io,
        **effort,
    )
    report.judge("avro-stream-save", table.ratio("persistable"), table.control)
    loaded = loads(
        report,
        "1e6 records, avro, load a stream and read all of it",
        "fastavro",
        lambda path: write(generated(count), path),
        stream_of,
        lambda: generated(count),
        payload_io,
        touch=exhaust,
        **effort,
    )
    report.judge("avro-stream-load", loaded.ratio("persistable"), loaded.control)
    peaks = {}
    for size in (count // 10, count):
        for act in ("save", "load"):
            report.say(f"memory of {act}, {size} records")
            folder = report.path(f"memory-{act}-{size}")
            peaks[f"{act} a stream of {size:.0e} records".replace("e+0", "e")] = peak_of(
                f"{__name__}:child_{act}", folder, size
            )
    note = (
        "Above what the process had. Resident memory counts the pages of the file that is mapped to be digested, which "
        "the kernel takes back at will; records that are kept would be anonymous memory, by which the budget is judged."
    )
    report.memory("avro streams: memory", peaks, note=note)
    found = [peak.anonymous for peak in peaks.values() if peak]
    if len(found) == 4:
        report.judge("avro-memory", float(max(found[2] - found[0], found[3] - found[1])))


def stream_of(path: str) -> Iterator[Any]:
    """Yield records with fastavro."""
    import fastavro

    with open(path, "rb") as file:
        yield from fastavro.reader(file)


def exhaust(records: Any) -> None:
    """Read all and keep none."""
    for _ in records:
        pass


def child_save(folder: str, count: int) -> Callable[[], object]:
    """Prepare to save a stream."""
    from persistable_avro import AvroFileIO

    warm = made(ArtifactStore(folder), lambda: generated(100), AvroFileIO(SCHEMA, stream=True))
    warm.persist()
    return made(ArtifactStore(folder), lambda: generated(count), AvroFileIO(SCHEMA, stream=True)).persist


def child_load(folder: str, count: int) -> Callable[[], object]:
    """Prepare to load a stream and read through it."""
    from persistable_avro import AvroFileIO

    payload_io = AvroFileIO(SCHEMA, stream=True)
    held = made(ArtifactStore(folder), lambda: generated(count), payload_io)
    held.persist()

    def load() -> None:
        again = Held(ArtifactStore(folder), HeldParams(held.params.n), payload_io=payload_io)
        again.load()
        exhaust(again.payload)

    return load
