"""``consdb-actions migrations check``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.commands.terminal import progress_display, show
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from alembic.script import Script

    from consdb_actions.adapters.autogenerate.checking import Given
    from consdb_actions.adapters.autogenerate.engine import GeneratedSection
    from consdb_actions.adapters.postgres_server import StartingServer
    from consdb_actions.adapters.schema_yaml import ReadSchema
    from consdb_actions.adapters.tree import Section
    from consdb_actions.migration.outcome import SectionOutcome

    Work = tuple[Section, Script, Path, ReadSchema, ReadSchema | None, Given | None]
    """A revision, its schema file, that before the change, and a database with rows of its own."""

__all__ = ["command"]

_DIRECTORY = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    name="check",
    epilog=examples(
        "migrations check --consdb . --sdm-schemas ../sdm_schemas --section latiss",
        "migrations check --consdb . --sdm-schemas ../sdm_schemas --section latiss --revision 0123abc",
    ),
)
@option(
    "--consdb", type=_DIRECTORY, required=True, help="Checkout of lsst-dm/consdb, or a tree of that shape."
)
@option(
    "--sdm-schemas", type=_DIRECTORY, required=True, help="Checkout of lsst/sdm_schemas, or a folder of YAML."
)
@option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME",
    help="Section to verify; may be repeated. All by default.",
)
@option(
    "--sdm-schemas-base",
    metavar="DIR|REV",
    help="The same before the change: a directory, or a git revision of that checkout. By default the "
    "merge base of HEAD and the default branch.",
)
@option("--revision", metavar="ID|FILE", help="Which revision; the head by default. Needs one --section.")
@option(
    "--rename", "renames", multiple=True, metavar="TABLE.OLD=NEW", help="What the revision renames or moves."
)
@option(
    "--database-url",
    metavar="URL",
    help="A copy of a site's database: the revision is verified on a copy of it too, with its own rows. "
    "It is not changed. Of an empty one, only the server is used.",
)
@option("--any-head", is_flag=True, help="Accept --database-url at any revision.")
@option("--config", type=_FILE, help="Configuration; .github/consdb-actions.yaml by default.")
@option("--report", type=_FILE, metavar="FILE.json", help="Write the report as JSON.")
@option("--summary", type=_FILE, metavar="FILE.md", help="Write the report as Markdown.")
@format_option()
def command(consdb: Path, sdm_schemas: Path, database_url: str | None, **options: Any) -> int:
    """Verify a revision that is in the tree: written by hand, edited, or generated.

    The history before it is replayed on a scratch Postgres, every table gets rows, and the revision runs up
    and down. The upgrade must make the change of the schema files and nothing else, the downgrade must
    restore the catalog, the rows must keep their values, and a second generation must find nothing. Exit code
    1 if a check fails. Differences that existed before the revision are listed as drift and do not fail.

    With --database-url the revision also runs on a copy of that database, which must be at the revision
    before it. Differences between the database and its replayed history are reported.
    """
    from consdb_actions.adapters.postgres_server import prestarted_server

    if options["revision"] is not None and len(options["sections"]) != 1:
        raise InputError(
            "a revision belongs to one section", place="--revision", remedy="Give one --section."
        )
    with ExitStack() as stack:
        likely = database_url is None and (consdb / "alembic.ini").is_file() and sdm_schemas.is_dir()
        prestarted = stack.enter_context(prestarted_server()) if likely else None
        return _run(prestarted, consdb=consdb, sdm_schemas=sdm_schemas, database_url=database_url, **options)


def _run(
    prestarted: StartingServer | None,
    *,
    consdb: Path,
    sdm_schemas: Path,
    sections: tuple[str, ...],
    revision: str | None,
    renames: tuple[str, ...],
    sdm_schemas_base: str | None,
    database_url: str | None,
    any_head: bool,
    config: Path | None,
    report: Path | None,
    summary: Path | None,
    output_format: str,
) -> int:
    from consdb_actions.adapters.autogenerate.checking import (
        Given,
        ancestors_of,
        check_revision,
        find_revision,
    )
    from consdb_actions.adapters.autogenerate.engine import Engine, SectionRequest
    from consdb_actions.adapters.autogenerate.run import base_notes, read_base, replay_histories
    from consdb_actions.adapters.autogenerate.site import look_at
    from consdb_actions.adapters.felis import validate
    from consdb_actions.adapters.files import check_targets, write_all
    from consdb_actions.adapters.pool import processors, run_in_pool
    from consdb_actions.adapters.postgres import scratch_server
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.adapters.schema_sources import resolve_base
    from consdb_actions.adapters.schema_yaml import find_schema_file, read_file
    from consdb_actions.adapters.tree import read_tree
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.forms import as_json
    from consdb_actions.migration.matching.declarations import Declarations, parse_declaration
    from consdb_actions.migration.outcome import RunOutcome
    from consdb_actions.migration.rename import check_used
    from consdb_actions.migration.site import use_of
    from consdb_actions.report.generation import render_checked, render_markdown

    check_targets(path for path in (report, summary) if path is not None)
    tree = read_tree(consdb)
    base = resolve_base(sdm_schemas, sdm_schemas_base, consdb=consdb)
    settings = load_config(config)
    declared = Declarations.of(parse_declaration(text, "option") for text in renames)
    runner = Runner.from_environ(os.environ)
    works: list[Work] = []
    finished: list[SectionOutcome] = []
    with (
        progress_display(quiet=output_format == "json" or runner.on_runner) as progress,
        tree.importable() as shadow,
    ):
        named = [tree.section(name) for name in sections]
        for section in dict.fromkeys(named or [s for s in tree.sections if s.head()]):
            script = find_revision(section, revision)
            path = find_schema_file(section.schema, sdm_schemas=sdm_schemas, consdb=tree.root)
            read = read_file(path, expect_name=section.schema)
            before_change = read_base(base, section, read)
            given = None
            if database_url:
                standing = look_at(database_url, section)
                before = str(script.down_revision) if script.down_revision else None
                use = use_of(
                    standing,
                    section=section.name,
                    revision=script.revision,
                    before=before,
                    named=bool(sections),
                    any_head=any_head,
                )
                if use == "done":
                    finished.append(_done(section, script, read))
                    continue
                if use == "copy":
                    given = Given(standing.database, standing.is_at(before))
            works.append((section, script, path, read, before_change, given))
        checked: list[GeneratedSection] = []
        info = None
        if works:
            with scratch_server(database_url=database_url, prestarted=prestarted) as server:
                histories = [(section, ancestors_of(section, script)) for section, script, *_ in works]
                replayed = replay_histories(server, histories if prestarted else [])

                def check(work: Work, tell: Callable[[str, str], None]) -> GeneratedSection:
                    section, script, path, read, before_change, given = work
                    engine = Engine(server, shadow, tree, settings, tell, replayed=replayed)
                    request = SectionRequest(section, validate(read), path, before_change, declared)
                    merged = before_change is not None and before_change.schema == read.schema
                    return check_revision(engine, request, script, given, merged=merged)

                # A database is copied by one process at a time.
                checked = run_in_pool(check, works, 1 if database_url else processors(), progress)
                check_used(declared, [c.sides for c in checked])
                info = server.info
    outcome = RunOutcome(
        (*finished, *(c.outcome for c in checked)),
        "check",
        f"Postgres {info.version} ({info.source})" if info else "",
        info.pgsphere if info else "",
        notes=base_notes(base),
        base=base.label,
    )
    printed = json.dumps(as_json(outcome), indent=2, ensure_ascii=False) + "\n"
    markdown = render_markdown(outcome, checked=True)
    wanted = {report: printed, summary: markdown}
    write_all({path: text for path, text in wanted.items() if path is not None}, overwrite=True)
    if output_format == "text":
        show(render_checked(outcome))
    else:
        click.echo(printed if output_format == "json" else markdown, nl=False)
    runner.summary(markdown)
    runner.output("verdict", outcome.verdict)
    return 1 if outcome.verdict == "failed" else 0


def _done(section: Section, script: Script, read: ReadSchema) -> SectionOutcome:
    """Report a section whose database already has the revision."""
    from consdb_actions.migration.outcome import SectionOutcome

    return SectionOutcome(
        section.name,
        section.schema,
        "unchanged",
        version=read.schema.version or "",
        revision=script.revision,
        down_revision=str(script.down_revision or ""),
        notes=("the database already has this revision; nothing to verify",),
    )
