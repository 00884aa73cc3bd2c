"""Carry out the proof of one revision on scratch databases (rules M15, M16, M10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.candidate import Candidate
from consdb_actions.adapters.autogenerate.judging_rows import check_rows, check_rows_back
from consdb_actions.adapters.autogenerate.operator import copy_tree, run_operator
from consdb_actions.adapters.autogenerate.replay import run_source
from consdb_actions.adapters.autogenerate.starting_rows import Start, made_up
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import read_rows
from consdb_actions.migration.outcome import Check
from consdb_actions.migration.proof import check_downgrade, check_upgrade

__all__ = ["prove"]

FindAgain = Callable[[sa.Connection], tuple[str, ...]]


def prove(
    server: ScratchServer,
    candidate: Candidate,
    find_again: Callable[[sa.Connection], tuple[str, ...]],
    *,
    operator: bool = True,
) -> tuple[Check, ...]:
    """Run a revision up and down, twice, and compare what it leaves with what it must.

    The second time is the operator's own command, on the same rows: it runs only where the first time left
    everything as it was.

    Parameters
    ----------
    server
        Where the databases are.
    candidate
        What to prove.
    find_again
        Generates once more on a connection, and returns the operations that it finds, in words.
    operator
        Whether to run the alembic command through the tree's own ``env.py``, too.

    Returns
    -------
    tuple of Check
        In the order in which a reader wants them.
    """
    with server.open_database(candidate.database) as engine:
        refused = _refuses_nulls(engine, candidate)
        with engine.begin() as connection:
            start = made_up(connection, candidate, nulls=not refused)
        checks = list(_there_and_back(engine, candidate, start, find_again))
    if operator and all(check.holds for check in checks):
        checks.append(_operator(server, candidate))
    return (*checks, *refused)


def _there_and_back(
    engine: sa.Engine, candidate: Candidate, start: Start, find_again: FindAgain
) -> Iterator[Check]:
    # Each step has a connection of its own: settings that a script leaves behind reach no judge.
    section, before = candidate.section, candidate.before
    try:
        _run(engine, candidate, "upgrade")
    except SQLAlchemyError as error:
        yield Check("upgrade", False, "the upgrade runs", (_database_words(error),))
        return
    with engine.begin() as connection:
        now = read_snapshot(connection, section.schema)
        yield check_upgrade(before, candidate.described, now, candidate.told)
        arrived = read_rows(connection, now)
        yield check_rows(candidate, start, arrived)
        found = find_again(connection)
        yield Check("second run", not found, "a second generation finds nothing", found)
    try:
        _run(engine, candidate, "downgrade")
    except SQLAlchemyError as error:
        yield Check("downgrade", False, "the downgrade runs", (_database_words(error),))
        return
    with engine.begin() as connection:
        restored = read_snapshot(connection, section.schema)
        yield check_downgrade(before, restored)
        yield check_rows_back(candidate, start, arrived, read_rows(connection, restored))


def _run(engine: sa.Engine, candidate: Candidate, direction: str) -> None:
    with engine.begin() as connection:
        run_source(connection, candidate.section, candidate.source, Path(candidate.file_name).stem, direction)


def _refuses_nulls(engine: sa.Engine, candidate: Candidate) -> tuple[Check, ...]:
    """Try whether a revision that a person wrote fills the NULLs of columns that become NOT NULL.

    That it does not is no fault where no row holds NULL, which only the real databases know.
    """
    columns = sorted(candidate.tightened) if candidate.filled is None else []
    if not columns:
        return ()
    with engine.connect() as connection, connection.begin() as transaction:
        try:
            made_up(connection, candidate)
            run_source(
                connection, candidate.section, candidate.source, Path(candidate.file_name).stem, "upgrade"
            )
        except SQLAlchemyError as error:
            if not isinstance(getattr(error, "orig", None), psycopg.errors.NotNullViolation):
                return ()
            names = ", ".join(".".join(where) for where in columns)
            words = f"the upgrade fails where a row holds NULL; these become NOT NULL: {names}"
            return (Check("nulls", None, words, (_database_words(error),)),)
        finally:
            transaction.rollback()
    return ()


def _operator(server: ScratchServer, candidate: Candidate) -> Check:
    url = server.url(candidate.database)
    with temporary_directory() as directory:
        copy_tree(candidate.tree, candidate.section, (candidate.file_name, candidate.source), directory)
        return run_operator(directory, candidate.section, url, candidate.schema_file)


def _database_words(error: SQLAlchemyError) -> str:
    """Return the database's words and the statement that it refused."""
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    statement = " ".join(str(getattr(error, "statement", "") or "").split())
    return f"{cause}: {statement[:300]}" if statement else cause
