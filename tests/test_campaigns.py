"""The short version of every campaign; the full ones with ``-m campaign`` or ``python -m tests.campaigns --full``."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from campaigns import (
    damage,
    failures,
    full_disk,
    identities,
    kills,
    owners,
    planted,
    power,
    readers,
    samples,
    signals,
    stampede,
    syscalls,
)
from campaigns.campaign import Campaign, Setting, Tally, Unavailable
from campaigns.roster import CAMPAIGNS
from campaigns.runner import main
from campaigns.scoreboard import Scoreboard

from persistable import ArtifactStore, Persistable

CASES = [
    pytest.param(campaign, case, id=f"{campaign.name}/{case}") for campaign in CAMPAIGNS for case in campaign.cases()
]


def run(campaign: Campaign, case: str, folder: Path, **setting: Any) -> Tally:
    """Run one case, or skip with the reason why it cannot be."""
    try:
        return campaign.run(Setting(folder, **setting), case)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(("campaign", "case"), CASES)
def test_short_campaign(campaign: Campaign, case: str, tmp_path: Path) -> None:
    """The promise of the campaign holds in a few rounds."""
    tally = run(campaign, case, tmp_path)
    assert tally.rounds > 0
    assert not tally.faults, tally.examples
    assert set(tally.faults) <= set(campaign.faults)


@pytest.mark.campaign
@pytest.mark.parametrize(("campaign", "case"), CASES)
def test_full_campaign(campaign: Campaign, case: str, tmp_path: Path) -> None:
    """The promise of the campaign holds in all rounds."""
    tally = run(campaign, case, tmp_path, full=True)
    assert not tally.faults, tally.examples


# -- every campaign would notice


def test_damage_notices_what_is_not_verified(tmp_path: Path) -> None:
    """Without digests, damaged payloads are served, and the campaign counts them."""
    assert run(damage.CAMPAIGN, "text", tmp_path, options={"verify": "off"}).faults["silent"] > 10


def test_planted_notices_what_is_trusted(tmp_path: Path) -> None:
    """Where everybody is trusted, planted code runs, and the campaign counts it."""
    assert run(planted.CAMPAIGN, "code", tmp_path, options={"trust": "all"}).faults["executed"] > 10


def test_power_notices_what_is_not_flushed(tmp_path: Path) -> None:
    """Without flushes, acknowledged commits are lost, and the campaign counts them."""
    assert run(power.CAMPAIGN, "ext4", tmp_path, options={"durability": "fast"}).faults["acknowledged lost"] > 0


def test_stampede_notices_missing_locks(tmp_path: Path) -> None:
    """Without locks several generate, and the campaign counts it."""
    with mock.patch("fcntl.fcntl", side_effect=OSError(errno.ENOLCK, "no locks")):
        assert run(stampede.CAMPAIGN, "8 threads", tmp_path).faults["generated twice"] > 0


def keeping(name: str) -> Callable[..., None]:
    """Return a deletion that never deletes staged files."""
    real = getattr(os, name)
    return lambda path, **options: None if ".tmp-" in os.fspath(path) else real(path, **options)


@pytest.mark.parametrize(
    ("campaign", "fault"),
    [
        (full_disk.CAMPAIGN, "old lost or garbage"),
        (failures.CAMPAIGN, "old lost or garbage"),
        (signals.CAMPAIGN, "temps left"),
        (syscalls.CAMPAIGN, "garbage after a reported error"),
    ],
    ids=lambda given: getattr(given, "name", given),
)
def test_litter_is_noticed(campaign: Campaign, fault: str, tmp_path: Path) -> None:
    """Where staged files are not removed, the campaigns that promise no garbage count it."""
    with mock.patch.object(os, "unlink", keeping("unlink")):
        assert run(campaign, "pickle" if campaign is failures.CAMPAIGN else "text", tmp_path).faults[fault] > 0


def test_kills_notice_what_is_lost_and_what_is_left(tmp_path: Path) -> None:
    """A persist that does nothing loses what it acknowledged; a sweep that does nothing leaves something."""
    with mock.patch.object(Persistable, "persist"):
        assert run(kills.CAMPAIGN, "text", tmp_path / "lost").faults["acknowledged lost"] > 0
    with mock.patch.object(ArtifactStore, "sweep"):
        assert run(kills.CAMPAIGN, "text", tmp_path / "left").faults["left after a sweep"] > 0


def test_kills_notice_a_sweep_of_what_is_being_written(tmp_path: Path) -> None:
    """A sweep that takes the living for dead fails their commits, and the campaign counts it."""
    with mock.patch("persistable.upkeep.alive", return_value=False):
        assert run(kills.CAMPAIGN, "one store", tmp_path).faults["wrong"] > 0


def test_syscalls_notice_what_is_not_told(tmp_path: Path) -> None:
    """Where a flush that fails is taken for one, the campaign counts an error that nobody was told of."""
    real = os.fsync

    def swallowing(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            real(descriptor)

    with mock.patch.object(os, "fsync", swallowing):
        assert run(syscalls.CAMPAIGN, "pickle", tmp_path).faults["unreported"] > 0


def test_syscalls_notice_a_fault_that_does_not_strike(tmp_path: Path) -> None:
    """A call that was counted and does not come again was not tried, and the campaign counts it."""
    real = syscalls._points

    def shifted(*given: Any) -> Any:
        return (point._replace(number=point.number + 1000) for point in real(*given))

    with mock.patch.object(syscalls, "_points", shifted):
        assert run(syscalls.CAMPAIGN, "pickle", tmp_path).faults["missed"] > 0


def test_owners_notice_what_is_generated_in_vain(tmp_path: Path) -> None:
    """Where nobody looks whether a folder can be written to, payloads are generated that cannot be persisted."""
    with mock.patch.object(os, "access", return_value=True):
        assert run(owners.CAMPAIGN, "read-only folder", tmp_path).faults["generated in vain"] > 0


def test_planted_notices_a_signature_that_is_not_looked_at(tmp_path: Path) -> None:
    """Where any signature is a good one, what somebody else has signed is served, and the campaign counts it."""
    with mock.patch("persistable.signing.SigningKey.verifies", return_value=True):
        faults = run(planted.CAMPAIGN, "signed", tmp_path).faults
    assert faults["served"] > 2
    assert faults["executed"] > 0


def test_identities_notice_keys_that_are_wrong(tmp_path: Path) -> None:
    """Keys cut to one byte collide, and keys that depend on the hash seed are unstable."""

    def spoiled(setting: Setting, first: int, count: int, hash_seed: int) -> bytes:
        answers = bytearray(real(setting, first, count, hash_seed))
        for at in range(0, len(answers), 32):
            answers[at : at + 15] = bytes(15)  # of the key's sixteen
        answers[0] = hash_seed % 256
        return bytes(answers)

    real = identities._answers
    with mock.patch.object(identities, "_answers", spoiled), mock.patch.object(identities, "_SHORT", 1000):
        tally = run(identities.CAMPAIGN, "trees", tmp_path)
    assert tally.faults["collisions"] > 0
    assert tally.faults["unstable"] == 1


def test_owners_notice_whoever_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everybody is trusted, the pickle of somebody else is loaded, and the campaign counts it."""
    monkeypatch.setenv("PERSISTABLE_TRUST", "all")
    assert run(owners.CAMPAIGN, "somebody else's", tmp_path).faults["trusted"] == 1


