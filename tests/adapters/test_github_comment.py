"""The one comment over HTTP: several accounts, several runs at once, and what others do to it (rule P2)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from consdb_actions.adapters.github.pull_requests import CommentWriter, read_sections
from consdb_actions.approval.plan import MARKER, Part, join, split
from tests.support.approvals import REPOSITORY, TOKEN, Scene
from tests.support.github import Fault, GitHubDouble, Kind, TestClock, World
from tests.support.github.plugin import Double
from tests.support.github.things import Comment

COMMENTS = f"/repos/{REPOSITORY}/issues/1/comments"
ACTIONS, APP, PERSON = "github-actions[bot]", "consdb[bot]", "carl"
FLOWS = (Part.PROCESS, Part.APPROVALS, Part.MIGRATION)


class Place:
    """A pull request, and this program with the tokens of three accounts."""

    def __init__(self, world: World, double: GitHubDouble) -> None:
        self.scene, self.double = Scene(world), double
        self.repo = self.scene.repo
        self.repo.members[PERSON] = "write"
        world.tokens |= {"of-app": world.user(APP, kind="Bot").id, "of-person": world.user(PERSON).id}
        tokens = {ACTIONS: TOKEN, APP: "of-app", PERSON: "of-person"}
        self.connections = {
            who: connect(token, double.url, clock=TestClock()) for who, token in tokens.items()
        }

    def writer(self, who: str = ACTIONS) -> CommentWriter:
        return CommentWriter(self.connections[who], REPOSITORY)

    def say(self, login: str, body: str) -> Comment:
        return self.scene.world.comment(self.repo, 1, login, body)

    @property
    def github(self) -> GitHub:
        return self.connections[ACTIONS]

    @property
    def marked(self) -> list[Comment]:
        return [item for item in self.repo.comments if item.body.startswith(MARKER)]

    @property
    def calls(self) -> list[str]:
        return [call.method for call in self.double.log if "comments" in call.target]


@pytest.fixture
def place(world: World, github_double: Double) -> Iterator[Place]:
    made = Place(world, github_double(world))
    yield made
    for github in made.connections.values():
        github.close()


@pytest.mark.parametrize("order", list(itertools.permutations((ACTIONS, APP, PERSON))), ids="-".join)
def test_p2_whichever_account_comes_first_there_is_one_comment(place: Place, order: tuple[str, ...]) -> None:
    for who, section in zip(order, FLOWS, strict=True):
        place.writer(who).settle(1, section, f"by {who}")
    for who, section in zip(order, FLOWS, strict=True):
        place.writer(who).settle(1, section, f"again by {who}")
    (only,) = place.marked
    wanted = {section: f"again by {who}" for who, section in zip(order, FLOWS, strict=True)}
    assert split(only.body) == wanted
    assert place.scene.world.users[only.user or 0].login == order[0]
    assert read_sections(place.github, REPOSITORY, 1) == wanted


@pytest.mark.parametrize("member", ["", "read"], ids=["stranger", "member who may not write"])
def test_s3_a_comment_that_looks_like_ours_counts_for_nothing(place: Place, member: str) -> None:
    if member:
        place.repo.members["mallory"] = member
    forged = place.say("mallory", join({Part.PROCESS: "all done", Part.APPROVALS: "approved"}))
    place.writer().settle(1, Part.APPROVALS, "true")
    assert [split(item.body) for item in place.marked] == [
        split(forged.body),
        {Part.APPROVALS: "true"},
    ]
    place.repo.comments.remove(forged)


@pytest.mark.parametrize("fault", [Kind.FORBIDDEN, Kind.MISSING])
def test_s3_a_member_of_whom_nothing_can_be_known_is_not_trusted(place: Place, fault: Kind) -> None:
    path = f"/repos/{REPOSITORY}/collaborators/{PERSON}/permission"
    place.say(PERSON, join({Part.APPROVALS: "approved"}))
    place.double.faults.append(Fault(fault, method="GET", target=path, times=9))
    place.writer().write(1, Part.PROCESS, "next")
    assert [list(split(item.body)) for item in place.marked] == [[Part.APPROVALS], [Part.PROCESS]]


@pytest.mark.parametrize("who", [APP, PERSON])
def test_p2_a_comment_that_this_token_may_not_change_gets_no_second_one_beside_it(
    place: Place, who: str
) -> None:
    there = place.say(who, join({Part.MIGRATION: "old"}))
    target = f"/repos/{REPOSITORY}/issues/comments/{there.id}"
    place.double.faults.append(Fault(Kind.FORBIDDEN, method="PATCH", target=target, times=9))
    writer = place.writer()
    writer.settle(1, Part.APPROVALS, "new")
    assert who in writer.refusal
    assert [item.body for item in place.marked] == [join({Part.MIGRATION: "old"})]
    assert "POST" not in place.calls


def test_p2_a_second_comment_that_this_token_may_not_remove_is_told(place: Place) -> None:
    place.say(ACTIONS, join({Part.APPROVALS: "old"}))
    second = place.say(APP, join({Part.MIGRATION: "theirs"}))
    target = f"/repos/{REPOSITORY}/issues/comments/{second.id}"
    fault = Fault(Kind.FORBIDDEN, method="DELETE", target=target)
    place.double.faults.append(fault)
    writer = place.writer()
    writer.settle(1, Part.APPROVALS, "new")
    assert APP in writer.refusal
    assert split(place.marked[0].body) == {Part.APPROVALS: "new", Part.MIGRATION: "theirs"}
    assert fault.hits == 1
    place.writer().settle(1, Part.APPROVALS, "new")
    assert len(place.marked) == 1


def test_our_own_comment_that_cannot_be_changed_is_an_error(place: Place) -> None:
    there = place.say(ACTIONS, join({Part.MIGRATION: "old"}))
    target = f"/repos/{REPOSITORY}/issues/comments/{there.id}"
    place.double.faults.append(Fault(Kind.FORBIDDEN, method="PATCH", target=target, times=9))
    with pytest.raises(GitHubError):
        place.writer().settle(1, Part.APPROVALS, "new")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_p2_two_runs_at_once_end_in_one_comment_with_both_sections(place: Place, method: str) -> None:
    """The other run reads and writes between our reading and our writing."""
    if method == "PATCH":
        place.writer().settle(1, Part.REBASE, "there before")
    waiting = [True]

    def other_run(verb: str, target: str) -> None:
        if verb == method and "comments" in target and waiting:
            waiting.clear()
            place.writer(APP).settle(1, Part.MIGRATION, "theirs")

    place.double.before = other_run
    place.writer().settle(1, Part.APPROVALS, "ours")
    # Who wrote over a section that came meanwhile does not know; its own flow looks again, and puts it back.
    place.writer(APP).settle(1, Part.MIGRATION, "theirs")
    (only,) = place.marked
    assert {section: split(only.body)[section] for section in (Part.APPROVALS, Part.MIGRATION)} == {
        Part.APPROVALS: "ours",
        Part.MIGRATION: "theirs",
    }


def test_p2_a_section_that_another_run_wrote_over_is_written_again(place: Place) -> None:
    old = place.say(ACTIONS, join({Part.APPROVALS: "theirs"}))
    done: list[str] = []

    def stale_write(verb: str, target: str) -> None:
        if verb == "GET" and done[-1:] == ["PATCH"]:
            old.body = join({Part.APPROVALS: "newer"})
        done.append(verb)

    place.double.before = stale_write
    place.writer().settle(1, Part.PROCESS, "ours")
    assert split(old.body) == {Part.PROCESS: "ours", Part.APPROVALS: "newer"}


def test_p2_a_comment_that_somebody_removes_meanwhile_is_written_again(place: Place) -> None:
    place.say(ACTIONS, join({Part.APPROVALS: "old"}))

    def removal(verb: str, target: str) -> None:
        if verb == "PATCH":
            place.repo.comments.clear()

    place.double.before = removal
    place.writer().settle(1, Part.APPROVALS, "new")
    (only,) = place.marked
    assert split(only.body) == {Part.APPROVALS: "new"}


def test_what_is_up_to_date_costs_one_call(place: Place) -> None:
    place.writer().settle(1, Part.APPROVALS, "same")
    assert place.calls == ["GET", "POST", "GET"]
    place.writer().settle(1, Part.APPROVALS, "same")
    assert place.calls == ["GET", "POST", "GET", "GET"]


def test_a_locked_conversation_is_said(place: Place) -> None:
    place.scene.pull.locked = True
    with pytest.raises(GitHubError, match="locked"):
        place.writer().settle(1, Part.APPROVALS, "new")
