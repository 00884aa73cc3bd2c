"""Decide which columns and tables were renamed or moved (rules M4 and M5).

A declaration, an equal ``@id``, or a change of case decides a rename; equal name and description, with a key,
a move. Other likely matches become questions, the rest are drops, listed as losses. See
:mod:`consdb_actions.migration.matching`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from consdb_actions.migration.matching.decisions import (
    Added,
    Answer,
    ColumnRename,
    ColumnSource,
    CopiedMove,
    Decisions,
    Dropped,
    DroppedTable,
    Join,
    MatchingQuestion,
    Rejected,
    Remembered,
    RenameProposal,
    TableRename,
    Through,
)
from consdb_actions.migration.matching.declarations import (
    Declaration,
    Declarations,
    DeclaredDrop,
    DeclaredMatch,
    DeclaredMove,
    DeclaredRename,
    DeclaredTableDrop,
    DeclaredTableRename,
    parse_declaration,
    parse_directives,
    parse_sidecar,
)
from consdb_actions.migration.matching.declared import check_used, select
from consdb_actions.migration.matching.facts import (
    ColumnFacts,
    ForeignKeyFacts,
    NameMap,
    TableFacts,
    canonical,
)
from consdb_actions.migration.matching.run import ANSWERER, MatchingRun, table_questions

__all__ = [
    "Added",
    "Answer",
    "ColumnFacts",
    "ColumnRename",
    "Decisions",
    "Declaration",
    "Declarations",
    "DeclaredDrop",
    "DeclaredMove",
    "DeclaredRename",
    "DeclaredTableDrop",
    "DeclaredTableRename",
    "Dropped",
    "DroppedTable",
    "ColumnSource",
    "ForeignKeyFacts",
    "Join",
    "CopiedMove",
    "NameMap",
    "OnQuestion",
    "RenameProposal",
    "MatchingQuestion",
    "Rejected",
    "Remembered",
    "TableFacts",
    "TableRename",
    "Through",
    "check_used",
    "decide",
    "parse_declaration",
    "parse_directives",
    "parse_sidecar",
    "select",
]

OnQuestion = Literal["fail", "drop-add"]

_ANSWERED = "nothing is renamed"


def decide(
    before: Sequence[TableFacts],
    after: Sequence[TableFacts],
    declared: Declarations,
    on_question: OnQuestion,
) -> Decisions:
    """Decide which tables and columns were renamed or moved, deterministically.

    ``fail`` leaves questions in ``Decisions.open_questions``; ``drop-add`` answers "nothing is renamed". A
    declaration that the schema already fulfils is noted; one of an option without effect is an error.
    """
    tables_before, tables_after = canonical(before, "before"), canonical(after, "after")
    run = MatchingRun(tables_before, tables_after, declared)
    about_tables = table_questions(run, declared)
    if on_question == "drop-add" and about_tables:
        # Which columns can move depends on the decisions about tables.
        drops = tuple(DeclaredTableDrop(table, ANSWERER) for q in about_tables for table in q.columns)
        run = MatchingRun(
            tables_before, tables_after, replace(declared, table_drops=(*declared.table_drops, *drops))
        )
    questions = [*about_tables, *run.questions]
    decisions = run.decisions(questions, "" if on_question == "fail" else _ANSWERED)
    remembered = {d.text: Remembered(d.text, d.source, _meaning(d)) for d in decisions.used}
    for question in decisions.questions:
        for text in question.answers[-1].declarations if question.answered else ():
            remembered.setdefault(text, Remembered(text, ANSWERER, question.answers[-1].meaning))
    return replace(decisions, remembered=tuple(remembered.values()))


def _meaning(declaration: DeclaredMatch) -> str:
    match declaration:
        case DeclaredRename(table, old, new) if old == new:
            return f"`{table}.{old}` is unchanged"
        case DeclaredRename(table, old, new):
            return f"`{table}.{old}` is renamed to `{new}`"
        case DeclaredDrop(table, column):
            return f"`{table}.{column}` is dropped without a successor"
        case DeclaredMove(table, column, new_table, new_column):
            return f"`{table}.{column}` moves to `{new_table}.{new_column}`"
        case DeclaredTableRename(old, new):
            return f"table `{old}` is renamed to `{new}`"
        case _:
            return f"table `{declaration.table}` is dropped without a successor"
