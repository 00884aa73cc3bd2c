"""Parts, steps and blocks of a runbook; phases and result of its rehearsal."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

from consdb_actions.catalog import CatalogRelation, Snapshot
from consdb_actions.errors import InputError
from consdb_actions.forms import Public
from consdb_actions.migration.data import TableRows
from consdb_actions.process.runbook_change import Needs, SectionChange

UNRESTORED = "does not restore:"  # How a warning begins what a downgrade leaves otherwise than it was

BlockKind = Literal[
    "sql",
    "check",
    "wait",
    "compare",
    "look",
    "preflight",
    "upgrade",
    "downgrade",
    "by-hand",
    "stop",
    "start",
    "restart",
    "command",
    "paste",
]
"""
How a block is executed:

* ``sql`` is run; ``check`` must return ``answer``; ``wait`` is repeated until it does; ``compare`` must
  return the same at both sites; ``look`` is for information;
* ``preflight`` reads a database; ``upgrade`` and ``downgrade`` change a section's database; ``by-hand`` does
  the same as the preceding one without this program;
* ``stop``, ``start`` and ``restart`` are about services, in commands or in words;
* ``command`` is run in a terminal, ``paste`` is copied elsewhere; a rehearsal skips both.
"""

KINDS: tuple[BlockKind, ...] = get_args(BlockKind)

Account = Literal["owner", "administrator", "replication"]

ACCOUNTS: tuple[Account, ...] = get_args(Account)


@dataclass(frozen=True, slots=True)
class Block(Public):
    """A block to copy."""

    PUBLIC: ClassVar[str] = "kind site account language text answer seconds note"

    kind: BlockKind
    site: str
    text: str
    account: Account = "owner"
    answer: str = ""  # Single value that a ``check`` or ``wait`` must return
    seconds: int = 0  # Maximum time of a ``wait``
    note: str = field(default="", compare=False)  # Text shown before the block

    @property
    def language(self) -> str:
        """``sql``, or ``sh`` for commands; ``text`` for instructions."""
        if self.kind in ("sql", "check", "wait", "compare", "look"):
            return "sql"
        return "text" if self.kind == "paste" or self.text.startswith("Ask ") else "sh"


@dataclass(frozen=True, slots=True)
class RunbookStep:
    """One step."""

    id: str  # Unique in the runbook
    title: str
    blocks: tuple[Block, ...]
    why: str = ""
    failure: str = ""  # What to do if it fails, in sentences
    site: str = ""  # Id; empty for no single one
    who: str = "ConsDB team"
    minutes: int = 5  # Estimate


@dataclass(frozen=True, slots=True)
class Text:
    """A text to send to somebody."""

    title: str
    to: str
    body: str


@dataclass(frozen=True, slots=True)
class RunbookPart:
    """Steps that belong together."""

    id: str  # ``prepare``, ``test``, ``release``, ``migrate``, ``after``, ``cancel``, ``halfway`` or ``back``
    title: str
    intro: tuple[str, ...] = ()
    steps: tuple[RunbookStep, ...] = ()
    # Steps of the process that this part completes, as in ``/consdb done STEP``
    attested: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Runbook(Public):
    """All parts of a runbook."""

    FORMAT: ClassVar[str] = "consdb-actions/runbook/1"
    PUBLIC: ClassVar[str] = "ticket release warnings sections=changes replication=needs parts texts"

    ticket: str
    release: str  # May be empty
    changes: tuple[SectionChange, ...]
    needs: Needs
    parts: tuple[RunbookPart, ...]
    texts: tuple[Text, ...] = ()
    sessions: tuple[tuple[str, str], ...] = ()  # Who and where, and the command to connect
    warnings: tuple[str, ...] = field(default=())  # Reasons not to go on

    def steps(self) -> Iterator[tuple[RunbookPart, RunbookStep]]:
        """Yield all steps with their parts."""
        for part in self.parts:
            for step in part.steps:
                yield part, step

    def part(self, identifier: str) -> RunbookPart | None:
        """Return a part by its id."""
        return next((part for part in self.parts if part.id == identifier), None)


_OPEN = re.compile(r"(?P<ticks>`{3,})(?P<language>sql|sh|text) (?P<facts>part=.+)")
_SHORT = re.compile(r"(?:`(?P<text>[^`]+)` )?<!-- (?:sql|sh|text) (?P<facts>part=.+?) -->")


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    """A block with its part, step and line."""

    part: str
    step: str
    block: Block
    line: int = 0


def block_info(part: str, step: str, block: Block) -> str:
    """Write the info string of a block's fence."""
    facts = {"part": part, "step": step, "do": block.kind, "at": block.site}
    if block.account != "owner":
        facts["as"] = block.account
    if block.answer:
        facts["answer"] = block.answer
    if block.seconds:
        facts["within"] = str(block.seconds)
    written = " ".join(f"{name}={shlex.quote(value)}" for name, value in facts.items() if value)
    return f"{block.language} {written}"


