"""Copy the values of a column that moves to another table (rule M5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from alembic.operations import ops

from consdb_actions.migration.rewrite.not_null import stand_in_values
from consdb_actions.migration.rewrite.plan import (
    Copy,
    DataLoss,
    DirectionFacts,
    MigrationPlan,
    RewriteQuestion,
    Risk,
)
from consdb_actions.migration.rewrite.statements import (
    LateDropTable,
    Phase,
    SqlStatement,
    literal,
    qualified,
    quote,
)


def copies(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Copy by the shared key before the source is dropped.

    An existing table is updated, a new one gets a row per source row with a value. If source rows share a
    target row, an upgrade requires equal values and a downgrade takes one of them.
    """
    groups: dict[Copy, list[Copy]] = defaultdict(list)
    for copy in facts.copies:
        groups[_key(copy)].append(copy)
    statements: list[SqlStatement] = []
    questions, risks, losses = list(plan.questions), list(plan.risks), list(plan.losses)
    late: list[list[Copy]] = []
    for target, joint in _joint(groups.values(), facts).items():
        if _same_keys(joint):
            statements.append(_insert_joint(facts, joint))
            for group in joint:
                del groups[_key(group[0])]
        elif facts.on_question == "ask":
            questions.append(_key_question(target, joint))
        else:
            late += joint[1:]
            losses += [_dropped_values(facts, copy) for group in joint[1:] for copy in group]
    for group in groups.values():
        if group[0].relation == "many to one":
            if facts.direction == "upgrade":
                statements += [_uniqueness_check(facts.schema, copy) for copy in group]
            risks += [_risk(facts, copy) for copy in group]
        is_update = group[0].target in facts.before.tables or group in late
        if group[0].target in facts.before.tables and facts.direction == "upgrade":
            risks += [_unmatched_risk(copy) for copy in group]
        statements.append(_update(facts.schema, group) if is_update else _insert(facts, group))
    sources = {copy.source for copy in facts.copies}
    out = [
        LateDropTable.of(op) if isinstance(op, ops.DropTableOp) and op.table_name in sources else op
        for found in plan.ops
        for op in _without_default(found, facts)
    ]
    return replace(
        plan,
        ops=(*out, *statements),
        questions=tuple(questions),
        risks=tuple(risks),
        losses=tuple(losses),
    )


def _without_default(op: ops.MigrateOperation, facts: DirectionFacts) -> Iterator[ops.MigrateOperation]:
    """Set the default of a copied column afterwards: rows without a partner stay NULL."""
    if not isinstance(op, ops.AddColumnOp) or (op.table_name, op.column.name) not in {
        (c.target, c.target_column) for c in facts.copies
    }:
        yield op
        return
    state = facts.after.tables[op.table_name].columns[op.column.name]
    if state.default is None:
        yield op
        return
    column = op.column._copy()
    default, column.server_default = column.server_default, None
    yield ops.AddColumnOp(op.table_name, column, schema=op.schema, **op.kw)
    yield ops.AlterColumnOp(
        op.table_name,
        column.name,
        schema=op.schema,
        existing_type=column.type,
        existing_nullable=state.nullable,
        modify_server_default=default,
    )


def _joint(groups: Iterable[list[Copy]], facts: DirectionFacts) -> dict[str, list[list[Copy]]]:
    joint: dict[str, list[list[Copy]]] = defaultdict(list)
    for group in groups:
        if group[0].target not in facts.before.tables:
            joint[group[0].target].append(group)
    # Rows come first from where each key has one.
    return {
        target: sorted(found, key=lambda group: (group[0].relation != "one to one", bool(group[0].through)))
        for target, found in joint.items()
        if len(found) > 1
    }


def _key(copy: Copy) -> Copy:
    """Return a copy with only what columns moving together share."""
    return replace(copy, source_column="", target_column="", required=False)


def _same_keys(joint: list[list[Copy]]) -> bool:
    """Return whether each table gives one row per key, and only its own columns."""
    key = set(joint[0][0].target_key)
    return all(
        first.relation == "one to one"
        and not first.through
        and key == set(first.target_key)
        and key.issuperset(column for column, _, _ in first.filled)
        for first in (group[0] for group in joint)
    )


def _key_question(target: str, joint: list[list[Copy]]) -> RewriteQuestion:
    first, *others = [group[0].source for group in joint]
    return RewriteQuestion(
        target,
        f"{', '.join([first, *others[:-1]])} and {others[-1]} give columns to the new table {target}, but "
        f"have no common key for its rows. Its rows can come from {first} only: drop the values of "
        f"{', '.join(others)} that have no row there? Otherwise move them in a separate change.",
        ("--on-question drop-add",),
    )


def _dropped_values(facts: DirectionFacts, copy: Copy) -> DataLoss:
    name = f"{copy.source}.{copy.source_column}"
    text = (
        f"the {facts.direction} keeps values of {name} only where {copy.target} has a row from another table"
    )
    return DataLoss(copy.source, copy.source_column, facts.direction, text)


