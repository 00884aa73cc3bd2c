"""Carry out the proof of one revision on scratch databases (rules M15, M16, M10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.operator import copy_tree, run_operator
from consdb_actions.adapters.autogenerate.replay import run_source
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import SeedResult, read_rows, seed
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.migration.answers import Answers
from consdb_actions.migration.catalog import Snapshot
from consdb_actions.migration.data import DataDifference, compare_rows
from consdb_actions.migration.data_moves import Moved, named_before, returned
from consdb_actions.migration.outcome import Check
from consdb_actions.migration.proof import Expectation, check_downgrade, check_upgrade
from consdb_actions.migration.rewrite.plan import Copy
from consdb_actions.migration.rows import Rows
from consdb_actions.migration.seed import demands_of

_MOST = 10

__all__ = ["Candidate", "prove"]


@dataclass(frozen=True)
class Candidate:
    """A revision to prove, and the databases to prove it on.

    Attributes
    ----------
    file_name, source
        The revision file.
    database
        Name of the database that the section's history made; it is used up.
    before, described
        Catalog of that database, and of the one that the schema file describes.
    lost
        Columns, and with None tables, that the upgrade drops with their values, in the names after renames.
    empty
        Tables that the migration needs to be empty.
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
    answers: Answers
    lost: frozenset[tuple[str, str | None]] = frozenset()
    empty: frozenset[str] = frozenset()

    @property
    def renamed_tables(self) -> dict[str, str]:
        """New names of tables by old."""
        return dict(self.answers.tables)

    @property
    def renamed_columns(self) -> dict[tuple[str, str], str]:
        """New names of columns, by the table's new name and the column's old."""
        return {(table, old): new for table, old, new in self.answers.columns}


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
        checks = list(_catalog(engine, candidate, find_again))
    if operator and all(check.holds for check in checks):
        checks.append(_operator(server, candidate))
    return tuple(checks)


def _catalog(
    engine: sa.Engine, candidate: Candidate, find_again: Callable[[sa.Connection], tuple[str, ...]]
) -> Iterator[Check]:
    section, before = candidate.section, candidate.before
    tables, columns = candidate.renamed_tables, candidate.renamed_columns
    with engine.begin() as connection:
        demands = demands_of(before, candidate.described, tables, columns, candidate.answers.copies)
        seeded = seed(connection, _without(before, candidate.empty), demands=demands)
        rows = read_rows(connection, before, seeded.seeded)
    old = {new: name for name, new in tables.items()}
    tellable = {*seeded.seeded, *(candidate.described.relations.keys() - before.relations.keys())}
    moves = [
        m
        for m in candidate.answers.copies
        if old.get(m.source, m.source) in seeded.seeded and old.get(m.target, m.target) in tellable
    ]
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
                yield check_upgrade(before, candidate.described, now, candidate.told)
                arrived = read_rows(connection, now)
                differences = compare_rows(
                    rows,
                    arrived,
                    renamed_tables=tables,
                    renamed_columns=columns,
                    moved=moves,
                    lost=candidate.lost,
                )
                yield _data("rows", "keep their values in the upgrade", differences, seeded)
                found = find_again(connection)
                yield Check("second run", not found, "a second generation finds nothing", found)
            else:
                yield check_downgrade(before, now)
                differences = compare_rows(
                    rows,
                    read_rows(connection, now),
                    moved=_back(candidate, moves, arrived),
                    lost=named_before(candidate.lost, tables, columns),
                )
                yield _data("rows back", "hold the same values after the downgrade", differences, seeded)


def _back(candidate: Candidate, moves: Sequence[Copy], arrived: Rows) -> list[Moved]:
    """Return what moved and can come back: not into a table whose rows are gone."""
    gone = {table for table, column in candidate.lost if column is None}
    kept = [m for m in moves if m.source not in gone]
    return returned(kept, candidate.renamed_tables, candidate.renamed_columns, arrived)


def _data(name: str, words: str, differences: Sequence[DataDifference], seeded: SeedResult) -> Check:
    """Say what became of the rows; a table that could not be filled is told, never passed over."""
    total = sum(seeded.seeded.values())
    details = tuple(str(d) for d in differences[:_MOST])
    unseeded = tuple(f"no rows in {table}: {why}" for table, why in sorted(seeded.unseeded.items()))
    tables = f"{len(seeded.seeded)} table{'s' if len(seeded.seeded) != 1 else ''}"
    return Check(name, not differences, f"{total} rows in {tables} {words}", (*details, *unseeded))


def _without(snapshot: Snapshot, empty: frozenset[str]) -> Snapshot:
    """Leave out tables that must be empty, and those that refer to them."""
    gone = set(empty)
    while more := {
        name
        for name, table in snapshot.tables.items()
        if name not in gone and any(c.references in gone for c in table.constraints.values())
    }:
        gone |= more
    return replace(snapshot, relations={n: r for n, r in snapshot.relations.items() if n not in gone})


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
