"""Find what breaks readers or replication, or loses data."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from consdb_actions.catalog import Difference, compare
from consdb_actions.catalog.snapshot import same_rows
from consdb_actions.lint.checks import EXCLUSIVE, SIZE, at, both, short, start_and_end, types
from consdb_actions.lint.finding import Hit, listed
from consdb_actions.lint.script import (
    DirectionRun,
    Grants,
    LintColumn,
    LintRelation,
    LintStep,
    RevisionScript,
)
from consdb_actions.schema.model import Name


def breaks_readers(script: RevisionScript) -> Iterator[Hit]:
    """Yield the names that the upgrade removes."""
    run = script.upgrade
    for step in run.steps:
        for before, after in both(step):
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
            yield at(run, step, "{items}; queries with the old value fail", item=short(step.parsed.sql))
    yield from _views(run)
    yield from _view_rows(script)


def _renamed_column(
    run: DirectionRun, step: LintStep, table: LintRelation, old: LintColumn, new: LintColumn
) -> Hit:
    views = [
        str(relation.name)
        for relation in step.after.relations.values()
        if not relation.is_table and old.name in relation.names and new.name not in relation.names
    ]
    still = f", while {listed(views)} still shows it as {old.name}" if views else ""
    message = f"{{items}} of {table.name}; queries with the old name fail"
    item = f"{old.name} is renamed to {new.name}{still}"
    return at(run, step, message, table.name, item, lock=EXCLUSIVE)


def _views(run: DirectionRun) -> Iterator[Hit]:
    """Yield views that are dropped, or that end with fewer or other columns."""
    for name, view in run.start.by_name.items():
        if view.is_table:
            continue
        after = run.end.by_name.get(name)
        if after is None and view.oid in run.end.relations:
            continue  # renamed, and reported above
        changed = [
            s for s in run.steps if types(s.before.by_name.get(name)) != types(s.after.by_name.get(name))
        ]
        if not changed:
            continue
        was, now = types(view), types(after)
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


def _view_rows(script: RevisionScript) -> Iterator[Hit]:
    """Yield views that end with another FROM or WHERE, unless the revision renames."""
    run, before, after = script.upgrade, script.catalog, script.upgrade.catalog
    if before is None or after is None or not run.whole or any(_has_rename(step) for step in run.steps):
        return
    for name in sorted(before.views.keys() & after.views.keys()):
        was, now = before.views[name].definition, after.views[name].definition
        made = [s for s in run.steps if s.parsed and Name(script.schema, name) in s.parsed.relations]
        if made and not same_rows(was, now):
            message = f"view {script.schema}.{name} has another FROM or WHERE; queries may get other rows"
            yield at(run, made[-1], message, Name(script.schema, name))


def _has_rename(step: LintStep) -> bool:
    return any(
        before.name != after.name
        or any(after.columns[n].name != c.name for n, c in before.columns.items() if n in after.columns)
        for before, after in both(step)
        if before.is_table
    )


def view_without_grant(script: RevisionScript) -> Iterator[Hit]:
    """Yield the views of the upgrade that lack a configured grant."""
    yield from _ungranted(script, views=True)


def table_without_grant(script: RevisionScript) -> Iterator[Hit]:
    """Yield the tables of the upgrade that lack a configured grant."""
    yield from _ungranted(script, views=False)


def _ungranted(script: RevisionScript, views: bool) -> Iterator[Hit]:
    run = script.upgrade
    wanted = frozenset((role, p) for role, privileges in script.roles.items() for p in privileges)
    for relation, step in run.made() if run.whole else ():
        if relation.is_table == views or not script.own(relation.name):
            continue
        already = _grants_lost(script, run, relation)
        if missing := wanted - relation.grants - already:
            message = f"{relation.kind} {relation.name} is created without {_grants(missing)}"
            yield at(run, step, message, relation.name)


def view_grants_lost(script: RevisionScript) -> Iterator[Hit]:
    """Yield relations of both directions that are recreated with fewer grants."""
    for run in script.runs:
        for relation, step in run.made() if run.whole else ():
            if lost := _grants_lost(script, run, relation):
                message = f"{relation.name} is recreated without its previous {_grants(lost)}"
                yield at(run, step, message, relation.name)


def _grants_lost(script: RevisionScript, run: DirectionRun, relation: LintRelation) -> Grants:
    before = script.upgrade.start.by_name.get(relation.name)
    return before.grants - relation.grants if before is not None else frozenset()


def _grants(grants: Collection[tuple[str, str]]) -> str:
    of_role: dict[str, list[str]] = {}
    for role, privilege in sorted(grants):
        of_role.setdefault(role, []).append(privilege)
    roles: dict[str, list[str]] = {}
    for role, privileges in of_role.items():
        roles.setdefault(", ".join(privileges), []).append(role)
    return " and ".join(f"{privileges} for {', '.join(names)}" for privileges, names in roles.items())


def revoked_grant(script: RevisionScript) -> Iterator[Hit]:
    """Yield the privileges that the upgrade revokes."""
    run = script.upgrade
    reported = False
    for step, parsed in run.statements:
        if parsed.kind == "DropOwnedStmt":
            reported = True
            message = f"DROP OWNED removes all privileges of {listed(parsed.values)}, and their objects"
            yield at(run, step, message)
        elif "REVOKE" in parsed.subtypes:
            found = [r for name in parsed.relations if (r := step.before.find(name))]
            old = [str(relation.name) for relation in found if run.is_old(relation)]
            if found and not old:
                continue
            reported = True
            table = old[0] if old else ""
            yield at(run, step, "{items}", table, short(" ".join(parsed.sql.split())))
    for relation, after in start_and_end(run) if not reported else ():
        # An owner needs no grant.
        if lost := {g for g in relation.grants - after.grants if g[0] != after.owner}:
            message = f"{relation.name} has lost {_grants(lost)}"
            yield Hit(run.line, message, "upgrade", str(relation.name))


def owner_change(script: RevisionScript) -> Iterator[Hit]:
    """Yield ownership changes of the upgrade."""
    run = script.upgrade
    for step in run.steps:
        parsed = step.parsed
        changed = [
            after for before, after in both(step) if before.owner != after.owner and run.is_old(before)
        ]
        for after in changed:
            yield at(run, step, f"{after.name} changes its owner to {after.owner}", after.name)
        if parsed is None or changed:
            continue
        # Also for the owner here: ownership is decided on each server.
        if "AT_ChangeOwner" in parsed.subtypes and (table := run.target(step)):
            yield at(run, step, "{items}", table.name, short(parsed.sql))
        elif parsed.kind == "ReassignOwnedStmt" or (
            parsed.kind == "AlterOwnerStmt" and "OBJECT_SCHEMA" in parsed.subtypes
        ):
            yield at(run, step, "{items}", item=short(parsed.sql))


def row_security(script: RevisionScript) -> Iterator[Hit]:
    """Yield row-level security and policy changes of the upgrade."""
    run = script.upgrade
    for step in run.steps:
        for before, after in both(step):
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


def replication(script: RevisionScript) -> Iterator[Hit]:
    """Yield what keeps rows of the upgrade from the replica."""
    run = script.upgrade
    for step in run.steps:
        parsed = step.parsed
        if parsed is None:
            continue
        about = parsed.kind == "AlterPublicationStmt" and "AP_AddObjects" not in parsed.subtypes
        if about or "OBJECT_PUBLICATION" in parsed.subtypes:
            yield at(run, step, "{items}: the replica depends on the publication", item=short(parsed.sql))
        elif parsed.kind in ("AlterSubscriptionStmt", "CreateSubscriptionStmt", "DropSubscriptionStmt"):
            yield at(run, step, "{items}: the replica depends on the subscription", item=short(parsed.sql))
        for before, after in both(step):
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
    for start, end in start_and_end(run):
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


def session_setting(script: RevisionScript) -> Iterator[Hit]:
    """Yield settings, roles and triggers that affect other statements, in both directions."""
    guarded = {"session_replication_role", "role", "session_authorization", "row_security"}
    left_out = ("AT_DisableTrig", "AT_DisableRule", "AT_EnableReplicaTrig")
    for run, step, parsed in script.statements:
        if parsed.kind in ("VariableSetStmt", "SelectStmt") and guarded & parsed.subtypes:
            yield at(run, step, "{items}", item=short(parsed.sql))
        elif any(subtype.startswith(left_out) for subtype in parsed.subtypes):
            message = "{items}: checks and triggers are left out"
            yield at(run, step, message, str(parsed.target or ""), short(parsed.sql))


def table_without_publication(script: RevisionScript) -> Iterator[Hit]:
    """Yield the upgrade's new tables that join no publication."""
    run = script.upgrade
    if script.version_schema != "cdb":
        return
    published = {
        value
        for _, parsed in run.statements
        if parsed.kind in ("CreatePublicationStmt", "AlterPublicationStmt")
        and "AP_DropObjects" not in parsed.subtypes
        for value in parsed.values
    }
    for relation, step in run.made():
        name = relation.name
        is_new = relation.is_table and script.own(name) and name not in run.start.by_name
        if is_new and not published & {"*", str(name), f"{name.schema}.*"}:
            yield at(run, step, f"table {name} is new, and no publication includes it", name)


