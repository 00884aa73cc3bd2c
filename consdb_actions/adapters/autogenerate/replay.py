"""Run revisions on a scratch database, without the tree's ``env.py``."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.interrupts import Terminated
from consdb_actions.adapters.tree import Section
from consdb_actions.errors import InputError

__all__ = ["migration_context", "postgres_message", "prepare", "replay", "run_source", "stamp"]


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
        except Terminated:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(
                f"revision {script.revision} of section {section.name} does not apply: "
                f"{postgres_message(error)}",
                place=script.path,
                remedy="The history of a section must run from nothing; mend this revision first.",
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
