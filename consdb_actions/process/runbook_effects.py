"""What a migration does to the tables and views that are there: the net effect of all its statements.

Read from the statements of its revisions (:mod:`consdb_actions.migration.lint`), not from a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from consdb_actions.migration.lint.actions import (
    Action,
    AddColumn,
    AlterType,
    CreateTable,
    CreateView,
    DropColumn,
    DropRelation,
    Grant,
    OutsideTransaction,
    RemoveRows,
    Rename,
    Transaction,
    UnknownEffect,
    Write,
)
from consdb_actions.migration.lint.losses import losses
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.script import Run, Step
from consdb_actions.migration.lint.state import State

__all__ = ["ColumnChange", "Effects", "Rekeyed", "effects_of"]

Kind = Literal["added", "dropped", "renamed", "retyped", "tightened", "loosened"]


@dataclass(frozen=True, slots=True, order=True)
class ColumnChange:
    """What happens to one column of a table that is there before and after.

    Attributes
    ----------
    table
        The table, by its name afterwards.
    column
        The column, by its name afterwards; of a dropped one, by the name it had.
    kind
        What happens to it: ``tightened`` is NOT NULL that was not, ``loosened`` the opposite.
    old
        The name before, of a renamed column.
    required
        Whether a row that gives no value to it is refused: after the change, or, of a dropped column, before.
    """

    table: Name
    column: str
    kind: Kind
    old: str = ""
    required: bool = False

    def __str__(self) -> str:
        if self.kind == "renamed":
            return f"{self.table}.{self.old} becomes {self.column}"
        words = {
            "added": "is new" + (" and must not be empty" if self.required else ""),
            "dropped": "goes",
            "retyped": "gets another type",
            "tightened": "must not be empty any more",
            "loosened": "may be empty",
        }
        return f"{self.table}.{self.column} {words[self.kind]}"


@dataclass(frozen=True, slots=True, order=True)
class Rekeyed:
    """A table whose primary key has other columns afterwards; the old ones have their new names."""

    table: Name
    old: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.table} gets the primary key ({', '.join(self.new)}) for ({', '.join(self.old)})"


@dataclass(frozen=True, slots=True)
class Effects:
    """The net effect of one direction.

    Attributes
    ----------
    new_tables, dropped_tables
        Tables that are there only afterwards, or only before.
    renamed_tables
        Old and new names.
    columns, rekeyed
        What happens to tables that stay.
    updated, inserted, emptied
        Tables that stay and whose rows the scripts change, add to, or remove.
    filled
        New tables that the scripts put rows in.
    unidentified
        Tables that stay and whose rows are changed or removed while the table has no primary key.
    new_views, remade_views, dropped_views
        Views that are there only afterwards; that are dropped and made again; that are there only before.
    view_columns
        The columns of new and remade views, where they are known.
    locked
        Tables and views that are there before and are touched by a statement.
    grants
        Privileges that the scripts give: relation, role, privilege.
    losses
        What goes for good, as nouns.
    spoly
        Whether a column of the pgSphere type is made.
    apart
        Statements that cannot be undone with the others, by their names.
    unknown
        Statements whose effect is not known, or reasons why not all statements are.
    """

    new_tables: tuple[Name, ...] = ()
    dropped_tables: tuple[Name, ...] = ()
    renamed_tables: tuple[tuple[Name, Name], ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    rekeyed: tuple[Rekeyed, ...] = ()
    updated: tuple[Name, ...] = ()
    inserted: tuple[Name, ...] = ()
    emptied: tuple[Name, ...] = ()
    filled: tuple[Name, ...] = ()
    unidentified: tuple[Name, ...] = ()
    new_views: tuple[Name, ...] = ()
    remade_views: tuple[Name, ...] = ()
    dropped_views: tuple[Name, ...] = ()
    view_columns: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    locked: tuple[Name, ...] = ()
    grants: tuple[tuple[Name, str, str], ...] = ()
    losses: tuple[str, ...] = ()
    spoly: bool = False
    apart: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def changes(self, kind: Kind) -> tuple[ColumnChange, ...]:
        """Return the changes of columns of one kind."""
        return tuple(change for change in self.columns if change.kind == kind)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that get privileges."""
        return tuple(sorted({role for _, role, _ in self.grants if role.upper() != "PUBLIC"}))


