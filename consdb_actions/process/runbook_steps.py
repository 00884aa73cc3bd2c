"""What a runbook is made of: parts, steps, and blocks that a person copies and a rehearsal executes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.runbook_order import Needs

__all__ = ["ACCOUNTS", "KINDS", "Account", "Block", "BlockKind", "Part", "Runbook", "Step", "Text"]

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
What is done with a block:

* ``sql`` is run; ``check`` must answer; ``wait`` is asked again until it does; ``compare`` must answer the
  same at both sites; ``look`` is only looked at;
* ``preflight`` looks at a database and changes nothing; ``upgrade`` and ``downgrade`` are commands on a
section's database; ``by-hand`` does the same as the one
  before it without this program;
* ``stop``, ``start`` and ``restart`` are about services, in commands or in words;
* ``command`` is run in a terminal, and ``paste`` is copied somewhere else; a rehearsal does neither.
"""

KINDS: tuple[BlockKind, ...] = (
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
)

Account = Literal["owner", "administrator", "replication"]
"""As whom: the owner of the tables, an administrator of the database, or the role of the replication."""

ACCOUNTS: tuple[Account, ...] = ("owner", "administrator", "replication")


@dataclass(frozen=True, slots=True)
class Block:
    """Something to copy.

    Attributes
    ----------
    kind
        What is done with it.
    site
        Where.
    text
        Statements, or commands.
    account
        As whom.
    answer
        What a ``check`` or a ``wait`` must answer, one value.
    seconds
        How long a ``wait`` may take.
    note
        What people are told before it.
    """

    kind: BlockKind
    site: str
    text: str
    account: Account = "owner"
    answer: str = ""
    seconds: int = 0
    note: str = field(default="", compare=False)

    @property
    def language(self) -> str:
        """``sql``, or ``sh`` for commands; ``text`` for what people are asked."""
        if self.kind in ("sql", "check", "wait", "compare", "look"):
            return "sql"
        return "text" if self.kind == "paste" or self.text.startswith("Ask ") else "sh"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes
    ----------
    id
        Its name, unique in the runbook.
    title
        What is done.
    site
        Where.
    who
        Who does it.
    why
        Why it is there, where that is not plain.
    blocks
        What is done, in order.
    failure
        What to do when it does not work out: a sentence or more each.
    minutes
        How long it takes, roughly.
    """

    id: str
    title: str
    site: str
    who: str
    blocks: tuple[Block, ...]
    why: str = ""
    failure: tuple[str, ...] = ()
    minutes: int = 5


@dataclass(frozen=True, slots=True)
class Text:
    """A text to send to somebody."""

    title: str
    to: str
    body: str


@dataclass(frozen=True, slots=True)
class Part:
    """Steps that belong together.

    Attributes
    ----------
    id
        ``prepare``, ``test``, ``release``, ``migrate``, ``after``, ``cancel``, ``halfway`` or ``back``.
    title
        A heading.
    intro
        Sentences before the first step.
    steps
        The steps.
    attested
        What is said to be done when all of them are, as in ``/consdb done STEP``.
    """

    id: str
    title: str
    intro: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    attested: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Runbook:
    """The whole.

    Attributes
    ----------
    ticket, release
        What it is for; the release may be missing.
    changes
        What is applied, by section.
    needs
        What that asks of the replication.
    parts
        What is done.
    texts
        What is sent to whom.
    sessions
        How to connect: who, where, and the command.
    warnings
        What speaks against going on as things are.
    """

    ticket: str
    release: str
    changes: tuple[SectionChange, ...]
    needs: Needs
    parts: tuple[Part, ...]
    texts: tuple[Text, ...] = ()
    sessions: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def steps(self) -> Iterator[tuple[Part, Step]]:
        """Yield all steps with their parts."""
        for part in self.parts:
            for step in part.steps:
                yield part, step

    def part(self, identifier: str) -> Part | None:
        """Return a part by its id."""
        return next((part for part in self.parts if part.id == identifier), None)
