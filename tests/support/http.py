"""A server on loopback with faults, for doubles of services."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.github.faults import HANGS, Fault, Kind


class Double:
    """A server with `faults`, and with `before`, which is called with method and target of each call."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.faults: list[Fault] = []
        self.before: Callable[[str, str], None] | None = None
        self.lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.double = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault(self, method: str, target: str) -> Fault | None:
        """Let others act before a call, and return its fault; every fault counts it."""
        if self.before is not None:
            self.before(method, target)
        with self.lock:
            return next(iter([item for item in self.faults if item.strikes(method, target)]), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    double: Any

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: a client that leaves is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """Answers for a double: `serve` does, whatever the method."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def serve(self) -> None:
        raise NotImplementedError

    def _serve(self) -> None:
        self.serve()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = _serve  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def send(self, status: int, headers: Mapping[str, str], data: bytes = b"", *, length: int = 0) -> None:
        """Send an answer; with a `length` beyond the data it is cut off."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(length or len(data)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else data)
        self.wfile.flush()

    def breaks(self, kind: Kind) -> bool:
        """Hang or reset the connection, if that is the fault."""
        if kind is Kind.TIMEOUT:
            self.wfile.write(HANGS)
        elif kind in (Kind.RESET, Kind.DONE_THEN_RESET):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            return False
        self.close_connection = True
        return True
