"""What a plugin declares: plain frozen rows of strings, cheap to register and to list."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["EncoderSpec", "Event", "FormatSpec", "StorageSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSpec:
    """Declare a format.

    Attributes:
        name: format id, as stored in records: lower case letters, digits, ``_`` and ``-``, starting with a letter.
        suffix: file suffix with its dot, ``".parquet"``.
        io: the FileIO class as ``"module:Class"``, imported on first use.
        types: public names of the payload types it claims, ``"pandas.DataFrame"``; builtins are never claimed.
        default: whether it is the default of those types among equals (counts for first-party formats only).
        executes_code: whether loading a file of this format can run code that the file brings.
        install: distribution that brings it, for the repair line.
    """

    name: str
    suffix: str
    io: str
    types: tuple[str, ...] = ()
    default: bool = False
    executes_code: bool = True
    install: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """Declare an encoding of params of types that the core has none for.

    Attributes:
        name: stored in identities, with the version: an encoder that changes its results has to raise it.
        version: at least 1.
        types: public names of the types, exactly; the core's own types cannot be claimed.
        encode: a function as ``"module:function"`` that takes an instance and returns what defines it, in values that
            can be encoded; raises TypeError for what it cannot.
        install: distribution that brings it, for the repair line.
        locate: a function as ``"module:function"`` that says where a part is that has no encoding. It takes the
            instance and the steps that lead to the part in what ``encode`` returned, ``("['values']", "[2]")``, and
            returns those that users know, ``(".samples[2]",)``. Not in the key.
    """

    name: str
    version: int
    types: tuple[str, ...]
    encode: str
    install: str | None = None
    locate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpec:
    """Declare a storage.

    Attributes:
        schemes: URL schemes that it serves, ``("s3",)``; ``"fsspec+*"`` is a family of them, ``"*"`` whatever nobody
            else serves.
        storage: the Storage class as ``"module:Class"``, imported on first use and called with the URL and the
            ``storage_options``.
        install: distribution that brings it, for the repair line.
    """

    schemes: tuple[str, ...]
    storage: str
    install: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Tell observers what happened.

    Attributes:
        kind: ``"started"`` (a generation), ``"progress"``, ``"generated"``, ``"persisted"``, ``"loaded"``,
            ``"missed"`` or ``"quarantined"``.
        name: payload name.
        key: key of the artifact.
        details: further facts, by kind: ``seconds`` of a generation; the ``record`` of what was persisted or loaded;
            ``path`` and ``reason`` of damage; ``done`` and ``total`` of progress.
    """

    kind: str
    name: str
    key: str
    details: dict[str, Any] = field(default_factory=dict)
