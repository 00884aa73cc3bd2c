"""Identify the schema change and the requested action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "REGENERATE",
    "RequestedMigration",
    "Inputs",
    "PullSeen",
    "SchemaSource",
    "MigrationRequest",
    "decide_request",
]

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
class PullSeen:
    """A pull request of the repository of schemas, as read from GitHub."""

    number: int
    url: str
    branch: str
    head: str
    title: str = ""
    body: str = ""
    is_open: bool = True
    merged: bool = False
    from_fork: bool = False
    labels: tuple[str, ...] = ()
    base: str = ""

    def has_label(self, label: str) -> bool:
        """Tell whether it has a label, ignoring case."""
        return label.casefold() in {name.casefold() for name in self.labels}


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
