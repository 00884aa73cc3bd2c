"""Many git objects with one query, and one look as one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLError, build_schema, graphql_sync, parse, validate

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from consdb_actions.adapters.github import contents as module
from consdb_actions.adapters.github.client import RateLimitError, answered
from consdb_actions.adapters.github.contents import Objects
from consdb_actions.errors import InputError
from tests.support.github import Fault, GitHubDouble, Kind, TestClock, World
from tests.support.github.descriptions import UnavailableError, graphql_schema
from tests.support.github.plugin import CACHE, Double
from tests.support.github.routes import queries
from tests.support.github.routing import RefusalError

REPO, TOKEN = "o/r", "token-of-actions"
ODD = "a: 1\r\nb: 'ü\u2028'\n\ufeff\n"
LARGE = b"x: 1\n" * 110_000
FILES: dict[str, str | bytes] = {
    "odd.yaml": ODD,
    "empty.yaml": "",
    "folder/inner.yaml": "y\n",
    "large.yaml": LARGE,
    "binary": b"\0\1",
    "latin.yaml": "ü".encode("latin-1"),
}


class Place:
    """A repository with some files, and a connection."""

    def __init__(self, world: World, double: GitHubDouble) -> None:
        self.world, self.double = world, double
        self.repo = world.repo(REPO)
        self.commit = world.commit(self.repo, "main", FILES)
        self.clock = TestClock()
        self.github: GitHub = connect(TOKEN, double.url, clock=self.clock)
        self.objects = Objects(self.github, REPO)

    @property
    def calls(self) -> list[str]:
        return [f"{call.method} {call.target}" for call in self.double.log]


@pytest.fixture
def place(world: World, github_double: Double) -> Iterator[Place]:
    made = Place(world, github_double(world))
    yield made
    made.github.close()


@pytest.fixture(params=["queries", "REST"])
def either(place: Place, request: pytest.FixtureRequest) -> Place:
    """Give a place that takes queries, and one that refuses them."""
    if request.param == "REST":
        place.repo.rows["no queries"] = []
    return place


def test_files_come_with_their_very_bytes(either: Place) -> None:
    found = either.objects.files([(either.commit, path) for path in [*FILES, "nowhere.yaml"]])
    assert found == {
        (either.commit, "nowhere.yaml"): None,
        **{
            (either.commit, path): text if isinstance(text, bytes) else text.encode()
            for path, text in FILES.items()
        },
    }


def test_files_are_asked_for_once_and_together(place: Place) -> None:
    for _ in range(2):
        place.objects.files([(place.commit, path) for path in [*FILES, "nowhere.yaml"]])
    # A text that is cut off, or none, is read over REST.
    kinds = [call.rpartition("/")[0] for call in place.calls]
    assert kinds == ["POST "] + ["GET /repos/o/r/git/blobs"] * 3


def test_where_queries_are_refused_none_is_tried_again(place: Place) -> None:
    place.repo.rows["no queries"] = []
    for path in ("odd.yaml", "empty.yaml"):
        assert place.objects.names(place.commit, [path])[path]
    assert [call.partition("?")[0] for call in place.calls] == [
        "POST /graphql",
        "GET /repos/o/r/contents/odd.yaml",
        "GET /repos/o/r/contents/empty.yaml",
    ]


def test_merges_are_those_of_each_commit(either: Place) -> None:
    either.world.commit(either.repo, "b", {"odd.yaml": "2\n"}, onto=either.commit)
    pull = either.world.open_pull(either.repo, "b")
    head = either.repo.head(pull)
    sha = either.world.merge(either.repo, pull)
    found = either.objects.merges([either.commit, head, sha])
    assert found[either.commit] == ()
    assert found[head] == found[sha] == ((pull.merged_at, "https://github.com/o/r/pull/1"),)


def test_what_is_no_file_is_said_to_be_none(place: Place) -> None:
    for read in (
        lambda: place.objects.files([(place.commit, "folder")]),
        lambda: place.objects.names(place.commit, ["folder"]),
    ):
        with pytest.raises(InputError, match="this is not a file"):
            read()


def test_a_file_that_is_too_large_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_READ", 10)
    with pytest.raises(InputError, match="has more than 10 bytes"):
        place.objects.files([(place.commit, "large.yaml")])


def test_a_hundred_objects_are_one_query_and_more_are_more(place: Place) -> None:
    files = {f"{number}.yaml": f"{number}\n" for number in range(101)}
    commit = place.world.commit(place.repo, "main", files)
    names = place.objects.names(commit, list(files)[:100])
    assert len(place.calls) == 1
    blobs = place.objects.blobs(sha for sha in names.values() if sha)
    assert sorted(blobs.values()) == sorted(text.encode() for text in list(files.values())[:100])
    assert len(place.calls) == 2
    assert None not in place.objects.names(commit, files).values()
    assert len(place.calls) == 3, "the one that is new"


def test_histories_are_those_of_each_file(either: Place) -> None:
    second = either.world.commit(either.repo, "main", {"odd.yaml": "2\n"}, message="Second\n\nTrailer: x")
    third = either.world.commit(either.repo, "main", {"empty.yaml": "3\n"})
    found = either.objects.histories(third, ["odd.yaml", "empty.yaml", "nowhere"], 30)
    assert [item.sha for item in found["odd.yaml"]] == [second, either.commit]
    assert [item.sha for item in found["empty.yaml"]] == [third, either.commit]
    assert found["nowhere"] == ()
    newest = found["odd.yaml"][0]
    assert newest.message == "Second\n\nTrailer: x"
    assert newest.url == f"https://github.com/o/r/commit/{second}"
    assert newest.at == either.repo.store.info(second).committer.date
    since = either.objects.histories(third, ["odd.yaml"], 30, newest.at)
    assert [item.sha for item in since["odd.yaml"]] == [second]
    assert len(either.objects.histories(third, ["odd.yaml"], 1)["odd.yaml"]) == 1
    with pytest.raises(GitHubError, match=r"has no commit 00000000|HTTP 404"):
        either.objects.histories("0" * 40, ["odd.yaml"], 1)


def test_tags_are_dated_in_utc(either: Place) -> None:
    text = f"object {either.commit}\ntype commit\ntag t\ntagger p <p@example.org> 1780000000 +0000\n\nt\n"
    sha = either.repo.store.git("mktag", stdin=text.encode()).decode().strip()
    at = either.objects.tagged([sha])[sha]
    assert at == datetime.fromtimestamp(1780000000, UTC)
    assert at.tzinfo is UTC


def test_a_repository_that_is_not_to_be_seen_is_a_404(place: Place) -> None:
    with pytest.raises(GitHubError, match="HTTP 404") as caught:
        Objects(place.github, "o/other").blobs(["0" * 40])
    assert caught.value.status == 404


def test_f1_a_rate_limit_is_no_reason_to_ask_over_rest(place: Place) -> None:
    place.double.faults = [Fault(Kind.PRIMARY, "POST", "/graphql", times=9)]
    with pytest.raises(RateLimitError):
        place.objects.names(place.commit, ["odd.yaml"])
    assert set(place.calls) == {"POST /graphql"}


@pytest.mark.parametrize("kind", [Kind.BAD_GATEWAY, Kind.SECONDARY, Kind.RESET, Kind.GARBLED])
def test_f1_a_query_that_fails_is_asked_again(place: Place, kind: Kind) -> None:
    place.double.faults = [Fault(kind, "POST", "/graphql", times=2)]
    assert place.objects.files([(place.commit, "odd.yaml")])[place.commit, "odd.yaml"] == ODD.encode()
    assert len(place.calls) == 3


@pytest.mark.parametrize(
    ("answer", "status", "again"),
    [
        ({"data": {"viewer": None}}, None, False),
        ({"data": {"repository": None}, "errors": [{"type": "NOT_FOUND", "message": "No."}]}, 404, False),
        ({"data": None, "errors": [{"type": "FORBIDDEN", "message": "No."}]}, 403, False),
        ({"errors": [{"type": "RATE_LIMITED", "message": "No."}]}, 403, True),
        ({"errors": [{"type": "RATE_LIMIT", "message": "No."}]}, 403, True),
        ({"errors": [{"extensions": {"code": "RATE_LIMIT"}}]}, 403, True),
        ({"message": "You have exceeded a secondary rate limit."}, 403, True),
        ({"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "No."}], "data": {}}, 502, False),
        ({"errors": [{"message": "This may be the result of a timeout, or a bug."}]}, 502, False),
        ({"errors": "x"}, 502, True),
        ({"errors": [None, 1], "data": {"a": 1}}, 502, True),
        ({"data": [1]}, 502, True),
        ({"data": None, "errors": [{"message": "Something went wrong"}]}, 502, True),
        ({"data": None}, 502, True),
        ([], 502, True),
        (None, 502, True),
    ],
)
def test_f1_errors_within_an_answer(answer: object, status: int | None, again: bool) -> None:
    trouble = answered(answer, {}, 0.0)
    assert (trouble.error.status if trouble else None) == status
    assert trouble is None or (trouble.again is again and trouble.error.remedy)


@pytest.mark.parametrize("retry_after", ["9", "Thu, 01 Jan 1970 00:00:09 GMT"])
def test_g3_an_answer_with_200_can_ask_to_wait(retry_after: str) -> None:
    trouble = answered({"errors": [{"message": "No."}]}, {"retry-after": retry_after}, 0.0)
    assert trouble is not None
    assert (trouble.wait, type(trouble.error)) == (9.0, RateLimitError)


@pytest.mark.parametrize(
    "refusal",
    [
        RefusalError(200, "RESOURCE_LIMITS_EXCEEDED"),
        RefusalError(200, "This may be the result of a timeout, or it could be a GitHub bug."),
    ],
)
@pytest.mark.parametrize("most", [0, 1, 3])
def test_g3_a_query_that_is_too_large_is_split(
    place: Place, monkeypatch: pytest.MonkeyPatch, refusal: RefusalError, most: int
) -> None:
    run = graphql_sync

    def limited(schema: Any, text: str, *given: Any, **named: Any) -> Any:
        if text.count(" object(") > most:
            return ExecutionResult(errors=[GraphQLError(refusal.message, original_error=refusal)])
        return run(schema, text, *given, **named)

    monkeypatch.setattr(queries, "graphql_sync", limited)
    found = place.objects.names(place.commit, FILES)
    assert [path for path, sha in found.items() if sha] == sorted(FILES)
    assert place.clock.slept == []
    assert any(call.startswith("GET") for call in place.calls) == (most == 0)


def test_g3_queries_that_always_fail_are_read_over_rest(place: Place) -> None:
    place.double.faults = [Fault(Kind.BAD_GATEWAY, "POST", "/graphql", times=99)]
    assert place.objects.names(place.commit, ["odd.yaml"])["odd.yaml"]
    assert place.objects.names(place.commit, ["empty.yaml"])["empty.yaml"]
    assert place.calls.count("POST /graphql") == 5


def test_g3_what_may_not_be_seen_is_null_in_a_list(place: Place) -> None:
    head = place.world.commit(place.repo, "b", {"odd.yaml": "2\n"}, onto=place.commit)
    place.world.merge(place.repo, pull := place.world.open_pull(place.repo, "b"))
    place.repo.unseen.add(pull.number)
    assert place.objects.merges([head]) == {head: ()}


def test_f1_a_query_that_github_gives_up_is_asked_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = queries._Repository.object
    failed: list[str] = []

    def once(self: queries._Repository, info: object, **given: str) -> object:
        if not failed:
            failed.append("it took too long")
            raise RefusalError(200, failed[0])
        return names(self, info, **given)

    monkeypatch.setattr(queries._Repository, "object", once)
    assert place.objects.names(place.commit, ["odd.yaml"])["odd.yaml"]
    assert len(place.calls) == 2
    assert place.clock.slept == [1.0]


def test_one_look_is_one_moment_until_something_is_changed(place: Place) -> None:
    path = f"/repos/{REPO}/labels"
    with place.github.moment():
        assert place.github.items(path) == place.github.items(path) == []
        with place.github.moment():
            place.github.items(path)
        assert len(place.calls) == 1
        place.github.write("POST", path, {"name": "new", "color": "ffffff"})
        assert len(place.github.items(path)) == 1
        place.world.ensure_label(place.repo, "newer")
        assert len(place.github.items(path)) == 2
    assert len(place.github.items(path)) == 2


@pytest.mark.slow
def test_queries_are_valid_by_githubs_own_schema(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAPI_CACHE_DIR", str(CACHE))
    try:
        schema = build_schema(graphql_schema().read_text(encoding="utf-8"), assume_valid=True)
    except UnavailableError as error:
        pytest.skip(f"GitHub's schema is not at hand: {error}")
    asked: list[str] = []
    query = GitHub.query

    def heard(self: GitHub, text: str, variables: Mapping[str, Any]) -> Any:
        asked.append(text)
        return query(self, text, variables)

    monkeypatch.setattr(GitHub, "query", heard)
    place.github.viewer()
    place.objects.names(place.commit, ["odd.yaml"])
    place.objects.files([(place.commit, "odd.yaml"), (place.commit, "empty.yaml")])
    place.objects.histories(place.commit, ["odd.yaml", "empty.yaml"], 30, datetime(2026, 1, 1, tzinfo=UTC))
    place.objects.merges([place.commit])
    place.objects.tagged([place.commit])
    assert len(asked) == 6
    for text in asked:
        assert validate(schema, parse(text)) == [], text
