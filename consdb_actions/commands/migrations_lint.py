"""``consdb-actions migrations lint``: locks, rewrites, data loss and other dangers of revisions."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.commands.terminal import paint, progress_display, show

if TYPE_CHECKING:
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.adapters.tree import Tree
    from consdb_actions.lint.finding import LintResult

__all__ = ["command"]

FailOn = Literal["error", "warning", "never"]


@click.command(
    epilog=examples(
        "migrations lint --consdb .",
        "migrations lint --consdb . --section latiss --all --fail-on warning",
    )
)
@option(
    "--consdb",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Checkout of lsst-dm/consdb, or a tree of that shape.",
)
@option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME",
    help="Only this section or schema. May be repeated.",
)
@option(
    "--revision",
    "revisions",
    multiple=True,
    metavar="ID|FILE",
    help="Only this revision, by its id or its file. May be repeated.",
)
@option(
    "--base",
    metavar="GITREV",
    help="Branch or commit against which revisions are new; the default branch by default.",
)
@option(
    "--new-only/--all",
    "new_only",
    default=None,
    help="Only new and edited revisions, or the whole history; by default what is new, or else the heads.",
)
@option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    default="error",
    show_default=True,
    help="When to exit with 1: on errors, on warnings as well, or never; acknowledged ones do not count.",
)
@option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration; .github/consdb-actions.yaml by default.",
)
@format_option()
def command(
    consdb: Path,
    sections: tuple[str, ...],
    revisions: tuple[str, ...],
    base: str | None,
    new_only: bool | None,
    fail_on: FailOn,
    config: Path | None,
    output_format: str,
) -> int:
    """Check revisions for data loss, locks, rewrites and other dangers.

    The history is replayed on a temporary Postgres, and the catalog is compared before and after each
    statement; squawk checks the SQL. No other database is needed. A comment in the revision acknowledges a
    finding, on the line of the statement or before it:

    \b
      # consdb: ack data-loss: DM-12345, never filled

    Revisions are Python and are run, as alembic itself runs them, without network and connections of their
    own: use it in jobs that hold no token with which anything can be written.
    """  # noqa: D301  (click wants the control character, not a backslash)
    from consdb_actions.adapters.config_file import load_config
    from consdb_actions.adapters.postgres_ahead import server_ahead

    settings = load_config(config)
    with ExitStack() as stack:
        ahead = stack.enter_context(server_ahead()) if (consdb / "alembic.ini").is_file() else None
        # Imported only now: it takes as long as the server to start.
        from consdb_actions.adapters.runner import Runner, inert
        from consdb_actions.adapters.tree import read_tree
        from consdb_actions.commands.lint_run import Selection, lint_tree
        from consdb_actions.commands.rules import check_rules
        from consdb_actions.report.lint import render_json, render_markdown, render_text

        check_rules(settings)
        tree = read_tree(consdb)
        everything = None if new_only is None else not new_only
        runner = Runner.from_environ(os.environ)
        with progress_display(quiet=output_format == "json" or runner.on_runner) as progress:
            selection = Selection(sections, revisions, base, everything)
            result = lint_tree(tree, selection, settings, ahead, progress)
    _announce(result, tree, runner)
    # A name of the schema at the start of a line must not be taken for a command of the runner.
    shown = inert if runner.on_runner else str
    if output_format == "json":
        click.echo(json.dumps(render_json(result), indent=2, ensure_ascii=False))
    elif output_format == "markdown":
        click.echo(shown(render_markdown(result)))
    else:
        show(shown(render_text(result, _prefix(tree), paint)))
    return _exit_code(result, fail_on)


def _prefix(tree: Tree) -> str:
    """Return what stands before a file's path, so that it can be opened from here."""
    root, here = tree.root, Path.cwd()
    shown = root.relative_to(here) if root.is_relative_to(here) else root
    return "" if shown == Path() else f"{shown.as_posix()}/"


def _exit_code(result: LintResult, fail_on: FailOn) -> int:
    if fail_on == "never":
        return 0
    return int(result.count("error") + (result.count("warning") if fail_on == "warning" else 0) > 0)


def _announce(result: LintResult, tree: Tree, runner: Runner) -> None:
    """On a runner, show errors and warnings beside their lines, and the whole as a summary."""
    if not runner.on_runner:
        return
    from consdb_actions.report.lint import remedy, render_markdown

    for finding in result.open:
        if finding.severity != "info":
            message = f"{finding.message}\n{remedy(finding)}"
            place = tree.root / finding.file
            runner.annotation(finding.severity, message, file=place, line=finding.line, title=finding.rule)
    runner.output("errors", str(result.count("error")))
    runner.output("warnings", str(result.count("warning")))
    runner.summary(render_markdown(result))
