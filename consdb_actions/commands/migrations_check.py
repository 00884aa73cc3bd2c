"""``consdb-actions migrations check``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from consdb_actions.adapters.autogenerate.checking import check_revision, find_revision, refuse_other_head
from consdb_actions.adapters.autogenerate.engine import Engine
from consdb_actions.adapters.config_file import load_config
from consdb_actions.adapters.felis import load_schema
from consdb_actions.adapters.files import check_targets, write_all
from consdb_actions.adapters.postgres import scratch_server
from consdb_actions.adapters.runner import Runner
from consdb_actions.adapters.schema_files import find_schema_file
from consdb_actions.adapters.tree import read_tree
from consdb_actions.commands.options import format_option, option
from consdb_actions.commands.progress import progress_display
from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import Declarations, parse_declaration
from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.migration.rename import check_used
from consdb_actions.report.generation import render_checked, render_json, render_markdown

__all__ = ["command"]

_DIRECTORY = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(name="check")
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
    help="Which section; may be repeated. All by default.",
)
@option("--revision", metavar="ID|FILE", help="Which revision; the head by default. Needs one --section.")
@option(
    "--rename", "renames", multiple=True, metavar="TABLE.OLD=NEW", help="What the revision renames or moves."
)
@option(
    "--database-url", metavar="URL", help="Server to use for scratch databases, instead of one of our own."
)
@option("--any-head", is_flag=True, help="Use --database-url even if it holds a section at another revision.")
@option("--config", type=_FILE, help="Configuration; .github/consdb-actions.yaml by default.")
@option("--report", type=_FILE, metavar="FILE.json", help="Write the report as JSON.")
@option("--summary", type=_FILE, metavar="FILE.md", help="Write the report as Markdown.")
@format_option()
def command(
    consdb: Path,
    sdm_schemas: Path,
    sections: tuple[str, ...],
    revision: str | None,
    renames: tuple[str, ...],
    database_url: str | None,
    any_head: bool,
    config: Path | None,
    report: Path | None,
    summary: Path | None,
    output_format: str,
) -> int:
    """Prove a revision that is in the tree: written by hand, edited, or generated.

    The history before it is replayed on a scratch Postgres, every table gets rows, and the revision runs up
    and down. The catalog must be the one that the schema file describes, and then the one before; the rows
    must keep their values; a new generation must find nothing. Exit code 1 when something does not hold.
    """
    if revision is not None and len(sections) != 1:
        raise InputError(
            "a revision belongs to one section", place="--revision", remedy="Give one --section."
        )
    check_targets(path for path in (report, summary) if path is not None)
    tree = read_tree(consdb)
    settings = load_config(config)
    declared = Declarations.of(parse_declaration(text, "option") for text in renames)
    runner = Runner.from_environ(os.environ)
    checked = []
    with (
        progress_display(quiet=output_format == "json" or runner.on_runner) as progress,
        tree.importable() as shadow,
    ):
        chosen = [tree.section(name) for name in sections] or [s for s in tree.sections if s.head()]
        work = []
        for section in chosen:
            script = find_revision(section, revision)
            path = find_schema_file(section.schema, sdm_schemas=sdm_schemas, consdb=tree.root)
            work.append((section, script, load_schema(path, expect_name=section.schema), path))
            if database_url and not any_head:
                refuse_other_head(database_url, section, str(script.down_revision or "") or None)
        with scratch_server(database_url=database_url) as server:
            engine = Engine(server, shadow, tree, settings, progress)
            for section, script, loaded, path in work:
                checked.append(check_revision(engine, section, script, loaded, path, declared))
            check_used(declared, [c.sides for c in checked])
            info = server.info
    outcome = RunOutcome(
        tuple(c.outcome for c in checked), "check", f"Postgres {info.version} ({info.source})", info.pgsphere
    )
    as_json = json.dumps(render_json(outcome), indent=2, ensure_ascii=False) + "\n"
    markdown = render_markdown(outcome)
    wanted = {report: as_json, summary: markdown}
    write_all({path: text for path, text in wanted.items() if path is not None}, overwrite=True)
    if output_format == "text":
        render_checked(outcome)
    else:
        click.echo(as_json if output_format == "json" else markdown, nl=False)
    runner.summary(markdown)
    runner.output("verdict", outcome.verdict)
    return 1 if outcome.verdict == "failed" else 0
