"""Environments, their order, and what is allowed where: the section ``deploy`` of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consdb_actions.errors import InputError

__all__ = ["DeployPolicy", "Stage", "policy_from_mapping"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Environments that are deployed together, in one pull request.

    Attributes
    ----------
    name
        Its name.
    environments
        As in ``values-ENVIRONMENT.yaml``.
    any_of
        Whether the stage is finished once one of its environments is; else all must be.
    """

    name: str
    environments: tuple[str, ...]
    any_of: bool = False


STAGES = (
    Stage("test-stands", ("base", "tucson-teststand")),
    Stage("summit", ("summit",)),
    Stage("usdf", ("usdfdev", "usdfint")),
    Stage("prod", ("usdfprod",)),
)
STRICT = ("summit", "usdfprod")


@dataclass(frozen=True, slots=True)
class DeployPolicy:
    """How and where deployments are made.

    Attributes
    ----------
    repository
        Where the values files are.
    base
        Its branch that is deployed.
    stages
        In their order.
    strict
        Environments in which only releases run (rule R5).
    labels
        Labels of the pull requests.
    longest_waiver
        Days that a waiver may last.
    test_days
        Days that a branch may be tested in an environment before that is drift (rule R7).
    consdb, sdm_schemas
        Where the releases of ``consdb`` and of ``consdbtap`` come from.
    """

    repository: str = "lsst-sqre/phalanx"
    base: str = "main"
    stages: tuple[Stage, ...] = STAGES
    strict: tuple[str, ...] = STRICT
    labels: tuple[str, ...] = ()
    longest_waiver: int = 30
    test_days: int = 14
    consdb: str = "lsst-dm/consdb"
    sdm_schemas: str = "lsst/sdm_schemas"

    @property
    def environments(self) -> tuple[str, ...]:
        """All environments in their order."""
        return tuple(name for stage in self.stages for name in stage.environments)

    def stage(self, name: str) -> Stage:
        """Return a stage by its name.

        Raises
        ------
        InputError
            There is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in self.stages)
        raise InputError(
            f'there is no stage "{name[:100]}"', place="--stage", remedy=f"The stages are {known}."
        )

    def stage_of(self, environment: str) -> Stage:
        """Return the stage of an environment.

        Raises
        ------
        InputError
            There is no such environment.
        """
        for stage in self.stages:
            if environment in stage.environments:
                return stage
        raise InputError(
            f'there is no environment "{environment[:100]}"',
            place="--env",
            remedy=f"The environments are {', '.join(self.environments)}.",
        )

    def source(self, app: str) -> str:
        """Return the repository whose releases an application runs."""
        return self.consdb if app == "consdb" else self.sdm_schemas


def policy_from_mapping(values: Mapping[str, Any], *, place: str = "deploy") -> DeployPolicy:
    """Make the policy.

    Parameters
    ----------
    values
        The section, already checked against the configuration's schema.
    place
        Its name, for messages.

    Returns
    -------
    DeployPolicy
        The policy; what is not given is the real ConsDB's.

    Raises
    ------
    InputError
        A stage or an environment is there twice, or a strict environment is in no stage.
    """
    default = DeployPolicy()
    stages = default.stages
    if "stages" in values:
        stages = tuple(
            Stage(item["name"], tuple(item["environments"]), item.get("finished", "all") == "any")
            for item in values["stages"]
        )
    policy = DeployPolicy(
        repository=values.get("repository", default.repository),
        base=values.get("base", default.base),
        stages=stages,
        strict=tuple(
            values.get("strict", (name for name in STRICT if any(name in s.environments for s in stages)))
        ),
        labels=tuple(values.get("labels", default.labels)),
        longest_waiver=values.get("longest_waiver", default.longest_waiver),
        test_days=values.get("test_days", default.test_days),
        consdb=values.get("consdb", default.consdb),
        sdm_schemas=values.get("sdm_schemas", default.sdm_schemas),
    )
    for what, names in (
        ("stage", [stage.name for stage in stages]),
        ("environment", list(policy.environments)),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"the {what} {twice[0]} is there twice", place=f"{place}.stages")
    for name in policy.strict:
        if name not in policy.environments:
            raise InputError(f"{name} is in no stage", place=f"{place}.strict")
    return policy
