"""Read tables, columns, constraints and indexes of a schema file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from consdb_actions.adapters.felis_types import (
    ACTIONS,
    CONSTRAINT_KINDS,
    DATATYPES,
    INTEGERS,
    REALS,
    SIZED,
    TEXTS,
    type_remedy,
)
from consdb_actions.adapters.problems import Problem, did_you_mean, shorten
from consdb_actions.adapters.schema_fields import Fields
from consdb_actions.adapters.schema_resources import Resources
from consdb_actions.adapters.yaml_tree import YamlNode
from consdb_actions.schema.model import Column, Constraint, Index, Table

_METADATA = (
    "tap:column_index",
    "tap:principal",
    "tap:std",
    "votable:arraysize",
    "votable:datatype",
    "votable:utype",
    "votable:xtype",
    "mysql:datatype",
)

_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def read_column(
    node: YamlNode, table: str, number: int, problems: list[Problem], notes: list[str]
) -> tuple[Fields, Column | None]:
    """Read one column."""
    named = node.value.get("name") if isinstance(node.value, dict) else None
    label = f'column "{table}.{named.text}"' if named and isinstance(named.value, str) else ""
    fields = Fields(node, "column", label or f'column {number} of table "{table}"', problems)
    name = fields.name() if fields.usable else ""
    if not name:
        return fields, None
    what = fields.what
    if name in _SYSTEM_COLUMNS:
        fields.problem("name", f"{what} has a name that Postgres keeps for itself", "Choose another name.")
    datatype = fields.choice("datatype", DATATYPES)
    if fields.node("datatype") is None:
        fields.problem("", f"{what} has no datatype", f"Add datatype: and one of {', '.join(DATATYPES)}.")
    length = fields.integer("length", least=1)
    if datatype in SIZED and fields.node("length") is None:
        fields.problem(
            "datatype", f"{what} is of type {datatype} and has no length", "Add length: and a number."
        )
    if datatype and datatype not in SIZED and length is not None:
        notes.append(f"line {fields.line('length')}: {what} has a length, which type {datatype} does not use")
        length = None
    precision = fields.integer("precision", least=0)
    if precision is not None and datatype and datatype != "timestamp":
        fields.problem(
            "precision", f"{what} has a precision, but is not a timestamp", "Remove the precision."
        )
    elif precision is not None and precision > 6:
        fields.problem("precision", f"{what} has precision {precision}; Postgres keeps at most 6", "Write 6.")
    autoincrement = fields.flag("autoincrement", default=None)
    default = _default(fields, datatype)
    if default is not None and autoincrement:
        fields.problem("value", f"{what} has a default value and is autoincremented", "Keep one of the two.")
    units = [text for key in ("ivoa:unit", "fits:tunit") if (text := fields.text(key))]
    if len(units) > 1:
        fields.problem("fits:tunit", f"{what} has an IVOA unit and a FITS unit", "Keep one of the two.")
    override = fields.text("postgresql:datatype")
    if remedy := type_remedy(override) if override else "":
        cause = f"{what} has a postgresql:datatype that Felis cannot use: {shorten(override)}"
        fields.problem("postgresql:datatype", cause, remedy)
    column = Column(
        name=name,
        id=fields.text("@id") or f"#{table}.{name}",
        datatype=datatype,
        length=length,
        precision=precision,
        nullable=fields.flag("nullable", default=True) is not False,
        autoincrement=autoincrement,
        default=default,
        description=fields.text("description"),
        unit=units[0] if units else "",
        ucd=fields.text("ivoa:ucd"),
        type_overrides=(("postgresql", override),) if override else (),
        metadata=tuple(sorted(fields.annotations(*_METADATA))),
    )
    return fields, column


def _default(fields: Fields, datatype: str) -> str | int | float | bool | None:
    """Return the default value when its YAML type fits the column's."""
    node = fields.node("value")
    if node is None or node.value is None:
        return None
    value = node.value
    wanted, remedy = _expected_default(value, datatype)
    if wanted:
        kind = "text" if isinstance(value, str) else type(value).__name__
        cause = f"the default value {shorten(node.text)} ({kind} in YAML) of {fields.what} must be {wanted}"
        fields.problem("value", cause, remedy)
        return None
    if isinstance(value, str):
        return fields.text("value")
    assert isinstance(value, (int, float))
    return value


def _expected_default(value: object, datatype: str) -> tuple[str, str]:
    """Return the required kind of default and its remedy; empty when it fits."""
    bare = "Write it without quotes."
    if isinstance(value, bool):
        fits = datatype not in INTEGERS | REALS | TEXTS
        return ("", "") if fits else (f"a {datatype}", "Put it in quotes if it is text, else write a number.")
    if not isinstance(value, (str, int, float)):
        return "text or a number", "Put it in quotes."
    if datatype in INTEGERS and not isinstance(value, int):
        return "a whole number", bare
    if datatype in REALS and not isinstance(value, float):
        return "a decimal number", "Write it with a point and without quotes, such as 0.0."
    if datatype in TEXTS and not isinstance(value, str):
        return "text", "Put it in quotes."
    if datatype in TEXTS and not str(value).strip():
        return "a text that is not empty", "Remove the value, or write one."
    if datatype == "boolean":
        return "true or false", "Write one of them, without quotes."
    return "", ""


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

    def own_columns(self, nodes: Sequence[YamlNode], table: Table, what: str) -> tuple[str, ...]:
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

    def resolve(self, node: YamlNode, table: Table | None, what: str) -> tuple[str, str] | None:
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
        cause = f"{what} names {shorten(reference)}, which is not a column of this schema"
        self._problems.append(Problem(node.line, node.column, cause, remedy))
        return None


_TABLE_METADATA = ("votable:utype", "tap:table_index", "mysql:engine", "mysql:charset")


def read_tables(
    nodes: Sequence[YamlNode],
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

    def columns(self, node: YamlNode, number: int) -> None:
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
                "name", f'table "{name}" is defined twice, first on line {first}', "Remove or rename one."
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
                    f'column "{column.name}" is defined twice in table "{name}", first on line {first}',
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
        constraints: dict[str, Constraint] = {}
        for entry in fields.items("constraints"):
            constraint = self._constraint(entry, table)
            if constraint is None:
                continue
            if constraint.name in constraints:
                first = self.lines[("constraint", table.name, constraint.name)]
                what = f'constraint "{constraint.name}" is defined twice in table "{table.name}"'
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

    def _constraint(self, entry: YamlNode, table: Table) -> Constraint | None:
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

    def _index(self, entry: YamlNode, table: Table) -> Index | None:
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
