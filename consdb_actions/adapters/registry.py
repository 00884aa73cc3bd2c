"""Ask a container registry which images and tags exist."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import RequestException, Timeout

from consdb_actions.adapters.github.client import SYSTEM_CLOCK, Clock, asked_wait, read_body
from consdb_actions.errors import ExternalError, InputError

ATTEMPTS = 5

PATIENCE = 120.0  # Maximum total wait of a call in seconds

LIMIT = 4 * 1024 * 1024

"""Maximum size of an answer in bytes; registries should accept manifests up to this size."""

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class RegistryError(ExternalError):
    """A registry refused a call or is unreachable; `denied`: the repository is private or missing."""

    def __init__(self, cause: str, *, place: str = "", remedy: str = "", denied: bool = False) -> None:
        super().__init__(cause, place=place, remedy=remedy)
        self.denied = denied


@dataclass(frozen=True, slots=True)
class RegistryResponse:
    """A registry's answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

_ACCEPT = ", ".join((*INDEXES, *MANIFESTS))

DOCKER_HUB = "registry-1.docker.io"

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"

_NAME = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?", re.ASCII)

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)

_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,}", re.ASCII)

_PARAMETER = re.compile(r'([a-z]+)="([^"]*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """The manifest of an existing image."""

    digest: str  # ``sha256:…``
    media_type: str
    multi_arch: bool  # an index of images for several architectures


@dataclass(frozen=True, slots=True)
class _Place:
    root: str
    name: str
    tag: str

    def __str__(self) -> str:
        return f"registry {urlsplit(self.root).netloc}, {self.name}:{self.tag}"


class Registry:
    """Looks up images in the registries of their names; `url`, if given, replaces all of them."""

    def __init__(self, url: str | None = None, *, clock: Clock | None = None, timeout: float = 30.0) -> None:
        self._root = _checked_root(url) if url else ""
        self._clock, self._timeout = clock or SYSTEM_CLOCK, timeout
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "consdb-actions"
        self._tokens: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def find(self, image: str, tag: str) -> ImageManifest | None:
        """Look up an image; None if the repository has no such tag.

        `image` is written as in a values file: ``ghcr.io/lsst-dm/consdb-hinfo``, or ``lsstsqre/name`` for
        Docker Hub. Raises `InputError` for an invalid name or tag, and `RegistryError` if the repository is
        private or missing, or the registry does not answer in time.
        """
        place = _place(image, tag, self._root)
        answer = self._manifest("HEAD", place)
        if answer is None:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        _media_type(answer, place)
        if not _DIGEST.fullmatch(digest):
            # The header is optional; the digest is the hash of the manifest by definition.
            answer = self._manifest("GET", place)
            if answer is None:
                return None
            digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
            if not answer.body.lstrip().startswith(b"{"):
                raise _no_manifest(place)
        media_type = _media_type(answer, place)
        return ImageManifest(digest, media_type, media_type in INDEXES)

    def _manifest(self, verb: str, place: _Place) -> RegistryResponse | None:
        key = (place.root, place.name)
        url = f"{place.root}/v2/{place.name}/manifests/{place.tag}"
        answer = self._call(verb, url, accept=_ACCEPT, token=self._tokens.get(key, ""), place=str(place))
        if answer.status == 401:  # No token yet, or an expired one.
            self._tokens[key] = self._token(answer.headers.get("WWW-Authenticate", ""), place)
            answer = self._call(verb, url, accept=_ACCEPT, token=self._tokens[key], place=str(place))
        if answer.status == 404:
            return None
        _check(answer, place)
        return answer

    def _token(self, challenge: str, place: _Place) -> str:
        scheme, _, rest = challenge.strip().partition(" ")
        parameters = {name.lower(): value for name, value in _PARAMETER.findall(rest)}
        realm = urlsplit(parameters.get("realm", ""))
        # A token must not be fetched over a less secure scheme than the manifest.
        if scheme.lower() != "bearer" or realm.scheme not in ("https", urlsplit(place.root).scheme):
            raise RegistryError(
                "the registry asks for a login, and gives no anonymous token",
                place=str(place),
                remedy="Make the image public, or name a registry that holds it with --registry-url.",
                denied=True,
            )
        params = {"scope": parameters.get("scope") or f"repository:{place.name}:pull"}
        if "service" in parameters:
            params["service"] = parameters["service"]
        answer = self._call("GET", realm.geturl(), accept="application/json", params=params, place=str(place))
        _check(answer, place)
        try:
            data: Any = json.loads(answer.body)
        except (ValueError, RecursionError):
            data = None
        token = (data.get("token") or data.get("access_token")) if isinstance(data, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise RegistryError(
                "the registry's answer to a request for a token holds none",
                place=str(place),
                remedy="Run the command again later.",
            )
        return token

    def _call(
        self,
        verb: str,
        url: str,
        *,
        accept: str,
        token: str = "",
        params: Mapping[str, str] | None = None,
        place: str,
    ) -> RegistryResponse:
        """Make one call, with retries within the limits."""
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token else {})
        waited = 0.0
        for attempt in range(1, ATTEMPTS + 1):
            pause = 2.0 ** (attempt - 1)
            try:
                answer = self._once(verb, url, headers, params)
            except Timeout:
                cause = "the registry did not answer in time"
            except RequestException:
                cause = "the connection to the registry broke off or could not be made"
            else:
                if answer.status not in _AGAIN:
                    return answer
                limited = answer.status == 429
                cause = (
                    "the registry's rate limit was reached (HTTP 429)"
                    if limited
                    else f"the registry failed with HTTP {answer.status}"
                )
                asked = asked_wait(answer.headers.get("Retry-After", ""), self._clock.time())
                pause = asked if asked is not None else pause
            if attempt == ATTEMPTS or waited + pause > PATIENCE:
                break
            self._clock.sleep(pause)
            waited += pause
        raise RegistryError(cause, place=place, remedy="Run the command again later.")

    def _once(
        self, verb: str, url: str, headers: Mapping[str, str], params: Mapping[str, str] | None
    ) -> RegistryResponse:
        """Make one call and read its answer, which has no business to be long."""
        # An `auth` of our own keeps requests from sending what a .netrc holds for this host.
        with self._session.request(
            verb,
            url,
            headers=headers,
            params=params,
            timeout=self._timeout,
            auth=lambda request: request,
            stream=True,
            allow_redirects=False,
        ) as answer:
            return RegistryResponse(answer.status_code, answer.headers, read_body(answer, LIMIT))


def _media_type(answer: RegistryResponse, place: _Place) -> str:
    """Return the type of a manifest; a page that says hello is none, whatever its status."""
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in (*INDEXES, *MANIFESTS):
        raise _no_manifest(place)
    return media_type


def _no_manifest(place: _Place) -> RegistryError:
    return RegistryError(
        "what answers is not a registry, or the answer is not a manifest of an image",
        place=str(place),
        remedy="Check --registry-url, and whether a proxy answers in its place.",
    )


def _check(answer: RegistryResponse, place: _Place) -> None:
    if answer.status in (401, 403):
        raise RegistryError(
            f"the registry denies access to {place.name}: it is private, or there is no such repository",
            place=str(place),
            remedy="Check the image's name; a new image has to be built once, and made public.",
            denied=True,
        )
    if answer.status != 200:
        raise RegistryError(
            f"the registry answered with HTTP {answer.status}",
            place=str(place),
            remedy="Check the image's name and --registry-url; else run the command again later.",
        )


def _place(image: str, tag: str, root: str) -> _Place:
    """Parse an image name: its first part may be a host."""
    host, slash, name = image.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, name = DOCKER_HUB, image if slash else f"library/{image}"
    elif host in ("docker.io", "index.docker.io"):
        host, name = DOCKER_HUB, name if "/" in name else f"library/{name}"
    if not _HOST.fullmatch(host) or not _NAME.fullmatch(name) or len(image) > 255:
        raise InputError(
            f'"{image[:150]}" is not a name of an image',
            remedy="Give it without a tag, such as ghcr.io/lsst-dm/consdb-hinfo.",
        )
    if not _TAG.fullmatch(tag):
        raise InputError(
            f'"{tag[:150]}" is not a tag of an image',
            place=image,
            remedy="A tag has letters, digits, dots, dashes and underscores, 128 at most.",
        )
    return _Place(root or f"https://{host}", name, tag)


def _checked_root(url: str) -> str:
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username
        or parts.password
        or parts.query
        or parts.fragment
    ):
        raise InputError(
            "this is not the address of a registry, or it holds credentials",
            place="--registry-url",
            remedy="Give one such as https://registry.example.org.",
        )
    return url.rstrip("/")
