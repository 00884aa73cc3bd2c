"""Read a :class:`~consdb_actions.lint.state.State` from ``pg_catalog`` in one round trip."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from consdb_actions.lint.state import Column, Constraint, Name, Relation, State

__all__ = ["StateReader"]

_KINDS = {"r": "table", "p": "table", "f": "foreign table", "v": "view", "m": "materialized view"}
_LOCKS = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
# Planning takes longer than reading, so that it is done once for each connection. A statement that changes a
# relation holds a lock on it until its transaction ends, one of SHARE UPDATE EXCLUSIVE at least.
_PREPARE = """
PREPARE consdb_lint_there AS
SELECT c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY c.oid;
PREPARE consdb_lint_facts (boolean) AS
SELECT c.oid::bigint, json_build_array(
    n.nspname, c.relname, c.relkind, c.relfilenode::bigint, pg_get_userbyid(c.relowner), c.relpersistence,
    c.relreplident, c.relrowsecurity OR c.relforcerowsecurity,
    (SELECT json_agg(json_build_array(
            a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            CASE WHEN a.atthasdef THEN pg_get_expr(d.adbin, d.adrelid) END, a.attidentity, a.attgenerated)
            ORDER BY a.attnum)
     FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT json_agg(json_build_array(
            k.conname, k.contype, k.convalidated,
            ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u(n, i) JOIN pg_attribute a
                  ON a.attrelid = c.oid AND a.attnum = u.n ORDER BY u.i),
            CASE WHEN k.contype = 'c' THEN pg_get_constraintdef(k.oid) ELSE '' END))
     FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x')),
    (SELECT json_agg(json_build_array(x.relname, x.relfilenode::bigint))
     FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid),
    (SELECT json_agg(json_build_array(
            CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(e.grantee) END, e.privilege_type))
     FROM aclexplode(c.relacl) e WHERE e.grantee <> c.relowner)
)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND ($1 OR c.oid = ANY(ARRAY(
      SELECT relation FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid()
      AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))));
PREPARE consdb_lint_locks AS
SELECT relation::bigint, mode FROM pg_locks
WHERE locktype = 'relation' AND granted AND pid = pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
PREPARE consdb_lint_settings AS
SELECT name, current_setting(name)
FROM unnest(ARRAY['lock_timeout', 'search_path', 'session_replication_role', 'role']) name
"""
_READ = """
EXECUTE consdb_lint_there;
EXECUTE consdb_lint_facts({});
EXECUTE consdb_lint_locks;
EXECUTE consdb_lint_settings
"""


class StateReader:
    """Reads successive states; an unchanged relation is the same object again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, Relation]] = {}

    def prepare(self, cursor: psycopg.Cursor[Any]) -> None:
        """Prepare a new session."""
        cursor.execute(_PREPARE)

    def read(self, cursor: psycopg.Cursor[Any], *, whole: bool = True) -> State:
        """Return the state visible to the cursor's transaction."""
        cursor.execute(_READ.format("true" if whole else "false"))
        there = [oid for (oid,) in cursor.fetchall()]
        cursor.nextset()
        for oid, text in cursor.fetchall():
            had = self._known.get(oid)
            if had is None or had[0] != text:
                self._known[oid] = text, _relation(oid, json.loads(text))
        self._known = {oid: self._known[oid] for oid in there}
        cursor.nextset()
        locks: dict[int, str] = {}
        for oid, mode in cursor.fetchall():
            locks[oid] = max(locks.get(oid, mode), mode, key=_strength)
        cursor.nextset()
        settings = dict(cursor.fetchall())
        return State({oid: relation for oid, (_, relation) in self._known.items()}, locks, settings)


def _strength(mode: str) -> int:
    return _LOCKS.index(mode) if mode in _LOCKS else -1


def _relation(oid: int, facts: list[Any]) -> Relation:
    schema, name, kind, file, owner, persistence, identity, secured, *lists = facts
    columns, constraints, indexes, grants = (part or () for part in lists)
    return Relation(
        oid=oid,
        name=Name(schema, name),
        kind=_KINDS[kind],
        file=file,
        owner=owner,
        columns={number: Column(*rest) for number, *rest in columns},
        constraints={c: Constraint(t, tuple(names), valid, text) for c, t, valid, names, text in constraints},
        indexes=dict(indexes),
        grants=frozenset((role, privilege) for role, privilege in grants),
        persistence=persistence,
        identity=identity,
        row_security=secured,
    )
