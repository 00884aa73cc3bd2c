"""Check statements: what does not run, names, locks, rewrites and scans (rule L4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from consdb_actions.lint.finding import Hit, listed
from consdb_actions.lint.script import DirectionRun, LintColumn, LintRelation, LintStep, RevisionScript
from consdb_actions.schema.model import cut

EXCLUSIVE = "ACCESS EXCLUSIVE"

SIZE = re.compile(r"\(([\d,]+)\)")  # Length or precision of a type


def at(
    run: DirectionRun, step: LintStep, message: str, table: object = "", item: str = "", **more: Any
) -> Hit:
    """Return a hit on a statement."""
    return Hit(step.line, message, run.direction, str(table), item, sql=step.sql, **more)


def short(text: str) -> str:
    """Shorten a long text."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def both(step: LintStep) -> Iterator[tuple[LintRelation, LintRelation]]:
    """Yield the relations that differ before and after a statement."""
    if step.before is step.after:
        return
    for oid, before in step.before.relations.items():
        after = step.after.relations.get(oid)
        if after is not None and after is not before:
            yield before, after


def start_and_end(run: DirectionRun) -> Iterator[tuple[LintRelation, LintRelation]]:
    """Yield the relations that differ before and after a direction."""
    for oid, start in run.start.relations.items():
        if (end := run.end.relations.get(oid)) is not None and end is not start:
            yield start, end


def added(run: DirectionRun, step: LintStep) -> Iterator[tuple[LintRelation, int, LintColumn]]:
    """Yield the columns that a statement adds to existing tables."""
    for before, after in both(step):
        if run.is_old(before) and before.is_table:
            for number, column in after.columns.items():
                if number not in before.columns:
                    yield after, number, column


def types(relation: LintRelation | None) -> dict[str, str]:
    """Return the type of each column without length and precision."""
    columns = relation.columns.values() if relation is not None else ()
    return {column.name: SIZE.sub("", column.type) for column in columns}


Check = Callable[[RevisionScript], Iterator[Hit]]

_SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_temp"})


def script_fails(script: RevisionScript) -> Iterator[Hit]:
    """Yield a direction that raises an exception."""
    for run in script.runs:
        if run.failure is not None and run.failure.kind == "error":
            yield Hit(run.failure.line, f"{run.direction}() fails here: {run.failure.message}", run.direction)


def unparseable(script: RevisionScript) -> Iterator[Hit]:
    """Yield what is not SQL."""
    for run in script.runs:
        for step in run.steps:
            if step.parsed is None:
                yield at(run, step, f"this is not SQL: {step.problem}")


def not_judged(script: RevisionScript) -> Iterator[Hit]:
    """Yield what lint cannot judge (rule L1)."""
    if script.history:
        message = f"not judged: the state before this revision is unknown, since {script.history}"
        yield Hit(script.line, message, "upgrade")
    for run in script.runs:
        for step in run.steps:
            if step.unjudged:
                yield at(run, step, "not judged: {items}", item=step.unjudged)
        for notice in run.notices:
            if notice.kind == "unjudged":
                yield Hit(notice.line, "not judged: {items}", run.direction, item=notice.message)


def two_heads(script: RevisionScript) -> Iterator[Hit]:
    """Yield the revision when it is one of several heads (rule M12)."""
    others = [
        f"{revision} ({file})" for revision, file in script.heads.items() if revision != script.revision
    ]
    if others and script.revision in script.heads:
        message = f"{script.revision} is a head of {script.section}, and so is {', '.join(others)}"
        yield Hit(script.line, message)


def edited_merged_revision(script: RevisionScript) -> Iterator[Hit]:
    """Yield the revision when it was edited after merging, and removed ones (rule M12)."""
    if script.edited:
        yield Hit(script.line, f"revision {script.revision} is merged already, and its code was edited")
    for revision, file in script.removed.items():
        yield Hit(script.line, f"revision {revision} ({file}) is merged already, and was removed")


def does_not_apply(script: RevisionScript) -> Iterator[Hit]:
    """Yield the first statement of each direction that Postgres refuses."""
    if script.history:
        return  # the previous state is unknown
    # After a failed upgrade, the downgrade starts in a state that it was not written for.
    for run in script.runs if script.upgrade.whole else (script.upgrade,):
        for step in run.steps:
            if step.problem and step.parsed is not None and not (step.parsed.outside and step.in_transaction):
                target = step.parsed.target or ""
                yield at(run, step, f"the {run.direction} stops here: {step.problem}", target)
                break


def not_null_without_default(script: RevisionScript) -> Iterator[Hit]:
    """Yield the columns of both directions that a table with rows refuses."""
    for run in script.runs:
        for step in run.steps:
            for relation, number, column in added(run, step):
                if column.required:
                    message = f"{relation.name} cannot get the NOT NULL column {{items}} once it holds rows"
                    yield at(run, step, message, relation.name, relation.columns[number].name)


def needs_autocommit(script: RevisionScript) -> Iterator[Hit]:
    """Yield statements of both directions that Postgres refuses in a transaction."""
    for run, step, parsed in script.statements:
        if parsed.outside and step.in_transaction:
            message = f"{parsed.outside} cannot run inside of the migration's transaction"
            yield at(run, step, message, parsed.target or "")


