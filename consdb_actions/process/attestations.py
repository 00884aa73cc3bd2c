"""Attestations and commands in comments, and which of them count (rule P1)."""

from __future__ import annotations

from consdb_actions.approval.facts import Account
from consdb_actions.process.facts import Comment, Facts, Source
from consdb_actions.process.heard import Attestation, Heard, Listening, Outcome
from consdb_actions.process.language import Command, Mistake, Verb, commands_in
from consdb_actions.process.memory import (
    Binding,
    Memo,
    change_digest,
    kept,
    migration_digest,
    recall,
)
from consdb_actions.process.roster import attesters, holders
from consdb_actions.process.steps import BY_ID, CONTRIBUTOR

__all__ = ["listen", "present_binding"]


_REQUESTS = {Verb.RENAME: "a rename", Verb.TAKE: "a side", Verb.REGENERATE: "a new migration"}

_TOO_LATE = (("!", ""),)
"""Stored for a comment that was edited before it was first read."""


def present_binding(facts: Facts) -> Binding:
    """Return the binding to the present state."""
    head = facts.pull.head
    return Binding(head, change_digest(facts.change_at(head)), migration_digest(facts))


def listen(facts: Facts, applicable: frozenset[str]) -> Listening:
    """Process all comments in the order of writing."""
    memory = recall(facts)
    heard: list[Heard] = []
    memos: list[Memo] = []
    attestations: dict[str, list[Attestation]] = {}
    undone: dict[str, Heard] = {}
    gone = _gone(facts, memory)
    for comment in sorted(facts.comments, key=lambda item: (item.created_at, item.id)):
        for old in [memo for memo in gone if memo.comment < comment.id]:
            memos.append(_undo_anyway(old, attestations))
            gone.remove(old)
        if comment.author is None or comment.author.bot or facts.identity.same_as(comment.author):
            continue
        memo = memory.get(comment.id)
        binding = memo.binding if memo else _binding_now(facts, comment)
        found = [
            _judge(facts, comment, comment.author, said, memo, binding, applicable)
            for said in _said(comment, memo)
        ]
        for index, item in enumerate(found):
            found[index] = _carry_out(item, attestations, undone)
        heard += found
        # An entry that cannot be bound yet is not stored: the next run reads it as new.
        if found and (memo is not None or not _unreadable(facts)):
            memos.append(_memo(comment, binding, found, memo))
    memos += [_undo_anyway(old, attestations) for old in gone]
    return Listening(
        tuple(heard),
        {step: tuple(items) for step, items in attestations.items() if items},
        undone,
        kept(memos),
    )


def _gone(facts: Facts, memory: dict[int, Memo]) -> list[Memo]:
    """List deleted comments that undid a step, oldest first.

    Anybody who may write here can delete a comment; that must not make a step done again.
    """
    there = {comment.id for comment in facts.comments}
    return [
        memo
        for number, memo in sorted(memory.items())
        if number not in there and memo.reaction == "+1" and any(verb == "undo" for verb, _ in memo.said)
    ]


def _undo_anyway(memo: Memo, attestations: dict[str, list[Attestation]]) -> Memo:
    """Apply the undo of a deleted comment."""
    for verb, step in memo.said:
        if verb == "undo":
            attestations.get(step, []).clear()
    return memo


def _said(comment: Comment, memo: Memo | None) -> list[Command | Mistake]:
    """Read the commands; edits, which others can make, are rejected."""
    now = list(commands_in(comment.body))
    if now and (memo.said == _TOO_LATE if memo else comment.updated_at > comment.created_at):
        return [Mistake(now[0].text, "this comment was edited before it was read; write a new one")]
    if memo is not None and _pairs(now) != memo.said:
        first: list[Command | Mistake] = [
            _remembered(*pair) for pair in memo.said if pair[0] not in ("?", "!")
        ]
        words = "this comment was edited after it was read, which changes nothing; write a new one"
        return [*first, Mistake("/consdb", words)]
    return now


def _remembered(verb: str, argument: str) -> Command | Mistake:
    """Rebuild a command from its stored form."""
    try:
        kind = Verb(verb)
    except ValueError:
        return Mistake(f"/consdb {verb}", "it is not known any more what this said; write a new comment")
    text = f"/consdb {kind} {argument}".strip()
    if kind in (Verb.DONE, Verb.UNDO):
        if argument not in BY_ID:
            return Mistake(text, "there is no such step any more")
        return Command(kind, text, argument)
    return Command(kind, text, declaration=argument)


def _pairs(said: list[Command | Mistake]) -> tuple[tuple[str, str], ...]:
    """Return commands in their stored form."""
    return tuple(
        (item.verb.value, item.step or item.declaration) if isinstance(item, Command) else ("?", "")
        for item in said
    )


