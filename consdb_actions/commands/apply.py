"""Apply revisions to the database of a site."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.options import (
    FILE,
    FOLDER,
    config_option,
    environment_schemas_option,
    examples,
    format_option,
    option,
)
from consdb_actions.commands.terminal import paint, progress_display
from consdb_actions.errors import ConsdbActionsError, DatabaseChanged, InputError
from consdb_actions.process.apply_facts import ACCEPTABLE

if TYPE_CHECKING:
    import sqlalchemy as sa

    from consdb_actions.adapters.apply import Timeouts
    from consdb_actions.adapters.postgres import ScratchServer
    from consdb_actions.adapters.revision_path import RevisionRange
    from consdb_actions.adapters.tree import Section, Tree
    from consdb_actions.config import Config
    from consdb_actions.process.apply_checks import ExpectedCatalogs
    from consdb_actions.process.apply_facts import (
        ApplyCheck,
        ApplyOutcome,
        DatabaseFacts,
        Direction,
        Lock,
        SectionFacts,
        SectionResult,
        State,
        TableLock,
    )
    from consdb_actions.process.runbook_change import SectionChange
    from consdb_actions.process.sites import Replication, Site, Sites
    from consdb_actions.schema.model import Name

Progress = Callable[[str, str], None]  # Told a section and what is done with it


@dataclass(frozen=True)
class ApplyRequest:
    """A validated request to apply revisions to a database."""

    tree: Tree
    url: sa.URL
    ranges: tuple[RevisionRange, ...]  # Requested sections in order, some without a revision range
    direction: Direction
    settings: Config
    replication: Replication
    site: Site | None  # None if unknown
    when: str  # In ISO 8601
    timeouts: Timeouts
    schemas: Path | None = None  # Checkout of sdm_schemas for an ``env.py`` that needs one
    accepted: frozenset[str] = frozenset()  # Ids of failed checks that the operator ignores
    replay: bool = True  # Whether to replay the history on a scratch server
    ahead: bool = False  # Whether the check runs before replication is disabled


@dataclass
class PreparedApply:
    """A plan, and the inputs of its verification."""

    outcome: ApplyOutcome
    sections: Mapping[str, Section]
    expected: dict[str, ExpectedCatalogs] = field(default_factory=dict)


def make_plan(request: ApplyRequest, progress: Progress) -> PreparedApply:
    """Read facts and make all checks, without changing anything."""
    from consdb_actions.adapters.apply import read_checkout, read_facts, read_locks
    from consdb_actions.adapters.postgres import scratch_server
    from consdb_actions.adapters.revision_path import read_change
    from consdb_actions.process.apply_checks import check_before
    from consdb_actions.process.apply_facts import ApplyOutcome, SectionResult

    tree = request.tree
    with tree.importable(), ExitStack() as stack:
        sections = {span.section: tree.section(span.section) for span in request.ranges}
        progress("", "reading the database")
        configured = {role for one in sections.values() for role in request.settings.grants_for(one.schema)}
        facts = read_facts(request.url, sections.values(), request.replication.publication, configured)
        checks: list[ApplyCheck] = list(_site(request))
        ends: dict[str, tuple[str, str]] = {}
        for span in request.ranges:
            check, found = _ends(request, sections[span.section], span, facts)
            checks.append(check)
            if found:
                ends[span.section] = found
        roles = {"usdf", "oods", *configured, *(one.owner for one in facts.sections.values())} - {""}
        needed = any(older != newer for older, newer in ends.values())
        server = stack.enter_context(scratch_server(roles=sorted(roles))) if needed else None
        changes: list[SectionChange] = []
        for name, (older, newer) in ends.items():
            progress(name, "reading the revisions")
            change = read_change(tree, sections[name], older, newer, server)
            changes.append(change if request.direction == "upgrade" else change.turned())
        facts = replace(facts, locks=read_locks(request.url, _names(changes)))
        checkout = read_checkout(tree, list(sections.values()))
        wanted = {change.schema: request.settings.grants_for(change.schema) for change in changes}
        if any(change.revisions for change in changes):
            checks += check_before(
                facts,
                changes,
                checkout,
                request.replication,
                wanted,
                request.accepted,
                request.direction,
                ahead=request.ahead,
            )
        expected: dict[str, ExpectedCatalogs] = {}
        if server and not any(check.stops for check in checks) and request.replay:
            drift, expected = _replay(server, request, sections, changes, facts, progress)
            checks += drift
    results = tuple(
        SectionResult(change, request.direction, "planned" if change.revisions else "already there")
        for change in changes
    )
    outcome = ApplyOutcome(
        "planned", request.when, request.direction, facts, request.site, checkout, tuple(checks), results
    )
    if any(check.stops for check in checks):
        first = next(check for check in checks if check.stops)
        outcome = replace(outcome, result="refused", problem=first.text)
    elif not any(change.revisions for change in changes):
        outcome = replace(outcome, result="nothing to do")
    return PreparedApply(outcome, sections, expected)


def locks_of(
    change: SectionChange, facts: SectionFacts, expected: ExpectedCatalogs | None
) -> tuple[TableLock, ...]:
    """Return what to lock: the locks of a run on a scratch server, else all relations in the statements."""
    from consdb_actions.process.apply_facts import TableLock, in_order

    if expected is not None and expected.locks is not None and not change.forward.apart:
        return tuple(lock for lock in expected.locks if _there(lock.name, facts))
    named = [TableLock(name) for name in change.forward.locked if _there(name, facts)]
    return in_order(named, {change.schema: facts.snapshot})


def _there(name: Name, facts: SectionFacts) -> bool:
    """Tell whether a relation can be locked; those of other schemas are checked at run time."""
    relation = facts.snapshot.relations.get(name.name)
    return name.schema != facts.schema or (
        relation is not None and relation.kind not in ("materialized view", "foreign table")
    )


def roles_of(change: SectionChange, wanted: Mapping[str, object]) -> set[str]:
    """Return the roles whose privileges are verified."""
    return {*change.forward.roles, *wanted}


def _site(request: ApplyRequest) -> Iterator[ApplyCheck]:
    """Warn if the database is not at the site's configured host."""
    from consdb_actions.process.apply_facts import ApplyCheck

    site = request.site
    if site is not None and site.host and request.url.host != site.host.partition(":")[0]:
        here = request.url.host or request.url.query.get("host") or "this machine"
        text = f"the host is {here}, but {site.title} is configured with {site.host}"
        yield ApplyCheck("site", "warning", text, "Check that it is the same database.")


