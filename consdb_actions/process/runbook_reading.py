"""Read a runbook's blocks back from its Markdown, so that what is rehearsed is what people read."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from consdb_actions.errors import InputError
from consdb_actions.process.runbook_steps import ACCOUNTS, KINDS, Block

__all__ = ["Placed", "block_info", "read_runbook"]

_OPEN = re.compile(r"(?P<ticks>`{3,})(?P<language>sql|sh|text) (?P<facts>part=.+)")


@dataclass(frozen=True, slots=True)
class Placed:
    """A block with the part and the step that it stands in, and its line."""

    part: str
    step: str
    block: Block
    line: int = 0


def block_info(part: str, step: str, block: Block) -> str:
    """Write what stands behind the ticks that open a block."""
    facts = {"part": part, "step": step, "do": block.kind, "at": block.site, "as": block.account}
    if block.answer:
        facts["answer"] = block.answer
    if block.seconds:
        facts["within"] = str(block.seconds)
    written = " ".join(f"{name}={shlex.quote(value)}" for name, value in facts.items() if value)
    return f"{block.language} {written}"


def read_runbook(markdown: str) -> tuple[Placed, ...]:
    """Read the blocks of a runbook.

    Parameters
    ----------
    markdown
        The runbook, as it was made or edited since.

    Returns
    -------
    tuple of Placed
        Its blocks in their order.

    Raises
    ------
    InputError
        There are none, or one says something about itself that is not known.
    """
    found = tuple(_written_out(_blocks(markdown.replace("\r\n", "\n").split("\n"))))
    if not found:
        raise InputError(
            "this holds no step of a runbook", remedy="Give a file that `process runbook --output` wrote."
        )
    return found


def _written_out(blocks: Iterable[tuple[Placed, str]]) -> Iterator[Placed]:
    """Give a block that refers to an earlier one the text of that one."""
    texts: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for placed, same in blocks:
        if same and same not in texts:
            raise InputError(
                f"this block refers to a block that is not before it: same={same}",
                place=f"line {placed.line}",
                remedy="Write the statements out, and remove same=…",
            )
        text = texts[same] if same else placed.block.text
        texts[f"{placed.step}/{counts[placed.step]}"] = text
        counts[placed.step] += 1
        yield replace(placed, block=replace(placed.block, text=text))


def _blocks(lines: list[str]) -> Iterator[tuple[Placed, str]]:
    number = 0
    while number < len(lines):
        opened = _OPEN.fullmatch(lines[number])
        number += 1
        if opened is None:
            continue
        first = number
        while number < len(lines) and lines[number] != opened["ticks"]:
            number += 1
        yield _block(opened["facts"], "\n".join(lines[first:number]), first)


def _block(facts: str, text: str, line: int) -> tuple[Placed, str]:
    place = f"line {line}"
    try:
        known = dict(word.split("=", 1) for word in shlex.split(facts))
        kind, account = known.get("do", ""), known.get("as", "owner")
        seconds = int(known.get("within", "0"))
    except ValueError as error:
        raise InputError(
            "what this block says about itself cannot be read",
            place=place,
            remedy="It is written like: part=migrate step=look do=check at=summit answer=0.",
        ) from error
    if kind not in KINDS or account not in ACCOUNTS:
        raise InputError(
            f"this block is to be done in a way that is not known: do={kind} as={account}",
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
    return Placed(known["part"], known.get("step", ""), block, line), known.get("same", "")
