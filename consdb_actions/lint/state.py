"""The catalog at one moment by object id, so that renames can be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

Grants = frozenset[tuple[str, str]]  # Privileges that roles other than the owner hold: role and privilege


class Name(NamedTuple):
    """A relation; ``schema`` is empty where a statement names none."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of the name as text."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls, serialization=core_schema.to_string_ser_schema())


class LintColumn(NamedTuple):
    """A column; ``default`` is its expression, also of a generated column."""

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


class LintConstraint(NamedTuple):
    """A constraint; ``kind`` is ``pg_constraint.contype``, ``definition`` that of a CHECK."""

    kind: str
    columns: tuple[str, ...]
    valid: bool
    definition: str = ""

    @property
    def proves_not_null(self) -> bool:
        """Whether it proves that its only column is not NULL."""
        return self.kind == "c" and self.valid and len(self.columns) == 1 and "IS NOT NULL" in self.definition


@dataclass(frozen=True, slots=True)
class LintRelation:
    """A table or view."""

    oid: int
    name: Name
    kind: str  # ``table``, ``view``, ``materialized view`` or ``foreign table``
    file: int  # ``pg_class.relfilenode``: it changes when Postgres rewrites the table
    owner: str
    columns: Mapping[int, LintColumn]  # By ``pg_attribute.attnum``
    constraints: Mapping[str, LintConstraint]
    indexes: Mapping[str, int]  # ``relfilenode`` of each, by name
    grants: Grants
    persistence: str = "p"
    identity: str = "d"  # ``pg_class.relreplident``
    row_security: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it holds rows."""
        return self.kind in ("table", "foreign table")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(column.name for column in self.columns.values())

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of its primary key."""
        return next((c.columns for c in self.constraints.values() if c.kind == "p"), ())

    def column(self, name: str) -> LintColumn | None:
        """Return a column by its name."""
        return next((column for column in self.columns.values() if column.name == name), None)


@dataclass(frozen=True)
class LintState:
    """All relations outside of Postgres's own schemas, and the session's state."""

    relations: Mapping[int, LintRelation] = field(default_factory=dict)  # By ``pg_class.oid``
    locks: Mapping[int, str] = field(default_factory=dict)
    """The transaction's strongest lock on each relation, by oid."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """``lock_timeout``, ``search_path``, ``session_replication_role`` and ``role``."""

    @cached_property
    def by_name(self) -> dict[Name, LintRelation]:
        """The relations by name."""
        return {relation.name: relation for relation in self.relations.values()}

    def find(self, name: Name) -> LintRelation | None:
        """Return the relation that a statement names, through the search path if unqualified."""
        if name.schema:
            return self.by_name.get(name)
        path = [part.strip().strip('"') for part in self.settings.get("search_path", "").split(",")]
        return next((r for schema in path if (r := self.by_name.get(Name(schema, name.name)))), None)