def _key(relation: LintRelation | None) -> tuple[str, ...]:
    return relation.primary_key if relation is not None else ()


READERS = (
    view_grants_lost, breaks_readers, revoked_grant, owner_change, row_security, replication,
    session_setting, view_without_grant, table_without_grant, table_without_publication,
)  # fmt: skip

_SHOWN = 6

_INTEGERS = ("smallint", "integer", "bigint")


@dataclass(frozen=True, slots=True)
class StatementLoss:
    """What a statement removes for good."""

    step: LintStep
    what: str  # A noun; ``{items}`` is replaced by the column
    table: Name
    column: str = ""  # Empty where it is more than one

    def __str__(self) -> str:
        if self.what.startswith("column"):
            return f"column {self.table}.{self.column}"
        return self.what.replace("{items}", self.column)


def losses(run: DirectionRun) -> Iterator[StatementLoss]:
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
                        yield StatementLoss(
                            step, f"column {{items}} of {relation.name}", relation.name, column.name
                        )
        if step.parsed is None or step.problem:
            continue
        if retyped := run.target(step):
            what = f"the values of column {{items}} of {retyped.name}"
            for name in step.parsed.overwritten:
                yield StatementLoss(step, what, retyped.name, name)
        for write in step.parsed.writes:
            found = step.before.find(write.table)
            if write.how == "deleted" and found is not None and run.is_old(found):
                yield StatementLoss(step, f"rows of {found.name}", found.name)
        carried = _copied_columns(step, kept_for_later)
        if step.parsed.temporary:
            kept_for_later[step.parsed.temporary] = carried
        else:
            copied |= carried


