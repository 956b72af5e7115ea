"""What users are told beside a result."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from specimens import blob, fast

from persistable import notice


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """An error that takes no notes."""

    code: int


def test_a_note_is_added_once() -> None:
    """The same error that is raised again has it but once."""
    error = ValueError("x")
    for text in ("one", "two", "one"):
        notice.note(error, text)
    assert error.__notes__ == ["one", "two"]


def test_an_error_that_takes_no_notes_stays_what_it_is(tmp_path: Path) -> None:
    """What a generation raises is what its caller catches, whatever kind of error it is."""
    made = blob(fast(tmp_path))

    def fail(**untracked: Any) -> Any:
        raise Frozen(7)

    made._generate_payload = fail  # type: ignore[method-assign]
    with pytest.raises(Frozen) as caught:
        made.load_generate()
    assert caught.value == Frozen(7)
