"""Plan the copy of EFD schemas from consdb to sdm_schemas, and mark its pull request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

from consdb_actions.forms import Form, hidden, read_hidden
from consdb_actions.process.policy import ProcessPolicy


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


@dataclass(frozen=True, slots=True)
class EfdOrigin:
    """The source of copied EFD schemas."""

    # ``owner/name#number`` for a pull request in consdb, or ``owner/name``
    source: Annotated[
        str, Form(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}(#[1-9][0-9]{0,8})?$")
    ]
    sha: Annotated[str, Form(pattern="^[0-9a-f]{40}$")]

    @property
    def repository(self) -> str:
        """Return the repository as ``owner/name``."""
        return self.source.partition("#")[0]

    @property
    def number(self) -> int:
        """Return the pull request; 0 for none."""
        return int(self.source.partition("#")[2] or 0)


def efd_mark(origin: EfdOrigin) -> str:
    """Write the marker on one line; raise `ValueError` if invalid."""
    text = hidden("efd", {"source": origin.source, "sha": origin.sha})
    if efd_origin(text) != origin:
        raise ValueError(f"{origin.source!r} at {origin.sha!r} is not an origin")
    return text


def efd_origin(body: str) -> EfdOrigin | None:
    """Parse the marker in a pull request's body; None if missing or invalid."""
    return read_hidden("efd", body, EfdOrigin)
