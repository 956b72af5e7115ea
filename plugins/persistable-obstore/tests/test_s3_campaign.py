"""Killed and racing processes on S3: what is loaded is whole, nothing is lost, and a sweep takes what is left."""

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import proxy
from servers.moto import Moto
from specimens import blob, until

from persistable import ArtifactStore
from persistable.exceptions import MissingArtifactError
from persistable.naming import slug

HERE = Path(__file__).parent
PARTS: dict[str, Any] = {"part_size": 5 << 20, "concurrency": 2}
SIZES = (10, 5_000, 300_000, 12_000_000, 30_000_000)  # bytes, of which the last is uploaded in parts
RACERS = 16


@contextlib.contextmanager
def nursery(url: str, options: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Run nursery.py until the block is left; yield a function that gives it an order and returns its answer."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "nursery.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def order(*words: Any) -> Any:
            print(json.dumps(words), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        print(json.dumps({"url": url, "options": options}), file=process.stdin, flush=True)
        yield order
        process.stdin.close()


def is_whole(payload: bytes) -> bool:
    return len(payload) >= 8 and payload == payload[:8] * (len(payload) // 8)


def kills(moto: Moto, times: int, seed: int) -> dict[str, int]:
    """Kill a persisting process that many times; return what was seen, and assert what has to hold."""
    chance, bucket = random.Random(seed), moto.bucket()
    url, options = f"s3://{bucket}/prefix", moto.options | PARTS
    store = ArtifactStore(url, storage_options=options, trust="all", cache="off")
    seen = {"kills": 0, "missing": 0, "orphans": 0, "open uploads": 0, "swept": 0}
    stands = False
    with nursery(url, options) as order:
        seconds = {size: order("persist", size) for size in SIZES}
        for number in range(times):
            size = chance.choice(SIZES)
            order("kill", number * 1000, size, chance.random() * 1.5 * seconds[size])
            seen["kills"] += 1
            made = blob(store, upstream=True)
            try:
                made.load()
            except MissingArtifactError:
                assert not stands, "an artifact was lost"
                seen["missing"] += 1
            else:
                stands = True
                assert is_whole(made.payload), "a torn payload"
            if number % 10 == 9:
                seen["open uploads"] += len(moto.uploads(bucket))
                seen["orphans"] += len(payloads(store)) - stands
                seen["swept"] += sweep(moto, bucket, store, stands)
    sweep(moto, bucket, store, stands)
    made = blob(store, upstream=True)
    made.load()
    folder = slug(made.payload_name)
    files = (f"{made.key}.json", f"{made.key}.lineage.json", made.record.main_path)
    expected = {f"{folder}/{name}" for name in files}
    assert {entry.name for entry in store.storage.list()} == expected
    assert moto.uploads(bucket) == []
    assert [finding.problem for finding in store.check()] == [None]
    return seen


def sweep(moto: Moto, bucket: str, store: ArtifactStore, stands: bool) -> int:
    """Sweep until one payload is left, and return how much went; the server may still be at a last request."""
    swept = 0

    def is_tidy() -> bool:
        nonlocal swept
        swept += len(store.sweep(grace=0).names)
        return moto.uploads(bucket) == [] and len(payloads(store)) == stands

    until(is_tidy, 20)
    return swept


def payloads(store: ArtifactStore) -> list[str]:
    return [entry.name for entry in store.storage.list() if entry.name.endswith(".pickle")]


def test_kills_while_persisting(moto: Moto) -> None:
    """Twenty processes are killed while they upload: old or new is loaded, and a sweep takes the rest."""
    seen = kills(moto, 20, seed=1)
    assert seen["orphans"] + seen["open uploads"] > 0, "no kill came at an interesting moment"


def test_open_uploads_are_swept(moto: Moto) -> None:
    """Those of the store that are older than the grace are aborted; what is not the store's is left alone."""
    bucket = moto.bucket()
    names = {"prefix/blob/payload.bin": True, "prefix/Not Ours/name": False, "elsewhere/blob/payload.bin": False}
    for name in names:
        moto.client.create_multipart_upload(Bucket=bucket, Key=name)
    store = ArtifactStore(f"s3://{bucket}/prefix", storage_options=moto.options, cache="off")
    century = 100 * 365 * 86_400.0  # moto dates every upload to 2010
    assert store.sweep(grace=century).names == ()
    assert sorted(moto.uploads(bucket)) == sorted(names)
    assert store.sweep(grace=0).names == ("blob/payload.bin",)
    assert sorted(moto.uploads(bucket)) == sorted(name for name, is_ours in names.items() if not is_ours)


@pytest.mark.campaign
def test_kill_campaign(moto: Moto, capsys: pytest.CaptureFixture[str]) -> None:
    """Two hundred kills."""
    seen = kills(moto, 200, seed=2)
    with capsys.disabled():
        print(f"\n{seen}")  # noqa: T201 - the figures are what a campaign is for
    assert seen["open uploads"] > 0, "no kill came while parts were uploaded"
    assert seen["orphans"] > 0


@pytest.mark.parametrize("size", [1000, 30_000_000])
def test_racing_processes_generate_once(moto: Moto, size: int) -> None:
    """Of sixteen processes that need one payload one generates and commits it, and all get that."""
    bucket = moto.bucket()
    with nursery(f"s3://{bucket}/prefix", moto.options | PARTS) as order:
        outcomes = order("race", RACERS, size)
    assert sum(outcome["generated"] for outcome in outcomes) == 1
    assert len({outcome["payload"] for outcome in outcomes}) == 1
    assert all(outcome["whole"] and not outcome["warnings"] for outcome in outcomes)
    store = ArtifactStore(f"s3://{bucket}/prefix", storage_options=moto.options, trust="all", cache="off")
    assert len(payloads(store)) == 1
    assert {entry.name.rpartition("/")[2][:1] for entry in store.storage.list()}.isdisjoint("."), "a lease is left"


def test_racing_processes_without_conditions(moto: Moto) -> None:
    """An endpoint that ignores conditions is told once by each process; work may be done twice, and never wrongly."""
    bucket = moto.bucket()
    with proxy.before(moto.port) as line:
        line.replacing = {b"if-none-match:": b"no-condition-:", b"if-match:": b"no-cond-:"}
        options = moto.options | PARTS | {"endpoint": line.endpoint}
        with nursery(f"s3://{bucket}/prefix", options) as order:
            outcomes = order("race", RACERS, 1000)
        generated = {outcome["payload"] for outcome in outcomes if outcome["generated"]}
        assert len(generated) >= 1
        assert {outcome["payload"] for outcome in outcomes} <= set(range(RACERS))
        assert all(outcome["whole"] for outcome in outcomes)
        assert {outcome["warnings"] for outcome in outcomes} <= {0, 1}
        assert all(outcome["warnings"] == 1 for outcome in outcomes if outcome["generated"])
        store = ArtifactStore(f"s3://{bucket}/prefix", storage_options=options, trust="all", cache="off")
        standing = blob(store)
        standing.load()
        assert int(standing.payload[:8]) in generated
        assert is_whole(standing.payload)
        assert [finding.problem for finding in store.check()] == [None]
        store.sweep(grace=0)
        assert len(payloads(store)) == 1
