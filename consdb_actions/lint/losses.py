"""Check what a revision removes, and whether the downgrade restores it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from consdb_actions.catalog import Difference, compare
from consdb_actions.lint.changes import SIZE, at, both, short
from consdb_actions.lint.finding import Hit, listed
from consdb_actions.lint.script import Run, Script, Step
from consdb_actions.lint.sql import Write
from consdb_actions.lint.state import Name, Relation

__all__ = ["LOSSES", "Loss", "losses"]

_SHOWN = 6
_INTEGERS = ("smallint", "integer", "bigint")


@dataclass(frozen=True, slots=True)
class Loss:
    """What a statement removes for good."""

    step: Step
    what: str
    """A noun; ``{items}`` is replaced by the column."""
    table: Name
    column: str = ""
    """Empty where it is more than one."""

    def __str__(self) -> str:
        if self.what.startswith("column"):
            return f"column {self.table}.{self.column}"
        return self.what.replace("{items}", self.column)


def losses(run: Run) -> Iterator[Loss]:
    """Yield existing data that a direction removes without copying it first."""
    copied: set[tuple[int, int]] = set()
    kept_for_later: dict[str, set[tuple[int, int]]] = {}
    for step in run.steps:
        gone = [r for oid, r in step.before.relations.items() if oid not in step.after.relations]
        for relation in gone:
            if relation.is_table and run.is_old(relation):
                yield from _lost_table(step, relation, copied)
        for relation, after in both(step):
            if relation.is_table and run.is_old(relation):
                for number, column in relation.columns.items():
                    was_there = number in run.start.relations[relation.oid].columns
                    if number not in after.columns and was_there and (relation.oid, number) not in copied:
                        yield Loss(step, f"column {{items}} of {relation.name}", relation.name, column.name)
        if step.parsed is None or step.problem:
            continue
        for retyped in step.parsed.overwritten:
            found = step.before.find(retyped.table)
            if found is not None and run.is_old(found):
                yield Loss(
                    step, f"the values of column {{items}} of {found.name}", found.name, retyped.column
                )
        for write in step.parsed.writes:
            found = step.before.find(write.table)
            if write.how == "deleted" and found is not None and run.is_old(found):
                yield Loss(step, f"rows of {found.name}", found.name)
        carried = _copied_columns(step, kept_for_later)
        if step.parsed.temporary:
            kept_for_later[step.parsed.temporary] = carried
        else:
            copied |= carried


def _lost_table(step: Step, table: Relation, copied: set[tuple[int, int]]) -> Iterator[Loss]:
    kept = [column.name for number, column in table.columns.items() if (table.oid, number) in copied]
    # Rows were moved when every column but the key, by which they were matched, was copied.
    if kept and set(table.names) - set(kept) <= set(table.primary_key):
        return
    but = f" but {', '.join(sorted(kept))}" if kept else ""
    yield Loss(step, f"table {table.name} with its rows{but}", table.name)


def _copied_columns(step: Step, kept_for_later: dict[str, set[tuple[int, int]]]) -> set[tuple[int, int]]:
    """Return the columns whose values a statement copies, also through a temporary table."""
    out: set[tuple[int, int]] = set()
    for name, wanted in step.parsed.copied if step.parsed else ():
        if not name.schema and name.name in kept_for_later:
            out |= kept_for_later[name.name]
        found = step.before.find(name)
        if found is not None:
            out |= {(found.oid, n) for n, c in found.columns.items() if wanted in ("*", c.name)}
    return out


def data_loss(script: Script) -> Iterator[Hit]:
    """Yield what the upgrade removes."""
    run = script.upgrade
    for loss in losses(run):
        message = f"data loss: {loss.what}; the downgrade cannot restore it"
        yield at(run, loss.step, message, loss.table, loss.column)


def values_overwritten(script: Script) -> Iterator[Hit]:
    """Yield UPDATEs of the upgrade that replace existing values."""
    run = script.upgrade
    copied: set[tuple[int, int]] = set()
    for step in run.steps:
        for before, after in both(step):
            if before.is_table and run.is_old(before):
                yield from _altered(run, step, before, after)
        for write in step.parsed.writes if step.parsed and not step.problem else ():
            found = step.before.find(write.table)
            old = run.start.relations.get(found.oid) if found is not None else None
            if found is None or old is None or write.how != "updated":
                continue
            lost = [c for c in _set_columns(found, write, old) if (found.oid, c) not in copied]
            for number in lost:
                which = "in every row" if write.everything else "in some rows"
                message = f"the old values of {{items}} of {found.name} are overwritten {which}"
                name = found.columns[number].name
                yield at(run, step, message, found.name, name, minor=not write.everything)
        copied |= _copied_columns(step, {})


def _altered(run: Run, step: Step, before: Relation, after: Relation) -> Iterator[Hit]:
    for number, column in after.columns.items():
        old = before.columns.get(number)
        if old is not None and old.type != column.type and _loses_digits(old.type, column.type):
            item = f"{column.name} ({old.type} to {column.type})"
            message = f"the new type of {{items}} of {after.name} cannot hold every old value as it was"
            yield at(run, step, message, after.name, item)


def _loses_digits(old: str, new: str) -> bool:
    """Return whether a conversion rounds, truncates, or drops a time zone."""
    was, now = SIZE.sub("", old), SIZE.sub("", new)
    fractions = ("numeric", "real", "double precision")
    if was in fractions and now in (*_INTEGERS, "real", "numeric", "double precision"):
        if was == now == "numeric":
            return _scale(new) < _scale(old)
        return (was, now) not in (("real", "double precision"), ("real", "numeric")) or "(" in new
    if was in _INTEGERS:
        return now == "real" or (was == "bigint" and now == "double precision")
    if was.startswith("timestamp"):
        return now == "date" or now.startswith("time ") or _has_zone(was) != _has_zone(now)
    return False


def _has_zone(type_: str) -> bool:
    return "with time zone" in type_


def _scale(type_: str) -> float:
    """Return the scale of a ``numeric``; infinite without a limit."""
    size = SIZE.search(type_)
    return float(size[1].partition(",")[2] or 0) if size else float("inf")


def _set_columns(table: Relation, write: Write, old: Relation) -> Iterator[int]:
    for number, column in table.columns.items():
        if column.name in write.columns and number in old.columns:
            yield number


def cascade(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions with CASCADE."""
    for run in script.runs:
        for step in run.steps:
            if step.parsed is not None and step.parsed.cascade:
                taken = list(_dropped_unnamed(step))
                known = f", here {listed(taken)}" if taken else ""
                yield at(
                    run, step, f"CASCADE removes whatever depends on it{known}", step.parsed.target or ""
                )


