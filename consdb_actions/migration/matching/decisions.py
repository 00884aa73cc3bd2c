"""Decisions about a change: renames, moves, drops, additions and questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from consdb_actions.forms import Public
from consdb_actions.migration.matching.facts import NameMap

Kind = Literal["declared", "same id", "case only"]
"""The only evidence that renames."""

Relation = Literal["one to one", "one to many", "many to one"]
"""Rows of the source per row of the target. With ``many to one`` the values of a group must agree."""


@dataclass(frozen=True)
class Through:
    """The parent that both tables refer to: which of its columns each side's key is equal to."""

    table: str
    source_side: tuple[str, ...]
    target_side: tuple[str, ...]


@dataclass(frozen=True)
class ColumnSource:
    """Where a column of a new row comes from: a column of the source, or of the common parent."""

    column: str
    table: str
    source: str


@dataclass(frozen=True)
class Join:
    """How rows are matched: the source in names before the change, the target in names after it."""

    source_table: str
    source_columns: tuple[str, ...]
    target_table: str
    target_columns: tuple[str, ...]
    relation: Relation
    because: str
    through: Through | None = None
    """The common parent, where the two keys are equal to keys of it; equal sides are one key."""
    certain: bool = True
    """Whether a key of the schema says so; else the names alone do, and a person has to confirm it."""
    new_rows: bool = False  # Whether the target table is new, so that rows are inserted rather than updated
    fills: tuple[ColumnSource, ...] = ()
    """For new rows: where every column that must have a value comes from, but for the moved columns."""

    @property
    def is_direct(self) -> bool:
        """Whether the two keys are equal to each other."""
        return self.through is None or self.through.source_side == self.through.target_side

    def describe(self) -> str:
        """Describe it in a clause."""
        what = "rows are made" if self.new_rows else "rows are matched"
        if self.through is None or self.is_direct:
            by = _equal(self.source_columns, self.target_columns)
        else:
            parent = f"`{self.through.table}`"
            by = (
                f"{_equal(self.source_columns, self.through.source_side)} of {parent} and "
                f"{_equal(self.through.target_side, self.target_columns)} of `{self.target_table}`"
            )
        return f"{what} by {by} ({self.relation}: {self.because})"


