"""Plan the copy of EFD schemas from consdb to sdm_schemas."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from consdb_actions.process.policy import ProcessPolicy

__all__ = ["EfdCopy", "EfdSource", "branch_of", "plan_copy"]


@dataclass(frozen=True, slots=True)
class EfdSource:
    """The source of a copy."""

    repository: str
    commit: str
    ticket: str
    number: int = 0  # of the pull request in consdb; 0 for the default branch
    title: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        """Return ``owner/name#number``, or ``owner/name``."""
        return f"{self.repository}#{self.number}" if self.number else self.repository


@dataclass(frozen=True, slots=True)
class EfdCopy:
    """The changes of a copy; names of files are without their folder."""

    files: Mapping[str, str]  # blob in consdb of each file to write, by path in sdm_schemas
    new: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()  # unchanged files
    left_out: tuple[str, ...] = ()  # files that the policy excludes
    only_there: tuple[str, ...] = ()  # files in sdm_schemas without a source; they stay


def plan_copy(
    policy: ProcessPolicy,
    sources: Mapping[str, str],
    targets: Mapping[str, str],
    changed: Collection[str] | None = None,
) -> EfdCopy:
    """Compare the schemas of both repositories; a copy never removes a file.

    `sources` and `targets` are blobs by file name. `changed` holds the files that the pull request changes,
    since others on its branch may be older than the copies; None selects all.
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
