"""Verifying a store: in parallel, with progress, resumable; it only reads unless it is told to quarantine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dict_storage import DictStorage
from specimens import artifact_files, blob, fast, files, stored

from persistable import ArtifactStore, upkeep
from persistable.digest import digest_of
from persistable.exceptions import MissingArtifactError
from persistable.local import Folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store of 20 artifacts."""
    for n in range(20):
        stored(fast(tmp_path / "data"), {"n": n}, payload_name=f"blob_{n % 3}", n=n)
    return tmp_path / "data"


def damaged(path: Path) -> Path:
    """Flip a bit of a file."""
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    return path


def payload_of(data: Path, at: int = 0) -> Path:
    return sorted(path for path in data.rglob("*.pickle"))[at]


@pytest.mark.parametrize("workers", [1, 4])
def test_it_reports_and_changes_nothing(data: Path, workers: int) -> None:
    """Each artifact is reported once, what is damaged with its file and reason; no file changes."""
    bad = damaged(payload_of(data))
    before = files(data)
    told: list[tuple[int, int]] = []
    found = list(fast(data).check(workers=workers, progress=lambda *numbers: told.append(numbers)))
    assert len({finding.key for finding in found}) == len(found) == 20
    problems = [finding for finding in found if finding.problem]
    assert [(finding.key, finding.quarantined) for finding in problems] == [(bad.name[:32], False)]
    assert problems[0].problem is not None
    assert problems[0].problem.startswith(f"{bad} has the digest")
    assert files(data) == before
    assert [done for done, _ in told] == list(range(1, 21))
    assert told[-1][1] == sum(finding.bytes for finding in found)


def test_it_quarantines_what_is_damaged_and_nothing_else(data: Path) -> None:
    """Payload and record of a damaged artifact move; the others, and one with a damaged lineage, stay."""
    bad, bare = damaged(payload_of(data)), damaged(next(data.rglob("*.json")))
    found = {finding.key: finding for finding in fast(data).check(quarantine=True)}
    gone = {bad.name[:32], bare.name[:32]}
    assert {key for key, finding in found.items() if finding.quarantined} == gone
    assert not bad.exists()
    assert not bare.exists()
    assert len([path for path in data.rglob("quarantine/*") if path.suffix == ".json"]) == len(gone)
    assert [finding.problem for finding in fast(data).check()] == [None] * (20 - len(gone))


@pytest.mark.parametrize(("moment", "judged"), [(60.0, 3), (0.0, 20)])
def test_a_folder_is_judged_once_for_all_of_a_moment(
    data: Path, monkeypatch: pytest.MonkeyPatch, moment: float, judged: int
) -> None:
    """Not for each artifact, unless each takes as long as that; whatever is damaged is looked at anew."""
    entered: list[str] = []
    real = ArtifactStore.enter

    def watched(self: ArtifactStore, folder: str) -> Any:
        entered.append(folder)
        return real(self, folder)

    monkeypatch.setattr(ArtifactStore, "enter", watched)
    monkeypatch.setattr("persistable.verification._MOMENT", moment)
    assert [finding.problem for finding in fast(data).check(workers=1)] == [None] * 20
    assert len(entered) == judged
    damaged(payload_of(data))
    assert len([finding for finding in fast(data).check(workers=1) if finding.problem]) == 1
    assert len(entered) == 2 * judged + 1


