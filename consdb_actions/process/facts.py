"""Facts about a schema change, the input for its status.

They are plain values, read by :mod:`consdb_actions.adapters.github`; :mod:`consdb_actions.process.codec`
converts them to and from JSON.
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
    """The source of a fact, to name what could not be read."""

    CONSDB = "consdb"
    PHALANX = "phalanx"
    TAGS = "tags"
    SCHEMAS = "schemas"


@dataclass(frozen=True, slots=True)
class Pull:
    """The pull request in sdm_schemas."""

    number: int
    title: str
    url: str
    author: Account | None
    state: str  # ``open`` or ``closed``
    draft: bool
    branch: str
    head: str  # newest commit of the branch
    base_branch: str
    base: str  # newest commit of the base branch
    created_at: datetime
    merged_at: datetime | None = None
    merge_commit: str = ""  # empty unless merged
    committed_at: datetime | None = None  # date in the newest commit
    pushed_at: datetime | None = None  # start of the first check on the newest commit; None without checks
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleApproval:
    """The approval of one role."""

    id: str
    title: str
    outcome: str  # a value of `approval.verdict.Outcome`
    reason: str = ""
    by: str = ""
    at: datetime | None = None  # earliest time since which the role may have been filled
    url: str = ""
    eligible: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approvals:
    """The verdict on the approvals."""

    state: str  # of the status ``consdb/approvals``
    description: str
    applicable: bool
    approved: bool
    roles: tuple[RoleApproval, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """A changed schema file of the pull request."""

    path: str
    schema: str
    new_tables: tuple[str, ...] = ()  # added tables, without views
    sources: tuple[TableSource, ...] = ()  # of the data in added or altered tables
    source_findings: tuple[str, ...] = ()  # problems with the sources, as sentences
    relations: tuple[ColumnRelation, ...] = ()  # new columns that resemble existing ones
    meaning: tuple[str, ...] = ()  # the differences, as sentences with backquoted code
    findings: tuple[tuple[str, str], ...] = ()  # of the preview: severity and sentence


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
    """An unreadable source; its missing facts prove nothing."""

    source: Source
    words: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts about one pull request."""

    repository: str
    html_url: str  # web address of the repository, without trailing slash
    now: datetime  # determines which designates hold a role
    identity: Account  # our own account
    pull: Pull
    policy: ProcessPolicy
    policy_source: str
    approvals: Approvals
    schemas: tuple[SchemaChange, ...] = ()
    checklists: tuple[Checklist, ...] = ()
    changes: tuple[CommitChange, ...] = ()  # at the newest commit, and at the source commits of migrations
    migrations: tuple[Migration, ...] = ()  # pull requests in consdb, oldest first
    releases: tuple[Release, ...] = ()  # that contain all migrations, oldest first
    newest_release: str = ""  # of consdb, independent of the change
    deployments: tuple[Deployment, ...] = ()
    weeklies: tuple[str, ...] = ()  # deployed weekly tags of sdm_schemas that contain the merge
    efd_files: tuple[EfdFile, ...] = ()  # changed schemas of the transformed EFD
    teams: tuple[Team, ...] = ()  # named in the policy
    comments: tuple[Comment, ...] = ()  # that contain ``/consdb``, by any author
    marked: tuple[MarkedComment, ...] = ()  # comments that start with our marker
    status: PublishedStatus | None = None  # newest ``consdb/ready-to-merge`` of the newest commit
    troubles: tuple[Trouble, ...] = ()

    def trouble(self, source: Source) -> str:
        """Return why a source could not be read; empty if it could."""
        return "; ".join(trouble.words for trouble in self.troubles if trouble.source is source)

    def change_at(self, sha: str) -> CommitChange | None:
        """Return the schema change at a commit; None if it was not read."""
        return next((change for change in self.changes if change.sha == sha), None)
