"""Result, phases and row templates of a rehearsal."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from consdb_actions.catalog import CatalogRelation, Snapshot
from consdb_actions.errors import InputError
from consdb_actions.forms import Public
from consdb_actions.migration.data import TableRows
from consdb_actions.process.runbook_steps import PlacedBlock

State = Literal["done", "failed", "not rehearsed"]


@dataclass(frozen=True, slots=True)
class BlockResult(Public):
    """The result of a block of the runbook."""

    PUBLIC: ClassVar[str] = (
        "part=placed.part step=placed.step kind=placed.block.kind site=placed.block.site "
        "line=placed.line state seconds message=text"
    )

    placed: PlacedBlock
    state: State
    seconds: float = 0.0
    text: str = ""  # its output, or why it failed


@dataclass(frozen=True, slots=True)
class RehearsalFinding(Public):
    """A check after an act; a ``warning`` was known before."""

    PUBLIC: ClassVar[str] = "holds warning message=text details"

    holds: bool
    text: str
    details: tuple[str, ...] = ()
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Act(Public):
    """Parts of the runbook that run in sequence, and the checks after them."""

    PUBLIC: ClassVar[str] = "id title passed blocks findings errors"

    id: str  # ``cancel``, ``migrate`` or ``back``
    title: str
    blocks: tuple[BlockResult, ...]  # up to the first failure
    findings: tuple[RehearsalFinding, ...] = ()
    errors: tuple[str, ...] = ()  # in the replica's log

    @property
    def passed(self) -> bool:
        """Return whether no block and no check failed."""
        return all(block.state != "failed" for block in self.blocks) and all(f.holds for f in self.findings)


@dataclass(frozen=True, slots=True)
class Rehearsal(Public):
    """The result of a rehearsal."""

    FORMAT: ClassVar[str] = "consdb-actions/rehearsal/1"
    PUBLIC: ClassVar[str] = "passed sections servers seconds longest_wait=longest written refused phases=acts"

    sections: tuple[str, ...]  # as ``section:from..to``
    servers: tuple[str, str]  # description of publisher and replica
    acts: tuple[Act, ...]
    written: Mapping[str, int]  # rows written during the rehearsal, by table
    refused: Mapping[str, int]  # errors of the publisher for a writer, with their number
    seconds: float
    longest: float = 0.0  # seconds of the slowest transaction of a writer, with its waits for locks

    @property
    def passed(self) -> bool:
        """Return whether the runbook works."""
        return not self.refused and all(act.passed for act in self.acts)


_TITLES = {
    "cancel": "Aborted before anything is changed",
    "migrate": "Migration",
    "back": "Rollback",
}


def acts_of(
    placed: Sequence[PlacedBlock], wanted: Iterable[str]
) -> Iterator[tuple[str, str, list[PlacedBlock]]]:
    """Yield id, title and blocks of acts in a runbook."""
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


def ranges_of(placed: Sequence[PlacedBlock]) -> tuple[str, ...]:
    """Read each section's revision range (``section:from..to``) from a runbook's commands."""
    found: dict[str, None] = {}
    for one in placed:
        if one.part == "migrate" and one.block.kind == "upgrade":
            words = shlex.split(one.block.text.replace("\\\n", " "))
            found.update(
                dict.fromkeys(words[n + 1] for n, word in enumerate(words[:-1]) if word == "--section")
            )
    if not found:
        raise InputError(
            "the runbook contains no upgrade",
            remedy="Its part “migrate” must have a block do=upgrade with --section NAME:FROM..TO.",
        )
    return tuple(found)


_REFERENCES = re.compile(r"FOREIGN KEY \((?P<own>.*?)\) REFERENCES .*?\((?P<theirs>.*?)\)")
_LENGTH = re.compile(r"\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Template:
    """A recipe for rows of a table."""

    rows: TableRows  # source of values
    parents: Mapping[str, tuple[str, str]]  # table and column whose new row gives the value, by column
    keys: tuple[tuple[str, ...], ...]  # columns of each primary or unique key
    changeable: str = ""  # a column outside all keys; empty if there is none, or no primary key
    leaf: bool = False  # whether no table refers to this one, so that rows can be deleted


def templates_of(snapshot: Snapshot, made: Sequence[TableRows]) -> tuple[Template, ...]:
    """Return the row templates, parents first; `made` must be planned from `snapshot`."""
    referred = {
        c.references
        for name, table in snapshot.tables.items()
        for c in table.constraints.values()
        if c.kind == "foreign key" and c.references != name
    }
    return tuple(_template(snapshot.tables[rows.table], rows, rows.table not in referred) for rows in made)


def _template(table: CatalogRelation, rows: TableRows, leaf: bool) -> Template:
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
    """Make a row of texts; `number` is unique to a round."""
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
    """Choose the key column that gets a unique value: an integer if possible."""
    numbers = [name for name in columns if types[name] in ("bigint", "integer")]
    return (numbers or list(columns) or [""])[0]


def bumped(value: str, type_: str, number: int) -> str:
    """Return a value that is unique to a round."""
    if type_ in ("bigint", "integer", "smallint", "double precision", "real") or type_.startswith("numeric"):
        return str(number if type_ != "smallint" else number % 30_000)
    if type_.startswith(("timestamp", "date")):
        return f"{2100 + number % 5000}-01-01"
    length = _LENGTH.search(type_)
    text = f"{number}-{value}"
    return text[: int(length[1])] if length else text
