"""Decide from facts whether a migration may be applied, and verify the result by the catalog.

If the history can be replayed, whole catalogs are compared: a difference before and after is drift, a new one
is an error of this migration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from consdb_actions import catalog
from consdb_actions.catalog import CatalogRelation, Difference, Snapshot, compare
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.apply_facts import (
    ACCEPTABLE,
    BROUGHT_ABOUT,
    ApplyCheck,
    Checkout,
    CheckState,
    DatabaseFacts,
    SectionFacts,
    TableLock,
)
from consdb_actions.process.runbook_change import Needs, SectionChange, needs_of
from consdb_actions.process.runbook_sql import table
from consdb_actions.process.sites import Replication
from consdb_actions.schema.model import Name

_LONG = 10.0  # Transactions of other sessions longer than this (in seconds) are reported
_MOST = 15


def refused(id_: str, text: str, remedy: str = "", details: Iterable[str] = ()) -> ApplyCheck:
    """Return a check that fails."""
    return ApplyCheck(id_, "refused", text, remedy, _first(details))


def _first(details: Iterable[str]) -> tuple[str, ...]:
    """Return the first of some details, and how many more there are."""
    found = tuple(details)
    more = len(found) - _MOST
    return (*found[:_MOST], f"and {more} more") if more > 0 else found


def passed(id_: str, text: str) -> ApplyCheck:
    """Return a check that holds."""
    return ApplyCheck(id_, "ok", text)


def checked(id_: str, wrong: list[str], cause: str, remedy: str, text: str) -> ApplyCheck:
    """Return a check that fails if something is wrong."""
    return refused(id_, cause, remedy, wrong) if wrong else passed(id_, text)


def check_revision(
    facts: SectionFacts, section: str, history: Sequence[str], expected: str
) -> tuple[str, ApplyCheck]:
    """Check that a section is at the expected revision (rule M12).

    `history` holds all revision ids of the tree; an empty `expected` allows any of them. Returns the present
    revision: ``base`` for none, empty if unknown.
    """
    rows = facts.revisions
    if rows is None:
        if facts.snapshot.relations:
            return "", refused(
                "revision",
                f"{section}: there are tables, but no version table",
                f"Find out which revision they are of, and run `alembic -n {section} stamp REVISION`.",
            )
        rows = ()
    if len(rows) > 1:
        return "", refused(
            "revision",
            f"{section}: the version table names {len(rows)} revisions: {', '.join(rows)}",
            "Two heads were applied to the database. Check the history, and keep only the right row.",
        )
    found = rows[0] if rows else "base"
    if found != "base" and found not in history:
        return "", refused(
            "revision",
            f"{section} is at revision {found[:40]}, which is not in this tree",
            "Check out the release that the database is at, or a later one.",
        )
    if expected and found != expected:
        return found, refused(
            "revision",
            f"{section} is at revision {found}, not at {expected}",
            "Somebody changed the database, or a release was skipped. Find out before you continue.",
        )
    return found, passed("revision", f"{section} is at {found}")


def check_before(
    facts: DatabaseFacts,
    changes: Sequence[SectionChange],
    checkout: Checkout,
    replication: Replication,
    wanted: Mapping[str, Mapping[str, tuple[str, ...]]],
    accepted: Collection[str] = (),
    direction: str = "upgrade",
    *,
    ahead: bool = False,
) -> tuple[ApplyCheck, ...]:
    """Make all checks but that of the revision.

    `wanted` holds the configured privileges on new tables and views, by schema; `accepted` the ids of checks
    to ignore. With `ahead`, checks that later steps of the runbook fulfil are only listed.
    """
    changes = [change for change in changes if change.revisions]
    checks = [*_checkout(checkout), *_server(facts)]
    for change in changes:
        section = facts.sections[change.schema]
        checks += [*_tables(change, section), *_owner(change, section), *_dependents(change, section)]
        checks += kept_grants(change, section)
        checks += new_grants(change, wanted.get(change.schema, {}), direction)
    checks += [
        *roles_there(facts, changes, {role for roles in wanted.values() for role in roles}),
        *_extension(facts, changes),
        *check_replication(facts, changes, replication),
        *_locks(facts),
        *_apart(changes),
    ]
    if ahead:
        checks = [
            replace(check, state="warning", text=f"still to do: {check.text}")
            if check.state == "refused" and check.id in BROUGHT_ABOUT
            else check
            for check in checks
        ]
    return tuple(
        replace(check, accepted=check.state == "refused" and check.id in accepted and check.id in ACCEPTABLE)
        for check in checks
    )


def _checkout(checkout: Checkout) -> Iterator[ApplyCheck]:
    if not checkout.commit:
        yield ApplyCheck(
            "checkout", "warning", "the tree is not a git checkout: the evidence cannot name a commit"
        )
    elif checkout.edited:
        yield refused(
            "checkout",
            f"{len(checkout.edited)} files of the tree differ from commit {checkout.commit[:12]}",
            "Commit them, or `git checkout` the release.",
            checkout.edited,
        )
    else:
        name = f"{checkout.tag}, " if checkout.tag else ""
        yield passed("checkout", f"the tree is at {name}commit {checkout.commit[:12]}")


def _server(facts: DatabaseFacts) -> Iterator[ApplyCheck]:
    if facts.read_only:
        yield refused("server", "this database is read-only", "Name the primary, not a standby.")
    else:
        yield passed("server", f"Postgres {facts.version}, as {facts.user}")


def _tables(change: SectionChange, facts: SectionFacts) -> Iterator[ApplyCheck]:
    """Check that changed tables exist with their columns, and new ones do not."""
    expected = dict(change.columns_before)
    there = facts.snapshot.relations
    missing: list[str] = []
    more: list[str] = []
    for name in change.forward.locked:
        if name.schema != change.schema:
            continue
        relation = there.get(name.name)
        if relation is None:
            missing.append(f"{name} is missing")
            continue
        columns = set(expected.get(name, relation.columns))
        missing += [f"{name} has no column {c}" for c in sorted(columns - set(relation.columns))]
        more += [
            f"{name} has a column {c} that no revision made" for c in sorted(set(relation.columns) - columns)
        ]
    made = (*change.forward.new_tables, *change.forward.new_views)
    missing += [f"{name} already exists" for name in made if name.name in there]
    missing += [f"schema {name} is missing" for name in _schemas(change) if name not in facts.schemas]
    yield checked(
        "tables",
        missing,
        f"{change.section}: the database is not as revision {change.start} leaves it",
        "Find out why. The migration cannot be applied to it in this state.",
        f"{change.section}: the tables to be changed are present",
    )
    if more:
        yield refused(
            "drift",
            f"{change.section}: the database has columns that revision {change.start} does not have",
            "Find out what they are for; recreated views will not show them.",
            more,
        )


def _schemas(change: SectionChange) -> tuple[str, str]:
    return change.version_table.partition(".")[0], change.schema


def _owner(change: SectionChange, facts: SectionFacts) -> Iterator[ApplyCheck]:
    """Check the owner's rights, and this user's membership (rule O4)."""
    if facts.owner and not facts.may_act:
        yield refused(
            "owner",
            f"{change.section}: the tables belong to {facts.owner}, and this user cannot act as that role",
            f"Connect as {facts.owner}, or as a member of that role.",
        )
        return
    others = [
        f"{name} belongs to {facts.owners.get(name.name, 'another role')}"
        for name in change.forward.locked
        if name.schema == change.schema
        and name.name in facts.snapshot.relations
        and name.name not in facts.may_alter
    ]
    if not facts.may_stamp:
        others.append(f"{change.version_table} cannot be written by {facts.owner}")
    if others:
        yield refused(
            "owner",
            f"{change.section}: {facts.owner} has no privilege to make this change",
            f"Ask an administrator to make {facts.owner} the owner: ALTER TABLE … OWNER TO {facts.owner}.",
            others,
        )
    if not facts.may_create and (change.forward.new_tables or change.forward.new_views):
        yield refused(
            "owner",
            f"{change.section}: {facts.owner} cannot create tables in schema {change.schema}",
            f"Ask an administrator to run `GRANT CREATE ON SCHEMA {change.schema} TO {facts.owner};`.",
        )


def _dependents(change: SectionChange, facts: SectionFacts) -> Iterator[ApplyCheck]:
    """Find outside dependents that block the change (rule O5)."""
    effects = change.forward
    gone = {*effects.remade_views, *effects.dropped_views, *effects.dropped_tables}
    gone |= {column.table for column in effects.columns if column.kind in ("dropped", "retyped")}
    gone |= {old for old, _ in effects.renamed_tables}
    names = {name.name for name in gone if name.schema == change.schema}
    blocking = [f"{other} reads {ours}" for ours, other in facts.dependents if ours in names]
    concerned = names | {name.name for name in effects.locked if name.schema == change.schema}
    reading = [
        f"{other} reads {ours}" for ours, other in facts.dependents if ours in concerned and ours not in names
    ]
    if blocking:
        yield refused(
            "dependents",
            f"{change.section}: other views read what is dropped, recreated or changes its type",
            "Ask their owners to drop them, and to recreate them afterwards.",
            blocking,
        )
    if reading:
        yield ApplyCheck(
            "dependents",
            "warning",
            f"{change.section}: other views read what is changed, and will not show new columns",
            details=_first(reading),
        )


def _extension(facts: DatabaseFacts, changes: Sequence[SectionChange]) -> Iterator[ApplyCheck]:
    if not any(change.forward.spoly for change in changes):
        return
    if facts.spoly:
        yield passed("extension", "the type spoly of pg_sphere is installed")
    else:
        yield refused(
            "extension",
            "a column needs the type spoly, which is missing",
            "Ask an administrator to run `CREATE EXTENSION pg_sphere` in this database.",
        )


def _locks(facts: DatabaseFacts) -> Iterator[ApplyCheck]:
    if not facts.locks:
        yield passed("locks", "no other session has locked them")
        return
    long = [lock for lock in facts.locks if lock.seconds is None or lock.seconds >= _LONG]
    state: CheckState = "warning" if long else "ok"
    yield ApplyCheck(
        "locks",
        state,
        f"{len({lock.pid for lock in facts.locks})} other sessions have locked tables or views that are "
        "concerned",
        "The upgrade does not block them, and gives up after some tries. Find out who holds the locks."
        if long
        else "",
        _first(map(str, facts.locks)),
    )


def _apart(changes: Sequence[SectionChange]) -> Iterator[ApplyCheck]:
    for change in changes:
        if change.forward.apart:
            yield ApplyCheck(
                "transaction",
                "warning",
                f"{change.section}: {', '.join(change.forward.apart)} is not rolled back if something "
                "fails later",
            )
        if change.forward.unknown or any(revision.unshown for revision in change.revisions):
            reasons = [*change.forward.unknown, *(r.unshown for r in change.revisions if r.unshown)]
            yield ApplyCheck(
                "transaction",
                "warning",
                f"{change.section}: some of its operations cannot be known before it runs",
                details=tuple(dict.fromkeys(reasons)),
            )


def kept_grants(change: SectionChange, facts: SectionFacts) -> Iterator[ApplyCheck]:
    """Find privileges on views that the revision does not restore."""
    given = set(change.forward.grants)
    lost = []
    for view in change.forward.remade_views:
        relation = facts.snapshot.relations.get(view.name)
        lost += [
            f"GRANT {grant.privilege} ON {table(view)} TO {grant.grantee};"
            for grant in (sorted(relation.grants) if relation else ())
            if (view, grant.grantee, grant.privilege) not in given
        ]
    if lost:
        yield refused(
            "grants",
            f"{change.section}: recreated views lose privileges that they have here",
            "Put these statements into the revision, or use --accept grants and run them afterwards.",
            lost,
        )


def new_grants(
    change: SectionChange, wanted: Mapping[str, tuple[str, ...]], direction: str
) -> Iterator[ApplyCheck]:
    """Check that new tables and views get the configured privileges (rule M3)."""
    made = (*change.forward.new_tables, *change.forward.new_views) if direction == "upgrade" else ()
    given = set(change.forward.grants)
    missing = [
        f"GRANT {privilege} ON {table(name)} TO {role};"
        for name in made
        for role, privileges in wanted.items()
        for privilege in privileges
        if (name, role, privilege) not in given
    ]
    if missing:
        yield refused(
            "grants",
            f"{change.section}: new tables or views do not get the configured privileges",
            "Put these statements into the revision, or use --accept grants and run them afterwards.",
            missing,
        )


def roles_there(
    facts: DatabaseFacts, changes: Sequence[SectionChange], wanted: Iterable[str]
) -> Iterator[ApplyCheck]:
    """Check that the roles that get privileges exist (rule M3)."""
    named = sorted({role for change in changes for role in change.forward.roles} | set(wanted))
    missing = [role for role in named if role not in facts.roles]
    if missing:
        yield refused(
            "roles",
            f"a role that gets privileges is missing: {', '.join(missing)}",
            "Ask an administrator to run " + " ".join(f'`CREATE ROLE "{role}";`' for role in missing),
        )
    elif named:
        yield passed("roles", f"the roles exist: {', '.join(named)}")


def check_replication(
    facts: DatabaseFacts, changes: Sequence[SectionChange], replication: Replication
) -> Iterator[ApplyCheck]:
    """Check publication, subscription and replication role against the change."""
    published = {name for publication in facts.publications for name in publication.tables}
    taken = {name for subscription in facts.subscriptions for name in subscription.tables}
    schemas = {name.partition(".")[0] for name in published | taken}
    concerned = [change for change in changes if change.schema in schemas]
    if not concerned:
        yield passed("replication", "nothing that is changed is replicated here")
        return
    needs = needs_of([change.forward for change in concerned], lambda schema: schema in schemas)
    if taken:
        yield from _replica(facts, needs)
    if published:
        yield from _publisher(facts, needs, replication)
    if needs.different:
        yield refused(
            "values",
            f"new columns get different values at publisher and replica: {', '.join(needs.different)}",
            "Give them a fixed value, or fill them from other columns.",
        )


def _replica(facts: DatabaseFacts, needs: Needs) -> Iterator[ApplyCheck]:
    for subscription in facts.subscriptions:
        name = subscription.name
        if not needs.pause:
            yield passed("replication", f"subscription {name} may stay on")
        elif subscription.enabled:
            yield refused(
                "replication",
                f"subscription {name} is on, and would receive rows that do not fit",
                f"Ask an administrator to run `{sql.alter_subscription(name, 'DISABLE')}`; see the runbook.",
            )
        else:
            yield passed("replication", f"subscription {name} is off")


def _publisher(facts: DatabaseFacts, needs: Needs, replication: Replication) -> Iterator[ApplyCheck]:
    slot = replication.subscription
    if not needs.pause:
        yield passed("replication", "no replicated table changes")
    elif slot not in facts.slots:
        yield ApplyCheck("replication", "warning", f"slot {slot} is missing: there is no subscriber")
    elif facts.slots[slot]:
        yield refused(
            "replication",
            f"the replica is connected to slot {slot}, and would receive rows that do not fit",
            f"Run `{sql.alter_subscription(slot, 'DISABLE')}` at the replica; see the runbook.",
        )
    else:
        yield passed("replication", f"no subscriber is connected to slot {slot}")
        yield from _waiting(facts, needs, slot)
    yield from _unsent(facts, needs, replication)
    yield from _identity(facts, needs)
    if needs.added and replication.role not in facts.roles:
        yield refused(
            "roles",
            f"the role {replication.role}, with which the replica reads new tables, is missing",
            "Write its name into the configuration: sites.replication.role.",
        )


def _waiting(facts: DatabaseFacts, needs: Needs, slot: str) -> Iterator[ApplyCheck]:
    if not needs.quiet:
        return
    reasons = ", ".join(needs.reasons[:3]) + (", …" if len(needs.reasons) > 3 else "")
    count = facts.waiting.get(slot)
    if count:
        yield refused(
            "waiting",
            f"{count} row changes wait for the replica, which could not accept them afterwards: {reasons}",
            f"Stop the writers, run `{sql.alter_subscription(slot, 'ENABLE')}` at the replica until it has "
            "them, and disable it again.",
        )
    elif count is None:
        yield ApplyCheck(
            "waiting",
            "warning",
            f"this user cannot check that no row waits for the replica ({reasons})",
            "Run the query of the runbook as the replication role.",
        )
    else:
        yield passed("waiting", "no row waits for the replica")


def _unsent(facts: DatabaseFacts, needs: Needs, replication: Replication) -> Iterator[ApplyCheck]:
    published = {name for publication in facts.publications for name in publication.tables}
    tables = [name for name, _ in needs.unsent if str(name) in published]
    if tables:
        yield ApplyCheck(  # every statement is needed
            "publication",
            "refused",
            "rows are written in a form that the replica cannot accept, and would be sent to it",
            "Ask an administrator to run these first, and put the tables back afterwards; see the runbook.",
            tuple(sql.alter_publication(replication, "DROP", tables).split("\n")),
        )


def _identity(facts: DatabaseFacts, needs: Needs) -> Iterator[ApplyCheck]:
    without = {name for publication in facts.publications for name in publication.unidentified}
    tables = [name for name, _ in needs.identity if str(name) in without]
    if tables:
        yield ApplyCheck(  # every statement is needed
            "identity",
            "refused",
            "rows of published tables are rewritten while the table has another primary key than at the end",
            "Run these first, and the same with DEFAULT afterwards.",
            tuple(sql.identity(tables, "FULL").split("\n")),
        )


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
        yield refused(
            "downgrade",
            f"{change.section}: the downgrade does not run: {expected.failure}",
            "Fix the downgrade of the revision, or write a new revision that goes forward.",
        )
    elif expected.unrestored:
        yield ApplyCheck(
            "downgrade",
            "warning",
            f"{change.section}: the downgrade does not restore the catalog of revision {change.start}",
            "A separate revision can correct it afterwards.",
            _first(_words(expected.unrestored)),
        )
    found = _differences(facts.snapshot, expected.before, facts.owners, major == expected.major)
    concerned = {name.name for name in change.forward.locked}
    serious = [d for d in found if d.path[0] in concerned and d.path[-1] != "comment"]
    others = [d for d in found if d not in serious]
    if serious:
        yield refused(
            "drift",
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
            details=_first(_words(others)),
        )
    if not found:
        yield passed("drift", f"{change.section} is as its revision history leaves it")


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
        passed("revision", f"{change.section} is at {change.end}")
        if rows == should
        else refused("revision", f"{change.section} is at {', '.join(rows) or 'base'}, not {change.end}")
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
    cause = f"{change.section}: tables or views are not as expected"
    yield checked("columns", wrong, cause, "", f"{change.section}: tables and views are as expected")


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
    yield checked(
        "owner",
        wrong,
        f"{change.section}: tables or views do not belong to {owner}, or {owner} cannot use them",
        f"Ask an administrator to run ALTER TABLE … OWNER TO {owner}; GRANT ALL ON … TO {owner}.",
        f"{change.section}: everything belongs to {owner}",
    )


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
    if should:
        yield checked(
            "grants",
            missing,
            f"{change.section}: privileges are missing",
            "Put these statements into a separate revision, or ask the owner to run them.",
            f"{change.section}: {len(should)} privileges are present",
        )


def _catalog(
    change: SectionChange, before: SectionFacts, after: SectionFacts, expected: ExpectedCatalogs, major: int
) -> Iterator[ApplyCheck]:
    same = major == expected.major
    known = set(map(str, _differences(before.snapshot, expected.before, before.owners, same)))
    now = _differences(after.snapshot, expected.after, after.owners, same)
    yield checked(
        "catalog",
        _words(difference for difference in now if str(difference) not in known),
        f"{change.section}: the database differs from a fresh one after the same revisions",
        "",
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


def _words(differences: Iterable[Difference]) -> list[str]:
    return [
        f"{'.'.join(d.path)}: here {_shown(d.left)}, by its history {_shown(d.right)}" for d in differences
    ]


def _shown(value: object) -> str:
    if isinstance(value, catalog.Sequence):
        owner = f" of {value.owned_by}" if value.owned_by else ""
        return f"a sequence{owner}, {'used' if value.used else 'not used'}"
    return "nothing" if value is None else str(value)
