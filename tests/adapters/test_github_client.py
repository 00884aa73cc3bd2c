"""The GitHub client against the double: retries, limits, pages, conditions, the budget, secrets (F1, S4)."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from consdb_actions.adapters import registry
from consdb_actions.adapters.github import GitHub, GitHubError, client, connect, graphql
from consdb_actions.adapters.github.client import expected_form
from consdb_actions.adapters.github.pull_requests import read_sections
from consdb_actions.adapters.registry import Registry
from consdb_actions.errors import ExternalError, InputError
from tests.support.github import Fault, GitHubDouble, Kind, TestClock, World
from tests.support.github.plugin import Double
from tests.support.github.things import Repo

TOKEN = "token-of-actions"
REPO = "lsst/sdm_schemas"
PULL = f"/repos/{REPO}/pulls/1"
COMMENTS = f"/repos/{REPO}/issues/1/comments"
AGAIN = [
    Kind.INTERNAL,
    Kind.BAD_GATEWAY,
    Kind.UNAVAILABLE,
    Kind.RESET,
    Kind.GARBLED,
    Kind.SECONDARY,
    Kind.TOO_MANY,
    Kind.PRIMARY,
    Kind.CONFLICT,
]


class Place:
    """A double with one pull request, and a client with a clock that only sleeps."""

    def __init__(self, world: World, double: GitHubDouble) -> None:
        self.world = world
        self.double = double
        self.clock = TestClock()
        self.github: GitHub = connect(TOKEN, double.url, clock=self.clock)
        self.repo: Repo = world.repo(REPO)
        base = world.commit(self.repo, "main", {"a": "1\n"})
        world.commit(self.repo, "tickets/DM-1", {"a": "2\n"}, onto=base)
        self.pull = world.open_pull(self.repo, "tickets/DM-1")

    def fault(self, kind: Kind, times: int = 1, **values: Any) -> Fault:
        fault = Fault(kind, times=times, **values)
        self.double.faults.append(fault)
        return fault

    def comment(self) -> Any:
        """Write a comment that must not be there twice."""

        def landed() -> Any:
            return next((item for item in self.github.items(COMMENTS) if item["body"] == "hello"), None)

        return self.github.write("POST", COMMENTS, {"body": "hello"}, landed=landed)


@pytest.fixture
def place(world: World, github_double: Double) -> Iterator[Place]:
    place = Place(world, github_double(world))
    yield place
    place.github.close()


@pytest.mark.parametrize("kind", AGAIN, ids=lambda kind: kind.value)
def test_f1_a_read_goes_on_after_a_passing_fault(place: Place, kind: Kind) -> None:
    fault = place.fault(kind, times=2)
    assert place.github.get(PULL)["number"] == 1
    assert fault.hits == 2
    assert place.github.budget.retries == 2


def test_f1_a_read_goes_on_after_a_timeout(place: Place) -> None:
    fault = place.fault(Kind.TIMEOUT)
    assert place.github.get(PULL)["number"] == 1
    assert fault.hits == 1


@pytest.mark.slow
def test_f1_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        github = connect(TOKEN, f"http://127.0.0.1:{silent.getsockname()[1]}", clock=TestClock(), timeout=1)
        with pytest.raises(ExternalError, match="in time"):
            github.get(PULL)
        github.close()


@pytest.mark.parametrize(
    "kind", [*AGAIN, Kind.DONE_THEN_RESET, Kind.DONE_THEN_502], ids=lambda kind: kind.value
)
def test_f1_a_write_happens_once_whatever_becomes_of_its_answer(place: Place, kind: Kind) -> None:
    place.fault(kind, method="POST")
    assert place.comment()["body"] == "hello"
    assert [item.body for item in place.repo.comments] == ["hello"]


def test_f1_back_off_is_exponential_and_bounded(place: Place) -> None:
    place.fault(Kind.BAD_GATEWAY, times=99)
    with pytest.raises(GitHubError, match="HTTP 502") as caught:
        place.github.get(PULL)
    assert place.clock.slept == [1, 2, 4, 8]
    assert caught.value.exit_code == 3
    assert caught.value.status == 502
    assert "Run the command again" in caught.value.remedy


@pytest.mark.parametrize("kind", [Kind.SECONDARY, Kind.TOO_MANY])
def test_f1_retry_after_is_honoured(place: Place, kind: Kind) -> None:
    place.fault(kind, retry_after=42)
    place.github.get(PULL)
    assert place.clock.slept == [42]


def test_f1_the_reset_time_of_the_hourly_limit_is_honoured(place: Place) -> None:
    place.clock.seconds = 1000
    place.fault(Kind.PRIMARY, retry_after=1090)
    place.github.get(PULL)
    assert place.clock.slept == [91]


def test_f1_a_limit_that_lasts_too_long_ends_the_run_with_the_time_to_wait(place: Place) -> None:
    place.fault(Kind.TOO_MANY, retry_after=3000)
    with pytest.raises(GitHubError, match="it asks to wait 3000 seconds"):
        place.github.get(PULL)
    assert place.clock.slept == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.INVALID, "Validation Failed"),
        (Kind.FORBIDDEN, "not accessible by integration"),
        (Kind.MISSING, "Not Found"),
    ],
)
def test_f1_a_refusal_is_not_repeated_and_says_what_to_do(place: Place, kind: Kind, words: str) -> None:
    place.fault(kind, times=99)
    with pytest.raises(GitHubError, match=words) as caught:
        place.github.get(PULL)
    assert len(place.double.log) == 1
    assert caught.value.place == f"GitHub, GET {PULL}"
    assert caught.value.remedy


def test_f1_no_server_at_all(world: World) -> None:
    double = GitHubDouble(world)
    url = double.url
    double.close()
    github = connect(TOKEN, url, clock=TestClock())
    with pytest.raises(ExternalError, match="could not be made"):
        github.get(PULL)
    github.close()


@pytest.mark.parametrize("verb", ["GET", "POST", "PATCH", "DELETE"])
def test_a_renamed_repository_is_named_and_no_write_counts_as_made(place: Place, verb: str) -> None:
    place.world.rename_repo(place.repo, "schemas")
    with pytest.raises(GitHubError, match="lsst/sdm_schemas is now called lsst/schemas") as caught:
        place.github.get(COMMENTS) if verb == "GET" else place.github.write(verb, COMMENTS, {"body": "x"})
    assert (caught.value.status, caught.value.exit_code) == (301, 2)
    assert place.repo.comments == []


FORMS = [
    b"",
    b" ",
    b"null",
    b"1",
    b'"x"',
    b"<html>Sign in</html>",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b"9" * 10_000,
]


@pytest.mark.parametrize("body", FORMS, ids=lambda body: repr(body[:10]))
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_g4_an_answer_that_is_no_json_is_asked_for_again(place: Place, verb: str, body: bytes) -> None:
    fault = place.fault(Kind.STRANGE, times=2, body=body, method=verb)
    assert (place.github.get(PULL)["number"] if verb == "GET" else place.comment()["body"]) in (1, "hello")
    assert fault.hits == 2 if verb == "GET" else fault.hits
    place.fault(Kind.STRANGE, times=99, body=body)
    with pytest.raises(GitHubError) as caught:
        place.github.get(PULL)
    assert caught.value.place == f"GitHub, GET {PULL}"


def test_g4_work_that_goes_on_for_ever_is_given_up(place: Place) -> None:
    place.fault(Kind.MOVING, times=99)
    with pytest.raises(GitHubError):
        place.github.get(PULL)
    assert len(place.double.log) == 5


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (lambda github: github.items(COMMENTS), b"{}"),
        (lambda github: github.items(COMMENTS), b'{"message": "x"}'),
        (lambda github: read_sections(github, "lsst/sdm_schemas", 1), b"[1]"),
        (lambda github: read_sections(github, "lsst/sdm_schemas", 1), b'[{"created_at": "soon"}]'),
        (lambda github: read_sections(github, "lsst/sdm_schemas", 1), b'[{"created_at": 1}]'),
        (lambda github: graphql.pull_request(github.get(PULL), ""), b"{}"),
        (lambda github: graphql.pull_request(github.get(PULL), ""), b"[]"),
        (lambda github: graphql.pull_request(github.get(PULL), ""), b'{"number": 1, "head": null}'),
        (lambda github: github.viewer(), b"[]"),
        (lambda github: github.viewer(), b'{"data": {"viewer": 7}}'),
    ],
)
def test_g4_json_of_another_form_is_what_github_did_wrong(
    place: Place, read: Callable[[GitHub], Any], body: bytes
) -> None:
    place.fault(Kind.STRANGE, times=99, body=body)
    with pytest.raises(GitHubError) as caught, expected_form(place.github.budget):
        read(place.github)
    assert caught.value.exit_code == 3
    assert caught.value.place.startswith(("GitHub, GET /repos/", "GitHub, POST /graphql"))


def test_g4_a_bug_of_ours_stays_one(place: Place) -> None:
    with pytest.raises(KeyError), expected_form(place.github.budget):
        raise KeyError("x")


class Dripping(ThreadingHTTPServer):
    """A server whose answers do not end: a byte from time to time, or as many as it can."""

    daemon_threads = True

    def __init__(self, data: bytes, pause: float) -> None:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):
                    while True:
                        self.wfile.write(data)
                        time.sleep(pause)

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.mark.parametrize(("data", "pause"), [(b" ", 0.01), (b" " * 65536, 0.0)])
def test_g4_an_answer_without_end_is_given_up(
    data: bytes, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WHOLE", 0.1)
    monkeypatch.setattr(client, "LIMIT", 1_000_000)
    monkeypatch.setattr(registry, "LIMIT", 1_000_000)
    with Dripping(data, pause) as server:
        github = connect(TOKEN, server.url, clock=TestClock())
        with pytest.raises(ExternalError):
            github.get(PULL)
        github.close()
        with Registry(server.url, clock=TestClock()) as images, pytest.raises(ExternalError):
            images.find("ghcr.io/a/b", "1")
        server.shutdown()


def test_writes_keep_a_distance(place: Place) -> None:
    place.github.write("POST", COMMENTS, {"body": "one"})
    place.github.write("POST", COMMENTS, {"body": "two"})
    assert place.clock.slept == [1.0]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 250])
def test_a10_pages_past_a_hundred(place: Place, count: int) -> None:
    for number in range(count):
        place.world.comment(place.repo, 1, "author", str(number))
    assert [item["body"] for item in place.github.items(COMMENTS)] == [str(number) for number in range(count)]


def test_a_second_reading_costs_nothing_and_sees_what_is_new(place: Place) -> None:
    for number in range(100):
        place.world.comment(place.repo, 1, "author", str(number))
    place.github.get(PULL)
    place.github.get(PULL)
    assert place.github.budget.unchanged == 1
    assert len(place.github.items(COMMENTS)) == 100
    # The first page stays as it is and only its Link header grows: GitHub answers 304 with the old ETag.
    place.world.comment(place.repo, 1, "author", "one more")
    assert len(place.github.items(COMMENTS)) == 101
    place.pull.title = "Another title"
    assert place.github.get(PULL)["title"] == "Another title"


def test_what_a_sha_names_is_asked_for_once(place: Place) -> None:
    path = f"/repos/{REPO}/git/trees/{place.repo.tip('main')}"
    assert place.github.get(path, lasting=True) == place.github.get(path, lasting=True)
    assert place.github.budget.calls == 1


def test_the_budget_is_printed_and_ends_a_run_that_goes_astray(world: World, github_double: Double) -> None:
    double = github_double(world)
    github = connect(TOKEN, double.url, clock=TestClock(), limit=3)
    for _ in range(3):
        github.get("/users/github-actions%5Bbot%5D")
    assert str(github.budget) == "3 calls to GitHub, 2 of them unchanged, 0 repeated; 4999 left this hour"
    with pytest.raises(ExternalError, match="made 3 calls to GitHub, which is its limit"):
        github.query("query { viewer { login } }", {})
    github.close()


def test_s4_the_token_reaches_no_log_and_no_message(
    world: World, github_double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "ghp_" + "s3cret" * 6
    double = github_double(world)
    github = connect(secret, double.url, clock=TestClock())
    with caplog.at_level(logging.DEBUG), pytest.raises(GitHubError, match="Bad credentials") as caught:
        github.get(PULL)
    assert double.log[0].token == secret
    shown = [str(caught.value), repr(caught.value), *(str(record.__dict__) for record in caplog.records)]
    assert not any(secret in text for text in shown)
    with pytest.raises(GitHubError) as caught:
        github.get(f"/repos/{secret}/x")
    assert secret not in str(caught.value)
    github.close()
    assert "GITHUB_TOKEN" in caught.value.remedy


@pytest.mark.parametrize(
    "url", ["", "api.github.com", "ftp://x", "https://user:word@api.github.com", "https:///x"]
)
def test_an_address_that_is_none_or_holds_credentials_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="GITHUB_API_URL") as caught:
        connect(TOKEN, url)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize("token", ["“token-of-actions”", "token-of\nactions", "токен", "a\x00b", "a\x7fb"])
def test_f3_what_cannot_be_a_token_is_said_before_any_call(place: Place, token: str) -> None:
    github = connect(token, place.double.url, clock=place.clock)
    with pytest.raises(InputError):
        github.get(PULL)
    assert not place.double.log


@pytest.mark.parametrize("token", ["", "  \n"])
def test_no_token_is_a_clear_message(token: str) -> None:
    with pytest.raises(InputError, match="no token for GitHub"):
        connect(token).get("/rate_limit")


def test_the_double_refuses_what_github_does_not_describe(world: World, github_double: Double) -> None:
    double = github_double(world)
    if double.description is None:
        pytest.skip("GitHub's OpenAPI description is not at hand, and could not be fetched")
    github = connect(TOKEN, double.url, clock=TestClock())
    world.repo(REPO)
    calls: list[Callable[[], Any]] = [
        lambda: github.get(f"/repos/{REPO}/pulls", {"stat": "open"}),
        lambda: github.write("POST", f"/repos/{REPO}/labels", {"colour": "red"}),
        lambda: github.get("/no/such/route"),
    ]
    for call in calls:
        with pytest.raises(GitHubError):
            call()
    github.close()
    assert len(double.mismatches) == 3
    double.mismatches.clear()
