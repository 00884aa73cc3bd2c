"""Grant new tables to the readers of other tables (rule M3)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from alembic.operations import ops

from consdb_actions.catalog import Column, Grant, Snapshot
from consdb_actions.migration.rewrite.plan import Facts, Plan
from consdb_actions.migration.rewrite.statements import Phase, Statement, qualified, quote

__all__ = ["grant_statements", "grants", "sibling_grants", "with_configured"]


def grants(plan: Plan, facts: Facts) -> Plan:
    """Grant on each created table, and on recreated columns with grants of their own."""
    out: list[ops.MigrateOperation] = []
    for op in plan.ops:
        if isinstance(op, ops.CreateTableOp):
            table = facts.after.tables[op.table_name]
            out.extend(
                grant_statements(facts.schema, table.name, table.grants, phase=Phase.GRANT, table=table.name)
            )
            for column in table.columns.values():
                out.extend(_on_column(facts, table.name, column))
        elif isinstance(op, ops.AddColumnOp):
            column = facts.after.tables[op.table_name].columns[op.column.name]
            out.extend(_on_column(facts, op.table_name, column))
    return replace(plan, ops=(*plan.ops, *out))


def _on_column(facts: Facts, table: str, column: Column) -> Iterator[Statement]:
    return grant_statements(
        facts.schema, table, column.grants, phase=Phase.GRANT, table=table, column=column.name
    )


def grant_statements(
    schema: str,
    relation: str,
    wanted: Iterable[Grant],
    *,
    phase: Phase,
    table: str,
    column: str | None = None,
) -> Iterator[Statement]:
    """Yield one GRANT for each role, with privileges in alphabetical order."""
    by_role: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for grant in sorted(wanted):
        by_role[grant.grantee, grant.grantable].append(grant.privilege)
    for (role, grantable), privileges in sorted(by_role.items()):
        if column is not None:
            privileges = [f"{p} ({quote(column)})" for p in privileges]
        grantee = "PUBLIC" if role == "PUBLIC" else quote(role)
        sql = f"GRANT {', '.join(privileges)} ON {qualified(schema, relation)} TO {grantee}"
        target = relation if column is None else f"{relation}.{column}"
        yield Statement(
            sql + (" WITH GRANT OPTION" if grantable else ""),
            phase=phase,
            words=f"grant {', '.join(privileges)} on {target} to {role}",
            table=table,
        )


def sibling_grants(catalog: Snapshot) -> frozenset[Grant]:
    """Return the grants that most tables have."""
    tables = catalog.tables.values()
    counted = Counter(grant for table in tables for grant in table.grants)
    return frozenset(grant for grant, count in counted.items() if 2 * count > len(tables))


def with_configured(known: frozenset[Grant], configured: Mapping[str, tuple[str, ...]]) -> frozenset[Grant]:
    """Add the configured grants to known ones, role by role."""
    held = {(g.grantee, g.privilege) for g in known}
    return known | {
        Grant(role, privilege)
        for role, privileges in configured.items()
        for privilege in privileges
        if (role, privilege) not in held
    }
