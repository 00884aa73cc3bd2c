"""Steps, roles and people of the process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from consdb_actions.approval.policy import DEFAULT_POLICY as APPROVALS
from consdb_actions.approval.policy import Designate, read_day
from consdb_actions.approval.policy import Policy as ApprovalPolicy
from consdb_actions.deploy.model import DeployPolicy
from consdb_actions.errors import InputError
from consdb_actions.process.steps import APPROVERS, BY_ID, CONTRIBUTOR, ProcessStep

__all__ = [
    "DEFAULT_POLICY",
    "EfdPolicy",
    "ComponentImage",
    "Owner",
    "ProcessPolicy",
    "StepRule",
    "policy_from_mapping",
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
class ComponentImage:
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
    images: tuple[ComponentImage, ...]  # that a release updates
    ticket_patterns: tuple[str, ...]  # each matches a whole ticket
    ticket_url: str  # with ``{ticket}``; empty for no link
    migrate_label: str  # starts the generation of a migration
    efd: EfdPolicy
    follow_days: int  # for how long a merged pull request is still updated

    def rule(self, step: ProcessStep) -> StepRule:
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
        ComponentImage("pq", ("*",)),
        ComponentImage(
            "hinfo", ("python/lsst/consdb/hinfo.py", "python/lsst/consdb/utils.py", "docker/Dockerfile.hinfo")
        ),
    ),
    ticket_patterns=(r"DM-\d+", r"OSW-\d+"),
    ticket_url="https://rubinobs.atlassian.net/browse/{ticket}",
    migrate_label="consdb: migrate",
    efd=EfdPolicy(),
    follow_days=120,
)


def policy_from_mapping(
    values: Mapping[str, Any],
    *,
    approvals: ApprovalPolicy = APPROVALS,
    deploy: DeployPolicy | None = None,
    ticket_patterns: Sequence[str] = DEFAULT_POLICY.ticket_patterns,
    place: str = "process",
) -> ProcessPolicy:
    """Build the policy from its validated configuration section.

    A role without people takes those of the role with the same id in `approvals`; repositories and
    environments come from `deploy`. Raises `InputError` for an unknown step or role and for an invalid date.
    """
    default = DEFAULT_POLICY
    deploy = deploy or DeployPolicy()
    steps: Mapping[str, Mapping[str, Any]] = values.get("steps", {})
    if unknown := [name for name in steps if name not in BY_ID]:
        raise InputError(
            f'there is no step "{unknown[0]}"',
            place=f"{place}.steps",
            remedy=f"The steps are {', '.join(BY_ID)}.",
        )
    policy = replace(
        default,
        consdb=deploy.consdb,
        phalanx=deploy.repository,
        phalanx_branch=deploy.base,
        shown=deploy.environments,
        owners=_owners(values.get("roles", ()), approvals, f"{place}.roles"),
        rules=step_rules(steps),
        ticket_patterns=tuple(ticket_patterns),
    )
    for name in ("ticket_url", "migrate_label", "follow_days"):
        if name in values:
            policy = replace(policy, **{name: values[name]})
    policy = replace(
        policy,
        environments=_environments(values, "environments", policy.environments, deploy, place),
        tap_environments=_environments(values, "tap_environments", policy.tap_environments, deploy, place),
    )
    if "images" in values:
        images = tuple(
            ComponentImage(component, tuple(paths)) for component, paths in values["images"].items()
        )
        policy = replace(policy, images=images)
    policy = replace(policy, efd=_efd(values.get("efd", {}), policy.efd))
    _check_roles(policy, place)
    return policy


def _efd(values: Mapping[str, Any], default: EfdPolicy) -> EfdPolicy:
    return EfdPolicy(
        sources=values.get("sources", default.sources).strip("/"),
        target=values.get("target", default.target).strip("/"),
        without=tuple(values.get("without", default.without)),
        labels=tuple(values.get("labels", default.labels)),
        keep=tuple(values.get("keep", default.keep)),
    )


def _owners(items: Sequence[Mapping[str, Any]], approvals: ApprovalPolicy, place: str) -> tuple[Owner, ...]:
    """Build the default roles with their overrides, and further ones."""
    given = {item["id"]: (index, item) for index, item in enumerate(items)}
    if len(given) < len(items):
        raise InputError(
            "two roles have the same id", place=place, remedy="Give every role an id of its own."
        )
    owners = []
    for identifier in dict.fromkeys([*ROLE_TITLES, *given]):
        index, item = given.get(identifier, (0, {}))
        owner = Owner(
            identifier,
            item.get("title", ROLE_TITLES.get(identifier, identifier)),
            tuple(item.get("teams", ())),
            tuple(item.get("people", ())),
            tuple(
                Designate(entry["login"], read_day(entry.get("until"), f"{place}[{index}].designates"))
                for entry in item.get("designates", ())
            ),
        )
        if not (owner.teams or owner.people or owner.designates):
            role = next((role for role in approvals.roles if role.id == identifier), None)
            if role is not None:
                owner = replace(owner, teams=role.teams, people=role.people, designates=role.designates)
        owners.append(owner)
    return tuple(owners)


def _environments(
    values: Mapping[str, Any], name: str, default: tuple[str, ...], deploy: DeployPolicy, place: str
) -> tuple[str, ...]:
    """Return environments of known stages."""
    if name not in values:
        return tuple(item for item in default if item in deploy.environments)
    for item in values[name]:
        if item not in deploy.environments:
            raise InputError(
                f'the environment "{item}" is in no stage',
                place=f"{place}.{name}",
                remedy=f"The environments are {', '.join(deploy.environments)}.",
            )
    return tuple(values[name])


def _check_roles(policy: ProcessPolicy, place: str) -> None:
    """Refuse a step with an unknown role."""
    known = {owner.id for owner in policy.owners}
    for rule in policy.rules:
        for identifier in (rule.owner, *rule.attested_by):
            if identifier not in known:
                raise InputError(
                    f'the step {rule.step} names the role "{identifier}", which does not exist',
                    place=f"{place}.steps.{rule.step}",
                    remedy=f"The roles are {', '.join(sorted(known))}; add one under {place}.roles.",
                )
