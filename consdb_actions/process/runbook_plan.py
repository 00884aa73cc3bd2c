"""Input of the steps of a migration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from consdb_actions.lint.state import Name
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.runbook_change import Needs, SectionChange
from consdb_actions.process.runbook_steps import Account, Block
from consdb_actions.process.runbook_upgrade import Direction
from consdb_actions.process.sites import Site, Sites

__all__ = ["SOON", "RunbookPlan", "ask", "listed", "run", "tables"]

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


def listed(words: Iterable[str], most: int = 8) -> str:
    """Join words with commas; count those that are too many."""
    found = list(words)
    shown = found[:most]
    if len(found) > most:
        shown.append(f"{len(found) - most} more")
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1] if shown else ""
