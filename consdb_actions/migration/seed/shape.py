"""What rows must satisfy, read from snapshots: keys, references and CHECKs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from consdb_actions.catalog import Constraint, Relation, Snapshot
from consdb_actions.migration.seed.checks import Limits, Order, read_checks

__all__ = ["Reference", "keys_of", "limits_of", "references_of"]

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_REFERENCES = re.compile(rf"REFERENCES (?:({_NAME})\.)?({_NAME})\(((?:[^()\"]|\"(?:[^\"]|\"\")+\")*)\)(.*)$")
_INDEX = re.compile(r"^CREATE UNIQUE INDEX .*? USING \w+ (\(.*)$", re.DOTALL)


@dataclass(frozen=True)
class Reference:
    """A foreign key.

    Attributes
    ----------
    name
        Its name.
    table, columns
        Who refers.
    target, target_columns
        To what; ``target`` is None outside of the schema.
    full
        Whether it is MATCH FULL: all NULL or none.
    deferrable
        Whether it can be checked at the end of the transaction.
    wanted
        Whether it does not exist yet, but will after the migration.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    target: str | None
    target_columns: tuple[str, ...]
    full: bool = False
    deferrable: bool = False
    wanted: bool = False


def references_of(snapshot: Snapshot) -> list[Reference]:
    """Return the foreign keys of all tables."""
    return [
        _reference(snapshot.schema, table, constraint)
        for table in snapshot.tables.values()
        for constraint in table.constraints.values()
        if constraint.kind == "foreign key"
    ]


def _reference(schema: str, table: Relation, constraint: Constraint) -> Reference:
    match = _REFERENCES.search(constraint.definition)
    if match is None:
        return Reference(constraint.name, table.name, constraint.columns, None, ())
    inside = match[1] is None or _plain(match[1]) == schema
    options = match[4]
    return Reference(
        name=constraint.name,
        table=table.name,
        columns=constraint.columns,
        target=_plain(match[2]) if inside else None,
        target_columns=tuple(_plain(n) for n in re.findall(_NAME, match[3])),
        full="MATCH FULL" in options,
        deferrable="DEFERRABLE" in options and "NOT DEFERRABLE" not in options,
    )


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def keys_of(table: Relation) -> list[tuple[str, ...]]:
    """Return the sets of columns that are unique, from constraints and unique indexes.

    An index on an expression counts with the columns that stand in it, which asks for more than the index
    does where it is partial, and for less where the expression maps different values to one.
    """
    found = [c.columns for c in table.constraints.values() if c.kind in {"primary key", "unique"}]
    for definition in (i.definition for i in table.indexes.values()):
        if match := _INDEX.match(definition):
            names = {_plain(n) for n in re.findall(_NAME, match[1].split(" WHERE ")[0])}
            found.append(tuple(c for c in table.columns if c in names))
    return [key for key in dict.fromkeys(found) if key]


def limits_of(table: Relation) -> tuple[dict[str, Limits], list[Order]]:
    """Return what CHECK constraints ask of single columns and of pairs."""
    return read_checks(c.definition for c in table.constraints.values() if c.kind == "check")
