"""Finding litter by sums over bins: exact for every mixture of names, in memory that does not grow with the folder."""

import hashlib
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistable import litter
from persistable.litter import suspects


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def names_of(number: int, *, records: int = 1, payloads: int = 1, lineage: bool = False) -> list[str]:
    """The file names of an artifact, with as many payloads as wanted."""
    found = [f"{key(number)}.json"] * records + [f"{key(number)}-{n:08x}.pickle" for n in range(payloads)]
    return found + [f"{key(number)}.lineage.json"] * lineage


def expected(names: list[str]) -> set[str]:
    """What may be litter by the definition: what lies beside no record, or beside several payloads."""
    payloads = Counter(name[:32] for name in names if name[32] == "-")
    return {
        name
        for name in names
        if not name.endswith(".json") or ".lineage." in name
        if f"{name[:32]}.json" not in names or payloads[name[:32]] > 1
    }


artifacts = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.booleans()), max_size=12)


@pytest.mark.parametrize("at_once", [1, 3, 1000])
@pytest.mark.parametrize("bins", [1, 2])
@given(artifacts)
def test_it_is_what_the_definition_says(bins: int, at_once: int, kinds: list[tuple[bool, int, bool]]) -> None:
    """Whatever records, payloads and lineages there are, also where many keys share a bin, in portions of any size."""
    names = [
        name
        for number, (record, payloads, lineage) in enumerate(kinds)
        for name in names_of(number, records=record, payloads=payloads, lineage=lineage)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litter, "_AT_ONCE", at_once)
        patch.setattr(litter, "_BINS", bins)
        patch.setattr(litter, "_bin", lambda key: int(key[0], 16) % bins)
        found = list(suspects(lambda: iter(names)))
    assert sorted(found) == sorted(expected(names))


def test_whole_artifacts_are_looked_at_once_and_not_held() -> None:
    """Names are taken one by one; ten times as many take no more memory."""
    calls = []

    def peak(count: int) -> int:
        def names() -> Iterator[str]:
            calls.append(count)
            for number in range(count):
                yield from names_of(number)

        tracemalloc.start()
        assert list(suspects(names)) == []
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(5000) < peak(500) + 200_000
    assert calls == [5000, 500]


def test_keys_that_are_not_random_are_told_apart() -> None:
    """A payload of the key 0 is litter like any other, and foreign names are nobody's business."""
    zero = f"{'0' * 32}-00000000.npy"
    names = [zero, "notes.txt", "log.txt", ".lock", ".tmp-x", *names_of(1)]
    assert list(suspects(lambda: iter(names))) == [".tmp-x", zero]
