"""What is done to files of a server, on an open connection. Errors are the client's own."""

from __future__ import annotations

import contextlib
import posixpath
import stat
from collections.abc import AsyncIterator
from typing import BinaryIO

from asyncssh import (
    SFTPAttrs,
    SFTPClient,
    SFTPClientFile,
    SFTPError,
    SFTPFailure,
    SFTPFileAlreadyExists,
    SFTPNoSuchFile,
    SFTPOpUnsupported,
    SFTPPermissionDenied,
)

from persistable_sftp.transfer import BLOCK, Content, in_blocks

__all__ = ["TAKEN", "create", "describe", "download", "fill", "is_folder", "link", "obstacle", "read", "replace"]

_READ_ONLY = 1  # among the flags of statvfs@openssh.com
TAKEN = (SFTPFailure, SFTPFileAlreadyExists)  # version 3 has no word for it


async def describe(client: SFTPClient, path: bytes) -> SFTPAttrs:
    """Return the attributes of a file; a symbolic link is not followed, and a folder is no file."""
    attributes = await client.lstat(path)
    if is_folder(attributes):
        raise SFTPNoSuchFile("it is a folder")
    return attributes


def is_folder(attributes: SFTPAttrs) -> bool:
    """Tell whether attributes are those of a folder."""
    return stat.S_ISDIR(attributes.permissions or 0)


async def read(client: SFTPClient, path: bytes) -> bytes:
    """Return the content of a file."""
    async with _opened(client, path) as file:
        data = bytearray((await file.stat()).size or 0)

        async def move(offset: int, count: int) -> None:
            found: bytes = await file.read(count, offset)
            data[offset : offset + len(found)] = found

        await in_blocks(len(data), move)
    return bytes(data)


async def download(client: SFTPClient, path: bytes, target: BinaryIO, size: int) -> None:
    """Write a file's content, at most ``size`` bytes of it, to a local one."""
    async with _opened(client, path) as file:

        async def move(offset: int, count: int) -> None:
            found: bytes = await file.read(count, offset)
            target.seek(offset)
            target.write(found)

        await in_blocks(size, move)


@contextlib.asynccontextmanager
async def _opened(client: SFTPClient, path: bytes) -> AsyncIterator[SFTPClientFile]:
    try:
        async with client.open(path, "rb") as file:
            yield file
    except SFTPFailure:  # a folder can be opened and not be read
        if await client.isdir(path):
            raise SFTPNoSuchFile("it is a folder") from None
        raise


async def create(client: SFTPClient, path: bytes) -> SFTPClientFile:
    """Open a new file for writing, and make its folder; there must be none of its name yet."""
    try:
        return await client.open(path, "xb")
    except SFTPNoSuchFile:
        try:
            await client.makedirs(posixpath.dirname(path), exist_ok=True)
        except SFTPNoSuchFile:  # asyncssh passes over a folder that it may not make
            raise SFTPPermissionDenied("its folder could not be made") from None
        return await client.open(path, "xb")


async def fill(file: SFTPClientFile, content: Content, *, durable: bool) -> None:
    """Write a content to an open file, and flush it to the disk where the server can."""

    async def move(offset: int, count: int) -> None:
        await file.write(content.block(offset, count), offset)

    await in_blocks(content.size, move)
    if durable:
        with contextlib.suppress(SFTPOpUnsupported):
            await file.fsync()


async def replace(client: SFTPClient, staged: bytes, path: bytes, aside: bytes) -> None:
    """Move a staged file over another, if any: in one step where the server can, else by way of ``aside``."""
    try:
        await client.posix_rename(staged, path)
    except SFTPOpUnsupported:
        try:
            await client.rename(staged, path)
        except TAKEN:
            await client.rename(path, aside)
            try:
                await client.rename(staged, path)
            except SFTPError:
                await client.rename(aside, path)
                raise
            await client.remove(aside)


async def link(client: SFTPClient, staged: bytes, path: bytes) -> bool | None:
    """Give a staged file a second name, unless it is taken; return whether it did; None: there are no links here.

    A rename without ``posix-rename`` would not do: OpenSSH links, too, but other servers look first and rename then, or
    overwrite.
    """
    try:
        await client.link(staged, path)
    except (SFTPOpUnsupported, SFTPPermissionDenied, *TAKEN):
        return False if await client.lexists(path) else None
    return True


async def obstacle(client: SFTPClient, folder: bytes) -> str | None:
    """Say why files cannot be written to a folder, if the server tells: ``"full"`` or ``"read-only"``."""
    try:
        while not await client.exists(folder):  # it could not even be made
            folder = posixpath.dirname(folder.rstrip(b"/")) or b"."
        found = await client.statvfs(folder)
    except (SFTPError, OSError):
        return None
    if found.flags & _READ_ONLY:
        return "read-only"
    if found.bavail * found.frsize < BLOCK or (found.files and not found.favail):
        return "full"
    return None
