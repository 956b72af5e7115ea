"""SftpStorage, a folder on a machine that ssh reaches.

An object is written under a private name in its own folder, flushed, and moved to its name in one step: by
``posix-rename@openssh.com`` over what is there, by a hard link where nothing may be. So nobody sees a part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import re
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import unquote

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient, SFTPName

from persistable.exceptions import StorageError, StorageFullError, StoragePermissionError
from persistable.naming import staged_name
from persistable.redaction import secrets_of
from persistable.storage import Capabilities, Entry, Storage
from persistable_sftp import files, loop
from persistable_sftp.errors import LOST, explained, unopened
from persistable_sftp.session import Connected, Session
from persistable_sftp.transfer import Content

__all__ = ["SftpStorage"]

ResultT = TypeVar("ResultT")

_URL = re.compile(
    r"sftp://(?:(?P<user>[^@/:]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<host>\[[^\]/]+\]|[^:/@\[\]]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/.*)?",
    re.IGNORECASE | re.DOTALL,
)
_SECRET = ("password", "passphrase", "pkcs11_pin")  # options that no text may show
_PAGE = 256  # names of a listing at a time
_PATIENCE = 5.0  # seconds for removing what was staged


class SftpStorage(Storage):
    """A folder on a machine that ssh reaches.

    Host, user, port, keys and jump hosts are found as ssh finds them: ``~/.ssh/config``, the ssh agent,
    ``~/.ssh/id_*``, ``~/.ssh/known_hosts``. Folders are made on demand. A connection that was lost is opened again,
    once per operation.

    Args:
        url: ``sftp://[user@]host[:port]/folder``, percent-encoded; ``/~/folder`` starts at the login folder.
        durable: flush every object to the server's disk, where the server can.
        options: those of ``asyncssh.connect``: ``password``, ``client_keys``, ``known_hosts``, ``config`` …
            ``known_hosts=None`` accepts any host.

    Raises:
        ValueError: it is no such URL.
    """

    def __init__(self, url: str, *, durable: bool = True, **options: Any) -> None:
        parts = _URL.fullmatch(url)
        if parts is None:
            raise ValueError("an SFTP storage is at sftp://[user@]host[:port]/folder, percent-encoded")
        user, password, host, port = (parts[name] for name in ("user", "password", "host", "port"))
        if user:
            options.setdefault("username", unquote(user))
        if password is not None:
            options.setdefault("password", unquote(password))
        if port:
            options.setdefault("port", int(port))
        path = parts["path"] or "/~"
        self.url = f"sftp://{f'{user}@' if user else ''}{host}{f':{port}' if port else ''}{path}"
        self.durable = durable
        self._root = _folder(unquote(path))
        self._secrets = secrets_of({name: options[name] for name in _SECRET if name in options})
        self._session = Session(host.strip("[]"), options)
        self._left: set[bytes] = set()  # staged files that could not be removed yet, because the connection was lost
        weakref.finalize(self, self._session.close)

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        """What the server can do; before the first connection, what every server can."""
        known = self._session.known
        return Capabilities(
            atomic_replace=known is not None and known.atomic_replace,
            create_exclusive=True,
            replace_matching=False,
            lock=False,
            local_path=False,
            open_files_survive_deletion=known is not None and known.keeps_open_files,
        )

    # -- the Storage interface

    def get(self, name: str) -> bytes:
        return self._do("get", name, lambda client: files.read(client, self._path(name)))

    def put(self, name: str, data: bytes) -> None:
        self._put("put", name, Content.of_bytes(data))

    def put_file(self, name: str, path: str) -> None:
        with open(path, "rb") as file:
            self._put("put_file", name, Content.of_file(file))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        path, content = self._path(name), Content.of_bytes(data)
        asked = False

        async def create(client: SFTPClient) -> bool:
            nonlocal asked
            staged = _beside(path)
            async with self._written("put_if_absent", name, client, staged, content):
                asked = True
                created = await files.link(client, staged, path)
            await self._discard(client, staged)
            if created is not None:
                return created
            # no hard links there: exclusive all the same, but readers may see the object grow
            try:
                async with self._written("put_if_absent", name, client, path, content):
                    return True
            except files.TAKEN:
                if await client.lexists(path):
                    return False
                raise

        return self._do("put_if_absent", name, create, again=lambda: not asked)

    def fetch(self, name: str, path: str, size: int) -> None:
        with open(path, "xb") as file:
            self._do("fetch", name, lambda client: files.download(client, self._path(name), file, size))

    def stat(self, name: str) -> Entry:
        return _entry(name, self._do("stat", name, lambda client: files.describe(client, self._path(name))))

    def list(self, folder: str = "") -> Iterator[Entry]:
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            for found in self._scan(current):
                name = _text(found.filename)
                if name in (".", ".."):
                    continue
                name = f"{current}/{name}" if current else name
                if files.is_folder(found.attrs):
                    waiting.append(name)
                else:
                    yield _entry(name, found.attrs)

    def delete(self, name: str) -> None:
        async def delete(client: SFTPClient) -> None:
            path = self._path(name)
            try:
                await client.remove(path)
            except asyncssh.SFTPNoSuchFile:
                pass
            except asyncssh.SFTPError:
                if not await client.isdir(path):  # a folder is no object
                    raise

        self._do("delete", name, delete)

    # -- how

    def _path(self, name: str) -> bytes:
        # what is no UTF-8 on the server is listed, and asked for, with surrogates, as on a local disk
        return self._root + name.encode("utf-8", "surrogateescape")

    def _put(self, operation: str, name: str, content: Content) -> None:
        path = self._path(name)

        async def put(client: SFTPClient) -> None:
            staged = _beside(path)
            async with self._written(operation, name, client, staged, content):
                await files.replace(client, staged, path, _beside(path))

        self._do(operation, name, put)

    @contextlib.asynccontextmanager
    async def _written(
        self, operation: str, name: str, client: SFTPClient, path: bytes, content: Content
    ) -> AsyncIterator[None]:
        """Create a file with a content, and remove it if that, or the block, fails."""
        is_ours = path != self._path(name)
        try:
            file = await files.create(client, path)
            is_ours = True
            await files.fill(client, file, content, durable=self.durable)
            yield
        except BaseException as error:
            obstacle = None
            if isinstance(error, asyncssh.SFTPFailure):
                obstacle = await files.obstacle(client, posixpath.dirname(path))
            if is_ours:
                await self._discard(client, path)
            where = self.locate(name)
            if obstacle == "full":
                raise StorageFullError(url=where, operation=operation) from error
            if obstacle == "read-only":
                raise StoragePermissionError(url=where, operation=operation, reason="mounted read-only") from error
            raise

    async def _discard(self, client: SFTPClient, path: bytes) -> None:
        """Remove a file of ours; what cannot be removed now is removed with the next connection."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await client.remove(path)
        except asyncssh.SFTPNoSuchFile:
            pass
        except (asyncssh.Error, OSError):
            self._left.add(path)

    def _scan(self, folder: str) -> Iterator[SFTPName]:
        """Yield what is in one folder, page by page; after a lost connection from its start, without what was told."""
        path = self._path(folder)
        told: set[str | bytes] = set()
        scan: AsyncIterator[SFTPName] | None = None  # asyncio closes one that is left before its end
        by: SFTPClient | None = None

        async def page(client: SFTPClient) -> list[SFTPName]:
            nonlocal scan, by
            if scan is None or by is not client:
                scan, by = client.scandir(path), client
            found: list[SFTPName] = []
            async for entry in scan:
                if entry.filename not in told:
                    found.append(entry)
                if len(found) == _PAGE:
                    break
            return found

        with contextlib.suppress(FileNotFoundError):
            while found := self._do("list", folder, page):
                told.update(entry.filename for entry in found)
                yield from found

    # -- connections and errors

    def _do(
        self,
        operation: str,
        name: str,
        attempt: Callable[[SFTPClient], Awaitable[ResultT]],
        *,
        again: Callable[[], bool] = lambda: True,
    ) -> ResultT:
        """Return what an attempt gives; a second one, if the connection was lost and ``again`` permits it."""
        where = self.locate(name)
        try:
            return loop.run(self._attempts(operation, where, attempt, again))
        except (asyncssh.Error, OSError) as error:
            told = explained(error, url=where, operation=operation, secrets=self._secrets)
            if told is error:
                raise
            raise told from self._cause(error)

    async def _attempts(
        self,
        operation: str,
        where: str,
        attempt: Callable[[SFTPClient], Awaitable[ResultT]],
        again: Callable[[], bool],
    ) -> ResultT:
        repeated = False
        while True:
            connected = await self._connected(operation, where)
            try:
                return await attempt(connected.client)
            except LOST as error:
                if isinstance(error, StorageError):
                    raise
                self._session.drop(connected)
                if repeated or not again():
                    if self._left:  # one more connection, to remove what is staged
                        with contextlib.suppress(OSError):
                            await self._connected(operation, where)
                    raise
            repeated = True

    async def _connected(self, operation: str, where: str) -> Connected:
        try:
            connected = await self._session.connected()
        except Exception as error:
            told = unopened(error, url=where, operation=operation, secrets=self._secrets)
            if told is error:
                raise
            raise told from self._cause(error)
        while self._left:
            path = self._left.pop()
            try:
                await connected.client.remove(path)
            except asyncssh.SFTPNoSuchFile:
                pass
            except asyncssh.Error:
                self._left.add(path)
                break
        return connected

    def _cause(self, error: Exception) -> Exception | None:
        """Return an error to be shown as a cause, unless it shows a secret."""
        return None if any(secret in str(error) for secret in self._secrets) else error


def _folder(path: str) -> bytes:
    """Return what names of objects are appended to: an absolute folder, or one below the login folder."""
    if path == "/~" or path.startswith("/~/"):
        path = "." + path[2:]
    return path.rstrip("/").encode() + b"/"


def _beside(path: bytes) -> bytes:
    """Return a new private name in the same folder."""
    return posixpath.join(posixpath.dirname(path), staged_name("").encode())


def _entry(name: str, attributes: SFTPAttrs) -> Entry:
    return Entry(name, attributes.size or 0, float(attributes.mtime or 0))


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
