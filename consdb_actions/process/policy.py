"""Who owns the steps, who may attest to them, and where their evidence is: the section ``process``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from consdb_actions.approval.policy import DEFAULT_POLICY as APPROVALS
from consdb_actions.approval.policy import Designate, read_day
from consdb_actions.approval.policy import Policy as ApprovalPolicy
from consdb_actions.deploy.policy import DeployPolicy
from consdb_actions.errors import InputError
from consdb_actions.process.steps import APPROVERS, BY_ID, CONTRIBUTOR, Step

__all__ = [
    "DEFAULT_POLICY",
    "EfdPolicy",
    "Image",
    "Owner",
    "ProcessPolicy",
    "StepRule",
    "policy_from_mapping",
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
                if (match := re.search(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", text, re.ASCII))
            ]
            if found:
                return min(found, key=lambda match: match.start())[0]
        return ""


def _rules(overrides: Mapping[str, Mapping[str, Any]]) -> tuple[StepRule, ...]:
    """Put the rule of each step together; who owns a step may attest to it unless others are named."""
    rules = []
    for step in BY_ID.values():
        given = overrides.get(step.id, {})
        owner = given.get("owner", step.owner)
        rules.append(StepRule(step.id, owner, tuple(given.get("attested_by", (owner,)))))
    return tuple(rules)


_TITLES = {
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
    owners=tuple(Owner(identifier, title) for identifier, title in _TITLES.items()),
    rules=_rules({}),
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


def policy_from_mapping(
    values: Mapping[str, Any],
    *,
    approvals: ApprovalPolicy = APPROVALS,
    deploy: DeployPolicy | None = None,
    ticket_patterns: Sequence[str] = DEFAULT_POLICY.ticket_patterns,
    place: str = "process",
) -> ProcessPolicy:
    """Build the policy from the section ``process`` of the configuration.

    The section has been checked against the configuration's JSON Schema.

    Parameters
    ----------
    values
        The section; an empty one gives the defaults.
    approvals
        The policy of the approvals. A role here that names nobody and has the id of a role there is held by
        the same people.
    deploy
        The policy of the deployments, for the repositories and environments; that of the real ConsDB by
        default.
    ticket_patterns
        How tickets are named.
    place
        Where the section stands, for messages.

    Returns
    -------
    ProcessPolicy
        The policy.

    Raises
    ------
    InputError
        A step or a role is named that does not exist, or a date is none.
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
        rules=_rules(steps),
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
        images = tuple(Image(component, tuple(paths)) for component, paths in values["images"].items())
        policy = replace(policy, images=images)
    policy = replace(policy, efd=_efd(values.get("efd", {}), policy.efd))
    _check_roles(policy, place)
    return policy


def _efd(values: Mapping[str, Any], default: EfdPolicy) -> EfdPolicy:
    """Read how EFD schemas are copied."""
    return EfdPolicy(
        sources=values.get("sources", default.sources).strip("/"),
        target=values.get("target", default.target).strip("/"),
        without=tuple(values.get("without", default.without)),
        labels=tuple(values.get("labels", default.labels)),
        keep=tuple(values.get("keep", default.keep)),
    )


def _owners(items: Sequence[Mapping[str, Any]], approvals: ApprovalPolicy, place: str) -> tuple[Owner, ...]:
    """Build the roles: the default ones, with what is said about them, and further ones."""
    given = {item["id"]: (index, item) for index, item in enumerate(items)}
    if len(given) < len(items):
        raise InputError(
            "two roles have the same id", place=place, remedy="Give every role an id of its own."
        )
    owners = []
    for identifier in dict.fromkeys([*_TITLES, *given]):
        index, item = given.get(identifier, (0, {}))
        owner = Owner(
            identifier,
            item.get("title", _TITLES.get(identifier, identifier)),
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
    """Return environments that are in a stage; by default the real ones, as far as they are."""
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
    """Refuse a step whose owner, or who may attest to it, is no role."""
    known = {owner.id for owner in policy.owners}
    for rule in policy.rules:
        for identifier in (rule.owner, *rule.attested_by):
            if identifier not in known:
                raise InputError(
                    f'the step {rule.step} names the role "{identifier}", which does not exist',
                    place=f"{place}.steps.{rule.step}",
                    remedy=f"The roles are {', '.join(sorted(known))}; add one under {place}.roles.",
                )
