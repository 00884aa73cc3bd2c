"""The states that are merged: the history's, and those that schema files describe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.script import Script
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.replay import prepare, replay
from consdb_actions.adapters.autogenerate.simulation import Simulation
from consdb_actions.adapters.autogenerate.target import build_metadata, create_tables, create_views
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.felis import LoadedSchema, validate
from consdb_actions.adapters.felis_types import drops_time_zone
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.problems import FileError, Problem
from consdb_actions.adapters.schema_history import described_before
from consdb_actions.adapters.schema_yaml import ReadSchema
from consdb_actions.adapters.tree import Section, Shadow
from consdb_actions.catalog import Snapshot
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.migration.answers import Answers, table_facts
from consdb_actions.migration.matching.facts import ForeignKeyFacts, TableFacts
from consdb_actions.migration.views import ViewRule
from consdb_actions.schema.model import Schema

__all__ = ["Described", "describe", "make_replayed", "name_facts", "rename_base", "replay_ahead"]


@dataclass(frozen=True)
class Described:
    """The states that the schema files describe."""

    head: Snapshot
    """Made from the file after the change."""
    base: Snapshot | None
    """Made from the file before it; None where that is unknown."""
    views: Mapping[str, ViewRule]
    rebuilt: frozenset[str] = frozenset()
    """Tables of *base* that *head* describes differently, and the views over them."""
    missing: frozenset[tuple[str, str]] = frozenset()
    """Shadow columns that the database lacks; the tree adds them, so they belong to the change."""


def make_replayed(
    server: ScratchServer, database: str, section: Section, revisions: Sequence[Script] | None = None
) -> Snapshot:
    """Replay a section's revisions in an empty database; return its catalog."""
    with server.open_database(database) as engine, engine.connect() as connection:
        prepare(connection, section)
        replay(connection, section, section.revisions() if revisions is None else revisions)
        connection.commit()
        return read_snapshot(connection, section.schema)


def replay_ahead(server: ScratchServer, sections: Iterable[Section], enough: Callable[[], bool]) -> list[str]:
    """Replay sections until ``enough``, or until one fails; return the finished ones."""
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
            # The failure is reported when the section itself runs.
            server.drop_database(section.name)
            break
        done.append(section.name)
    return done


def describe(
    simulation: Simulation,
    loaded: LoadedSchema,
    base: ReadSchema | None,
    current: Snapshot,
    *,
    config: Config,
    shadow: Shadow | None,
) -> Described:
    """Create in the simulation what the schema files describe.

    Postgres makes both sides, so that types, defaults and conditions compare as it prints them; only
    differing tables are made twice. The simulation ends at *base* where there is one, else at *head*.
    """
    section = simulation.section
    connection = simulation.connection
    listed = {t.name for t in base.schema.tables} if base else set()
    views = _view_rules(config, loaded.schema, current, listed)
    _refuse_lost_tables(loaded, views, current)
    _refuse_time_zones(loaded, base, current, views)
    metadata, added = build_metadata(loaded, shadow, views)
    connection.execute(sa.schema.DropSchema(section.schema, cascade=True, if_exists=True))
    prepare(connection, section)
    create_tables(connection, metadata, loaded.source, loaded.lines)
    create_views(connection, section.schema, metadata, views)
    head = _with_sources(simulation.snapshot(), loaded.schema)
    if base is None:
        return Described(head, None, views)
    old, rebuilt = _base(simulation, base, loaded.schema, head, current, config, shadow)
    missing = frozenset(
        (t, c) for t, c in added if t in current.tables and c not in current.tables[t].columns
    )
    return Described(head, _without(old, missing), views, frozenset(rebuilt), missing)


