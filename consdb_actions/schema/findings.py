"""Review a schema change: findings about names, descriptions, units and consistency."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from consdb_actions.forms import Form, Line, Public
from consdb_actions.schema.delta import SchemaDelta
from consdb_actions.schema.model import Column, Constraint, Schema, Table, is_snake_case

Severity = Literal["error", "warning", "info", "off"]

_ORDER = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the review: default severity, message and remedy."""

    severity: Severity
    message: str
    remedy: str


RULES: dict[str, Rule] = {
    "version": Rule("error", "the version was not raised as the change requires", "Raise it as shown."),
    "version-person": Rule(
        "warning",
        "a person must judge whether this is compatible",
        "Say in the pull request whether readers are affected, and raise MAJOR if they are.",
    ),
    "name-snake-case": Rule(
        "warning",
        "the name is not snake_case",
        "Use lower case words of letters and digits, joined by single underscores.",
    ),
    "description-missing": Rule("error", "there is no description", "Say what it is, in a sentence."),
    "description-end": Rule("warning", "the description does not end with a full stop", "Add one."),
    "description-repeats": Rule(
        "warning",
        "the description says no more than the name",
        "Say how it is measured, or where it comes from.",
    ),
    "unit-missing": Rule(
        "warning",
        "there is no unit, and the description gives no reason for that",
        "Add ivoa:unit, or say what makes it a pure number (ratio, fraction, dimensionless).",
    ),
    "unit-unknown": Rule("error", "astropy does not know the unit", "Write it as the IVOA does."),
    "ucd-missing": Rule("warning", "there is no UCD", "Add ivoa:ucd, from the IVOA's list of words."),
    "ucd-unknown": Rule("error", "the UCD is not valid", "Take words from the IVOA's list (UCD1+)."),
    "id-unexpected": Rule(
        "warning",
        "the @id is not #table.column",
        "An @id of another column is taken as a sign of a rename: write the usual one.",
    ),
    "timestamp-zone": Rule(
        "error",
        "Felis makes a timestamp with time zone of this type",
        "Remove postgresql:datatype; write datatype: timestamp, and precision: with the number.",
    ),
    "foreign-key-target": Rule(
        "error",
        "the foreign key refers to columns that are not a key, which Postgres refuses",
        "Refer to the primary key or to the columns of a unique constraint.",
    ),
    "view-out-of-step": Rule(
        "error",
        "the view differs from the table that it shows",
        "Make the same change in both.",
    ),
    "view-words": Rule(
        "warning",
        "the view and its table describe a column differently",
        "Write the same in both.",
    ),
    "source-missing": Rule(
        "warning",
        "the data source of the new table is unknown",
        "Say in the pull request which source fills it, and declare it: sites.sources in the configuration.",
    ),
    "source-differs": Rule(
        "warning",
        "the column comes from another source than its table",
        "A table is filled by a single source: move the column to a table of its source.",
    ),
    "not-regenerated": Rule(
        "error",
        "the schema was not regenerated from its configuration",
        "Run the generator, and commit the schema.",
    ),
    "near-duplicate": Rule(
        "info",
        "the schema has a column that is nearly the same",
        "Use the existing column, or let the descriptions say how the two differ.",
    ),
    "felis-shape": Rule(
        "warning",
        "the current Felis refuses the file",
        "Change the file; the database would be the same.",
    ),
}

"""All rules, in the order in which findings are shown."""


@dataclass(frozen=True, slots=True)
class SchemaFinding(Public):
    """One finding."""

    PUBLIC: ClassVar[str] = "rule severity kind path message remedy line"

    rule: str
    severity: Severity
    kind: str  # ``column``, ``table``, ``constraint``, ``index``, ``schema`` or ``version``
    table: str
    name: str
    message: str  # The same for all objects with the same fault; backquotes mark names
    remedy: str
    line: int = 0  # In the file; 0 when it is unknown

    @classmethod
    def of(
        cls, rule: str, kind: str, table: str, name: str, *, message: str = "", remedy: str = ""
    ) -> SchemaFinding:
        """Return a finding with its rule's texts and severity by default."""
        known = RULES[rule]
        return cls(rule, known.severity, kind, table, name, message or known.message, remedy or known.remedy)

    @property
    def path(self) -> str:
        """The object's name: ``table.column``, or the name alone."""
        return f"{self.table}.{self.name}" if self.table and self.kind != "table" else self.name

    @property
    def place(self) -> tuple[str, ...]:
        """The key of the object's line in the file."""
        if self.kind in {"schema", "version"}:
            return (self.kind,)
        return (self.kind, self.table) if self.kind == "table" else (self.kind, self.table, self.name)


