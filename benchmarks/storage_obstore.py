"""Put and get on S3 through ObjectStorage, and through bare obstore, on a moto on loopback, interleaved in one run.

    python benchmarks/storage_obstore.py

The bare client runs twice a round: how far its two are apart is what the machine's noise is worth. It is obstore as one
would use it: ``put`` of a path with its defaults, ``get`` as a stream of chunks into a file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import obstore
from interleaved import compare, markdown
from obstore.store import S3Store
from persistable_obstore import ObjectStorage
from servers import moto

LARGE, SMALL, COUNT, ROUNDS = 128 << 20, 10_000, 300, 7


def main(scratch: Path) -> None:
    data, large, fetched = os.urandom(SMALL), scratch / "large", scratch / "fetched"
    large.write_bytes(os.urandom(LARGE))
    with moto.serving(scratch / "log") as server:
        bucket = server.bucket()
        bare = S3Store(bucket, prefix="bare", client_options={"allow_http": True}, **server.options)
        storage = ObjectStorage(f"s3://{bucket}/storage", **server.options)

        def put_small_bare() -> None:
            for number in range(COUNT):
                obstore.put(bare, f"folder/{number}", data)

        def put_small() -> None:
            for number in range(COUNT):
                storage.put(f"folder/{number}", data)

        def get_small_bare() -> None:
            for number in range(COUNT):
                assert len(obstore.get(bare, f"folder/{number}").bytes().to_bytes()) == SMALL

        def get_small() -> None:
            for number in range(COUNT):
                assert len(storage.get(f"folder/{number}")) == SMALL

        def get_large_bare() -> None:
            with fetched.open("wb") as file:
                for chunk in obstore.get(bare, "large"):
                    file.write(chunk)

        def get_large() -> None:
            fetched.unlink()
            storage.fetch("large", str(fetched), LARGE)

        groups = {
            "put 128 MiB": {
                "bare obstore": lambda: obstore.put(bare, "large", large),
                "ObjectStorage": lambda: storage.put_file("large", str(large)),
            },
            "get 128 MiB": {"bare obstore": get_large_bare, "ObjectStorage": get_large},
            "put 300 of 10 kB": {"bare obstore": put_small_bare, "ObjectStorage": put_small},
            "get 300 of 10 kB": {"bare obstore": get_small_bare, "ObjectStorage": get_small},
        }
        for title, contestants in groups.items():
            print(markdown(title, compare(contestants, rounds=ROUNDS)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
