"""Rule M5: a column that moves to another table takes its values along."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from alembic.operations import ops

from consdb_actions.migration.rewrite.plan import Copy, Facts, Plan, Risk
from consdb_actions.migration.rewrite.statements import (
    LateDropTable,
    Phase,
    Statement,
    literal,
    qualified,
    quote,
)

__all__ = ["copies"]


def copies(plan: Plan, facts: Facts) -> Plan:
    """Copy by the key that both tables share, before the source is dropped.

    Rows of a table that exists are updated; a table that this migration creates gets a row for each row of
    the source that has something to keep. Where several rows of the source share one row of the target, an
    upgrade first makes sure that they agree, and stops if they don't; a downgrade takes one of the values.
    """
    groups: dict[Copy, list[Copy]] = defaultdict(list)
    for copy in facts.copies:
        groups[replace(copy, source_column="", target_column="")].append(copy)
    statements: list[Statement] = []
    risks = list(plan.risks)
    for group in groups.values():
        if group[0].relation == "many to one":
            if facts.direction == "upgrade":
                statements += [_guard(facts.schema, copy) for copy in group]
            risks += [_risk(facts, copy) for copy in group]
        is_update = group[0].target in facts.before.tables
        if is_update and facts.direction == "upgrade":
            risks += [_partnerless(copy) for copy in group]
        statements.append(_update(facts.schema, group) if is_update else _insert(facts.schema, group))
    sources = {copy.source for copy in facts.copies}
    out = [
        LateDropTable(op.table_name, schema=op.schema, table_kw=op.table_kw, _reverse=op._reverse)
        if isinstance(op, ops.DropTableOp) and op.table_name in sources
        else op
        for op in plan.ops
    ]
    return replace(plan, ops=(*out, *statements), risks=tuple(risks))


def _partnerless(copy: Copy) -> Risk:
    return Risk(
        f"{copy.source}.{copy.source_column}",
        f"upgrade: rows of {copy.source} without a row in {copy.target} have nowhere to keep it",
    )


def _risk(facts: Facts, copy: Copy) -> Risk:
    name = f"{copy.source}.{copy.source_column}"
    words = (
        f"fails where rows of {copy.source} that share a row of {copy.target} hold different values"
        if facts.direction == "upgrade"
        else f"rows of {copy.source} that share a row of {copy.target} may differ by then; one value is taken"
    )
    return Risk(name, f"{facts.direction}: {words}")


def _words(group: list[Copy]) -> str:
    first = group[0]
    old = ", ".join(c.source_column for c in group)
    new = ", ".join(c.target_column for c in group)
    return f"copy {first.source}.{old} to {first.target}.{new}"


def _equal(left: str, columns: tuple[str, ...], right: str, others: tuple[str, ...]) -> list[str]:
    return [f"{left}.{quote(a)} = {right}.{quote(b)}" for a, b in zip(columns, others, strict=True)]


def _parent(schema: str, copy: Copy) -> tuple[list[str], list[str]]:
    """Return the common parent for FROM, and how the source is joined to it."""
    if not copy.through:
        return [], []
    table = f"{qualified(schema, copy.through)} AS parent"
    return [table], _equal("parent", copy.source_side, "source", copy.source_key)


def _update(schema: str, group: list[Copy]) -> Statement:
    first = group[0]
    source = f"{qualified(schema, first.source)} AS source"
    if first.relation == "many to one":
        keys = ", ".join(map(quote, first.source_key))
        values = ", ".join(
            f"(array_agg({quote(c.source_column)}))[1] AS {quote(c.source_column)}" for c in group
        )
        source = f"(SELECT {keys}, {values} FROM {qualified(schema, first.source)} GROUP BY {keys}) AS source"
    parents, joined = _parent(schema, first)
    match = (
        _equal("parent", first.target_side, "target", first.target_key)
        if first.through
        else _equal("source", first.source_key, "target", first.target_key)
    )
    return Statement(
        [
            f"UPDATE {qualified(schema, first.target)} AS target",
            "SET " + ", ".join(f"{quote(c.target_column)} = source.{quote(c.source_column)}" for c in group),
            f"FROM {', '.join([source, *parents])}",
            f"WHERE {' AND '.join([*joined, *match])}",
        ],
        phase=Phase.FILL,
        words=_words(group),
        table=first.target,
    )


def _insert(schema: str, group: list[Copy]) -> Statement:
    first = group[0]
    values: dict[str, str] = {}
    side = ("parent", first.target_side) if first.through else ("source", first.source_key)
    for column, origin in zip(first.target_key, side[1], strict=True):
        values[column] = f"{side[0]}.{quote(origin)}"
    for column, table, origin in first.filled:
        values[column] = f"{'parent' if first.through == table else 'source'}.{quote(origin)}"
    for copy in group:
        values[copy.target_column] = f"source.{quote(copy.source_column)}"
    parents, joined = _parent(schema, first)
    kept = " OR ".join(f"source.{quote(c.source_column)} IS NOT NULL" for c in group)
    return Statement(
        [
            f"INSERT INTO {qualified(schema, first.target)} ({', '.join(map(quote, values))})",
            f"SELECT {', '.join(values.values())}",
            f"FROM {', '.join([f'{qualified(schema, first.source)} AS source', *parents])}",
            f"WHERE {' AND '.join([*joined, f'({kept})'])}",
        ],
        phase=Phase.FILL,
        words=_words(group),
        table=first.target,
    )


def _guard(schema: str, copy: Copy) -> Statement:
    """Stop where the rows that share a row of the target do not agree."""
    column, keys = quote(copy.source_column), ", ".join(map(quote, copy.source_key))
    message = literal(
        f"rows of {copy.source} disagree on {copy.source_column}; it cannot move to {copy.target}"
    )
    body = (
        f"BEGIN IF EXISTS (SELECT FROM {qualified(schema, copy.source)} GROUP BY {keys} "
        f"HAVING count(DISTINCT {column}) + max(({column} IS NULL)::integer) > 1) "
        f"THEN RAISE EXCEPTION USING MESSAGE = {message}; END IF; END"
    )
    tag = next(t for t in ("$$", "$guard$", "$guard_move$") if t not in body)
    return Statement(
        ["DO", f"{tag}{body}{tag}"],
        phase=Phase.FILL,
        words=f"make sure that rows of {copy.source} agree on {copy.source_column}",
        table=copy.source,
    )
