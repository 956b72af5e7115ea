"""Leases: a lock for storages that have none, as an object that exactly one of many can create.

Its owner rewrites it every few seconds. Whoever waits takes it over when it has not changed for long enough by the
waiter's own clock (no two clocks are compared), or at once when its owner was a process of this machine that is no
more. A lease saves duplicate work; if one is lost to a pause that was too long, work is done twice and never wrongly.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from persistable.conditions import conditions_of
from persistable.display import printable
from persistable.lock import PATIENCE, Lock, NotFree
from persistable.logging import LOGGER
from persistable.naming import STAGED, lease_name
from persistable.process import alive, here, me
from persistable.storage import Storage

__all__ = ["acquire", "beats"]

LIFETIME = 30.0  # seconds without a beat after which a lease is dead
BEAT = 5.0  # seconds between two beats
_SHORTEST, _LONGEST = 0.05, 1.0  # seconds between two looks of one who waits


def acquire(
    storage: Storage,
    folder: str,
    key: str,
    *,
    timeout: float | None = None,
    on_wait: Callable[[str | None], None] | None = None,
) -> Lock:
    """Wait for the lease of a key in a folder, and take it; where the endpoint keeps no conditions, no one waits.

    ``on_wait`` is told the owner (``pid@host`` or None) once, after 5 s.

    Raises:
        NotFree: it was not free within ``timeout`` seconds.
        OSError: the storage's own.
    """
    if not conditions_of(storage, folder).create:
        return Lock(None)
    lease = _Lease(storage, folder, key)
    started, pause, told = time.monotonic(), _SHORTEST, on_wait is None
    watched, since = b"", started
    if storage.put_if_absent(lease.name, lease.content()):
        return lease.hold()
    while True:
        version, content = _look(storage, lease.name)
        now = time.monotonic()
        if content is None:
            taken = storage.put_if_absent(lease.name, lease.content())
        elif lease.is_mine(content):  # the answer to an earlier attempt was lost on the way
            taken = True
        elif (content == watched and now - since > LIFETIME) or _is_dead(content):
            taken = lease.take_over(version, content, waited=now - since if content == watched else 0.0)
        else:
            taken = False
        if taken:
            return lease.hold()
        if content is not None and content != watched:
            watched, since = content, now
        if timeout is not None and now - started >= timeout:
            raise NotFree(f"lease of {key} not free within {timeout:g} s", _owner(content))
        if now - started >= PATIENCE and not told and on_wait is not None:
            told = True
            on_wait(_owner(content))
        time.sleep(pause if timeout is None else max(0.0, min(pause, started + timeout - now)))
        pause = min(pause * 1.5, _LONGEST)


def beats(storage: Storage, folder: str, key: str) -> bool:
    """Whether the lease of a key is kept by somebody, as far as its last beat tells by the clock here."""
    name = f"{folder}/{lease_name(key)}"
    try:
        return storage.stat(name).modified > time.time() - 2 * LIFETIME and not _is_dead(storage.get(name))
    except FileNotFoundError:
        return False


class _Lease:
    """One attempt to hold a lease, and the beat that keeps it."""

    def __init__(self, storage: Storage, folder: str, key: str) -> None:
        self.name = f"{folder}/{lease_name(key)}"
        self._storage, self._folder = storage, folder
        self._token = os.urandom(16).hex()
        self._beats = 0
        self._released = threading.Event()

    def content(self) -> bytes:
        """Return what the object says: it differs at every beat."""
        self._beats += 1
        said = {"owner": me(), "process": os.getpid(), "place": here(), "token": self._token, "beat": self._beats}
        return json.dumps(said).encode()

    def is_mine(self, content: bytes) -> bool:
        return bool(_read(content).get("token") == self._token)

    def _place(self) -> str:
        return printable(self._storage.locate(self.name))

    def take_over(self, version: str | None, content: bytes, waited: float) -> bool:
        """Replace the lease of an owner who is dead for so many seconds; return whether it was this one who did."""
        storage = self._storage
        LOGGER.info("taking over the lease %s of %s", self._place(), _owner(content))
        if version is not None and conditions_of(storage, self._folder).replace:
            return storage.put_if_match(self.name, self.content(), version)
        # one of many creates the claim to just this content; one that died with it leaves the next try to the others
        lifetimes = int(waited // LIFETIME)
        claim = f"{self._folder}/{STAGED}{hashlib.sha256(content).hexdigest()[:32]}-{lifetimes}"
        if not storage.put_if_absent(claim, self.content()):
            return False
        try:
            if _look(storage, self.name)[1] != content:  # somebody was faster, or it beats after all
                return False
            storage.put(self.name, self.content())
            return True
        finally:
            with contextlib.suppress(OSError):
                storage.delete(claim)

    def hold(self) -> Lock:
        thread = threading.Thread(target=self._keep, name="persistable-lease", daemon=True)
        thread.start()

        def close(forked: bool) -> None:
            if forked:  # the parent alone holds it
                return
            self._released.set()
            with contextlib.suppress(OSError):  # what cannot be deleted now dies by itself, and is swept
                thread.join(1.0)
                content = _look(self._storage, self.name)[1]
                if content is not None and self.is_mine(content):
                    self._storage.delete(self.name)

        return Lock(close)

    def _keep(self) -> None:
        while not self._released.wait(BEAT):
            try:
                version, content = _look(self._storage, self.name)
                kept = content is not None and self.is_mine(content)
                if kept and version is not None and conditions_of(self._storage, self._folder).replace:
                    kept = self._storage.put_if_match(self.name, self.content(), version)
                elif kept:
                    self._storage.put(self.name, self.content())
            except OSError as error:  # the next beat may go through
                LOGGER.debug("no beat for the lease %s: %s", self._place(), printable(error))
                continue
            if not kept and not self._released.is_set():
                LOGGER.warning("the lease %s was lost: work may be done twice", self._place())
            if not kept:
                return


def _look(storage: Storage, name: str) -> tuple[str | None, bytes | None]:
    """Return version and content; the version first, so that it is never newer than the content."""
    try:
        return storage.stat(name).version, storage.get(name)
    except FileNotFoundError:
        return None, None


def _read(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _owner(content: bytes | None) -> str | None:
    said = None if content is None else _read(content).get("owner")
    return printable(said) if isinstance(said, str) else None


def _is_dead(content: bytes) -> bool:
    """Whether the owner was a process of this machine that is no more."""
    said = _read(content)
    process = said.get("process")
    return said.get("place") == here() and isinstance(process, int) and process > 0 and not alive(process)
