"""What a schema change means, before any database is asked: the change, renames, the version, the review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from consdb_actions.migration.duplicates import ColumnRelation, duplicate_findings, related_columns
from consdb_actions.schema.compare import compare, compare_columns
from consdb_actions.schema.consistency import check_foreign_keys, check_views
from consdb_actions.schema.delta import SchemaDelta
from consdb_actions.schema.digest import Digest, digest_delta
from consdb_actions.schema.findings import RULES, Finding, Severity, with_severities
from consdb_actions.schema.model import Schema
from consdb_actions.schema.review import ViewOf, review
from consdb_actions.schema.sources import DataSource, TableSource, check_sources, table_sources
from consdb_actions.schema.version import Status, VersionVerdict, judge_version
from consdb_actions.schema.words import Statement, describe, describe_rename

if TYPE_CHECKING:
    from consdb_actions.migration.rename import Decisions, Declaration

__all__ = ["SchemaPreview", "preview_schema"]


@dataclass(frozen=True, slots=True)
class SchemaPreview:
    """Everything there is to say about the change of one schema.

    Parameters
    ----------
    name
        The schema.
    before, after
        Its two sides; None where it does not exist.
    delta, statements
        What differs, as data and in words.
    digest
        Digest of the delta.
    version
        The verdict on its version.
    decisions
        Renames, moves, losses and open questions; None where there is nothing to decide.
    findings
        What a reviewer would object to, errors first.
    notes
        Anything else to know, such as a file before the change that cannot be read.
    source, lines
        The file after the change, and where its objects stand in it.
    sources
        What fills each new or changed table.
    relations
        New columns that the schema nearly has already, or has in tables that are joined to theirs.
    """

    name: str
    before: Schema | None
    after: Schema | None
    delta: SchemaDelta
    statements: tuple[Statement, ...]
    digest: Digest
    version: VersionVerdict
    decisions: Decisions | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    source: str = ""
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    sources: tuple[TableSource, ...] = ()
    relations: tuple[ColumnRelation, ...] = ()

    def line_of(self, finding: Finding) -> int:
        """Return the line of the file that a finding is about; 0 when it is not known."""
        return self.lines.get(finding.place, 0)

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(1 for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return sum(1 for finding in self.findings if finding.severity == "warning")

    @property
    def renamed(self) -> dict[tuple[str, str], str]:
        """Old names of the columns that were renamed, by table and new name."""
        if self.decisions is None:
            return {}
        return {(item.new_table, item.new): item.old for item in self.decisions.renames}

    @property
    def questions(self) -> int:
        """How many questions about renames are open."""
        return len(self.decisions.open_questions) if self.decisions else 0


def preview_schema(
    before: Schema | None,
    after: Schema | None,
    *,
    views: Mapping[str, ViewOf],
    severities: Mapping[str, Severity],
    declarations: Sequence[Declaration] = (),
    sources: Sequence[DataSource] = (),
    extra: Iterable[Finding] = (),
    everything: bool = False,
    notes: tuple[str, ...] = (),
    source: str = "",
    lines: Mapping[tuple[str, ...], int] | None = None,
    generated: bool = False,
) -> SchemaPreview:
    """Say what the change of one schema means.

    Parameters
    ----------
    before, after
        The two sides; None where the schema does not exist.
    views
        What the YAML lists as tables and the database has as views.
    severities
        Severities of rules that differ from their default.
    declarations
        Renames that people have declared; those that are about another schema are left out.
    sources
        What fills tables, as the configuration declares it.
    extra
        Findings of checks that need more than the two schemas.
    everything
        Whether what did not change is checked as well.
    notes, source, lines
        Kept in the result.
    generated
        Whether ``source`` is a configuration that the schema file is generated from.

    Raises
    ------
    InputError
        When a declaration contradicts the schemas.
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
    if before is not None and after is not None and (declarations or _something_went(before, after, delta)):
        decisions = _decide(before, after, views, declarations)
        # An @id that was carried over says that this is a rename; it is no mistake then.
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
        findings=with_severities(findings, severities),
        notes=notes,
        source=source,
        lines=lines or {},
        sources=table_sources(sources, delta, views),
        relations=relations,
    )


def _something_went(before: Schema, after: Schema, delta: SchemaDelta) -> bool:
    """Tell whether a name went, or an id changed hands: without that there is nothing to decide."""
    if delta.tables_removed or any(table.columns_removed for table in delta.tables_changed):
        return True
    ids = ({(t.name, c.name): c.id for t in side for c in t.columns} for side in (before, after))
    old, new = ids
    owners = {identity: name for name, identity in old.items()}
    return any(owners.get(identity, name) != name for name, identity in new.items())


def _decide(
    before: Schema, after: Schema, views: Mapping[str, ViewOf], declarations: Sequence[Declaration]
) -> Decisions:
    """Decide on renames, moves and losses; imported here, since most changes only add."""
    from consdb_actions.migration.rename import Declarations, decide, select
    from consdb_actions.migration.yaml_facts import table_facts

    sides = table_facts(before, views), table_facts(after, views)
    return decide(*sides, select(Declarations.of(declarations), *sides), "fail")


def _statements(
    delta: SchemaDelta, before: Schema | None, after: Schema | None, decisions: Decisions | None
) -> tuple[Statement, ...]:
    """Describe a change; a column that was renamed is neither gone nor new."""
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


def _version_findings(verdict: VersionVerdict, key: str) -> Iterable[Finding]:
    """Return the verdict on the version as a finding, unless it is fine."""
    if verdict.status.is_ok:
        return
    if verdict.status is Status.PERSON:
        message = f"{RULES['version-person'].message}: {verdict.asks('`')}"
        yield Finding.of("version-person", "version", "", verdict.schema, message=message)
        return
    finding = Finding.of("version", "version", "", verdict.schema, message=verdict.describe())
    yield replace(finding, remedy=f'Write {key}: "{verdict.expected or "1.0.0"}".')
