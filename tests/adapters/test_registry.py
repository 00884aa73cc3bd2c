"""Lookups in container registries (rules R4 and F1)."""

from __future__ import annotations

import hashlib
import socket
from email.utils import formatdate
from pathlib import Path

import pytest

from consdb_actions.adapters.github.client import asked_wait
from consdb_actions.adapters.registry import MANIFESTS, Registry, RegistryError
from consdb_actions.errors import InputError
from tests.support.github.clock import TestClock
from tests.support.github.faults import Fault, Kind
from tests.support.registry import RegistryDouble

HINFO = "ghcr.io/lsst-dm/consdb-hinfo"
TAP = "lsstsqre/tap-schema-usdf-prod-cdb"
MANIFEST = "/v2/lsst-dm/consdb-hinfo/manifests/26.6.2"


@pytest.fixture
def registry(registry_double: RegistryDouble) -> Registry:
    return Registry(registry_double.url, clock=TestClock())


def test_r4_an_image_that_is_there(registry: Registry, registry_double: RegistryDouble) -> None:
    digest = registry_double.push("lsst-dm/consdb-hinfo", "26.6.2")
    registry_double.push("lsstsqre/tap-schema-usdf-prod-cdb", "w.2026.24", multi_arch=False)
    found = registry.find(HINFO, "26.6.2")
    assert found is not None
    assert (found.digest, found.multi_arch) == (digest, True)
    single = registry.find(TAP, "w.2026.24")
    assert single is not None
    assert not single.multi_arch
    assert single.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert not [call for call in registry_double.log if call.startswith("GET /v2")], "nothing is pulled"


def test_r4_a_tag_that_is_missing(registry: Registry, registry_double: RegistryDouble) -> None:
    registry_double.push("lsst-dm/consdb-hinfo", "26.6.2")
    assert registry.find(HINFO, "26.6.3") is None


@pytest.mark.parametrize("like_hub", [False, True])
def test_r4_a_repository_that_is_private_or_missing(
    registry: Registry, registry_double: RegistryDouble, like_hub: bool
) -> None:
    registry_double.like_hub = like_hub
    with pytest.raises(RegistryError, match="private, or there is no such repository") as caught:
        registry.find(HINFO, "26.6.2")
    assert caught.value.denied
    assert caught.value.exit_code == 3
    assert "consdb-hinfo:26.6.2" in caught.value.place


def test_r4_a_token_serves_many_lookups_and_is_renewed(
    registry: Registry, registry_double: RegistryDouble
) -> None:
    registry_double.push("lsst-dm/consdb-hinfo", "26.6.1", "26.6.2")
    assert registry.find(HINFO, "26.6.1")
    assert registry.find(HINFO, "26.6.2")
    assert registry_double.log.count("GET /token") == 1
    registry_double._tokens.clear()
    assert registry.find(HINFO, "26.6.2")
    assert registry_double.log.count("GET /token") == 2


def test_r4_a_registry_that_does_not_tell_the_digest(
    registry: Registry, registry_double: RegistryDouble
) -> None:
    digest = registry_double.push("lsst-dm/consdb-hinfo", "26.6.2")
    registry_double.tells_digest = False
    found = registry.find(HINFO, "26.6.2")
    assert found is not None
    assert found.digest == digest
    _, manifest = registry_double._images["lsst-dm/consdb-hinfo"]["26.6.2"]
    assert digest == f"sha256:{hashlib.sha256(manifest).hexdigest()}"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {}, b""),
        (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
        (200, {"Content-Type": "text/html", "Docker-Content-Digest": f"sha256:{'0' * 64}"}, b""),
        (200, {"Content-Type": "application/json"}, b"{}"),
        (200, {"Content-Type": MANIFESTS[0], "Docker-Content-Digest": "no"}, b"<html>"),
        (200, {"Content-Type": MANIFESTS[0]}, b""),
        (302, {"Location": "/token?scope=repository:a:pull&service=double"}, b""),
        (307, {"Location": "http://127.0.0.1:1/"}, b""),
        (204, {}, b""),
        (206, {"Content-Type": MANIFESTS[0]}, b"{}"),
    ],
)
def test_r4_not_every_answer_is_an_image(
    registry: Registry,
    registry_double: RegistryDouble,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    headers: dict[str, str],
    body: bytes,
) -> None:
    monkeypatch.setattr(registry_double, "answer", lambda *_: (status, headers, body))
    with pytest.raises(RegistryError) as caught:
        registry.find(HINFO, "26.6.2")
    assert "consdb-hinfo:26.6.2" in caught.value.place


