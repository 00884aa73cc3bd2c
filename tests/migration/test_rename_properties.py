"""What holds for every change of every schema (rules M4 and M5)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consdb_actions.migration.matching.decisions import Decisions
from consdb_actions.migration.matching.declarations import Declarations, parse_declaration
from consdb_actions.migration.matching.facts import ColumnFacts, ForeignKeyFacts, TableFacts
from consdb_actions.migration.rename import OnQuestion, decide, select

WORDS = ("flux", "temp", "mean", "max", "1", "2", "Mean", "psf", "sky")
TEXTS = (
    None,
    "Mean flux of the sky.",
    "Temperature of the sensor.",
    "Largest flux seen.",
    "Flux of the PSF.",
)
TYPES = ("real", "double precision", "integer", "character varying(8)")
TABLES = ("exposure", "Exposure", "quick", "detail")
KEY = ("day", "seq")

names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map("_".join)


@st.composite
def tables(draw: st.DrawFn, name: str, ids: bool) -> TableFacts:
    """Make a table with a key, and perhaps a foreign key to ``exposure``."""
    free = draw(st.lists(names, max_size=6, unique=True))
    columns = [
        ColumnFacts(name, part, "integer", False, f"The {part}.", position=at) for at, part in enumerate(KEY)
    ]
    for at, free_name in enumerate(free):
        columns.append(
            ColumnFacts(
                name,
                free_name,
                draw(st.sampled_from(TYPES)),
                True,
                draw(st.sampled_from(TEXTS)),
                unit=draw(st.sampled_from((None, "s", "m"))),
                id=f"#{draw(st.sampled_from((free_name, '1', '2', '3')))}" if ids else None,
                position=at + len(KEY),
            )
        )
    refers = draw(st.booleans()) and name != "exposure"
    return TableFacts(
        name,
        tuple(columns),
        id=f"#{draw(st.sampled_from((name, 'a')))}" if ids else None,
        primary_key=draw(st.sampled_from((KEY, ("day",), ()))),
        foreign_keys=(ForeignKeyFacts(KEY, "exposure", KEY),) if refers else (),
    )


@st.composite
def sides(draw: st.DrawFn) -> tuple[TableFacts, ...]:
    """Make a schema of up to three tables."""
    ids = draw(st.booleans())
    chosen = draw(st.lists(st.sampled_from(TABLES), max_size=3, unique=True))
    return tuple(draw(tables(name, ids)) for name in chosen)


Side = tuple[TableFacts, ...]
Statement = Callable[[Side, Side, list[int]], None]
NOTHING = Declarations()
MODES: tuple[OnQuestion, ...] = ("fail", "drop-add")


def fates(before: Sequence[TableFacts], decisions: Decisions) -> dict[str, list[str]]:
    """Say what became of every column; a list, so that two fates show."""
    found: dict[str, list[str]] = {column.path: [] for table in before for column in table.columns}
    for rename in decisions.renames:
        found[f"{rename.table}.{rename.old}"].append("renamed")
    for source in {(move.table, move.column) for move in decisions.moves}:
        found[".".join(source)].append("moved")
    for drop in decisions.drops:
        found[f"{drop.table}.{drop.column}"].append("dropped")
    gone = {table.table: table for table in decisions.dropped_tables}
    for question in decisions.open_questions:
        for path in question.columns:
            for column in [path] if "." in path else [c for c in found if c.startswith(f"{path}.")]:
                found[column].append("in question")
    for path, fate in found.items():
        if not fate:
            fate.append("dropped" if path.split(".")[0] in gone else "kept")
    return found


def each_column_has_one_fate(before: Side, after: Side, _: list[int]) -> None:
    for on_question in MODES:
        decisions = decide(before, after, NOTHING, on_question)
        for path, fate in fates(before, decisions).items():
            assert len(fate) == 1, (path, fate)


def nothing_is_invented_and_nothing_is_renamed_without_proof(before: Side, after: Side, _: list[int]) -> None:
    old = {column.path: column for table in before for column in table.columns}
    new = {column.path: column for table in after for column in table.columns}
    decisions = decide(before, after, NOTHING, "fail")
    for rename in decisions.renames:
        one, other = old[f"{rename.table}.{rename.old}"], new[f"{rename.new_table}.{rename.new}"]
        assert rename.kind in ("same id", "case only")
        if rename.kind == "same id":
            assert one.id == other.id is not None
        else:
            assert one.name.casefold() == other.name.casefold()
        assert one.name != other.name
    sources = [(rename.table, rename.old) for rename in decisions.renames]
    assert len(sources) == len(set(sources))
    targets = [f"{r.new_table}.{r.new}" for r in decisions.renames]
    targets += [f"{m.new_table}.{m.new_column}" for m in decisions.moves]
    assert len(targets) == len(set(targets))
    for move in decisions.moves:
        assert f"{move.table}.{move.column}" in old
        assert f"{move.new_table}.{move.new_column}" in new
        assert move.column == move.new_column
        assert move.join.certain
        assert move.join.relation != "many to one"
    for question in decisions.questions:
        for proposal in question.proposals:
            assert proposal.old in old or proposal.old in {table.name for table in before}
            assert proposal.new in new or proposal.new in {table.name for table in after}


def decisions_lead_from_before_to_after(before: Side, after: Side, _: list[int]) -> None:
    decisions = decide(before, after, NOTHING, "drop-add")
    names_map = decisions.names
    result: dict[str, set[str]] = {}
    gone = {table.table for table in decisions.dropped_tables}
    leaves = {(d.table, d.column) for d in decisions.drops} | {(m.table, m.column) for m in decisions.moves}
    for table in before:
        if table.name not in gone:
            result[names_map.table(table.name)] = {
                names_map.column(table.name, column.name)
                for column in table.columns
                if (table.name, column.name) not in leaves
            }
    for added in decisions.adds:
        assert added.column not in result[added.table]
        result[added.table].add(added.column)
    for move in decisions.moves:
        if move.new_table not in decisions.added_tables:
            assert move.new_column not in result[move.new_table]
            result[move.new_table].add(move.new_column)
    for name in decisions.added_tables:
        assert name not in result
        result[name] = {column.name for table in after if table.name == name for column in table.columns}
    assert result == {table.name: {column.name for column in table.columns} for table in after}


def the_order_of_the_input_does_not_matter(before: Side, after: Side, _: list[int]) -> None:
    shuffled: list[list[TableFacts]] = []
    for seed, side in enumerate((before, after)):
        order = random.Random(seed)
        mixed = [
            replace(table, columns=tuple(order.sample(table.columns, len(table.columns)))) for table in side
        ]
        order.shuffle(mixed)
        shuffled.append(mixed)
    for on_question in MODES:
        expected = decide(before, after, NOTHING, on_question)
        assert decide(shuffled[0], shuffled[1], NOTHING, on_question) == expected


def every_answer_is_accepted_and_settles_its_question(before: Side, after: Side, choices: list[int]) -> None:
    texts: list[str] = []
    decisions = decide(before, after, NOTHING, "fail")
    # What may have moved to or from a table is asked when it is known what became of the table.
    about_tables = any("." not in path for question in decisions.questions for path in question.columns)
    for _ in range(2 if about_tables else 1):
        for question, choice in zip(decisions.questions, choices, strict=False):
            texts += question.answers[choice % len(question.answers)].declarations
        answers = Declarations.of(parse_declaration(text, "option") for text in texts)
        assert select(answers, before, after) == answers
        decisions = decide(before, after, answers, "fail")
    assert decisions.open_questions == ()


def an_answer_that_was_not_given_is_the_last_one(before: Side, after: Side, _: list[int]) -> None:
    asked = decide(before, after, NOTHING, "drop-add")
    assert asked.open_questions == ()
    answers = Declarations.of(parse_declaration(item.declaration, "option") for item in asked.remembered)
    told = decide(before, after, answers, "fail")
    assert told.questions == ()
    for kind in ("table_renames", "renames", "moves", "adds", "added_tables"):
        assert getattr(told, kind) == getattr(asked, kind)
    assert [(d.table, d.column) for d in told.drops] == [(d.table, d.column) for d in asked.drops]


PROPERTIES = (
    each_column_has_one_fate,
    nothing_is_invented_and_nothing_is_renamed_without_proof,
    decisions_lead_from_before_to_after,
    the_order_of_the_input_does_not_matter,
    every_answer_is_accepted_and_settles_its_question,
    an_answer_that_was_not_given_is_the_last_one,
)


def check(statement: Statement, examples: int) -> None:
    """Try a statement on made-up changes."""
    choices = st.lists(st.integers(0, 5), min_size=12, max_size=12)
    settings(max_examples=examples, deadline=None)(given(sides(), sides(), choices)(statement))()


@pytest.mark.parametrize("statement", PROPERTIES)
def test_m4_m5_hold_for_any_change(statement: Statement) -> None:
    check(statement, 60)


@pytest.mark.slow
@pytest.mark.parametrize("statement", PROPERTIES)
def test_m4_m5_hold_for_very_many_changes(statement: Statement) -> None:
    check(statement, 1500)
