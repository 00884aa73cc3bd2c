"""Rule P4: the runbook of one migration, from its own operations and the configured sites.

The order is that of the process: disable the subscription, upgrade the publisher, add new tables to the
publication, upgrade the replica, enable and refresh the subscription.
:mod:`consdb_actions.process.runbook_change` decides which steps a migration needs. The rollback is a
migration with needs of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from consdb_actions.deploy.model import DeployPolicy
from consdb_actions.errors import InputError
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_change import Needs, SectionChange, needs_of
from consdb_actions.process.runbook_migrate import cancel_steps, migrate_steps, writers_of
from consdb_actions.process.runbook_plan import RunbookPlan, listed, tables
from consdb_actions.process.runbook_stand import (
    RunbookRelease,
    after_steps,
    halfway_steps,
    prepare_steps,
    release_steps,
    test_steps,
)
from consdb_actions.process.runbook_steps import UNRESTORED, Block, Runbook, RunbookPart, RunbookStep, Text
from consdb_actions.process.sites import Site, Sites
from consdb_actions.schema.model import Name


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
    deployed = RunbookRelease(ticket, release, deploy or DeployPolicy(), waive_until, efd=not plan.published)
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
            _migrate_title(plan),
            _migrate_intro(plan),
            tuple(migrate_steps(plan, deployed)),
            tuple(_attested(plan)),
        ),
        RunbookPart("after", "Afterwards", (), tuple(after_steps(plan, deployed)), ("pqserver",)),
        RunbookPart(
            "cancel",
            "Abort before anything is changed",
            (f"Only if {_first(plan).title} is not upgraded, or its upgrade failed without a change.",),
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
    return RunbookPlan(sites, publisher, replica, published, local, needs, "upgrade")


def _first(plan: RunbookPlan) -> Site:
    return plan.publisher if plan.published else plan.replica


def _turned(plan: RunbookPlan) -> RunbookPlan:
    """Return the plan of the rollback, with the sections in reverse order."""
    published = tuple(change.turned() for change in reversed(plan.published))
    local = tuple(change.turned() for change in reversed(plan.local))
    needs = needs_of([change.forward for change in published], plan.sites.replication.covers)
    return replace(plan, published=published, local=local, needs=needs, direction="downgrade")


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
    failures = dict.fromkeys(words for step in steps for words in step.failure)
    blocks = [block for step in steps for block in step.blocks]
    return RunbookStep(
        f"{site.id}-same",
        f"Do the same at {site.title}",
        site.id,
        "ConsDB team",
        # What replaces our own command comes last, folded.
        tuple(sorted(blocks, key=lambda block: block.kind in ("by-hand", "check"))),
        "Announce, upgrade, deploy the branch if it changes hinfo, and restart pqserver.",
        tuple(failures),
        minutes=sum(step.minutes for step in steps),
    )


def _announce(plan: RunbookPlan, site: Site, ticket: str) -> RunbookStep:
    text = test_announcement(plan, site, ticket)
    return RunbookStep(
        f"{site.id}-announce",
        f"Announce the test in {text.to}",
        site.id,
        "ConsDB team",
        (Block("paste", site.id, text.body),),
        "No other test may be running.",
        ("Another test is running: agree on a time.",),
        minutes=2,
    )


def _send(found: Sequence[Text]) -> RunbookStep:
    lines = [f"{text.title}: to {text.to}" for text in found]
    return RunbookStep(
        "texts",
        "Send the texts",
        "",
        "ConsDB team",
        (Block("paste", "", "\n".join(lines)),),
        "The texts are at the end of this page. Send them several days ahead.",
        ("Somebody has not agreed to the date: do not begin.",),
        minutes=20,
    )


def _attested(plan: RunbookPlan) -> Iterator[str]:
    """Yield the steps of the process that the last part completes."""
    if plan.published:
        if plan.publisher.attest:
            yield plan.publisher.attest
        if plan.needs.added or plan.needs.unsent:
            yield "publication"
    if plan.replica.attest:
        yield plan.replica.attest


def _migrate_title(plan: RunbookPlan) -> str:
    return f"{plan.publisher.title} and {plan.replica.title}" if plan.published else plan.replica.title


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
            "fix and "
            "finish it first: no row may wait for a site that cannot accept it."
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
    for words in needs.different:
        yield (
            f"New column {words} gets different values at {plan.replica.title} and {plan.publisher.title} "
            "in all "
            "existing rows. Give it a fixed value, or fill it from other columns."
        )
    for change in plan.at_replica:
        for words in change.forward.unknown:
            yield (
                f"Some operations of {change.section} are not understood ({words}): "
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


def test_announcement(plan: RunbookPlan, site: Site, ticket: str) -> Text:
    """Write the announcement of a test."""
    sections = listed([change.section for change in plan.published])
    body = (
        f"{ticket}: I am going to upgrade ConsDB at {site.title} ({sections}), restart pqserver, and take a "
        "test image."
    )
    return Text(f"Announcement at {site.title}", site.channel, body)


def _announcement(plan: RunbookPlan, ticket: str, release: str, when: str) -> Text:
    site = plan.publisher if plan.published else plan.replica
    changes = [words for change in plan.at_replica for words in change.text()]
    shown = changes[:_WORDS] + ([f"and {len(changes) - _WORDS} more"] if len(changes) > _WORDS else [])
    lines = [
        f"{ticket}: the schema of ConsDB changes at {_places(plan)}"
        + (f" (release {release})" if release else "")
        + f", {when or 'on DATE at TIME UTC'}.",
        *(f"* {words}" for words in shown),
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
            "data is "
            "lost."
        )
    lines.append("Questions: #consolidated-database")
    return Text("Announcement", site.channel, "\n".join(lines))


def _done(plan: RunbookPlan, ticket: str, release: str) -> Text:
    site = plan.publisher if plan.published else plan.replica
    body = f"{ticket}: done. {_places(plan)} " + ("are" if plan.published else "is") + " at the new schema"
    body += f" (release {release})." if release else "."
    if _images(plan):
        body += " Images can be taken again."
    return Text("Announcement when it is done", site.channel, body)


def _images(plan: RunbookPlan) -> bool:
    """Tell whether no images may be taken during the migration."""
    return any(writer.part == "publisher" for writer in writers_of(plan))


def _places(plan: RunbookPlan) -> str:
    return f"{plan.publisher.title} and {plan.replica.title}" if plan.published else plan.replica.title


def _it_ticket(plan: RunbookPlan, ticket: str, when: str) -> Text:
    replication, site = plan.sites.replication, plan.publisher
    added, unsent = plan.needs.added, [old for old, _ in plan.needs.unsent]
    again = [new for _, new in plan.needs.unsent]
    schemas = [change.schema for change in plan.published if change.start == "base"]
    names = [*added, *again]
    what = f"Add {tables(added)} to" if added else f"Take {tables(unsent)} out of, and back into,"
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
            sql.take_out(replication, unsent),
        ]
    statements = [sql.add_to_publication(replication, added, schemas)] if added else []
    statements += [sql.put_back(replication, again)] if again else []
    lines += [
        "",
        f"{'2. R' if unsent else 'R'}ight after we have upgraded it:",
        "",
        *statements,
        "",
        "Afterwards, each of these must return 0:",
        "",
        sql.not_published(replication, names),
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
