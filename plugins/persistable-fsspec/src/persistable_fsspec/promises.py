"""What the filesystems of fsspec can promise: a table by implementation, since two may serve one protocol.

fsspec's interface says nothing of when an upload is seen, or whether ``mv`` replaces in one step. What stands here was
read in the implementations and tried out on servers where one could be had. Of what does not stand here the most
careful is assumed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from persistable.storage import Capabilities

__all__ = ["UNKNOWN", "Promise", "promise_of", "refusal_of"]

_MIB = 1 << 20
_PUT_AWAY = 4 * _MIB  # bytes per second


class Promise(NamedTuple):
    """What one implementation promises.

    Attributes:
        reason: why, for people.
        whole: an upload is seen when it is complete, and not before.
        replaces: ``mv`` puts one object in the place of another in one step.
        creates: ``pipe_file(mode="create")`` is a condition that the server judges.
        in_process: objects live in this process: they need no files, and a lock judges ``creates``.
        buckets: the first part of a path is a bucket, which is never made.
        exact: names may be any text; otherwise they are escaped.
        ranges: ``cat_file(start, end)`` transfers that range and no more.
        shared: threads may share one instance; asynchronous implementations always can.
        move: move a file over another one, where ``mv`` does something else.
        over: move a file over another one, which is deleted first; then ``move`` raises FileExistsError if there is
            one, and names are escaped; see ``succession``.
        send: upload an open binary file, where ``pipe_file`` and ``put_file`` do more than that.
        look: fail with FileNotFoundError if the place itself (a bucket, or ``""``) is not there.
        upload: options of ``put_file`` for a file of some bytes: they bound memory.
        limits: options of the filesystem that make an unreachable host fail in time, where the user gives none.
        abort: give up what an interrupted ``put_file`` to a path may have left at the server.
        close: close the connections of a filesystem that does not do so when it is forgotten.
    """

    reason: str
    whole: bool = False
    replaces: bool = False
    creates: bool = False
    in_process: bool = False
    buckets: bool = False
    exact: bool = False
    ranges: bool = False
    shared: bool = False
    move: Callable[[Any, str, str], object] | None = None
    over: Callable[[Any, str, str], object] | None = None
    send: Callable[[Any, BinaryIO, str], object] | None = None
    look: Callable[[Any, str], object] | None = None
    upload: Callable[[int], dict[str, Any]] = lambda _: {}
    limits: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda _: {}
    abort: Callable[[Any, str], object] | None = None
    close: Callable[[Any], object] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """The same in the core's words."""
        return Capabilities(
            atomic_replace=self.whole or self.replaces,
            create_exclusive=self.creates,
            replace_matching=False,  # no filesystem of fsspec has a name for it
            lock=False,
            local_path=False,
            open_files_survive_deletion=False,
        )


def _part(size: int, least: int) -> int:
    """Return a size of parts, in bytes, so that there are fewer than 10,000."""
    return max(least, -(-size // (9000 * _MIB))) * _MIB


def _gcs_limits(options: Mapping[str, Any]) -> dict[str, Any]:
    if "requests_timeout" in options:
        return {}
    import aiohttp

    # it tries six times, with pauses of half a minute together, and there is no option for that
    return {"requests_timeout": aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=10)}


def _s3_limits(options: Mapping[str, Any]) -> dict[str, Any]:
    given = options.get("config_kwargs") or {}
    return {"config_kwargs": {"connect_timeout": 10, "read_timeout": 20, "retries": {"max_attempts": 2}, **given}}


def _webdav_limits(options: Mapping[str, Any]) -> dict[str, Any]:
    if not options.keys().isdisjoint(("timeout", "client", "http_client")):
        return {}
    import httpx

    def prolong(request: Any) -> None:
        """Give a server time to put away what it has taken: some copy it, or look for viruses."""
        seconds = int(request.headers.get("Content-Length", 0)) / _PUT_AWAY
        limits = request.extensions["timeout"]
        limits["read"] += seconds

    # httpx gives a server 5 s for everything; its limits are those of a single piece that is sent or received
    limits: dict[str, Any] = {"timeout": httpx.Timeout(30, connect=10)}
    return limits if "event_hooks" in options else limits | {"event_hooks": {"request": [prolong]}}


def _move_webdav(fs: Any, old: str, new: str, *, overwrite: bool) -> None:
    """Move on the server; the client's own errors are no OSErrors."""
    from webdav4.client import ResourceAlreadyExists, ResourceNotFound

    try:
        fs.client.move(old, new, overwrite=overwrite)
    except ResourceAlreadyExists:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
    except ResourceNotFound:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old) from None


