"""Who may have code executed: the one gate before any format that can run code on load.

Like ssh with its own files: everything from the data_dir down to the payload has to belong to a trusted user (or root)
and must not be writable by anybody else. The policy is the reader's, never the artifact's; it is judged from open
descriptors, before the format is even imported.
"""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Iterable, Sequence
from typing import TypeAlias

__all__ = ["Evidence", "Trust", "TrustSetting"]

TrustSetting: TypeAlias = "str | int | Iterable[str | int] | Trust"
Evidence: TypeAlias = Sequence[tuple[str, os.stat_result]]  # path and status of everything on the way, outermost first

_ROOT = 0
_geteuid = getattr(os, "geteuid", lambda: _ROOT)
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH  # by others than the owner


class Trust:
    """A reader's policy.

    ``"own"`` trusts this user and root, ``"all"`` everybody, ``"data-only"`` refuses whatever can run code, and
    ``"signed"`` whatever is not signed with the store's key, data included; user names or numeric ids trust those users
    besides. What is signed with the store's key is trusted wherever it lies, except by ``"data-only"``.

    Attributes:
        setting: as it was given, as text.
        needs_signature: whether only what is signed is loaded, whatever its format.

    Raises:
        ValueError: an unknown user name.
    """

    __slots__ = ("_users", "needs_signature", "setting")

    def __init__(self, setting: TrustSetting = "own") -> None:
        self.setting, self._users = _policy(setting)
        self.needs_signature = self.setting == "signed"

    def __repr__(self) -> str:
        return f"Trust({self.setting!r})"

    @property
    def accepts_signature(self) -> bool:
        """Whether a signature stands in for owners and permissions."""
        return self.setting != "data-only"

    def objection(self, evidence: Evidence) -> tuple[str, str] | None:
        """Say (path, reason) why code from there is not trusted, or return None."""
        setting = self.setting
        if setting == "all":
            return None
        if setting == "data-only":
            return (evidence[-1][0] if evidence else "the store"), "is read by a store with trust='data-only'"
        if not evidence:
            return "the store", "is not local, so its owner is not known"
        me = _geteuid()
        for path, status in evidence:
            owner, mode = status.st_uid, status.st_mode
            if owner == me and not mode & _WRITABLE:
                continue
            if owner not in (me, _ROOT) and owner not in self._users:
                return path, f"belongs to {_user_name(owner)}"
            if stat.S_ISLNK(mode):  # only its owner can change it
                continue
            if mode & stat.S_IWOTH:
                return path, f"is writable by everybody (mode {stat.S_IMODE(mode):04o})"
            if not mode & stat.S_IWGRP:
                continue
            if _has_acl(path):  # whose mask is what shows as the group's bits
                return path, f"is writable by others through its access control list (mode {stat.S_IMODE(mode):04o})"
            if status.st_gid == _ROOT != me or not _group_is_trusted(status.st_gid, self._users | {me, _ROOT}):
                return path, f"is writable by the group {_group_name(status.st_gid)} (mode {stat.S_IMODE(mode):04o})"
        return None


def _policy(setting: TrustSetting) -> tuple[str, frozenset[int]]:
    """Return a setting as text, and the users it names."""
    if isinstance(setting, Trust):
        return setting.setting, setting._users
    names = [setting] if isinstance(setting, str | int | bytes) else list(setting)  # bytes would be a list of ids
    if names in (["own"], ["all"], ["data-only"], ["signed"]):
        return str(names[0]), frozenset()
    users = [part.strip() for name in names or [""] for part in str(name).split(",")]
    return ",".join(users), frozenset(map(_user_id, users))


def _has_acl(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "system.posix_acl_access"))
    except (AttributeError, OSError):
        return False


def _user_id(name: str) -> int:
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        import pwd

        return pwd.getpwnam(name).pw_uid
    except (ImportError, KeyError):
        raise ValueError(
            f"trust={name!r}: no such user here; give 'own', 'all', 'data-only', 'signed', or users by name or number"
        ) from None


def _user_name(uid: int) -> str:
    try:
        import pwd

        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except (ImportError, KeyError):
        return f"uid {uid}"


def _group_name(gid: int) -> str:
    try:
        import grp

        return f"{grp.getgrgid(gid).gr_name} (gid {gid})"
    except (ImportError, KeyError):
        return f"gid {gid}"


@functools.lru_cache(maxsize=256)
def _group_is_trusted(gid: int, users: frozenset[int]) -> bool:
    """Whether only trusted users are in a group: by its own list, and by being the primary group of theirs."""
    try:
        import grp
        import pwd

        group = grp.getgrgid(gid)
        members = {pwd.getpwnam(name).pw_uid for name in group.gr_mem}
        members |= {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid}
        return bool(members) and members <= users
    except (ImportError, KeyError):
        return False
