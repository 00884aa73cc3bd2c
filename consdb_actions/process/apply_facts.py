"""What is read from a database before a migration is applied to it, and the checks that are made of it."""

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
"""Checks that an operator can go on against, by name; the evidence says so."""

BROUGHT_ABOUT = ("replication", "waiting", "publication", "identity")
"""Checks that steps of the runbook before the upgrade make true."""


@dataclass(frozen=True, slots=True)
class ApplyCheck:
    """One check.

    Attributes
    ----------
    id
        Its name; several checks may share one.
    state
        Whether it holds.
    words
        What was found.
    remedy
        What to do where it does not hold.
    details
        The facts, one a line.
    accepted
        Whether the operator goes on against it.
    """

    id: str
    state: CheckState
    words: str
    remedy: str = ""
    details: tuple[str, ...] = ()
    accepted: bool = False

    @property
    def stops(self) -> bool:
        """Whether nothing is done because of it."""
        return self.state == "refused" and not self.accepted


@dataclass(frozen=True, slots=True)
class Checkout:
    """The tree's commit; empty where it is no checkout. ``edited`` are files that differ from it."""

    commit: str = ""
    tag: str = ""
    edited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that another session holds or waits for, on a table or view of ours.

    Attributes
    ----------
    relation
        The table or view, as ``schema.name``.
    pid, user, application, state
        The session; parts that may not be seen are empty.
    mode
        The lock's name in Postgres.
    granted
        Whether it has the lock.
    since
        When its transaction began, in ISO 8601; empty when that may not be seen.
    seconds
        How long that is ago; None when that may not be seen.
    """

    relation: str
    pid: int
    user: str
    application: str
    state: str
    mode: str
    granted: bool
    since: str = ""
    seconds: float | None = None

    def __str__(self) -> str:
        who = f"pid {self.pid}, user {self.user or 'unknown'}"
        who += f", {self.application}" if self.application else ""
        who += f", {self.state}" if self.state else ""
        who += f", since {self.since}" if self.since else ""
        return f"{self.relation}: {who} ({self.mode}{'' if self.granted else ', waiting'})"


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication with its tables as ``schema.name``; ``everything`` when new tables come in by themselves.

    ``unidentified`` are the tables whose rows can be changed only with a primary key.
    """

    name: str
    tables: frozenset[str]
    everything: bool = False
    unidentified: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of this database with its tables as ``schema.name``."""

    name: str
    enabled: bool
    tables: frozenset[str]


@dataclass(frozen=True, slots=True)
class SectionFacts:
    """What a database holds of one section.

    Attributes
    ----------
    schema
        Its schema.
    revisions
        Rows of its version table; None where there is no such table.
    schemas
        Those of the two schemas that every revision takes for granted, which are there.
    snapshot
        Tables and views.
    owners
        Owner of each table, view and sequence.
    owner
        The role that owns most tables, or the schema where there are none; what is made must belong to it.
    may_act
        Whether this user can act as that role.
    may_alter
        Tables and views that the owner may change.
    may_create, may_stamp
        Whether the owner can make tables, and write the version table.
    privileges
        What roles may do with tables and views: relation, role, privilege.
    dependents
        Views and foreign tables elsewhere that read ours: the relation of ours, and what reads it.
    """

    schema: str
    revisions: tuple[str, ...] | None
    schemas: frozenset[str]
    snapshot: Snapshot
    owners: Mapping[str, str] = field(default_factory=dict)
    may_alter: frozenset[str] = frozenset()
    may_create: bool = False
    may_stamp: bool = True
    owner: str = ""
    may_act: bool = True
    privileges: frozenset[tuple[str, str, str]] = frozenset()
    dependents: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """Everything that the checks look at.

    Attributes
    ----------
    database, host, port, user
        Where it is; no password.
    version
        Of the server, such as ``15.18``.
    read_only
        Whether it takes no writes: a standby, or by its settings.
    roles
        All roles.
    spoly
        Whether the pgSphere type is there.
    publications, subscriptions
        Those of this database.
    slots
        Slots of this database, and whether somebody is connected to each.
    waiting
        Changes of rows that wait in a slot; only slots that could be looked into.
    locks
        Locks of others on tables and views that are concerned.
    sections
        By schema.
    """

    database: str
    host: str
    port: int
    user: str
    version: str
    read_only: bool = False
    roles: frozenset[str] = frozenset()
    spoly: bool = True
    publications: tuple[Publication, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    slots: Mapping[str, bool] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    locks: tuple[Lock, ...] = ()
    sections: Mapping[str, SectionFacts] = field(default_factory=dict)

    @property
    def major(self) -> int:
        """The major version of the server."""
        return int(self.version.split(".")[0])