def _ends(
    request: ApplyRequest, section: Section, span: RevisionRange, facts: DatabaseFacts
) -> tuple[ApplyCheck, tuple[str, str] | None]:
    """Return the older and the newer end of a section's range, from its present revision."""
    from consdb_actions.adapters.revision_path import resolve
    from consdb_actions.process.apply_checks import check_revision
    from consdb_actions.process.apply_facts import ApplyCheck

    history = [revision.revision for revision in section.revisions()]
    end = resolve(section, span.end)
    expected = resolve(section, span.start) if span.start else ""
    found, check = check_revision(facts.sections[section.schema], section.name, history, expected)
    if found and found == end:
        return ApplyCheck("revision", "ok", f"{section.name} is already at {end}"), (end, end)
    if check.state != "ok":
        return check, None
    order = ["base", *history]
    forward = request.direction == "upgrade"
    if (order.index(found) < order.index(end)) != forward:
        text = f"{section.name} is at {found}, which comes {'after' if forward else 'before'} {end}"
        remedy = "To downgrade, add --downgrade." if forward else "To upgrade, remove --downgrade."
        return ApplyCheck("revision", "refused", text, remedy), None
    return check, (found, end) if forward else (end, found)


def _names(changes: Sequence[SectionChange]) -> list[str]:
    return sorted({str(name) for change in changes for name in change.forward.locked})


