"""Facts and checks before a migration is applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from consdb_actions.catalog import Snapshot

__all__ = [
    "ACCEPTABLE",
    "BROUGHT_ABOUT",
    "ApplyCheck",
    "CheckState",
    "Checkout",
    "DatabaseFacts",
    "Lock",
    "Publication",
    "SectionFacts",
    "Subscription",
]

CheckState = Literal["ok", "warning", "refused"]

ACCEPTABLE = ("replication", "waiting", "grants", "drift", "checkout")
"""Checks that an operator can ignore, by name; the evidence records it."""

BROUGHT_ABOUT = ("replication", "waiting", "publication", "identity")
"""Checks that steps of the runbook before the upgrade fulfil."""


@dataclass(frozen=True, slots=True)
class ApplyCheck:
    """A check before or after a migration; several checks may share an id."""

    id: str
    state: CheckState
    words: str
    remedy: str = ""
    details: tuple[str, ...] = ()  # one fact per line
    accepted: bool = False  # whether the operator ignores it

    @property
    def stops(self) -> bool:
        """Return whether the check prevents the migration."""
        return self.state == "refused" and not self.accepted


@dataclass(frozen=True, slots=True)
class Checkout:
    """The commit of the tree; empty if it is not a git checkout."""

    commit: str = ""
    tag: str = ""
    edited: tuple[str, ...] = ()  # files that differ from the commit


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of another session; invisible fields are empty."""

    relation: str  # ``schema.name``
    pid: int
    user: str
    application: str
    state: str
    mode: str
    granted: bool
    since: str = ""  # start of the transaction in ISO 8601
    seconds: float | None = None  # age of the transaction; None if invisible

    def __str__(self) -> str:
        who = f"pid {self.pid}, user {self.user or 'unknown'}"
        who += f", {self.application}" if self.application else ""
        who += f", {self.state}" if self.state else ""
        who += f", since {self.since}" if self.since else ""
        return f"{self.relation}: {who} ({self.mode}{'' if self.granted else ', waiting'})"


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication."""

    name: str
    tables: frozenset[str]  # as ``schema.name``
    everything: bool = False  # whether new tables are included automatically
    unidentified: frozenset[str] = frozenset()  # tables whose updates need a primary key


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of this database."""

    name: str
    enabled: bool
    tables: frozenset[str]  # as ``schema.name``


@dataclass(frozen=True, slots=True)
class SectionFacts:
    """Facts about the schema of one section."""

    schema: str
    revisions: tuple[str, ...] | None  # rows of the version table; None if there is no such table
    schemas: frozenset[str]  # existing ones of the two schemas that every revision needs
    snapshot: Snapshot
    owners: Mapping[str, str] = field(default_factory=dict)  # of each table, view and sequence
    may_alter: frozenset[str] = frozenset()  # relations that the owner may change
    may_create: bool = False  # whether the owner can create tables
    may_stamp: bool = True  # whether the owner can write the version table
    owner: str = ""  # owner of most tables, or of the schema; must own new relations
    may_act: bool = True  # whether this user can act as the owner
    privileges: frozenset[tuple[str, str, str]] = frozenset()  # relation, role, privilege
    # our relation, and a view or foreign table elsewhere that reads it
    dependents: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """Facts about a database and its server."""

    database: str
    host: str
    port: int
    user: str
    version: str  # such as ``15.18``
    read_only: bool = False  # a standby, or read-only by its settings
    roles: frozenset[str] = frozenset()
    spoly: bool = True  # whether the pgSphere type exists
    publications: tuple[Publication, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    slots: Mapping[str, bool] = field(default_factory=dict)  # whether each slot of this database is active
    # changed rows that wait in each slot that could be read
    waiting: Mapping[str, int] = field(default_factory=dict)
    locks: tuple[Lock, ...] = ()  # of other sessions, on relations of the change
    sections: Mapping[str, SectionFacts] = field(default_factory=dict)  # by schema

    @property
    def major(self) -> int:
        """Return the major version of the server."""
        return int(self.version.split(".")[0])
