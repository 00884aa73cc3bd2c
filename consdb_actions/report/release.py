"""Render a release plan and its notes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from consdb_actions.release.notes import MergedPull, ReleasedMigration, ReleaseNotes
from consdb_actions.release.plan import TagPlan
from consdb_actions.release.versions import NextVersion
from consdb_actions.report.markdown import bullets, code, details, escape, fit, printable, prose

__all__ = [
    "FORMAT",
    "extent",
    "next_json",
    "next_markdown",
    "release_json",
    "release_markdown",
    "release_text",
    "render_message",
    "render_notes",
]

FORMAT = "consdb-actions/release/1"


def next_json(found: NextVersion, source: str, now: datetime) -> dict[str, Any]:
    """Return the next version as JSON data, described by ``schemas/release.schema.json``."""
    return {
        "format": FORMAT,
        "command": "next",
        "source": source,
        "moment": now.astimezone(UTC).isoformat(),
        "version": str(found.version),
        "newest": str(found.newest) if found.newest is not None else None,
        "reason": found.reason,
    }


def next_markdown(found: NextVersion, source: str) -> str:
    """Render the next version as Markdown."""
    return f"The next version of {escape(source)} is **{found.version}**: {escape(found.reason)}.\n"


def release_json(
    repository: str,
    plan: TagPlan,
    notes: ReleaseNotes,
    *,
    done: Mapping[str, Any],
    message: str,
    markdown: str,
    images: Mapping[str, str | None] | None,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return a release as JSON data, described by ``schemas/release.schema.json``.

    `done` holds ``created``, ``released``, ``dry_run`` and ``url``; `images` the digest of each image, None
    for a missing one, and None as a whole if they were not checked.
    """
    return {
        "format": FORMAT,
        "command": "tag",
        "repository": repository,
        "tag": plan.tag,
        "sha": plan.commit,
        **done,
        "reason": plan.reason,
        "previous": plan.previous.name if plan.previous is not None else None,
        "tickets": list(notes.tickets),
        "pull_requests": [
            {**_pull(pull), "tickets": list(topic.tickets)} for topic in notes.topics for pull in topic.pulls
        ]
        + [{**_pull(pull), "tickets": []} for pull in notes.others],
        "migrations": [_migration(item) for _, items in notes.sections for item in items],
        "changed_migrations": [{"path": path, "how": how} for path, how in notes.contents.changed],
        "message": message,
        "notes": markdown,
        "images": None
        if images is None
        else [{"image": image, "digest": digest} for image, digest in images.items()],
        "warnings": list(warnings),
    }


def _pull(pull: MergedPull) -> dict[str, Any]:
    return {"number": pull.number, "title": pull.title, "author": pull.author, "branch": pull.branch}


def _migration(migration: ReleasedMigration) -> dict[str, Any]:
    return {
        "section": migration.section,
        "revision": migration.revision,
        "title": migration.title,
        "path": migration.path,
        "operations": list(migration.operations),
        "other_operations": list(migration.others),
    }


def headline(plan: TagPlan, *, created: bool, released: bool, dry_run: bool) -> str:
    """Summarize the result in one sentence without full stop."""
    commit = plan.commit[:12]
    if plan.action == "create" and dry_run:
        return f"{plan.tag} would be tagged on {commit}; this is a dry run"
    if created:
        return f"{plan.tag} is tagged on {commit}"
    if released:
        return f"{plan.tag} was on {commit} already; its missing GitHub release was created"
    return f"{plan.tag} is on {commit} already; nothing to do"


def release_text(
    plan: TagPlan, extent: str, message: str, *, created: bool, released: bool, dry_run: bool, url: str
) -> str:
    """Render a release for a terminal; a dry run shows the whole message."""
    lines = [headline(plan, created=created, released=released, dry_run=dry_run)]
    if plan.action == "create":
        lines.append(f"  why    {plan.reason}")
    lines.append(f"  holds  {extent}")
    if not dry_run:
        lines.append(f"  see    {url}")
    if dry_run and plan.action == "create":
        lines += ["", "The message of the tag:", "", *(f"  {line}".rstrip() for line in message.splitlines())]
    return "\n".join(lines)


def release_markdown(
    plan: TagPlan,
    markdown: str,
    *,
    created: bool,
    released: bool,
    dry_run: bool,
    url: str,
    images: Mapping[str, str | None] | None,
    warnings: Sequence[str],
) -> str:
    """Render a release for the summary of a run: result, images, and notes."""
    words = escape(headline(plan, created=created, released=released, dry_run=dry_run))
    blocks = [f"## {words}"]
    if plan.action == "create":
        blocks.append(f"Why this version: {escape(plan.reason)}.")
    if not dry_run:
        blocks.append(f"[The release's page]({url})")
    if warnings:
        blocks.append(bullets(f"⚠️ {escape(words)}" for words in warnings))
    if images is not None:
        rows = [
            f"{'✅' if digest else '❌'} {code(f'{image}:{plan.tag}')}"
            + (f" {code(digest)}" if digest else " is missing")
            for image, digest in images.items()
        ]
        blocks.append(bullets(rows))
    blocks.append(markdown.strip())
    return "\n\n".join(blocks) + "\n"


_LIMIT = 120_000  # Maximum length in characters; GitHub accepts 125,000 for the notes of a release

_LINES = 200  # Maximum number of lines of each list

_OPEN = 3  # Maximum number of unfolded changes of keys and the like


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
    """Render a tag message: no line begins with text of others, and `mark` is the last line."""
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
        blocks.append("\n".join(["Changed migrations of earlier releases:", *_first(lines)]))
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
    """Render the notes of a GitHub release; `url` is the repository's page, `images` have no tag."""
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
    if not notes.sections:
        yield "None: the databases do not change."
    for section, migrations in notes.sections:
        for migration in migrations:
            head = f"**{escape(section)}**: {escape(migration.title or migration.path)}"
            head += f" ({code(migration.revision)})" if migration.revision else ""
            yield "\n\n".join([head, *_operations(migration)])
    if notes.contents.changed:
        lines = [f"{code(path)} was {how}" for path, how in notes.contents.changed]
        yield f"⚠️ Migrations of earlier releases have changed:\n\n{bullets(lines)}"


def _operations(migration: ReleasedMigration) -> Iterator[str]:
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


def _pulls(pulls: tuple[MergedPull, ...]) -> str:
    words = []
    for pull in pulls:
        author = f", {escape(pull.author)}" if pull.author else ""
        words.append(f"{escape(pull.title)} (#{pull.number}{author})")
    return "; ".join(words)


def _titled(migration: ReleasedMigration) -> str:
    title = printable(migration.title or migration.path)
    return f"{title} ({printable(migration.revision)})" if migration.revision else title


def _first(lines: list[str], indent: str = "  ") -> list[str]:
    if len(lines) <= _LINES:
        return lines
    return [*lines[:_LINES], f"{indent}and {len(lines) - _LINES} more"]


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
