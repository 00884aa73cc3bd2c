"""What a schema change leaves in other repositories: migrations, releases, deployments, EFD schemas."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Deployment", "EfdFile", "Link", "Migration", "Release", "Setting"]


class Link(StrEnum):
    """How a pull request in consdb is known to belong to one in sdm_schemas."""

    MARKER = "marker"
    EFD = "efd"
    BRANCH = "branch"


@dataclass(frozen=True, slots=True)
class Migration:
    """A pull request in consdb that carries the migration.

    Attributes
    ----------
    number, url, title, branch, head, state, draft, created_at, merged_at, merge_commit
        As for `Pull`.
    link
        How it is known to belong here.
    committed_at
        The date in its newest commit.
    source
        The commit in sdm_schemas that it was generated from; empty where nothing says so.
    files
        Paths that it changes.
    digest
        Digest of its revision files: the same as long as the migration is the same.
    """

    number: int
    url: str
    title: str
    branch: str
    head: str
    state: str
    link: Link
    created_at: datetime
    draft: bool = False
    merged_at: datetime | None = None
    merge_commit: str = ""
    committed_at: datetime | None = None
    source: str = ""
    files: tuple[str, ...] = ()
    digest: str = ""

    @property
    def merged(self) -> bool:
        """Whether it is merged."""
        return self.merged_at is not None

    @property
    def live(self) -> bool:
        """Whether it is open or merged; one that was closed without a merge is nobody's migration."""
        return self.merged or self.state == "open"


@dataclass(frozen=True, slots=True)
class Release:
    """A release tag of consdb that holds every migration of this change.

    `at` is the tagger's date, or that of the GitHub release; None for a lightweight tag without either.
    """

    tag: str
    commit: str
    url: str
    annotated: bool = True
    at: datetime | None = None
    release_url: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A tag that a component had, and since when; None is since before anybody looked."""

    tag: str
    at: datetime | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A component of an application in one environment, as the default branch of phalanx has it.

    `history` holds its tags, the present one last; `enabled` is false for what is switched off there.
    """

    application: str
    environment: str
    component: str
    history: tuple[Setting, ...]
    enabled: bool = True
    url: str = ""

    @property
    def tag(self) -> str:
        """The present tag; empty when none is named."""
        return self.history[-1].tag if self.history else ""


@dataclass(frozen=True, slots=True)
class EfdFile:
    """A schema of the transformed EFD on both sides, by the blobs of its file; empty where there is none."""

    schema: str
    consdb: str
    here: str
    url: str = ""
