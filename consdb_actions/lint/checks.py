"""What each rule finds in a revision that was replayed; the texts of the rules are in ``rules``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from consdb_actions.lint.finding import Hit, listed
from consdb_actions.lint.script import Run, Script, Step
from consdb_actions.lint.sql import Write
from consdb_actions.lint.state import Column, Grants, Name, Relation
from consdb_actions.migration.catalog import Difference, compare
from consdb_actions.schema.names import cut

__all__ = ["CHECKS", "Loss", "losses"]

Check = Callable[[Script], Iterator[Hit]]

EXCLUSIVE = "ACCESS EXCLUSIVE"
_BLOCKING = {
    "AccessExclusiveLock": EXCLUSIVE,
    "ExclusiveLock": "EXCLUSIVE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ShareLock": "SHARE",
}
_SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_temp"})
_SHOWN = 6
_SIZE = re.compile(r"\(([\d,]+)\)")
_INTEGERS = ("smallint", "integer", "bigint")


def at(run: Run, step: Step, message: str, table: object = "", item: str = "", **more: Any) -> Hit:
    """Return a hit on a statement."""
    return Hit(step.line, message, run.direction, str(table), item, sql=step.sql, **more)


# The file and its history


def script_fails(script: Script) -> Iterator[Hit]:
    """Yield the function that raises."""
    for run in script.runs:
        if run.failure is not None and run.failure.kind == "error":
            yield Hit(run.failure.line, f"{run.direction}() fails here: {run.failure.message}", run.direction)


def unparseable(script: Script) -> Iterator[Hit]:
    """Yield what is not SQL."""
    for run in script.runs:
        for step in run.steps:
            if step.parsed is None:
                yield at(run, step, f"this is not SQL: {step.problem}")


def not_judged(script: Script) -> Iterator[Hit]:
    """Yield what lint cannot tell (rule L1)."""
    if script.history:
        message = f"not judged: what is there before this revision is not known, since {script.history}"
        yield Hit(script.line, message, "upgrade")
    for run in script.runs:
        for step in run.steps:
            if step.unjudged:
                yield at(run, step, "not judged: {items}", item=step.unjudged)
        for notice in run.notices:
            if notice.kind == "unjudged":
                yield Hit(notice.line, "not judged: {items}", run.direction, item=notice.message)


def two_heads(script: Script) -> Iterator[Hit]:
    """Yield the revision when it is one of several heads (rule M12)."""
    others = [
        f"{revision} ({file})" for revision, file in script.heads.items() if revision != script.revision
    ]
    if others and script.revision in script.heads:
        yield Hit(
            script.line, f"{script.revision} is a head of {script.section}, and so is {', '.join(others)}"
        )


def edited_merged_revision(script: Script) -> Iterator[Hit]:
    """Yield the revision when it was edited, and those that were removed (rule M12)."""
    if script.edited:
        yield Hit(script.line, f"revision {script.revision} is merged already, and its code was edited")
    for revision, file in script.removed.items():
        yield Hit(script.line, f"revision {revision} ({file}) is merged already, and was removed")


# What does not run, or not as meant


def does_not_apply(script: Script) -> Iterator[Hit]:
    """Yield the first statement of each direction that Postgres refuses."""
    # After an upgrade that stops, the downgrade begins with a state that it was not made for.
    for run in script.runs if script.upgrade.whole else (script.upgrade,):
        for step in run.steps:
            if step.problem and step.parsed is not None and not (step.parsed.outside and step.in_transaction):
                target = step.parsed.target or ""
                yield at(run, step, f"the {run.direction} stops here: {step.problem}", target)
                break


def not_null_without_default(script: Script) -> Iterator[Hit]:
    """Yield the columns of both directions that a table with rows refuses."""
    for run in script.runs:
        for step in run.steps:
            for relation, number, column in _added(run, step):
                if column.required:
                    message = f"{relation.name} cannot get the NOT NULL column {{items}} once it holds rows"
                    yield at(run, step, message, relation.name, relation.columns[number].name)


def needs_autocommit(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions that Postgres refuses in a transaction."""
    for run in script.runs:
        for step in run.steps:
            if step.parsed is not None and step.parsed.outside and step.in_transaction:
                message = f"{step.parsed.outside} cannot run inside of the migration's transaction"
                yield at(run, step, message, step.parsed.target or "")