def _replay(
    server: ScratchServer,
    request: ApplyRequest,
    sections: Mapping[str, Section],
    changes: Sequence[SectionChange],
    facts: DatabaseFacts,
    progress: Progress,
) -> tuple[list[ApplyCheck], dict[str, ExpectedCatalogs]]:
    """Compare with a replay of the history, or note why that is not possible."""
    from consdb_actions.adapters.apply import expected_catalogs
    from consdb_actions.process.apply_checks import check_drift
    from consdb_actions.process.apply_facts import ApplyCheck

    checks: list[ApplyCheck] = []
    expected: dict[str, ExpectedCatalogs] = {}
    try:
        for change in changes:
            if not change.revisions:
                continue
            progress(change.section, "replaying its history on a scratch server")
            found = expected_catalogs(
                server,
                sections[change.section],
                change.start,
                change.end,
                facts.sections[change.schema].owner,
                request.direction,
            )
            expected[change.schema] = found
            checks += check_drift(change, facts.sections[change.schema], found, facts.major)
    except ConsdbActionsError as error:
        text = f"the history cannot be replayed on a scratch server: {error.cause.splitlines()[0]}"
        return [
            *checks,
            ApplyCheck("drift", "warning", text, "Only the text of its statements was checked."),
        ], {}
    accepted = [
        replace(check, accepted=check.state == "refused" and "drift" in request.accepted) for check in checks
    ]
    return accepted, expected


def _database(given: str | None, site: Site | None, sites: Sites) -> tuple[sa.URL, Site | None]:
    from consdb_actions.adapters.apply import address

    text = given or (site.url if site else "") or os.environ.get("CONSDB_URL", "")
    if not text:
        cause = f"the address of {site.title} is not configured" if site else "no database is given"
        raise InputError(
            cause,
            place="--database-url",
            remedy="Give its address with --database-url or in CONSDB_URL"
            + (", or write its host into the configuration." if site else ", or name a --site."),
        )
    place = "--database-url" if given else "sites.databases" if site and site.url else "CONSDB_URL"
    url = address(text, place=place)
    if site is None:
        here = (url.host, url.database)
        site = next(
            (s for s in sites.databases if s.host and (s.host.partition(":")[0], s.database) == here), None
        )
    return url, site


def _ranges(sections: tuple[str, ...], to: str | None, direction: Direction) -> tuple[RevisionRange, ...]:
    from consdb_actions.adapters.revision_path import RevisionRange, parse_range

    ranges = [parse_range(text) for text in sections]
    names = [span.section for span in ranges]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"section {twice[0]} is named twice", place="--section", remedy="Name each section once."
        )
    if to is not None:
        if len(ranges) != 1 or ranges[0].end:
            raise InputError(
                "a revision belongs to one section",
                place="--to",
                remedy="Give one --section without revisions, or --section NAME:FROM..TO for each.",
            )
        ranges = [RevisionRange(ranges[0].section, "", to)]
    if direction == "downgrade" and not all(span.end for span in ranges):
        raise InputError(
            "the revision to downgrade to is missing",
            place="--downgrade",
            remedy="Give --to REV with one --section, or --section NAME:FROM..TO for each.",
        )
    return tuple(ranges)


def _time(text: str, place: str) -> str:
    # Nought would be no limit at all.
    if not re.fullmatch(r"0*[1-9]\d{0,6}(ms|s|min|h)", text, re.ASCII):
        raise InputError(
            f'"{text[:30]}" is not a valid duration for Postgres',
            place=place,
            remedy="Write it like 5s or 15min.",
        )
    return text


_MOST = 8  # differences that a message names


