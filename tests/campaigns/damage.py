"""Flipped bits, zeroed pages, cut, emptied and extended files: nothing that was damaged is served."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path

from specimens import BlobP, blob

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.samples import SAMPLES, installed
from persistable import ArtifactStore
from persistable.exceptions import CorruptArtifactError, CorruptArtifactWarning

__all__ = ["CAMPAIGN"]

_PAGE = 4096
_SIZE = 40_000
_BIG = 9_000_000  # parsed while it is hashed
_PARTS = {"payload": "", "record": ".json", "lineage": ".lineage.json"}


def _flip(content: bytes, chance: random.Random) -> bytes:
    where = chance.randrange(len(content))
    return content[:where] + bytes([content[where] ^ 1 << chance.randrange(8)]) + content[where + 1 :]


def _zero(content: bytes, chance: random.Random) -> bytes:
    where = chance.randrange(0, len(content), _PAGE)
    page = content[where : where + _PAGE]
    return content[:where] + bytes(len(page)) + content[where + _PAGE :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _extend(content: bytes, chance: random.Random) -> bytes:
    return content + chance.randbytes(chance.choice((1, 100, _PAGE)))


def _swap(content: bytes, chance: random.Random) -> bytes:
    one, other = sorted(chance.sample(range(len(content)), 2))
    return content[:one] + content[other:] + content[one:other]


_HOW: dict[str, tuple[Callable[[bytes, random.Random], bytes], int, int]] = {
    "flip": (_flip, 60, 1000),
    "zeroed page": (_zero, 5, 100),
    "cut": (_cut, 10, 200),
    "emptied": (lambda content, chance: b"", 1, 1),
    "extended": (_extend, 3, 50),
    "parts swapped": (_swap, 5, 100),
}


def _run(setting: Setting, case: str) -> Tally:
    """Damage payload, record and lineage of one artifact, each time from the intact one; then a big payload."""
    sample, chance, tally = SAMPLES[case], setting.chance(case), Tally()
    store = ArtifactStore(setting.folder, **setting.options)  # default settings: that is the point
    for size, parts, limit in ((_SIZE, _PARTS, None), (_BIG, {"payload": ""}, setting.pick(1, 25))):
        payload = sample.make(1, size)
        made = blob(store, payload_io=case, upstream=True)
        made.generate(value=payload)
        for part in parts:
            path = _path(made, part)
            intact = path.read_bytes()
            for kind, (damage, short, full) in _HOW.items():
                for _ in range(limit or setting.pick(short if part != "lineage" else 3, full)):
                    damaged = damage(intact, chance)
                    if damaged == intact:
                        continue  # a page of zeros was zeroed
                    tally.rounds += 1
                    tally.saw(kind)
                    path.write_bytes(damaged)
                    _judge(tally, store, case, part, f"{kind} of {part}, {size} bytes")
            path.write_bytes(intact)
        fresh = blob(store, payload_io=case, upstream=True)
        fresh.load()
        tally.require(sample.same(fresh.payload, payload), "intact refused")
    _regenerate(tally, store, case, _path(made, "payload"))
    return tally


def _path(made: BlobP, part: str) -> Path:
    payload = Path(made.persist_filepath)
    return payload if part == "payload" else payload.with_name(made.key + _PARTS[part])


def _judge(tally: Tally, store: ArtifactStore, case: str, part: str, what: str) -> None:
    fresh = blob(store, payload_io=case, upstream=True)
    try:
        if part == "lineage":
            fresh.load()  # the payload is intact and its record says so
            # the lineage as the store reads it
            address = next(one for one in store.list() if one.key == fresh.key)
            store.lineage(address)
        else:
            fresh.load()
    except CorruptArtifactError:
        pass
    except Exception as error:  # noqa: BLE001 - it did not go unnoticed, but under another name
        tally.fault("misnamed", f"{what}: {error!r}")
    else:
        tally.fault("silent", what)
    problems = [finding.problem for finding in store.check() if finding.name == "blob"]
    tally.require(problems and all(problems), "unseen by check()", what)


def _regenerate(tally: Tally, store: ArtifactStore, case: str, path: Path) -> None:
    """Damage it for a last time, and ask for the payload: it is made again, and the damaged one put aside."""
    sample = SAMPLES[case]
    path.write_bytes(b"")
    again = blob(store, payload_io=case, upstream=True)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        again.load_generate(value=lambda: sample.make(2, _SIZE))
    tally.require(sample.same(again.payload, sample.make(2, _SIZE)), "not generated again")
    told = any(issubclass(one.category, CorruptArtifactWarning) for one in given)
    tally.require(told, "not generated again", "without a warning")
    tally.require(any((path.parent / "quarantine").glob("*")), "not generated again", "nothing in quarantine")


CAMPAIGN = Campaign(
    name="damage",
    promise="Whatever happens to the bytes of payload or record, a load with default settings notices it, calls it "
    "CorruptArtifactError and serves nothing; damage to the lineage is noticed by whoever reads it.",
    faults=("silent", "misnamed", "unseen by check()", "intact refused", "not generated again"),
    cases=installed,
    run=_run,
)
