"""The main part of the runbook: publisher, publication and replica."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.lint.state import Name
from consdb_actions.process import runbook_replication as steps
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_change import ColumnChange, SectionChange
from consdb_actions.process.runbook_plan import SOON, RunbookPlan, ask, listed, run
from consdb_actions.process.runbook_stand import (
    RunbookRelease,
    preflight_step,
    schema_steps,
    summit_deploy_step,
)
from consdb_actions.process.runbook_steps import Block, RunbookStep
from consdb_actions.process.runbook_upgrade import upgrade_step
from consdb_actions.process.sites import WriterService

__all__ = ["cancel_steps", "migrate_steps", "writers_of"]


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
        yield steps.drain(plan)
    if plan.needs.pause:
        yield steps.off(plan)
    if plan.needs.quiet:
        yield steps.nothing_waits(plan)
    if plan.published:
        yield from steps.unpublish(plan)
        yield from steps.identity(plan, "FULL")
        yield upgrade_step(plan.publisher, plan.published, plan.sites, plan.direction, _publisher_fails(plan))
        yield from steps.identity(plan, "DEFAULT")
        yield from steps.republish(plan)
    yield from steps.publish(plan)
    yield upgrade_step(plan.replica, plan.at_replica, plan.sites, plan.direction, _replica_fails(plan))
    yield from steps.empty(plan)
    if plan.needs.pause:
        yield steps.on(plan)
        yield steps.caught_up(plan)
    if release is not None and plan.published:
        yield from summit_deploy_step(plan, release)
    yield from _writers(plan, "start")


def cancel_steps(plan: RunbookPlan) -> Iterator[RunbookStep]:
    """Yield the steps that revert those before the publisher's upgrade."""
    if plan.needs.identity:
        yield from steps.identity(plan, "DEFAULT", prefix="cancel-")
    yield from steps.republish(plan, prefix="cancel-")
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
            run(plan.publisher, sql.caught_up(replication), note=steps.DONE),
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