def carry_out(
    request: ApplyRequest,
    planned: PreparedApply,
    progress: Progress,
    say: Callable[[str], None],
    record: Callable[[ApplyOutcome], None],
) -> ApplyOutcome:
    """Apply the plan, section by section, and verify the result."""
    from consdb_actions.adapters.shell import shielded, unwinding_on_signals

    outcome = planned.outcome
    results = list(outcome.sections)
    with unwinding_on_signals():
        for index, result in enumerate(results):
            if not result.change.revisions:
                continue
            section = planned.sections[result.change.section]
            progress(section.name, outcome.direction)
            try:
                results[index] = _apply(request, planned, section, result, say)
            except BaseException as error:
                with shielded():
                    outcome = _ended(request, outcome, results, index, section, error)
                    record(outcome)
                    if outcome.result == "interrupted":
                        say(outcome.problem)
                    if outcome.done:
                        names = ", ".join(one.change.section for one in outcome.done)
                        back = "; ".join(outcome.way_back())
                        say(f"Done before that, and still applied: {names}. To roll back: {back}")
                if isinstance(error, ConsdbActionsError):
                    raise _told(error, outcome) from error
                raise
            if not results[index].verified:
                rest = [replace(r, state="untouched") if r.state == "planned" else r for r in results]
                text = f"see the failed checks of section {section.name} below"
                outcome = replace(outcome, result="not verified", problem=text, sections=tuple(rest))
                record(outcome)
                return outcome
    outcome = replace(outcome, result="applied", sections=tuple(results))
    record(outcome)
    return outcome


def _apply(
    request: ApplyRequest,
    planned: PreparedApply,
    section: Section,
    result: SectionResult,
    say: Callable[[str], None],
) -> SectionResult:
    from consdb_actions.adapters.apply import connected, read_section, run_alembic
    from consdb_actions.process.apply_checks import check_result
    from consdb_actions.process.apply_facts import SectionResult

    change, facts = result.change, planned.outcome.facts
    before = facts.sections[change.schema]
    expected = planned.expected.get(change.schema)
    wanted = request.settings.grants_for(change.schema)

    def waiting(attempt: int, seconds: float, locks: tuple[Lock, ...]) -> None:
        holders = "; ".join(map(str, locks)) or "no session now"
        say(f"{section.name}: try {attempt} waited for a lock. Held by {holders}. Next try in {seconds:g} s.")

    attempts = run_alembic(
        request.tree,
        section,
        request.url,
        planned.outcome.direction,
        change.end,
        locks=locks_of(change, before, expected),
        timeouts=request.timeouts,
        role=before.owner if before.owner != facts.user else "",
        schemas=request.schemas,
        waiting=waiting,
    )
    with connected(request.url) as connection:
        after = read_section(connection, section, roles_of(change, wanted))
    upgrade = planned.outcome.direction == "upgrade"
    verification = check_result(change, before, after, expected, wanted if upgrade else {}, facts.major)
    looked = tuple(
        replace(check, accepted=check.state == "refused" and check.id in request.accepted)
        for check in verification
    )
    return SectionResult(change, result.direction, "applied", attempts.count, attempts.seconds, looked)


def _ended(
    request: ApplyRequest,
    outcome: ApplyOutcome,
    results: list[SectionResult],
    index: int,
    section: Section,
    error: BaseException,
) -> ApplyOutcome:
    """Read the state of the database after an error or a signal."""
    from consdb_actions.adapters.apply import connected, read_section
    from consdb_actions.adapters.shell import TerminationSignal
    from consdb_actions.catalog import compare

    change = results[index].change
    interrupted = isinstance(error, KeyboardInterrupt | TerminationSignal)
    try:
        with connected(request.url) as connection:
            now = read_section(connection, section)
    except ConsdbActionsError:
        state: State = "unknown"
        at, part = "", list[str]()
        there = (
            f"the database does not answer: find the revision of section {section.name} before you continue"
        )
    else:
        at = now.revisions[0] if now.revisions else "base"
        before = outcome.facts.sections[change.schema].snapshot
        part = [str(found) for found in compare(before, now.snapshot)][:_MOST]
        state = _state(change, at, bool(part))
        there = f"section {section.name} is at {at}"
        if state == "failed":
            there += ", as before; its transaction was rolled back"
        elif state == "applied in part":
            there += ", and part of the revisions was committed" + (f": {'; '.join(part)}" if part else "")
    results[index] = replace(results[index], state=state, at=at, part=tuple(part))
    sections = tuple(replace(r, state="untouched") if r.state == "planned" else r for r in results)
    cause = error.cause if isinstance(error, ConsdbActionsError) else type(error).__name__
    return replace(
        outcome,
        result="interrupted" if interrupted else "failed",
        problem=there if interrupted else f"{there}; {cause}",
        sections=sections,
    )


