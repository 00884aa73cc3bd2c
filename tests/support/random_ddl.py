"""Random statements over a small schema, many of which a database refuses, and what it holds after them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from consdb_actions.migration.lint.state import State

SCHEMA = "cdb_demo"

TABLES, COLUMNS, KEYS = ("t0", "t1", "t2"), ("a", "b", "c", "d"), ("k0", "k1", "k2", "k3")
INDEXES, VIEWS = ("i0", "i1"), ("v0", "v1")

_T, _C, _K = st.sampled_from(TABLES), st.sampled_from(COLUMNS), st.sampled_from(KEYS)
_I, _V = st.sampled_from(INDEXES), st.sampled_from(VIEWS)
_LIST = st.lists(_C, min_size=1, max_size=2, unique=True).map(", ".join)
_CASCADE = st.sampled_from(("", "", " CASCADE"))
_IF = st.sampled_from(("", "", "IF EXISTS "))


def _format(template: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(parts).map(lambda values: template.format(s=SCHEMA, **values))


_KEY = st.one_of(
    _format("CONSTRAINT {k} PRIMARY KEY ({c})", k=_K, c=_LIST),
    _format("CONSTRAINT {k} UNIQUE ({c})", k=_K, c=_LIST),
    _format("PRIMARY KEY ({c})", c=_LIST),
    _format("UNIQUE ({c})", c=_LIST),
    _format("CONSTRAINT {k} FOREIGN KEY ({c}) REFERENCES {s}.{t} ({o})", k=_K, c=_C, t=_T, o=_C),
    _format("FOREIGN KEY ({c}) REFERENCES {s}.{t}", c=_C, t=_T),
    _format("CONSTRAINT {k} CHECK ({c} > 0)", k=_K, c=_C),
    _format("CHECK ({c} IS NOT NULL)", c=_C),
)

_KEYS_BEHIND = st.lists(_KEY, max_size=2).map(lambda keys: "".join(f", {key}" for key in keys))

BEGINNING = st.tuples(
    *(
        _format(f"CREATE TABLE {{s}}.{table} (a int, b int NOT NULL, c int DEFAULT 1{{k}})", k=_KEYS_BEHIND)
        for table in TABLES
    )
).map(list)
"""The tables, most of which can be made."""

STATEMENT = st.one_of(
    _format("CREATE TABLE {s}.{t} (a int, b int NOT NULL, c int DEFAULT 1{k})", t=_T, k=_KEYS_BEHIND),
    _format("CREATE TABLE {s}.{t} (a int, b int, c int, d int{k})", t=_T, k=_KEYS_BEHIND),
    _format("DROP TABLE {i}{s}.{t}{c}", i=_IF, t=_T, c=_CASCADE),
    _format("DROP TABLE {s}.t0, {s}.t1"),
    _format("ALTER TABLE {i}{s}.{t} ADD COLUMN {c} int", i=_IF, t=_T, c=_C),
    _format("ALTER TABLE {s}.{t} ADD COLUMN {c} int UNIQUE", t=_T, c=_C),
    _format("ALTER TABLE {s}.{t} ADD COLUMN {c} int REFERENCES {s}.{o}", t=_T, c=_C, o=_T),
    _format("ALTER TABLE {s}.{t} DROP COLUMN {i}{c}{e}", i=_IF, t=_T, c=_C, e=_CASCADE),
    _format("ALTER TABLE {s}.{t} ALTER {c} TYPE bigint", t=_T, c=_C),
    _format("ALTER TABLE {s}.{t} ALTER {c} SET NOT NULL", t=_T, c=_C),
    _format("ALTER TABLE {s}.{t} ALTER {c} DROP NOT NULL", t=_T, c=_C),
    _format("ALTER TABLE {s}.{t} ALTER {c} SET DEFAULT 2", t=_T, c=_C),
    _format("ALTER TABLE {s}.{t} ALTER {c} DROP DEFAULT", t=_T, c=_C),
    _format("ALTER TABLE {s}.{t} ADD {k}", t=_T, k=_KEY),
    _format("ALTER TABLE {s}.{t} ADD CONSTRAINT {k} UNIQUE USING INDEX {i}", t=_T, k=_K, i=_I),
    _format("ALTER TABLE {s}.{t} DROP CONSTRAINT {i}{k}{c}", i=_IF, t=_T, k=_K, c=_CASCADE),
    _format("ALTER TABLE {s}.{t} DROP CONSTRAINT {t}_pkey{c}", t=_T, c=_CASCADE),
    _format("ALTER TABLE {s}.{t} VALIDATE CONSTRAINT {k}", t=_T, k=_K),
    _format("ALTER TABLE {s}.{t} RENAME TO {o}", t=_T, o=_T),
    _format("ALTER TABLE {s}.{t} RENAME {c} TO {o}", t=st.one_of(_T, _V), c=_C, o=_C),
    _format("ALTER TABLE {s}.{t} RENAME CONSTRAINT {k} TO {o}", t=_T, k=_K, o=_K),
    _format("CREATE INDEX {i} ON {s}.{t} ({c})", i=_I, t=_T, c=_LIST),
    _format("CREATE UNIQUE INDEX {i} ON {s}.{t} ({c})", i=_I, t=_T, c=_LIST),
    _format("CREATE INDEX ON {s}.{t} ({c})", t=_T, c=_LIST),
    _format("DROP INDEX {i}{s}.{n}", i=_IF, n=st.one_of(_I, _K)),
    _format("ALTER INDEX {s}.{n} RENAME TO {o}", n=st.one_of(_I, _K), o=st.one_of(_I, _K)),
    _format("CREATE VIEW {s}.{v} AS SELECT {c} FROM {s}.{t}", v=_V, c=_LIST, t=st.one_of(_T, _V)),
    _format("CREATE VIEW {s}.{v} AS SELECT * FROM {s}.{t}", v=_V, t=_T),
    _format("CREATE OR REPLACE VIEW {s}.{v} AS SELECT {c} FROM {s}.{t} AS x", v=_V, c=_LIST, t=_T),
    _format("CREATE VIEW {s}.{v} AS SELECT x.{c}, y.b FROM {s}.t0 x JOIN {s}.t1 y ON x.a = y.a", v=_V, c=_C),
    _format("DROP VIEW {i}{s}.{v}{c}", i=_IF, v=_V, c=_CASCADE),
    _format("COMMENT ON COLUMN {s}.{t}.{c} IS 'x'", t=_T, c=_C),
    _format("GRANT SELECT ON {s}.{t} TO PUBLIC", t=st.one_of(_T, _V)),
    _format("TRUNCATE {s}.{t} CASCADE", t=_T),
)
"""One statement; about half of them fit what is there."""


_KEYS_IN_CATALOG = """
SELECT c.relname, k.conname, k.contype, k.convalidated,
    (SELECT array_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(num, n)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.connamespace = CAST(:s AS regnamespace) AND k.contype IN ('p', 'u', 'f', 'c')
"""


def in_database(connection: sa.Connection) -> dict[str, Any]:
    """Return what a database holds, in the form of :func:`in_state`."""
    columns = connection.execute(
        sa.text(
            "SELECT c.relname, a.attname, a.attnotnull, a.atthasdef, c.relkind FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = CAST(:s AS regnamespace) "
            "AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v') ORDER BY 1, a.attnum"
        ),
        {"s": SCHEMA},
    )
    relations: dict[str, Any] = {}
    for relation, column, not_null, default, kind in columns:
        known = (column, not_null, default) if kind == "r" else column
        relations.setdefault(relation, []).append(known)
    empty = connection.execute(
        sa.text(
            "SELECT relname FROM pg_class WHERE relnamespace = CAST(:s AS regnamespace) AND relkind = 'r'"
        ),
        {"s": SCHEMA},
    )
    for (relation,) in empty:
        relations.setdefault(relation, [])
    keys = connection.execute(sa.text(_KEYS_IN_CATALOG), {"s": SCHEMA})
    indexes = connection.execute(
        sa.text(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = CAST(:s AS regnamespace)"
            " AND c.relkind = 'i' AND NOT EXISTS"
            " (SELECT 1 FROM pg_constraint WHERE conindid = c.oid AND contype <> 'f')"
        ),
        {"s": SCHEMA},
    )
    return {
        "relations": relations,
        "keys": sorted((t, k, kind, valid, tuple(columns)) for t, k, kind, valid, columns in keys),
        "indexes": sorted(name for (name,) in indexes),
    }


_KINDS = {"primary": "p", "unique": "u", "foreign": "f", "check": "c"}


def in_state(state: State) -> dict[str, Any]:
    """Return what a state holds."""
    relations: dict[str, Any] = {
        name.name: [(c.name, not c.nullable, c.default) for c in table.columns.values()]
        for name, table in state.tables.items()
    }
    for name, view in state.views.items():
        relations[name.name] = list(view.columns or ())
    return {
        "relations": relations,
        "keys": sorted(
            (name.name, key, _KINDS[c.kind], c.valid, c.columns)
            for name, table in state.tables.items()
            for key, c in table.constraints.items()
        ),
        "indexes": sorted(index for table in state.tables.values() for index in table.indexes),
    }
