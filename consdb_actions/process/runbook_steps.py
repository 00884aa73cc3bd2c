"""Parts, steps and blocks of a runbook, and their form in Markdown."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

from consdb_actions.errors import InputError
from consdb_actions.forms import Public
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
    site: str
    who: str
    blocks: tuple[Block, ...]
    why: str = ""
    failure: tuple[str, ...] = ()  # What to do if it fails, in sentences
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
    """Replace references to earlier blocks by their text."""
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
