"""Decisions about a change, and how rows are joined for a move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from consdb_actions.migration.matching.declarations import DeclaredMatch
from consdb_actions.migration.matching.facts import ForeignKeyFacts, NameMap, TableFacts, type_fit

__all__ = [
    "Added",
    "Answer",
    "ColumnRename",
    "Decisions",
    "Dropped",
    "DroppedTable",
    "ColumnSource",
    "Join",
    "Kind",
    "CopiedMove",
    "RenameProposal",
    "MatchingQuestion",
    "Rejected",
    "Relation",
    "Remembered",
    "TableRename",
    "Through",
    "find_join",
]

Relation = Literal["one to one", "one to many", "many to one"]

"""Rows of the source per row of the target. With ``many to one`` the values of a group must agree."""

_SURROGATES = frozenset(
    (
        "id",
        "key",
        "pk",
        "index",
        "idx",
        "no",
        "nr",
        "num",
        "number",
        "row",
        "rowid",
        "serial",
        "uid",
        "uuid",
        "name",
    )
)


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
    """How rows are matched.

    Parameters
    ----------
    source_table, source_columns
        Where the values are, in names before the change.
    target_table, target_columns
        Where they go, in names after it.
    relation
        ``one to one``; ``one to many`` (several rows of the target take the value of one row); or ``many to
        one``, where whoever copies must make sure that the values of a group agree.
    through
        The common parent where the two keys are not equal to each other but both to keys of it. When its two
        sides are the same columns, the keys are equal too.
    because
        Why these columns match.
    certain
        Whether a key of the schema says so. Else the names alone do, and a person has to confirm it.
    new_rows
        Whether the target table is new, so that rows are inserted rather than updated.
    fills
        For new rows: where every column that must have a value comes from, but for the moved columns.
    """

    source_table: str
    source_columns: tuple[str, ...]
    target_table: str
    target_columns: tuple[str, ...]
    relation: Relation
    because: str
    through: Through | None = None
    certain: bool = True
    new_rows: bool = False
    fills: tuple[ColumnSource, ...] = ()

    def describe(self) -> str:
        """Say it in a clause."""
        what = "rows are made" if self.new_rows else "rows are matched"
        if self.through is None or self.through.source_side == self.through.target_side:
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


def find_join(
    source: TableFacts,
    target_before: TableFacts | None,
    target: TableFacts,
    names: NameMap,
    given: frozenset[str],
) -> tuple[Join | None, str]:
    """Find the best way to match the rows of two tables."""
    joins = sorted(_joins(source, target_before, target, names), key=_worth)
    if target_before is not None:
        if joins:
            return joins[0], ""
        return None, f"`{source.name}` and `{target.name}` share no key, so their rows cannot be matched"
    why_not = f"`{target.name}` is new and shares no key with `{source.name}`, so its rows cannot be made"
    for join in joins:
        if join.relation != "one to one":
            why_not = (
                f"`{target.name}` is new, and one row of `{source.name}` does not make exactly one row of it"
            )
            continue
        fills, missing = _fills(join, source, target, names, given)
        if not missing:
            return replace(join, new_rows=True, fills=fills), ""
        why_not = f"`{target.name}` is new, and nothing gives a value for its column `{missing[0]}`"
    return None, why_not


def _worth(join: Join) -> tuple[bool, int, bool, int, tuple[str, ...]]:
    order = {"one to one": 0, "one to many": 1, "many to one": 2}
    return (
        not join.certain,
        order[join.relation],
        join.through is not None,
        len(join.source_columns),
        join.source_columns + join.target_columns,
    )


def _joins(
    source: TableFacts, target_before: TableFacts | None, target: TableFacts, names: NameMap
) -> Iterator[Join]:
    """Yield every way to match rows; columns of the target that are new in an old table do not count."""
    usable = {column.name for column in target.columns}
    if target_before is not None:
        usable &= set(names.columns_of(target_before.name, [column.name for column in target_before.columns]))
    keys = set(target.foreign_keys)
    if target_before is not None:
        keys |= {names.foreign_key(target_before.name, key) for key in target_before.foreign_keys}
    target_keys = sorted(
        (key for key in keys if set(key.columns) <= usable),
        key=lambda key: (key.columns, key.referenced_table, key.referenced_columns),
    )
    target_name, source_name = f"`{target.name}`", f"`{source.name}`"
    back = {names.column(source.name, column.name): column.name for column in source.columns}

    for key in target_keys:
        if key.referenced_table == names.table(source.name) and set(key.referenced_columns) <= set(back):
            old = tuple(back[column] for column in key.referenced_columns)
            relation: Relation = "one to one" if target.is_unique(key.columns) else "one to many"
            yield _join(source, old, target, key.columns, relation, f"{target_name} refers to {source_name}")
    for key in source.foreign_keys:
        renamed = names.foreign_key(source.name, key)
        unique = source.is_unique(key.columns)
        if renamed.referenced_table == target.name and set(renamed.referenced_columns) <= usable:
            relation = "one to one" if unique else "many to one"
            because = f"{source_name} refers to {target_name}"
            yield _join(source, key.columns, target, renamed.referenced_columns, relation, because)
        for other in target_keys:
            if other.referenced_table == renamed.referenced_table != target.name:
                yield _sibling(source, key, renamed, unique, target, other)
    yield from _by_names(source, target, names, usable)


def _sibling(
    source: TableFacts,
    key: ForeignKeyFacts,
    renamed: ForeignKeyFacts,
    unique: bool,
    target: TableFacts,
    other: ForeignKeyFacts,
) -> Join:
    """Match through the parent that both refer to."""
    parent = renamed.referenced_table
    relation: Relation = "many to one"
    if unique:
        relation = "one to one" if target.is_unique(other.columns) else "one to many"
    because = f"both refer to `{parent}`"
    if set(renamed.referenced_columns) != set(other.referenced_columns):
        through = Through(parent, renamed.referenced_columns, other.referenced_columns)
        return _join(source, key.columns, target, other.columns, relation, because, through)
    # The same key of the parent: put the columns in the same order, then they are equal to each other.
    place = {column: at for at, column in enumerate(other.referenced_columns)}
    ordered = tuple(other.columns[place[column]] for column in renamed.referenced_columns)
    through = Through(parent, renamed.referenced_columns, renamed.referenced_columns)
    return _join(source, key.columns, target, ordered, relation, because, through)


def _by_names(source: TableFacts, target: TableFacts, names: NameMap, usable: set[str]) -> Iterator[Join]:
    """Match by a key over columns of the same names: certain when it is a key of both."""
    for old in source.keys:
        new = names.columns_of(source.name, old)
        if not set(new) <= usable or any(
            type_fit(source.column(one).type, target.column(other).type) == "incompatible"
            for one, other in zip(old, new, strict=True)
        ):
            continue
        if any(set(key) == set(new) for key in target.keys):
            # A lone number of rows means something else in every table that has one.
            lone = len(new) == 1 and new[0].casefold() in _SURROGATES
            because = (
                "both have a key of this name, which each may count in its own way"
                if lone
                else "both have this key"
            )
            yield _join(source, old, target, new, "one to one", because, certain=not lone)
        else:
            because = "columns of these names, which only the first has as a key"
            yield _join(source, old, target, new, "one to many", because, certain=False)


def _join(
    source: TableFacts,
    source_columns: tuple[str, ...],
    target: TableFacts,
    target_columns: tuple[str, ...],
    relation: Relation,
    because: str,
    through: Through | None = None,
    *,
    certain: bool = True,
) -> Join:
    return Join(source.name, source_columns, target.name, target_columns, relation, because, through, certain)


def _fills(
    join: Join,
    source: TableFacts,
    target: TableFacts,
    names: NameMap,
    given: frozenset[str],
) -> tuple[tuple[ColumnSource, ...], tuple[str, ...]]:
    """Say where each column that must have a value comes from, and which have no source."""
    direct = join.through is None or join.through.source_side == join.through.target_side
    fills: dict[str, ColumnSource] = {}
    if direct:
        for one, other in zip(join.source_columns, join.target_columns, strict=True):
            fills[other] = ColumnSource(other, join.source_table, one)
    back = {names.column(source.name, column.name): column.name for column in source.columns}
    for key in target.foreign_keys:
        for column, referenced in zip(key.columns, key.referenced_columns, strict=True):
            if key.referenced_table == names.table(source.name) and referenced in back:
                fills.setdefault(column, ColumnSource(column, join.source_table, back[referenced]))
            elif join.through is not None and key.referenced_table == join.through.table:
                fills.setdefault(column, ColumnSource(column, join.through.table, referenced))
    missing: list[str] = []
    for wanted in target.columns:
        if (
            wanted.name in fills
            or wanted.name in given
            or (wanted.nullable and wanted.name not in target.primary_key)
        ):
            continue
        found = source.column(wanted.name) if wanted.name in source else None
        if found and not found.nullable and type_fit(found.type, wanted.type) != "incompatible":
            fills[wanted.name] = ColumnSource(wanted.name, join.source_table, wanted.name)
        else:
            missing.append(wanted.name)
    return tuple(fills[name] for name in sorted(fills)), tuple(missing)


Kind = Literal["declared", "same id", "case only"]

"""The only evidence that renames."""


@dataclass(frozen=True)
class TableRename:
    """A table that lives on under another name."""

    old: str
    new: str
    kind: Kind
    evidence: str

    def describe(self) -> str:
        """Say it in a sentence."""
        return f"Table `{self.old}` is renamed to `{self.new}`: {self.evidence}."


@dataclass(frozen=True)
class ColumnRename:
    """A column that lives on under another name; ``table`` is the name before the change."""

    table: str
    old: str
    new: str
    new_table: str
    kind: Kind
    evidence: str

    def describe(self) -> str:
        """Say it in a sentence."""
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
        """Say it in a sentence."""
        return (
            f"`{self.table}.{self.column}` moves to `{self.new_table}.{self.new_column}`: {self.evidence}; "
            f"{self.join.describe()}."
        )


@dataclass(frozen=True)
class Rejected:
    """A candidate that was looked at and not taken.

    Where ``old`` is empty, ``new`` says in words what change of many names was looked at.
    """

    old: str
    new: str
    reason: str

    def describe(self) -> str:
        """Say it in a sentence."""
        what = f"`{self.new}` for `{self.old}`" if self.old else self.new
        return f"{what}: {self.reason}."


@dataclass(frozen=True)
class Dropped:
    """A column that goes, with its values."""

    table: str
    column: str
    type: str
    reason: str
    rejected: tuple[Rejected, ...] = ()

    def describe(self) -> str:
        """Say it in a sentence."""
        return (
            f"`{self.table}.{self.column}` ({self.type}) is dropped and its values are lost: {self.reason}."
        )


@dataclass(frozen=True)
class DroppedTable:
    """A table that goes; ``columns`` are those whose values are lost, ``moved`` those copied before.

    A column is in neither when it only serves to match rows, or is part of an open question.
    """

    table: str
    columns: tuple[str, ...]
    moved: tuple[str, ...]
    reason: str
    rejected: tuple[Rejected, ...] = ()

    def describe(self) -> str:
        """Say it in a sentence."""
        lost = ", ".join(f"`{column}`" for column in self.columns)
        kept = ", ".join(f"`{column}`" for column in self.moved)
        what = f"the values of {lost} are lost" if lost else "no values are lost"
        copied = f" ({kept} copied before)" if kept else ""
        return f"Table `{self.table}` is dropped, {what}{copied}: {self.reason}."


@dataclass(frozen=True)
class Added:
    """A column that is new, in a table that stays; ``table`` is the name after the change."""

    table: str
    column: str

    def describe(self) -> str:
        """Say it in a sentence."""
        return f"`{self.table}.{self.column}` is new."


@dataclass(frozen=True)
class RenameProposal:
    """One pair of a question: the likely successor, why, and how it compares with the next best."""

    old: str
    new: str
    evidence: tuple[str, ...]
    score: int | None = None
    margin: str = ""

    def describe(self) -> str:
        """Say it in a sentence."""
        strength = (
            f" (score {self.score} of 100{'; ' + self.margin if self.margin else ''})" if self.score else ""
        )
        return f"`{self.old}` → `{self.new}`: {'; '.join(self.evidence)}{strength}."


@dataclass(frozen=True)
class Answer:
    """One way to answer a question: its meaning, and the declarations that say it."""

    meaning: str
    declarations: tuple[str, ...]

    def options(self) -> tuple[str, ...]:
        """Return the answer as options of the command line, ready to copy."""
        return tuple(f"--rename {text}" for text in self.declarations)

    def directives(self) -> tuple[str, ...]:
        """Return the answer as lines for the text of a pull request."""
        return tuple(f"consdb: rename {text}" for text in self.declarations)


@dataclass(frozen=True)
class MatchingQuestion:
    """What is not certain, with every way to answer it. The last answer is always "nothing is renamed".

    Parameters
    ----------
    text
        The question.
    proposals
        The pairs that the first answer stands for.
    answers
        The ways to answer.
    rejected
        Candidates that the proposals leave out, with the reason.
    columns
        The columns before the change that the question is about, as ``TABLE.COLUMN``; a table as ``TABLE``.
    targets
        The same for the names after the change.
    answered
        How ``--on-question`` answered it; empty while it is open.
    """

    text: str
    proposals: tuple[RenameProposal, ...]
    answers: tuple[Answer, ...]
    rejected: tuple[Rejected, ...]
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    answered: str = ""

    def describe(self) -> str:
        """Say it in a sentence."""
        return f"{self.text} Answered by --on-question: {self.answered}." if self.answered else self.text


@dataclass(frozen=True)
class Remembered:
    """An answer that was used, in the form that gives it again, and where it came from."""

    declaration: str
    source: str
    meaning: str

    def describe(self) -> str:
        """Say it in a sentence."""
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
    drops: tuple[Dropped, ...] = ()
    dropped_tables: tuple[DroppedTable, ...] = ()
    adds: tuple[Added, ...] = ()
    added_tables: tuple[str, ...] = ()
    questions: tuple[MatchingQuestion, ...] = ()
    remembered: tuple[Remembered, ...] = ()
    notes: tuple[str, ...] = ()
    used: tuple[DeclaredMatch, ...] = ()

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
        """Say everything in sentences, questions first."""
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
