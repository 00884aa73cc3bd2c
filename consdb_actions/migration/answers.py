"""Convert decisions about names into the generator's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from alembic.operations import ops

from consdb_actions.catalog import CatalogRelation, Snapshot
from consdb_actions.migration.matching.decisions import CopiedMove, Decisions
from consdb_actions.migration.matching.facts import ColumnFacts, ForeignKeyFacts, TableFacts
from consdb_actions.migration.rewrite.plan import Copy, free_names
from consdb_actions.migration.rewrite.statements import Rename
from consdb_actions.schema.model import Schema


@dataclass(frozen=True)
class Answers:
    """Decisions about renames and moves, and answers to questions."""

    tables: tuple[tuple[str, str], ...] = ()  # Renames of tables: old and new name
    columns: tuple[tuple[str, str, str], ...] = ()
    """Renames of columns: the table's new name, old and new name."""
    copies: tuple[Copy, ...] = ()
    fills: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    """Values for columns that become NOT NULL; None where no row holds NULL."""
    on_question: Literal["ask", "proceed"] = "ask"
    """Whether an unanswered question about a value stops the run."""

    def renames(self, schema: str) -> list[ops.MigrateOperation]:
        """Return the renames, tables first, in an order that works."""
        tables = [Rename("table", schema, old, old, new) for old, new in self.tables]
        columns = [Rename("column", schema, table, old, new) for table, old, new in self.columns]
        return [*free_names(tables), *free_names(columns)]

    def named_before(self, table: str, column: str) -> tuple[str, str]:
        """Return a column's names before all renames."""
        old = next((old for t, old, new in self.columns if (t, new) == (table, column)), column)
        return next((old for old, new in self.tables if new == table), table), old

    def reversed(self) -> Answers:
        """Return the answers for the downgrade."""
        back = {new: old for old, new in self.tables}
        return Answers(
            tables=tuple((new, old) for old, new in self.tables),
            columns=tuple((back.get(t, t), new, old) for t, old, new in self.columns),
            copies=tuple(copy.reversed(back) for copy in self.copies),
            on_question="proceed",
        )


def answers_from(
    decisions: Decisions,
    *,
    fills: Mapping[tuple[str, str], str | None],
    on_question: Literal["ask", "proceed"],
) -> Answers:
    """Return the part of the decisions that the generator needs."""
    new_table = {rename.old: rename.new for rename in decisions.table_renames}
    new_column = {(rename.table, rename.old): rename.new for rename in decisions.renames}
    return Answers(
        tables=tuple((r.old, r.new) for r in decisions.table_renames),
        columns=tuple((r.new_table, r.old, r.new) for r in decisions.renames),
        copies=tuple(_copy(move, new_table, new_column) for move in decisions.moves),
        fills=fills,
        on_question=on_question,
    )


def _copy(move: CopiedMove, new_table: Mapping[str, str], new_column: Mapping[tuple[str, str], str]) -> Copy:
    def column(table: str, name: str) -> str:
        return new_column.get((table, name), name)

    join = move.join
    through = join.through
    return Copy(
        source=new_table.get(move.table, move.table),
        source_column=column(move.table, move.column),
        target=move.new_table,
        target_column=move.new_column,
        source_key=tuple(column(join.source_table, c) for c in join.source_columns),
        target_key=join.target_columns,
        through=through.table if through else "",
        source_side=through.source_side if through else (),
        target_side=through.target_side if through else (),
        relation=join.relation,
        required=move.required,
        filled=tuple(
            (f.column, new_table.get(f.table, f.table), column(f.table, f.source)) for f in join.fills
        ),
    )


def table_facts(
    state: Snapshot, described: Schema | None, *, views: Sequence[str] = (), ordered: bool = False
) -> list[TableFacts]:
    """Return one side of a schema as input of the matching.

    ``described`` is the schema file; without it the database's comments are used. ``ordered`` takes the
    file's column order, and ``views`` are its tables that are views.
    """
    tables = {t.name: t for t in described.tables if t.name not in views} if described else {}
    out = []
    for name, table in state.tables.items():
        known = tables.get(name)
        texts = {c.name: c for c in known.columns} if known else {}
        names = list(table.columns)
        if ordered and known:
            rank = {c.name: i for i, c in enumerate(known.columns)}
            names.sort(key=lambda n: rank.get(n, len(rank)))
        columns = []
        for position, column in enumerate(names):
            facts, text = table.columns[column], texts.get(column)
            columns.append(
                ColumnFacts(
                    table=name,
                    name=column,
                    type=facts.type_text.lower(),
                    nullable=facts.nullable,
                    description=(text.description if text else facts.comment) or None,
                    unit=(text.unit or None) if text else None,
                    ucd=(text.ucd or None) if text else None,
                    id=(text.id or None) if text else None,
                    position=position,
                )
            )
        out.append(_table(table, tuple(columns), known.id if known else None))
    return out


def _table(table: CatalogRelation, columns: tuple[ColumnFacts, ...], identifier: str | None) -> TableFacts:
    return TableFacts(
        name=table.name,
        columns=columns,
        description=table.comment,
        id=identifier,
        primary_key=table.primary_key.columns if table.primary_key else (),
        unique_keys=tuple(u.columns for u in table.uniques),
        foreign_keys=tuple(ForeignKeyFacts(f.columns, f.table, f.referenced) for f in table.foreign_keys),
    )
