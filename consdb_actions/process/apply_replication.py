"""The checks before a migration that are about the replication, at either end of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.apply_facts import ApplyCheck, DatabaseFacts
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.runbook_order import Needs, needs_of
from consdb_actions.process.sites import Replication

__all__ = ["check_replication"]


def check_replication(
    facts: DatabaseFacts, changes: Sequence[SectionChange], replication: Replication
) -> Iterator[ApplyCheck]:
    """Yield whether publication, subscription and replication role are as the change needs them."""
    published = {name for publication in facts.publications for name in publication.tables}
    taken = {name for subscription in facts.subscriptions for name in subscription.tables}
    schemas = {name.partition(".")[0] for name in published | taken}
    concerned = [change for change in changes if change.schema in schemas]
    if not concerned:
        yield ApplyCheck("replication", "ok", "none of this is replicated here")
        return
    needs = needs_of([change.forward for change in concerned], lambda schema: schema in schemas)
    if taken:
        yield from _replica(facts, needs)
    if published:
        yield from _publisher(facts, needs, replication)
    if needs.different:
        yield ApplyCheck(
            "replication",
            "refused",
            f"new columns get other values at each end: {', '.join(needs.different)}",
            "Give them one value, or fill them from other columns.",
        )


def _replica(facts: DatabaseFacts, needs: Needs) -> Iterator[ApplyCheck]:
    for subscription in facts.subscriptions:
        name = subscription.name
        if not needs.pause:
            yield ApplyCheck("replication", "ok", f"subscription {name} can go on")
        elif subscription.enabled:
            yield ApplyCheck(
                "replication",
                "refused",
                f"subscription {name} is on, and rows would come that do not fit",
                f"Have an administrator run `{sql.alter_subscription(name, 'DISABLE')}`; see the runbook.",
            )
        else:
            yield ApplyCheck("replication", "ok", f"subscription {name} is off")


def _publisher(facts: DatabaseFacts, needs: Needs, replication: Replication) -> Iterator[ApplyCheck]:
    slot = replication.subscription
    if not needs.pause:
        yield ApplyCheck("replication", "ok", "nothing that is replicated changes")
    elif slot not in facts.slots:
        yield ApplyCheck("replication", "warning", f"there is no slot {slot}: nobody takes what is published")
    elif facts.slots[slot]:
        yield ApplyCheck(
            "replication",
            "refused",
            f"the replica is connected to slot {slot}, and rows would go there that do not fit",
            f"Have `{sql.alter_subscription(slot, 'DISABLE')}` run at the replica; see the runbook.",
        )
    else:
        yield ApplyCheck("replication", "ok", f"nobody is connected to slot {slot}")
        yield from _waiting(facts, needs, slot)
    yield from _unsent(facts, needs, replication)
    yield from _identity(facts, needs)
    if needs.added and replication.role not in facts.roles:
        yield ApplyCheck(
            "replication",
            "refused",
            f"there is no role {replication.role}, with which the replica reads new tables",
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
            f"{count} changes of rows wait for the replica, which could not take them afterwards: {reasons}",
            f"Stop what writes, run `{sql.alter_subscription(slot, 'ENABLE')}` at the replica until it has "
            "them, and turn it off again.",
        )
    elif count is None:
        yield ApplyCheck(
            "waiting",
            "warning",
            f"this user may not see whether rows wait for the replica; none may ({reasons})",
            "Ask as the role of the replication, as the runbook says.",
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
            "rows are written in a form that the replica cannot take, and would be sent to it",
            "Have an administrator run these first, and put the tables back afterwards; see the runbook.",
            tuple(sql.take_out(replication, tables).split("\n")),
        )


def _identity(facts: DatabaseFacts, needs: Needs) -> Iterator[ApplyCheck]:
    refused = {name for publication in facts.publications for name in publication.unidentified}
    tables = [name for name, _ in needs.identity if str(name) in refused]
    if tables:
        yield ApplyCheck(
            "identity",
            "refused",
            "rows of published tables are changed under another primary key than the one at the end",
            "Run these first, and again with DEFAULT afterwards.",
            tuple(sql.identity(tables, "FULL").split("\n")),
        )
