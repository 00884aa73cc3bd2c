"""Content of a deployment since the tags that it replaces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from consdb_actions.deploy.changes import PULL_POLICY
from consdb_actions.deploy.model import Plan
from consdb_actions.deploy.tags import Tag, read_tag
from consdb_actions.release.notes import ReleaseNotes

__all__ = ["Holds", "replaced_by"]


@dataclass(frozen=True, slots=True)
class Holds:
    """The content of a tag since an earlier one."""

    repository: str
    since: str = ""  # the earlier tag; empty if there is none to compare with
    notes: ReleaseNotes | None = None  # pull requests and migrations of a consdb release
    schemas: tuple[str, ...] = ()  # changed schema files of an sdm_schemas release
    problem: str = ""  # why the content is unknown


def replaced_by(plan: Plan, known: Iterable[str] = ()) -> Tag | None:
    """Return the tag to compare a deployment with.

    It is the oldest tag that is replaced, or the newest known one before the deployed tag if none that is
    replaced is older. None for a mutable tag.
    """
    wanted = plan.request.tag
    if not wanted.is_fixed:
        return None
    moved = [change for change in plan.changes if change.what != PULL_POLICY and change.enabled]
    olds = [read_tag(change.old) for change in moved]
    older = [tag for tag in olds if tag.is_older_than(wanted)]
    if older:
        return min(older, key=lambda tag: tag.order)
    if olds and all(tag.is_fixed for tag in olds):
        return None  # It is a rollback, or changes disabled components only.
    before = [tag for tag in map(read_tag, known) if tag.is_older_than(wanted)]
    return max(before, key=lambda tag: tag.order, default=None)
