"""What each flow asks of GitHub: as many calls as docs/budget.md says, and no more."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from consdb_actions.cli import cli
from tests.budget.flows import AGAIN, FAMILIES, NOW, Calls, Family, Ground
from tests.support.approvals import REPOSITORY
from tests.support.budget_scene import migration_scene
from tests.support.phalanx import PHALANX, consdb_file

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "budget.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Cost:
    """What a run may cost: reads that count, reads that do not, and writes."""

    reads: int
    unchanged: int
    writes: int

    @classmethod
    def of(cls, calls: Calls) -> Cost:
        return cls(calls.reads, calls.unchanged, calls.writes)

    @classmethod
    def read(cls, text: str) -> Cost:
        """Read a cell such as ``25 + 3, 5 writes``."""
        match = re.fullmatch(r"(\d+)(?: \+ (\d+))?(?:, (\d+) writes?)?", text)
        assert match, f"docs/budget.md: {text!r} says no number of calls"
        return cls(*(int(group or 0) for group in match.groups()))

    def __str__(self) -> str:
        text = f"{self.reads}" + (f" + {self.unchanged}" if self.unchanged else "")
        return text + (f", {self.writes} write{'s' * (self.writes > 1)}" if self.writes else "")


def budgets() -> dict[str, Cost]:
    """Read the table: what each flow costs, and what it costs when there is nothing left to do."""
    found = {}
    for row in re.findall(r"^\| `(.*) \|$", DOCUMENT.partition("\n## ")[0], re.MULTILINE):
        name, first, again, *_ = row.replace("`", "").split(" | ")
        found[name] = Cost.read(first)
        if again:
            found[f"{name}{AGAIN}"] = Cost.read(again)
    return found


BUDGETS = budgets()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.run.__name__)
def test_a_flow_costs_what_the_document_says(ground: Ground, family: Family) -> None:
    measured = dict(family.run(ground))
    assert {name.removesuffix(AGAIN) for name in measured} == set(family.flows)
    for name, calls in measured.items():
        cost, budget = Cost.of(calls), BUDGETS[name]
        more = cost.reads > budget.reads or cost.unchanged > budget.unchanged or cost.writes > budget.writes
        words = "more than" if more else "less than its budget; lower it:"
        assert cost == budget, f"{name} takes {cost}, {words} {budget}:\n{calls}"


def test_the_document_has_every_flow_and_no_other() -> None:
    assert {name.removesuffix(AGAIN) for name in BUDGETS} == {
        flow for family in FAMILIES for flow in family.flows
    }


def connecting(command: click.Command, path: str = "") -> Iterator[str]:
    """Yield the commands that connect to GitHub, in their own function or one of their module."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            assert below is not None
            yield from connecting(below, f"{path} {name}".strip())
        return
    assert command.callback is not None
    function = inspect.unwrap(command.callback)
    own = vars(sys.modules[function.__module__])
    names = [own.get(name) for name in function.__code__.co_names]
    code = [function, *(item for item in names if getattr(item, "__module__", "") == function.__module__)]
    connects = re.compile(r"\b(github_session|connect|pull_requests\.(sync|status))\(")
    if any(connects.search(inspect.getsource(item)) for item in code if inspect.isfunction(item)):
        yield path


def test_every_command_that_connects_is_one_of_the_flows() -> None:
    flows = {flow for family in FAMILIES for flow in family.flows if "," not in flow}
    assert set(connecting(cli)) == flows


def reads(ground: Ground, *args: str, code: int = 0) -> int:
    calls = ground.run(*args, code=code)
    assert not calls.writes
    return calls.reads


def test_pages_grow_with_what_is_on_the_pull_request_only(ground: Ground) -> None:
    town = ground.town()
    ground.on(town.world)
    args = ("approvals", "status", "--repo", REPOSITORY, "--pr", "1", *NOW)
    first = reads(ground, *args, code=1)

    def grow(count: int) -> None:
        """Have that many comments, reviews and events."""
        while len([item for item in town.repo.comments if item.issue == 1]) < count:
            town.say("mallory", "A word.")
        while len(town.pull.reviews) < count:
            town.review("mallory", "COMMENTED", "Another word.")
        while len(town.pull.timeline) < count:
            (town.unlabel if "schema" in town.pull.labels else town.label)("schema", "author")

    grow(100)
    assert reads(ground, *args, code=1) == first, "a full page is not followed by an empty one"
    grow(101)
    assert reads(ground, *args, code=1) == first + 3, "one more page each"


@pytest.mark.slow
def test_commits_are_read_by_the_page(ground: Ground) -> None:
    town = ground.town()
    ground.on(town.world)
    args = ("approvals", "status", "--repo", REPOSITORY, "--pr", "1", *NOW)
    first = reads(ground, *args, code=1)
    for count, pages in ((100, 0), (101, 1)):
        while len(town.repo.store.between(town.base, town.head)) < count:
            town.push(message="Empty")
        assert reads(ground, *args, code=1) == first + pages


def test_files_of_a_migration_are_read_by_the_page(ground: Ground) -> None:
    town = ground.town("generate")
    ground.on(town.world)
    args = ("process", "status", "--repo", REPOSITORY, "--pr", "1", *NOW)
    first = reads(ground, *args)
    assert town.migration is not None
    more = {f"alembic/latiss/versions/{number:012x}_more.py": "# up\n" for number in range(100)}
    town.world.commit(town.consdb, town.migration.branch, more, author="github-actions[bot]")
    assert reads(ground, *args) == first + 1


def test_a_migration_costs_the_same_for_one_section_and_for_all(ground: Ground) -> None:
    scene = migration_scene(ground.world())
    ground.on(scene.world)
    one = ground.publish(scene, scene.head, "latiss")
    assert Cost.of(one) == BUDGETS["migrations publish"]


@pytest.mark.slow
def test_drift_reads_old_versions_eight_at_a_time(ground: Ground) -> None:
    town = ground.town("deploy")
    ground.on(town.world)
    args = ("deploy", "drift", "--repo", PHALANX, *NOW, *ground.config())
    first = reads(ground, *args)

    def again(numbers: range) -> None:
        """Deploy another pq at the Summit, again and again; the rest of the file stays."""
        for number in numbers:
            path = "applications/consdb/values-summit.yaml"
            text = consdb_file("summit", "26.3.1", pq=f"26.3.{number}")
            town.world.commit(town.phalanx, "main", {path: text}, author="carl")

    again(range(2, 8))
    assert reads(ground, *args) == first
    again(range(8, 16))
    assert reads(ground, *args) == first + 1
