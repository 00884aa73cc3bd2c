"""Rule M2: what the configured views show after a change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from consdb_actions.catalog import Column, Grant, Relation, Snapshot
from consdb_actions.migration.rewrite.statements import qualified, quote

__all__ = ["ViewRule", "output_names", "projection", "with_remade_views"]


@dataclass(frozen=True)
class ViewRule:
    """A view over all columns of one table, some under another name."""

    table: str
    rename: Mapping[str, str]


def output_names(rule: ViewRule, columns: Sequence[str]) -> list[str]:
    """Return the names that the view shows, in the order of the table's columns."""
    return [rule.rename.get(c, c) for c in columns]


def projection(schema: str, rule: ViewRule, columns: Sequence[str]) -> str:
    """Write the query of such a view, with the YAML's column order and quoted names."""
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
    """Give the views over changed tables the columns that they show afterwards.

    Parameters
    ----------
    expected, head, current
        The merged catalog, and the two states that its views come from; renames of the change are done.
    rules
        Rule of each configured view.
    renamed
        Old names of columns, by table and new name.
    renamed_tables
        New names of tables that the change renames.
    granted
        What the configuration grants on a new view.

    Returns
    -------
    Snapshot
        A view over a changed table shows the columns of *head*, in its order, and then what it shows in
        *current* besides. A view of a table that is gone is gone.
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
            # What the view shows under the column's own name besides, it goes on showing.
            outputs = {*(n for _, n in pairs), *(shown[c] for c in names)}
            pairs += [(c, c) for c in old.columns if c not in outputs and c in table.columns]
        relations[name] = _remade(current.schema, name, table, pairs, old, shown, granted)
    return replace(expected, relations=relations)


def _columns(table: Relation | None) -> dict[str, str]:
    return {c.name: c.type for c in table.columns.values()} if table else {}


def _remade(
    schema: str,
    name: str,
    table: Relation,
    pairs: Sequence[tuple[str, str]],
    old: Relation | None,
    shown: Mapping[str, str],
    granted: frozenset[Grant],
) -> Relation:
    columns = {}
    for position, (source, output) in enumerate(pairs):
        was = (old.columns.get(shown[source]) or old.columns.get(output)) if old else None
        columns[output] = Column(
            output,
            position,
            table.columns[source].type,
            True,
            comment=was.comment if was else None,
            grants=was.grants if was else frozenset(),
        )
    return Relation(
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
