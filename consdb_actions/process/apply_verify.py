"""Verify a database after a migration by its catalog alone.

If the history can be replayed, whole catalogs are compared: a difference before and after is drift, a new one
is an error of this migration. The relations and privileges of its statements are always checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from consdb_actions.catalog import CatalogRelation, Difference, Sequence, Snapshot, compare
from consdb_actions.process.apply_facts import ApplyCheck, SectionFacts, TableLock
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.schema.model import Name

_MOST = 15


@dataclass(frozen=True, slots=True)
class ExpectedCatalogs:
    """Catalogs that the history leaves before and after the change, and its locks."""

    before: Snapshot
    after: Snapshot  # for a downgrade, what it leaves if it runs
    major: int  # version of the replaying server; each version prints views differently
    locks: tuple[TableLock, ...] | None = None  # in the writers' order; None if unknown
    failure: str = ""  # why the downgrade does not run
    unrestored: tuple[Difference, ...] = ()  # differences that the downgrade leaves


def check_drift(
    change: SectionChange, facts: SectionFacts, expected: ExpectedCatalogs, major: int
) -> Iterator[ApplyCheck]:
    """Compare the database before the change with its history."""
    if expected.failure:
        yield ApplyCheck(
            "downgrade",
            "refused",
            f"{change.section}: the downgrade does not run: {expected.failure}",
            "Fix the downgrade of the revision, or write a new revision that goes forward.",
        )
    elif expected.unrestored:
        yield ApplyCheck(
            "downgrade",
            "warning",
            f"{change.section}: the downgrade does not restore the catalog of revision {change.start}",
            "A separate revision can correct it afterwards.",
            _words(expected.unrestored),
        )
    found = _differences(facts.snapshot, expected.before, facts.owners, major == expected.major)
    concerned = {name.name for name in change.forward.locked}
    serious = [d for d in found if d.path[0] in concerned and d.path[-1] != "comment"]
    others = [d for d in found if d not in serious]
    if serious:
        yield ApplyCheck(
            "drift",
            "refused",
            f"{change.section}: tables to be changed differ from what revision {change.start} leaves",
            "Find out why. If it is intended, use --accept drift.",
            _words(serious),
        )
    if others:
        yield ApplyCheck(
            "drift",
            "warning",
            f"{change.section}: {len(others)} differences from revision {change.start} that do not matter "
            "here",
            details=_words(others),
        )
    if not found:
        yield ApplyCheck("drift", "ok", f"{change.section} is as its revision history leaves it")


def check_result(
    change: SectionChange,
    before: SectionFacts,
    after: SectionFacts,
    expected: ExpectedCatalogs | None,
    wanted: Mapping[str, tuple[str, ...]],
    major: int,
) -> tuple[ApplyCheck, ...]:
    """Verify the database after the change; wrong things are ``refused``.

    Without `expected` the history could not be replayed. `wanted` holds the configured privileges on new
    tables and views, by role.
    """
    rows = tuple(after.revisions or ())
    should = () if change.end == "base" else (change.end,)
    checks = [
        ApplyCheck("revision", "ok", f"{change.section} is at {change.end}")
        if rows == should
        else ApplyCheck(
            "revision", "refused", f"{change.section} is at {', '.join(rows) or 'base'}, not {change.end}"
        )
    ]
    checks += _columns(change, after)
    checks += _owners(change, before, after)
    checks += _grants(change, after, wanted)
    if expected is not None:
        checks += _catalog(change, before, after, expected, major)
    return tuple(checks)


def _columns(change: SectionChange, after: SectionFacts) -> Iterator[ApplyCheck]:
    effects, known = change.forward, dict(change.columns_after)
    old = {name for name, _ in effects.renamed_tables}
    gone = {*effects.dropped_tables, *effects.dropped_views, *old}
    touched = {*effects.new_tables, *effects.new_views, *effects.remade_views, *effects.locked}
    looked = sorted(name for name in touched if name in known and name.schema == change.schema)
    wrong = [f"{name} is still there" for name in sorted(gone - set(known)) if _find(after, name)]
    for name in looked:
        relation = _find(after, name)
        if relation is None:
            wrong.append(f"{name} is missing")
        elif relation.is_view and tuple(relation.columns) != known[name]:
            wrong.append(f"{name} shows {', '.join(relation.columns)} instead of {', '.join(known[name])}")
        elif not relation.is_view:
            wrong += [f"{name} has no column {c}" for c in known[name] if c not in relation.columns]
    for column in effects.columns:
        relation = _find(after, column.table)
        old_name = column.column if column.kind == "dropped" else column.old
        if (
            old_name
            and relation
            and old_name in relation.columns
            and old_name not in known.get(column.table, ())
        ):
            wrong.append(f"{column.table} still has column {old_name}")
    if wrong:
        yield ApplyCheck(
            "columns",
            "refused",
            f"{change.section}: tables or views are not as expected",
            details=tuple(wrong[:_MOST]),
        )
    else:
        yield ApplyCheck("columns", "ok", f"{change.section}: tables and views are as expected")


def _find(facts: SectionFacts, name: Name) -> CatalogRelation | None:
    return facts.snapshot.relations.get(name.name)


def _owners(change: SectionChange, before: SectionFacts, after: SectionFacts) -> Iterator[ApplyCheck]:
    """Check owners of new relations, and their privileges (rule O4)."""
    owner = before.owner or after.owner
    wrong = [
        f"{name} belongs to {now}, not to {owner}"
        for name, now in sorted(after.owners.items())
        if now != owner and before.owners.get(name) != now
    ]
    for name, relation in sorted(after.snapshot.relations.items()):
        for privilege in ("SELECT",) if relation.is_view else ("SELECT", "INSERT", "UPDATE", "DELETE"):
            if (name, owner, privilege) in after.privileges or after.owners.get(name) != owner:
                continue
            if name not in before.snapshot.relations or (name, owner, privilege) in before.privileges:
                wrong.append(f"{owner} has no {privilege} on {name}, which it owns")
    if wrong:
        yield ApplyCheck(
            "owner",
            "refused",
            f"{change.section}: tables or views do not belong to {owner}, or {owner} cannot use them",
            f"Ask an administrator to run ALTER TABLE … OWNER TO {owner}; GRANT ALL ON … TO {owner}.",
            tuple(wrong[:_MOST]),
        )
    else:
        yield ApplyCheck("owner", "ok", f"{change.section}: everything belongs to {owner}")


def _grants(
    change: SectionChange, after: SectionFacts, wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[ApplyCheck]:
    """Check effective privileges, which may come from PUBLIC or another role."""
    effects = change.forward
    made = (*effects.new_tables, *effects.new_views, *effects.remade_views)
    should = set(effects.grants) | {
        (name, role, privilege)
        for name in made
        for role, privileges in wanted.items()
        for privilege in privileges
    }
    missing = []
    for name, role, privilege in sorted(should):
        relation = _find(after, name)
        if relation is None or (name.name, role, privilege) in after.privileges:
            continue
        if not any(g.grantee == role and g.privilege == privilege for g in relation.grants):
            missing.append(f"GRANT {privilege} ON {name} TO {role};")
    if missing:
        yield ApplyCheck(
            "grants",
            "refused",
            f"{change.section}: privileges are missing",
            "Put these statements into a separate revision, or ask the owner to run them.",
            tuple(missing[:_MOST]),
        )
    elif should:
        yield ApplyCheck("grants", "ok", f"{change.section}: {len(should)} privileges are present")


def _catalog(
    change: SectionChange, before: SectionFacts, after: SectionFacts, expected: ExpectedCatalogs, major: int
) -> Iterator[ApplyCheck]:
    same = major == expected.major
    known = set(map(str, _differences(before.snapshot, expected.before, before.owners, same)))
    now = _differences(after.snapshot, expected.after, after.owners, same)
    new = [difference for difference in now if str(difference) not in known]
    if new:
        yield ApplyCheck(
            "catalog",
            "refused",
            f"{change.section}: the database differs from a fresh one after the same revisions",
            details=_words(new),
        )
    else:
        yield ApplyCheck(
            "catalog",
            "ok",
            f"{change.section}: the catalog is the same as in a fresh database after the same revisions",
        )


def _differences(
    live: Snapshot, expected: Snapshot, owners: Mapping[str, str], same_version: bool
) -> list[Difference]:
    return [d for d in compare(live, expected) if not _passes(d, live, owners, same_version)]


def _passes(found: Difference, live: Snapshot, owners: Mapping[str, str], same_version: bool) -> bool:
    """Tell whether a difference is harmless: owners, more privileges, spelling, replica identity."""
    if "grants" in found.path:
        grantee = found.path[-1].partition(" TO ")[2].partition(" WITH ")[0]
        return found.right is None or owners.get(found.path[0]) == grantee
    if found.path[-1] == "replica identity":
        # The runbook sets it to FULL during a migration; no revision contains it.
        return True
    if found.path[-1] == "definition":
        relation = live.relations.get(found.path[0])
        return not same_version and relation is not None and relation.is_view
    return False


def _words(differences: Iterable[Difference]) -> tuple[str, ...]:
    found = list(differences)
    words = [
        f"{'.'.join(d.path)}: here {_shown(d.left)}, by its history {_shown(d.right)}" for d in found[:_MOST]
    ]
    return (*words, f"and {len(found) - _MOST} more") if len(found) > _MOST else tuple(words)


def _shown(value: object) -> str:
    if isinstance(value, Sequence):
        owner = f" of {value.owned_by}" if value.owned_by else ""
        return f"a sequence{owner}, {'used' if value.used else 'not used'}"
    return "nothing" if value is None else str(value)
