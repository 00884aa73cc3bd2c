"""What a deployment brings: everything between the tags that it replaces and its own."""

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
    """What a tag holds since an earlier one.

    Attributes
    ----------
    repository
        Where it comes from.
    since
        The earlier tag; empty where there is none to compare with.
    notes
        Pull requests and migrations, for a release of consdb.
    schemas
        Schema files that changed, for one of sdm_schemas.
    problem
        Why nothing is known; empty when it is.
    """

    repository: str
    since: str = ""
    notes: ReleaseNotes | None = None
    schemas: tuple[str, ...] = ()
    problem: str = ""


def replaced_by(plan: Plan, known: Iterable[str] = ()) -> Tag | None:
    """Return the tag with which a deployment is to be compared.

    Parameters
    ----------
    plan
        The deployment.
    known
        Tags that there are.

    Returns
    -------
    Tag or None
        The oldest tag that it replaces; where it replaces none that is older, the newest one before it. None
        for a tag that can move.
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
        return None  # It goes back, or changes nothing but what is disabled.
    before = [tag for tag in map(read_tag, known) if tag.is_older_than(wanted)]
    return max(before, key=lambda tag: tag.order, default=None)