def _refuse_time_zones(
    loaded: LoadedSchema, base: ReadSchema | None, current: Snapshot, views: Collection[str]
) -> None:
    """Refuse ``TIMESTAMP(3)`` for a new column of a table: Felis reads the number as a time zone."""
    old = {(t.name, c.name, c.type_overrides) for t in base.schema for c in t.columns} if base else None
    problems = []
    for table in loaded.schema:
        for column in table.columns if table.name not in views else ():
            for _, kind in column.type_overrides:
                if not drops_time_zone(kind):
                    continue
                if old is not None and (table.name, column.name, column.type_overrides) in old:
                    continue
                held = current.relations.get(table.name)
                if old is None and held is not None and column.name in held.columns:
                    continue
                what = f'column "{table.name}.{column.name}"'
                cause = f"Felis makes a timestamp with time zone of the type {kind} of {what}"
                number = kind.removeprefix("TIMESTAMP(").removesuffix(")")
                remedy = f"Remove postgresql:datatype; write datatype: timestamp and precision: {number}."
                line = loaded.lines.get(("column", table.name, column.name), 0)
                problems.append(Problem(line, 0, cause, remedy))
    if problems:
        raise FileError(loaded.source, problems)


def rename_base(simulation: Simulation, described: Described, answers: Answers) -> Snapshot | None:
    """Rename the change's elements in the base, where the simulation is."""
    base = described.base
    if base is None or not (answers.tables or answers.columns):
        return base
    simulation.apply(answers.renames(simulation.section.schema))
    now = simulation.snapshot()
    named = dict(answers.tables)
    relations = {}
    for name, relation in base.relations.items():
        new = named.get(name, name)
        relations[new] = now.relations[new] if name in described.rebuilt else relation
    return _without(replace(base, relations=relations), described.missing)


def _view_rules(
    config: Config, schema: Schema, current: Snapshot, earlier: Collection[str] = ()
) -> dict[str, ViewRule]:
    """Return the rules of configured views; ``earlier`` is the file before the change."""
    tables = {t.name for t in schema.tables}
    rules = {}
    for view in config.views:
        there = current.views.get(view.name)
        # The change may rename the table: the configuration has one of its names, the database the other.
        shown = next((t for t in (view.table, *(there.reads if there else ())) if t in tables), None)
        # A table in the history stays a table. A view in the database follows its table, even unlisted;
        # a view that the change removes is dropped.
        wanted = view.name in tables or (there is not None and view.name not in earlier)
        if shown and wanted and view.name not in current.tables:
            rules[view.name] = ViewRule(shown, dict(view.rename))
    return rules


def _refuse_lost_tables(loaded: LoadedSchema, views: Collection[str], current: Snapshot) -> None:
    """Refuse a view whose table the file does not have: it would be made as a table."""
    problems = [
        Problem(
            loaded.lines.get(("table", t.name), 0),
            0,
            f'"{t.name}" is a view of {_listed(current.views[t.name].reads)}, which this file does not have',
            f'Remove "{t.name}" from the file, or write the table that it shows into the configuration, '
            f"at views.{t.name}.table.",
        )
        for t in loaded.schema
        if t.name in current.views and t.name not in views
    ]
    if problems:
        raise FileError(loaded.source, problems)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _base(
    simulation: Simulation,
    base: ReadSchema,
    after: Schema,
    head: Snapshot,
    current: Snapshot,
    config: Config,
    shadow: Shadow | None,
) -> tuple[Snapshot, set[str]]:
    connection, schema = simulation.connection, simulation.section.schema
    old = {t.name: t for t in base.schema.tables}
    new = {t.name: t for t in after.tables}
    changed = {n for n in old.keys() | new.keys() if old.get(n) != new.get(n)}
    views = _view_rules(config, base.schema, current)
    if not changed:
        return head, set()
    other = {n: r for n, r in views.items() if r.table in changed or n not in head.views}
    needed = _with_parents(old, (changed & old.keys()) | {r.table for r in other.values()})
    subset = replace(
        base.schema,
        tables=tuple(t for t in base.schema.tables if t.name in needed and t.name not in views),
    )
    metadata, _ = build_metadata(validate(replace(base, schema=subset)), shadow, views)
    for name in head.views:
        connection.execute(sa.text(f"DROP VIEW IF EXISTS {_quoted(schema, name)} CASCADE"))
    for name in sorted(changed & head.tables.keys()):
        connection.execute(sa.text(f"DROP TABLE {_quoted(schema, name)} CASCADE"))
    made = [t for t in metadata.tables.values() if t.name in changed]
    create_tables(connection, metadata, base.source, base.lines, made)
    create_views(connection, schema, metadata, other)
    found = _with_sources(simulation.snapshot(), base.schema)
    relations = {n: r for n, r in head.relations.items() if n in old and n not in changed and not r.is_view}
    relations |= {n: r for n, r in found.tables.items() if n in changed}
    for name in views:
        if view := (found if name in other else head).views.get(name):
            relations[name] = view
    owners = {f"{t}." for t in relations}
    sequences = {
        n: s
        for side in (head, found)
        for n, s in side.sequences.items()
        if s.owned_by and f"{s.owned_by.split('.')[0]}." in owners
    }
    rebuilt = {n for n in relations if n in changed or n in other}
    return replace(found, relations=dict(sorted(relations.items())), sequences=sequences), rebuilt