def _abort_s3(fs: Any, path: str) -> None:
    """Abort the uploads of one object: s3fs does so after an error, not after an interrupt."""
    bucket, key, _ = fs.split_path(path)
    found = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=key)
    for upload in found.get("Uploads", ()):
        if upload["Key"] == key:
            fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload["UploadId"])


_BUCKET = Promise("an object store shows an object when its upload is complete", whole=True, buckets=True)

# top-level package and class
_KNOWN: Mapping[tuple[str, str], Promise] = {
    ("fsspec", "MemoryFileSystem"): Promise(
        "objects are put into a dict of this process when they are complete",
        whole=True,
        creates=True,
        in_process=True,
        exact=True,
        shared=True,
    ),
    ("gcsfs", "GCSFileSystem"): _BUCKET._replace(
        creates=True,
        exact=True,
        ranges=True,
        # GET of a bucket needs a permission of its own; listing does not
        look=lambda fs, bucket: fs.ls(bucket, max_results=1),
        upload=lambda size: {"chunksize": _part(size, 32)},  # one after the other, 50 MiB each by default
        limits=_gcs_limits,
    ),
    ("s3fs", "S3FileSystem"): _BUCKET._replace(
        creates=True,
        exact=True,
        ranges=True,
        look=lambda fs, bucket: fs.info(bucket),
        upload=lambda size: {"chunksize": _part(size, 8), "max_concurrency": 2},  # 10 times 50 MiB by default
        limits=_s3_limits,
        abort=_abort_s3,
    ),
    ("adlfs", "AzureBlobFileSystem"): _BUCKET._replace(
        creates=True, exact=True, ranges=True, look=lambda fs, container: fs.info(container)
    ),
    ("ossfs", "OSSFileSystem"): _BUCKET,
    ("ossfs", "AioOSSFileSystem"): _BUCKET,
    ("ocifs", "OCIFileSystem"): _BUCKET,
    ("tosfs", "TosFileSystem"): _BUCKET,
    ("fsspec", "SFTPFileSystem"): Promise(
        "its mv is posix-rename@openssh.com, which replaces in one step or fails", replaces=True, exact=True
    ),
    ("sshfs", "SSHFileSystem"): Promise(
        "its mv is posix-rename@openssh.com, but a copy by a shell where the server has none", exact=True
    ),
    ("webdav4", "WebdavFileSystem"): Promise(
        "PUT may be seen half-way, and MOVE deletes what it replaces before it moves (RFC 4918, 9.9.3)",
        shared=True,
        # its mv is a copy that replaces nothing
        move=lambda fs, old, new: _move_webdav(fs, old, new, overwrite=False),
        over=lambda fs, old, new: _move_webdav(fs, old, new, overwrite=True),
        # its own uploads list the whole folder first
        send=lambda fs, file, path: fs.client.upload_fileobj(file, path, overwrite=True),
        look=lambda fs, _: fs.info("/"),
        limits=_webdav_limits,
        close=lambda fs: fs.client.http.close(),
    ),
    ("fsspec", "FTPFileSystem"): Promise("RNTO replaces on some servers and fails on others"),
    ("fsspec", "SMBFileSystem"): Promise("a rename on SMB does not replace"),
    ("fsspec", "HadoopFileSystem"): Promise("a rename on HDFS does not replace", shared=True),
    ("fsspec", "WebHDFS"): Promise("a rename on HDFS does not replace", shared=True),
}

UNKNOWN = Promise("nothing is known of it")

_REFUSED: Mapping[tuple[str, str], str] = {
    ("fsspec", "LocalFileSystem"): "it is a folder of this machine: give its path as data_dir",
    **{
        ("fsspec", name): "its cache would serve what is no longer so, and persistable has one: give the URL behind it"
        for name in ("CachingFileSystem", "WholeFileCacheFileSystem", "SimpleCacheFileSystem")
    },
}


def _rows(implementation: str | type) -> list[tuple[str, str]]:
    """Return what an implementation may be called in the table: a class is also what it is derived from."""
    if isinstance(implementation, str):
        path = implementation.replace(":", ".")
        return [(path.partition(".")[0], path.rpartition(".")[2])]
    return [(cls.__module__.partition(".")[0], cls.__name__) for cls in implementation.__mro__]


def promise_of(implementation: str | type) -> Promise:
    """Return what is known of an implementation, a class or its import path."""
    return next((_KNOWN[row] for row in _rows(implementation) if row in _KNOWN), UNKNOWN)


def refusal_of(implementation: str | type) -> str | None:
    """Return why an implementation is no place for artifacts, or None."""
    return next((_REFUSED[row] for row in _rows(implementation) if row in _REFUSED), None)
