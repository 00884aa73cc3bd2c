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
    reader = _SchemaReader()
    problems = reader.problems
    fields = Fields(root, "schema", "the schema", problems)
    if not fields.usable:
        raise FileError(source, problems)
    reader.lines = {("schema",): root.line, ("version",): fields.line("version")}
    schema = reader.read(fields, beside)
    if expect_name and schema.name and schema.name != expect_name and not problems:
        remedy = f'Write "name: {expect_name}", or name the file after its schema.'
        cause = f'the schema is called "{schema.name}", not "{expect_name}"'
        problems.append((fields.node("name") or root).problem(cause, remedy))
    if problems:
        raise FileError(source, problems)
    return ReadSchema(schema, source, tuple(dict.fromkeys(reader.notes)), reader.lines)


_TABLE_METADATA = ("votable:utype", "tap:table_index", "mysql:engine", "mysql:charset")

_Key = tuple[str, ...]  # Of an object's line


class _SchemaReader:
    """Reads a schema; adds ``problems``, ``notes`` for what Felis refuses, and ``lines``."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.lines: dict[_Key, int] = {}
        self._found: list[tuple[Fields, Table]] = []
        self._ids: dict[str, tuple[str, str, int]] = {}  # Table, column (empty for a table) and line
        self._constraint_ids: set[str] = set()

    def read(self, fields: Fields, beside: Beside | None) -> Schema:
        name = fields.name()
        resources = Resources(fields.node("resources"), beside, self.problems)
        for number, node in enumerate(fields.items("tables", required=True), start=1):
            self._columns(node, number, resources)
        tables = tuple(self._keys(*found) for found in self._found)
        schema = Schema(
            name=name,
            id=fields.text("@id") or f"#{name}",
            version=_version(fields, self.notes),
            description=fields.text("description"),
            tables=tables,
            metadata=tuple(fields.annotations("votable:utype")),
        )
        self._check_names(schema)
        return schema

    def _problem(self, node: YamlNode, cause: str, remedy: str) -> None:
        self.problems.append(node.problem(cause, remedy))

    def _is_new(self, fields: Fields, key: _Key, place: str, within: str = "") -> bool:
        """Keep the line of an object; one that is defined twice is a problem."""
        if first := self.lines.get(key):
            cause = f'{key[0]} "{key[-1]}" is defined twice{within}, first on line {first}'
            fields.problem(place, cause, "Remove or rename one of the two.")
            return False
        self.lines[key] = fields.line(place)
        return True

    def _claim(self, identity: str, table: str, column: str, fields: Fields) -> None:
        """Register an id; two objects cannot share one."""
        known = self._ids.get(identity)
        if known is None:
            self._ids[identity] = (table, column, fields.line("@id"))
            return
        owner = f'column "{known[0]}.{known[1]}"' if known[1] else f'table "{known[0]}"'
        cause = f"{fields.what} has the @id {shorten(identity)} that {owner} on line {known[2]} has already"
        fields.problem("@id", cause, "Give each object an @id of its own, such as #table.column.")

    # Tables and columns.

    def _columns(self, node: YamlNode, number: int, resources: Resources) -> None:
        named = node.text_of("name")
        fields = Fields(node, "table", f'table "{named}"' if named else f"table {number}", self.problems)
        name = fields.name() if fields.usable else ""
        if not name or not self._is_new(fields, ("table", name), "name"):
            return
        identity = fields.text("@id") or f"#{name}"
        self._claim(identity, name, "", fields)
        columns = []
        entries = [
            *fields.items("columns", required=fields.node("columnRefs") is None),
            *resources.columns(fields, identity),
        ]
        if not entries and isinstance(getattr(fields.node("columns"), "value", None), list):
            fields.problem("columns", f'table "{name}" has no columns', "List its columns, or remove it.")
        for position, entry in enumerate(entries, start=1):
            own, column = self._column(entry, name, position)
            if column and self._is_new(own, ("column", name, column.name), "name", f' in table "{name}"'):
                columns.append(column)
                self._claim(column.id, name, column.name, own)
        table = Table(
            name=name,
            id=identity,
            description=fields.text("description"),
            columns=tuple(columns),
            metadata=tuple(sorted(fields.annotations(*_TABLE_METADATA))),
        )
        self._found.append((fields, table))

    def _column(self, node: YamlNode, table: str, number: int) -> tuple[Fields, Column | None]:
        named = node.text_of("name")
        label = f'column "{table}.{named}"' if named else f'column {number} of table "{table}"'
        fields = Fields(node, "column", label, self.problems)
        name = fields.name() if fields.usable else ""
        if not name:
            return fields, None
        what = fields.what
        if name in _SYSTEM_COLUMNS:
            fields.problem(
                "name", f"{what} has a name that Postgres keeps for itself", "Choose another name."
            )
        datatype = fields.choice("datatype", DATATYPES)
        if fields.node("datatype") is None:
            fields.problem("", f"{what} has no datatype", f"Add datatype: and one of {', '.join(DATATYPES)}.")
        length = fields.integer("length", least=1)
        if datatype in SIZED and fields.node("length") is None:
            fields.problem(
                "datatype", f"{what} is of type {datatype} and has no length", "Add length: and a number."
            )
        if datatype and datatype not in SIZED and length is not None:
            note = f"{what} has a length, which type {datatype} does not use"
            self.notes.append(f"line {fields.line('length')}: {note}")
            length = None
        precision = fields.integer("precision", least=0)
        if precision is not None and datatype and datatype != "timestamp":
            fields.problem(
                "precision", f"{what} has a precision, but is not a timestamp", "Remove the precision."
            )
        elif precision is not None and precision > 6:
            fields.problem(
                "precision", f"{what} has precision {precision}; Postgres keeps at most 6", "Write 6."
            )
        autoincrement = fields.flag("autoincrement", default=None)
        default = _default(fields, datatype)
        if default is not None and autoincrement:
            fields.problem(
                "value", f"{what} has a default value and is autoincremented", "Keep one of the two."
            )
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

    # Keys, constraints and indexes.

    def _own_columns(self, nodes: Sequence[YamlNode], table: Table, what: str) -> tuple[str, ...]:
        """Resolve references that must stay within one table."""
        names: list[str] = []
        for node in nodes:
            target = self._resolve(node, table, what)
            if target is None:
                continue
            holder, column = target
            if holder != table.name:
                cause = f'{what} names column "{column}" of another table, "{holder}"'
                self._problem(node, cause, f"Name a column of {table.name}.")
            elif column in names:
                cause = f'{what} names column "{column}" twice'
                self._problem(node, cause, "Remove one of the two.")
            else:
                names.append(column)
        return tuple(names)

    def _resolve(self, node: YamlNode, table: Table | None, what: str) -> tuple[str, str] | None:
        """Return table and column of a reference; a bare name refers to its own table."""
        reference = node.text.strip() if isinstance(node.value, str) else ""
        known = self._ids.get(reference)
        if known is not None and known[1]:
            return known[0], known[1]
        if known is None and table is not None and reference in table:
            self.notes.append("columns are named without their @id, as newer Felis writes them")
            return table.name, reference
        if known is not None:
            cause = f"{what} names {shorten(reference)}, which is a table, not a column"
            self._problem(node, cause, "Name the columns: #table.column.")
            return None
        choices = [identity for identity, entry in self._ids.items() if entry[1]]
        if table is not None:
            choices = [column.id for column in table.columns] or choices
        remedy = did_you_mean(reference, choices) or "Write the @id of a column that exists."
        cause = f"{what} names {shorten(reference)}, which is not a column of this schema"
        self._problem(node, cause, remedy)
        return None

    def _keys(self, fields: Fields, table: Table) -> Table:
        constraints = [
            found for entry in fields.items("constraints") if (found := self._constraint(entry, table))
        ]
        indexes = [index for entry in fields.items("indexes") if (index := self._index(entry, table))]
        what = f'the primary key of table "{table.name}"'
        return replace(
            table,
            primary_key=self._own_columns(fields.texts("primaryKey"), table, what),
            constraints=tuple(constraints),
            indexes=tuple(indexes),
        )

    def _constraint(self, entry: YamlNode, table: Table) -> Constraint | None:
        named, type_node = entry.text_of("name"), entry.get("@type") or entry.get("type")
        what = (f'constraint "{named}"' if named else "a constraint") + f' of table "{table.name}"'
        kind = CONSTRAINT_KINDS.get(type_node.text if type_node else "")
        if kind is None and isinstance(entry.value, dict):
            shown = f"an unknown @type {shorten(type_node.text)}" if type_node else "no @type"
            remedy = f"Write @type: and one of {', '.join(CONSTRAINT_KINDS)}."
            self._problem(entry, f"{what} has {shown}", remedy)
            return None
        fields = Fields(entry, kind or "check", what, self.problems)
        name = fields.name() if fields.usable else ""
        key, within = ("constraint", table.name, name), f' in table "{table.name}"'
        if not name or not self._is_new(fields, key, "", within):
            return None
        identity = fields.text("@id") or f"#{table.name}.{name}"
        if identity in self._constraint_ids or identity in self._ids:
            note = f"{what} repeats the @id {identity}; nothing refers to it"
            self.notes.append(f"line {fields.line('@id')}: {note}")
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
        columns = self._own_columns(fields.texts("columns"), table, what)
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
            columns, parent = reference.get("columns"), reference.text_of("table")
            found = next((other for _, other in self._found if other.name == parent), None)
            if found is None:
                names = [other.name for _, other in self._found]
                cause = f"{what} refers to table {shorten(parent)}, which this schema does not have"
                fields.problem(
                    "reference", cause, did_you_mean(parent, names) or "Name a table of this schema."
                )
                return constraint
            self.notes.append("foreign keys name their table under reference:, as newer Felis writes them")
            items = columns.value if columns and isinstance(columns.value, list) else []
            targets = [(parent, name) for name in self._own_columns(items, found, what)]
            wanted = len(items)
        else:
            nodes = fields.texts("referencedColumns")
            wanted = len(nodes)
            targets = [target for node in nodes if (target := self._resolve(node, None, what))]
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
        named = entry.text_of("name")
        label = f'index "{named}"' if named else "an index"
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
            columns=self._own_columns(columns, table, fields.what),
            expressions=tuple(node.text.strip() for node in expressions),
            description=fields.text("description"),
        )

    # Identifiers.

    def _check_names(self, schema: Schema) -> None:
        """Check the identifiers of a schema.

        Tables and indexes, also those of UNIQUE and primary keys, share one namespace; other constraints only
        need a unique name in their table.
        """
        for what, name, key in _names(schema):
            if is_too_long(name):
                size = len(name.encode())
                cause = f'{what} "{name}" has {size} bytes, Postgres keeps {NAME_BYTES}: it would become'
                remedy = f"Shorten the name by {size - NAME_BYTES} bytes."
                self.problems.append(Problem(self.lines.get(key, 0), 0, f'{cause} "{cut(name)}"', remedy))
        taken: dict[str, str] = {}
        for what, name, key in _relations(schema):
            if name in taken:
                cause = f'{what} is called "{name}", and so is {taken[name]}'
                cause += ": Postgres refuses that within a schema"
                remedy = "Rename one; put the table's name into it."
                self.problems.append(Problem(self.lines.get(key, 0), 0, cause, remedy))
            taken.setdefault(name, what)
        holders: dict[str, list[str]] = {}
        for table in schema:
            for constraint in table.constraints:
                holders.setdefault(constraint.name, []).append(table.name)
        # Postgres accepts the same name in several tables, Felis does not.
        for name, tables in holders.items():
            if len(tables) > 1:
                line = self.lines.get(("constraint", tables[0], name), 0)
                used = f"is used in {len(tables)} tables: {', '.join(tables)}"
                self.notes.append(f"line {line}: the constraint name {name} {used}")


def _names(schema: Schema) -> Iterator[tuple[str, str, _Key]]:
    yield "the schema", schema.name, ("schema",)
    for table in schema:
        yield "table", table.name, ("table", table.name)
        parts: dict[str, tuple[Column | Constraint | Index, ...]] = {
            "column": table.columns,
            "constraint": table.constraints,
            "index": table.indexes,
        }
        for kind, items in parts.items():
            for item in items:
                yield f"{kind} of {table.name}", item.name, (kind, table.name, item.name)


def _relations(schema: Schema) -> Iterator[tuple[str, str, _Key]]:
    for table in schema:
        yield f'table "{table.name}"', table.name, ("table", table.name)
    for table in schema:
        of_table = f'of "{table.name}"'
        if table.primary_key:
            yield f"the primary key {of_table}", primary_key_name(table.name), ("table", table.name)
        for constraint in table.constraints:
            if constraint.kind == "unique":
                key = ("constraint", table.name, constraint.name)
                yield f"the unique constraint {of_table}", constraint.name, key
        for index in table.indexes:
            yield f"the index {of_table}", index.name, ("index", table.name, index.name)


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
