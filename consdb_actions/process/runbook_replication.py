"""Steps for the replication."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consdb_actions.lint.state import Name
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_change import Pair
from consdb_actions.process.runbook_plan import SOON, RunbookPlan, ask, listed, run
from consdb_actions.process.runbook_plan import tables as tables_of
from consdb_actions.process.runbook_steps import Block, RunbookStep

__all__ = [
    "DONE",
    "caught_up",
    "drain",
    "empty",
    "identity",
    "nothing_waits",
    "off",
    "on",
    "publish",
    "republish",
    "unpublish",
]

_COPY = 1800
DONE = "It answers `DO` when the replica has every row."


def drain(plan: RunbookPlan) -> RunbookStep:
    """Wait until the replica has every row."""
    return RunbookStep(
        f"{plan.prefix}drain",
        f"Wait until {plan.replica.title} has every row",
        plan.publisher.id,
        "ConsDB team",
        (run(plan.publisher, sql.caught_up(plan.sites.replication), note=DONE),),
        "",
        (
            "An error says that the replica is still behind: run it again as long as the distance shrinks. "
            "If it "
            f"does not shrink, restart the writers and call {plan.replica.administrators}.",
        ),
    )


def off(plan: RunbookPlan) -> RunbookStep:
    """Disable the subscription."""
    replication = plan.sites.replication
    return RunbookStep(
        f"{plan.prefix}subscription-off",
        "Disable the subscription",
        plan.replica.id,
        plan.replica.administrators,
        (
            run(plan.replica, sql.subscription(replication, "DISABLE"), "administrator"),
            ask(plan.replica, sql.enabled(replication), "f", "administrator"),
            Block("wait", plan.publisher.id, sql.slot_active(replication), "owner", "f", SOON),
        ),
        f"From now on, rows wait at {plan.publisher.title}, and {plan.replica.title} receives nothing new.",
        (plan.leave,),
    )


def nothing_waits(plan: RunbookPlan) -> RunbookStep:
    """Check that no row was written since."""
    return RunbookStep(
        f"{plan.prefix}nothing-waits",
        "Check that no row is waiting",
        plan.publisher.id,
        "ConsDB team",
        (ask(plan.publisher, sql.pending(plan.sites.replication), "0", "replication"),),
        "The replica could never accept a row that is waiting now.",
        (
            f"Not `0`: something still writes. Run `{plan.enable}` at {plan.replica.title}, find the "
            "writer, and "
            f"continue from “Wait until {plan.replica.title} has every row”.",
        ),
    )


def identity(plan: RunbookPlan, what: str, prefix: str | None = None) -> Iterator[RunbookStep]:
    """Set REPLICA IDENTITY of tables to FULL, or back to DEFAULT."""
    full = what == "FULL"
    tables = _named(plan.needs.identity, before=full or prefix is not None)
    if not tables:
        return
    yield RunbookStep(
        f"{plan.prefix if prefix is None else prefix}identity-{what.lower()}",
        f"Set REPLICA IDENTITY {what}",
        plan.publisher.id,
        f"ConsDB team, as {plan.publisher.user}",
        (run(plan.publisher, sql.identity(tables, what)),),
        f"The upgrade rewrites rows of {listed([str(t) for t in tables])} while the table has its old "
        "primary key, "
        "or none. Without this, Postgres rejects the change here, or the replica rejects the rows."
        if full
        else "",
        ("It waits for a lock: find the session that holds it, and run the statement again.",),
    )


def unpublish(plan: RunbookPlan) -> Iterator[RunbookStep]:
    """Remove tables from the publication whose rows the upgrade writes in an intermediate form."""
    tables = _named(plan.needs.unsent, before=True)
    if not tables:
        return
    replication, site = plan.sites.replication, plan.publisher
    yield RunbookStep(
        f"{plan.prefix}unpublish",
        f"Take {tables_of(tables)} out of the publication",
        site.id,
        f"{site.administrators}, by the ticket below",
        (
            run(site, sql.take_out(replication, tables), "administrator"),
            ask(site, sql.published(replication, tables), "0"),
        ),
        f"The upgrade writes rows of {listed([str(t) for t in tables])} in a form that {plan.replica.title} "
        "cannot accept after its own upgrade. That upgrade writes the same rows itself, so they must not be "
        "sent.",
        (
            '"FOR ALL TABLES": the publication contains all tables, which this migration does not allow. '
            "Stop.",
            plan.leave,
        ),
    )


def republish(plan: RunbookPlan, prefix: str | None = None) -> Iterator[RunbookStep]:
    """Add those tables to the publication again."""
    tables = _named(plan.needs.unsent, before=prefix is not None)
    if not tables:
        return
    replication, site = plan.sites.replication, plan.publisher
    yield RunbookStep(
        f"{plan.prefix if prefix is None else prefix}republish",
        f"Put {tables_of(tables)} back into the publication",
        site.id,
        f"{site.administrators}, by the ticket below",
        (
            run(site, sql.put_back(replication, tables), "administrator"),
            ask(site, sql.not_published(replication, tables), "0"),
        ),
        f"Without this, {plan.replica.title} misses every new row of these tables, without an error.",
        ("Do not restart the writers before this is done.",),
    )


def _named(pairs: Sequence[Pair], *, before: bool) -> list[Name]:
    """Return tables by their names before or after the upgrade."""
    return [old if before else new for old, new in pairs]


def publish(plan: RunbookPlan) -> Iterator[RunbookStep]:
    """Add new tables to the publication."""
    tables = plan.needs.added
    if not tables:
        return
    replication, site = plan.sites.replication, plan.publisher
    schemas = [c.schema for c in plan.published if c.start == "base"]
    readable = [(name, replication.role, "SELECT") for name in tables]
    yield RunbookStep(
        f"{plan.prefix}publication",
        f"Add {tables_of(tables)} to the publication",
        site.id,
        f"{site.administrators}, by the ticket below",
        (
            run(site, sql.add_to_publication(replication, tables, schemas), "administrator"),
            ask(site, sql.not_published(replication, tables), "0"),
            ask(site, sql.grants_there(readable), "0"),
        ),
        failure=(
            '"already member of publication": already done; continue with the checks.',
            '"FOR ALL TABLES" or "already published": the publication includes new tables automatically; '
            "continue with "
            "the checks.",
            "Anything else: continue without this step. The new tables can be added later, with this step "
            "and "
            "the refresh below.",
        ),
    )


def empty(plan: RunbookPlan) -> Iterator[RunbookStep]:
    """Empty new tables that the upgrade has filled at the replica."""
    tables = plan.needs.refilled
    if not tables:
        return
    yield RunbookStep(
        f"{plan.prefix}empty",
        f"Empty {tables_of(tables)} at {plan.replica.title}",
        plan.replica.id,
        f"ConsDB team, as {plan.replica.user}",
        (run(plan.replica, sql.truncate(tables)),),
        "The upgrade has filled them at both sites. All of their rows will be copied from "
        f"{plan.publisher.title}, "
        "and would exist twice.",
    )


def on(plan: RunbookPlan) -> RunbookStep:
    """Enable the subscription."""
    replication = plan.sites.replication
    statements = [sql.subscription(replication, "ENABLE")]
    blocks = []
    if plan.needs.refresh:
        statements.append(sql.subscription(replication, "REFRESH PUBLICATION"))
        blocks.append(Block("wait", plan.replica.id, sql.copied(replication), "owner", "0", _COPY))
    replica, off = plan.replica, sql.subscription(replication, "DISABLE")
    return RunbookStep(
        f"{plan.prefix}subscription-on",
        "Enable the subscription" + (" and refresh it" if plan.needs.refresh else ""),
        replica.id,
        replica.administrators,
        (
            *(run(replica, statement, "administrator") for statement in statements),
            Block("wait", plan.publisher.id, sql.slot_active(replication), "owner", "t", SOON),
            *blocks,
            Block("command", replica.id, replication.logs, note="No line may contain `ERROR`:"),
        ),
        failure=(
            f"`active` stays `f`, or keeps changing: the log of {replica.title} names the table whose "
            f'rows do not fit ("missing replicated column", "duplicate key"). Run `{off}`; the rows wait. '
            "Compare that table at both sites, and fix the difference.",
        ),
    )


def caught_up(plan: RunbookPlan) -> RunbookStep:
    """Check that every row has arrived."""
    replication = plan.sites.replication
    blocks = [
        run(plan.publisher, sql.caught_up(replication), note=DONE),
        Block("wait", plan.replica.id, sql.worker(replication), "owner", "1", SOON),
    ]
    if tables := plan.needs.added:
        compared = f"{plan.publisher.id},{plan.replica.id}"
        blocks += [Block("compare", compared, sql.rows_of(name)) for name in tables]
    return RunbookStep(
        f"{plan.prefix}caught-up",
        f"Check that {plan.replica.title} has every row",
        plan.publisher.id,
        "ConsDB team",
        tuple(blocks),
        "This shows that replication works.",
        (
            "An error says that the replica is still behind: if many rows were waiting, run it again. "
            "Otherwise see "
            "the previous step.",
        ),
    )