def _lost_table(step: LintStep, table: LintRelation, copied: set[tuple[int, int]]) -> Iterator[StatementLoss]:
    kept = [column.name for number, column in table.columns.items() if (table.oid, number) in copied]
    # Rows were moved when every column but the key, by which they were matched, was copied.
    if kept and set(table.names) - set(kept) <= set(table.primary_key):
        return
    but = f" but {', '.join(sorted(kept))}" if kept else ""
    yield StatementLoss(step, f"table {table.name} with its rows{but}", table.name)


def _copied_columns(step: LintStep, kept_for_later: dict[str, set[tuple[int, int]]]) -> set[tuple[int, int]]:
    """Return the columns whose values a statement copies, also through a temporary table."""
    out: set[tuple[int, int]] = set()
    for name, wanted in step.parsed.copied if step.parsed else ():
        if not name.schema and name.name in kept_for_later:
            out |= kept_for_later[name.name]
        found = step.before.find(name)
        if found is not None:
            out |= {(found.oid, n) for n, c in found.columns.items() if wanted in ("*", c.name)}
    return out


def data_loss(script: RevisionScript) -> Iterator[Hit]:
    """Yield what the upgrade removes."""
    run = script.upgrade
    for loss in losses(run):
        message = f"data loss: {loss.what}; the downgrade cannot restore it"
        yield at(run, loss.step, message, loss.table, loss.column)


