"""What is said on a generated pull request that does not follow the newest revisions any more (rule M20)."""

from __future__ import annotations

from collections.abc import Sequence

from consdb_actions.adapters.github import GitHub
from consdb_actions.adapters.github.marked_comment import MarkedComment
from consdb_actions.adapters.github.migration_target import Target
from consdb_actions.publication.marker import REBASE_MARKER
from consdb_actions.publication.plan import Present, TargetPull
from consdb_actions.publication.rebase import Rebase, find_rebases
from consdb_actions.report.publication import render_rebases

__all__ = ["EDITED", "tell_left_behind", "tell_rebases"]

EDITED = "These files were edited by hand, so they are left as they are."


def tell_rebases(github: GitHub, target: Target, number: int, rebases: Sequence[Rebase], why: str) -> None:
    """Say on a pull request of the target what a person has to change in it, or that nothing is left."""
    comment = MarkedComment(github, target.repository, number, REBASE_MARKER)
    comment.write(render_rebases(rebases, why), only_update=not rebases)


def tell_left_behind(
    github: GitHub, target: Target, pull: TargetPull, reference: str, base: str
) -> tuple[Rebase, ...]:
    """Say the same on a pull request that could not be made again, where another revision was merged."""
    if pull.marker is None:
        return ()
    tip = target.tip(target.default_branch())
    revisions = target.revisions(tip)
    folders = {
        section.name: section.folder
        for section in target.sections(tip)
        if any(path.startswith(f"{section.folder}/") for path in pull.marker.files)
    }
    inside = tuple(f"{folder}/versions/" for folder in folders.values())
    if not target.merged_since(pull.marker.target, revisions, inside):
        return ()
    present = target.present(base, pull.branch) or Present()
    newest = {name: target.newest(revisions, folder) for name, folder in folders.items()}
    rebases = find_rebases(present.files, folders, {name: sha for name, sha in newest.items() if sha})
    why = f"They could not be made again; a comment on {reference} says why, and what to do."
    tell_rebases(github, target, pull.number, rebases, why)
    return rebases
