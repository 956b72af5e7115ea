"""The storage ``sqlite:///path/to/file.db``: all objects in one file, with nothing but the standard library.

Decisions:

- One table of name, version, time and bytes. A version is a random word that every write replaces.
- Every call is a connection and a transaction of its own. What fails or is interrupted is undone by SQLite, in the next
  process at the latest; nothing stays open between calls.
- SQLite does not survive a fork in the midst of a call, so that forks wait for calls, and calls for each other.
- Large objects are written and read in pieces. SQLite ends at 1 GB for one object.
- It has no locks of its own: persistable makes leases, by ``put_if_absent``.

Source: https://sqlite.org/howtocorrupt.html, https://sqlite.org/lang_transaction.html
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator

from persistable.exceptions import (
    NoSuchPlaceError,
    StorageConnectionError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
)
from persistable.storage import Capabilities, Entry, Storage

__all__ = ["SqliteStorage"]

TABLE = "CREATE TABLE IF NOT EXISTS objects (name TEXT PRIMARY KEY, version TEXT, modified REAL, content BLOB)"
PIECE = 1 << 20  # bytes that are copied at a time
PAGE = 1000  # entries that are listed at a time

KINDS: dict[int, type[StorageError]] = {
    sqlite3.SQLITE_CANTOPEN: NoSuchPlaceError,
    sqlite3.SQLITE_NOTADB: NoSuchPlaceError,
    sqlite3.SQLITE_READONLY: StoragePermissionError,
    sqlite3.SQLITE_PERM: StoragePermissionError,
    sqlite3.SQLITE_FULL: StorageFullError,
    sqlite3.SQLITE_TOOBIG: StorageFullError,
}

_calm = threading.RLock()  # held during a call
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_calm.acquire, after_in_parent=_calm.release, after_in_child=_calm.release)


class SqliteStorage(Storage):
    """Keep objects in a file of SQLite, which is made by the first call in a folder that is there.

    Args:
        url: ``sqlite:///path/to/file.db``.
        timeout: seconds to wait for those who are writing.
        durable: flush every write to the disk before the call returns.
    """

    capabilities = Capabilities(
        atomic_replace=True,
        create_exclusive=True,
        replace_matching=True,
        lock=False,
        local_path=False,
        open_files_survive_deletion=True,
    )

    def __init__(self, url: str, *, timeout: float = 60.0, durable: bool = True) -> None:
        self.url, self.timeout, self.durable = url, timeout, durable
        self._path = url.removeprefix("sqlite://")

    # -- one object

    def get(self, name: str) -> bytes:
        with self._transaction("get", name) as connection:
            row = connection.execute("SELECT content FROM objects WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise self._missing(name)
        content: bytes = row[0]
        return content

    def stat(self, name: str) -> Entry:
        with self._transaction("stat", name) as connection:
            row = connection.execute(
                "SELECT name, length(content), modified, version FROM objects WHERE name = ?", (name,)
            ).fetchone()
        if row is None:
            raise self._missing(name)
        return Entry(*row)

    def put(self, name: str, data: bytes) -> None:
        with self._transaction("put", name, writes=True) as connection:
            connection.execute("REPLACE INTO objects VALUES (?, ?, ?, ?)", (name, *_stamp(), data))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        with self._transaction("put_if_absent", name, writes=True) as connection:
            done = connection.execute("INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?)", (name, *_stamp(), data))
            return done.rowcount == 1

    def put_if_match(self, name: str, data: bytes, version: str) -> bool:
        with self._transaction("put_if_match", name, writes=True) as connection:
            done = connection.execute(
                "UPDATE objects SET version = ?, modified = ?, content = ? WHERE name = ? AND version = ?",
                (*_stamp(), data, name, version),
            )
            return done.rowcount == 1

    def delete(self, name: str) -> None:
        with self._transaction("delete", name, writes=True) as connection:
            connection.execute("DELETE FROM objects WHERE name = ?", (name,))

    # -- many

    def list(self, folder: str = "") -> Iterator[Entry]:
        last, end = (f"{folder}/", f"{folder}0") if folder else ("", "\U0010ffff")  # 0 comes right after /
        while page := self._page(folder, last, end):
            yield from page
            last = page[-1].name

    def _page(self, folder: str, last: str, end: str) -> tuple[Entry, ...]:
        with self._transaction("list", folder) as connection:
            rows = connection.execute(
                "SELECT name, length(content), modified, version FROM objects "
                "WHERE name > ? AND name < ? ORDER BY name LIMIT ?",
                (last, end, PAGE),
            )
            return tuple(Entry(*row) for row in rows)

    # -- files, in constant memory

    def put_file(self, name: str, path: str) -> None:
        with open(path, "rb") as file, self._transaction("put_file", name, writes=True) as connection:
            size = os.fstat(file.fileno()).st_size
            done = connection.execute("REPLACE INTO objects VALUES (?, ?, ?, zeroblob(?))", (name, *_stamp(), size))
            with connection.blobopen("objects", "content", done.lastrowid or 0) as blob:
                while piece := file.read(min(PIECE, size - blob.tell())):
                    blob.write(piece)
                if blob.tell() != size:
                    raise OSError(errno.EIO, "the file became shorter while it was read", path)

    def fetch(self, name: str, path: str, size: int) -> None:
        with self._transaction("fetch", name) as connection:
            row = connection.execute("SELECT rowid FROM objects WHERE name = ?", (name,)).fetchone()
            if row is None:
                raise self._missing(name)
            with connection.blobopen("objects", "content", row[0], readonly=True) as blob, open(path, "xb") as file:
                while piece := blob.read(min(PIECE, size - blob.tell())):
                    file.write(piece)

    # -- how

    @contextlib.contextmanager
    def _transaction(self, operation: str, name: str, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """Have a connection for one transaction, which is undone if anything fails."""
        try:
            with (
                _calm,
                contextlib.closing(sqlite3.connect(self._path, self.timeout, isolation_level=None)) as connection,
            ):
                if not self.durable:
                    connection.execute("PRAGMA synchronous = OFF")
                connection.execute(TABLE)
                # who reads first and writes then would be refused when somebody else has written meanwhile
                connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
                with connection:  # commits, or rolls back
                    yield connection
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_TOOBIG) & 0xFF  # extended codes have more bits
            kind = KINDS.get(code, StorageConnectionError)
            raise kind(url=self.locate(name), operation=operation, reason=str(error)) from error

    def _missing(self, name: str) -> FileNotFoundError:
        return FileNotFoundError(errno.ENOENT, "no such object", self.locate(name))


def _stamp() -> tuple[str, float]:
    """Return version and time of a write."""
    return os.urandom(8).hex(), time.time()