def _binding_now(facts: Facts, comment: Comment) -> Binding:
    """Bind a new comment; without a commit if a push may precede it.

    GitHub does not record when a commit was pushed. The first check on it starts with the push; without
    checks the commit's own date is used.
    """
    now = present_binding(facts)
    arrived = [facts.pull.pushed_at or facts.pull.committed_at]
    arrived += [item.committed_at for item in facts.migrations if item.live and item.committed_at]
    if any(moment is None or moment > comment.created_at for moment in arrived):
        return Binding("", "", "")
    return now


def _unreadable(facts: Facts) -> str:
    """Return why a comment cannot be bound now; empty if it can."""
    change = facts.change_at(facts.pull.head)
    problem = "the newest commit could not be read" if change is None else change.problem
    return facts.trouble(Source.CONSDB) or problem


def _judge(
    facts: Facts,
    comment: Comment,
    actor: Account,
    said: Command | Mistake,
    memo: Memo | None,
    binding: Binding,
    applicable: frozenset[str],
) -> Heard:
    """Decide whether a command is accepted."""
    if isinstance(said, Mistake):
        return Heard(comment, actor, said, Outcome.REJECTED, said.answer)
    if said.verb is Verb.HELP:
        return Heard(comment, actor, said, Outcome.ACCEPTED)
    day = comment.created_at.date()
    if said.verb in (Verb.DONE, Verb.UNDO):
        step = BY_ID[said.step]
        if step.id not in applicable:
            return Heard(comment, actor, said, Outcome.REJECTED, f"{step.id} is no step of this change")
        people = attesters(facts, step, day)
        what = f"attest to {step.id}"
    else:
        roles = (*facts.policy.rule(BY_ID["generate"]).attested_by, CONTRIBUTOR)
        people = holders(facts, roles, day)
        what = f"ask for {_REQUESTS[said.verb]}"
    if not people.has(actor):
        if people.problems:
            why = f"who may {what} is not known now: {'; '.join(people.problems)}"
            return Heard(comment, actor, said, Outcome.UNDECIDED, why)
        who = ", ".join(people.people) or "nobody, until the configuration names people"
        return Heard(
            comment, actor, said, Outcome.REJECTED, f"{actor.login} may not {what}. Those who may: {who}"
        )
    if said.verb is Verb.DONE and (unreadable := _unreadable(facts)) and memo is None:
        return Heard(
            comment, actor, said, Outcome.UNDECIDED, f"it is not known now what this is about: {unreadable}"
        )
    if said.verb is Verb.DONE and not binding.sha:
        words = "a push came at about the same time, so it is not certain what this is about; say it again"
        return Heard(comment, actor, said, Outcome.REJECTED, words)
    return Heard(comment, actor, said, Outcome.ACCEPTED, binding=binding)


def _carry_out(item: Heard, attestations: dict[str, list[Attestation]], undone: dict[str, Heard]) -> Heard:
    """Apply an accepted command, or answer why it has no effect."""
    if item.outcome is not Outcome.ACCEPTED or not isinstance(item.said, Command):
        return item
    step = item.said.step
    standing = attestations.setdefault(step, []) if step else []
    if item.said.verb is Verb.UNDO:
        answer = "" if standing else f"{step} was not done, so nothing changes"
        standing.clear()
        undone[step] = item
        return _answered(item, answer)
    if item.said.verb is not Verb.DONE or item.binding is None:
        return item
    same = next((old for old in standing if old.binding == item.binding), None)
    undone.pop(step, None)
    standing.append(
        Attestation(
            step, item.actor.login, item.comment.created_at, item.said.note, item.comment.url, item.binding
        )
    )
    if same is not None:
        return _answered(item, f"{same.by} said so already on {same.at:%Y-%m-%d}, so nothing changes")
    return item


def _answered(item: Heard, answer: str) -> Heard:
    return Heard(item.comment, item.actor, item.said, item.outcome, answer, item.binding)


def _memo(comment: Comment, binding: Binding, found: list[Heard], old: Memo | None) -> Memo:
    """Build the entry to store; an undecided comment gets no reaction."""
    outcomes = {item.outcome for item in found}
    reaction = "confused" if Outcome.REJECTED in outcomes else "+1"
    if Outcome.UNDECIDED in outcomes:
        reaction = old.reaction if old else ""
    said = old.said if old else _pairs([item.said for item in found])
    if old is None and comment.updated_at > comment.created_at:
        said = _TOO_LATE
    return Memo(comment.id, binding, said, reaction)
