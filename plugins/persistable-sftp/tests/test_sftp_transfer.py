"""What is sent without waiting, and what a server may do with it: answer late, in pieces, or with a failure."""

import asyncio

import pytest
from asyncssh import SFTPAttrs, SFTPFailure
from persistable_sftp import files
from persistable_sftp.transfer import LARGEST, Content

BLOCK = 100


class Server:
    """A client, its one file, and the server of both.

    Attributes:
        content: of the file.
        turns: what was asked, those things together for whose answers nobody waited in between.
        most: bytes that it gives at a time.
        failing: names of requests that it refuses.
        asked: bytes of each read and write.
    """

    def __init__(self, content=b"", *, most=BLOCK, failing=()):
        self.content, self.most, self.failing = bytearray(content), most, failing
        self.turns, self._waiting, self.asked = [], [], []
        self.limits = self
        self.max_read_len = self.max_write_len = BLOCK

    async def _answer(self, request, result=None):
        if not self._waiting:
            self.turns.append([])
            asyncio.get_running_loop().call_later(0.001, self._serve)
        self.turns[-1].append(request)
        self._waiting.append(asyncio.get_running_loop().create_future())
        await self._waiting[-1]
        if request in self.failing:
            raise SFTPFailure(request)
        return result() if result else None

    def _serve(self):
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(None)

    def open(self, path, mode, *, block_size):
        return self

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def isdir(self, path):
        return False

    async def stat(self):
        return await self._answer("stat", lambda: SFTPAttrs(size=len(self.content)))

    async def read(self, count, offset):
        self.asked.append(count)
        return await self._answer("read", lambda: bytes(self.content[offset : offset + min(count, self.most)]))

    async def write(self, data, offset):
        self.asked.append(len(data))

        def write():
            self.content.extend(bytes(max(0, offset + len(data) - len(self.content))))
            self.content[offset : offset + len(data)] = data

        await self._answer("write", write)

    async def fsync(self):
        await self._answer("fsync")

    async def close(self):
        await self._answer("close")


def fill(server, data, *, durable=True):
    asyncio.run(files.fill(server, server, Content.of_bytes(data), durable=durable))


def test_small_object_is_written_flushed_and_closed_in_one_round_trip():
    """These requests are for one file, so the server takes them in their order."""
    for data, durable, turn in (
        (b"data", True, ["write", "fsync", "close"]),
        (b"data", False, ["write", "close"]),
        (bytes(BLOCK), False, ["write", "close"]),
        (b"", True, ["fsync", "close"]),
    ):
        server = Server()
        fill(server, data, durable=durable)
        assert server.turns == [turn]
        assert server.content == data


def test_large_object_goes_in_blocks_of_the_size_that_the_server_takes():
    data, server = bytes(range(256)) * 2, Server()
    fill(server, data)
    assert server.turns == [["write"] * 5, ["write", "fsync", "close"]]
    assert server.content == data


@pytest.mark.parametrize("failing", ["write", "fsync", "close"])
@pytest.mark.parametrize("size", [1, 5 * BLOCK])
def test_whatever_fails_is_told_when_all_has_been_answered(failing, size):
    """Else a file would be renamed that is not whole; and it is closed once."""
    server = Server(failing=[failing])
    with pytest.raises(SFTPFailure, match=failing):
        fill(server, bytes(size))
    assert sum(turn.count("close") for turn in server.turns) == 1


def test_small_object_is_read_in_one_round_trip():
    server = Server(b"data")
    assert asyncio.run(files.read(server, b"path")) == b"data"
    assert server.turns == [["stat", "read"], ["close"]]


@pytest.mark.parametrize("most", [1, 7, BLOCK])
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3])
def test_server_that_gives_less_than_it_is_asked_for_is_asked_again(tmp_path, most, size):
    data = bytes(range(256)) * 4
    server, path = Server(data[:size], most=most), tmp_path / "file"
    assert asyncio.run(files.read(server, b"path")) == data[:size]
    with path.open("xb") as file:
        asyncio.run(files.download(server, b"path", file, size + 10))
    assert path.read_bytes() == data[:size]


@pytest.mark.parametrize("announced", [4 << 20, 1 << 32, (1 << 64) - 1])
def test_blocks_are_bounded_whatever_a_server_announces(tmp_path, announced):
    """As many are in memory as are under way, and a request has 32 bits for its length."""
    data = bytes(range(256)) * (LARGEST // 256 * 3)
    server = Server(data, most=announced)
    server.max_read_len = server.max_write_len = announced
    assert asyncio.run(files.read(server, b"path")) == data
    with (tmp_path / "file").open("xb") as file:
        asyncio.run(files.download(server, b"path", file, len(data)))
    assert (tmp_path / "file").read_bytes() == data
    fill(server, data)
    assert server.content == data
    assert server.asked == [LARGEST] * 9
