"""Identify the schema change and the requested action; names and markers of generated pull requests."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from consdb_actions.errors import InputError
from consdb_actions.forms import Form, as_json, hidden, read_hidden
from consdb_actions.proposal import PullSeen

RequestAction = Literal["generate", "withdraw", "conflict", "held", "nothing"]

# `RequestedMigration.action` of a migration that is regenerated because its inputs changed.
REGENERATE = "regenerate"


@dataclass(frozen=True, slots=True)
class RequestedMigration:
    """A request from an event or a person."""

    number: int | None = None  # pull request in the repository of schemas
    branch: str = ""  # used if no pull request is named
    commit: str = ""  # newest of the branch or the pull request
    # the event's action (``labeled``, ``synchronize``, …) or `REGENERATE`; empty for a dispatch
    action: str = ""
    label: str = ""  # of the event


@dataclass(frozen=True, slots=True)
class SchemaSource:
    """The schema change."""

    repository: str
    branch: str
    commit: str  # newest of the branch
    default: str  # default branch
    pull: PullSeen | None = None

    @property
    def reference(self) -> str:
        """Return ``owner/name#12``, or ``owner/name@branch`` without a pull request."""
        if self.pull is not None:
            return f"{self.repository}#{self.pull.number}"
        return f"{self.repository}@{self.branch}"

    @property
    def title(self) -> str:
        """Return the title of the pull request; empty without one."""
        return self.pull.title if self.pull is not None else ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The commits from which a migration is generated."""

    commit: str  # newest of the change
    merge: str = ""  # of the change into its base branch
    base: str = ""  # of the base branch
    target: str = ""  # newest of the target's default branch
    conflict: str = ""  # why the merge fails, as a sentence


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """The action for a request, and its reason."""

    action: RequestAction  # ``held`` and ``conflict`` as in `Publication.state`
    reason: str  # as a sentence
    publish: bool = True  # false for forks: their events have no token to publish with


def decide_request(
    asked: RequestedMigration, source: SchemaSource, label: str, holder: PullSeen | None = None
) -> MigrationRequest:
    """Decide what an event requests; the migration of `holder` contains this change."""
    if asked.commit and asked.commit != source.commit:
        return MigrationRequest(
            "nothing",
            f"{source.reference} has moved from {asked.commit[:8]} to {source.commit[:8]} since this was "
            f"requested. The run for the newest commit generates the migration; if there is none, start one.",
        )
    pull = source.pull
    if pull is None:
        return MigrationRequest(
            "generate", f"Requested for {source.reference}, which has no open pull request to comment on."
        )
    about = asked.label.casefold() == label.casefold()
    has_label = pull.has_label(label)
    is_automatic = asked.action not in ("", REGENERATE)
    if pull.merged:
        return MigrationRequest(
            "nothing", f"{source.reference} is merged; its migration is no longer updated."
        )
    if not pull.is_open:
        return MigrationRequest("withdraw", f"{source.reference} was closed.")
    if asked.action in ("labeled", "unlabeled") and not about:
        return MigrationRequest(
            "nothing", f"The label “{asked.label}” does not request a migration; “{label}” does."
        )
    if is_automatic and not has_label:
        if about:
            return MigrationRequest("withdraw", f"The label “{label}” was removed from {source.reference}.")
        return MigrationRequest("nothing", f"{source.reference} does not have the label “{label}”.")
    if holder is not None:
        return MigrationRequest(
            "held",
            f"The branch of {source.repository}#{holder.number} contains the commits of {source.reference}, "
            "so its migration contains this change, too.",
        )
    if pull.from_fork and is_automatic:
        return MigrationRequest(
            "generate",
            f"{source.reference} comes from a fork, whose runs get no token: the migration is shown here and "
            "not published. A maintainer can review the change and start the workflow manually for number "
            f"{pull.number}.",
            publish=False,
        )
    if asked.action == REGENERATE:
        return MigrationRequest("generate", "The inputs of its migration have changed.")
    why = f"It has the label “{label}”." if asked.action else "A run was started manually or by a dispatch."
    return MigrationRequest("generate", why)


_SUFFIX = r"(?P<suffix>(?:[-_.][A-Za-z0-9]+)*)"

LONGEST = 120  # Maximum length of the part taken from the source branch's name


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one migration."""

    ticket: str  # such as ``DM-12345``
    branch: str  # in the repository of migrations
    title: str  # of its pull request
    message: str  # of the revisions; made from the branch, not from a title that people edit (rule M11)


def name_migration(branch: str, title: str, patterns: Sequence[str], *, place: str = "") -> Names:
    """Find the ticket in the branch name or the title's start.

    `patterns` match a whole ticket. Of the branch only a whole match is used, so that names hold letters,
    digits and single marks.
    """
    ticket = "|".join(f"(?:{pattern})" for pattern in patterns)
    in_branch = re.fullmatch(rf"tickets/(?P<ticket>{ticket}){_SUFFIX}", branch, re.ASCII)
    if in_branch is not None and len(branch) <= LONGEST:
        found, name = in_branch["ticket"], branch.removeprefix("tickets/")
    else:
        in_title = re.match(rf"\s*\[?(?P<ticket>{ticket})(?![\w-])", title[:300], re.ASCII)
        if in_title is None:
            raise InputError(
                "no ticket is named, neither by the branch nor at the start of the title",
                place=place,
                remedy="Call the branch tickets/DM-12345, or begin the title with the ticket. Other trackers "
                "are allowed by `tickets: patterns:` in .github/consdb-actions.yaml.",
            )
        found = name = in_title["ticket"]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", found, re.ASCII):
        raise InputError(
            f"{found[:60]!r} cannot be part of a branch's name",
            place="tickets: patterns:",
            remedy="Let the patterns match letters, digits, dashes and nothing else.",
        )
    return Names(found, f"tickets/{name}-migration", f"{found}: Migrate schema changes", name)


_Commit = Annotated[str, Form(pattern="^([0-9a-f]{40})?$")]


@dataclass(frozen=True, slots=True)
class Marker:
    """The inputs of a generated migration."""

    source: str  # ``owner/name#12`` or ``owner/name@branch``
    sha: Annotated[str, Form(pattern="^[0-9a-f]{40}$")]  # commit of the source
    files: Mapping[str, str] = field(default_factory=dict)  # blob ids of the generated files
    base: _Commit = ""  # of the schemas to compare with
    target: _Commit = ""
    also: Mapping[str, _Commit] = field(default_factory=dict)  # of other changes in this migration
    state: str = "published"  # a value of `publication.plan.State`

    def commit_of(self, references: Collection[str]) -> str:
        """Return the source commit of a change; empty if this migration lacks it."""
        wanted = {name.casefold() for name in references}
        every = {**self.also, self.source: self.sha}
        return next((sha for name, sha in every.items() if name.casefold() in wanted), "")

    def __str__(self) -> str:
        return hidden("migration", as_json(self))


def read_marker(body: str) -> Marker | None:
    """Parse the marker of a pull request; None if missing or invalid."""
    return read_hidden("migration", body, Marker)
