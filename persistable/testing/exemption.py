"""What a suite cannot be given, and why."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DoesNotApply"]


class DoesNotApply(NamedTuple):
    """Stand in for a payload that cannot be, with the reason: ``DoesNotApply("an image has at least one pixel")``."""

    reason: str
