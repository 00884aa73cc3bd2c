"""Replay revisions for lint, and record catalogs, statements and locks."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import traceback
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script as AlembicRevision
from psycopg import sql as psql

from consdb_actions.adapters.autogenerate.simulation import prepare, stamp
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer, connect
from consdb_actions.adapters.revisions import Changes, RefusedError, guarded
from consdb_actions.adapters.shell import TerminationSignal
from consdb_actions.adapters.shell import run as run_program
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog import Difference, Snapshot, compare
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.lint.script import (
    Direction,
    DirectionRun,
    Failure,
    LintColumn,
    LintConstraint,
    LintRelation,
    LintState,
    LintStep,
    Notice,
    RevisionScript,
    SquawkFinding,
)
from consdb_actions.lint.sql import ParsedStatement, SqlError, read
from consdb_actions.schema.model import Name

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
            k.conname, k.contype, k.convalidated, k.conkey,
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
        self._known: dict[int, tuple[str, LintRelation]] = {}

    def prepare(self, cursor: psycopg.Cursor[Any]) -> None:
        """Prepare a new session."""
        cursor.execute(_PREPARE)

    def read(self, cursor: psycopg.Cursor[Any], *, whole: bool = True) -> LintState:
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
            locks[oid] = max(locks.get(oid, mode), mode, key=lambda m: _LOCKS.index(m) if m in _LOCKS else -1)
        cursor.nextset()
        settings = dict(cursor.fetchall())
        return LintState({oid: relation for oid, (_, relation) in self._known.items()}, locks, settings)


def _relation(oid: int, facts: list[Any]) -> LintRelation:
    schema, name, kind, file, owner, persistence, identity, secured, *lists = facts
    attributes, constraints, indexes, grants = (part or () for part in lists)
    columns = {number: LintColumn(*rest) for number, *rest in attributes}
    return LintRelation(
        oid=oid,
        name=Name(schema, name),
        kind=_KINDS[kind],
        file=file,
        owner=owner,
        columns=columns,
        constraints={
            name: LintConstraint(
                type_, tuple(_name(columns, number) for number in numbers or ()), valid, text
            )
            for name, type_, valid, numbers, text in constraints
        },
        indexes=dict(indexes),
        grants=frozenset((role, privilege) for role, privilege in grants),
        persistence=persistence,
        identity=identity,
        row_security=secured,
    )


def _name(columns: Mapping[int, LintColumn], number: int) -> str:
    # A CHECK can name one column of the system.
    return columns[number].name if number in columns else "tableoid"


# Postgres calls these volatile, but they change nothing permanent.
_HARMLESS_NAMES = """
random setseed clock_timestamp timeofday gen_random_uuid nextval currval setval lastval set_config
pg_advisory_lock pg_advisory_xact_lock pg_try_advisory_lock pg_advisory_unlock
"""

_HARMLESS = frozenset(_HARMLESS_NAMES.split())

# Their objects can exist in a real database without the replayed history.
_ELSEWHERE = frozenset({"AlterPublicationStmt", "CreatePublicationStmt"})

_WITH_ROWS_NAMES = """
CallStmt DeleteStmt ExecuteStmt ExplainStmt FetchStmt InsertStmt MergeStmt SelectStmt UpdateStmt
"""

_WITH_ROWS = frozenset(_WITH_ROWS_NAMES.split())

_WITHOUT_TRACE = frozenset({"AlterSystemStmt", "CopyStmt", "LoadStmt", "NotifyStmt", "SelectStmt"})

_UNKNOWN_ROLE = re.compile(r'role "(.+)" does not exist')

_SAVEPOINT = "consdb_lint"


class RecordingConnection(psycopg.Connection[Any]):
    """A connection that reports to a recorder."""

    recorder: Recorder | None = None
    administration: psycopg.Connection[Any]

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.cursor_factory = _Cursor

    def commit(self) -> None:
        """Commit and record it."""
        if self.recorder is not None:
            self.recorder.ended("commit()")
        super().commit()

    def rollback(self) -> None:
        """Roll back and record it."""
        if self.recorder is not None:
            self.recorder.ended("rollback()")
        super().rollback()


class _Cursor(psycopg.ClientCursor[Any]):
    """A cursor that sends its statements, with literal values, through the recorder."""

    rows_of_tables = False

    def execute(self, query: Any, params: Any = None, **options: Any) -> _Cursor:
        recorder: Recorder | None = getattr(self.connection, "recorder", None)
        if recorder is None or not recorder.line():
            return super().execute(query, params, **options)
        recorder.send(self, self.mogrify(query, params))
        return self

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        for params in params_seq:
            self.execute(query, params)

    def copy(self, statement: Any, params: Any = None, **_: Any) -> Any:
        self.execute(statement, params)
        raise psycopg.NotSupportedError("lint does not run COPY")

    def run(self, statement: str) -> None:
        """Send a statement without recording it."""
        super().execute(statement)

    def fetchone(self) -> Any:
        self._note_rows()
        return super().fetchone()

    def fetchmany(self, size: int = 0) -> Any:
        self._note_rows()
        return super().fetchmany(size)

    def fetchall(self) -> Any:
        self._note_rows()
        return super().fetchall()

    def __next__(self) -> Any:
        self._note_rows()
        return super().__next__()

    def _note_rows(self) -> None:
        recorder: Recorder | None = getattr(self.connection, "recorder", None)
        if self.rows_of_tables and recorder is not None:
            recorder.note("later code depends on rows of tables, and these are empty")


class Recorder:
    """Records the statements of one revision file; `detailed` reads the catalog after each of them."""

    def __init__(
        self, connection: RecordingConnection, reader: StateReader, path: str, *, detailed: bool = True
    ) -> None:
        self._connection, self._reader, self._path, self._detailed = connection, reader, path, detailed
        self.steps: list[LintStep] = []
        self.notices: list[Notice] = []
        self.boundaries: list[int] = []
        self.savepoints = 0
        # Why a later statement may fail in the replay only.
        self.missing = ""
        self.start = self.state = self.read() if detailed else LintState()

    def line(self) -> int:
        """Return the current line of the revision; 0 if it is not running."""
        frames = traceback.walk_stack(sys._getframe())
        return next((line for frame, line in frames if frame.f_code.co_filename == self._path), 0)

    def note(self, message: str, kind: Any = "unjudged") -> None:
        """Record an observation besides the statements, once per line."""
        notice = Notice(kind, message, self.line() or 1)
        if notice not in self.notices:
            self.notices.append(notice)

    def ended(self, what: str) -> None:
        """Record the end of a transaction."""
        self.boundaries.append(len(self.steps))
        for frame, _ in traceback.walk_stack(sys._getframe()):
            if frame.f_code.co_name == "autocommit_block":
                return
            if frame.f_code.co_filename == self._path:
                self.note(f"{what} of the connection", "transaction")
                return

    def read(self, *, whole: bool = True) -> LintState:
        """Read the catalog."""
        with psycopg.Cursor(self._connection) as cursor:
            return self._reader.read(cursor, whole=whole)

    def send(self, cursor: _Cursor, text: str) -> None:
        """Run the statements of a text one by one."""
        line = self.line()
        try:
            statements = read(text)
        except SqlError as error:
            self.steps.append(LintStep(text, line, None, self.state, self.state, str(error)))
            cursor.run("")
            return
        if not statements:
            cursor.run("")
        for parsed in statements:
            if parsed.kind == "VariableShowStmt":
                cursor.run(parsed.sql)  # SQLAlchemy asks for the isolation level
            else:
                self._run(cursor, parsed, line)

    def _run(self, cursor: _Cursor, parsed: ParsedStatement, line: int) -> None:
        before, inside = self.state, not self._connection.autocommit
        cursor.rows_of_tables = False
        problem, unjudged = "", parsed.unjudged
        if parsed.refused:
            unjudged = f"{parsed.refused}, which lint does not run"
            self.missing = self.missing or ("" if parsed.kind in _WITHOUT_TRACE else parsed.refused)
            cursor.run("")
        elif parsed.transaction:
            problem = self._transaction(cursor, parsed)
        else:
            unjudged = unjudged or self._unknown_function(parsed)
            problem = self._guarded(cursor, parsed) if inside else self._alone(cursor, parsed)
            if problem and parsed.kind == "CreateExtensionStmt":
                problem, unjudged = "", f"an extension that is not installed here ({problem})"
                self.missing = self.missing or "CREATE EXTENSION"
            elif problem and self.missing:
                unjudged, problem = (
                    f"a statement that fails here, where {self.missing} was not run ({problem})",
                    "",
                )
            cursor.rows_of_tables = parsed.kind == "SelectStmt" and any(
                not r.name.startswith("pg_") and r.schema not in ("pg_catalog", "information_schema")
                for r in parsed.relations
            )
        looks = parsed.kind == "SelectStmt" and not parsed.functions and not parsed.target
        if self._detailed and not looks and (parsed.changes_catalog or unjudged or parsed.transaction):
            self.state = self.read(whole=not inside or bool(parsed.transaction or unjudged))
        self.steps.append(LintStep(parsed.sql, line, parsed, before, self.state, problem, inside, unjudged))

    def _transaction(self, cursor: _Cursor, parsed: ParsedStatement) -> str:
        kind = parsed.transaction
        if kind == "savepoint":
            self.savepoints += 1 if parsed.sql.upper().lstrip().startswith("SAVEPOINT") else -1
        else:
            self.boundaries.append(len(self.steps))
        try:
            cursor.run(parsed.sql)
        except psycopg.Error as error:
            return _message(error)
        return ""

    def _guarded(self, cursor: _Cursor, parsed: ParsedStatement, roles: frozenset[str] = frozenset()) -> str:
        """Run a statement; undo it if Postgres refuses it."""
        connection = self._connection
        # Statements without rows are sent in one message: most of the time is network latency.
        returns = parsed.kind in _WITH_ROWS
        with psycopg.Cursor(connection) as control:
            try:
                if returns:
                    control.execute(f"SAVEPOINT {_SAVEPOINT}")
                    cursor.run(parsed.sql)
                    control.execute(f"RELEASE {_SAVEPOINT}")
                else:
                    cursor.run(f"SAVEPOINT {_SAVEPOINT};\n{parsed.sql}\n;RELEASE {_SAVEPOINT}")
            except psycopg.Error as error:
                if connection.broken:
                    raise
                control.execute(f"ROLLBACK TO {_SAVEPOINT}")
                role = _UNKNOWN_ROLE.search(error.diag.message_primary or "")
                if role and role[1] not in roles:
                    # Roles belong to the server: the real one has them, independent of the history. Other
                    # processes may create the same one, so that it does not wait for our transaction to end.
                    with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                        statement = psql.SQL("CREATE ROLE {}").format(psql.Identifier(role[1]))
                        connection.administration.execute(statement)
                    # A new lock makes the session see the role.
                    lock = "SET LOCAL ROLE NONE; LOCK TABLE pg_authid IN ROW SHARE MODE"
                    control.execute(f"{lock}; ROLLBACK TO {_SAVEPOINT}")
                    return self._guarded(cursor, parsed, roles | {role[1]})
                if _is_elsewhere(parsed, error):
                    cursor.run("")
                    return ""
                if self.savepoints > 0:
                    self.note("a statement fails here, and the revision may continue without it")
                    raise
                cursor.run("")
                return _message(error)
        return ""

    def _alone(self, cursor: _Cursor, parsed: ParsedStatement) -> str:
        try:
            cursor.run(parsed.sql)
        except psycopg.Error as error:
            if self._connection.broken:
                raise
            return "" if _is_elsewhere(parsed, error) else _message(error)
        return ""

    def _unknown_function(self, parsed: ParsedStatement) -> str:
        """Return a called function with unknown effects; immutable ones of Postgres have none."""
        for name in parsed.functions:
            schema, _, function = name.rpartition(".")
            if function in _HARMLESS and schema in ("", "pg_catalog"):
                continue
            with psycopg.Cursor(self._connection) as cursor:
                cursor.execute(
                    "SELECT bool_or(p.provolatile = 'v') FROM pg_proc p JOIN pg_namespace n"
                    " ON n.oid = p.pronamespace WHERE p.proname = %s AND (%s = '' OR n.nspname = %s)",
                    [function, schema, schema],
                )
                (volatile,) = cursor.fetchone() or (None,)
            if volatile is not False:
                return f"the function {name}"
        return ""


def _is_elsewhere(parsed: ParsedStatement, error: psycopg.Error) -> bool:
    if parsed.kind == "CreateExtensionStmt" and "pg_sphere" in parsed.sql:
        return True  # its type or the stand-in exists
    about = parsed.kind in _ELSEWHERE or "OBJECT_PUBLICATION" in parsed.subtypes
    return about and error.sqlstate in ("42704", "42710")


def _message(error: psycopg.Error) -> str:
    diag = error.diag
    message = diag.message_primary or str(error).strip().split("\n")[0]
    return "; ".join(
        [message, *(d.replace("\n", "; ") for d in (diag.message_detail, diag.message_hint) if d)]
    )


# Names that exceed Postgres's limit are sent in full: another rule judges them.
_NO_LIMIT = 9999

_OFFLINE = "the revision's actions in Alembic's offline mode are unknown"

_SETTINGS = "-c statement_timeout=120s -c client_min_messages=error"


class _Undo(Exception):  # noqa: N818  (it is not an error)
    pass


def replay_section(
    server: ScratchServer,
    root: Path,
    section: Section,
    wanted: Set[str],
    *,
    roles: Mapping[str, tuple[str, ...]],
    changes: Changes,
) -> Iterator[tuple[RevisionScript, str]]:
    """Replay a section and yield the wanted revisions with their text."""
    heads = {r: _shown(root, section.scripts.get_revision(r)) for r in sorted(section.scripts.get_heads())}
    removed = {
        revision: _relative(root, path)
        for path, revision in changes.removed.items()
        if path.parent == section.versions.resolve()
    }
    revisions = section.revisions()
    ancestors = {r.revision: _ancestors(section, r) for r in revisions}
    needed = set(wanted).union(*(ancestors[revision] for revision in wanted))
    with _Replay(server, section) as replay:
        for revision in revisions:
            if revision.revision not in needed:
                continue
            replay.go_to([r for r in revisions if r.revision in ancestors[revision.revision]])
            if revision.revision not in wanted:
                replay.apply(revision)
                continue
            history, catalog = replay.trouble, replay.catalog()
            upgrade, boundaries = replay.run(revision, "upgrade")
            downgrade, _ = replay.run(revision, "downgrade")
            source = _source(Path(revision.path))
            yield (
                RevisionScript(
                    file=_shown(root, revision),
                    section=section.name,
                    revision=revision.revision,
                    schema=section.schema,
                    version_schema=section.version_schema,
                    version_table=section.version_table,
                    upgrade=upgrade,
                    downgrade=downgrade,
                    line=_down_revision_line(source),
                    roles=roles,
                    catalog=catalog,
                    squawk=squawk_findings(upgrade, boundaries, server.info.version),
                    history=history,
                    heads=heads,
                    edited=Path(revision.path).resolve() in changes.edited,
                    removed=removed if revision.revision == next(iter(heads), "") else {},
                ),
                source,
            )


def replay_range(
    server: ScratchServer, section: Section, revisions: Sequence[AlembicRevision], owner: str = ""
) -> tuple[list[DirectionRun], list[DirectionRun], bool, list[Difference] | None]:
    """Replay consecutive revisions, up and down again, with the rights of `owner` if all of them run.

    The last value is what the downgrades do not restore; None if that was not found out.
    """
    if not revisions:
        return [], [], True, None
    with _Replay(server, section, owner) as replay:
        before = _ancestors(section, revisions[0])
        replay.go_to([r for r in section.revisions() if r.revision in before])
        known = not replay.trouble
        earlier = replay.catalog() if owner else None
        ups = [replay.run(revision, "upgrade", keep=True)[0] for revision in revisions]
        downs = [replay.run(revision, "downgrade", keep=True)[0] for revision in reversed(revisions)]
        if earlier is None:
            return ups, downs, known, None
        if known and all(run.whole and not any(s.unjudged for s in run.steps) for run in (*ups, *downs)):
            return ups, downs, known, compare(replay.catalog(), earlier)
    return replay_range(server, section, revisions)


class _Replay:
    def __init__(self, server: ScratchServer, section: Section, owner: str = "") -> None:
        self._server, self._section, self._owner = server, section, owner
        self._stack = ExitStack()
        self._applied: frozenset[str] | None = None
        self._catalog: Snapshot | None = None
        self.trouble = ""

    def __enter__(self) -> _Replay:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def go_to(self, revisions: Sequence[AlembicRevision]) -> None:
        if self._applied == frozenset(r.revision for r in revisions):
            return
        self._stack.close()
        name = f"{self._section.name}_lint"
        self._server.create_database(name)
        self._stack.callback(self._server.drop_database, name)
        opened = self._stack.enter_context(recording(self._server.url(name), self._owner))
        self._connection, self._driver, self._reader = opened
        prepare(self._connection, self._section)
        stamp(self._connection, self._section, None)
        self._connection.commit()
        self._applied, self._catalog, self.trouble = frozenset(), None, ""
        for revision in revisions:
            self.apply(revision)

    def catalog(self) -> Snapshot:
        if self._catalog is None:
            self._catalog = read_snapshot(self._connection, self._section.schema)
        return self._catalog

    def apply(self, revision: AlembicRevision) -> None:
        run, _ = self.run(revision, "upgrade", detailed=False)
        problem = next(
            (s.problem for s in run.steps if s.problem), run.failure.message if run.failure else ""
        )
        missing = next((s.unjudged for s in run.steps if s.unjudged.endswith("does not run")), "")
        if problem and not self.trouble:
            self.trouble = f"revision {revision.revision} before it does not apply: {problem}"
        elif missing and not self.trouble:
            self.trouble = f"revision {revision.revision} before it contains {missing}"

    def run(
        self, revision: AlembicRevision, direction: Direction, *, detailed: bool = True, keep: bool = False
    ) -> tuple[DirectionRun, Sequence[int]]:
        """Run one direction; with `keep` a downgrade is not rolled back, and the snapshot is not read."""
        self._connection.rollback()
        path = str(revision.module.__file__)
        function = getattr(revision.module, direction, None)
        recorder = Recorder(self._driver, self._reader, path, detailed=detailed)
        self._connection.rollback()
        line, failure = 1, None
        end, catalog = recorder.start, None
        if function is None:
            failure = Failure("error", f"there is no function {direction}()", 1)
        else:
            line = function.__code__.co_firstlineno
            with (
                contextlib.suppress(_Undo),
                self._environment(recorder, path) as context,
                context.begin_transaction(),
            ):
                try:
                    with Operations.context(context):
                        self._driver.recorder = recorder
                        function()
                except TerminationSignal:
                    raise
                except (Exception, SystemExit) as error:  # a revision is a program and can fail in any way
                    if self._driver.broken:
                        raise
                    failure = _failure(error, direction, path, line)
                finally:
                    self._driver.recorder = None
                if self._driver.info.transaction_status.name == "INERROR":
                    self._connection.connection.rollback()
                if detailed:
                    end = recorder.read()
                if detailed and not keep:
                    catalog = read_snapshot(self._connection, self._section.schema)
                if direction == "downgrade" and not keep:
                    raise _Undo
        if self._applied is not None and direction == "upgrade":
            self._applied |= {revision.revision}
            self._catalog = catalog
        elif recorder.boundaries or keep:
            self._applied = None  # the downgrade is not rolled back: start again
        run = DirectionRun(
            direction,
            line,
            tuple(recorder.steps),
            recorder.start,
            end,
            failure,
            tuple(recorder.notices),
            catalog,
        )
        return run, tuple(recorder.boundaries)

    @contextmanager
    def _environment(self, recorder: Recorder, path: str) -> Iterator[MigrationContext]:
        """Configure Alembic as ``env.py`` does, and guard the revision."""

        def is_offline_mode() -> bool:
            recorder.note(_OFFLINE)
            return False

        def get_x_argument(as_dictionary: bool = False) -> dict[str, str] | list[str]:
            recorder.note("later code depends on the arguments -x of the command")
            return {} if as_dictionary else []

        with EnvironmentContext(self._section.config, self._section.scripts) as environment:
            environment.is_offline_mode = is_offline_mode  # type: ignore[method-assign]
            environment.get_x_argument = get_x_argument  # type: ignore[method-assign, assignment]
            environment.configure(
                connection=self._connection,
                version_table=self._section.version_table,
                version_table_schema=self._section.version_schema,
            )
            with (
                quiet(),
                guarded(lambda what: recorder.note(f"the revision wants {what}, which lint refuses")),
            ):
                context = environment.get_context()
                context.__class__ = _context_class(recorder, path)
                yield context


def _context_class(recorder: Recorder, path: str) -> type[MigrationContext]:
    """Return a class that detects checks for the offline mode."""

    def as_sql(self: MigrationContext) -> bool:
        if sys._getframe(1).f_code.co_filename == path:
            recorder.note(_OFFLINE)
        return bool(self.__dict__["as_sql"])

    def set_as_sql(self: MigrationContext, value: bool) -> None:
        self.__dict__["as_sql"] = value

    return type("Context", (MigrationContext,), {"as_sql": property(as_sql, set_as_sql)})


@contextmanager
def recording(
    url: sa.URL, owner: str = ""
) -> Iterator[tuple[sa.Connection, RecordingConnection, StateReader]]:
    """Connect to a database with a recordable connection, as a member of `owner` who owns the database."""
    engine = sa.create_engine(
        url,
        poolclass=sa.NullPool,
        max_identifier_length=_NO_LIMIT,
        # Psycopg would drop the statements that we prepare together with its own.
        connect_args={"options": _SETTINGS, "prepare_threshold": None},
    )

    @sa.event.listens_for(engine, "do_connect")
    def record(_dialect: Any, _record: Any, arguments: Any, keywords: dict[str, Any]) -> Any:
        return RecordingConnection.connect(*arguments, **keywords)

    with engine.connect() as connection:
        driver = cast(RecordingConnection, connection.connection.driver_connection)
        reader = StateReader()
        with psycopg.Cursor(driver) as cursor:
            reader.prepare(cursor)
        connection.commit()
        with connect(url) as driver.administration:
            if owner:
                _become_owner(driver, owner)
            yield connection, driver, reader


def _become_owner(driver: RecordingConnection, owner: str) -> None:
    # Not the owner itself: a grant to the owner of a table is none.
    role, name = psql.Identifier("consdb_actions_owner"), psql.Identifier(driver.info.dbname)
    with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        create = psql.SQL("CREATE ROLE {} IN ROLE {}").format(role, psql.Identifier(owner))
        driver.administration.execute(create)
    driver.administration.execute(psql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, role))
    with psycopg.Cursor(driver) as cursor:
        cursor.execute(psql.SQL("SET ROLE {}").format(role))
    driver.commit()


def load(section: Section) -> None:
    """Import the revisions of a section under guard; raise `InputError` on failure."""
    with guarded(lambda _: None):
        _ = section.scripts


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress output and warnings of the tree's code."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


# Rules of squawk that are off by default and matter here.
_INCLUDED = (
    "ban-alter-row-level-security",
    "ban-create-policy",
    "ban-drop-policy",
    "require-concurrent-reindex",
)


def squawk_findings(run: DirectionRun, boundaries: Sequence[int], version: str) -> tuple[SquawkFinding, ...]:
    """Run squawk on an upgrade, with the ends of transactions between its statements."""
    text, numbers, starts = "", list[int](), list[int]()
    for number, step in enumerate(run.steps):
        ends = number in boundaries and (step.parsed is None or not step.parsed.transaction)
        for statement, of in ((ends and "COMMIT", -1), (step.parsed and step.parsed.sql, number)):
            if statement:
                starts.append(text.count("\n"))
                numbers.append(of)
                text += f"{statement}\n;\n"
    if not text:
        return ()
    arguments = ["--reporter", "json", "--assume-in-transaction", f"--pg-version={version.split('.')[0]}.0"]
    arguments += [f"--include={rule}" for rule in _INCLUDED]
    done = run_program([_squawk_program(), *arguments], input=text, timeout=60, check=False)
    try:
        found = [
            SquawkFinding(numbers[bisect_right(starts, item["line"]) - 1], item["rule_name"], item["message"])
            for item in json.loads(done.stdout or "[]")
        ]
    except (ValueError, KeyError, IndexError) as error:
        raise ExternalError(
            f"squawk exited with {done.returncode} without a result: {done.stderr.strip()[:200]}",
            remedy="Install the package again: it brings squawk-cli.",
        ) from error
    return tuple(finding for finding in found if finding.statement >= 0)


def _squawk_program() -> str:
    import shutil
    import sysconfig

    found = shutil.which("squawk", path=sysconfig.get_path("scripts")) or shutil.which("squawk")
    if found is None:
        raise ExternalError("squawk is not installed", remedy="Run `pip install squawk-cli`.")
    return found


def _failure(error: BaseException, direction: Direction, path: str, line: int) -> Failure:
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == path and frame.lineno:
            line = frame.lineno
    if isinstance(error, RefusedError):
        return Failure("refused", str(error), line)
    if isinstance(error, NotImplementedError) and direction == "downgrade":
        return Failure("unsupported", "NotImplementedError", line)
    message = str(error).strip().splitlines()
    return Failure("error", f"{type(error).__name__}{': ' + message[0] if message else ''}", line)


def _ancestors(section: Section, revision: AlembicRevision) -> frozenset[str]:
    down: list[str] = []
    for names in (revision.down_revision, revision.dependencies):
        down.extend((names,) if isinstance(names, str) else names or ())
    if not down:
        return frozenset()
    found = section.scripts.iterate_revisions(tuple(down), "base", implicit_base=True)
    return frozenset(r.revision for r in found)


def _shown(root: Path, revision: AlembicRevision | None) -> str:
    return _relative(root, Path(revision.path)) if revision is not None else ""


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"this revision cannot be read: {error}", place=str(path)) from error


def _down_revision_line(source: str) -> int:
    lines = enumerate(source.splitlines(), start=1)
    return next((number for number, line in lines if line.startswith("down_revision")), 1)
