"""Text as a JSON string, without the module json: the patterns that it compiles are a sixteenth of the import.

A hit needs no more JSON than this; json itself is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from json.encoder import encode_basestring_ascii as quoted
else:
    try:
        from _json import encode_basestring_ascii as quoted  # what json.encoder has of it
    except ImportError:
        from json.encoder import encode_basestring_ascii as quoted

__all__ = ["quoted"]
