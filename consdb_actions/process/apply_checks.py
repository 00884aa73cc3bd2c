"""Decide from facts whether a migration may be applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.apply_facts import (
    ACCEPTABLE,
    BROUGHT_ABOUT,
    ApplyCheck,
    Checkout,
    CheckState,
    DatabaseFacts,
    SectionFacts,
)
from consdb_actions.process.runbook_change import Needs, SectionChange, needs_of
from consdb_actions.process.runbook_sql import table
from consdb_actions.process.sites import Replication

_LONG = 10.0  # Transactions of other sessions longer than this (in seconds) are reported
_MOST = 15


def check_revision(
    facts: SectionFacts, section: str, history: Sequence[str], expected: str
) -> tuple[str, ApplyCheck]:
    """Check that a section is at the expected revision (rule M12).

    `history` holds all revision ids of the tree; an empty `expected` allows any of them. Returns the present
    revision: ``base`` for none, empty if unknown.
    """

    def refused(text: str, remedy: str) -> tuple[str, ApplyCheck]:
        return "", ApplyCheck("revision", "refused", text, remedy)

    rows = facts.revisions
    if rows is None:
        if facts.snapshot.relations:
            return refused(
                f"{section}: there are tables, but no version table",
                f"Find out which revision they are of, and run `alembic -n {section} stamp REVISION`.",
            )
        rows = ()
    if len(rows) > 1:
        return refused(
            f"{section}: the version table names {len(rows)} revisions: {', '.join(rows)}",
            "Two heads were applied to the database. Check the history, and keep only the right row.",
        )
    found = rows[0] if rows else "base"
    if found != "base" and found not in history:
        return refused(
            f"{section} is at revision {found[:40]}, which is not in this tree",
            "Check out the release that the database is at, or a later one.",
        )
    if expected and found != expected:
        return found, ApplyCheck(
            "revision",
            "refused",
            f"{section} is at revision {found}, not at {expected}",
            "Somebody changed the database, or a release was skipped. Find out before you continue.",
        )
    return found, ApplyCheck("revision", "ok", f"{section} is at {found}")


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
        yield ApplyCheck(
            "checkout",
            "refused",
            f"{len(checkout.edited)} files of the tree differ from commit {checkout.commit[:12]}",
            "Commit them, or `git checkout` the release.",
            checkout.edited[:_MOST],
        )
    else:
        name = f"{checkout.tag}, " if checkout.tag else ""
        yield ApplyCheck("checkout", "ok", f"the tree is at {name}commit {checkout.commit[:12]}")


def _server(facts: DatabaseFacts) -> Iterator[ApplyCheck]:
    if facts.read_only:
        yield ApplyCheck(
            "server", "refused", "this database is read-only", "Name the primary, not a standby."
        )
    else:
        yield ApplyCheck("server", "ok", f"Postgres {facts.version}, as {facts.user}")


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
    if missing:
        yield ApplyCheck(
            "tables",
            "refused",
            f"{change.section}: the database is not as revision {change.start} leaves it",
            "Find out why. The migration cannot be applied to it in this state.",
            tuple(missing[:_MOST]),
        )
    else:
        yield ApplyCheck("tables", "ok", f"{change.section}: the tables to be changed are present")
    if more:
        yield ApplyCheck(
            "drift",
            "refused",
            f"{change.section}: the database has columns that revision {change.start} does not have",
            "Find out what they are for; recreated views will not show them.",
            tuple(more[:_MOST]),
        )


def _schemas(change: SectionChange) -> tuple[str, str]:
    return change.version_table.partition(".")[0], change.schema


def _owner(change: SectionChange, facts: SectionFacts) -> Iterator[ApplyCheck]:
    """Check the owner's rights, and this user's membership (rule O4)."""
    if facts.owner and not facts.may_act:
        yield ApplyCheck(
            "owner",
            "refused",
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
        yield ApplyCheck(
            "owner",
            "refused",
            f"{change.section}: {facts.owner} has no privilege to make this change",
            f"Ask an administrator to make {facts.owner} the owner: ALTER TABLE … OWNER TO {facts.owner}.",
            tuple(others[:_MOST]),
        )
    if not facts.may_create and (change.forward.new_tables or change.forward.new_views):
        yield ApplyCheck(
            "owner",
            "refused",
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
        yield ApplyCheck(
            "dependents",
            "refused",
            f"{change.section}: other views read what is dropped, recreated or changes its type",
            "Ask their owners to drop them, and to recreate them afterwards.",
            tuple(blocking[:_MOST]),
        )
    if reading:
        yield ApplyCheck(
            "dependents",
            "warning",
            f"{change.section}: other views read what is changed, and will not show new columns",
            details=tuple(reading[:_MOST]),
        )


def _extension(facts: DatabaseFacts, changes: Sequence[SectionChange]) -> Iterator[ApplyCheck]:
    if not any(change.forward.spoly for change in changes):
        return
    if facts.spoly:
        yield ApplyCheck("extension", "ok", "the type spoly of pg_sphere is installed")
    else:
        yield ApplyCheck(
            "extension",
            "refused",
            "a column needs the type spoly, which is missing",
            "Ask an administrator to run `CREATE EXTENSION pg_sphere` in this database.",
        )


def _locks(facts: DatabaseFacts) -> Iterator[ApplyCheck]:
    if not facts.locks:
        yield ApplyCheck("locks", "ok", "no other session has locked them")
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
        tuple(map(str, facts.locks[:_MOST])),
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
        yield ApplyCheck(
            "grants",
            "refused",
            f"{change.section}: recreated views lose privileges that they have here",
            "Put these statements into the revision, or use --accept grants and run them afterwards.",
            tuple(lost[:_MOST]),
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
        yield ApplyCheck(
            "grants",
            "refused",
            f"{change.section}: new tables or views do not get the configured privileges",
            "Put these statements into the revision, or use --accept grants and run them afterwards.",
            tuple(missing[:_MOST]),
        )


def roles_there(
    facts: DatabaseFacts, changes: Sequence[SectionChange], wanted: Iterable[str]
) -> Iterator[ApplyCheck]:
    """Check that the roles that get privileges exist (rule M3)."""
    named = sorted({role for change in changes for role in change.forward.roles} | set(wanted))
    missing = [role for role in named if role not in facts.roles]
    if missing:
        yield ApplyCheck(
            "roles",
            "refused",
            f"a role that gets privileges is missing: {', '.join(missing)}",
            "Ask an administrator to run " + " ".join(f'`CREATE ROLE "{role}";`' for role in missing),
        )
    elif named:
        yield ApplyCheck("roles", "ok", f"the roles exist: {', '.join(named)}")


def check_replication(
    facts: DatabaseFacts, changes: Sequence[SectionChange], replication: Replication
) -> Iterator[ApplyCheck]:
    """Check publication, subscription and replication role against the change."""
    published = {name for publication in facts.publications for name in publication.tables}
    taken = {name for subscription in facts.subscriptions for name in subscription.tables}
    schemas = {name.partition(".")[0] for name in published | taken}
    concerned = [change for change in changes if change.schema in schemas]
    if not concerned:
        yield ApplyCheck("replication", "ok", "nothing that is changed is replicated here")
        return
    needs = needs_of([change.forward for change in concerned], lambda schema: schema in schemas)
    if taken:
        yield from _replica(facts, needs)
    if published:
        yield from _publisher(facts, needs, replication)
    if needs.different:
        yield ApplyCheck(
            "values",
            "refused",
            f"new columns get different values at publisher and replica: {', '.join(needs.different)}",
            "Give them a fixed value, or fill them from other columns.",
        )


def _replica(facts: DatabaseFacts, needs: Needs) -> Iterator[ApplyCheck]:
    for subscription in facts.subscriptions:
        name = subscription.name
        if not needs.pause:
            yield ApplyCheck("replication", "ok", f"subscription {name} may stay on")
        elif subscription.enabled:
            yield ApplyCheck(
                "replication",
                "refused",
                f"subscription {name} is on, and would receive rows that do not fit",
                f"Ask an administrator to run `{sql.alter_subscription(name, 'DISABLE')}`; see the runbook.",
            )
        else:
            yield ApplyCheck("replication", "ok", f"subscription {name} is off")


def _publisher(facts: DatabaseFacts, needs: Needs, replication: Replication) -> Iterator[ApplyCheck]:
    slot = replication.subscription
    if not needs.pause:
        yield ApplyCheck("replication", "ok", "no replicated table changes")
    elif slot not in facts.slots:
        yield ApplyCheck("replication", "warning", f"slot {slot} is missing: there is no subscriber")
    elif facts.slots[slot]:
        yield ApplyCheck(
            "replication",
            "refused",
            f"the replica is connected to slot {slot}, and would receive rows that do not fit",
            f"Run `{sql.alter_subscription(slot, 'DISABLE')}` at the replica; see the runbook.",
        )
    else:
        yield ApplyCheck("replication", "ok", f"no subscriber is connected to slot {slot}")
        yield from _waiting(facts, needs, slot)
    yield from _unsent(facts, needs, replication)
    yield from _identity(facts, needs)
    if needs.added and replication.role not in facts.roles:
        yield ApplyCheck(
            "roles",
            "refused",
            f"the role {replication.role}, with which the replica reads new tables, is missing",
            "Write its name into the configuration: sites.replication.role.",
        )


def _waiting(facts: DatabaseFacts, needs: Needs, slot: str) -> Iterator[ApplyCheck]:
    if not needs.quiet:
        return
    reasons = ", ".join(needs.reasons[:3]) + (", …" if len(needs.reasons) > 3 else "")
    count = facts.waiting.get(slot)
    if count:
        yield ApplyCheck(
            "waiting",
            "refused",
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
        yield ApplyCheck("waiting", "ok", "no row waits for the replica")


def _unsent(facts: DatabaseFacts, needs: Needs, replication: Replication) -> Iterator[ApplyCheck]:
    published = {name for publication in facts.publications for name in publication.tables}
    tables = [name for name, _ in needs.unsent if str(name) in published]
    if tables:
        yield ApplyCheck(
            "publication",
            "refused",
            "rows are written in a form that the replica cannot accept, and would be sent to it",
            "Ask an administrator to run these first, and put the tables back afterwards; see the runbook.",
            tuple(sql.take_out(replication, tables).split("\n")),
        )


def _identity(facts: DatabaseFacts, needs: Needs) -> Iterator[ApplyCheck]:
    refused = {name for publication in facts.publications for name in publication.unidentified}
    tables = [name for name, _ in needs.identity if str(name) in refused]
    if tables:
        yield ApplyCheck(
            "identity",
            "refused",
            "rows of published tables are rewritten while the table has another primary key than at the end",
            "Run these first, and the same with DEFAULT afterwards.",
            tuple(sql.identity(tables, "FULL").split("\n")),
        )
