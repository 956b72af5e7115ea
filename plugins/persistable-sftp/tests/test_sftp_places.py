"""URLs: where they lead, and what is said of those that lead nowhere."""

import pytest
from persistable_sftp import SftpStorage


@pytest.mark.parametrize(
    ("url", "root", "asked"),
    [
        ("sftp://hub/srv/data", b"/srv/data/", {}),
        ("sftp://hub/srv/data/", b"/srv/data/", {}),
        ("sftp://me@hub:2222/srv", b"/srv/", {"username": "me", "port": 2222}),
        ("sftp://me%40work:p%3Aw@hub/srv", b"/srv/", {"username": "me@work", "password": "p:w"}),
        ("sftp://hub", b"./", {}),
        ("sftp://hub/", b"/", {}),
        ("sftp://hub/~", b"./", {}),
        ("sftp://hub/~/data", b"./data/", {}),
        ("sftp://hub/~other/data", b"/~other/data/", {}),
        ("sftp://hub/a%20b%2525/#1?x", b"/a b%25/#1?x/", {}),
        ("sftp://[::1]:2222/srv", b"/srv/", {"port": 2222}),
        ("SFTP://Hub/srv", b"/srv/", {}),
    ],
)
def test_url_says_host_user_port_and_folder(url, root, asked):
    storage = SftpStorage(url)
    assert storage._root == root
    options = storage._session._options
    assert {name: options[name] for name in ("username", "password", "port") if name in options} == asked
    assert storage._session._host in ("hub", "::1", "Hub")


def test_options_go_before_the_url():
    storage = SftpStorage("sftp://me:1234@hub:22/x", username="you", password="5678", port=2200)
    assert {"username": "you", "password": "5678", "port": 2200}.items() <= storage._session._options.items()


@pytest.mark.parametrize(
    "url", ["sftp:///srv", "sftp://", "sftp://hub:port/x", "sftp://a:s3cret@b@hub/x", "s3://hub/x"]
)
def test_malformed_url_is_a_value_error_that_does_not_repeat_it(url):
    with pytest.raises(ValueError, match=r"^an SFTP storage is at sftp://\[user@\]host\[:port\]/folder") as raised:
        SftpStorage(url)
    assert "s3cret" not in str(raised.value)


def test_password_of_the_url_is_not_part_of_what_is_shown():
    storage = SftpStorage("sftp://me:s3cret@hub:22/x")
    assert storage.url == "sftp://me@hub:22/x"
    assert "s3cret" not in repr(storage) + storage.locate("name")


def test_folder_below_the_login_folder(server, folder, opened):
    """``/~/`` starts where the user is after logging in."""
    from pathlib import Path

    home = Path(f"~{server.user}").expanduser()
    storage = SftpStorage(server.url("/~/") + f"../../../../../..{folder}", **server.options)
    storage.put("a/b", b"1")
    assert (folder / "a" / "b").read_bytes() == b"1"
    assert [entry.name for entry in storage.list()] == ["a/b"]
    assert home.is_absolute()


def test_names_that_are_no_utf8_are_listed_and_found(folder, opened):
    """What other programs left is shown as on a local disk."""
    folder.mkdir()
    (folder / b"caf\xe9".decode("utf-8", "surrogateescape")).write_bytes(b"1")
    storage = opened()
    [entry] = storage.list()
    assert (entry.name, storage.get(entry.name)) == ("caf\udce9", b"1")
    storage.delete(entry.name)
    assert list(storage.list()) == []


def test_folder_is_no_object(folder, opened, tmp_path):
    storage = opened()
    storage.put("a/b", b"1")
    for call in (storage.get, storage.stat, lambda name: storage.fetch(name, str(tmp_path / "x"), 10)):
        with pytest.raises(FileNotFoundError):
            call("a")
    storage.delete("a")
    assert storage.get("a/b") == b"1"
