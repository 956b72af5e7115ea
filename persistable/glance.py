"""The hit that nearly all hits are, in one straight line; whatever is out of the ordinary takes a closer look.

A glance says that an artifact is there, with its payload, or that there is none; or it abstains, and nothing is
decided. It checks all that ``reading`` checks and never says anything else than that would say, so it is only a short
cut: for a tiny payload the number of steps is what a hit costs.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, cast

from persistable.address import Address
from persistable.digest import digest_of
from persistable.io import BufferLoader, FileIO, is_able
from persistable.local import READING
from persistable.outcome import Loaded, Missing, note_undamaged
from persistable.provenance import Origin
from persistable.record import Damage, Record, UnknownSchema

if TYPE_CHECKING:
    from persistable.store import ArtifactStore

__all__ = ["glance"]

_LARGEST = 1 << 20  # bytes of a payload or record that is read at once
_KIND = stat.S_IFMT(0o177777)  # the bits of a mode that say what it is of
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH
_geteuid = getattr(os, "geteuid", lambda: -1)


def glance(
    store: ArtifactStore, address: Address, origin: Origin, injected: FileIO[Any] | str | None
) -> Loaded | Missing | None:
    """Load a small artifact of one file from a folder of our own, or say that there is none; None: look closer.

    Raises:
        FormatError: as ``reading`` raises it.
        Exception: whatever the payload's own code raises on undamaged bytes.
    """
    root, trusts_all = store.glanced
    if not root:
        return None
    path, key = f"{root}/{address.folder}", address.key
    try:
        outermost, folder = os.lstat(root), os.lstat(path)
        if outermost.st_mode & _KIND != stat.S_IFDIR or folder.st_mode & _KIND != stat.S_IFDIR:
            return None  # what a link leads to is judged as well
        descriptor = os.open(f"{path}/{key}.json", READING)
    except FileNotFoundError:
        return Missing(f"{path}/{key}.json")
    except OSError:
        return None
    try:
        first = os.fstat(descriptor)
        size = first.st_size
        if first.st_mode & _KIND != stat.S_IFREG or size > _LARGEST:
            return None
        raw = os.read(descriptor, size + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    try:
        record = Record.parse(raw, key)
    except (Damage, UnknownSchema):
        return None
    files = record.files
    if record.class_path != origin.path or len(files) != 1:
        return None
    name, size, digest = files[0]
    if size > _LARGEST or "/" in name:
        return None
    choice = store.registry.for_loading(record.format, injected, record.distribution)
    try:
        descriptor = os.open(f"{path}/{name}", READING)
    except OSError:
        return None
    try:
        second = os.fstat(descriptor)
        if second.st_mode & _KIND != stat.S_IFREG or second.st_size != size:
            return None
        if choice.executes_code and not trusts_all:
            me = _geteuid()
            if not me == outermost.st_uid == folder.st_uid == first.st_uid == second.st_uid:
                return None
            if (outermost.st_mode | folder.st_mode | first.st_mode | second.st_mode) & _WRITABLE:
                return None
        content = os.read(descriptor, size + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if digest_of(content) != digest:
        return None
    file_io = choice.file_io()  # only now: the trust has decided
    if record.format_version > file_io.format_version:
        return None
    if file_io.memory_mapped or not is_able(type(file_io), "load_buffer"):
        return None
    try:
        payload = cast("BufferLoader", file_io).load_buffer(content)
    except Exception as error:
        note_undamaged(error, record, path)
        raise
    return tuple.__new__(Loaded, (payload, record, file_io))
