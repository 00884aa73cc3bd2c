"""Migrate a database: its facts, the operator's alembic command, and the catalogs expected of it."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.script import Script
from psycopg.sql import SQL, Identifier
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from consdb_actions.adapters import apply_child
from consdb_actions.adapters.autogenerate.simulation import migration_context, prepare, replay
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.git_read import GitReader
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.shell import TerminationSignal, run, shielded, tail
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.catalog import Snapshot, compare
from consdb_actions.errors import CheckFailed, ConsdbActionsError, ExternalError, InputError
from consdb_actions.migration.rewrite.statements import qualified
from consdb_actions.process.apply_checks import ExpectedCatalogs
from consdb_actions.process.apply_facts import (
    Checkout,
    DatabaseFacts,
    Lock,
    PublicationFacts,
    SectionFacts,
    Subscription,
    TableLock,
    in_order,
    lock_statement,
    needed_mode,
)
from consdb_actions.redaction import redact
from consdb_actions.schema.model import Name

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
SELECT p.pubname, coalesce(array_agg(t.name) FILTER (WHERE t.name IS NOT NULL), '{}'), p.puballtables,
       coalesce(array_agg(t.name) FILTER (
           WHERE (p.pubupdate OR p.pubdelete) AND c.relreplident IN ('d', 'n')), '{}')
FROM pg_publication p
LEFT JOIN (SELECT *, schemaname || '.' || tablename AS name FROM pg_publication_tables) t USING (pubname)
LEFT JOIN pg_class c ON c.relname = t.tablename AND c.relnamespace = to_regnamespace(t.schemaname)
GROUP BY p.oid, p.pubname, p.puballtables ORDER BY 1
"""
_SUBSCRIBED = """
SELECT s.subname, s.subenabled,
       coalesce(array_agg(n.nspname || '.' || c.relname) FILTER (WHERE c.oid IS NOT NULL), '{}')
FROM pg_subscription s LEFT JOIN pg_subscription_rel r ON r.srsubid = s.oid
LEFT JOIN pg_class c ON c.oid = r.srrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY s.oid, s.subname, s.subenabled ORDER BY 1
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
       coalesce(a.state, ''), l.mode, l.granted,
       coalesce(to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), ''),
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8
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
        message = str(getattr(error, "orig", None) or error).strip()
        raise ExternalError(
            f"the database cannot be read: {redact(message, secrets_of(url))}",
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
            publications=tuple(
                PublicationFacts(name, frozenset(tables), bool(everything), frozenset(keyed))
                for name, tables, everything, keyed in rows(_PUBLISHED)
            ),
            subscriptions=tuple(
                Subscription(name, bool(enabled), frozenset(tables))
                for name, enabled, tables in rows(_SUBSCRIBED)
            ),
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
        rows = connection.execute(sa.text(_LOCKS), {"names": list(names)})
        found = [Lock(*row) for row in rows]
    return tuple(lock for lock in found if not application or lock.application != application)


Direction = Literal["upgrade", "downgrade"]

_LOCKED = ("LockNotAvailable", "DeadlockDetected", "canceling statement due to lock timeout")

_LONGEST_WAIT = 30.0

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}

_ERROR = re.compile(r"(?:[\w.]+\.)?\w*(?:Error|Exception|Exit|Violation|Refused)\b[^:]*: |FAILED: ")

_LOST = re.compile(
    r"server closed the connection|terminating connection|connection (?:to server|is lost|refused|timed out)"
    r"|AdminShutdown|CrashShutdown|could not (?:connect|translate host)",
    re.IGNORECASE,
)

_LINES = 10  # lines of an error that are shown

_ENDING = 20.0  # seconds in which a terminated session must be gone


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Lock and statement time-outs in Postgres syntax, and the number of retries."""

    lock: str = "500ms"
    statement: str = "15min"
    retries: int = 5


@dataclass(frozen=True, slots=True)
class Attempts:
    """The number of attempts and their total time in seconds."""

    count: int
    seconds: float


def seconds_of(text: str) -> float:
    """Convert a time in Postgres syntax to seconds."""
    digits = text.rstrip("hinms")
    return int(digits) * _UNITS[text[len(digits) :]]


