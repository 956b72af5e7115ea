"""The hooks that plugins implement.

A plugin is a distribution with an entry point in group ``persistable`` that names a hooks module: functions only,
importing nothing but ``persistable``, so that it can be registered and listed without the library it is for.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from persistable.specs import EncoderSpec, Event, FormatSpec, StorageSpec

__all__ = ["PROJECT", "hookimpl", "persistable_event", "persistable_formats", "persistable_param_encoders"]

PROJECT = "persistable"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def persistable_formats() -> Iterable[FormatSpec]:  # type: ignore[empty-body]
    """Return the formats that the plugin brings."""


@hookspec
def persistable_storages() -> Iterable[StorageSpec]:  # type: ignore[empty-body]
    """Return the storages that the plugin brings."""


@hookspec
def persistable_param_encoders() -> Iterable[EncoderSpec]:  # type: ignore[empty-body]
    """Return the encodings of param types that the plugin brings."""


@hookspec
def persistable_event(event: Event) -> None:
    """Observe what happens; an error here is logged and never fails the work."""
