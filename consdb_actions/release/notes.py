"""Content of a release: merged pull requests, tickets, and migrations by section."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from consdb_actions.forms import Public


@dataclass(frozen=True, slots=True)
class MergedPull:
    """A merged pull request."""

    number: int
    title: str
    branch: str
    author: str = ""  # login; empty for a deleted account


@dataclass(frozen=True, slots=True)
class ReleasedMigration(Public):
    """A revision that a release adds."""

    PUBLIC: ClassVar[str] = "section revision title path operations other_operations=others"

    section: str
    path: str
    revision: str
    title: str  # first line of its message
    operations: tuple[str, ...] = ()  # effects on tables, columns, views and rows
    others: tuple[str, ...] = ()  # effects on keys, defaults, grants and comments
    down: tuple[str, ...] = ()  # revisions that it follows


@dataclass(frozen=True, slots=True)
class ReleaseContents:
    """Everything between two releases, in any order."""

    previous: str | None = None  # None for the first release
    commits: int = 0  # number of commits
    pulls: tuple[MergedPull, ...] = ()
    migrations: tuple[ReleasedMigration, ...] = ()
    # edited migrations of earlier releases, with ``changed`` or ``removed``
    changed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    """Pull requests of the same tickets, with titles that omit the ticket."""

    tickets: tuple[str, ...]
    pulls: tuple[MergedPull, ...]

    @property
    def name(self) -> str:
        """Return the tickets as text."""
        return ", ".join(self.tickets)


@dataclass(frozen=True, slots=True)
class ReleaseNotes(Public):
    """The content of a release, arranged for readers."""

    PUBLIC: ClassVar[str] = (
        "previous=contents.previous commits=contents.commits tickets topics others migrations "
        "changed_migrations=changed"
    )

    contents: ReleaseContents
    tickets: tuple[str, ...]
    topics: tuple[Topic, ...]
    others: tuple[MergedPull, ...]  # pull requests without a ticket
    # migrations by section, in the order in which they run
    sections: tuple[tuple[str, tuple[ReleasedMigration, ...]], ...]

    @property
    def migrations(self) -> tuple[ReleasedMigration, ...]:
        """Return the revisions that the release adds, in the order in which they run."""
        return tuple(migration for _, migrations in self.sections for migration in migrations)

    @property
    def changed(self) -> dict[str, str]:
        """Return the edited migrations of earlier releases, with ``changed`` or ``removed``."""
        return dict(self.contents.changed)


def tickets_in(text: str, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the unique tickets in a text; patterns match whole tickets."""
    either = "|".join(f"(?:{pattern})" for pattern in patterns)
    found = re.finditer(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9])", text[:300], re.ASCII)
    return tuple(dict.fromkeys(match[0] for match in found))


def arrange(contents: ReleaseContents, patterns: Sequence[str]) -> ReleaseNotes:
    """Arrange the content of a release by ticket and section."""
    topics: dict[tuple[str, ...], list[MergedPull]] = {}
    for pull in sorted(contents.pulls, key=lambda pull: pull.number):
        tickets = tickets_in(pull.title, patterns) or tickets_in(pull.branch, patterns)
        title = _without_tickets(pull.title, tickets)
        topics.setdefault(tickets, []).append(MergedPull(pull.number, title, pull.branch, pull.author))
    named = sorted((tickets for tickets in topics if tickets), key=lambda ts: [_natural(t) for t in ts])
    sections: dict[str, list[ReleasedMigration]] = {}
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


def _in_order(migrations: Iterable[ReleasedMigration]) -> tuple[ReleasedMigration, ...]:
    left = sorted(migrations, key=lambda migration: (migration.revision, migration.path))
    out: list[ReleasedMigration] = []
    while left:
        waiting = {migration.revision for migration in left}
        ready = next((item for item in left if not waiting & set(item.down)), left[0])
        left.remove(ready)
        out.append(ready)
    return tuple(out)
