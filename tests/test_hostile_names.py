"""Hostile names, roles and secrets, end to end: nothing leaves the data_dir, nothing collides, nothing leaks."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dict_storage import DictStorage
from specimens import fast, files
from test_naming import HOSTILE

from persistable import ArtifactStore, FileIO, Persistable, PersistableParams, lease, lock
from persistable.address import Address
from persistable.digest import digest_of
from persistable.display import printable
from persistable.exceptions import (
    CorruptArtifactError,
    CorruptArtifactWarning,
    ForeignArtifactError,
    FormatError,
    UnkeyableParamError,
)
from persistable.local import LocalStorage
from persistable.params import param
from persistable.redaction import redacted

SECRET = "hunter2-" + "s3cr3t" * 3


@dataclass
class Params(PersistableParams):
    n: int = 1
    token: str = param(default="", secret=True)


class NamedP(Persistable[str, Params]):
    """A payload that is its own name."""

    def _generate_payload(self, **untracked: Any) -> str:
        return self.payload_name


def test_hostile_names_stay_in_the_data_dir_and_apart(tmp_path: Path) -> None:
    """Every name gets an artifact of its own below data_dir, and comes back under that name alone."""
    root = tmp_path / "outer" / "data"
    root.mkdir(parents=True)
    (tmp_path / "outer" / "sibling").write_bytes(b"untouched")
    made = [NamedP(fast(root), Params(), payload_name=name) for name in HOSTILE]
    for p in made:
        p.load_generate()
    for name, p in zip(HOSTILE, made, strict=True):
        again = NamedP(fast(root), Params(), payload_name=name)
        again.load()
        assert again.payload == name
        assert p.persist_filepath.resolve().is_relative_to(root.resolve())
    assert len({p.persist_filepath for p in made}) == len({p.key for p in made}) == len(HOSTILE)
    assert sorted(path.name for path in (tmp_path / "outer").iterdir()) == ["data", "sibling"]
    assert sorted(os.listdir(tmp_path)) == ["outer"]
    assert {address.name for address in fast(root).list()} == set(HOSTILE)


def test_no_name_forges_a_log_line(tmp_path: Path) -> None:
    """log.txt has exactly the lines of what happened, each beginning with a time stamp and ending with a process."""
    for name in HOSTILE:
        NamedP(fast(tmp_path), Params(), payload_name=name).load_generate()
    lines = [line for path in tmp_path.rglob("log.txt") for line in path.read_text("ascii").split("\n") if line]
    assert len(lines) == 2 * len(HOSTILE)
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z (generated|persisted) [ -~]* pid=\d+", line), line


FORGED = "a\nERROR forged line\r\x1b[2J\u2028\x85b"


class ChangingP(NamedP):
    """A payload whose generation changes its own params."""

    def _generate_payload(self, **untracked: Any) -> str:
        self.params.n += 1
        setattr(self.params, FORGED, 1)
        return super()._generate_payload()


def test_no_name_forges_a_line_of_a_logger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names have their control characters escaped in every log record, the application's logger's too, and stderr."""
    caplog.set_level(logging.DEBUG)
    for logger in (None, logging.getLogger("application")):
        for made in (NamedP, ChangingP):
            name = f"{FORGED}{logger}{made.__name__}"
            p = made(fast(tmp_path), Params(), payload_name=name, verbose=True, logger=logger)
            p.load_generate()
            again = made(fast(tmp_path), Params(), payload_name=name, verbose=True, logger=logger)
            again.load()
            again.persist_filepath.write_bytes(b"damaged")
            with pytest.warns(CorruptArtifactWarning):
                again.load_generate()
    with fast(tmp_path)._locked(Address(FORGED, "a", "0" * 32), lock.COMMIT) as held:
        assert held.exclusive
    shown = [record.getMessage() for record in caplog.records]
    assert len([text for text in shown if r"a\nERROR forged line\r\x1b[2J\u2028\x85b" in text]) >= 20
    assert all(text.isprintable() for text in shown), shown
    printed = capsys.readouterr().err
    assert len(printed.split("\n")) == len(printed.splitlines()) + 1
    assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in printed.splitlines()), printed


