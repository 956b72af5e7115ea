"""Errors and warnings, each with the attributes from which its message is built.

PersistableError
├─ PayloadError            NoPayloadError (ValueError) · InvalidPayloadError
├─ IdentityError           UnkeyableParamError (TypeError) · ParamsChangedError
├─ ArtifactError           MissingArtifactError (FileNotFoundError) · CorruptArtifactError · ForeignArtifactError
│                          RecordSchemaError · UntrustedArtifactError (PermissionError)
├─ SigningKeyError (ValueError)
├─ FormatError             UnknownFormatError (LookupError) · FormatNotInstalledError (ImportError)
│                          BrokenPluginError (ImportError) · AmbiguousFormatError (LookupError)
│                          FidelityError (ValueError) · DeclaredSizeError (ValueError) · SaveError (OSError)
├─ StorageError (OSError)  UnknownStorageError (LookupError) · BrokenStorageError · NoSuchPlaceError
│                          StoragePermissionError (PermissionError) · StorageCredentialsError (PermissionError)
│                          StorageConnectionError (ConnectionError) · StorageFullError · UnsupportedOperationError
├─ GenerationError         RecursiveGenerationError (RuntimeError) · LockTimeoutError (TimeoutError)
└─ ExplainedNotImplementedError (NotImplementedError)
PersistableWarning  InvalidPayloadWarning · CorruptArtifactWarning · PluginWarning · StorageWarning · TrustWarning

An error that has a builtin counterpart is also that builtin, so ``except FileNotFoundError`` goes on working. All of
them survive pickling (with attributes and notes), because they travel back from worker processes.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from persistable.display import printable

__all__ = [
    "AmbiguousFormatError",
    "ArtifactError",
    "BrokenPluginError",
    "BrokenStorageError",
    "CorruptArtifactError",
    "CorruptArtifactWarning",
    "DeclaredSizeError",
    "ExplainedNotImplementedError",
    "FidelityError",
    "ForeignArtifactError",
    "FormatError",
    "FormatNotInstalledError",
    "GenerationError",
    "IdentityError",
    "InvalidPayloadError",
    "InvalidPayloadWarning",
    "LockTimeoutError",
    "MissingArtifactError",
    "NoPayloadError",
    "NoSuchPlaceError",
    "ParamsChangedError",
    "PayloadError",
    "PersistableError",
    "PersistableWarning",
    "PluginWarning",
    "RecordSchemaError",
    "RecursiveGenerationError",
    "SaveError",
    "SigningKeyError",
    "StorageConnectionError",
    "StorageCredentialsError",
    "StorageError",
    "StorageFullError",
    "StoragePermissionError",
    "StorageWarning",
    "TrustWarning",
    "UnkeyableParamError",
    "UnknownFormatError",
    "UnknownStorageError",
    "UnsupportedOperationError",
    "UntrustedArtifactError",
]

# kept outside of __dict__ by builtin errors
_BUILTIN_FIELDS: Mapping[type[Exception], tuple[str, ...]] = {
    OSError: ("errno", "strerror", "filename"),
    ImportError: ("msg",),
}


def _restore(cls: type[PersistableError], args: tuple[Any, ...], state: Mapping[str, Any]) -> PersistableError:
    error = cls.__new__(cls)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


class PersistableError(Exception):
    """Base of every error that persistable raises on its own account."""

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(self.__dict__)
        for builtin, names in _BUILTIN_FIELDS.items():
            if isinstance(self, builtin):
                state |= {name: getattr(self, name) for name in names}
        return _restore, (type(self), self.args, state)

    def __str__(self) -> str:
        # OSError would print "[Errno …]" instead of the message as soon as errno and filename are set
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


# -- payloads ----------------------------------------------------------------------------------------------------------


class PayloadError(PersistableError):
    """Say that something is wrong with a payload."""


class NoPayloadError(PayloadError, ValueError):
    """Say that there is no payload in memory yet. Call ``load``, ``generate`` or ``load_generate`` first."""


class InvalidPayloadError(PayloadError):
    """Say that a payload is not what its class promises. Meant to be raised by ``_validate_payload``."""


# -- identity ----------------------------------------------------------------------------------------------------------


class IdentityError(PersistableError):
    """Say that params do not give a key, or no longer the same."""


class UnkeyableParamError(IdentityError, TypeError):
    """Say which param has no encoding.

    Attributes: ``path`` (such as ``params.model.layers[2]``), ``value_type`` (qualified name), ``reason``.
    """

    def __init__(
        self,
        *,
        path: str,
        value_type: str,
        reason: str,
        repair: str = "Ways out: give the class a method __persistable_params__() that returns what defines it in "
        "plain values, install or write a plugin with an encoder for it, or declare the field with "
        "param(tracked=False) if it does not change the payload",
    ) -> None:
        self.path, self.value_type, self.reason = path, value_type, reason
        super().__init__(f"{path} ({value_type}) cannot be part of a key: {reason}. {repair}.")


class ParamsChangedError(IdentityError):
    """Say that params, or those of a dependency, were changed after the key was taken.

    Attributes: ``name`` (payload name), ``key`` (as taken), ``path`` (what changed).
    """

    def __init__(self, *, name: str, key: str, path: str) -> None:
        self.name, self.key, self.path = name, key, path
        super().__init__(
            f"{path} of {name!r} changed after its key {key} was taken, so the key no longer says what is computed. "
            "Undo the change, build a new object from the new params, or assign them: p.params = …"
        )


# -- artifacts ---------------------------------------------------------------------------------------------------------


class ArtifactError(PersistableError):
    """Say what a load found in place of an artifact. Attributes: ``name``, ``key``, ``path``, and more by class."""

    def __init__(self, message: str, *, name: str, key: str, path: str) -> None:
        self.name, self.key, self.path = name, key, path
        super().__init__(printable(message))  # which may show what somebody else has written into a record


class MissingArtifactError(ArtifactError, FileNotFoundError):
    """Say that nothing is stored for a key. ``path`` is the record that was looked for."""

    def __init__(self, *, name: str, key: str, path: str) -> None:
        super().__init__(
            f"no artifact of {name!r} with key {key} is stored (looked for {path}). Generate it: load_generate()",
            name=name,
            key=key,
            path=path,
        )
        self.errno, self.strerror, self.filename = errno.ENOENT, "no such artifact", path


class CorruptArtifactError(ArtifactError):
    """Say that an artifact is damaged. ``path`` is the file, ``reason`` what is wrong with it."""

    def __init__(
        self,
        *,
        name: str,
        key: str,
        path: str,
        reason: str,
        repair: str = "load_generate() moves it to quarantine and generates it again",
    ) -> None:
        self.reason = reason
        super().__init__(
            f"the artifact of {name!r} with key {key} is damaged: {path} {reason}. {repair}.",
            name=name,
            key=key,
            path=path,
        )


class ForeignArtifactError(ArtifactError):
    """Say that another class wrote the artifact under the same name and params.

    Attributes: ``found`` and ``asked`` (import paths ``module:qualname``).
    """

    def __init__(self, *, name: str, key: str, path: str, found: str, asked: str) -> None:
        self.found, self.asked = found, asked
        super().__init__(
            f"{path} was written by {found}, and {asked} asks for it: two different things share the name {name!r} "
            f"and key {key}. If {asked} is the same thing moved and changed, declare it: formerly = ({found!r},). "
            "If it is another thing, give it a payload_name of its own.",
            name=name,
            key=key,
            path=path,
        )


class RecordSchemaError(ArtifactError):
    """Say that a newer persistable wrote a record. Attributes: ``found`` and ``supported`` (schema numbers)."""

    def __init__(self, *, name: str, key: str, path: str, found: object, supported: int) -> None:
        self.found, self.supported = found, supported
        super().__init__(
            f"{path} has record schema {found!r}; this version of persistable reads up to {supported}. "
            "Upgrade persistable, or use another data_dir.",
            name=name,
            key=key,
            path=path,
        )


class UntrustedArtifactError(ArtifactError, PermissionError):
    """Say that code that somebody else may have written would run, or that what has to be signed is not.

    Attributes: ``path`` (what is not trusted), ``reason``, ``format``.
    """

    def __init__(self, *, name: str, key: str, path: str, reason: str, format: str) -> None:
        self.reason, self.format = reason, format
        super().__init__(
            f"loading {name!r} (key {key}) in format {format!r} is not trusted, because {path} {reason}. If you trust "
            "whoever can write there, say so with ArtifactStore(…, trust=…): the users' names, or trust='all' for this "
            "store (PERSISTABLE_TRUST sets the default); or give yourself the files and take away the write permission "
            "of others; or have artifacts signed (signing_key=…); or persist in a data-only format.",
            name=name,
            key=key,
            path=path,
        )
        self.errno, self.strerror, self.filename = errno.EPERM, "untrusted artifact", path


# -- signing keys ------------------------------------------------------------------------------------------------------


class SigningKeyError(PersistableError, ValueError):
    """Say what is wrong with a signing key. Attributes: ``path``, ``reason``, ``repair``."""

    def __init__(self, *, path: str, reason: str, repair: str) -> None:
        self.path, self.reason, self.repair = path, reason, repair
        super().__init__(f"the signing key {path} {reason}: {repair}")


# -- formats -----------------------------------------------------------------------------------------------------------


class FormatError(PersistableError):
    """Say that a format cannot be used. Attribute: ``format`` (the name asked for)."""

    def __init__(self, message: str, *, format: str) -> None:
        self.format = format
        super().__init__(message)


class UnknownFormatError(FormatError, LookupError):
    """Say that no format has this name.

    Attributes: ``known`` (names), ``suggestion`` (nearest name or None), ``setting`` (which asks for it, or None).
    """

    def __init__(
        self, *, format: str, known: Iterable[str], suggestion: str | None = None, setting: str | None = None
    ) -> None:
        self.known, self.suggestion, self.setting = tuple(sorted(known)), suggestion, setting
        if format.startswith("custom:"):
            repair = "it was written by a FileIO of that class: pass an instance of it as payload_io"
        elif suggestion is not None:
            repair = f"did you mean {suggestion!r}?"
        else:
            repair = f"known formats: {', '.join(self.known)}"
        asked = "" if setting is None else f", which {setting} asks for"
        super().__init__(f"there is no format {format!r}{asked}; {repair}", format=format)


class FormatNotInstalledError(FormatError, ImportError):
    """Say which distribution brings a known format.

    Attributes: ``install`` (its name), ``looked_for`` (False: the registry does not look for plugins, so it may be
    there).
    """

    def __init__(self, *, format: str, install: str, looked_for: bool = True) -> None:
        self.install, self.looked_for = install, looked_for
        super().__init__(
            f"the format {format!r} is not installed; pip install {install}"
            if looked_for
            else f"the format {format!r} is brought by {install}, which was not looked for: Registry(discover=False) "
            "has the core's formats and those that were added to it. Leave out discover=False, or add() the plugin",
            format=format,
        )


class BrokenPluginError(FormatError, ImportError):
    """Say that the plugin of a format is installed and does not work. Its own error is chained.

    Attributes: ``plugin`` (entry point), ``distribution`` (with version), ``reason``, ``disabled`` (it was switched off
    by the user, and is not broken).
    """

    def __init__(self, *, format: str, plugin: str, distribution: str, reason: str, disabled: bool = False) -> None:
        self.plugin, self.distribution, self.disabled = plugin, distribution, disabled
        self.reason = "switched off" if disabled else reason
        state = "switched off" if disabled else f"broken: {reason}"
        installed = distribution.rpartition(" ")[0] or distribution  # of that name there is one; of a plugin's, many
        repair = (
            f"Take {' or '.join(repr(name) for name in dict.fromkeys((plugin, installed)))} off the list to use it: "
            "PERSISTABLE_DISABLE_PLUGINS, or Registry(disabled=…)"
            if disabled
            else f"Repair or reinstall {distribution}, or switch it off: PERSISTABLE_DISABLE_PLUGINS={installed}"
        )
        super().__init__(
            f"the format {format!r} comes from the plugin {plugin!r} of {distribution}, which is installed but "
            f"{state}. {repair}",
            format=format,
        )


class AmbiguousFormatError(FormatError, LookupError):
    """Say that several formats claim one thing with equal right.

    Attributes: ``subject`` (a type or a format name), ``candidates`` (pairs of format name and distribution).
    """

    def __init__(self, *, format: str, subject: str, candidates: Iterable[tuple[str, str]], repair: str) -> None:
        self.subject, self.candidates = subject, tuple(candidates)
        listed = " and ".join(f"{name!r} of {distribution}" for name, distribution in self.candidates)
        claim = "both claim" if len(self.candidates) == 2 else "all claim"
        super().__init__(f"{listed} {claim} {subject}; {repair}", format=format)


class FidelityError(FormatError, ValueError):
    """Say that a payload would not come back equal from a format.

    Attributes: ``where`` (column, element or ``payload``), ``reason``.
    """

    def __init__(self, *, format: str, reason: str, where: str = "payload") -> None:
        self.where, self.reason = where, reason
        super().__init__(
            f"{format!r} would not give this payload back as it is: {where}: {reason}. "
            "Change the payload, or choose another format by payload_io.",
            format=format,
        )


class DeclaredSizeError(FormatError, ValueError):
    """Say that a file declares more than its record says, or than is believable. Nothing was allocated for it.

    Attributes: ``declared`` (how many), ``what`` (bytes, rows, …), ``reason``.
    """

    def __init__(self, *, format: str, declared: int, what: str, reason: str) -> None:
        self.declared, self.what, self.reason = declared, what, reason
        super().__init__(f"the {format} file declares {declared} {what}, {reason}", format=format)


class SaveError(FormatError, OSError):
    """Say that a FileIO failed to write a payload. The cause is chained; in 1.x this was a bare ``OSError``.

    Attributes: ``payload_type`` (qualified name), ``filepath``, ``file_io`` (class name).
    """

    def __init__(self, *, format: str, payload_type: str, filepath: str, file_io: str, cause: BaseException) -> None:
        self.payload_type, self.filepath, self.file_io = payload_type, filepath, file_io
        super().__init__(
            f"payload of type {payload_type} could not be written to {filepath} by {file_io}: "
            f"{type(cause).__name__}: {cause}. Change the payload so that it can be, or choose another format by "
            "payload_io.",
            format=format,
        )


# -- storages ----------------------------------------------------------------------------------------------------------


class StorageError(PersistableError, OSError):
    """Say that a storage failed. Attributes: ``url`` (without credentials), ``operation``, ``reason``."""

    # what a kind of failure is, and what to do about it, are said by its class
    _what: ClassVar[str] = ""
    _repair: ClassVar[str] = ""
    _errno: ClassVar[int | None] = None

    def __init__(self, message: str = "", *, url: str, operation: str, reason: str = "") -> None:
        self.url, self.operation, self.reason = url, operation, reason
        because = f" ({reason})" if reason else ""
        super().__init__(message or f"{operation} {url}: {self._what}{because}. {self._repair}")
        if self._errno is not None:
            self.errno, self.strerror = self._errno, self._what


class UnknownStorageError(StorageError, LookupError):
    """Say that nobody serves the scheme of a URL, or that several claim to.

    Attributes: ``scheme``, ``install`` (distribution or None), ``suggestion`` (a scheme or None), ``claims``
    (distributions, each with its version).
    """

    def __init__(
        self,
        *,
        url: str,
        scheme: str,
        install: str | None = None,
        suggestion: str | None = None,
        claims: Iterable[str] = (),
    ) -> None:
        self.scheme, self.install, self.suggestion, self.claims = scheme, install, suggestion, tuple(claims)
        if self.claims:
            off = ",".join(claim.rpartition(" ")[0] for claim in self.claims[:-1])
            message = (
                f"{' and '.join(self.claims)} each claim {scheme}:// ({url}), so none of them serves it; switch off "
                f"all but one: PERSISTABLE_DISABLE_PLUGINS={off}"
            )
            super().__init__(message, url=url, operation="open")
            return
        repair = f"pip install {install}" if install else "install the plugin that does, or use a local folder"
        if suggestion:
            repair = f"did you mean {suggestion}://?" + (f" That is served after: {repair}" if install else "")
        super().__init__(f"no installed storage serves {scheme}:// ({url}); {repair}", url=url, operation="open")


class BrokenStorageError(StorageError):
    """Say that the storage for a URL is installed and cannot be used; the cause is chained.

    Attributes: ``scheme``, ``distribution`` (with version), ``reason``.
    """

    def __init__(self, *, url: str, scheme: str, distribution: str, reason: str) -> None:
        self.scheme, self.distribution = scheme, distribution
        super().__init__(
            f"the storage for {scheme}:// ({url}) comes from {distribution}, which is installed and does not work: "
            f"{reason}. Repair or reinstall it",
            url=url,
            operation="open",
            reason=reason,
        )


class NoSuchPlaceError(StorageError):
    """Say that the place itself does not exist: no such bucket, container, share or host."""

    _what = "there is no such bucket, container or host"
    _repair = "Create it, or correct the URL; persistable makes none by itself"
    _errno = errno.ENXIO


class StoragePermissionError(StorageError, PermissionError):
    """Say that the storage does not permit it."""

    _what = "it is not permitted"
    _repair = "Ask for the permission, or choose another data_dir"
    _errno = errno.EACCES


class StorageCredentialsError(StorageError, PermissionError):
    """Say that the storage does not accept who asks: credentials missing, wrong or expired."""

    _what = "the credentials are missing, wrong or expired"
    _repair = "Renew them, where the client finds them or by storage_options="
    _errno = errno.EACCES


class StorageConnectionError(StorageError, ConnectionError):
    """Say that the storage could not be reached, or not for long enough."""

    _what = "the connection failed"
    _repair = "Try again; the client has retried what it can"
    _errno = errno.ECONNABORTED


class StorageFullError(StorageError):
    """Say that there is no room left, or a quota is used up."""

    _what = "there is no room left"
    _repair = "Make room (ArtifactStore.sweep deletes what nothing needs), or choose another data_dir"
    _errno = errno.ENOSPC


class UnsupportedOperationError(StorageError):
    """Say that the storage cannot do this at all."""

    _what = "this storage has no such operation"
    _repair = "Look at its capabilities first"
    _errno = errno.ENOTSUP


# -- generation --------------------------------------------------------------------------------------------------------


class GenerationError(PersistableError):
    """Say that a generation could not start. Attributes: ``name``, ``key``."""

    def __init__(self, message: str, *, name: str, key: str) -> None:
        self.name, self.key = name, key
        super().__init__(message)


class RecursiveGenerationError(GenerationError, RuntimeError):
    """Say that generating a payload asked for that same payload."""

    def __init__(self, *, name: str, key: str) -> None:
        super().__init__(
            f"the generation of {name!r} (key {key}) asks for that same payload, which would never end. Use "
            "self.params and the dependencies' payloads inside _generate_payload, not self.payload.",
            name=name,
            key=key,
        )


class LockTimeoutError(GenerationError, TimeoutError):
    """Say who held a lock for longer than ``lock_timeout``. Attributes: ``seconds`` waited, ``owner`` (or None)."""

    def __init__(self, *, name: str, key: str, seconds: float, owner: str | None) -> None:
        self.seconds, self.owner = seconds, owner
        super().__init__(
            f"waited {seconds:g} s for {owner or 'another process'}, which is generating {name!r} (key {key}). "
            "Wait longer with ArtifactStore(…, lock_timeout=…), or generate(persist=False).",
            name=name,
            key=key,
        )
        self.errno, self.strerror = errno.ETIMEDOUT, "lock timeout"


class ExplainedNotImplementedError(PersistableError, NotImplementedError):
    """Say which method a subclass has to define. Attribute: ``method_name``."""

    def __init__(self, method_name: str) -> None:
        self.method_name = method_name
        super().__init__(f"{method_name} is not implemented: define it in your subclass")


# -- warnings ----------------------------------------------------------------------------------------------------------


class PersistableWarning(UserWarning):
    """Base of every warning of persistable."""


class InvalidPayloadWarning(PersistableWarning):
    """Warn that a loaded payload failed its validation, where the caller asked for a warning."""


class CorruptArtifactWarning(PersistableWarning):
    """Warn that a damaged artifact was moved to quarantine and is generated again."""


class PluginWarning(PersistableWarning):
    """Warn that a plugin is broken, missing where it would have been used, or overruled."""


class StorageWarning(PersistableWarning):
    """Warn that a place cannot keep one of the promises that other places keep."""


class TrustWarning(PersistableWarning):
    """Warn that what is about to be written would be refused by the same reader."""
