"""Find new columns that resemble existing ones (row 7 of the process)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from consdb_actions.migration.matching.similarity import (
    alike,
    name_words,
    normalised,
    opposed,
    spelling,
    text_words,
)
from consdb_actions.schema.delta import SchemaDelta
from consdb_actions.schema.findings import SchemaFinding, ViewOf
from consdb_actions.schema.model import Column, Schema, Table

_FEW_WORDS = 4  # Descriptions of fewer words count as similar only if equal


_LONG_WORD = 5  # Maximum length of an abbreviation


@dataclass(frozen=True, slots=True)
class ColumnRelation:
    """A new column, and existing columns that resemble it."""

    table: str
    column: str
    names: tuple[str, ...] = ()  # Existing columns, as ``table.column``, with a similar name
    descriptions: tuple[str, ...] = ()  # Existing columns with a similar description
    also_in: tuple[str, ...] = ()  # Tables with a column of this name, joined to this table by a key

    @property
    def near(self) -> tuple[str, ...]:
        """Similar existing columns, without repetition."""
        return tuple(dict.fromkeys((*self.names, *self.descriptions)))


def related_columns(
    delta: SchemaDelta,
    before: Schema | None,
    views: Mapping[str, ViewOf],
    renamed: Collection[tuple[str, str]] = (),
) -> tuple[ColumnRelation, ...]:
    """Find new columns that resemble existing ones.

    Keys are left out, and columns of views. ``before`` is None for a new schema; ``renamed`` are new columns,
    as table and name, that were renamed.
    """
    if before is None:
        return ()
    new = [(table, table.columns) for table in delta.tables_added]
    gone = {(item.name, column.name) for item in delta.tables_changed for column in item.columns_removed}
    new += [(before.table(item.name), item.columns_added) for item in delta.tables_changed]
    removed = {table.name for table in delta.tables_removed}
    keys = {column for table in (*before, *delta.tables_added) for column in _key_columns(table)}
    known = [
        (table, column)
        for table in before
        for column in table.columns
        if table.name not in views
        and table.name not in removed
        and (table.name, column.name) not in gone
        and column.name not in keys
    ]
    index = _Index.of(known)
    joined = _groups([*before, *delta.tables_added], views)
    found = []
    for table, columns in new:
        if table.name in views:
            continue
        for column in columns:
            if column.name in keys or (table.name, column.name) in renamed:
                continue
            relation = index.relation(table.name, column, joined)
            if relation.near or relation.also_in:
                found.append(relation)
    return tuple(found)


def duplicate_findings(relations: Iterable[ColumnRelation]) -> Iterator[SchemaFinding]:
    """Yield a finding for each column with similar ones."""
    for relation in relations:
        parts = []
        if relation.names:
            parts.append(f"the name is nearly that of {_listed(relation.names)}")
        if relation.descriptions:
            parts.append(f"the description is nearly that of {_listed(relation.descriptions)}")
        if parts:
            message = ", and ".join(parts)
            yield SchemaFinding.of(
                "near-duplicate", "column", relation.table, relation.column, message=message
            )


def _listed(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(f"`{path}`" for path in paths[:3]) + more


def _key_columns(table: Table) -> set[str]:
    keys = (constraint.columns for constraint in table.constraints if constraint.kind != "check")
    return {*table.primary_key, *(column for columns in keys for column in columns)}


def _groups(tables: Iterable[Table], views: Mapping[str, ViewOf]) -> dict[str, str]:
    """Return the group of each table: key columns connect tables."""
    up: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := up.setdefault(name, name)) != name:
            name = above
        return name

    names = []
    for table in tables:
        names.append(table.name)
        shown = [view.table for name, view in views.items() if name == table.name]
        others = [*shown, *(key.referenced_table for key in table.foreign_keys)]
        for other in (*others, *(f"key {column}" for column in _key_columns(table))):
            up[root(other)] = root(table.name)
    return {name: root(name) for name in names}


_Words = tuple[str, ...]


@dataclass
class _Index:
    names: dict[str, list[str]] = field(default_factory=dict)
    spellings: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    name_words: dict[_Words, list[tuple[str, _Words]]] = field(default_factory=dict)
    text_words: dict[_Words, list[tuple[str, _Words]]] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, columns: Iterable[tuple[Table, Column]]) -> _Index:
        index = cls()
        columns = list(columns)
        counts = Counter((table.name, normalised(column.description)) for table, column in columns)
        # A description that several columns of a table share describes none of them.
        index.repeated = {text for (_, text), count in counts.items() if count > 1}
        for table, column in columns:
            path = f"{table.name}.{column.name}"
            index.names.setdefault(column.name, []).append(table.name)
            index.spellings.setdefault(spelling(column.name), []).append(path)
            words = name_words(column.name)
            for one in _signatures(words):
                index.name_words.setdefault(one, []).append((path, words))
            text = normalised(column.description)
            if text and text not in index.repeated:
                index.texts.setdefault(text, []).append(path)
                words = text_words(column.description)
                for one in _signatures(words):
                    index.text_words.setdefault(one, []).append((path, words))
        return index

    def relation(self, table: str, column: Column, joined: Mapping[str, str]) -> ColumnRelation:
        also_in, names = [], []
        for other in self.names.get(column.name, ()):
            if joined.get(other) == joined.get(table):
                also_in.append(other)
            else:
                names.append(f"{other}.{column.name}")
        same = {f"{other}.{column.name}" for other in self.names.get(column.name, ())}
        names += self.spellings.get(spelling(column.name), ())
        words = name_words(column.name)
        names += _similar(words, self.name_words)
        # Columns that differ in a number or in antonyms are a family with one description.
        texts: list[str] = []
        text = normalised(column.description)
        if text and text not in self.repeated:
            texts += self.texts.get(text, ())
            said = text_words(column.description)
            if len(said) >= _FEW_WORDS:
                texts += _similar(said, self.text_words)
        joined_names = {f"{other}.{column.name}" for other in also_in}
        return ColumnRelation(
            table,
            column.name,
            tuple(path for path in dict.fromkeys(names) if path not in joined_names),
            tuple(path for path in dict.fromkeys(texts) if path not in same and not _related(path, words)),
            tuple(also_in),
        )


def _signatures(text: _Words) -> set[_Words]:
    """Return the sorted words, and these without each word: similar names share one."""
    ordered = sorted(text)
    return {tuple(ordered), *(tuple(ordered[:at] + ordered[at + 1 :]) for at in range(len(ordered)))}


def _similar(text: _Words, index: Mapping[_Words, list[tuple[str, _Words]]]) -> Iterator[str]:
    for one in sorted(_signatures(text)):
        yield from (path for path, other in index.get(one, ()) if _similar_words(text, other))


def _related(path: str, text: _Words) -> bool:
    """Return whether names differ in a number or in antonyms."""
    other = name_words(path.partition(".")[2])
    left, right = set(text) - set(other), set(other) - set(text)
    numbers = [sorted(word for word in side if word.isdigit()) for side in (text, other)]
    return numbers[0] != numbers[1] or any(opposed(one, two) for one in left for two in right)


def _similar_words(one: _Words, other: _Words) -> bool:
    """Return whether words differ only in order or in one spelling."""
    left, right = Counter(one) - Counter(other), Counter(other) - Counter(one)
    if not left and not right:
        # Numbers and antonyms in another order mean something else, as in min_of_max.
        moved = {word for word, new in zip(one, other, strict=True) if word != new}
        return not any(word.isdigit() for word in moved) and not any(
            opposed(word, new) for word in moved for new in moved
        )
    if left.total() != 1 or right.total() != 1:
        return False
    short, long = sorted((*left, *right), key=len)
    # An abbreviation is short: "acceleration" does not abbreviate "accelerationpsd".
    return alike(short, long) > 0 and not (len(short) > _LONG_WORD and len(long) > len(short) + 2)
