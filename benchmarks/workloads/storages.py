"""Storages: one object of 128 MiB and 300 of 10 kB, put and got, beside the bare client, on servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import Lane
from benchmarks.report import Report
from persistable.storage import Storage

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))  # where the servers of the tests are


class Client(NamedTuple):
    """A client as one would use it, without a storage around it; names are those that the storage puts.

    Attributes:
        put: write an object.
        get: read one.
        put_file: upload a file to a name.
        get_file: download a name to a file.
        put_whole: as ``put``, in the steps after which nobody has seen half of the object, where there are any.
    """

    put: Callable[[str, bytes], object]
    get: Callable[[str], bytes]
    put_file: Callable[[str, str], object]
    get_file: Callable[[str, str], object]
    put_whole: Callable[[str, bytes], object] | None = None


@contextlib.contextmanager
def s3(scratch: Path) -> Iterator[tuple[Client, Storage]]:
    """Run moto, with obstore beside persistable-obstore."""
    import boto3  # noqa: F401 - of the server, as moto is
    import moto as _  # noqa: F401
    from obstore.store import S3Store
    from persistable_obstore import ObjectStorage
    from servers import moto

    with moto.serving(scratch / "log") as server:
        bucket = server.bucket()
        bare = S3Store(bucket, prefix="bare", client_options={"allow_http": True}, **server.options)
        yield _of_obstore(bare), ObjectStorage(f"s3://{bucket}/ours", **server.options)


@contextlib.contextmanager
def az(scratch: Path) -> Iterator[tuple[Client, Storage]]:
    """Run azurite, with obstore beside persistable-obstore."""
    from obstore.store import AzureStore
    from persistable_obstore import ObjectStorage
    from servers import azurite

    missing = azurite.missing()
    if missing is not None:
        raise RuntimeError(missing)
    with azurite.serving(scratch / "log") as server:
        container = server.container()
        bare = AzureStore(container, prefix="bare", client_options={"allow_http": True}, **server.options)
        yield _of_obstore(bare), ObjectStorage(f"az://{container}/ours", **server.options)


def _of_obstore(bare: Any) -> Client:
    import obstore

    def get_file(name: str, path: str) -> None:
        with open(path, "wb") as file:
            file.writelines(obstore.get(bare, name))

    return Client(
        lambda name, data: obstore.put(bare, name, data),
        lambda name: obstore.get(bare, name).bytes().to_bytes(),
        lambda name, path: obstore.put(bare, name, Path(path)),
        get_file,
    )


@contextlib.contextmanager
def gs(scratch: Path) -> Iterator[tuple[Client, Storage]]:
    """Run fake-gcs-server, with gcsfs beside persistable-fsspec."""
    import fsspec
    from persistable_fsspec import FsspecStorage
    from servers import gcs

    with gcs.serving(scratch / "log") as server:
        server.make_bucket("benchmark")
        fs = fsspec.filesystem("gs", token="anon", skip_instance_cache=True)
        yield (
            Client(
                lambda name, data: fs.pipe_file(f"benchmark/bare/{name}", data),
                lambda name: bytes(fs.cat_file(f"benchmark/bare/{name}")),
                lambda name, path: fs.put_file(path, f"benchmark/bare/{name}"),
                lambda name, path: fs.get_file(f"benchmark/bare/{name}", path),
            ),
            FsspecStorage("gs://benchmark/ours", token="anon"),
        )


@contextlib.contextmanager
def sftp(scratch: Path) -> Iterator[tuple[Client, Storage]]:
    """Run sshd, with asyncssh beside persistable-sftp; neither flushes."""
    import asyncssh
    from persistable_sftp import SftpStorage
    from servers import sshd

    missing = sshd.missing()
    if missing is not None:
        raise RuntimeError(missing)
    folder = scratch / "objects"
    (folder / "bare").mkdir(parents=True)
    with sshd.serving(scratch / "sshd") as server, asyncio.Runner() as runner:

        async def connected() -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
            connection = await asyncssh.connect("127.0.0.1", server.port, username=server.user, **server.options)
            return connection, await connection.start_sftp_client()

        connection, client = runner.run(connected())

        async def put(name: str, data: bytes) -> None:
            async with client.open(f"{folder}/bare/{name}", "wb") as file:
                await file.write(data)

        async def put_whole(name: str, data: bytes) -> None:
            async with client.open(f"{folder}/bare/.tmp-{name}", "xb") as file:
                await file.write(data)
            await client.posix_rename(f"{folder}/bare/.tmp-{name}", f"{folder}/bare/{name}")

        async def get(name: str) -> bytes:
            async with client.open(f"{folder}/bare/{name}", "rb") as file:
                return bytes(await file.read())

        yield (
            Client(
                lambda name, data: runner.run(put(name, data)),
                lambda name: runner.run(get(name)),
                lambda name, path: runner.run(client.put(path, f"{folder}/bare/{name}")),
                lambda name, path: runner.run(client.get(f"{folder}/bare/{name}", path)),
                lambda name, data: runner.run(put_whole(name, data)),
            ),
            SftpStorage(server.url(folder / "ours"), durable=False, **server.options),
        )
        connection.close()
        runner.run(connection.wait_closed())


PLACES = {"s3": s3, "az": az, "gs": gs, "sftp": sftp}


def run(report: Report) -> None:
    """Time each place whose client and server are there."""
    for scheme, place in PLACES.items():
        try:
            with place(Path(report.path(scheme))) as (client, storage):
                _compare(report, scheme, client, storage)
        except (ImportError, RuntimeError) as error:
            report.missing(scheme, error)


def _compare(report: Report, scheme: str, client: Client, storage: Storage) -> None:
    large, count = report.size(128 << 20, 1 << 20), report.size(300, 3)
    source, target = (os.path.join(report.folder, f"{scheme}-{name}") for name in ("source", "target"))
    Path(source).write_bytes(os.urandom(large))
    data = os.urandom(10_000)

    def clear() -> None:
        Path(target).unlink(missing_ok=True)

    def all_of(put: Callable[[str, bytes], object]) -> Callable[[], None]:
        def call() -> None:
            for number in range(count):
                put(str(number), data)

        return call

    def got(get: Callable[[str], bytes]) -> Callable[[], None]:
        def call() -> None:
            for number in range(count):
                assert len(get(str(number))) == len(data)

        return call

    def times(what: str, bare: list[Lane], ours: Lane) -> None:
        table = report.compare(f"{scheme}: {what}", [*bare, ours], seconds=30, most=9)
        report.judge(f"{scheme}-{what.split(' of ')[0].replace(' ', '-')}", table.ratio(ours.name), table.control)

    put, get = "put 128 MiB", "get 128 MiB"
    ours = f"{type(storage).__name__}"
    times(
        put,
        [Lane("bare client", lambda: client.put_file("large", source), role="floor")],
        Lane(ours, lambda: storage.put_file("folder/large", source), role="ours"),
    )
    times(
        get,
        [Lane("bare client", lambda: client.get_file("large", target), clear, role="floor")],
        Lane(ours, lambda: storage.fetch("folder/large", target, large), clear, role="ours"),
    )
    whole = client.put_whole
    steps = [] if whole is None else [Lane("bare client, in the same steps", all_of(whole))]
    times(
        "put 300 of 10 kB",
        [Lane("bare client", all_of(client.put), role="floor"), *steps],
        Lane(ours, all_of(lambda name, data: storage.put(f"folder/{name}", data)), role="ours"),
    )
    times(
        "get 300 of 10 kB",
        [Lane("bare client", got(client.get), role="floor")],
        Lane(ours, got(lambda name: storage.get(f"folder/{name}")), role="ours"),
    )