def _state(change: SectionChange, at: str, differs: bool) -> State:
    """Derive the state of a section after a failed run from version table and catalog (rule O2)."""
    if at == change.end:
        return "applied"
    return "applied in part" if differs or at != change.start else "failed"


def _told(error: ConsdbActionsError, outcome: ApplyOutcome) -> ConsdbActionsError:
    """Add the state of the database to an error (rule O1)."""
    unchanged = outcome.changed == "nothing"
    kind = type(error) if unchanged else DatabaseChanged
    lead = "nothing was changed" if unchanged else f"the database was changed ({outcome.changed})"
    return kind(
        f"{lead}: {outcome.problem}",
        place=error.place,
        remedy=" ".join(filter(None, (error.remedy if unchanged else "", outcome.next_step))),
    )


@click.command(
    "apply",
    epilog=examples(
        "migrations apply --site bts --section latiss --dry-run",
        "migrations apply --site bts --section latiss:0123abc..4567def --evidence bts.json",
    ),
)
@option(
    "--database-url",
    metavar="URL",
    help="The database; that of --site by default, or CONSDB_URL. Leave the password to ~/.pgpass.",
)
@option("--site", metavar="NAME", help="Site, such as bts, summit or usdf.")
@option(
    "--section",
    "sections",
    multiple=True,
    required=True,
    metavar="NAME[:FROM..TO]",
    help="Section, optionally with its present and target revision; may be repeated, in order.",
)
@option("--to", metavar="REV", help="Target revision, with one --section; the head by default.")
@option("--downgrade", is_flag=True, help="Downgrade; needs --to, or a revision range for each --section.")
@option(
    "--consdb",
    type=FOLDER,
    default=Path(),
    show_default="the current folder",
    help="Checkout of lsst-dm/consdb, or a tree of that shape.",
)
@environment_schemas_option
@option("--dry-run", is_flag=True, help="Show the plan, the checks and the SQL without changing anything.")
@option(
    "--ahead",
    is_flag=True,
    help="A dry run before replication is disabled: what later steps will do is listed, not refused.",
)
@option("--yes", is_flag=True, help="Do not ask for confirmation.")
@option(
    "--accept",
    multiple=True,
    type=click.Choice(ACCEPTABLE),
    help="Ignore this check; recorded in the evidence. May be repeated.",
)
@option(
    "--lock-timeout",
    metavar="TIME",
    help="How long to wait for a lock, below deadlock_timeout; 500ms by default.",
)
@option("--statement-timeout", metavar="TIME", help="How long a statement may take; 15min by default.")
@option(
    "--retries",
    type=click.IntRange(0, 100),
    default=5,
    help="How often to try again when a lock is not granted.",
)
@option(
    "--replay/--no-replay",
    default=True,
    help="Compare the database with a replay of its history on a scratch server.",
)
@option("--evidence", type=FILE, metavar="FILE.json", help="Write the evidence to this file.")
@config_option
@format_option()
def command(
    database_url: str | None,
    site: str | None,
    sections: tuple[str, ...],
    to: str | None,
    downgrade: bool,
    consdb: Path,
    sdm_schemas: Path | None,
    dry_run: bool,
    ahead: bool,
    yes: bool,
    accept: tuple[str, ...],
    lock_timeout: str | None,
    statement_timeout: str | None,
    retries: int,
    replay: bool,
    evidence: Path | None,
    config: Path | None,
    output_format: str,
) -> int:
    """Upgrade a database, with checks before and after.

    It checks the database and the tree, shows the plan and the SQL, asks for confirmation, runs alembic
    through the tree's own env.py with time-outs, retries if a lock is not granted, and compares the result
    with a replay of the history on a fresh database. All locks are taken at once, without waiting while any
    is held, so that no writer is aborted. If a check fails, it stops with exit code 1 and nothing is changed.
    Exit code 5 means that the database was changed, but the run did not end as planned. Its last lines say
    how to roll back.
    """
    from consdb_actions.adapters.apply import Timeouts
    from consdb_actions.adapters.files import check_targets, write_all
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.adapters.tree import read_tree
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.report.runbook import evidence as as_evidence
    from consdb_actions.report.runbook import render_comment, render_plan, render_result, where

    dry_run = dry_run or ahead
    check_targets([evidence] if evidence else [])
    settings = load_config(config)
    sites = settings.sites
    direction: Direction = "downgrade" if downgrade else "upgrade"
    ranges = _ranges(sections, to, direction)
    timeouts = Timeouts(
        _time(lock_timeout or sites.lock_timeout, "--lock-timeout"),
        _time(statement_timeout or sites.statement_timeout, "--statement-timeout"),
        retries,
    )
    named = sites.site(site) if site else None
    tree = read_tree(consdb)
    for span in ranges:
        tree.section(span.section)
    url, known = _database(database_url, named, sites)
    request = ApplyRequest(
        tree=tree,
        url=url,
        ranges=ranges,
        direction=direction,
        settings=settings,
        replication=sites.replication,
        site=known,
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        timeouts=timeouts,
        schemas=sdm_schemas,
        accepted=frozenset(accept),
        replay=replay,
        ahead=ahead,
    )
    if not (yes or dry_run) and not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask on",
            place="--yes",
            remedy="Use --yes to apply without confirmation, or --dry-run to check only.",
        )
    if database_url and request.url.password and not os.environ.get("CONSDB_DATABASE_URL"):
        click.echo(
            "Warning: other users of this machine can see a password on the command line. "
            "Use ~/.pgpass, PGPASSWORD or CONSDB_URL.",
            err=True,
        )

    # A word of a revision at the start of a line must not be taken for a command of a runner.
    runner = Runner.from_environ(os.environ)

    def record(outcome: ApplyOutcome) -> None:
        if evidence is not None:
            text = json.dumps(as_evidence(outcome), indent=2, ensure_ascii=False) + "\n"
            write_all({evidence: text}, overwrite=True)

    def show(outcome: ApplyOutcome) -> None:
        if output_format == "json":
            click.echo(json.dumps(as_evidence(outcome), indent=2, ensure_ascii=False))
        elif output_format == "markdown":
            click.echo(render_comment(outcome), nl=False)
        else:
            click.echo(runner.inert(render_result(outcome, paint)))

    with progress_display(output_format) as progress:
        planned = make_plan(request, progress)
    outcome = planned.outcome
    click.echo(runner.inert(render_plan(outcome, paint)) + "\n", err=output_format != "text")
    if outcome.result != "planned" or dry_run:
        record(outcome)
        show(outcome)
        return 1 if outcome.result == "refused" else 0
    if not yes and not click.confirm(f"Apply this to {where(outcome)}?", err=True):
        outcome = replace(outcome, result="declined")
        record(outcome)
        show(outcome)
        return 1
    # No spinner here: what is said meanwhile must stay.
    outcome = carry_out(
        request,
        planned,
        lambda section, what: click.echo(f"{section}: {what}", err=True),
        lambda text: click.echo(text, err=True),
        record,
    )
    show(outcome)
    if evidence is not None and output_format == "text":
        click.echo(f"\nEvidence: {evidence}")
    return outcome.exit_code
