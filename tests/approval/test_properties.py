"""What must hold for any facts: nothing counts that should not, order does not matter, a plan settles."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.approval.evaluate import ReviewEffect, RoleOutcome, StatusState, assign, evaluate
from consdb_actions.approval.facts import (
    UNCHANGED,
    ApprovalFacts,
    CommitChange,
    Contributor,
    EventKind,
    FileChange,
    MarkedComment,
    PublishedStatus,
    Review,
    ReviewState,
    Team,
    TimelineEvent,
)
from consdb_actions.approval.plan import PullPlan, make_plan
from consdb_actions.report.approvals import render_comment
from tests.support.configuration import through_json
from tests.support.facts import BOT, HEAD, OLD, PATH, START, facts, person, policy, written_by

PEOPLE = ["ann", "dan", "dina", "olga", "carl", "mallory"]
LABELS = ["approved: data-engineering", "approved: product-owner", "approved: consdb", "bug"]
ROLES = [
    {"id": "de", "teams": ["lsst/data-engineering"]},
    {"id": "po", "people": ["olga"], "designates": [{"login": "carl", "until": "2026-03-02"}]},
    {"id": "consdb", "people": ["carl", "olga", "ann"]},
]

shas = st.sampled_from([HEAD, OLD, "d" * 40])
minutes = st.integers(0, 4000)
reviews = st.builds(
    lambda number, login, state, sha, minute, body: Review(
        number,
        person(login) if login else None,
        state,
        sha,
        START + timedelta(minutes=minute),
        body,
    ),
    st.integers(1, 10**6),
    st.sampled_from([*PEOPLE, None]),
    st.sampled_from([state for state in ReviewState if state is not ReviewState.PENDING]),
    shas | st.none(),
    minutes,
    st.sampled_from(["", "", "consdb: po", "consdb: consdb, po", "consdb: de", "> consdb: po"]),
)
actors: dict[str | None, Any] = {None: None, BOT.login: BOT, **{login: person(login) for login in PEOPLE}}
events = st.builds(
    lambda kind, label, login, minute: TimelineEvent(
        kind, label, actors[login], START + timedelta(minutes=minute)
    ),
    st.sampled_from([EventKind.LABELED, EventKind.UNLABELED]),
    st.sampled_from(LABELS),
    st.sampled_from(list(actors)),
    minutes,
)
digests = st.sampled_from(["1", "2", UNCHANGED])
changes = st.builds(
    lambda parts, problem: (parts, problem),
    st.tuples(digests, digests, digests) | st.just(("", "", "1")),
    st.sampled_from(["", "", "", "gone"]),
)


@st.composite
def any_facts(draw: st.DrawFn) -> ApprovalFacts:
    found = {}
    for sha in (OLD, HEAD):
        parts, problem = draw(changes)
        found[sha] = CommitChange(sha, () if problem else (FileChange(PATH, *parts),), problem)
    authors = draw(st.lists(st.sampled_from(PEOPLE), max_size=2))
    members = tuple(person(login) for login in draw(st.sets(st.sampled_from(PEOPLE), max_size=3)))
    team = draw(
        st.sampled_from(
            [Team("lsst/data-engineering", members), Team("lsst/data-engineering", (), "HTTP 403")]
        )
    )
    return facts(
        *draw(st.lists(reviews, max_size=8, unique_by=lambda item: (item.id, item.submitted_at))),
        policy=policy(roles=ROLES, distinct=draw(st.booleans())),
        timeline=tuple(draw(st.lists(events, max_size=6, unique_by=lambda item: item.at))),
        commits=(written_by(*(Contributor(login, "", person(login)) for login in authors)),),
        teams=(team,),
        changes=tuple(found.values()),
        pull={"labels": tuple(sorted(draw(st.sets(st.sampled_from(LABELS))))), "draft": draw(st.booleans())},
    )


@given(any_facts())
def test_facts_survive_json(known: ApprovalFacts) -> None:
    assert through_json(known) == known


@given(any_facts(), st.randoms(use_true_random=False))
def test_the_order_in_which_github_lists_things_does_not_matter(known: ApprovalFacts, random: Any) -> None:
    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(random.sample(items, len(items)))

    other = replace(known, reviews=shuffled(known.reviews), timeline=shuffled(known.timeline))
    assert evaluate(other) == evaluate(known)


@given(any_facts())
def test_what_counts_is_by_a_holder_who_did_not_write_it_and_has_not_taken_it_back(
    known: ApprovalFacts,
) -> None:
    """Said again in other words than the program's, for the reviews that fill a role."""
    decision = evaluate(known)
    wrote = {c.account.login for commit in known.commits for c in commit.contributors if c.account} | {"ann"}
    for item in decision.roles:
        if item.outcome is not RoleOutcome.APPROVED:
            continue
        assert item.approver is not None
        who = item.approver.author.login
        assert who not in wrote
        day = item.approver.submitted_at.date().isoformat() if item.approver.submitted_at else ""
        assert {
            "de": who in {member.login for member in known.teams[0].members} and not known.teams[0].problem,
            "po": who == "olga" or (who == "carl" and day <= "2026-03-02"),
            "consdb": who in ("carl", "olga"),
        }[item.role.id]
        later = [
            review
            for review in known.reviews
            if review.author
            and review.author.login == who
            and review.submitted_at
            and item.approver.submitted_at
            and review.submitted_at > item.approver.submitted_at
            and review.state in (ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED)
            and "consdb:" not in review.body.split(">")[0]
        ]
        assert not later or item.role.id == "po"  # carl's designation ends: later words are not for that role
        assert not any(review.effect is ReviewEffect.BLOCKS for review in item.reviews)
    if decision.state is StatusState.SUCCESS:
        assert not known.pull.draft
        assert all(item.outcome is RoleOutcome.APPROVED for item in decision.roles)
    if known.policy.distinct:
        people = [item.approver.author.login for item in decision.roles if item.approver]
        assert len(people) == len(set(people))