def with_severities(
    findings: Iterable[SchemaFinding],
    severities: Mapping[str, Severity],
    lines: Mapping[tuple[str, ...], int],
) -> tuple[SchemaFinding, ...]:
    """Apply configured severities, drop findings that are off, add lines, and sort by rule."""
    order = {rule: number for number, rule in enumerate(RULES)}
    chosen = (
        replace(item, severity=severities.get(item.rule, item.severity), line=lines.get(item.place, 0))
        for item in findings
    )
    kept = (item for item in chosen if item.severity != "off")
    return tuple(sorted(kept, key=lambda item: (_ORDER.index(item.severity), order[item.rule])))


_NEW = "new"

_PURE_NUMBER = re.compile(
    r"\b(?:dimensionless|unitless|no units?|pure number|arbitrary units?|ratio|fraction(?:al)?|normali[sz]ed"
    r"|percent(?:age)?|probability|correlation|coefficients?|factor|score|index|flag|count|number of"
    r"|airmass|ellipticity|kurtosis|skewness|chi-squared?|cosine|sine|quaternion)\b",
    re.IGNORECASE,
)

_SENTENCE_ENDS = (".", "!", "?", ".)", '."', ".'")

_WORD = re.compile(r"[a-z0-9]+")

_FILLER = frozenset({"the", "a", "an", "of", "in", "for", "column", "value", "this"})


@dataclass(frozen=True, slots=True)
class ViewOf:
    """A view that the YAML lists as a table, and its renamed columns."""

    table: str
    rename: Mapping[str, str]


def review(delta: SchemaDelta, after: Schema, views: Mapping[str, ViewOf]) -> tuple[SchemaFinding, ...]:
    """Check what is new or changed in a schema, except columns that a view repeats."""
    touched = _touched(delta)
    findings: list[SchemaFinding] = []
    for table in after:
        view = views.get(table.name)
        base = after.table(view.table) if view and view.table in after else None
        for column in table.columns:
            attributes = touched.get((table.name, column.name))
            if attributes and not (base and view and _repeats(column, base, view)):
                findings += _column(table, column, attributes)
        findings += _table(after, table, touched.get((table.name, ""), frozenset()))
    for owner, constraint in _new_constraints(delta, after):
        findings += _constraint(owner, constraint)
    findings += _indexes(delta)
    if delta.created or any(change.attribute == "description" for change in delta.text):
        findings += _description("schema", "", after.name, after.description)
    return tuple(findings)


def _touched(delta: SchemaDelta) -> dict[tuple[str, str], frozenset[str]]:
    """Map (table, column) to new or changed attributes; a table itself has no column."""
    touched = {(table.name, ""): frozenset({_NEW}) for table in delta.tables_added}
    for table in delta.tables_added:
        touched.update({(table.name, column.name): frozenset({_NEW}) for column in table.columns})
    for changed in delta.tables_changed:
        touched[changed.name, ""] = frozenset(change.attribute for change in changed.text)
        for column in changed.columns_added:
            touched[changed.name, column.name] = frozenset({_NEW})
        for item in changed.columns_changed:
            touched[changed.name, item.name] = frozenset(change.attribute for change in item.changes)
    return touched


def _repeats(column: Column, base: Table, view: ViewOf) -> bool:
    for own in base.columns:
        if view.rename.get(own.name, own.name) == column.name:
            return (own.description, own.unit, own.ucd) == (column.description, column.unit, column.ucd)
    return False


def _column(table: Table, column: Column, attributes: frozenset[str]) -> Iterator[SchemaFinding]:
    new = _NEW in attributes
    if new and not is_snake_case(column.name):
        yield SchemaFinding.of("name-snake-case", "column", table.name, column.name)
    if new or "description" in attributes:
        neighbours = [c.description for c in table.columns if c.name != column.name]
        yield from _description("column", table.name, column.name, column.description, neighbours)
    if _lacks_unit(column) and (new or attributes & {"datatype", "unit", "description"}):
        yield SchemaFinding.of("unit-missing", "column", table.name, column.name)
    others = [c.ucd for c in table.columns if c.name != column.name]
    if not column.ucd and ("ucd" in attributes or (new and _most(map(bool, others)))):
        yield SchemaFinding.of("ucd-missing", "column", table.name, column.name)
    if new and column.id != f"#{table.name}.{column.name}":
        yield SchemaFinding.of("id-unexpected", "column", table.name, column.name)
    if new or "type_overrides" in attributes:
        for _, kind in column.type_overrides:
            if kind.startswith("TIMESTAMP("):
                yield SchemaFinding.of("timestamp-zone", "column", table.name, column.name)


