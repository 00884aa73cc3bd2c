"""A container registry over HTTP with given images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from consdb_actions.adapters.registry import INDEXES, MANIFESTS
from tests.support.github.faults import Kind
from tests.support.http import Double, Handler

_STATUS = {Kind.INTERNAL: 500, Kind.BAD_GATEWAY: 502, Kind.UNAVAILABLE: 503, Kind.TOO_MANY: 429}


class RegistryDouble(Double):
    """A test double of ghcr.io and Docker Hub; ``log`` lists calls as ``METHOD /path``."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.like_hub = False  # give a token for every repository and deny later; ghcr.io denies the token
        self.tells_digest = True  # send the optional header with the digest
        self.lifetime = 1_000_000
        self.realm = ""
        self._images: dict[str, dict[str, tuple[str, bytes]]] = {}
        self._tokens: dict[str, tuple[str, int]] = {}
        super().__init__(_Handler)

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
        with self.lock:
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


class _Handler(Handler):
    def serve(self) -> None:
        double = self.server.double
        path = urlsplit(self.path).path
        fault = double.fault(self.command, path)
        double.log.append(f"{self.command} {path}")
        if fault is None:
            self.send(*double.answer(self.path, self.headers))
        elif not self.breaks(fault.kind):
            status, headers, body = _said(_STATUS[fault.kind], "FAILED")
            if fault.kind is Kind.TOO_MANY:
                headers["Retry-After"] = str(fault.retry_after)
            self.send(status, headers, body)


def _said(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
    body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
    return status, {"Content-Type": "application/json"}, body


@pytest.fixture
def registry_double() -> Iterator[RegistryDouble]:
    with RegistryDouble() as double:
        yield double
