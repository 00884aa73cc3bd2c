"""What a person has to change in a revision when another one was merged (rule M20)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Rebase", "find_rebases", "newest_revision", "read_ids"]


@dataclass(frozen=True, slots=True)
class Rebase:
    """A revision on a branch that does not follow the newest revision of its section any more.

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
            f"{self.path} has to follow {self.new}, the newest revision of {self.section}: change its "
            f"down_revision from {self.old} to {self.new}."
        )


def find_rebases(
    files: Mapping[str, bytes | None], folders: Mapping[str, str], newest: Mapping[str, str]
) -> tuple[Rebase, ...]:
    """Find the revisions of a branch that do not follow the newest one of their section.

    Parameters
    ----------
    files
        What the branch changes: the bytes of each path, None for one that is removed.
    folders
        The folder of each section that matters, by its name.
    newest
        The newest revision of each section on the default branch; those without one are left out.
    """
    found = []
    for section, folder in folders.items():
        ids = {
            path: read
            for path, data in files.items()
            if path.startswith(f"{folder}/versions/") and data and (read := read_ids(data))
        }
        own = {revision for revision, _ in ids.values()}
        found += [
            Rebase(path, section, down, newest[section])
            for path, (_, down) in sorted(ids.items())
            if section in newest and down not in own and down != newest[section]
        ]
    return tuple(found)


def newest_revision(files: Iterable[bytes]) -> str:
    """Return the one revision that no other follows; empty where there is not one."""
    ids = [read for data in files if (read := read_ids(data))]
    heads = {revision for revision, _ in ids} - {down for _, down in ids}
    return heads.pop() if len(heads) == 1 else ""


def read_ids(data: bytes) -> tuple[str, str] | None:
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
