"""Plan labels, statuses, review requests and the one comment (rule P2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Annotated

from consdb_actions.approval.evaluate import Decision, fit, label_changes, reviewers_to_ask
from consdb_actions.approval.facts import (
    Account,
    ApprovalFacts,
    CommitChange,
    FileChange,
    MarkedComment,
    PullFacts,
    Role,
)
from consdb_actions.forms import Form, hidden, read_hidden

MARKER = "<!-- consdb-actions:comment -->"  # First line of our comment


class Part(StrEnum):
    """The sections of our comment, in their order."""

    PROCESS = "process"
    APPROVALS = "approvals"
    MIGRATION = "migration"
    REBASE = "rebase"  # on the pull request of a migration


# Maximum length of a section: together they fit into a comment, whichever flow writes last.
SECTION_ROOM = {Part.PROCESS: 32_000, Part.APPROVALS: 14_000, Part.MIGRATION: 15_000, Part.REBASE: 4_000}

_OPENING = "<!-- consdb-actions:section "
_HEAD = re.compile(rf"^{_OPENING}(?P<name>{'|'.join(Part)}) -->$", re.MULTILINE)


def join(sections: Mapping[Part, str]) -> str:
    """Write a comment out of its sections; nothing in one of them can begin another."""
    parts = [MARKER]
    for section in Part:
        if section in sections:
            text = sections[section].replace(_OPENING, _OPENING.replace("<", "&lt;")).strip("\n")
            parts += [f"{_OPENING}{section} -->", text]
    return "\n\n".join(parts)


def split(body: str) -> dict[Part, str]:
    """Read the sections of a comment. If a section occurs twice, the first one counts."""
    text = body.replace("\r\n", "\n")
    heads = list(_HEAD.finditer(text)) if text.lstrip().startswith(MARKER) else []
    found: dict[Part, str] = {}
    for head, following in zip_longest(heads, heads[1:]):
        end = following.start() if following else len(text)
        found.setdefault(Part(head["name"]), text[head.end() : end].strip("\n"))
    return found


def own_comments(comments: Iterable[MarkedComment], identity: Account) -> list[MarkedComment]:
    """List our comments, oldest first: by this account, or by another one of this program (rule P2).

    Those by people who may not write in the repository are not ours: others could edit ours anyway.
    """
    own = [
        comment
        for comment in comments
        if comment.trusted
        or identity.same_as(comment.author)
        or (comment.author is not None and comment.author.bot)
    ]
    return sorted(own, key=lambda comment: (comment.created_at, comment.id))


def own_sections(comments: Iterable[MarkedComment], identity: Account) -> dict[Part, str]:
    """Read the sections of our comments; what the oldest has counts."""
    found: dict[Part, str] = {}
    for comment in own_comments(comments, identity):
        found = split(comment.body) | found
    return found


@dataclass(frozen=True, slots=True)
class CommentPlan:
    """A section to write into the comment `id`, or into a new one; `extra` are merged into it and removed."""

    section: Part
    text: str
    body: str
    id: int | None = None
    extra: tuple[int, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """Say what would be done."""
        change = "write the comment" if self.id is None else f"change the comment {self.id}"
        return (change, *(f"remove the comment {number}" for number in self.extra))


def plan_comment(
    comments: Iterable[MarkedComment], identity: Account, section: Part, text: str, *, create: bool
) -> CommentPlan | None:
    """Replace a section and leave the others; None if our comment is up to date.

    Without `create` a section that is not there is not started.
    """
    own = own_comments(comments, identity)
    sections = own_sections(own, identity)
    if create or section in sections:
        sections[section] = text
    body = join(sections)
    if not own:
        return CommentPlan(section, text, body) if create else None
    first, *extra = own
    if not extra and first.body.replace("\r\n", "\n").strip() == body.strip():
        return None
    return CommentPlan(section, text, body, first.id, tuple(item.id for item in extra))


KEPT = 20  # Maximum number of commits stored in a comment

DIGESTS_ROOM = (
    8_000  # Maximum size of the digests in a comment, in characters; the oldest commits are dropped first
)

_Digest = Annotated[str, Form(pattern="^[0-9A-Za-z:._-]{0,80}$")]
_Digests = dict[str, tuple[tuple[str, _Digest, _Digest, _Digest], ...]]  # of the files, by commit


def recall(body: str) -> tuple[CommitChange, ...]:
    """Read the digests from our comment; a malformed block gives none."""
    return tuple(
        CommitChange(sha, tuple(FileChange(*entry) for entry in entries), remembered=True)
        for sha, entries in (read_hidden("digests", body, _Digests) or {}).items()
    )


def remember(facts: ApprovalFacts) -> str:
    """Write the digests of the relevant commits, and of earlier ones if space remains."""
    earlier = recall(own_sections(facts.marked, facts.identity).get(Part.APPROVALS, ""))
    known = [change for change in facts.changes if not change.problem]
    shas = {change.sha for change in known}
    kept = [*(change for change in earlier if change.sha not in shas), *known][-KEPT:]
    while True:
        data = {
            change.sha: [[item.path, item.structure, item.text, item.verbatim] for item in change.changes]
            for change in kept
        }
        text = hidden("digests", data)
        if len(text) <= DIGESTS_ROOM or not kept:
            return text
        kept = kept[1:]


CONTEXT = "consdb/approvals"  # The name of the commit status


@dataclass(frozen=True, slots=True)
class StatusPlan:
    """A commit status to set on the head commit."""

    sha: str
    state: str
    description: str
    target_url: str
    context: str

    @property
    def line(self) -> str:
        """Say what would be done."""
        return f"set the status {self.context} on {self.sha[:8]} to {self.state}: {self.description}"


@dataclass(frozen=True, slots=True)
class ReactionPlan:
    """A reaction to set on a comment."""

    comment: int
    content: str
    instead_of: str = ""  # our present reaction, to remove


@dataclass(frozen=True, slots=True)
class PullPlan:
    """The changes to make to a pull request; an empty plan changes nothing."""

    number: int
    status: StatusPlan | None = None
    labels_add: tuple[Role, ...] = ()  # Roles, since a missing label is created with the role's color
    labels_remove: tuple[str, ...] = ()
    ask_people: tuple[str, ...] = ()
    ask_teams: tuple[str, ...] = ()
    reactions: tuple[ReactionPlan, ...] = ()
    comment: CommentPlan | None = None

    @property
    def empty(self) -> bool:
        """Whether GitHub shows the decision already."""
        return self == PullPlan(self.number)

    @property
    def lines(self) -> tuple[str, ...]:
        """Say what would be done."""
        return (
            *(f"add the label {role.label}" for role in self.labels_add),
            *(f"remove the label {label}" for label in self.labels_remove),
            *(f"ask {name} for a review" for name in (*self.ask_people, *self.ask_teams)),
            *(() if self.status is None else (self.status.line,)),
            *(f"react to the comment {item.comment} with {item.content}" for item in self.reactions),
            *(() if self.comment is None else self.comment.lines),
        )


def make_plan(facts: ApprovalFacts, decision: Decision, body: str) -> PullPlan:
    """Compare GitHub with the decision; a comment is created only if approval is needed."""
    add, remove = label_changes(facts, decision)
    people, teams = reviewers_to_ask(facts, decision)
    create = decision.applicable or bool(remove)
    return PullPlan(
        number=facts.pull.number,
        status=plan_status(facts, CONTEXT, decision.state.value, fit((decision.description,))),
        labels_add=add,
        labels_remove=remove,
        ask_people=people,
        ask_teams=teams,
        comment=plan_comment(facts.marked, facts.identity, Part.APPROVALS, body, create=create),
    )


def plan_status(facts: PullFacts, context: str, state: str, description: str) -> StatusPlan | None:
    """Plan a status, replacing another creator's; None when ours is up to date."""
    wanted = StatusPlan(facts.pull.head, state, description, facts.pull.url, context)
    shown = facts.status
    if (
        shown is not None
        and (shown.creator is None or facts.identity.same_as(shown.creator))
        and (shown.state, shown.description, shown.target_url)
        == (wanted.state, wanted.description, wanted.target_url)
    ):
        return None
    return wanted
