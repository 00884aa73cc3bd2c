"""What the configured views show after a change (rule M2), and operations for views and grants."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

from alembic.operations import ops

from consdb_actions.catalog import CatalogColumn, CatalogRelation, Grant, Snapshot
from consdb_actions.catalog.snapshot import stable_statement
from consdb_actions.migration.rewrite.plan import DirectionFacts, MigrationPlan
from consdb_actions.migration.rewrite.statements import Phase, Rename, SqlStatement, qualified, quote


@dataclass(frozen=True)
class ViewRule:
    """A view over all columns of one table, with some renamed."""

    table: str
    rename: Mapping[str, str]


def output_names(rule: ViewRule, columns: Sequence[str]) -> list[str]:
    """Return the view's column names, in the table's column order."""
    return [rule.rename.get(c, c) for c in columns]


def projection(schema: str, rule: ViewRule, columns: Sequence[str]) -> str:
    """Return the view's query, in the YAML's column order and with quoted names."""
    return _select(schema, rule.table, list(zip(columns, output_names(rule, columns), strict=True)))


def _select(schema: str, table: str, shown: Sequence[tuple[str, str]]) -> str:
    items = [f"{quote(c)} AS {quote(n)}" if c != n else quote(c) for c, n in shown]
    return f"SELECT {', '.join(items)} FROM {qualified(schema, table)}"


def with_remade_views(
    expected: Snapshot,
    head: Snapshot,
    current: Snapshot,
    rules: Mapping[str, ViewRule],
    *,
    renamed: Mapping[tuple[str, str], str],
    renamed_tables: Collection[str],
    granted: frozenset[Grant],
) -> Snapshot:
    """Update the columns of views over changed tables.

    Such a view has the columns of *head* in order, then further ones of *current*; a view of a dropped table
    is dropped. ``renamed`` gives old names of columns by table and new name, ``granted`` the configured
    grants on a new view.
    """
    relations = dict(expected.relations)
    for name, rule in rules.items():
        view, table = expected.views.get(name), expected.tables.get(rule.table)
        if view is None:
            continue
        if table is None:
            del relations[name]
            continue
        old, described = current.views.get(name), head.tables.get(rule.table)
        changed = (
            old is None
            or rule.table in renamed_tables
            or any(where == rule.table for where, _ in renamed)
            or _columns(table) != _columns(current.tables.get(rule.table))
        )
        if not changed or described is None:
            continue
        earlier = {new: renamed.get((rule.table, new), new) for new in table.columns}
        shown = {new: rule.rename.get(was, was) for new, was in earlier.items()}
        names = [c for c in described.columns if c in table.columns]
        if old is not None:
            names += [c for c in table.columns if c not in names and shown[c] in old.columns]
        pairs = list(zip(names, output_names(rule, names), strict=True))
        if old is not None:
            # The view keeps what else it shows under the column's own name.
            outputs = {*(n for _, n in pairs), *(shown[c] for c in names)}
            pairs += [(c, c) for c in old.columns if c not in outputs and c in table.columns]
        relations[name] = _remade(current.schema, name, table, pairs, old, shown, granted)
    return replace(expected, relations=relations)


def _columns(table: CatalogRelation | None) -> dict[str, str]:
    return {c.name: c.type for c in table.columns.values()} if table else {}


def _remade(
    schema: str,
    name: str,
    table: CatalogRelation,
    pairs: Sequence[tuple[str, str]],
    old: CatalogRelation | None,
    shown: Mapping[str, str],
    granted: frozenset[Grant],
) -> CatalogRelation:
    columns = {}
    for position, (source, output) in enumerate(pairs):
        was = (old.columns.get(shown[source]) or old.columns.get(output)) if old else None
        columns[output] = CatalogColumn(
            output,
            position,
            table.columns[source].type,
            True,
            comment=was.comment if was else None,
            grants=was.grants if was else frozenset(),
        )
    return CatalogRelation(
        name,
        old.kind if old else "view",
        columns,
        comment=old.comment if old else None,
        grants=old.grants if old else granted,
        definition=_select(schema, table.name, pairs),
        options=old.options if old else (),
        reads=(table.name,),
        indexes=old.indexes if old else {},
    )


def grants(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
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


def _on_column(facts: DirectionFacts, table: str, column: CatalogColumn) -> Iterator[SqlStatement]:
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
) -> Iterator[SqlStatement]:
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
        yield SqlStatement(
            sql + (" WITH GRANT OPTION" if grantable else ""),
            phase=phase,
            text=f"grant {', '.join(privileges)} on {target} to {role}",
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


_NAME = r"(?:[a-z_][a-z0-9_$]*|\"(?:[^\"]|\"\")+\")"

_ITEM = rf"(?:{_NAME}\.)?(?P<column>{_NAME})(?:\s+AS\s+(?P<shown>{_NAME}))?"

_PLAIN = re.sub(r"\?P<\w+>", "?:", _ITEM)

_PROJECTION = re.compile(
    rf"SELECT\s+(?P<items>{_PLAIN}(?:,\s+{_PLAIN})*)\s+FROM\s+(?P<relation>{_NAME}\.{_NAME})"
)


def views(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Drop views first and recreate them last, with grants, if they or what they read change."""
    old, new = facts.before.views, facts.after.views
    differing = {n for n in old.keys() & new.keys() if _shape(old[n]) != _shape(new[n])}
    remade = differing | facts.before.readers({*_changed_tables(plan.ops), *differing})
    dropped = [name for name in old if name in remade or name not in new]
    created = [name for name in new if name in remade or name not in old]
    out: list[ops.MigrateOperation] = [
        _drop(facts, name, old[name].kind)
        for name in reversed(_readers_last(dropped, {n: old[n].reads for n in dropped}))
    ]
    for name in _readers_last(created, {n: new[n].reads for n in created}):
        out.extend(_create(facts.schema, new[name]))
    return replace(plan, ops=(*plan.ops, *out))


