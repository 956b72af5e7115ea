"""Payloads that fail half-way: in the format, in their own code, in an iterator, in the validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from specimens import BlobP, BlobParams, artifact_files, fast, files

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.samples import SAMPLES, installed
from persistable.exceptions import FidelityError, InvalidPayloadError, NoPayloadError, SaveError

__all__ = ["CAMPAIGN"]

_ROWS = 20_000


class _Broken:
    """Fail when it is pickled."""

    def __reduce__(self) -> Any:
        raise RuntimeError("cannot be pickled")


def _stopping(item: Callable[[int], Any]) -> Any:
    for number in range(_ROWS):
        if number == _ROWS - 100:
            raise RuntimeError("the source broke off")
        yield item(number)


def _batches() -> Any:
    import pyarrow as pa

    schema = pa.schema({"x": pa.int64()})
    batches = _stopping(lambda number: pa.record_batch({"x": [number]}, schema))
    return pa.RecordBatchReader.from_batches(schema, batches)


def _objects() -> Any:
    import numpy as np

    array = np.zeros(_ROWS, dtype=object)
    array[-1] = _Broken()
    return array


def _frame() -> Any:
    import pandas as pd

    return pd.DataFrame({"x": range(_ROWS), "y": [*([1] * (_ROWS - 1)), _Broken()]})


_PAYLOADS: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "pickle": {
        "unpicklable at the end": lambda: [b"x" * 1_000_000, _Broken()],
        "a lambda": lambda: [b"x" * 1_000_000, lambda: 0],
        "a module": lambda: [b"x" * 1_000_000, math],
    },
    "json": {
        "a set at the end": lambda: [*range(_ROWS), {1}],
        "nan at the end": lambda: [*range(_ROWS), math.nan],
        "an endless nest": lambda: _nest(),
    },
    "text": {"a lone surrogate at the end": lambda: "x" * 1_000_000 + "\ud800"},
    "npy": {"an object at the end": _objects},
    "npz": {"objects in the last array": lambda: {"one": _objects().astype(str), "two": _objects()}},
    "parquet": {"an object at the end": _frame, "batches break off": _batches},
    "csv": {"an object at the end": _frame},
    "feather": {"an object at the end": _frame},
    "avro": {
        "an object at the end": lambda: [*({"x": number} for number in range(_ROWS)), {"x": _Broken()}],
        "records break off": lambda: _stopping(lambda number: {"x": number}),
        "a text among numbers": lambda: iter([*({"x": number} for number in range(_ROWS)), {"x": "text"}]),
    },
}


def _file_io(case: str, payload: Any) -> Any:
    """Return how a payload is injected: a stream of records needs its schema."""
    if case != "avro" or isinstance(payload, list):
        return case
    from persistable_avro import AvroFileIO

    return AvroFileIO({"type": "record", "name": "one", "fields": [{"name": "x", "type": "long"}]})


def _nest() -> Any:
    inner: list[Any] = []
    inner.append(inner)
    return inner


class _CheckedP(BlobP):
    """A payload that is found invalid after it was generated."""

    refuse: bool = False

    def _validate_payload(self, payload: Any) -> None:
        if self.refuse:
            raise InvalidPayloadError("not as promised")


def _run(setting: Setting, case: str) -> Tally:
    """Persist each of the payloads of a format, with nothing there and over an old one; then an invalid one."""
    tally = Tally()
    for kind in ("first", "over"):
        for what, make in _PAYLOADS[case].items():
            for through in setting.pick(("generate",), ("generate", "persist")):
                tally.rounds += 1
                _attempt(setting, tally, case, kind, what, make(), through)
        tally.rounds += 1
        _invalid(setting, tally, case, kind)
    return tally


def _made(setting: Setting, case: str, kind: str, number: int, payload_io: Any) -> tuple[Any, dict[str, bytes]]:
    root = setting.folder / f"{number}"
    made = _CheckedP(fast(root, **setting.options), BlobParams(), payload_name="blob", payload_io=case)
    if kind == "over":
        made.generate(value=SAMPLES[case].make(1, 3_000))
    return _CheckedP(made.store, BlobParams(), payload_name="blob", payload_io=payload_io), artifact_files(root)


def _attempt(setting: Setting, tally: Tally, case: str, kind: str, what: str, payload: Any, through: str) -> None:
    where = f"{case}, {kind}: {what}"
    made, before = _made(setting, case, kind, tally.rounds, _file_io(case, payload))
    try:
        if through == "generate":
            made.generate(value=lambda: payload)
        else:
            made.generate(persist=False, value=lambda: payload)
            made.persist()
    except (SaveError, FidelityError, NoPayloadError) as error:  # the last of a stream that may have been read in part
        tally.saw(type(error).__name__)
    except RuntimeError as error:  # the payload's own
        tally.saw(type(error).__name__)
    except Exception as error:  # noqa: BLE001 - counted
        tally.fault("mistyped", f"{where}: {error!r}")
    else:
        tally.fault("taken for good", where)
    _judge(setting, tally, case, kind, where, before)


def _invalid(setting: Setting, tally: Tally, case: str, kind: str) -> None:
    where = f"{case}, {kind}: invalid"
    made, before = _made(setting, case, kind, tally.rounds, case)
    made.refuse = True
    try:
        made.generate(value=SAMPLES[case].make(2, 3_000))
    except InvalidPayloadError:
        tally.saw("InvalidPayloadError")
    except Exception as error:  # noqa: BLE001 - counted
        tally.fault("mistyped", f"{where}: {error!r}")
    else:
        tally.fault("taken for good", where)
    _judge(setting, tally, case, kind, where, before)


def _judge(setting: Setting, tally: Tally, case: str, kind: str, where: str, before: dict[str, bytes]) -> None:
    """Compare what is on disk with what was: the rejected payload in quarantine is all that may be new."""
    root = setting.folder / f"{tally.rounds}"
    after = {path: content for path, content in files(root).items() if path in artifact_files(root)}
    kept = {path for path in after if "/quarantine/" in path}
    tally.saw("kept in quarantine", bool(kept))
    tally.require({path: after[path] for path in after.keys() - kept} == before, "old lost or garbage", where)
    sample = SAMPLES[case]
    fresh = _CheckedP(fast(root, **setting.options), BlobParams(), payload_name="blob", payload_io=case)
    fresh.load_generate(value=sample.make(3, 3_000))
    tally.require(sample.number(fresh.payload) == (1 if kind == "over" else 3), "wrong", where)


CAMPAIGN = Campaign(
    name="failures",
    promise="A payload that its format refuses, that breaks off half-way or that is found invalid is an error that "
    "says so; the old artifact stays byte for byte, and nothing of the failed one is ever served.",
    faults=("taken for good", "mistyped", "old lost or garbage", "wrong"),
    cases=lambda: installed(*_PAYLOADS),
    run=_run,
)
