"""What a rehearsal did and found, what it reads from the runbook, and the rows that its writer makes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from consdb_actions.catalog import Relation, Snapshot
from consdb_actions.errors import InputError
from consdb_actions.migration.rows import TableRows
from consdb_actions.process.runbook_steps import Placed

__all__ = [
    "Act",
    "BlockResult",
    "Finding",
    "Rehearsal",
    "Template",
    "acts_of",
    "bumped",
    "made_row",
    "templates_of",
    "ways_of",
]

State = Literal["done", "failed", "not rehearsed"]


@dataclass(frozen=True, slots=True)
class BlockResult:
    """One block of the runbook, as it was carried out.

    Attributes
    ----------
    placed
        The block.
    state
        What became of it.
    seconds
        How long it took.
    words
        What it answered, or why it failed.
    """

    placed: Placed
    state: State
    seconds: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at after an act; a ``warning`` is known beforehand, and holds."""

    holds: bool
    words: str
    details: tuple[str, ...] = ()
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Some parts of the runbook, carried out one after the other, and what was found at their end.

    Attributes
    ----------
    id
        ``cancel``, ``migrate`` or ``back``.
    title
        What was tried.
    blocks
        What was carried out, up to what failed.
    findings
        What was found.
    errors
        What the replica's log says against its rows.
    """

    id: str
    title: str
    blocks: tuple[BlockResult, ...]
    findings: tuple[Finding, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every block was carried out and everything holds."""
        return all(block.state != "failed" for block in self.blocks) and all(f.holds for f in self.findings)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The whole.

    Attributes
    ----------
    sections
        The ways, as ``section:from..to``.
    servers
        The two servers in words, publisher first.
    acts
        What was carried out.
    written
        Rows that were written meanwhile, by table.
    refused
        What the publisher did not take of them, with how often.
    seconds
        How long it took.
    longest
        Seconds that the slowest transaction of a writer took, with its waits for locks.
    """

    sections: tuple[str, ...]
    servers: tuple[str, str]
    acts: tuple[Act, ...]
    written: Mapping[str, int]
    refused: Mapping[str, int]
    seconds: float
    longest: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the runbook works."""
        return not self.refused and all(act.passed for act in self.acts)


_TITLES = {
    "cancel": "Aborted before anything is changed",
    "migrate": "Migration",
    "back": "Rollback",
}


def acts_of(placed: Sequence[Placed], wanted: Iterable[str]) -> Iterator[tuple[str, str, list[Placed]]]:
    """Yield the acts that a runbook has: id, title and blocks.

    Parameters
    ----------
    placed
        Its blocks.
    wanted
        Ids of acts.
    """
    parts = {name: [p for p in placed if p.part == name] for name in ("migrate", "cancel", "back")}
    first = next((n for n, p in enumerate(parts["migrate"]) if p.block.kind == "upgrade"), 0)
    begun = [p for p in parts["migrate"][:first] if p.block.kind != "upgrade"]
    blocks = {
        "cancel": [*begun, *parts["cancel"]] if parts["cancel"] else [],
        "migrate": parts["migrate"],
        "back": parts["back"],
    }
    for name in wanted:
        if blocks.get(name):
            yield name, _TITLES[name], blocks[name]


def ways_of(placed: Sequence[Placed]) -> tuple[str, ...]:
    """Read from the commands of a runbook which sections go from where to where.

    Returns
    -------
    tuple of str
        Each as ``section:from..to``.

    Raises
    ------
    InputError
        No command of the migration says it.
    """
    found: dict[str, None] = {}
    for one in placed:
        if one.part == "migrate" and one.block.kind == "upgrade":
            words = shlex.split(one.block.text.replace("\\\n", " "))
            found.update(
                dict.fromkeys(words[n + 1] for n, word in enumerate(words[:-1]) if word == "--section")
            )
    if not found:
        raise InputError(
            "the runbook upgrades nothing",
            remedy="Its part “migrate” must have a block do=upgrade with --section NAME:FROM..TO.",
        )
    return tuple(found)


