"""Owners, attesters and evidence of the steps: the section ``process``."""

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
    """A role that owns steps, and its people."""

    id: str
    title: str
    teams: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    designates: tuple[Designate, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRule:
    """The owner of a step, and the roles that may attest to it."""

    step: str
    owner: str
    attested_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """A component and the consdb files in its image.

    The component must be deployed if a change touches one of the files.
    """

    component: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EfdPolicy:
    """Configuration of copies of transformed EFD schemas from consdb."""

    sources: str = "python/lsst/consdb/transformed_efd/schemas/yml"  # folder in consdb
    target: str = "python/lsst/sdm/schemas"  # folder in sdm_schemas
    without: tuple[str, ...] = ("efd_scheduler.yaml",)  # excluded file names
    labels: tuple[str, ...] = ()  # of the pull request
    keep: tuple[str, ...] = ("docs/*",)  # patterns of paths that people may change on its branch


@dataclass(frozen=True, slots=True)
class ProcessPolicy:
    """The configuration of the process."""

    consdb: str  # ``owner/name``, from the section ``deploy``
    phalanx: str  # ``owner/name``, from the section ``deploy``
    phalanx_branch: str  # deployed branch
    shown: tuple[str, ...]  # all environments, in the order of their stages
    owners: tuple[Owner, ...]
    rules: tuple[StepRule, ...]  # one per step
    environments: tuple[str, ...]  # that need the release before the merge, in order
    tap_environments: tuple[str, ...]  # that need the TAP_SCHEMA before the merge, in order
    images: tuple[Image, ...]  # that a release updates
    ticket_patterns: tuple[str, ...]  # each matches a whole ticket
    ticket_url: str  # with ``{ticket}``; empty for no link
    migrate_label: str  # starts the generation of a migration
    efd: EfdPolicy
    follow_days: int  # for how long a merged pull request is still updated

    def rule(self, step: Step) -> StepRule:
        """Return the rule of a step."""
        return next(rule for rule in self.rules if rule.step == step.id)

    def owner(self, identifier: str) -> Owner:
        """Return a role by its id."""
        return next(owner for owner in self.owners if owner.id == identifier)

    def components(self, paths: Sequence[str]) -> tuple[str, ...]:
        """List the components whose images contain one of some files."""
        return tuple(
            image.component
            for image in self.images
            if any(fnmatchcase(path, pattern) for path in paths for pattern in image.paths)
        )

    def ticket_in(self, *texts: str) -> str:
        """Return the first ticket in some texts; empty for none."""
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
    """Build the rules of the steps; owners may attest by default."""
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
