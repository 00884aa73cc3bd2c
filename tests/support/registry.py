"""A container registry over HTTP with given images."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from consdb_actions.adapters.registry import INDEXES, MANIFESTS
from tests.support.github.faults import HANGS, Fault, Kind

__all__ = ["RegistryDouble", "registry_double"]

_STATUS = {Kind.INTERNAL: 500, Kind.BAD_GATEWAY: 502, Kind.UNAVAILABLE: 503, Kind.TOO_MANY: 429}


class RegistryDouble:
    """A test double of ghcr.io and Docker Hub; ``log`` lists calls as ``METHOD /path``."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.log: list[str] = []
        self.before: Callable[[str, str], None] | None = None  # called with method and path before each call
        self.like_hub = False  # give a token for every repository and deny later; ghcr.io denies the token
        self.tells_digest = True  # send the optional header with the digest
        self.lifetime = 1_000_000
        self.realm = ""
        self._images: dict[str, dict[str, tuple[str, bytes]]] = {}
        self._tokens: dict[str, tuple[str, int]] = {}
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.double = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def push(self, name: str, *tags: str, multi_arch: bool = True) -> str:
        """Push an image, by name without host; without tags the repository is empty."""
        media_type = INDEXES[0] if multi_arch else MANIFESTS[1]
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": media_type, "name": f"{name}:{tags}"}
        ).encode()
        for tag in tags:
            self._images.setdefault(name, {})[tag] = (media_type, manifest)
        self._images.setdefault(name, {})
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}"

    def answer(self, path: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        """Answer one call; the server injects faults."""
        parts = urlsplit(path)
        with self._lock:
            if parts.path == "/token":
                return self._give_token(parse_qs(parts.query))
            _, version, rest = parts.path.split("/", 2)
            name, _, tag = rest.partition("/manifests/")
            if version != "v2" or not tag:
                return _said(404, "NOT_FOUND")
            return self._show(name, tag, headers)

    def _give_token(self, query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        (scope,), (service,) = query["scope"], query["service"]
        kind, name, right = scope.split(":")
        assert (kind, right, service) == ("repository", "pull", "double")
        if name not in self._images and not self.like_hub:
            return _said(403, "DENIED")
        token = f"token-{len(self._tokens)}"
        self._tokens[token] = (name, self.lifetime)
        return 200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode()

    def _show(self, name: str, tag: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        token = (headers.get("Authorization") or "").removeprefix("Bearer ")
        owner, left = self._tokens.get(token, ("", 0))
        if owner != name or left <= 0 or name not in self._images:
            status, fields, body = _said(401, "UNAUTHORIZED")
            realm = self.realm or f"{self.url}/token"
            challenge = f'Bearer realm="{realm}",service="double",scope="repository:{name}:pull"'
            return status, fields | {"WWW-Authenticate": challenge}, body
        self._tokens[token] = (owner, left - 1)
        if tag not in self._images[name]:
            return _said(404, "MANIFEST_UNKNOWN")
        media_type, manifest = self._images[name][tag]
        if media_type not in [item.strip() for item in headers.get("Accept", "").split(",")]:
            return _said(404, "MANIFEST_UNKNOWN")  # As registries answer who does not take an index.
        digest = {"Docker-Content-Digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}"}
        return 200, {"Content-Type": media_type} | (digest if self.tells_digest else {}), manifest


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    double: RegistryDouble

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect, as some tests do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Keep quiet; `RegistryDouble.log` has it all."""

    def do_GET(self) -> None:
        double = self.server.double
        path = urlsplit(self.path).path
        if double.before is not None:
            double.before(self.command, path)
        double.log.append(f"{self.command} {path}")
        with double._lock:
            striking = [item for item in double.faults if item.strikes(self.command, path)]
        if striking:
            self._fail(striking[0])
        else:
            self._send(*double.answer(self.path, self.headers))

    do_HEAD = do_GET  # noqa: N815  (named by the base class)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fail(self, fault: Fault) -> None:
        if fault.kind is Kind.TIMEOUT:
            self.close_connection = True
            self.wfile.write(HANGS)
        elif fault.kind is Kind.RESET:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            status, headers, body = _said(_STATUS[fault.kind], "FAILED")
            if fault.kind is Kind.TOO_MANY:
                headers["Retry-After"] = str(fault.retry_after)
            self._send(status, headers, body)


def _said(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
    body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
    return status, {"Content-Type": "application/json"}, body


@pytest.fixture
def registry_double() -> Iterator[RegistryDouble]:
    double = RegistryDouble()
    yield double
    double.close()
