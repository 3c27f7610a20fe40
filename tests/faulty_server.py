"""A server on this machine that answers as a test asks for, faults included."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class FaultyServer(ThreadingHTTPServer):
    """Listens on a free port, and knows what was asked.

    Attributes:
        faults: what happens to the first requests instead, in order; None for nothing.
        always: what happens to every request; None for nothing.
        requests: body and headers of each request.
    """

    daemon_threads = True

    def __init__(self, handler: type[FaultyHandler]) -> None:
        self.faults: list[str | None] = []
        self.always: str | None = None
        self.requests: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that a test cuts are no news."""


class FaultyHandler(BaseHTTPRequestHandler):
    """Hands each request with its fault to `reply`."""

    server: FaultyServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append((body, dict(self.headers)))
            fault = self.server.faults.pop(0) if self.server.faults else self.server.always
        self.reply(body, fault)

    def reply(self, body: dict[str, Any], fault: str | None) -> None:
        raise NotImplementedError

    def answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


Running = TypeVar("Running", bound=FaultyServer)


@contextmanager
def running(server: Running) -> Iterator[Running]:
    """The server while it answers."""
    with server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
