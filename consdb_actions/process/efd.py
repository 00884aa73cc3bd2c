"""Which schemas of the transformed EFD are to be copied from consdb to sdm_schemas."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from consdb_actions.process.policy import ProcessPolicy

__all__ = ["EfdCopy", "EfdSource", "branch_of", "plan_copy"]


@dataclass(frozen=True, slots=True)
class EfdSource:
    """Where schemas are copied from.

    Attributes
    ----------
    repository
        ``owner/name``.
    commit
        The commit.
    ticket
        The ticket of the change.
    number, title, url
        The pull request in consdb; 0 and empty for the default branch.
    """

    repository: str
    commit: str
    ticket: str
    number: int = 0
    title: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        """``owner/name#number``, or ``owner/name``."""
        return f"{self.repository}#{self.number}" if self.number else self.repository


@dataclass(frozen=True, slots=True)
class EfdCopy:
    """What a copy would change; names of files without their folder.

    Attributes
    ----------
    files
        Path in sdm_schemas of each file to write, with its blob in consdb.
    new
        Names of those that are not there yet.
    equal
        Names of those that are the same on both sides.
    left_out
        Names of those that the policy does not copy.
    only_there
        Names of EFD schemas in sdm_schemas that consdb does not have (any more): they are left alone.
    """

    files: Mapping[str, str]
    new: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    only_there: tuple[str, ...] = ()


def plan_copy(
    policy: ProcessPolicy,
    sources: Mapping[str, str],
    targets: Mapping[str, str],
    changed: Collection[str] | None = None,
) -> EfdCopy:
    """Compare the schemas of both repositories.

    Parameters
    ----------
    policy
        Says which files are not copied, and where the others go.
    sources, targets
        Blob of each EFD schema in consdb and in sdm_schemas, by its file's name.
    changed
        Names of the files that the pull request in consdb changes: on its branch, others may be older than
        what was copied meanwhile. None where all are meant.

    Returns
    -------
    EfdCopy
        What is to be copied; nothing is ever removed.
    """
    files, new, equal, left_out = {}, [], [], []
    for name, blob in sorted(sources.items()):
        if name in policy.efd.without:
            left_out.append(name)
        elif targets.get(name) == blob:
            equal.append(name)
        elif changed is None or name in changed:
            files[f"{policy.efd.target}/{name}"] = blob
            if name not in targets:
                new.append(name)
    only_there = sorted(set(targets) - set(sources))
    return EfdCopy(files, tuple(new), tuple(equal), tuple(left_out), tuple(only_there))


def branch_of(ticket: str) -> str:
    """Return the branch of the copy in sdm_schemas."""
    return f"tickets/{ticket}-efd"
