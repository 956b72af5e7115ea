"""Storage, the interface of every place where bytes live.

A storage keeps named objects of bytes, much as an object store does. Five methods make one; the others have defaults
that work, and that a client which can do better overrides. Object names are ``folder/file`` below the storage's root,
with ``/``: any text without control characters and backslashes, no empty part, no ``.`` or ``..``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from persistable.exceptions import UnsupportedOperationError
from persistable.named_tuple import NamedTuple

if TYPE_CHECKING:
    from persistable.lock import Lock

__all__ = ["Capabilities", "Entry", "Storage"]


class Capabilities(NamedTuple):
    """What a storage can promise.

    Attributes:
        atomic_replace: ``put`` over an existing object is seen as the old or the new one.
        create_exclusive: ``put_if_absent`` creates an object for exactly one of many who try.
        replace_matching: ``put_if_match`` replaces an object for exactly one of many who try.
        lock: it has locks of its own (``lock``). One that has none gets leases, if it can ``create_exclusive``.
        local_path: objects are files that a FileIO can read and write in place; the storage is a ``LocalStorage``.
        open_files_survive_deletion: a reader keeps what it has opened when the object is deleted.
    """

    atomic_replace: bool
    create_exclusive: bool
    replace_matching: bool
    lock: bool
    local_path: bool
    open_files_survive_deletion: bool


class Entry(NamedTuple):
    """An object.

    Attributes:
        name: its name, from the storage's root on.
        bytes: its size.
        modified: when it was last written, in seconds since the epoch, by the storage's clock.
        version: something that is another after every ``put``, or at least after every one of another content (such
            as an ETag), for ``put_if_match``; None where there is nothing like it.
    """

    name: str
    bytes: int
    modified: float
    version: str | None = None


class Storage(ABC):
    """Keep named objects of bytes.

    A class that is registered for a URL scheme is made as ``Class(url, **storage_options)``. That touches nothing: no
    connection is opened and no credential asked for before the first call. Threads may share a storage; it survives a
    fork (the child opens connections of its own), and needs no pickling.

    Errors are OSErrors: FileNotFoundError for an object that is not there, and a StorageError of the right kind for
    everything else (see ``persistable.exceptions``); neither they nor a repr ever hold a credential. What the client
    retries is the client's affair; an error that comes out is final.

    Attributes:
        url: what it was made from, without credentials.
        capabilities: what it promises. Promises of exclusiveness are tried out before they are relied on, because some
            endpoints accept a condition and ignore it.
    """

    url: str
    capabilities: Capabilities

    @abstractmethod
    def get(self, name: str) -> bytes:
        """Return the whole content of an object."""

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Create or replace an object; readers see the old content or the new one, never a part."""

    @abstractmethod
    def stat(self, name: str) -> Entry:
        """Describe an object."""

    @abstractmethod
    def list(self, folder: str = "") -> Iterator[Entry]:
        """Yield the objects below a folder (``""``: all) in no order, lazily, page by page; nothing if there is none.

        Objects that are written or deleted meanwhile may be yielded or not.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete an object; one that is not there is no error."""

    # -- with defaults

    def put_if_absent(self, name: str, data: bytes) -> bool:
        """Create an object unless there is one; return whether it was created.

        Raises UnsupportedOperationError where ``capabilities.create_exclusive`` is false.
        """
        raise UnsupportedOperationError(url=self.url, operation="put_if_absent")

    def put_if_match(self, name: str, data: bytes, version: str) -> bool:
        """Replace an object that still has the version that ``stat`` gave; return whether it was replaced.

        Raises UnsupportedOperationError where ``capabilities.replace_matching`` is false.
        """
        raise UnsupportedOperationError(url=self.url, operation="put_if_match")

    def put_file(self, name: str, path: str) -> None:
        """Create or replace an object from a local file, in constant memory; whatever fails leaves no part of it."""
        with open(path, "rb") as file:
            self.put(name, file.read())

    def fetch(self, name: str, path: str, size: int) -> None:
        """Download an object to a local file, which is created; ``size`` bytes are expected, and no more is read.

        A failure may leave a part of the file, which the caller removes. The caller also compares size and digest.
        """
        with open(path, "xb") as file:
            file.write(self.get(name)[:size])

    def uploads(self) -> Iterator[Entry]:
        """Yield uploads that were begun and not completed, as ``modified`` says when; ``version`` tells them apart.

        A killed process leaves them on object stores, where they are paid for and ``list`` does not show them. By
        default there are none.
        """
        return iter(())

    def abort(self, upload: Entry) -> None:
        """End an upload that ``uploads`` has shown; one that is not there any more is no error."""
        raise UnsupportedOperationError(url=self.url, operation="abort")

    def prepare(self, folder: str) -> None:
        """Prove that objects can be written to a folder, before anything is generated: write one and delete it.

        Raises a StorageError (of which the StoragePermissionError is a PermissionError) if they cannot.
        """
        from persistable.naming import staged_name

        name = f"{folder}/{staged_name('')}"
        self.put(name, b"")
        self.delete(name)

    def lock(
        self,
        folder: str,
        key: str,
        purpose: int,
        *,
        timeout: float | None,
        on_wait: Callable[[str | None], None] | None,
    ) -> Lock:
        """Wait for the lock of a key in a folder, where the storage has locks of its own.

        Raises ``lock.NotFree`` after ``timeout`` seconds.
        """
        raise UnsupportedOperationError(url=self.url, operation="lock")

    def locate(self, name: str) -> str:
        """Return where an object is, for people: a path or a URL, without credentials."""
        return f"{self.url.rstrip('/')}/{name}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
