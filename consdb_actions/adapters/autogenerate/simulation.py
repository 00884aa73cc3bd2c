"""Apply revisions and operations in a transaction on the scratch server."""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.revisions import revision_changes
from consdb_actions.adapters.shell import TerminationSignal
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.catalog import Snapshot
from consdb_actions.errors import InputError


def migration_context(connection: sa.Connection, section: Section, **options: Any) -> MigrationContext:
    """Configure Alembic for one section, as the tree's ``env.py`` does."""
    return MigrationContext.configure(
        connection,
        opts={
            "version_table": section.version_table,
            "version_table_schema": section.version_schema,
            **options,
        },
    )


def prepare(connection: sa.Connection, section: Section) -> None:
    """Create the schemas that every revision expects."""
    for schema in (section.version_schema, section.schema):
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))


def replay(connection: sa.Connection, section: Section, revisions: Iterable[Script]) -> None:
    """Run these upgrades, oldest first, and stamp the last."""
    context = migration_context(connection, section)
    last = None
    for script in revisions:
        try:
            with Operations.context(context):
                script.module.upgrade()
        except TerminationSignal:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(
                f"revision {script.revision} of section {section.name} does not apply: "
                f"{postgres_message(error)}",
                place=script.path,
                remedy="The history of a section must run on an empty database; fix this revision first.",
            ) from error
        last = script
    if last is not None:
        context.stamp(section.scripts, last.revision)


def stamp(connection: sa.Connection, section: Section, revision: str | None) -> None:
    """Write the version table."""
    migration_context(connection, section).stamp(section.scripts, revision or "base")


def run_source(connection: sa.Connection, section: Section, source: str, name: str, direction: str) -> None:
    """Run one direction of a revision outside of the tree."""
    module = types.ModuleType(name)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - the script that we wrote
    with Operations.context(migration_context(connection, section)):
        getattr(module, direction)()


def postgres_message(error: BaseException) -> str:
    """Return Postgres's message with DETAIL and HINT (rule M23)."""
    cause = getattr(error, "orig", None) or error
    diagnostics = getattr(cause, "diag", None)
    if diagnostics is not None and diagnostics.message_primary:
        parts = [diagnostics.message_primary]
        for label, text in (("DETAIL", diagnostics.message_detail), ("HINT", diagnostics.message_hint)):
            parts += [f"{label}: {' '.join(text.split())}"] if text else []
        return "; ".join(parts)
    lines = [line for line in str(cause).splitlines() if line.strip()]
    kind = type(cause).__name__
    if not lines:
        return kind
    return lines[0] if isinstance(error, SQLAlchemyError) else f"{kind}: {lines[0]}"


_CASTS = """
SELECT format_type(castsource, NULL), format_type(casttarget, NULL)
FROM pg_cast WHERE castcontext IN ('a', 'i')
"""


class Simulation:
    """An open transaction on a section's database."""

    def __init__(self, connection: sa.Connection, section: Section) -> None:
        self.connection, self.section = connection, section

    def apply(self, operations: Iterable[ops.MigrateOperation]) -> None:
        """Run operations."""
        runner = Operations(migration_context(self.connection, self.section))
        for op in operations:
            runner.invoke(op)

    def run(self, source: str) -> None:
        """Run the upgrade of a revision outside of the tree."""
        run_source(self.connection, self.section, source, f"{self.section.name}_draft", "upgrade")

    def snapshot(self) -> Snapshot:
        """Read the current catalog."""
        return read_snapshot(self.connection, self.section.schema)

    def rollback(self) -> None:
        """Return to the committed state."""
        self.connection.rollback()

    def casts(self) -> frozenset[tuple[str, str]]:
        """Return the pairs of types with an assignment cast."""
        return frozenset((str(a), str(b)) for a, b in self.connection.execute(sa.text(_CASTS)))


@contextmanager
def simulate(server: ScratchServer, database: str, section: Section) -> Iterator[Simulation]:
    """Open a simulation and roll it back at the end."""
    with server.open_database(database) as engine, engine.connect() as connection:
        simulation = Simulation(connection, section)
        try:
            yield simulation
        finally:
            simulation.rollback()


_COMMENTS = {"comment", "existing_comment"}


def check_history(section: Section, tree: Tree) -> None:
    """Refuse several heads, and revisions that name another section's schema.

    Only text that the program passes on counts: not docstrings, nor comments on tables and columns.
    """
    section.head()
    others = [s.schema for s in tree.sections if s.schema != section.schema]
    if not others:
        return
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, others))})\b")
    for script in section.revisions():
        try:
            text = Path(script.path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"this revision cannot be read: {error}", place=script.path, remedy="Save it as UTF-8."
            ) from error
        for line, value in _texts(ast.parse(text)):
            if match := pattern.search(value):
                number = line + value[: match.start()].count("\n")
                raise InputError(
                    f"this revision of {section.schema} names another schema: {match[0]}",
                    place=f"{script.path}:{number}",
                    remedy=f"A revision in {section.versions} may only touch {section.schema}.",
                )


def check_merged(tree: Tree, sections: Sequence[Section]) -> None:
    """Refuse a merged revision that was edited."""
    changes = revision_changes(tree.root, [s.versions for s in sections], None) if sections else None
    if changes is not None and changes.edited:
        names = sorted(str(path.relative_to(tree.root.resolve())) for path in changes.edited)
        raise InputError(
            f"a revision that is merged already was edited: {', '.join(names)}",
            place=str(tree.root),
            remedy="Restore it from the default branch, and change the schema by a new revision.",
        )


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield string literals with their lines, except docstrings and comments on tables and columns."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.lineno, node.value
        return
    left_out: list[ast.AST] = []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Call):
        left_out += [k for k in node.keywords if k.arg in _COMMENTS]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "create_table_comment":
            left_out += node.args[1:2]
    for child in ast.iter_child_nodes(node):
        if child not in left_out:
            yield from _texts(child)
