"""Read the facts of the process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import GitHub, GitHubError
from consdb_actions.adapters.github.contents import changes_at
from consdb_actions.adapters.github.process_facts import ConsdbReader, PhalanxReader
from consdb_actions.adapters.github.pull_requests import PullReader, read_comments
from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.approval.comment import MARKER, Part, own_sections
from consdb_actions.approval.evaluate import Decision, ReviewEffect, RoleOutcome, RoleVerdict, evaluate
from consdb_actions.approval.facts import Account, ApprovalFacts, Team
from consdb_actions.config import Config
from consdb_actions.deploy.tags import TagKind, read_tag
from consdb_actions.errors import InputError
from consdb_actions.migration.preview import preview_schema
from consdb_actions.process.comment_commands import mentions_commands
from consdb_actions.process.evidence import CONSDB, CONSDBTAP, ticket_image
from consdb_actions.process.facts import (
    Approvals,
    Comment,
    Deployment,
    FactSource,
    ProcessFacts,
    RoleApproval,
    SchemaChange,
    SourceFailure,
)
from consdb_actions.process.plan import CONTEXT
from consdb_actions.process.policy import ProcessPolicy
from consdb_actions.process.stored_state import FINISHED, recall
from consdb_actions.schema.findings import ViewOf, check_sources
from consdb_actions.schema.model import Schema

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
        return [number for number in sorted(merged) if self._goes_on(number, identity)]

    def _goes_on(self, number: int, identity: Account) -> bool:
        """Tell whether our comment tells of steps and does not say that all are done."""
        marked = read_comments(self._github, self._repository, self._comments(number))
        return FINISHED not in own_sections(marked, identity).get(Part.PROCESS, FINISHED)

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
        before, after = (self._contents.files(commit, seen.policy.schemas) for commit in (fork, head.sha))
        found, broken = [], []
        for change in head.changes:
            name = change.path.rpartition("/")[2].rpartition(".")[0]
            try:
                one = self._schema(change.path, before.get(change.path))
                other = self._schema(change.path, after.get(change.path))
            except InputError:
                broken.append(f"{name}.yaml is not a valid schema, so its new tables are not known")
                found.append(SchemaChange(change.path, name))
            else:
                found.append(_schema_change(change.path, name, one, other, config))
        return tuple(found), "; ".join(broken)

    def _schema(self, path: str, blob: str | None) -> Schema | None:
        """Read a schema as data; nothing in it is executed."""
        return None if blob is None else read_yaml(self._contents.blob(blob), source=path).schema

    def _with_consdb(self, facts: ProcessFacts, body: str, seen: ApprovalFacts) -> ProcessFacts:
        """Add migrations and EFD schemas."""
        reader = self._consdb.setdefault(facts.policy, ConsdbReader(self._github, facts.policy))
        migrations = (
            self._tried(
                FactSource.CONSDB,
                facts.policy.consdb,
                lambda: reader.migrations(self._repository, facts.pull, body),
            )
            or ()
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
                FactSource.CONSDB, facts.policy.consdb, lambda: reader.efd_files(facts.pull, body, here)
            )
            facts = replace(facts, efd_files=found or ())
        return facts

    def _with_deployments(self, facts: ProcessFacts, seen: ApprovalFacts) -> ProcessFacts:
        """Add what is deployed, the releases that hold the change, and since when it is there."""
        policy = facts.policy
        phalanx = self._phalanx.setdefault(policy, PhalanxReader(self._github, policy))
        consdb = self._consdb[policy]
        found = self._tried(FactSource.PHALANX, policy.phalanx, phalanx.deployments) or ()
        images = tuple(item for item in found if item.application == CONSDB)
        taps = tuple(item for item in found if item.application == CONSDBTAP)
        tags = frozenset(item.tag for item in images)
        releases, newest = self._tried(
            FactSource.CONSDB, policy.consdb, lambda: consdb.releases(facts.migrations, tags)
        ) or ((), "")
        weeklies = self._weeklies(facts, taps)
        merges = [item.merged_at for item in facts.migrations if item.live and item.merged_at is not None]
        if releases:
            names = {release.tag for release in releases}
            images = self._dated(phalanx, policy, images, max(merges), names.__contains__)
        image = ticket_image(facts.pull.branch)
        taps = self._dated(
            phalanx, policy, taps, facts.pull.created_at, lambda tag: tag == image or tag in weeklies
        )
        # What was there for a while counts for the order in which things were done.
        weeklies = (*weeklies, *self._weeklies(facts, taps, known=weeklies))
        return replace(
            facts,
            deployments=(*images, *taps),
            releases=releases,
            newest_release=newest,
            weeklies=weeklies,
        )

    def _dated(
        self,
        phalanx: PhalanxReader,
        policy: ProcessPolicy,
        deployments: tuple[Deployment, ...],
        since: datetime,
        holds: Callable[[str], bool],
    ) -> tuple[Deployment, ...]:
        """Add since when the tags that matter are there."""
        found = self._tried(
            FactSource.PHALANX, policy.phalanx, lambda: phalanx.with_history(deployments, since, holds)
        )
        return deployments if found is None else found

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
        held = self._tried(
            FactSource.TAGS, self._repository, lambda: tuple(tag for tag in tags if self._holds(tag, merge))
        )
        return held or ()

    def _holds(self, tag: str, commit: str) -> bool:
        """Tell whether a tag of the repository of the schemas has a commit in its history."""
        return self._github.contains(self._repository, tag, commit, missing=(404,))

    def _team(self, name: str) -> Team:
        """Read a team once in a run."""
        if name not in self._teams:
            self._teams[name] = self.team(name)
        return self._teams[name]

    def _tried(self, source: FactSource, where: str, read: Callable[[], _T]) -> _T | None:
        """Read something; that a token may not, or that it is not there or no good, is a fact."""
        try:
            return read()
        except (GitHubError, InputError) as error:
            if isinstance(error, GitHubError) and error.status not in (403, 404, 451):
                raise
            words = " ".join(f"{where} could not be read: {error.cause}".split())[:300]
            self._troubles[source] = SourceFailure(source, words)
            return None


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
    """Sum the verdict on the approvals up."""
    return Approvals(
        decision.state.value,
        decision.description,
        decision.applicable,
        decision.approved,
        tuple(_role(item) for item in decision.roles),
    )


def _role(item: RoleVerdict) -> RoleApproval:
    """Sum the verdict on a role up."""
    counted = [
        review.submitted_at
        for review in item.reviews
        if review.standing in (ReviewEffect.COUNTS, ReviewEffect.SUPERSEDED)
        and review.submitted_at is not None
    ]
    approver = item.approver
    return RoleApproval(
        id=item.role.id,
        title=item.role.title,
        outcome=item.outcome.value,
        reason=item.reason,
        by=approver.author.login if approver is not None else "",
        at=min(counted, default=None) if item.outcome is RoleOutcome.APPROVED else None,
        url=approver.url if approver is not None else "",
        eligible=item.eligible,
    )
