"""What a person has to change in a revision that they edited, when another one was merged (rule M20)."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.publication.plan import Kept, Present
from consdb_actions.publication.result import TargetSection

__all__ = ["Rebase", "find_rebases"]


@dataclass(frozen=True, slots=True)
class Rebase:
    """A revision on a branch that people edited, and that does not follow the newest revision any more.

    Attributes
    ----------
    path, section
        The file and its section.
    old, new
        Its ``down_revision``, and the one that it has to have.
    """

    path: str
    section: str
    old: str
    new: str

    @property
    def words(self) -> str:
        """What a person has to do, as a sentence."""
        return (
            f"{self.path} was edited by hand and has to follow {self.new}, the newest revision of "
            f"{self.section}: change its down_revision from {self.old} to {self.new}."
        )


def find_rebases(
    present: Present, kept: Sequence[Kept], sections: Sequence[TargetSection], outcome: RunOutcome
) -> tuple[Rebase, ...]:
    """Find the revisions that people edited and that do not follow the newest one of the target.

    Parameters
    ----------
    present
        What there is on the branch.
    kept
        What people edited.
    sections
        The sections of the target.
    outcome
        What was generated now, on top of the newest revisions.
    """
    edited = {item.section for item in kept}
    newest = {section.name: section.down_revision for section in outcome.changed}
    found = []
    for section in sections:
        if section.name not in edited or section.name not in newest:
            continue
        files = {
            path: ids
            for path, data in present.files.items()
            if path.startswith(f"{section.folder}/versions/") and data and (ids := _ids(data))
        }
        own = {revision for revision, _ in files.values()}
        found += [
            Rebase(path, section.name, down, newest[section.name])
            for path, (_, down) in sorted(files.items())
            if down not in own and down != newest[section.name]
        ]
    return tuple(found)


def _ids(data: bytes) -> tuple[str, str] | None:
    """Return revision and down_revision of a file; None where they are no plain texts."""
    values: dict[str, str] = {}
    try:
        body = ast.parse(data).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                values[target.id] = str(value.value or "")
    if "revision" not in values or "down_revision" not in values:
        return None
    return values["revision"], values["down_revision"]
