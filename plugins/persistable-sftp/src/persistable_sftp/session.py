"""A session: one SSH connection with an SFTP client on it, opened when it is needed and again after it was lost.

All of it happens on the event loop, where nothing runs at the same time, so nothing is locked.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from typing import Any, NamedTuple

import asyncssh

from persistable_sftp import loop
from persistable_sftp.hostkeys import Witness, unreadable, verdict

__all__ = ["Connected", "Session"]

# What asyncssh would wait for without an end, or for minutes. Options of the user go first.
_LIMITS: Mapping[str, Any] = {
    "connect_timeout": 10,
    "login_timeout": 20,
    "keepalive_interval": 15,  # a network that has gone silent is noticed within a minute
    "keepalive_count_max": 3,
}
_TRIES = 5  # of opening a connection: a server with many logins under way turns some away (MaxStartups)
_AT_ONCE = 3.0  # seconds within which it does; whatever takes longer is not tried again
_PAUSE = 0.2  # seconds after the first of them; doubled each time
_NOWHERE = b".persistable-nowhere"  # a file that there is not
_TURNED_AWAY = (asyncssh.ConnectionLost, asyncssh.ProtocolError, ConnectionResetError, BrokenPipeError)


class Connected(NamedTuple):
    """An open connection.

    Attributes:
        client: its SFTP client.
        atomic_replace: the server renames over an existing file in one step (``posix-rename@openssh.com``).
        keeps_open_files: on the server, files that are open survive their deletion.
    """

    client: asyncssh.SFTPClient
    atomic_replace: bool
    keeps_open_files: bool


class Session:
    """The connection of a storage. ``options`` are those of ``asyncssh.connect``.

    Attributes:
        known: the last connection that was opened, which may be lost; None before the first.
    """

    def __init__(self, host: str, options: Mapping[str, Any]) -> None:
        self._host, self._options = host, {**_LIMITS, **options}
        self.known: Connected | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[Connected] | None = None
        self._holder: asyncio.Task[None] | None = None
        self._connection: asyncssh.SSHClientConnection | None = None

    async def connected(self) -> Connected:
        """Return the open connection; all who ask while it is being opened wait for the same one."""
        running = asyncio.get_running_loop()
        if self._loop is not running:  # the first call, or the first one in a forked child
            self._loop, self._opened, self._holder, self._connection = running, None, None, None
        if self._connection is not None and self._connection.is_closed():
            self._opened = None
        if self._opened is None:
            self._opened = opened = running.create_future()
            self._holder = running.create_task(self._hold(opened))
        return await asyncio.shield(self._opened)

    def drop(self, lost: Connected) -> None:
        """Give up a connection that was lost, unless that was done; the next who asks opens another."""
        opened = self._opened
        if opened is not None and opened.done() and opened.result() is lost:
            if self._connection is not None:
                self._connection.abort()
            self._opened = self._connection = None

    def close(self) -> None:
        """Close the connection, from any thread; not the one of a parent process."""
        running, holder = self._loop, self._holder
        if running is not None and holder is not None and running is loop.current():
            with contextlib.suppress(RuntimeError):  # the loop has ended with the process
                running.call_soon_threadsafe(holder.cancel)

    async def _hold(self, opened: asyncio.Future[Connected]) -> None:
        """Keep a connection open until it is lost or this task is cancelled."""
        try:
            connection = await self._connect()
            async with connection:
                self._connection = connection
                async with await _start(connection) as client:
                    self.known = await _look(connection, client)
                    opened.set_result(self.known)
                    await connection.wait_closed()
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            if not opened.done():
                opened.set_exception(error)
                opened.exception()  # whoever waited may have been interrupted
                if self._opened is opened:
                    self._opened = None
        except asyncio.CancelledError:
            opened.cancel()
            raise

    async def _connect(self) -> asyncssh.SSHClientConnection:
        running, tries, pause = asyncio.get_running_loop(), 1, _PAUSE
        while True:
            started = running.time()
            try:
                return await self._try()
            except _TURNED_AWAY as error:
                if running.time() - started > _AT_ONCE:
                    raise
                if tries == _TRIES:
                    raise await verdict(error, self._host, self._options, None) or error from None
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads those who come together
            tries, pause = tries + 1, 2 * pause

    async def _try(self) -> asyncssh.SSHClientConnection:
        witness = Witness()
        try:
            return await asyncssh.connect(self._host, client_factory=lambda: witness, **self._options)
        except asyncssh.HostKeyNotVerifiable as error:
            raise await verdict(error, self._host, self._options, witness.seen) or error from None
        except ValueError as error:
            raise unreadable(self._host, self._options) or error from None


async def _start(connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
    try:
        return await connection.start_sftp_client()
    except (asyncssh.SFTPError, asyncssh.ChannelOpenError) as error:
        raise asyncssh.SFTPNoConnection(f"logged in, but the server starts no SFTP: {error}") from error


async def _look(connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> Connected:
    """Find out what a server can do."""
    atomic = True
    try:
        await client.posix_rename(_NOWHERE, _NOWHERE)
    except asyncssh.SFTPOpUnsupported:
        atomic = False
    except asyncssh.SFTPError:  # there is no such file: the request was understood
        pass
    server = str(connection.get_extra_info("server_version", ""))
    return Connected(client, atomic, "OpenSSH" in server and "Windows" not in server)
