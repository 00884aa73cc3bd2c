"""Read the facts of the process."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import PAGE, GitHub, GitHubError, quoted, quoted_path
from consdb_actions.adapters.github.contents import ApiContents, Objects, SchemaFiles, changes_at
from consdb_actions.adapters.github.pull_requests import PullReader, read_comments
from consdb_actions.adapters.github.releases import ReleaseReader
from consdb_actions.approval.evaluate import Decision, ReviewEffect, RoleOutcome, evaluate
from consdb_actions.approval.facts import Account, ApprovalFacts, PullRequest, Team
from consdb_actions.approval.plan import MARKER, Part, own_sections
from consdb_actions.config import Config
from consdb_actions.deploy.model import TagKind, Values, read_tag, slots, values_file
from consdb_actions.deploy.values import parse_values
from consdb_actions.errors import InputError
from consdb_actions.migration.preview import preview_schema
from consdb_actions.process.comment_commands import FINISHED, mentions_commands, recall
from consdb_actions.process.evidence import CONSDB, CONSDBTAP, ticket_image
from consdb_actions.process.facts import (
    Approvals,
    Comment,
    Deployment,
    EfdCopy,
    EfdFile,
    EfdSource,
    FactSource,
    MigrationPull,
    ProcessFacts,
    PullLink,
    RoleApproval,
    SchemaChange,
    SourceFailure,
    TaggedRelease,
    TagSetting,
    efd_origin,
    plan_copy,
)
from consdb_actions.process.plan import CONTEXT
from consdb_actions.process.policy import ProcessPolicy
from consdb_actions.publication.source import read_marker
from consdb_actions.release.versions import last_release, parse_version
from consdb_actions.schema.findings import ViewOf, check_sources
from consdb_actions.schema.model import Schema

_REVISION = re.compile(r"alembic/[^/]+/versions/[^/]+\.py")


class ConsdbReader:
    """Reads the repository of migrations."""

    def __init__(self, github: GitHub, policy: ProcessPolicy) -> None:
        self._github = github
        self._policy = policy
        self.repository = policy.consdb
        self._root = f"/repos/{policy.consdb}"
        self._releases = ReleaseReader(github, policy.consdb)

    def migrations(self, repository: str, pull: PullRequest, body: str) -> tuple[MigrationPull, ...]:
        """Find the pull requests that carry the migration of a schema change.

        Those count that say so in their mark, and the one that a copy of EFD schemas was made from; where
        there is none, those of a branch of the same ticket that add revisions. Only branches of the
        repository itself count, because only members can push to them.
        """
        origin = efd_origin(body)
        efd = origin.number if origin is not None and self._is(origin.repository) else 0
        # Those that changed last: a hundred reach back for years.
        query: dict[str, str | int] = {"state": "all", "sort": "updated", "direction": "desc"}
        recent = next(self._github.pages(f"{self._root}/pulls", query))
        items = {item["number"]: item for item in recent}
        if efd and efd not in items and (found := self._github.find(f"{self._root}/pulls/{efd}")) is not None:
            items[efd] = found
        known = self._linked(repository, pull, efd, items)
        if not known and len(recent) >= PAGE:  # else these are all that there are
            for branch in (f"{pull.branch}-migration", f"{pull.branch}-migrate", pull.branch):
                items.update(
                    {item["number"]: item for item in self._github.pulls_of(self.repository, branch)}
                )
            known = self._linked(repository, pull, efd, items)
        return tuple(
            migration
            for number, link in sorted(known.items())
            if (migration := self._migration(items[number], link, _references(repository, pull))) is not None
        )

    def releases(
        self, migrations: tuple[MigrationPull, ...], deployed: frozenset[str]
    ) -> tuple[tuple[TaggedRelease, ...], str]:
        """Find the release tags that hold some merged migrations."""
        tags = self._releases.tags()
        newest = last_release(tags)
        name = newest.name if newest is not None else ""
        live = [item for item in migrations if item.live]
        moments = [item.merged_at for item in live if item.merged_at is not None]
        if not live or len(moments) < len(live):
            return (), name
        # A day earlier, since the month of a tag is that of its maker's clock.
        start = max(moments) - timedelta(days=1)
        found: list[TaggedRelease] = []
        for version, tag in sorted(
            (version, tag) for tag in tags if (version := parse_version(tag.name)) is not None
        ):
            if (version.year, version.month) < (start.year, start.month) or (
                found and tag.name not in deployed
            ):
                continue
            if all(
                tag.commit == item.merge_commit
                or self._github.contains(self.repository, tag.commit, item.merge_commit)
                for item in live
            ):
                release = TaggedRelease(tag.name, tag.commit, self._page("tree", tag.name), tag.annotated)
                found.append(release if found else self._dated(release, tag.object))
        return tuple(found), name

    def efd_files(self, pull: PullRequest, body: str, here: dict[str, str]) -> tuple[EfdFile, ...]:
        """Compare EFD schemas with those of consdb."""
        origin = efd_origin(body)
        commit = self._releases.branch.head
        if origin is not None and origin.number and self._is(origin.repository):
            found = self._github.find(f"{self._root}/pulls/{origin.number}")
            if found is not None and found["state"] == "open":
                commit = found["head"]["sha"]
        wanted = (f"{self._policy.efd.sources}/*.yaml",)
        there = ApiContents(self._github, self.repository).files(commit, wanted)
        files = []
        for path, blob in sorted(here.items()):
            name = path.rpartition("/")[2]
            if name in self._policy.efd.without:
                continue
            source = f"{self._policy.efd.sources}/{name}"
            url = self._page("blob", f"{commit}/{source}")
            files.append(EfdFile(name.removesuffix(".yaml"), there.get(source, ""), blob, url))
        return tuple(files)

    def _linked(
        self, repository: str, pull: PullRequest, efd: int, items: dict[int, Any]
    ) -> dict[int, PullLink]:
        """Choose the pull requests that belong to a change, by the strongest link there is."""
        wanted = _references(repository, pull)
        found: dict[int, PullLink] = {}
        branches: dict[int, PullLink] = {}
        ticket = self._policy.ticket_in(pull.branch, pull.title)
        for number, item in items.items():
            if not graphql.is_own(item):
                continue
            marker = read_marker(item.get("body") or "")
            if marker is not None:
                if marker.commit_of(wanted):
                    found[number] = PullLink.MARKER
            elif number == efd:
                found[number] = PullLink.EFD
            elif ticket and self._policy.ticket_in(item["head"]["ref"]) == ticket:
                branches[number] = PullLink.BRANCH
        return found or branches

    def _migration(self, item: Any, link: PullLink, references: Collection[str]) -> MigrationPull | None:
        """Read a pull request with its files; None for one found by its branch that adds no revision."""
        number = item["number"]
        rows = self._github.items(f"{self._root}/pulls/{number}/files")
        revisions = [
            [row["filename"], row["status"], row["sha"]]
            for row in rows
            if _REVISION.fullmatch(row["filename"])
        ]
        if link is PullLink.BRANCH and not revisions:
            return None
        head = item["head"]["sha"]
        commit = self._github.get(f"{self._root}/git/commits/{head}", lasting=True)
        marker = read_marker(item.get("body") or "")
        created = graphql.moment(item["created_at"])
        assert created is not None
        digest = hashlib.sha256(json.dumps(sorted(revisions)).encode()).hexdigest()[:16] if revisions else ""
        return MigrationPull(
            number=number,
            url=item["html_url"],
            title=item.get("title") or "",
            branch=item["head"]["ref"],
            head=head,
            state=item["state"],
            link=link,
            created_at=created,
            draft=bool(item.get("draft")),
            merged_at=graphql.moment(item.get("merged_at")),
            merge_commit=(item.get("merge_commit_sha") or "") if item.get("merged_at") else "",
            committed_at=graphql.moment(commit["committer"]["date"]),
            source=marker.commit_of(references) if marker is not None and link is PullLink.MARKER else "",
            files=tuple(row["filename"] for row in rows),
            digest=digest,
        )

    def _dated(self, release: TaggedRelease, sha: str) -> TaggedRelease:
        """Add when a release was tagged, which its tag object says, and its notes."""
        at = None
        if sha:
            tag = self._github.get(f"{self._root}/git/tags/{sha}", lasting=True)
            at = graphql.moment((tag.get("tagger") or {}).get("date"))
        notes = self._github.find(f"{self._root}/releases/tags/{quoted(release.tag)}")
        if notes is None:
            return replace(release, at=at)
        published = graphql.moment(notes.get("published_at"))
        return replace(release, at=at or published, release_url=notes["html_url"])

    def _page(self, kind: str, name: str) -> str:
        return f"{self._releases.html_url}/{kind}/{quoted_path(name)}"

    def _is(self, repository: str) -> bool:
        return repository.casefold() == self.repository.casefold()


def _references(repository: str, pull: PullRequest) -> tuple[str, str]:
    return f"{repository}#{pull.number}", f"{repository}@{pull.branch}"


MOST = 30  # Commits of a file that are looked at to find out since when it says something

# How long a commit may have waited on its branch: GitHub looks for commits by their own date.
EARLIER = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class _Row:
    component: str
    tag: str
    enabled: bool


class PhalanxReader:
    """Reads the values files; what runs now is read once in a run."""

    def __init__(self, github: GitHub, policy: ProcessPolicy) -> None:
        self._github = github
        self._policy = policy
        self._root = f"/repos/{policy.phalanx}"
        self._objects = Objects(github, policy.phalanx)
        self._tip = ""
        self._now: tuple[Deployment, ...] | None = None

    def deployments(self) -> tuple[Deployment, ...]:
        """Read what runs now, without its history."""
        if self._now is None:
            self._tip = self._github.tip(self._policy.phalanx, self._policy.phalanx_branch)
            wanted = [("consdb", name) for name in self._policy.shown]
            wanted += [("consdbtap", name) for name in self._policy.tap_environments]
            there = self._objects.files((self._tip, values_file(*item)) for item in wanted)
            found = []
            for app, environment in wanted:
                file = values_file(app, environment)
                url = f"https://github.com/{self._policy.phalanx}/blob/{self._policy.phalanx_branch}/{file}"
                found += [
                    Deployment(app, environment, row.component, (TagSetting(row.tag),), row.enabled, url)
                    for row in _rows(app, environment, there[self._tip, file])
                ]
            self._now = tuple(found)
        return self._now

    def with_history(
        self, deployments: tuple[Deployment, ...], since: datetime, holds: Callable[[str], bool]
    ) -> tuple[Deployment, ...]:
        """Add since when the components have had the tags that matter."""
        files = {
            (item.application, item.environment) for item in deployments if item.enabled and holds(item.tag)
        }
        histories = self._histories(files, since)
        return tuple(
            replace(item, history=_settings(item, histories[item.application, item.environment]))
            if (item.application, item.environment) in files and holds(item.tag)
            else item
            for item in deployments
        )

    def _histories(
        self, files: Collection[tuple[str, str]], since: datetime
    ) -> dict[tuple[str, str], list[_Then]]:
        """Read values files after each change since a moment, oldest first; none where they are too many."""
        paths = {key: values_file(*key) for key in sorted(files)}
        changes = self._objects.histories(self._tip, paths.values(), MOST, since - EARLIER)
        some = {key: items for key, path in paths.items() if len(items := changes[path]) < MOST}
        texts = self._objects.files((item.sha, paths[key]) for key, items in some.items() for item in items)
        merges = self._objects.merges(item.sha for items in some.values() for item in items)
        found: dict[tuple[str, str], list[_Then]] = {key: [] for key in paths}
        for key, items in some.items():
            then = [
                (
                    _rows(*key, texts[item.sha, paths[key]]),
                    *min(merges[item.sha], default=(item.at, item.url)),
                )
                for item in reversed(items)
            ]
            # What was merged later was there later, whenever it was written.
            found[key] = sorted(then, key=lambda row: row[1])
        return found


_Then = tuple[tuple[_Row, ...], datetime, str]  # What a values file said, since when, and where that is shown


def _rows(app: str, environment: str, data: bytes | None) -> tuple[_Row, ...]:
    """Read the components of one values file; none where there is no file."""
    if data is None:
        return ()
    path = values_file(app, environment)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("this is not UTF-8", place=path) from error
    values = Values(environment, parse_values(text, place=path), text)
    return tuple(
        _Row(slot.component, values.tag(slot), values.is_enabled(slot))
        for slot in slots(app, values)
        if values.own_value(slot.path) is not None
    )


def _settings(item: Deployment, history: list[_Then]) -> tuple[TagSetting, ...]:
    """Return the tags that a component had, each once as long as it stayed; the present one is the last."""
    found: list[TagSetting] = []
    for rows, at, url in history:
        row = next((row for row in rows if row.component == item.component), None)
        tag = row.tag if row is not None and row.enabled else ""
        if not found or found[-1].tag != tag:
            found.append(TagSetting(tag, at, url))
    if not found or found[-1].tag != item.tag:
        return item.history
    return tuple(found)


class EfdReader:
    """Reads what a copy of EFD schemas rests on."""

    def __init__(self, github: GitHub, policy: ProcessPolicy, repository: str) -> None:
        self._github = github
        self._policy = policy
        self._repository = repository
        self._there = ApiContents(github, policy.consdb)

    def source(self, number: int | None, ticket: str) -> tuple[EfdSource, frozenset[str] | None]:
        """Find out what is to be copied, and which files of it: None for all.

        Without a number, all files of the default branch are meant, else those that the pull request changes
        while it is open. An empty ticket is the one that the pull request names, or the last that changed the
        schemas.
        """
        consdb = self._policy.consdb
        if number is None:
            commit = self._github.tip(consdb)
            if ticket or (newest := self._newest(commit)) is None:
                return EfdSource(consdb, commit, ticket), None
            named = self._policy.ticket_in(newest["head"]["ref"], newest.get("title") or "")
            shown = newest["number"], newest.get("title") or "", newest["html_url"]
            return EfdSource(consdb, commit, named, *shown), None
        data = self._pull(number)
        ticket = ticket or self._policy.ticket_in(data["head"]["ref"], data.get("title") or "")
        if not ticket:
            raise InputError(
                "neither its branch nor its title names a ticket",
                place=f"{consdb}#{number}",
                remedy="Give --ticket KEY.",
            )
        is_open = data["state"] == "open"
        commit = data["head"]["sha"] if is_open else self._github.tip(consdb)
        source = EfdSource(consdb, commit, ticket, number, data.get("title") or "", data["html_url"])
        if not is_open:
            return source, None
        folder = f"{self._policy.efd.sources}/"
        rows = self._github.items(f"/repos/{consdb}/pulls/{number}/files")
        names = [row["filename"] for row in rows if row["status"] != "removed"]
        return source, frozenset(name.removeprefix(folder) for name in names if name.startswith(folder))

    def copy(self, source: EfdSource, changed: frozenset[str] | None, base: str) -> EfdCopy:
        """Compare both sides; `base` is the newest commit of the default branch of sdm_schemas."""
        here = ApiContents(self._github, self._repository)
        return plan_copy(
            self._policy,
            _named(self._there.files(source.commit, (f"{self._policy.efd.sources}/efd_*.yaml",))),
            _named(here.files(base, (f"{self._policy.efd.target}/efd_*.yaml",))),
            changed,
        )

    def bytes_of(self, blob: str) -> bytes:
        """Return the bytes of a file in consdb."""
        return self._there.blob(blob)

    def _newest(self, commit: str) -> Any:
        """Return the merged pull request that changed the schemas last; None where there is none."""
        root, folder = f"/repos/{self._policy.consdb}", self._policy.efd.sources
        for change in self._github.get(f"{root}/commits", {"sha": commit, "path": folder, "per_page": 1}):
            pulls = self._github.get(f"{root}/commits/{change['sha']}/pulls")
            return next((item for item in pulls if item.get("merged_at")), None)
        return None

    def _pull(self, number: int) -> Any:
        """Read the pull request in consdb, which must be open or merged, and no fork's."""
        consdb = self._policy.consdb
        data = self._github.find(f"/repos/{consdb}/pulls/{number}")
        if data is None:
            raise InputError(
                f"{consdb} has no pull request {number}", place="--consdb-pr", remedy="Check the number."
            )
        home = (data["head"].get("repo") or {}).get("full_name", consdb)
        if home.casefold() != consdb.casefold() and data["state"] == "open":
            raise InputError(
                "it comes from a fork, and only branches of the repository itself are copied",
                place=f"{consdb}#{number}",
                remedy="Run this again when it is merged.",
            )
        if data["state"] != "open" and not data.get("merged_at"):
            raise InputError(
                "it was closed without a merge",
                place=f"{consdb}#{number}",
                remedy="Reopen it, or name another.",
            )
        return data