def _lacks_unit(column: Column) -> bool:
    if column.datatype not in {"float", "double"} or column.unit:
        return False
    return not (_PURE_NUMBER.search(column.description) or column.ucd.startswith(("meta.", "arith.")))


def _table(after: Schema, table: Table, attributes: frozenset[str]) -> Iterator[SchemaFinding]:
    if _NEW in attributes and not is_snake_case(table.name):
        yield SchemaFinding.of("name-snake-case", "table", table.name, table.name)
    if attributes & {_NEW, "description"}:
        neighbours = [other.description for other in after if other.name != table.name]
        yield from _description("table", table.name, table.name, table.description, neighbours)


def _most(values: Iterable[bool]) -> bool:
    """Return whether most neighbors have a property: only then it is required."""
    found = list(values)
    return 2 * sum(found) > len(found)


def _description(
    kind: str, table: str, name: str, description: str, neighbours: Sequence[str] = ()
) -> Iterator[SchemaFinding]:
    """Check that a description exists, ends like its neighbors', and has content."""
    if not description:
        yield SchemaFinding.of("description-missing", kind, table, name)
        return
    if not description.endswith(_SENTENCE_ENDS) and _most(d.endswith(_SENTENCE_ENDS) for d in neighbours):
        yield SchemaFinding.of("description-end", kind, table, name)
    said = set(_WORD.findall(description.lower())) - _FILLER
    if said <= set(_WORD.findall(name.lower())):
        yield SchemaFinding.of("description-repeats", kind, table, name)


def _new_constraints(delta: SchemaDelta, after: Schema) -> Iterator[tuple[Table, Constraint]]:
    for table in delta.tables_added:
        yield from ((table, constraint) for constraint in table.constraints)
    for changed in delta.tables_changed:
        yield from ((after.table(changed.name), constraint) for constraint in changed.constraints_added)


def _constraint(table: Table, constraint: Constraint) -> Iterator[SchemaFinding]:
    if not is_snake_case(constraint.name):
        yield SchemaFinding.of("name-snake-case", "constraint", table.name, constraint.name)


def _indexes(delta: SchemaDelta) -> Iterator[SchemaFinding]:
    tables = [(table.name, table.indexes) for table in delta.tables_added]
    tables += [(table.name, table.indexes_added) for table in delta.tables_changed]
    for name, indexes in tables:
        for index in indexes:
            if not is_snake_case(index.name):
                yield SchemaFinding.of("name-snake-case", "index", name, index.name)


_TYPES = {"datatype": "type", "length": "length", "precision": "precision", "type_overrides": "Postgres type"}

_TEXTS = {"unit": "unit", "ucd": "UCD"}


def check_views(
    before: Schema | None, after: Schema, views: Mapping[str, ViewOf]
) -> tuple[SchemaFinding, ...]:
    """Compare views with their tables, except renames; all if ``before`` is None."""
    known = set(_view_findings(before, views)) if before else set()
    return tuple(found for found in _view_findings(after, views) if found not in known)


def check_foreign_keys(
    before: Schema | None, after: Schema, views: Mapping[str, ViewOf]
) -> tuple[SchemaFinding, ...]:
    """Check that foreign keys refer to a table's key; all if ``before`` is None."""
    known = set(_foreign_key_findings(before, views)) if before else set()
    return tuple(found for found in _foreign_key_findings(after, views) if found not in known)


def _view_findings(schema: Schema, views: Mapping[str, ViewOf]) -> Iterator[SchemaFinding]:
    for name, view in views.items():
        if name not in schema or view.table not in schema:
            continue
        shown, table = schema.table(name), schema.table(view.table)
        expected = {view.rename.get(column.name, column.name): column for column in table.columns}
        present = {column.name: column for column in shown.columns}

        def finding(rule: str, column: str, message: str, remedy: str, view: str = name) -> SchemaFinding:
            return SchemaFinding.of(rule, "column", view, column, message=message, remedy=remedy)

        for column in sorted(expected.keys() - present.keys()):
            remedy = f"Add it to {name}, or remove it from {table.name}."
            message = f"`{name}` lacks a column that `{table.name}` has"
            yield finding("view-out-of-step", column, message, remedy)
        for column in sorted(present.keys() - expected.keys()):
            remedy = f"Add it to {table.name}, or remove it from {name}."
            message = f"`{name}` has a column that `{table.name}` lacks"
            yield finding("view-out-of-step", column, message, remedy)
        for column in sorted(expected.keys() & present.keys()):
            for rule, compared in (("view-out-of-step", _TYPES), ("view-words", _TEXTS)):
                if differing := _differences(expected[column], present[column], compared):
                    message = f"`{name}` and `{table.name}` disagree on the {differing}"
                    yield finding(rule, column, message, "Write the same in both.")


