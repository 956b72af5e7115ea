"""The storage keeps the promises of every storage: its tests are the conformance suite, and the errors of SQLite."""

import sqlite3

import pytest
from imagebox.sqlite import SqliteStorage

from persistable.exceptions import NoSuchPlaceError, StorageConnectionError, StorageFullError, StoragePermissionError
from persistable.testing import StorageTests


class TestSqlite(StorageTests):
    many = 1200  # a page and a bit
    examples = 10

    @pytest.fixture
    def place(self, tmp_path_factory):
        url = f"sqlite://{tmp_path_factory.mktemp('place')}/objects.db"
        return lambda: SqliteStorage(url, durable=False)

    @pytest.fixture
    def unreachable(self, tmp_path):
        return lambda: SqliteStorage(f"sqlite://{tmp_path}/no such folder/objects.db")


def test_a_file_that_is_no_database_is_no_such_place(tmp_path):
    (tmp_path / "objects.db").write_text("something else, and more than a page of it" * 1000)
    with pytest.raises(NoSuchPlaceError, match="not a database"):
        SqliteStorage(f"sqlite://{tmp_path}/objects.db").get("name")


def test_what_is_too_large_for_sqlite_is_refused(tmp_path):
    storage = SqliteStorage(f"sqlite://{tmp_path}/objects.db")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2_000_000_000)
    with pytest.raises(StorageFullError):
        storage.put_file("name", str(tmp_path / "large"))
    assert list(storage.list()) == []


def test_a_database_that_may_not_be_written_is_a_permission_error(tmp_path, monkeypatch):
    url, real = f"sqlite://{tmp_path}/objects.db", sqlite3.connect
    SqliteStorage(url).put("name", b"content")
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, *rest, **options: real(f"file:{path}?mode=ro", *rest, uri=True, **options)
    )
    assert SqliteStorage(url).get("name") == b"content"
    with pytest.raises(StoragePermissionError):
        SqliteStorage(url).put("name", b"other")


def test_who_writes_too_long_is_not_waited_for_without_end(tmp_path):
    url = f"sqlite://{tmp_path}/objects.db"
    SqliteStorage(url).put("name", b"content")
    writing = sqlite3.connect(tmp_path / "objects.db", isolation_level=None)
    writing.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageConnectionError, match="locked"):
        SqliteStorage(url, timeout=0.1).put("name", b"other")
    writing.close()