def test_readers_notice_a_payload_of_two_halves(tmp_path: Path) -> None:
    """Payloads that are put together from two are torn, and the campaign counts them."""
    whole = samples.SAMPLES["text"]

    def halves(number: int, size: int) -> str:
        return whole.make(number, size)[: size // 2] + whole.make(number + 1, size)[size // 2 :]

    def writing(setting: Setting, root: Path, sample: Any) -> None:
        real(setting, root, sample._replace(make=halves))

    real = readers._write
    with mock.patch.object(readers, "_write", writing):
        assert run(readers.CAMPAIGN, "text", tmp_path).faults["torn"] > 0


# -- runner and scoreboard


def test_runner_keeps_the_scoreboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Results are merged into JSON and Markdown; progress goes to stderr, and known results can be passed over."""
    wanted = ["--out", str(tmp_path), "--only", "failures/json", "--only", "failures/text"]
    assert main(wanted) == 0
    assert main([*wanted, "--only", "failures/pickle", "--resume"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "failures/json: known" in said.err
    assert "failures/pickle: 8 rounds" in said.err
    board = json.loads((tmp_path / "reliability-scoreboard.json").read_text())
    assert set(board["failures"]) == {"json", "text", "pickle"}
    page = (tmp_path / "reliability-scoreboard.md").read_text()
    assert page.startswith("# Scoreboard\n")
    assert "| json | short | 8 | 0 | 0 | 0 | 0 |" in page
    assert str(tmp_path) not in page + json.dumps(board)


def test_runner_knows_its_campaigns(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt campaign is an error, and all can be listed."""
    assert main(["--only", "kill"]) == 2
    assert "kill" in capsys.readouterr().err
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{campaign.name}: " in listed for campaign in CAMPAIGNS)


def test_scoreboard_keeps_what_says_more(tmp_path: Path) -> None:
    """A short result or a reason not to run does not replace a full result; a full one does."""
    board, options = Scoreboard(tmp_path), {"seed": 1, "seconds": 1.0, "known": CAMPAIGNS}
    full, short = Tally(), Tally()
    full.rounds, short.rounds = 100, 5
    board.add("kills", "npy", "no disk", full=True, **options)
    assert not board.has("kills", "npy", full=True, seed=1)
    assert "npy was not run: no disk" in (tmp_path / "reliability-scoreboard.md").read_text()
    board.add("kills", "npy", full, full=True, **options)
    board.add("kills", "npy", short, full=False, **options)
    board.add("kills", "npy", "no disk", full=True, **options)
    again = Scoreboard(tmp_path)
    assert again.results["kills"]["npy"]["rounds"] == 100
    assert again.has("kills", "npy", full=True, seed=1)
    assert not again.has("kills", "npy", full=True, seed=2)
    again.results["kills"]["npy"]["code"] = "older"
    assert not again.has("kills", "npy", full=True, seed=1)
    full.rounds = 200
    again.add("kills", "npy", full, full=True, **options)
    assert Scoreboard(tmp_path).results["kills"]["npy"]["rounds"] == 200
