"""Stores that are read-only, unreadable, or somebody else's."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from specimens import NOBODY, blob, files, in_child, stored

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.children import mounted, open_folder, own_mounts, require_root, unmounted
from campaigns.samples import SAMPLES, installed
from persistable import ArtifactStore
from persistable.exceptions import UntrustedArtifactError

__all__ = ["CAMPAIGN"]

_EXECUTES = ("pickle",)


def _filled(root: Path, tally: Tally) -> None:
    """Store an artifact of every format: number 1, with the format as its payload name. All is imported, too."""
    for name in installed():
        tally.rounds += 1
        stored(ArtifactStore(root), SAMPLES[name].make(1, 2_000), payload_io=name, payload_name=name).load()


def _hits(tally: Tally, store: ArtifactStore, where: str, refused: tuple[str, ...] = ()) -> None:
    """Load every format; those that are to be refused raise UntrustedArtifactError."""
    for name in installed():
        fresh = blob(store, payload_io=name, payload_name=name)
        try:
            fresh.load()
        except UntrustedArtifactError as error:
            tally.require(name in refused, "hit refused", f"{where}, {name}: {error!r}")
            tally.saw("refused as untrusted", name in refused)
        except Exception as error:  # noqa: BLE001 - counted
            tally.fault("hit refused", f"{where}, {name}: {error!r}")
        else:
            tally.require(name not in refused, "trusted", f"{where}, {name}")
            tally.require(SAMPLES[name].number(fresh.payload) == 1, "wrong", f"{where}, {name}")
            tally.saw("hits")


def _misses(tally: Tally, store: ArtifactStore, where: str) -> None:
    """Ask for what is not there: a PermissionError before anything is generated."""
    for use, name in itertools.product(
        ("load_generate", "generate"), ("other", "pickle")
    ):  # of a new folder, and of one
        ran: list[int] = []
        made = blob(store, n=2, payload_name=name)
        try:
            getattr(made, use)(value=lambda ran=ran: ran.append(1))
        except PermissionError:
            tally.saw("misses refused")
        except Exception as error:  # noqa: BLE001 - counted
            tally.fault("mistyped", f"{where}, {use} of {name}: {error!r}")
        else:
            tally.fault("mistyped", f"{where}, {use} of {name}: no error")
        tally.require(not ran, "generated in vain", f"{where}, {use} of {name}")


def _read_only_folder(tally: Tally, folder: Path) -> None:
    _filled(folder / "data", tally)
    before = files(folder)

    def work() -> Tally:
        mine = Tally()
        _hits(mine, ArtifactStore(folder / "data"), "read-only folder")  # what root wrote, everybody trusts
        _misses(mine, ArtifactStore(folder / "data"), "read-only folder")
        return mine

    _add(tally, in_child(work, uid=NOBODY))
    tally.require(files(folder) == before, "changed", "read-only folder")


def _read_only_file_system(tally: Tally, folder: Path) -> None:
    _filled(folder / "data", tally)
    (folder / "seen").mkdir()

    def work() -> Tally:
        own_mounts()
        mounted("--bind", folder / "data", folder / "seen")
        mounted("-o", "remount,bind,ro", folder / "seen")
        mine = Tally()
        try:
            _hits(mine, ArtifactStore(folder / "seen"), "read-only file system")
            _misses(mine, ArtifactStore(folder / "seen"), "read-only file system")
        finally:
            unmounted(folder / "seen")
        return mine

    _add(tally, in_child(work))


def _unreadable(tally: Tally, folder: Path) -> None:
    """What cannot be read is an error and no miss: nothing is generated over it, although that could be persisted."""
    root = folder / "data"
    _filled(root, tally)
    for path in [root, *root.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
        if path.is_file() and path.name != ".lock":
            path.chmod(0)

    def work() -> Tally:
        mine = Tally()
        for name in installed():
            ran: list[int] = []
            made = blob(ArtifactStore(root), payload_io=name, payload_name=name)
            try:
                made.load_generate(value=lambda ran=ran: ran.append(1))
            except PermissionError:
                mine.saw("errors that are no misses")
            except Exception as error:  # noqa: BLE001 - counted
                mine.fault("mistyped", f"unreadable, {name}: {error!r}")
            mine.require(not ran, "generated in vain", f"unreadable, {name}")
        return mine

    _add(tally, in_child(work, uid=NOBODY))


def _somebody_elses(tally: Tally, folder: Path) -> None:
    root = folder / "data"
    _filled(root, tally)
    for path in [root, *root.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    executing = tuple(name for name in installed() if name in _EXECUTES)
    _hits(tally, ArtifactStore(root), "foreign", refused=executing)
    _hits(tally, ArtifactStore(root, trust="data-only"), "foreign, data-only", refused=executing)
    _hits(tally, ArtifactStore(root, trust=[NOBODY]), "foreign, trusted")
    _hits(tally, ArtifactStore(root, trust="all"), "foreign, all trusted")

    def work() -> Tally:
        mine = Tally()
        _hits(mine, ArtifactStore(root), "the owner's own")
        return mine

    _add(tally, in_child(work, uid=NOBODY))


def _add(tally: Tally, other: Any) -> None:
    for name, times in other.faults.items():
        tally.faults[name] += times
    tally.examples += other.examples
    for name, times in other.seen.items():
        tally.saw(name, times)


_CASES: dict[str, Callable[[Tally, Path], None]] = {
    "read-only folder": _read_only_folder,
    "read-only file system": _read_only_file_system,
    "unreadable files": _unreadable,
    "somebody else's": _somebody_elses,
}


def _run(setting: Setting, case: str) -> Tally:
    """Fill a store with every format, and use it as somebody who may not do everything."""
    require_root("giving files to others")
    tally = Tally()
    with open_folder() as folder:
        _CASES[case](tally, folder)
    return tally


CAMPAIGN = Campaign(
    name="owners",
    promise="A store that cannot be written to serves its hits and refuses a miss before generating; what cannot be "
    "read is an error, never a miss; formats that can run code are refused if somebody else wrote them.",
    faults=("wrong", "hit refused", "trusted", "mistyped", "generated in vain", "changed"),
    cases=lambda: list(_CASES),
    run=_run,
)
