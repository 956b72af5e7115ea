"""ObjectStorage: a bucket, or a part of one, through obstore."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from persistable.logging import LOGGER
from persistable.redaction import secrets_of
from persistable.storage import Capabilities, Entry, Storage
from persistable_obstore import forked
from persistable_obstore.place import Place
from persistable_obstore.settings import secrets_of_environment

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode
    from obstore.store import AzureStore, GCSStore, S3Store

__all__ = ["ObjectStorage"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_SERVICES = {"s3": "amazon", "az": "azure", "gs": "google"}
_MIB = 1 << 20
_MOST_PARTS = 10_000  # of an upload, by S3's rules; Azure and Google allow more
_WHOLE = 4  # parts: what has no more is uploaded in one request, of which a killed process leaves nothing
_BULK = _MIB  # bytes: a request that carries more takes its time on a slow line, and gets another client
_FAST = 100 * _MIB  # bytes per second: a connection that carries them is not what limits a download
_PAGE = 1000


def _here_or_elsewhere(method: F) -> F:
    """Have a method work in a forked child too."""

    @functools.wraps(method)
    def call(self: ObjectStorage, *arguments: Any, **named: Any) -> Any:
        if forked.is_needed():
            return self._delegate().call(method.__name__, *arguments, **named)
        return method(self, *arguments, **named)

    return cast("F", call)


class ObjectStorage(Storage):
    """Keep objects in a bucket of S3 (``s3://``), Azure Blob Storage (``az://``) or Google Cloud Storage (``gs://``).

    A file of at most four parts is uploaded in one request, a larger one in parts, some at a time. A download is one
    stream; where that is slow, the rest comes by ranges of the size of a part, as many at a time.

    Attributes:
        place: service, bucket and prefix.

    Args:
        url: ``scheme://bucket/prefix``.
        part_size: bytes of a part; larger where a file would have more than 10,000. S3 wants at least 5 MiB.
        concurrency: how many parts are on their way at a time; memory is about ``part_size * concurrency``.
        options: what ``obstore.store.S3Store``, ``AzureStore`` or ``GCSStore`` take as configuration, besides
            ``client_options``, ``retry_config`` and ``credential_provider``; ``profile`` for S3 and
            ``connection_string`` for Azure.
    """

    capabilities = Capabilities(
        atomic_replace=True,
        create_exclusive=True,
        replace_matching=True,
        lock=False,
        local_path=False,
        open_files_survive_deletion=False,
    )

    def __init__(self, url: str, *, part_size: int = 8 * _MIB, concurrency: int = 8, **options: Any) -> None:
        self.place = Place.of(url)
        if self.place.scheme not in _SERVICES:
            raise ValueError(f"{self.place.scheme}:// is none of {', '.join(_SERVICES)}")
        if part_size < 1 or concurrency < 1:
            raise ValueError(f"part_size {part_size} and concurrency {concurrency} have to be positive")
        self.url = self.place.url
        self._part_size, self._concurrency, self._options = part_size, concurrency, options
        self._secrets = secrets_of(options)
        self._stores: dict[bool, S3Store | AzureStore | GCSStore] = {}  # by whether they are for uploads
        self._elsewhere: forked.Delegate | None = None

    # -- the Storage interface

    @_here_or_elsewhere
    def get(self, name: str) -> bytes:
        content: bytes = self._done("get", name, lambda store: _obstore().get(store, name).bytes().to_bytes())
        return content

    @_here_or_elsewhere
    def put(self, name: str, data: bytes) -> None:
        self._put_whole("put", name, data)

    @_here_or_elsewhere
    def stat(self, name: str) -> Entry:
        def head(store: Any) -> ObjectMeta:
            try:
                return _obstore().head(store, name)  # type: ignore[no-any-return]
            except Exception as error:
                if says_nothing(error):  # there is no room for reasons in an answer to HEAD
                    next(iter(_obstore().list(store, name, chunk_size=1)), None)
                raise

        from persistable_obstore.failures import says_nothing

        return self._entry(self._done("stat", name, head))

    def list(self, folder: str = "") -> Iterator[Entry]:
        if forked.is_needed():
            yield from self._delegate().call("list", folder)
            return
        pages = self._done("list", folder, lambda store: _obstore().list(store, folder or None, chunk_size=_PAGE))
        while (page := self._done("list", folder, lambda _: next(pages, None))) is not None:
            for found in page:
                if found["path"]:  # the marker of a folder that is the prefix itself
                    yield self._entry(found)

    @_here_or_elsewhere
    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._done("delete", name, lambda store: _obstore().delete(store, name))

    @_here_or_elsewhere
    def put_if_absent(self, name: str, data: bytes) -> bool:
        return self._put_on_condition("put_if_absent", name, data, "create")

    @_here_or_elsewhere
    def put_if_match(self, name: str, data: bytes, version: str) -> bool:
        mode: PutMode = {"version": version} if self.place.scheme == "gs" else {"e_tag": version}
        return self._put_on_condition("put_if_match", name, data, mode)

    @_here_or_elsewhere
    def put_file(self, name: str, path: str) -> None:
        size = os.path.getsize(path)
        part = max(self._part_size, -(-size // _MOST_PARTS))
        with open(path, "rb") as file:
            if size <= _WHOLE * self._part_size:
                self._put_whole("put_file", name, file.read())
                return
            # read here, not there: Ctrl-C and errors of the disk then end the upload, which obstore aborts
            parts = iter(functools.partial(file.read, part), b"")
            self._done(
                "put_file",
                name,
                lambda store: _obstore().put(
                    store,
                    name,
                    parts,
                    use_multipart=True,
                    chunk_size=part,
                    max_concurrency=self._concurrency,
                ),
                uploads=True,
            )

    @_here_or_elsewhere
    def fetch(self, name: str, path: str, size: int) -> None:
        with open(path, "xb") as file:
            if size < 1:
                self.stat(name)
                return
            done, whole, e_tag = self._done("fetch", name, lambda store: self._stream(store, name, file, size))
            if done < whole:
                self._fetch_rest(file, name, done, whole, e_tag)

    def uploads(self) -> Iterator[Entry]:
        """Yield the uploads in parts that are open, which boto3 has to be installed for.

        There are none but on S3: Azure drops blocks that no blob has after a week by itself, and so can a bucket of
        Google's, by a rule of its own.
        """
        if self.place.scheme == "s3":
            yield from self._uploads()

    @_here_or_elsewhere
    def _uploads(self) -> Sequence[Entry]:
        from persistable_obstore import amazon

        try:
            found = amazon.Uploads(self.place, self._options)
        except ImportError:
            LOGGER.info("uploads that were left open at %s are not looked for: pip install boto3", self.url)
            return []
        return found.list()

    @_here_or_elsewhere
    def abort(self, upload: Entry) -> None:
        from persistable_obstore import amazon

        amazon.Uploads(self.place, self._options).abort(upload)

    # -- how

    def _entry(self, meta: ObjectMeta) -> Entry:
        version = meta["version"] if self.place.scheme == "gs" else meta["e_tag"]
        if version is not None and self.place.scheme != "gs" and not version.endswith('"'):
            version = f'"{version}"'  # Azure's listings leave the quotes out
        return Entry(meta["path"], meta["size"], meta["last_modified"].timestamp(), version)

    def _put_whole(self, operation: str, name: str, data: bytes) -> None:
        self._done(
            operation,
            name,
            lambda store: _obstore().put(store, name, data, use_multipart=False),
            uploads=len(data) > _BULK,
        )

    def _put_on_condition(self, operation: str, name: str, data: bytes, mode: PutMode) -> bool:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        from persistable_obstore.failures import is_about_the_place

        def put(store: Any) -> bool:
            try:
                _obstore().put(store, name, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError) as error:
                if is_about_the_place(error):
                    raise
                return False
            return True

        return self._done(operation, name, put)

    def _stream(self, store: Any, name: str, file: BinaryIO, size: int) -> tuple[int, int, str | None]:
        """Write an object from its start; return how much is done, how much there is, and of which version.

        All is done, unless the first part has shown that several connections at a time would be faster.
        """
        from persistable_obstore.failures import is_unsatisfiable

        try:
            found = _obstore().get(store, name, options={"range": (0, size)})
        except Exception as error:
            if is_unsatisfiable(error):  # it is empty
                return 0, 0, None
            raise
        meta = found.meta
        whole, done, is_judged = min(size, meta["size"]), 0, self._concurrency == 1
        started = time.perf_counter()
        for chunk in found.stream(min_chunk_size=_MIB):
            file.write(chunk)
            done += len(chunk)
            if not is_judged and done >= self._part_size:
                is_judged = True
                is_fast = done >= _FAST * (time.perf_counter() - started)
                if not is_fast and whole - done > self._part_size:
                    break
        return done, whole, meta["e_tag"]

    def _fetch_rest(self, file: BinaryIO, name: str, start: int, size: int, e_tag: str | None) -> None:
        """Download from a position on, by ranges, of the one object that was seen."""
        lock = threading.Lock()

        def fetch(begin: int) -> None:
            wanted = {"range": (begin, min(size, begin + self._part_size)), "if_match": e_tag}
            data = self._done(
                "fetch",
                name,
                lambda store: _obstore().get(store, name, options=wanted).bytes(),
            )
            with lock:
                file.seek(begin)
                file.write(data)

        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="persistable-fetch")
        try:
            for _ in pool.map(fetch, range(start, size, self._part_size)):
                pass
        finally:
            pool.shutdown(cancel_futures=True)

    def _delegate(self) -> forked.Delegate:
        found = self._elsewhere
        if found is None or not found.is_mine:
            options = {**self._options, "part_size": self._part_size, "concurrency": self._concurrency}
            found = self._elsewhere = forked.Delegate(self.url, options)
        return found

    def _connected(self, *, uploads: bool = False) -> Any:
        """Return obstore's client; ``uploads``: the one for requests that carry much."""
        if uploads not in self._stores:  # two threads may make two, of which one is dropped
            service = importlib.import_module(f"persistable_obstore.{_SERVICES[self.place.scheme]}")
            self._stores[uploads] = service.connect(self.place, self._options, uploads=uploads)
        return self._stores[uploads]

    def _done(self, operation: str, name: str, call: Callable[[Any], T], *, uploads: bool = False) -> T:
        """Call obstore; what it raises becomes an error of ours."""
        from obstore.exceptions import BaseError, UnknownConfigurationKeyError

        try:
            return call(self._connected(uploads=uploads))
        except UnknownConfigurationKeyError as error:
            failure: Exception = TypeError(f"{self.url} with storage_options {sorted(self._options)}: {error}")
        except (BaseError, FileNotFoundError) as error:
            failure = self._translated(error, operation, name)
        # outside of the handler: the original may show credentials, and would be kept as the context
        raise failure

    def _translated(self, error: Exception, operation: str, name: str) -> Exception:
        from persistable_obstore.failures import translated

        url = self.locate(name) if name else self.url
        return translated(error, url=url, operation=operation, secrets=self._secrets | secrets_of_environment())


@functools.cache
def _obstore() -> Any:
    import obstore

    return obstore
