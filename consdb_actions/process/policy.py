"""Who owns the steps, who may attest to them, and where their evidence is: the section ``process``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from consdb_actions.approval.policy import Designate
from consdb_actions.deploy.policy import DeployPolicy
from consdb_actions.process.steps import APPROVERS, BY_ID, CONTRIBUTOR, Step

__all__ = [
    "DEFAULT_POLICY",
    "EfdPolicy",
    "Image",
    "Owner",
    "ProcessPolicy",
    "StepRule",
]


@dataclass(frozen=True, slots=True)
class Owner:
    """A role that owns steps, and the people who hold it."""

    id: str
    title: str
    teams: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    designates: tuple[Designate, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRule:
    """What the policy says about one step: its owner, and the roles that may attest to it."""

    step: str
    owner: str
    attested_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """A component of an environment, and the files of consdb that end up in its image.

    The component has to be deployed for a change that touches one of the files.
    """

    component: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EfdPolicy:
    """How schemas of the transformed EFD are copied from consdb to sdm_schemas.

    Attributes
    ----------
    sources, target
        Their folder in consdb, and in sdm_schemas.
    without
        Names of files that are not copied.
    labels
        Labels of the pull request with a copy.
    keep
        Patterns of paths that people may change on its branch.
    """

    sources: str = "python/lsst/consdb/transformed_efd/schemas/yml"
    target: str = "python/lsst/sdm/schemas"
    without: tuple[str, ...] = ("efd_scheduler.yaml",)
    labels: tuple[str, ...] = ()
    keep: tuple[str, ...] = ("docs/*",)


@dataclass(frozen=True, slots=True)
class ProcessPolicy:
    """How the process runs.

    Attributes
    ----------
    consdb, phalanx
        The other repositories, as ``owner/name``, from the section ``deploy``.
    phalanx_branch
        The branch of phalanx that is deployed.
    shown
        All environments, in the order of their stages.
    owners
        Roles with their people.
    rules
        One for each step.
    environments, tap_environments
        The environments in which a release and a TAP_SCHEMA must be deployed before the merge, in order.
    images
        Which components a release brings.
    ticket_patterns
        Regular expressions, each for a whole ticket.
    ticket_url
        Address of a ticket, with ``{ticket}`` in it; empty for no link.
    migrate_label
        The label that starts the generation of a migration.
    efd
        How schemas of the transformed EFD are copied.
    follow_days
        How many days after its merge a pull request is still looked at.
    """

    consdb: str
    phalanx: str
    phalanx_branch: str
    shown: tuple[str, ...]
    owners: tuple[Owner, ...]
    rules: tuple[StepRule, ...]
    environments: tuple[str, ...]
    tap_environments: tuple[str, ...]
    images: tuple[Image, ...]
    ticket_patterns: tuple[str, ...]
    ticket_url: str
    migrate_label: str
    efd: EfdPolicy
    follow_days: int

    def rule(self, step: Step) -> StepRule:
        """Return what the policy says about a step."""
        return next(rule for rule in self.rules if rule.step == step.id)

    def owner(self, identifier: str) -> Owner:
        """Return a role by its id."""
        return next(owner for owner in self.owners if owner.id == identifier)

    def components(self, paths: Sequence[str]) -> tuple[str, ...]:
        """List the components whose images hold one of some files."""
        return tuple(
            image.component
            for image in self.images
            if any(fnmatchcase(path, pattern) for path in paths for pattern in image.paths)
        )

    def ticket_in(self, *texts: str) -> str:
        """Return the first ticket that stands in one of some texts, or nothing."""
        for text in texts:
            found = [
                match
                for pattern in self.ticket_patterns
                if (
                    match := re.search(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", text[:300], re.ASCII)
                )
            ]
            if found:
                return min(found, key=lambda match: match.start())[0]
        return ""


def step_rules(overrides: Mapping[str, Mapping[str, Any]]) -> tuple[StepRule, ...]:
    """Put the rule of each step together; who owns a step may attest to it unless others are named."""
    rules = []
    for step in BY_ID.values():
        given = overrides.get(step.id, {})
        owner = given.get("owner", step.owner)
        rules.append(StepRule(step.id, owner, tuple(given.get("attested_by", (owner,)))))
    return tuple(rules)


ROLE_TITLES = {
    CONTRIBUTOR: "Contributor",
    APPROVERS: "The roles that approve",
    "consdb": "ConsDB team",
    "usdf": "USDF",
}

DEFAULT_POLICY = ProcessPolicy(
    consdb=DeployPolicy().consdb,
    phalanx=DeployPolicy().repository,
    phalanx_branch=DeployPolicy().base,
    shown=DeployPolicy().environments,
    owners=tuple(Owner(identifier, title) for identifier, title in ROLE_TITLES.items()),
    rules=step_rules({}),
    environments=("base", "summit", "usdfdev", "usdfint", "usdfprod"),
    tap_environments=("usdfdev", "usdfint", "usdfprod"),
    images=(
        Image("pq", ("*",)),
        Image(
            "hinfo", ("python/lsst/consdb/hinfo.py", "python/lsst/consdb/utils.py", "docker/Dockerfile.hinfo")
        ),
    ),
    ticket_patterns=(r"DM-\d+", r"OSW-\d+"),
    ticket_url="https://rubinobs.atlassian.net/browse/{ticket}",
    migrate_label="consdb: migrate",
    efd=EfdPolicy(),
    follow_days=120,
)
