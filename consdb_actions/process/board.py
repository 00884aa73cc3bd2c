"""All open changes, all environments and all releases in one picture: facts in, board out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from consdb_actions.deploy.drift import Drift, Severity
from consdb_actions.process.facts import Facts, Source
from consdb_actions.process.states import Progress, Standing, StepState, progress_of
from consdb_actions.release.notes import ReleaseNotes

__all__ = [
    "Board",
    "Change",
    "Environments",
    "Released",
    "Releases",
    "Unread",
    "make_board",
]


@dataclass(frozen=True, slots=True)
class Unread:
    """A pull request that could not be looked at, and why; `title` and `url` may be empty."""

    name: str
    words: str
    title: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A schema change on its way.

    Attributes
    ----------
    facts, progress
        What is known of it, and where its steps stand.
    """

    facts: Facts
    progress: Progress

    @property
    def steps(self) -> tuple[StepState, ...]:
        """The steps that apply."""
        return tuple(item for item in self.progress.steps if item.standing is not Standing.NOT_APPLICABLE)

    @property
    def done(self) -> int:
        """How many of them are done."""
        return sum(item.done for item in self.steps)

    @property
    def next(self) -> tuple[StepState, ...]:
        """The steps that somebody can go on with now; none where that could not be looked up."""
        return self.progress.actionable

    @property
    def since(self) -> datetime:
        """Since when it waits for somebody."""
        return min(
            (item.since for item in self.next if item.since is not None), default=self.facts.pull.created_at
        )

    @property
    def owners(self) -> tuple[str, ...]:
        """The roles that it waits for; for the approvals, those that have not approved."""
        found: dict[str, None] = {}
        for item in self.next:
            missing = [role.title for role in self.facts.approvals.roles if role.outcome != "approved"]
            found.update(dict.fromkeys(missing if item.step.id == "approve" and missing else [item.owner]))
        return tuple(found)

    @property
    def needs_attention(self) -> bool:
        """Whether something went wrong that is not put right: stale, unknown, or done too early."""
        wrong = (Standing.STALE, Standing.UNKNOWN)
        return bool(self.facts.troubles) or any(
            item.standing in wrong or any(disorder.still for disorder in item.order) for item in self.steps
        )

    @property
    def release(self) -> str:
        """The first release that holds its migration; empty when there is none."""
        return self.facts.releases[0].tag if self.facts.releases else ""


@dataclass(frozen=True, slots=True)
class Environments:
    """What runs where.

    Attributes
    ----------
    drift
        The picture; None where it could not be had.
    source
        Where the values files come from.
    web
        Address of their repository, for links to its commits; empty for none.
    trouble
        Why there is no picture.
    """

    drift: Drift | None
    source: str = ""
    web: str = ""
    trouble: str = ""

    def worst(self) -> dict[tuple[str, str, str], Severity]:
        """Return the worst finding by application, environment and component."""
        found: dict[tuple[str, str, str], Severity] = {}
        for item in self.drift.findings if self.drift is not None else ():
            for running in self.drift.standings if self.drift is not None else ():
                names = {running.component, running.component.partition(".")[0]}
                if (running.app, running.environment) == (item.app, item.environment) and names & set(
                    item.components
                ):
                    key = (running.app, running.environment, running.component)
                    found[key] = max(found.get(key, Severity.INFO), item.severity)
        return found


@dataclass(frozen=True, slots=True)
class Released:
    """A release of consdb.

    Attributes
    ----------
    tag, url
        Its name and its page.
    at
        When it was made; None where that is not known.
    of_commit
        Whether that is only the date of its commit, since the tag has none.
    annotated
        Whether the tag is an annotated one.
    notes
        What it holds; None where that could not be had.
    trouble
        Why not.
    """

    tag: str
    url: str
    at: datetime | None = None
    of_commit: bool = False
    annotated: bool = True
    notes: ReleaseNotes | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of consdb, the newest first.

    Attributes
    ----------
    items
        The releases.
    older
        How many more there are.
    web
        Address of the repository.
    trouble
        Why they could not be had.
    """

    items: tuple[Released, ...] = ()
    older: int = 0
    web: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """The whole picture.

    Attributes
    ----------
    repository
        The repository of the schemas.
    now
        The moment that it shows.
    changes
        Open changes: those that need attention first, then those that wait for longest.
    unread
        Pull requests that could not be looked at.
    finished, unaffected
        How many pull requests are not shown, because nothing is left to do or no schema is changed.
    environments, releases
        What runs where, and what is in which release.
    """

    repository: str
    now: datetime
    changes: tuple[Change, ...]
    unread: tuple[Unread, ...]
    finished: int
    unaffected: int
    environments: Environments
    releases: Releases

    @property
    def today(self) -> date:
        """The day in UTC."""
        return self.now.astimezone(UTC).date()

    @property
    def waiting(self) -> tuple[tuple[str, int], ...]:
        """How many changes wait for each owner, the most first."""
        count = Counter(name for change in self.changes for name in change.owners)
        return tuple(sorted(count.items(), key=lambda pair: (-pair[1], pair[0])))

    def brought_by(self, tag: str) -> tuple[Change, ...]:
        """Return the open changes whose migration a release brought."""
        return tuple(change for change in self.changes if change.release == tag)


def make_board(
    repository: str,
    now: datetime,
    known: Iterable[Facts],
    unread: Iterable[Unread],
    environments: Environments,
    releases: Releases,
) -> Board:
    """Put the picture together.

    Parameters
    ----------
    repository
        The repository of the schemas, as ``owner/name``.
    now
        The moment that the board shows; who may attest and who is a designate is that of this day.
    known
        The facts of pull requests, in any order; of several of one pull request the newest count.
    unread
        Pull requests whose facts could not be had.
    environments, releases
        What runs where, and what is in which release.

    Returns
    -------
    Board
        The same facts give the same board, in whatever order they come.
    """
    latest: dict[int, Facts] = {}
    missing = list(unread)
    for facts in known:
        number = facts.pull.number
        if facts.repository.casefold() != repository.casefold():
            name = f"{facts.repository}#{number}"
            words = f"it is a pull request of {facts.repository}, and this is the board of {repository}"
            missing.append(Unread(name, words, facts.pull.title, facts.pull.url))
        elif number not in latest or facts.now > latest[number].now:
            latest[number] = facts
    changes: list[Change] = []
    finished = unaffected = 0
    for number in sorted(latest):
        facts = replace(latest[number], now=now)
        if not facts.schemas and (trouble := facts.trouble(Source.SCHEMAS)):
            missing.append(Unread(f"#{number}", trouble, facts.pull.title, facts.pull.url))
            continue
        if not facts.schemas:
            unaffected += 1
            continue
        progress = progress_of(facts)
        dropped = facts.pull.state == "closed" and facts.pull.merged_at is None
        if dropped or not any(item.open for item in progress.steps):
            finished += 1
            continue
        changes.append(Change(facts, progress))
    changes.sort(key=lambda item: (not item.needs_attention, item.since, item.facts.pull.number))
    return Board(
        repository,
        now,
        tuple(changes),
        tuple(sorted(missing, key=lambda item: (len(item.name), item.name, item.words))),
        finished,
        unaffected,
        environments,
        releases,
    )
