"""Litter: the names in a folder of artifacts that no record may name, found in memory that does not grow with it.

An artifact is one record and one payload, and with dependencies one lineage. Names are dealt to bins by their keys, and
of a bin nothing is kept but three sums: of the keys that have a record, a payload, a lineage. Where the first two
agree, and the third is the same or nothing, all keys of the bin are whole, up to one chance in 2**63 per bin: then
litter stays. The names of the other bins are looked at one by one, some bins at a time.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator

from persistable.naming import STAGED, key_beside, key_of_payload, part_of, record_name

__all__ = ["suspects"]

_BINS = 16**3
_AT_ONCE = 1 << 17  # names that are held
_MODULUS = 1 << 64


def suspects(names: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Yield the names that may be litter: what is staged, and what belongs to a key that is not whole.

    ``names`` yields all names of a folder; it is called again for what needs a second look. Names that come and go
    meanwhile may be yielded or not, and who is about to delete something looks again under the lock of its key.
    """
    records, payloads, lineages, counts = (array("Q", bytes(8 * _BINS)) for _ in range(4))
    sums = {"record": records, "payload": payloads, "lineage": lineages}
    for name in names():
        found = part_of(name)
        if found is not None:
            key, part = found
            place, of_part = _bin(key), sums[part]
            of_part[place] = (of_part[place] + (int(key[:16], 16) | 1)) % _MODULUS
            counts[place] += 1
        elif name.startswith(STAGED):
            yield name
    for some in _portions(
        (place, counts[place])
        for place in range(_BINS)
        if records[place] != payloads[place] or lineages[place] not in (0, records[place])
    ):
        yield from _not_whole([name for name in names() if part_of(name) and _bin(name) in some])


def _bin(key: str) -> int:
    return int(key[16:19], 16)


def _portions(bins: Iterator[tuple[int, int]]) -> Iterator[set[int]]:
    """Yield bins, given with how many names are in them, together as long as these are few enough to be held."""
    some, held = set[int](), 0
    for place, count in bins:
        if some and held + count > _AT_ONCE:
            yield some
            some, held = set(), 0
        some.add(place)
        held += count
    if some:
        yield some


def _not_whole(names: list[str]) -> list[str]:
    """Return the payloads and lineages of keys that have no record, or several payloads."""
    there, payloads = set(names), Counter(map(key_of_payload, names))
    return sorted(
        name for name in names if (key := key_beside(name)) and (record_name(key) not in there or payloads[key] > 1)
    )
