"""Read tables of a schema file, with references resolved to names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from consdb_actions.adapters.felis_keys import ACTIONS, CONSTRAINT_KINDS
from consdb_actions.adapters.problems import Problem, did_you_mean, shorten
from consdb_actions.adapters.schema_columns import read_column
from consdb_actions.adapters.schema_fields import Fields
from consdb_actions.adapters.schema_references import References
from consdb_actions.adapters.schema_resources import Resources
from consdb_actions.adapters.yaml_tree import Node
from consdb_actions.schema.model import Column, Constraint, Index, Table

__all__ = ["read_tables"]

_TABLE_METADATA = ("votable:utype", "tap:table_index", "mysql:engine", "mysql:charset")


def read_tables(
    nodes: Sequence[Node],
    resources: Resources,
    problems: list[Problem],
    notes: list[str],
    lines: dict[tuple[str, ...], int],
) -> tuple[Table, ...]:
    """Read all tables, including columns taken from resources."""
    reader = _Reader(resources, problems, notes, lines)
    for number, node in enumerate(nodes, start=1):
        reader.columns(node, number)
    return tuple(reader.keys(fields, table) for fields, table in reader.found)


class _Reader:
    def __init__(
        self,
        resources: Resources,
        problems: list[Problem],
        notes: list[str],
        lines: dict[tuple[str, ...], int],
    ) -> None:
        self.resources = resources
        self.problems = problems
        self.notes = notes
        self.lines = lines
        self.found: list[tuple[Fields, Table]] = []
        self.references = References(problems, notes)
        self._constraint_ids: set[str] = set()

    def columns(self, node: Node, number: int) -> None:
        """Read one table's name and columns."""
        named = node.value.get("name") if isinstance(node.value, dict) else None
        what = f'table "{named.text}"' if named and isinstance(named.value, str) else f"table {number}"
        fields = Fields(node, "table", what, self.problems)
        if not fields.usable:
            return
        name = fields.name()
        if not name:
            return
        known = next((table for _, table in self.found if table.name == name), None)
        if known is not None:
            first = self.lines[("table", name)]
            fields.problem(
                "name", f'table "{name}" stands twice, first on line {first}', "Remove or rename one."
            )
            return
        self.lines[("table", name)] = fields.line("name")
        identity = fields.text("@id") or f"#{name}"
        self.references.claim(identity, name, "", fields)
        columns: dict[str, Column] = {}
        entries = [
            *fields.items("columns", required=fields.node("columnRefs") is None),
            *self.resources.columns(fields, identity),
        ]
        if not entries and isinstance(getattr(fields.node("columns"), "value", None), list):
            fields.problem("columns", f'table "{name}" has no columns', "List its columns, or remove it.")
        for position, entry in enumerate(entries, start=1):
            column_fields, column = read_column(entry, name, position, self.problems, self.notes)
            if column is None:
                continue
            if column.name in columns:
                first = self.lines[("column", name, column.name)]
                column_fields.problem(
                    "name",
                    f'column "{column.name}" stands twice in table "{name}", first on line {first}',
                    "Remove or rename one of the two.",
                )
                continue
            self.lines[("column", name, column.name)] = column_fields.line("name")
            columns[column.name] = column
            self.references.claim(column.id, name, column.name, column_fields)
        table = Table(
            name=name,
            id=identity,
            description=fields.text("description"),
            columns=tuple(columns.values()),
            metadata=tuple(sorted(fields.annotations(*_TABLE_METADATA))),
        )
        self.found.append((fields, table))

    def keys(self, fields: Fields, table: Table) -> Table:
        """Read a table's primary key, constraints and indexes."""
        constraints: dict[str, Constraint] = {}
        for entry in fields.items("constraints"):
            constraint = self._constraint(entry, table)
            if constraint is None:
                continue
            if constraint.name in constraints:
                first = self.lines[("constraint", table.name, constraint.name)]
                what = f'constraint "{constraint.name}" stands twice in table "{table.name}"'
                cause = f"{what}, first on line {first}"
                self.problems.append(
                    Problem(entry.line, entry.column, cause, "Remove or rename one of the two.")
                )
                continue
            self.lines[("constraint", table.name, constraint.name)] = entry.line
            constraints[constraint.name] = constraint
        indexes = [index for entry in fields.items("indexes") if (index := self._index(entry, table))]
        what = f'the primary key of table "{table.name}"'
        return replace(
            table,
            primary_key=self.references.own_columns(fields.texts("primaryKey"), table, what),
            constraints=tuple(constraints.values()),
            indexes=tuple(indexes),
        )

    def _constraint(self, entry: Node, table: Table) -> Constraint | None:
        kind_node = None
        label = "a constraint"
        if isinstance(entry.value, dict):
            kind_node = entry.value.get("@type") or entry.value.get("type")
            named = entry.value.get("name")
            label = f'constraint "{named.text}"' if named and isinstance(named.value, str) else label
        what = f'{label} of table "{table.name}"'
        kind = CONSTRAINT_KINDS.get(kind_node.text if kind_node else "")
        if kind is None and isinstance(entry.value, dict):
            shown = f"an unknown @type {shorten(kind_node.text)}" if kind_node else "no @type"
            remedy = f"Write @type: and one of {', '.join(CONSTRAINT_KINDS)}."
            self.problems.append(Problem(entry.line, entry.column, f"{what} has {shown}", remedy))
            return None
        fields = Fields(entry, kind or "check", what, self.problems)
        name = fields.name() if fields.usable else ""
        if not name:
            return None
        identity = fields.text("@id") or f"#{table.name}.{name}"
        if identity in self._constraint_ids or identity in self.references:
            self.notes.append(
                f"line {fields.line('@id')}: {what} repeats the @id {identity}; nothing refers to it"
            )
        self._constraint_ids.add(identity)
        deferrable = bool(fields.flag("deferrable", default=False))
        initially = fields.choice("initially", ("IMMEDIATE", "DEFERRED"))
        if initially and not deferrable:
            fields.problem(
                "initially", f"{what} says initially but is not deferrable", "Add deferrable: true."
            )
        if kind == "check" and deferrable:
            fields.problem(
                "deferrable",
                f"{what} ({table.name}.{name}) is a CHECK, which Postgres cannot mark DEFERRABLE",
                "Leave deferrable and initially out.",
            )
        constraint = Constraint(
            kind="check",
            name=name,
            id=identity,
            deferrable=deferrable,
            initially=initially,
            description=fields.text("description"),
        )
        if kind == "check":
            expression = fields.text("expression")
            if not expression:
                fields.problem("", f"{what} has no expression", "Add expression: and the condition in SQL.")
            return replace(constraint, expression=expression)
        columns = self.references.own_columns(fields.texts("columns"), table, what)
        if not columns and not fields.texts("columns"):
            fields.problem("columns", f"{what} has no columns", "Add columns: and a list.")
        if kind == "unique":
            return replace(constraint, kind="unique", columns=columns)
        return self._foreign_key(fields, replace(constraint, kind="foreign key", columns=columns), table)

    def _foreign_key(self, fields: Fields, constraint: Constraint, table: Table) -> Constraint:
        what = fields.what
        reference = fields.node("reference")
        targets: list[tuple[str, str]] = []
        if reference is not None and isinstance(reference.value, dict):
            holder = reference.value.get("table")
            columns = reference.value.get("columns")
            parent = holder.text if holder and isinstance(holder.value, str) else ""
            found = next((other for _, other in self.found if other.name == parent), None)
            if found is None:
                names = [other.name for _, other in self.found]
                cause = f"{what} refers to table {shorten(parent)}, which this schema does not have"
                fields.problem(
                    "reference", cause, did_you_mean(parent, names) or "Name a table of this schema."
                )
                return constraint
            self.notes.append("foreign keys name their table under reference:, as newer Felis writes them")
            items = columns.value if columns and isinstance(columns.value, list) else []
            targets = [(parent, name) for name in self.references.own_columns(items, found, what)]
            wanted = len(items)
        else:
            nodes = fields.texts("referencedColumns")
            wanted = len(nodes)
            targets = [target for node in nodes if (target := self.references.resolve(node, None, what))]
        if not wanted:
            fields.problem(
                "referencedColumns", f"{what} refers to no columns", "Add referencedColumns: and a list."
            )
        elif wanted != len(fields.texts("columns")):
            cause = f"{what} has {len(fields.texts('columns'))} columns but refers to {wanted}"
            fields.problem(
                "referencedColumns", cause, "List as many columns on both sides, in the same order."
            )
        parents = list(dict.fromkeys(parent for parent, _ in targets))
        if len(parents) > 1:
            cause = f"{what} refers to columns of several tables: {', '.join(parents)}"
            fields.problem("referencedColumns", cause, "A foreign key points to one table.")
        return replace(
            constraint,
            referenced_table=parents[0] if parents else "",
            referenced_columns=tuple(column for _, column in targets),
            on_delete=fields.choice("on_delete", ACTIONS),
            on_update=fields.choice("on_update", ACTIONS),
        )

    def _index(self, entry: Node, table: Table) -> Index | None:
        named = entry.value.get("name") if isinstance(entry.value, dict) else None
        label = f'index "{named.text}"' if named and isinstance(named.value, str) else "an index"
        fields = Fields(entry, "index", f'{label} of table "{table.name}"', self.problems)
        name = fields.name() if fields.usable else ""
        if not name:
            return None
        columns, expressions = fields.texts("columns"), fields.texts("expressions")
        if bool(columns) == bool(expressions):
            fields.problem(
                "columns", f"{fields.what} needs columns or expressions, one of the two", "Keep one list."
            )
        self.lines[("index", table.name, name)] = entry.line
        return Index(
            name=name,
            id=fields.text("@id") or f"#{table.name}.{name}",
            columns=self.references.own_columns(columns, table, fields.what),
            expressions=tuple(node.text.strip() for node in expressions),
            description=fields.text("description"),
        )
