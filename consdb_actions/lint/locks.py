"""Check locks, rewrites and scans by Postgres's behavior and squawk (rule L4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consdb_actions.lint.finding import Hit, listed
from consdb_actions.lint.running import EXCLUSIVE, added, at, both, short
from consdb_actions.lint.script import DirectionRun, LintStep, RevisionScript
from consdb_actions.lint.state import LintRelation

Check = Callable[[RevisionScript], Iterator[Hit]]

_BLOCKING = {
    "AccessExclusiveLock": EXCLUSIVE,
    "ExclusiveLock": "EXCLUSIVE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ShareLock": "SHARE",
}


def table_rewrite(script: RevisionScript) -> Iterator[Hit]:
    """Yield statements of the upgrade that rewrite a table."""
    run = script.upgrade
    for step in run.steps:
        written = False
        for before, after in both(step):
            if not run.is_old(before) or before.file == after.file or before.persistence != after.persistence:
                continue
            if step.parsed is not None and step.parsed.kind == "TruncateStmt":
                continue
            written = True
            message = f"{after.name} is rewritten while nobody can use it: {{items}}"
            yield at(run, step, message, after.name, _why_rewritten(step, before, after), lock=EXCLUSIVE)
        parsed = step.parsed
        if written or parsed is None:
            continue
        rewrites = (
            parsed.kind == "ClusterStmt"
            or "AT_SetTableSpace" in parsed.subtypes
            or parsed.outside == "VACUUM"
        )
        if rewrites or parsed.kind == "ReindexStmt":
            table = run.target(step)
            message = f"{table.name if table else 'a table'} is rewritten, or its indexes are: {{items}}"
            yield at(
                run,
                step,
                message,
                table.name if table else "",
                short(parsed.sql),
                lock=EXCLUSIVE,
                minor=True,
            )


def _why_rewritten(step: LintStep, before: LintRelation, after: LintRelation) -> str:
    reasons = []
    for number, column in after.columns.items():
        old = before.columns.get(number)
        if old is None and (column.default or column.identity):
            value = column.default or f"identity ({'ALWAYS' if column.identity == 'a' else 'BY DEFAULT'})"
            reasons.append(f"the default of {column.name} ({short(value)}) is computed for each row")
        elif old is not None and old.type != column.type:
            reasons.append(f"{column.name} changes from {old.type} to {column.type}")
        elif old is not None and old.identity != column.identity:
            reasons.append(f"{column.name} becomes an identity column")
    return "; ".join(reasons) or short(" ".join(step.sql.split()))


_FROM_SQUAWK = {
    "require-concurrent-index-creation": ("index-under-lock", "SHARE"),
    "require-concurrent-reindex": ("index-under-lock", EXCLUSIVE),
    "disallowed-unique-constraint": ("key-under-lock", EXCLUSIVE),
    "adding-serial-primary-key-field": ("key-under-lock", EXCLUSIVE),
    "adding-foreign-key-constraint": ("foreign-key-scan", "SHARE ROW EXCLUSIVE"),
    "adding-not-nullable-field": ("not-null-scan", EXCLUSIVE),
    "constraint-missing-not-valid": ("check-scan", EXCLUSIVE),
    "ban-create-domain-with-constraint": ("check-scan", ""),
    "ban-alter-domain-with-add-constraint": ("check-scan", ""),
}
"""Squawk's rules, and the rules here that report them."""


def _from_squawk(rule: str) -> Check:
    def check(script: RevisionScript) -> Iterator[Hit]:
        run = script.upgrade
        for found in script.squawk:
            ours, lock = _FROM_SQUAWK.get(found.rule, ("", ""))
            step = run.steps[found.statement]
            if not ours or step.parsed is None:
                continue
            table = run.target(step)
            if table is None and step.parsed.target is not None:
                continue  # a table created by this revision has no users
            if found.rule == "constraint-missing-not-valid":
                ours = _scan_rule(step, table)
            if found.rule == "adding-foreign-key-constraint" and not _checks_rows(run, step):
                continue
            if ours != rule or (ours == "not-null-scan" and table is not None and _proven(step, table)):
                continue
            items = _subject(step, table)
            message = f"{table.name if table else 'a table'}: {found.message.rstrip('.')}: {{items}}"
            yield at(run, step, message, table.name if table else "", items, lock=lock)

    check.__doc__ = f"Yield what squawk finds of ``{rule}``."
    return check