def _unmatched_risk(copy: Copy) -> Risk:
    return Risk(
        f"{copy.source}.{copy.source_column}",
        f"upgrade: rows of {copy.source} without a row in {copy.target} have no place for it",
    )


def _risk(facts: DirectionFacts, copy: Copy) -> Risk:
    name = f"{copy.source}.{copy.source_column}"
    text = (
        f"fails where rows of {copy.source} that share a row of {copy.target} hold different values"
        if facts.direction == "upgrade"
        else f"rows of {copy.source} that share a row of {copy.target} may differ by then; one value is taken"
    )
    return Risk(name, f"{facts.direction}: {text}")


def _copy_text(group: list[Copy]) -> str:
    first = group[0]
    old = ", ".join(c.source_column for c in group)
    new = ", ".join(c.target_column for c in group)
    return f"copy {first.source}.{old} to {first.target}.{new}"


def _equal(left: str, columns: tuple[str, ...], right: str, others: tuple[str, ...]) -> list[str]:
    return [f"{left}.{quote(a)} = {right}.{quote(b)}" for a, b in zip(columns, others, strict=True)]


def _parent(schema: str, copy: Copy) -> tuple[list[str], list[str]]:
    """Return the common parent for FROM, and its join with the source."""
    if not copy.through:
        return [], []
    table = f"{qualified(schema, copy.through)} AS parent"
    return [table], _equal("parent", copy.source_side, "source", copy.source_key)


def _update(schema: str, group: list[Copy]) -> SqlStatement:
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
    return SqlStatement(
        [
            f"UPDATE {qualified(schema, first.target)} AS target",
            "SET " + ", ".join(f"{quote(c.target_column)} = source.{quote(c.source_column)}" for c in group),
            f"FROM {', '.join([source, *parents])}",
            f"WHERE {' AND '.join([*joined, *match])}",
        ],
        phase=Phase.FILL,
        text=_copy_text(group),
        table=first.target,
    )


def _insert(facts: DirectionFacts, group: list[Copy]) -> SqlStatement:
    first, schema = group[0], facts.schema
    values: dict[str, str] = {}
    side = ("parent", first.target_side) if first.through else ("source", first.source_key)
    for column, origin in zip(first.target_key, side[1], strict=True):
        values[column] = f"{side[0]}.{quote(origin)}"
    for column, table, origin in first.filled:
        values[column] = f"{'parent' if first.through == table else 'source'}.{quote(origin)}"
    for copy in group:
        values[copy.target_column] = f"source.{quote(copy.source_column)}"
    values |= _others(facts, first.target, values)
    parents, joined = _parent(schema, first)
    kept = " OR ".join(f"source.{quote(c.source_column)} IS NOT NULL" for c in group)
    return SqlStatement(
        [
            f"INSERT INTO {qualified(schema, first.target)} ({', '.join(map(quote, values))})",
            f"SELECT {', '.join(values.values())}",
            f"FROM {', '.join([f'{qualified(schema, first.source)} AS source', *parents])}",
            f"WHERE {' AND '.join([*joined, f'({kept})'])}",
        ],
        phase=Phase.FILL,
        text=_copy_text(group),
        table=first.target,
    )


def _others(facts: DirectionFacts, target: str, given: Mapping[str, str]) -> dict[str, str]:
    return stand_in_values(facts, target, given) if facts.direction == "downgrade" else {}


def _insert_joint(facts: DirectionFacts, joint: list[list[Copy]]) -> SqlStatement:
    schema, key = facts.schema, joint[0][0].target_key
    found, joined, values = [], [], {c: f"keys.{quote(c)}" for c in key}
    for number, group in enumerate(joint, start=1):
        first, name = group[0], f"source{number}"
        table = qualified(schema, first.source)
        # The first table's key order applies to all.
        own = dict(zip(first.target_key, first.source_key, strict=True))
        kept = " OR ".join(f"{quote(c.source_column)} IS NOT NULL" for c in group)
        columns = ", ".join(f"{quote(own[c])} AS {quote(c)}" for c in key)
        found.append(f"SELECT {columns} FROM {table} WHERE {kept}")
        match = " AND ".join(_equal(name, tuple(own[c] for c in key), "keys", key))
        joined.append(f"LEFT JOIN {table} AS {name} ON {match}")
        values |= {c.target_column: f"{name}.{quote(c.source_column)}" for c in group}
    target = joint[0][0].target
    values |= _others(facts, target, values)
    return SqlStatement(
        [
            f"INSERT INTO {qualified(schema, target)} ({', '.join(map(quote, values))})",
            f"SELECT {', '.join(values.values())}",
            f"FROM ({' UNION '.join(found)}) AS keys",
            *joined,
        ],
        phase=Phase.FILL,
        text="; ".join(_copy_text(group) for group in joint),
        table=target,
    )


def _uniqueness_check(schema: str, copy: Copy) -> SqlStatement:
    """Return a statement that fails if a target row is ambiguous."""
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
    return SqlStatement(
        ["DO", f"{tag}{body}{tag}"],
        phase=Phase.FILL,
        text=f"make sure that rows of {copy.source} agree on {copy.source_column}",
        table=copy.source,
    )
