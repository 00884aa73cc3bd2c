"""Compute what the configured views show after a change (rule M2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from consdb_actions.catalog import CatalogColumn, CatalogRelation, Grant, Snapshot
from consdb_actions.migration.rewrite.statements import qualified, quote


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
