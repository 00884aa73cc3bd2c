"""Read a schema's state from ``pg_catalog`` into a :class:`~consdb_actions.migration.catalog.Snapshot`.

The search path is emptied while reading, so that every definition names its schema.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa
from psycopg.sql import SQL, Literal

from consdb_actions.migration.catalog import Column, Constraint, Grant, Relation, Sequence, Snapshot

__all__ = ["read_snapshot"]

# to_regnamespace stands in a subquery so that it is called once, not for every row of a catalog.
_RELATIONS = """
SELECT c.oid, c.relname, c.relkind, obj_description(c.oid, 'pg_class'), c.reloptions,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE '' END
FROM pg_class c
WHERE c.relnamespace = (SELECT to_regnamespace({schema})) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
       col_description(a.attrelid, a.attnum)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = (SELECT to_regnamespace({schema})) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
# Postgres 18 keeps NOT NULL as constraints; nullability is read from the column instead.
_CONSTRAINTS = """
SELECT k.conrelid, k.conname, k.contype::text, pg_get_constraintdef(k.oid), f.relname,
       obj_description(k.oid, 'pg_constraint'),
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i)
FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.confrelid
WHERE k.connamespace = (SELECT to_regnamespace({schema})) AND k.conrelid <> 0
  AND k.contype IN ('p', 'u', 'f', 'c', 'x')
"""
_INDEXES = """
SELECT i.indrelid, c.relname, pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = (SELECT to_regnamespace({schema}))
  AND NOT EXISTS (
      SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
"""
# An owner's own privileges go without saying; they are left out so that any owner compares equal.
_GRANTS = """
SELECT c.oid, 0 AS attnum, '' AS attname, coalesce(r.rolname, 'PUBLIC'), x.privilege_type, x.is_grantable
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
WHERE c.relnamespace = (SELECT to_regnamespace({schema})) AND x.grantee <> c.relowner
UNION ALL
SELECT c.oid, a.attnum, a.attname, coalesce(r.rolname, 'PUBLIC'), x.privilege_type, x.is_grantable
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
CROSS JOIN LATERAL aclexplode(a.attacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
WHERE c.relnamespace = (SELECT to_regnamespace({schema})) AND x.grantee <> c.relowner
"""
_SEQUENCES = """
SELECT c.relname, format_type(s.seqtypid, NULL), o.relname || '.' || a.attname,
       d.deptype = 'i' OR EXISTS (
           SELECT FROM pg_depend u WHERE u.classid = 'pg_attrdef'::regclass
           AND u.refclassid = 'pg_class'::regclass AND u.refobjid = c.oid)
FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
     AND d.refclassid = 'pg_class'::regclass
LEFT JOIN pg_class o ON o.oid = d.refobjid
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE c.relnamespace = (SELECT to_regnamespace({schema})) AND c.relkind = 'S'
"""
_READS = """
SELECT DISTINCT r.ev_class, t.relname
FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
WHERE t.relnamespace = (SELECT to_regnamespace({schema})) AND t.oid <> r.ev_class
  AND t.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_FUNCTIONS = """
SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc p
WHERE p.pronamespace = (SELECT to_regnamespace({schema})) AND p.prokind IN ('f', 'p')
"""
_TRIGGERS = """
SELECT c.relname || '.' || g.tgname, pg_get_triggerdef(g.oid)
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
WHERE c.relnamespace = (SELECT to_regnamespace({schema})) AND NOT g.tgisinternal
"""
_BEFORE = (
    "SELECT set_config('consdb_actions.search_path', current_setting('search_path'), true)",
    "SELECT set_config('search_path', '', true)",
)
_AFTER = "SELECT set_config('search_path', current_setting('consdb_actions.search_path'), true)"
_QUERIES = (
    *_BEFORE,
    _RELATIONS,
    _COLUMNS,
    _CONSTRAINTS,
    _INDEXES,
    _GRANTS,
    _SEQUENCES,
    _READS,
    _FUNCTIONS,
    _TRIGGERS,
    _AFTER,
)
_RELKIND = {"r": "table", "p": "table", "f": "foreign table", "v": "view", "m": "materialized view"}
_CONTYPE = {"p": "primary key", "u": "unique", "f": "foreign key", "c": "check", "x": "exclusion"}


def read_snapshot(connection: sa.Connection, schema: str) -> Snapshot:
    """Read everything that a migration of one schema can touch.

    Parameters
    ----------
    connection
        Open connection; its transaction is used and its search path restored.
    schema
        Name of the Postgres schema; one that does not exist gives an empty snapshot.

    Returns
    -------
    Snapshot
        The state that this transaction sees.
    """
    found = _Found(*_read(connection, schema))
    columns: dict[int, dict[str, Column]] = defaultdict(dict)
    grants, column_grants = _read_grants(found.grants)
    for oid, name, type_, nullable, default, identity, generated, collation, comment in found.columns:
        columns[oid][name] = Column(
            name=name,
            position=len(columns[oid]),
            type=type_,
            nullable=nullable,
            default=default,
            identity=identity,
            generated=generated,
            collation=collation,
            comment=comment,
            grants=column_grants.get((oid, name), frozenset()),
        )
    constraints: dict[int, dict[str, Constraint]] = defaultdict(dict)
    for oid, name, kind, definition, references, comment, names in found.constraints:
        constraints[oid][name] = Constraint(
            name, _CONTYPE[kind], definition, tuple(names), references, comment
        )
    indexes: dict[int, dict[str, str]] = defaultdict(dict)
    for oid, name, definition in found.indexes:
        indexes[oid][name] = definition
    reads: dict[int, list[str]] = defaultdict(list)
    for oid, table in found.reads:
        reads[oid].append(table)
    relations = {
        name: Relation(
            name=name,
            kind=_RELKIND[kind],
            columns=columns[oid],
            constraints=constraints[oid],
            indexes=indexes[oid],
            comment=comment,
            grants=grants.get(oid, frozenset()),
            definition=definition,
            options=tuple(sorted(options or ())),
            reads=tuple(sorted(reads[oid])),
        )
        for oid, name, kind, comment, options, definition in found.relations
    }
    return Snapshot(
        schema=schema,
        relations=dict(sorted(relations.items())),
        sequences={name: Sequence(name, *facts) for name, *facts in found.sequences},
        functions=dict(found.functions),
        triggers=dict(found.triggers),
    )


class _Found(NamedTuple):
    """The rows of each query, in the order of ``_QUERIES``."""

    relations: list[Any]
    columns: list[Any]
    constraints: list[Any]
    indexes: list[Any]
    grants: list[Any]
    sequences: list[Any]
    reads: list[Any]
    functions: list[Any]
    triggers: list[Any]


def _read(connection: sa.Connection, schema: str) -> Iterator[list[Any]]:
    """Run all queries in one round trip: a run asks hundreds of times."""
    text = SQL(";".join(_QUERIES)).format(schema=Literal(schema)).as_string(None)
    result = connection.exec_driver_sql(text, execution_options={"no_parameters": True})
    cursor: Any = result.cursor
    for _ in _BEFORE:
        cursor.nextset()
    for _ in _Found._fields:
        yield cursor.fetchall()
        cursor.nextset()
    result.close()


def _read_grants(
    rows: Iterable[Any],
) -> tuple[dict[int, frozenset[Grant]], dict[tuple[int, str], frozenset[Grant]]]:
    relations: dict[int, set[Grant]] = defaultdict(set)
    columns: dict[tuple[int, str], set[Grant]] = defaultdict(set)
    for oid, number, name, grantee, privilege, grantable in rows:
        target = columns[oid, name] if number else relations[oid]
        target.add(Grant(grantee, privilege, grantable))
    return {k: frozenset(v) for k, v in relations.items()}, {k: frozenset(v) for k, v in columns.items()}
