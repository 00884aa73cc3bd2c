"""What the repository of the schemas shows of a schema change: the pull request, comments, approvals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.contents import Contents
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.approval import evaluate
from consdb_actions.approval.facts import Facts as ApprovalFacts
from consdb_actions.approval.verdict import Decision, Outcome, RoleVerdict, Standing
from consdb_actions.errors import InputError
from consdb_actions.migration.preview import preview_schema
from consdb_actions.process.facts import (
    Approvals,
    Comment,
    Facts,
    Pull,
    RoleApproval,
    SchemaChange,
    Source,
    Trouble,
)
from consdb_actions.process.language import mentions_commands
from consdb_actions.process.memory import MARKER, recall
from consdb_actions.process.plan import CONTEXT
from consdb_actions.process.policy import ProcessPolicy
from consdb_actions.process.sites import Checklist
from consdb_actions.schema.findings import Severity
from consdb_actions.schema.model import Schema
from consdb_actions.schema.review import ViewOf
from consdb_actions.schema.sources import DataSource, check_sources

__all__ = ["Settings", "read_own"]

SHOWN = ("source-missing", "source-differs", "near-duplicate")
"""Rules whose findings have a place of their own."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says about the process.

    Attributes
    ----------
    policy
        The policy.
    views
        Tables in the YAML that are views in the database.
    sources
        What fills the tables.
    checklists
        What each role looks at before it approves.
    severities
        Severities of findings that differ from their default.
    """

    policy: ProcessPolicy
    views: Mapping[str, ViewOf] = field(default_factory=dict)
    sources: tuple[DataSource, ...] = ()
    checklists: tuple[Checklist, ...] = ()
    severities: Mapping[str, Severity] = field(default_factory=dict)


def read_own(
    github: GitHub, contents: Contents, data: Any, seen: ApprovalFacts, settings: Settings, source: str
) -> Facts:
    """Read the facts that the repository of the schemas has."""
    root = f"/repos/{seen.repository}"
    head = seen.pull.head
    statuses = (item for page in github.pages(f"{root}/commits/{head}/statuses") for item in page)
    shown = next((item for item in statuses if item["context"] == CONTEXT), None)
    commit = github.get(f"{root}/git/commits/{head}", lasting=True)
    items = github.items(f"{root}/issues/{seen.pull.number}/comments")
    created = reading.moment(data["created_at"])
    assert created is not None
    schemas, trouble = _schemas(contents, seen, settings)
    merged = bool(data.get("merged_at"))
    facts = Facts(
        repository=seen.repository,
        html_url=seen.html_url,
        now=seen.now,
        identity=seen.identity,
        pull=Pull(
            number=seen.pull.number,
            title=seen.pull.title,
            url=seen.pull.url,
            author=seen.pull.author,
            state=seen.pull.state,
            draft=seen.pull.draft,
            branch=data["head"]["ref"],
            head=head,
            base_branch=seen.pull.base_branch,
            base=seen.pull.base,
            created_at=created,
            merged_at=reading.moment(data.get("merged_at")),
            merge_commit=(data.get("merge_commit_sha") or "") if merged else "",
            committed_at=reading.moment(commit["committer"]["date"]),
            pushed_at=_pushed_at(github, f"{root}/commits/{head}/check-runs"),
            labels=seen.pull.labels,
        ),
        policy=settings.policy,
        policy_source=source,
        approvals=_approvals(evaluate(seen)),
        schemas=schemas,
        checklists=settings.checklists if schemas else (),
        changes=tuple(change for change in seen.changes if change.sha == head),
        marked=reading.comments(items, MARKER),
        status=reading.status(shown) if shown is not None else None,
        troubles=(Trouble(Source.SCHEMAS, trouble),) if trouble else (),
    )
    return replace(facts, comments=tuple(_comments(items, recall(facts))))


def _pushed_at(github: GitHub, path: str) -> datetime | None:
    """Return when the first check began on a commit; None when none did, or the token may not see them."""
    try:
        pages = list(github.pages(path, {"filter": "all"}))
    except GitHubError as error:
        if error.status not in (403, 404):
            raise
        return None
    moments = [reading.moment(item.get("started_at")) for page in pages for item in page["check_runs"]]
    return min((moment for moment in moments if moment is not None), default=None)


def _schemas(
    contents: Contents, seen: ApprovalFacts, settings: Settings
) -> tuple[tuple[SchemaChange, ...], str]:
    """List the changed schemas with their new tables, and say what could not be read of them."""
    head = seen.change_at(seen.pull.head)
    if head is None or head.problem:
        return (), head.problem if head is not None else "the newest commit was not looked at"
    if not head.changes:
        return (), ""
    fork = contents.fork_point(seen.pull.base, head.sha)
    before, after = contents.files(fork, seen.policy), contents.files(head.sha, seen.policy)
    found, broken = [], []
    for change in head.changes:
        name = change.path.rpartition("/")[2].rpartition(".")[0]
        try:
            one = _schema(contents, change.path, before.get(change.path))
            other = _schema(contents, change.path, after.get(change.path))
        except InputError:
            broken.append(f"{name}.yaml is no valid schema, so its new tables are not known")
            found.append(SchemaChange(change.path, name))
        else:
            found.append(_schema_change(change.path, name, one, other, settings))
    return tuple(found), "; ".join(broken)


def _schema_change(
    path: str, name: str, before: Schema | None, after: Schema | None, settings: Settings
) -> SchemaChange:
    """Say what a reviewer and the steps must know of the change of a schema."""
    views, sources = settings.views, settings.sources
    seen = preview_schema(before, after, views=views, severities=settings.severities, sources=sources)
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


def _schema(contents: Contents, path: str, blob: str | None) -> Schema | None:
    """Read a schema as data; nothing in it is executed."""
    return None if blob is None else read_yaml(contents.blob(blob), source=path).schema


def _comments(items: Iterable[Any], known: Collection[int]) -> list[Comment]:
    """Read the comments that may hold commands, and those that held some when they were first read."""
    found = []
    for item in items:
        body = item.get("body") or ""
        created, updated = reading.moment(item.get("created_at")), reading.moment(item.get("updated_at"))
        if created is None or body.lstrip().startswith(MARKER):
            continue
        if not mentions_commands(body) and item["id"] not in known:
            continue
        found.append(
            Comment(
                id=item["id"],
                author=reading.account(item.get("user")),
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
        if review.standing in (Standing.COUNTS, Standing.SUPERSEDED) and review.submitted_at is not None
    ]
    approver = item.approver
    return RoleApproval(
        id=item.role.id,
        title=item.role.title,
        outcome=item.outcome.value,
        reason=item.reason,
        by=approver.author.login if approver is not None else "",
        at=min(counted, default=None) if item.outcome is Outcome.APPROVED else None,
        url=approver.url if approver is not None else "",
        eligible=item.eligible,
    )
