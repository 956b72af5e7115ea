"""A process whose children write to one store, to be killed or to race; it has no client itself, so it can be forked.

It is run as a program. Its standard input is one JSON document a line, and so is its output: first ``{"url",
"options"}`` of the store, without an answer; then orders, each with one.
"""

import json
import os
import sys
import time
import warnings
from typing import Any

from specimens import blob, kill

from persistable import ArtifactStore
from persistable.exceptions import StorageWarning


def content(number: int, size: int) -> bytes:
    """Return a payload that says which one it is in every part of it."""
    return (b"%08d" % number) * (size // 8 + 1)


def is_whole(payload: bytes) -> bool:
    """Whether a payload is one of ``content``'s, and all of it."""
    return len(payload) >= 8 and payload == payload[:8] * (len(payload) // 8)


class Nursery:
    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._url = url
        self._settings: dict[str, Any] = {"storage_options": options, "trust": "all", "cache": "off"}

    def _store(self) -> ArtifactStore:
        return ArtifactStore(self._url, **self._settings)

    def persist(self, size: int) -> float:
        """Have a child persist a payload of this size elsewhere, and return how many seconds it took."""
        store, started = ArtifactStore(f"{self._url}-timed", **self._settings), time.monotonic()
        child = os.fork()
        if not child:
            try:
                blob(store, upstream=True).generate(value=content(0, size))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        return time.monotonic() - started

    def kill(self, first: int, size: int, after: float) -> None:
        """Have a child persist one payload after the other under one key, and kill it after some seconds."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                made = blob(self._store(), upstream=True)
                os.write(writer, b".")
                while True:
                    made.generate(value=content(first, size))
                    first += 1
            finally:
                os._exit(1)
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        time.sleep(after)
        kill(child)

    def race(self, processes: int, size: int) -> list[dict[str, Any]]:
        """Have so many children ask for one payload at the same moment, and return what became of each."""
        start, gun = os.pipe()
        ends = [self._racer(number, size, start, gun) for number in range(processes)]
        os.close(start)
        os.close(gun)
        outcomes = []
        for end in ends:
            with open(end, "rb") as pipe:
                outcomes.append(json.loads(pipe.read() or "null"))
        for _ in ends:
            os.wait()
        return outcomes

    def _racer(self, number: int, size: int, start: int, gun: int) -> int:
        reader, writer = os.pipe()
        if not os.fork():
            try:
                os.close(gun)
                generated: list[int] = []
                made = blob(self._store())
                os.read(start, 1)  # its end
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    made.load_generate(value=lambda: generated.append(number) or content(number, size))
                outcome = {
                    "payload": int(made.payload[:8]),
                    "whole": is_whole(made.payload),
                    "generated": bool(generated),
                    "warnings": sum(issubclass(warning.category, StorageWarning) for warning in caught),
                }
                os.write(writer, json.dumps(outcome).encode())
            finally:
                os._exit(0)
        os.close(writer)
        return reader


if __name__ == "__main__":
    nursery = Nursery(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        order, *arguments = json.loads(line)
        print(json.dumps(getattr(nursery, order)(*arguments)), flush=True)  # noqa: T201 - that is its answer
