"""Reading both sides of a preview and putting them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from consdb_actions.adapters.efd_config import config_of, stale_findings
from consdb_actions.adapters.felis_words import unknown_ucds, unknown_units
from consdb_actions.adapters.schema_resources import uses_resources
from consdb_actions.adapters.schema_sources import RawFile, Side
from consdb_actions.adapters.schema_yaml import ReadSchema
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.migration.preview import SchemaPreview, preview_schema
from consdb_actions.process.sites import sites_from_mapping
from consdb_actions.report.preview import Preview
from consdb_actions.schema.findings import Finding
from consdb_actions.schema.model import Schema
from consdb_actions.schema.review import ViewOf
from consdb_actions.schema.sources import DataSource

if TYPE_CHECKING:
    from consdb_actions.migration.rename import Declaration

__all__ = ["build_preview"]


def build_preview(
    before: Side, after: Side, *, config: Config, renames: Sequence[str] = (), everything: bool = False
) -> Preview:
    """Compare two sides."""
    declarations = _declarations(renames)
    sources = sites_from_mapping(config.sites, place=f"{config.source or 'the defaults'}: sites").sources
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
    """Read what was declared; the code that knows renames is imported only where it is needed."""
    if not renames:
        return []
    from consdb_actions.migration.rename import parse_declaration

    return [parse_declaration(text, "--rename") for text in renames]


def _is_same(before: RawFile | None, after: RawFile | None) -> bool:
    """Tell whether a file is unchanged, and so are the columns that it takes from other files."""
    if before is None or after is None or before.data != after.data:
        return False
    try:
        if stale_findings(after, (read := after.read()).schema, before):
            return False
        return not uses_resources(after.data) or before.read().schema == read.schema
    except InputError:
        return False


def _expected(side: Side, name: str) -> str | None:
    """Return the name that a schema must have: files of a folder are called after their schema."""
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
    """Preview one schema; a file before the change that is wrong counts as no file."""
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


def _extra(before: ReadSchema | None, after: ReadSchema, everything: bool) -> Iterator[Finding]:
    """Yield findings that need more than the two schemas: words that astropy judges, notes of the reader."""
    known = before.schema if before and not everything else None
    units, ucds = _words(after.schema), _words(after.schema, ucd=True)
    bad_units = unknown_units(units - (_words(known) if known else set()))
    bad_ucds = unknown_ucds(ucds - (_words(known, ucd=True) if known else set()))
    for table in after.schema:
        for column in table.columns:
            if column.unit in bad_units:
                message = f"astropy does not know the unit `{column.unit}`"
                yield Finding.of("unit-unknown", "column", table.name, column.name, message=message)
            if column.ucd in bad_ucds:
                message = f"the UCD `{column.ucd}` is not valid: {bad_ucds[column.ucd]}"
                yield Finding.of("ucd-unknown", "column", table.name, column.name, message=message)
    told = {_without_line(note) for note in before.notes} if before and not everything else set()
    for note in after.notes:
        if _without_line(note) not in told:
            yield Finding.of("felis-shape", "schema", "", after.schema.name, message=_without_line(note))


def _words(schema: Schema, *, ucd: bool = False) -> set[str]:
    """Return the units, or the UCDs, of a schema."""
    return {column.ucd if ucd else column.unit for table in schema for column in table.columns}


def _without_line(note: str) -> str:
    """Return a note without the line at its start, which another change may have moved."""
    start, colon, rest = note.partition(": ")
    return rest if colon and start.startswith("line ") else note
