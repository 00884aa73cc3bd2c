"""What the catalog of the scratch database says at one moment, by object id, so that renames are seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

__all__ = ["Column", "Constraint", "Grants", "Name", "Relation", "State"]

Grants = frozenset[tuple[str, str]]
"""Privileges that roles other than the owner hold: role and privilege."""


class Name(NamedTuple):
    """A relation; ``schema`` is empty where a statement names none."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


class Column(NamedTuple):
    """A column; ``default`` is its expression, that of a generated column included."""

    name: str
    type: str
    not_null: bool
    default: str | None = None
    identity: str = ""
    generated: str = ""

    @property
    def required(self) -> bool:
        """Whether a row without a value for it is refused."""
        return self.not_null and self.default is None and not self.identity


class Constraint(NamedTuple):
    """A constraint; ``kind`` is ``pg_constraint.contype``, ``definition`` that of a CHECK."""

    kind: str
    columns: tuple[str, ...]
    valid: bool
    definition: str = ""

    @property
    def proves_not_null(self) -> bool:
        """Whether Postgres takes it for a proof that its only column holds no NULL."""
        return self.kind == "c" and self.valid and len(self.columns) == 1 and "IS NOT NULL" in self.definition


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view.

    Attributes
    ----------
    kind
        ``table``, ``view``, ``materialized view`` or ``foreign table``.
    file
        ``pg_class.relfilenode``: another one after a statement means that Postgres rewrote the table.
    columns
        By ``pg_attribute.attnum``.
    constraints
        By name.
    indexes
        ``relfilenode`` of each, by name.
    identity
        ``pg_class.relreplident``.
    """

    oid: int
    name: Name
    kind: str
    file: int
    owner: str
    columns: Mapping[int, Column]
    constraints: Mapping[str, Constraint]
    indexes: Mapping[str, int]
    grants: Grants
    persistence: str = "p"
    identity: str = "d"
    row_security: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it holds rows that somebody wrote."""
        return self.kind in ("table", "foreign table")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(column.name for column in self.columns.values())

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of its primary key."""
        return next((c.columns for c in self.constraints.values() if c.kind == "p"), ())

    def column(self, name: str) -> Column | None:
        """Return a column by its name."""
        return next((column for column in self.columns.values() if column.name == name), None)


@dataclass(frozen=True)
class State:
    """All relations outside of Postgres' own schemas, and what the session holds and has set.

    Attributes
    ----------
    relations
        By ``pg_class.oid``.
    locks
        The strongest lock that the transaction holds on each relation, by oid.
    settings
        ``lock_timeout``, ``search_path``, ``session_replication_role`` and ``role``.
    """

    relations: Mapping[int, Relation] = field(default_factory=dict)
    locks: Mapping[int, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[Name, Relation]:
        """The relations by name."""
        return {relation.name: relation for relation in self.relations.values()}

    def find(self, name: Name) -> Relation | None:
        """Return the relation that a statement names; without a schema, one that the search path leads to."""
        if name.schema:
            return self.by_name.get(name)
        path = [part.strip().strip('"') for part in self.settings.get("search_path", "").split(",")]
        return next((r for schema in path if (r := self.by_name.get(Name(schema, name.name)))), None)
