"""List by column what each direction removes (rule M10)."""

from __future__ import annotations

from dataclasses import replace

from alembic.operations import ops

from consdb_actions.migration.rewrite.plan import Facts, Loss, Plan

__all__ = ["losses"]


def losses(plan: Plan, facts: Facts) -> Plan:
    """List what is dropped without a copy, and every filled NULL."""
    copied = {(c.source, c.source_column) for c in facts.copies}
    out = list(plan.losses)
    if facts.direction == "upgrade":
        out += [
            Loss(
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
            words = (
                f"the upgrade drops {name}; the downgrade brings the column back, without its values"
                if facts.direction == "upgrade"
                else f"the downgrade drops {name} and what was written there since the upgrade"
            )
            out.append(Loss(op.table_name, op.column_name, facts.direction, words, dropped=True))
        elif isinstance(op, ops.DropTableOp):
            kept = [c for t, c in copied if t == op.table_name]
            but = f" but {', '.join(sorted(kept))}, which moved" if kept else ""
            back = "with that alone" if kept else "empty"
            words = (
                f"the upgrade drops table {op.table_name} with all its rows{but}; "
                f"the downgrade brings the table back, {back}"
                if facts.direction == "upgrade"
                else f"the downgrade drops table {op.table_name} and all its rows{but}"
            )
            out.append(Loss(op.table_name, None, facts.direction, words, dropped=True))
    return replace(plan, losses=tuple(sorted(out, key=lambda loss: (loss.table, loss.column or ""))))
