"""Build the base, head and current snapshots of a section."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pathlib import Path as FilePath
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.script import Script
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from consdb_actions.adapters.autogenerate.simulation import (
    Simulation,
    migration_context,
    postgres_message,
    prepare,
    replay,
)
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.felis import LoadedSchema, validate
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.schema_fields import drops_time_zone
from consdb_actions.adapters.schema_sources import described_before
from consdb_actions.adapters.schema_yaml import Lines, ReadSchema
from consdb_actions.adapters.tree import Section, Shadow
from consdb_actions.adapters.yaml_tree import FileError, Problem
from consdb_actions.catalog import Snapshot
from consdb_actions.catalog.merge import Path as ElementPath
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.migration.answers import Answers, table_facts
from consdb_actions.migration.matching.facts import ForeignKeyFacts, TableFacts
from consdb_actions.migration.rewrite.statements import escape_binds, qualified
from consdb_actions.migration.rewrite.views import ViewRule, projection
from consdb_actions.schema.model import Schema

_NAME = r'(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>\w+))'

_TARGET = re.compile(rf"(?:CREATE TABLE|ALTER TABLE|\bON) (?:\w+\.){_NAME}")

_CONSTRAINT = re.compile(rf"CONSTRAINT {_NAME}")


def build_metadata(
    loaded: LoadedSchema, shadow: Shadow | None, views: Collection[str]
) -> tuple[sa.MetaData, set[tuple[str, str]]]:
    """Build metadata with shadow columns and without views."""
    metadata = loaded.metadata()
    before = {(t.name, c.name) for t in metadata.tables.values() for c in t.columns}
    if shadow is not None:
        shadow.add(metadata)
    for table in list(metadata.tables.values()):
        if table.name in views:
            metadata.remove(table)
            continue
        for column in table.columns:
            column.type = _as_written(column.type)
    return metadata, {(t.name, c.name) for t in metadata.tables.values() for c in t.columns} - before


def _as_written(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Read ``TIMESTAMP(6)`` as Postgres does: six digits, no time zone."""
    written = type_._variant_mapping.get("postgresql", type_)
    if isinstance(written, postgresql.TIMESTAMP) and type(written.timezone) is int:
        return postgresql.TIMESTAMP(timezone=False, precision=written.timezone)
    return type_


def create_tables(
    connection: sa.Connection,
    metadata: sa.MetaData,
    source: str,
    lines: Lines,
    tables: Sequence[sa.Table] | None = None,
) -> None:
    """Create tables in an empty schema."""
    made = metadata.tables.values() if tables is None else tables
    keys = [k for t in made for k in t.foreign_key_constraints if k.comment]
    comments = [(key, key.comment) for key in keys]
    for key in keys:
        # SQLAlchemy comments on a table's keys along with the table, but creates keys of a cycle later.
        key.comment = None
    try:
        with warnings.catch_warnings():
            # For a cycle of tables SQLAlchemy warns, and adds the keys afterwards.
            warnings.filterwarnings("ignore", "Cannot correctly sort tables", sa.exc.SAWarning)
            metadata.create_all(connection, tables=tables, checkfirst=False)
        for key, comment in comments:
            key.comment = comment
            connection.execute(sa.schema.SetConstraintComment(key))
    except SQLAlchemyError as error:
        element, line = _refused_element(error, lines)
        raise InputError(
            f"Postgres cannot make {element or 'the tables of this schema'}: {postgres_message(error)}",
            place=f"{source}:{line}" if line else source,
            remedy="Correct the schema file; the message after the colon is the database's own.",
        ) from error


