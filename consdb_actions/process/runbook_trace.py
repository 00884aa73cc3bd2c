"""Follow the statements of a migration from its first state to its last, for their net effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from consdb_actions.migration.lint.actions import (
    Action,
    AddColumn,
    AlterType,
    CreateIndex,
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
from consdb_actions.migration.lint.column_types import Type
from consdb_actions.migration.lint.losses import losses
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.script import Run, Step
from consdb_actions.migration.lint.state import State, Table
from consdb_actions.process.runbook_effects import ColumnChange, Effects, Pair, Rekeyed

__all__ = ["effects_of"]


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


@dataclass(frozen=True)
class _Written:
    """A statement that writes rows: how, and the table by its first name, its name then, and as it was."""

    how: str
    origin: Name
    table: Name
    known: Table | None

    def other_key(self, final: Table | None) -> bool:
        """Tell whether a row cannot be found by the key at the end from what is sent of it."""
        if self.how == "inserted":
            return False
        key = self.known.primary_key if self.known is not None else None
        last = final.primary_key if final is not None else None
        return key is None or last is None or not set(last.columns) <= set(key.columns)


def _at(end: State, kept: dict[Name, Name], written: _Written) -> Table | None:
    return end.tables.get(kept[written.origin])


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
        self.written: list[_Written] = []
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
        origin = self.tables.get(action.table)
        if origin is not None:
            self.written.append(_Written(how, origin, action.table, step.before.tables.get(action.table)))

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
        elif isinstance(action, CreateIndex | DropRelation) and action.concurrently:
            self.apart.append("an index CONCURRENTLY")
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
            unidentified=_pairs(kept, (w for w in self._stay(kept) if w.other_key(_at(end, kept, w)))),
            passing=_pairs(kept, (w for w in self._stay(kept) if self._passes(w, kept, end))),
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

    def _stay(self, kept: dict[Name, Name]) -> list[_Written]:
        return [written for written in self.written if written.origin in kept]

    def _passes(self, written: _Written, kept: dict[Name, Name], end: State) -> bool:
        """Tell whether rows are written in a form that they do not have at the end."""
        final = _at(end, kept, written)
        if written.how == "inserted" or written.table != kept[written.origin] or final is None:
            return True
        if written.how == "emptied" or written.known is None:
            return written.known is None
        if set(written.known.columns) - set(final.columns):
            return True
        # Of several statements on one table, all but the last may leave a column empty that must not be.
        several = sum(other.origin == written.origin for other in self.written) > 1
        return several and any(
            column.nullable and not final.columns[name].nullable
            for name, column in written.known.columns.items()
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
                yield ColumnChange(new, column, "added", required=required, volatile=now.volatile)
                continue
            if origin not in before:
                continue
            if origin != column:
                yield ColumnChange(new, column, "renamed", old=origin, required=required)
            if (new, column) in self.retyped:
                widened = _takes(before[origin].type, now.type)
                yield ColumnChange(new, column, "retyped", required=required, widened=widened)
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


_WHOLE_NUMBERS = ("int2", "int4", "int8")


def _takes(old: Type, new: Type) -> bool:
    """Tell whether a value of one type, as it is written, is the same value of the other."""
    if old.array or new.array:
        return False
    if new.name in ("text", "varchar") and old.name in ("text", "varchar", *_WHOLE_NUMBERS):
        longest = old.mods[0] if old.mods else {"int2": 6, "int4": 11, "int8": 20}.get(old.name)
        return not new.mods or (longest is not None and new.mods[0] >= longest)
    if old.name in _WHOLE_NUMBERS and new.name in _WHOLE_NUMBERS:
        return _WHOLE_NUMBERS.index(old.name) <= _WHOLE_NUMBERS.index(new.name)
    return old.same == new.same


def _pairs(kept: dict[Name, Name], written: Iterable[_Written]) -> tuple[Pair, ...]:
    return tuple(sorted({(one.origin, kept[one.origin]) for one in written}))


def _sorted(names: Iterable[Name]) -> tuple[Name, ...]:
    return tuple(sorted(set(names)))
