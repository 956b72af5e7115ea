"""FormatTests, the promises that every format makes; subclass it once for each FileIO."""

from __future__ import annotations

from persistable.testing.format_declarations import DeclarationTests
from persistable.testing.format_failures import FailureTests
from persistable.testing.format_round_trips import RoundTripTests

__all__ = ["FormatTests"]


class FormatTests(RoundTripTests, DeclarationTests, FailureTests):
    """Test a FileIO: what it writes comes back, what it cannot keep it refuses, and what it declares is so.

    Every payload is asked for anew each time it is needed, so the methods may return mutable objects.

    Attributes:
        spec: the row by which a plugin declares the format; None for a FileIO that is only ever injected.
        is_directory, memory_mapped, needs_metadata: what ``file_io()`` declares; asserted both ways.
        notices_cuts: whether a file that lost its end never loads. True unless any bytes are a payload, as with text.
        notices_flips: whether one flipped bit anywhere never loads as another payload, because the format has digests
            of its own. Where it does not, the store's digest notices.
    """
