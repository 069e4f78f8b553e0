"""As much of Google's storage as a study asks of it, with its generations, for tests: no server of theirs runs anywhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_WRITTEN = "Mon, 02 Nov 2026 00:00:00 GMT"


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, tuple[bytes, int]]
    one_at_a_time: threading.Lock

    def log_message(self, format: str, *words: object) -> None:
        pass

    def _answer(self, status: int, body: bytes = b"", generation: int = 0) -> None:
        self.send_response(status)
        if generation:
            self.send_header("ETag", f'"{generation}"')
            self.send_header("x-goog-generation", str(generation))
            self.send_header("Last-Modified", _WRITTEN)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        data, key = self.rfile.read(int(self.headers["Content-Length"])), unquote(self.path)
        wanted = self.headers.get("x-goog-if-generation-match")
        with self.one_at_a_time:
            generation = self.objects.get(key, (b"", 0))[1]
            fits = wanted is None or int(wanted) == generation
            if fits:
                self.objects[key] = data, generation + 1
        self._answer(200 if fits else 412, generation=generation + 1 if fits else 0)

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.query:
            self._answer(200, self._listing(f"{path.path}/", parse_qs(path.query)["prefix"][0]).encode())
        elif (key := unquote(self.path)) in self.objects:
            self._answer(200, *self.objects[key])
        else:
            self._answer(404)

    do_HEAD = do_GET  # noqa: N815

    def do_DELETE(self) -> None:
        self._answer(204 if self.objects.pop(unquote(self.path), None) else 404)

    def _listing(self, bucket: str, prefix: str) -> str:
        keys = [key.removeprefix(bucket) for key in sorted(self.objects) if key.startswith(bucket + prefix)]
        rows = [
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-02T00:00:00Z</LastModified><Size>1</Size></Contents>"
            for key in keys
            if "/" not in key.removeprefix(prefix)
        ]
        return f"<ListBucketResult>{''.join(rows)}</ListBucketResult>"


@contextmanager
def served() -> Iterator[str]:
    """The options of a URI that reach the server."""
    requests = type("Requests", (_Requests,), {"objects": {}, "one_at_a_time": threading.Lock()})
    with ThreadingHTTPServer(("127.0.0.1", 0), requests) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"endpoint_override=127.0.0.1:{server.server_port}&scheme=http&anonymous=true"
        server.shutdown()
