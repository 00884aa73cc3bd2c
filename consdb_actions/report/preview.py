"""Render a preview as Markdown, text and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from consdb_actions.forms import Public
from consdb_actions.migration.preview import SchemaPreview
from consdb_actions.report.markdown import (
    Paint,
    bullets,
    code,
    cut,
    details,
    er_diagram,
    escape,
    fence,
    fit,
    plural,
    printable,
    prose,
    table,
    unpainted,
)
from consdb_actions.schema.delta import Code, DifferenceText, Quote
from consdb_actions.schema.findings import SchemaFinding
from consdb_actions.schema.version import Status, VersionVerdict

if TYPE_CHECKING:
    from consdb_actions.migration.matching.decisions import MatchingQuestion


def picture_of(schema: SchemaPreview) -> str:
    """Draw the tables that a change touches; empty if it touches none."""
    return er_diagram(schema.before, schema.after, schema.delta, schema.renamed)


MAX_STATEMENTS = 60  # Maximum number of shown entries of a list

MAX_NAMES = 12

MAX_QUOTE = 160  # Maximum shown length of a description in characters

_FEW = 3  # Maximum number of unfolded pairs and lines of a question

_OPEN = 12  # Maximum number of unfolded statements

_ICONS = {"error": "❌", "warning": "⚠️", "info": "\N{INFORMATION SOURCE}\ufe0f"}


@dataclass(frozen=True, slots=True)
class Preview(Public):
    """The previews of all schemas that differ."""

    FORMAT: ClassVar[str] = "consdb-actions/preview/1"
    PUBLIC: ClassVar[str] = "before after errors warnings questions schemas unchanged diagrams"

    before: str  # name of the old side
    after: str  # name of the new side
    schemas: tuple[SchemaPreview, ...]
    unchanged: tuple[str, ...] = ()  # names of the other schemas

    @property
    def diagrams(self) -> dict[str, str]:
        """Return Mermaid diagrams of the touched tables, by schema."""
        return {schema.name: picture_of(schema) for schema in self.schemas}

    @property
    def errors(self) -> int:
        """Return the number of errors."""
        return sum(schema.errors for schema in self.schemas)

    @property
    def warnings(self) -> int:
        """Return the number of warnings."""
        return sum(schema.warnings for schema in self.schemas)

    @property
    def questions(self) -> int:
        """Return the number of questions."""
        return sum(schema.questions for schema in self.schemas)


def tally(errors: int, warnings: int, questions: int) -> str:
    """Count errors, warnings and questions as text; empty if there are none."""
    parts = [(errors, "error"), (questions, "open question"), (warnings, "warning")]
    return ", ".join(plural(count, word) for count, word in parts if count)


def size(preview: SchemaPreview) -> str:
    """Summarize the size of a change."""
    delta = preview.delta
    if delta.created or delta.removed:
        return "new schema" if delta.created else "schema removed"
    changed = delta.tables_changed
    renamed = len([name for name in preview.renamed if name[0] in {item.name for item in changed}])
    counts = [
        (len(delta.tables_added), "new table", ""),
        (len(delta.tables_removed), "table", " removed"),
        (sum(len(item.columns_added) for item in changed) - renamed, "new column", ""),
        (sum(len(item.columns_removed) for item in changed) - renamed, "column", " removed"),
        (renamed, "column", " renamed"),
        (sum(len(item.columns_changed) for item in changed), "column", " changed"),
        (sum(item.primary_key is not None for item in changed), "primary key", " changed"),
        (sum(len(item.names("constraints")) for item in changed), "constraint", ""),
        (sum(len(item.names("indexes")) for item in changed), "index", ""),
    ]
    parts = [
        plural(count, word, "indexes" if word == "index" else "") + end
        for count, word, end in counts
        if count > 0
    ]
    if parts:
        return ", ".join(parts)
    if preview.statements:
        return "descriptions only"
    return "version only" if delta.version else "no relevant change"


@dataclass(frozen=True, slots=True)
class Group:
    """Findings with the same text on several objects."""

    first: SchemaFinding
    paths: tuple[str, ...]


def grouped(findings: Sequence[SchemaFinding]) -> list[Group]:
    """Group findings with the same text."""
    groups: dict[tuple[str, str, str], list[SchemaFinding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.message, finding.remedy), []).append(finding)
    return [Group(items[0], tuple(dict.fromkeys(item.path for item in items))) for items in groups.values()]


def render_markdown(preview: Preview, *, limit: int = 65_536) -> str:
    """Render a preview as a comment of limited length; parts at the end that do not fit are left out."""
    findings = tally(preview.errors, preview.warnings, preview.questions)
    between = f"{code(preview.before)} → {code(preview.after)}"
    if not preview.schemas:
        return f"### Schema preview\n\nNo schema differs. {between}"
    icon = "❌" if preview.errors else "❓" if preview.questions else "⚠️" if preview.warnings else "✅"
    count = len(preview.schemas)
    heading = f"### {icon} Schema preview: {plural(count, 'schema')} {'changes' if count == 1 else 'change'}"
    rows = [
        [
            code(schema.name, in_table=True),
            size(schema),
            _version(schema.version),
            tally(schema.errors, schema.warnings, schema.questions) or "none",
        ]
        for schema in preview.schemas
    ]
    blocks = [
        (0, f"{heading}\n\n{findings or 'No findings'}. {between}"),
        (0, table(["schema", "change", "version", "findings"], rows)),
    ]
    for schema in preview.schemas:
        blocks += _markdown_schema(schema, alone=count == 1)
    if preview.unchanged:
        blocks.append((1, "Unchanged: " + ", ".join(code(name) for name in preview.unchanged)))
    note = "_{count} more parts do not fit into a comment; run the preview locally to see them._"
    return fit([text for _, text in blocks], note, limit=limit, ranks=[rank for rank, _ in blocks])


def _version(verdict: VersionVerdict) -> str:
    before, after = (escape(version or "none") for version in (verdict.before, verdict.after))
    change = after if before == after else f"{before} → {after}"
    if verdict.status.is_ok:
        return change
    if verdict.status is Status.PERSON:
        return f"{change}, MAJOR?"
    return f"{change}, {escape(verdict.expected or '1.0.0')} needed"


def _markdown_schema(schema: SchemaPreview, *, alone: bool) -> Iterator[tuple[int, str]]:
    if not alone:
        yield 0, f"#### {code(schema.name)}"
    for note in schema.notes:
        yield 0, prose(note)
    if schema.decisions:
        for question in schema.decisions.open_questions:
            yield 1, f"**❓ {prose(question.describe())}**"
            yield 2, _proposals(question)
            yield 1, _answers(question)
        sentences = [prose(sentence) for sentence in (*schema.decisions.sentences, *schema.decisions.notes)]
        if sentences:
            folded = bullets(cut(sentences, MAX_STATEMENTS, "… and {} more"))
            yield (
                2,
                details(f"Renames, moves and losses ({len(sentences)})", folded, is_open=len(sentences) <= 5),
            )
    if schema.findings:
        items = [_markdown_group(group) for group in grouped(schema.findings)]
        yield 1, "**Findings**\n\n" + bullets(items)
    if schema.sources:
        lines = [f"{code(item.table)}: {escape(str(item))}" for item in schema.sources]
        yield 1, "**Data sources**\n\n" + bullets(cut(lines, MAX_STATEMENTS, "… and {} more tables"))
    also = [item for item in schema.relations if item.also_in]
    if also:
        lines = [
            f"{code(f'{item.table}.{item.column}')}: {', '.join(code(name) for name in item.also_in)}"
            for item in also
        ]
        body = bullets(cut(lines, MAX_STATEMENTS, "… and {} more columns"))
        yield 4, details(f"New columns that joined tables already have ({len(also)})", body)
    if schema.statements:
        parts = []
        for name, statements in by_table(schema.statements):
            lines = [_markdown_statement(statement) for statement in statements]
            title = f"**{escape(name)}**\n\n" if name else ""
            parts.append(title + bullets(cut(lines, MAX_STATEMENTS, "… and {} more changes of this table")))
        text = f"What changes ({len(schema.statements)})"
        yield 3, details(text, "\n\n".join(parts), is_open=len(schema.statements) <= _OPEN)
    picture = picture_of(schema)
    if picture:
        yield 4, details("Diagram of the affected tables", fence(picture, "mermaid"))


def by_table(statements: Sequence[DifferenceText]) -> list[tuple[str, list[DifferenceText]]]:
    """Group statements by table."""
    groups: dict[str, list[DifferenceText]] = {}
    for statement in statements:
        groups.setdefault(statement.table, []).append(statement)
    return list(groups.items())


def _markdown_statement(statement: DifferenceText) -> str:
    parts = []
    for word in statement.text:
        if isinstance(word, Code):
            parts.append(code(word))
        elif isinstance(word, Quote):
            cut = f"{word[: MAX_QUOTE - 1]}…" if len(word) > MAX_QUOTE else word
            parts.append(f"“{escape(cut)}”")
        else:
            parts.append(word)
    return "".join(parts)


def _proposals(question: MatchingQuestion) -> str:
    lines = [prose(proposal.describe()) for proposal in question.proposals]
    body = bullets(cut(lines, MAX_STATEMENTS, "… and {} more pairs"))
    return body if len(lines) <= _FEW else details(f"{len(lines)} pairs", body)


def _answers(question: MatchingQuestion) -> str:
    lines = ["Answer with these lines in the pull request's text:", ""]
    for answer in question.answers:
        directives = answer.directives()
        if len(directives) <= _FEW:
            lines.append(f"- {prose(answer.meaning)}: {', '.join(code(line) for line in directives)}")
        else:
            title = f"{prose(answer.meaning).replace('`', '')} ({len(directives)} lines)"
            lines += ["", details(title, fence("\n".join(directives))), ""]
    return "\n".join(lines).rstrip()


def _where(group: Group) -> str:
    shown, more = group.paths[:MAX_NAMES], len(group.paths) - MAX_NAMES
    tables = {path.rpartition(".")[0] for path in group.paths}
    (table_name,) = tables if len(tables) == 1 else ("",)
    names = ", ".join(code(path.removeprefix(f"{table_name}.") if table_name else path) for path in shown)
    inside = f" in {code(table_name)}" if table_name else ""
    return names + (f" and {more} more" if more > 0 else "") + inside


def _markdown_group(group: Group) -> str:
    where = "" if group.first.kind == "version" else f": {_where(group)}"
    icon = _ICONS[group.first.severity]
    return f"{icon} {prose(group.first.message)}{where}. _{prose(group.first.remedy)}_ ({group.first.rule})"


_Line = tuple[str, str]  # Text and its colour; empty for none


def render_text(preview: Preview, paint: Paint = unpainted) -> str:
    """Render a preview, without control characters of the schemas."""
    return "\n".join(
        paint(printable(text), kind) if kind else printable(text) for text, kind in _lines(preview)
    )


def _lines(preview: Preview) -> Iterator[_Line]:
    if not preview.schemas:
        yield f"No schema differs between {preview.before} and {preview.after}.", ""
        return
    yield f"{preview.before} → {preview.after}", ""
    for schema in preview.schemas:
        yield "", ""
        yield from _schema(schema)
    if preview.unchanged:
        yield "", ""
        yield f"Unchanged: {', '.join(preview.unchanged)}", "dim"
    findings = tally(preview.errors, preview.warnings, preview.questions)
    yield "", ""
    kind = "error" if preview.errors else "warning" if findings else "ok"
    yield findings or "No findings", kind


def _schema(schema: SchemaPreview) -> Iterator[_Line]:
    yield f"{schema.name}: {size(schema)}", "name"
    yield f"  version  {schema.version.describe()}", ""
    for note in schema.notes:
        yield f"  note     {note}", ""
    for item in schema.sources:
        yield f"  source   {item.table}: {item}", ""
    for name, statements in by_table(schema.statements):
        if name:
            yield f"  {name}", "name"
        yield from _some([f"    {_shortened(statement)}" for statement in statements])
    if schema.decisions:
        for question in schema.decisions.open_questions:
            yield f"  question {question.describe()}", "warning"
            yield from _some([f"    {proposal.describe()}" for proposal in question.proposals])
            yield "    Answer with one of these:", ""
            for answer in question.answers:
                yield f"    {answer.meaning}:", ""
                yield from _some([f"      {option}" for option in answer.options()])
        yield from _some(
            [f"  {sentence}" for sentence in (*schema.decisions.sentences, *schema.decisions.notes)]
        )
    yield from _some(
        [
            f"  also in  {item.table}.{item.column}: {', '.join(item.also_in)}"
            for item in schema.relations
            if item.also_in
        ]
    )
    for group in grouped(schema.findings):
        severity = group.first.severity
        yield f"  {severity:8} {group.first.message} ({group.first.rule})", severity
        if group.first.kind != "version":
            yield from _some([f"    {path}" for path in group.paths])
        yield f"    {group.first.remedy}", "dim"


def _some(lines: list[str]) -> Iterator[_Line]:
    yield from ((line, "") for line in lines[:MAX_STATEMENTS])
    if len(lines) > MAX_STATEMENTS:
        yield f"    … and {len(lines) - MAX_STATEMENTS} more (--format json lists all)", "dim"


def _shortened(statement: DifferenceText) -> str:
    words = []
    for word in statement.text:
        if isinstance(word, Quote):
            words.append(f'"{word[: MAX_QUOTE - 1]}…"' if len(word) > MAX_QUOTE else f'"{word}"')
        else:
            words.append(word)
    return " ".join("".join(words).split())
