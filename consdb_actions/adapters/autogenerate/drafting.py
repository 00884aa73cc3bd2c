"""Plan a migration from the current catalog to the expected one."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from alembic.operations import ops
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from consdb_actions.adapters.autogenerate.operator import TreeCopy
from consdb_actions.adapters.autogenerate.placeholders import find_placeholders
from consdb_actions.adapters.autogenerate.simulation import Simulation, postgres_message
from consdb_actions.adapters.autogenerate.states import SchemaFileStates
from consdb_actions.adapters.schema_yaml import Lines
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.catalog import CatalogRelation, Grant, Snapshot
from consdb_actions.catalog.merge import Conflict, MergedCatalog, Side, merge3
from consdb_actions.catalog.snapshot import columns_read
from consdb_actions.errors import InputError
from consdb_actions.migration.answers import Answers
from consdb_actions.migration.rewrite import rewrite
from consdb_actions.migration.rewrite.plan import (
    ColumnFilling,
    Copy,
    DirectionFacts,
    MigrationPlan,
    RewriteQuestion,
)
from consdb_actions.migration.rewrite.statements import describe, subject
from consdb_actions.migration.rewrite.views import sibling_grants, with_configured, with_remade_views


@dataclass(frozen=True)
class RevisionCandidate:
    """A revision to verify, and the database to verify it on."""

    tree: Tree
    section: Section
    file_name: str
    source: str
    schema_file: Path
    database: str  # Name of the database at the previous revision (``before``); the verification changes it
    before: Snapshot
    expected: Snapshot  # Catalog that the upgrade must leave (rule M17)
    answers: Answers
    views: Mapping[str, str]  # Name of the table that each configured view shows
    lost: frozenset[tuple[str, str | None]] = frozenset()
    """Columns (None: tables) that the upgrade drops with their values, by the names after renames."""
    empty: frozenset[str] = frozenset()  # Tables that the migration requires to be empty
    filled: tuple[ColumnFilling, ...] | None = (
        None  # What the upgrade fills; None for a hand-written revision
    )
    copy: TreeCopy | None = None  # Where the operator's commands run; None makes a copy for this verification

    @property
    def renamed_tables(self) -> dict[str, str]:
        """Map old table names to new ones."""
        return dict(self.answers.tables)

    @property
    def renamed_columns(self) -> dict[tuple[str, str], str]:
        """Map (new table, old column) to the new column name."""
        return {(table, old): new for table, old, new in self.answers.columns}

    @property
    def tightened(self) -> frozenset[tuple[str, str]]:
        """Columns that become NOT NULL, by the names after renames."""
        out = set()
        for name, table in self.before.tables.items():
            new = self.renamed_tables.get(name, name)
            after = self.expected.tables.get(new)
            if after is None:
                continue
            for column in table.columns.values():
                later = after.columns.get(self.renamed_columns.get((new, column.name), column.name))
                if column.nullable and later is not None and not later.nullable:
                    out.add((new, later.name))
        return frozenset(out)


DriftMode = Literal["report", "include", "only"]


@dataclass(frozen=True)
class UpgradeTarget:
    """What an upgrade leads to."""

    base: Snapshot | None  # State before the change, with its renames done; None takes the database for it
    described: SchemaFileStates
    take: Mapping[str, Side]  # Answers to conflicts, by element
    roles: Mapping[str, tuple[str, ...]]  # Privileges that the configuration grants on new relations, by role


@dataclass(frozen=True)
class Draft:
    """The plans of both directions, and the expected and actual result of the upgrade."""

    expected: MergedCatalog
    answers: Answers
    upgrade: MigrationPlan
    downgrade: MigrationPlan = field(default_factory=MigrationPlan)
    upgraded: Snapshot | None = None

    @property
    def questions(self) -> tuple[RewriteQuestion, ...]:
        """Questions that block the plan."""
        return self.upgrade.questions


def draft_migration(
    simulation: Simulation,
    current: Snapshot,
    target: UpgradeTarget,
    answers: Answers,
    render_upgrade: Callable[[MigrationPlan], str],
    lines: Lines,
    source: str,
) -> Draft:
    """Plan both directions; the simulation ends in the upgraded state."""
    schema = simulation.section.schema
    needed = still_needed(answers, current, target.take, target.base is not None)
    answers = needed.in_current
    renames = answers.renames(schema)
    simulation.apply(renames)
    now = simulation.snapshot() if renames else current
    expected = expected_for(now, target, answers)
    answered = {".".join(c.path[:n]) for c in needed.conflicts if c.taken for n in (1, 2)}
    expected = replace(
        expected,
        conflicts=(*needed.conflicts, *expected.conflicts),
        drift=tuple(d for d in expected.drift if d.path not in {c.path for c in needed.conflicts}),
        used=expected.used | (answered & target.take.keys()),
    )
    if expected.open_conflicts:
        return Draft(expected, answers, MigrationPlan())
    answers = replace(answers, copies=_still_copied(answers, now, expected.catalog))
    casts = simulation.casts()
    upgrade = plan_upgrade(schema, now, expected.catalog, answers, casts)
    if upgrade.questions or not upgrade.ops:
        return Draft(expected, answers, upgrade)
    simulation.rollback()
    script = render_upgrade(upgrade)
    try:
        simulation.run(script)
    except OperationalError:
        raise
    except SQLAlchemyError as error:
        raise _sql_error(error, script, upgrade, lines, source) from error
    upgraded = simulation.snapshot()
    downgrade = _plan_downgrade(simulation, current, upgraded, answers, casts, upgrade)
    return Draft(expected, answers, upgrade, downgrade, upgraded)


def expected_for(now: Snapshot, target: UpgradeTarget, answers: Answers | None = None) -> MergedCatalog:
    """Merge the change into a database that has its renames already."""
    described = target.base is not None
    base = target.base if target.base is not None else _database_as_base(now, target.described.views)
    expected = merge3(base, target.described.head, now, target.take, described=described)
    catalog = with_remade_views(
        expected.catalog,
        target.described.head,
        now,
        target.described.views,
        renamed={(table, new): old for table, old, new in answers.columns} if answers else {},
        renamed_tables=[new for _, new in answers.tables] if answers else [],
        granted=frozenset(Grant(r, p) for r, privileges in target.roles.items() for p in privileges),
    )
    grants = with_configured(sibling_grants(now), target.roles)
    relations = {
        name: replace(r, grants=grants) if not r.is_view and name not in now.relations else r
        for name, r in catalog.relations.items()
    }
    earlier = {old for _, old, _ in answers.columns} if answers else set()
    views = _lost_views(relations, now, target, earlier) if described else ()
    kept = {c.path[0]: now.relations[c.path[0]] for c in views if c.taken == "current"}
    relations = {n: r for n, r in relations.items() if not any(c.path == (n,) and c.stands_on for c in views)}
    return replace(
        expected,
        catalog=replace(catalog, relations=_without_dangling_views({**relations, **kept})),
        conflicts=(*expected.conflicts, *views),
        used=expected.used | {c.path[0] for c in views if c.taken},
    )


def _lost_views(
    relations: Mapping[str, CatalogRelation], now: Snapshot, target: UpgradeTarget, earlier: Collection[str]
) -> tuple[Conflict, ...]:
    """Return views that the change would drop or strip of manual changes; ``earlier``: old column names."""
    found: list[Conflict] = []
    taken: Side | None
    for name, view in now.views.items():
        made, rule = relations.get(name), target.described.views.get(name)
        if target.base is not None and rule is None and name in target.base.relations:
            continue  # a configured view that the change itself drops
        if rule is None:
            if ground := _lost_ground(view, relations, now):
                gone = list(map(".".join, ground))
                without = f"none, since {', '.join(gone)} {'is' if len(gone) == 1 else 'are'} dropped"
                taken = "head" if target.take.get(name) == "head" else None
                found.append(Conflict((name,), None, without, view.definition, taken, ground))
        elif made is not None and made != view and (table := now.tables.get(rule.table)) is not None:
            usual = {*table.columns, *rule.rename.values(), *made.columns, *earlier}
            if view.columns.keys() - usual:
                taken = target.take.get(name)
                found.append(Conflict((name,), None, made.definition, view.definition, taken))
    return tuple(found)


def _database_as_base(now: Snapshot, rules: Collection[str]) -> Snapshot:
    """Take the database as base, without the views that no file describes."""
    kept = {n: r for n, r in now.relations.items() if not r.is_view or n in rules}
    return replace(now, relations=kept)


def _lost_ground(
    view: CatalogRelation, relations: Mapping[str, CatalogRelation], now: Snapshot
) -> tuple[tuple[str, ...], ...]:
    """Return tables and columns that are dropped and that a view reads, itself or by another view."""
    lost: dict[tuple[str, ...], None] = {}
    for name in view.reads:
        old, new = now.relations.get(name), relations.get(name)
        if old is not None and old.is_view and name != view.name:
            lost |= dict.fromkeys(_lost_ground(old, relations, now))
        elif new is None:
            lost[name,] = None
        elif old is not None and (gone := old.columns.keys() - new.columns.keys()):
            read = columns_read(view.definition, name)
            lost |= dict.fromkeys((name, c) for c in old.columns if c in gone & read)
    return tuple(lost)


def _without_dangling_views(relations: Mapping[str, CatalogRelation]) -> dict[str, CatalogRelation]:
    out = dict(relations)
    while gone := [n for n, r in out.items() if r.is_view and any(x not in out for x in r.reads)]:
        for name in gone:
            del out[name]
    return out


def plan_upgrade(
    schema: str,
    now: Snapshot,
    expected: Snapshot,
    answers: Answers,
    casts: frozenset[tuple[str, str]],
) -> MigrationPlan:
    """Plan the steps to the expected catalog, after the renames."""
    facts = DirectionFacts(
        schema=schema,
        direction="upgrade",
        before=now,
        after=expected,
        copies=answers.copies,
        fills=answers.fills,
        casts=casts,
        on_question=answers.on_question,
    )
    return rewrite(MigrationPlan(ops=tuple(answers.renames(schema))), facts)


def _plan_downgrade(
    simulation: Simulation,
    current: Snapshot,
    upgraded: Snapshot,
    answers: Answers,
    casts: frozenset[tuple[str, str]],
    upgrade: MigrationPlan,
) -> MigrationPlan:
    schema = simulation.section.schema
    back = answers.reversed()
    renames = back.renames(schema)
    simulation.apply(renames)
    now = simulation.snapshot() if renames else upgraded
    placeholders, numbers = find_placeholders(simulation.connection, now, current)
    facts = DirectionFacts(
        schema=schema,
        direction="downgrade",
        before=now,
        after=current,
        copies=back.copies,
        fills={},
        given={
            answers.named_before(f.table, f.column): f.constant
            for f in upgrade.filled
            if f.constant is not None
        },
        casts=casts,
        on_question="proceed",
        placeholders=placeholders,
        numbers=numbers,
    )
    return rewrite(MigrationPlan(ops=tuple(renames)), facts)


@dataclass(frozen=True)
class NeededRenames:
    """The renames that *base* and *current* need."""

    in_base: Answers
    in_current: Answers
    conflicts: tuple[Conflict, ...] = ()


def still_needed(
    answers: Answers, current: Snapshot, take: Mapping[str, Side], has_base: bool
) -> NeededRenames:
    """Return the renames that the database still needs.

    An element found under neither or both names is a conflict; answered with *head* it is dropped and
    created. Without a base the renames were decided against the database, and all are needed.
    """
    if not has_base:
        return NeededRenames(answers, answers)
    conflicts: list[Conflict] = []
    tables: list[tuple[str, str]] = []
    columns: list[tuple[str, str, str]] = []
    refused: set[tuple[str, ...]] = set()

    def conflict(path: tuple[str, ...], old: str, new: str, both: bool) -> None:
        found = _rename_conflict(path, old, new, both, take)
        conflicts.append(found)
        if found.taken == "head":
            refused.add(path)

    for old, new in answers.tables:
        match _state_of(old, new, answers.tables, current.relations):
            case "needed":
                tables.append((old, new))
            case "conflict":
                conflict((new,), old, new, old in current.tables)
    named = {new: old for old, new in tables}
    for table, old, new in answers.columns:
        found = current.tables.get(named.get(table, table))
        if found is None:
            continue
        beside = [(o, n) for t, o, n in answers.columns if t == table]
        match _state_of(old, new, beside, found.columns):
            case "needed":
                columns.append((table, old, new))
            case "conflict":
                conflict((table, new), old, new, old in found.columns)
    return NeededRenames(
        replace(
            answers,
            tables=tuple(t for t in answers.tables if (t[1],) not in refused),
            columns=tuple(c for c in answers.columns if (c[0], c[2]) not in refused),
        ),
        replace(answers, tables=tuple(tables), columns=tuple(columns)),
        tuple(conflicts),
    )


def _state_of(
    old: str, new: str, renames: Sequence[tuple[str, str]], names: Collection[str]
) -> Literal["needed", "done", "conflict"]:
    """Classify a rename by the names in the database, also in chains and swaps."""
    freed, taken = {o for o, _ in renames}, {n for _, n in renames}
    if old in names and (new not in names or new in freed):
        return "needed"
    return "done" if new in names and (old not in names or old in taken) else "conflict"


def _rename_conflict(
    path: tuple[str, ...], old: str, new: str, both: bool, take: Mapping[str, Side]
) -> Conflict:
    taken = next((take[t] for t in (".".join(path), path[0]) if t in take), None)
    return Conflict(path, old, new, f"{old} and {new}" if both else f"neither {old} nor {new}", taken)


def _still_copied(answers: Answers, now: Snapshot, expected: Snapshot) -> tuple[Copy, ...]:
    """Keep the moves whose column has not moved yet."""
    return tuple(
        c
        for c in answers.copies
        if c.source in now.tables
        and c.source_column in now.tables[c.source].columns
        and (c.target not in now.tables or c.target_column not in now.tables[c.target].columns)
        and c.target in expected.tables
        and c.target_column in expected.tables[c.target].columns
    )


def _sql_error(
    error: SQLAlchemyError, script: str, plan: MigrationPlan, lines: Lines, source: str
) -> InputError:
    op = _failed_operation(error, script, plan.ops)
    what = f"{describe(op)}: " if op is not None else ""
    place = source
    if op is not None:
        table, name = subject(op)
        keys = (
            ("column", table, name),
            ("constraint", table, name),
            ("index", table, name),
            ("table", table),
        )
        line = next((lines[k] for k in keys if k in lines), 0)
        place = (f"{source}:{line}" if line else source) + f", {table}.{name}".rstrip(".")
    return InputError(
        f"Postgres refuses the upgrade: {what}{postgres_message(error)}",
        place=place,
        remedy="If an object that is not in the schema files is in the way, such as a view, trigger or "
        "policy that was created manually, remove it in a revision of its own first.",
    )


def _failed_operation(
    error: BaseException, source: str, operations: Sequence[ops.MigrateOperation]
) -> ops.MigrateOperation | None:
    """Return the failed operation: each is one statement of ``upgrade``."""
    number, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "upgrade":
            number = trace.tb_lineno
        trace = trace.tb_next
    function = next(
        (n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "upgrade"), None
    )
    body = (
        [n for n in function.body if isinstance(n, ast.Expr) and isinstance(n.value, ast.Call)]
        if function
        else []
    )
    at = next((i for i, n in enumerate(body) if n.lineno <= number <= (n.end_lineno or 0)), None)
    return operations[at] if at is not None and len(body) == len(operations) else None
