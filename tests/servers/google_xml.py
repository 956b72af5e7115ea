"""The part of Google Cloud Storage's XML API that obstore speaks, kept in memory, in a thread.

It is ours and not Google's: it shows that what obstore sends and reads is used as their documents have it
(https://cloud.google.com/storage/docs/xml-api/overview). fake-gcs-server, which others wrote, takes no object that way.
"""

import contextlib
import hashlib
import http.server
import itertools
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

TOKEN = "ya29.a0AfH6SMExample"
_PAGE = 250


class _Object(NamedTuple):
    data: bytes
    generation: int
    modified: float

    @property
    def e_tag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"'


class Google:
    """A running server.

    Attributes:
        endpoint: its URL.
        buckets: their objects, by name.
        open: uploads in parts that are not complete: the parts of each.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.buckets: dict[str, dict[str, _Object]] = {}
        self.open: dict[str, dict[int, bytes]] = {}
        self.lock = threading.RLock()
        self.numbers = itertools.count(1_700_000_000_000_000)

    @property
    def options(self) -> dict[str, Any]:
        """``storage_options`` for it."""
        return {"base_url": self.endpoint, "bearer_token": TOKEN}

    def bucket(self) -> str:
        """Make another bucket and return its name."""
        with self.lock:
            name = f"bucket-{len(self.buckets) + 1}"
            self.buckets[name] = {}
        return name

    def put(self, objects: dict[str, _Object], name: str, data: bytes, generation: str | None) -> _Object | None:
        """Put an object if its generation is the one that was asked for (0: there is none); else return None."""
        with self.lock:
            standing = objects.get(name)
            if generation is not None and generation != str(standing.generation if standing else 0):
                return None
            objects[name] = made = _Object(data, next(self.numbers), time.time())
            return made


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write: else each waits for the acknowledgement of its head
    google: ClassVar[Google]

    def handle_one(self) -> None:
        url = urlsplit(self.path)
        bucket, _, name = url.path.lstrip("/").partition("/")
        query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        objects = self.google.buckets.get(unquote(bucket))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.fail(401, "AuthenticationRequired")
        elif objects is None:
            self.fail(404, "NoSuchBucket")
        elif not name:
            self.page(objects, query)
        elif self.command in ("GET", "HEAD"):
            self.give(objects.get(unquote(name)))
        elif "uploads" in query or "uploadId" in query:
            self.parts(objects, unquote(name), query, body)
        elif self.command == "DELETE":
            found = objects.pop(unquote(name), None)
            self.answer(204) if found else self.fail(404, "NoSuchKey")
        else:
            wanted = self.headers.get("x-goog-if-generation-match")
            made = self.google.put(objects, unquote(name), body, wanted)
            self.answer(200, meta=made) if made else self.fail(412, "PreconditionFailed")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

    def give(self, found: _Object | None) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None:
            self.fail(404, "NoSuchKey")
        elif self.headers.get("If-Match", found.e_tag) != found.e_tag:
            self.fail(412, "PreconditionFailed")
        elif wanted is None:
            self.answer(200, found.data, found)
        elif int(wanted[1]) >= len(found.data):
            self.fail(416, "InvalidRange")
        else:
            part = found.data[int(wanted[1]) : int(wanted[2] or len(found.data)) + 1]
            last = int(wanted[1]) + len(part) - 1
            self.answer(206, part, found, {"Content-Range": f"bytes {wanted[1]}-{last}/{len(found.data)}"})

    def parts(self, objects: dict[str, _Object], name: str, query: dict[str, str], body: bytes) -> None:
        if "uploads" in query:
            upload = f"upload-{next(self.google.numbers)}"
            self.google.open[upload] = {}
            self.answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
                "</InitiateMultipartUploadResult>".encode(),
            )
            return
        upload = query["uploadId"]
        if self.command == "PUT":
            self.google.open[upload][int(query["partNumber"])] = body
            self.answer(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
        elif self.command == "DELETE":
            self.google.open.pop(upload, None)
            self.answer(204)
        else:
            parts = self.google.open.pop(upload)
            made = self.google.put(objects, name, b"".join(parts[number] for number in sorted(parts)), None)
            assert made is not None
            said = f"<CompleteMultipartUploadResult><ETag>{escape(made.e_tag)}</ETag></CompleteMultipartUploadResult>"
            self.answer(200, said.encode(), made)

    def page(self, objects: dict[str, _Object], query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", query.get("start-after", ""))
        with self.google.lock:
            names = sorted(name for name in objects if name.startswith(prefix) and name > after)
            found = [(name, objects[name]) for name in names[:_PAGE]]
        said = "".join(
            f"<Contents><Key>{escape(name)}</Key><ETag>{escape(item.e_tag)}</ETag><Size>{len(item.data)}</Size>"
            f"<LastModified>{datetime.fromtimestamp(item.modified, UTC).isoformat()}</LastModified></Contents>"
            for name, item in found
        )
        if len(names) > _PAGE:
            said += f"<NextContinuationToken>{escape(found[-1][0])}</NextContinuationToken>"
        self.answer(200, f"<ListBucketResult>{said}</ListBucketResult>".encode())

    def fail(self, status: int, code: str) -> None:
        self.answer(
            status, f"<Error><Code>{code}</Code><Message>{code} at {quote(self.path)}</Message></Error>".encode()
        )

    def answer(
        self, status: int, body: bytes = b"", meta: _Object | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        if meta is not None:
            self.send_header("ETag", meta.e_tag)
            self.send_header("x-goog-generation", str(meta.generation))
            self.send_header("Last-Modified", formatdate(meta.modified, usegmt=True))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[Google]:
    """Run a server until the block is left."""
    handler = type("Handler", (_Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        google = Google(f"http://127.0.0.1:{server.server_port}")
        handler.google = google  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield google
        server.shutdown()
        thread.join()
