"""Read a schema file into the model, with the line of every problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from consdb_actions.adapters.files import read_bytes
from consdb_actions.adapters.schema_fields import (
    ACTIONS,
    CONSTRAINT_KINDS,
    DATATYPES,
    INTEGERS,
    REALS,
    SIZED,
    TEXTS,
    Beside,
    Fields,
    Resources,
    beside_path,
    type_remedy,
)
from consdb_actions.adapters.yaml_tree import (
    MAX_BYTES,
    FileError,
    Problem,
    YamlNode,
    did_you_mean,
    read_tree,
    shorten,
)
from consdb_actions.errors import InputError
from consdb_actions.schema.model import MAX_BYTES as NAME_BYTES
from consdb_actions.schema.model import (
    Column,
    Constraint,
    Index,
    Schema,
    Table,
    cut,
    is_too_long,
    primary_key_name,
)

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


def check_names(
    schema: Schema, lines: dict[tuple[str, ...], int], problems: list[Problem], notes: list[str]
) -> None:
    """Check the identifiers of a schema.

    Tables and indexes, also those of UNIQUE and primary keys, share one namespace; other constraints only
    need a unique name in their table.
    """
    for what, name, key in _names(schema):
        if is_too_long(name):
            size = len(name.encode())
            became = f'it would become "{cut(name)}"'
            cause = f'{what} "{name}" has {size} bytes, Postgres keeps {NAME_BYTES}: {became}'
            problems.append(
                Problem(lines.get(key, 0), 0, cause, f"Shorten the name by {size - NAME_BYTES} bytes.")
            )
    _relations(schema, lines, problems)
    _note_repeated(schema, lines, notes)


def _names(schema: Schema) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield "the schema", schema.name, ("schema",)
    for table in schema:
        yield "table", table.name, ("table", table.name)
        for column in table.columns:
            yield f"column of {table.name}", column.name, ("column", table.name, column.name)
        for constraint in table.constraints:
            yield f"constraint of {table.name}", constraint.name, ("constraint", table.name, constraint.name)
        for index in table.indexes:
            yield f"index of {table.name}", index.name, ("index", table.name, index.name)


def _relations(schema: Schema, lines: dict[tuple[str, ...], int], problems: list[Problem]) -> None:
    taken: dict[str, str] = {}
    named: list[tuple[str, str, tuple[str, ...]]] = [
        (table.name, f'table "{table.name}"', ("table", table.name)) for table in schema
    ]
    for table in schema:
        if table.primary_key:
            name = primary_key_name(table.name)
            named.append((name, f'the primary key of "{table.name}"', ("table", table.name)))
        for constraint in table.constraints:
            if constraint.kind == "unique":
                key = ("constraint", table.name, constraint.name)
                named.append((constraint.name, f'the unique constraint of "{table.name}"', key))
        named.extend(
            (index.name, f'the index of "{table.name}"', ("index", table.name, index.name))
            for index in table.indexes
        )
    for name, what, place in named:
        if name in taken:
            cause = (
                f'{what} is called "{name}", and so is {taken[name]}: Postgres refuses that within a schema'
            )
            remedy = "Rename one; put the table's name into it."
            problems.append(Problem(lines.get(place, 0), 0, cause, remedy))
        else:
            taken[name] = what


def _note_repeated(schema: Schema, lines: dict[tuple[str, ...], int], notes: list[str]) -> None:
    """Note constraint names used in several tables: Postgres accepts them, Felis does not."""
    holders: dict[str, list[str]] = {}
    for table in schema:
        for constraint in table.constraints:
            holders.setdefault(constraint.name, []).append(table.name)
    for name, tables in holders.items():
        if len(tables) > 1:
            line = lines.get(("constraint", tables[0], name), 0)
            notes.append(
                f"line {line}: the constraint name {name} is used in {len(tables)} tables: "
                f"{', '.join(tables)}"
            )


CONSDB_FOLDERS = ("python/lsst/consdb/transformed_efd/schemas/yml",)  # Folders of a consdb tree

SDM_FOLDERS = ("python/lsst/sdm/schemas", "yml", "python/lsst/sdm_schemas/schemas", ".", *CONSDB_FOLDERS)

"""Folders of a tree of schemas: sdm_schemas today and before, a plain folder, or consdb for the EFD."""

_SUFFIXES = (".yaml", ".yml")


def candidates(name: str, *, consdb: bool = False) -> Iterator[PurePosixPath]:
    """Yield possible paths of a schema's file, most likely first."""
    for folder in CONSDB_FOLDERS if consdb else SDM_FOLDERS:
        for suffix in _SUFFIXES:
            yield PurePosixPath(folder) / f"{name}{suffix}"


