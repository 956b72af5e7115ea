"""FsspecStorage, any place that fsspec reaches: objects are files of its filesystem, below the path of the URL."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

from persistable.exceptions import NoSuchPlaceError, StorageError, UnsupportedOperationError
from persistable.redaction import redacted, secrets_of
from persistable.storage import Capabilities, Entry, Storage
from persistable_fsspec import succession
from persistable_fsspec.connection import Connection, call
from persistable_fsspec.download import EnoughError, at_most, fetch_ranges
from persistable_fsspec.entries import entry
from persistable_fsspec.failures import is_missing, is_out_of_range, storage_error
from persistable_fsspec.names import escaped, unescaped
from persistable_fsspec.promises import Promise, promise_of, refusal_of
from persistable_fsspec.protocols import implementation_of, load_class
from persistable_fsspec.upload import Uploads

__all__ = ["FsspecStorage"]

T = TypeVar("T")

_PREFIX = "fsspec+"
# those of one process race for an object in its memory: fsspec looks first and writes then
_creating = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_creating._at_fork_reinit)  # type: ignore[attr-defined]


class FsspecStorage(Storage):
    """Keep objects below an fsspec URL: ``memory://folder``, ``gs://bucket/folder``, ``fsspec+s3://bucket``.

    The options are those of the filesystem (``fsspec.filesystem(protocol, **options)``).

    Raises:
        UnknownStorageError: fsspec has no such protocol; later, when the package that it needs is not installed.
        StorageError: it is a local folder, or a cache in front of something else.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.url = redacted(url)
        self._target = url[len(_PREFIX) :] if url[: len(_PREFIX)].lower() == _PREFIX else url
        self._protocol = self._target.partition("://")[0].partition("::")[0].lower()
        self._options = options
        user = urlsplit(self._target.rpartition("::")[2])
        passwords = {text for text in (user.password, unquote(user.password or "")) if text}
        self._secrets = secrets_of(options) | passwords
        self._promise_from(implementation_of(self._protocol, self.url))
        self._connection = Connection(self._make, shared=self._promise.shared, close=self._promise.close)
        self._root: str | None = None

    @classmethod
    def on(cls, fs: Any, path: str) -> Self:
        """Return a storage on a filesystem that is there already, below one of its paths: ``"bucket/folder"``.

        Other threads and forked children get one that is made as this one was, where they cannot use it.
        """
        if getattr(fs, "asynchronous", False):
            raise ValueError("a filesystem with asynchronous=True is only for coroutines: make it without")
        storage = cls.__new__(cls)
        protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
        storage._protocol, storage._options = protocol, fs.storage_options
        storage._secrets = secrets_of({"arguments": fs.storage_args, **fs.storage_options})
        root: str = fs._strip_protocol(path)
        storage._root = root
        storage.url = redacted(f"{protocol}://{root.lstrip('/')}", storage._secrets)
        storage._promise_from(type(fs))
        make = type(fs)

        def another() -> Any:
            return _without_cache(make(*fs.storage_args, **fs.storage_options, skip_instance_cache=True))

        storage._connection = Connection(another, shared=storage._promise.shared, given=fs)
        return storage

    def _promise_from(self, implementation: str | type) -> None:
        refusal = refusal_of(implementation)
        if refusal is not None:
            raise StorageError(f"{self.url} is not for fsspec: {refusal}", url=self.url, operation="open")
        self._promise: Promise = promise_of(implementation)
        self._place_is_there = False
        self._uploads = Uploads(self._promise)

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        return self._promise.capabilities

    # -- the filesystem

    def _make(self) -> Any:
        cls = load_class(self._protocol, self.url)
        options = {**cls._get_kwargs_from_urls(self._target), **self._options}
        options |= self._promise.limits(options)
        return _without_cache(cls(**options, skip_instance_cache=True))

    def _at(self, name: str) -> tuple[Any, str]:
        """Return the filesystem, and the path of an object or folder."""
        fs = self._connection.filesystem()
        root = self._root
        if root is None:
            root = self._root = fs._strip_protocol(self._target)
        if self._promise.buckets and not root.strip("/"):
            raise NoSuchPlaceError(url=self.url, operation="open", reason="the URL names no bucket")
        wire = name if self._promise.exact else escaped(name)
        return fs, f"{root.rstrip('/')}/{wire}" if root and wire else wire or root

    @contextlib.contextmanager
    def _telling(self, operation: str, name: str) -> Iterator[None]:
        """Turn errors of the client into those of a storage."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - every client has errors of its own
            where = self.locate(name) if name else self.url
            if is_missing(error):
                self._look(operation, where)
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where) from None
            # what a client says may hold credentials, in texts that nobody can take them out of
            raise storage_error(error, url=where, operation=operation, secrets=self._secrets) from None
        self._place_is_there = True

    def _look(self, operation: str, where: str) -> None:
        """Raise NoSuchPlaceError if an object is missing because the bucket is."""
        look = self._promise.look
        if look is None or self._place_is_there:
            return
        try:
            fs, root = self._at("")
            look(fs, root.strip("/").partition("/")[0] if self._promise.buckets else "")
        except Exception as error:  # noqa: BLE001 - who may not look at the bucket may still read what is in it
            if is_missing(error):
                raise NoSuchPlaceError(url=where, operation=operation) from None
        else:
            self._place_is_there = True

    # -- the Storage interface

    def get(self, name: str) -> bytes:
        with self._telling("get", name):
            fs, path = self._at(name)
            return self._found(path, lambda path: bytes(call(fs, "cat_file", path)))

    def put(self, name: str, data: bytes) -> None:
        send = self._promise.send

        def upload(fs: Any, path: str) -> None:
            if send is not None:
                send(fs, io.BytesIO(data), path)
            else:
                call(fs, "pipe_file", path, data)

        with self._telling("put", name):
            self._upload(name, upload)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        if not self._promise.creates:
            raise UnsupportedOperationError(url=self.locate(name), operation="put_if_absent")
        with self._telling("put_if_absent", name):
            fs, path = self._at(name)
            with _creating if self._promise.in_process else contextlib.nullcontext():
                try:
                    call(fs, "pipe_file", path, data, mode="create")
                except FileExistsError:
                    return False
                except FileNotFoundError:
                    raise NoSuchPlaceError(url=self.locate(name), operation="put_if_absent") from None
        return True

    def put_file(self, name: str, path: str) -> None:
        size = os.path.getsize(path)  # a missing local file is not taken for a missing object
        promise = self._promise

        def upload(fs: Any, target: str) -> None:
            if promise.in_process:
                with open(path, "rb") as file:
                    fs.pipe_file(target, file.read())
            elif promise.send is not None:
                with open(path, "rb") as file:
                    promise.send(fs, file, target)
            else:
                call(fs, "put_file", path, target, **promise.upload(size))

        with self._telling("put_file", name):
            self._upload(name, upload)

    def _upload(self, name: str, send: Callable[[Any, str], object]) -> None:
        """Upload an object in one step, as far as it can be done."""
        fs, path = self._at(name)
        try:
            self._uploads.upload(fs, path, send)
        except Exception as error:
            if is_missing(error):  # an object that is written is not missing: what is, is where it should go
                raise NoSuchPlaceError(url=self.locate(name), operation="put") from None
            raise

    def _found(self, path: str, use: Callable[[str], T]) -> T:
        """Return what ``use`` makes of the path of an object, wherever that is while it is being replaced."""
        return use(path) if self._promise.over is None else succession.found(path, use)

    def stat(self, name: str) -> Entry:
        with self._telling("stat", name):
            fs, path = self._at(name)
            fs.invalidate_cache(path.rpartition("/")[0])

            def info(path: str) -> Any:
                found = call(fs, "info", path)
                if found["type"] == "directory":
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
                return found

            return entry(name, self._found(path, info))

    def list(self, folder: str = "") -> Iterator[Entry]:
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            found, path = list[Any](), ""
            with contextlib.suppress(FileNotFoundError), self._telling("list", current):
                fs, path = self._at(current)
                fs.invalidate_cache(path)
                found = call(fs, "ls", path, detail=True)
            parts = [info["name"].rstrip("/").rpartition("/")[2] for info in found]
            standing = succession.standing(parts) if self._promise.over is not None else {part: part for part in parts}
            for info, wire in zip(found, parts, strict=True):
                if info["name"].strip("/") == path.strip("/"):  # a folder's own marker, or an object of its name
                    continue
                if wire not in standing:
                    continue
                part = standing[wire]
                part = part if self._promise.exact else unescaped(part)
                name = f"{current}/{part}" if current else part
                if info["type"] == "directory":
                    waiting.append(name)
                else:
                    yield entry(name, info)

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._telling("delete", name):
            fs, path = self._at(name)
            if self._promise.over is not None:  # before the object, or it would take its place
                with contextlib.suppress(FileNotFoundError):
                    call(fs, "rm_file", succession.successor(path))
            call(fs, "rm_file", path)

    def fetch(self, name: str, path: str, size: int) -> None:
        with open(path, "xb") as file, self._telling("fetch", name):
            fs, source = self._at(name)
            if self._promise.in_process or size == 0:  # an empty range is an error to some, and ignored by others
                file.write(memoryview(call(fs, "cat_file", source))[:size])
            elif self._promise.ranges and fs.async_impl:
                try:
                    fetch_ranges(fs, source, file, size)
                except Exception as error:
                    if is_missing(error) or not is_out_of_range(error):
                        raise
                    there = self.stat(name).bytes
                    if there >= size:
                        raise
                    file.truncate(0)
                    fetch_ranges(fs, source, file, there)
            else:
                with contextlib.suppress(EnoughError):
                    self._found(source, lambda source: call(fs, "get_file", source, path, callback=at_most(size)))
                file.truncate(min(size, os.path.getsize(path)))


def _without_cache(fs: Any) -> Any:
    """Take away the cache of listings: others write, too."""
    from fsspec.dircache import DirCache

    fs.dircache = DirCache(use_listings_cache=False)
    return fs
