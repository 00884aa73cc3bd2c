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
    DeclaredMatch,
    check_used,
    parse_declaration,
    parse_directives,
    parse_sidecar,
    select,
)
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

    Parameters
    ----------
    declared
        Declarations for this schema (:func:`select`). What the schema has already is noted; an option
        without effect is an error.
    on_question
        ``fail`` leaves questions in ``Decisions.open_questions``; ``drop-add`` answers "nothing is renamed".

    Raises
    ------
    InputError
        A declared name does not exist, is unchanged or is claimed twice; or a declared move has no key.
    """
    tables_before, tables_after = canonical(before, "before"), canonical(after, "after")
    run = MatchingRun(tables_before, tables_after, declared)
    about_tables = table_questions(run, declared)
    if on_question == "drop-add" and about_tables:
        # Which columns can move depends on the decisions about tables.
        drops = [DeclaredMatch(table, "", "", "", ANSWERER) for q in about_tables for table in q.columns]
        declared = replace(declared, matches=(*declared.matches, *drops))
        run = MatchingRun(tables_before, tables_after, declared)
    questions = [*about_tables, *run.questions]
    decisions = run.decisions(questions, "" if on_question == "fail" else _ANSWERED)
    remembered = {d.text: Remembered(d.text, d.source, d.meaning) for d in decisions.used}
    for question in decisions.questions:
        for text in question.answers[-1].declarations if question.answered else ():
            remembered.setdefault(text, Remembered(text, ANSWERER, question.answers[-1].meaning))
    return replace(decisions, remembered=tuple(remembered.values()))
