"""The facts that rewrite rules read, and the plan that they build."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from alembic.operations import ops

from consdb_actions.catalog import Snapshot
from consdb_actions.migration.backfill import Link

__all__ = ["Copy", "Facts", "Filling", "Loss", "Plan", "Question", "Risk"]

Direction = Literal["upgrade", "downgrade"]

# A constant as Postgres writes it in a default, with or without its type.
_CONSTANT = re.compile(
    r"(?:(-?[0-9.]+(?:e[-+]?[0-9]+)?|true|false)|'((?:[^']|'')*)')(?:::[\w ().,\"\[\]]+)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Question:
    """A question that stops the run until it is answered (rules M4, M7)."""

    about: str
    words: str
    answers: tuple[str, ...]
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Risk:
    """Something that can fail on some data, by name (rule M8)."""

    about: str
    words: str


@dataclass(frozen=True)
class Loss:
    """Data that one direction removes and the other cannot restore (rule M10)."""

    table: str
    column: str | None
    direction: Direction
    words: str
    dropped: bool = False
    """Whether a whole column or table is dropped, and not only some of its values."""


@dataclass(frozen=True)
class Copy:
    """A column whose values move to another table (rule M5), in the names after renames."""

    source: str
    source_column: str
    target: str
    target_column: str
    source_key: tuple[str, ...]
    """The columns that match rows: pair by pair, or each with its side of ``through``."""
    target_key: tuple[str, ...]
    through: str = ""
    """The common parent of which the keys equal two keys, rather than each other."""
    source_side: tuple[str, ...] = ()
    target_side: tuple[str, ...] = ()
    relation: Literal["one to one", "one to many", "many to one"] = "one to one"
    """Rows of the source to rows of the target."""
    filled: tuple[tuple[str, str, str], ...] = ()
    """Sources of other columns of a new target table: column, table, column."""
    required: bool = False

    def reversed(self, old_table: Mapping[str, str]) -> Copy:
        """Return the reverse copy; ``old_table`` maps tables to their names before renames."""
        back: dict[str, Literal["one to one", "one to many", "many to one"]] = {
            "one to one": "one to one",
            "one to many": "many to one",
            "many to one": "one to many",
        }
        return Copy(
            source=old_table.get(self.target, self.target),
            source_column=self.target_column,
            target=old_table.get(self.source, self.source),
            target_column=self.source_column,
            source_key=self.target_key,
            target_key=self.source_key,
            through=old_table.get(self.through, self.through),
            source_side=self.target_side,
            target_side=self.source_side,
            relation=back[self.relation],
        )


@dataclass(frozen=True)
class Filling:
    """How a column without a value is filled (rule M7), in the names after renames."""

    table: str
    column: str
    answer: str | None = None
    expression: str = ""
    """The default that it gets, as Postgres prints it."""
    path: tuple[Link, ...] = ()
    source: str = ""

    @property
    def constant(self) -> str | None:
        """The constant's text; None for a parent's or a computed value."""
        if self.answer is not None:
            return self.answer
        quoted = _CONSTANT.fullmatch(self.expression)
        if quoted is None:
            return None
        return quoted[2].replace("''", "'") if quoted[2] is not None else quoted[1]


@dataclass(frozen=True)
class Facts:
    """The facts about one direction of a migration."""

    schema: str
    direction: Direction
    before: Snapshot
    """The schema before, with renames already done."""
    after: Snapshot
    copies: tuple[Copy, ...]
    fills: Mapping[tuple[str, str], str | None]
    """Answers for NOT NULL columns: the value, or None for "no row holds NULL"."""
    casts: frozenset[tuple[str, str]]
    """Pairs of type names (without length) with an assignment cast."""
    on_question: Literal["ask", "proceed"]
    """``ask`` collects questions; ``proceed`` continues without the fill."""
    given: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """In a downgrade: constants that the upgrade put in place of NULL."""
    placeholders: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """In a downgrade: SQL for required columns whose values are lost, as their CHECKs allow it."""


@dataclass(frozen=True)
class Plan:
    """The operations so far, and what a reader must know about them."""

    ops: tuple[ops.MigrateOperation, ...] = ()
    questions: tuple[Question, ...] = ()
    risks: tuple[Risk, ...] = ()
    losses: tuple[Loss, ...] = ()
    unfilled: tuple[tuple[str, str], ...] = ()
    """New NOT NULL columns without a fill, by table: these must be empty."""
    filled: tuple[Filling, ...] = ()
