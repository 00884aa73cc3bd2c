"""Describe a schema change without a database: renames, version, review."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from consdb_actions.forms import Public
from consdb_actions.migration.duplicates import ColumnRelation, duplicate_findings, related_columns
from consdb_actions.migration.matching.decisions import Decisions
from consdb_actions.migration.matching.facts import ColumnFacts, ForeignKeyFacts, TableFacts
from consdb_actions.schema.delta import (
    DifferenceText,
    Digest,
    SchemaDelta,
    compare,
    compare_columns,
    describe,
    describe_rename,
    digest_delta,
)
from consdb_actions.schema.findings import (
    RULES,
    DataSource,
    SchemaFinding,
    Severity,
    TableSource,
    ViewOf,
    check_foreign_keys,
    check_sources,
    check_views,
    review,
    table_sources,
    with_severities,
)
from consdb_actions.schema.model import Column, Schema, Table
from consdb_actions.schema.version import Status, VersionVerdict, judge_version

if TYPE_CHECKING:
    from consdb_actions.migration.matching.declarations import Declaration


_TYPES = {
    "byte": "smallint",
    "short": "smallint",
    "int": "integer",
    "long": "bigint",
    "float": "double precision",
    "double": "double precision",
    "binary": "bytea",
}
_SIZED = {"char": "character", "string": "character varying", "unicode": "character varying"}


def postgres_type(column: Column) -> str:
    """Return the type that Felis gives a column in Postgres, as the server prints it."""
    overrides = dict(column.type_overrides)
    if "postgresql" in overrides:
        return overrides["postgresql"].lower()
    if column.datatype in _SIZED:
        return f"{_SIZED[column.datatype]}({column.length})"
    if column.datatype == "timestamp":
        precision = "" if column.precision is None else f"({column.precision})"
        return f"timestamp{precision} without time zone"
    return _TYPES.get(column.datatype, column.datatype)


def table_facts(schema: Schema, views: Collection[str] = ()) -> tuple[TableFacts, ...]:
    """Return the tables of a schema."""
    return tuple(_table(table) for table in schema if table.name not in views)


def _table(table: Table) -> TableFacts:
    return TableFacts(
        name=table.name,
        columns=tuple(
            ColumnFacts(
                table=table.name,
                name=column.name,
                type=postgres_type(column),
                nullable=column.nullable and column.name not in table.primary_key,
                description=column.description or None,
                unit=column.unit or None,
                ucd=column.ucd or None,
                id=column.id,
                position=position,
            )
            for position, column in enumerate(table.columns)
        ),
        description=table.description or None,
        id=table.id,
        primary_key=table.primary_key,
        unique_keys=tuple(item.columns for item in table.constraints if item.kind == "unique"),
        foreign_keys=tuple(
            ForeignKeyFacts(key.columns, key.referenced_table, key.referenced_columns)
            for key in table.foreign_keys
        ),
    )


@dataclass(frozen=True, slots=True)
class SchemaPreview(Public):
    """The preview of one schema's change; a side is None where the schema does not exist."""

    PUBLIC: ClassVar[str] = (
        "name created=delta.created removed=delta.removed changes_structure=delta.changes_structure "
        "version digest statements questions=decisions.open_questions decisions=decisions.sentences "
        "decision_notes=decisions.notes findings file=source sources relations notes"
    )

    name: str
    before: Schema | None
    after: Schema | None
    delta: SchemaDelta
    statements: tuple[DifferenceText, ...]
    digest: Digest
    version: VersionVerdict
    decisions: Decisions | None
    """Renames, moves, losses and open questions; None where there is nothing to decide."""
    findings: tuple[SchemaFinding, ...]  # Findings of the review, errors first
    notes: tuple[str, ...] = ()  # Anything else, such as an unreadable file before the change
    source: str = ""
    sources: tuple[TableSource, ...] = ()  # What fills each new or changed table
    relations: tuple[ColumnRelation, ...] = ()  # New columns that resemble existing ones

    @property
    def errors(self) -> int:
        """Number of errors."""
        return sum(1 for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> int:
        """Number of warnings."""
        return sum(1 for finding in self.findings if finding.severity == "warning")

    @property
    def renamed(self) -> dict[tuple[str, str], str]:
        """Old names of renamed columns, by table and new name."""
        if self.decisions is None:
            return {}
        return {(item.new_table, item.new): item.old for item in self.decisions.renames}

    @property
    def questions(self) -> int:
        """Number of open questions about renames."""
        return len(self.decisions.open_questions) if self.decisions else 0


def preview_schema(
    before: Schema | None,
    after: Schema | None,
    *,
    views: Mapping[str, ViewOf],
    severities: Mapping[str, Severity],
    declarations: Sequence[Declaration] = (),
    sources: Sequence[DataSource] = (),
    extra: Iterable[SchemaFinding] = (),
    everything: bool = False,
    notes: tuple[str, ...] = (),
    source: str = "",
    lines: Mapping[tuple[str, ...], int] | None = None,
    generated: bool = False,
) -> SchemaPreview:
    """Describe the change of one schema; a side is None where it does not exist.

    ``views`` are tables of the YAML that are views, ``sources`` what fills tables, and ``extra`` findings of
    other checks. ``everything`` also checks unchanged elements. ``generated`` tells that ``source`` is a
    configuration that the file is generated from. InputError if a declaration contradicts the schemas.
    """
    delta = compare(before, after)
    verdict = judge_version(delta, before.version if before else None, after.version if after else None)
    findings = [*_version_findings(verdict, "version" if generated else "current"), *extra]
    if after is not None:
        reviewed = compare(None, after) if everything else delta
        known = None if everything else before
        findings += review(reviewed, after, views)
        findings += check_views(known, after, views)
        findings += check_foreign_keys(known, after, views)
        findings += check_sources(sources, delta, after, views)
    decisions = None
    renamed: set[tuple[str, str]] = set()
    if before is not None and after is not None and (declarations or _has_removals(before, after, delta)):
        decisions = _decide(before, after, views, declarations)
        # An @id that was kept shows a rename, not a mistake.
        renamed = {(rename.new_table, rename.new) for rename in decisions.renames}
        findings = [
            item
            for item in findings
            if item.rule != "id-unexpected" or (item.table, item.name) not in renamed
        ]
    relations = related_columns(delta, before, views, renamed)
    findings += duplicate_findings(relations)
    return SchemaPreview(
        name=delta.name,
        before=before,
        after=after,
        delta=delta,
        statements=_statements(delta, before, after, decisions),
        digest=digest_delta(delta),
        version=verdict,
        decisions=decisions,
        findings=with_severities(findings, severities, lines or {}),
        notes=notes,
        source=source,
        sources=table_sources(sources, delta, views),
        relations=relations,
    )


def _has_removals(before: Schema, after: Schema, delta: SchemaDelta) -> bool:
    """Return whether a name was removed, or an id moved: else there is nothing to decide."""
    if delta.tables_removed or any(table.columns_removed for table in delta.tables_changed):
        return True
    ids = ({(t.name, c.name): c.id for t in side for c in t.columns} for side in (before, after))
    old, new = ids
    owners = {identity: name for name, identity in old.items()}
    return any(owners.get(identity, name) != name for name, identity in new.items())


def _decide(
    before: Schema, after: Schema, views: Mapping[str, ViewOf], declarations: Sequence[Declaration]
) -> Decisions:
    from consdb_actions.migration.matching.declarations import Declarations
    from consdb_actions.migration.rename import decide, select

    sides = table_facts(before, views), table_facts(after, views)
    return decide(*sides, select(Declarations.of(declarations), *sides), "fail")


def _statements(
    delta: SchemaDelta, before: Schema | None, after: Schema | None, decisions: Decisions | None
) -> tuple[DifferenceText, ...]:
    statements = describe(delta)
    if before is None or after is None or decisions is None or not decisions.renames:
        return statements
    renames = {}
    for item in decisions.renames:
        if item.table == item.new_table:
            old, new = before.table(item.table).column(item.old), after.table(item.table).column(item.new)
            renames[item.table, item.new] = describe_rename(
                item.table, item.old, item.new, compare_columns(old, new)
            )
    gone = {(item.table, item.old) for item in decisions.renames if (item.table, item.new) in renames}
    told = []
    for statement in statements:
        key = (statement.table, statement.name)
        if statement.kind != "column" or statement.action == "change":
            told.append(statement)
        elif statement.action == "add":
            told.append(renames.get(key, statement))
        elif key not in gone:
            told.append(statement)
    return tuple(told)


def _version_findings(verdict: VersionVerdict, key: str) -> Iterable[SchemaFinding]:
    if verdict.status.is_ok:
        return
    if verdict.status is Status.PERSON:
        message = f"{RULES['version-person'].message}: {verdict.asks('`')}"
        yield SchemaFinding.of("version-person", "version", "", verdict.schema, message=message)
        return
    finding = SchemaFinding.of("version", "version", "", verdict.schema, message=verdict.describe())
    yield replace(finding, remedy=f'Write {key}: "{verdict.expected or "1.0.0"}".')
