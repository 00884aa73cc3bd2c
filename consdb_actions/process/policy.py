"""Steps of a schema change with owner and order; roles and people of the process.

The steps are the nine of ConsDB's process, split by evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated

from consdb_actions.approval.facts import DEFAULT_POLICY as APPROVALS
from consdb_actions.approval.facts import Holders, Label, Title
from consdb_actions.approval.facts import Policy as ApprovalPolicy
from consdb_actions.deploy.model import DeployPolicy
from consdb_actions.forms import Form, Id, WrongValueError, unique
from consdb_actions.release.notes import tickets_in


class Route(StrEnum):
    """The origin of the data, which determines the steps."""

    SUMMIT = "summit"
    USDF = "usdf"


@dataclass(frozen=True, slots=True)
class ProcessStep:
    """A step of the process."""

    id: str  # name in commands and JSON
    title: str  # what is true when it is done
    todo: str  # instruction
    owner: str  # id of a role; the policy can override it
    evidence: str = ""  # from which it is derived; empty if an authorized person attests to it (rule P1)
    # ids of steps that must come before; one that does not apply stands for its own
    after: tuple[str, ...] = ()
    routes: tuple[Route, ...] = (Route.SUMMIT, Route.USDF)  # on which the step applies
    names: tuple[str, ...] = ()  # aliases in commands

    @property
    def attested(self) -> bool:
        """Return whether people attest to the step."""
        return not self.evidence


MERGE = "merge-sdm"  # The last step but one: ``consdb/ready-to-merge`` guards it (rule P3)

CONTRIBUTOR = "contributor"
APPROVERS = "approvers"

STEPS: tuple[ProcessStep, ...] = (
    ProcessStep(
        "gather",
        "Ticket and pull request",
        "name the ticket",
        CONTRIBUTOR,
        "the pull request exists and names a ticket",
    ),
    ProcessStep(
        "efd-sync",
        "Schema copied from the EFD configuration",
        "copy the schema from the EFD configuration",
        "consdb",
        "the files are equal to those of consdb",
        after=("gather",),
        routes=(Route.USDF,),
    ),
    ProcessStep(
        "approve",
        "Approval by all roles",
        "approve the change",
        APPROVERS,
        "`consdb/approvals` shows the approval of all roles",
        after=("gather",),
    ),
    ProcessStep(
        "generate",
        "Migration generated",
        "generate the migration",
        "consdb",
        "a pull request in consdb contains the up-to-date migration",
        after=("gather",),
    ),
    ProcessStep(
        "bts",
        "Applied and tested at the Base Test Stand",
        "apply and test at the Base Test Stand",
        "consdb",
        after=("approve", "generate"),
        routes=(Route.SUMMIT,),
        names=("base", "base-test-stand"),
    ),
    ProcessStep(
        "dev",
        "Applied and tested on the USDF dev database",
        "apply and test on the USDF dev database",
        "consdb",
        after=("generate",),
        routes=(Route.USDF,),
        names=("usdf-dev",),
    ),
    ProcessStep(
        "merge-consdb",
        "Migration merged in consdb",
        "merge the migration in consdb",
        "consdb",
        "the pull request in consdb is merged",
        after=("bts", "dev"),
    ),
    ProcessStep(
        "tag",
        "Release tagged",
        "tag a release of consdb",
        "consdb",
        "a release tag of consdb contains the merge",
        after=("merge-consdb",),
    ),
    ProcessStep(
        "deploy",
        "Release deployed by stages",
        "deploy the release by stages",
        "consdb",
        "the environments in phalanx have a release that contains the merge",
        after=("tag",),
    ),
    ProcessStep(
        "summit",
        "Summit database migrated",
        "migrate the Summit database",
        "consdb",
        after=("tag",),
        routes=(Route.SUMMIT,),
        names=("summit-migrated",),
    ),
    ProcessStep(
        "publication",
        "New tables added to the publication",
        "add the new tables to the publication",
        "consdb",
        after=("summit",),
        routes=(Route.SUMMIT,),
        names=("replication",),
    ),
    ProcessStep(
        "usdf",
        "USDF database migrated",
        "migrate the USDF database",
        "usdf",
        after=("tag", "publication"),
        names=("usdf-migrated",),
    ),
    ProcessStep(
        "pqserver",
        "pqserver restarted in all environments",
        "restart pqserver in all environments",
        "consdb",
        after=("deploy", "summit", "usdf"),
        names=("restart",),
    ),
    ProcessStep(
        "tap",
        "TAP_SCHEMA of this change deployed",
        "deploy the TAP_SCHEMA of this change",
        "consdb",
        "the environments in phalanx have a TAP_SCHEMA image that contains the change",
        after=("usdf",),
    ),
    ProcessStep(
        MERGE,
        "Schema change merged in sdm_schemas",
        "merge this pull request",
        "consdb",
        "this pull request is merged",
        after=("approve", "pqserver", "tap"),
    ),
    ProcessStep(
        "repin",
        "consdbtap pinned to a weekly tag",
        "pin consdbtap to a weekly tag",
        "consdb",
        "the environments in phalanx have a weekly tag that contains the merge",
        after=(MERGE,),
    ),
)

BY_ID = {step.id: step for step in STEPS}

_BY_WORD = {word: step for step in STEPS for word in (step.id, *step.names)}


def step_words() -> dict[str, ProcessStep]:
    """Return every name of a step in commands."""
    return dict(_BY_WORD)


@dataclass(frozen=True, slots=True)
class Scope:
    """The steps of one change."""

    routes: tuple[Route, ...]
    ids: frozenset[str]  # of the steps that apply

    def before(self, step: ProcessStep) -> tuple[str, ...]:
        """List the applicable direct predecessors of a step, in the order of `STEPS`.

        A step that does not apply is replaced by its own predecessors; one of another route is left out.
        """
        found: set[str] = set()

        def walk(ids: tuple[str, ...]) -> None:
            for identifier in ids:
                if identifier in self.ids:
                    found.add(identifier)
                elif set(BY_ID[identifier].routes) & set(self.routes):
                    walk(BY_ID[identifier].after)

        walk(step.after)
        return tuple(item.id for item in STEPS if item.id in found)

    def all_before(self, step: ProcessStep) -> frozenset[str]:
        """Return all applicable predecessors of a step."""
        right = self.before(step)
        return frozenset(right).union(*(self.all_before(BY_ID[name]) for name in right))

    @property
    def before_merge(self) -> tuple[str, ...]:
        """List the steps required before the merge in sdm_schemas (rule P3)."""
        ids = [step.id for step in STEPS]
        return tuple(name for name in ids[: ids.index(MERGE)] if name in self.ids)


@dataclass(frozen=True, slots=True)
class Owner(Holders):
    """A role that owns steps, and its people."""

    id: Id
    title: Title = ""


@dataclass(frozen=True, slots=True)
class StepRule:
    """The owner of a step, and the roles that may attest to it."""

    step: str
    owner: str
    attested_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepEntry:
    """A step in the configuration."""

    owner: Annotated[Id | None, Form("Id of a role.")] = None
    attested_by: Annotated[
        tuple[Id, ...],
        Form("Ids of the roles that may attest to it; the owner by default.", min_length=1, then=unique),
    ] = ()


def _folder(path: str) -> str:
    return path.strip("/")


_Folder = Annotated[
    str,
    Form(
        "A folder, from the root of the repository.",
        pattern="^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?$",
        max_length=200,
        then=_folder,
    ),
]


@dataclass(frozen=True, slots=True)
class EfdPolicy:
    """Configuration of copies of transformed EFD schemas from consdb."""

    sources: Annotated[_Folder, Form("Their folder in consdb.")] = (
        "python/lsst/consdb/transformed_efd/schemas/yml"
    )
    target: Annotated[_Folder, Form("Their folder in sdm_schemas.")] = "python/lsst/sdm/schemas"
    without: Annotated[
        tuple[Annotated[str, Form(min_length=1, max_length=100)], ...],
        Form("Names of files that are not copied."),
    ] = ("efd_scheduler.yaml",)
    labels: Annotated[tuple[Label, ...], Form("Labels of the pull request with a copy.")] = ()
    keep: Annotated[
        tuple[Annotated[str, Form(min_length=1, max_length=200)], ...],
        Form(
            "Patterns of files that people may change on its branch, such as news fragments; "
            "* matches everything, slashes too."
        ),
    ] = ("docs/*",)


_Environments = tuple[
    Annotated[str, Form("Lower-case letters, digits and dashes.", pattern="^[a-z0-9][a-z0-9-]{0,49}$")], ...
]

_RELEASED = ("base", "summit", "usdfdev", "usdfint", "usdfprod")

_PUBLISHED = ("usdfdev", "usdfint", "usdfprod")


@dataclass(frozen=True, slots=True)
class ProcessSection:
    """The section ``process`` of the configuration."""

    roles: Annotated[
        tuple[Owner, ...],
        Form(
            "The roles that own steps, beside contributor and approvers: consdb, usdf and further ones. A "
            "role that names nobody and has the id of a role of the approvals is held by the same people."
        ),
    ] = ()
    steps: Annotated[Mapping[str, StepEntry], Form("Step -> who owns it and who may attest to it.")] = field(
        default_factory=dict, hash=False
    )
    environments: Annotated[
        _Environments,
        Form(
            "The environments that a release must have reached before the merge in sdm_schemas.",
            min_length=1,
            then=unique,
        ),
    ] = _RELEASED
    tap_environments: Annotated[
        _Environments,
        Form(
            "The environments that a TAP_SCHEMA must have reached before the merge in sdm_schemas.",
            min_length=1,
            then=unique,
        ),
    ] = _PUBLISHED
    images: Annotated[
        Mapping[
            Id, Annotated[tuple[Annotated[str, Form(min_length=1, max_length=300)], ...], Form(min_length=1)]
        ],
        Form(
            "Component -> patterns of the files of consdb that its image holds; * matches everything, "
            "slashes too. A component must be deployed for a change that touches one of them."
        ),
    ] = field(
        hash=False,
        default_factory=lambda: {
            "pq": ("*",),
            "hinfo": (
                "python/lsst/consdb/hinfo.py",
                "python/lsst/consdb/utils.py",
                "docker/Dockerfile.hinfo",
            ),
        },
    )
    ticket_url: Annotated[
        str,
        Form(
            "Address of a ticket, with {ticket} in it; empty for no links.",
            pattern=r"^(https://[^\s<>()]+)?$",
            max_length=300,
        ),
    ] = "https://rubinobs.atlassian.net/browse/{ticket}"
    migrate_label: Annotated[Label, Form("The label that asks for a migration.")] = "consdb: migrate"
    follow_days: Annotated[
        int, Form("How many days after its merge a pull request is still looked at.", ge=1, le=1000)
    ] = 120
    efd: Annotated[
        EfdPolicy,
        Form("The schemas of the transformed EFD, which are made in consdb and copied to sdm_schemas."),
    ] = EfdPolicy()


@dataclass(frozen=True, slots=True)
class ProcessPolicy(ProcessSection):
    """The configuration of the process, with what other sections say."""

    consdb: str = ""  # ``owner/name``, from the section ``deploy``
    phalanx: str = ""  # ``owner/name``, from the section ``deploy``
    phalanx_branch: str = ""  # deployed branch
    shown: tuple[str, ...] = ()  # all environments, in the order of their stages
    owners: tuple[Owner, ...] = ()
    rules: tuple[StepRule, ...] = ()  # one per step
    ticket_patterns: tuple[str, ...] = ()  # each matches a whole ticket

    def rule(self, step: ProcessStep) -> StepRule:
        """Return the rule of a step."""
        return next(rule for rule in self.rules if rule.step == step.id)

    def owner(self, identifier: str) -> Owner:
        """Return a role by its id."""
        return next(owner for owner in self.owners if owner.id == identifier)

    def components(self, paths: Sequence[str]) -> tuple[str, ...]:
        """List the components whose images contain one of some files."""
        return tuple(
            component
            for component, patterns in self.images.items()
            if any(fnmatchcase(path, pattern) for path in paths for pattern in patterns)
        )

    def ticket_in(self, *texts: str) -> str:
        """Return the first ticket in some texts; empty for none."""
        return next((found for text in texts for found in tickets_in(text, self.ticket_patterns)), "")


_TITLES = {
    CONTRIBUTOR: "Contributor",
    APPROVERS: "The roles that approve",
    "consdb": "ConsDB team",
    "usdf": "USDF",
}


def make_policy(
    section: ProcessSection,
    approvals: ApprovalPolicy = APPROVALS,
    deploy: DeployPolicy | None = None,
    ticket_patterns: Sequence[str] = (r"DM-\d+", r"OSW-\d+"),
) -> ProcessPolicy:
    """Build the policy from its section; repositories and environments come from `deploy`.

    A role without people takes those of the role with the same id in `approvals`. Raises `WrongValueError`
    for an unknown step, role or environment.
    """
    deploy = deploy or DeployPolicy()
    values = {item.name: getattr(section, item.name) for item in fields(ProcessSection)}
    for name, default in (("environments", _RELEASED), ("tap_environments", _PUBLISHED)):
        values[name] = _environments(name, values[name], default, deploy)
    return ProcessPolicy(
        **values,
        consdb=deploy.consdb,
        phalanx=deploy.repository,
        phalanx_branch=deploy.base,
        shown=deploy.environments,
        owners=(owners := _owners(section.roles, approvals)),
        rules=_rules(section.steps, {owner.id for owner in owners}),
        ticket_patterns=tuple(ticket_patterns),
    )


def _rules(steps: Mapping[str, StepEntry], roles: set[str]) -> tuple[StepRule, ...]:
    """Build the rules of the steps; owners may attest by default."""
    for name, entry in steps.items():
        if name not in BY_ID:
            remedy = f"The steps are {', '.join(BY_ID)}."
            raise WrongValueError(f'there is no step "{name}"', remedy, ("process", "steps", name), BY_ID)
        for role in (entry.owner, *entry.attested_by):
            if role is not None and role not in roles:
                raise WrongValueError(
                    f'the step {name} names the role "{role}", which does not exist',
                    f"The roles are {', '.join(sorted(roles))}; add one under process.roles.",
                    ("process", "steps", name),
                )
    rules = []
    for step in BY_ID.values():
        given = steps.get(step.id, StepEntry())
        owner = given.owner or step.owner
        rules.append(StepRule(step.id, owner, given.attested_by or (owner,)))
    return tuple(rules)


def _owners(roles: Sequence[Owner], approvals: ApprovalPolicy) -> tuple[Owner, ...]:
    """Build the default roles with their overrides, and further ones."""
    given = {role.id: role for role in roles}
    if len(given) < len(roles):
        raise WrongValueError(
            "two roles have the same id", "Give every role an id of its own.", ("process", "roles")
        )
    owners = []
    for identifier in dict.fromkeys([*_TITLES, *given]):
        owner = given.get(identifier, Owner(identifier))
        owner = replace(owner, title=owner.title or _TITLES.get(identifier, identifier))
        if not (owner.teams or owner.people or owner.designates):
            role = next((role for role in approvals.roles if role.id == identifier), None)
            if role is not None:
                owner = replace(owner, teams=role.teams, people=role.people, designates=role.designates)
        owners.append(owner)
    return tuple(owners)


def _environments(
    name: str, given: tuple[str, ...], default: tuple[str, ...], deploy: DeployPolicy
) -> tuple[str, ...]:
    if given is default:
        return tuple(item for item in default if item in deploy.environments)
    for index, item in enumerate(given):
        if item not in deploy.environments:
            raise WrongValueError(
                f'the environment "{item}" is in no stage',
                f"The environments are {', '.join(deploy.environments)}.",
                ("process", name, index),
            )
    return given


DEFAULT_POLICY = make_policy(ProcessSection())
