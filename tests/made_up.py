"""Payloads of libraries that are made up, for tests of which format they get; a Persistable that is handed them."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from persistable import ArtifactStore, FormatSpec, Persistable, PersistableParams, Registry, hookimpl


class Image:
    """A payload of a library that is made up."""


class Photo(Image):
    """A payload of a subclass."""


class Frame:
    """A payload of a library with a first-party format."""


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two libraries imported: ``box`` with Image and Photo, and a ``pandas`` with a DataFrame of ours."""
    box, pandas = types.ModuleType("box"), types.ModuleType("pandas")
    box.Image, box.Photo, box.List, pandas.DataFrame = Image, Photo, list, Frame  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "box", box)
    monkeypatch.setitem(sys.modules, "pandas", pandas)


class Subject(Persistable[Any, PersistableParams]):
    """A payload that the test hands over."""

    def _generate_payload(self, **untracked: Any) -> Any:
        return untracked["value"]


def subject(folder: Path, registry: Registry | None = None, **settings: Any) -> Subject:
    store = ArtifactStore(folder, registry=registry or Registry(), durability="fast", trust="all")
    return Subject(store, PersistableParams(), **settings)


def formats(registry: Registry, value: object) -> list[str]:
    """Return the formats that are tried for a payload, in order."""
    return [choice.format for choice in registry.for_saving(value, None)]


def hooks(*specs: FormatSpec) -> object:
    class Hooks:
        @hookimpl
        def persistable_formats(self) -> list[FormatSpec]:
            return list(specs)

    return Hooks()


def spec(name: str, *types: str, **fields: Any) -> FormatSpec:
    return FormatSpec(name=name, suffix=f".{name}", io=f"{name}_io:FileIO", types=types, **fields)
