"""Environments, stages and restrictions: the section ``deploy`` of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consdb_actions.errors import InputError

__all__ = ["DeployPolicy", "Stage", "policy_from_mapping"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Environments that are deployed together, in one pull request."""

    name: str
    environments: tuple[str, ...]  # as in ``values-ENVIRONMENT.yaml``
    any_of: bool = False  # finished once one of its environments is, instead of all


STAGES = (
    Stage("test-stands", ("base", "tucson-teststand")),
    Stage("summit", ("summit",)),
    Stage("usdf", ("usdfdev", "usdfint")),
    Stage("prod", ("usdfprod",)),
)
STRICT = ("summit", "usdfprod")


@dataclass(frozen=True, slots=True)
class DeployPolicy:
    """The configuration of deployments."""

    repository: str = "lsst-sqre/phalanx"  # of the values files
    base: str = "main"  # its deployed branch
    stages: tuple[Stage, ...] = STAGES
    strict: tuple[str, ...] = STRICT  # environments for releases only (rule R5)
    labels: tuple[str, ...] = ()  # of the pull requests
    longest_waiver: int = 30  # in days
    test_days: int = 14  # how long a branch may be tested before it is drift (rule R7)
    consdb: str = "lsst-dm/consdb"  # source of the releases of ``consdb``
    sdm_schemas: str = "lsst/sdm_schemas"  # source of the releases of ``consdbtap``

    @property
    def environments(self) -> tuple[str, ...]:
        """Return all environments in the order of the stages."""
        return tuple(name for stage in self.stages for name in stage.environments)

    def stage(self, name: str) -> Stage:
        """Return a stage by name, or raise `InputError`."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in self.stages)
        raise InputError(
            f'there is no stage "{name[:100]}"', place="--stage", remedy=f"The stages are {known}."
        )

    def stage_of(self, environment: str) -> Stage:
        """Return the stage of an environment, or raise `InputError`."""
        for stage in self.stages:
            if environment in stage.environments:
                return stage
        raise InputError(
            f'there is no environment "{environment[:100]}"',
            place="--env",
            remedy=f"The environments are {', '.join(self.environments)}.",
        )

    def source(self, app: str) -> str:
        """Return the repository of an application's releases."""
        return self.consdb if app == "consdb" else self.sdm_schemas


def policy_from_mapping(values: Mapping[str, Any], *, place: str = "deploy") -> DeployPolicy:
    """Build the policy from its validated configuration section.

    Missing keys take the values of the real ConsDB. Raises `InputError` for a stage or environment that is
    listed twice, and for a strict environment without a stage.
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
