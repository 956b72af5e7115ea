"""FormatTests, the promises that every format makes; subclass it once for each FileIO."""

from __future__ import annotations

from persistable.testing.format_declarations import DeclarationTests
from persistable.testing.format_failures import FailureTests
from persistable.testing.format_round_trips import RoundTripTests
from persistable.testing.format_subject import FormatSubject

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

    def __init_subclass__(cls) -> None:
        """Refuse a class that pytest would silently pass over, as it does with those that are abstract still."""
        super().__init_subclass__()
        asked = [name for name in vars(FormatSubject) if name in FormatSubject.__abstractmethods__]
        missing = [name for name in asked if getattr(getattr(cls, name), "__isabstractmethod__", False)]
        if missing and cls.__name__.startswith("Test"):
            raise TypeError(
                f"{cls.__qualname__} does not say {', '.join(missing)}: define what is missing, or give the class a "
                "name that does not start with Test if its subclasses do"
            )