def _equal(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    pairs = zip(left, right, strict=True)
    return ", ".join(f"`{one}`" if one == other else f"`{one}` = `{other}`" for one, other in pairs)


@dataclass(frozen=True)
class TableRename:
    """A renamed table."""

    old: str
    new: str
    kind: Kind
    evidence: str

    def describe(self) -> str:
        """Describe it in a sentence."""
        return f"Table `{self.old}` is renamed to `{self.new}`: {self.evidence}."


@dataclass(frozen=True)
class ColumnRename:
    """A renamed column; ``table`` is the name before the change."""

    table: str
    old: str
    new: str
    new_table: str
    kind: Kind
    evidence: str

    def describe(self) -> str:
        """Describe it in a sentence."""
        return f"`{self.table}.{self.old}` is renamed to `{self.new}`: {self.evidence}."


@dataclass(frozen=True)
class CopiedMove:
    """A column whose values are copied to another table before it is dropped.

    ``table`` and ``column`` are names before the change, ``new_table`` and ``new_column`` names after it.
    ``required`` tells whether the column is NOT NULL there.
    """

    table: str
    column: str
    new_table: str
    new_column: str
    kind: Literal["declared", "same name"]
    evidence: str
    join: Join
    required: bool = False

    def describe(self) -> str:
        """Describe it in a sentence."""
        return (
            f"`{self.table}.{self.column}` moves to `{self.new_table}.{self.new_column}`: {self.evidence}; "
            f"{self.join.describe()}."
        )


@dataclass(frozen=True)
class RejectedCandidate:
    """A candidate that was looked at and not taken.

    Where ``old`` is empty, ``new`` says in words what change of many names was looked at.
    """

    old: str
    new: str
    reason: str

    def describe(self) -> str:
        """Describe it in a sentence."""
        what = f"`{self.new}` for `{self.old}`" if self.old else self.new
        return f"{what}: {self.reason}."


@dataclass(frozen=True)
class ColumnDrop:
    """A column that goes, with its values."""

    table: str
    column: str
    type: str
    reason: str
    rejected: tuple[RejectedCandidate, ...] = ()

    def describe(self) -> str:
        """Describe it in a sentence."""
        return (
            f"`{self.table}.{self.column}` ({self.type}) is dropped and its values are lost: {self.reason}."
        )


@dataclass(frozen=True)
class DroppedTable:
    """A table that goes; ``columns`` are those whose values are lost, ``moved`` those copied before.

    A column that only serves to match rows, or is part of an open question, is in neither.
    """

    table: str
    columns: tuple[str, ...]
    moved: tuple[str, ...]
    reason: str
    rejected: tuple[RejectedCandidate, ...] = ()

    def describe(self) -> str:
        """Describe it in a sentence."""
        lost = ", ".join(f"`{column}`" for column in self.columns)
        kept = ", ".join(f"`{column}`" for column in self.moved)
        what = f"the values of {lost} are lost" if lost else "no values are lost"
        copied = f" ({kept} copied before)" if kept else ""
        return f"Table `{self.table}` is dropped, {what}{copied}: {self.reason}."


@dataclass(frozen=True)
class ColumnAddition:
    """A column that is new, in a table that stays; ``table`` is the name after the change."""

    table: str
    column: str

    def describe(self) -> str:
        """Describe it in a sentence."""
        return f"`{self.table}.{self.column}` is new."


@dataclass(frozen=True)
class RenameProposal(Public):
    """One pair of a question: the likely successor, and why."""

    PUBLIC: ClassVar[str] = "old new text=describe"

    old: str
    new: str
    evidence: tuple[str, ...]
    score: int | None = None

    def describe(self) -> str:
        """Describe it in a sentence."""
        strength = f" (score {self.score} of 100)" if self.score else ""
        return f"`{self.old}` → `{self.new}`: {'; '.join(self.evidence)}{strength}."


@dataclass(frozen=True)
class Answer(Public):
    """One way to answer a question: its meaning, and the declarations that say it."""

    PUBLIC: ClassVar[str] = "meaning options directives"

    meaning: str
    declarations: tuple[str, ...]

    def options(self) -> tuple[str, ...]:
        """Return the answer as options of the command line, ready to copy."""
        return tuple(f"--rename {text}" for text in self.declarations)

    def directives(self) -> tuple[str, ...]:
        """Return the answer as lines for the text of a pull request."""
        return tuple(f"consdb: rename {text}" for text in self.declarations)


@dataclass(frozen=True)
class MatchingQuestion(Public):
    """What is not certain, with every answer. The last one is always "nothing is renamed"."""

    PUBLIC: ClassVar[str] = "text proposals answers"

    text: str
    proposals: tuple[RenameProposal, ...]  # The pairs that the first answer stands for
    answers: tuple[Answer, ...]
    rejected: tuple[RejectedCandidate, ...]  # Candidates that no answer has, with the reason
    columns: tuple[str, ...]  # What it is about before the change, as ``TABLE.COLUMN`` or ``TABLE``
    targets: tuple[str, ...]  # The same after the change
    answered: str = ""  # How ``--on-question`` answered it; empty while it is open

    def describe(self) -> str:
        """Describe it in a sentence."""
        return f"{self.text} Answered by --on-question: {self.answered}." if self.answered else self.text


@dataclass(frozen=True)
class StoredAnswer:
    """An answer that was used, in the form that gives it again, and where it came from."""

    declaration: str
    source: str
    meaning: str

    def describe(self) -> str:
        """Describe it in a sentence."""
        return f"`{self.declaration}` ({self.source}): {self.meaning}."


@dataclass(frozen=True)
class Decisions:
    """Everything that was decided about one schema.

    While a question is open, what it is about is in neither ``renames`` nor ``drops`` nor ``adds``.
    Renames of tables come first; then columns are renamed (in an order in which each name is free when it is
    taken: there may be chains and circles), added, filled by the moves, and dropped.
    """

    table_renames: tuple[TableRename, ...] = ()
    renames: tuple[ColumnRename, ...] = ()
    moves: tuple[CopiedMove, ...] = ()
    drops: tuple[ColumnDrop, ...] = ()
    dropped_tables: tuple[DroppedTable, ...] = ()
    adds: tuple[ColumnAddition, ...] = ()
    added_tables: tuple[str, ...] = ()
    questions: tuple[MatchingQuestion, ...] = ()
    remembered: tuple[StoredAnswer, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The renames, moves and drops: kept data and data loss."""
        parts = (self.table_renames, self.renames, self.moves, self.dropped_tables, self.drops)
        return tuple(item.describe() for part in parts for item in part)

    @property
    def open_questions(self) -> tuple[MatchingQuestion, ...]:
        """The questions that nothing has answered."""
        return tuple(question for question in self.questions if not question.answered)

    @property
    def names(self) -> NameMap:
        """The way from every name before the change to its name after it."""
        return NameMap.of(
            {rename.old: rename.new for rename in self.table_renames},
            {(rename.table, rename.old): rename.new for rename in self.renames},
        )

    def describe(self) -> tuple[str, ...]:
        """Describe everything in sentences, questions first."""
        parts = (
            self.questions,
            self.table_renames,
            self.renames,
            self.moves,
            self.dropped_tables,
            self.drops,
            self.adds,
        )
        sentences = [item.describe() for part in parts for item in part]
        sentences += [f"Table `{table}` is new." for table in self.added_tables]
        return (*sentences, *self.notes)