def _named(files: dict[str, str]) -> dict[str, str]:
    return {path.rpartition("/")[2]: blob for path, blob in files.items()}


_T = TypeVar("_T")

SHOWN = ("source-missing", "source-differs", "near-duplicate")  # rules with a place of their own


class ProcessReader(PullReader):
    """Reads the facts of the process."""

    def __init__(self, github: GitHub, repository: str, config: tuple[Config, str] | None = None) -> None:
        super().__init__(github, repository, config)
        self._phalanx: dict[ProcessPolicy, PhalanxReader] = {}
        self._consdb: dict[ProcessPolicy, ConsdbReader] = {}
        self._teams: dict[str, Team] = {}
        self._troubles: dict[FactSource, SourceFailure] = {}

    def followed(self, now: datetime) -> list[int]:
        """List the merged pull requests whose steps are not all done, as our comment says; oldest first.

        The policy of the default branch says for how many days after its merge one is followed.
        """
        if self._config is not None:
            config = self._config[0]
        else:
            config = self._config_at(self._github.default_branch(self._repository))[0]
        since = now - timedelta(days=config.process_policy.follow_days)
        query: dict[str, str | int] = {"state": "closed", "sort": "updated", "direction": "desc"}
        merged: list[int] = []
        for page in self._github.pages(f"{self._root}/pulls", query):
            for item in page:
                moment = graphql.moment(item.get("merged_at"))
                if moment is not None and moment >= since:
                    merged.append(item["number"])
            oldest = graphql.moment(page[-1].get("updated_at")) if page else None
            if oldest is None or oldest < since:
                break  # Whatever was merged after that was updated after that.
        identity = Account(self._github.viewer() if merged else "")
        found = []
        for number in sorted(merged):
            marked = read_comments(self._github, self._repository, self._comments(number))
            if FINISHED not in own_sections(marked, identity).get(Part.PROCESS, FINISHED):
                found.append(number)
        return found

    def read(self, number: int, now: datetime) -> ProcessFacts:
        """Read one pull request; what a token may not read, or what is not there, is a fact of its own."""
        with self._github.moment():
            return self._read(number, now)

    def _read(self, number: int, now: datetime) -> ProcessFacts:
        self._troubles = {}
        data = self._pull(number)
        seen = self.approvals(number, now, base=self._parent(data))
        config, source = self._config_at(data["base"]["ref"])
        facts = self._own(seen, config, source)
        self._troubles = {trouble.source: trouble for trouble in facts.troubles}
        if not facts.schemas:
            return facts
        teams = dict.fromkeys(name for owner in facts.policy.owners for name in owner.teams)
        facts = replace(facts, teams=tuple(self._team(name) for name in teams))
        facts = self._with_deployments(self._with_consdb(facts, data.get("body") or "", seen), seen)
        return replace(facts, troubles=tuple(self._troubles.values()))

    def _parent(self, data: Any) -> str:
        """Return what the base branch was before a merge commit; empty where its tip will do."""
        if not data.get("merged_at") or not data.get("merge_commit_sha"):
            return ""
        sha = data["merge_commit_sha"]
        parents = self._github.get(f"{self._root}/git/commits/{sha}", lasting=True)["parents"]
        # A squash or a rebase left the branch's own commits out of the history.
        return str(parents[0]["sha"]) if len(parents) == 2 else ""

    def _own(self, seen: ApprovalFacts, config: Config, source: str) -> ProcessFacts:
        """Read the facts that the repository of the schemas has."""
        pull, head = seen.pull, seen.pull.head
        commit = self._github.get(f"{self._root}/git/commits/{head}", lasting=True)
        schemas, trouble = self._schemas(seen, config)
        facts = ProcessFacts(
            repository=seen.repository,
            html_url=seen.html_url,
            now=seen.now,
            identity=seen.identity,
            pull=replace(
                pull,
                committed_at=graphql.moment(commit["committer"]["date"]),
                pushed_at=self._pushed_at(head),
            ),
            policy=config.process_policy,
            policy_source=source,
            approvals=_approvals(evaluate(seen)),
            schemas=schemas,
            checklists=config.sites.checklists if schemas else (),
            changes=tuple(change for change in seen.changes if change.sha == head),
            marked=seen.marked,
            status=self._status(head, CONTEXT),
            troubles=(SourceFailure(FactSource.SCHEMAS, trouble),) if trouble else (),
        )
        return replace(facts, comments=tuple(_comments(self._comments(pull.number), recall(facts))))

    def _pushed_at(self, head: str) -> datetime | None:
        """Return when the first check began on a commit; None if none did or may be seen."""
        try:
            pages = list(self._github.pages(f"{self._root}/commits/{head}/check-runs", {"filter": "all"}))
        except GitHubError as error:
            if error.status not in (403, 404):
                raise
            return None
        moments = [graphql.moment(item.get("started_at")) for page in pages for item in page["check_runs"]]
        return min((moment for moment in moments if moment is not None), default=None)

    def _schemas(self, seen: ApprovalFacts, config: Config) -> tuple[tuple[SchemaChange, ...], str]:
        """List the changed schemas with their new tables, and say what could not be read of them."""
        head = seen.change_at(seen.pull.head)
        if head is None or head.problem:
            return (), head.problem if head is not None else "the newest commit was not looked at"
        if not head.changes:
            return (), ""
        fork = self._contents.fork_point(seen.pull.base, head.sha)
        sides = [SchemaFiles(self._contents, commit, seen.policy.schemas) for commit in (fork, head.sha)]
        found, broken = [], []
        for change in head.changes:
            name = change.path.rpartition("/")[2].rpartition(".")[0]
            try:
                one, other = (side.version(change.path) for side in sides)
                valid = one.valid and other.valid
            except InputError:
                valid = False
            if not valid:
                broken.append(f"{name}.yaml is not a valid schema, so its new tables are not known")
                found.append(SchemaChange(change.path, name))
            else:
                found.append(_schema_change(change.path, name, one.schema, other.schema, config))
        return tuple(found), "; ".join(broken)

    def _with_consdb(self, facts: ProcessFacts, body: str, seen: ApprovalFacts) -> ProcessFacts:
        reader = self._consdb.setdefault(facts.policy, ConsdbReader(self._github, facts.policy))
        migrations = self._tried(
            FactSource.CONSDB,
            facts,
            lambda: reader.migrations(self._repository, facts.pull, body),
            facts.migrations,
        )
        older = dict.fromkeys(item.source for item in migrations if item.source not in ("", facts.pull.head))
        changes = (
            *facts.changes,
            *(changes_at(self._contents, seen.pull.base, sha, seen.policy.schemas) for sha in older),
        )
        facts = replace(facts, migrations=migrations, changes=changes)
        efd = {item.path for item in facts.schemas if item.schema.startswith("efd_")}
        if efd:
            files = self._contents.files(facts.pull.head, seen.policy.schemas)
            here = {path: files.get(path, "") for path in efd}
            found = self._tried(
                FactSource.CONSDB, facts, lambda: reader.efd_files(facts.pull, body, here), facts.efd_files
            )
            facts = replace(facts, efd_files=found)
        return facts

    def _with_deployments(self, facts: ProcessFacts, seen: ApprovalFacts) -> ProcessFacts:
        """Add what is deployed, the releases that hold the change, and since when it is there."""
        policy = facts.policy
        phalanx = self._phalanx.setdefault(policy, PhalanxReader(self._github, policy))
        consdb = self._consdb[policy]
        found: tuple[Deployment, ...] = self._tried(FactSource.PHALANX, facts, phalanx.deployments, ())
        images = tuple(item for item in found if item.application == CONSDB)
        taps = tuple(item for item in found if item.application == CONSDBTAP)
        tags = frozenset(item.tag for item in images)
        releases, newest = self._tried(
            FactSource.CONSDB,
            facts,
            lambda: consdb.releases(facts.migrations, tags),
            (facts.releases, facts.newest_release),
        )
        weeklies = self._weeklies(facts, taps)
        merges = [item.merged_at for item in facts.migrations if item.live and item.merged_at is not None]

        def dated(
            items: tuple[Deployment, ...], since: datetime, holds: Callable[[str], bool]
        ) -> tuple[Deployment, ...]:
            return self._tried(
                FactSource.PHALANX, facts, lambda: phalanx.with_history(items, since, holds), items
            )

        if releases:
            names = {release.tag for release in releases}
            images = dated(images, max(merges), names.__contains__)
        image = ticket_image(facts.pull.branch)
        taps = dated(taps, facts.pull.created_at, lambda tag: tag == image or tag in weeklies)
        # What was there for a while counts for the order in which things were done.
        weeklies = (*weeklies, *self._weeklies(facts, taps, known=weeklies))
        return replace(
            facts,
            deployments=(*images, *taps),
            releases=releases,
            newest_release=newest,
            weeklies=weeklies,
        )

    def _weeklies(
        self, facts: ProcessFacts, deployments: tuple[Deployment, ...], *, known: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Find out which deployed weekly tags hold the merge."""
        merge = facts.pull.merge_commit
        if not merge:
            return ()
        tags = dict.fromkeys(
            setting.tag
            for item in deployments
            for setting in item.history
            if read_tag(setting.tag).kind is TagKind.WEEKLY and setting.tag not in known
        )

        def holding() -> tuple[str, ...]:
            return tuple(
                tag for tag in tags if self._github.contains(self._repository, tag, merge, missing=(404,))
            )

        return self._tried(FactSource.TAGS, facts, holding, ())

    def _team(self, name: str) -> Team:
        if name not in self._teams:
            self._teams[name] = self.team(name)
        return self._teams[name]

    def _tried(self, source: FactSource, facts: ProcessFacts, read: Callable[[], _T], default: _T) -> _T:
        """Read something; that a token may not, or that it is not there or no good, is a fact."""
        try:
            return read()
        except (GitHubError, InputError) as error:
            if isinstance(error, GitHubError) and error.status not in (403, 404, 451):
                raise
            names = {FactSource.CONSDB: facts.policy.consdb, FactSource.PHALANX: facts.policy.phalanx}
            text = f"{names.get(source, self._repository)} could not be read: {error.cause}"
            self._troubles[source] = SourceFailure(source, " ".join(text.split())[:300])
            return default


def _schema_change(
    path: str, name: str, before: Schema | None, after: Schema | None, config: Config
) -> SchemaChange:
    """Say what a reviewer and the steps must know of the change of a schema."""
    views = {view.name: ViewOf(view.table, dict(view.rename)) for view in config.views}
    sources = config.sites.sources
    seen = preview_schema(before, after, views=views, severities=config.severities, sources=sources)
    meaning = tuple(item.marked for item in seen.statements)
    if after is None:
        return SchemaChange(path, name, meaning=meaning)
    unfilled = check_sources(sources, seen.delta, after, views)
    others = [item for item in seen.findings if item.rule not in SHOWN and item.severity != "info"]
    return SchemaChange(
        path,
        name,
        tuple(table.name for table in seen.delta.tables_added if table.name not in views),
        seen.sources,
        tuple(f"`{item.path}`: {item.message}" for item in unfilled),
        tuple(item for item in seen.relations if item.near),
        meaning,
        tuple((item.severity, f"`{item.path}`: {item.message}") for item in others),
    )


def _comments(items: Iterable[Any], known: Collection[int]) -> list[Comment]:
    """Read the comments that may hold commands, and those that held some when they were first read."""
    found = []
    for item in items:
        body = item.get("body") or ""
        created, updated = graphql.moment(item.get("created_at")), graphql.moment(item.get("updated_at"))
        if created is None or body.lstrip().startswith(MARKER):
            continue
        if not mentions_commands(body) and item["id"] not in known:
            continue
        found.append(
            Comment(
                id=item["id"],
                author=graphql.account(item.get("user")),
                created_at=created,
                updated_at=updated or created,
                body=body,
                url=item.get("html_url") or "",
            )
        )
    return found


def _approvals(decision: Decision) -> Approvals:
    roles = []
    for item in decision.roles:
        counted = [
            review.submitted_at
            for review in item.reviews
            if review.effect in (ReviewEffect.COUNTS, ReviewEffect.SUPERSEDED)
            and review.submitted_at is not None
        ]
        approver = item.approver
        roles.append(
            RoleApproval(
                id=item.role.id,
                title=item.role.title,
                outcome=item.outcome.value,
                reason=item.reason,
                by=approver.author.login if approver is not None else "",
                at=min(counted, default=None) if item.outcome is RoleOutcome.APPROVED else None,
                url=approver.url if approver is not None else "",
                eligible=item.eligible,
            )
        )
    return Approvals(
        decision.state.value, decision.description, decision.applicable, decision.approved, tuple(roles)
    )
