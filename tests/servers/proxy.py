"""A TCP proxy on loopback that does what networks and careless endpoints do."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from servers import free_port


class Proxy:
    """What is between a client and a server.

    Attributes:
        port: where it listens.
        sent: bytes that clients have sent so far.
        left: bytes that clients may send until all connections are dropped, and each new one at once; None: any.
        given: bytes that the server may send, likewise.
        stalls: whether everything that comes is swallowed, and nothing passed on.
        mends: whether what was dropped once is not dropped again.
        replacing: bytes in what clients send that are replaced by others of the same length.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port, self.endpoint = port, f"http://127.0.0.1:{port}"
        self.sent = 0
        self.left: int | None = None
        self.given: int | None = None
        self.stalls = False
        self.mends = False
        self.replacing: dict[bytes, bytes] = {}
        self._target = target
        self._lock = threading.Lock()

    def serve(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed: that is the end
            while True:
                client, _ = listening.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            back = threading.Thread(target=self._pump, args=(server, client, "given"), daemon=True)
            back.start()
            self._pump(client, server, "left")
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket, allowance: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.stalls:
                    continue
                if allowance == "left":
                    for found, replacement in self.replacing.items():
                        data = data.replace(found, replacement)
                with self._lock:
                    if allowance == "left":
                        self.sent += len(data)
                    allowed = getattr(self, allowance)
                    if allowed is not None:
                        setattr(self, allowance, max(0, allowed - len(data)))
                        if allowed < len(data):
                            if self.mends:
                                setattr(self, allowance, None)
                            break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def before(port: int) -> Iterator[Proxy]:
    """Run a proxy before a server of this machine until the block is left."""
    with socket.create_server(("127.0.0.1", free_port()), backlog=64) as listening:
        proxy = Proxy(listening.getsockname()[1], port)
        thread = threading.Thread(target=proxy.serve, args=(listening,), daemon=True)
        thread.start()
        yield proxy
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
