"""The main part of the runbook: publisher, publication and replica."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_change import ColumnChange, Pair, SectionChange
from consdb_actions.process.runbook_plan import SOON, RunbookPlan, ask, listed, run, upgrade_step
from consdb_actions.process.runbook_plan import tables as tables_of
from consdb_actions.process.runbook_stand import (
    RunbookRelease,
    preflight_step,
    schema_steps,
    summit_deploy_step,
)
from consdb_actions.process.runbook_steps import Block, RunbookStep
from consdb_actions.process.sites import WriterService
from consdb_actions.schema.model import Name

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


_ROOM = "Space left for waiting rows. An empty answer means that only the disk limits it."


def writers_of(plan: RunbookPlan) -> tuple[WriterService, ...]:
    """Return the writers that must stop."""
    found: dict[WriterService, None] = {}
    if plan.needs.quiet:
        tables = [str(name) for name in plan.needs.tables]
        found.update(dict.fromkeys(plan.sites.writing(tables, "publisher")))
        # Nobody may write who is not known here.
        unknown = [name for name in tables if not plan.sites.writing([name], "publisher")]
        unknown += [change.schema for change in plan.published if change.forward.unknown]
        if unknown:
            found[WriterService("", f"everything that writes to {listed(unknown)}")] = None
    local = [str(name) for change in plan.local for name in _disturbed(change)]
    found.update(dict.fromkeys(plan.sites.writing(local, "replica")))
    return tuple(found)


def _disturbed(change: SectionChange) -> list[Name]:
    """Return the tables, by their old names, that the current writers may fail to write."""
    effects = change.forward
    old = {new: name for name, new in effects.renamed_tables}
    found = {old.get(c.table, c.table) for c in effects.columns if c.kind != "loosened" and not _free(c)}
    return sorted(found | set(effects.dropped_tables) | set(old.values()))


def _free(change: ColumnChange) -> bool:
    """Tell whether a change does not affect writers: a new nullable column."""
    return change.kind == "added" and not change.required


def migrate_steps(plan: RunbookPlan, release: RunbookRelease | None = None) -> Iterator[RunbookStep]:
    """Yield the steps in order; a release is deployed before the writers are restarted."""
    yield from _look(plan)
    if plan.direction == "upgrade":
        for site, changes in ((plan.publisher, plan.published), (plan.replica, plan.at_replica)):
            yield from schema_steps(site, changes, plan.sites)
    yield preflight_step(plan)
    yield from _writers(plan, "stop")
    if plan.needs.quiet:
        yield drain(plan)
    if plan.needs.pause:
        yield off(plan)
    if plan.needs.quiet:
        yield nothing_waits(plan)
    if plan.published:
        yield from unpublish(plan)
        yield from identity(plan, "FULL")
        yield upgrade_step(plan.publisher, plan.published, plan.sites, plan.direction, _publisher_fails(plan))
        yield from identity(plan, "DEFAULT")
        yield from republish(plan)
    yield from publish(plan)
    yield upgrade_step(plan.replica, plan.at_replica, plan.sites, plan.direction, _replica_fails(plan))
    yield from empty(plan)
    if plan.needs.pause:
        yield on(plan)
        yield caught_up(plan)
    if release is not None and plan.published:
        yield from summit_deploy_step(plan, release)
    yield from _writers(plan, "start")


def cancel_steps(plan: RunbookPlan) -> Iterator[RunbookStep]:
    """Yield the steps that revert those before the publisher's upgrade."""
    if plan.needs.identity:
        yield from identity(plan, "DEFAULT", prefix="cancel-")
    yield from republish(plan, prefix="cancel-")
    if plan.needs.pause:
        block = Block("sql", plan.replica.id, plan.enable, "administrator")
        ask = Block("wait", plan.publisher.id, sql.slot_active(plan.sites.replication), "owner", "t", SOON)
        yield RunbookStep(
            "cancel-subscription",
            "Enable the subscription again",
            plan.replica.id,
            plan.replica.administrators,
            (block, ask),
        )
    yield from _writers(plan, "start", prefix="cancel-")


def _look(plan: RunbookPlan) -> Iterator[RunbookStep]:
    blocks = [
        ask(site, sql.revision_of(change), change.start)
        for site, changes in ((plan.publisher, plan.published), (plan.replica, plan.at_replica))
        for change in changes
        if change.start != "base"
    ]
    failure = ["Another revision: stop. Somebody changed the database, or a release was skipped."]
    if plan.needs.pause:
        replication = plan.sites.replication
        blocks += [
            ask(plan.replica, sql.enabled(replication), "t"),
            ask(plan.publisher, sql.slot_active(replication), "t"),
            run(plan.publisher, sql.caught_up(replication), note=DONE),
            Block("look", plan.publisher.id, sql.retained(replication), note=_ROOM),
        ]
        failure.append(
            f"Not `t`, or an error that the replica is behind: replication is already broken. Stop, and ask "
            f"{plan.replica.administrators} to fix it first."
        )
    if blocks:
        yield RunbookStep(
            f"{plan.prefix}look",
            "Pre-flight checks",
            plan.publisher.id if plan.published else plan.replica.id,
            "ConsDB team",
            tuple(blocks),
            failure=(*failure, "Nothing has been changed yet."),
        )


def _writers(plan: RunbookPlan, what: str, prefix: str | None = None) -> Iterator[RunbookStep]:
    writers = writers_of(plan)
    if not writers:
        return
    stops = what == "stop"
    blocks = []
    for writer in writers:
        site = plan.publisher if writer.part == "publisher" else plan.replica
        words = f"Ask for {writer.name} to be {'stopped' if stops else 'restarted'}."
        text = (writer.stop if stops else writer.start) or words
        blocks.append(Block("stop" if stops else "start", site.id, text))
    names = listed([writer.name for writer in writers])
    why = ""
    if stops:
        reasons = listed(plan.needs.reasons or tuple(str(n) for c in plan.local for n in _disturbed(c)), 4)
        why = (
            f"Rows written before the upgrade of {plan.publisher.title} do not fit {plan.replica.title} "
            "after its "
            f"own upgrade: {reasons}. All of them must arrive first."
            if plan.needs.quiet
            else f"The current writers cannot write to the new tables: {reasons}."
        )
    yield RunbookStep(
        f"{plan.prefix if prefix is None else prefix}writers-{'off' if stops else 'on'}",
        f"Stop {names}" if stops else f"Start {names} again",
        plan.publisher.id if plan.published else plan.replica.id,
        "ConsDB team",
        tuple(blocks),
        why,
        ("Something cannot be stopped: do not continue. Restart the others.",) if stops else (),
    )


def _publisher_fails(plan: RunbookPlan) -> tuple[str, ...]:
    words = [f"Nothing was changed: {plan.leave}"] if plan.needs.pause else []
    if len(plan.published) > 1:
        words.append("Sections reported as done stay done; the same command continues where it stopped.")
    return tuple(words)


def _replica_fails(plan: RunbookPlan) -> tuple[str, ...]:
    words = []
    if plan.needs.pause:
        words.append(
            f"Leave the subscription disabled and {plan.publisher.title} as it is now: rows wait and are not "
            "lost. "
            "Fix the cause, and run the same command again. The last query of “Pre-flight checks” shows how "
            "long rows can wait."
        )
    return tuple(words)
