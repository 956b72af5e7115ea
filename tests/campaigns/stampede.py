"""Eight processes or threads that miss one key at once; the one that generates is killed; there are no locks at all."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from specimens import blob, fast, kill, outcome_of, spawn, until

from campaigns.campaign import Campaign, Setting, Tally
from campaigns.samples import garbage

__all__ = ["CAMPAIGN"]

_CROWD = 8
_LATE = 2.0  # seconds that a dead owner may hold up the others


def _counted(root: Path, seconds: float) -> Callable[[], str]:
    """Return a generation that leaves a mark of having run, takes its time, and says who ran it."""

    def generate() -> str:
        who = f"{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}"
        (root / f"ran-{who}").write_bytes(b"")
        time.sleep(seconds)
        return who

    return generate


def _ran(root: Path) -> set[str]:
    return {path.name.removeprefix("ran-") for path in root.glob("ran-*")}


def _ask(setting: Setting, root: Path, seconds: float) -> Any:
    made = blob(fast(root / "data", **setting.options))
    made.load_generate(value=_counted(root, seconds))
    return made.payload


def _processes(setting: Setting, root: Path, tally: Tally) -> list[Any]:
    gate = time.time() + 0.05

    def work() -> Any:
        time.sleep(max(0.0, gate - time.time()))
        return _ask(setting, root, 0.05)

    answers = []
    for process in [spawn(work) for _ in range(_CROWD)]:
        try:
            answers.append(outcome_of(process))
        except Exception as error:  # noqa: BLE001 - counted
            tally.fault("errors", repr(error))
    return answers


def _threads(setting: Setting, root: Path, tally: Tally) -> list[Any]:
    barrier, answers = threading.Barrier(_CROWD), []

    def work() -> None:
        barrier.wait()
        try:
            answers.append(_ask(setting, root, 0.02))
        except Exception as error:  # noqa: BLE001 - counted
            tally.fault("errors", repr(error))

    threads = [threading.Thread(target=work) for _ in range(_CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _without_locks(setting: Setting, root: Path, tally: Tally) -> list[Any]:
    code = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)[tally.rounds % 3]
    with mock.patch("fcntl.fcntl", side_effect=OSError(code, os.strerror(code))):
        return _processes(setting, root, tally)


def _owner_killed(setting: Setting, root: Path, tally: Tally) -> list[Any]:
    owner = spawn(lambda: _ask(setting, root, 60.0))
    (killed,) = until(lambda: _ran(root))
    waiting = [spawn(lambda: (_ask(setting, root, 0.0), time.time())) for _ in range(3)]
    time.sleep(0.1)
    tally.require(_ran(root) == {killed}, "generated twice", "somebody did not wait for the living")
    started = time.time()
    kill(owner[0])
    os.close(owner[1])
    (root / f"ran-{killed}").unlink()  # it did not come to an end
    answers = []
    for process in waiting:
        try:
            answer, answered = outcome_of(process)
        except Exception as error:  # noqa: BLE001 - counted
            tally.fault("errors", repr(error))
            continue
        answers.append(answer)
        tally.most("longest wait behind a dead owner, s", answered - started)
        if setting.full:  # no machine is too busy for the short version
            tally.require(answered - started < _LATE, "late", f"{answered - started:.2f} s")
    return answers


_CASES: dict[str, tuple[Callable[[Setting, Path, Tally], list[Any]], int, int]] = {
    "8 processes": (_processes, 5, 100),
    "8 threads": (_threads, 5, 100),
    "owner killed": (_owner_killed, 3, 100),
    "8 processes, no locks": (_without_locks, 3, 30),
}


def _run(setting: Setting, case: str) -> Tally:
    """Let them ask for a key that nobody has, round after round."""
    ask, short, full = _CASES[case]
    tally = Tally()
    for _ in range(setting.pick(short, full)):
        tally.rounds += 1
        root = setting.folder / str(tally.rounds)
        root.mkdir()
        answers, ran = ask(setting, root, tally), _ran(root)
        if case == "8 processes, no locks":
            tally.saw("generations", len(ran))  # work may be done twice there, never wrongly
            tally.require(set(answers) <= ran, "wrong", f"{answers} of {ran}")
        else:
            tally.require(len(ran) == 1, "generated twice", f"{len(ran)} times")
            tally.require(set(answers) == ran, "wrong", f"{answers} of {ran}")
        fresh = blob(fast(root / "data"))
        fresh.load()
        tally.require(fresh.payload in ran, "wrong", "what is stored")
        fresh.store.sweep(grace=0)
        left = garbage(root / "data") if case != "8 processes, no locks" else []  # there the sweep waits for an hour
        tally.require(not left, "left after a sweep", left)
    return tally


CAMPAIGN = Campaign(
    name="stampede",
    promise="Of eight that miss one key at once one generates and all are answered; a dead owner holds nobody up; "
    "where there are no locks work may be done twice, never wrongly.",
    faults=("wrong", "errors", "generated twice", "late", "left after a sweep"),
    cases=lambda: list(_CASES),
    run=_run,
)
