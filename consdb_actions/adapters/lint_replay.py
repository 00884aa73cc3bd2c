"""Replay a section's history and the revisions to lint."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script as AlembicRevision

from consdb_actions.adapters.autogenerate.replay import prepare, stamp
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.interrupts import Terminated
from consdb_actions.adapters.lint_recorder import Recorder, RecordingConnection
from consdb_actions.adapters.lint_state import StateReader
from consdb_actions.adapters.merged_revisions import Changes
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.postgres_sql import connect
from consdb_actions.adapters.revision_guard import RefusedError, guarded
from consdb_actions.adapters.shell import run as run_program
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog import Snapshot
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.lint.script import Direction, Failure, Run, Script
from consdb_actions.lint.squawk import INCLUDED, SquawkFinding, read_output, write_input

__all__ = ["ask_squawk", "load", "quiet", "recording", "replay_range", "replay_section", "squawk_findings"]

# Names that exceed Postgres's limit are sent in full: another rule judges them.
_NO_LIMIT = 9999
_OFFLINE = "what the revision does in Alembic's offline mode is not seen"
_SETTINGS = "-c statement_timeout=120s -c client_min_messages=error"


class _Undo(Exception):  # noqa: N818  (it is not an error)
    """Raised to roll back a transaction."""


def replay_section(
    server: ScratchServer,
    root: Path,
    section: Section,
    wanted: Set[str],
    *,
    roles: Mapping[str, tuple[str, ...]],
    changes: Changes,
) -> Iterator[tuple[Script, str]]:
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
                Script(
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
    server: ScratchServer, section: Section, revisions: Sequence[AlembicRevision]
) -> tuple[list[Run], list[Run], bool]:
    """Replay consecutive revisions, up and down again."""
    if not revisions:
        return [], [], True
    with _Replay(server, section) as replay:
        before = _ancestors(section, revisions[0])
        replay.go_to([r for r in section.revisions() if r.revision in before])
        known = not replay.trouble
        ups = [replay.run(revision, "upgrade")[0] for revision in revisions]
        downs = [replay.run(revision, "downgrade", keep=True)[0] for revision in reversed(revisions)]
        return ups, downs, known


class _Replay:
    """A database of the scratch server and its present revisions."""

    def __init__(self, server: ScratchServer, section: Section) -> None:
        self._server, self._section = server, section
        self._stack = ExitStack()
        self._applied: frozenset[str] | None = None
        self._catalog: Snapshot | None = None
        self.trouble = ""

    def __enter__(self) -> _Replay:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def go_to(self, revisions: Sequence[AlembicRevision]) -> None:
        """Bring the database to the state of exactly these revisions."""
        if self._applied == frozenset(r.revision for r in revisions):
            return
        self._stack.close()
        name = f"{self._section.name}_lint"
        self._server.create_database(name)
        self._stack.callback(self._server.drop_database, name)
        opened = self._stack.enter_context(recording(self._server.url(name)))
        self._connection, self._driver, self._reader = opened
        prepare(self._connection, self._section)
        stamp(self._connection, self._section, None)
        self._connection.commit()
        self._applied, self._catalog, self.trouble = frozenset(), None, ""
        for revision in revisions:
            self.apply(revision)

    def catalog(self) -> Snapshot:
        """Return the section's schema as the project compares it."""
        if self._catalog is None:
            self._catalog = read_snapshot(self._connection, self._section.schema)
        return self._catalog

    def apply(self, revision: AlembicRevision) -> None:
        """Run an upgrade without recording it."""
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
    ) -> tuple[Run, Sequence[int]]:
        """Run one direction; a downgrade is rolled back unless `keep` is set."""
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
                except Terminated:
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
                    catalog = read_snapshot(self._connection, self._section.schema)
                if direction == "downgrade" and not keep:
                    raise _Undo
        if self._applied is not None and direction == "upgrade":
            self._applied |= {revision.revision}
            self._catalog = catalog
        elif recorder.boundaries or keep:
            self._applied = None  # the downgrade is not rolled back: start again
        run = Run(
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
            recorder.note("what follows depends on the arguments -x of the command")
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
def recording(url: sa.URL) -> Iterator[tuple[sa.Connection, RecordingConnection, StateReader]]:
    """Connect to a database with a recordable connection."""
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
            yield connection, driver, reader


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


def squawk_findings(run: Run, boundaries: Sequence[int], version: str) -> tuple[SquawkFinding, ...]:
    """Run squawk on an upgrade, with the ends of transactions between its statements."""
    texts: list[str] = []
    numbers: list[int] = []
    for number, step in enumerate(run.steps):
        if number in boundaries and (step.parsed is None or not step.parsed.transaction):
            texts.append("COMMIT")
            numbers.append(-1)
        if step.parsed is not None:
            texts.append(step.parsed.sql)
            numbers.append(number)
    found = ask_squawk(texts, version)
    return tuple(replace(f, statement=numbers[f.statement]) for f in found if numbers[f.statement] >= 0)


def ask_squawk(statements: Sequence[str], version: str) -> tuple[SquawkFinding, ...]:
    """Run squawk on statements."""
    if not statements:
        return ()
    arguments = ["--reporter", "json", "--assume-in-transaction", f"--pg-version={version.split('.')[0]}.0"]
    arguments += [f"--include={rule}" for rule in INCLUDED]
    done = run_program(
        [_squawk_program(), *arguments], input=write_input(statements), timeout=60, check=False
    )
    try:
        return read_output(done.stdout, statements)
    except (ValueError, KeyError, IndexError) as error:
        raise ExternalError(
            f"squawk has ended with {done.returncode} and no answer: {done.stderr.strip()[:200]}",
            remedy="Install the package again: it brings squawk-cli.",
        ) from error


def _squawk_program() -> str:
    """Return the path of squawk, which is installed beside Python."""
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
    """Return the revisions that must run before a revision."""
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
    """Return the line of ``down_revision``."""
    lines = enumerate(source.splitlines(), start=1)
    return next((number for number, line in lines if line.startswith("down_revision")), 1)
