"""Collect the state of all changes and environments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import ClassVar

from consdb_actions.deploy.drift import ComponentTag, Since, TagDrift, find_drift
from consdb_actions.deploy.model import DeployPolicy, TagKind, read_tag
from consdb_actions.forms import Public
from consdb_actions.process.facts import FactSource, MigrationPull, ProcessFacts
from consdb_actions.process.plan import ProcessReport, StepState, StepStatus, progress_of
from consdb_actions.release.notes import ReleaseNotes
from consdb_actions.release.versions import parse_version


@dataclass(frozen=True, slots=True)
class UnreadablePull(Public):
    """An unreadable pull request; `title` and `url` may be empty."""

    PUBLIC: ClassVar[str] = "name title url message=text"

    name: str
    text: str
    title: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class BoardEntry(ProcessReport):
    """An open schema change."""

    PUBLIC: ClassVar[str] = (
        f"{ProcessReport.PUBLIC} author=facts.pull.author.login branch=facts.pull.branch "
        "draft=facts.pull.draft opened=facts.pull.created_at merged=facts.pull.merged_at "
        "new_tables migrations release needs_attention waits_for=owners since steps_done=done"
    )

    @property
    def steps(self) -> tuple[StepState, ...]:
        """Return the steps that apply."""
        return tuple(item for item in self.progress.steps if item.status is not StepStatus.NOT_APPLICABLE)

    @property
    def new_tables(self) -> dict[str, tuple[str, ...]]:
        """Return the new tables of each changed schema."""
        return {item.schema: item.new_tables for item in self.facts.schemas}

    @property
    def migrations(self) -> tuple[MigrationPull, ...]:
        """Return the open and merged pull requests in consdb."""
        return tuple(item for item in self.facts.migrations if item.live)

    @property
    def done(self) -> int:
        """Return the number of finished steps."""
        return sum(item.done for item in self.steps)

    @property
    def next(self) -> tuple[StepState, ...]:
        """Return the actionable steps; none if they are unknown."""
        return self.progress.actionable

    @property
    def since(self) -> datetime:
        """Return since when the change waits for somebody."""
        return min(
            (item.since for item in self.next if item.since is not None), default=self.facts.pull.created_at
        )

    @property
    def owners(self) -> tuple[str, ...]:
        """Return the roles it waits for; for approvals, those that have not approved."""
        found: dict[str, None] = {}
        for item in self.next:
            missing = [role.title for role in self.facts.approvals.roles if role.outcome != "approved"]
            found.update(dict.fromkeys(missing if item.step.id == "approve" and missing else [item.owner]))
        return tuple(found)

    @property
    def needs_attention(self) -> bool:
        """Return whether a step is stale, unknown, or done too early."""
        wrong = (StepStatus.STALE, StepStatus.UNKNOWN)
        return bool(self.facts.troubles) or any(
            item.status in wrong or any(disorder.still for disorder in item.order) for item in self.steps
        )

    @property
    def release(self) -> str:
        """Return the first release with its migration; empty for none."""
        return self.facts.releases[0].tag if self.facts.releases else ""


@dataclass(frozen=True, slots=True)
class Environments(Public):
    """Deployed tags and drift."""

    PUBLIC: ClassVar[str] = "trouble source drift"

    drift: TagDrift | None  # None if unavailable
    source: str = ""  # of the values files
    web: str = ""  # URL of their repository, for links to commits; empty for none
    trouble: str = ""  # why drift is unavailable


@dataclass(frozen=True, slots=True)
class ConsdbRelease(Public):
    """A release of consdb."""

    PUBLIC: ClassVar[str] = "tag url at of_commit annotated trouble notes"

    tag: str
    url: str
    at: datetime | None = None  # None if unknown
    of_commit: bool = False  # whether `at` is the date of the commit, since the tag has none
    annotated: bool = True
    notes: ReleaseNotes | None = None  # None if unavailable
    trouble: str = ""  # why the notes are unavailable


@dataclass(frozen=True, slots=True)
class Releases(Public):
    """The releases of consdb, newest first."""

    PUBLIC: ClassVar[str] = "trouble older items"

    items: tuple[ConsdbRelease, ...] = ()
    older: int = 0  # number of further releases
    web: str = ""  # URL of the repository
    trouble: str = ""  # why they are unavailable


@dataclass(frozen=True, slots=True)
class Board(Public):
    """The overview."""

    FORMAT: ClassVar[str] = "consdb-actions/board/1"
    PUBLIC: ClassVar[str] = "repository at=now changes unread finished unaffected environments releases"

    repository: str  # of the schemas
    now: datetime
    changes: tuple[BoardEntry, ...]  # those that need attention first, then by waiting time
    unread: tuple[UnreadablePull, ...]
    finished: int  # number of pull requests with all steps done, not shown
    unaffected: int  # number of pull requests without a schema change, not shown
    environments: Environments
    releases: Releases

    @property
    def today(self) -> date:
        """Return the day in UTC."""
        return self.now.astimezone(UTC).date()

    @property
    def waiting(self) -> tuple[tuple[str, int], ...]:
        """Return how many changes wait for each owner, highest first."""
        count = Counter(name for change in self.changes for name in change.owners)
        return tuple(sorted(count.items(), key=lambda pair: (-pair[1], pair[0])))

    def brought_by(self, tag: str) -> tuple[BoardEntry, ...]:
        """Return the open changes whose migration a release contains."""
        return tuple(change for change in self.changes if change.release == tag)


def make_board(
    repository: str,
    now: datetime,
    known: Iterable[ProcessFacts],
    unread: Iterable[UnreadablePull],
    environments: Environments,
    releases: Releases,
) -> Board:
    """Build the overview from the newest facts about each pull request, in any order."""
    latest: dict[int, ProcessFacts] = {}
    missing = list(unread)
    for facts in known:
        number = facts.pull.number
        if facts.repository.casefold() != repository.casefold():
            name = f"{facts.repository}#{number}"
            text = f"it is a pull request of {facts.repository}, and this is the board of {repository}"
            missing.append(UnreadablePull(name, text, facts.pull.title, facts.pull.url))
        elif number not in latest or facts.now > latest[number].now:
            latest[number] = facts
    changes: list[BoardEntry] = []
    finished = unaffected = 0
    for number in sorted(latest):
        facts = replace(latest[number], now=now)
        if not facts.schemas and (trouble := facts.trouble(FactSource.SCHEMAS)):
            missing.append(UnreadablePull(f"#{number}", trouble, facts.pull.title, facts.pull.url))
            continue
        if not facts.schemas:
            unaffected += 1
            continue
        progress = progress_of(facts)
        dropped = facts.pull.state == "closed" and facts.pull.merged_at is None
        if dropped or not any(item.open for item in progress.steps):
            finished += 1
            continue
        changes.append(BoardEntry(facts, progress))
    changes.sort(key=lambda item: (not item.needs_attention, item.since, item.facts.pull.number))
    return Board(
        repository,
        now,
        tuple(changes),
        tuple(sorted(missing, key=lambda item: (len(item.name), item.name, item.text))),
        finished,
        unaffected,
        environments,
        releases,
    )


def drift_of_facts(known: Sequence[ProcessFacts], policy: DeployPolicy, today: date) -> TagDrift | None:
    """Find drift from the newest facts with deployments; None if there are none."""
    holding = [facts for facts in known if facts.deployments]
    if not holding:
        return None
    facts = max(holding, key=lambda item: (item.now, item.pull.number))
    seen = []
    for item in facts.deployments:
        at = item.history[-1].at if item.history else None
        since = None if at is None else Since("", at.astimezone(UTC).date())
        seen.append(
            ComponentTag(
                item.application, item.environment, item.component, read_tag(item.tag), item.enabled, since
            )
        )
    release = read_tag(facts.newest_release)
    return find_drift(policy, seen, today, release if release.kind is TagKind.RELEASE else None)


def releases_of_facts(known: Iterable[ProcessFacts]) -> tuple[ConsdbRelease, ...]:
    """List the releases named in facts, newest first, without notes."""
    found: dict[str, ConsdbRelease] = {}
    for facts in known:
        for item in facts.releases:
            there = found.get(item.tag)
            # Facts date only the first release that contains their migration.
            if there is None or there.at is None:
                found[item.tag] = ConsdbRelease(
                    item.tag, item.release_url or item.url, item.at, annotated=item.annotated
                )
    order = {tag: version for tag in found if (version := parse_version(tag)) is not None}
    return tuple(found[tag] for tag in sorted(order, key=lambda tag: (order[tag], tag), reverse=True))
