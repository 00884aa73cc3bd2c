"""The double itself: a server on loopback that behaves like GitHub for one world."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.github import routes
from tests.support.github.faults import HANGS, Fault, Kind
from tests.support.github.openapi import Description, MismatchError
from tests.support.github.payloads import Payloads
from tests.support.github.permissions import Need, need_of
from tests.support.github.routing import Call, RefusalError, Response, find_route
from tests.support.github.world import World

__all__ = ["GitHubDouble", "Served"]

assert routes.LOADED


@dataclass(frozen=True)
class Served:
    """One call that reached the double, with the permissions that it needs of which repository or owner."""

    method: str
    target: str
    status: int
    token: str
    template: str = ""
    needs: tuple[tuple[str, Need], ...] = ()

    @property
    def writes(self) -> bool:
        return self.method != "GET" and not self.target.startswith("/graphql")


class GitHubDouble:
    """A stateful stand-in for GitHub over HTTP, to be used as a context manager.

    Parameters
    ----------
    world
        The state; it can be changed while the double runs, also from `before`.
    description
        GitHub's OpenAPI description; without it nothing is validated.

    Attributes
    ----------
    faults
        Faults to have; each call is held against all of them.
    log
        Every call that was answered or failed.
    before
        Called with method and target before each call; a place for what others do meanwhile.
    mismatches
        What did not fit the description. `close` raises when there is any.
    """

    def __init__(self, world: World, description: Description | None = None) -> None:
        self.world = world
        self.description = description
        self.faults: list[Fault] = []
        self.log: list[Served] = []
        self.before: Callable[[str, str], None] | None = None
        self.mismatches: list[str] = []
        self.remaining = 5000
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.double = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> GitHubDouble:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and raise when anything did not fit GitHub's description."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self.mismatches:
            raise MismatchError("\n".join(self.mismatches))

    def answer(self, method: str, target: str, token: str, body: Any) -> Response:
        """Carry out one call; faults are the server's business."""
        with self._lock:
            parts = urlsplit(target)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            actor = self.world.users.get(self.world.tokens.get(token, 0))
            if actor is None:
                return _refused(RefusalError(401, "Bad credentials"))
            for old, new in self.world.moved.items():
                if f"{parts.path}/".startswith(f"/repos/{old}/"):
                    # GitHub names the repository by its number, and a write is not made.
                    repo = self.world.repos[new]
                    place = f"{self.url}/repositories/{repo.id}{parts.path[len(f'/repos/{old}') :]}"
                    status = 301 if method == "GET" else 307
                    words = "Moved Permanently" if method == "GET" else "Temporary Redirect"
                    return Response(status, {"message": words, "url": place}, {"Location": place})
            if match := re.fullmatch(r"/repositories/(\d+)(.*)", parts.path):
                repo = next(repo for repo in self.world.repos.values() if repo.id == int(match[1]))
                parts = parts._replace(path=f"/repos/{repo.full_name}{match[2]}")
            found = find_route(method, parts.path)
            if found is None:
                self.mismatches.append(f"the double has no route for {method} {parts.path}")
                return _refused(RefusalError(404, "Not Found"))
            item, params = found
            call = Call(
                self.world,
                Payloads(self.world, self.url),
                method,
                parts.path,
                params,
                query,
                body,
                actor,
                token,
            )
            described = item.template != "/graphql"
            try:
                if self.description and described:
                    self.description.check_request(method, item.template, query, body)
                try:
                    where = params.get("org") or f"{params.get('owner')}/{params.get('repo')}"
                    call.require(need_of(method, item.template), where)
                    result = item.handler(call)
                    response = result if isinstance(result, Response) else Response(body=result)
                except RefusalError as refusal:
                    response = _refused(refusal)
                response.headers.update(call.headers)
                response.template, response.needs = item.template, call.needs
                if self.description and described:
                    self.description.check_response(method, item.template, response.status, response.body)
            except MismatchError as mismatch:
                self.mismatches.append(str(mismatch))
                response = _refused(RefusalError(422, f"The double found: {mismatch}"))
            except Exception:
                self.mismatches.append(f"the double failed at {method} {target}:\n{traceback.format_exc()}")
                response = _refused(RefusalError(422, "The double has a bug"))
            return response


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    double: GitHubDouble

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: a client that leaves is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Keep quiet; `GitHubDouble.log` has it all."""

    def _serve(self) -> None:
        double = self.server.double
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        body = json.loads(raw) if raw else None
        token = (self.headers.get("Authorization") or "").rpartition(" ")[2]
        if double.before is not None:
            double.before(self.command, self.path)
        with double._lock:
            striking = [item for item in double.faults if item.strikes(self.command, self.path)]
        fault = striking[0] if striking else None
        response = None
        if fault is None or fault.kind.after:
            response = double.answer(self.command, self.path, token, body)
        status = 0
        if response is not None:
            status = 304 if self._is_known(response) else response.status
        served = Served(self.command, self.path, 0 if fault else status, token)
        if response is not None:
            served = replace(served, template=response.template, needs=tuple(response.needs))
        double.log.append(served)
        if fault is not None:
            self._fail(fault, response)
        elif response is not None:
            self._send(response)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  (named by the base class)

    def _is_known(self, response: Response) -> bool:
        """Tell whether the caller has this answer already, by the condition of its call."""
        condition = self.headers.get("If-None-Match")
        return (self.command, response.status, condition) == ("GET", 200, _etag(response))

    def _send(self, response: Response) -> None:
        data = b"" if response.body is None else json.dumps(response.body).encode()
        status = response.status
        if self._is_known(response):
            status, data = 304, b""
        if self.command == "GET" and response.status == 200:
            response.headers["ETag"] = _etag(response)
        if status != 304:
            self.server.double.remaining -= 1
        self.send_response(status)
        response.headers.setdefault("X-RateLimit-Limit", "5000")
        response.headers.setdefault("X-RateLimit-Remaining", str(self.server.double.remaining))
        for name, value in response.headers.items():
            self.send_header(name, value)
        if data:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _fail(self, fault: Fault, response: Response | None) -> None:
        kind = fault.kind
        if kind is Kind.TIMEOUT:
            self.close_connection = True
            self.wfile.write(HANGS)
        elif kind in (Kind.RESET, Kind.DONE_THEN_RESET):
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif kind is Kind.GARBLED:
            self.close_connection = True
            data = json.dumps(response.body if response else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data) + 10))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
        elif kind is Kind.STRANGE:
            self.send_response(200)
            self.send_header("Content-Length", str(len(fault.body)))
            self.end_headers()
            self.wfile.write(fault.body)
            self.wfile.flush()
        else:
            self._send(_FAILURES[kind](fault))


def _etag(response: Response) -> str:
    data = b"" if response.body is None else json.dumps(response.body).encode()
    return f'W/"{hashlib.sha256(data).hexdigest()[:32]}"'


def _refused(refusal: RefusalError) -> Response:
    body: dict[str, Any] = {
        "message": refusal.message,
        "documentation_url": "https://docs.github.com/rest",
        "status": str(refusal.status),
    }
    if refusal.errors is not None:
        body["errors"] = refusal.errors
    return Response(refusal.status, body)


def _limited(
    status: int, message: str, headers: Callable[[Fault], dict[str, str]]
) -> Callable[[Fault], Response]:
    def make(fault: Fault) -> Response:
        response = _refused(RefusalError(status, message))
        response.headers.update(headers(fault))
        return response

    return make


def _plain(status: int, message: str) -> Callable[[Fault], Response]:
    return _limited(status, message, lambda _: {})


_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
_FAILURES: dict[Kind, Callable[[Fault], Response]] = {
    Kind.INTERNAL: _plain(500, "Server Error"),
    Kind.BAD_GATEWAY: _plain(502, "Server Error"),
    Kind.DONE_THEN_502: _plain(502, "Server Error"),
    Kind.UNAVAILABLE: _plain(503, "No server is currently available to service your request."),
    Kind.MOVING: _plain(202, "Accepted"),
    Kind.CONFLICT: _plain(409, "Conflict"),
    Kind.INVALID: _plain(422, "Validation Failed"),
    Kind.FORBIDDEN: _plain(403, "Resource not accessible by integration"),
    Kind.MISSING: _plain(404, "Not Found"),
    Kind.SECONDARY: _limited(403, _SECONDARY, lambda fault: {"Retry-After": str(fault.retry_after)}),
    Kind.TOO_MANY: _limited(429, _SECONDARY, lambda fault: {"Retry-After": str(fault.retry_after)}),
    Kind.PRIMARY: _limited(
        403,
        "API rate limit exceeded for installation.",
        lambda fault: {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(fault.retry_after)},
    ),
}
