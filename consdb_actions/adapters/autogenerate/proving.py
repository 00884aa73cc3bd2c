"""Carry out the proof of one revision on scratch databases (rules M15, M16, M10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.operator import copy_tree, run_operator
from consdb_actions.adapters.autogenerate.replay import run_source
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.migration.catalog import Snapshot
from consdb_actions.migration.outcome import Check
from consdb_actions.migration.proof import Expectation, check_downgrade, check_upgrade

__all__ = ["Candidate", "open_database", "prove"]


@dataclass(frozen=True)
class Candidate:
    """A revision to prove, and the databases to prove it on.

    Attributes
    ----------
    file_name, source
        The revision file.
    database
        Name of the database that the section's history made; it is copied, never changed.
    before, described
        Catalog of that database, and of the one that the schema file describes.
    """

    tree: Tree
    section: Section
    file_name: str
    source: str
    schema_file: Path
    database: str
    before: Snapshot
    described: Snapshot
    told: Expectation


@contextmanager
def open_database(server: ScratchServer, name: str) -> Iterator[sa.Engine]:
    """Give an engine whose connections are closed at the end, so that the database can be copied."""
    engine = sa.create_engine(server.url(name), poolclass=sa.NullPool)
    try:
        yield engine
    finally:
        engine.dispose()


def prove(
    server: ScratchServer,
    candidate: Candidate,
    find_again: Callable[[sa.Connection], tuple[str, ...]],
) -> tuple[Check, ...]:
    """Run a revision up and down on a copy, and compare what it leaves with what it must.

    Parameters
    ----------
    server
        Where the databases are.
    candidate
        What to prove.
    find_again
        Generates once more on a connection, and returns the operations that it finds, in words.

    Returns
    -------
    tuple of Check
        In the order in which a reader wants them.
    """
    name = f"{candidate.database}_proof"
    server.create_database(name, template=candidate.database)
    checks: list[Check] = []
    try:
        with open_database(server, name) as engine:
            checks += _catalog(engine, candidate, find_again)
    finally:
        server.drop_database(name)
    if all(check.holds for check in checks):
        checks.append(_operator(server, candidate))
    return tuple(checks)


def _catalog(
    engine: sa.Engine, candidate: Candidate, find_again: Callable[[sa.Connection], tuple[str, ...]]
) -> Iterator[Check]:
    section = candidate.section
    for direction in ("upgrade", "downgrade"):
        try:
            with engine.begin() as connection:
                run_source(connection, section, candidate.source, Path(candidate.file_name).stem, direction)
        except SQLAlchemyError as error:
            yield Check(direction, False, f"the {direction} runs", (_database_words(error),))
            return
        with engine.begin() as connection:
            now = read_snapshot(connection, section.schema)
            if direction == "upgrade":
                yield check_upgrade(candidate.before, candidate.described, now, candidate.told)
                found = find_again(connection)
                yield Check("second run", not found, "a second generation finds nothing", found)
            else:
                yield check_downgrade(candidate.before, now)


def _operator(server: ScratchServer, candidate: Candidate) -> Check:
    name = f"{candidate.database}_operator"
    server.create_database(name, template=candidate.database)
    try:
        with temporary_directory() as directory:
            copy_tree(candidate.tree, candidate.section, (candidate.file_name, candidate.source), directory)
            return run_operator(directory, candidate.section, server.url(name), candidate.schema_file)
    finally:
        server.drop_database(name)


def _database_words(error: SQLAlchemyError) -> str:
    """Return the database's words and the statement that it refused."""
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    statement = " ".join(str(getattr(error, "statement", "") or "").split())
    return f"{cause}: {statement[:300]}" if statement else cause
