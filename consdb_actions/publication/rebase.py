"""Find revisions that need another ``down_revision`` (rule M20)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Rebase", "find_rebases", "newest_revision", "read_ids"]


@dataclass(frozen=True, slots=True)
class Rebase:
    """A revision that does not follow its section's newest one."""

    path: str
    section: str
    old: str  # its ``down_revision``
    new: str  # the required ``down_revision``

    @property
    def words(self) -> str:
        """Return the instruction for people."""
        return (
            f"{self.path} has to follow {self.new}, the newest revision of {self.section}: change its "
            f"down_revision from {self.old} to {self.new}."
        )


def find_rebases(
    files: Mapping[str, bytes | None], folders: Mapping[str, str], newest: Mapping[str, str]
) -> tuple[Rebase, ...]:
    """Find a branch's revisions that need a rebase.

    `files` are the changes of the branch (None for a removed file); `folders` and `newest` are by section,
    and a section without a revision is missing in `newest`.
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
    """Return the revision that no other follows; empty unless there is exactly one."""
    ids = [read for data in files if (read := read_ids(data))]
    heads = {revision for revision, _ in ids} - {down for _, down in ids}
    return heads.pop() if len(heads) == 1 else ""


def read_ids(data: bytes) -> tuple[str, str] | None:
    """Return the literal revision and down_revision of a file, if any."""
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
