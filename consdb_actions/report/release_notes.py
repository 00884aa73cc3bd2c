"""Texts of a release: tag message and Markdown notes (rule S5)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from consdb_actions.release.notes import Migration, PullRequest, ReleaseNotes
from consdb_actions.report.markdown import bullets, code, details, escape, fit, printable, prose

__all__ = ["extent", "render_message", "render_notes"]

_LIMIT = 120_000
"""Maximum length in characters; GitHub accepts 125,000 for the notes of a release."""
_LINES = 200
"""Maximum number of lines of each list."""
_OPEN = 3
"""Maximum number of unfolded changes of keys and the like."""


def extent(notes: ReleaseNotes) -> str:
    """Summarize the size of a release."""
    contents = notes.contents
    if contents.previous is None:
        return "the first release with a calendar version"
    parts = [
        _count(len(contents.migrations), "migration"),
        _count(len(contents.pulls), "pull request"),
        _count(len(notes.tickets), "ticket"),
        _count(contents.commits, "commit"),
    ]
    return f"{', '.join(parts)} since {contents.previous}"


def render_message(notes: ReleaseNotes, name: str, tag: str, mark: str) -> str:
    """Render a tag message as plain text.

    Text of others never begins a line; `mark`, the last line, identifies our tags.
    """
    blocks = [f"{name} {tag}", _sentence(extent(notes))]
    if notes.sections:
        lines = [
            f"  {printable(section)}: {_titled(migration)}"
            for section, migrations in notes.sections
            for migration in migrations
        ]
        blocks.append("\n".join(["Migrations:", *_first(lines)]))
    if notes.contents.changed:
        lines = [f"  {printable(path)} ({how})" for path, how in notes.contents.changed]
        blocks.append(
            "\n".join(["Migrations of earlier releases that are not what they were:", *_first(lines)])
        )
    if notes.tickets:
        tickets = textwrap.fill(
            f"Tickets: {', '.join(map(printable, notes.tickets))}", 72, subsequent_indent="  "
        )
        blocks.append(tickets)
    pulls = [
        f"  #{pull.number} {topic.name}: {printable(pull.title)}"
        for topic in notes.topics
        for pull in topic.pulls
    ]
    pulls += [f"  #{pull.number} {printable(pull.title)}" for pull in notes.others]
    if pulls:
        blocks.append("\n".join(["Pull requests:", *_first(pulls)]))
    return "\n\n".join([*blocks, mark]) + "\n"


def render_notes(notes: ReleaseNotes, tag: str, url: str, images: tuple[str, ...]) -> str:
    """Render the notes of a GitHub release; text of others is escaped.

    `url` is the repository's page; `images` are names without tag.
    """
    previous = notes.contents.previous
    blocks = [_sentence(extent(notes))]
    if previous is not None:
        blocks.append("### Migrations")
        blocks += _migrations(notes)
    if notes.topics:
        lines = [f"**{escape(topic.name)}**: {_pulls(topic.pulls)}" for topic in notes.topics]
        blocks.append(f"### Tickets\n\n{bullets(_first(lines, ''))}")
    if notes.others:
        title = "Pull requests without a ticket" if notes.topics else "Pull requests"
        lines = [_pulls((pull,)) for pull in notes.others]
        blocks.append(f"### {title}\n\n{bullets(_first(lines, ''))}")
    if images:
        blocks.append("### Images\n\n" + bullets(code(f"{image}:{tag}") for image in images))
    if previous is not None:
        blocks.append(f"[All changes]({url}/compare/{previous}...{tag})")
    return fit(blocks, "*{count} more parts did not fit.*", limit=_LIMIT) + "\n"


def _migrations(notes: ReleaseNotes) -> Iterator[str]:
    """Render the changes of the database by section."""
    if not notes.sections:
        yield "None: the databases stay as they are."
    for section, migrations in notes.sections:
        for migration in migrations:
            head = f"**{escape(section)}**: {escape(migration.title or migration.path)}"
            head += f" ({code(migration.revision)})" if migration.revision else ""
            yield "\n\n".join([head, *_operations(migration)])
    if notes.contents.changed:
        lines = [f"{code(path)} was {how}" for path, how in notes.contents.changed]
        yield f"⚠️ Migrations of earlier releases are not what they were:\n\n{bullets(lines)}"


def _operations(migration: Migration) -> Iterator[str]:
    """Render a migration's operations; many changes of keys are folded."""
    shown, folded = list(migration.operations), list(migration.others)
    if len(folded) <= _OPEN:
        shown, folded = shown + folded, []
    if shown:
        yield bullets(prose(words) for words in shown)
    if folded:
        yield details(
            f"{len(folded)} changes of keys, defaults, grants or descriptions",
            bullets(prose(words) for words in folded),
        )


def _pulls(pulls: tuple[PullRequest, ...]) -> str:
    """Render the pull requests of one ticket on one line."""
    words = []
    for pull in pulls:
        author = f", {escape(pull.author)}" if pull.author else ""
        words.append(f"{escape(pull.title)} (#{pull.number}{author})")
    return "; ".join(words)


def _titled(migration: Migration) -> str:
    title = printable(migration.title or migration.path)
    return f"{title} ({printable(migration.revision)})" if migration.revision else title


def _first(lines: list[str], indent: str = "  ") -> list[str]:
    """Cut a list that is too long."""
    if len(lines) <= _LINES:
        return lines
    return [*lines[:_LINES], f"{indent}and {len(lines) - _LINES} more"]


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
