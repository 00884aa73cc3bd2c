"""Decide whom to ask for a review."""

from __future__ import annotations

from datetime import datetime

from consdb_actions.approval.facts import EventKind, Facts
from consdb_actions.approval.people import holder_accounts, holds, why_not
from consdb_actions.approval.verdict import Decision, Outcome, RoleVerdict, Standing

__all__ = ["reviewers_to_ask"]

MOST = 15
"""GitHub's maximum of reviewers on a pull request."""


def reviewers_to_ask(facts: Facts, decision: Decision) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the people and teams to ask for a review now.

    Authors of stale approvals are asked again. A role that nobody was asked for gets its people, else its
    designates, else its teams; drafts ask nobody, and nobody removed by hand is asked again.
    """
    if facts.pull.draft or not decision.applicable or not facts.policy.ask_reviewers:
        return (), ()
    people: list[str] = []
    teams: list[str] = []
    for item in decision.roles:
        if item.outcome is Outcome.STALE:
            people.extend(_to_ask_again(facts, item))
        elif item.outcome is Outcome.MISSING and not _somebody_asked(facts, item):
            listed = _named_people(facts, item)
            people.extend(listed)
            teams.extend(item.role.teams if not listed else ())
    room = MOST - len(facts.pull.asked_people) - len(facts.pull.asked_teams)
    chosen = tuple(dict.fromkeys(people))[: max(room, 0)]
    return chosen, tuple(dict.fromkeys(teams))[: max(room - len(chosen), 0)]


def _to_ask_again(facts: Facts, item: RoleVerdict) -> list[str]:
    return [
        review.author.login
        for review in item.reviews
        if review.standing is Standing.STALE
        and review.submitted_at is not None
        and not _asked_since(facts, review.author.login, review.submitted_at)
    ]


def _asked_since(facts: Facts, subject: str, since: datetime) -> bool:
    """Return whether a person was asked, or removed, after a moment."""
    kinds = (EventKind.REVIEW_REQUESTED, EventKind.REVIEW_REQUEST_REMOVED)
    asked = {login.casefold() for login in facts.pull.asked_people}
    return subject.casefold() in asked or any(
        event.kind in kinds and event.subject.casefold() == subject.casefold() and event.at >= since
        for event in facts.timeline
    )


def _somebody_asked(facts: Facts, item: RoleVerdict) -> bool:
    day = facts.now.date()
    subjects = {account.login.casefold() for account in holder_accounts(facts, item.role, day)}
    subjects |= {name.rpartition("/")[2].casefold() for name in item.role.teams}
    asked = {name.casefold() for name in (*facts.pull.asked_people, *facts.pull.asked_teams)}
    asked |= {
        event.subject.casefold()
        for event in facts.timeline
        if event.kind in (EventKind.REVIEW_REQUESTED, EventKind.REVIEW_REQUEST_REMOVED)
    }
    reviewed = any(
        review.author is not None and holds(facts, item.role, review.author, day) for review in facts.reviews
    )
    return reviewed or bool(subjects & asked)


def _named_people(facts: Facts, item: RoleVerdict) -> list[str]:
    """Return the policy's people for the role who can approve."""
    day = facts.now.date()
    holders = {account.login.casefold(): account for account in holder_accounts(facts, item.role, day)}
    standing_in = [entry.login for entry in item.role.designates if entry.active_on(day)]
    for logins in (item.role.people, standing_in):
        able = [holders[login.casefold()] for login in logins if login.casefold() in holders]
        able = [account for account in able if not why_not(facts, account)]
        if able:
            return [account.login for account in able]
    return []
