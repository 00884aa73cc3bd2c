"""A schema that is not the directory's own (rule M12)."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import SetVariable
from consdb_actions.migration.lint.effects_tables import listed
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script, Step

__all__ = ["RULE", "check"]

_SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_temp", "pg_toast"})

RULE = Rule(
    id="other-schema",
    severity="error",
    summary="A statement names another schema than the directory's own.",
    doc="""\
Each directory of revisions belongs to one schema. A statement that was copied from the directory of
another instrument works, and changes that instrument. Every schema that a statement names is looked at,
also in view queries, grants and `nextval('schema.sequence')`. The schema of the version tables (`cdb`,
`efd`), the system's own, and `public` before types and functions are allowed.""",
    safe="Name the directory's own schema; what another schema needs belongs to a revision of its own "
    "directory.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions that name a schema of somebody else."""
    allowed = _SYSTEM | {script.schema, script.version_schema}
    for run in script.runs:
        for step in run.steps:
            others = [schema for schema in _schemas(step) if schema not in allowed]
            if others:
                words = f"schema {listed(others)} is named in a revision of {script.schema}"
                yield at(step, run.direction, words)


def _schemas(step: Step) -> list[str]:
    out = []
    if step.parsed is not None:
        mentioned = step.parsed.mentions.schemas
        out = [schema for schema, is_data in mentioned.items() if is_data or schema != "public"]
    for action in step.actions:
        if isinstance(action, SetVariable) and action.name == "search_path":
            out += [value for value in action.values if value not in ("", "public", "$user", '"$user"')]
    return out