def read_runbook(markdown: str) -> tuple[PlacedBlock, ...]:
    """Read the blocks of a runbook in order; InputError if there are none or one is invalid."""
    found = tuple(_written_out(_blocks(markdown.replace("\r\n", "\n").split("\n"))))
    if not found:
        raise InputError(
            "the file has no step of a runbook", remedy="Give a file that `process runbook --output` wrote."
        )
    return found


def unrestored_in(markdown: str) -> frozenset[str]:
    """Return the elements that a downgrade does not restore, according to a runbook's warnings."""
    lines = (line.partition(UNRESTORED)[2] for line in markdown.split("\n"))
    return frozenset(name for line in lines for name in re.findall(r"`([^`]+)`", line))


def _written_out(blocks: Iterable[tuple[PlacedBlock, str]]) -> Iterator[PlacedBlock]:
    texts: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for placed, same in blocks:
        if same and same not in texts:
            raise InputError(
                f"same={same} does not refer to an earlier block",
                place=f"line {placed.line}",
                remedy="Write the statements out, and remove same=…",
            )
        text = texts[same] if same else placed.block.text
        texts[f"{placed.step}/{counts[placed.step]}"] = text
        counts[placed.step] += 1
        yield replace(placed, block=replace(placed.block, text=text))


def _blocks(lines: list[str]) -> Iterator[tuple[PlacedBlock, str]]:
    number = 0
    while number < len(lines):
        opened = _OPEN.fullmatch(lines[number])
        number += 1
        if opened is None:
            for short in _SHORT.finditer(lines[number - 1]):
                yield _block(short["facts"], short["text"] or "", number)
            continue
        first = number
        while number < len(lines) and lines[number] != opened["ticks"]:
            number += 1
        yield _block(opened["facts"], "\n".join(lines[first:number]), first)


def _block(facts: str, text: str, line: int) -> tuple[PlacedBlock, str]:
    place = f"line {line}"
    try:
        known = dict(word.split("=", 1) for word in shlex.split(facts))
        kind, account = known.get("do", ""), known.get("as", "owner")
        seconds = int(known.get("within", "0"))
    except ValueError as error:
        raise InputError(
            "the attributes of this block cannot be parsed",
            place=place,
            remedy="Write them like this: part=migrate step=look do=check at=summit answer=0.",
        ) from error
    if kind not in KINDS or account not in ACCOUNTS:
        raise InputError(
            f"do={kind} as={account} is not a valid kind of block",
            place=place,
            remedy=f"do is one of {', '.join(KINDS)}; as is one of {', '.join(ACCOUNTS)}.",
        )
    block = Block(
        kind,
        known.get("at", ""),
        text,
        account,
        known.get("answer", ""),
        seconds,
    )
    return PlacedBlock(known["part"], known.get("step", ""), block, line), known.get("same", "")


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
            arguments = shlex.split(one.block.text.replace("\\\n", " "))
            found.update(
                dict.fromkeys(
                    arguments[n + 1] for n, word in enumerate(arguments[:-1]) if word == "--section"
                )
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
            columns = [name for name in key if name in row]
            integers = [name for name in columns if types[name] in ("bigint", "integer")]
            if columns:
                column = (integers or columns)[0]
                row[column] = bumped(row[column] or "", types[column], number)
                fresh.add(column)
    return row


def bumped(value: str, type_: str, number: int) -> str:
    """Return a value that is unique to a round."""
    if type_ in ("bigint", "integer", "smallint", "double precision", "real") or type_.startswith("numeric"):
        return str(number if type_ != "smallint" else number % 30_000)
    if type_.startswith(("timestamp", "date")):
        return f"{2100 + number % 5000}-01-01"
    length = _LENGTH.search(type_)
    text = f"{number}-{value}"
    return text[: int(length[1])] if length else text
