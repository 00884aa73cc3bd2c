"""Input of the steps of a migration, and the step that upgrades a database."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_change import Needs, SectionChange
from consdb_actions.process.runbook_steps import Account, Block, RunbookStep
from consdb_actions.process.sites import Site, Sites
from consdb_actions.schema.model import Name

Direction = Literal["upgrade", "downgrade"]

_MOST = 60  # Columns that are looked for by name; the others are counted

_TITLES = {"upgrade": "Upgrade", "downgrade": "Downgrade"}


def upgrade_step(
    site: Site,
    changes: Sequence[SectionChange],
    sites: Sites,
    direction: Direction,
    failure: tuple[str, ...] = (),
) -> RunbookStep:
    """Return the step that upgrades sections of a database."""
    sections = ", ".join(change.section for change in changes)
    evidence = f"{site.id}-{direction}.json"
    return RunbookStep(
        f"{site.id}-{direction}",
        f"{_TITLES[direction]} {site.title}: {sections}",
        site.id,
        f"ConsDB team, as {site.user}",
        (
            Block(direction, site.id, apply_command(site, changes, direction, evidence)),
            Block("by-hand", site.id, by_hand(changes, sites, direction), note=_connect(site)),
            *upgrade_checks(site, changes),
        ),
        _locks(changes),
        (
            "Exit code 1 or 3: nothing was changed; the message says why. Exit code 5: the database was "
            "changed; "
            "follow “When an upgrade fails half way”.",
            *failure,
        ),
        minutes=10,
    )


def _locks(changes: Sequence[SectionChange]) -> str:
    names = [str(name) for change in changes for name in change.forward.locked]
    if not names:
        return ""
    return f"Locked meanwhile, other sessions wait: {', '.join(names)}."


def apply_command(
    site: Site, changes: Sequence[SectionChange], direction: Direction, evidence: str, *extra: str
) -> str:
    """Write the command that checks, confirms, upgrades and verifies."""
    first = f"{_address(site)}consdb-actions migrations apply --site {shlex.quote(site.id)} --consdb ."
    sections = [f"--section {shlex.quote(change.range)}" for change in changes]
    options = [*(["--downgrade"] if direction == "downgrade" else []), *extra]
    last = " ".join([sections[-1], *options, f"--evidence {shlex.quote(evidence)}"])
    lines = [first, *sections[:-1], last]
    short = " ".join(lines)
    return short if len(short) <= 150 else " \\\n    ".join(lines)


def _address(site: Site) -> str:
    return "" if site.url else f': "${{CONSDB_URL:?is the address of the {site.title}}}"\n'


def _connect(site: Site) -> str:
    if not site.url:
        return f"With `CONSDB_URL` of the {site.title}."
    return f"After `export CONSDB_URL={shlex.quote(site.url)}`."


def by_hand(changes: Sequence[SectionChange], sites: Sites, direction: Direction) -> str:
    """Write the equivalent commands of plain alembic."""
    timeouts = f"-c lock_timeout={sites.lock_timeout} -c statement_timeout={sites.statement_timeout}"
    lines = [f"export PGOPTIONS='{timeouts}'"]
    lines += [f"alembic -n {shlex.quote(change.section)} {direction} {change.end}" for change in changes]
    return "\n".join(lines)


def upgrade_checks(site: Site, changes: Sequence[SectionChange]) -> tuple[Block, ...]:
    """Return the queries that verify a database."""
    blocks = [
        Block("check", site.id, sql.revision_of(change), answer=change.end)
        for change in changes
        if change.end != "base"
    ]
    there: list[tuple[Name, str]] = []
    gone: list[tuple[Name, str]] = []
    counted: dict[Name, int] = {}
    grants: list[tuple[Name, str, str]] = []
    for change in changes:
        effects = change.forward
        known = dict(change.columns_after)
        there += [(c.table, c.column) for c in effects.columns if c.kind in ("added", "renamed")]
        gone += [(c.table, c.column) for c in effects.columns if c.kind == "dropped"]
        gone += [(c.table, c.old) for c in effects.columns if c.kind == "renamed"]
        touched = {*effects.new_tables, *effects.new_views, *effects.remade_views}
        counted.update({name: len(known[name]) for name in sorted(touched) if name in known})
        grants += list(effects.grants)
    still = [pair for pair in gone if pair not in set(there)]
    questions = (
        (counted, sql.columns_counted(counted.items())),
        (there, sql.columns_there(there[:_MOST])),
        (still, sql.columns_gone(still[:_MOST])),
        (grants, sql.grants_there(grants)),
    )
    blocks += [Block("check", site.id, text, answer="0") for some, text in questions if some]
    return tuple(blocks)


SOON = 60  # Seconds in which a connection comes or goes


@dataclass(frozen=True, slots=True)
class RunbookPlan:
    """Input of the steps."""

    sites: Sites
    publisher: Site
    replica: Site
    published: tuple[SectionChange, ...]  # Sections in the publisher
    local: tuple[SectionChange, ...]  # Sections only in the replica
    needs: Needs  # Of the published sections
    direction: Direction

    @property
    def prefix(self) -> str:
        """The prefix of step ids."""
        return "back-" if self.direction == "downgrade" else ""

    @property
    def leave(self) -> str:
        """Say how to stop while the publisher is not changed."""
        if self.direction == "upgrade":
            return "To stop here: follow “Abort before anything is changed”."
        words = "“Enable the subscription…” and the steps after it" if self.needs.pause else "the last steps"
        return f"To stop here: continue with {words}."

    @property
    def at_replica(self) -> tuple[SectionChange, ...]:
        """All changes for the replica."""
        return (*self.published, *self.local)

    @property
    def enable(self) -> str:
        """The statement that enables the subscription."""
        return sql.subscription(self.sites.replication, "ENABLE")


def run(site: Site, text: str, account: Account = "owner", note: str = "") -> Block:
    """Return a block with statements to run."""
    return Block("sql", site.id, text, account, note=note)


def ask(site: Site, text: str, answer: str, account: Account = "owner") -> Block:
    """Return a block with a query and its required result."""
    return Block("check", site.id, text, account, answer)


def tables(names: Sequence[Name]) -> str:
    """Write a table's name, or the number of tables."""
    return str(names[0]) if len(names) == 1 else f"{len(names)} tables"


def listed(text: Iterable[str], most: int = 8) -> str:
    """Join words with commas; count those that are too many."""
    found = list(text)
    shown = found[:most]
    if len(found) > most:
        shown.append(f"{len(found) - most} more")
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1] if shown else ""
