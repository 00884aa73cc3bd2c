"""Which schema change is meant, and what is to be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["REGENERATE", "Asked", "Inputs", "PullSeen", "Source", "Wish", "decide_wish"]

Deed = Literal["generate", "withdraw", "conflict", "held", "nothing"]

REGENERATE = "regenerate"
"""`Asked.deed` of a migration that is made again since something else has changed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an event or a person asks for.

    Attributes
    ----------
    number
        Number of a pull request in the repository of schemas.
    branch, commit
        A branch of that repository and its newest commit, where no pull request is named; the commit may also
        stand beside a number.
    deed
        The event's own word (``labeled``, ``synchronize``, …), or `REGENERATE`; empty for a dispatch, which
        asks by itself.
    label
        The label that the event is about.
    """

    number: int | None = None
    branch: str = ""
    commit: str = ""
    deed: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class PullSeen:
    """A pull request of the repository of schemas, as GitHub shows it now."""

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
        """Tell whether it has a label, whose case does not matter."""
        return label.casefold() in {name.casefold() for name in self.labels}


@dataclass(frozen=True, slots=True)
class Source:
    """The schema change that is meant.

    Attributes
    ----------
    repository
        ``owner/name``.
    branch, commit
        Its branch, and the newest commit of that.
    default
        Default branch of the repository.
    pull
        Its pull request, if it has one.
    """

    repository: str
    branch: str
    commit: str
    default: str
    pull: PullSeen | None = None

    @property
    def reference(self) -> str:
        """``owner/name#12``, or ``owner/name@branch`` without a pull request."""
        if self.pull is not None:
            return f"{self.repository}#{self.pull.number}"
        return f"{self.repository}@{self.branch}"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The commits that a migration is generated from.

    Attributes
    ----------
    commit
        The newest commit of the change.
    merge, base
        The commits of the schemas that are compared: the change merged into its base branch, and that branch.
    target
        The newest commit of the target's default branch.
    conflict
        Why there is no such merge, as a sentence; empty when there is one.
    """

    commit: str
    merge: str = ""
    base: str = ""
    target: str = ""
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done, and why in words.

    Attributes
    ----------
    deed
        ``generate`` a migration, ``withdraw`` the one that was made, or ``nothing``. ``held``: the migration
        of another change holds this one; ``conflict``: the change cannot be merged into its base branch.
    reason
        Why, as a sentence.
    publish
        Whether the result may be published. That of a fork's pull request is only shown, since the event
        comes with no token for more.
    """

    deed: Deed
    reason: str
    publish: bool = True


def decide_wish(asked: Asked, source: Source, label: str, holder: PullSeen | None = None) -> Wish:
    """Say what an event asks for, given what GitHub shows now.

    Parameters
    ----------
    asked
        What the event says.
    source
        The change, with its pull request as it is now.
    label
        The label that asks for a migration.
    holder
        The pull request whose migration holds this change, if there is one.

    Returns
    -------
    Wish
        What is to be done.
    """
    if asked.commit and asked.commit != source.commit:
        return Wish(
            "nothing",
            f"{source.reference} has moved from {asked.commit[:8]} to {source.commit[:8]} since this was "
            "asked for. The run for the newest commit makes the migration; where none comes, start one.",
        )
    pull = source.pull
    if pull is None:
        return Wish(
            "generate", f"Asked for {source.reference}, which has no open pull request to comment on."
        )
    about = asked.label.casefold() == label.casefold()
    has_label = pull.has_label(label)
    is_automatic = asked.deed not in ("", REGENERATE)
    if pull.merged:
        return Wish("nothing", f"{source.reference} is merged; its migration goes its own way.")
    if not pull.is_open:
        return Wish("withdraw", f"{source.reference} was closed.")
    if asked.deed in ("labeled", "unlabeled") and not about:
        return Wish("nothing", f"The label “{asked.label}” asks for no migration; “{label}” does.")
    if is_automatic and not has_label:
        if about:
            return Wish("withdraw", f"The label “{label}” was taken off {source.reference}.")
        return Wish("nothing", f"{source.reference} does not have the label “{label}”.")
    if holder is not None:
        return Wish(
            "held",
            f"The branch of {source.repository}#{holder.number} contains the commits of {source.reference}, "
            "so its migration holds this change, too.",
        )
    if pull.from_fork and is_automatic:
        return Wish(
            "generate",
            f"{source.reference} comes from a fork, whose runs get no token: the migration is shown here and "
            "not published. A maintainer can look at the change and start the workflow by hand for number "
            f"{pull.number}.",
            publish=False,
        )
    if asked.deed == REGENERATE:
        return Wish("generate", "What its migration was made from has changed.")
    why = (
        f"It has the label “{label}”." if asked.deed else "A run was started for it by hand or by a dispatch."
    )
    return Wish("generate", why)
