"""Rehearse a runbook on two replicating servers, while rows are written."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pglast
import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Composed, Identifier, Literal
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.apply import error_words, expected_catalogs
from consdb_actions.adapters.autogenerate.simulation import prepare, replay
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.postgres import Connection, ScratchServer, connect, scratch_server
from consdb_actions.adapters.postgres_server import Preference
from consdb_actions.adapters.revision_path import parse_range, read_change, resolve
from consdb_actions.adapters.rows import read_rows, seed
from consdb_actions.adapters.shell import run, tail, unwinding_on_signals
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.catalog import Difference, Snapshot, compare
from consdb_actions.catalog import Sequence as CatalogSequence
from consdb_actions.errors import CheckFailed, ExternalError
from consdb_actions.migration.data import Rows, TableRows
from consdb_actions.migration.row_rules import RowMigration
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_steps import (
    Account,
    Act,
    Block,
    BlockResult,
    PlacedBlock,
    Rehearsal,
    RehearsalFinding,
    Template,
    acts_of,
    made_row,
    ranges_of,
    templates_of,
)
from consdb_actions.process.sites import Replication, Site, Sites

_SETTINGS = {
    "wal_level": "logical",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_worker_processes": "12",
    # As at the sites: committed rows are flushed before the WAL position for which the runbook waits.
    "synchronous_commit": "on",
    # A failed worker restarts quickly, so that a rehearsal need not wait for it.
    "wal_retrieve_retry_interval": "200ms",
    "wal_receiver_status_interval": "1s",
    # The backend type marks log lines of replication workers.
    "log_line_prefix": "%m [%p] %b ",
}

_COPIED = """
SELECT count(*) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
WHERE s.subname = %s AND r.srsubstate <> 'r'
"""

_COPY_SECONDS = 120.0


@dataclass(frozen=True)
class RehearsalSite:
    """One site with its server."""

    site: Site
    server: ScratchServer
    replication: Replication

    def url(self, account: Account = "owner") -> sa.URL:
        """Return the URL of its database."""
        user = {"owner": self.site.user, "administrator": "postgres", "replication": self.replication.role}
        return self.server.url(self.site.database).set(username=user[account])

    def connect(self, account: Account = "owner") -> Connection:
        """Connect with autocommit."""
        return connect(self.url(account))

    def snapshot(self, schema: str) -> Snapshot:
        """Read the catalog of a schema."""
        with self.server.open_database(self.site.database) as engine, engine.connect() as connection:
            return read_snapshot(connection, schema)

    @property
    def text(self) -> str:
        """Describe the site and its server."""
        info = self.server.info
        return f"{self.site.title}: Postgres {info.version} ({info.source}), {info.pgsphere}"


@dataclass(frozen=True)
class InitialSection:
    """A section before the migration."""

    section: Section
    revision: str  # ``base`` for none
    change: RowMigration  # requirements of the migration on its rows


@dataclass(frozen=True)
class Pair:
    """Publisher and replica."""

    publisher: RehearsalSite
    replica: RehearsalSite

    def place(self, site: str) -> RehearsalSite | None:
        """Return the place of a site; None if it is neither."""
        return next((p for p in (self.publisher, self.replica) if p.site.id == site), None)

    def prepare(
        self, published: Sequence[InitialSection], local: Sequence[InitialSection], rows: int
    ) -> None:
        """Create the state before a migration: revisions, rows, publication, subscription."""
        for place, sections in ((self.publisher, published), (self.replica, [*published, *local])):
            self._history(place, sections)
        self._rows(self.publisher, published, rows)
        self._rows(self.replica, local, rows)
        if published:
            self._replicate([initial.section for initial in published])

    def _history(self, place: RehearsalSite, sections: Sequence[InitialSection]) -> None:
        engine = sa.create_engine(place.url(), poolclass=sa.NullPool)
        try:
            with engine.begin() as connection:
                for initial in sections:
                    prepare(connection, initial.section)
                    history = initial.section.revisions()
                    ids = [one.revision for one in history]
                    count = ids.index(initial.revision) + 1 if initial.revision in ids else 0
                    replay(connection, initial.section, history[:count])
        finally:
            engine.dispose()

    def _rows(self, place: RehearsalSite, sections: Sequence[InitialSection], rows: int) -> None:
        with place.server.open_database(place.site.database) as engine, engine.begin() as connection:
            for initial in sections:
                snapshot = read_snapshot(connection, initial.section.schema)
                seed(connection, snapshot, rows=rows, change=initial.change)

    def _replicate(self, sections: Sequence[Section]) -> None:
        replication = self.publisher.replication
        role, publication = Identifier(replication.role), Identifier(replication.publication)
        with self.publisher.connect("administrator") as connection:
            connection.execute(SQL("CREATE PUBLICATION {}").format(publication))
            for section in sections:
                schema = Identifier(section.schema)
                connection.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
                for name, relation in self.publisher.snapshot(section.schema).tables.items():
                    if relation.kind == "table":
                        table = Identifier(section.schema, name)
                        connection.execute(SQL("GRANT SELECT ON {} TO {}").format(table, role))
                        connection.execute(
                            SQL("ALTER PUBLICATION {} ADD TABLE {}").format(publication, table)
                        )
        url = self.publisher.url("replication")
        address = f"host={url.query['host']} port={url.port} dbname={url.database} user={url.username}"
        with self.replica.connect("administrator") as connection:
            create = SQL("CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {}")
            subscription = Identifier(replication.subscription)
            connection.execute(create.format(subscription, Literal(address), publication))
            deadline = time.monotonic() + _COPY_SECONDS
            while (connection.execute(_COPIED, [replication.subscription]).fetchone() or (1,))[0]:
                if time.monotonic() > deadline:
                    raise ExternalError(
                        "the first copy of the tables does not end",
                        place="the rehearsal's replica",
                        remedy="Its log says:\n" + self.replica.server.log()[-2000:],
                    )
                time.sleep(0.05)


@contextmanager
def two_sites(sites: Sites, publisher: Preference = "auto", replica: Preference = "auto") -> Iterator[Pair]:
    """Run two servers during the block, and remove them afterwards."""
    replication = sites.replication
    with unwinding_on_signals(), ExitStack() as stack:
        places = []
        for site, prefer in ((sites.of("publisher")[0], publisher), (sites.of("replica")[0], replica)):
            roles = list(dict.fromkeys(("usdf", "oods", site.user, replication.role)))
            server = stack.enter_context(scratch_server(prefer=prefer, roles=roles, settings=_SETTINGS))
            server.create_database(site.database)
            place = RehearsalSite(site, server, replication)
            owner, role, database = map(Identifier, (site.user, replication.role, site.database))
            with place.connect("administrator") as connection:
                connection.execute(SQL("ALTER ROLE {} LOGIN").format(owner))
                connection.execute(SQL("ALTER ROLE {} LOGIN REPLICATION").format(role))
                connection.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(database, owner))
            places.append(place)
        pair = Pair(*places)
        try:
            yield pair
        finally:
            _disconnect(pair)


def _disconnect(pair: Pair) -> None:
    """Drop the subscription, so that no server waits for the other."""
    try:
        with pair.replica.connect("administrator") as connection:
            name = Identifier(pair.replica.replication.subscription)
            connection.execute(SQL("ALTER SUBSCRIPTION {} DISABLE").format(name))
    except psycopg.Error:
        return  # there is no subscription, or no server any more


_PAUSE = 0.03  # seconds between two rounds

_ROWS = 4

_START = 100_000


@dataclass
class _Known:
    revision: str
    snapshot: Snapshot
    templates: Sequence[Template]


@dataclass
class RowWriter:
    """Writes rows into the tables of sections in a thread.

    Each round begins with one transaction, as hinfo writes an image: a row for every table, parents first,
    with new keys and without a retry. Updates of single rows follow, and sometimes a deletion. After a
    migration of a section, it continues with the new tables.
    """

    url: sa.URL  # of the tables' owner
    sections: Sequence[Section]
    written: Counter[str] = field(default_factory=Counter)  # rows by table
    # database errors by message: each is a row that a site would lose
    refused: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0  # seconds of the slowest transaction

    def __post_init__(self) -> None:
        self._running = threading.Event()
        self._ended = threading.Event()
        self._idle = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._round = 0
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._running.set()
        self._thread.start()

    def pause(self) -> None:
        """Stop writing after the current round."""
        self._running.clear()
        with self._idle:
            pass

    def resume(self) -> None:
        """Continue writing."""
        self._running.set()

    def rounds(self, count: int, seconds: float = 30.0) -> None:
        """Wait for a number of rounds, or for some seconds."""
        wanted, deadline = self._round + count, time.monotonic() + seconds
        while self._round < wanted and time.monotonic() < deadline and self._thread.is_alive():
            time.sleep(_PAUSE)

    def stop(self) -> None:
        """Stop the thread."""
        self._ended.set()
        self._running.set()
        if self._thread.is_alive():
            self._thread.join(30.0)

    def _work(self) -> None:
        engine = sa.create_engine(
            self.url, poolclass=sa.NullPool, connect_args={"application_name": "writer"}
        )
        while not self._ended.is_set():
            self._running.wait()
            with self._idle:
                if self._running.is_set() and not self._ended.is_set():
                    self._write(engine)
                    self._round += 1
            time.sleep(_PAUSE)
        engine.dispose()

    def _write(self, engine: sa.Engine) -> None:
        """Write one round: an image in one transaction, then changes of single rows."""
        for section in self.sections:
            known = None
            with self._counted(engine) as connection:
                known = self._read_tables(connection, section)
            if known is None:
                continue
            made: dict[str, dict[str, str | None]] = {}
            lost = self.refused.total()
            with self._counted(engine) as connection:
                for template in known.templates:
                    row = made_row(template, _START + self._round, made)
                    _driver(connection).execute(_insert(known.snapshot.schema, template.rows, row))
                    made[template.rows.table] = row
            if self.refused.total() == lost:
                self.written.update(f"{known.snapshot.schema}.{table}" for table in made)
            for template in known.templates:
                if template.changeable:
                    with self._counted(engine) as connection:
                        _driver(connection).execute(_change(known.snapshot.schema, template))
                if template.leaf and self._round % 5 == 4:
                    with self._counted(engine) as connection:
                        _driver(connection).execute(_remove(known.snapshot.schema, template))

    @contextmanager
    def _counted(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Open a transaction without a retry; a refusal is counted."""
        started = time.monotonic()
        try:
            with engine.begin() as connection:
                # A round must end; a writer at a site would wait longer.
                connection.exec_driver_sql("SET LOCAL lock_timeout = '20s'")
                yield connection
        except (SQLAlchemyError, psycopg.Error) as error:
            cause = getattr(error, "orig", None) or error
            self.refused[str(cause).strip().split("\n", 1)[0][:200]] += 1
            self._known.clear()
        self.longest = max(self.longest, time.monotonic() - started)

    def _read_tables(self, connection: sa.Connection, section: Section) -> _Known:
        """Read the tables again if the section has another revision."""
        query = SQL("SELECT version_num FROM {}").format(
            Identifier(section.version_schema, section.version_table)
        )
        revision = str((_driver(connection).execute(query).fetchone() or ("",))[0])
        known = self._known.get(section.name)
        if known is None or known.revision != revision:
            snapshot = read_snapshot(connection, section.schema)
            templates = self._accepted(connection, snapshot)
            known = self._known[section.name] = _Known(revision, snapshot, templates)
        return known

    def _accepted(self, connection: sa.Connection, snapshot: Snapshot) -> list[Template]:
        """Drop templates whose rows the database refuses without a migration."""
        made: dict[str, dict[str, str | None]] = {}
        accepted = []
        driver = _driver(connection)
        with driver.transaction(force_rollback=True):
            with connection.begin_nested() as trial:
                rows = seed(connection, snapshot, rows=_ROWS, start=_START // 2).made
                trial.rollback()
            for template in templates_of(snapshot, rows):
                row = made_row(template, _START + self._round, made)
                try:
                    with driver.transaction():
                        driver.execute(_insert(snapshot.schema, template.rows, row))
                except psycopg.errors.LockNotAvailable:
                    raise
                except psycopg.DatabaseError:
                    continue
                made[template.rows.table] = row
                accepted.append(template)
        return accepted


def _driver(connection: sa.Connection) -> psycopg.Connection[tuple[object, ...]]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _insert(schema: str, rows: TableRows, row: dict[str, str | None]) -> Composed:
    values = [
        SQL("{}::{}").format(Literal(row[name]), SQL(type_))
        for name, type_ in zip(rows.columns, rows.types, strict=True)
    ]
    return SQL("INSERT INTO {} ({}) VALUES ({})").format(
        Identifier(schema, rows.table),
        SQL(", ").join(map(Identifier, rows.columns)),
        SQL(", ").join(values),
    )


def _change(schema: str, template: Template) -> Composed:
    table, column = Identifier(schema, template.rows.table), Identifier(template.changeable)
    return SQL("UPDATE {0} SET {1} = {1} WHERE ctid = (SELECT ctid FROM {0} LIMIT 1)").format(table, column)


def _remove(schema: str, template: Template) -> Composed:
    table = Identifier(schema, template.rows.table)
    return SQL("DELETE FROM {0} WHERE ctid = (SELECT ctid FROM {0} LIMIT 1)").format(table)


_EQUAL = 30.0  # seconds until both sites must have the same rows
_AGAIN = 0.2
_COMMAND = 600.0
_TRIES = 20  # retries of a command that gets no locks


@dataclass
class BlockExecutor:
    """Executes the blocks of a runbook."""

    pair: Pair
    tree: Tree
    folder: Path  # for evidence
    writers: Mapping[str, RowWriter]  # by site
    by_hand: bool = False  # use the commands of alembic instead of ours
    patience: float = 60.0  # maximum seconds for a statement or a ``wait``
    schemas: Path | None = None  # a checkout of sdm_schemas for an ``env.py`` that needs one

    def execute(self, placed: PlacedBlock) -> BlockResult:
        """Execute one block; a failure is returned, not raised."""
        block = placed.block
        skipped = "upgrade" if self.by_hand else "by-hand"
        if block.kind == skipped or (self.by_hand and block.kind in ("downgrade", "preflight")):
            return BlockResult(placed, "not rehearsed", text="the alternative was rehearsed")
        places = [self.pair.place(site) for site in block.site.split(",")]
        if block.kind not in _EXECUTED or None in places:
            return BlockResult(placed, "not rehearsed", text="not possible in a rehearsal")
        started = time.monotonic()
        try:
            text = _EXECUTED[block.kind](self, block)
        except (psycopg.Error, CheckFailed, ExternalError, pglast.Error) as error:
            said = str(getattr(error, "cause", "") or error).strip()
            if "SDM_SCHEMAS_DIR" in said and self.schemas is None:
                said += "\nThe tree's env.py reads schema files: name a checkout with --sdm-schemas."
            return BlockResult(placed, "failed", time.monotonic() - started, said)
        return BlockResult(placed, "done", time.monotonic() - started, text)

    def _place(self, block: Block) -> RehearsalSite:
        place = self.pair.place(block.site)
        assert place is not None
        return place

    def _ask(self, place: RehearsalSite, block: Block) -> str:
        answer = ""
        with place.connect(block.account) as connection:
            connection.execute(f"SET statement_timeout = {int(self.patience * 1000)}".encode())
            for statement in pglast.split(block.text):
                cursor = connection.execute(statement.encode())
                if cursor.description is not None:
                    rows = cursor.fetchall()
                    answer = "; ".join(" | ".join(map(_shown, row)) for row in rows)
        return answer

    def _sql(self, block: Block) -> str:
        return self._ask(self._place(block), block)

    def _check(self, block: Block) -> str:
        return self._expect(block, 0.0)

    def _wait(self, block: Block) -> str:
        return self._expect(block, min(block.seconds or self.patience, self.patience))

    def _expect(self, block: Block, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while (answer := self._sql(block)) != block.answer:
            if time.monotonic() >= deadline:
                raise CheckFailed(f"it returns {answer or 'nothing'}, expected {block.answer}")
            time.sleep(_AGAIN)
        return answer

    def _compare(self, block: Block) -> str:
        places = [place for site in block.site.split(",") if (place := self.pair.place(site))]
        deadline = time.monotonic() + _EQUAL
        while len(answers := {self._ask(place, block) for place in places}) > 1:
            if time.monotonic() > deadline:
                raise CheckFailed(f"the sites answer {' and '.join(sorted(answers))}")
            time.sleep(_AGAIN)
        return answers.pop()

    def _stop(self, block: Block) -> str:
        if writer := self.writers.get(block.site):
            writer.pause()
        return "writers here are stopped"

    def _start(self, block: Block) -> str:
        if writer := self.writers.get(block.site):
            writer.resume()
        return "writers here continue"

    def _run_ours(self, block: Block) -> str:
        """Run our command on the database of the rehearsal, with its evidence elsewhere."""
        lines = [line for line in _lines(block.text) if not line.startswith(":")]
        parts = [part for line in lines for part in shlex.split(line)]
        if parts[:1] != ["consdb-actions"]:
            raise CheckFailed(f"this is not a command of consdb-actions: {block.text.splitlines()[0]}")
        arguments = parts[1:]
        evidence = self.folder / f"{block.site}-{block.kind}.json"
        if "--evidence" in arguments:
            place = arguments.index("--evidence")
            del arguments[place : place + 2]
        arguments += ["--evidence", str(evidence)]
        url = self._place(block).url(block.account).render_as_string(hide_password=False)
        # A tree with uncommitted changes can be rehearsed as well.
        arguments += ["--database-url", url, "--yes", "--accept", "checkout"]
        evidence.unlink(missing_ok=True)
        try:
            return self._run([sys.executable, "-m", "consdb_actions", *arguments], {})
        except CheckFailed:
            if evidence.exists():
                raise CheckFailed(
                    _stopping_checks(json.loads(evidence.read_text(encoding="utf-8")))
                ) from None
            raise

    def _run_alembic(self, block: Block) -> str:
        environment: dict[str, str] = {}
        said = ""
        for line in _lines(block.text):
            parts = shlex.split(line)
            if parts[:1] == ["export"]:
                name, _, value = parts[1].partition("=")
                environment[name] = value
            elif parts[:1] == ["alembic"]:
                url = self._place(block).url(block.account).render_as_string(hide_password=False)
                environment["CONSDB_URL"] = url.replace("%2F", "/")
                said = self._again([sys.executable, "-m", "alembic", *parts[1:]], environment)
        return said

    def _again(self, command: list[str], environment: Mapping[str, str]) -> str:
        for attempt in range(_TRIES):
            try:
                return self._run(command, environment)
            except CheckFailed as error:
                if "lock timeout" not in error.cause or attempt == _TRIES - 1:
                    raise
        raise AssertionError

    def _run(self, command: list[str], environment: Mapping[str, str]) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        schemas = {"SDM_SCHEMAS_DIR": str(self.schemas.resolve())} if self.schemas else {}
        done = run(
            command,
            cwd=self.tree.root,
            env={**kept, **schemas, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            check=False,
            timeout=_COMMAND,
        )
        if done.returncode:
            raise CheckFailed(error_words(f"{done.stdout}\n{done.stderr}"))
        return tail(done.stdout or done.stderr, lines=3)


_EXECUTED: dict[str, Callable[[BlockExecutor, Block], str]] = {
    "sql": BlockExecutor._sql,
    "check": BlockExecutor._check,
    "wait": BlockExecutor._wait,
    "compare": BlockExecutor._compare,
    "look": BlockExecutor._sql,
    "preflight": BlockExecutor._run_ours,
    "upgrade": BlockExecutor._run_ours,
    "downgrade": BlockExecutor._run_ours,
    "by-hand": BlockExecutor._run_alembic,
    "stop": BlockExecutor._stop,
    "start": BlockExecutor._start,
}


def _stopping_checks(report: dict[str, Any]) -> str:
    """Return from the evidence what stopped a migration."""
    checks = [*report["checks"], *(c for s in report["sections"] for c in s["verification"])]
    stops = [check for check in checks if check["state"] == "refused" and not check["accepted"]]
    lines = [line for check in stops for line in (check["message"], *check["details"])]
    return "\n".join(lines or [str(report["problem"])])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\\\n", " ").split("\n") if line.strip()]


def _shown(value: object) -> str:
    if value is None:
        return ""
    return {True: "t", False: "f"}[value] if isinstance(value, bool) else str(value)


_MOST = 8
_ROUNDS = 5  # rounds of writing before and after each act
_ERRORS = re.compile(r"^.*\] logical replication .*?\b(?:ERROR|FATAL):\s+(.*)$", re.MULTILINE)
# Log messages of a worker that is being stopped.
_HARMLESS = ("terminating", "could not receive data from WAL stream")


class PhaseRunner:
    """Executes acts and compares the sites after each."""

    def __init__(
        self,
        pair: Pair,
        executor: BlockExecutor,
        published: Sequence[Section],
        local: Sequence[Section],
        progress: Callable[[str, str], None],
        unrestored: Collection[str],
    ) -> None:
        self._unrestored = unrestored
        self._pair, self._executor, self._progress = pair, executor, progress
        self._published, self._local = published, local
        self._before = self._catalogs()
        self._read = len(pair.replica.server.log())
        self._lost: Counter[str] = Counter()

    def acts(self, placed: Sequence[PlacedBlock], wanted: Sequence[str]) -> Iterator[Act]:
        """Execute acts in sequence until one fails."""
        for name, title, blocks in acts_of(placed, wanted):
            self._write()
            results = list(self._execute(name, blocks))
            failed = any(result.state == "failed" for result in results)
            findings = [] if failed else list(self._findings(name))
            errors, lost = tuple(self._errors()), tuple(self._refused())
            if not failed:
                message = "no worker of the replication has logged an error"
                findings.append(RehearsalFinding(not errors, message, errors[:_MOST]))
            message = "the database has refused no row that was written meanwhile"
            findings.append(RehearsalFinding(not lost, message, lost[:_MOST]))
            act = Act(name, title, tuple(results), tuple(findings), errors)
            yield act
            if not act.passed:
                return

    def _execute(self, name: str, blocks: Sequence[PlacedBlock]) -> Iterator[BlockResult]:
        for placed in blocks:
            self._progress(name, f"{placed.step}: {placed.block.kind}")
            result = self._executor.execute(placed)
            yield result
            if result.state == "failed":
                return

    def _write(self) -> None:
        for writer in self._executor.writers.values():
            writer.resume()
            writer.rounds(_ROUNDS)

    def _findings(self, name: str) -> Iterator[RehearsalFinding]:
        self._write()
        for writer in self._executor.writers.values():
            writer.pause()
        if self._published:
            yield self._caught_up()
            yield from self._counted()
            yield from self._rows()
        catalogs = self._catalogs()
        for section in self._published:
            here, there = (catalogs[place.site.id, section.schema] for place in self._places)
            found = [d for d in compare(here, there) if self._same_version or d.path[-1] != "definition"]
            yield RehearsalFinding(
                not found,
                f"{section.schema}: tables, views and privileges are equal at both sites",
                _described(found, *(place.site.title for place in self._places)),
            )
        if name != "migrate":
            found = [d for key, before in self._before.items() for d in compare(before, catalogs[key])]
            known = [d for d in found if name == "back" and ".".join(d.path) in self._unrestored]
            if known:
                message = "the downgrade does not restore what the runbook warns of"
                yield RehearsalFinding(True, message, _described(known, "before", "now"), warning=True)
            found = [d for d in found if d not in known]
            what = "all other tables" if known else "tables"
            yield RehearsalFinding(
                not found, f"{what}, views and privileges are restored", _described(found, "before", "now")
            )

    @property
    def _same_version(self) -> bool:
        versions = {place.server.info.version.split(".")[0] for place in self._places}
        return len(versions) == 1

    @property
    def _places(self) -> tuple[RehearsalSite, RehearsalSite]:
        return self._pair.publisher, self._pair.replica

    def _caught_up(self) -> RehearsalFinding:
        replication = self._pair.publisher.replication
        block = Block("sql", self._pair.publisher.site.id, sql.caught_up(replication, 30))
        result = self._executor.execute(PlacedBlock("", "", block))
        details = (result.text,) if result.text else ()
        return RehearsalFinding(result.state == "done", "every row has arrived at the replica", details)

    def _counted(self) -> Iterator[RehearsalFinding]:
        """Read the replica's error counters, if its version has them."""
        replication = self._pair.replica.replication
        try:
            with self._pair.replica.connect("administrator") as connection:
                row = connection.execute(
                    "SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats"
                    " WHERE subname = %s",
                    [replication.subscription],
                ).fetchone()
        except psycopg.errors.UndefinedTable:
            return
        counts = tuple(int(str(count)) for count in row or (0, 0))
        details = (f"apply {counts[0]}, copy {counts[1]}",) if any(counts) else ()
        yield RehearsalFinding(not any(counts), "the replica has counted no replication error", details)

    def _rows(self) -> Iterator[RehearsalFinding]:
        for section in self._published:
            here, there = (self._all_rows(place, section.schema) for place in self._places)
            count = sum(len(table.rows) for table in here.values())
            names = sorted({*here, *there})
            differ = [
                f"{name}: {_compared(here.get(name), there.get(name))}"
                for name in names
                if here.get(name) != there.get(name)
            ]
            message = f"{section.schema}: all {count} rows in {len(names)} tables are the same at both sites"
            yield RehearsalFinding(not differ, message, tuple(differ[:_MOST]))

    def _all_rows(self, place: RehearsalSite, schema: str) -> Rows:
        with place.server.open_database(place.site.database) as engine, engine.connect() as connection:
            return read_rows(connection, place.snapshot(schema))

    def _catalogs(self) -> Mapping[tuple[str, str], Snapshot]:
        """Read the catalogs of both sites, without the privileges of the replication."""
        role = self._pair.publisher.replication.role
        return {
            (place.site.id, section.schema): _without(place.snapshot(section.schema), role)
            for place, sections in (
                (self._pair.publisher, self._published),
                (self._pair.replica, [*self._published, *self._local]),
            )
            for section in sections
        }

    def _refused(self) -> Iterator[str]:
        now = _total(writer.refused for writer in self._executor.writers.values())
        yield from (f"{count} times: {error}" for error, count in sorted((now - self._lost).items()))
        self._lost = now

    def _errors(self) -> Iterator[str]:
        """Return new errors in the replica's log, without duplicates."""
        text = self._pair.replica.server.log()[self._read :]
        self._read += len(text)
        found = dict.fromkeys(match[1] for match in _ERRORS.finditer(text))
        yield from (error for error in found if not error.startswith(_HARMLESS))


def _total(counters: Iterable[Counter[str]]) -> Counter[str]:
    return sum(counters, start=Counter[str]())


def _described(differences: Iterable[Difference], left: str, right: str) -> tuple[str, ...]:
    """Describe the differences of two catalogs, without duplicates."""
    texts = dict.fromkeys(
        f"{d.path[0]} is defined differently"
        if d.path[-1] == "definition"
        else f"{'.'.join(d.path)}: {left} {_short(d.left)}, {right} {_short(d.right)}"
        for d in differences
    )
    return tuple(texts)[:_MOST]


def _short(value: object) -> str:
    if isinstance(value, CatalogSequence):
        return "a sequence that is used" if value.used else "a sequence that is not used"
    return "nothing" if value is None else str(value)[:100]


def _compared(here: TableRows | None, there: TableRows | None) -> str:
    if here is None or there is None:
        return "it is at one site only"
    left, right = set(here.rows), set(there.rows)
    return f"{len(left - right)} rows are only at the publisher, {len(right - left)} only at the replica"


def _without(snapshot: Snapshot, role: str) -> Snapshot:
    relations = {
        name: replace(relation, grants=frozenset(g for g in relation.grants if g.grantee != role))
        for name, relation in snapshot.relations.items()
    }
    return replace(snapshot, relations=relations)


def rehearse(
    tree: Tree,
    sites: Sites,
    placed: Sequence[PlacedBlock],
    *,
    rows: int = 8,
    acts: Sequence[str] = ("cancel", "migrate", "back"),
    by_hand: bool = False,
    publisher: Preference = "auto",
    replica: Preference = "auto",
    patience: float = 60.0,
    schemas: Path | None = None,
    unrestored: Collection[str] = (),
    progress: Callable[[str, str], None] = lambda _act, _what: None,
) -> Rehearsal:
    """Execute a runbook on two servers with replication, while rows are written.

    `placed` are its blocks, `rows` the initial rows per table, `acts` the phases to run in order. With
    `by_hand` alembic's own commands run instead of ours. `patience` limits a statement or a wait, in seconds;
    `schemas` is a checkout of sdm_schemas for an ``env.py`` that needs one; `unrestored` is what the runbook
    warns that downgrades do not restore. A failure ends the rehearsal.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(tree.importable())
        ranges = [_resolved(tree, text) for text in ranges_of(placed)]
        folder = stack.enter_context(temporary_directory())
        progress("", "starting two servers")
        pair = stack.enter_context(two_sites(sites, publisher, replica))
        progress("", "preparing the initial state")
        initial = [_initial(tree, pair, *span) for span in ranges]
        published = [one for one in initial if pair.publisher.site.holds(one.section.schema)]
        local = [one for one in initial if one not in published]
        pair.prepare(published, local, rows)
        writers = {
            place.site.id: RowWriter(place.url(), [one.section for one in some])
            for place, some in ((pair.publisher, published), (pair.replica, local))
            if some
        }
        for writer in writers.values():
            stack.callback(writer.stop)
            writer.start()
        executor = BlockExecutor(pair, tree, folder, writers, by_hand, patience, schemas)
        sections = [b.section for b in published], [b.section for b in local]
        phases = PhaseRunner(pair, executor, *sections, progress, unrestored)
        done = list(phases.acts(placed, acts))
        for writer in writers.values():
            writer.stop()
        return Rehearsal(
            sections=ranges_of(placed),
            servers=(pair.publisher.text, pair.replica.text),
            acts=tuple(done),
            written=dict(sorted(_total(writer.written for writer in writers.values()).items())),
            refused=dict(sorted(_total(writer.refused for writer in writers.values()).items())),
            seconds=time.monotonic() - started,
            longest=max((writer.longest for writer in writers.values()), default=0.0),
        )


def _resolved(tree: Tree, text: str) -> tuple[Section, str, str]:
    span = parse_range(text)
    section = tree.section(span.section)
    return section, resolve(section, span.start), resolve(section, span.end)


def _initial(tree: Tree, pair: Pair, section: Section, start: str, end: str) -> InitialSection:
    """Determine the requirements of a section's migration on existing rows."""
    effects = read_change(tree, section, start, end, pair.publisher.server).forward
    states = expected_catalogs(pair.publisher.server, section, start, end)
    change = RowMigration(
        states.after,
        {old.name: new.name for old, new in effects.renamed_tables},
        {(c.table.name, c.old): c.column for c in effects.changes("renamed")},
    )
    return InitialSection(section, start, change)
