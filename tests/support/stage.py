"""A database on which a workbench's revisions run one at a time, with rows in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations

from consdb_actions.adapters.autogenerate.simulation import migration_context, prepare
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.catalog import Snapshot
from consdb_actions.migration.outcome import SectionOutcome
from tests.support.workbench import Workbench


class Stage:
    """A database after ``number`` revisions of the section."""

    def __init__(self, engine: sa.Engine, bench: Workbench) -> None:
        self.engine, self.bench, self.number = engine, bench, 0
        self.section = bench.tree().section(bench.section_name)
        with engine.begin() as connection:
            prepare(connection, self.section)

    def _run(self, at: int, direction: str) -> None:
        with self.bench.tree().importable():
            section = self.bench.tree().section(self.bench.section_name)
            script = section.revisions()[at]
            with (
                self.engine.begin() as connection,
                Operations.context(migration_context(connection, section)),
            ):
                getattr(script.module, direction)()

    def upgrade(self, revisions: int = 1) -> None:
        """Run the next revisions."""
        for _ in range(revisions):
            self._run(self.number, "upgrade")
            self.number += 1

    def downgrade(self) -> None:
        """Downgrade by one revision."""
        self.number -= 1
        self._run(self.number, "downgrade")

    def execute(self, *statements: str) -> None:
        """Run statements in the section's schema."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL search_path TO {self.section.schema}, public")
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query in the section's schema."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL search_path TO {self.section.schema}, public")
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def catalog(self) -> Snapshot:
        """Read the catalog as verification does."""
        with self.engine.connect() as connection:
            return read_snapshot(connection, self.section.schema)


@contextmanager
def staged(bench: Workbench, revisions: int = 1) -> Iterator[Stage]:
    """Create a database with the first revisions, and drop it afterwards."""
    bench.server.create_database("stage")
    try:
        with bench.server.open_database("stage") as engine:
            stage = Stage(engine, bench)
            stage.upgrade(revisions)
            yield stage
    finally:
        bench.server.drop_database("stage")


def broken(outcome: SectionOutcome) -> list[str]:
    """Return the failed checks of a verification, for a message."""
    return [f"{c.name}: {c.text} {c.details}" for c in outcome.checks if not c.holds]


def proven(outcome: SectionOutcome) -> SectionOutcome:
    """Assert that a script was made and verified."""
    assert outcome.status in {"changed", "failed"}, (outcome.status, outcome.questions)
    assert outcome.checks, "nothing was proven"
    problems = broken(outcome)
    assert not problems, "\n".join([*problems, outcome.source])
    assert outcome.status == "changed"
    return outcome