def run_alembic(
    tree: Tree,
    section: Section,
    url: sa.URL,
    direction: Direction,
    revision: str,
    *,
    locks: tuple[TableLock, ...],
    timeouts: Timeouts,
    role: str = "",
    schemas: Path | None = None,
    waiting: Callable[[int, float, tuple[Lock, ...]], None] = lambda _count, _seconds, _locks: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Attempts:
    """Run ``alembic -n SECTION upgrade REVISION``, or ``downgrade``.

    `locks` are taken in advance, in the writers' order. New relations belong to `role`. `schemas` is a
    checkout of sdm_schemas for an ``env.py`` that needs one. `waiting` is called before each retry with the
    number of the failed attempt, the seconds until the next, and the locks of others.

    Raises `CheckFailed` if the migration fails, and `ExternalError` if a lock was not granted or the database
    is unreachable. The database must be read afterwards: a revision can commit part of itself.
    """
    application = f"consdb-actions apply {secrets.token_hex(4)}"
    environment = _environment(url, timeouts, application, schemas, role)
    environment["CONSDB_ACTIONS_PARENT"] = str(os.getpid())
    if locks:
        environment["CONSDB_ACTIONS_BEGIN"] = lock_statement(locks)
    command: list[str | Path] = [
        sys.executable,
        apply_child.__file__,
        "-c",
        tree.ini,
        "-n",
        section.name,
        direction,
        revision,
    ]
    # A limit for hanging programs only: a revision may have dozens of long statements.
    limit = (seconds_of(timeouts.statement) + seconds_of(timeouts.lock)) * 50 + 120
    hidden = secrets_of(url)
    names = [str(lock.name) for lock in locks]
    started = time.monotonic()
    for attempt in range(1, timeouts.retries + 2):
        try:
            done = run(command, cwd=tree.root, env=environment, check=False, timeout=limit, secrets=hidden)
        except BaseException:
            # The program is gone by now, but Postgres may still execute its statement.
            with shielded():
                _end_sessions(url, application)
            raise
        if done.returncode == 0:
            return Attempts(attempt, time.monotonic() - started)
        said = done.stderr + done.stdout
        if not any(word in said for word in _LOCKED):
            raise _failure(said, section, direction, revision, hidden)
        others = read_locks(url, names, application)
        if attempt <= timeouts.retries:
            pause = min(2.0 ** (attempt - 1), _LONGEST_WAIT)
            waiting(attempt, pause, others)
            sleep(pause)
    holders = "\n".join(map(str, others)) or "no session now"
    raise ExternalError(
        f"the locks that section {section.name} needs were not granted in {attempt} rounds. Locks are held "
        f"by:\n{holders}",
        place=f"section {section.name}",
        remedy="Run the same command again when they have ended, or with more --retries.",
    )


# One process for all sections: it takes as long to import what an env.py needs as to run many of them.
_TRY = """
import contextlib, io, json, sys, traceback
from alembic.config import CommandLine
found = {}
for name in sys.argv[2:]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            CommandLine("alembic").main(["-c", sys.argv[1], "-n", name, "stamp", "--sql", "head"])
        except SystemExit as error:
            if error.code:
                found[name] = error.code if isinstance(error.code, str) else said.getvalue() or repr(error)
        except Exception:
            found[name] = traceback.format_exc()
print(json.dumps(found))
"""


def environment_errors(tree: Tree, sections: Sequence[str]) -> dict[str, str]:
    """Return why the tree's ``env.py`` cannot run sections.

    It neither connects nor runs a revision. An ``env.py`` that needs a checkout of sdm_schemas passes.
    """
    environment = {
        **os.environ,
        "CONSDB_URL": "postgresql://nobody@localhost/none",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command: list[str | Path] = [sys.executable, "-c", _TRY, tree.ini, *sections]
    done = run(command, cwd=tree.root, env=environment, check=False, timeout=120)
    try:
        said: dict[str, str] = json.loads(done.stdout.strip().rpartition("\n")[2])
    except ValueError:  # env.py ended the process
        text = done.stderr or done.stdout or f"it ends with exit code {done.returncode}"
        said = dict.fromkeys(sections, text)
    found = {name: error_words(text) for name, text in said.items()}
    return {name: text for name, text in found.items() if "SDM_SCHEMAS_DIR" not in text}


def _environment(
    url: sa.URL, timeouts: Timeouts, application: str, schemas: Path | None, role: str
) -> dict[str, str]:
    options = url.query.get("options") or os.environ.get("PGOPTIONS", "")
    given = options if isinstance(options, str) else " ".join(options)
    plain = (
        url.set(password=None).difference_update_query(["options"]) if url.query else url.set(password=None)
    )
    environment = {
        **os.environ,
        # A percent sign would be an interpolation in an env.py that writes the URL into its configuration.
        "CONSDB_URL": plain.render_as_string(hide_password=False).replace("%2F", "/"),
        "PGOPTIONS": f"{given} -c lock_timeout={timeouts.lock} -c statement_timeout={timeouts.statement}"
        f"{f' -c role={_option(role)}' if role else ''}".strip(),
        "PGAPPNAME": application,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    if schemas is not None:
        environment["SDM_SCHEMAS_DIR"] = str(schemas.resolve())
    return environment


def _option(value: str) -> str:
    """Escape a value for ``PGOPTIONS``."""
    return re.sub(r"([\s\\])", r"\\\1", value)


def _failure(
    said: str, section: Section, direction: str, revision: str, secrets: Sequence[str]
) -> ConsdbActionsError:
    message = error_words(said, secrets)
    command = f"alembic -n {section.name} {direction} {revision}"
    if "statement timeout" in said:
        return ExternalError(
            f"`{command}` took longer than --statement-timeout",
            place=f"section {section.name}",
            remedy="Find out what takes so long (migrations lint reports rewrites), and allow more.",
        )
    if _LOST.search(message):
        return ExternalError(
            f"`{command}` lost its database:\n{message}",
            place=f"section {section.name}",
            remedy="Run the same command again: it first reads the section's revision.",
        )
    remedy = "Fix the revision, test it at a test stand, and release it."
    if "SDM_SCHEMAS_DIR" in message:
        remedy = "The tree's env.py reads schema files: name a checkout of sdm_schemas with --sdm-schemas."
    return CheckFailed(
        f"`{command}` failed:\n{message}",
        place=f"section {section.name}",
        remedy=remedy,
    )


def error_words(said: str, secrets: Sequence[str] = ()) -> str:
    """Return the error at the end of a program's output, without the traceback."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    heads = [number for number, line in enumerate(lines) if _ERROR.match(line)]
    found = lines[heads[-1] :] if heads else lines[-_LINES:]
    kept = [line for line in found if not line.startswith("(Background on this error")]
    return tail("\n".join(kept[:_LINES]), secrets)


def _end_sessions(url: sa.URL, application: str) -> None:
    question = sa.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
    end = sa.text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :name"
    )
    deadline = time.monotonic() + _ENDING
    try:
        while time.monotonic() < deadline:
            with connected(url) as connection:
                if not connection.execute(question, {"name": application}).scalar_one():
                    return
                connection.execute(end, {"name": application})
            time.sleep(0.05)
    except ExternalError:
        return  # without a database there is no session to end


def expected_catalogs(
    server: ScratchServer, section: Section, start: str, end: str, owner: str = "", direction: str = "upgrade"
) -> ExpectedCatalogs:
    """Replay a section's history: catalogs at both ends, and the locks in between.

    The scratch server must have the roles of the history and `owner`, the owner of the tables (its
    administrator if empty); the tree's modules must be importable. Raises `InputError` if the history does
    not run from base.
    """
    try:
        return _expected(server, section, start, end, owner, direction)
    except (InputError, ExternalError):
        if not owner:
            raise
        # An old revision may need an administrator.
        return _expected(server, section, start, end, "", direction)


def _expected(
    server: ScratchServer, section: Section, start: str, end: str, owner: str, direction: str
) -> ExpectedCatalogs:
    name = f"{section.name}_expected"
    history = section.revisions()
    ids = ["base", *(revision.revision for revision in history)]
    first, last = sorted((ids.index(start), ids.index(end)))
    failure, left = "", Snapshot(section.schema)
    server.create_database(name)
    try:
        if owner:
            database = server.url(name).database or name
            given = SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(database), Identifier(owner))
            server.execute(name, given.as_string(None))
        with server.open_database(name) as engine:
            with engine.begin() as connection:
                _act_as(connection, owner)
                prepare(connection, section)
                replay(connection, section, history[:first])
                earlier = read_snapshot(connection, section.schema)
            with engine.begin() as connection:
                _act_as(connection, owner)
                there = _relations(connection)
                replay(connection, section, history[first:last])
                later = read_snapshot(connection, section.schema)
                locks: tuple[TableLock, ...] | None = _locks(connection, there)
            if direction == "downgrade":
                with engine.connect() as connection, connection.begin() as transaction:
                    _act_as(connection, owner)
                    there = _relations(connection)
                    failure = _downgrade(connection, section, history[first:last])
                    locks = None if failure else _locks(connection, there)
                    left = earlier if failure else read_snapshot(connection, section.schema)
                    transaction.rollback()
    finally:
        server.drop_database(name)
    major = int(server.info.version.split(".")[0])
    before = earlier if direction == "upgrade" else later
    ordered = None if locks is None else in_order(locks, {section.schema: before})
    if direction == "upgrade":
        return ExpectedCatalogs(earlier, later, major, ordered)
    return ExpectedCatalogs(later, left, major, ordered, failure, tuple(compare(left, earlier)))


def _act_as(connection: sa.Connection, role: str) -> None:
    if role:
        connection.exec_driver_sql(SQL("SET LOCAL ROLE {}").format(Identifier(role)).as_string(None))


def _downgrade(connection: sa.Connection, section: Section, revisions: Sequence[Script]) -> str:
    """Run downgrades, newest first; return why they fail, empty if they succeed."""
    try:
        with Operations.context(migration_context(connection, section)):
            for script in reversed(revisions):
                script.module.downgrade()
    except TerminationSignal:
        raise
    except (Exception, SystemExit) as error:
        message = str(getattr(error, "orig", None) or error).strip()
        return message.split("\n", 1)[0] or type(error).__name__
    return ""


def _relations(connection: sa.Connection) -> dict[int, Name]:
    """Return the lockable tables and views by their object ids."""
    query = """
        SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname NOT LIKE 'pg_toast%'"""
    return {
        oid: Name(schema, name)
        for oid, schema, name in connection.exec_driver_sql(query, execution_options={"no_parameters": True})
    }


def _locks(connection: sa.Connection, there: Mapping[int, Name]) -> tuple[TableLock, ...]:
    """Return this transaction's locks on relations that existed before it."""
    query = """
        SELECT relation, array_agg(mode) FROM pg_locks
        WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted GROUP BY relation"""
    held = {oid: [_mode(mode) for mode in modes] for oid, modes in connection.exec_driver_sql(query)}
    found = ((name, needed_mode(held.get(oid, ()))) for oid, name in there.items())
    return tuple(TableLock(name, mode) for name, mode in found if mode)


def _mode(text: str) -> str:
    """Convert ``AccessExclusiveLock`` to its form in a statement."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", text.removesuffix("Lock")).upper()


def read_checkout(tree: Tree, sections: list[Section]) -> Checkout:
    """Return commit and edited files of a tree; empty without git."""
    git = GitReader(tree.root)
    commit = git.ask("rev-parse", "--verify", "HEAD")
    if commit is None:
        return Checkout()
    folders = [section.location.relative_to(tree.root).as_posix() for section in sections]
    paths = (tree.ini.name, "python", *folders)
    status = git.ask("status", "--porcelain", "--untracked-files=all", "--", *paths)
    tag = git.ask("describe", "--tags", "--exact-match", "HEAD")
    edited = [line[3:] for line in (status.stdout if status else "").splitlines()]
    return Checkout(
        commit.stdout.strip(),
        tag.stdout.strip() if tag else "",
        tuple(f for f in edited if "__pycache__" not in f),
    )