def test_whoever_is_waited_for_forges_no_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An owner's name is what somebody else wrote into a lock or a lease."""
    lease_of_others = json.dumps({"owner": FORGED, "place": "elsewhere", "process": 1}).encode()
    assert lease._owner(lease_of_others) == printable(FORGED)
    address = Address(FORGED, "a", "0" * 32)
    told: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalStorage, "lock", lambda *_, on_wait, **__: told.append(on_wait))
        fast(tmp_path)._locked(address, lock.GENERATE)
    told[0](None)
    assert "waiting for another process" in caplog.records[-1].getMessage()
    assert caplog.records[-1].getMessage().isprintable()


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (rb'"path": "([0-9a-f]{32})-[^"]*"', rb'"path": "\1-a\\nERROR forged\\u001b[2J"', CorruptArtifactError),
        (rb'"path": "([0-9a-f]{32})-[^"]*"', rb'"path": "\1-../link\\nERROR forged"', CorruptArtifactError),
        (rb'"class": "[^"]*"', rb'"class": "x:Y\\nERROR forged"', ForeignArtifactError),
        (rb'"format_version": 1', rb'"format_version": 9', FormatError),
        (rb'"format": "[^"]*"', rb'"format": "x\\nERROR forged"', FormatError),
        (rb'"distribution": "[^"]*"', rb'"distribution": {"x": 1}', CorruptArtifactError),
        (rb'"record_schema": 1', rb'"record_schema": true', CorruptArtifactError),
    ],
    ids=["path", "path upwards", "class", "version", "format", "distribution", "schema"],
)
def test_no_record_forges_a_line_of_an_error(old: bytes, new: bytes, error: type[Exception], tmp_path: Path) -> None:
    """What somebody has written into a record is shown by errors as what it is: in one line that is printable."""
    p = NamedP(fast(tmp_path), Params())
    p.load_generate()
    record = tmp_path / "named_p" / f"{p.key}.json"
    raw = record.read_bytes()
    body = re.sub(old, new, raw[: raw.index(b'"check"')])
    assert body != raw[: raw.index(b'"check"')]
    body = re.sub(rb'"code": "[^"]*"', b'"code": "another"', body)
    record.write_bytes(body + f'"check": "{digest_of(body)}"\n}}\n'.encode())
    with pytest.raises(error) as caught:
        NamedP(fast(tmp_path), Params()).load()
    assert str(caught.value).isprintable()


def test_hostile_roles_are_nothing_but_names(tmp_path: Path) -> None:
    """A role is in the key and in the record, never in a path; roles that differ at all give different keys."""
    upstream = NamedP(fast(tmp_path), Params(), payload_name="upstream")
    made = [NamedP(fast(tmp_path), Params(), {role: upstream}, payload_name="down") for role in HOSTILE]
    assert len({p.key for p in made}) == len(HOSTILE)
    for p in made[:40]:
        p.load_generate()
        assert p.record.identity["dependencies"][0][0] in HOSTILE
    assert sorted(os.listdir(tmp_path)) == ["down"]  # upstream was never asked for
    assert {path.parent.name for path in tmp_path.rglob("*") if path.is_file()} == {"down"}


@pytest.mark.parametrize(
    "suffix", ["../x", "/x", "/../../x", ".a/b", ".\0", "x", ".", "..", ".a\n", ". ", ".é", "\\", ".x" * 60]
)
def test_hostile_suffixes_are_refused(suffix: str, tmp_path: Path) -> None:
    """A suffix is dots, letters and digits; anything else is an error before anything is generated."""
    with pytest.raises(ValueError, match="payload_file_suffix"):
        NamedP(fast(tmp_path), Params(), payload_file_suffix=suffix)

    class Own(FileIO[Any]):
        _save = _load = None  # type: ignore[assignment]

    Own.suffix = suffix
    p = NamedP(fast(tmp_path), Params())
    for give in (lambda: NamedP(fast(tmp_path), Params(), payload_io=Own), lambda: setattr(p, "payload_io", Own())):
        with pytest.raises(ValueError, match=r"Own\.suffix="):
            give()
    other = NamedP(fast(tmp_path), Params(), payload_io=Own, payload_file_suffix=".x")  # which is used in its place
    with pytest.raises(ValueError, match=r"Own\.suffix="):
        other.payload_file_suffix = None
    assert other.payload_file_suffix == ".x"


