"""The steps of a schema change, as data: who owns them, what shows that they are done, what comes before.

They are the nine steps of ConsDB's process over four repositories, cut where the evidence is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "APPROVERS",
    "BY_ID",
    "CONTRIBUTOR",
    "MERGE",
    "STEPS",
    "Proof",
    "Route",
    "Scope",
    "Step",
    "step_words",
]


class Route(StrEnum):
    """Where the values come from, which decides the way a change travels."""

    SUMMIT = "summit"
    USDF = "usdf"


class Proof(StrEnum):
    """What shows that a step is done (rule P1)."""

    DERIVED = "derived"
    ATTESTED = "attested"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes
    ----------
    id
        Its name in commands and in JSON.
    title
        What is true when it is done, for people.
    todo
        What is to be done, as in a list of tasks.
    owner
        Id of the role that owns it; the policy can name another one.
    proof
        Whether repositories show it, or people attest to it.
    evidence
        What shows that it is done, in words.
    after
        Ids of the steps that must come before; those that do not apply stand for their own.
    routes
        The routes on which it is there.
    names
        Other words for it in commands.
    """

    id: str
    title: str
    todo: str
    owner: str
    proof: Proof
    evidence: str
    after: tuple[str, ...] = ()
    routes: tuple[Route, ...] = (Route.SUMMIT, Route.USDF)
    names: tuple[str, ...] = ()

    @property
    def attested(self) -> bool:
        """Whether people attest to it."""
        return self.proof is Proof.ATTESTED


MERGE = "merge-sdm"
"""The step that comes last but one: ``consdb/ready-to-merge`` guards it (rule P3)."""

CONTRIBUTOR = "contributor"
APPROVERS = "approvers"

STEPS: tuple[Step, ...] = (
    Step(
        "gather",
        "Ticket and pull request",
        "name the ticket",
        CONTRIBUTOR,
        Proof.DERIVED,
        "the pull request is there and names a ticket",
    ),
    Step(
        "efd-sync",
        "Schema copied from the EFD configuration",
        "copy the schema from the EFD configuration",
        "consdb",
        Proof.DERIVED,
        "the files here are those of consdb",
        after=("gather",),
        routes=(Route.USDF,),
    ),
    Step(
        "approve",
        "Approval by all roles",
        "approve the change",
        APPROVERS,
        Proof.DERIVED,
        "all roles have approved, as `consdb/approvals` counts it",
        after=("gather",),
    ),
    Step(
        "generate",
        "Migration generated",
        "generate the migration",
        "consdb",
        Proof.DERIVED,
        "a pull request in consdb holds the migration of this very change",
        after=("gather",),
    ),
    Step(
        "bts",
        "Applied and tested at the Base Test Stand",
        "apply and test at the Base Test Stand",
        "consdb",
        Proof.ATTESTED,
        "somebody who may attest to it says so in a comment",
        after=("approve", "generate"),
        routes=(Route.SUMMIT,),
        names=("base", "base-test-stand"),
    ),
    Step(
        "dev",
        "Applied and tested on the USDF dev database",
        "apply and test on the USDF dev database",
        "consdb",
        Proof.ATTESTED,
        "somebody who may attest to it says so in a comment",
        after=("generate",),
        routes=(Route.USDF,),
        names=("usdf-dev",),
    ),
    Step(
        "merge-consdb",
        "Migration merged in consdb",
        "merge the migration in consdb",
        "consdb",
        Proof.DERIVED,
        "the pull request in consdb is merged",
        after=("bts", "dev"),
    ),
    Step(
        "tag",
        "Release tagged",
        "tag a release of consdb",
        "consdb",
        Proof.DERIVED,
        "a release tag of consdb holds the merge",
        after=("merge-consdb",),
    ),
    Step(
        "deploy",
        "Release deployed by stages",
        "deploy the release by stages",
        "consdb",
        Proof.DERIVED,
        "the environments in phalanx name a release that holds the merge",
        after=("tag",),
    ),
    Step(
        "summit",
        "Summit database migrated",
        "migrate the Summit database",
        "consdb",
        Proof.ATTESTED,
        "somebody who may attest to it says so in a comment",
        after=("tag",),
        routes=(Route.SUMMIT,),
        names=("summit-migrated",),
    ),
    Step(
        "publication",
        "New tables added to the publication",
        "add the new tables to the publication",
        "consdb",
        Proof.ATTESTED,
        "somebody who may attest to it says so in a comment",
        after=("summit",),
        routes=(Route.SUMMIT,),
        names=("replication",),
    ),
    Step(
        "usdf",
        "USDF database migrated",
        "migrate the USDF database",
        "usdf",
        Proof.ATTESTED,
        "somebody who may attest to it says so in a comment",
        after=("tag", "publication"),
        names=("usdf-migrated",),
    ),
    Step(
        "pqserver",
        "pqserver restarted in all environments",
        "restart pqserver in all environments",
        "consdb",
        Proof.ATTESTED,
        "somebody who may attest to it says so in a comment",
        after=("deploy", "summit", "usdf"),
        names=("restart",),
    ),
    Step(
        "tap",
        "TAP_SCHEMA of this change deployed",
        "deploy the TAP_SCHEMA of this change",
        "consdb",
        Proof.DERIVED,
        "the environments in phalanx name a TAP_SCHEMA image that holds the change",
        after=("usdf",),
    ),
    Step(
        MERGE,
        "Schema change merged in sdm_schemas",
        "merge this pull request",
        "consdb",
        Proof.DERIVED,
        "this pull request is merged",
        after=("approve", "pqserver", "tap"),
    ),
    Step(
        "repin",
        "consdbtap pinned to a weekly tag",
        "pin consdbtap to a weekly tag",
        "consdb",
        Proof.DERIVED,
        "the environments in phalanx name a weekly tag that holds the merge",
        after=(MERGE,),
    ),
)

BY_ID = {step.id: step for step in STEPS}

_BY_WORD = {word: step for step in STEPS for word in (step.id, *step.names)}


def step_words() -> dict[str, Step]:
    """Return every word that names a step in a command."""
    return dict(_BY_WORD)


@dataclass(frozen=True, slots=True)
class Scope:
    """The steps of one change.

    Attributes
    ----------
    routes
        The routes that it takes.
    ids
        Ids of the steps that apply.
    """

    routes: tuple[Route, ...]
    ids: frozenset[str]

    def before(self, step: Step) -> tuple[str, ...]:
        """List the applicable steps that must come right before a step, in the order of `STEPS`.

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

    def all_before(self, step: Step) -> frozenset[str]:
        """Return the applicable steps that must come before a step, those right before it and all earlier."""
        right = self.before(step)
        return frozenset(right).union(*(self.all_before(BY_ID[name]) for name in right))

    @property
    def before_merge(self) -> tuple[str, ...]:
        """List the applicable steps that must come before the merge in sdm_schemas (rule P3)."""
        ids = [step.id for step in STEPS]
        return tuple(name for name in ids[: ids.index(MERGE)] if name in self.ids)
