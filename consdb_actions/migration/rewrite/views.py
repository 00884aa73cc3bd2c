"""Rule M2: views stand in a script exactly when a table that they read changes its columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from alembic.operations import ops

from consdb_actions.migration.rewrite.grants import grant_statements
from consdb_actions.migration.rewrite.plan import Facts, Plan, View
from consdb_actions.migration.rewrite.statements import Phase, Rename, Statement, literal, qualified, quote

__all__ = ["views"]


def views(plan: Plan, facts: Facts) -> Plan:
    """Drop the views first and create them last, with every grant.

    The views of the configuration are one family: when one is made anew, all are, as ConsDB always did.
    """
    old = facts.catalog.views
    changed = _changed_tables(plan.ops)
    remade = {*facts.remake, *_reading(old, changed)}
    if remade & facts.family:
        remade |= facts.family
    remade = _closure(remade, old)
    dropped = [name for name in old if name in remade or name not in facts.wanted_views]
    created = [name for name in facts.wanted_views if name in remade or name not in old]
    reads = {name: facts.wanted_views[name].reads for name in created}
    out: list[ops.MigrateOperation] = [
        _drop(facts, name, old[name].kind)
        for name in reversed(_readers_last(dropped, {n: old[n].reads for n in dropped}))
    ]
    for name in _readers_last(created, reads):
        out.extend(_create(facts.schema, facts.wanted_views[name]))
    return replace(plan, ops=(*plan.ops, *out))


def _changed_tables(operations: Iterable[ops.MigrateOperation]) -> set[str]:
    """Return the tables that gain, lose, rename or retype a column, or come or go as a whole."""
    changed: set[str] = set()
    for op in operations:
        if isinstance(op, Rename):
            if op.kind in {"column", "table"} and op.phase is Phase.RENAME:
                changed.add(op.new if op.kind == "table" else op.table)
        elif (isinstance(op, ops.AlterColumnOp) and op.modify_type is not None) or isinstance(
            op, ops.AddColumnOp | ops.DropColumnOp | ops.CreateTableOp | ops.DropTableOp
        ):
            changed.add(op.table_name)
    return changed


def _reading(old: Mapping[str, object], changed: set[str]) -> set[str]:
    return {name for name, view in old.items() if changed & set(getattr(view, "reads", ()))}


def _closure(names: set[str], old: Mapping[str, object]) -> set[str]:
    """Add the views that read these views, and so on."""
    while more := _reading(old, names) - names:
        names |= more
    return names


def _readers_last(names: Collection[str], reads: Mapping[str, Collection[str]]) -> list[str]:
    """Sort views so that each comes after the views that it reads."""
    out: list[str] = []
    todo = sorted(names)
    while todo:
        ready = [n for n in todo if not any(r in todo and r != n for r in reads.get(n, ()))]
        if not ready:  # Postgres knows no views that read each other.
            return out + todo
        out += ready
        todo = [n for n in todo if n not in ready]
    return out


def _drop(facts: Facts, name: str, kind: str) -> Statement:
    return Statement(
        f"DROP {kind.upper()} {qualified(facts.schema, name)}",
        phase=Phase.DROP_VIEW,
        words=f"drop view {name}",
        table=name,
    )


def _create(schema: str, view: View) -> Iterator[Statement]:
    name = qualified(schema, view.name)
    kind = "MATERIALIZED VIEW" if view.materialized else "VIEW"
    options = f" WITH ({', '.join(view.options)})" if view.options else ""

    def statement(lines: list[str], words: str) -> Statement:
        return Statement(lines, phase=Phase.CREATE_VIEW, words=words, table=view.name)

    yield statement([f"CREATE {kind} {name}{options} AS {view.query}"], f"create view {view.name}")
    yield from grant_statements(schema, view.name, view.grants, phase=Phase.CREATE_VIEW, table=view.name)
    for column, held in view.column_grants.items():
        yield from grant_statements(
            schema, view.name, held, phase=Phase.CREATE_VIEW, table=view.name, column=column
        )
    if view.comment is not None:
        yield statement(
            [f"COMMENT ON {kind} {name} IS {literal(view.comment)}"], f"describe view {view.name}"
        )
    for column, comment in view.column_comments.items():
        yield statement(
            [f"COMMENT ON COLUMN {name}.{quote(column)} IS {literal(comment)}"],
            f"describe {view.name}.{column}",
        )
