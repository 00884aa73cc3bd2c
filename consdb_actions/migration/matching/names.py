"""From names before a change to names after it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from consdb_actions.migration.matching.facts import ForeignKeyFacts, TableFacts
from consdb_actions.schema.names import cut

__all__ = ["NameMap", "RenameStep", "rename_steps"]

_SQL = re.compile(
    r"""'(?:[^']|'')*'            # a text
      | \$\w*\$.*?\$\w*\$          # a dollar-quoted text
      | "(?:[^"]|"")*"             # a quoted name
      | ::\s*[^\W\d][\w$]*(?:\s+(?:precision|varying|with(?:out)?\s+time\s+zone))?   # a cast to a type
      | [^\W\d][\w$]*\s*\(        # a function that is called
      | [^\W\d][\w$]*              # a bare name or a keyword
      | .""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


@dataclass(frozen=True)
class NameMap:
    """Names before a change to names after it. What is not renamed keeps its name.

    With it, constraints and indexes over renamed columns are recognised as what they were.
    """

    tables: Mapping[str, str]
    columns: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, tables: Mapping[str, str], columns: Mapping[tuple[str, str], str]) -> NameMap:
        """Make a map.

        Parameters
        ----------
        tables
            New name by old name.
        columns
            New name by old table and old column.
        """
        return cls(dict(tables), dict(columns))

    def table(self, table: str) -> str:
        """Return a table's name after the change."""
        return self.tables.get(table, table)

    def column(self, table: str, column: str) -> str:
        """Return a column's name after the change; ``table`` is the name before it."""
        return self.columns.get((table, column), column)

    def columns_of(self, table: str, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the names after the change of several columns of a table."""
        return tuple(self.column(table, column) for column in columns)

    def foreign_key(self, table: str, key: ForeignKeyFacts) -> ForeignKeyFacts:
        """Return a foreign key that ``table`` holds before the change, in names after it."""
        return ForeignKeyFacts(
            self.columns_of(table, key.columns),
            self.table(key.referenced_table),
            self.columns_of(key.referenced_table, key.referenced_columns),
        )

    def expression(self, table: str, sql: str) -> str:
        """Return the SQL of a CHECK or an index with the columns' names after the change.

        Texts in quotes are left alone. A bare name is a column whatever its case, as Postgres reads it.
        """
        renamed = {old: new for (of, old), new in self.columns.items() if of == table}
        if not renamed:
            return sql
        return "".join(_renamed(token, renamed) for token in _SQL.findall(sql))

    def facts(self, table: TableFacts) -> tuple[frozenset[tuple[str, ...]], frozenset[ForeignKeyFacts]]:
        """Return the keys and the foreign keys of a table before the change, in names after it."""
        return (
            frozenset(self.columns_of(table.name, key) for key in table.keys),
            frozenset(self.foreign_key(table.name, key) for key in table.foreign_keys),
        )


def _renamed(token: str, renamed: Mapping[str, str]) -> str:
    if token.startswith('"'):
        name = token[1:-1].replace('""', '"')
    elif token[-1].isidentifier() and (token[0].isalpha() or token[0] == "_"):
        name = token.lower()
    else:
        return token
    if name not in renamed:
        return token
    new = renamed[name]
    return new if _PLAIN.fullmatch(new) else '"' + new.replace('"', '""') + '"'


@dataclass(frozen=True)
class RenameStep:
    """One ``ALTER TABLE … RENAME``; ``table`` is empty when a table itself is renamed."""

    table: str
    old: str
    new: str


def rename_steps(
    renames: Sequence[tuple[str, str]], taken: Iterable[str], table: str = ""
) -> tuple[RenameStep, ...]:
    """Order renames so that no step meets a name that is still in use.

    Chains (``a`` to ``b``, ``b`` to ``c``) are done from their end; a circle (``a`` and ``b`` change places)
    needs one name in between.

    Parameters
    ----------
    renames
        Old and new name of each.
    taken
        Every name in use before, so that the name in between is a free one.
    table
        Name of the table that the columns are in, after its own rename; empty for tables.

    Returns
    -------
    tuple of RenameStep
        In an order that runs.
    """
    waiting = dict(sorted(renames))
    used = {*taken, *waiting.values()}
    steps: list[RenameStep] = []
    while waiting:
        ready = [old for old, new in waiting.items() if new not in waiting]
        steps += [RenameStep(table, old, waiting.pop(old)) for old in ready]
        if not ready:
            old = next(iter(waiting))
            names = (f"{cut(old, 50)}_was_{number}" for number in count(1))
            between = next(name for name in names if name not in used)
            used.add(between)
            steps.append(RenameStep(table, old, between))
            waiting[between] = waiting.pop(old)
    return tuple(steps)