_REFERENCES = re.compile(r"FOREIGN KEY \((?P<own>.*?)\) REFERENCES .*?\((?P<theirs>.*?)\)")
_LENGTH = re.compile(r"\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Template:
    """How rows of a table are made.

    Attributes
    ----------
    rows
        Rows to take values from.
    parents
        Column -> table and column whose new row gives the value.
    keys
        Columns of each primary or unique key.
    changeable
        A column that is in no key; empty when there is none, or no primary key.
    leaf
        Whether no other table refers to this one, so that rows can go.
    """

    rows: TableRows
    parents: Mapping[str, tuple[str, str]]
    keys: tuple[tuple[str, ...], ...]
    changeable: str = ""
    leaf: bool = False


def templates_of(snapshot: Snapshot, made: Sequence[TableRows]) -> tuple[Template, ...]:
    """Return how to make rows, parents first.

    Parameters
    ----------
    snapshot
        The tables.
    made
        Rows that they can hold, planned from the same snapshot.
    """
    referred = {
        c.references
        for name, table in snapshot.tables.items()
        for c in table.constraints.values()
        if c.kind == "foreign key" and c.references != name
    }
    return tuple(_template(snapshot.tables[rows.table], rows, rows.table not in referred) for rows in made)


def _template(table: Relation, rows: TableRows, leaf: bool) -> Template:
    parents: dict[str, tuple[str, str]] = {}
    keys: list[tuple[str, ...]] = []
    primary = False
    for constraint in table.constraints.values():
        match = _REFERENCES.match(constraint.definition)
        if constraint.kind == "foreign key" and match and constraint.references != table.name:
            theirs = [name.strip().strip('"') for name in match["theirs"].split(",")]
            for own, their in zip(constraint.columns, theirs, strict=True):
                parents[own] = (constraint.references or "", their)
        elif constraint.kind in ("primary key", "unique"):
            keys.append(constraint.columns)
            primary |= constraint.kind == "primary key"
    taken = {column for key in keys for column in key} | set(parents)
    free = [name for name in rows.columns if name not in taken]
    return Template(rows, parents, tuple(keys), free[0] if free and primary else "", leaf and primary)


def made_row(
    template: Template, number: int, made: Mapping[str, Mapping[str, str | None]]
) -> dict[str, str | None]:
    """Make a row.

    Parameters
    ----------
    template
        The table.
    number
        The round, which no other round has.
    made
        Rows of this round, by table.

    Returns
    -------
    dict
        Values by column, as texts.
    """
    rows = template.rows
    row = dict(zip(rows.columns, rows.rows[number % len(rows.rows)], strict=True))
    fresh = set()
    for column, (table, theirs) in template.parents.items():
        if column in row and table in made and theirs in made[table]:
            row[column] = made[table][theirs]
            fresh.add(column)
    types = dict(zip(rows.columns, rows.types, strict=True))
    for key in template.keys:
        if not fresh & set(key):
            column = _bump_column([name for name in key if name in row], types)
            if column:
                row[column] = bumped(row[column] or "", types[column], number)
                fresh.add(column)
    return row


def _bump_column(columns: Sequence[str], types: Mapping[str, str]) -> str:
    """Choose the column of a key that gets a value of its own: a whole number where there is one."""
    numbers = [name for name in columns if types[name] in ("bigint", "integer")]
    return (numbers or list(columns) or [""])[0]


def bumped(value: str, type_: str, number: int) -> str:
    """Return a value of a type that belongs to one round alone."""
    if type_ in ("bigint", "integer", "smallint", "double precision", "real") or type_.startswith("numeric"):
        return str(number if type_ != "smallint" else number % 30_000)
    if type_.startswith(("timestamp", "date")):
        return f"{2100 + number % 5000}-01-01"
    length = _LENGTH.search(type_)
    text = f"{number}-{value}"
    return text[: int(length[1])] if length else text
