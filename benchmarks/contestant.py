"""A contestant in a process of its own, asked by lines of JSON on stdin; a script, run by path in any interpreter.

python contestant.py <contestant> <payload> <folder>

{"time": "hit" | "miss", "batches": k, "batch": l}   answers {"seconds": of a call}
{"answer": n, "seconds": s}    answers {"answered": when, "by": process}; computing takes s
{"keys": "chain"}              prepares a chain of 100 params, so that "time": "keys" takes its key
{"set": {"array_bytes": k}}    answers {}
"""

import itertools
import json
import os
import sys
import time
import warnings

import payloads
import peers
from clock import typical


def main() -> None:
    """Serve until stdin ends."""
    name, payload, folder = sys.argv[1:4]
    payloads.replies = os.dup(1)  # 1.3.1 logs to stdout
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    remembered = peers.ALL[name](folder, getattr(payloads, payload))
    numbers = itertools.count(1)
    acts = {"hit": lambda: remembered(0), "miss": lambda: remembered(next(numbers))}
    payloads.say(ready=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "set" in asked:
            vars(payloads).update(asked["set"])
            payloads.say()
        elif "keys" in asked:
            acts["keys"] = chain(folder)
            payloads.say()
        elif "answer" in asked:
            payloads.sleep_seconds = asked["seconds"]
            by = remembered(asked["answer"])
            payloads.say(answered=time.monotonic(), by=by)
        else:
            payloads.say(seconds=typical(acts[asked["time"]], asked["batches"], asked["batch"]))


def chain(folder: str):
    """Return what takes the 1.3.1 hash at the end of a chain of 100 nodes."""
    from dataclasses import dataclass
    from pathlib import Path

    from persistable import Persistable
    from persistable.data import PersistableParams

    @dataclass
    class Params(PersistableParams):
        n: int
        rate: float = 0.1
        name: str = "adam"
        layers: int = 3
        shuffle: bool = True

    nodes = []
    for n in range(100):
        nodes.append(Persistable(Path(folder), Params(n), nodes[-1:], payload_name=f"node{n}"))
    return lambda: nodes[-1].persist_hash


if __name__ == "__main__":
    main()
