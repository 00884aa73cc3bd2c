"""Build the policy from the section ``process`` of the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from consdb_actions.approval.policy import DEFAULT_POLICY as APPROVALS
from consdb_actions.approval.policy import Designate, read_day
from consdb_actions.approval.policy import Policy as ApprovalPolicy
from consdb_actions.deploy.policy import DeployPolicy
from consdb_actions.errors import InputError
from consdb_actions.process.policy import (
    DEFAULT_POLICY,
    ROLE_TITLES,
    EfdPolicy,
    Image,
    Owner,
    ProcessPolicy,
    step_rules,
)
from consdb_actions.process.steps import BY_ID

__all__ = ["policy_from_mapping"]


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
        images = tuple(Image(component, tuple(paths)) for component, paths in values["images"].items())
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