def test_an_error_of_the_listing_is_raised(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be listed ends the verification with the system's error, after what came before it."""

    def listing(_: object) -> Any:
        yield from found[:5]
        raise PermissionError(13, "Permission denied", "blob_1")

    found = list(upkeep.records(fast(data)))
    monkeypatch.setattr("persistable.verification.records", listing)
    monkeypatch.setattr("persistable.verification._MOMENT", 0.0)
    told: list[str] = []
    with pytest.raises(PermissionError, match="blob_1"):
        told.extend(finding.key for finding in fast(data).check(workers=3))
    assert set(told) <= {name.partition("/")[2][:32] for name in found[:5]}


def test_a_damaged_lineage_is_reported_and_the_artifact_stays(tmp_path: Path) -> None:
    """It does not spoil the payload."""
    store = fast(tmp_path)
    made = stored(store, 2, upstream=True)
    damaged(next(tmp_path.rglob("*.lineage.json")))
    (finding,) = [finding for finding in store.check(quarantine=True) if finding.problem]
    assert (finding.key, finding.quarantined) == (made.key, False)
    made.load()


def test_an_interrupted_verification_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Payloads that were found whole are not read again, unless their record changed; at the end the notes go."""
    notes = tmp_path / "notes"
    opened: list[str] = []
    real = Folder.open

    def watched(self: Folder, name: str) -> Any:
        opened.append(name)
        return real(self, name)

    monkeypatch.setattr(Folder, "open", watched)
    interrupted = fast(data).check(workers=1, resume=notes)
    whole = [next(interrupted).key for _ in range(12)]
    interrupted.close()
    assert len(notes.read_text().splitlines()) == 1 + 12
    with notes.open("a") as file:
        file.write("xxh3_128:cut off in the mid")
    opened.clear()
    found = list(fast(data).check(workers=1, resume=notes))
    assert len(found) == 20
    assert not [name for name in opened if name.endswith(".pickle") and name[:32] in whole]
    assert not notes.exists()
    opened.clear()
    list(fast(data).check(workers=1))
    assert len([name for name in opened if name.endswith(".pickle")]) == 20


def test_what_changed_meanwhile_is_verified_again(data: Path, tmp_path: Path) -> None:
    """Notes are about the record that was read then."""
    notes = tmp_path / "notes"
    interrupted = fast(data).check(workers=1, resume=notes)
    first = next(interrupted)
    interrupted.close()
    folder = Path(first.path).parent
    made = next(
        candidate
        for n in range(20)
        if (candidate := blob(fast(data), payload_name=f"blob_{n % 3}", n=n)).key == first.key
    )
    made.generate(value={"n": -1})
    damaged(Path(made.persist_filepath))
    problems = [finding.key for finding in fast(data).check(resume=notes) if finding.problem]
    assert problems == [first.key]
    assert folder.is_dir()


def test_remote_stores_are_verified_too(tmp_path: Path) -> None:
    """Payloads are downloaded, compared and removed; the damaged record is copied to quarantine."""
    place = DictStorage(f"dict://{tmp_path}")
    store = ArtifactStore(place, trust="all", cache=tmp_path)
    made = [stored(store, n, n=n) for n in range(3)]
    name = f"{made[0].payload_name}/{made[0].record.main_path}"
    place.put(name, b"x" * len(place.objects[name][0]))
    found = {finding.key: finding for finding in store.check(quarantine=True)}
    assert [bool(found[one.key].problem) for one in made] == [True, False, False]
    assert found[made[0].key].quarantined
    assert list((tmp_path / "staging").iterdir()) == []


def test_the_command(data: Path, tmp_path: Path) -> None:
    """Problems on stdout, progress on stderr, status 1 if there are any; a line of JSON for each artifact."""
    command = [sys.executable, "-m", "persistable", "verify", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "20 artifacts" in done.stderr
    bad = damaged(payload_of(data))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(bad) in done.stdout
    done = subprocess.run([*command, "--json", "--quarantine"], capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 20
    assert [row["key"] for row in rows if row["quarantined"]] == [bad.name[:32]]


def test_the_sweep_command(data: Path) -> None:
    """What a killed process left goes, and is named."""
    left = data / "blob_0" / f"{'0' * 32}-12345678.pickle"
    left.write_bytes(b"left")
    command = [sys.executable, "-m", "persistable", "sweep", str(data)]
    kept = artifact_files(data)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0 swept")
    dry = subprocess.run([*command, "--grace", "0", "--dry-run"], capture_output=True, text=True, check=True)
    assert dry.stdout == f"blob_0/{left.name}\n1 would be swept, 0.0 MB\n"
    assert artifact_files(data) == kept
    done = subprocess.run([*command, "--grace", "0", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"names": [f"blob_0/{left.name}"], "bytes": 4}
    assert not left.exists()
    assert len(artifact_files(data)) == len(kept) - 1


def test_quarantine_is_swept_after_its_own_grace(data: Path) -> None:
    """What was put aside stays for 30 days by default, however old the rest is that goes."""
    damaged(payload_of(data))
    store = fast(data)
    list(store.check(quarantine=True))
    aside = list(data.rglob("quarantine/*"))
    assert aside
    assert store.sweep(grace=0).names == ()
    assert len(store.sweep(grace=0, quarantined=0).names) == len(aside)
    with pytest.raises(MissingArtifactError):
        blob(store, payload_name="nothing").load()


def rewritten(record: Path, old: bytes, new: bytes) -> None:
    """Change a record, and its check with it."""
    body = record.read_bytes()
    body = body[: body.rindex(b'"check"')]
    assert old in body
    body = body.replace(old, new, 1)
    record.write_bytes(body + f'"check": "{digest_of(body)}"\n}}\n'.encode())


@pytest.mark.parametrize(
    ("old", "new", "problem", "damage"),
    [
        (b'"record_schema": 1', b'"record_schema": 99', "has the unknown record schema 99", False),
        (b'"n":1', b'"n":2', "has an identity of another key", True),
    ],
)
def test_a_record_that_is_whole_and_wrong_is_reported(
    tmp_path: Path, old: bytes, new: bytes, problem: str, damage: bool
) -> None:
    """One of a newer persistable is no damage, and stays where it is; a key that is not its identity's is."""
    store = fast(tmp_path)
    stored(store)
    record = next(tmp_path.rglob("*.json"))
    rewritten(record, old, new)
    [finding] = store.check(quarantine=True)
    assert problem in str(finding.problem)
    assert (finding.quarantined, record.exists()) == (damage, not damage)


def test_a_lineage_that_is_gone_or_another_is_reported(tmp_path: Path) -> None:
    """The file is named; the artifact stays, as its payload is whole."""
    store = fast(tmp_path)
    stored(store, upstream=True)
    lineage = next(tmp_path.rglob("*.lineage.json"))
    content = lineage.read_bytes()
    lineage.unlink()
    [finding] = [finding for finding in store.check(quarantine=True) if finding.problem]
    assert (finding.problem, finding.quarantined) == (f"{lineage} is missing", False)
    key = next(iter(json.loads(content)))
    lineage.write_bytes(content.replace(key.encode(), b"0" * 32, 1))
    record = lineage.with_name(lineage.name.replace(".lineage", ""))
    rewritten(record, digest_of(content).encode(), digest_of(lineage.read_bytes()).encode())
    [finding] = [finding for finding in store.check(quarantine=True) if finding.problem]
    assert (finding.problem, finding.quarantined) == (f"{lineage} has an identity of another key at {'0' * 32}", False)


@pytest.mark.parametrize("what", ["identity", "lineage"])
def test_a_hostile_artifact_does_not_end_the_verification(tmp_path: Path, what: str) -> None:
    """Whoever can make a check can make any record: it is reported, and the others are verified."""
    store = fast(tmp_path)
    hostile, good = stored(store, 1, upstream=True), stored(store, 2, n=2)
    record = next(tmp_path.rglob(f"{hostile.key}.json"))
    if what == "identity":
        rewritten(record, b'"params": {', b'"params": {"x": 1e999,')
    else:
        lineage = next(tmp_path.rglob("*.lineage.json"))
        rewritten(record, digest_of(lineage.read_bytes()).encode(), digest_of(b"[1]").encode())
        lineage.write_bytes(b"[1]")
    found = {finding.key: finding.problem for finding in store.check()}
    assert found[good.key] is None
    assert "cannot be verified" in str(found[hostile.key])
