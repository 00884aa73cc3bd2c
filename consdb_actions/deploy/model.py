"""Request and plan of a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from consdb_actions.deploy.changes import Change
from consdb_actions.deploy.order import Waiting
from consdb_actions.deploy.policy import Stage
from consdb_actions.deploy.tags import Tag

__all__ = ["Left", "Plan", "Refusal", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """A requested deployment."""

    app: str
    tag: Tag
    ticket: str
    today: date  # in UTC
    stage: str = ""  # either a stage or environments
    environments: tuple[str, ...] = ()
    components: tuple[str, ...] = ()  # all if empty
    waive_until: date | None = None  # last day of a mutable tag in an environment for releases only (rule R5)
    force_order: bool = False  # whether unfinished stages may be skipped


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason why a deployment is refused."""

    rule: str  # such as ``R5``
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Left:
    """A component without the tag after the deployment."""

    environment: str
    component: str
    tag: str
    later: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned deployment."""

    request: Request
    stage: Stage
    environments: tuple[str, ...]
    changes: tuple[Change, ...] = ()  # by environment and component; empty if everything is deployed
    files: Mapping[str, str] = field(default_factory=dict)  # new content of each changed values file, by path
    components: tuple[str, ...] = ()  # all components of these environments
    images: tuple[tuple[str, str], ...] = ()  # name and tag of each image that must exist
    datalink: str = ""  # URL that must exist; empty for none
    waiting: tuple[Waiting, ...] = ()  # unfinished earlier stages
    waived: tuple[str, ...] = ()  # environments for which rule R5 is waived
    left: tuple[Left, ...] = ()  # components without the tag afterwards
    refusals: tuple[Refusal, ...] = ()  # the deployment is allowed if empty

    @property
    def branch(self) -> str:
        """Return the branch of the pull request: one per ticket, application and stage."""
        return f"tickets/{self.request.ticket}-{self.request.app}-{self.stage.name}"
