"""The two states that a migration stands between: the history's, and what a schema file describes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from alembic.script import Script
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.database import Database, read_database
from consdb_actions.adapters.autogenerate.replay import prepare, replay
from consdb_actions.adapters.autogenerate.section import Wanted
from consdb_actions.adapters.autogenerate.target import build_metadata, create_target
from consdb_actions.adapters.felis import LoadedSchema
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.schema_history import described_before
from consdb_actions.adapters.tree import Section, Shadow
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.migration.answers import table_facts
from consdb_actions.migration.matching.decisions import Decisions
from consdb_actions.migration.matching.declarations import Declarations
from consdb_actions.migration.matching.facts import TableFacts
from consdb_actions.migration.rename import decide, select
from consdb_actions.migration.views import ViewRule
from consdb_actions.schema.model import Schema

__all__ = ["Sides", "decide_names", "make_described", "make_replayed", "replay_ahead"]

Sides = tuple[Sequence[TableFacts], Sequence[TableFacts]]
"""Both states as the matching of names sees them."""


def make_replayed(
    server: ScratchServer, database: str, section: Section, revisions: Sequence[Script] | None = None
) -> Database:
    """Make a section's history, or some of it, in an empty database, and read the result."""
    with server.open_database(database) as engine, engine.connect() as connection:
        prepare(connection, section)
        replay(connection, section, section.revisions() if revisions is None else revisions)
        connection.commit()
        return read_database(connection, section.schema)


def replay_ahead(server: ScratchServer, sections: Iterable[Section], enough: Callable[[], bool]) -> list[str]:
    """Make the databases of sections with their histories, up to one that does not apply, or until enough.

    Returns
    -------
    list of str
        The names of the sections; each is its database's.
    """
    done: list[str] = []
    for section in sections:
        if enough():
            break
        server.create_database(section.name)
        try:
            with server.open_database(section.name) as engine, engine.begin() as connection:
                prepare(connection, section)
                replay(connection, section, section.revisions())
        except (InputError, SQLAlchemyError):
            # It is met again, where it can be told.
            server.drop_database(section.name)
            break
        done.append(section.name)
    return done


def make_described(
    server: ScratchServer,
    database: str,
    section: Section,
    loaded: LoadedSchema,
    before: Database,
    *,
    config: Config,
    shadow: Shadow | None,
) -> Wanted:
    """Make what a schema file describes, and read the result.

    It is made in the database of the history, in a transaction that first drops the schema there and is
    rolled back: to create another database would take longer.
    """
    tables = {t.name for t in loaded.schema.tables}
    views = {
        v.name: ViewRule(v.table, dict(v.rename))
        for v in config.views
        # A tree whose history has a table of this name keeps it as a table; a view that the database
        # has already follows its table, whether the file lists it or not.
        if v.table in tables
        and v.name not in before.catalog.tables
        and (v.name in tables or v.name in before.catalog.views)
    }
    metadata, columns = build_metadata(loaded, shadow, views)

    with server.open_database(database) as engine, engine.connect() as connection:
        connection.execute(sa.schema.DropSchema(section.schema, cascade=True, if_exists=True))
        create_target(connection, section, loaded, metadata, views)
        made = read_database(connection, section.schema)
    return Wanted(made, columns, views, config.grants_for(section.schema))


def decide_names(
    before: Database,
    wanted: Wanted,
    loaded: LoadedSchema,
    path: Path,
    base: Schema | None,
    declared: Declarations,
    on_question: Literal["fail", "drop-add"],
) -> tuple[Decisions, Sides]:
    """Decide about renames and moves between the two states."""
    views = list(wanted.views)
    after = table_facts(wanted.database.state, loaded.schema, views=views, ordered=True)
    known = base or described_before(before.state, wanted.database.state, path)
    old = table_facts(before.state, known, views=views)
    return decide(old, after, select(declared, old, after), on_question), (old, after)
