"""Run a candidate in a transaction, or with the operator's command."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.drafting import RevisionCandidate
from consdb_actions.adapters.autogenerate.operator import copied_tree
from consdb_actions.adapters.autogenerate.simulation import postgres_message, run_source
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.migration.outcome import VerificationCheck


def run(connection: sa.Connection, candidate: RevisionCandidate, direction: str) -> None:
    """Run one direction in the connection's transaction."""
    run_source(connection, candidate.section, candidate.source, Path(candidate.file_name).stem, direction)


def run_as_operator(server: ScratchServer, candidate: RevisionCandidate) -> VerificationCheck:
    """Run both directions with the alembic command (rule M16)."""
    url = server.url(candidate.database)
    revision = candidate.file_name, candidate.source
    with ExitStack() as stack:
        copy = candidate.copy or stack.enter_context(copied_tree(candidate.tree))
        return copy.run(candidate.section, revision, url, candidate.schema_file)


def database_words(error: SQLAlchemyError) -> str:
    """Return Postgres's message and the statement that failed."""
    cause = postgres_message(error)
    statement = " ".join(str(getattr(error, "statement", "") or "").split())
    return f"{cause}: {statement[:300]}" if statement else cause
