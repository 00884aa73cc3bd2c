"""Generate the migration of one section: replay, compare, rewrite, render, both directions.

The downgrade is not the upgrade read backwards. It is made by the same rules in the other direction, from the
database that the upgrade really left to the one that stood before, so that it fills, orders and converts as
carefully, and restores what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.operations import Operations, ops

from consdb_actions.adapters.autogenerate.database import Database, read_database
from consdb_actions.adapters.autogenerate.produce import find_operations
from consdb_actions.adapters.autogenerate.replay import migration_context, run_source
from consdb_actions.adapters.tree import Section
from consdb_actions.migration.answers import Answers
from consdb_actions.migration.catalog import Grant, Snapshot
from consdb_actions.migration.rewrite import rewrite
from consdb_actions.migration.rewrite.grants import sibling_grants, with_configured
from consdb_actions.migration.rewrite.plan import Facts, Plan, Question
from consdb_actions.migration.rewrite.statements import Rename
from consdb_actions.migration.views import ViewRule, behind, kept_view, wanted_views

__all__ = [
    "Draft",
    "Wanted",
    "draft_migration",
    "plan_upgrade",
    "views_behind",
]

Roles = Mapping[str, tuple[str, ...]]
"""Privileges by role."""


@dataclass(frozen=True)
class Wanted:
    """The right side of an upgrade.

    Attributes
    ----------
    database
        Made from the YAML alone.
    columns
        Columns of each table in the order of the YAML.
    views
        Rule of each configured view that the YAML knows.
    roles
        What the configuration grants on new relations.
    """

    database: Database
    columns: Mapping[str, Sequence[str]]
    views: Mapping[str, ViewRule]
    roles: Roles


@dataclass(frozen=True)
class Draft:
    """Both directions as plans, and what the upgrade leaves."""

    upgrade: Plan
    downgrade: Plan
    upgraded: Database | None = None

    @property
    def questions(self) -> tuple[Question, ...]:
        """What must be answered first."""
        return self.upgrade.questions


def draft_migration(
    connection: sa.Connection,
    section: Section,
    before: Database,
    wanted: Wanted,
    answers: Answers,
    casts: frozenset[tuple[str, str]],
    render_upgrade: Callable[[Plan], str],
) -> Draft:
    """Plan both directions inside the connection's transaction, which the caller rolls back.

    Parameters
    ----------
    connection
        Open on the database that the section's history made.
    before
        That database.
    wanted
        What it should become.
    answers
        Renames, moves and other decisions.
    casts
        Pairs of types that Postgres converts by itself.
    render_upgrade
        Renders a plan's upgrade to the source of a revision, which is then run for real.

    Returns
    -------
    Draft
        With an empty upgrade when nothing is to be done, and without a downgrade when questions are open.
    """
    schema = section.schema
    renames = answers.renames(schema)
    _run(connection, section, renames)
    renamed = read_database(connection, schema) if renames else before
    upgrade = plan_upgrade(connection, section, renamed, wanted, answers, casts)
    if upgrade.questions or not upgrade.ops:
        return Draft(upgrade, Plan())
    _undo(connection, section, renames)
    run_source(connection, section, render_upgrade(upgrade), f"{section.name}_draft", "upgrade")
    upgraded = read_database(connection, schema)
    downgrade = _plan_downgrade(connection, section, before, upgraded, answers, casts, upgrade)
    return Draft(upgrade, downgrade, upgraded)


def plan_upgrade(
    connection: sa.Connection,
    section: Section,
    now: Database,
    wanted: Wanted,
    answers: Answers,
    casts: frozenset[tuple[str, str]],
) -> Plan:
    """Plan what leads from the connection's database, with renames already done, to the wanted one."""
    schema = section.schema
    renames = answers.renames(schema)
    facts = Facts(
        schema=schema,
        direction="upgrade",
        before=now.state,
        after=wanted.database.state,
        catalog=now.catalog,
        wanted_views=wanted_views(
            now.catalog,
            wanted.views,
            wanted.columns,
            frozenset(Grant(r, p) for r, privileges in wanted.roles.items() for p in privileges),
            {(table, new): old for table, old, new in answers.columns},
        ),
        remake=answers.repair_views,
        family=frozenset(wanted.views),
        table_grants=_new_table_grants(now, wanted),
        column_grants={},
        sequences=frozenset(wanted.database.catalog.sequences),
        copies=answers.copies,
        fills=answers.fills,
        casts=casts,
        on_question=answers.on_question,
    )
    found = find_operations(connection, section, now, wanted.database)
    return rewrite(Plan(ops=(*renames, *found)), facts)


def _plan_downgrade(
    connection: sa.Connection,
    section: Section,
    before: Database,
    upgraded: Database,
    answers: Answers,
    casts: frozenset[tuple[str, str]],
    upgrade: Plan,
) -> Plan:
    schema = section.schema
    back = answers.reversed()
    renames = back.renames(schema)
    _run(connection, section, renames)
    now = read_database(connection, schema) if renames else upgraded
    views = {name: kept_view(view) for name, view in before.catalog.views.items()}
    facts = Facts(
        schema=schema,
        direction="downgrade",
        before=now.state,
        after=before.state,
        catalog=now.catalog,
        wanted_views=views,
        remake=frozenset(
            name
            for name, view in before.catalog.views.items()
            if name in now.catalog.views and _shape(now.catalog, name) != _shape(before.catalog, name)
        ),
        family=frozenset(),
        table_grants={name: t.grants for name, t in before.catalog.tables.items()},
        column_grants={
            (name, c.name): c.grants
            for name, t in before.catalog.tables.items()
            for c in t.columns.values()
            if c.grants
        },
        sequences=frozenset(before.catalog.sequences),
        copies=back.copies,
        fills={},
        given={
            answers.named_before(f.table, f.column): f.constant
            for f in upgrade.filled
            if f.constant is not None
        },
        casts=casts,
        on_question="proceed",
    )
    found = find_operations(connection, section, now, before)
    return rewrite(Plan(ops=(*renames, *found)), facts)


def _shape(catalog: Snapshot, name: str) -> tuple[object, ...]:
    view = catalog.views[name]
    return view.definition, view.grants, view.comment, view.options


def _run(connection: sa.Connection, section: Section, operations: Iterable[ops.MigrateOperation]) -> None:
    runner = Operations(migration_context(connection, section))
    for op in operations:
        runner.invoke(op)


def _undo(connection: sa.Connection, section: Section, renames: Sequence[ops.MigrateOperation]) -> None:
    """Take the renames back, so that the rendered script runs on the state that operators have."""
    back = [
        Rename(op.kind, op.schema, op.new if op.kind == "table" else op.table, op.new, op.old)
        for op in reversed(renames)
        if isinstance(op, Rename)
    ]
    _run(connection, section, back)


def _new_table_grants(now: Database, wanted: Wanted) -> dict[str, frozenset[Grant]]:
    grants = with_configured(sibling_grants(now.catalog), wanted.roles)
    return {name: grants for name in wanted.database.state.tables if name not in now.state.tables}


def views_behind(now: Database, rules: Mapping[str, ViewRule]) -> dict[str, ViewRule]:
    """Return the configured views that show other columns than their table has already."""
    return {
        name: rule
        for name, rule in rules.items()
        if name in now.catalog.views
        and rule.table in now.state.tables
        and behind(now.catalog.views[name], rule, list(now.state.tables[rule.table].columns))
    }
