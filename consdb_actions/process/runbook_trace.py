"""Net effect of consecutive replayed revisions, by object id and column number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from consdb_actions.lint.readers import losses
from consdb_actions.lint.script import DirectionRun, LintStep
from consdb_actions.lint.state import LintColumn, LintRelation, LintState, Name
from consdb_actions.process.runbook_change import ColumnChange, Effects, Pair, Rekeyed

__all__ = ["effects_of"]

_READING = frozenset({"AccessShareLock", "RowShareLock"})


def effects_of(runs: Sequence[DirectionRun]) -> Effects:
    """Return the net effect of runs in one database, in order and by the final names."""
    if not runs:
        return Effects()
    start, end = runs[0].start, runs[-1].end
    steps = [step for run in runs for step in run.steps]
    kept = {
        oid: end.relations[oid] for oid, r in start.relations.items() if r.is_table and oid in end.relations
    }
    fresh = {r.name for oid, r in end.relations.items() if r.is_table and oid not in start.relations}
    written = [w for step in steps for w in _written(step)]
    old = [w for w in written if w.table.oid in kept]
    views = {
        r.name: r for r in end.relations.values() if not r.is_table and r is not start.relations.get(r.oid)
    }
    made = {n for n, r in views.items() if _shows_other(start.relations.get(r.oid), r)}
    remade = {name for name in made if name in start.by_name}
    gone = {r.name for r in start.relations.values() if not r.is_table} - set(end.by_name)

    def rows(how: str) -> tuple[Name, ...]:
        return _sorted(kept[w.table.oid].name for w in old if w.how == how)

    return Effects(
        new_tables=_sorted(fresh),
        dropped_tables=_sorted(
            r.name for o, r in start.relations.items() if r.is_table and o not in end.relations
        ),
        renamed_tables=tuple(
            sorted(
                (start.relations[o].name, r.name)
                for o, r in kept.items()
                if start.relations[o].name != r.name
            )
        ),
        columns=tuple(sorted(c for o, r in kept.items() for c in _columns(start.relations[o], r, steps))),
        rekeyed=tuple(sorted(k for o, r in kept.items() for k in _rekeyed(start.relations[o], r))),
        updated=rows("updated"),
        inserted=rows("inserted"),
        emptied=rows("deleted"),
        filled=_sorted({w.table.name for w in written if w.how != "deleted"} & fresh),
        unidentified=_pairs(start, kept, (w for w in old if w.has_other_key(kept[w.table.oid]))),
        passing=_pairs(start, kept, (w for w in old if _passes(w, kept[w.table.oid], old))),
        new_views=_sorted(made - remade),
        remade_views=_sorted(remade),
        dropped_views=_sorted(gone),
        view_columns=tuple((name, views[name].names) for name in _sorted(made)),
        locked=_sorted(start.relations[oid].name for oid in _locked(runs) if oid in start.relations),
        grants=tuple(sorted(_grants(start, end))),
        losses=tuple(dict.fromkeys(str(loss) for run in runs for loss in losses(run))),
        spoly=any(c.type.endswith("spoly") for _, c in _new_columns(start, end)),
        apart=tuple(dict.fromkeys(what for step in steps for what in _apart(step))),
        unknown=tuple(dict.fromkeys(what for run in runs for what in _unknown(run))),
    )


@dataclass(frozen=True)
class _Written:
    """A statement that writes rows, and its table at that time."""

    how: str
    table: LintRelation

    def has_other_key(self, final: LintRelation) -> bool:
        """Tell whether the replicated data of a row does not contain the final key."""
        if self.how == "inserted":
            return False
        key, last = self.table.primary_key, final.primary_key
        return not key or not last or not set(last) <= set(key)


def _written(step: LintStep) -> Iterator[_Written]:
    for write in step.parsed.writes if step.parsed and not step.problem else ():
        if (found := step.before.find(write.table)) is not None:
            yield _Written(write.how, found)


def _passes(written: _Written, final: LintRelation, others: Sequence[_Written]) -> bool:
    """Tell whether rows are written in an intermediate form."""
    if written.how == "inserted" or written.table.name != final.name:
        return True
    if written.how == "deleted":
        return False
    if set(written.table.names) - set(final.names):
        return True
    # Of several statements on one table, all but the last may leave a column empty that must not be.
    several = sum(other.table.oid == final.oid for other in others) > 1
    return several and any(
        not column.not_null and final.columns[number].not_null
        for number, column in written.table.columns.items()
        if number in final.columns
    )


def _columns(before: LintRelation, after: LintRelation, steps: Sequence[LintStep]) -> Iterator[ColumnChange]:
    table = after.name
    for number, now in after.columns.items():
        was = before.columns.get(number)
        if was is None:
            volatile = _volatile(after.oid, number, steps)
            yield ColumnChange(table, now.name, "added", required=now.required, volatile=volatile)
            continue
        if was.name != now.name:
            yield ColumnChange(table, now.name, "renamed", old=was.name, required=now.required)
        if was.type != now.type:
            widened = _takes(was.type, now.type)
            yield ColumnChange(table, now.name, "retyped", required=now.required, widened=widened)
        if now.not_null and not was.not_null:
            yield ColumnChange(table, now.name, "tightened", required=now.required)
        elif was.not_null and not now.not_null:
            yield ColumnChange(table, now.name, "loosened")
    for number, was in before.columns.items():
        if number not in after.columns:
            yield ColumnChange(table, was.name, "dropped", required=was.required)


def _volatile(oid: int, number: int, steps: Sequence[LintStep]) -> str:
    """Return the expression that gives each row of a new column its own value: the table was rewritten."""
    for step in steps:
        before, after = step.before.relations.get(oid), step.after.relations.get(oid)
        if before is None or after is None or number in before.columns or number not in after.columns:
            continue
        column = after.columns[number]
        if before.file == after.file or column.generated:
            return ""
        if column.identity:
            return "IDENTITY"
        called = re.search(r"(\w+)\(", column.default or "")
        return called[1] if called else column.default or ""
    return ""


def _rekeyed(before: LintRelation, after: LintRelation) -> Iterator[Rekeyed]:
    now = {column.name: after.columns[n].name for n, column in before.columns.items() if n in after.columns}
    had = tuple(now.get(name, name) for name in before.primary_key)
    if set(had) != set(after.primary_key):
        yield Rekeyed(after.name, had, after.primary_key)


def _shows_other(before: LintRelation | None, after: LintRelation) -> bool:
    return before is None or before.names != after.names


def _locked(runs: Sequence[DirectionRun]) -> set[int]:
    """Return the relations that others cannot write or change during the migration."""
    states = [state for run in runs for state in (run.end, *(step.after for step in run.steps))]
    return {oid for state in states for oid, mode in state.locks.items() if mode not in _READING}


def _grants(start: LintState, end: LintState) -> Iterator[tuple[Name, str, str]]:
    for oid, relation in end.relations.items():
        had = start.relations[oid].grants if oid in start.relations else frozenset()
        yield from ((relation.name, role, privilege) for role, privilege in relation.grants - had)


def _new_columns(start: LintState, end: LintState) -> Iterator[tuple[LintRelation, LintColumn]]:
    for oid, relation in end.relations.items():
        had = start.relations[oid].columns if oid in start.relations else {}
        if relation.is_table:
            yield from (
                (relation, c) for n, c in relation.columns.items() if n not in had or had[n].type != c.type
            )


def _apart(step: LintStep) -> Iterator[str]:
    if step.parsed is not None and step.parsed.outside:
        yield "an index CONCURRENTLY" if "INDEX" in step.parsed.outside else step.parsed.outside
    if step.parsed is not None and step.parsed.transaction in ("commit", "rollback"):
        yield step.parsed.transaction.upper()


def _unknown(run: DirectionRun) -> Iterator[str]:
    for step in run.steps:
        if step.parsed is None:
            yield f"a statement that is not SQL: {step.problem}"
        elif step.unjudged:
            yield f"{step.unjudged}, which can do anything"
        elif step.problem and not step.parsed.outside:
            yield f"a statement that Postgres refuses: {step.problem}"
    yield from (notice.message for notice in run.notices if notice.kind == "unjudged")
    if run.failure is not None:
        yield f"{run.failure.kind}: {run.failure.message}"


_TYPE = re.compile(r"(?P<name>[a-z ]+?)(?:\((?P<size>\d+)\))?")
_WHOLE_NUMBERS = {"smallint": 6, "integer": 11, "bigint": 20}  # characters of the longest


def _takes(old: str, new: str) -> bool:
    """Tell whether a value keeps its text in another type."""
    was, now = _TYPE.fullmatch(old), _TYPE.fullmatch(new)
    if was is None or now is None:
        return False
    texts = ("text", "character varying")
    if now["name"] in texts and was["name"] in (*texts, *_WHOLE_NUMBERS):
        longest = int(was["size"]) if was["size"] else _WHOLE_NUMBERS.get(was["name"])
        return not now["size"] or (longest is not None and int(now["size"]) >= longest)
    numbers = list(_WHOLE_NUMBERS)
    if was["name"] in numbers and now["name"] in numbers:
        return numbers.index(was["name"]) <= numbers.index(now["name"])
    return False


def _pairs(start: LintState, kept: dict[int, LintRelation], written: Iterable[_Written]) -> tuple[Pair, ...]:
    return tuple(sorted({(start.relations[w.table.oid].name, kept[w.table.oid].name) for w in written}))


def _sorted(names: Iterable[Name]) -> tuple[Name, ...]:
    return tuple(sorted(set(names)))