def _scan_rule(step: LintStep, table: LintRelation | None) -> str:
    """Return the rule for a constraint that scans rows; keys have their own rules."""
    after = step.after.relations.get(table.oid) if table is not None else None
    if table is None or after is None:
        return ""
    for name, constraint in after.constraints.items():
        before = table.constraints.get(name)
        if before is None or before.valid != constraint.valid:
            if constraint.kind in "cx":
                return "check-scan"
            return "foreign-key-scan" if constraint.kind == "f" and before is not None else ""
    return ""


def _checks_rows(run: DirectionRun, step: LintStep) -> bool:
    """Return whether a foreign key is checked against rows; a new column without default holds only NULL."""
    new = [column for _, _, column in added(run, step)]
    return not new or any(column.default or column.identity for column in new)


def _proven(step: LintStep, table: LintRelation) -> bool:
    """Return whether no column becomes NOT NULL, or a valid CHECK proves it."""
    after = step.after.relations.get(table.oid)
    if after is None or step.problem:
        return after is None
    became = [
        column.name
        for number, column in after.columns.items()
        if column.not_null and number in table.columns and not table.columns[number].not_null
    ]
    checked = {c.columns[0] for c in table.constraints.values() if c.proves_not_null}
    return all(name in checked for name in became)


def _subject(step: LintStep, table: LintRelation | None) -> str:
    after = step.after.relations.get(table.oid) if table is not None else None
    if table is None or after is None:
        return short(step.sql)
    new = [
        name
        for name in (*after.constraints, *after.indexes)
        if name not in (*table.constraints, *table.indexes)
    ]
    new += [
        n
        for n, c in after.constraints.items()
        if n in table.constraints and c.valid != table.constraints[n].valid
    ]
    new += [
        column.name
        for number, column in after.columns.items()
        if number in table.columns and column.not_null and not table.columns[number].not_null
    ]
    return ", ".join(dict.fromkeys(new)) or short(" ".join(step.sql.split()))


def explicit_lock(script: RevisionScript) -> Iterator[Hit]:
    """Yield LOCK TABLE of the upgrade without a time-out."""
    run = script.upgrade
    for step in run.steps:
        bounded = step.before.settings.get("lock_timeout", "0") != "0"
        if step.parsed is not None and step.parsed.kind == "LockStmt" and not bounded:
            names = listed(sorted(map(str, step.parsed.relations)))
            lock = max(
                (
                    step.after.locks.get(r.oid, "")
                    for n in step.parsed.relations
                    if (r := step.before.find(n))
                ),
                default="",
            )
            yield at(
                run,
                step,
                f"{names} is locked explicitly until the migration ends",
                lock=_BLOCKING.get(lock, ""),
            )


def lock_timeout(script: RevisionScript) -> Iterator[Hit]:
    """Yield the upgrade's first lock without a timeout, with all tables concerned."""
    run = script.upgrade
    first: LintStep | None = None
    tables: dict[str, None] = {}
    for step in run.steps:
        if step.before.settings.get("lock_timeout", "0") != "0":
            continue
        for oid, mode in step.after.locks.items():
            held = run.start.relations.get(oid)
            if held is not None and mode in _BLOCKING and step.before.locks.get(oid) != mode:
                first = first or step
                tables[str(held.name)] = None
    if first is not None:
        message = f"no lock_timeout: the migration waits without limit for {listed(sorted(tables))}"
        yield at(run, first, message, lock=EXCLUSIVE)


LOCKS: dict[str, Check] = {
    "table-rewrite": table_rewrite,
    "explicit-lock": explicit_lock,
    "lock-timeout": lock_timeout,
    **{rule: _from_squawk(rule) for rule, _ in _FROM_SQUAWK.values()},
}
