"""Read a :class:`~consdb_actions.catalog.Snapshot` from ``pg_catalog``, with an empty search path."""

from __future__ import annotations

import re
import secrets
from collections import defaultdict, namedtuple
from collections.abc import Iterable
from functools import cache
from typing import Any

import sqlalchemy as sa
from psycopg.sql import SQL, Literal

from consdb_actions.catalog import (
    CatalogColumn,
    CatalogConstraint,
    CatalogIndex,
    CatalogRelation,
    Grant,
    Sequence,
    Snapshot,
)
from consdb_actions.catalog.snapshot import ExtendedStatistics, Options

# A subquery calls to_regnamespace once, not for every row of a catalog.
_RELATIONS = """
SELECT c.oid, c.relname, c.relkind, obj_description(c.oid, 'pg_class'), c.reloptions,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE '' END
FROM pg_class c
WHERE c.relnamespace = (SELECT to_regnamespace({schema})) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_COLUMNS = """
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       NOT a.attnotnull AS nullable, pg_get_expr(d.adbin, d.adrelid) AS default,
       a.attidentity::text AS identity, a.attgenerated::text AS generated,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END
           AS collation,
       col_description(a.attrelid, a.attnum) AS comment,
       CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END AS statistics,
       array_remove(a.attoptions || ARRAY[
           CASE WHEN a.attstorage <> t.typstorage THEN 'STORAGE ' || CASE a.attstorage
                WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
           CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END], NULL)
           AS settings,
       (SELECT ARRAY[s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle::int]
        FROM pg_depend o JOIN pg_sequence s ON s.seqrelid = o.objid
        WHERE a.attidentity <> '' AND o.classid = 'pg_class'::regclass AND o.deptype = 'i'
          AND o.refclassid = 'pg_class'::regclass AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum)
           AS numbers
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
SELECT k.conrelid AS oid, k.conname AS name, k.contype::text AS kind,
       pg_get_constraintdef(k.oid) AS definition, f.relname AS target,
       obj_description(k.oid, 'pg_constraint') AS comment,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(n, i)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i) AS referenced,
       CASE WHEN f.relnamespace <> k.connamespace THEN n.nspname END AS schema,
       CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END AS expression,
       k.confupdtype::text AS on_update, k.confdeltype::text AS on_delete, k.confmatchtype::text AS match,
       k.condeferrable AS deferrable, k.condeferred AS deferred, k.convalidated AS validated,
       k.connoinherit AS no_inherit, (SELECT relname FROM pg_class WHERE oid = k.conindid) AS index,
       ARRAY(SELECT a.attname::text FROM pg_index x, unnest(x.indkey::int2[]) WITH ORDINALITY u(n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n
             WHERE x.indexrelid = k.conindid AND k.contype IN ('p', 'u') AND u.i > x.indnkeyatts ORDER BY u.i)
           AS include
FROM pg_constraint k
LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace n ON n.oid = f.relnamespace
WHERE k.connamespace = (SELECT to_regnamespace({schema})) AND k.conrelid <> 0
  AND k.contype IN ('p', 'u', 'f', 'c', 'x')
"""
_INDEXES = """
SELECT i.indrelid AS oid, c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition,
       i.indisunique AS unique, m.amname AS method, pg_get_expr(i.indpred, i.indrelid) AS predicate,
       c.reloptions AS storage, obj_description(c.oid, 'pg_class') AS comment,
       pg_get_indexdef(i.indexrelid) LIKE '% NULLS NOT DISTINCT%' AND i.indisunique AS nulls_not_distinct,
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY u(n, p)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.n
             WHERE u.p > i.indnkeyatts ORDER BY u.p) AS include,
       (SELECT jsonb_agg(jsonb_build_array(
            CASE WHEN i.indkey[p] <> 0 THEN a.attname END, pg_get_indexdef(i.indexrelid, p + 1, false),
            CASE WHEN NOT o.opcdefault THEN o.opcname END, i.indoption[p],
            CASE WHEN l.oid <> coalesce(a.attcollation, t.typcollation, 0) THEN l.oid::regcollation::text END
        ) ORDER BY p)
        FROM generate_series(0, i.indnkeyatts - 1) p
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p] AND i.indkey[p] <> 0
        LEFT JOIN pg_attribute e ON e.attrelid = i.indexrelid AND e.attnum = p + 1
        LEFT JOIN pg_type t ON t.oid = e.atttypid
        LEFT JOIN pg_opclass o ON o.oid = i.indclass[p]
        LEFT JOIN pg_collation l ON l.oid = i.indcollation[p]) AS elements
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
WHERE c.relnamespace = (SELECT to_regnamespace({schema}))
  AND NOT EXISTS (
      SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
"""
# The owner's implicit privileges are left out, so that any owner compares equal.
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
_POLICIES = """
SELECT c.relname || '.' || p.polname,
       concat_ws(' ', p.polcmd::text, p.polpermissive::text, p.polroles::regrole[]::text,
                 pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE c.relnamespace = (SELECT to_regnamespace({schema}))
"""
_STATISTICS = """
SELECT s.stxrelid, s.stxname, pg_get_statisticsobjdef(s.oid),
       ARRAY(SELECT DISTINCT a.attname::text FROM pg_depend d
             JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
             WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid
             AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.stxrelid ORDER BY 1),
       CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END, obj_description(s.oid, 'pg_statistic_ext')
FROM pg_statistic_ext s
WHERE s.stxnamespace = (SELECT to_regnamespace({schema}))
"""
# Migrations do not create these; they are read so that none is lost silently.
_EXTRAS = """
SELECT c.oid, x.name, x.definition
FROM pg_class c CROSS JOIN LATERAL (
    SELECT 'row-level security',
           concat_ws(', ', CASE WHEN c.relrowsecurity THEN 'ENABLE' END,
                     CASE WHEN c.relforcerowsecurity THEN 'FORCE' END)
    WHERE c.relrowsecurity OR c.relforcerowsecurity
    UNION ALL SELECT 'replica identity', CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
        ELSE 'INDEX' END WHERE c.relreplident <> 'd'
    UNION ALL SELECT 'persistence', 'UNLOGGED' WHERE c.relpersistence = 'u'
    UNION ALL SELECT 'rule ' || r.rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r WHERE r.ev_class = c.oid
    UNION ALL SELECT 'order of rows', 'CLUSTER ON an index' FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisclustered
) x(name, definition)
WHERE c.relnamespace = (SELECT to_regnamespace({schema})) AND c.relkind IN ('r', 'p')
"""
_BEFORE = (
    "SELECT set_config('consdb_actions.search_path', current_setting('search_path'), true)",
    "SELECT set_config('search_path', '', true)",
)
_AFTER = "SELECT set_config('search_path', current_setting('consdb_actions.search_path'), true)"
_QUERIES = {
    "relations": _RELATIONS,
    "columns": _COLUMNS,
    "constraints": _CONSTRAINTS,
    "indexes": _INDEXES,
    "grants": _GRANTS,
    "sequences": _SEQUENCES,
    "reads": _READS,
    "functions": _FUNCTIONS,
    "triggers": _TRIGGERS,
    "policies": _POLICIES,
    "statistics": _STATISTICS,
    "extras": _EXTRAS,
}
_NEXTVAL = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")
_RELKIND = {"r": "table", "p": "table", "f": "foreign table", "v": "view", "m": "materialized view"}
_CONTYPE = {"p": "primary key", "u": "unique", "f": "foreign key", "c": "check", "x": "exclusion"}


PREPARED = "consdb_actions.catalog"  # Key in the info of a connection that may keep prepared statements


def read_snapshot(connection: sa.Connection, schema: str) -> Snapshot:
    """Read everything in a schema that a migration can touch."""
    found = _read(connection, schema)
    columns: dict[int, dict[str, CatalogColumn]] = defaultdict(dict)
    grants, column_grants = _read_grants(found["grants"])
    for row in found["columns"]:
        known = columns[row.oid]
        known[row.name] = _column(row, len(known), column_grants.get((row.oid, row.name), frozenset()))
    constraints: dict[int, dict[str, CatalogConstraint]] = defaultdict(dict)
    for row in found["constraints"]:
        constraints[row.oid][row.name] = _constraint(row)
    indexes: dict[int, dict[str, CatalogIndex]] = defaultdict(dict)
    for row in found["indexes"]:
        indexes[row.oid][row.name] = _index(row)
    statistics: dict[int, dict[str, ExtendedStatistics]] = defaultdict(dict)
    for oid, name, definition, names, *facts in found["statistics"]:
        statistics[oid][name] = ExtendedStatistics(definition, tuple(names), *facts)
    extras: dict[int, dict[str, str]] = defaultdict(dict)
    for oid, name, definition in found["extras"]:
        extras[oid][name] = definition
    reads: dict[int, list[str]] = defaultdict(list)
    for oid, table in found["reads"]:
        reads[oid].append(table)
    relations = {
        name: CatalogRelation(
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
            statistics=statistics[oid],
            extras=extras[oid],
        )
        for oid, name, kind, comment, options, definition in found["relations"]
    }
    return Snapshot(
        schema=schema,
        relations=dict(sorted(relations.items())),
        sequences={name: Sequence(name, *facts) for name, *facts in found["sequences"]},
        functions=dict(found["functions"]),
        triggers=dict(found["triggers"]),
        policies=dict(found["policies"]),
    )


def _column(row: Any, position: int, grants: frozenset[Grant]) -> CatalogColumn:
    default, sequence = row.default, None
    if default and (match := _NEXTVAL.fullmatch(default)):
        default, sequence = None, match[1].replace("''", "'")
    return CatalogColumn(
        row.name,
        position,
        row.type,
        row.nullable,
        default=default,
        identity=_identity(row.identity, row.numbers),
        generated=row.generated,
        collation=row.collation,
        comment=row.comment,
        grants=grants,
        sequence=sequence,
        statistics=row.statistics,
        # Some builds of Postgres keep pg_attver, a counter, among the options.
        settings=tuple(sorted(s for s in row.settings or () if not s.startswith("pg_"))),
    )


def _identity(kind: str, numbers: list[int] | None) -> Options:
    if not kind or numbers is None:
        return ()
    start, increment, minimum, maximum, cache, cycle = numbers
    return _options(
        always=kind == "a",
        cache=cache,
        cycle=bool(cycle),
        increment=increment,
        maxvalue=maximum,
        minvalue=minimum,
        start=start,
    )


_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def _constraint(row: Any) -> CatalogConstraint:
    return CatalogConstraint(
        name=row.name,
        kind=_CONTYPE[row.kind],
        definition=row.definition,
        # A CHECK lists its columns in its own order; this is the table's order.
        columns=tuple(row.columns),
        references=row.target,
        comment=row.comment,
        referenced=tuple(row.referenced),
        referenced_schema=row.schema,
        expression=row.expression or "",
        index=row.index or "",
        options=_options(
            onupdate=_ACTIONS.get(row.on_update),
            ondelete=_ACTIONS.get(row.on_delete),
            match={"f": "FULL", "p": "PARTIAL"}.get(row.match),
            deferrable=row.deferrable,
            initially="DEFERRED" if row.deferred else None,
            postgresql_not_valid=not row.validated,
            postgresql_no_inherit=row.kind == "c" and row.no_inherit,
            postgresql_nulls_not_distinct=" NULLS NOT DISTINCT" in row.definition.partition("(")[0],
            postgresql_include=tuple(row.include),
        ),
    )


def _index(row: Any) -> CatalogIndex:
    texts, expressions = [], []
    for column, text, operators, option, collation in row.elements:
        suffix = f" COLLATE {collation}" if collation else ""
        suffix += f" {operators}" if operators else ""
        suffix += {0: "", 1: " DESC NULLS LAST", 2: " NULLS FIRST", 3: " DESC"}[option & 3]
        plain = column is not None and not suffix
        # pg_get_indexdef omits the parentheses around a function call.
        inner = text if column is not None or text.startswith("(") else f"({text})"
        texts.append(column if plain else inner + suffix)
        expressions.append(not plain)
    return CatalogIndex(
        row.name,
        row.definition,
        tuple(texts),
        tuple(expressions),
        row.unique,
        _options(
            postgresql_using=row.method if row.method != "btree" else None,
            postgresql_where=row.predicate,
            postgresql_with=tuple(sorted(tuple(o.split("=", 1)) for o in row.storage or ())),
            postgresql_nulls_not_distinct=row.nulls_not_distinct,
            postgresql_include=tuple(row.include),
        ),
        row.comment,
    )


def _options(**options: Any) -> Options:
    """Sort options and drop empty ones, so that equal constraints compare equal."""
    return tuple(sorted((k, v) for k, v in options.items() if v not in (None, False, ())))


def _read(connection: sa.Connection, schema: str) -> dict[str, list[Any]]:
    """Run all queries in one round trip: a run reads hundreds of snapshots."""
    texts = [SQL(text).format(schema=Literal(schema)).as_string(None) for text in _QUERIES.values()]
    before = list(_BEFORE)
    # Planning takes longer than the rest, so a connection to a scratch server plans once for each schema.
    prepared = connection.info.get(PREPARED)
    if prepared is not None:
        token = prepared.get(schema) or secrets.token_hex(8)
        names = [f"{name}_{token}" for name in _QUERIES]
        if schema not in prepared:
            before += [f"PREPARE {name} AS {text}" for name, text in zip(names, texts, strict=True)]
        texts = [f"EXECUTE {name}" for name in names]
    text = ";".join([*before, *texts, _AFTER])
    result = connection.exec_driver_sql(text, execution_options={"no_parameters": True})
    if prepared is not None:
        prepared[schema] = token
    cursor: Any = result.cursor
    for _ in before:
        cursor.nextset()
    found = {}
    for name in _QUERIES:
        row = _row_type(tuple(column.name for column in cursor.description))
        found[name] = list(map(row._make, cursor.fetchall()))
        cursor.nextset()
    result.close()
    return found


@cache
def _row_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names, rename=True)


def _read_grants(
    rows: Iterable[Any],
) -> tuple[dict[int, frozenset[Grant]], dict[tuple[int, str], frozenset[Grant]]]:
    relations: dict[int, set[Grant]] = defaultdict(set)
    columns: dict[tuple[int, str], set[Grant]] = defaultdict(set)
    for oid, number, name, grantee, privilege, grantable in rows:
        target = columns[oid, name] if number else relations[oid]
        target.add(Grant(grantee, privilege, grantable))
    return {k: frozenset(v) for k, v in relations.items()}, {k: frozenset(v) for k, v in columns.items()}
