"""What a release holds: merged pull requests, their tickets, and migrations by section."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Contents", "Migration", "PullRequest", "ReleaseNotes", "Topic", "arrange", "tickets_in"]


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A merged pull request.

    Attributes
    ----------
    title, branch
        As people wrote them.
    author
        A login; empty for an account that is gone.
    """

    number: int
    title: str
    branch: str
    author: str = ""


@dataclass(frozen=True, slots=True)
class Migration:
    """A revision that a release adds.

    Attributes
    ----------
    section
        Its section of ``alembic.ini``.
    path
        Its file.
    revision, down
        Its identifier, and those that it follows.
    title
        The first line of its message.
    operations
        What its upgrade does to tables, columns, views and rows, in words.
    others
        What it does to keys, defaults, grants and descriptions.
    """

    section: str
    path: str
    revision: str
    title: str
    operations: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    down: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything between two releases, in any order.

    Attributes
    ----------
    previous
        The release before; None for the first, which is not compared with anything.
    commits
        How many commits there are.
    changed
        Files of migrations of earlier releases that are not what they were, with ``changed`` or ``removed``.
    """

    previous: str | None = None
    commits: int = 0
    pulls: tuple[PullRequest, ...] = ()
    migrations: tuple[Migration, ...] = ()
    changed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    """The pull requests of the same tickets, with their titles without the ticket in front."""

    tickets: tuple[str, ...]
    pulls: tuple[PullRequest, ...]

    @property
    def name(self) -> str:
        """The tickets."""
        return ", ".join(self.tickets)


@dataclass(frozen=True, slots=True)
class ReleaseNotes:
    """What a release holds, arranged for readers.

    Attributes
    ----------
    tickets
        All tickets.
    topics
        Pull requests by their tickets.
    others
        Pull requests without a ticket.
    sections
        Migrations by section, in the order in which they run.
    """

    contents: Contents
    tickets: tuple[str, ...]
    topics: tuple[Topic, ...]
    others: tuple[PullRequest, ...]
    sections: tuple[tuple[str, tuple[Migration, ...]], ...]


def tickets_in(text: str, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the tickets that a text names, in its order, each once.

    Parameters
    ----------
    text
        A title or the name of a branch.
    patterns
        Regular expressions; each matches a whole ticket.
    """
    either = "|".join(f"(?:{pattern})" for pattern in patterns)
    found = re.finditer(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9])", text[:300], re.ASCII)
    return tuple(dict.fromkeys(match[0] for match in found))


def arrange(contents: Contents, patterns: Sequence[str]) -> ReleaseNotes:
    """Arrange what a release holds; the same contents always come out the same.

    Parameters
    ----------
    contents
        What it holds.
    patterns
        Regular expressions of tickets.

    Returns
    -------
    ReleaseNotes
        By ticket and by section.
    """
    topics: dict[tuple[str, ...], list[PullRequest]] = {}
    for pull in sorted(contents.pulls, key=lambda pull: pull.number):
        tickets = tickets_in(pull.title, patterns) or tickets_in(pull.branch, patterns)
        title = _without_tickets(pull.title, tickets)
        topics.setdefault(tickets, []).append(PullRequest(pull.number, title, pull.branch, pull.author))
    named = sorted((tickets for tickets in topics if tickets), key=lambda ts: [_natural(t) for t in ts])
    sections: dict[str, list[Migration]] = {}
    for migration in contents.migrations:
        sections.setdefault(migration.section, []).append(migration)
    return ReleaseNotes(
        contents,
        tuple(sorted({ticket for tickets in named for ticket in tickets}, key=_natural)),
        tuple(Topic(tickets, tuple(topics[tickets])) for tickets in named),
        tuple(topics.get((), ())),
        tuple((name, _in_order(sections[name])) for name in sorted(sections)),
    )


def _without_tickets(title: str, tickets: tuple[str, ...]) -> str:
    """Take tickets off the front of a title, which is then named by them anyway."""
    rest = title.strip()
    for _ in tickets:
        for ticket in tickets:
            shorter = re.sub(rf"^[\[(]?{re.escape(ticket)}[\])]?[\s:,;/&-]*", "", rest)
            if shorter and re.match(r"\w", shorter):
                rest = shorter
    return rest


def _natural(ticket: str) -> tuple[str, int, str]:
    """Sort ``DM-9`` before ``DM-10``."""
    match = re.match(r"(.*?)(\d{1,18})$", ticket, re.ASCII)
    return (match[1], int(match[2]), ticket) if match else (ticket, 0, ticket)


def _in_order(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    """Put the migrations of a section in the order in which they run."""
    left = sorted(migrations, key=lambda migration: (migration.revision, migration.path))
    out: list[Migration] = []
    while left:
        waiting = {migration.revision for migration in left}
        ready = next((item for item in left if not waiting & set(item.down)), left[0])
        left.remove(ready)
        out.append(ready)
    return tuple(out)
