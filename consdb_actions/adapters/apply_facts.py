"""Read the facts for the checks before a migration; nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.tree import Section
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.migration.rewrite.statements import qualified
from consdb_actions.process.apply_facts import (
    DatabaseFacts,
    Lock,
    PublicationFacts,
    SectionFacts,
    Subscription,
)
from consdb_actions.redaction import redact

_TABLE_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
_SERVER = """
SELECT current_database(), current_user, coalesce(inet_server_port(), 0),
       current_setting('server_version_num')::int,
       pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
       to_regtype('spoly') IS NOT NULL,
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user)
"""
_OWNER = """
SELECT coalesce(
    (SELECT pg_get_userbyid(relowner) FROM pg_class
     WHERE relnamespace = to_regnamespace(:schema) AND relkind IN ('r', 'p')
     GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1),
    (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = :schema),
    current_user)
"""
_RELATIONS = """
SELECT c.relname, pg_get_userbyid(c.relowner), pg_has_role(:owner, c.relowner, 'USAGE')
FROM pg_class c
WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
"""
_PRIVILEGES = """
SELECT c.relname, r.rolname, p.privilege
FROM pg_class c CROSS JOIN pg_roles r CROSS JOIN unnest(CAST(:privileges AS text[])) AS p (privilege)
WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND r.rolname = ANY(:roles) AND has_table_privilege(r.oid, c.oid, p.privilege)
"""
# Views of other schemas are found by dependency, foreign tables by their options.
_DEPENDENTS = """
SELECT DISTINCT t.relname, CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END
    || n.nspname || '.' || v.relname
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
WHERE t.relnamespace = to_regnamespace(:schema) AND v.relnamespace <> t.relnamespace
UNION
SELECT coalesce(o.options ->> 'table_name', c.relname), 'foreign table ' || n.nspname || '.' || c.relname
FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(option_name, option_value) AS options FROM pg_options_to_table(f.ftoptions)) o
WHERE coalesce(o.options ->> 'schema_name', n.nspname) = :schema
ORDER BY 1, 2
"""
_PUBLISHED = """
SELECT p.pubname, p.puballtables, t.schemaname || '.' || t.tablename,
       (p.pubupdate OR p.pubdelete) AND c.relreplident IN ('d', 'n')
FROM pg_publication p LEFT JOIN pg_publication_tables t ON t.pubname = p.pubname
LEFT JOIN pg_class c ON c.relname = t.tablename AND c.relnamespace = to_regnamespace(t.schemaname)
"""
_SUBSCRIBED = """
SELECT s.subname, s.subenabled, n.nspname || '.' || c.relname
FROM pg_subscription s LEFT JOIN pg_subscription_rel r ON r.srsubid = s.oid
LEFT JOIN pg_class c ON c.oid = r.srrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_SLOTS = """
SELECT slot_name, active, plugin FROM pg_replication_slots
WHERE slot_type = 'logical' AND database = current_database()
"""
_WAITING = """
SELECT count(*) FROM pg_logical_slot_peek_binary_changes(
    :slot, NULL, NULL, 'proto_version', '1', 'publication_names', :publication)
WHERE get_byte(data, 0) IN (ascii('I'), ascii('U'), ascii('D'), ascii('T'))
"""
_LOCKS = """
SELECT n.nspname || '.' || c.relname, l.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''),
       coalesce(a.state, ''), l.mode, l.granted, to_char(a.xact_start AT TIME ZONE 'UTC',
       'YYYY-MM-DD"T"HH24:MI:SS"Z"'), extract(epoch FROM clock_timestamp() - a.xact_start)::float8
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND n.nspname || '.' || c.relname = ANY(:names)
  AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker')
ORDER BY a.xact_start NULLS LAST, 1, 2
"""


_HOST = re.compile(r"[\w.:%-]*", re.ASCII)


def address(text: str, *, place: str = "--database-url") -> sa.URL:
    """Parse the URL of a Postgres database (rule O7); errors do not repeat it."""
    try:
        url: sa.URL | None = sa.make_url(text)
    except (ArgumentError, ValueError):
        url = None  # a port that is not a number, too
    if url is None or not _is_postgres(url):
        raise InputError(
            "this is not the address of a Postgres database",
            place=place,
            remedy="Write it as postgresql://<user>@<host>:<port>/<database>. The password can come from "
            "PGPASSWORD or ~/.pgpass; in the address, its special characters are percent-encoded.",
        ) from None
    if "password" in url.query:
        # A password in the query is moved to its usual place, where it is hidden.
        url = url.set(password=str(url.query["password"])).difference_update_query(["password"])
    if not url.database:
        raise InputError(
            "the address names no database", place=place, remedy="Write the database's name at its end."
        )
    return url.set(drivername="postgresql+psycopg")


def _is_postgres(url: sa.URL) -> bool:
    """Tell whether a URL cannot contain an unencoded password."""
    return (
        url.drivername.partition("+")[0] in ("postgres", "postgresql")
        and _HOST.fullmatch(url.host or "") is not None
        and (url.port is None or 0 < url.port < 65536)
        and not set("@/?#: ") & set(url.database or "")
        and not {"@", "/", " "} & set(url.username or "")
    )


def secrets_of(url: sa.URL) -> list[str]:
    """Return the secrets in a URL."""
    hidden = [value for name, value in url.query.items() if "pass" in name and isinstance(value, str)]
    return [str(url.password), *hidden] if url.password else hidden


