"""Reports of versions and releases for a terminal, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from consdb_actions.release.notes import Migration, PullRequest, ReleaseNotes
from consdb_actions.release.plan import TagPlan
from consdb_actions.release.versions import NextVersion
from consdb_actions.report.markdown import bullets, code, escape

__all__ = [
    "FORMAT",
    "next_json",
    "next_markdown",
    "release_json",
    "release_markdown",
    "release_text",
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


def _pull(pull: PullRequest) -> dict[str, Any]:
    return {"number": pull.number, "title": pull.title, "author": pull.author, "branch": pull.branch}


def _migration(migration: Migration) -> dict[str, Any]:
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
        return f"{plan.tag} was on {commit} already; its GitHub release was missing and is made now"
    return f"{plan.tag} is on {commit} already; nothing was to be done"


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