def _quoted(schema: str, name: str) -> str:
    from consdb_actions.migration.rewrite.statements import escape_binds, qualified

    return escape_binds(qualified(schema, name))


def _with_parents(tables: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in tables:
            continue
        found.add(name)
        waiting += [c.referenced_table for c in tables[name].constraints if c.referenced_table]
    return found


def _with_sources(snapshot: Snapshot, schema: Schema) -> Snapshot:
    """Keep conditions and expressions as the schema file spells them (rule M21)."""
    relations = dict(snapshot.relations)
    for table in schema.tables:
        made = relations.get(table.name)
        checks = {c.name: c.expression for c in table.constraints if c.kind == "check"}
        indexes = {i.name: tuple(f"({e})" for e in i.expressions) for i in table.indexes if i.expressions}
        if made is None or made.is_view or not (checks or indexes):
            continue
        relations[table.name] = replace(
            made,
            constraints={
                n: replace(c, source=checks[n]) if c.kind == "check" and n in checks else c
                for n, c in made.constraints.items()
            },
            indexes={
                n: replace(i, sources=indexes[n]) if n in indexes else i for n, i in made.indexes.items()
            },
        )
    return replace(snapshot, relations=relations)


def _without(snapshot: Snapshot, columns: Iterable[tuple[str, str]]) -> Snapshot:
    relations = dict(snapshot.relations)
    for table, column in columns:
        for name, relation in snapshot.relations.items():
            if name == table or (relation.is_view and table in relation.reads):
                kept = {n: c for n, c in relations[name].columns.items() if n != column}
                relations[name] = replace(relations[name], columns=kept)
    return replace(snapshot, relations=relations)


def _with_current_keys(facts: TableFacts, current: Snapshot) -> TableFacts:
    """Take the keys from the database: they identify rows in a move."""
    table = current.tables.get(facts.name)
    if table is None:
        return facts
    names = {c.name for c in facts.columns}
    primary = table.primary_key.columns if table.primary_key else ()
    return replace(
        facts,
        primary_key=primary if names.issuperset(primary) else (),
        unique_keys=tuple(u.columns for u in table.uniques if names.issuperset(u.columns)),
        foreign_keys=tuple(
            ForeignKeyFacts(f.columns, f.table, f.referenced)
            for f in table.foreign_keys
            if names.issuperset(f.columns)
        ),
    )


def name_facts(
    described: Described,
    current: Snapshot,
    loaded: LoadedSchema,
    base: ReadSchema | None,
    path: Path,
) -> tuple[Sequence[TableFacts], Sequence[TableFacts]]:
    """Return both sides of the change for the name matching."""
    views = list(described.views)
    after = table_facts(described.head, loaded.schema, views=views, ordered=True)
    if described.base is not None and base is not None:
        before = table_facts(described.base, base.schema, views=views, ordered=True)
        return [_with_current_keys(facts, current) for facts in before], after
    return table_facts(current, described_before(current, described.head, path), views=views), after