@contextmanager
def connected(url: sa.URL) -> Iterator[sa.Connection]:
    """Connect for reading and roll back at the end."""
    engine = sa.create_engine(
        url, poolclass=sa.NullPool, connect_args={"connect_timeout": 15, "application_name": "consdb-actions"}
    )
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        words = str(getattr(error, "orig", None) or error).strip()
        raise ExternalError(
            f"the database cannot be read: {redact(words, secrets_of(url))}",
            place=f"database {url.database} on {url.host or url.query.get('host') or 'this machine'}",
            remedy="Check host, port, user, password and database, and whether you may connect from here.",
        ) from error
    finally:
        engine.dispose()


def read_facts(
    url: sa.URL, sections: Iterable[Section], publication: str = "", roles: Iterable[str] = ()
) -> DatabaseFacts:
    """Read everything but locks, as far as this user may see it."""
    with connected(url) as connection:
        # All facts must come from one snapshot.
        connection = connection.execution_options(isolation_level="REPEATABLE READ")

        def rows(query: str, **values: Any) -> list[Any]:
            return list(connection.execute(sa.text(query), values))

        database, user, port, number, read_only, spoly, replicates = rows(_SERVER)[0]
        slots = {name: (bool(active), plugin) for name, active, plugin in rows(_SLOTS)}
        facts = DatabaseFacts(
            database=database,
            host=str(url.host or url.query.get("host") or ""),
            port=port or int(url.port or 5432),
            user=user,
            version=".".join(map(str, divmod(number, 10000))),
            read_only=bool(read_only),
            roles=frozenset(name for (name,) in rows("SELECT rolname FROM pg_roles")),
            spoly=bool(spoly),
            publications=tuple(_publications(rows(_PUBLISHED))),
            subscriptions=tuple(_subscriptions(rows(_SUBSCRIBED))),
            slots={name: active for name, (active, _) in slots.items()},
            sections={section.schema: read_section(connection, section, roles) for section in sections},
        )
        published = any(p.name == publication for p in facts.publications)
        if not (published and replicates):
            return facts
        waiting = {
            name: int(rows(_WAITING, slot=name, publication=publication)[0][0])
            for name, (active, plugin) in slots.items()
            if plugin == "pgoutput" and not active
        }
    return replace(facts, waiting=waiting)


def read_section(connection: sa.Connection, section: Section, roles: Iterable[str] = ()) -> SectionFacts:
    """Read the facts about one section, with privileges of its owner and `roles`."""

    def rows(query: str, **values: Any) -> list[Any]:
        return list(connection.execute(sa.text(query), values))

    table = qualified(section.version_schema, section.version_table)
    owner = str(rows(_OWNER, schema=section.schema)[0][0])
    revisions, may_stamp = None, True
    if rows("SELECT to_regclass(:name) IS NOT NULL", name=table)[0][0]:
        revisions = tuple(str(value) for (value,) in rows(f"SELECT version_num FROM {table}"))  # noqa: S608
        may_stamp = bool(
            rows(
                "SELECT bool_and(has_table_privilege(:owner, :name, p))"
                " FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p",
                owner=owner,
                name=table,
            )[0][0]
        )
    relations = rows(_RELATIONS, schema=section.schema, owner=owner)
    schemas = rows(
        "SELECT nspname, has_schema_privilege(:owner, oid, 'CREATE') FROM pg_namespace"
        " WHERE nspname = ANY(:names)",
        names=[section.schema, section.version_schema],
        owner=owner,
    )
    privileges = rows(
        _PRIVILEGES, schema=section.schema, roles=[owner, *roles], privileges=list(_TABLE_PRIVILEGES)
    )
    return SectionFacts(
        schema=section.schema,
        revisions=revisions,
        schemas=frozenset(name for name, _ in schemas),
        snapshot=read_snapshot(connection, section.schema),
        owners={name: owner for name, owner, _ in relations},
        may_alter=frozenset(name for name, _, mine in relations if mine),
        may_create=bool(dict(map(tuple, schemas)).get(section.schema)),
        owner=owner,
        may_stamp=may_stamp,
        may_act=bool(rows("SELECT pg_has_role(current_user, :owner, 'MEMBER')", owner=owner)[0][0]),
        privileges=frozenset(map(tuple, privileges)),
        dependents=tuple(map(tuple, rows(_DEPENDENTS, schema=section.schema))),
    )


def read_locks(url: sa.URL, names: Sequence[str], application: str = "") -> tuple[Lock, ...]:
    """Read the locks that sessions other than `application` hold on tables and views (``schema.name``)."""
    with connected(url) as connection:
        found = _locks(connection.execute(sa.text(_LOCKS), {"names": list(names)}))
        return tuple(lock for lock in found if not application or lock.application != application)


def _locks(rows: Iterable[Any]) -> Iterator[Lock]:
    for row in rows:
        relation, pid, user, application, state, mode, granted, since, seconds = row
        yield Lock(relation, pid, user, application, state, mode, granted, since or "", seconds)


def _publications(rows: Iterable[Any]) -> Iterator[PublicationFacts]:
    found: dict[str, tuple[bool, list[tuple[str, bool]]]] = {}
    for name, everything, table, keyed in rows:
        tables = found.setdefault(name, (bool(everything), []))[1]
        if table is not None:
            tables.append((table, bool(keyed)))
    for name, (everything, tables) in found.items():
        yield PublicationFacts(
            name, frozenset(t for t, _ in tables), everything, frozenset(t for t, keyed in tables if keyed)
        )


def _subscriptions(rows: Iterable[Any]) -> Iterator[Subscription]:
    found: dict[str, tuple[bool, set[str]]] = {}
    for name, enabled, table in rows:
        tables = found.setdefault(name, (bool(enabled), set()))[1]
        if table is not None:
            tables.add(table)
    for name, (enabled, tables) in found.items():
        yield Subscription(name, enabled, frozenset(tables))