def _differences(one: Column, two: Column, compared: Mapping[str, str]) -> str:
    return " and ".join(
        label for attribute, label in compared.items() if getattr(one, attribute) != getattr(two, attribute)
    )


def _foreign_key_findings(schema: Schema, views: Mapping[str, ViewOf]) -> Iterator[SchemaFinding]:
    for table in schema:
        for key in table.foreign_keys if table.name not in views else ():
            message = ""
            if key.referenced_table in views:
                message = f"the foreign key refers to the view `{key.referenced_table}`"
            elif key.referenced_table in schema and not _is_key(schema.table(key.referenced_table), key):
                target = f"`{key.referenced_table}({', '.join(key.referenced_columns)})`"
                message = f"the foreign key refers to {target}, which is not a key"
            if message:
                yield SchemaFinding.of(
                    "foreign-key-target", "constraint", table.name, key.name, message=message
                )


def _is_key(table: Table, key: Constraint) -> bool:
    """Return whether a foreign key's target columns are unique, in any order."""
    wanted = set(key.referenced_columns)
    keys = [table.primary_key, *(item.columns for item in table.constraints if item.kind == "unique")]
    return any(wanted == set(columns) for columns in keys)


@dataclass(frozen=True, slots=True)
class DataSource:
    """What fills some tables."""

    tables: Annotated[str, Form("Pattern of schema.table.", min_length=1, max_length=200)]
    name: Line
    contact: Annotated[Line, Form("Who can answer questions and fill old rows.")] = ""
    columns: Annotated[
        tuple[Line, ...],
        Form(
            "Patterns of columns: the entry says where these come from, and nothing of the tables.",
            min_length=1,
        ),
    ] = ()

    def __str__(self) -> str:
        return f"{self.name} ({self.contact})" if self.contact else self.name


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table and its source; None where that is not declared."""

    table: str
    source: DataSource | None

    def __str__(self) -> str:
        return str(self.source) if self.source else "not declared"


def source_of_table(sources: Sequence[DataSource], table: str) -> DataSource | None:
    """Return the first matching source of a table, given as ``schema.table``."""
    return next((one for one in sources if not one.columns and fnmatchcase(table, one.tables)), None)


def source_of_column(sources: Sequence[DataSource], table: str, column: str) -> DataSource | None:
    """Return the source declared for a column itself."""
    return next(
        (
            one
            for one in sources
            if fnmatchcase(table, one.tables) and any(fnmatchcase(column, name) for name in one.columns)
        ),
        None,
    )


def table_sources(
    sources: Sequence[DataSource], delta: SchemaDelta, views: Collection[str]
) -> tuple[TableSource, ...]:
    """Return added and changed tables with sources; empty where none is declared at all."""
    if not sources:
        return ()
    names = (*(table.name for table in delta.tables_added), *(table.name for table in delta.tables_changed))
    return tuple(
        TableSource(name, source_of_table(sources, f"{delta.name}.{name}"))
        for name in names
        if name not in views
    )


def check_sources(
    sources: Sequence[DataSource], delta: SchemaDelta, after: Schema, views: Collection[str]
) -> Iterator[SchemaFinding]:
    """Yield new tables without a source, and new columns with a source of their own."""
    added = {table.name for table in delta.tables_added}
    new = {table.name: table.columns for table in delta.tables_added}
    new.update((table.name, table.columns_added) for table in delta.tables_changed)
    for item in table_sources(sources, delta, views):
        name, source = item.table, item.source
        if source is None:
            if name in added:
                yield SchemaFinding.of("source-missing", "table", name, name)
            continue
        for column in new[name]:
            own = source_of_column(sources, f"{after.name}.{name}", column.name)
            if own is not None and own.name != source.name:
                message = f"the column comes from {own.name}, but its table is filled by {source.name}"
                yield SchemaFinding.of("source-differs", "column", name, column.name, message=message)
