"""Order operations, list what they lose, and fill columns from parent rows."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from alembic.operations import ops

from consdb_actions.catalog import Snapshot
from consdb_actions.migration.data import KeyLink
from consdb_actions.migration.rewrite.statements import (
    Phase,
    Rename,
    SqlStatement,
    phase_of,
    qualified,
    quote,
)

Direction = Literal["upgrade", "downgrade"]
T = TypeVar("T", bound=Hashable)

# A constant as Postgres writes it in a default, with or without its type.
_CONSTANT = re.compile(
    r"(?:(-?[0-9.]+(?:e[-+]?[0-9]+)?|true|false)|'((?:[^']|'')*)')(?:::[\w ().,\"\[\]]+)?", re.IGNORECASE
)


@dataclass(frozen=True)
class RewriteQuestion:
    """A question that stops the run until it is answered (rules M4, M7)."""

    about: str
    text: str
    answers: tuple[str, ...]
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Risk:
    """Something that can fail on some data, by name (rule M8)."""

    about: str  # Table, or table and column
    text: str  # What can go wrong, and when


@dataclass(frozen=True)
class DataLoss:
    """Data that one direction removes and the other cannot restore (rule M10)."""

    table: str
    column: str | None  # Null for the whole table
    direction: Direction  # Which direction removes it
    text: str  # The loss as a sentence
    dropped: bool = False  # Whether a whole column or table is dropped, and not only some of its values


@dataclass(frozen=True)
class Copy:
    """A column whose values move to another table (rule M5), in the names after renames."""

    source: str
    source_column: str
    target: str
    target_column: str
    source_key: tuple[str, ...]
    """The columns that match rows: pair by pair, or each with its side of ``through``."""
    target_key: tuple[str, ...]
    through: str = ""  # The common parent of which the keys equal two keys, rather than each other
    source_side: tuple[str, ...] = ()
    target_side: tuple[str, ...] = ()
    relation: Literal["one to one", "one to many", "many to one"] = "one to one"
    """Rows of the source to rows of the target."""
    filled: tuple[tuple[str, str, str], ...] = ()
    """Sources of other columns of a new target table: column, table, column."""
    required: bool = False

    def reversed(self, old_table: Mapping[str, str]) -> Copy:
        """Return the reverse copy; ``old_table`` maps tables to their names before renames."""
        back: dict[str, Literal["one to one", "one to many", "many to one"]] = {
            "one to one": "one to one",
            "one to many": "many to one",
            "many to one": "one to many",
        }
        return Copy(
            source=old_table.get(self.target, self.target),
            source_column=self.target_column,
            target=old_table.get(self.source, self.source),
            target_column=self.source_column,
            source_key=self.target_key,
            target_key=self.source_key,
            through=old_table.get(self.through, self.through),
            source_side=self.target_side,
            target_side=self.source_side,
            relation=back[self.relation],
        )


@dataclass(frozen=True)
class ColumnFilling:
    """How a column without a value is filled (rule M7), in the names after renames."""

    table: str
    column: str
    answer: str | None = None
    expression: str = ""  # The default that it gets, as Postgres prints it
    path: tuple[KeyLink, ...] = ()
    source: str = ""

    @property
    def constant(self) -> str | None:
        """The constant's text; None for a parent's or a computed value."""
        if self.answer is not None:
            return self.answer
        quoted = _CONSTANT.fullmatch(self.expression)
        if quoted is None:
            return None
        return quoted[2].replace("''", "'") if quoted[2] is not None else quoted[1]


@dataclass(frozen=True)
class DirectionFacts:
    """The facts about one direction of a migration."""

    schema: str
    direction: Direction
    before: Snapshot  # The schema before, with renames already done
    after: Snapshot
    copies: tuple[Copy, ...]
    fills: Mapping[tuple[str, str], str | None]
    """Answers for NOT NULL columns: the value, or None for "no row holds NULL"."""
    casts: frozenset[tuple[str, str]]  # Pairs of type names (without length) with an assignment cast
    on_question: Literal["ask", "proceed"]
    """``ask`` collects questions; ``proceed`` continues without the fill."""
    given: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """In a downgrade: constants that the upgrade put in place of NULL."""
    placeholders: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """In a downgrade: SQL for required columns whose values are lost, as their CHECKs allow it."""
    numbers: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The same, different for each ``numbered.n``: for columns of keys."""


