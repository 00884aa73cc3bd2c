"""For random pairs of schemas, the script runs on rows, reaches its target, and takes itself back."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, event, given, note, seed, settings
from hypothesis import strategies as st

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.catalog import Snapshot, compare
from consdb_actions.errors import InputError
from consdb_actions.migration.outcome import SectionOutcome
from tests.support.elements import elements, renames, violations
from tests.support.random_schemas import accidents, edited, schemas
from tests.support.stage import staged
from tests.support.workbench import Data, Workbench

PAIRS = int(os.environ.get("PAIRS", "1024"))
"""How many pairs the long session tries."""


def check_pair(server: ScratchServer, before: Data, after: Data, *, operator: bool = True) -> None:
    """Make a history of the one, generate the other, and look at every statement of the proof."""
    directory = Path(tempfile.mkdtemp(prefix="pair"))
    try:
        bench = Workbench(server, directory / "tree", shadow=True)
        bench.operator = operator
        first = bench.generate(before, on_question="drop-add", verify=False)
        assert first.status == "changed", first.questions
        outcome = bench.generate(after, on_question="drop-add", keep=False)
        note(outcome.source)
        for check in outcome.checks:
            note(f"{check.name}: {check.holds} {check.text} {check.details}")
        assert [check for check in outcome.checks if not check.holds] == []
        assert outcome.status in {"changed", "unchanged", "question"}
        assert bool(outcome.checks) == (outcome.status == "changed")
    finally:
        shutil.rmtree(directory)


@st.composite
def pull_requests(draw: st.DrawFn) -> tuple[Data, Data, Data | list[str] | None]:
    """A file, a change of it, and what somebody else did to the database meanwhile."""
    base = draw(schemas())
    after = draw(edited(base))
    kind = draw(st.sampled_from(["nothing", "change", "change", "accident"]))
    if kind == "nothing":
        return base, after, None
    return base, after, draw(edited(base, 2)) if kind == "change" else draw(accidents(base))


def check_three_way(
    server: ScratchServer, base: Data, after: Data, other: Data | list[str] | None, *, operator: bool = True
) -> None:
    """Generate a change beside what somebody else did: a question, or their work and this change."""
    directory = Path(tempfile.mkdtemp(prefix="three"))
    try:
        bench = Workbench(server, directory / "tree")
        bench.operator = operator
        assert bench.generate(base, verify=False).status == "changed"
        described = catalog(bench, 1)
        if isinstance(other, list):
            bench.revise("\n".join(f"op.execute({statement!r})" for statement in other))
        elif other is not None:
            beside = bench.generate(other, base=base, on_question="drop-add", verify=False)
            if beside.status == "question":
                return
        revisions = len(list(bench.versions.glob("*.py")))
        outcome, taken = answered(bench, base, after)
        event(outcome.status)
        note(outcome.source)
        for check in outcome.checks:
            note(f"{check.name}: {check.holds} {check.text} {check.details}")
        if outcome.status == "question":
            return
        assert [check for check in outcome.checks if not check.holds] == []
        assert bool(outcome.checks) == (outcome.status == "changed")
        head = catalog_of(server, directory / "head", after)
        current = catalog(bench, revisions)
        result, restored = current, current
        if outcome.status == "changed":
            with staged(bench, revisions + 1) as stage:
                result = stage.catalog()
                stage.downgrade()
                restored = stage.catalog()
        names = renames(base, after)
        wrong = violations(
            elements(described, names),
            elements(head),
            elements(current, names),
            elements(result),
            frozenset(taken),
        )
        assert wrong == [], "\n".join(wrong)
        assert compare(current, restored) == []
    finally:
        shutil.rmtree(directory)


def answered(bench: Workbench, base: Data, after: Data) -> tuple[SectionOutcome, set[str]]:
    """Generate, with answers to conflicts: the first to one, the second to the next."""
    take: list[str] = []
    outcome = SectionOutcome(bench.section_name, "", "question")
    names = renames(base, after)
    declared = [f"{old}={new}" for old, (new, _) in names.items() if old != new]
    declared += [
        f"{table}.{old}={new}"
        for table, (_, columns) in names.items()
        for old, new in columns.items()
        if old != new
    ]
    for _ in range(4):
        try:
            outcome = bench.generate(after, *declared, base=base, on_question="drop-add", take=take)
        except InputError as error:
            # A CHECK of the one side may not fit the type that was taken from the other.
            if "does not exist" in str(error) and any(t.startswith("current") for t in take):
                break
            raise
        questions = [q for q in outcome.questions if not q.answered]
        options = [[o for answer in q.answers for o in answer.options] for q in questions]
        offered = [[o for o in each if o.startswith("--take ")] for each in options]
        if outcome.status != "question" or not all(offered):
            break
        take += [o[(len(take) + i) % len(o)].removeprefix("--take ") for i, o in enumerate(offered)]
    return outcome, {t.split(" ", 1)[1] for t in take}


def catalog(bench: Workbench, revisions: int) -> Snapshot:
    with staged(bench, revisions) as stage:
        return stage.catalog()


def catalog_of(server: ScratchServer, directory: Path, data: Data) -> Snapshot:
    """The catalog of a file, made from nothing."""
    bench = Workbench(server, directory)
    assert bench.generate(data, verify=False).status == "changed"
    return catalog(bench, 1)


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.explicit, Phase.generate],
)
@given(before=schemas(), after=schemas())
def test_pairs(server: ScratchServer, before: Data, after: Data) -> None:
    check_pair(server, before, after)


@pytest.mark.pairs
@pytest.mark.parametrize("part", range(8))
def test_a_thousand_pairs(server: ScratchServer, part: int) -> None:
    """Eight parts, so that they can run side by side; each has a seed of its own."""

    @seed(part)
    @settings(max_examples=PAIRS // 8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(before=schemas(), after=schemas())
    def check(before: Data, after: Data) -> None:
        check_pair(server, before, after, operator=False)

    check()


@settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.explicit, Phase.generate],
)
@given(pull_requests())
def test_pull_requests(server: ScratchServer, states: tuple[Data, Data, Data | list[str] | None]) -> None:
    check_three_way(server, states[0], states[1], states[2])


@pytest.mark.pairs
@pytest.mark.parametrize("part", range(8))
def test_a_thousand_pull_requests(server: ScratchServer, part: int) -> None:
    @seed(part)
    @settings(max_examples=PAIRS // 8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(pull_requests())
    def check(states: tuple[Data, Data, Data | list[str] | None]) -> None:
        check_three_way(server, *states, operator=False)

    check()
