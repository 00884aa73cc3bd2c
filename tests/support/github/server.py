"""The double itself: a server on loopback that behaves like GitHub for one world."""

from __future__ import annotations

import hashlib
import json
import re
import traceback
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.github import routes
from tests.support.github.faults import Fault, Kind
from tests.support.github.openapi import Description, MismatchError
from tests.support.github.payloads import Payloads
from tests.support.github.permissions import Need, need_of
from tests.support.github.routing import Call, RefusalError, Response, find_route
from tests.support.github.world import World
from tests.support.http import Double, Handler

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


class GitHubDouble(Double):
    """A stateful stand-in for GitHub over HTTP, to be used as a context manager.

    `log` lists every call that was answered or failed, `mismatches` what did not fit the description; without
    one nothing is validated.
    """

    def __init__(self, world: World, description: Description | None = None) -> None:
        self.world = world
        self.description = description
        self.log: list[Served] = []
        self.mismatches: list[str] = []
        self.remaining = 5000
        super().__init__(_Handler)

    def close(self) -> None:
        """Stop, and raise when anything did not fit GitHub's description."""
        super().close()
        if self.mismatches:
            raise MismatchError("\n".join(self.mismatches))

    def answer(self, method: str, target: str, token: str, body: Any) -> Response:
        """Carry out one call; faults are the server's business."""
        with self.lock:
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


class _Handler(Handler):
    def serve(self) -> None:
        double = self.server.double
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        body = json.loads(raw) if raw else None
        token = (self.headers.get("Authorization") or "").rpartition(" ")[2]
        fault = double.fault(self.command, self.path)
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
        response.headers.setdefault("X-RateLimit-Limit", "5000")
        response.headers.setdefault("X-RateLimit-Remaining", str(self.server.double.remaining))
        self.send(status, {**response.headers, **(_JSON if data else {})}, data)

    def _fail(self, fault: Fault, response: Response | None) -> None:
        if self.breaks(fault.kind):
            return
        if fault.kind is Kind.GARBLED:
            self.close_connection = True
            data = json.dumps(response.body if response else {}).encode()
            self.send(200, _JSON, data[: len(data) // 2], length=len(data) + 10)
        elif fault.kind is Kind.STRANGE:
            self.send(200, {}, fault.body)
        else:
            self._send(_failure(fault))


_JSON = {"Content-Type": "application/json; charset=utf-8"}


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


_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
_FAILURES = {
    Kind.INTERNAL: (500, "Server Error"),
    Kind.BAD_GATEWAY: (502, "Server Error"),
    Kind.DONE_THEN_502: (502, "Server Error"),
    Kind.UNAVAILABLE: (503, "No server is currently available to service your request."),
    Kind.MOVING: (202, "Accepted"),
    Kind.CONFLICT: (409, "Conflict"),
    Kind.INVALID: (422, "Validation Failed"),
    Kind.FORBIDDEN: (403, "Resource not accessible by integration"),
    Kind.MISSING: (404, "Not Found"),
    Kind.SECONDARY: (403, _SECONDARY),
    Kind.TOO_MANY: (429, _SECONDARY),
    Kind.PRIMARY: (403, "API rate limit exceeded for installation."),
}


def _failure(fault: Fault) -> Response:
    response = _refused(RefusalError(*_FAILURES[fault.kind]))
    if fault.kind in (Kind.SECONDARY, Kind.TOO_MANY):
        response.headers["Retry-After"] = str(fault.retry_after)
    if fault.kind is Kind.PRIMARY:
        response.headers |= {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(fault.retry_after)}
    return response
