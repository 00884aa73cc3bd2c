"""A deployment: what is asked for, and what is planned."""

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
    """What somebody asks for.

    Attributes
    ----------
    app
        ``consdb`` or ``consdbtap``.
    tag
        The tag to deploy.
    ticket
        Key of the ticket.
    today
        The day in UTC.
    stage, environments
        Where: a whole stage, or environments by name; one of the two.
    components
        Which components; all without any.
    waive_until
        Last day on which a tag that is no release may stay where only releases run.
    force_order
        Whether unfinished stages may be passed.
    """

    app: str
    tag: Tag
    ticket: str
    today: date
    stage: str = ""
    environments: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    waive_until: date | None = None
    force_order: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a deployment may not go ahead.

    Attributes
    ----------
    rule
        Number of the rule.
    cause
        What is wrong.
    remedy
        The way out.
    """

    rule: str
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Left:
    """A component that does not run the tag after the deployment either."""

    environment: str
    component: str
    tag: str
    later: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment.

    Attributes
    ----------
    request, stage
        What was asked for, and the stage that it belongs to.
    environments
        Where.
    changes
        What changes, in the order of environments and components; empty means that all is there already.
    files
        New text of each values file that changes, by its path.
    components
        All components that these environments have.
    images
        Images that must exist, as name and tag.
    datalink
        Address that must exist; empty for none.
    waiting
        Stages before this one that are not finished.
    waived
        Environments for which the rule that only releases run was waived.
    left
        What does not run the tag afterwards either.
    refusals
        Why it may not go ahead; empty means that it may.
    """

    request: Request
    stage: Stage
    environments: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    components: tuple[str, ...] = ()
    images: tuple[tuple[str, str], ...] = ()
    datalink: str = ""
    waiting: tuple[Waiting, ...] = ()
    waived: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def branch(self) -> str:
        """The branch of the pull request: one for each ticket, application and stage."""
        return f"tickets/{self.request.ticket}-{self.request.app}-{self.stage.name}"
