"""Texts to send: ticket, announcements, and lines for files of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from consdb_actions.lint.state import Name
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_migrate import writers_of
from consdb_actions.process.runbook_plan import RunbookPlan, listed, tables
from consdb_actions.process.runbook_steps import Text
from consdb_actions.process.sites import Site

__all__ = ["test_announcement", "texts"]

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
    changes = [words for change in plan.at_replica for words in change.words()]
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
