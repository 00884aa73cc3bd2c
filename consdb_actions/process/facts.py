"""Facts about a schema change, and about a copy of EFD schemas."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from consdb_actions.approval.facts import Account, PullFacts
from consdb_actions.forms import Form, hidden, read_hidden
from consdb_actions.migration.duplicates import ColumnRelation
from consdb_actions.process.policy import ProcessPolicy
from consdb_actions.process.sites import Checklist
from consdb_actions.schema.findings import TableSource


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence with its URL, which may be empty."""

    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class StepFinding:
    """The conclusion from the evidence on a step."""

    done: bool
    text: str  # a sentence without full stop
    at: datetime | None = None  # since when it is done, if known
    by: str = ""
    evidence: tuple[Evidence, ...] = ()
    stale: bool = False  # done, but for another state of the change
    unknown: bool = False  # unreadable; counts as not done


def latest(moments: list[datetime | None]) -> datetime | None:
    """Return the latest time; None if there is none or one is unknown."""
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def listed(text: list[str] | tuple[str, ...]) -> str:
    """Join words as in a sentence."""
    return " and ".join([", ".join(text[:-1]), text[-1]]) if len(text) > 1 else "".join(text)


class PullLink(StrEnum):
    """How a consdb pull request is linked to the change."""

    MARKER = "marker"
    EFD = "efd"
    BRANCH = "branch"


@dataclass(frozen=True, slots=True)
class MigrationPull:
    """A pull request in consdb with the migration; fields as in `PullRequest`."""

    number: int
    url: str
    title: str
    branch: str
    head: str
    state: str
    link: PullLink
    created_at: datetime
    draft: bool = False
    merged_at: datetime | None = None
    merge_commit: str = ""
    committed_at: datetime | None = None
    source: str = ""  # commit in sdm_schemas that it was generated from; empty if unknown
    files: tuple[str, ...] = ()  # changed paths
    digest: str = ""  # of its revision files

    @property
    def merged(self) -> bool:
        """Return whether it is merged."""
        return self.merged_at is not None

    @property
    def live(self) -> bool:
        """Return whether it is open or merged."""
        return self.merged or self.state == "open"


@dataclass(frozen=True, slots=True)
class TaggedRelease:
    """A release tag of consdb with all migrations."""

    tag: str
    commit: str
    url: str
    annotated: bool = True
    # date of the tagger or the GitHub release; None for a lightweight tag without either
    at: datetime | None = None
    release_url: str = ""


@dataclass(frozen=True, slots=True)
class TagSetting:
    """A tag that a component had."""

    tag: str
    at: datetime | None = None  # since when; None if before the known history
    url: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A component in one environment, on the default branch of phalanx."""

    application: str
    environment: str
    component: str
    history: tuple[TagSetting, ...]  # tags, the present one last
    enabled: bool = True
    url: str = ""

    @property
    def tag(self) -> str:
        """Return the present tag; empty for none."""
        return self.history[-1].tag if self.history else ""


@dataclass(frozen=True, slots=True)
class EfdFile:
    """A transformed EFD schema: its blobs in consdb and here, empty if missing."""

    schema: str
    consdb: str
    here: str
    url: str = ""


class FactSource(StrEnum):
    """The source of a fact, to name what could not be read."""

    CONSDB = "consdb"
    PHALANX = "phalanx"
    TAGS = "tags"
    SCHEMAS = "schemas"


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
class SourceFailure:
    """An unreadable source; its missing facts prove nothing."""

    source: FactSource
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts(PullFacts):
    """All facts about one pull request; its changes include those at the source commits of migrations."""

    FORMAT: ClassVar[str] = "consdb-actions/process-facts/1"

    policy: ProcessPolicy
    approvals: Approvals
    schemas: tuple[SchemaChange, ...] = ()
    checklists: tuple[Checklist, ...] = ()
    migrations: tuple[MigrationPull, ...] = ()  # pull requests in consdb, oldest first
    releases: tuple[TaggedRelease, ...] = ()  # that contain all migrations, oldest first
    newest_release: str = ""  # of consdb, independent of the change
    deployments: tuple[Deployment, ...] = ()
    weeklies: tuple[str, ...] = ()  # deployed weekly tags of sdm_schemas that contain the merge
    efd_files: tuple[EfdFile, ...] = ()  # changed schemas of the transformed EFD
    comments: tuple[Comment, ...] = ()  # that contain ``/consdb``, by any author
    troubles: tuple[SourceFailure, ...] = ()

    def trouble(self, source: FactSource) -> str:
        """Return why a source could not be read; empty if it could."""
        return "; ".join(trouble.text for trouble in self.troubles if trouble.source is source)


@dataclass(frozen=True, slots=True)
class EfdSource:
    """The source of a copy."""

    repository: str
    commit: str
    ticket: str
    number: int = 0  # of the pull request in consdb; 0 for the default branch
    title: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        """Return ``owner/name#number``, or ``owner/name``."""
        return f"{self.repository}#{self.number}" if self.number else self.repository


@dataclass(frozen=True, slots=True)
class EfdCopy:
    """The changes of a copy; names of files are without their folder."""

    files: Mapping[str, str]  # blob in consdb of each file to write, by path in sdm_schemas
    new: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()  # unchanged files
    left_out: tuple[str, ...] = ()  # files that the policy excludes
    only_there: tuple[str, ...] = ()  # files in sdm_schemas without a source; they stay


def plan_copy(
    policy: ProcessPolicy,
    sources: Mapping[str, str],
    targets: Mapping[str, str],
    changed: Collection[str] | None = None,
) -> EfdCopy:
    """Compare the schemas of both repositories; a copy never removes a file.

    `sources` and `targets` are blobs by file name. `changed` holds the files that the pull request changes,
    since others on its branch may be older than the copies; None selects all.
    """
    files, new, equal, left_out = {}, [], [], []
    for name, blob in sorted(sources.items()):
        if name in policy.efd.without:
            left_out.append(name)
        elif targets.get(name) == blob:
            equal.append(name)
        elif changed is None or name in changed:
            files[f"{policy.efd.target}/{name}"] = blob
            if name not in targets:
                new.append(name)
    only_there = sorted(set(targets) - set(sources))
    return EfdCopy(files, tuple(new), tuple(equal), tuple(left_out), tuple(only_there))


def branch_of(ticket: str) -> str:
    """Return the branch of the copy in sdm_schemas."""
    return f"tickets/{ticket}-efd"


@dataclass(frozen=True, slots=True)
class EfdOrigin:
    """The source of copied EFD schemas."""

    # ``owner/name#number`` for a pull request in consdb, or ``owner/name``
    source: Annotated[
        str, Form(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}(#[1-9][0-9]{0,8})?$")
    ]
    sha: Annotated[str, Form(pattern="^[0-9a-f]{40}$")]

    @property
    def repository(self) -> str:
        """Return the repository as ``owner/name``."""
        return self.source.partition("#")[0]

    @property
    def number(self) -> int:
        """Return the pull request; 0 for none."""
        return int(self.source.partition("#")[2] or 0)


def efd_mark(origin: EfdOrigin) -> str:
    """Write the marker on one line; raise `ValueError` if invalid."""
    text = hidden("efd", {"source": origin.source, "sha": origin.sha})
    if efd_origin(text) != origin:
        raise ValueError(f"{origin.source!r} at {origin.sha!r} is not an origin")
    return text


def efd_origin(body: str) -> EfdOrigin | None:
    """Parse the marker in a pull request's body; None if missing or invalid."""
    return read_hidden("efd", body, EfdOrigin)