def ends_transaction(script: Script) -> Iterator[Hit]:
    """Yield COMMIT, ROLLBACK and BEGIN of both directions."""
    for run in script.runs:
        for step in run.steps:
            if step.parsed is not None and step.parsed.transaction in ("commit", "rollback", "begin"):
                yield at(
                    run,
                    step,
                    "{items} ends or begins a transaction by hand",
                    item=step.sql.split()[0].upper(),
                )
        for notice in run.notices:
            if notice.kind == "transaction":
                message = "{items} ends or begins a transaction by hand"
                yield Hit(notice.line, message, run.direction, item=notice.message)


def unqualified_name(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions that name a relation without its schema."""
    for run in script.runs:
        temporary: set[str] = set()
        for step in run.steps:
            if step.parsed is None:
                continue
            bare = {r.name for r in step.parsed.relations if not r.schema}
            temporary.add(step.parsed.temporary)
            path = step.before.settings.get("search_path", "")
            bare = {n for n in bare - temporary if not n.startswith("pg_")}
            if bare and (path == run.start.settings.get("search_path", "")):
                yield at(run, step, "{items} is named without a schema", item=listed(sorted(bare)))


def other_schema(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions that name a schema of somebody else."""
    allowed = _SYSTEM | {script.schema, script.version_schema}
    for run in script.runs:
        for step in run.steps:
            named = step.parsed.schemas if step.parsed else {}
            others = [s for s, is_data in named.items() if s not in allowed and (is_data or s != "public")]
            if others:
                message = f"schema {{items}} is named in a revision of {script.schema}"
                yield at(run, step, message, item=listed(others))


def long_identifier(script: Script) -> Iterator[Hit]:
    """Yield the names of both directions that Postgres would cut."""
    for run in script.runs:
        for step in run.steps:
            known = _all_names(step) if step.parsed and step.parsed.long_identifiers else set()
            for name in step.parsed.long_identifiers if step.parsed else ():
                if cut(name) not in known:
                    item = f"{name} has {len(name.encode())} bytes; Postgres cuts it to {cut(name)}"
                    yield at(run, step, "{items}", item=item)


def version_table(script: Script) -> Iterator[Hit]:
    """Yield statements of both directions that change a version table."""
    for run in script.runs:
        for step in run.steps:
            if step.parsed is None or step.parsed.kind in ("SelectStmt", "GrantStmt", "CommentStmt"):
                continue
            touched = {w.table for w in step.parsed.writes} | {step.parsed.target}
            if step.parsed.kind == "DropStmt":
                touched |= step.parsed.relations
            for name in touched:
                if name and name.name.endswith("_version") and name.schema == script.version_schema:
                    yield at(run, step, f"{name} belongs to Alembic, and this statement changes it", name)


# What is lost


@dataclass(frozen=True, slots=True)
class Loss:
    """What a statement removes for good.

    Attributes
    ----------
    what
        A noun; ``{items}`` stands for the column.
    column
        The column; empty where it is more than one.
    """

    step: Step
    what: str
    table: Name
    column: str = ""

    def __str__(self) -> str:
        if self.what.startswith("column"):
            return f"column {self.table}.{self.column}"
        return self.what.replace("{items}", self.column)


def losses(run: Run) -> Iterator[Loss]:
    """Yield what a direction removes that was there before it began, and was not copied elsewhere first."""
    copied: set[tuple[int, int]] = set()
    kept_for_later: dict[str, set[tuple[int, int]]] = {}
    for step in run.steps:
        gone = [r for oid, r in step.before.relations.items() if oid not in step.after.relations]
        for relation in gone:
            if relation.is_table and run.is_old(relation):
                yield from _lost_table(step, relation, copied)
        for relation, after in _both(step):
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
        carried = _carried(step, kept_for_later)
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


def _carried(step: Step, kept_for_later: dict[str, set[tuple[int, int]]]) -> set[tuple[int, int]]:
    """Return the columns whose values a statement carries into a table, by way of a temporary one too."""
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
    """Yield UPDATEs of the upgrade that replace values that were there before."""
    run = script.upgrade
    copied: set[tuple[int, int]] = set()
    for step in run.steps:
        for before, after in _both(step):
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
        copied |= _carried(step, {})


def _altered(run: Run, step: Step, before: Relation, after: Relation) -> Iterator[Hit]:
    """Yield type changes that Postgres does without a word, and that make other values of some."""
    for number, column in after.columns.items():
        old = before.columns.get(number)
        if old is not None and old.type != column.type and _loses_digits(old.type, column.type):
            item = f"{column.name} ({old.type} to {column.type})"
            message = f"the new type of {{items}} of {after.name} cannot hold every old value as it was"
            yield at(run, step, message, after.name, item)


def _loses_digits(old: str, new: str) -> bool:
    """Tell whether a conversion rounds, cuts, or forgets a time zone."""
    was, now = _SIZE.sub("", old), _SIZE.sub("", new)
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
    """Return the digits behind the point of a ``numeric``; without a limit there is no end of them."""
    size = _SIZE.search(type_)
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
                taken = list(_taken(step))
                known = f", here {listed(taken)}" if taken else ""
                yield at(
                    run, step, f"CASCADE removes whatever depends on it{known}", step.parsed.target or ""
                )


def _taken(step: Step) -> Iterator[str]:
    """Yield the relations and constraints that go and are not named in the statement."""
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
    """Yield what differs from the state before after upgrade and downgrade (rule M10)."""
    up, down = script.upgrade, script.downgrade
    if script.catalog is None or down.catalog is None or not (up.whole and down.whole and down.steps):
        return
    different = compare(script.catalog, down.catalog)
    # The definition of a view says once more what its columns say.
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
        was, now = (repr(_short(v)) if v is not None else "none" for v in (difference.left, difference.right))
        return f"{path} is {now}, and was {was}"
    return f"{path} differs"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def empty_downgrade(script: Script) -> Iterator[Hit]:
    """Yield the downgrade that does nothing."""
    up, down = script.upgrade, script.downgrade
    raises = down.failure is not None and down.failure.kind == "unsupported"
    if down.steps or (down.failure is not None and not raises):
        return
    if script.catalog is not None and up.catalog is not None and _without_grants(script.catalog, up.catalog):
        does = "raises NotImplementedError" if raises else "does nothing"
        yield Hit(down.line, f"the upgrade changes the schema, and the downgrade {does}", "downgrade")


def _without_grants(before: Any, after: Any) -> bool:
    """Tell whether two catalogs differ in more than privileges."""
    return any("grants" not in d.path for d in compare(before, after))


# Who reads it


def breaks_readers(script: Script) -> Iterator[Hit]:
    """Yield the names that the upgrade takes away."""
    run = script.upgrade
    for step in run.steps:
        for before, after in _both(step):
            if not run.is_old(before):
                continue
            start = run.start.relations[before.oid]
            if before.name != after.name:
                message = f"{before.name} is renamed to {after.name}; queries with the old name fail"
                yield at(run, step, message, before.name, lock=EXCLUSIVE)
            for number, column in before.columns.items() if before.is_table else ():
                now = after.columns.get(number)
                if now is not None and now.name != column.name and number in start.columns:
                    yield _renamed_column(run, step, after, column, now)
        if step.parsed is not None and "RENAME VALUE" in step.parsed.subtypes:
            yield at(run, step, "{items}; queries with the old value fail", item=_short(step.parsed.sql))
    yield from _views(run)


def _renamed_column(run: Run, step: Step, table: Relation, old: Column, new: Column) -> Hit:
    views = [
        str(relation.name)
        for relation in step.after.relations.values()
        if not relation.is_table and old.name in relation.names and new.name not in relation.names
    ]
    still = f", while {listed(views)} goes on calling it {old.name}" if views else ""
    message = f"{{items}} of {table.name}; queries with the old name fail"
    item = f"{old.name} is renamed to {new.name}{still}"
    return at(run, step, message, table.name, item, lock=EXCLUSIVE)


def _views(run: Run) -> Iterator[Hit]:
    """Yield views that go away, and those that show fewer or other columns in the end."""
    for name, view in run.start.by_name.items():
        if view.is_table:
            continue
        after = run.end.by_name.get(name)
        if after is None and view.oid in run.end.relations:
            continue  # renamed, as was said above
        changed = [
            s for s in run.steps if _types(s.before.by_name.get(name)) != _types(s.after.by_name.get(name))
        ]
        if not changed:
            continue
        was, now = _types(view), _types(after)
        missing = [column for column in was if column not in now]
        retyped = [f"{c} ({was[c]} to {now[c]})" for c in was if c in now and was[c] != now[c]]
        if after is None:
            yield at(run, changed[-1], f"view {name} is dropped; queries that read it fail", name)
        elif missing:
            message = f"view {name} has no column {{items}} any more; queries that read it fail"
            yield at(run, changed[-1], message, name, listed(missing))
        if after is not None and retyped:
            message = f"view {name} shows another type: {{items}}"
            yield at(run, changed[-1], message, name, listed(retyped))


def view_without_grant(script: Script) -> Iterator[Hit]:
    """Yield the views of the upgrade that lack a configured grant."""
    yield from _ungranted(script, views=True)


def table_without_grant(script: Script) -> Iterator[Hit]:
    """Yield the tables of the upgrade that lack a configured grant."""
    yield from _ungranted(script, views=False)


def _ungranted(script: Script, views: bool) -> Iterator[Hit]:
    run = script.upgrade
    wanted = frozenset((role, p) for role, privileges in script.roles.items() for p in privileges)
    for relation, step in run.made() if run.whole else ():
        if relation.is_table == views or not script.own(relation.name):
            continue
        already = _grants_lost(script, run, relation)
        if missing := wanted - relation.grants - already:
            message = f"{relation.kind} {relation.name} is created without {_granted(missing)}"
            yield at(run, step, message, relation.name)


def view_grants_lost(script: Script) -> Iterator[Hit]:
    """Yield the relations of both directions that come back with fewer grants."""
    for run in script.runs:
        for relation, step in run.made() if run.whole else ():
            if lost := _grants_lost(script, run, relation):
                message = f"{relation.name} is created again without {_granted(lost)}, which it had before"
                yield at(run, step, message, relation.name)


def _grants_lost(script: Script, run: Run, relation: Relation) -> Grants:
    before = script.upgrade.start.by_name.get(relation.name)
    return before.grants - relation.grants if before is not None else frozenset()


def _granted(grants: Collection[tuple[str, str]]) -> str:
    """Write privileges as ``SELECT for oods, usdf``."""
    of_role: dict[str, list[str]] = {}
    for role, privilege in sorted(grants):
        of_role.setdefault(role, []).append(privilege)
    roles: dict[str, list[str]] = {}
    for role, privileges in of_role.items():
        roles.setdefault(", ".join(privileges), []).append(role)
    return " and ".join(f"{privileges} for {', '.join(names)}" for privileges, names in roles.items())


def revoked_grant(script: Script) -> Iterator[Hit]:
    """Yield the privileges that the upgrade takes away."""
    run = script.upgrade
    told = False
    for step in run.steps:
        parsed = step.parsed
        if parsed is None:
            continue
        if parsed.kind == "DropOwnedStmt":
            told = True
            message = f"DROP OWNED takes all privileges of {listed(parsed.values)}, and what they own"
            yield at(run, step, message)
        elif "REVOKE" in parsed.subtypes:
            found = [r for name in parsed.relations if (r := step.before.find(name))]
            if found and not any(run.is_old(relation) for relation in found):
                continue
            told = True
            table = next((str(r.name) for r in found if run.is_old(r)), "")
            yield at(run, step, "{items}", table, _short(" ".join(parsed.sql.split())))
    for relation, after in _start_and_end(run) if not told else ():
        # An owner needs no grant.
        if lost := {g for g in relation.grants - after.grants if g[0] != after.owner}:
            message = f"{relation.name} has lost {_granted(lost)}"
            yield Hit(run.line, message, "upgrade", str(relation.name))


def owner_change(script: Script) -> Iterator[Hit]:
    """Yield the relations of the upgrade that get another owner."""
    run = script.upgrade
    for step in run.steps:
        parsed = step.parsed
        changed = [
            after for before, after in _both(step) if before.owner != after.owner and run.is_old(before)
        ]
        for after in changed:
            yield at(run, step, f"{after.name} gets another owner, {after.owner}", after.name)
        if parsed is None or changed:
            continue
        # Also one that is the owner here: who owns a table is decided on each server.
        if "AT_ChangeOwner" in parsed.subtypes and (table := run.target(step)):
            yield at(run, step, "{items}", table.name, _short(parsed.sql))
        elif parsed.kind == "ReassignOwnedStmt" or (
            parsed.kind == "AlterOwnerStmt" and "OBJECT_SCHEMA" in parsed.subtypes
        ):
            yield at(run, step, "{items}", item=_short(parsed.sql))


def row_security(script: Script) -> Iterator[Hit]:
    """Yield row-level security that the upgrade turns on, and policies that it changes."""
    run = script.upgrade
    for step in run.steps:
        for before, after in _both(step):
            if after.row_security and not before.row_security and run.is_old(before):
                message = (
                    f"row-level security on {after.name}: readers see only rows that a policy allows them"
                )
                yield at(run, step, message, after.name)
        parsed = step.parsed
        if parsed is None:
            continue
        if parsed.kind in ("CreatePolicyStmt", "AlterPolicyStmt") or "OBJECT_POLICY" in parsed.subtypes:
            table = parsed.target or next(iter(parsed.relations), "")
            yield at(run, step, f"a policy on {table} decides which rows readers see", table)
        elif "security_invoker" in parsed.subtypes and run.target(step):
            message = f"readers of {parsed.target} need privileges on the tables that it shows"
            yield at(run, step, message, parsed.target)


def replication(script: Script) -> Iterator[Hit]:
    """Yield what keeps rows of the upgrade from the replica."""
    run = script.upgrade
    for step in run.steps:
        parsed = step.parsed
        if parsed is None:
            continue
        about = parsed.kind == "AlterPublicationStmt" and "AP_AddObjects" not in parsed.subtypes
        if about or "OBJECT_PUBLICATION" in parsed.subtypes:
            yield at(run, step, "{items}: the replica depends on the publication", item=_short(parsed.sql))
        elif parsed.kind in ("AlterSubscriptionStmt", "CreateSubscriptionStmt", "DropSubscriptionStmt"):
            yield at(run, step, "{items}: the replica depends on the subscription", item=_short(parsed.sql))
        for before, after in _both(step):
            if not run.is_old(before) or not before.is_table:
                continue
            if before.identity != after.identity and after.identity == "n":
                message = (
                    f"{after.name} has no replica identity: UPDATE and DELETE fail while it is published"
                )
                yield at(run, step, message, after.name)
            elif before.identity != after.identity:
                message = f"the replica identity of {after.name} changes"
                yield at(run, step, message, after.name, minor=True)
            if before.persistence != after.persistence:
                message = f"{after.name} is " + (
                    "UNLOGGED: replicas do not get its rows, and a crash empties it"
                    if after.persistence == "u"
                    else "logged again: it is written to the WAL as a whole"
                )
                yield at(run, step, message, after.name, lock=EXCLUSIVE, minor=after.persistence != "u")
    for start, end in _start_and_end(run):
        if start.is_table and start.primary_key and not end.primary_key and end.identity == "d":
            message = f"{end.name} loses its primary key: UPDATE and DELETE fail while it is published"
            lost = [
                s
                for s in run.steps
                if _key(s.before.relations.get(end.oid)) and not _key(s.after.relations.get(end.oid))
            ]
            yield (
                at(run, lost[-1], message, end.name)
                if lost
                else Hit(run.line, message, "upgrade", str(end.name))
            )


def session_setting(script: Script) -> Iterator[Hit]:
    """Yield settings, roles and triggers of both directions that change what other statements do."""
    guarded = {"session_replication_role", "role", "session_authorization", "row_security"}
    for run in script.runs:
        for step in run.steps:
            parsed = step.parsed
            if parsed is None:
                continue
            if parsed.kind in ("VariableSetStmt", "SelectStmt") and guarded & parsed.subtypes:
                yield at(run, step, "{items}", item=_short(parsed.sql))
            elif any(
                s.startswith(("AT_DisableTrig", "AT_DisableRule", "AT_EnableReplicaTrig"))
                for s in parsed.subtypes
            ):
                yield at(
                    run,
                    step,
                    "{items}: checks and triggers are left out",
                    str(parsed.target or ""),
                    _short(parsed.sql),
                )


def table_without_publication(script: Script) -> Iterator[Hit]:
    """Yield the tables of the upgrade that no publication gains."""
    run = script.upgrade
    if script.version_schema != "cdb":
        return
    published = {
        value
        for step in run.steps
        if step.parsed is not None
        and step.parsed.kind in ("CreatePublicationStmt", "AlterPublicationStmt")
        and "AP_DropObjects" not in step.parsed.subtypes
        for value in step.parsed.values
    }
    for relation, step in run.made():
        name = relation.name
        is_new = relation.is_table and script.own(name) and name not in run.start.by_name
        if is_new and not published & {"*", str(name), f"{name.schema}.*"}:
            yield at(run, step, f"table {name} is new, and no publication gains it", name)


# Locks


def table_rewrite(script: Script) -> Iterator[Hit]:
    """Yield the statements of the upgrade after which a table is another file."""
    run = script.upgrade
    for step in run.steps:
        written = False
        for before, after in _both(step):
            if not run.is_old(before) or before.file == after.file or before.persistence != after.persistence:
                continue
            if step.parsed is not None and step.parsed.kind == "TruncateStmt":
                continue
            written = True
            message = f"{after.name} is written anew while nobody can use it: {{items}}"
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
            message = f"{table.name if table else 'a table'} is written anew, or its indexes are: {{items}}"
            yield at(
                run,
                step,
                message,
                table.name if table else "",
                _short(parsed.sql),
                lock=EXCLUSIVE,
                minor=True,
            )


def _why_rewritten(step: Step, before: Relation, after: Relation) -> str:
    reasons = []
    for number, column in after.columns.items():
        old = before.columns.get(number)
        if old is None and (column.default or column.identity):
            value = column.default or f"identity ({'ALWAYS' if column.identity == 'a' else 'BY DEFAULT'})"
            reasons.append(f"the default of {column.name} ({_short(value)}) is computed for each row")
        elif old is not None and old.type != column.type:
            reasons.append(f"{column.name} changes from {old.type} to {column.type}")
        elif old is not None and old.identity != column.identity:
            reasons.append(f"{column.name} becomes an identity column")
    return "; ".join(reasons) or _short(" ".join(step.sql.split()))


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
"""Squawk's rules, and ours under which its findings are shown."""


def _from_squawk(rule: str) -> Check:
    def check(script: Script) -> Iterator[Hit]:
        run = script.upgrade
        for found in script.squawk:
            ours, lock = _FROM_SQUAWK.get(found.rule, ("", ""))
            step = run.steps[found.statement]
            if not ours or step.parsed is None:
                continue
            table = run.target(step)
            if table is None and step.parsed.target is not None:
                continue  # nobody uses a table that this revision makes
            if found.rule == "constraint-missing-not-valid":
                ours = _scan(step, table)
            if found.rule == "adding-foreign-key-constraint" and not _checks_rows(run, step):
                continue
            if ours != rule or (ours == "not-null-scan" and table is not None and _proved(step, table)):
                continue
            items = _subject(step, table)
            message = f"{table.name if table else 'a table'}: {found.message.rstrip('.')}: {{items}}"
            yield at(run, step, message, table.name if table else "", items, lock=lock)

    check.__doc__ = f"Yield what squawk finds of ``{rule}``."
    return check


def _scan(step: Step, table: Relation | None) -> str:
    """Return the rule for a constraint that is checked against rows; keys have rules of their own."""
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


def _checks_rows(run: Run, step: Step) -> bool:
    """Tell whether a foreign key is checked against rows: in a new column without a default, all are NULL."""
    new = [column for _, _, column in _added(run, step)]
    return not new or any(column.default or column.identity for column in new)


def _proved(step: Step, table: Relation) -> bool:
    """Tell whether no column becomes NOT NULL, or a valid CHECK says already that it holds no NULL."""
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


def _subject(step: Step, table: Relation | None) -> str:
    """Return what of a table a statement makes or tightens."""
    after = step.after.relations.get(table.oid) if table is not None else None
    if table is None or after is None:
        return _short(step.sql)
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
    return ", ".join(dict.fromkeys(new)) or _short(" ".join(step.sql.split()))


def explicit_lock(script: Script) -> Iterator[Hit]:
    """Yield LOCK TABLE of the upgrade."""
    run = script.upgrade
    for step in run.steps:
        if step.parsed is not None and step.parsed.kind == "LockStmt":
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
                run, step, f"{names} is locked by hand until the migration ends", lock=_BLOCKING.get(lock, "")
            )


