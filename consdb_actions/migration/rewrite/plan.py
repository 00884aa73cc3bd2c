"""What the rewrite rules share: the facts that they read and the plan that they build."""

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
    """Something that the schemas do not say; the run stops until it is answered (rule M4, M7)."""

    about: str
    words: str
    answers: tuple[str, ...]
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Risk:
    """Something that can go wrong with some data, by name (rule M8)."""

    about: str
    words: str


@dataclass(frozen=True)
class Loss:
    """Data that one direction removes and the other cannot bring back (rule M10).

    ``dropped`` where a whole column or table goes, and not only some of its values.
    """

    table: str
    column: str | None
    direction: Direction
    words: str
    dropped: bool = False


@dataclass(frozen=True)
class Copy:
    """A column whose values move to another table (rule M5), in the names after all renames.

    Attributes
    ----------
    source_key, target_key
        The columns by which rows are matched: pair by pair, or each with its side of ``through``.
    through, source_side, target_side
        The common parent where the keys are equal to two keys of it rather than to each other.
    relation
        Rows of the source to rows of the target.
    filled
        Where a row's other columns come from when the target is a new table: column, table, column.
    required
        Whether the column is NOT NULL in the target.
    """

    source: str
    source_column: str
    target: str
    target_column: str
    source_key: tuple[str, ...]
    target_key: tuple[str, ...]
    through: str = ""
    source_side: tuple[str, ...] = ()
    target_side: tuple[str, ...] = ()
    relation: Literal["one to one", "one to many", "many to one"] = "one to one"
    filled: tuple[tuple[str, str, str], ...] = ()
    required: bool = False

    def reversed(self, old_table: Mapping[str, str]) -> Copy:
        """Return the copy back; ``old_table`` gives the names of tables after the renames are taken back."""
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
    """What a column gets where a row has no value for it (rule M7), in the names after renames.

    Attributes
    ----------
    answer
        The text that was given for it.
    expression
        The default that it gets, as Postgres writes it.
    path, source
        The way to the parent's row, and its column.
    """

    table: str
    column: str
    answer: str | None = None
    expression: str = ""
    path: tuple[Link, ...] = ()
    source: str = ""

    @property
    def constant(self) -> str | None:
        """The text of the constant that it gets; None where it is a parent's value, or is computed."""
        if self.answer is not None:
            return self.answer
        quoted = _CONSTANT.fullmatch(self.expression)
        if quoted is None:
            return None
        return quoted[2].replace("''", "'") if quoted[2] is not None else quoted[1]


@dataclass(frozen=True)
class Facts:
    """Everything that a rule may know about one direction of one migration.

    Attributes
    ----------
    before, after
        The schema on both sides, renames already done on the left.
    copies
        Columns that move between tables.
    fills
        Answers for NOT NULL columns: the value, or None for "no row holds NULL".
    given
        In a downgrade: the constants that the upgrade put where a column held NULL.
    casts
        Pairs of type names (without length) that Postgres converts by itself in an assignment.
    on_question
        ``ask`` collects questions; ``proceed`` goes on without the fill.
    """

    schema: str
    direction: Direction
    before: Snapshot
    after: Snapshot
    copies: tuple[Copy, ...]
    fills: Mapping[tuple[str, str], str | None]
    casts: frozenset[tuple[str, str]]
    on_question: Literal["ask", "proceed"]
    given: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The operations so far, and what a reader must know about them.

    ``unfilled`` are new NOT NULL columns, by table, that nothing fills: their tables must be empty.
    ``filled`` are those that something fills.
    """

    ops: tuple[ops.MigrateOperation, ...] = ()
    questions: tuple[Question, ...] = ()
    risks: tuple[Risk, ...] = ()
    losses: tuple[Loss, ...] = ()
    unfilled: tuple[tuple[str, str], ...] = ()
    filled: tuple[Filling, ...] = ()
