"""Other processes: alive is who runs, and who is asked for, not who got its process id later."""

import os
import signal
import sys
from pathlib import Path

import pytest
from specimens import fast, fork, stored

from persistable import naming
from persistable.process import alive, started

NOBODY = 2**22 + 1  # above any process id
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says when a process was started")


def test_who_runs_is_alive() -> None:
    """This process is, and the first of all, whoever it belongs to; one that never was is not."""
    assert alive(os.getpid())
    assert alive(1)
    assert not alive(NOBODY)


@linux
def test_a_later_process_of_the_same_id_is_another() -> None:
    """Only who was started when it is said to be counts; without that, or for what cannot be known, the id does."""
    start = started(os.getpid())
    assert start is not None
    assert alive(os.getpid(), start)
    assert not alive(os.getpid(), start - 1)
    assert not alive(NOBODY, start)
    assert started(NOBODY) is None


@linux
def test_a_process_that_has_ended_is_dead_before_anybody_asks_for_it() -> None:
    """A zombie writes nothing any more, although signals reach it."""
    process = fork()
    if not process:
        os._exit(0)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    try:
        os.kill(process, 0)
        assert not alive(process)
    finally:
        os.waitpid(process, 0)


@linux
def test_a_fork_writes_under_its_own_name() -> None:
    """A child has a start of its own, though it inherits what its parent knew."""
    naming.staged_name("")
    reader, writer = os.pipe()
    process = fork()
    if not process:
        os.write(writer, naming.staged_name("").encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    with open(reader) as pipe:
        told = naming.staged_by(pipe.read())
    start = started(process)  # it is there until it is asked for
    os.waitpid(process, 0)
    assert told == (naming.host(), process, start)


@linux
def test_a_sweep_is_not_deceived_by_a_process_id_that_is_in_use_again(tmp_path: Path) -> None:
    """What a dead process left goes though its id is alive; what a live one writes stays, as does what does not say."""
    stored(fast(tmp_path), 1)
    process, start = os.getpid(), started(os.getpid())
    left, mine, unsaid = (
        tmp_path / "blob" / f".tmp-{naming.host()}-{who}-00000000.pickle"
        for who in (f"{process}_{(start or 0) - 1}", f"{process}_{start}", process)
    )
    for path in (left, mine, unsaid):
        path.write_bytes(b"x")
    assert fast(tmp_path).sweep(grace=0).names == (f"blob/{left.name}",)
    assert mine.exists()
    assert unsaid.exists()