def _refused_element(error: SQLAlchemyError, lines: Lines) -> tuple[str, int]:
    """Return the element and line of a refused statement (rule M23)."""
    statement = str(getattr(error, "statement", "") or "")
    match = _TARGET.search(statement)
    if match is None:
        return "", 0
    table = (match["quoted"] or match["plain"] or "").replace('""', '"')
    position = getattr(getattr(getattr(error, "orig", None), "diag", None), "statement_position", None)
    # The position counts from 1; the last constraint that begins before it is the refused one.
    before = statement[: int(position)] if position else statement if "ADD CONSTRAINT" in statement else ""
    named = [(m["quoted"] or m["plain"]).replace('""', '"') for m in _CONSTRAINT.finditer(before)]
    if named:
        name = f"{table}.{named[-1]}"
        return name, lines.get(("constraint", table, named[-1]), lines.get(("table", table), 0))
    return f"table {table}", lines.get(("table", table), 0)


def create_views(
    connection: sa.Connection, schema: str, metadata: sa.MetaData, views: Mapping[str, ViewRule]
) -> None:
    """Create the configured views over these tables."""
    columns = {t.name: [c.name for c in t.columns] for t in metadata.tables.values()}
    for name, rule in views.items():
        query = projection(schema, rule, columns[rule.table])
        statement = f"CREATE VIEW {qualified(schema, name)} AS {query}"
        connection.execute(sa.text(escape_binds(statement)))


@dataclass(frozen=True)
class Origin:
    """A revision and its message."""

    revision: str
    message: str


def find_origins(
    simulation: Simulation, paths: Collection[ElementPath], revisions: Collection[Script]
) -> dict[ElementPath, Origin]:
    """Replay revisions that name an element; return the last that changed it."""
    if not paths:
        return {}
    section, connection = simulation.section, simulation.connection
    connection.execute(sa.schema.DropSchema(section.schema, cascade=True, if_exists=True))
    prepare(connection, section)
    context = migration_context(connection, section)
    names = {part for path in paths for part in path[:2]}
    found: dict[ElementPath, Origin] = {}
    states: dict[ElementPath, Any] = dict.fromkeys(paths)
    for script in revisions:
        with Operations.context(context):
            script.module.upgrade()
        text = FilePath(script.path).read_text(encoding="utf-8", errors="replace")
        if not any(name in text for name in names):
            continue
        now = simulation.snapshot()
        for path in paths:
            state = _element(now, path)
            if state != states[path]:
                states[path] = state
                found[path] = Origin(script.revision, (script.doc or "").strip())
    return found


def _element(snapshot: Snapshot, path: ElementPath) -> Any:
    relation = snapshot.relations.get(path[0])
    if relation is None or len(path) == 1:
        return relation and relation.kind
    if path[1] == "comment" and len(path) == 2:
        return relation.comment
    column = relation.columns.get(path[1])
    if column is not None:
        return getattr(column, path[2], None) if len(path) > 2 else (column.type, column.nullable)
    item = relation.constraints.get(path[1]) or relation.indexes.get(path[1])
    return item and (item.name, item.meaning, item.comment)


@dataclass(frozen=True)
class SchemaFileStates:
    """The states that the schema files describe."""

    head: Snapshot  # Made from the file after the change
    base: Snapshot | None  # Made from the file before it; None where that is unknown
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


def prereplay(
    server: ScratchServer, histories: Iterable[tuple[Section, Sequence[Script]]], enough: Callable[[], bool]
) -> list[str]:
    """Replay sections until ``enough``, or until one fails; return the finished ones."""
    done: list[str] = []
    for section, revisions in histories:
        if enough():
            break
        server.create_database(section.name)
        try:
            with server.open_database(section.name) as engine, engine.begin() as connection:
                prepare(connection, section)
                replay(connection, section, revisions)
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
) -> SchemaFileStates:
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
        return SchemaFileStates(head, None, views)
    old, rebuilt = _base(simulation, base, loaded.schema, head, current, config, shadow)
    missing = frozenset(
        (t, c) for t, c in added if t in current.tables and c not in current.tables[t].columns
    )
    return SchemaFileStates(head, _without(old, missing), views, frozenset(rebuilt), missing)


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


def rename_base(simulation: Simulation, described: SchemaFileStates, answers: Answers) -> Snapshot | None:
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
    described: SchemaFileStates,
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
