"""Verify one revision on scratch databases (rules M10, M15, M16)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.drafting import RevisionCandidate
from consdb_actions.adapters.autogenerate.operator import copied_tree
from consdb_actions.adapters.autogenerate.rows import RowsBefore, check_rows, check_rows_back, gone, made_up
from consdb_actions.adapters.autogenerate.simulation import Simulation, postgres_message, run_source
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import read_rows, remove_rows
from consdb_actions.catalog import Snapshot
from consdb_actions.migration.outcome import VerificationCheck
from consdb_actions.migration.verification import check_downgrade, check_upgrade


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


FindAgain = Callable[[Simulation, Snapshot], tuple[str, ...]]
"""Generates again with this catalog, and returns descriptions of the operations found."""


@dataclass(frozen=True)
class Verification:
    """Checks in reading order, and the catalog after the upgrade if it ran."""

    checks: tuple[VerificationCheck, ...]
    upgraded: Snapshot | None = None


def verify(
    server: ScratchServer, candidate: RevisionCandidate, find_again: FindAgain, *, operator: bool = True
) -> Verification:
    """Run a revision up and down, twice, and compare the results.

    The second run is the operator's command. It uses the same rows, or none where the upgrade drops values
    that its fills need.
    """
    with server.open_database(candidate.database) as engine:
        refused = _refuses_nulls(engine, candidate)
        with engine.begin() as connection:
            start = made_up(connection, candidate, nulls=not refused)
        verification = _up_and_down(engine, candidate, start, find_again)
        checks = list(verification.checks)
        again = operator and all(check.holds for check in checks)
        if again and (gone(candidate) or candidate.answers.copies):
            with engine.begin() as connection:
                remove_rows(connection, candidate.before)
    if again:
        checks.append(run_as_operator(server, candidate))
    return Verification((*checks, *refused), verification.upgraded)


def _up_and_down(
    engine: sa.Engine, candidate: RevisionCandidate, start: RowsBefore, find_again: FindAgain
) -> Verification:
    # Each step has a session of its own, so that settings made by a script do not affect the checks.
    schema = candidate.section.schema
    try:
        with engine.begin() as connection:
            run(connection, candidate, "upgrade")
    except SQLAlchemyError as error:
        return Verification(
            (VerificationCheck("upgrade", False, "the upgrade runs", (database_words(error),)),)
        )
    with engine.begin() as connection:
        upgraded = read_snapshot(connection, schema)
        arrived = read_rows(connection, upgraded)
        found = find_again(Simulation(connection, candidate.section), upgraded)
    checks = [
        check_upgrade(candidate.before, candidate.expected, upgraded, candidate.views.keys()),
        check_rows(candidate, start, arrived),
        VerificationCheck("second run", not found, "a second generation finds nothing", found),
    ]
    try:
        with engine.begin() as connection:
            run(connection, candidate, "downgrade")
    except SQLAlchemyError as error:
        checks.append(VerificationCheck("downgrade", False, "the downgrade runs", (database_words(error),)))
        return Verification(tuple(checks), upgraded)
    with engine.begin() as connection:
        restored = read_snapshot(connection, schema)
        back = read_rows(connection, restored)
    checks += [check_downgrade(candidate.before, restored), check_rows_back(candidate, start, arrived, back)]
    return Verification(tuple(checks), upgraded)


def _refuses_nulls(engine: sa.Engine, candidate: RevisionCandidate) -> tuple[VerificationCheck, ...]:
    """Test whether a hand-written revision fills NULLs; a failure is neutral: sites may have none."""
    columns = sorted(candidate.tightened) if candidate.filled is None else []
    if not columns:
        return ()
    with engine.connect() as connection, connection.begin() as transaction:
        try:
            made_up(connection, candidate)
            run(connection, candidate, "upgrade")
        except SQLAlchemyError as error:
            if not isinstance(getattr(error, "orig", None), psycopg.errors.NotNullViolation):
                return ()
            names = ", ".join(".".join(where) for where in columns)
            text = f"the upgrade fails where a row holds NULL; these become NOT NULL: {names}"
            return (VerificationCheck("nulls", None, text, (database_words(error),)),)
        finally:
            transaction.rollback()
    return ()
