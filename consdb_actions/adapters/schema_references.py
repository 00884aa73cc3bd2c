"""Resolve ``@id`` references to names of tables and columns."""

from __future__ import annotations

from collections.abc import Sequence

from consdb_actions.adapters.problems import Problem, did_you_mean, shorten
from consdb_actions.adapters.schema_fields import Fields
from consdb_actions.adapters.yaml_tree import Node
from consdb_actions.schema.model import Table

__all__ = ["References"]


class References:
    """Resolves ids of tables and columns; adds ``problems``, and ``notes`` for what Felis refuses."""

    def __init__(self, problems: list[Problem], notes: list[str]) -> None:
        self._problems = problems
        self._notes = notes
        self._ids: dict[str, tuple[str, str, int]] = {}

    def __contains__(self, identity: object) -> bool:
        return identity in self._ids

    def claim(self, identity: str, table: str, column: str, fields: Fields) -> None:
        """Register an id; two objects cannot share one."""
        known = self._ids.get(identity)
        if known is not None:
            owner = f'column "{known[0]}.{known[1]}"' if known[1] else f'table "{known[0]}"'
            cause = (
                f"{fields.what} has the @id {shorten(identity)} that {owner} on line {known[2]} has already"
            )
            fields.problem("@id", cause, "Give each object an @id of its own, such as #table.column.")
            return
        self._ids[identity] = (table, column, fields.line("@id"))

    def own_columns(self, nodes: Sequence[Node], table: Table, what: str) -> tuple[str, ...]:
        """Resolve references that must stay within one table."""
        names: list[str] = []
        for node in nodes:
            target = self.resolve(node, table, what)
            if target is None:
                continue
            holder, column = target
            if holder != table.name:
                cause = f'{what} names column "{column}" of another table, "{holder}"'
                self._problems.append(
                    Problem(node.line, node.column, cause, f"Name a column of {table.name}.")
                )
            elif column in names:
                cause = f'{what} names column "{column}" twice'
                self._problems.append(Problem(node.line, node.column, cause, "Remove one of the two."))
            else:
                names.append(column)
        return tuple(names)

    def resolve(self, node: Node, table: Table | None, what: str) -> tuple[str, str] | None:
        """Return table and column of a reference; a bare name refers to its own table."""
        reference = node.text.strip() if isinstance(node.value, str) else ""
        known = self._ids.get(reference)
        if known is not None and known[1]:
            return known[0], known[1]
        if known is None and table is not None and reference in table:
            self._notes.append("columns are named without their @id, as newer Felis writes them")
            return table.name, reference
        if known is not None:
            cause = f"{what} names {shorten(reference)}, which is a table, not a column"
            self._problems.append(Problem(node.line, node.column, cause, "Name the columns: #table.column."))
            return None
        choices = [identity for identity, entry in self._ids.items() if entry[1]]
        if table is not None:
            choices = [column.id for column in table.columns] or choices
        remedy = did_you_mean(reference, choices) or "Write the @id of a column that exists."
        cause = f"{what} names {shorten(reference)}, which is no column of this schema"
        self._problems.append(Problem(node.line, node.column, cause, remedy))
        return None
