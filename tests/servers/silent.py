"""A server on loopback that takes connections and requests, and never answers."""

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Listen on a port until the block is left; yield the port."""
    taken: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):  # closed: that is the end
            while True:
                client, _ = listening.accept()
                taken.append(client)
                threading.Thread(target=swallow, args=(client,), daemon=True).start()

    def swallow(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while client.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        for ended in (listening, *taken):
            with contextlib.suppress(OSError):
                ended.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for client in taken:
        client.close()
