"""What the examples share: a Persistable that knows what became of it, and the command line.

``load_generate`` calls ``_post_load`` after a hit and ``_post_generate`` after a miss. That is all a subclass needs to
tell the two apart.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from persistable import ArtifactStore, Persistable, PersistableParams

PayloadT = TypeVar("PayloadT")
ParamsT = TypeVar("ParamsT", bound=PersistableParams)


class Step(Persistable[PayloadT, ParamsT]):
    """A Persistable that prints, when it is run, whether it was loaded or generated, and what lies where."""

    outcome = "not run"

    def _post_load(self, **_: Any) -> None:
        self.outcome = "hit"

    def _post_generate(self, **_: Any) -> None:
        self.outcome = "generated"

    def run(self) -> None:
        started = time.perf_counter()
        self.load_generate()
        seconds = time.perf_counter() - started
        entry = self.record.document["payload"]
        print(
            f"{self.payload_name:18} {self.outcome:9} {seconds:7.3f} s {self.record.size:>11,} bytes  "
            f"{entry['format']}: {entry['chosen']}\n{'':18} {self.persist_filepath}"
        )


def arguments(description: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data-dir", default=str(Path(__file__).parent / "data"), help="a folder or a URL (default: %(default)s)"
    )
    parser.add_argument("--trust", help="whose artifacts may run code: own, all, data-only, or names of users")
    parser.add_argument("--expect-hits", action="store_true", help="exit with 1 if anything had to be generated")
    return parser.parse_args(argv)


def store(options: argparse.Namespace) -> ArtifactStore:
    return ArtifactStore(options.data_dir, trust=options.trust)


def exit_status(steps: Sequence[Step[Any, Any]], options: argparse.Namespace) -> int:
    generated = [step.payload_name for step in steps if step.outcome != "hit"]
    print(f"{len(steps) - len(generated)} of {len(steps)} steps were hits")
    return 1 if generated and options.expect_hits else 0