def values_overwritten(script: RevisionScript) -> Iterator[Hit]:
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
            which = "in every row" if write.everything else "in some rows"
            message = f"the old values of {{items}} of {found.name} are overwritten {which}"
            for number, column in found.columns.items():
                if column.name in write.columns and number in old.columns and (old.oid, number) not in copied:
                    yield at(run, step, message, found.name, column.name, minor=not write.everything)
        copied |= _copied_columns(step, {})


def _altered(run: DirectionRun, step: LintStep, before: LintRelation, after: LintRelation) -> Iterator[Hit]:
    for number, column in after.columns.items():
        old = before.columns.get(number)
        if old is not None and old.type != column.type and _loses_digits(old.type, column.type):
            item = f"{column.name} ({old.type} to {column.type})"
            message = f"the new type of {{items}} of {after.name} cannot hold every old value exactly"
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


def cascade(script: RevisionScript) -> Iterator[Hit]:
    """Yield the statements of both directions with CASCADE."""
    for run, step, parsed in script.statements:
        if parsed.cascade:
            taken = list(_dropped_unnamed(step))
            known = f", here {listed(taken)}" if taken else ""
            message = f"CASCADE removes everything that depends on it{known}"
            yield at(run, step, message, parsed.target or "")


def _dropped_unnamed(step: LintStep) -> Iterator[str]:
    """Yield dropped relations and constraints that the statement does not name."""
    relations = step.parsed.relations if step.parsed else ()
    named = {r.oid for name in relations if (r := step.before.find(name))}
    for oid, relation in step.before.relations.items():
        if oid not in step.after.relations:
            if oid not in named:
                yield f"{relation.kind} {relation.name}"
        elif oid not in named:
            lost = set(relation.constraints) - set(step.after.relations[oid].constraints)
            yield from (f"constraint {name} of {relation.name}" for name in sorted(lost))


def downgrade_loss(script: RevisionScript) -> Iterator[Hit]:
    """Yield what the downgrade removes."""
    run = script.downgrade
    for loss in losses(run):
        message = f"data loss on downgrade: {loss.what} written since the upgrade"
        yield at(run, loss.step, message, loss.table, loss.column)


def downgrade_mirror(script: RevisionScript) -> Iterator[Hit]:
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
        return f"{path} was not removed"
    if isinstance(difference.left, str | None) and isinstance(difference.right, str | None):
        was, now = (repr(short(v)) if v is not None else "none" for v in (difference.left, difference.right))
        return f"{path} is {now}, and was {was}"
    return f"{path} differs"


def empty_downgrade(script: RevisionScript) -> Iterator[Hit]:
    """Yield a downgrade that does nothing."""
    up, down = script.upgrade, script.downgrade
    raises = down.failure is not None and down.failure.kind == "unsupported"
    if down.steps or (down.failure is not None and not raises):
        return
    before, after = script.catalog, up.catalog
    if before and after and any("grants" not in d.path for d in compare(before, after)):
        does = "raises NotImplementedError" if raises else "does nothing"
        yield Hit(down.line, f"the upgrade changes the schema, and the downgrade {does}", "downgrade")


LOSSES = (
    data_loss, values_overwritten, cascade, empty_downgrade, downgrade_mirror, downgrade_loss,
)  # fmt: skip
