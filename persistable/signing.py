"""Signed records: who has the key wrote them, wherever they lie.

The signature is an HMAC-SHA256 over all bytes of a record before it: key, identity, format, sizes and digests are bound
by it, and payloads are digested with SHA-256 then. Source: RFC 2104.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat

from persistable.exceptions import SigningKeyError

__all__ = ["DIGEST", "SigningKey", "keygen", "read_key"]

DIGEST = "sha256"  # of payloads and lineages in signed records: nobody can make another file with the same one

_BYTES = 32
_ALGORITHM = "hmac-sha256"
_MAKE_ONE = "make one: python -m persistable keygen PATH"
_LINE = re.compile(r"persistable-signing-key (?P<secret>[0-9a-f]{64})")


class SigningKey:
    """The secrets of a key file: the first one signs, all verify, so that a key can be replaced step by step."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = secrets

    def sign(self, data: bytes) -> str:
        """Return the signature of some bytes."""
        return _signature(self._secrets[0], data)

    def verifies(self, data: bytes, signature: str) -> bool:
        """Whether one of the secrets made this signature of these bytes; in the same time for any wrong one."""
        matches = [hmac.compare_digest(_signature(secret, data), signature) for secret in self._secrets]
        return any(matches)

    def __repr__(self) -> str:
        return f"<SigningKey of {len(self._secrets)}>"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is not pickled: give the other side the path of its own key file")


def _signature(secret: bytes, data: bytes) -> str:
    return f"{_ALGORITHM}:{hmac.new(secret, data, hashlib.sha256).hexdigest()}"


def keygen(path: str | os.PathLike[str]) -> None:
    """Write a new key to a file that only this user can read; a file that is there stays as it is.

    Keep it outside of the data_dir, and give it to those who may sign: by copying its line to the end of their own key
    file they accept what you sign, by copying it to the beginning they sign with it.

    Raises:
        FileExistsError: there is a file already.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"persistable-signing-key {os.urandom(_BYTES).hex()}\n")


def read_key(path: str) -> SigningKey:
    """Read a key file.

    Raises:
        SigningKeyError: it is not there, or not one, or others can read or change it.
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(1 << 16).decode("ascii", "replace")
    except FileNotFoundError:  # which callers would take for an artifact that is not there
        raise SigningKeyError(path=path, reason="is not there", repair=_MAKE_ONE) from None
    me = os.geteuid() if hasattr(os, "geteuid") else status.st_uid
    if status.st_uid not in (me, 0):
        raise SigningKeyError(path=path, reason=f"belongs to uid {status.st_uid}", repair="make a key of your own")
    if os.name == "posix" and status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise SigningKeyError(path=path, reason=f"is open to others (mode {mode:04o})", repair=f"chmod 600 {path}")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = [_LINE.fullmatch(line.strip()) for line in lines]
    if not found or not all(found):
        raise SigningKeyError(path=path, reason="is not a key file", repair=_MAKE_ONE)
    return SigningKey(tuple(bytes.fromhex(match["secret"]) for match in found if match))