@dataclass(frozen=True)
class MigrationPlan:
    """The operations so far, and what a reader must know about them."""

    ops: tuple[ops.MigrateOperation, ...] = ()
    questions: tuple[RewriteQuestion, ...] = ()
    risks: tuple[Risk, ...] = ()
    losses: tuple[DataLoss, ...] = ()
    unfilled: tuple[tuple[str, str], ...] = ()
    """New NOT NULL columns without a fill, by table: these must be empty."""
    filled: tuple[ColumnFilling, ...] = ()


def order(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Sort by phase, then parents before children, with names free before use."""
    by_phase: dict[Phase, list[ops.MigrateOperation]] = {}
    for op in (*plan.ops, *_check_deferred(plan, facts)):
        by_phase.setdefault(phase_of(op), []).append(op)
    for phase, members in by_phase.items():
        if phase is Phase.CREATE_TABLE:
            by_phase[phase] = _parents_first(members, _references(facts, after=True))
        elif phase in {Phase.DROP_TABLE, Phase.DROP_COPIED_TABLE}:
            by_phase[phase] = _parents_first(members, _references(facts, after=False))[::-1]
        elif phase is Phase.RENAME_CONSTRAINT:
            by_phase[phase] = list(free_names(members))
    return replace(plan, ops=tuple(op for phase in sorted(by_phase) for op in by_phase[phase]))


def _check_deferred(plan: MigrationPlan, facts: DirectionFacts) -> list[SqlStatement]:
    """Check deferred constraints after fills: pending checks block ALTER TABLE."""
    filled = any(phase_of(op) in {Phase.FILL, Phase.FILL_REST} for op in plan.ops)
    deferred = any(
        dict(c.options).get("initially") == "DEFERRED"
        for state in (facts.before, facts.after)
        for table in state.tables.values()
        for c in table.constraints.values()
    )
    text = "check the constraints that are deferred"
    return (
        [SqlStatement("SET CONSTRAINTS ALL IMMEDIATE", phase=Phase.CHECK_DEFERRED, text=text)]
        if filled and deferred
        else []
    )


def _references(facts: DirectionFacts, *, after: bool) -> dict[str, set[str]]:
    state = facts.after if after else facts.before
    return {name: {k.table for k in t.foreign_keys} - {name} for name, t in state.tables.items()}


def _parents_first(
    members: list[ops.MigrateOperation], references: dict[str, set[str]]
) -> list[ops.MigrateOperation]:
    """Sort tables after those they refer to; grants and the like follow their table."""
    tables: dict[str, list[ops.MigrateOperation]] = {}
    for op in members:
        tables.setdefault(str(getattr(op, "table_name", getattr(op, "table", ""))), []).append(op)
    order = parents_first(sorted(tables), lambda name: sorted(references.get(name, set()) & tables.keys()))
    return [op for name in order for op in tables[name]]


def parents_first(items: Iterable[T], parents: Callable[[T], Iterable[T]]) -> list[T]:
    """Sort items after their parents; where these form a ring, the first one comes last of it."""
    done: dict[T, None] = {}
    # An explicit stack: a chain of references may be longer than Python's recursion limit.
    for start in items:
        stack, opened = [(start, iter(parents(start)))], {start}
        while stack:
            item, left = stack[-1]
            parent = next((p for p in left if p not in done and p not in opened), None)
            if parent is None:
                stack.pop()
                done.setdefault(item)
            else:
                opened.add(parent)
                stack.append((parent, iter(parents(parent))))
    return list(done)


def free_names(members: Iterable[ops.MigrateOperation]) -> Iterable[ops.MigrateOperation]:
    """Order renames so that each new name is free; a cycle uses a temporary name."""
    waiting: dict[tuple[str, str], Rename] = {}
    others: list[ops.MigrateOperation] = []
    for op in members:
        if isinstance(op, Rename):
            waiting[op.space, op.old] = op
        else:
            others.append(op)
    out: list[ops.MigrateOperation] = []
    while waiting:
        ready = [key for key, op in waiting.items() if (key[0], op.new) not in waiting]
        if ready:
            out.extend(waiting.pop(key) for key in ready)
            continue
        key, op = next(iter(waiting.items()))
        between = spare_name(op.old, {o for _, o in waiting})
        del waiting[key]
        out.append(Rename(op.kind, op.schema, op.table, op.old, between, phase=op.phase))
        waiting[key[0], between] = Rename(op.kind, op.schema, op.table, between, op.new, phase=op.phase)
    return out + others


def spare_name(old: str, taken: Collection[str]) -> str:
    """Return an unused temporary name."""
    name, number = "", 0
    while not name or name in taken:
        number += 1
        name = f"{old.encode()[:55].decode(errors='ignore')}_swap{number}"
    return name


def losses(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """List what is dropped without a copy, and every filled NULL."""
    copied = {(c.source, c.source_column) for c in facts.copies}
    out = list(plan.losses)
    if facts.direction == "upgrade":
        out += [
            DataLoss(
                f.table,
                f.column,
                "upgrade",
                f"the downgrade does not restore NULL where {f.table}.{f.column} is filled",
            )
            for f in plan.filled
            if f.column in facts.before.tables[f.table].columns
        ]
    for op in plan.ops:
        if isinstance(op, ops.DropColumnOp) and (op.table_name, op.column_name) not in copied:
            name = f"{op.table_name}.{op.column_name}"
            text = (
                f"the upgrade drops {name}; the downgrade restores the column without its values"
                if facts.direction == "upgrade"
                else f"the downgrade drops {name} and what was written there since the upgrade"
            )
            out.append(DataLoss(op.table_name, op.column_name, facts.direction, text, dropped=True))
        elif isinstance(op, ops.DropTableOp):
            kept = [c for t, c in copied if t == op.table_name]
            but = f" but {', '.join(sorted(kept))}, which moved" if kept else ""
            back = "with that alone" if kept else "empty"
            text = (
                f"the upgrade drops table {op.table_name} with all its rows{but}; "
                f"the downgrade restores the table, {back}"
                if facts.direction == "upgrade"
                else f"the downgrade drops table {op.table_name} and all its rows{but}"
            )
            out.append(DataLoss(op.table_name, None, facts.direction, text, dropped=True))
    return replace(plan, losses=tuple(sorted(out, key=lambda loss: (loss.table, loss.column or ""))))


@dataclass(frozen=True)
class Fill:
    """Columns of a table, and the parent's columns with their values, over one path."""

    table: str
    columns: tuple[str, ...]
    sources: tuple[str, ...]
    path: tuple[KeyLink, ...]
    only_missing: bool = False

    @property
    def parent(self) -> str:
        """The table that the values come from."""
        return self.path[-1].parent


def find_fill(
    before: Snapshot, after: Snapshot, table: str, column: str, coming: Collection[tuple[str, str]]
) -> Fill | None:
    """Find the parent's column with the values of a new column."""
    best: Fill | None = None
    for key in sorted(after.tables[table].foreign_keys, key=lambda k: (len(k.columns), k.name)):
        if column not in key.columns or key.referenced_schema not in (None, after.schema):
            continue
        source = key.referenced[key.columns.index(column)]
        parent = before.tables.get(key.table)
        if parent is None or key.table == table:
            continue
        if source not in parent.columns and (key.table, source) not in coming:
            continue
        path = _path(before, after, table, key.table, column)
        if path and (best is None or len(path) < len(best.path)):
            best = Fill(table, (column,), (source,), path, column in before.tables[table].columns)
    return best


def _path(
    before: Snapshot, after: Snapshot, start: str, goal: str, unknown: str
) -> tuple[KeyLink, ...] | None:
    queue: deque[tuple[str, tuple[KeyLink, ...]]] = deque([(start, ())])
    seen = {start}
    while queue:
        table, path = queue.popleft()
        for link in _links(before, after, table):
            if link.parent in seen or (table == start and unknown in link.columns):
                continue
            if link.parent == goal:
                return (*path, link)
            seen.add(link.parent)
            queue.append((link.parent, (*path, link)))
    return None


def _links(before: Snapshot, after: Snapshot, table: str) -> Iterator[KeyLink]:
    """Yield the possible steps from a table, declared keys first."""
    state = before.tables[table]
    for key in sorted(state.foreign_keys, key=lambda k: (len(k.columns), k.name)):
        if key.referenced_schema in (None, before.schema) and key.table in before.tables:
            yield KeyLink(key.columns, key.table, key.referenced)
    if table not in after.tables:
        return
    for key in sorted(after.tables[table].foreign_keys, key=lambda k: (len(k.columns), k.name)):
        parent = before.tables.get(key.table)
        if parent is None or key.referenced_schema not in (None, after.schema):
            continue
        known = {
            r: c
            for c, r in zip(key.columns, key.referenced, strict=True)
            if c in state.columns and r in parent.columns
        }
        for identity in parent.keys:
            if identity and all(r in known for r in identity):
                yield KeyLink(tuple(known[r] for r in identity), key.table, identity)


def order_fills(fills: Collection[Fill]) -> list[Fill]:
    """Join fills over one path, and sort parents before children; cycles are sorted by name."""
    joined: dict[tuple[Any, ...], Fill] = {}
    for fill in fills:
        # Rows with only some columns missing keep the other values, so those fills stay separate.
        key = (fill.table, fill.path, fill.columns if fill.only_missing else ())
        known = joined.get(key)
        columns, sources = (known.columns, known.sources) if known else ((), ())
        joined[key] = replace(fill, columns=(*columns, *fill.columns), sources=(*sources, *fill.sources))
    todo = sorted(joined.values(), key=lambda f: (f.table, f.columns))
    filled = {(f.table, c): f for f in todo for c in f.columns}

    def parents(fill: Fill) -> list[Fill]:
        return [filled[fill.parent, source] for source in fill.sources if (fill.parent, source) in filled]

    return parents_first(todo, parents)


def fill_statement(schema: str, fill: Fill) -> SqlStatement:
    """Return the UPDATE of a fill."""
    names = [f"parent{n or ''}" for n in range(len(fill.path) - 1, -1, -1)]
    owner = "child"
    conditions, tables = [], []
    for link, name in zip(fill.path, names, strict=True):
        tables.append(f"{qualified(schema, link.parent)} AS {name}")
        conditions += [
            f"{name}.{quote(r)} = {owner}.{quote(c)}"
            for c, r in zip(link.columns, link.referenced, strict=True)
        ]
        owner = name
    if fill.only_missing:
        conditions += [f"child.{quote(c)} IS NULL" for c in fill.columns]
    settings = ", ".join(
        f"{quote(c)} = {names[-1]}.{quote(s)}" for c, s in zip(fill.columns, fill.sources, strict=True)
    )
    return SqlStatement(
        [
            f"UPDATE {qualified(schema, fill.table)} AS child",
            f"SET {settings}",
            f"FROM {', '.join(tables)}",
            f"WHERE {' AND '.join(conditions)}",
        ],
        phase=Phase.FILL,
        text=f"fill {fill.table}.{', '.join(fill.columns)} from {fill.parent}",
        table=fill.table,
    )
