"""Rule M5: a column that moves to another table takes its values along."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from alembic.operations import ops

from consdb_actions.migration.rewrite.plan import Copy, Facts, Plan
from consdb_actions.migration.rewrite.statements import Phase, Statement, qualified, quote

__all__ = ["LateDropTable", "copies"]


class LateDropTable(ops.DropTableOp):
    """A ``drop_table`` that waits until its columns were copied."""


def copies(plan: Plan, facts: Facts) -> Plan:
    """Copy by the key that both tables share, before the source is dropped.

    Rows of a table that exists are updated; a table that this migration creates gets a row for each row of
    the source that has something to keep.
    """
    groups: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], list[Copy]] = defaultdict(list)
    for copy in facts.copies:
        groups[copy.source, copy.target, copy.source_key, copy.target_key].append(copy)
    statements = [_statement(facts, group) for _, group in sorted(groups.items())]
    sources = {copy.source for copy in facts.copies}
    out = [
        LateDropTable(op.table_name, schema=op.schema, table_kw=op.table_kw, _reverse=op._reverse)
        if isinstance(op, ops.DropTableOp) and op.table_name in sources
        else op
        for op in plan.ops
    ]
    return replace(plan, ops=(*out, *statements))


def _statement(facts: Facts, group: list[Copy]) -> Statement:
    first = group[0]
    source, target = qualified(facts.schema, first.source), qualified(facts.schema, first.target)
    names = ", ".join(c.target_column for c in group)
    words = f"copy {first.source}.{', '.join(c.source_column for c in group)} to {first.target}.{names}"
    if first.target in facts.before.tables:
        match = " AND ".join(
            f"source.{quote(s)} = target.{quote(t)}"
            for s, t in zip(first.source_key, first.target_key, strict=True)
        )
        lines = [
            f"UPDATE {target} AS target",
            "SET " + ", ".join(f"{quote(c.target_column)} = source.{quote(c.source_column)}" for c in group),
            f"FROM {source} AS source",
            f"WHERE {match}",
        ]
    else:
        into = [*first.target_key, *(c.target_column for c in group)]
        values = [*first.source_key, *(c.source_column for c in group)]
        kept = " OR ".join(f"source.{quote(c.source_column)} IS NOT NULL" for c in group)
        lines = [
            f"INSERT INTO {target} ({', '.join(map(quote, into))})",
            "SELECT " + ", ".join(f"source.{quote(v)}" for v in values),
            f"FROM {source} AS source",
            f"WHERE {kept}",
        ]
    return Statement(lines, phase=Phase.FILL, words=words, table=first.target)
