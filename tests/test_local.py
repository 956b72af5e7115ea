"""The local storage, beyond what every storage is tested for."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any
from unittest import mock

from persistable.local import sync


def test_a_folder_whose_close_fails_is_flushed_all_the_same(tmp_path: Path) -> None:
    """The flush has said that the entries are on the disk; an error now would follow a record that is in place."""
    opened: list[int] = []
    real_open, real_close = os.open, os.close

    def watched(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        opened.append(real_open(path, flags, *rest, **options))
        return opened[-1]

    def failing(descriptor: int) -> None:
        real_close(descriptor)
        if descriptor in opened:
            raise OSError(errno.EIO, "Input/output error")

    with mock.patch.object(os, "open", watched), mock.patch.object(os, "close", failing):
        sync(str(tmp_path))
    assert opened