def _shape(view: CatalogRelation) -> tuple[object, ...]:
    return stable_statement(view.definition), view.grants, view.comment, view.options


def _changed_tables(operations: Iterable[ops.MigrateOperation]) -> set[str]:
    """Return tables that gain, lose, rename or retype a column, or are created or dropped."""
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


def _readers_last(names: Collection[str], reads: Mapping[str, Collection[str]]) -> list[str]:
    sorter = TopologicalSorter({n: sorted(set(reads.get(n, ())) & set(names)) for n in sorted(names)})
    return list(sorter.static_order())


def _drop(facts: DirectionFacts, name: str, kind: str) -> SqlStatement:
    return SqlStatement(
        f"DROP {kind.upper()} {qualified(facts.schema, name)}",
        phase=Phase.DROP_VIEW,
        text=f"drop view {name}",
        table=name,
    )


def _create(schema: str, view: CatalogRelation) -> Iterator[SqlStatement]:
    name = qualified(schema, view.name)
    kind = view.kind.upper()
    options = f" WITH ({', '.join(view.options)})" if view.options else ""
    lines = query_lines(view.definition)
    yield SqlStatement.of_lines(
        [f"CREATE {kind} {name}{options} AS", *lines],
        phase=Phase.CREATE_VIEW,
        text=f"create view {view.name}",
        table=view.name,
    )
    yield from grant_statements(schema, view.name, view.grants, phase=Phase.CREATE_VIEW, table=view.name)
    for column in view.columns.values():
        if column.grants:
            yield from grant_statements(
                schema,
                view.name,
                column.grants,
                phase=Phase.CREATE_VIEW,
                table=view.name,
                column=column.name,
            )
    comments = [(f"{kind} {name}", view.comment, f"change comment on view {view.name}")] + [
        (f"COLUMN {name}.{quote(c.name)}", c.comment, f"change comment on {view.name}.{c.name}")
        for c in view.columns.values()
    ]
    for target, comment, text in comments:
        if comment is not None:
            yield SqlStatement.commenting(
                target, comment, text=text, table=view.name, phase=Phase.CREATE_VIEW
            )
    for index in view.indexes.values():
        yield SqlStatement(
            index.definition, phase=Phase.CREATE_VIEW, text=f"create index {index.name}", table=view.name
        )


def query_lines(query: str) -> list[str]:
    """Split a view's query into lines with one column each."""
    text = query.strip().rstrip(";")
    if match := _PROJECTION.fullmatch(text):
        # Some versions of Postgres qualify each column; the script is the same on all.
        items = [
            f"{m['column']} AS {m['shown']}" if m["shown"] else m["column"]
            for m in re.finditer(_ITEM, match["items"])
        ]
        return ["SELECT", *(f"{item}," for item in items[:-1]), items[-1], f"FROM {match['relation']}"]
    if "'" in text or '"' in text or "$" in text:
        return [text]
    return [line.strip() for line in text.splitlines() if line.strip()]
