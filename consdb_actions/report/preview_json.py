"""Preview as JSON, described by ``schemas/preview.schema.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consdb_actions.migration.preview import SchemaPreview
from consdb_actions.report.preview import Preview, decided
from consdb_actions.report.preview_pictures import picture_of
from consdb_actions.schema.version import VersionVerdict

if TYPE_CHECKING:
    from consdb_actions.migration.rename import Question

__all__ = ["FORMAT", "render_json"]

FORMAT = "consdb-actions/preview/1"
"""Increased when the format changes."""


def render_json(preview: Preview) -> dict[str, Any]:
    """Return a preview as JSON data."""
    return {
        "format": FORMAT,
        "before": preview.before,
        "after": preview.after,
        "changed": bool(preview.schemas),
        "errors": preview.errors,
        "warnings": preview.warnings,
        "questions": preview.questions,
        "schemas": [_schema(schema) for schema in preview.schemas],
        "unchanged": list(preview.unchanged),
    }


def _schema(schema: SchemaPreview) -> dict[str, Any]:
    delta = schema.delta
    questions = schema.decisions.open_questions if schema.decisions else ()
    return {
        "name": schema.name,
        "change": "created" if delta.created else "removed" if delta.removed else "changed",
        "changes_structure": delta.changes_structure,
        "version": _version(schema.version),
        "digest": {"structure": schema.digest.structure, "text": schema.digest.text},
        "statements": [
            {
                "table": statement.table,
                "kind": statement.kind,
                "name": statement.name,
                "action": statement.action,
                "text": str(statement),
            }
            for statement in schema.statements
        ],
        "questions": [_question(question) for question in questions],
        "decisions": decided(schema.decisions) if schema.decisions else [],
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "kind": finding.kind,
                "path": finding.path,
                "message": finding.message,
                "remedy": finding.remedy,
                "file": schema.source,
                "line": schema.line_of(finding),
            }
            for finding in schema.findings
        ],
        "sources": [
            {
                "table": item.table,
                "source": item.source.name if item.source else None,
                "contact": item.source.contact if item.source else "",
            }
            for item in schema.sources
        ],
        "also_in": [
            {"column": f"{item.table}.{item.column}", "tables": list(item.also_in)}
            for item in schema.relations
            if item.also_in
        ],
        "notes": list(schema.notes),
        "diagram": picture_of(schema),
    }


def _version(verdict: VersionVerdict) -> dict[str, Any]:
    return {
        "before": verdict.before,
        "after": verdict.after,
        "needed": verdict.needed.name.lower(),
        "made": None if verdict.made is None else verdict.made.name.lower(),
        "rule": verdict.rule,
        "status": verdict.status.value,
        "expected": verdict.expected,
        "text": verdict.describe(),
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "text": question.describe(),
        "proposals": [
            {"old": proposal.old, "new": proposal.new, "text": proposal.describe()}
            for proposal in question.proposals
        ],
        "answers": [
            {
                "meaning": answer.meaning,
                "options": list(answer.options()),
                "directives": list(answer.directives()),
            }
            for answer in question.answers
        ],
    }
