"""What a rehearsal did and found, as plain data; and what it reads from the runbook to begin with."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from consdb_actions.errors import InputError
from consdb_actions.process.runbook_reading import Placed

__all__ = ["Act", "BlockResult", "Finding", "Rehearsal", "acts_of", "ways_of"]

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
    """One thing that was looked at after an act."""

    holds: bool
    words: str
    details: tuple[str, ...] = ()


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
    "cancel": "Begun, and stopped before anything is changed",
    "migrate": "The migration",
    "back": "The way back",
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
            remedy="Its part “migrate” must hold a block do=upgrade with --section NAME:FROM..TO.",
        )
    return tuple(found)
