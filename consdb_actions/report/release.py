"""Render a release plan and its notes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from consdb_actions.forms import Public
from consdb_actions.release.notes import MergedPull, ReleasedMigration, ReleaseNotes
from consdb_actions.release.versions import NextVersion, TagPlan
from consdb_actions.report.markdown import bullets, code, cut, details, escape, fit, plural, printable, prose


@dataclass(frozen=True, slots=True)
class ReleaseOutcome(Public):
    """Plan and result of a release."""

    FORMAT: ClassVar[str] = "consdb-actions/release/1"
    PUBLIC: ClassVar[str] = (
        "repository tag=plan.tag sha=plan.commit created released dry_run url reason=plan.reason "
        "previous=plan.previous.name contents=notes message notes=markdown images warnings"
    )

    repository: str
    plan: TagPlan
    created: bool  # Whether this run created the tag
    released: bool  # Whether this run created the GitHub release
    dry_run: bool
    url: str  # Page of the release, or else of the tag
    notes: ReleaseNotes
    message: str  # Text of the tag; `markdown` is that of the GitHub release
    markdown: str
    warnings: tuple[str, ...] = ()
    images: Mapping[str, str | None] | None = (
        None  # Digest of each image, None for a missing one; None if not checked
    )


def next_markdown(found: NextVersion) -> str:
    """Render the next version as Markdown."""
    return f"The next version of {escape(found.source)} is **{found.version}**: {escape(found.reason)}.\n"


def headline(outcome: ReleaseOutcome) -> str:
    """Summarize the result in one sentence without full stop."""
    plan, commit = outcome.plan, outcome.plan.commit[:12]
    if plan.action == "create" and outcome.dry_run:
        return f"{plan.tag} would be tagged on {commit}; this is a dry run"
    if outcome.created:
        return f"{plan.tag} is tagged on {commit}"
    if outcome.released:
        return f"{plan.tag} was on {commit} already; its missing GitHub release was created"
    return f"{plan.tag} is on {commit} already; nothing to do"


def release_text(outcome: ReleaseOutcome) -> str:
    """Render a release for a terminal; a dry run shows the whole message."""
    lines = [headline(outcome)]
    if outcome.plan.action == "create":
        lines.append(f"  why    {outcome.plan.reason}")
    lines.append(f"  holds  {extent(outcome.notes)}")
    if not outcome.dry_run:
        lines.append(f"  see    {outcome.url}")
    elif outcome.plan.action == "create":
        message = (f"  {line}".rstrip() for line in outcome.message.splitlines())
        lines += ["", "The message of the tag:", "", *message]
    return "\n".join(lines)


def release_markdown(outcome: ReleaseOutcome) -> str:
    """Render a release for the summary of a run: result, images, and notes."""
    blocks = [f"## {escape(headline(outcome))}"]
    if outcome.plan.action == "create":
        blocks.append(f"Why this version: {escape(outcome.plan.reason)}.")
    if not outcome.dry_run:
        blocks.append(f"[The release's page]({outcome.url})")
    if outcome.warnings:
        blocks.append(bullets(f"⚠️ {escape(text)}" for text in outcome.warnings))
    if outcome.images is not None:
        rows = [
            f"{'✅' if digest else '❌'} {code(f'{image}:{outcome.plan.tag}')}"
            + (f" {code(digest)}" if digest else " is missing")
            for image, digest in outcome.images.items()
        ]
        blocks.append(bullets(rows))
    blocks.append(outcome.markdown.strip())
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
        (len(contents.migrations), "migration"),
        (len(contents.pulls), "pull request"),
        (len(notes.tickets), "ticket"),
        (contents.commits, "commit"),
    ]
    counts = ", ".join(plural(*part) if part[0] else f"no {part[1]}s" for part in parts)
    return f"{counts} since {contents.previous}"


def render_message(notes: ReleaseNotes, name: str, tag: str, mark: str) -> str:
    """Render a tag message: no line begins with text of others, and `mark` is the last line."""
    blocks = [f"{name} {tag}", _sentence(extent(notes))]
    if notes.sections:
        lines = [
            f"  {printable(migration.section)}: {printable(migration.title or migration.path)}"
            + (f" ({printable(migration.revision)})" if migration.revision else "")
            for migration in notes.migrations
        ]
        blocks.append("\n".join(["Migrations:", *cut(lines, _LINES, "  and {} more")]))
    if notes.contents.changed:
        lines = [f"  {printable(path)} ({how})" for path, how in notes.contents.changed]
        blocks.append(
            "\n".join(["Changed migrations of earlier releases:", *cut(lines, _LINES, "  and {} more")])
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
        blocks.append("\n".join(["Pull requests:", *cut(pulls, _LINES, "  and {} more")]))
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
        blocks.append(f"### Tickets\n\n{bullets(cut(lines, _LINES))}")
    if notes.others:
        title = "Pull requests without a ticket" if notes.topics else "Pull requests"
        lines = [_pulls((pull,)) for pull in notes.others]
        blocks.append(f"### {title}\n\n{bullets(cut(lines, _LINES))}")
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
        yield bullets(prose(text) for text in shown)
    if folded:
        yield details(
            f"{len(folded)} changes of keys, defaults, grants or descriptions",
            bullets(prose(text) for text in folded),
        )


def _pulls(pulls: tuple[MergedPull, ...]) -> str:
    words = []
    for pull in pulls:
        author = f", {escape(pull.author)}" if pull.author else ""
        words.append(f"{escape(pull.title)} (#{pull.number}{author})")
    return "; ".join(words)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
