"""The board as data."""

from __future__ import annotations

from typing import Any

from consdb_actions.process.board import Board, Change, Released
from consdb_actions.release.notes import PullRequest
from consdb_actions.report import drift as drift_report
from consdb_actions.report import process as process_report

__all__ = ["FORMAT", "render_json"]

FORMAT = "consdb-actions/board/1"


def render_json(board: Board) -> dict[str, Any]:
    """Turn the board into JSON, as ``schemas/board.schema.json`` describes it.

    Parameters
    ----------
    board
        The board.

    Returns
    -------
    dict
        Values that `json.dumps` takes. The steps of each change are as ``process status`` prints them, what
        runs where is as ``deploy drift`` prints it.
    """
    seen, shelf = board.environments, board.releases
    drift = None
    if seen.drift is not None:
        drift = drift_report.render_json(seen.drift, seen.source, board.today)
    return {
        "format": FORMAT,
        "repository": board.repository,
        "at": board.now.isoformat(),
        "changes": [_change(change) for change in board.changes],
        "unread": [
            {"name": item.name, "title": item.title, "url": item.url, "words": item.words}
            for item in board.unread
        ],
        "not_shown": {"finished": board.finished, "unaffected": board.unaffected},
        "environments": {"trouble": seen.trouble, "drift": drift},
        "releases": {
            "trouble": shelf.trouble,
            "older": shelf.older,
            "items": [_release(board, item) for item in shelf.items],
        },
    }


def _change(change: Change) -> dict[str, Any]:
    pull = change.facts.pull
    return {
        "number": pull.number,
        "author": pull.author.login if pull.author is not None else None,
        "branch": pull.branch,
        "draft": pull.draft,
        "opened": pull.created_at.isoformat(),
        "merged": pull.merged_at.isoformat() if pull.merged_at is not None else None,
        "schemas": [
            {"schema": item.schema, "new_tables": list(item.new_tables)} for item in change.facts.schemas
        ],
        "needs_attention": change.needs_attention,
        "waits_for": list(change.owners),
        "since": change.since.isoformat(),
        "steps_done": change.done,
        "steps": len(change.steps),
        "migrations": [
            {"number": item.number, "url": item.url} for item in change.facts.migrations if item.live
        ],
        "release": change.release or None,
        "status": process_report.render_json(change.facts, change.progress),
    }


def _release(board: Board, item: Released) -> dict[str, Any]:
    notes = item.notes
    pulls = [pull for topic in notes.topics for pull in topic.pulls] if notes is not None else []
    pulls += notes.others if notes is not None else ()
    return {
        "tag": item.tag,
        "url": item.url,
        "at": item.at.isoformat() if item.at is not None else None,
        "of_commit": item.of_commit,
        "annotated": item.annotated,
        "trouble": item.trouble,
        "known": notes is not None,
        "previous": notes.contents.previous if notes is not None else None,
        "commits": notes.contents.commits if notes is not None else None,
        "tickets": list(notes.tickets) if notes is not None else [],
        "pulls": [_pull(pull) for pull in sorted(pulls, key=lambda pull: pull.number)],
        "migrations": [
            {
                "section": section,
                "revision": migration.revision,
                "title": migration.title,
                "path": migration.path,
                "operations": list(migration.operations),
            }
            for section, migrations in (notes.sections if notes is not None else ())
            for migration in migrations
        ],
        "changes": [change.facts.pull.number for change in board.brought_by(item.tag)],
    }


def _pull(pull: PullRequest) -> dict[str, Any]:
    return {"number": pull.number, "title": pull.title, "branch": pull.branch, "author": pull.author}
