"""``consdb-actions migrations preview``: what a schema change means, without a database."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import click

from consdb_actions.adapters.config_file import load_config
from consdb_actions.adapters.runner import Level, Runner, inert
from consdb_actions.adapters.schema_sources import DEFAULT_SCHEMAS, read_sides
from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.commands.preview_run import build_preview
from consdb_actions.commands.rules import check_rules
from consdb_actions.commands.terminal import paint, show
from consdb_actions.report.preview import Preview, render_markdown

__all__ = ["command"]

FailOn = Literal["error", "warning", "never"]

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
    type=click.Path(path_type=Path, file_okay=False),
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
@option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    default="error",
    show_default=True,
    help="When to exit with 1: on errors and open questions, on warnings as well, or never.",
)
@option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration; .github/consdb-actions.yaml by default.",
)
@format_option()
def command(
    before: str | None,
    after: str | None,
    repo: Path,
    schemas: tuple[str, ...],
    renames: tuple[str, ...],
    everything: bool,
    fail_on: FailOn,
    config: Path | None,
    output_format: str,
) -> int:
    """Say what a schema change means, without a database.

    BEFORE and AFTER are files, folders (such as checkouts of sdm_schemas) or git revisions: REV, REV:path, or
    one range, A..B or A...B. Without AFTER, BEFORE is compared with the work tree. Without both, the work
    tree is compared with where HEAD left the default branch.
    """
    settings = load_config(config)
    check_rules(settings)
    sides = read_sides(before, after, repository=repo, schemas=schemas or DEFAULT_SCHEMAS)
    preview = build_preview(*sides, config=settings, renames=renames, everything=everything)
    runner = Runner.from_environ(os.environ)
    _announce(preview, runner)
    # A name of the schema at the start of a line must not be taken for a command of the runner.
    shown = inert if runner.on_runner else str
    if output_format == "json":
        from consdb_actions.report.preview_json import render_json

        click.echo(json.dumps(render_json(preview), indent=2, ensure_ascii=False))
    elif output_format == "markdown":
        click.echo(shown(render_markdown(preview)))
    else:
        from consdb_actions.report.preview_text import render_text

        show(shown(render_text(preview, paint)))
    return _exit_code(preview, fail_on)


def _exit_code(preview: Preview, fail_on: FailOn) -> int:
    if fail_on == "never":
        return 0
    objections = preview.errors + preview.questions
    if fail_on == "warning":
        objections += preview.warnings
    return 1 if objections else 0


def _announce(preview: Preview, runner: Runner) -> None:
    """On a runner, show the findings beside the lines that they are about, and the whole as a summary."""
    if not runner.on_runner:
        return
    for schema in preview.schemas:
        for finding in schema.findings:
            level = _LEVELS[finding.severity]
            message = f"{finding.path}: {finding.message.replace('`', '')}\n{finding.remedy}"
            line = schema.line_of(finding) or None
            runner.annotation(level, message, file=schema.source, line=line, title=finding.rule)
    runner.output("changed", "true" if preview.schemas else "false")
    runner.output("errors", str(preview.errors))
    runner.output("questions", str(preview.questions))
    runner.summary(render_markdown(preview))
