"""Compare put and get through SftpStorage with bare asyncssh, on a server on loopback; see interleaved.py.

``python benchmarks/storage_sftp.py`` prints a table each. "same steps" is the bare client doing what it takes to put
an object that nobody sees half: a private name, created exclusively, then a rename; "flushed": fsync before that.
"""

import asyncio
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import asyncssh
from interleaved import compare, markdown
from persistable_sftp import SftpStorage
from servers import sshd

LARGE, SMALL, COUNT = 128 << 20, 10_000, 300


async def connect(server):
    connection = await asyncssh.connect("127.0.0.1", server.port, username=server.user, **server.options)
    return connection, await connection.start_sftp_client()


async def put_plainly(client, folder, data):
    for number in range(COUNT):
        async with client.open(f"{folder}/{number}", "wb") as file:
            await file.write(data)


async def put_in_the_same_steps(client, folder, data, *, flushed):
    for number in range(COUNT):
        async with client.open(f"{folder}/.tmp-{number}", "xb") as file:
            await file.write(data)
            if flushed:
                await file.fsync()
        await client.posix_rename(f"{folder}/.tmp-{number}", f"{folder}/{number}")


async def get(client, folder):
    for number in range(COUNT):
        async with client.open(f"{folder}/{number}", "rb") as file:
            assert len(await file.read()) == SMALL


async def put_large_flushed(client, path, name):
    await client.put(path, name)
    async with client.open(name, "r+b") as file:
        await file.fsync()


def main(scratch: Path) -> None:
    data, large, fetched, store = os.urandom(SMALL), scratch / "large", scratch / "fetched", scratch / "store"
    store.mkdir()
    large.write_bytes(os.urandom(LARGE))
    with sshd.serving(scratch / "sshd") as server, asyncio.Runner() as runner:
        connection, client = runner.run(connect(server))
        flushing = SftpStorage(server.url(store), **server.options)
        storage = SftpStorage(server.url(store), durable=False, **server.options)

        def bare(function, *arguments, **named):
            return lambda: runner.run(function(*arguments, **named))

        def put_small(storage):
            for number in range(COUNT):
                storage.put(str(number), data)

        def get_small():
            for number in range(COUNT):
                assert len(storage.get(str(number))) == SMALL

        def fetch():
            fetched.unlink(missing_ok=True)
            storage.fetch("large", str(fetched), LARGE)

        def show(title, **contestants):
            named = {name.replace("_", " "): call for name, call in contestants.items()}
            print(markdown(title, compare(named, rounds=7)), flush=True)

        show(
            "put 128 MiB",
            asyncssh=bare(client.put, str(large), f"{store}/bare"),
            storage=partial(storage.put_file, "large", str(large)),
        )
        show(
            "put 128 MiB, flushed",
            asyncssh=bare(put_large_flushed, client, str(large), f"{store}/bare"),
            storage=partial(flushing.put_file, "large", str(large)),
        )
        show("get 128 MiB", asyncssh=bare(client.get, f"{store}/large", str(fetched)), storage=fetch)
        show(
            f"put {COUNT} of 10 KB",
            asyncssh=bare(put_plainly, client, store, data),
            asyncssh_same_steps=bare(put_in_the_same_steps, client, store, data, flushed=False),
            storage=partial(put_small, storage),
        )
        show(
            f"put {COUNT} of 10 KB, flushed",
            asyncssh_same_steps=bare(put_in_the_same_steps, client, store, data, flushed=True),
            storage=partial(put_small, flushing),
        )
        show(f"get {COUNT} of 10 KB", asyncssh=bare(get, client, store), storage=get_small)
        connection.close()
        runner.run(connection.wait_closed())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as found:
        main(Path(found))
