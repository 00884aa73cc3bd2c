"""The one comment of this program on a pull request, and its sections (rule P2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from consdb_actions.approval.facts import Account, MarkedComment

MARKER = "<!-- consdb-actions:comment -->"  # First line of our comment


class Part(StrEnum):
    """The sections of our comment, in their order."""

    PROCESS = "process"
    APPROVALS = "approvals"
    MIGRATION = "migration"
    REBASE = "rebase"  # on the pull request of a migration


# Maximum length of a section: together they fit into a comment, whichever flow writes last.
ROOM = {Part.PROCESS: 32_000, Part.APPROVALS: 14_000, Part.MIGRATION: 15_000, Part.REBASE: 4_000}

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