def effects_of(runs: Sequence[Run]) -> Effects:
    """Return the net effect of runs that follow each other.

    Parameters
    ----------
    runs
        One direction of each revision, in the order in which they run.

    Returns
    -------
    Effects
        What differs at the end, with names as they are then. What is made and dropped on the way is nothing.
    """
    if not runs:
        return Effects()
    trace = _Trace(runs[0].start)
    for run in runs:
        for step in run.steps:
            trace.follow(step)
        if run.failure is not None:
            trace.unknown.append(f"{run.failure.kind}: {run.failure.words}")
    return trace.result(runs[-1].end, [str(loss.what) for run in runs for loss in losses(run)])


class _Trace:
    """Follows where each table and column came from."""

    def __init__(self, start: State) -> None:
        self.start = start
        self.tables: dict[Name, Name | None] = {name: name for name in start.tables}
        self.columns: dict[Name, dict[str, str | None]] = {
            name: {c: c for c in table.columns} for name, table in start.tables.items()
        }
        self.retyped: set[tuple[Name, str]] = set()
        self.rows: dict[str, set[Name]] = {"updated": set(), "inserted": set(), "emptied": set()}
        self.unidentified: set[Name] = set()
        self.made_views: set[Name] = set()
        self.locked: set[Name] = set()
        self.grants: dict[tuple[Name, str, str], None] = {}
        self.spoly = False
        self.apart: list[str] = []
        self.unknown: list[str] = []

    def follow(self, step: Step) -> None:
        if step.refusal:
            self.unknown.append(f"a statement that is no SQL: {step.refusal}")
        for action in step.actions:
            self._lock(step, action)
            self._structure(action)
            self._rows(step, action)
            self._others(action)

    def _structure(self, action: Action) -> None:
        if isinstance(action, CreateTable):
            if not action.temporary and action.table not in self.tables:
                self.tables[action.table] = None
                self.columns[action.table] = {c.name: None for c in action.columns}
                self.spoly |= any(c.type.name == "spoly" for c in action.columns)
        elif isinstance(action, DropRelation) and action.kind == "table":
            self.tables.pop(action.name, None)
            self.columns.pop(action.name, None)
        elif isinstance(action, Rename) and action.kind == "relation" and action.relation in self.tables:
            new = Name(action.relation.schema, action.new)
            self.tables[new] = self.tables.pop(action.relation)
            self.columns[new] = self.columns.pop(action.relation)
            self.retyped = {(new if t == action.relation else t, c) for t, c in self.retyped}
        elif isinstance(action, Rename) and action.kind == "column":
            known = self.columns.get(action.relation, {})
            if action.old in known:
                known[action.new] = known.pop(action.old)
            if (action.relation, action.old) in self.retyped:
                self.retyped = (self.retyped - {(action.relation, action.old)}) | {
                    (action.relation, action.new)
                }
        elif isinstance(action, AddColumn):
            self.columns.setdefault(action.table, {}).setdefault(action.column.name, None)
            self.spoly |= action.column.type.name == "spoly"
        elif isinstance(action, DropColumn):
            self.columns.get(action.table, {}).pop(action.column, None)
        elif isinstance(action, AlterType):
            self.retyped.add((action.table, action.column))
            self.spoly |= action.type.name == "spoly"

    def _rows(self, step: Step, action: Action) -> None:
        if not isinstance(action, Write | RemoveRows):
            return
        if isinstance(action, RemoveRows):
            how = "emptied"
        else:
            how = "inserted" if step.sql.lstrip("( \n").upper().startswith("INSERT") else "updated"
        self.rows[how].add(action.table)
        table = step.before.tables.get(action.table)
        keyed = table is not None and table.primary_key is not None
        if how != "inserted" and not keyed and self.tables.get(action.table) is not None:
            self.unidentified.add(action.table)

    def _others(self, action: Action) -> None:
        if isinstance(action, CreateView):
            self.made_views.add(action.view)
        elif isinstance(action, Grant) and not action.revoke:
            given = (
                (n, role, p) for n in action.relations for role in action.roles for p in action.privileges
            )
            self.grants.update(dict.fromkeys(sorted(given)))
        elif isinstance(action, OutsideTransaction):
            self.apart.append(action.what)
        elif isinstance(action, Transaction) and not action.opens:
            self.apart.append("COMMIT")
        elif isinstance(action, UnknownEffect):
            self.unknown.append(f"{action.what}, which can do anything")

    def _lock(self, step: Step, action: Action) -> None:
        for attribute in ("table", "relation", "view", "name"):
            name = getattr(action, attribute, None)
            if isinstance(name, Name) and (name in step.before.tables or name in step.before.views):
                self.locked.add(name)
        referred = getattr(getattr(action, "constraint", None), "refers", None)
        if isinstance(referred, Name):
            self.locked.add(referred)
        for constraint in getattr(action, "constraints", ()):
            if constraint.refers is not None:
                self.locked.add(constraint.refers)

    def result(self, end: State, lost: Sequence[str]) -> Effects:
        kept = {origin: name for name, origin in self.tables.items() if origin is not None}
        fresh = {name for name, origin in self.tables.items() if origin is None}
        stays = set(kept.values())
        remade = {view for view in self.made_views if view in self.start.views and view in end.views}
        made = {view for view in self.made_views if view in end.views}
        dropped = set(self.start.views) - set(end.views)
        return Effects(
            new_tables=_sorted(fresh),
            dropped_tables=_sorted(set(self.start.tables) - set(kept)),
            renamed_tables=tuple(sorted((old, new) for old, new in kept.items() if old != new)),
            columns=tuple(sorted(c for old, new in kept.items() for c in self._columns(old, new, end))),
            rekeyed=tuple(sorted(r for old, new in kept.items() for r in self._key(old, new, end))),
            updated=_sorted(self.rows["updated"] & stays),
            inserted=_sorted(self.rows["inserted"] & stays),
            emptied=_sorted(self.rows["emptied"] & stays),
            filled=_sorted((self.rows["inserted"] | self.rows["updated"]) & fresh),
            unidentified=_sorted(kept.get(name, name) for name in self.unidentified),
            new_views=_sorted(made - remade),
            remade_views=_sorted(remade),
            dropped_views=_sorted(dropped),
            view_columns=tuple(
                (view, columns) for view in _sorted(made) if (columns := end.views[view].columns) is not None
            ),
            locked=_sorted(n for n in self.locked if n in self.start.tables or n in self.start.views),
            grants=tuple(g for g in self.grants if g[0] in end.tables or g[0] in end.views),
            losses=tuple(dict.fromkeys(lost)),
            spoly=self.spoly,
            apart=tuple(dict.fromkeys(self.apart)),
            unknown=tuple(dict.fromkeys(self.unknown)),
        )

    def _columns(self, old: Name, new: Name, end: State) -> Iterable[ColumnChange]:
        before = self.start.tables[old].columns
        after = end.tables[new].columns if new in end.tables else {}
        origins = self.columns.get(new, {})
        for column, origin in origins.items():
            if column not in after:
                continue
            now = after[column]
            required = not now.nullable and not now.default
            if origin is None:
                yield ColumnChange(new, column, "added", required=required)
                continue
            if origin not in before:
                continue
            if origin != column:
                yield ColumnChange(new, column, "renamed", old=origin, required=required)
            if (new, column) in self.retyped:
                yield ColumnChange(new, column, "retyped", required=required)
            if before[origin].nullable and not now.nullable:
                yield ColumnChange(new, column, "tightened", required=required)
            elif not before[origin].nullable and now.nullable:
                yield ColumnChange(new, column, "loosened")
        for column in set(before) - {origin for origin in origins.values() if origin is not None}:
            was = before[column]
            yield ColumnChange(new, column, "dropped", required=not was.nullable and not was.default)

    def _key(self, old: Name, new: Name, end: State) -> Iterable[Rekeyed]:
        before = self.start.tables[old].primary_key
        after = end.tables[new].primary_key if new in end.tables else None
        now = {origin: column for column, origin in self.columns.get(new, {}).items() if origin is not None}
        had = tuple(now.get(c, c) for c in before.columns) if before else ()
        has = after.columns if after else ()
        if set(had) != set(has):
            yield Rekeyed(new, had, has)


def _sorted(names: Iterable[Name]) -> tuple[Name, ...]:
    return tuple(sorted(set(names)))
