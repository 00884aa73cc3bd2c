"""A transaction on the scratch server in which changes are tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic.operations import Operations, ops

from consdb_actions.adapters.autogenerate.replay import migration_context, run_source
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog import Snapshot

__all__ = ["Simulation", "simulate"]

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
