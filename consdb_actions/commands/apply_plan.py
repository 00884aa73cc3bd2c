"""Look at a database and a tree, and plan the migration of the one by the other; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa

from consdb_actions.adapters.apply_expect import expected_catalogs, read_checkout
from consdb_actions.adapters.apply_facts import read_facts, read_locks
from consdb_actions.adapters.apply_run import Timeouts
from consdb_actions.adapters.postgres import scratch_server
from consdb_actions.adapters.revision_path import Way, read_change, resolve
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.config import Config
from consdb_actions.errors import ConsdbActionsError
from consdb_actions.migration.lint.names import Name
from consdb_actions.process.apply_checks import check_before, check_revision
from consdb_actions.process.apply_facts import ApplyCheck, DatabaseFacts, SectionFacts
from consdb_actions.process.apply_locks import TableLock, in_order
from consdb_actions.process.apply_outcome import ApplyOutcome, Direction, SectionResult
from consdb_actions.process.apply_verify import Expected, check_drift
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.sites import Replication, Site

__all__ = ["Planned", "Progress", "Request", "locks_of", "make_plan", "roles_of"]

Progress = Callable[[str, str], None]
"""Told a section and what is done with it."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    tree, url
        What to apply, and where.
    ways
        Sections in their order, each with or without its way.
    direction
        Forward, or back.
    settings, replication
        The configuration.
    site
        Which site the database is; None where that was not said.
    when
        Now, in ISO 8601.
    timeouts
        For locks and statements.
    schemas
        A checkout of sdm_schemas for an ``env.py`` that wants one.
    accepted
        Ids of checks that the operator goes on against.
    replay
        Whether the history may be replayed on a scratch server.
    ahead
        Whether nothing is switched off yet.
    """

    tree: Tree
    url: sa.URL
    ways: tuple[Way, ...]
    direction: Direction
    settings: Config
    replication: Replication
    site: Site | None
    when: str
    timeouts: Timeouts
    schemas: Path | None = None
    accepted: frozenset[str] = frozenset()
    replay: bool = True
    ahead: bool = False


@dataclass
class Planned:
    """A plan, and what is needed to look at its result."""

    outcome: ApplyOutcome
    sections: Mapping[str, Section]
    expected: dict[str, Expected] = field(default_factory=dict)


def make_plan(request: Request, progress: Progress) -> Planned:
    """Look at everything, and change nothing.

    Returns
    -------
    Planned
        With the result ``planned``, ``nothing to do`` or ``refused``.

    Raises
    ------
    InputError
        A section or a revision is not there.
    ExternalError
        The database cannot be read.
    """
    tree = request.tree
    with tree.importable():
        sections = {way.section: tree.section(way.section) for way in request.ways}
        progress("", "reading the database")
        configured = {role for one in sections.values() for role in request.settings.grants_for(one.schema)}
        facts = read_facts(request.url, sections.values(), request.replication.publication, configured)
        checks: list[ApplyCheck] = list(_site(request))
        changes: list[SectionChange] = []
        for way in request.ways:
            section = sections[way.section]
            progress(section.name, "reading the revisions")
            check, change = _change(request, section, way, facts)
            checks.append(check)
            changes += [change] if change else []
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
        expected: dict[str, Expected] = {}
        if not any(check.stops for check in checks) and request.replay:
            roles = {role for grants in wanted.values() for role in grants}
            found, expected = _replay(request, sections, changes, facts, roles, progress)
            checks += found
    results = tuple(
        SectionResult(change, "planned" if change.revisions else "already there") for change in changes
    )
    outcome = ApplyOutcome(
        "planned", request.when, request.direction, facts, request.site, checkout, tuple(checks), results
    )
    if any(check.stops for check in checks):
        first = next(check for check in checks if check.stops)
        outcome = replace(outcome, result="refused", problem=first.words)
    elif not any(change.revisions for change in changes):
        outcome = replace(outcome, result="nothing to do")
    return Planned(outcome, sections, expected)


def locks_of(change: SectionChange, facts: SectionFacts, expected: Expected | None) -> tuple[TableLock, ...]:
    """Return what to lock: what a run on a scratch server locked, else all that the statements name."""
    if expected is not None and expected.locks is not None and not change.forward.apart:
        return tuple(lock for lock in expected.locks if _there(lock.name, facts))
    named = [TableLock(name) for name in change.forward.locked if _there(name, facts)]
    return in_order(named, {change.schema: facts.snapshot})


def _there(name: Name, facts: SectionFacts) -> bool:
    """Tell whether a relation can be locked; of other schemas that is seen when it runs."""
    relation = facts.snapshot.relations.get(name.name)
    return name.schema != facts.schema or (
        relation is not None and relation.kind not in ("materialized view", "foreign table")
    )


def roles_of(change: SectionChange, wanted: Mapping[str, object]) -> set[str]:
    """Return the roles whose privileges are verified."""
    return {*change.forward.roles, *wanted}


def _site(request: Request) -> Iterator[ApplyCheck]:
    """Say so where the database is not at the host that the configuration names for the site."""
    site = request.site
    if site is not None and site.host and request.url.host != site.host.partition(":")[0]:
        here = request.url.host or request.url.query.get("host") or "this machine"
        words = f"this is {here}, and the database of {site.title} is known as {site.host}"
        yield ApplyCheck("site", "warning", words, "Make sure that it is the same database.")


def _change(
    request: Request, section: Section, way: Way, facts: DatabaseFacts
) -> tuple[ApplyCheck, SectionChange | None]:
    """Find the way of one section from where the database is."""
    history = [revision.revision for revision in section.revisions()]
    end = resolve(section, way.end)
    expected = resolve(section, way.start) if way.start else ""
    found, check = check_revision(facts.sections[section.schema], section.name, history, expected)
    if found and found == end:
        return ApplyCheck("revision", "ok", f"{section.name} is at {end} already"), read_change(
            request.tree, section, end, end
        )
    if check.state != "ok":
        return check, None
    order = ["base", *history]
    forward = request.direction == "upgrade"
    if (order.index(found) < order.index(end)) != forward:
        words = f"{section.name} is at {found}, which comes {'after' if forward else 'before'} {end}"
        remedy = "To take it back, say --downgrade." if forward else "To go forward, leave --downgrade away."
        return ApplyCheck("revision", "refused", words, remedy), None
    if forward:
        return check, read_change(request.tree, section, found, end)
    return check, read_change(request.tree, section, end, found).turned()


def _names(changes: Sequence[SectionChange]) -> list[str]:
    return sorted({str(name) for change in changes for name in change.forward.locked})


def _replay(
    request: Request,
    sections: Mapping[str, Section],
    changes: Sequence[SectionChange],
    facts: DatabaseFacts,
    wanted: set[str],
    progress: Progress,
) -> tuple[list[ApplyCheck], dict[str, Expected]]:
    """Compare with what the history leaves elsewhere; where that cannot be, say so."""
    owners = {facts.sections[change.schema].owner for change in changes} - {""}
    roles = {"usdf", "oods", *wanted, *owners}
    roles |= {r for change in changes for r in (*change.forward.roles, *change.back.roles)}
    checks: list[ApplyCheck] = []
    expected: dict[str, Expected] = {}
    todo = [change for change in changes if change.revisions]
    if not todo:
        return checks, expected
    try:
        with scratch_server(roles=sorted(roles)) as server:
            for change in todo:
                progress(change.section, "replaying its history elsewhere")
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
        words = f"the history cannot be replayed here: {error.cause.splitlines()[0]}"
        return [
            *checks,
            ApplyCheck("drift", "warning", words, "Only what its statements say is looked at."),
        ], {}
    accepted = [
        replace(check, accepted=check.state == "refused" and "drift" in request.accepted) for check in checks
    ]
    return accepted, expected
