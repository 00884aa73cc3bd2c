"""What is known about a schema change when its steps are looked at.

Facts are plain values without behaviour. They are gathered by :mod:`consdb_actions.adapters.github` and can
be written to and read from JSON (:mod:`consdb_actions.process.codec`), so that any state can be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consdb_actions.approval.facts import Account, CommitChange, MarkedComment, PublishedStatus, Team
from consdb_actions.migration.duplicates import ColumnRelation
from consdb_actions.process.policy import ProcessPolicy
from consdb_actions.process.sites import Checklist
from consdb_actions.process.traces import Deployment, EfdFile, Link, Migration, Release, Setting
from consdb_actions.schema.sources import TableSource

__all__ = [
    "Approvals",
    "Comment",
    "Deployment",
    "EfdFile",
    "Facts",
    "Link",
    "Migration",
    "Pull",
    "Release",
    "RoleApproval",
    "SchemaChange",
    "Setting",
    "Source",
    "Trouble",
]


class Source(StrEnum):
    """What a fact comes from, for saying what could not be read."""

    CONSDB = "consdb"
    PHALANX = "phalanx"
    TAGS = "tags"
    SCHEMAS = "schemas"


@dataclass(frozen=True, slots=True)
class Pull:
    """The pull request in sdm_schemas.

    Attributes
    ----------
    number, title, url, author, draft, labels
        As GitHub shows them.
    state
        ``open`` or ``closed``.
    branch, head
        Its branch and the newest commit of it.
    base_branch, base
        The branch that it is for, and the newest commit of that.
    created_at, merged_at
        When it was opened and merged; None when it is not merged.
    merge_commit
        The commit that the merge made; empty when it is not merged.
    committed_at
        The date in the newest commit.
    pushed_at
        When the first check began on the newest commit, which is when it came; None when none did.
    """

    number: int
    title: str
    url: str
    author: Account | None
    state: str
    draft: bool
    branch: str
    head: str
    base_branch: str
    base: str
    created_at: datetime
    merged_at: datetime | None = None
    merge_commit: str = ""
    committed_at: datetime | None = None
    pushed_at: datetime | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleApproval:
    """What the approvals say of one role; `outcome` is a value of `approval.verdict.Outcome`.

    `at` is the earliest moment since which the role may have been filled.
    """

    id: str
    title: str
    outcome: str
    reason: str = ""
    by: str = ""
    at: datetime | None = None
    url: str = ""
    eligible: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approvals:
    """The verdict on the approvals; `state` is that of the status ``consdb/approvals``."""

    state: str
    description: str
    applicable: bool
    approved: bool
    roles: tuple[RoleApproval, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """A schema file that the pull request changes.

    Attributes
    ----------
    path, schema
        The file, and the schema's name.
    new_tables
        The tables that it adds (views are none).
    sources
        What fills the tables that it adds or alters.
    source_findings
        What is wrong with that, in sentences.
    relations
        New columns that the schema nearly has already.
    meaning
        What differs, in sentences in which backquotes mark code.
    findings
        What else a reviewer would object to: severity and sentence.
    """

    path: str
    schema: str
    new_tables: tuple[str, ...] = ()
    sources: tuple[TableSource, ...] = ()
    source_findings: tuple[str, ...] = ()
    relations: tuple[ColumnRelation, ...] = ()
    meaning: tuple[str, ...] = ()
    findings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on the pull request that may hold commands."""

    id: int
    author: Account | None
    created_at: datetime
    updated_at: datetime
    body: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What could not be read, and why; nothing is concluded from what is missing because of it."""

    source: Source
    words: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the states of the steps rest on.

    Attributes
    ----------
    repository, html_url
        The repository of the pull request, and its address on the web without a slash at the end.
    now
        The moment for which designations are looked at.
    identity
        Our own account.
    pull, policy, policy_source, approvals
        The pull request, the policy with the name of its source, and what the approvals say.
    schemas
        The schema files that it changes.
    checklists
        What each role looks at before it approves.
    changes
        The schema change at its newest commit, and at the commits that migrations were generated from.
    migrations
        Pull requests in consdb, oldest first.
    releases
        Release tags that hold all of them, oldest first.
    newest_release
        The newest release of consdb, whatever it holds.
    deployments
        What is deployed where.
    weeklies
        Those tags among the deployed ones that are weekly tags of sdm_schemas and hold the merge.
    efd_files
        The changed schemas of the transformed EFD, here and in consdb.
    teams
        Members of the teams that the policy names.
    comments
        Comments in which ``/consdb`` stands, whoever wrote them.
    marked
        Comments that start with our marker.
    status
        The newest status ``consdb/ready-to-merge`` of the newest commit.
    troubles
        What could not be read.
    """

    repository: str
    html_url: str
    now: datetime
    identity: Account
    pull: Pull
    policy: ProcessPolicy
    policy_source: str
    approvals: Approvals
    schemas: tuple[SchemaChange, ...] = ()
    checklists: tuple[Checklist, ...] = ()
    changes: tuple[CommitChange, ...] = ()
    migrations: tuple[Migration, ...] = ()
    releases: tuple[Release, ...] = ()
    newest_release: str = ""
    deployments: tuple[Deployment, ...] = ()
    weeklies: tuple[str, ...] = ()
    efd_files: tuple[EfdFile, ...] = ()
    teams: tuple[Team, ...] = ()
    comments: tuple[Comment, ...] = ()
    marked: tuple[MarkedComment, ...] = ()
    status: PublishedStatus | None = None
    troubles: tuple[Trouble, ...] = ()

    def trouble(self, source: Source) -> str:
        """Return why something could not be read; empty when it could."""
        return "; ".join(trouble.words for trouble in self.troubles if trouble.source is source)

    def change_at(self, sha: str) -> CommitChange | None:
        """Return the schema change at a commit, or None when it was not looked at."""
        return next((change for change in self.changes if change.sha == sha), None)
