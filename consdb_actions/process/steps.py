"""Steps of a schema change (nine in ConsDB's process, split by evidence) with owner and order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Route(StrEnum):
    """The origin of the data, which determines the steps."""

    SUMMIT = "summit"
    USDF = "usdf"


class Proof(StrEnum):
    """The kind of evidence of a step (rule P1)."""

    DERIVED = "derived"
    ATTESTED = "attested"


@dataclass(frozen=True, slots=True)
class ProcessStep:
    """A step of the process."""

    id: str  # name in commands and JSON
    title: str  # what is true when it is done
    todo: str  # instruction
    owner: str  # id of a role; the policy can override it
    proof: Proof
    evidence: str  # description of the evidence
    # ids of steps that must come before; one that does not apply stands for its own
    after: tuple[str, ...] = ()
    routes: tuple[Route, ...] = (Route.SUMMIT, Route.USDF)  # on which the step applies
    names: tuple[str, ...] = ()  # aliases in commands

    @property
    def attested(self) -> bool:
        """Return whether people attest to the step."""
        return self.proof is Proof.ATTESTED


MERGE = "merge-sdm"  # The last step but one: ``consdb/ready-to-merge`` guards it (rule P3)

CONTRIBUTOR = "contributor"
APPROVERS = "approvers"

STEPS: tuple[ProcessStep, ...] = (
    ProcessStep(
        "gather",
        "Ticket and pull request",
        "name the ticket",
        CONTRIBUTOR,
        Proof.DERIVED,
        "the pull request exists and names a ticket",
    ),
    ProcessStep(
        "efd-sync",
        "Schema copied from the EFD configuration",
        "copy the schema from the EFD configuration",
        "consdb",
        Proof.DERIVED,
        "the files are equal to those of consdb",
        after=("gather",),
        routes=(Route.USDF,),
    ),
    ProcessStep(
        "approve",
        "Approval by all roles",
        "approve the change",
        APPROVERS,
        Proof.DERIVED,
        "`consdb/approvals` shows the approval of all roles",
        after=("gather",),
    ),
    ProcessStep(
        "generate",
        "Migration generated",
        "generate the migration",
        "consdb",
        Proof.DERIVED,
        "a pull request in consdb contains the up-to-date migration",
        after=("gather",),
    ),
    ProcessStep(
        "bts",
        "Applied and tested at the Base Test Stand",
        "apply and test at the Base Test Stand",
        "consdb",
        Proof.ATTESTED,
        "an authorized person attests to it in a comment",
        after=("approve", "generate"),
        routes=(Route.SUMMIT,),
        names=("base", "base-test-stand"),
    ),
    ProcessStep(
        "dev",
        "Applied and tested on the USDF dev database",
        "apply and test on the USDF dev database",
        "consdb",
        Proof.ATTESTED,
        "an authorized person attests to it in a comment",
        after=("generate",),
        routes=(Route.USDF,),
        names=("usdf-dev",),
    ),
    ProcessStep(
        "merge-consdb",
        "Migration merged in consdb",
        "merge the migration in consdb",
        "consdb",
        Proof.DERIVED,
        "the pull request in consdb is merged",
        after=("bts", "dev"),
    ),
    ProcessStep(
        "tag",
        "Release tagged",
        "tag a release of consdb",
        "consdb",
        Proof.DERIVED,
        "a release tag of consdb contains the merge",
        after=("merge-consdb",),
    ),
    ProcessStep(
        "deploy",
        "Release deployed by stages",
        "deploy the release by stages",
        "consdb",
        Proof.DERIVED,
        "the environments in phalanx have a release that contains the merge",
        after=("tag",),
    ),
    ProcessStep(
        "summit",
        "Summit database migrated",
        "migrate the Summit database",
        "consdb",
        Proof.ATTESTED,
        "an authorized person attests to it in a comment",
        after=("tag",),
        routes=(Route.SUMMIT,),
        names=("summit-migrated",),
    ),
    ProcessStep(
        "publication",
        "New tables added to the publication",
        "add the new tables to the publication",
        "consdb",
        Proof.ATTESTED,
        "an authorized person attests to it in a comment",
        after=("summit",),
        routes=(Route.SUMMIT,),
        names=("replication",),
    ),
    ProcessStep(
        "usdf",
        "USDF database migrated",
        "migrate the USDF database",
        "usdf",
        Proof.ATTESTED,
        "an authorized person attests to it in a comment",
        after=("tag", "publication"),
        names=("usdf-migrated",),
    ),
    ProcessStep(
        "pqserver",
        "pqserver restarted in all environments",
        "restart pqserver in all environments",
        "consdb",
        Proof.ATTESTED,
        "an authorized person attests to it in a comment",
        after=("deploy", "summit", "usdf"),
        names=("restart",),
    ),
    ProcessStep(
        "tap",
        "TAP_SCHEMA of this change deployed",
        "deploy the TAP_SCHEMA of this change",
        "consdb",
        Proof.DERIVED,
        "the environments in phalanx have a TAP_SCHEMA image that contains the change",
        after=("usdf",),
    ),
    ProcessStep(
        MERGE,
        "Schema change merged in sdm_schemas",
        "merge this pull request",
        "consdb",
        Proof.DERIVED,
        "this pull request is merged",
        after=("approve", "pqserver", "tap"),
    ),
    ProcessStep(
        "repin",
        "consdbtap pinned to a weekly tag",
        "pin consdbtap to a weekly tag",
        "consdb",
        Proof.DERIVED,
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
