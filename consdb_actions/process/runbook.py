"""Write the runbook of one migration, from its own operations and the configured sites (rule P4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from consdb_actions.deploy.model import DeployPolicy
from consdb_actions.errors import InputError
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_change import Needs, Pair, SectionChange, needs_of
from consdb_actions.process.runbook_stand import (
    SOON,
    RunbookPlan,
    RunbookRelease,
    after_steps,
    ask,
    halfway_steps,
    listed,
    preflight_step,
    prepare_steps,
    release_steps,
    run,
    schema_steps,
    summit_deploy_step,
    tables_of,
    test_steps,
    upgrade_step,
)
from consdb_actions.process.runbook_steps import UNRESTORED, Block, Runbook, RunbookPart, RunbookStep, Text
from consdb_actions.process.sites import Site, Sites, WriterService
from consdb_actions.schema.model import Name

_COPY = 1800
DONE = "It answers `DO` when the replica has every row."


def drain(plan: RunbookPlan) -> RunbookStep:
    """Wait until the replica has every row."""
    return RunbookStep(
        f"{plan.prefix}drain",
        f"Wait until {plan.replica.title} has every row",
        (run(plan.publisher, sql.caught_up(plan.sites.replication), note=DONE),),
        failure=(
            "An error says that the replica is still behind: run it again as long as the distance shrinks. "
            f"If it does not shrink, restart the writers and call {plan.replica.administrators}."
        ),
        site=plan.publisher.id,
    )


def off(plan: RunbookPlan) -> RunbookStep:
    """Disable the subscription."""
    replication = plan.sites.replication
    return RunbookStep(
        f"{plan.prefix}subscription-off",
        "Disable the subscription",
        (
            run(plan.replica, sql.subscription(replication, "DISABLE"), "administrator"),
            ask(plan.replica, sql.enabled(replication), "f", "administrator"),
            Block("wait", plan.publisher.id, sql.slot_active(replication), "owner", "f", SOON),
        ),
        f"From now on, rows wait at {plan.publisher.title}, and {plan.replica.title} receives nothing new.",
        plan.leave,
        site=plan.replica.id,
        who=plan.replica.administrators,
    )


def nothing_waits(plan: RunbookPlan) -> RunbookStep:
    """Check that no row was written since."""
    return RunbookStep(
        f"{plan.prefix}nothing-waits",
        "Check that no row is waiting",
        (ask(plan.publisher, sql.pending(plan.sites.replication), "0", "replication"),),
        "The replica could never accept a row that is waiting now.",
        (
            f"Not `0`: something still writes. Run `{plan.enable}` at {plan.replica.title}, find the writer, "
            f"and continue from “Wait until {plan.replica.title} has every row”."
        ),
        site=plan.publisher.id,
    )


def identity(plan: RunbookPlan, what: str) -> Iterator[RunbookStep]:
    """Set REPLICA IDENTITY of tables to FULL, or back to DEFAULT."""
    full = what == "FULL"
    tables = _named(plan.needs.identity, before=full or plan.prefix == "cancel-")
    if not tables:
        return
    yield RunbookStep(
        f"{plan.prefix}identity-{what.lower()}",
        f"Set REPLICA IDENTITY {what}",
        (run(plan.publisher, sql.identity(tables, what)),),
        f"The upgrade rewrites rows of {listed([str(t) for t in tables])} while the table has its old "
        "primary key, "
        "or none. Without this, Postgres rejects the change here, or the replica rejects the rows."
        if full
        else "",
        "It waits for a lock: find the session that holds it, and run the statement again.",
        site=plan.publisher.id,
        who=f"ConsDB team, as {plan.publisher.user}",
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
        (
            run(site, sql.alter_publication(replication, "DROP", tables), "administrator"),
            ask(site, sql.published(replication, tables), "0"),
        ),
        f"The upgrade writes rows of {listed([str(t) for t in tables])} in a form that {plan.replica.title} "
        "cannot accept after its own upgrade. That upgrade writes the same rows itself, so they must not be "
        "sent.",
        '"FOR ALL TABLES": the publication contains all tables, which this migration does not allow. '
        f"Stop. {plan.leave}",
        site=site.id,
        who=f"{site.administrators}, by the ticket below",
    )


def republish(plan: RunbookPlan) -> Iterator[RunbookStep]:
    """Add those tables to the publication again."""
    tables = _named(plan.needs.unsent, before=plan.prefix == "cancel-")
    if not tables:
        return
    replication, site = plan.sites.replication, plan.publisher
    yield RunbookStep(
        f"{plan.prefix}republish",
        f"Put {tables_of(tables)} back into the publication",
        (
            run(site, sql.alter_publication(replication, "ADD", tables), "administrator"),
            ask(site, sql.published(replication, tables, missing=True), "0"),
        ),
        f"Without this, {plan.replica.title} misses every new row of these tables, without an error.",
        "Do not restart the writers before this is done.",
        site=site.id,
        who=f"{site.administrators}, by the ticket below",
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
        (
            run(site, sql.add_to_publication(replication, tables, schemas), "administrator"),
            ask(site, sql.published(replication, tables, missing=True), "0"),
            ask(site, sql.grants_there(readable), "0"),
        ),
        failure=(
            '"already member of publication": already done; continue with the checks. '
            '"FOR ALL TABLES" or "already published": the publication includes new tables automatically; '
            "continue with "
            "the checks. "
            "Anything else: continue without this step. The new tables can be added later, with this step "
            "and the refresh below."
        ),
        site=site.id,
        who=f"{site.administrators}, by the ticket below",
    )


def empty(plan: RunbookPlan) -> Iterator[RunbookStep]:
    """Empty new tables that the upgrade has filled at the replica."""
    tables = plan.needs.refilled
    if not tables:
        return
    yield RunbookStep(
        f"{plan.prefix}empty",
        f"Empty {tables_of(tables)} at {plan.replica.title}",
        (run(plan.replica, sql.truncate(tables)),),
        "The upgrade has filled them at both sites. All of their rows will be copied from "
        f"{plan.publisher.title}, and would exist twice.",
        site=plan.replica.id,
        who=f"ConsDB team, as {plan.replica.user}",
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
        (
            *(run(replica, statement, "administrator") for statement in statements),
            Block("wait", plan.publisher.id, sql.slot_active(replication), "owner", "t", SOON),
            *blocks,
            Block("command", replica.id, replication.logs, note="No line may contain `ERROR`:"),
        ),
        failure=(
            f"`active` stays `f`, or keeps changing: the log of {replica.title} names the table whose "
            f'rows do not fit ("missing replicated column", "duplicate key"). Run `{off}`; the rows wait. '
            "Compare that table at both sites, and fix the difference."
        ),
        site=replica.id,
        who=replica.administrators,
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
        tuple(blocks),
        "This shows that replication works.",
        (
            "An error says that the replica is still behind: if many rows were waiting, run it again. "
            "Otherwise see the previous step."
        ),
        site=plan.publisher.id,
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
    found = {
        old.get(c.table, c.table)
        for c in effects.columns
        # A new nullable column, or one that becomes nullable, does not affect writers.
        if c.kind != "loosened" and (c.kind != "added" or c.required)
    }
    return sorted(found | set(effects.dropped_tables) | set(old.values()))


def migrate_steps(plan: RunbookPlan, release: RunbookRelease | None = None) -> Iterator[RunbookStep]:
    """Yield the steps in order; a release is deployed before the writers are restarted."""
    yield from _look(plan)
    if plan.direction == "upgrade":
        for site, changes in plan.upgrades:
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
    plan = replace(plan, prefix="cancel-")
    yield from identity(plan, "DEFAULT")
    yield from republish(plan)
    if plan.needs.pause:
        block = Block("sql", plan.replica.id, plan.enable, "administrator")
        ask = Block("wait", plan.publisher.id, sql.slot_active(plan.sites.replication), "owner", "t", SOON)
        yield RunbookStep(
            "cancel-subscription",
            "Enable the subscription again",
            (block, ask),
            site=plan.replica.id,
            who=plan.replica.administrators,
        )
    yield from _writers(plan, "start")


def _look(plan: RunbookPlan) -> Iterator[RunbookStep]:
    blocks = [
        ask(site, sql.revision_of(change), change.start)
        for site, changes in plan.upgrades
        for change in changes
        if change.start != "base"
    ]
    failure = "Another revision: stop. Somebody changed the database, or a release was skipped. "
    if plan.needs.pause:
        replication = plan.sites.replication
        blocks += [
            ask(plan.replica, sql.enabled(replication), "t"),
            ask(plan.publisher, sql.slot_active(replication), "t"),
            run(plan.publisher, sql.caught_up(replication), note=DONE),
            Block("look", plan.publisher.id, sql.retained(replication), note=_ROOM),
        ]
        failure += (
            f"Not `t`, or an error that the replica is behind: replication is already broken. Stop, and ask "
            f"{plan.replica.administrators} to fix it first. "
        )
    if blocks:
        yield RunbookStep(
            f"{plan.prefix}look",
            "Pre-flight checks",
            tuple(blocks),
            failure=f"{failure}Nothing has been changed yet.",
            site=plan.first.id,
        )


def _writers(plan: RunbookPlan, what: str) -> Iterator[RunbookStep]:
    writers = writers_of(plan)
    if not writers:
        return
    stops = what == "stop"
    blocks = []
    for writer in writers:
        site = plan.publisher if writer.part == "publisher" else plan.replica
        message = f"Ask for {writer.name} to be {'stopped' if stops else 'restarted'}."
        text = (writer.stop if stops else writer.start) or message
        blocks.append(Block("stop" if stops else "start", site.id, text))
    names = listed([writer.name for writer in writers])
    why = ""
    if stops:
        reasons = listed(plan.needs.reasons or tuple(str(n) for c in plan.local for n in _disturbed(c)), 4)
        why = (
            f"Rows written before the upgrade of {plan.publisher.title} do not fit {plan.replica.title} "
            f"after its own upgrade: {reasons}. All of them must arrive first."
            if plan.needs.quiet
            else f"The current writers cannot write to the new tables: {reasons}."
        )
    yield RunbookStep(
        f"{plan.prefix}writers-{'off' if stops else 'on'}",
        f"Stop {names}" if stops else f"Start {names} again",
        tuple(blocks),
        why,
        "Something cannot be stopped: do not continue. Restart the others." if stops else "",
        site=plan.first.id,
    )


def _publisher_fails(plan: RunbookPlan) -> str:
    text = f"Nothing was changed: {plan.leave} " if plan.needs.pause else ""
    if len(plan.published) > 1:
        text += "Sections reported as done stay done; the same command continues where it stopped."
    return text


def _replica_fails(plan: RunbookPlan) -> str:
    if not plan.needs.pause:
        return ""
    return (
        f"Leave the subscription disabled and {plan.publisher.title} as it is now: rows wait and are not "
        "lost. Fix the cause, and run the same command again. The last query of “Pre-flight checks” "
        "shows how long rows can wait."
    )


def make_runbook(
    changes: Sequence[SectionChange],
    sites: Sites,
    *,
    ticket: str,
    release: str = "",
    when: str = "",
    deploy: DeployPolicy | None = None,
    waive_until: str = "DATE",
) -> Runbook:
    """Make the runbook, with the parts that this migration needs.

    `release` holds the revisions; it is empty before they are released. `waive_until` is the last day on
    which a ticket image may run where only releases do.
    """
    changes = tuple(change for change in changes if change.revisions)
    if not changes:
        raise InputError(
            "there is nothing to apply", remedy="Name the revisions: --section NAME:FROM..TO, or --since."
        )
    plan = _plan(changes, sites)
    back = _turned(plan)
    written = tuple(texts(plan, ticket, release, when))
    deployed = RunbookRelease(
        ticket, release or "RELEASE", deploy or DeployPolicy(), waive_until, efd=not plan.published
    )
    parts = [
        RunbookPart("prepare", "Before the day", (), (*prepare_steps(plan, deployed), _send(written))),
        _test_part(plan, deployed),
        RunbookPart(
            "release",
            "Merge and release",
            ("Only after the previous part is done.",),
            tuple(release_steps(plan, deployed)),
        ),
        RunbookPart(
            "migrate",
            plan.places,
            _migrate_intro(plan),
            tuple(migrate_steps(plan, deployed)),
            tuple(_attested(plan)),
        ),
        RunbookPart("after", "Afterwards", (), tuple(after_steps(plan, deployed)), ("pqserver",)),
        RunbookPart(
            "cancel",
            "Abort before anything is changed",
            (f"Only if {plan.first.title} is not upgraded, or its upgrade failed without a change.",),
            tuple(cancel_steps(plan)),
        ),
        RunbookPart(
            "halfway",
            "When an upgrade fails half way",
            ("Only after exit code 5: the database was changed, but the upgrade did not end as planned.",),
            tuple(halfway_steps(plan)),
        ),
        RunbookPart("back", "Rollback", _back_intro(plan, back), tuple(migrate_steps(back))),
    ]
    return Runbook(
        ticket,
        release,
        changes,
        plan.needs,
        tuple(part for part in parts if part.steps),
        written,
        tuple(_sessions(plan, back)),
        tuple(_warnings(plan)),
    )


def _plan(changes: Sequence[SectionChange], sites: Sites) -> RunbookPlan:
    publisher, replica = sites.of("publisher")[0], sites.of("replica")[0]
    published = tuple(change for change in changes if publisher.holds(change.schema))
    local = tuple(change for change in changes if not publisher.holds(change.schema))
    for change in local:
        if not replica.holds(change.schema):
            raise InputError(
                f"no database holds the schema {change.schema}",
                place="sites.databases",
                remedy="Write a pattern for it into `schemas` of the databases that do.",
            )
    needs = needs_of([change.forward for change in published], sites.replication.covers)
    return RunbookPlan(sites, publisher, replica, published, local, needs)


def _turned(plan: RunbookPlan) -> RunbookPlan:
    """Return the plan of the rollback, with the sections in reverse order."""
    published = tuple(change.turned() for change in reversed(plan.published))
    local = tuple(change.turned() for change in reversed(plan.local))
    needs = needs_of([change.forward for change in published], plan.sites.replication.covers)
    return replace(plan, published=published, local=local, needs=needs, direction="downgrade", prefix="back-")


def _test_part(plan: RunbookPlan, release: RunbookRelease) -> RunbookPart:
    steps: list[RunbookStep] = []
    attested = []
    pairs = [(site, plan.published) for site in plan.sites.of("test")]
    pairs += [(site, plan.local) for site in plan.sites.of("development")]
    for site, changes in pairs:
        held = tuple(change for change in changes if site.holds(change.schema))
        if held:
            own = [_announce(plan, site, release.ticket)] if site.environments else []
            own += test_steps(site, held, plan, release)
            steps += own if site.attest else [_repeated(site, own)]
            attested += [site.attest] if site.attest else []
    intro = (
        "After an error, do not continue with the next part. Fix the migration, and restart this part.",
        f"This part uses the branch of {release.ticket}; it needs no release.",
    )
    return RunbookPart("test", "Test stands", intro, tuple(steps), tuple(attested))


def _repeated(site: Site, steps: Sequence[RunbookStep]) -> RunbookStep:
    """Combine the steps of a further test stand, which blocks nothing, into one."""
    blocks = [block for step in steps for block in step.blocks]
    return RunbookStep(
        f"{site.id}-same",
        f"Do the same at {site.title}",
        # What replaces our own command comes last, folded.
        tuple(sorted(blocks, key=lambda block: block.kind in ("by-hand", "check"))),
        "Announce, upgrade, deploy the branch if it changes hinfo, and restart pqserver.",
        " ".join(dict.fromkeys(step.failure for step in steps)),
        site=site.id,
        minutes=sum(step.minutes for step in steps),
    )


def _announce(plan: RunbookPlan, site: Site, ticket: str) -> RunbookStep:
    sections = listed([change.section for change in plan.published])
    text = (
        f"{ticket}: I am going to upgrade ConsDB at {site.title} ({sections}), restart pqserver, and take a "
        "test image."
    )
    return RunbookStep(
        f"{site.id}-announce",
        f"Announce the test in {site.channel}",
        (Block("paste", site.id, text),),
        "No other test may be running.",
        "Another test is running: agree on a time.",
        site=site.id,
        minutes=2,
    )


def _send(found: Sequence[Text]) -> RunbookStep:
    lines = [f"{text.title}: to {text.to}" for text in found]
    return RunbookStep(
        "texts",
        "Send the texts",
        (Block("paste", "", "\n".join(lines)),),
        "The texts are at the end of this page. Send them several days ahead.",
        "Somebody has not agreed to the date: do not begin.",
        minutes=20,
    )


def _attested(plan: RunbookPlan) -> Iterator[str]:
    if plan.published:
        if plan.publisher.attest:
            yield plan.publisher.attest
        if plan.needs.added or plan.needs.unsent:
            yield "publication"
    if plan.replica.attest:
        yield plan.replica.attest


def _migrate_intro(plan: RunbookPlan) -> tuple[str, ...]:
    if not plan.published:
        return (f"The values come from {plan.replica.title}: {plan.publisher.title} is not touched.",)
    if not plan.needs.pause:
        return ("No replicated table changes: the subscription stays on, and rows keep arriving.",)
    words = ["Do not pause between the first and the last step. A step is done when its checks pass."]
    if not plan.needs.quiet:
        words.append(
            f"No writer has to stop: rows that are written meanwhile wait at {plan.publisher.title}, and are "
            "accepted whenever they are sent."
        )
    return tuple(words)


def _back_intro(plan: RunbookPlan, back: RunbookPlan) -> tuple[str, ...]:
    words = [f"Only after {plan.replica.title} was upgraded."]
    if plan.needs.pause:
        words = [
            f"Only after {plan.replica.title} was upgraded too, and has every row. If its upgrade failed, "
            "fix and finish it first: no row may wait for a site that cannot accept it."
        ]
    lost = [loss for change in back.at_replica for loss in change.forward.losses]
    if lost:
        words.append(f"Data loss: {', '.join(dict.fromkeys(lost))}.")
    forward = [loss for change in plan.at_replica for loss in change.forward.losses]
    if forward:
        words.append(f"The rollback does not restore: {', '.join(dict.fromkeys(forward))}.")
    words.append("Afterwards, restart pqserver and withdraw the attestations: `/consdb undo STEP`.")
    return tuple(words)


def _sessions(plan: RunbookPlan, back: RunbookPlan) -> Iterator[tuple[str, str]]:
    used: set[tuple[str, str]] = set()
    for part in (migrate_steps(plan), migrate_steps(back)):
        for step in part:
            for block in step.blocks:
                used.update(
                    (site, block.account) for site in block.site.split(",") if block.language == "sql"
                )
    for site in (plan.publisher, plan.replica):
        if (site.id, "owner") in used and site.url:
            yield f"{site.id}, as owner", f"psql {site.url}"
        if (site.id, "replication") in used and site.host:
            role = plan.sites.replication.role
            command = f"psql postgresql://{role}@{site.host}/{site.database}"
            owner = plan.sites.replication.credentials
            yield f"{site.id}, as replication role (its password: {owner})", command
        if (site.id, "administrator") in used:
            yield f"{site.id}, as administrator", f"{site.administrators}, in database {site.database}"


def _warnings(plan: RunbookPlan) -> Iterator[str]:
    needs: Needs = plan.needs
    for text in needs.different:
        yield (
            f"New column {text} gets different values at {plan.replica.title} and {plan.publisher.title} in "
            "all existing rows. Give it a fixed value, or fill it from other columns."
        )
    for change in plan.at_replica:
        for text in change.forward.unknown:
            yield (
                f"Some operations of {change.section} are not understood ({text}): "
                "this runbook may lack a step."
            )
        for revision in change.revisions:
            if revision.upgrade and not revision.downgrade:
                yield (
                    f"The downgrade of revision {revision.id} of {change.section} does nothing"
                    + (f" ({revision.unshown})" if revision.unshown else "")
                    + ": there is no command to roll it back."
                )
        if change.stuck:
            yield (
                f"The downgrade of section {change.section} does not run ({change.stuck}): "
                "there is no command to roll it back."
            )
        if change.unrestored:
            names = ", ".join(f"`{name}`" for name in change.unrestored)
            yield f"The downgrade of section {change.section} {UNRESTORED} {names}."
        for what in change.forward.apart:
            yield (
                f"Section {change.section} holds {what}, which is not rolled back if a later statement fails."
            )


_WORDS = 12  # Changes that an announcement names; the others are counted


def texts(plan: RunbookPlan, ticket: str, release: str, when: str) -> Iterator[Text]:
    """Yield the texts for this migration."""
    announcement = _announcement(plan, ticket, release, when)
    yield replace(announcement, to=listed([announcement.to, *plan.sites.announce]))
    yield _done(plan, ticket, release)
    if plan.needs.added or plan.needs.unsent:
        yield _it_ticket(plan, ticket, when)
    if plan.needs.added or plan.needs.removed or plan.needs.renamed:
        yield _publication_files(plan)
        yield _truncate_list(plan)


def _announcement(plan: RunbookPlan, ticket: str, release: str, when: str) -> Text:
    site = plan.first
    changes = [text for change in plan.at_replica for text in change.text()]
    shown = changes[:_WORDS] + ([f"and {len(changes) - _WORDS} more"] if len(changes) > _WORDS else [])
    lines = [
        f"{ticket}: the schema of ConsDB changes at {plan.places}"
        + (f" (release {release})" if release else "")
        + f", {when or 'on DATE at TIME UTC'}.",
        *(f"* {text}" for text in shown),
    ]
    writers = writers_of(plan)
    if writers:
        images = ": please take no images" if _images(plan) else ""
        lines.append(f"Meanwhile {listed([w.name for w in writers])} must be stopped{images}.")
    elif plan.published:
        lines.append("Images can be taken. Writers may wait for a few seconds.")
    if plan.needs.pause:
        lines.append(
            f"{plan.replica.title} receives nothing new from {plan.publisher.title} until it is done; no "
            "data is lost."
        )
    lines.append("Questions: #consolidated-database")
    return Text("Announcement", site.channel, "\n".join(lines))


def _done(plan: RunbookPlan, ticket: str, release: str) -> Text:
    site = plan.first
    body = f"{ticket}: done. {plan.places} " + ("are" if plan.published else "is") + " at the new schema"
    body += f" (release {release})." if release else "."
    if _images(plan):
        body += " Images can be taken again."
    return Text("Announcement when it is done", site.channel, body)


def _images(plan: RunbookPlan) -> bool:
    """Tell whether no images may be taken during the migration."""
    return any(writer.part == "publisher" for writer in writers_of(plan))


def _it_ticket(plan: RunbookPlan, ticket: str, when: str) -> Text:
    replication, site = plan.sites.replication, plan.publisher
    added, unsent = plan.needs.added, [old for old, _ in plan.needs.unsent]
    again = [new for _, new in plan.needs.unsent]
    schemas = [change.schema for change in plan.published if change.start == "base"]
    names = [*added, *again]
    what = f"Add {tables_of(added)} to" if added else f"Take {tables_of(unsent)} out of, and back into,"
    lines = [
        f"Summary: {what} publication {replication.publication} ({ticket})",
        "",
        f"Database {site.database} at {site.host or site.title}. Please run this as owner of the publication"
        f"{f' {when}' if when else ''}; we will call you each time.",
    ]
    if unsent:
        lines += [
            "",
            "1. Right before we upgrade the database:",
            "",
            sql.alter_publication(replication, "DROP", unsent),
        ]
    statements = [sql.add_to_publication(replication, added, schemas)] if added else []
    statements += [sql.alter_publication(replication, "ADD", again)] if again else []
    lines += [
        "",
        f"{'2. R' if unsent else 'R'}ight after we have upgraded it:",
        "",
        *statements,
        "",
        "Afterwards, each of these must return 0:",
        "",
        sql.published(replication, names, missing=True),
        *(["", sql.grants_there([(n, replication.role, "SELECT") for n in added])] if added else []),
        "",
        "Please change nothing else.",
    ]
    return Text("IT ticket", replication.ticket, "\n".join(lines))


def _publication_files(plan: RunbookPlan) -> Text:
    replication = plan.sites.replication
    lines = []
    if plan.needs.added:
        schemas = dict.fromkeys(name.schema for name in plan.needs.added)
        lines.append(sql.add_to_publication(replication, plan.needs.added, schemas))
    lines += [f"-- remove every line about {name}" for name in plan.needs.removed]
    lines += [f"-- write {new} for {old}" for old, new in plan.needs.renamed]
    return Text("SQL of the publication", replication.files, "\n".join(lines))


def _truncate_list(plan: RunbookPlan) -> Text:
    """Write the complete line of each schema whose tables are all known."""
    lines = []
    for change in plan.published:
        effects = change.forward
        concerned = {
            *effects.new_tables,
            *effects.dropped_tables,
            *(old for old, _ in effects.renamed_tables),
        }
        if not concerned:
            continue
        if change.tables_after:
            lines.append(sql.truncate(change.tables_after))
        else:
            lines += _partial(effects.new_tables, effects.dropped_tables, effects.renamed_tables)
    return Text(
        "Tables to truncate when the replica is rebuilt", plan.sites.replication.rebuild, "\n".join(lines)
    )


def _partial(
    new: Sequence[Name], gone: Sequence[Name], renamed: Sequence[tuple[Name, Name]]
) -> Iterator[str]:
    if new:
        yield sql.truncate(new)
    yield from (f"-- remove {name}" for name in gone)
    yield from (f"-- write {now} for {old}" for old, now in renamed)
