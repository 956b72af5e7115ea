"""Processes beside this one: contestants that are asked line by line, and the interpreter of the predecessor."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Child", "contestant", "plain_environment", "predecessor_python"]

PATIENCE = 120.0  # seconds to wait for an answer
HERE = Path(__file__).parent
PREDECESSOR = HERE / ".predecessor"  # ignored by git


class Child:
    """A process that answers lines of JSON with lines of JSON; a context manager that ends it."""

    def __init__(self, command: list[str]) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, bufsize=0, env=plain_environment(), **pipes)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout, self._read = self.process.stdin, self.process.stdout, b""
        if not self.receive():
            raise ImportError(f"{command[-3]} does not start")

    def send(self, **message: Any) -> None:
        """Ask."""
        self.stdin.write(json.dumps(message).encode() + b"\n")

    def receive(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Return the next answer; an empty one if the process has ended. Raises TimeoutError."""
        while b"\n" not in self._read:
            if not select.select([self.stdout], [], [], patience)[0]:
                raise TimeoutError(f"no answer within {patience:g} s")
            more = os.read(self.stdout.fileno(), 1 << 16)
            if not more:
                return {}
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return dict(json.loads(line))

    def ask(self, **message: Any) -> dict[str, Any]:
        """Ask and return the answer."""
        self.send(**message)
        return self.receive()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.stdin.close()
        self.stdout.close()


def plain_environment() -> dict[str, str]:
    """Return the environment without what changes how Python or persistable behave, such as writing no bytecode."""
    kept = ("PYTHONPATH", "PYTHONHOME")
    changing = ("PYTHON", "PERSISTABLE_")
    return {name: value for name, value in os.environ.items() if name in kept or not name.startswith(changing)}


def contestant(name: str, payload: str, folder: str) -> Child:
    """Start a contestant in a process of its own. Raises ImportError if its library is missing."""
    python = [sys.executable]
    if name.startswith("persistable 1"):
        python = [predecessor_python(), "-E"]  # PYTHONPATH may lead to the persistable of today
    os.makedirs(folder, exist_ok=True)
    return Child([*python, str(HERE / "contestant.py"), name, payload, folder])


def predecessor_python(*, install: bool = False) -> str:
    """Return the interpreter that has persistable 1.3.1. Raises ImportError if there is none and none can be made."""
    python = PREDECESSOR / ("Scripts" if os.name == "nt" else "bin") / "python"
    if install and not (PREDECESSOR / "complete").exists():
        quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL}
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(PREDECESSOR)], **quiet)
            subprocess.run([str(python), "-m", "pip", "install", "-q", "persistable==1.3.1"], **quiet)
        except (subprocess.CalledProcessError, OSError) as error:
            raise ImportError(f"persistable 1.3.1 could not be installed beside this one: {error}") from None
        (PREDECESSOR / "complete").touch()
    if not (PREDECESSOR / "complete").exists():
        raise ImportError("persistable 1.3.1 is not installed beside this one")
    return str(python)