def _dropped_unnamed(step: Step) -> Iterator[str]:
    """Yield dropped relations and constraints that the statement does not name."""
    named = (
        {r.oid for name in step.parsed.relations if (r := step.before.find(name))} if step.parsed else set()
    )
    for oid, relation in step.before.relations.items():
        if oid not in step.after.relations:
            if oid not in named:
                yield f"{relation.kind} {relation.name}"
        elif oid not in named:
            lost = set(relation.constraints) - set(step.after.relations[oid].constraints)
            yield from (f"constraint {name} of {relation.name}" for name in sorted(lost))


def downgrade_loss(script: Script) -> Iterator[Hit]:
    """Yield what the downgrade removes."""
    run = script.downgrade
    for loss in losses(run):
        message = f"data loss on downgrade: {loss.what}, as far as it was written since the upgrade"
        yield at(run, loss.step, message, loss.table, loss.column)


def downgrade_mirror(script: Script) -> Iterator[Hit]:
    """Yield differences left after upgrade and downgrade (rule M10)."""
    up, down = script.upgrade, script.downgrade
    if script.catalog is None or down.catalog is None or not (up.whole and down.whole and down.steps):
        return
    different = compare(script.catalog, down.catalog)
    # The definition of a view repeats its columns.
    shown = {d.path[0] for d in different if "columns" in d.path}
    found = [_difference(d) for d in different if d.path[1:] != ("definition",) or d.path[0] not in shown]
    if found:
        rest = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        message = f"the downgrade does not restore the state before: {'; '.join(found[:_SHOWN])}{rest}"
        yield Hit(down.line, message, "downgrade")


def _difference(difference: Difference) -> str:
    path = ".".join(difference.path)
    if difference.right is None and difference.path[-1] not in ("comment", "default"):
        return f"{path} is missing"
    if difference.left is None and difference.path[-1] not in ("comment", "default"):
        return f"{path} is left over"
    if isinstance(difference.left, str | None) and isinstance(difference.right, str | None):
        was, now = (repr(short(v)) if v is not None else "none" for v in (difference.left, difference.right))
        return f"{path} is {now}, and was {was}"
    return f"{path} differs"


def empty_downgrade(script: Script) -> Iterator[Hit]:
    """Yield a downgrade that does nothing."""
    up, down = script.upgrade, script.downgrade
    raises = down.failure is not None and down.failure.kind == "unsupported"
    if down.steps or (down.failure is not None and not raises):
        return
    if script.catalog is not None and up.catalog is not None and _without_grants(script.catalog, up.catalog):
        does = "raises NotImplementedError" if raises else "does nothing"
        yield Hit(down.line, f"the upgrade changes the schema, and the downgrade {does}", "downgrade")


def _without_grants(before: Any, after: Any) -> bool:
    return any("grants" not in d.path for d in compare(before, after))


LOSSES = (
    data_loss, values_overwritten, cascade, empty_downgrade, downgrade_mirror, downgrade_loss,
)  # fmt: skip