def lock_timeout(script: Script) -> Iterator[Hit]:
    """Yield the first unlimited lock of the upgrade, with all tables that are locked like that."""
    run = script.upgrade
    first: Step | None = None
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


# Helpers


def _both(step: Step) -> Iterator[tuple[Relation, Relation]]:
    """Yield the relations that differ before and after a statement."""
    if step.before is step.after:
        return
    for oid, before in step.before.relations.items():
        after = step.after.relations.get(oid)
        if after is not None and after is not before:
            yield before, after


def _start_and_end(run: Run) -> Iterator[tuple[Relation, Relation]]:
    for oid, start in run.start.relations.items():
        if (end := run.end.relations.get(oid)) is not None and end is not start:
            yield start, end


def _added(run: Run, step: Step) -> Iterator[tuple[Relation, int, Column]]:
    for before, after in _both(step):
        if run.is_old(before) and before.is_table:
            for number, column in after.columns.items():
                if number not in before.columns:
                    yield after, number, column


def _all_names(step: Step) -> set[str]:
    names: set[str] = set()
    for relation in step.before.relations.values():
        names |= {relation.name.name, *relation.names, *relation.constraints, *relation.indexes}
    return names


def _types(relation: Relation | None) -> dict[str, str]:
    """Return the type of each column; lengths and precisions do not matter to readers."""
    columns = relation.columns.values() if relation is not None else ()
    return {column.name: _SIZE.sub("", column.type) for column in columns}


def _key(relation: Relation | None) -> tuple[str, ...]:
    return relation.primary_key if relation is not None else ()


CHECKS: dict[str, Check] = {
    function.__name__.replace("_", "-"): function
    for function in (
        script_fails, unparseable, not_judged, two_heads, edited_merged_revision, does_not_apply,
        not_null_without_default, needs_autocommit, ends_transaction, unqualified_name, other_schema,
        long_identifier, version_table, data_loss, values_overwritten, cascade, view_grants_lost,
        empty_downgrade, downgrade_mirror, downgrade_loss, breaks_readers, revoked_grant, owner_change,
        row_security, replication, session_setting, view_without_grant, table_without_grant,
        table_without_publication, table_rewrite, explicit_lock, lock_timeout,
    )
}  # fmt: skip
CHECKS |= {rule: _from_squawk(rule) for rule, _ in _FROM_SQUAWK.values()}
"""What each rule finds."""
