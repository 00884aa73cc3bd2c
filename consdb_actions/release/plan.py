"""Plan the next release and its tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.release.versions import CalendarVersion, ReleasePolicy, next_version, parse_version

CheckState = Literal["success", "pending", "failure"]


@dataclass(frozen=True, slots=True)
class GitTag:
    """A tag of the repository."""

    name: str
    commit: str  # after peeling the tag object
    annotated: bool = True
    ours: bool = False  # created by this program, according to its message
    object: str = ""  # SHA of the tag object; empty if lightweight or unknown


@dataclass(frozen=True, slots=True)
class CommitCheck:
    """A check run or a commit status."""

    name: str
    state: CheckState  # its meaning for a release
    text: str  # its own wording, such as ``cancelled`` or ``in progress``


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """The state of the repository at a release."""

    branch: str  # the default branch
    commit: str  # to be tagged
    now: datetime  # the time of tagging
    contained: bool  # whether the default branch contains the commit
    tags: tuple[GitTag, ...]
    checks: tuple[CommitCheck, ...] = ()  # on the commit, without those of the present run
    released: bool = False  # whether the newest release contains the commit
    parted: bool = False  # whether the newest release is neither an ancestor nor a descendant


@dataclass(frozen=True, slots=True)
class ReleaseRefusal:
    """A reason not to tag, with its remedy."""

    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class TagPlan:
    """The decision about a tag."""

    tag: str
    commit: str
    # ``complete`` creates a missing release for a tag of an earlier run
    action: Literal["create", "complete", "nothing"]
    reason: str  # as a sentence
    previous: GitTag | None = None  # None for the first release
    refusals: tuple[ReleaseRefusal, ...] = ()
    remarks: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `CheckFailed` with all refusals, if any."""
        if self.refusals:
            raise CheckFailed(
                f"{self.commit[:12]} is not tagged as {self.tag} (rule R2): "
                + "; ".join(refusal.text for refusal in self.refusals),
                remedy="\n".join(dict.fromkeys(refusal.remedy for refusal in self.refusals)),
            )


def last_release(tags: tuple[GitTag, ...], before: CalendarVersion | None = None) -> GitTag | None:
    """Return the newest release (before a version); None if there is none."""
    versions = [(version, tag) for tag in tags if (version := parse_version(tag.name))]
    found = [pair for pair in versions if before is None or pair[0] < before]
    return max(found, key=lambda pair: (pair[0], pair[1].name))[1] if found else None


def decide(facts: ReleaseFacts, policy: ReleasePolicy, wanted: str | None = None) -> TagPlan:
    """Decide what to do about a tag.

    Without `wanted`, the next version is taken. Raises `InputError` if `wanted` is not a calendar version,
    and `CheckFailed` if the newest version is of a later month (rule R1).
    """
    expected = _expected(wanted)
    versions = {tag: version for tag in facts.tags if (version := parse_version(tag.name))}
    here = [tag for tag in versions if tag.commit == facts.commit]
    if expected is not None:
        same = [tag for tag, version in versions.items() if version == expected]
        if same and not set(same) & set(here):
            other = same[0]
            refusal = ReleaseRefusal(
                f"the tag {other.name} exists, on {other.commit[:12]}",
                "Tags are never moved. Name the commit that it is on with --commit, "
                "or omit --tag for the next version.",
            )
            return TagPlan(other.name, facts.commit, "create", "", refusals=(refusal,))
        here = [tag for tag in same if tag in here] or here
    if here:
        return _existing(facts, max(here, key=lambda tag: versions[tag]), expected)
    following = next_version(
        [tag.name for tag in facts.tags], facts.now, padded=policy.padded, skip=policy.skip
    )
    refusals = list(_refusals(facts, policy))
    if expected is not None and expected != following.version:
        words = f"{wanted} is not the next version, {following.version} is: {following.reason}"
        refusals.append(ReleaseRefusal(words, "Omit --tag, or give the next version."))
    previous = last_release(facts.tags, following.version)
    remarks = []
    if facts.parted and previous is not None:
        remarks.append(
            f"{previous.name} is not in the history of this commit: "
            "its other changes may be missing here, and the notes start at the merge base"
        )
    return TagPlan(
        str(following.version),
        facts.commit,
        "create",
        following.reason,
        previous,
        tuple(refusals),
        tuple(remarks),
    )


def _expected(wanted: str | None) -> CalendarVersion | None:
    if wanted is None:
        return None
    version = parse_version(wanted)
    if version is None:
        raise InputError(
            f'"{wanted[:100]}" is not a calendar version', place="--tag", remedy="Write it as 26.6.2."
        )
    return version


def _existing(facts: ReleaseFacts, tag: GitTag, expected: CalendarVersion | None) -> TagPlan:
    """Plan for a tag that exists: keep it."""
    version = parse_version(tag.name)
    remarks = []
    if not tag.annotated:
        remarks.append(
            f"the tag {tag.name} is lightweight, without author, date or message; it is kept, because "
            f"tags are never moved"
        )
    refusals = []
    if expected is not None and version != expected:
        words = f"the commit is tagged already, as {tag.name}"
        refusals.append(ReleaseRefusal(words, "Omit --tag, or name a newer commit with --commit."))
    return TagPlan(
        str(expected) if refusals else tag.name,
        facts.commit,
        "complete" if tag.ours else "nothing",
        f"{tag.name} is on this commit already",
        last_release(facts.tags, version),
        tuple(refusals),
        tuple(remarks),
    )


def _refusals(facts: ReleaseFacts, policy: ReleasePolicy) -> Iterator[ReleaseRefusal]:
    if not facts.contained:
        yield ReleaseRefusal(
            f"the commit is not in the history of {facts.branch}",
            f"Merge it into {facts.branch} first, or name another with --commit.",
        )
    last = last_release(facts.tags)
    if facts.released and last is not None:
        yield ReleaseRefusal(
            f"the newest release, {last.name}, already contains it",
            "A newer version on an older commit would go back. Name a newer commit with --commit.",
        )
    yield from _checks(facts.checks, policy)


def _checks(checks: tuple[CommitCheck, ...], policy: ReleasePolicy) -> Iterator[ReleaseRefusal]:
    counted = [check for check in checks if not policy.ignores(check.name)]
    failed = [check for check in counted if check.state == "failure"]
    pending = [check for check in counted if check.state == "pending"]
    missing = [name for name in policy.checks.required if all(check.name != name for check in counted)]
    if failed:
        yield ReleaseRefusal(
            f"checks have failed: {_named(failed)}",
            "Fix what they found and tag the new commit, or run them again on this one; "
            "a check that does not matter can be named in release.checks.ignored of the configuration.",
        )
    if pending:
        yield ReleaseRefusal(
            f"checks have not finished: {_named(pending)}", "Run the command again when they have finished."
        )
    if missing:
        yield ReleaseRefusal(
            f"required checks have not reported: {', '.join(missing)}",
            "Run the command again when they have; release.checks.required of the configuration names them.",
        )
    if not counted and not missing and not policy.checks.unchecked:
        yield ReleaseRefusal(
            "no check has reported on the commit",
            "Run the command again when the checks have started; if there are none, set "
            "release.checks.unchecked: true in the configuration.",
        )


def _named(checks: list[CommitCheck]) -> str:
    return ", ".join(dict.fromkeys(f"{check.name} ({check.text})" for check in checks))