def find_schema_file(name: str, *, sdm_schemas: Path, consdb: Path | None = None) -> Path:
    """Return the file of a schema, links followed within the tree; ``consdb`` is a tree with EFD schemas."""
    looked: list[str] = []
    trees: list[tuple[Path, bool]] = [(sdm_schemas, False)]
    if consdb is not None:
        trees.append((consdb, True))
    for tree, is_consdb in trees:
        if not tree.is_dir():
            cause = "there is no such directory" if not tree.exists() else "this is not a directory"
            raise InputError(
                cause,
                place=str(tree),
                remedy="Give the path of a checkout, or of a folder with the YAML files.",
            )
        for relative in candidates(name, consdb=is_consdb):
            path = tree / relative
            if path.is_file():
                return _checked(path, tree)
            if relative.suffix == _SUFFIXES[0]:
                looked.append(str(path))
    known = [found for tree, is_consdb in trees for found in list_schema_files(tree, consdb=is_consdb)]
    remedy = (
        did_you_mean(name, known)
        or "Give a checkout of sdm_schemas, or the folder that holds the YAML files."
    )
    where = "\n".join(f"  {path}" for path in looked)
    raise InputError(f"no file of the schema {name} was found; looked for\n{where}", remedy=remedy)


def list_schema_files(
    tree: Path, *, consdb: bool = False, globs: Sequence[str] = ("cdb_*", "efd_*")
) -> dict[str, Path]:
    """Return the schema files of a tree by name; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in CONSDB_FOLDERS if consdb else SDM_FOLDERS:
        for glob in globs:
            for suffix in _SUFFIXES:
                for path in sorted((tree / folder).glob(f"{glob}{suffix}")):
                    if path.is_file():
                        found.setdefault(path.stem, _checked(path, tree))
    return dict(sorted(found.items()))


def _checked(path: Path, tree: Path) -> Path:
    """Refuse a link that leads out of the checkout, or out of a folder that is in none (rule S2)."""
    root, real = tree.resolve(), path.resolve()
    checkout = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    if not real.is_relative_to(checkout) or ".git" in real.relative_to(checkout).parts:
        raise InputError(
            f"this is a link that leads out of {checkout}",
            place=str(path),
            remedy="Put the file itself there.",
        )
    return path


Lines = Mapping[tuple[str, ...], int]

"""Line of an object; keys are such as ``("column", "exposure", "seeing")`` or ``("version",)``."""


@dataclass(frozen=True, slots=True)
class ReadSchema:
    """A parsed schema file."""

    schema: Schema
    source: str  # Name of the file, for messages
    notes: tuple[str, ...] = ()  # What was accepted although today's Felis would refuse it
    lines: Lines = field(default_factory=dict)


def read_file(path: Path, *, expect_name: str | None = None) -> ReadSchema:
    """Read a schema file, and others that it takes columns from."""
    beside = beside_path(path)
    return read_yaml(read_bytes(path, MAX_BYTES), source=str(path), expect_name=expect_name, beside=beside)


def read_yaml(
    data: str | bytes, *, source: str, expect_name: str | None = None, beside: Beside | None = None
) -> ReadSchema:
    """Read a schema from the content of a file; raise FileError with all problems.

    ``source`` names the file in errors, ``expect_name`` is the required schema name, and ``beside`` reads
    others in its directory for ``columnRefs``; None refuses such files.
    """
    root = read_tree(data, source=source)
    if root.value is None:
        remedy = "A schema starts with name, version, description and a list of tables."
        raise FileError(source, [Problem(0, 0, "the file is empty", remedy)])
    problems: list[Problem] = []
    notes: list[str] = []
    fields = Fields(root, "schema", "the schema", problems)
    if not fields.usable:
        raise FileError(source, problems)
    lines: dict[tuple[str, ...], int] = {("schema",): root.line, ("version",): fields.line("version")}
    schema = _schema(fields, beside, problems, notes, lines)
    if expect_name and schema.name and schema.name != expect_name and not problems:
        at = fields.node("name") or root
        remedy = f'Write "name: {expect_name}", or name the file after its schema.'
        cause = f'the schema is called "{schema.name}", not "{expect_name}"'
        problems.append(Problem(at.line, at.column, cause, remedy))
    if problems:
        raise FileError(source, problems)
    return ReadSchema(schema, source, tuple(dict.fromkeys(notes)), lines)


def _schema(
    fields: Fields,
    beside: Beside | None,
    problems: list[Problem],
    notes: list[str],
    lines: dict[tuple[str, ...], int],
) -> Schema:
    name = fields.name()
    resources = Resources(fields.node("resources"), beside, problems)
    tables = read_tables(fields.items("tables", required=True), resources, problems, notes, lines)
    schema = Schema(
        name=name,
        id=fields.text("@id") or f"#{name}",
        version=_version(fields, notes),
        description=fields.text("description"),
        tables=tables,
        metadata=tuple(fields.annotations("votable:utype")),
    )
    check_names(schema, lines, problems, notes)
    return schema


def _version(fields: Fields, notes: list[str]) -> str | None:
    """Return the version as text, also where YAML reads a date or number."""
    node = fields.node("version")
    if node is not None and isinstance(node.value, dict):
        current = node.value.get("current")
        if current is None:
            fields.problem("version", 'the version has no "current"', 'Write current: "1.0.0" under version.')
        node = current
    if node is None or node.value is None:
        return None
    if isinstance(node.value, (list, dict)):
        fields.problem("version", "the version is not text", 'Write it as current: "1.0.0".')
        return None
    if not isinstance(node.value, str):
        kind = type(node.value).__name__
        notes.append(f"line {node.line}: the version {node.text} is a {kind} in YAML; put it in quotes")
    return node.text.strip()
