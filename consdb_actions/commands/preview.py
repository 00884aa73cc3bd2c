"""Preview a schema change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.adapters.efd_config import config_of, stale_findings
from consdb_actions.adapters.runner import Level, Runner
from consdb_actions.adapters.schema_fields import unknown_ucds, unknown_units, uses_resources
from consdb_actions.adapters.schema_sources import DEFAULT_SCHEMAS, RawFile, Side, read_sides
from consdb_actions.adapters.schema_yaml import ReadSchema
from consdb_actions.commands.options import (
    FOLDER,
    checked_config,
    config_option,
    examples,
    fail_on_option,
    fails,
    format_option,
    option,
)
from consdb_actions.commands.terminal import paint, present
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.migration.preview import SchemaPreview, preview_schema
from consdb_actions.report.preview import Preview, render_markdown, render_text
from consdb_actions.schema.findings import DataSource, SchemaFinding, ViewOf
from consdb_actions.schema.model import Schema

if TYPE_CHECKING:
    from consdb_actions.migration.matching.declarations import Declaration


def build_preview(
    before: Side, after: Side, *, config: Config, renames: Sequence[str] = (), everything: bool = False
) -> Preview:
    """Compare two sides."""
    declarations = _declarations(renames)
    sources = config.sites.sources
    names = sorted(before.files.keys() | after.files.keys())
    same = {name for name in names if _is_same(before.files.get(name), after.files.get(name))}
    new, errors = {}, []
    for name in names:
        if name in after.files and (everything or name not in same):
            try:
                new[name] = after.files[name].read(expect_name=_expected(after, name))
            except InputError as error:
                errors.append(error)
    if errors:
        raise errors[0] if len(errors) == 1 else InputError("\n\n".join(str(error) for error in errors))
    previews = [
        _preview(
            before.files.get(name),
            after.files.get(name),
            new.get(name),
            config,
            declarations,
            sources,
            everything,
        )
        for name in names
        if everything or name not in same
    ]
    unchanged = () if everything else tuple(sorted(same))
    return Preview(before.label, after.label, tuple(previews), unchanged)


def _declarations(renames: Sequence[str]) -> list[Declaration]:
    """Read declarations; the module on renames is imported only if needed."""
    if not renames:
        return []
    from consdb_actions.migration.matching.declarations import parse_declaration

    return [parse_declaration(text, "--rename") for text in renames]


def _is_same(before: RawFile | None, after: RawFile | None) -> bool:
    """Tell whether a file, and the files that it takes columns from, are unchanged."""
    if before is None or after is None or before.data != after.data:
        return False
    try:
        if stale_findings(after, (read := after.read()).schema, before):
            return False
        return not uses_resources(after.data) or before.read().schema == read.schema
    except InputError:
        return False


def _expected(side: Side, name: str) -> str | None:
    """Return the required name of a schema: in a folder, that of its file."""
    return None if side.single else name


def _preview(
    before: RawFile | None,
    file: RawFile | None,
    after: ReadSchema | None,
    config: Config,
    declarations: Sequence[Declaration],
    sources: Sequence[DataSource],
    everything: bool,
) -> SchemaPreview:
    """Preview one schema; an invalid file before the change counts as missing."""
    old: ReadSchema | None = None
    notes: tuple[str, ...] = ()
    if before is not None:
        try:
            old = before.read()
        except InputError as error:
            if after is None:
                raise
            first = error.cause.splitlines()[0]
            notes = (f"The file before the change cannot be read, so everything counts as new: {first}.",)
    schema = after.schema if after else None
    generated = config_of(file) if file else None
    extra = [*_extra(old, after, everything)] if after else []
    if file and schema:
        extra += stale_findings(file, schema, None if everything else before)
    place = generated or after
    return preview_schema(
        old.schema if old else None,
        schema,
        views={view.name: ViewOf(view.table, dict(view.rename)) for view in config.views},
        severities=config.severities,
        declarations=declarations,
        sources=sources,
        extra=extra,
        everything=everything,
        notes=notes,
        source=place.source if place else "",
        lines=place.lines if place else {},
        generated=generated is not None,
    )


def _extra(before: ReadSchema | None, after: ReadSchema, everything: bool) -> Iterator[SchemaFinding]:
    known = before.schema if before and not everything else None
    units, ucds = _words(after.schema), _words(after.schema, ucd=True)
    bad_units = unknown_units(units - (_words(known) if known else set()))
    bad_ucds = unknown_ucds(ucds - (_words(known, ucd=True) if known else set()))
    for table in after.schema:
        for column in table.columns:
            if column.unit in bad_units:
                message = f"astropy does not know the unit `{column.unit}`"
                yield SchemaFinding.of("unit-unknown", "column", table.name, column.name, message=message)
            if column.ucd in bad_ucds:
                message = f"the UCD `{column.ucd}` is not valid: {bad_ucds[column.ucd]}"
                yield SchemaFinding.of("ucd-unknown", "column", table.name, column.name, message=message)
    told = {_without_line(note) for note in before.notes} if before and not everything else set()
    for note in after.notes:
        if _without_line(note) not in told:
            yield SchemaFinding.of(
                "felis-shape", "schema", "", after.schema.name, message=_without_line(note)
            )


def _words(schema: Schema, *, ucd: bool = False) -> set[str]:
    return {column.ucd if ucd else column.unit for table in schema for column in table.columns}


def _without_line(note: str) -> str:
    """Remove the line at the start of a note: another change may have moved it."""
    start, colon, rest = note.partition(": ")
    return rest if colon and start.startswith("line ") else note


_LEVELS: Mapping[str, Level] = {"error": "error", "warning": "warning", "info": "notice"}


@click.command(
    epilog=examples(
        "migrations preview",
        "migrations preview main...",
        "migrations preview origin/main . --format markdown",
        "migrations preview old/cdb_latiss.yaml new/cdb_latiss.yaml",
    )
)
@click.argument("before", envvar="CONSDB_BEFORE", required=False)
@click.argument("after", envvar="CONSDB_AFTER", required=False)
@option(
    "--git",
    "repo",
    type=FOLDER,
    default=Path(),
    help="Clone in which revisions are looked up; the current directory by default.",
)
@option(
    "--schema",
    "schemas",
    multiple=True,
    metavar="GLOB",
    help="Only schemas of this name; cdb_* and efd_* by default. May be repeated.",
)
@option(
    "--rename",
    "renames",
    multiple=True,
    metavar="TABLE.OLD=NEW",
    help="A rename that is known. May be repeated.",
)
@option("--all", "everything", is_flag=True, help="Check everything, not only what is new or different.")
@fail_on_option
@config_option
@format_option()
def command(
    before: str | None,
    after: str | None,
    repo: Path,
    schemas: tuple[str, ...],
    renames: tuple[str, ...],
    everything: bool,
    fail_on: str,
    config: Path | None,
    output_format: str,
) -> int:
    """Describe a schema change, without a database.

    BEFORE and AFTER are files, folders (such as checkouts of sdm_schemas) or git revisions: REV, REV:path, or
    one range, A..B or A...B. Without AFTER, BEFORE is compared with the work tree. Without both, the work
    tree is compared with the merge base of HEAD and the default branch.
    """
    settings = checked_config(config)
    sides = read_sides(before, after, repository=repo, schemas=schemas or DEFAULT_SCHEMAS)
    preview = build_preview(*sides, config=settings, renames=renames, everything=everything)
    runner = Runner.from_environ(os.environ)
    for schema in preview.schemas:
        for finding in schema.findings:
            message = f"{finding.path}: {finding.message.replace('`', '')}\n{finding.remedy}"
            runner.annotation(
                _LEVELS[finding.severity],
                message,
                file=schema.source,
                line=finding.line or None,
                title=finding.rule,
            )
    outputs = {
        "changed": str(bool(preview.schemas)).lower(),
        "errors": str(preview.errors),
        "questions": str(preview.questions),
    }
    present(output_format, preview, lambda: render_text(preview, paint), render_markdown(preview), outputs)
    return fails(fail_on, preview.errors + preview.questions, preview.warnings)
