"""Order the operations (rule M6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from alembic.operations import ops

from consdb_actions.migration.rewrite.plan import Facts, Plan
from consdb_actions.migration.rewrite.statements import Phase, Rename, Statement, phase_of

__all__ = ["free_names", "order", "spare_name"]


def order(plan: Plan, facts: Facts) -> Plan:
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


def _check_deferred(plan: Plan, facts: Facts) -> list[Statement]:
    """Check deferred constraints after fills: pending checks block ALTER TABLE."""
    filled = any(phase_of(op) in {Phase.FILL, Phase.FILL_REST} for op in plan.ops)
    deferred = any(
        dict(c.options).get("initially") == "DEFERRED"
        for state in (facts.before, facts.after)
        for table in state.tables.values()
        for c in table.constraints.values()
    )
    words = "check the constraints that are deferred"
    return (
        [Statement("SET CONSTRAINTS ALL IMMEDIATE", phase=Phase.CHECK_DEFERRED, words=words)]
        if filled and deferred
        else []
    )


def _references(facts: Facts, *, after: bool) -> dict[str, set[str]]:
    state = facts.after if after else facts.before
    return {name: {k.table for k in t.foreign_keys} - {name} for name, t in state.tables.items()}


def _parents_first(
    members: list[ops.MigrateOperation], references: dict[str, set[str]]
) -> list[ops.MigrateOperation]:
    """Sort tables after those they refer to; grants and the like follow their table."""
    tables: dict[str, list[ops.MigrateOperation]] = {}
    for op in members:
        tables.setdefault(str(getattr(op, "table_name", getattr(op, "table", ""))), []).append(op)
    out: list[ops.MigrateOperation] = []
    done: set[str] = set()
    # An explicit stack: a chain of references may be longer than Python's recursion limit.
    for start in sorted(tables):
        stack = [(start, iter(sorted(references.get(start, set()) & tables.keys())))]
        opened = {start}
        while stack:
            name, parents = stack[-1]
            parent = next((p for p in parents if p not in done and p not in opened), None)
            if name in done:
                stack.pop()
            elif parent is None:
                stack.pop()
                done.add(name)
                out.extend(tables[name])
            else:
                opened.add(parent)
                stack.append((parent, iter(sorted(references.get(parent, set()) & tables.keys()))))
    return out


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
