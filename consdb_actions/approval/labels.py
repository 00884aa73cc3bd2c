"""Derive role labels from the verdict, whoever sets or removes them (rule A5)."""

from __future__ import annotations

from consdb_actions.approval.facts import EventKind, Facts
from consdb_actions.approval.people import holds
from consdb_actions.approval.policy import Role
from consdb_actions.approval.verdict import Decision, Outcome

__all__ = ["label_changes", "label_word"]


def label_word(facts: Facts, role: Role) -> str:
    """Explain, from the timeline only, why a label set by hand is removed; empty if set by us."""
    events = [
        event
        for event in facts.timeline
        if event.kind is EventKind.LABELED and event.subject.casefold() == role.label.casefold()
    ]
    if not events:
        return ""
    last = sorted(events, key=lambda event: event.at)[-1]
    if last.actor is None:
        return (
            f'the label "{role.label}", set by an account that no longer exists, was taken off: '
            f"nobody has approved for {role.title}"
        )
    if facts.identity.same_as(last.actor):
        return ""
    if holds(facts, role, last.actor, last.at.date()):
        why = "a label is not an approval; approving in a review is"
    else:
        why = f"{last.actor.login} does not hold the role {role.title}"
    return f'the label "{role.label}", set by {last.actor.login}, was taken off: {why}'


def label_changes(facts: Facts, decision: Decision) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return labels to add and to remove (none if a team is unreadable, rule A6)."""
    present = {label.casefold() for label in facts.pull.labels}
    approved = {item.role.id for item in decision.roles if item.outcome is Outcome.APPROVED}
    failed = any(item.outcome is Outcome.ERROR for item in decision.roles)
    add: list[str] = []
    remove: list[str] = []
    for role in facts.policy.roles:
        if role.id in approved and role.label.casefold() not in present:
            add.append(role.label)
        elif role.id not in approved and role.label.casefold() in present and not failed:
            remove.append(role.label)
    return tuple(add), tuple(remove)
