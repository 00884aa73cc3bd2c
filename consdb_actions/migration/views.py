"""Rule M2: which views a schema should have, and what each should show."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from consdb_actions.migration.catalog import Grant, Relation, Snapshot
from consdb_actions.migration.rewrite.plan import View
from consdb_actions.migration.rewrite.statements import qualified, quote

_NAME = r"(?:[a-z_][a-z0-9_$]*|\"(?:[^\"]|\"\")+\")"
_ITEM = rf"(?:{_NAME}\.)?(?P<column>{_NAME})(?:\s+AS\s+(?P<shown>{_NAME}))?"
_PLAIN = re.sub(r"\?P<\w+>", "?:", _ITEM)
_PROJECTION = re.compile(
    rf"SELECT\s+(?P<items>{_PLAIN}(?:,\s+{_PLAIN})*)\s+FROM\s+(?P<relation>{_NAME}\.{_NAME})"
)

__all__ = ["ViewRule", "behind", "drifted", "kept_view", "output_names", "projection", "wanted_views"]


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
    items = [
        f"{quote(c)} AS {quote(n)}" if c != n else quote(c)
        for c, n in zip(columns, output_names(rule, columns), strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM {qualified(schema, rule.table)}"


def kept_view(view: Relation, extra: frozenset[Grant] = frozenset(), query: str | None = None) -> View:
    """Return a view as the catalog has it, with further grants or another query."""
    return View(
        name=view.name,
        query=query if query is not None else _tidy(view.definition),
        grants=view.grants | extra,
        comment=view.comment,
        column_comments={c.name: c.comment for c in view.columns.values() if c.comment is not None},
        column_grants={c.name: c.grants for c in view.columns.values() if c.grants},
        options=view.options,
        reads=view.reads,
        materialized=view.kind == "materialized view",
    )


def wanted_views(
    catalog: Snapshot,
    rules: Mapping[str, ViewRule],
    columns: Mapping[str, Sequence[str]],
    granted: frozenset[Grant],
    renamed: Mapping[tuple[str, str], str],
) -> dict[str, View]:
    """Return the views as they should be: those with a rule by their rule, and all others as they are.

    Parameters
    ----------
    catalog
        The database, with renames of tables done.
    rules
        Rule of each configured view that the schema file knows.
    columns
        Columns of each table of the file, in its order.
    granted
        What the configuration grants on these views at least.
    renamed
        Old names of columns, by table and new name: the comments and grants of a view's column stay with it.
    """
    out: dict[str, View] = {}
    for name, view in catalog.views.items():
        rule = rules.get(name)
        if rule is not None:
            names = columns[rule.table]
            kept = kept_view(view, granted - _held(view.grants), projection(catalog.schema, rule, names))
            earlier = [renamed.get((rule.table, c), c) for c in names]
            shown = dict(zip(output_names(rule, names), output_names(rule, earlier), strict=True))
            out[name] = replace(
                kept,
                column_comments={
                    n: kept.column_comments[o] for n, o in shown.items() if o in kept.column_comments
                },
                column_grants={n: kept.column_grants[o] for n, o in shown.items() if o in kept.column_grants},
            )
        elif all(read in columns or read in catalog.views for read in view.reads):
            out[name] = kept_view(view)
    for name, rule in rules.items():
        if name not in out:
            query = projection(catalog.schema, rule, columns[rule.table])
            out[name] = View(name, query, granted, reads=(rule.table,))
    return out


def _held(grants: frozenset[Grant]) -> frozenset[Grant]:
    """Return the same grants as if none could be passed on, to find what is held already."""
    return frozenset(replace(g, grantable=False) for g in grants)


def _tidy(definition: str) -> str:
    """Put a query of Postgres on one line where no quotes could hold white space of their own."""
    query = definition.strip().rstrip(";")
    if match := _PROJECTION.fullmatch(query):
        # Some versions of Postgres name the table before each column; the script is the same on all.
        items = [
            f"{m['column']} AS {m['shown']}" if m["shown"] else m["column"]
            for m in re.finditer(_ITEM, match["items"])
        ]
        return f"SELECT {', '.join(items)} FROM {match['relation']}"
    return query if "'" in query or '"' in query or "$" in query else " ".join(query.split())


def behind(view: Relation, rule: ViewRule, columns: Sequence[str]) -> bool:
    """Whether a view shows other columns than its table has; another order is no reason."""
    return set(view.columns) != set(output_names(rule, columns))


def drifted(
    views: Mapping[str, Relation], rules: Mapping[str, ViewRule], tables: Mapping[str, Collection[str]]
) -> dict[str, tuple[list[str], list[str]]]:
    """Return the views that are behind their table already, with what they miss and what they have too many.

    Parameters
    ----------
    views
        Views of the database.
    rules
        Rule of each configured view.
    tables
        Columns of each table of the same database.
    """
    out = {}
    for name, rule in sorted(rules.items()):
        if name in views and rule.table in tables:
            shown, wanted = set(views[name].columns), set(output_names(rule, list(tables[rule.table])))
            if shown != wanted:
                out[name] = sorted(wanted - shown), sorted(shown - wanted)
    return out
