"""The SQL of a revision without a database, each statement with the Python line that sends it.

Alembic's offline mode (``alembic upgrade --sql``) runs ``upgrade`` and ``downgrade`` and collects what they
send. The tree's ``env.py`` is not run, and no connection can be opened meanwhile. The revision itself is run,
as by all who call ``alembic``: this belongs to jobs that hold no token with which anything can be written.
"""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy.dialects.postgresql.base import PGCompiler
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import CompileError, NoInspectionAvailable

from consdb_actions.adapters.interrupts import Terminated
from consdb_actions.adapters.tree import Section
from consdb_actions.migration.lint.script import Direction, Failure, Rendering, Statement

__all__ = ["quiet", "render"]

# Longer names than Postgres takes are rendered in full, so that they can be judged by their own rule.
_NO_LIMIT = 9999


class _NeedsConnectionError(Exception):
    """A revision wants an answer from the database."""


class _NoAnswer:
    """What a query gives where no database is: nothing can be done with it."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise _NeedsConnectionError(f"the result of a query, .{name}")

    def __iter__(self) -> NoReturn:
        raise _NeedsConnectionError("the rows of a query")

    def __bool__(self) -> NoReturn:
        raise _NeedsConnectionError("the result of a query")


class _Compiler(PGCompiler):
    """Writes values into statements, and does not insist on those that it cannot write."""

    def render_literal_value(self, value: Any, type_: Any) -> str:
        try:
            return str(super().render_literal_value(value, type_))  # type: ignore[no-untyped-call]
        except CompileError:
            return "NULL"  # which value is written does not matter here

    def render_literal_bindparam(self, bindparam: Any, *args: Any, **kwargs: Any) -> str:
        if bindparam.required:
            raise CompileError(
                f"parameter :{bindparam.key} has no value; where a colon is meant, write it as \\:"
            )
        text = super().render_literal_bindparam(bindparam, *args, **kwargs)  # type: ignore[no-untyped-call]
        return str(text)


class _Recorder:
    """Collects statements with the line of the revision file that is being run."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.statements: list[Statement] = []

    def record(self, text: str) -> None:
        """Take what Alembic would print."""
        self.statements.append(Statement(text.strip().removesuffix(";"), self._line()))

    def _line(self) -> int:
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename == self.path:
                return frame.f_lineno
            frame = frame.f_back  # type: ignore[assignment]
        return 1


def render(section: Section, script: Script, direction: Direction) -> Rendering:
    """Run one direction of a revision without a database.

    Parameters
    ----------
    section
        Its section.
    script
        The revision; the tree's modules must be importable. What it prints is printed: see :func:`quiet`.
    direction
        Which function to run.

    Returns
    -------
    Rendering
        The statements, and why there may be more.
    """
    function = getattr(script.module, direction, None)
    path = str(script.module.__file__)
    recorder = _Recorder(path)
    if function is None:
        return Rendering((), 1, Failure("error", f"there is no function {direction}()", 1))
    line = function.__code__.co_firstlineno
    failure: Failure | None = None
    with _no_connections(), _offline(section, recorder) as context:
        try:
            with Operations.context(context):
                function()
        except Terminated:
            raise
        except (Exception, SystemExit) as error:  # a revision is a program, and can fail in any way
            failure = _failure(error, direction, path, line, context)
    return Rendering(tuple(recorder.statements), line, failure)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what the tree's own code prints or warns of away from our output."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _no_connections() -> Iterator[None]:
    """Refuse connections that a revision opens by itself."""

    def refuse(*_: object) -> NoReturn:
        raise _NeedsConnectionError("a connection of its own")

    sa.event.listen(sa.Engine, "do_connect", refuse)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "do_connect", refuse)


@contextlib.contextmanager
def _offline(section: Section, recorder: _Recorder) -> Iterator[MigrationContext]:
    with EnvironmentContext(section.config, section.scripts, as_sql=True) as environment:
        environment.configure(
            dialect_name="postgresql+psycopg",
            dialect_opts={"paramstyle": "named", "max_identifier_length": _NO_LIMIT},
            literal_binds=True,
            version_table=section.version_table,
            version_table_schema=section.version_schema,
            output_buffer=io.StringIO(),
        )
        context = environment.get_context()
        context.dialect.statement_compiler = _Compiler
        context.impl.static_output = recorder.record  # type: ignore[method-assign]

        def execute(construct: Any, *parameters: Any, **_: Any) -> _NoAnswer:
            context.impl.execute(_with_values(construct, parameters) if any(parameters) else construct)
            return _NoAnswer()

        connection: Any = MockConnection(context.dialect, execute)
        context.connection = context.impl.connection = connection
        yield context


def _with_values(construct: Any, parameters: tuple[Any, ...]) -> Any:
    """Put the values of ``execute(statement, values)`` into the statement."""
    values = parameters[0]
    if isinstance(construct, sa.TextClause) and isinstance(values, dict):
        return construct.bindparams(**values)
    if isinstance(construct, sa.Insert | sa.Update):
        return construct.values(values)
    return construct


def _failure(
    error: BaseException, direction: Direction, path: str, line: int, context: MigrationContext
) -> Failure:
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == path and frame.lineno:
            line = frame.lineno
    if isinstance(error, _NeedsConnectionError):
        return Failure("connection", str(error), line)
    # A connection that is none: a revision inspects it, or uses what only a real one has.
    if isinstance(error, NoInspectionAvailable) or (
        isinstance(error, AttributeError) and error.obj is context.connection
    ):
        what = getattr(error, "name", "") or "inspection"
        return Failure("connection", f"a connection, for its {what}", line)
    if isinstance(error, NotImplementedError) and direction == "downgrade":
        return Failure("unsupported", "NotImplementedError", line)
    words = str(error).strip().splitlines()
    return Failure("error", f"{type(error).__name__}{': ' + words[0] if words else ''}", line)
