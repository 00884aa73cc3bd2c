"""Statements with a query in them: views, and rows that are written from other rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consdb_actions.migration.lint.actions import Action, Column, CreateTable, CreateView, RemoveRows, Write
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.nodes import Node, kind, relation, strings, walk

__all__ = ["read_query_statement"]


def read_query_statement(node: Node, search_path: str) -> Sequence[Action]:
    """Return what a statement with a query does; nothing for other statements."""
    what = kind(node)
    if what == "ViewStmt":
        names = strings(node.aliases)
        return [
            _view(
                relation(node.view, search_path), node.query, names, search_path, replace=bool(node.replace)
            )
        ]
    if what == "CreateTableAsStmt":
        return [_table_as(node, search_path)]
    if what == "InsertStmt":
        query = node.selectStmt
        return [_write(node, [t.val for t in _targets(query)] if query else [], search_path)]
    if what == "UpdateStmt":
        return [_write(node, [target.val for target in node.targetList or ()], search_path)]
    if what == "DeleteStmt":
        return [RemoveRows(relation(node.relation, search_path), "DELETE")]
    if what == "TruncateStmt":
        cascade = node.behavior.name == "DROP_CASCADE"
        return [RemoveRows(relation(r, search_path), "TRUNCATE", cascade) for r in node.relations]
    return ()


def _table_as(node: Node, search_path: str) -> Action:
    name = relation(node.into.rel, search_path)
    names = strings(node.into.colNames)
    if node.objtype.name == "OBJECT_MATVIEW":
        return _view(
            name, node.query, names, search_path, materialized=True, missing_ok=bool(node.if_not_exists)
        )
    columns: tuple[Column, ...] = ()
    temporary = node.into.rel.relpersistence == "t"
    return CreateTable(name, columns, (), bool(node.if_not_exists), known=False, temporary=temporary)


def _view(
    name: Name,
    query: Node,
    names: Sequence[str],
    search_path: str,
    *,
    replace: bool = False,
    materialized: bool = False,
    missing_ok: bool = False,
) -> CreateView:
    sources = _sources(query, search_path)
    outputs = _outputs(query, dict(sources))
    if names and outputs is not None:
        plain: tuple[tuple[str, Name | None], ...] = tuple((n, None) for n in names)
        starred = any(output == "*" for output, _ in outputs)
        outputs = None if starred else (*plain, *outputs[len(names) :])
    return CreateView(
        name,
        outputs,
        sources,
        frozenset(_columns(query)),
        plain=_is_plain(query),
        replace=replace,
        materialized=materialized,
        missing_ok=missing_ok,
    )


def _is_plain(query: Node) -> bool:
    """Tell whether a query only reads relations and joins them, so that each name is a column of one."""
    if kind(query) != "SelectStmt" or query.withClause or not query.fromClause:
        return False
    nodes = list(walk(query))
    named_joins = any(kind(n) == "JoinExpr" and (n.alias or n.join_using_alias) for n in nodes)
    known_as = [n.alias.aliasname if n.alias else n.relname for n in nodes if kind(n) == "RangeVar"]
    renamed = any(kind(n) == "RangeVar" and n.alias and n.alias.colnames for n in nodes)
    others = sum(kind(n) in ("SelectStmt", "RangeFunction", "RangeTableFunc") for n in nodes)
    return others == 1 and not named_joins and not renamed and len(set(known_as)) == len(known_as)


def _sources(node: Node, search_path: str) -> tuple[tuple[str, Name], ...]:
    nodes = list(walk(node))
    named_here = {n.ctename for n in nodes if kind(n) == "CommonTableExpr"}
    found: dict[tuple[str, Name], None] = {}
    for n in nodes:
        if kind(n) == "RangeVar" and (n.schemaname or n.relname not in named_here):
            known_as = n.alias.aliasname if n.alias else n.relname
            found[known_as, relation(n, search_path)] = None
    return tuple(found)


def _columns(node: Node) -> Iterable[tuple[str, str]]:
    """Yield each column that is named, with its qualifier; ``*`` stands for all."""
    nodes = list(walk(node))
    given = {n.name for n in nodes if kind(n) == "ResTarget" and n.name}
    # ORDER BY and GROUP BY may name an output column.
    outputs = {
        id(item)
        for n in nodes
        if kind(n) == "SelectStmt"
        for item in (*(s.node for s in n.sortClause or ()), *(n.groupClause or ()))
        if kind(item) == "ColumnRef" and len(item.fields) == 1 and given & set(strings(item.fields))
    }
    for n in nodes:
        if kind(n) == "ColumnRef" and id(n) not in outputs:
            names = [f.sval if kind(f) == "String" else "*" for f in n.fields]
            yield (names[-2] if len(names) > 1 else "", names[-1])
        elif kind(n) == "JoinExpr" and n.usingClause:
            yield from (("", name) for name in strings(n.usingClause))
        elif kind(n) == "JoinExpr" and n.isNatural:
            yield ("", "*")


def _targets(query: Node) -> Sequence[Node]:
    while kind(query) == "SelectStmt" and query.larg is not None:
        query = query.larg
    return tuple(query.targetList or ()) if kind(query) == "SelectStmt" else ()


def _outputs(query: Node, sources: dict[str, Name]) -> tuple[tuple[str, Name | None], ...] | None:
    """Return the output columns of a query; None where one has no name that can be read."""
    out: list[tuple[str, Name | None]] = []
    for target in _targets(query):
        value = target.val
        if kind(value) == "ColumnRef" and kind(value.fields[-1]) == "A_Star":
            qualifier = strings(value.fields)[-1:]
            if qualifier:
                starred = [sources.get(qualifier[0])]
            else:
                starred = list(sources.values()) if len(sources) == 1 else [None]
            if None in starred:
                return None
            out.extend(("*", s) for s in starred)
        elif target.name:
            out.append((target.name, None))
        elif kind(value) == "ColumnRef":
            out.append((strings(value.fields)[-1], None))
        else:
            return None
    return tuple(out) or None


def _write(node: Node, values: Sequence[Node], search_path: str) -> Write:
    return Write(
        relation(node.relation, search_path),
        frozenset(ref for value in values for ref in _carried(value)),
        _sources(node, search_path),
    )


def _carried(value: Node) -> Iterable[tuple[str, str]]:
    """Yield the columns whose values an expression carries; a condition of a sub-query carries none."""
    for node in walk(value):
        if kind(node) == "SubLink":
            query = node.subselect
            for target in _targets(query):
                yield from _carried(target.val)
            return
    yield from _columns(value)
