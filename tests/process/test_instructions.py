"""Rule P7: every instruction of the process has a home, and docs/process.md names it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click
import pytest

from consdb_actions.cli import cli
from consdb_actions.process.runbook_steps import RunbookStep
from tests.process.test_runbook import kind_of, runbook

PAGE = Path(__file__).parents[2] / "docs" / "process.md"
ROW = re.compile(r"\| (\d+) \| (.+) \| (automated|checked|step) \| `([a-z0-9 -]+)` \| (.+) \|")


def rows() -> list[tuple[str, ...]]:
    return [match.groups() for line in PAGE.read_text().splitlines() if (match := ROW.fullmatch(line))]


def all_steps() -> dict[str, RunbookStep]:
    """Return the steps of runbooks that need every kind of step."""
    made = [runbook(kind_of(kind)) for kind in ("a table", "a column", "a drop", "EFD, a rename")]
    made.append(runbook(replace(kind_of("a column"), section="startrackerwide")))
    return {step.id: step for one in made for _, step in one.steps()}


def test_p7_there_is_a_row_for_each_instruction() -> None:
    assert [int(number) for number, *_ in rows()] == list(range(1, 53))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_p7_every_instruction_has_a_home(row: tuple[str, ...]) -> None:
    _, _, state, home, owner = row
    if state == "step":
        step = all_steps()[home]
        assert step.blocks, "a step says what to do"
        assert step.failure, "a step says what to do when it is not seen"
        assert step.who
        assert step.minutes > 0
        people = {"consdb": ("ConsDB team", "consdb"), "the source": ("team",)}.get(owner, (owner,))
        assert any(name in step.who for name in people)
        return
    command: click.Command = cli
    for name in home.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None, home
        command = found


def test_p7_every_step_says_who_and_what_to_do_when_it_fails() -> None:
    for step in all_steps().values():
        assert step.who, step.id
        assert step.blocks, step.id