def test_a_secret_param_is_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in records, logs, reprs, HTML, params_tree, pickles or the traceback text of our errors."""
    caplog.set_level(logging.DEBUG)
    p = NamedP(fast(tmp_path), Params(token=SECRET), verbose=True)
    p.load_generate()
    seen = [repr(p), str(p), p._repr_html_(), repr(p.params), str(p.params_tree), repr(p.record), caplog.text]
    seen += [content.decode("latin-1") for content in files(tmp_path).values()]
    seen += [pickle.dumps(p).decode("latin-1"), pickle.dumps(p.params).decode("latin-1")]
    p.params.n = 2
    for use in (p.load, p.persist, p.generate):
        with pytest.raises(Exception) as caught:
            use()
        seen.append("".join(traceback.format_exception(caught.value)))
    assert p.params.token == SECRET
    for text in seen:
        assert SECRET not in text


def test_a_secret_of_a_class_that_is_no_dataclass_is_refused(tmp_path: Path) -> None:
    """What ``param()`` says would be lost: the secret would be in key, record and pickle."""

    class Forgotten(PersistableParams):
        token: str = param(default="", secret=True)

        def __init__(self, token: str) -> None:
            self.token = token

    with pytest.raises(UnkeyableParamError, match=r"token is declared by param.*Decorate it with @dataclass"):
        Persistable(fast(tmp_path), Forgotten(SECRET), payload_name="x")
    assert files(tmp_path) == {}


NAMES = (
    *("api_key", "apikey", "api-key", "key", "pwd", "auth", "passwd", "password", "credential", "access_key"),
    *("secret_access_key", "token", "sig"),
)


@pytest.mark.parametrize(
    "url",
    [
        *(f"https://host/x?{before}{name}={SECRET}" for name in NAMES for before in ("", "a=1&")),
        *(f"{scheme}://me:{SECRET}{end}@host/x" for scheme in ("sftp", "https") for end in ("", "/", "/a/b", "@", "?")),
        f"sftp://me:a/{SECRET}@host/x",
        f"https://{SECRET}@host/x",
        f"webdav+http://{SECRET}@host/x",
    ],
)
def test_a_url_with_credentials_is_refused(url: str) -> None:
    """It would be shown, logged and pickled; the error shows none of it."""
    with pytest.raises(ValueError, match="has credentials in it") as refused:
        ArtifactStore(url)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "sftp://user@host/path",
        "sftp://user@host:22/home/a@b",
        "abfs://container@account.dfs.core.windows.net/path",
        "sqlite:///x.db",
        "http://host:8080/a@b",
        "http://[::1]:8080/a@b",
        "https://host/x?monkey=1&author=me",
        "s3://bucket/key=1/auth=2",
    ],
)
def test_a_url_without_credentials_is_taken(url: str) -> None:
    """Users, ports, containers and partitions are none."""
    assert ArtifactStore(url).location == url


def test_a_message_about_keys_stays_readable() -> None:
    """A key is a credential in a query only."""
    text = "NoSuchKey: key: points_p/abc.json (http://host:80/b), auth: none"
    assert redacted(text) == text


def test_credentials_of_a_storage_are_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither options nor the user part of a URL show up in records, reprs, pickles, logs or errors of ours."""
    caplog.set_level(logging.DEBUG)
    options = {"key": SECRET, "nested": {"password": SECRET + "2"}}
    seen = []
    for url in (f"nowhere://me:{SECRET}@host/x", f"nowhere://host/x?sig={SECRET}"):
        with pytest.raises(ValueError, match="storage_options") as refused:
            ArtifactStore(url)
        seen.append("".join(traceback.format_exception(refused.value, limit=0)))
    unserved = ArtifactStore("nowhere://me@host/x", storage_options=options)
    seen.append(repr(unserved))
    for use in (NamedP.load, NamedP.load_generate, NamedP.generate):
        p = NamedP(unserved, Params())
        seen += [repr(p), p._repr_html_()]
        with pytest.raises(OSError) as caught:
            use(p)
        seen.append("".join(traceback.format_exception(caught.value)))
    place = DictStorage(f"dict://{tmp_path}", key=SECRET)
    store = ArtifactStore(place, storage_options=options, trust="all", cache=tmp_path)
    p = NamedP(store, Params())
    p.load_generate()
    seen += [repr(store), repr(place), repr(p), p._repr_html_(), caplog.text]
    seen += [pickle.dumps(store).decode("latin-1"), pickle.dumps(p).decode("latin-1")]
    seen += [content.decode("latin-1") for content, _, _ in place.objects.values()]
    for text in seen:
        assert SECRET not in text
