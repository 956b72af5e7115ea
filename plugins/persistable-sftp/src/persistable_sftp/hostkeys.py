"""What to say of a host whose key was not accepted: it is unknown, or shows another key than the known one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from typing import Any

import asyncssh

__all__ = ["UnreadableError", "Witness", "unreadable", "verdict"]

Seen = tuple[str, str, int, asyncssh.SSHKey]  # host, address, port, and the key that it showed
_PATIENCE = 5.0  # seconds for a host to show its key
_WHERE = ("config", "known_hosts", "port", "username")  # options that say which host, and what is known of it


class Witness(asyncssh.SSHClient):
    """Remember the key that a host showed, if it is not among the known ones."""

    seen: Seen | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.seen = (host, addr, port, key)
        return False  # whoever wants no check says known_hosts=None, and is not asked here


class UnreadableError(Exception):
    """Say that a file of ssh is not what it should be, and what to do about it."""


def unreadable(asked: str, options: Mapping[str, Any]) -> UnreadableError | None:
    """Return which file of known hosts, or of configuration, has made asyncssh fail; None if none has."""
    for option, path in _files(asked, options):
        try:
            if option == "config":
                with open(path) as file:  # in the encoding in which asyncssh reads it
                    file.read()
            else:
                asyncssh.read_known_hosts(path)
        except ValueError as wrong:  # of which a UnicodeDecodeError is one
            return UnreadableError(
                f"{path} cannot be read: {wrong}. Mend it, or name another file: storage_options={{{option!r}: …}}"
            )
        except (OSError, asyncssh.Error):
            continue
    return None


def _files(asked: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the files that say which host, and what is known of it, with the option that names another one."""
    yield from (("config", path) for path in _paths(options.get("config", "~/.ssh/config")))
    told = {name: options[name] for name in _WHERE if name in options}
    known = asyncssh.SSHClientConnectionOptions(host=asked, **told).known_hosts
    if known is not None:  # else the user has said that any host will do
        yield from (("known_hosts", path) for path in _paths(known or "~/.ssh/known_hosts"))


def _paths(given: object) -> list[str]:
    several = given if isinstance(given, list | tuple) else [given]
    return [os.path.expanduser(path) for path in several if isinstance(path, str | os.PathLike)]


async def verdict(
    error: Exception, asked: str, options: Mapping[str, Any], seen: Seen | None
) -> asyncssh.HostKeyNotVerifiable | None:
    """Return the error with what to do about it, or None if the host's key is not to blame.

    OpenSSH resets the connection if it has no key of a kind that is known: then the key is ``seen`` by asking for it.
    """
    told = {name: options[name] for name in _WHERE if name in options}
    try:
        where = asyncssh.SSHClientConnectionOptions(host=asked, **told)
        if seen is None and not isinstance(error, asyncssh.HostKeyNotVerifiable):
            asking = asyncssh.get_server_host_key(
                asked, where.port, config=options.get("config", ()), tunnel=options.get("tunnel", ())
            )
            found = await asyncio.wait_for(asking, _PATIENCE)
            seen = None if found is None else (where.host_key_alias or where.host, "", where.port, found)
        if seen is None:
            return error if isinstance(error, asyncssh.HostKeyNotVerifiable) else None
        host, addr, port, key = seen
        known, *others = asyncssh.match_known_hosts(
            where.known_hosts or os.path.expanduser("~/.ssh/known_hosts"), host, addr, port
        )
    except (asyncssh.Error, OSError, ValueError):  # no such file, say, or no answer
        if seen is None:
            return None
        host, addr, port, key = seen
        known, others = [], []
    if key in known:
        return None
    shown = f"{host} port {port} shows the key {key.get_algorithm()} {key.get_fingerprint()}"
    if known or any(others):
        name = host if port == 22 else f"[{host}]:{port}"
        return asyncssh.HostKeyNotVerifiable(
            f"{shown}, and another one is known for it. If you were told of the change: ssh-keygen -R '{name}', then "
            "accept the new one"
        )
    return asyncssh.HostKeyNotVerifiable(
        f"{shown}, and none is known for it. Connect once with ssh to accept it, or, after comparing it with what the "
        f"host's owner says: ssh-keyscan -p {port} {host} >> ~/.ssh/known_hosts; or name another file: "
        "storage_options={'known_hosts': …}"
    )