def carried_out(known: ApprovalFacts, plan: PullPlan) -> ApprovalFacts:
    """Return the facts as they are after a plan was carried out."""
    at = known.now
    added = [TimelineEvent(EventKind.LABELED, role.label, BOT, at) for role in plan.labels_add]
    removed = [TimelineEvent(EventKind.UNLABELED, label, BOT, at) for label in plan.labels_remove]
    slugs = [name.rpartition("/")[2] for name in plan.ask_teams]
    asked = [TimelineEvent(EventKind.REVIEW_REQUESTED, who, BOT, at) for who in (*plan.ask_people, *slugs)]
    labels = {*known.pull.labels, *(role.label for role in plan.labels_add)} - set(plan.labels_remove)
    status = known.status
    if plan.status is not None:
        status = PublishedStatus(plan.status.state, plan.status.description, plan.status.target_url, BOT)
    comments = known.marked
    if plan.comment is not None:
        comments = (MarkedComment(1, BOT, at, plan.comment.body),)
    pull = replace(
        known.pull,
        labels=tuple(sorted(labels)),
        asked_people=(*known.pull.asked_people, *plan.ask_people),
        asked_teams=(*known.pull.asked_teams, *slugs),
    )
    timeline = (*known.timeline, *added, *removed, *asked)
    return replace(known, pull=pull, timeline=timeline, status=status, marked=comments)


def next_plan(known: ApprovalFacts) -> PullPlan:
    decision = evaluate(known)
    return make_plan(known, decision, render_comment(known, decision))


@given(any_facts())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(known: ApprovalFacts) -> None:
    plan = next_plan(known)
    after = carried_out(known, plan)
    assert next_plan(after).empty
    if any(team.problem for team in known.teams):
        assert plan.labels_remove == ()


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from("123"), unique=True), max_size=4))
def test_the_assignment_is_valid_and_as_large_as_any(candidates: dict[str, list[str]]) -> None:
    found = assign(candidates)
    assert all(person in candidates[role] for role, person in found.items())
    assert len(set(found.values())) == len(found)
    choices = [[None, *people] for people in candidates.values()]
    best = max(
        len(taken)
        for choice in itertools.product(*choices)
        if len(set(taken := [person for person in choice if person])) == len(taken)
    )
    assert len(found) == best
