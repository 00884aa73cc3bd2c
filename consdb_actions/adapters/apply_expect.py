"""Derive catalog and locks of a migration from the history."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.script import Script
from psycopg.sql import SQL, Identifier

from consdb_actions.adapters.autogenerate.replay import migration_context, prepare, replay
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.interrupts import Terminated
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.shell import Completed, run
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.catalog import Snapshot, compare
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.lint.state import Name
from consdb_actions.process.apply_facts import Checkout
from consdb_actions.process.apply_locks import TableLock, in_order, needed_mode
from consdb_actions.process.apply_verify import Expected

__all__ = ["expected_catalogs", "read_checkout"]


def expected_catalogs(
    server: ScratchServer, section: Section, start: str, end: str, owner: str = "", direction: str = "upgrade"
) -> Expected:
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
) -> Expected:
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
        return Expected(earlier, later, major, ordered)
    return Expected(later, left, major, ordered, failure, tuple(compare(left, earlier)))


def _act_as(connection: sa.Connection, role: str) -> None:
    if role:
        connection.exec_driver_sql(SQL("SET LOCAL ROLE {}").format(Identifier(role)).as_string(None))


def _downgrade(connection: sa.Connection, section: Section, revisions: Sequence[Script]) -> str:
    """Run downgrades, newest first; return why they fail, empty if they succeed."""
    try:
        with Operations.context(migration_context(connection, section)):
            for script in reversed(revisions):
                script.module.downgrade()
    except Terminated:
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
    commit = _git(tree, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return Checkout()
    folders = [section.location.relative_to(tree.root).as_posix() for section in sections]
    status = _git(
        tree, "status", "--porcelain", "--untracked-files=all", "--", tree.ini.name, "python", *folders
    )
    tag = _git(tree, "describe", "--tags", "--exact-match", "HEAD")
    edited = [line[3:] for line in (status or "").splitlines()]
    return Checkout(commit.strip(), (tag or "").strip(), tuple(f for f in edited if "__pycache__" not in f))


def _git(tree: Tree, *arguments: str) -> str | None:
    """Run git in the tree; None if it fails."""
    # A checkout may belong to another user; nothing of its configuration is executed.
    safe = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
    try:
        done: Completed = run(["git", *safe, "-C", tree.root, *arguments], timeout=60)
    except ExternalError:
        return None
    return done.stdout
