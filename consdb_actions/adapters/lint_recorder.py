"""Record the statements of a revision and their effects."""

from __future__ import annotations

import contextlib
import re
import sys
from types import FrameType
from typing import Any

import psycopg
from psycopg import sql as psql

from consdb_actions.adapters.lint_state import StateReader
from consdb_actions.lint.script import Notice, Step
from consdb_actions.lint.sql import Parsed, SqlError, read
from consdb_actions.lint.state import State

__all__ = ["Recorder", "RecordingConnection"]

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
        self._asked()
        return super().fetchone()

    def fetchmany(self, size: int = 0) -> Any:
        self._asked()
        return super().fetchmany(size)

    def fetchall(self) -> Any:
        self._asked()
        return super().fetchall()

    def __next__(self) -> Any:
        self._asked()
        return super().__next__()

    def _asked(self) -> None:
        recorder: Recorder | None = getattr(self.connection, "recorder", None)
        if self.rows_of_tables and recorder is not None:
            recorder.note("what follows depends on rows of tables, and there are none here")


class Recorder:
    """Records the statements sent from one revision file.

    With `detailed` the catalog is read after each statement, else only at the end.
    """

    def __init__(
        self, connection: RecordingConnection, reader: StateReader, path: str, *, detailed: bool = True
    ) -> None:
        self._connection, self._reader, self._path, self._detailed = connection, reader, path, detailed
        self.steps: list[Step] = []
        self.notices: list[Notice] = []
        self.boundaries: list[int] = []
        self.savepoints = 0
        # Why a later statement may fail in the replay only.
        self.missing = ""
        self.start = self.state = self.read()

    def line(self) -> int:
        """Return the current line of the revision; 0 if it is not running."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename == self._path:
                return frame.f_lineno
            frame = frame.f_back
        return 0

    def note(self, message: str, kind: Any = "unjudged") -> None:
        """Record an observation besides the statements, once per line."""
        notice = Notice(kind, message, self.line() or 1)
        if notice not in self.notices:
            self.notices.append(notice)

    def ended(self, what: str) -> None:
        """Record the end of a transaction."""
        self.boundaries.append(len(self.steps))
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "autocommit_block":
                return
            if frame.f_code.co_filename == self._path:
                self.note(f"{what} of the connection", "transaction")
                return
            frame = frame.f_back

    def read(self, *, whole: bool = True) -> State:
        """Read the catalog."""
        with psycopg.Cursor(self._connection) as cursor:
            return self._reader.read(cursor, whole=whole)

    def send(self, cursor: _Cursor, text: str) -> None:
        """Run the statements of a text one by one."""
        line = self.line()
        try:
            statements = read(text)
        except SqlError as error:
            self.steps.append(Step(text, line, None, self.state, self.state, str(error)))
            cursor.run("")
            return
        if not statements:
            cursor.run("")
        for parsed in statements:
            if parsed.kind == "VariableShowStmt":
                cursor.run(parsed.sql)  # SQLAlchemy asks for the isolation level
            else:
                self._run(cursor, parsed, line)

    def _run(self, cursor: _Cursor, parsed: Parsed, line: int) -> None:
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
        self.steps.append(Step(parsed.sql, line, parsed, before, self.state, problem, inside, unjudged))

    def _transaction(self, cursor: _Cursor, parsed: Parsed) -> str:
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

    def _guarded(self, cursor: _Cursor, parsed: Parsed, roles: frozenset[str] = frozenset()) -> str:
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
                    control.execute(f"LOCK TABLE pg_authid IN ROW SHARE MODE; ROLLBACK TO {_SAVEPOINT}")
                    return self._guarded(cursor, parsed, roles | {role[1]})
                if _is_elsewhere(parsed, error):
                    cursor.run("")
                    return ""
                if self.savepoints > 0:
                    self.note("a statement fails here, and the revision may go on without it")
                    raise
                cursor.run("")
                return _message(error)
        return ""

    def _alone(self, cursor: _Cursor, parsed: Parsed) -> str:
        try:
            cursor.run(parsed.sql)
        except psycopg.Error as error:
            if self._connection.broken:
                raise
            return "" if _is_elsewhere(parsed, error) else _message(error)
        return ""

    def _unknown_function(self, parsed: Parsed) -> str:
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


def _is_elsewhere(parsed: Parsed, error: psycopg.Error) -> bool:
    if parsed.kind == "CreateExtensionStmt" and "pg_sphere" in parsed.sql:
        return True  # its type or the stand-in exists
    about = parsed.kind in _ELSEWHERE or "OBJECT_PUBLICATION" in parsed.subtypes
    return about and error.sqlstate in ("42704", "42710")


def _message(error: psycopg.Error) -> str:
    """Return the message of Postgres with its details (rule M23)."""
    diag = error.diag
    message = diag.message_primary or str(error).strip().split("\n")[0]
    return "; ".join(
        [message, *(d.replace("\n", "; ") for d in (diag.message_detail, diag.message_hint) if d)]
    )
