"""What is done to files of a server, on an open connection. Errors are the client's own."""

from __future__ import annotations

import contextlib
import posixpath
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, BinaryIO

import asyncssh
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

from persistable_sftp.transfer import LARGEST, Content, in_blocks, together

__all__ = ["TAKEN", "create", "describe", "download", "fill", "is_folder", "link", "obstacle", "read", "replace"]

_AS_TOLD = 0  # a read or write of an open file is one request: how much it carries is decided here
_SPARE = 1 << 20  # bytes: a file system that has no more is full
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
    block = min(client.limits.max_read_len, LARGEST)
    async with _opened(client, path) as file:
        attributes, start = await together(file.stat(), file.read(block, 0))
        size = attributes.size or 0
        if len(start) >= size:
            return bytes(start[:size])
        data = bytearray(size)
        data[: len(start)] = start

        def put(offset: int, found: bytes) -> None:
            data[offset : offset + len(found)] = found

        await in_blocks(len(start), size, block, lambda offset, count: _read(file, offset, count, put))
    return bytes(data)


async def download(client: SFTPClient, path: bytes, target: BinaryIO, size: int) -> None:
    """Write a file's content, at most ``size`` bytes of it, to a local one."""

    def put(offset: int, found: bytes) -> None:
        target.seek(offset)
        target.write(found)

    block = min(client.limits.max_read_len, LARGEST)
    async with _opened(client, path) as file:
        await in_blocks(0, size, block, lambda offset, count: _read(file, offset, count, put))


async def _read(file: SFTPClientFile, offset: int, count: int, put: Callable[[int, bytes], None]) -> None:
    """Pass so many bytes of a file on, or what there is of them: a server may give less than it is asked for."""
    while count:
        found: bytes = await file.read(count, offset)
        if not found:
            return
        put(offset, found)
        offset, count = offset + len(found), count - len(found)


@contextlib.asynccontextmanager
async def _opened(client: SFTPClient, path: bytes) -> AsyncIterator[SFTPClientFile]:
    try:
        async with client.open(path, "rb", block_size=_AS_TOLD) as file:
            yield file
    except SFTPFailure:  # a folder can be opened and not be read
        if await client.isdir(path):
            raise SFTPNoSuchFile("it is a folder") from None
        raise


async def create(client: SFTPClient, path: bytes) -> SFTPClientFile:
    """Open a new file for writing, and make its folder; there must be none of its name yet."""
    try:
        return await client.open(path, "xb", block_size=_AS_TOLD)
    except SFTPNoSuchFile:
        try:
            await client.makedirs(posixpath.dirname(path), exist_ok=True)
        except SFTPNoSuchFile:  # asyncssh passes over a folder that it may not make
            raise SFTPPermissionDenied("its folder could not be made") from None
        return await client.open(path, "xb", block_size=_AS_TOLD)


async def fill(client: SFTPClient, file: SFTPClientFile, content: Content, *, durable: bool) -> None:
    """Write a content to an open file, flush it to the disk where the server can, and close it."""
    block = min(client.limits.max_write_len, LARGEST)
    last = max(0, content.size - 1) // block * block

    async def move(offset: int, count: int) -> None:
        await file.write(content.block(offset, count), offset)

    try:
        await in_blocks(0, last, block, move)
        end = content.block(last, content.size - last)
    except BaseException:
        with contextlib.suppress(asyncssh.Error, OSError):
            await file.close()
        raise
    requests: list[Coroutine[Any, Any, object]] = [file.write(end, last)] if end else []
    if durable:
        requests.append(_flush(file))
    await together(*requests, file.close())


async def _flush(file: SFTPClientFile) -> None:
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
    if found.bavail * found.frsize < _SPARE or (found.files and not found.favail):
        return "full"
    return None