def ends_transaction(script: RevisionScript) -> Iterator[Hit]:
    """Yield COMMIT, ROLLBACK and BEGIN of both directions."""
    message = "{items} ends or begins a transaction explicitly"
    for run, step, parsed in script.statements:
        if parsed.transaction in ("commit", "rollback", "begin"):
            yield at(run, step, message, item=step.sql.split()[0].upper())
    for run in script.runs:
        for notice in run.notices:
            if notice.kind == "transaction":
                yield Hit(notice.line, message, run.direction, item=notice.message)


def unqualified_name(script: RevisionScript) -> Iterator[Hit]:
    """Yield statements of both directions that name a relation without its schema."""
    for run in script.runs:
        temporary: set[str] = set()
        for step, parsed in run.statements:
            temporary.add(parsed.temporary)
            bare = {r.name for r in parsed.relations if not r.schema and not r.name.startswith("pg_")}
            path = step.before.settings.get("search_path", "")
            if bare - temporary and path == run.start.settings.get("search_path", ""):
                item = listed(sorted(bare - temporary))
                yield at(run, step, "{items} is named without a schema", item=item)


def other_schema(script: RevisionScript) -> Iterator[Hit]:
    """Yield statements of both directions that name another schema, or reach it by the search path."""
    allowed = _SYSTEM | {script.schema, script.version_schema}
    for run, step, parsed in script.statements:
        named = dict(parsed.schemas)
        for name in parsed.relations:
            # Without a schema, the search path that the revision set decides.
            found = step.before.find(name) or step.after.find(name)
            if found is not None and not name.schema:
                named[found.name.schema] = True
        others = [s for s, is_data in named.items() if s not in allowed and (is_data or s != "public")]
        if others:
            message = f"schema {{items}} is named in a revision of {script.schema}"
            yield at(run, step, message, item=listed(others))


def long_identifier(script: RevisionScript) -> Iterator[Hit]:
    """Yield the names of both directions that Postgres would truncate."""
    for run, step, parsed in script.statements:
        known = _all_names(step) if parsed.long_identifiers else set()
        for name in parsed.long_identifiers:
            if cut(name) not in known:
                item = f"{name} has {len(name.encode())} bytes; Postgres cuts it to {cut(name)}"
                yield at(run, step, "{items}", item=item)


def version_table(script: RevisionScript) -> Iterator[Hit]:
    """Yield statements of both directions that change a version table."""
    for run, step, parsed in script.statements:
        if parsed.kind in ("SelectStmt", "GrantStmt", "CommentStmt"):
            continue
        touched = {w.table for w in parsed.writes} | {parsed.target}
        if parsed.kind == "DropStmt":
            touched |= parsed.relations
        for name in touched:
            if name and name.name.endswith("_version") and name.schema == script.version_schema:
                yield at(run, step, f"{name} belongs to Alembic, and this statement changes it", name)


def _all_names(step: LintStep) -> set[str]:
    names: set[str] = set()
    for relation in step.before.relations.values():
        names |= {relation.name.name, *relation.names, *relation.constraints, *relation.indexes}
    return names


RUNNING = (
    script_fails, unparseable, not_judged, two_heads, edited_merged_revision, does_not_apply,
    not_null_without_default, needs_autocommit, ends_transaction, unqualified_name, other_schema,
    long_identifier, version_table,
)  # fmt: skip


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
            table, item = run.target(step), short(parsed.sql)
            message = f"{table.name if table else 'a table'} is rewritten, or its indexes are: {{items}}"
            yield at(run, step, message, table.name if table else "", item, lock=EXCLUSIVE, minor=True)


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
            if ours != rule or (ours == "not-null-scan" and table is not None and _is_proven(step, table)):
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


def _is_proven(step: LintStep, table: LintRelation) -> bool:
    """Return whether no column becomes NOT NULL, or a valid CHECK proves it."""
    after = step.after.relations.get(table.oid)
    if after is None or step.problem:
        return after is None
    checked = {c.columns[0] for c in table.constraints.values() if c.proves_not_null}
    return checked.issuperset(_became_not_null(table, after))


def _became_not_null(before: LintRelation, after: LintRelation) -> Iterator[str]:
    for number, column in after.columns.items():
        if column.not_null and number in before.columns and not before.columns[number].not_null:
            yield column.name


def _subject(step: LintStep, table: LintRelation | None) -> str:
    after = step.after.relations.get(table.oid) if table is not None else None
    if table is None or after is None:
        return short(step.sql)
    before = (*table.constraints, *table.indexes)
    new = [name for name in (*after.constraints, *after.indexes) if name not in before]
    for name, constraint in after.constraints.items():
        if name in table.constraints and constraint.valid != table.constraints[name].valid:
            new.append(name)
    new += _became_not_null(table, after)
    return ", ".join(dict.fromkeys(new)) or short(" ".join(step.sql.split()))


def explicit_lock(script: RevisionScript) -> Iterator[Hit]:
    """Yield LOCK TABLE of the upgrade without a time-out."""
    run = script.upgrade
    for step, parsed in run.statements:
        if parsed.kind == "LockStmt" and step.before.settings.get("lock_timeout", "0") == "0":
            found = filter(None, map(step.before.find, parsed.relations))
            lock = max((step.after.locks.get(relation.oid, "") for relation in found), default="")
            message = (
                f"{listed(sorted(map(str, parsed.relations)))} is locked explicitly until the migration ends"
            )
            yield at(run, step, message, lock=_BLOCKING.get(lock, ""))


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
