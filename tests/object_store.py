"""An object store for tests: moto's S3 server as a process of its own, and a line to it that can be cut, slowed and frozen."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BUCKET = "bucket"
START_S = 60.0
_REQUEST = re.compile(r'"(?:\x1b\[[0-9;]*m)*([A-Z]+) (\S+) HTTP')


class Server:
    """A running server with one bucket."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self._log = port, log

    def uri(self, prefix: str, port: int | None = None) -> str:
        """The store at `prefix`, as a user writes it; through a `Line`, at its port."""
        options = f"endpoint_override=127.0.0.1:{port or self.port}&scheme=http&region=us-east-1"
        return f"s3://{BUCKET}/{prefix}?{options}&access_key=planted-access&secret_key=planted-secret"

    def requests(self, prefix: str) -> list[tuple[str, str]]:
        """Method and name of every request for what lies below a prefix so far, in order. Listings bear their query."""
        found = [match.groups() for match in _REQUEST.finditer(self._log.read_text())]
        keys = [(method, path.removeprefix(f"/{BUCKET}/").removeprefix(f"/{BUCKET}")) for method, path in found]
        return [(method, key.removeprefix(f"{prefix}/")) for method, key in keys if key.startswith((f"{prefix}/", "?")) and prefix in key]


@contextmanager
def served() -> Iterator[Server]:
    """The server, from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="pt-s3-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        log = Path(folder) / "requests.log"
        with log.open("w") as file:
            process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=file, stderr=file)
        try:
            _make_bucket(process, port, log)
            yield Server(port, log)
        finally:
            process.kill()
            process.wait()


def _make_bucket(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    signature = {"Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=s"}
    deadline = time.monotonic() + START_S
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("PUT", f"/{BUCKET}", headers=signature)
            assert connection.getresponse().status == 200
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)


class Line:
    """A TCP line to a server, which tests cut, slow down and freeze under way. `sent` counts the bytes of requests."""

    def __init__(self, port: int) -> None:
        self._to, self.delay_s, self.sent = port, 0.0, 0
        self.deaf = False
        """Whether requests arrive, and their answers are lost."""
        self._open, self._gate = True, threading.Event()
        self._gate.set()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nobody answers: connections are reset, new ones too."""
        self._open = False
        for one in list(self._sockets):
            _close(one)

    def mend(self) -> None:
        """After `cut`."""
        self._open = True

    def freeze(self) -> None:
        """Connections stand, and nothing moves on them."""
        self._gate = threading.Event()

    def thaw(self) -> None:
        """All that was sent arrives."""
        self._gate.set()

    def divert(self) -> Callable[[], None]:
        """What is sent from now on arrives, before what stands; that arrives when the answer is called."""
        held, self._gate = self._gate, threading.Event()
        self._gate.set()
        return held.set

    def end(self) -> None:
        """Close everything."""
        self.thaw()
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                _close(near)
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            self._sockets |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, target, source is near), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, out: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._gate.wait()
                if out:
                    self.sent += len(data)
                    time.sleep(self.delay_s)
                elif self.deaf:
                    break
                target.sendall(data)
        for one in (source, target):
            _close(one)
            self._sockets.discard(one)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
