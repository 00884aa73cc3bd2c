"""Traces of a schema change in other repositories: migrations, releases, deployments, EFD schemas."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Deployment", "EfdFile", "Link", "Migration", "Release", "Setting"]


class Link(StrEnum):
    """How a consdb pull request is linked to the change."""

    MARKER = "marker"
    EFD = "efd"
    BRANCH = "branch"


@dataclass(frozen=True, slots=True)
class Migration:
    """A pull request in consdb with the migration; fields as in `Pull`."""

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
class Release:
    """A release tag of consdb with all migrations."""

    tag: str
    commit: str
    url: str
    annotated: bool = True
    # date of the tagger or the GitHub release; None for a lightweight tag without either
    at: datetime | None = None
    release_url: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
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
    history: tuple[Setting, ...]  # tags, the present one last
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