@pytest.mark.parametrize(
    "kind", [Kind.INTERNAL, Kind.BAD_GATEWAY, Kind.UNAVAILABLE, Kind.TOO_MANY, Kind.TIMEOUT, Kind.RESET]
)
@pytest.mark.parametrize(("method", "path"), [("HEAD", MANIFEST), ("GET", "/token")])
def test_f1_a_fault_that_passes_is_lived_through(
    registry: Registry, registry_double: RegistryDouble, kind: Kind, method: str, path: str
) -> None:
    digest = registry_double.push("lsst-dm/consdb-hinfo", "26.6.2")
    registry_double.faults.append(Fault(kind, method, path, times=2))
    found = registry.find(HINFO, "26.6.2")
    assert found is not None
    assert found.digest == digest
    assert registry_double.faults[0].hits == 2


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.BAD_GATEWAY, "HTTP 502"),
        (Kind.TOO_MANY, "rate limit"),
        (Kind.TIMEOUT, "in time"),
        (Kind.RESET, "broke off"),
    ],
)
def test_f1_a_fault_that_stays_is_an_error(registry_double: RegistryDouble, kind: Kind, words: str) -> None:
    clock = TestClock()
    registry = Registry(registry_double.url, clock=clock)
    registry_double.faults.append(Fault(kind, times=1000, retry_after=40))
    with pytest.raises(RegistryError, match=words) as caught:
        registry.find(HINFO, "26.6.2")
    assert caught.value.remedy
    assert len(registry_double.log) <= 5
    assert sum(clock.slept) <= 120


def test_f1_a_registry_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RegistryError, match="in time"):
            Registry(url, clock=TestClock(), timeout=0.1).find(HINFO, "26.6.2")


def test_f1_the_registry_says_how_long_to_wait(registry_double: RegistryDouble) -> None:
    clock = TestClock()
    registry = Registry(registry_double.url, clock=clock)
    registry_double.push("lsst-dm/consdb-hinfo", "26.6.2")
    registry_double.faults.append(Fault(Kind.TOO_MANY, retry_after=33))
    assert registry.find(HINFO, "26.6.2")
    assert clock.slept == [33.0]


def test_f1_the_wait_may_be_a_date() -> None:
    assert asked_wait(formatdate(1_780_000_033, usegmt=True), 1_780_000_000.0) == 33.0
    assert asked_wait(formatdate(1_780_000_000, usegmt=True), 1_780_000_033.0) == 0.0
    assert asked_wait("soon", 0.0) is None


def test_f1_no_registry_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(RegistryError, match="could not be made"):
        Registry(f"http://127.0.0.1:{port}", clock=TestClock()).find(HINFO, "26.6.2")


@pytest.mark.parametrize(
    ("image", "tag", "place"),
    [
        (HINFO, "26.6.2", "https://ghcr.io/v2/lsst-dm/consdb-hinfo/manifests/26.6.2"),
        (
            TAP,
            "w.2026.24",
            "https://registry-1.docker.io/v2/lsstsqre/tap-schema-usdf-prod-cdb/manifests/w.2026.24",
        ),
        ("docker.io/lsstsqre/x", "1", "https://registry-1.docker.io/v2/lsstsqre/x/manifests/1"),
        ("postgres", "16", "https://registry-1.docker.io/v2/library/postgres/manifests/16"),
        ("localhost:5000/x", "1", "https://localhost:5000/v2/x/manifests/1"),
    ],
)
def test_r4_the_name_says_which_registry_is_asked(
    monkeypatch: pytest.MonkeyPatch, image: str, tag: str, place: str
) -> None:
    registry = Registry()
    asked = []

    def call(verb: str, url: str, **_: str) -> None:
        asked.append((verb, url))
        raise RegistryError("enough")

    monkeypatch.setattr(registry, "_call", call)
    with pytest.raises(RegistryError, match="enough"):
        registry.find(image, tag)
    assert asked == [("HEAD", place)]


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("", "1"),
        ("ghcr.io/", "1"),
        ("ghcr.io/../x", "1"),
        ("ghcr.io/a?b=c", "1"),
        ("user@ghcr.io/a/b", "1"),
        ("ghcr.io/Upper/case", "1"),
        (f"{HINFO}:26.6.2", "1"),
        (HINFO, ""),
        (HINFO, "a/b"),
        (HINFO, "26.6.2\n"),
        (HINFO, "x" * 129),
    ],
)
def test_s1_names_that_are_none(
    registry: Registry, registry_double: RegistryDouble, image: str, tag: str
) -> None:
    with pytest.raises(InputError):
        registry.find(image, tag)
    assert registry_double.log == []


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://u:p@x", "x", "https://x?y=z"])
def test_s1_addresses_that_are_none_of_a_registry(url: str) -> None:
    with pytest.raises(InputError, match="not the address of a registry"):
        Registry(url)


def test_s4_no_credentials_of_the_user_are_sent(
    registry_double: RegistryDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    registry_double.push("lsst-dm/consdb-hinfo", "26.6.2")
    seen: list[str | None] = []
    answer = registry_double.answer

    def watch(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        seen.append(headers.get("Authorization"))
        return answer(path, headers)

    monkeypatch.setattr(registry_double, "answer", watch)
    assert Registry(registry_double.url, clock=TestClock()).find(HINFO, "26.6.2")
    assert seen == [None, None, "Bearer token-0"]


@pytest.mark.parametrize("realm", ["ftp://127.0.0.1/token", "file:///etc/passwd", "token"])
def test_s4_a_realm_that_is_none(registry: Registry, registry_double: RegistryDouble, realm: str) -> None:
    registry_double.push("lsst-dm/consdb-hinfo", "26.6.2")
    registry_double.realm = realm
    with pytest.raises(RegistryError, match="gives no anonymous token"):
        registry.find(HINFO, "26.6.2")
